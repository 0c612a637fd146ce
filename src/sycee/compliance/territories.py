"""Which codes of states and territories there are: those of ISO 3166-1 alpha-2, and those that it leaves to its users.

They are data. A code that means nothing would make a rule about a state pass over whoever slipped, so that no other is
taken, in declarations as in the sets of profiles.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from itertools import groupby
from typing import Any

from sycee.core import typos


@cache
def codes() -> frozenset[str]:
    """All of them, two upper-case letters each."""
    return frozenset((*_document()["codes"], *_document()["user_assigned"]))


@cache
def pattern() -> str:
    """A regular expression that the codes, and nothing else, are as a whole."""
    by_first = groupby(sorted(codes()), key=lambda code: code[0])
    return "|".join(f"{first}[{''.join(code[1] for code in some)}]" for first, some in by_first)


def nearest(code: str) -> str | None:
    """The code that was most likely meant: by its case, by the three letters of the same state, or by likeness."""
    of_three: dict[str, str] = {three: two for two, three in _document()["codes"].items()}
    upper = code.upper()
    if upper in codes():
        return upper
    return of_three.get(upper) or typos.nearest(upper, codes())


@cache
def _document() -> dict[str, Any]:
    text = resources.files("sycee.data").joinpath("states.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
