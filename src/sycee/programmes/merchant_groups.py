"""Merchant groups of a programme file: payees that packet money may reach, by sector, zone, size and kind of shop.

The ledger knows the members of a group and not these conditions. The person who checks an application of a shop applies
them; the sandbox selects the shops of a synthetic city by them.
"""

from __future__ import annotations

from dataclasses import dataclass

from sycee.core.documents import Table
from sycee.core.limits import COHORT_MEMBERS_MAX
from sycee.core.money import Currency
from sycee.programmes.file_values import finished, limit


@dataclass(frozen=True, slots=True)
class MerchantGroup:
    """Payees that packet money may reach: at most `count` of the shops that meet every condition.

    sectors, zones: names, () for all. turnover_min_minor (included), turnover_max_minor (excluded): of a year, 0 for no
    limit. online, chains: whether shops that sell online, and chains, may be members.
    """

    name: str
    count: int
    district: str
    sectors: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    turnover_min_minor: int = 0
    turnover_max_minor: int = 0
    online: bool = True
    chains: bool = True

    @property
    def has_conditions(self) -> bool:
        """Return whether the file limits the group by more than its count."""
        return self != MerchantGroup(self.name, self.count, self.district)


def read(table: Table, currency: Currency) -> MerchantGroup:
    """Return one group of a programme file. Raises DocumentError for an impossible one."""
    least, most = limit(table, "turnover_min", currency), limit(table, "turnover_max", currency)
    if most and most <= least:
        raise table.error("turnover_max", "is not above turnover_min", right="a larger amount, or no turnover_min")
    group = MerchantGroup(
        name=table.text("name"),
        count=table.integer("count", least=1, most=COHORT_MEMBERS_MAX),
        district=table.text("district"),
        sectors=table.texts("sectors", default=()),
        zones=table.texts("zones", default=()),
        turnover_min_minor=least,
        turnover_max_minor=most,
        online=table.boolean("online", True),
        chains=table.boolean("chains", True),
    )
    return finished(table, group)
