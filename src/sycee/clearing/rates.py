"""Rates between currencies for weighing payments: each currency in units of the bank's own, by valid quotes."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import numpy as np

from sycee.clearing.corridors import quotes_in_force
from sycee.clearing.tables import QUOTES
from sycee.clearing.waiting import Waiting
from sycee.core import money
from sycee.core.arrays import Array
from sycee.core.clock import read_ns
from sycee.database.stores import Stores
from sycee.database.transactions import reading
from sycee.issuance.registry import Registry

WEIGHT_MAX: Final = 1 << 60  # of all payments together: `netting` sums up to 2**62
ALONE: Final = "minor units of the first leg"


class Rates:
    """The rates of one house."""

    def __init__(self, stores: Stores, registry: Registry) -> None:
        self._stores, self._registry = stores, registry

    def current(self) -> dict[int, Fraction]:
        """Return minor units of the bank's currency for one minor unit of each currency with a rate.

        A rate is that of the newest quote between two currencies, in either direction, among those that count now: not
        ended, replaced or withdrawn, and with a corridor. A currency without a quote to the bank's own gets one by way
        of others, or else no rate. The bank's currency has the rate 1.
        """
        query = quotes_in_force(read_ns(self._stores.clock)).order_by(QUOTES.c.number.desc())
        with reading(self._stores.engine) as connection:
            rows = connection.execute(query).all()
        known = {self._registry.issuer.currency: Fraction(1)}
        while found := next((each for each in rows if (each.takes in known) != (each.gives in known)), None):
            digits = money.currency_of(found.gives).digits - money.currency_of(found.takes).digits
            rate = Fraction(found.numerator, found.denominator) * Fraction(10) ** digits  # minor units
            if found.takes in known:
                known[found.gives] = known[found.takes] / rate
            else:
                known[found.takes] = known[found.gives] * rate
        return known


def weights(found: Waiting, rates: dict[int, Fraction]) -> tuple[Array, str]:
    """Return the weight of each payment, (n,) at least 1, and what the weights are, in words for the certificate.

    A weight is the amount of the first leg in minor units of the bank's currency, rounded down. A currency without a
    rate, or any if the sum is too large, counts with its own minor units.
    """
    foreign = [each for each in np.unique(found.currencies).tolist() if rates.get(each, 1) != 1]
    if not foreign:
        return found.amounts, ALONE
    made = found.amounts.astype(object)
    for currency in foreign:
        rows = found.currencies == currency
        made[rows] = made[rows] * rates[currency].numerator // rates[currency].denominator
    made = np.maximum(made, 1)
    if made.sum() > WEIGHT_MAX:
        return found.amounts, ALONE
    named = ", ".join(f"{money.currency_code(each)} {rates[each]}" for each in foreign)
    return made.astype(np.int64), f"{ALONE}, times the rate of its currency: {named}"
