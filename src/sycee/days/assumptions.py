"""Assumptions of a synthetic day, read from data/clearing-days."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sycee import data
from sycee.core.documents import Table
from sycee.core.money import Currency

FOLDER: Final = "clearing-days"
MILLION: Final = 1_000_000
THOUSAND: Final = 1_000
HOURS_MAX: Final = 24
PARTICIPANTS_MAX: Final = 1_000  # a table of all pairs has a million rows
PAYMENTS_MAX: Final = 2_000_000  # above the busiest day of any published system of this kind


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Assumed values of a day. Amounts are minor units, weights are relative integers.

    Attributes
    ----------
    name : str
        The name of the document.
    currency : Currency
        Of all amounts.
    opens : str
        Local time of the opening, as HH:MM.
    arrivals : tuple[int, ...]
        Weight of each hour of the session.
    count, payments : int
        Numbers of participants and of payments.
    head : int
        The participant of rank r, from 0, has the weight 1 / (r + head): a larger head makes sizes more equal.
    core : int
        Participants that pay every other one.
    outside_core : int
        Of 1,000 draws of a pair outside the core, those that stay.
    urgent, balancing : int
        Of 1,000 payments, those that are urgent; those whose direction reduces the net positions of both banks.
    largest : int
        The largest payment, in thousandths of the mean daily payments of the smaller of its two banks.
    quantiles : tuple[tuple[int, int], ...]
        (millionths, amount), ascending, from 0 to a million.

    """

    name: str
    currency: Currency
    opens: str
    arrivals: tuple[int, ...]
    count: int
    payments: int
    head: int
    core: int
    outside_core: int
    urgent: int
    largest: int
    balancing: int
    quantiles: tuple[tuple[int, int], ...]

    @property
    def seconds(self) -> int:
        """Return the length of the session."""
        return 3_600 * len(self.arrivals)


def load(source: Path | str = "chips-like") -> Assumptions:
    """Load a shipped document by name, or a file. Raises DocumentError for a wrong key or value."""
    table = data.document(FOLDER, source, "synthetic day")
    currency = table.currency("currency")
    session, participants, amounts = table.table("session"), table.table("participants"), table.table("amounts")
    hours = session.integer("hours", least=1, most=HOURS_MAX)
    arrivals = session.integers("arrivals", least=0)
    if len(arrivals) != hours or not sum(arrivals):
        raise session.error("arrivals", f"has {len(arrivals)} weights", right=f"{hours} weights, one above 0")
    published = table.table("published")  # checked only: the figures that the assumptions are compared with
    for key in ("payments_a_day", "participants", "value_by_funding", "value_by_funding_gross"):
        published.integer(key, least=1)
    published.money("mean_payment", currency)
    count = participants.integer("count", least=2, most=PARTICIPANTS_MAX)
    found = Assumptions(
        name=table.text("name"),
        currency=currency,
        opens=session.text("opens"),
        arrivals=tuple(arrivals),
        count=count,
        payments=participants.integer("payments", least=1, most=PAYMENTS_MAX),
        head=participants.integer("head", least=1),
        core=participants.integer("core", least=1, most=count),
        outside_core=participants.integer("outside_core", least=0, most=THOUSAND),
        urgent=participants.integer("urgent", least=0, most=THOUSAND),
        largest=amounts.integer("largest", least=1, most=THOUSAND),
        balancing=amounts.integer("balancing", least=0, most=THOUSAND),
        quantiles=_quantiles(amounts, currency),
    )
    for part in (published, session, participants, amounts, table):
        part.finish()  # refuses unknown keys
    return found


def _quantiles(table: Table, currency: Currency) -> tuple[tuple[int, int], ...]:
    """Return the quantiles: both columns ascend, from 0 to a million."""
    rows = []
    for row in table.tables("quantiles"):
        rows.append((row.integer("below", least=0, most=MILLION), row.money("amount", currency)))
        row.finish()
    parts, amounts = [row[0] for row in rows], [row[1] for row in rows]
    if len(rows) < 2 or parts[0] != 0 or parts[-1] != MILLION or sorted(set(parts)) != parts or amounts[0] < 1:
        raise table.error("quantiles", "do not ascend from 0 to a million", right="below = 0 first, 1_000_000 last")
    if sorted(amounts) != amounts:
        raise table.error("quantiles", "an amount is below the one before it", right="ascending amounts")
    return tuple(rows)
