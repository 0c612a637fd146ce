"""Tables that outgrow what they began with, and the chains through them."""

from __future__ import annotations

from functools import cache

import numpy as np
from tests.ledger.sides import Sides

from sycee.core import ids
from sycee.core.codes import Result
from sycee.ledger import kernels, layout, operations
from sycee.ledger.layout import AccountKind
from sycee.ledger.state import LedgerState

ACCOUNTS = 2_200
PAYS = 3_000
MEMBERS = 2_500
ISSUANCE, SUSPENSE, FUNDER = 1, 2, 3


@cache
def grown() -> Sides:
    return grow()


def some_ids(purpose: str, count: int) -> np.ndarray:
    return ids.derive(b"growth", purpose, count, time_ms=1)


def grow() -> Sides:
    """One ledger with more of everything than the first tables hold, on both sides."""
    sides = Sides(known_apart=False)
    first = kernels.empty_tables()
    accounts = some_ids("accounts", ACCOUNTS)
    frames = [
        operations.define_currency(some_ids("currency", 1), currency=156, zone="UTC"),
        operations.open_account(some_ids("issuance", 1), account=ISSUANCE, currency=156, kind=AccountKind.ISSUANCE),
        operations.open_account(some_ids("suspense", 1), account=SUSPENSE, currency=156, kind=AccountKind.SUSPENSE),
        operations.open_account(
            some_ids("funder", 1), account=FUNDER, currency=156, kind=AccountKind.FUNDER, suspense=SUSPENSE
        ),
        operations.open_account(
            some_ids("open", ACCOUNTS), account=accounts, currency=156, kind=AccountKind.WALLET, suspense=SUSPENSE
        ),
        operations.transfer(some_ids("mint", 1), debit=ISSUANCE, credit=FUNDER, amount=10**9),
        operations.transfer(some_ids("to each", ACCOUNTS), debit=FUNDER, credit=accounts, amount=100),
    ]
    # Groups: first a few accounts, then more than one word and than sixteen words hold; and a group of a high number.
    groups = np.array([1, 2, 300, 4_096])
    frames.append(operations.define_group(some_ids("groups", 4), group=groups))
    for group, count in ((1, 10), (300, 70), (4_096, 1_100), (2, ACCOUNTS)):
        joins = some_ids(f"join {group}", count)
        frames.append(operations.join_group(joins, group=group, account=accounts[:count]))
    frames.append(operations.leave_group(some_ids("leave", 3), group=4_096, account=accounts[[0, 63, 1_090]]))
    # Rule sets and programmes beyond 16, in no order.
    for number in (17, 40, 3, 65_535):
        frames.append(
            operations.define_rule_set(
                some_ids(f"rules {number}", 1), rule_set=number, groups=[4_096], from_ns=0, until_ns=1_000,
                return_account=FUNDER,
            )
        )  # fmt: skip
    for number, rule_set in ((40, 17), (17, 65_535), (3, 3)):
        frames += programme(number, rule_set, 100)
    frames += programme(5, 40, MEMBERS)
    frames.append(
        operations.claim(
            some_ids("claims", ACCOUNTS), programme=5, member=np.arange(ACCOUNTS),
            member_id=some_ids("members 5", MEMBERS)[:ACCOUNTS], wallet=accounts,
        )
    )  # fmt: skip
    random = np.random.default_rng(5)
    pairs = random.integers(0, ACCOUNTS, (2, PAYS))
    pairs[1, pairs[0] == pairs[1]] = (pairs[0, pairs[0] == pairs[1]] + 1) % ACCOUNTS
    frames.append(
        operations.pay(
            some_ids("pays", PAYS), payer=accounts[pairs[0]], payee=accounts[pairs[1]],
            amount=random.integers(1, 60, PAYS),
        )
    )  # fmt: skip
    for now_ns, frame in enumerate(frames, 1):
        sides.frame(now_ns, frame)
    sides.frame(1_000, operations.expire(some_ids("expire", 1), programme=5, first=0, count=MEMBERS))
    tables = sides.state.tables
    for name in ("accounts", "purses", "movements", "bound", "account_slots", "bound_slots", "rule_sets", "programmes"):
        assert getattr(tables, name).size > getattr(first, name).size, f"{name} did not grow"
    assert tables.group_bits.shape > first.group_bits.shape
    assert tables.group_bits.shape[1] > first.group_bits.shape[1]
    return sides


def programme(number: int, rule_set: int, members: int, funder: int = FUNDER) -> list[np.ndarray]:
    cohort = some_ids(f"members {number}", members)
    seal = some_ids(f"seal {number}", 1)
    return [
        operations.open_programme(
            some_ids(f"programme {number}", 1), programme=number, funder=funder, rule_set=rule_set, members=members,
            claim_from_ns=0, claim_until_ns=900,
        ),
        operations.add_members(
            some_ids(f"add {number}", operations.add_members_records(members)), programme=number, members=cohort
        ),
        operations.seal_cohort(seal, programme=number, digest=operations.cohort_digest(cohort)),
        operations.drop(some_ids(f"drop {number}", 1), programme=number, first=0, count=members, amount=50, seal=seal),
    ]  # fmt: skip


def test_everything_grows_and_the_sides_agree() -> None:
    sides = grown()
    bound = sides.state.bound
    assert np.count_nonzero(bound["result"] == Result.CREATED) > 10_000
    assert np.count_nonzero(bound["result"] == Result.EXCEEDS_BALANCE) > 20
    paid = sides.state.movements["purpose"] == layout.Purpose.PAY_PURSE
    assert np.count_nonzero(paid) > 1_000


def test_a_chain_is_exactly_the_movements_that_name_the_account() -> None:
    state = grown().state
    movements = state.movements
    for row in range(state.accounts.size):
        named = (movements["debit_row"] == row) | (movements["credit_row"] == row)
        numbers = (np.flatnonzero(named) + 1)[::-1].tolist()
        assert state.movement_numbers(row) == numbers
        assert state.movement_numbers(row, newest=3) == numbers[:3]
    for number in range(0, int(state.tables.counters[kernels.PURSES]), 7):
        row = number | layout.PURSE_BIT
        at, chain = int(state.tables.purses[number]["last_movement"]), []
        while at:
            chain.append(at)
            movement = movements[at - 1]
            at = int(movement["debit_previous" if movement["debit_row"] == row else "credit_previous"])
        named = (movements["debit_row"] == row) | (movements["credit_row"] == row)
        assert chain == (np.flatnonzero(named) + 1)[::-1].tolist()


def test_one_frame_may_outgrow_every_table_at_once() -> None:
    """A frame is applied in one go: tables grow in the middle of it, and nothing is done twice."""
    frames = [
        operations.define_currency(some_ids("currency", 1), currency=156, zone="UTC"),
        operations.open_account(some_ids("issuance", 1), account=ISSUANCE, currency=156, kind=AccountKind.ISSUANCE),
        operations.open_account(some_ids("suspense", 1), account=SUSPENSE, currency=156, kind=AccountKind.SUSPENSE),
        operations.open_account(
            some_ids("funder", 1), account=FUNDER, currency=156, kind=AccountKind.FUNDER, suspense=SUSPENSE
        ),
        operations.transfer(some_ids("mint", 1), debit=ISSUANCE, credit=FUNDER, amount=10**9),
        operations.define_rule_set(
            some_ids("rules", 1), rule_set=600, from_ns=0, until_ns=9, return_account=FUNDER
        ),
        *programme(700, 600, 20_000),
        operations.define_group(some_ids("group", 1), group=4_000),
        operations.open_account(
            some_ids("open", 1_100), account=some_ids("accounts", 1_100), currency=156, kind=AccountKind.WALLET,
            suspense=SUSPENSE,
        ),
        operations.join_group(some_ids("joins", 1_100), group=4_000, account=some_ids("accounts", 1_100)),
    ]  # fmt: skip
    frame = np.concatenate(frames)
    sides = Sides()
    assert {code for code, _ in sides.frame(1, frame)} == {Result.CREATED}
    assert sides.state.movements.size == 20_001
    one_by_one = LedgerState()
    for at in range(frame.size):
        one_by_one.reserve(frame[at : at + 1])
        one_by_one.apply(at + 1, 1, frame[at : at + 1])
    assert one_by_one.digest() == sides.state.digest()


def test_legs_are_counted_to_65_535_and_stop_there() -> None:
    members = 70_000
    state = LedgerState()
    frames = [
        operations.define_currency(some_ids("currency", 1), currency=156, zone="UTC"),
        operations.open_account(some_ids("issuance", 1), account=ISSUANCE, currency=156, kind=AccountKind.ISSUANCE),
        operations.define_rule_set(some_ids("rules", 1), rule_set=1, from_ns=0, until_ns=900, return_account=ISSUANCE),
        *programme(1, 1, members, funder=ISSUANCE),
    ]
    for now_ns, frame in enumerate(frames, 1):
        state.reserve(frame)
        assert set(state.apply(now_ns, now_ns, frame)["code"].tolist()) == {Result.CREATED}
    assert state.movements["leg"].tolist() == [min(leg, 65_535) for leg in range(members)]
    assert state.supply(156) == 50 * members
    state.check()
