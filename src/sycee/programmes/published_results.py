"""Published results of a real round, which a programme file may have for replays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sycee.core import money
from sycee.core.documents import Table
from sycee.core.limits import I64_MAX
from sycee.core.money import Currency
from sycee.programmes.file_values import Provenance, provenance

COUNT_ROLES: Final = ("registered", "winners", "claimed", "payments", "merchants")
MONEY_ROLES: Final = ("budget", "spent_from_packets", "spent_own", "returned")


@dataclass(frozen=True, slots=True)
class Figure:
    """A published result: a count, or an amount in minor units."""

    value: int
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class Published:
    """Results of a real round by role; None for a result that was not published."""

    registered: Figure | None = None
    winners: Figure | None = None
    claimed: Figure | None = None
    payments: Figure | None = None
    merchants: Figure | None = None
    budget: Figure | None = None
    spent_from_packets: Figure | None = None
    spent_own: Figure | None = None
    returned: Figure | None = None


def read(table: Table, budget_minor: int, winners: int, merchants: int, currency: Currency) -> Published:
    """Return the results of a file. Raises DocumentError for figures that contradict each other or the programme.

    `merchants`: the sum of all groups.
    """
    figures: dict[str, Figure] = {}
    tables: dict[str, Table] = {}
    for role in (*COUNT_ROLES, *MONEY_ROLES):
        if role not in table:
            table.offer(role)
            continue
        tables[role] = each = table.table(role)
        is_money = role in MONEY_ROLES
        value = each.money("value", currency) if is_money else each.integer("value", least=0, most=I64_MAX)
        figures[role] = Figure(value, provenance(each))  # here, and only here, a source is required
        each.finish()
    table.finish()

    def check(role: str, expected: int, of: str) -> None:
        if role in figures and figures[role].value != expected:
            is_money = role in MONEY_ROLES
            value = figures[role].value
            shown = money.format(value, currency) if is_money else str(value)
            right = money.format(expected, currency) if is_money else str(expected)
            written = f'"{right}"' if is_money else right
            raise tables[role].error("value", f"{shown} is not {of} = {right}", right=f"value = {written}")

    check("budget", budget_minor, "the sum of the packets")
    check("winners", winners, "the number of packets")
    check("merchants", merchants, "the sum of the merchant groups")
    if "spent_from_packets" in figures:
        check("returned", budget_minor - figures["spent_from_packets"].value, "budget less spent_from_packets")
    for smaller, larger in (("winners", "registered"), ("claimed", "winners"), ("spent_from_packets", "budget")):
        if smaller in figures and larger in figures and figures[smaller].value > figures[larger].value:
            raise tables[smaller].error(
                "value",
                f"{smaller} is {figures[smaller].value}, but {larger} is only {figures[larger].value} "
                f"(line {tables[larger].line('value')})",
                right=f"at most the number of {larger}",
            )
    return Published(**figures)
