"""The profiles and lists that judge: those shipped, by name, and those of a reader's own, by path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sycee import data
from sycee.compliance import profiles as regimes
from sycee.compliance.profiles import Library, List
from sycee.core import documents, typos
from sycee.core.errors import UsageError


def load(profiles: Sequence[str | Path], lists: Sequence[Path | List] = ()) -> Library:
    """The profiles named, each shipped or in a file of its own, with the lists that their rules look at.

    A text that holds a slash or ends in `.toml` is a path. Lists that are shipped are found by themselves; `lists` are
    further ones, or others in place of shipped ones of the same id, each a file or a list that was read. UsageError for
    a name that nothing has (with the nearest), for what is given twice and for a list that no profile names;
    DocumentError for a wrong file.
    """
    if not profiles:
        raise UsageError("no profile was named", hint=f"profiles shipped: {', '.join(data.names('profiles'))}")
    read = [regimes.parse_profile(data.document("profiles", each, "profile")) for each in profiles]
    own = [each if isinstance(each, List) else regimes.read_list(each) for each in lists]
    given = {each.id: "a list" if isinstance(place, List) else place for each, place in zip(own, lists, strict=True)}
    if len(given) < len(own):
        twice = next(each.id for place, each in enumerate(own) if each.id in [one.id for one in own[:place]])
        raise UsageError(f'the list "{twice}" was given twice', hint="name each list once")
    shipped = [_shipped(name) for name in data.names("lists") if name not in given]
    library = regimes.build_library(read, [*shipped, *own])
    for name in given.keys() - library.lists.keys():
        right = typos.hint(name, library.lists, f"lists named: {', '.join(library.lists) or 'none'}")
        raise UsageError(f'{given[name]}: no profile named here looks at the list "{name}"', hint=right)
    return library


def _shipped(name: str) -> List:
    return regimes.parse_list(documents.parse(data.content("lists", name), f"{name}.toml"))
