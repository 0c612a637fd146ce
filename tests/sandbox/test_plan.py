"""The plan of a replay: its sums are the targets, its steps are in order, its frames respect every window."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest

from sycee.core import ids
from sycee.core.errors import UsageError
from sycee.core.limits import FRAME_RECORDS_MAX
from sycee.core.records.layout import Kind
from sycee.issuance.central_bank import CentralBank
from sycee.programmes.definition import load
from sycee.programmes.duplicates import deduplicate
from sycee.sandbox import assumptions, plan
from sycee.sandbox.plan import HOUR_NS, MINUTE_NS, Merchants, Plan, Planner, Targets
from sycee.sandbox.seeded_choices import Stream

LUOHU = load("luohu-2020")
ASSUMED = assumptions.load(LUOHU)
CASES = [(0.001, 0), (0.001, 1), (0.01, 2020), (0.01, 7), (0.0123, 3), (0.05, 2020), (0.05, 4)]
NUMBER = 1


@dataclasses.dataclass(frozen=True)
class Planned:
    targets: Targets
    bank: CentralBank
    merchants: Merchants
    banks: np.ndarray
    winners: np.ndarray
    plan: Plan

    def of(self, kind: Kind) -> np.ndarray:
        return self.plan.records[self.plan.records["kind"] == kind]

    def times(self, kind: Kind) -> np.ndarray:
        return self.plan.times_ns[self.plan.records["kind"] == kind]


@cache
def planned(scale: float, seed: int) -> Planned:
    targets = Targets.of(LUOHU, ASSUMED, scale)
    stream, material = Stream(seed), f"{seed}".encode()
    time_ms = LUOHU.draw.beacon_due_ns // 10**6
    bank = CentralBank.derive(material, currency=156, zone="Asia/Shanghai", operators=4, time_ms=time_ms)
    planner = Planner(LUOHU, ASSUMED, targets, stream, material, scale)
    merchants = planner.merchants(time_ms)
    winners = ids.derive(material, "winners", targets.winners, time_ms=time_ms)
    banks = stream.choose("banks of winners", targets.winners, np.array(ASSUMED.wallet_shares)).astype(np.uint8)
    made = planner.spending(bank, NUMBER, winners, banks, merchants)
    return Planned(targets, bank, merchants, banks, winners, made)


def halves(records: np.ndarray, side: str) -> list[tuple[int, int]]:
    return list(zip(records[f"{side}_high"].tolist(), records[f"{side}_low"].tolist(), strict=True))


def halves_of_ids(made: np.ndarray) -> list[tuple[int, int]]:
    return list(zip(made["high"].tolist(), made["low"].tolist(), strict=True))


def split(number: int) -> tuple[int, int]:
    return number >> 64, number & 2**64 - 1


each_case = pytest.mark.parametrize(("scale", "seed"), CASES)


@each_case
def test_sums_are_the_targets(scale: float, seed: int) -> None:
    made = planned(scale, seed)
    targets = made.targets
    assert len(made.of(Kind.OPEN_ACCOUNT)) == len(made.of(Kind.CLAIM)) == targets.claimed
    assert len(made.of(Kind.PAY)) == targets.payments
    assert len(made.of(Kind.TRANSFER)) == targets.own_people
    assert int(made.of(Kind.TRANSFER)["amount"].sum()) == targets.spent_own
    assert int(made.of(Kind.PAY)["amount"].sum()) == targets.spent_from_packets + targets.spent_own
    assert len(made.plan.records) == 2 * targets.claimed + targets.own_people + targets.payments


@each_case
def test_packets_are_spent_as_the_targets_require(scale: float, seed: int) -> None:
    made = planned(scale, seed)
    targets = made.targets
    own = dict(zip(halves(made.of(Kind.TRANSFER), "credit"), made.of(Kind.TRANSFER)["amount"].tolist(), strict=True))
    spent: dict[tuple[int, int], int] = {}
    for payer, amount in zip(halves(made.of(Kind.PAY), "debit"), made.of(Kind.PAY)["amount"].tolist(), strict=True):
        spent[payer] = spent.get(payer, 0) + amount
    from_packet = {payer: amount - own.get(payer, 0) for payer, amount in spent.items()}
    assert sum(from_packet.values()) == targets.spent_from_packets
    assert sum(amount == targets.packet for amount in from_packet.values()) == targets.emptied
    assert all(ASSUMED.part_spent_min <= amount <= targets.packet for amount in from_packet.values())
    assert targets.claimed - len(from_packet) == targets.untouched
    # Only people who empty a packet top up: otherwise the packet would pay instead of own money.
    assert all(from_packet[payer] == targets.packet for payer in own)
    assert all(ASSUMED.own_min <= amount <= ASSUMED.own_max for amount in own.values())


@each_case
def test_no_payment_is_smaller_than_assumed(scale: float, seed: int) -> None:
    assert int(planned(scale, seed).of(Kind.PAY)["amount"].min()) >= ASSUMED.payment_min


@each_case
def test_per_person_opening_then_claim_then_top_up_then_payments(scale: float, seed: int) -> None:
    records = planned(scale, seed).plan.records
    wallet_side = {Kind.OPEN_ACCOUNT: "debit", Kind.CLAIM: "credit", Kind.TRANSFER: "credit", Kind.PAY: "debit"}
    steps: dict[tuple[int, int], list[int]] = {}
    for kind, side in wallet_side.items():
        places = np.flatnonzero(records["kind"] == kind)
        for place, wallet in zip(places.tolist(), halves(records[places], side), strict=True):
            steps.setdefault(wallet, []).append(place)
    for places in steps.values():
        kinds = [int(records["kind"][place]) for place in sorted(places)]
        assert kinds[:2] == [Kind.OPEN_ACCOUNT, Kind.CLAIM]
        # Payments may precede the top-up, but the last one needs it.
        assert kinds[2:].count(Kind.TRANSFER) <= 1
        assert kinds[-1] != Kind.TRANSFER
        assert len(kinds) == 2 or kinds[-1] == Kind.PAY


@each_case
def test_a_top_up_is_right_before_the_last_payment(scale: float, seed: int) -> None:
    made = planned(scale, seed)
    last = dict(zip(halves(made.of(Kind.PAY), "debit"), made.times(Kind.PAY).tolist(), strict=True))
    for wallet, topped_ns in zip(
        halves(made.of(Kind.TRANSFER), "credit"), made.times(Kind.TRANSFER).tolist(), strict=True
    ):
        assert last[wallet] - 30 * MINUTE_NS <= topped_ns <= last[wallet]


@each_case
def test_times_go_forward_and_stay_in_the_windows(scale: float, seed: int) -> None:
    made = planned(scale, seed)
    assert bool((np.diff(made.plan.times_ns) >= 0).all())
    for kind, window in ((Kind.CLAIM, LUOHU.claim), (Kind.PAY, LUOHU.spending)):
        assert window.from_ns <= int(made.times(kind).min())
        assert int(made.times(kind).max()) < window.until_ns


@each_case
def test_frames_hold_everything_once_and_cross_no_edge(scale: float, seed: int) -> None:
    made = planned(scale, seed).plan
    frames = list(made.frames())
    assert np.array_equal(np.concatenate([records for _, records, _ in frames]), made.records)
    assert np.array_equal(np.concatenate([operators for *_, operators in frames]), made.operators)
    times = [time_ns for time_ns, *_ in frames]
    assert times == sorted(set(times))
    start = 0
    for time_ns, records, _ in frames:
        asked = made.times_ns[start : start + records.size]
        start += records.size
        assert int(asked.max()) == time_ns
        assert int(asked.min()) // HOUR_NS == time_ns // HOUR_NS
        assert int(asked.min()) // made.frame_ns == time_ns // made.frame_ns
        # Also with a separate nanosecond per record, the frame ends before every window.
        assert time_ns + records.size < LUOHU.spending.until_ns


def test_a_frame_has_the_records_of_one_span() -> None:
    times = np.array([0, 9, 10, 10, 25, 39], np.int64)
    made = Plan(times, np.arange(6), np.arange(6) % 2, 10)
    assert [(time_ns, records.tolist(), by.tolist()) for time_ns, records, by in made.frames()] == [
        (9, [0, 1], [0, 1]),
        (10, [2, 3], [0, 1]),
        (25, [4], [0]),
        (39, [5], [1]),
    ]


@each_case
def test_ids_are_new_and_carry_their_times(scale: float, seed: int) -> None:
    made = planned(scale, seed)
    records = made.plan.records
    assert len(set(halves(records, "id"))) == records.size
    made_ms = records["id_high"] >> np.uint64(16)
    assert np.array_equal(made_ms.astype(np.int64), made.plan.times_ns // 10**6)


@each_case
def test_wallets_are_at_the_operator_that_was_chosen(scale: float, seed: int) -> None:
    made = planned(scale, seed)
    claims, opened = made.of(Kind.CLAIM), made.of(Kind.OPEN_ACCOUNT)
    operator = dict(zip(halves(opened, "debit"), (opened["count"] - 1).tolist(), strict=True))
    for wallet, member, reference in zip(
        halves(claims, "credit"), claims["first"].tolist(), halves(claims, "reference"), strict=True
    ):
        assert operator[wallet] == made.banks[member]
        assert reference == split(ids.to_int(made.winners[member]))
    suspense = [split(party.suspense) for party in made.bank.operators]
    assert halves(opened, "credit") == [suspense[place] for place in operator.values()]
    vaults = {split(party.money): place for place, party in enumerate(made.bank.operators)}
    top_ups = made.of(Kind.TRANSFER)
    for vault, wallet in zip(halves(top_ups, "debit"), halves(top_ups, "credit"), strict=True):
        assert vaults[vault] == operator[wallet]


@each_case
def test_top_ups_by_operator_are_what_leaves_their_vaults(scale: float, seed: int) -> None:
    made = planned(scale, seed)
    amounts = plan.top_ups_by_operator(made.plan, made.bank)
    assert sum(amounts) == made.targets.spent_own
    top_ups = made.of(Kind.TRANSFER)
    for party, amount in zip(made.bank.operators, amounts, strict=True):
        mine = [vault == split(party.money) for vault in halves(top_ups, "debit")]
        assert amount == int(top_ups["amount"][mine].sum())


@each_case
def test_no_member_claims_twice(scale: float, seed: int) -> None:
    members = planned(scale, seed).of(Kind.CLAIM)["first"].tolist()
    assert len(set(members)) == len(members)


@each_case
def test_every_shop_is_paid_and_the_first_most(scale: float, seed: int) -> None:
    made = planned(scale, seed)
    place = {account: rank for rank, account in enumerate(halves_of_ids(made.merchants.accounts))}
    payments = np.bincount([place[payee] for payee in halves(made.of(Kind.PAY), "credit")], minlength=len(place))
    assert payments.min() >= 1
    if len(place) >= 30:
        third = len(place) // 3
        assert payments[:third].sum() > payments[-third:].sum()


def test_the_same_seed_makes_the_same_plan() -> None:
    first = planned(0.001, 1)
    planned.cache_clear()
    again, other = planned(0.001, 1), planned(0.001, 0)
    assert first.plan.records.tobytes() == again.plan.records.tobytes()
    assert first.plan.records.tobytes() != other.plan.records.tobytes()


# --- registration ---


@each_case
def test_registrants_without_duplicates_are_the_target(scale: float, seed: int) -> None:
    targets = Targets.of(LUOHU, ASSUMED, scale)
    made = Planner(LUOHU, ASSUMED, targets, Stream(seed), b"", scale).registrations()
    again = round(ASSUMED.repeated_document * scale) + round(ASSUMED.repeated_phone * scale)
    checked = deduplicate(made)
    assert checked.accepted.size == targets.registered
    assert checked.duplicates.size == again == len(made) - targets.registered
    # The first entry of a person is accepted; it is always the one of the first list.
    assert int(checked.accepted.max()) < targets.registered
    assert int(made.registered_at_ns.min()) >= LUOHU.registration.from_ns
    assert int(made.registered_at_ns.max()) < LUOHU.registration.until_ns


# --- targets ---


def test_full_size_is_what_was_published() -> None:
    targets = Targets.of(LUOHU, ASSUMED, 1.0)
    assert (targets.registered, targets.winners, targets.claimed, targets.payments) == (
        1_913_847,
        50_000,
        47_573,
        62_788,
    )
    assert (targets.spent_from_packets, targets.spent_own, targets.merchants) == (876_400_000, 90_100_000, 3_389)
    assert (targets.emptied, targets.part_used, targets.untouched) == (40_000, 6_073, 1_500)


def test_too_small_a_scale_is_refused() -> None:
    with pytest.raises(UsageError, match="is too small for a replay"):
        Targets.of(LUOHU, ASSUMED, 0.00001)


def test_a_round_without_results_cannot_be_replayed() -> None:
    unpublished = dataclasses.replace(LUOHU, published=dataclasses.replace(LUOHU.published, payments=None))
    with pytest.raises(UsageError, match="publishes no figure for 'payments'"):
        Targets.of(unpublished, ASSUMED, 1.0)


def test_a_round_of_another_shape_cannot_be_replayed() -> None:
    for changes, says in (
        ({"packets": LUOHU.packets * 2}, "2 packet classes"),
        ({"draw": dataclasses.replace(LUOHU.draw, strata=LUOHU.draw.strata * 3)}, "3 strata"),
    ):
        with pytest.raises(UsageError, match=says):
            Targets.of(dataclasses.replace(LUOHU, **changes), ASSUMED, 1.0)


def test_more_payments_than_the_amount_allows_are_refused() -> None:
    # This once was an endless loop.
    targets = Targets.of(LUOHU, ASSUMED, 0.001)
    crowded = dataclasses.replace(targets, payments=targets.spent_from_packets // ASSUMED.payment_min + 1)
    with pytest.raises(UsageError, match="exceed the amount spent"):
        Planner(LUOHU, ASSUMED, crowded, Stream(1), b"", 1.0)._amounts()


def test_frames_fit_the_journal_at_full_size() -> None:
    # The operations of one span fit into one frame, so no span is split.
    made = planned(0.05, 2020).plan
    assert max(records.size for _, records, _ in made.frames()) * 20 < FRAME_RECORDS_MAX
