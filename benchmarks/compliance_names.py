"""Names of parties against the shipped lists: how many a second, and how many unrelated names raise an alarm."""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Final

import numpy as np

from benchmarks.measure import Benchmark, Goal, Setting, Timing
from sycee import data
from sycee.compliance import library, names
from sycee.compliance.names import NameIndex
from sycee.core.errors import require

SEED: Final = 20_200_805
NAMES: Final = 10_000
ALARMS_MAX: Final = 0.01  # the share of unrelated names that may be possible matches

# Made names, because no free list of companies is at hand: surnames, places and nouns with trades and legal forms.
WORDS: Final[dict[str, list[str]]] = tomllib.loads(
    (Path(__file__).parent / "company_words.toml").read_text(encoding="utf-8")
)


def made_names(count: int) -> list[str]:
    """Return different names of companies from a seed; the same for the same count."""
    random = np.random.default_rng(SEED)

    def one(*kinds: str) -> str:
        words = WORDS[kinds[int(random.integers(len(kinds)))]]
        return words[int(random.integers(len(words)))]

    def made() -> str:
        kind = int(random.integers(10))
        if kind == 0:  # in another script
            place = "".join(one("characters") for _ in range(int(random.integers(2, 5))))
            return f"{place}{one('character_trades')}{one('character_forms')}"
        further = one("nouns") if kind == 1 else f"& {one('surnames')}" if kind == 2 else ""
        return " ".join(filter(None, (one("surnames", "places", "nouns"), further, one("trades"), one("forms"))))

    found: dict[str, None] = {}
    while len(found) < count:
        found[made()] = None
    return list(found)


def lookups(setting: Setting) -> Iterator[tuple[Timing, Timing]]:
    """Look up names that no index has seen in the names of all shipped lists."""
    lists = library.load(data.names("profiles")).lists.values()
    rows = [row for each in lists for row in each.rows]
    listed = list(
        dict.fromkeys(name for row in rows for name in (*row.names, *(each.name for each in row.owners or ())))
    )
    given = made_names(setting.operations)
    for _ in range(setting.repeats):
        setting.say("looking up")
        names.words.cache_clear()
        names.readings.cache_clear()
        index = NameIndex(enumerate(listed))
        start = perf_counter()
        alarms = [name for name in given if index.find(name)]
        timing = Timing(len(given), perf_counter() - start)
        require(bool(index.find(listed[0].lower())), "a listed name was not found")
        share = len(alarms) / len(given)
        require(len(given) < NAMES or share <= ALARMS_MAX, f"{len(alarms)} unrelated names are possible matches")
        timing.note = f"{len(alarms):,} of {len(given):,} unrelated names ({100 * share:.2f} %) are possible matches"
        timing.note += f" with one of {len(listed)} listed names"
        yield timing, _normalised(given)


def _normalised(given: list[str]) -> Timing:
    """Look up the names after a plain normalisation of width and case."""
    known: set[str] = set()
    start = perf_counter()
    found = sum(unicodedata.normalize("NFKC", name).casefold() in known for name in given)
    timing = Timing(len(given), perf_counter() - start)
    require(not found, "an empty set has a name")
    return timing


BENCHMARKS: Final = (
    Benchmark(
        "compliance-names",
        "names of 10,000 unrelated companies against all shipped lists",
        None,
        NAMES,
        "one look-up in a set, after a normalisation of width and case",
        lookups,
        goal=Goal(10_000),
        quick=NAMES,
    ),
)
