"""Payments that arrive: booked at once if their senders' money covers them, else offset by payments of the same pair.

A set of one pair is decided and booked like any other set, with a certificate, from the queue of its two participants,
which an index finds. Rounds need none: their set considers all payments.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import numpy as np

from sycee.clearing.gross import Gross
from sycee.clearing.house import Register
from sycee.clearing.instructions import PRIORITY_MAX
from sycee.clearing.payments import Payments
from sycee.clearing.sets import SETTLE, Choice, Sets, Weighed
from sycee.clearing.tables import QUEUED
from sycee.core.errors import BusyError
from sycee.core.extras import extra
from sycee.identity.people import People
from sycee.sequencer.signer import Signer

_PARTICIPANT_BITS: Final = 32


@dataclass(frozen=True, slots=True)
class Offset:
    """Payments of pairs: booked one by one, and in sets; the number of these sets, and of those that were refused."""

    single: int = 0
    together: int = 0
    sets: int = 0
    refused: int = 0


class Arrivals:
    """Settles payments between the rounds of one house."""

    def __init__(self, people: People, register: Register, payments: Payments, gross: Gross, sets: Sets) -> None:
        self._people, self._register, self._payments, self._gross, self._sets = people, register, payments, gross, sets

    def settle(self, numbers: Sequence[int], *, signers: Sequence[Signer], who: int) -> Offset:
        """Settle payments that arrived, by their numbers, as far as they are queued. The house signs.

        For each pair of participants: what their own money covers is booked one by one, then the best set of their
        payments in both directions (`netting.bilateral`). The cost depends on the queues of the two participants. If
        another caller decides about the pair meanwhile, its payments stay as they are.
        """
        self._people.require(who, SETTLE, operator=self._register.house().operator)
        if numbers:
            self._sets.finish(signers=signers, who=who)  # what a crash interrupted: these payments may be in it
        single, pairs = 0, self._pairs_of(numbers)
        for pair in pairs:
            with suppress(BusyError):
                single += self._gross.release(signers=signers, who=who, between=pair).payments
        return self._offset(pairs, PRIORITY_MAX, signers, who, single)

    def offset(self, *, signers: Sequence[Signer], who: int, priority_max: int = PRIORITY_MAX) -> Offset:
        """Book a set for each pair of participants whose queued payments settle together. The house signs.

        Payments have at most this priority. What was covered was booked before: `gross.release`. The queue is read
        once, and again for each pair with a set.
        """
        self._people.require(who, SETTLE, operator=self._register.house().operator)
        with extra("clearing"):
            from sycee.netting import bilateral

        weighed = self._sets.weighed(Choice(priority_max))
        if weighed is None:
            return Offset()
        pairs = [pair for pair, rows in _opposite(weighed) if bilateral.offset(weighed.queue.part(rows)).any()]
        return self._offset(pairs, priority_max, signers, who, 0)

    def _offset(
        self, pairs: Sequence[tuple[int, int]], priority_max: int, signers: Sequence[Signer], who: int, single: int
    ) -> Offset:
        """Decide and book a set of each pair. `single`: payments that were booked one by one."""
        with extra("clearing"):
            from sycee.clearing import decisions

        together = count = refused = 0
        for pair in pairs:
            with suppress(BusyError):
                choice = Choice(priority_max, between=pair)
                settled = self._sets.settle_by(decisions.offset, signers=signers, who=who, choice=choice)
                count += settled.payments > 0
                together, refused = together + settled.payments, refused + bool(settled.reason)
        return Offset(single, together, count, refused)

    def _pairs_of(self, numbers: Sequence[int]) -> list[tuple[int, int]]:
        """Return the pairs of participants of those payments that are queued, each once, in order of arrival."""
        found = sorted(self._payments.of_numbers(numbers).items())
        sides = [sorted((each.sender, each.receiver)) for _, each in found if each.state == QUEUED]
        return list(dict.fromkeys((low, high) for low, high in sides))


def _opposite(weighed: Weighed) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    """Yield each pair of participants that pay each other, with the rows of their payments, ascending."""
    senders, receivers = weighed.payments.senders, weighed.payments.receivers
    keys = np.minimum(senders, receivers) << _PARTICIPANT_BITS | np.maximum(senders, receivers)
    order = np.argsort(keys, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(keys[order])) + 1):
        is_out = senders[rows] < receivers[rows]
        if (is_out.any() and not is_out.all()) or weighed.payments.back_amounts[rows].any():
            yield (int(keys[rows[0]]) >> _PARTICIPANT_BITS, int(keys[rows[0]]) & (1 << _PARTICIPANT_BITS) - 1), rows
