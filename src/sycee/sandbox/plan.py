"""Plan of a replay: the registrations, and every operation with its id and time, before the first one is submitted.

The plan is a function of programme, assumptions, seed and scale. A replay that was killed computes the same plan and
submits it again; the ledger returns EXISTS for operations that it has.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind
from sycee.issuance.central_bank import CentralBank
from sycee.programmes.definition import LOTTERY, Programme
from sycee.programmes.duplicates import Registrations
from sycee.sandbox.assumptions import Assumptions
from sycee.sandbox.seeded_choices import Stream, split_evenly

HOUR_NS: Final = 3_600 * 10**9
MINUTE_NS: Final = 60 * 10**9
PUBLISHED_NEEDED: Final = ("registered", "claimed", "payments", "spent_from_packets", "spent_own")
# Synthetic keys, in ranges that no real document or phone number has.
DOCUMENT_FIRST: Final = 900_000_000_000_000_000
PHONE_FIRST: Final = 19_900_000_000


@dataclass(frozen=True, slots=True)
class Targets:
    """Totals that the replay reproduces, scaled. Money in minor units."""

    registered: int
    winners: int
    claimed: int
    emptied: int
    untouched: int
    payments: int
    spent_from_packets: int
    spent_own: int
    own_people: int
    merchants: int
    packet: int  # face value

    @property
    def part_used(self) -> int:
        """Number of packets that were neither emptied nor untouched."""
        return self.claimed - self.emptied - self.untouched

    @classmethod
    def of(cls, programme: Programme, assumptions: Assumptions, scale: float) -> Targets:
        """Return published figures times `scale` (1 is the published size). UsageError if they cannot be replayed."""
        published = programme.published
        for name in PUBLISHED_NEEDED:
            if getattr(published, name) is None:
                raise UsageError(
                    f"{programme.name} publishes no figure for {name!r}, so there is nothing to replay",
                    hint="only rounds with published results can be replayed",
                )
        if len(programme.packets) != 1:
            raise UsageError(f"{programme.name} has {len(programme.packets)} packet classes; a replay supports one")
        if programme.mode != LOTTERY:
            raise UsageError(f"{programme.name} is of the mode {programme.mode}; a replay supports {LOTTERY}")
        if len(programme.draw.strata) != 1:
            raise UsageError(f"{programme.name} has {len(programme.draw.strata)} strata; a replay supports one")

        def scaled(value: int) -> int:
            return round(value * scale)

        def figure(name: str) -> int:
            return int(getattr(published, name).value)

        packet = programme.packets[0].amount_minor
        emptied, untouched = scaled(assumptions.emptied), scaled(assumptions.untouched)
        claimed = scaled(figure("claimed"))
        part_spent = figure("spent_from_packets") - assumptions.emptied * packet
        targets = cls(
            registered=scaled(figure("registered")),
            winners=scaled(programme.packets[0].count),
            claimed=claimed,
            emptied=emptied,
            untouched=untouched,
            payments=max(scaled(figure("payments")), claimed - untouched),
            spent_from_packets=emptied * packet + scaled(part_spent),
            spent_own=scaled(figure("spent_own")),
            own_people=scaled(assumptions.own_people),
            merchants=max(1, scaled(sum(group.count for group in programme.merchants))),
            packet=packet,
        )
        if min(targets.winners, targets.emptied, targets.part_used, targets.own_people) < 1:
            raise UsageError(f"scale {scale} is too small for a replay", hint="use at least 0.001")
        return targets


@dataclass(frozen=True, slots=True)
class Plan:
    """Records to submit, in order of time. `times_ns[i]` is the time of records[i]."""

    times_ns: Array  # (n,) int64, ascending
    records: Array  # (n,) OPERATION
    operators: Array  # (n,) int64, index of the operator whose account acts and who signs
    frame_ns: int

    def frames(self) -> Iterator[tuple[int, Array, Array]]:
        """Yield (time, records, operators) of each frame.

        A frame has the records of one span of `frame_ns`, and the time of its last record. A span begins at a multiple
        of `frame_ns`, so no frame contains the full hour at which a window opens or closes.
        """
        steps = self.times_ns // self.frame_ns
        starts = np.flatnonzero(np.diff(steps, prepend=-1))
        ends = np.append(starts[1:], steps.size)
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            yield int(self.times_ns[end - 1]), self.records[start:end], self.operators[start:end]


@dataclass(frozen=True, slots=True)
class Merchants:
    """Account ids of the shops, and the index of each shop's operator."""

    accounts: Array  # (m,) ID
    operators: Array  # (m,) int64

    def opening(self, seed: bytes, bank: CentralBank, group: int, time_ms: int) -> Array:
        """Return records that open the account of every shop at its operator and add it to the payee group."""
        opened = ids.derive(seed, "merchants opened", self.accounts.size, time_ms=time_ms)
        joined = ids.derive(seed, "merchants joined", self.accounts.size, time_ms=time_ms)
        return np.concatenate(
            [
                operations.open_account(
                    opened,
                    account=self.accounts,
                    currency=bank.currency,
                    kind=AccountKind.MERCHANT,
                    suspense=_suspense_of(bank, self.operators),
                    operator=self.operators + 1,
                ),
                operations.join_group(joined, group=group, account=self.accounts),
            ]
        )


@dataclass(frozen=True, slots=True)
class Planner:
    """Computes the plan. `seed` is the material of ids, `stream` the source of random choices."""

    programme: Programme
    assumptions: Assumptions
    targets: Targets
    stream: Stream
    seed: bytes
    scale: float

    def registrations(self) -> Registrations:
        """Return synthetic registrations of `targets.registered` people, some of whom register twice."""
        people = self.targets.registered
        again = [round(n * self.scale) for n in (self.assumptions.repeated_document, self.assumptions.repeated_phone)]
        # Two ranges of people, so that no second registration connects two persons.
        second = self.stream.order("who tries twice", people)[: sum(again)]
        # A key is a permuted number and so independent of the order of registration.
        documents = (DOCUMENT_FIRST + self.stream.order("documents", people)).astype(np.uint64)
        phones = (PHONE_FIRST + self.stream.order("phones", people)).astype(np.uint64)
        fresh = np.arange(people, people + sum(again)).astype(np.uint64)
        second_documents = fresh + np.uint64(DOCUMENT_FIRST)
        second_phones = fresh + np.uint64(PHONE_FIRST)
        second_documents[: again[0]] = documents[second[: again[0]]]
        second_phones[again[0] :] = phones[second[again[0] :]]
        window = self.programme.registration
        span_ms = (window.until_ns - window.from_ns) // 10**6
        first_ms = self.stream.below("registered at", people, span_ms // 2)
        second_ms = span_ms // 2 + self.stream.below("registered again at", second.size, span_ms - span_ms // 2)
        banks = self.stream.choose("banks", people + second.size, np.array(self.assumptions.wallet_shares))
        return Registrations(
            documents=np.concatenate([documents, second_documents]),
            phones=np.concatenate([phones, second_phones]),
            banks=banks.astype(np.uint8),
            registered_at_ns=window.from_ns + np.concatenate([first_ms, second_ms]) * 10**6,
        )

    def merchants(self, time_ms: int) -> Merchants:
        """Return ids and operators of the shops."""
        count, shares = self.targets.merchants, np.array(self.assumptions.merchant_shares)
        accounts = ids.derive(self.seed, "merchants", count, time_ms=time_ms)
        return Merchants(accounts, self.stream.choose("merchants' operators", count, shares))

    def spending(self, bank: CentralBank, number: int, winners: Array, banks: Array, merchants: Merchants) -> Plan:
        """Return the plan of the spending window: wallets opened, packets claimed, top-ups and payments.

        winners: (k,) ID in cohort order; banks: (k,) index of the operator that each chose.
        """
        spenders = self.targets.emptied + self.targets.part_used
        # People in random order: first those who empty their packet, then those who use a part, then the others.
        member = self.stream.order("who claims", winners.size)[: self.targets.claimed]
        operator = banks[member].astype(np.int64)
        spent, counts, own = self._amounts()
        claimed_at, paid_at = self._moments(counts)

        group = np.repeat(np.arange(spenders), counts)
        last = np.cumsum(counts) - 1
        is_last = np.zeros(group.size, bool)
        is_last[last] = True
        purse_part = split_evenly(
            spent, counts, 1 + self.stream.below("sizes of payments", group.size, 1_000), self.assumptions.payment_min
        )
        amount = purse_part + np.where(is_last, own[group], 0)
        before_last = np.where(counts > 1, paid_at[last - 1], claimed_at[:spenders])
        top_up = np.flatnonzero(own)
        topped_at = paid_at[last] - np.minimum((paid_at[last] - before_last) // 2, 30 * MINUTE_NS)

        shop = self._shops(group.size, merchants.accounts.size)
        wallets = _timed_ids(self.seed, "wallets", claimed_at)
        opening = operations.open_account(
            _timed_ids(self.seed, "wallets opened", claimed_at),
            account=wallets,
            currency=bank.currency,
            kind=AccountKind.WALLET,
            suspense=_suspense_of(bank, operator),
            operator=operator + 1,
        )
        claims = operations.claim(
            _timed_ids(self.seed, "packets claimed", claimed_at),
            programme=number,
            member=member,
            member_id=winners[member],
            wallet=wallets,
        )
        vaults = ids.from_ints([party.money for party in bank.operators])
        top_ups = operations.transfer(
            _timed_ids(self.seed, "top-ups", topped_at[top_up]),
            debit=vaults[operator[top_up]],
            credit=wallets[top_up],
            amount=own[top_up],
        )
        pays = operations.pay(
            _timed_ids(self.seed, "payments", paid_at),
            payer=wallets[group],
            payee=merchants.accounts[shop],
            amount=amount,
        )
        # Steps of one person may have the same time: they stay in this order.
        times = np.concatenate([claimed_at, claimed_at, topped_at[top_up], paid_at])
        step = np.repeat([0, 1, 2, 3], [claimed_at.size, claimed_at.size, top_up.size, paid_at.size])
        order = np.lexsort((step, times))
        records = np.concatenate([opening, claims, top_ups, pays])[order]
        operators = np.concatenate([operator, operator, operator[top_up], operator[group]])[order]
        return Plan(times[order], records, operators, self.assumptions.frame_minutes * MINUTE_NS)

    def _amounts(self) -> tuple[Array, Array, Array]:
        """Return per spender: amount spent from the packet, number of payments, amount of own money spent."""
        spenders = self.targets.emptied + self.targets.part_used
        part = np.full(self.targets.part_used, 1)
        part_used = self.stream.parts(
            "packets used in part",
            self.targets.spent_from_packets - self.targets.emptied * self.targets.packet,
            self.assumptions.part_spent_min * part,
            (self.targets.packet - 1) * part,
            draws=2,  # large parts are likelier than small ones
        )
        spent = np.concatenate([np.full(self.targets.emptied, self.targets.packet), part_used])
        extra = self.stream.below("second payments", self.targets.payments - spenders, spenders)
        counts = 1 + np.bincount(extra, minlength=spenders)
        # The minimum payment limits the number of payments from one packet; other packets make the surplus ones.
        least = self.assumptions.payment_min
        most = spent // least
        surplus = int(np.maximum(counts - most, 0).sum())
        counts = np.minimum(counts, most)
        while surplus:
            below = np.flatnonzero(counts < most)[:surplus]
            if not below.size:
                raise UsageError(
                    f"{self.targets.payments} payments of ≥ {least} minor units exceed the amount spent",
                    hint="lower payment_min in the replay's file",
                )
            counts[below] += 1
            surplus -= below.size
        own = np.zeros(spenders, np.int64)
        one = np.full(self.targets.own_people, 1)
        own[self.stream.order("who tops up", self.targets.emptied)[: self.targets.own_people]] = self.stream.parts(
            "own money", self.targets.spent_own, self.assumptions.own_min * one, self.assumptions.own_max * one
        )
        return spent, counts, own

    def _shops(self, payments: int, shops: int) -> Array:
        """Return the shop of each payment: every shop once if there are enough payments, the others by popularity.

        Popularity falls with the rank r as (r + head)^(-3/4), in integers.
        """
        ranks = [self.assumptions.shop_head + rank for rank in range(shops)]
        popularity = np.array([10**6 // math.isqrt(rank * math.isqrt(rank)) for rank in ranks])
        shop = self.stream.choose("which shop", payments, popularity)
        once = self.stream.order("every shop once", payments)[:shops]
        shop[once] = np.arange(once.size)
        return shop

    def _moments(self, counts: Array) -> tuple[Array, Array]:
        """Return the times of claims and of payments. Payments are grouped by person, in order, after the claim."""
        start_ns = self.programme.spending.from_ns
        person = np.repeat(np.arange(counts.size), counts)
        paid_at = self._drawn_moments(self.assumptions.day_weights, "paid", person.size)
        paid_at = paid_at[np.lexsort((paid_at, person))]
        claimed_at = self._drawn_moments(self.assumptions.claim_day_weights, "claimed", self.targets.claimed)
        # A claim that would be after the first payment moves to a time before it.
        first = paid_at[np.cumsum(counts) - counts]
        earlier = first - np.minimum((first - start_ns) // 2, 2 * HOUR_NS)
        claimed_at[: counts.size] = np.where(claimed_at[: counts.size] < first, claimed_at[: counts.size], earlier)
        return claimed_at, paid_at

    def _drawn_moments(self, days: tuple[int, ...], purpose: str, count: int) -> Array:
        """Return times in the spending window: an hour by its weight, and a uniform millisecond in it."""
        start, weights = self._hours(days)
        hour = self.stream.choose(f"hours {purpose}", count, weights)
        moments: Array = start[hour] + self.stream.below(f"milliseconds {purpose}", count, 3_600_000) * 10**6
        return moments

    def _hours(self, days: tuple[int, ...]) -> tuple[Array, Array]:
        """Return the start of each hour of the spending window, and its weight: hour weight times day weight."""
        window = self.programme.spending
        start = np.arange(window.from_ns, window.until_ns, HOUR_NS)
        local = [datetime.fromtimestamp(ns // 10**9, self.programme.zone) for ns in start.tolist()]
        day = [(moment.date() - local[0].date()) // timedelta(days=1) for moment in local]
        if len(days) <= max(day):
            raise UsageError(
                f"{max(day) + 1} days of spending need as many day weights, not {len(days)}",
                hint="correct [time] in the replay's file",
            )
        hours = self.assumptions.hour_weights
        return start, np.array([days[at] * hours[moment.hour] for at, moment in zip(day, local, strict=True)])


def top_ups_by_operator(plan: Plan, bank: CentralBank) -> list[int]:
    """Return the total of top-ups per operator, in minor units: the issuance that each operator needs."""
    records = plan.records
    return [int(records["amount"][ids.match(records, "debit", party.money)].sum()) for party in bank.operators]


def _timed_ids(seed: bytes, purpose: str, times_ns: Array) -> Array:
    """Return ids that contain their times, which may be in any order."""
    order = np.argsort(times_ns, kind="stable")
    made = np.empty(times_ns.size, ids.ID)
    made[order] = ids.derive(seed, purpose, times_ns.size, time_ms=times_ns[order] // 10**6)
    return made


def _suspense_of(bank: CentralBank, operators: Array) -> Array:
    return ids.from_ints([party.suspense for party in bank.operators])[operators]
