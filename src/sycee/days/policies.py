"""Policies of settlement: what happens when a payment arrives, and in the rounds between."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from sycee.core import typos
from sycee.core.errors import UsageError
from sycee.days import kernels


class Rule(IntEnum):
    """Which queued payments a position releases between rounds. `kernels` has the same numbers."""

    ORDERED = kernels.ORDERED
    FREE = kernels.FREE
    GATED = kernels.GATED


class Round(Enum):
    """What a round settles together."""

    NONE = "none"
    IN_ORDER = "the largest set in order of arrival (Bech and Soramäki)"
    VALUE = "the set of the most value"


class Gates(Enum):
    """Between which banks payments pass between rounds."""

    OPEN = "all"
    PAIR = "pairs whose payments the linear programme settles in full"
    SENDER = "senders whose liquidity has no price"


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy.

    Attributes
    ----------
    name, title, text : str
        For commands, for tables, and what it does.
    rule : Rule
        What positions release between rounds.
    plenty : Rule, or None
        The same while liquidity is not scarce: what waits is at most three times the sum of all positions. None: as
        `rule`.
    offsets : bool
        Settle an arriving payment together with queued ones of its receiver to its sender, while liquidity is not
        scarce.
    rounds : Round
    every : int
        Seconds between rounds.
    early : tuple of (int, int)
        More frequent rounds before: until how many hundredths of the day, and the seconds between them, in order.
    chains : int
        Effort of a round: ejection chains of each search.
    closing : int
        How many times the effort of a round the last one has.
    holds : int
        In how many seconds before the close banks release urgent payments alone, from the first round in them on: the
        last round decides about all others.
    gates : Gates
        Between which banks payments pass between rounds, under the rule GATED.
    circulation : int
        How many hundredths the price of its receiver adds to a payment's weight, and that of its sender takes away.
    memory : int
        How many hundredths of the prices for `circulation` are those of the rounds before.
    large : int
        Payments above this many thousandths of all payments count as large; 1,000: none does.
    aging : int
        A large payment that has waited for a tenth of the day counts this many hundredths more in a round, while
        liquidity is scarce.

    """

    name: str
    title: str
    text: str
    rule: Rule = Rule.FREE
    plenty: Rule | None = None
    offsets: bool = False
    rounds: Round = Round.NONE
    every: int = 1_800
    early: tuple[tuple[int, int], ...] = ()
    chains: int = 800
    closing: int = 1
    holds: int = 0
    gates: Gates = Gates.OPEN
    circulation: int = 0
    memory: int = 0
    large: int = 1_000
    aging: int = 0

    def round_times(self, seconds: int) -> list[int]:
        """Return when the rounds of a day of this length are, in seconds; the last one is at its end."""
        times: list[int] = []
        time = 0
        for until, every in (*((seconds * share // 100, every) for share, every in self.early), (seconds, self.every)):
            first = time + every
            times += range(first, min(until + 1, seconds), every)
            time = times[-1] if times else 0
        return [*times, seconds]


POLICIES: Final = (
    Policy(
        "gross",
        "Gross",
        "Each payment settles alone as soon as its sender's position covers it, urgent ones first, then the oldest. "
        "A payment that fits passes one that does not.",
    ),
    Policy(
        "fifo",
        "First in, first out",
        "The same, but no payment passes an earlier one of its sender and priority.",
        Rule.ORDERED,
    ),
    Policy(
        "bech-soramaki",
        "FIFO + Bech–Soramäki",
        "First in, first out; every five minutes the largest set that keeps each sender's order settles together "
        "(Bech and Soramäki, 2001).",
        Rule.ORDERED,
        rounds=Round.IN_ORDER,
        every=300,
    ),
    Policy(
        "value",
        "FIFO + set of the most value",
        "First in, first out; every half hour the set of the most value that the optimiser finds settles together, "
        "in any order. The optimiser is that of the next policy, whose last round searches 20 times as long.",
        Rule.ORDERED,
        rounds=Round.VALUE,
    ),
    Policy(
        "sycee",
        "Sycee",
        "Between rounds, first in, first out, and opposite payments of two banks together. While liquidity is scarce, "
        "banks with liquidity to spare pay what their position covers, the others keep theirs, and a large payment "
        "gains weight with the time that it has waited. In the last half hour only urgent payments pass. Rounds are "
        "every ten minutes at first, every 15 from two fifths of the day on, and every 30 in its last fifth. "
        "In a round, a payment weighs more if its receiver lacks liquidity and less if its sender does, at the "
        "prices of the linear programme.",
        Rule.GATED,
        plenty=Rule.ORDERED,
        offsets=True,
        rounds=Round.VALUE,
        early=((40, 600), (80, 900)),
        closing=20,
        holds=1_800,
        gates=Gates.SENDER,
        circulation=60,
        memory=70,
        large=900,
        aging=50,
    ),
)


def named(name: str) -> Policy:
    """Return the policy of a name. Raises UsageError for an unknown one."""
    for policy in POLICIES:
        if policy.name == name:
            return policy
    names = tuple(policy.name for policy in POLICIES)
    raise UsageError(f'there is no policy "{name}"', hint=typos.hint(name, names, f"policies: {', '.join(names)}"))
