"""Codes of states and territories: ISO 3166-1 alpha-2, with the codes that the standard leaves to its users.

The codes are data. No other code is accepted, in declarations or in sets of profiles, because a rule about a state
would silently skip an entity with a mistyped code.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any

from sycee.core import typos


@cache
def codes() -> frozenset[str]:
    """Return all codes, two upper-case letters each."""
    return frozenset((*_document()["codes"], *_document()["user_assigned"]))


@cache
def unknown() -> frozenset[str]:
    """Return the codes that are used for an unknown state."""
    return frozenset(_document()["unknown"])


def nearest(code: str) -> str | None:
    """Return the code that was probably meant: in upper case, for a code of three letters, or the most similar."""
    by_three_letters: dict[str, str] = {three: two for two, three in _document()["codes"].items()}
    upper = code.upper()
    if upper in codes():
        return upper
    return by_three_letters.get(upper) or typos.nearest(upper, codes())


@cache
def _document() -> dict[str, Any]:
    text = resources.files("sycee.data").joinpath("states.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
