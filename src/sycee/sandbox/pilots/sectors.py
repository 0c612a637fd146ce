"""Names of sectors in files of pilots: the synthetic town has few sectors, and pilots name theirs in many ways.

`data/sector-names` maps a name to one or more sectors of the town.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cache
from typing import Final

from sycee import data

FOLDER: Final = "sector-names"
STANDARD: Final = "standard"
_POWERS: Final = {"": 1.0, "k": 1e3, "thousand": 1e3, "m": 1e6, "million": 1e6, "bn": 1e9, "billion": 1e9}
_TURNOVER: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(k|thousand|million|m|billion|bn)?\b")


def named(name: str, has: Collection[str]) -> tuple[str, ...]:
    """Return the town's sectors for a name: the sector of that name, else those listed for it; () for none."""
    if name in has:
        return (name,)
    found = _listed().get(_plain(name), ())
    return tuple(each for each in found if each in has)


def turnover(text: str) -> float | None:
    """Return the yearly turnover in a text such as "500,000.00" or "below 3 billion"; None without a number."""
    found = _TURNOVER.search(text.lower().replace(",", "").replace("_", ""))
    return float(found[1]) * _POWERS[found[2] or ""] if found else None


@cache
def _listed() -> Mapping[str, tuple[str, ...]]:
    table = data.document(FOLDER, STANDARD, "list of names of sectors")
    table.text("source")
    table.text("mark")
    found: dict[str, tuple[str, ...]] = {}
    for each in table.tables("names"):
        kinds = each.texts("sectors")
        found |= {_plain(name): kinds for name in each.texts("names")}
        each.finish()
    table.finish()
    return found


def _plain(name: str) -> str:
    """Return a name in small letters, with one space between words."""
    return " ".join(name.lower().replace("&", " and ").replace("-", " ").replace("_", " ").replace(",", " ").split())
