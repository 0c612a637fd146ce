"""Libraries of profiles and lists: shipped ones by name, others by path."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path

from sycee import data
from sycee.compliance import profile_reader
from sycee.compliance import profiles as regimes
from sycee.compliance.canonical import digest
from sycee.compliance.profiles import Library, List, Profile
from sycee.core import documents, typos
from sycee.core.errors import UsageError


def load(profiles: Sequence[str | Path], lists: Sequence[Path | List] = ()) -> Library:
    """Return the library of these profiles, each shipped or in a file, with the lists that their rules name.

    A text with a slash or the ending `.toml` is a path. Shipped lists are found by name; `lists`, each a file or a
    list, are added and replace shipped ones with the same id. UsageError for an unknown name, a duplicate, and a list
    that no profile names; DocumentError for an invalid file.
    """
    if not profiles:
        raise UsageError("no profile was named", hint=f"profiles shipped: {', '.join(data.names('profiles'))}")
    read = [_parse_profile(*data.file("profiles", each, "profile")) for each in profiles]
    own = [each if isinstance(each, List) else regimes.read_list(each) for each in lists]
    given = {each.id: "a list" if isinstance(place, List) else place for each, place in zip(own, lists, strict=True)}
    if len(given) < len(own):
        ids = [each.id for each in own]
        twice = next(id for index, id in enumerate(ids) if id in ids[:index])
        raise UsageError(f'the list "{twice}" was given twice', hint="name each list once")
    shipped = [_shipped(name) for name in data.names("lists") if name not in given]
    library = regimes.build_library(read, [*shipped, *own])
    for name in given.keys() - library.lists.keys():
        right = typos.hint(name, library.lists, f"lists named: {', '.join(library.lists) or 'none'}")
        raise UsageError(f'{given[name]}: no loaded profile uses the list "{name}"', hint=right)
    return library


def is_modified(part: Profile | List) -> bool:
    """Return whether a profile or list has the id of a shipped one and other content."""
    kind = "lists" if isinstance(part, List) else "profiles"
    return part.id in data.names(kind) and digest(part) != _shipped_digest(kind, part.id)


@cache
def _shipped_digest(kind: str, name: str) -> str:
    if kind == "lists":
        return digest(_shipped(name))
    return digest(_parse_profile(*data.file(kind, name, "profile")))


@lru_cache(maxsize=64)  # golden cases name the same profiles again and again; parsing one takes 20 ms
def _parse_profile(name: str, content: bytes) -> Profile:
    return profile_reader.parse_profile(documents.parse(content, name))


@cache  # every library needs all of them, to know which ids there are
def _shipped(name: str) -> List:
    return regimes.parse_list(documents.parse(data.content("lists", name), f"{name}.toml"))
