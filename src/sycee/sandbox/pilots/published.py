"""Published results of a pilot, in a separate file: only scores and fits read it.

docs/reference/pilot-files.md lists the keys. A result is a value or an interval, at a date or within a horizon.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from blake3 import blake3

from sycee import data
from sycee.core import documents
from sycee.core.documents import Table
from sycee.sandbox.pilots.description import HORIZON_DAYS_MAX, OUTCOMES, local_day_of

FOLDER: Final = "pilot-results"
VALUE_MAX: Final = 1e12


@dataclass(frozen=True, slots=True)
class Result:
    """One published result. `low` equals `high` for a value that is not an interval."""

    pilot: str
    outcome: str
    date: date | None
    sector: str | None
    horizon: int | None
    low: float
    high: float
    source: str
    mark: str

    @property
    def is_interval(self) -> bool:
        """Whether the source gives two bounds."""
        return self.low != self.high

    @property
    def middle(self) -> float:
        """The value, or the middle of the interval."""
        return (self.low + self.high) / 2


@dataclass(frozen=True, slots=True)
class Published:
    """The results of one pilot."""

    pilot: str
    results: tuple[Result, ...]
    digest: str  # of the file, BLAKE3-256


def load(source: Path | str) -> Published:
    """Return the results in a file, or the shipped ones of this name.

    Raises DocumentError for a missing, unknown or impossible key, with its line and the nearest correct key.
    """
    name, content = data.file(FOLDER, source, "file of results")
    return parse(content, name)


def parse(content: bytes, file: str) -> Published:
    """Return the results in a TOML text; `file` is the name for errors. Errors as `load`."""
    table = documents.parse(content, file)
    right = 'the file of its results, which begins with `pilot = "NAME"`'
    if isinstance(table.value("pilot", right), dict):
        raise table.error("pilot", "this file is the description of a pilot", right=right)
    pilot = table.text("pilot")
    results = tuple(_result(each, pilot) for each in table.tables("outcome"))
    table.finish()
    return Published(pilot, results, blake3(content).hexdigest())


def _result(table: Table, pilot: str) -> Result:
    outcome = table.choice("name", tuple(OUTCOMES))
    for key in ("date", "sector", "horizon_days", "value", "low", "high"):
        table.offer(key)
    when = local_day_of(table, "date", table.value("date", "a date")) if "date" in table else None
    sector = table.text("sector") if "sector" in table else None
    horizon = table.integer("horizon_days", least=1, most=HORIZON_DAYS_MAX) if "horizon_days" in table else None
    if "value" not in table and ("low" in table or "high" in table):
        low = table.number("low", least=-VALUE_MAX, most=VALUE_MAX)
        high = table.number("high", least=low, most=VALUE_MAX)
    else:
        for key in ("low", "high"):
            if key in table:
                raise table.error(key, "the result has a value", right="`value`, or `low` and `high`")
        low = high = table.number("value", least=-VALUE_MAX, most=VALUE_MAX)
    source = table.text("source")
    mark = str(table.value("mark", 'how it was read, such as "1" for one source'))
    table.finish()
    return Result(pilot, outcome, when, sector, horizon, low, high, source, mark)
