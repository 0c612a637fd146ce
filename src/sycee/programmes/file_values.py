"""Values of programme files that several readers share: positive amounts, and where figures were read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

from sycee.core import money
from sycee.core.documents import Table
from sycee.core.money import Currency

MARKS: Final = ("1", "2", "assumed", "derived")  # read in one source, in two or more, chosen by us, computed by us

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a figure was read (site and page), and its support: one of MARKS."""

    source: str
    mark: str


def finished(table: Table, value: _T) -> _T:
    """Return `value` after checking that the table has no unknown key, and a source with a mark or neither."""
    if "source" in table or "mark" in table:
        provenance(table)
    table.finish()
    return value


def provenance(table: Table) -> Provenance:
    """Return where the figure of a table was read. Raises DocumentError for an unknown mark."""
    return Provenance(table.text("source"), table.choice("mark", MARKS))


def positive(table: Table, key: str, currency: Currency) -> int:
    """Return an amount in minor units. Raises DocumentError for none and for one that is not above zero."""
    return _above_zero(table, key, currency)


def limit(table: Table, key: str, currency: Currency) -> int:
    """Return an optional amount above zero in minor units, 0 where the table lacks it. Errors as `positive`."""
    table.offer(key)
    return _above_zero(table, key, currency) if key in table else 0


def _above_zero(table: Table, key: str, currency: Currency) -> int:
    amount_minor = table.money(key, currency)
    if amount_minor <= 0:
        raise table.error(key, f"found {money.format(amount_minor, currency)}", right="an amount above zero")
    return amount_minor
