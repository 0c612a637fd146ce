"""The replay of a pilot, worked out before it starts: who registers, and every operation with its id and time.

Everything follows from the programme, the assumptions, the seed and the scale, so a replay that was killed makes the
same plan again and submits it again; what the ledger already knows is answered EXISTS.
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
from sycee.issuance.central_bank import CentralBank
from sycee.ledger import operations
from sycee.ledger.layout import AccountKind
from sycee.programmes.definition import Programme
from sycee.programmes.registration import Registrations
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
    """What the replay is made to come to, scaled. Money in minor units."""

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
        """Packets of which something was spent and something left."""
        return self.claimed - self.emptied - self.untouched

    @classmethod
    def of(cls, programme: Programme, assumptions: Assumptions, scale: float) -> Targets:
        """Published figures times `scale` (1 is the published size). UsageError where that cannot be replayed."""
        published = programme.published
        for name in PUBLISHED_NEEDED:
            if getattr(published, name) is None:
                raise UsageError(
                    f"{programme.name} publishes no figure for {name!r}, so there is nothing to replay",
                    hint="only rounds with published results can be replayed",
                )
        if len(programme.packets) != 1:
            raise UsageError(f"{programme.name} has {len(programme.packets)} packet classes; a replay knows one")
        if len(programme.draw.strata) != 1:
            raise UsageError(f"{programme.name} draws in {len(programme.draw.strata)} strata; a replay knows one")

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
            raise UsageError(f"scale {scale} leaves nobody to replay", hint="use at least 0.001")
        return targets


@dataclass(frozen=True, slots=True)
class Plan:
    """Records in order of time, ready to submit. `times_ns[i]` is when records[i] was asked for."""

    times_ns: Array  # (n,) int64, ascending
    records: Array  # (n,) OPERATION
    operators: Array  # (n,) int64, the place of the operator whose account does it, and who signs it
    frame_ns: int

    def frames(self) -> Iterator[tuple[int, Array, Array]]:
        """(time, records, operators) per frame.

        A frame holds what was asked within one step of the clock, and has the time of its last.

        A step begins at a multiple of `frame_ns`, so no frame reaches over an hour at which a window opens or closes.
        """
        steps = self.times_ns // self.frame_ns
        starts = np.flatnonzero(np.diff(steps, prepend=-1))
        ends = np.append(starts[1:], steps.size)
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            yield int(self.times_ns[end - 1]), self.records[start:end], self.operators[start:end]


def registrations(
    programme: Programme, assumptions: Assumptions, targets: Targets, stream: Stream, scale: float
) -> Registrations:
    """Synthetic registrants: `targets.registered` people, some of whom try twice."""
    people = targets.registered
    again = [round(n * scale) for n in (assumptions.repeated_document, assumptions.repeated_phone)]
    # Two ranges of people, so that no second try links two persons.
    second = stream.order("who tries twice", people)[: sum(again)]
    # A key is a permuted number, so that it says nothing about the order of registration.
    documents = (DOCUMENT_FIRST + stream.order("documents", people)).astype(np.uint64)
    phones = (PHONE_FIRST + stream.order("phones", people)).astype(np.uint64)
    fresh = np.arange(people, people + sum(again)).astype(np.uint64)
    second_documents = fresh + np.uint64(DOCUMENT_FIRST)
    second_phones = fresh + np.uint64(PHONE_FIRST)
    second_documents[: again[0]] = documents[second[: again[0]]]
    second_phones[again[0] :] = phones[second[again[0] :]]
    window = programme.registration
    span_ms = (window.until_ns - window.from_ns) // 10**6
    first_ms = stream.below("registered at", people, span_ms // 2)
    second_ms = span_ms // 2 + stream.below("registered again at", second.size, span_ms - span_ms // 2)
    banks = stream.choose("banks", people + second.size, np.array(assumptions.wallet_shares))
    return Registrations(
        documents=np.concatenate([documents, second_documents]),
        phones=np.concatenate([phones, second_phones]),
        banks=banks.astype(np.uint8),
        registered_at_ns=window.from_ns + np.concatenate([first_ms, second_ms]) * 10**6,
    )


@dataclass(frozen=True, slots=True)
class Merchants:
    """The shops: account ids, each with its operator's place."""

    accounts: Array  # (m,) ID
    operators: Array  # (m,) int64

    @classmethod
    def derive(cls, assumptions: Assumptions, targets: Targets, stream: Stream, seed: bytes, time_ms: int) -> Merchants:
        """Ids for the shops, and which operator each is with."""
        return cls(
            accounts=ids.derive(seed, "merchants", targets.merchants, time_ms=time_ms),
            operators=stream.choose("merchants' operators", targets.merchants, np.array(assumptions.merchant_shares)),
        )

    def opening(self, seed: bytes, bank: CentralBank, group: int, time_ms: int) -> Array:
        """Open every shop's account at its operator and let it join the payee group."""
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


def spending(
    programme: Programme,
    assumptions: Assumptions,
    targets: Targets,
    stream: Stream,
    seed: bytes,
    bank: CentralBank,
    number: int,
    winners: Array,
    banks: Array,
    merchants: Merchants,
) -> Plan:
    """Every wallet opened, packet claimed, top-up and payment of the spending window.

    winners: (k,) ID in cohort order; banks: (k,) the operator each chose.
    """
    spenders = targets.emptied + targets.part_used
    # People in an order of their own: first those who empty their packet, then those who use a part, then the rest.
    member = stream.order("who claims", winners.size)[: targets.claimed]
    operator = banks[member].astype(np.int64)
    spent, counts, own = _amounts(assumptions, targets, stream)
    claimed_at, paid_at = _moments(programme, assumptions, targets, stream, counts)

    group = np.repeat(np.arange(spenders), counts)
    last = np.cumsum(counts) - 1
    is_last = np.zeros(group.size, bool)
    is_last[last] = True
    purse_part = split_evenly(
        spent, counts, 1 + stream.below("sizes of payments", group.size, 1_000), assumptions.payment_min
    )
    amount = purse_part + np.where(is_last, own[group], 0)
    before_last = np.where(counts > 1, paid_at[last - 1], claimed_at[:spenders])
    top_up = np.flatnonzero(own)
    topped_at = paid_at[last] - np.minimum((paid_at[last] - before_last) // 2, 30 * MINUTE_NS)

    shop = _shops(assumptions, stream, group.size, merchants.accounts.size)
    wallets = _timed_ids(seed, "wallets", claimed_at)
    opening = operations.open_account(
        _timed_ids(seed, "wallets opened", claimed_at),
        account=wallets,
        currency=bank.currency,
        kind=AccountKind.WALLET,
        suspense=_suspense_of(bank, operator),
        operator=operator + 1,
    )
    claims = operations.claim(
        _timed_ids(seed, "packets claimed", claimed_at),
        programme=number,
        member=member,
        member_id=winners[member],
        wallet=wallets,
    )
    vaults = _ids_of([party.money for party in bank.operators])
    top_ups = operations.transfer(
        _timed_ids(seed, "top-ups", topped_at[top_up]),
        debit=vaults[operator[top_up]],
        credit=wallets[top_up],
        amount=own[top_up],
    )
    pays = operations.pay(
        _timed_ids(seed, "payments", paid_at),
        payer=wallets[group],
        payee=merchants.accounts[shop],
        amount=amount,
    )
    # One moment may hold all of a person's steps: they keep their order.
    times = np.concatenate([claimed_at, claimed_at, topped_at[top_up], paid_at])
    step = np.repeat([0, 1, 2, 3], [claimed_at.size, claimed_at.size, top_up.size, paid_at.size])
    order = np.lexsort((step, times))
    records = np.concatenate([opening, claims, top_ups, pays])[order]
    operators = np.concatenate([operator, operator, operator[top_up], operator[group]])[order]
    return Plan(times[order], records, operators, assumptions.frame_minutes * MINUTE_NS)


def top_ups_by_operator(plan: Plan, bank: CentralBank) -> list[int]:
    """What each operator's customers top up, in minor units: what it must have issued to it."""
    records = plan.records
    return [int(records["amount"][ids.match(records, "debit", party.money)].sum()) for party in bank.operators]


def _amounts(assumptions: Assumptions, targets: Targets, stream: Stream) -> tuple[Array, Array, Array]:
    """Per spender: what it spends of its packet, in how many payments, and what it spends besides."""
    spenders = targets.emptied + targets.part_used
    part = np.full(targets.part_used, 1)
    part_used = stream.parts(
        "packets used in part",
        targets.spent_from_packets - targets.emptied * targets.packet,
        assumptions.part_spent_min * part,
        (targets.packet - 1) * part,
        draws=2,  # who uses a packet in part uses more of it rather than less
    )
    spent = np.concatenate([np.full(targets.emptied, targets.packet), part_used])
    extra = stream.below("second payments", targets.payments - spenders, spenders)
    counts = 1 + np.bincount(extra, minlength=spenders)
    # A packet of which little is used pays no more often than its payments' least size allows; the others take those.
    most = spent // assumptions.payment_min
    surplus = int(np.maximum(counts - most, 0).sum())
    counts = np.minimum(counts, most)
    while surplus:
        room = np.flatnonzero(counts < most)[:surplus]
        if not room.size:
            raise UsageError(
                f"{targets.payments} payments of {assumptions.payment_min} minor units and up need more than was spent",
                hint="lower payment_min in the replay's file",
            )
        counts[room] += 1
        surplus -= room.size
    own = np.zeros(spenders, np.int64)
    one = np.full(targets.own_people, 1)
    own[stream.order("who tops up", targets.emptied)[: targets.own_people]] = stream.parts(
        "own money", targets.spent_own, assumptions.own_min * one, assumptions.own_max * one
    )
    return spent, counts, own


def _shops(assumptions: Assumptions, stream: Stream, payments: int, shops: int) -> Array:
    """Where each payment is made: every shop once, if there are payments enough, and then by popularity.

    Popularity falls with the rank r as (r + head)^(-3/4), in integers.
    """
    ranks = [assumptions.shop_head + rank for rank in range(shops)]
    popularity = np.array([10**6 // math.isqrt(rank * math.isqrt(rank)) for rank in ranks])
    shop = stream.choose("which shop", payments, popularity)
    once = stream.order("every shop once", payments)[:shops]
    shop[once] = np.arange(once.size)
    return shop


def _moments(
    programme: Programme, assumptions: Assumptions, targets: Targets, stream: Stream, counts: Array
) -> tuple[Array, Array]:
    """When each packet is claimed, and when each payment is made: grouped by person, in order, after the claim."""
    start_ns = programme.spending.from_ns
    person = np.repeat(np.arange(counts.size), counts)
    paid_at = _drawn_moments(programme, assumptions.hour_weights, assumptions.day_weights, stream, "paid", person.size)
    paid_at = paid_at[np.lexsort((paid_at, person))]
    claimed_at = _drawn_moments(
        programme, assumptions.hour_weights, assumptions.claim_day_weights, stream, "claimed", targets.claimed
    )
    # Whoever would pay before claiming claims on the way to the shop.
    first = paid_at[np.cumsum(counts) - counts]
    on_the_way = first - np.minimum((first - start_ns) // 2, 2 * HOUR_NS)
    claimed_at[: counts.size] = np.where(claimed_at[: counts.size] < first, claimed_at[: counts.size], on_the_way)
    return claimed_at, paid_at


def _drawn_moments(
    programme: Programme, hours: tuple[int, ...], days: tuple[int, ...], stream: Stream, what: str, count: int
) -> Array:
    """Moments of the spending window: an hour by its weight, and any millisecond of it."""
    start, weights = _hours(programme, hours, days)
    hour = stream.choose(f"hours {what}", count, weights)
    moments: Array = start[hour] + stream.below(f"milliseconds {what}", count, 3_600_000) * 10**6
    return moments


def _hours(programme: Programme, hours: tuple[int, ...], days: tuple[int, ...]) -> tuple[Array, Array]:
    """The beginning of each hour of the spending window, and its weight: that of its hour times that of its day."""
    window = programme.spending
    start = np.arange(window.from_ns, window.until_ns, HOUR_NS)
    local = [datetime.fromtimestamp(ns // 10**9, programme.zone) for ns in start.tolist()]
    day = [(moment.date() - local[0].date()) // timedelta(days=1) for moment in local]
    if len(days) <= max(day):
        raise UsageError(
            f"{max(day) + 1} days of spending need as many day weights, not {len(days)}",
            hint="mend [time] in the replay's file",
        )
    return start, np.array([days[at] * hours[moment.hour] for at, moment in zip(day, local, strict=True)])


def _timed_ids(seed: bytes, purpose: str, times_ns: Array) -> Array:
    """Ids that carry their times, though the times are in any order."""
    order = np.argsort(times_ns, kind="stable")
    made = np.empty(times_ns.size, ids.ID)
    made[order] = ids.derive(seed, purpose, times_ns.size, time_ms=times_ns[order] // 10**6)
    return made


def _suspense_of(bank: CentralBank, operators: Array) -> Array:
    return _ids_of([party.suspense for party in bank.operators])[operators]


def _ids_of(numbers: list[int]) -> Array:
    made = np.empty(len(numbers), ids.ID)
    for at, number in enumerate(numbers):
        made[at] = ids.from_int(number)
    return made
