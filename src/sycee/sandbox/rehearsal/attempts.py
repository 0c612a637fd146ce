"""Attempts that the ledger refuses: what people try by mistake beside the decisions of `sandbox.behaviour.decide`.

Decisions keep every rule, so a run of the sandbox has no refusals. A drop with people has some. Each attempt is drawn
for a person, a day and a reason of its own, so attempts change no decision. All shares are assumed: no pilot published
its refusals.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np

from sycee.core.arrays import Array
from sycee.sandbox.behaviour import layout as c
from sycee.sandbox.ledger_run import hours
from sycee.sandbox.ledger_run.decisions import Decisions
from sycee.sandbox.ledger_run.recipients import SPARE_STREAM

TOO_LARGE: Final = "payment too large"
ELSEWHERE: Final = "payment in another shop"
TWICE: Final = "second claim"
LATE_CLAIM: Final = "claim too late"
LATE_PAYMENT: Final = "payment too late"
REASONS: Final = (TOO_LARGE, ELSEWHERE, TWICE, LATE_CLAIM, LATE_PAYMENT)
CLAIMS: Final = frozenset({TWICE, LATE_CLAIM})

# Parts per million, all assumed.
SHARES: Final = MappingProxyType(
    {
        TOO_LARGE: 250_000,  # of payments with own money beside the packet: tried before the wallet is topped up
        ELSEWHERE: 20_000,  # of the days on which a person with a packet buys in another shop
        TWICE: 5_000,  # of claims
        LATE_CLAIM: 150_000,  # of packets that nobody claimed
        LATE_PAYMENT: 100_000,  # of claimed packets with a rest at the end
    }
)


class Attempt(NamedTuple):
    """One attempt. shop: number of the account of a shop, -1 for a claim. amount: in minor units, 0 for a claim."""

    moment: int
    reason: str
    person: int
    shop: int
    amount: int


@dataclass(frozen=True, slots=True)
class Chooser:
    """Chooses who tries something, from the seed of a rehearsal."""

    seed: int

    def happens(self, reason: str, day: int, person: Array) -> Array:
        """Return which persons try this on a day: (n,) bool."""
        bits = self._bits(reason, day, person) >> np.uint64(32)
        found: Array = bits * np.uint64(c.PPM) >> np.uint64(32) < np.uint64(SHARES[reason])
        return found

    def moments(self, reason: str, day: int, person: Array, choices: tuple[int, ...]) -> Array:
        """Return a moment of each person among choices: (n,) int64."""
        half = self._bits(reason, day, person) & np.uint64(0xFFFFFFFF)
        found: Array = np.array(choices, np.int64)[(half * np.uint64(len(choices)) >> np.uint64(32)).astype(np.int64)]
        return found

    def _bits(self, reason: str, day: int, person: Array) -> Array:
        return hours.bits(self.seed, person, day, SPARE_STREAM - 1 - REASONS.index(reason))

    def first_tries(self, day: int, made: Decisions, paid: Array, shop: Array) -> Iterator[Attempt]:
        """Yield payments that are tried before the wallet is topped up. paid, shop: (k,) moments and accounts."""
        rows = np.flatnonzero(made.of(c.D_TOP_UP) > 0)
        rows = rows[self.happens(TOO_LARGE, day, made.person[rows])]
        amounts = made.payment(rows)
        for row, amount in zip(rows.tolist(), amounts.tolist(), strict=True):
            yield Attempt(int(paid[row]), TOO_LARGE, int(made.person[row]), int(shop[row]), amount)

    def second_claims(self, day: int, person: Array, claimed: Array) -> Iterator[Attempt]:
        """Yield claims that are sent twice. claimed: (n,) moments of the claims of persons."""
        for at in np.flatnonzero(self.happens(TWICE, day, person)).tolist():
            yield Attempt(int(claimed[at]), TWICE, int(person[at]), -1, 0)

    def others(
        self, reason: str, day: int, person: Array, shop: Array, amount: Array, choices: tuple[int, ...]
    ) -> Iterator[Attempt]:
        """Yield what some of these persons try at one of the moments. shop, amount: as of `Attempt`, (n,) each."""
        if not choices:
            return
        moments = self.moments(reason, day, person, choices)
        for at in np.flatnonzero(self.happens(reason, day, person)).tolist():
            yield Attempt(int(moments[at]), reason, int(person[at]), int(shop[at]), int(amount[at]))
