"""Many reads in one pass, compared with the naive twin over seeded histories; stable pages during payments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.ledger.side_by_side import Sides
from tests.ledger.signers import HELD, MISSING, PAID, PHONE, SHOP, SUSPENSE, make_world, record, shared

from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.limits import PLACE_INDEX_BITS
from sycee.core.records.layout import Kind
from sycee.ledger import queries
from sycee.ledger.kernels import constants
from sycee.ledger.queries import Answers
from sycee.testing import naive_reading
from sycee.testing.histories import random_history
from sycee.testing.naive_reading import Line

SEEDS = range(30)
OPERATIONS = 80


class History:
    """A history on kernels and twin, with data that the twin lacks: frame times, and the operation of each place."""

    def __init__(self, seed: int) -> None:
        self.sides = Sides(compare_every=10**9)  # test_twin compares states: here, reads
        self.times_ns: dict[int, int] = {}
        self.operations: dict[int, int] = {}
        self.frames = random_history(seed, OPERATIONS)

    def go(self, part: slice) -> None:
        for now_ns, operations, calendar in self.frames[part]:
            fresh = self.sides.state.resolve(operations)[0]["code"] == constants.PENDING if operations.size else []
            self.sides.frame(now_ns, operations, calendar)
            sequence = self.sides.sequence
            self.times_ns[sequence] = now_ns
            for at, one in enumerate(operations[fresh] if operations.size else ()):
                identifier = int(one["id_high"]) << 64 | int(one["id_low"])
                self.operations[sequence << PLACE_INDEX_BITS | at] = identifier

    def statement(self, account: int) -> list[Line]:
        return naive_reading.statement(self.sides.twin, account, self.times_ns, self.operations)

    def ask(self, requests: Array) -> Answers:
        answers = queries.answer(self.sides.state, requests)
        assert answers.sequence == self.sides.sequence
        return answers


def lines_of(page: queries.Page) -> list[Line]:
    """Return the lines in the twin's format."""
    return [
        Line(
            number=int(one["number"]),
            time_ns=int(one["time_ns"]),
            amount=int(one["amount"]),
            balance=int(one["balance"]),
            counterparty=int(one["counterparty_high"]) << 64 | int(one["counterparty_low"]),
            operation=int(one["operation_high"]) << 64 | int(one["operation_low"]),
            purpose=int(one["purpose"]),
        )
        for one in page.lines
    ]


def test_reads_of_seeded_histories_agree_with_the_twin() -> None:
    found = {"accounts": 0, "purses": 0, "holds": 0, "operations": 0, "lines": 0}
    for seed in SEEDS:
        history = History(seed)
        history.go(slice(None))
        twin, random = history.sides.twin, np.random.default_rng(seed)
        accounts = [*twin.accounts, MISSING]
        operations = [*twin.bound, MISSING]
        places = [*twin.purses, (1, 99), (77, 0), (1 << 20, 0)]
        pages = [queries.statement(account, lines=int(random.integers(1, 9))) for account in accounts]
        requests = np.concatenate(
            [
                queries.accounts(accounts),
                queries.holds(operations),
                queries.operations(operations),
                queries.purses(places),
                *pages,
            ]
        )
        order = random.permutation(requests.size)
        answers, at = history.ask(requests[order]), np.argsort(order).tolist()
        for id in accounts:
            expected = naive_reading.account(twin, id)
            here = at.pop(0)
            assert answers.account(here) == expected, seed
            assert answers.balance(here) == (None if expected is None else twin.balance(id))
            found["accounts"] += expected is not None
        for id in operations:
            hold = naive_reading.hold(twin, id)
            assert answers.hold(at.pop(0)) == hold, seed
            found["holds"] += hold is not None
        for id in operations:
            operation, bound = answers.operation(at.pop(0)), twin.bound.get(id)
            assert (operation is None) == (bound is None)
            if operation is not None and bound is not None:
                assert (operation.kind, operation.result) == (bound.kind, bound.result)
                place = int(operation.record["place"])
                assert history.operations[place] == id
                assert operation.time_ns == history.times_ns[place >> PLACE_INDEX_BITS]
                found["operations"] += 1
        for programme, member in places:
            purse = naive_reading.purse(twin, programme, member)
            assert answers.purse(at.pop(0)) == purse, seed
            found["purses"] += purse is not None
        for id, request in zip(accounts, pages, strict=True):
            page = answers.page(at.pop(0))
            assert (page is None) == (id not in twin.accounts)
            if page is not None:
                expected = naive_reading.page(history.statement(id), lines_max=int(request["lines"][0]))
                assert (lines_of(page), page.cursor) == expected, seed
                found["lines"] += page.lines.size
    assert min(found.values()) > 100, found


def test_pages_are_stable_during_payments() -> None:
    """Payments between two pages do not change the later pages of a statement."""
    paged = 0
    for seed in range(100, 115):
        history = History(seed)
        half = len(history.frames) // 2
        history.go(slice(half))
        left = {account: history.statement(account) for account in history.sides.twin.accounts}
        cursors = dict.fromkeys(left, 0)
        for at in range(half, len(history.frames)):
            accounts = [account for account, cursor in cursors.items() if cursor >= 0]
            if not accounts:
                break
            answers = history.ask(
                np.concatenate([queries.statement(each, lines=2, cursor=cursors[each]) for each in accounts])
            )
            for i, account in enumerate(accounts):
                page = answers.page(i)
                assert page is not None
                shown, left[account] = left[account][:2], left[account][2:]
                assert lines_of(page) == shown, seed
                assert (page.cursor == 0) == (not left[account])
                cursors[account] = page.cursor or -1
                paged += page.lines.size
            history.go(slice(at, at + 1))
    assert paged > 150


def test_a_cursor_of_another_account_is_refused() -> None:
    state = shared().state
    page = queries.answer(state, queries.statement(PHONE, lines=1)).page(0)
    assert page is not None
    assert page.cursor > 0
    for account, cursor in ((SUSPENSE, page.cursor), (PHONE, 10**9), (PHONE, 1)):
        answers = queries.answer(state, queries.statement(account, lines=1, cursor=cursor))
        with pytest.raises(UsageError, match=f"cursor {cursor} is not a movement"):
            answers.page(0)
    assert queries.answer(state, queries.statement(MISSING, lines=1, cursor=page.cursor)).page(0) is None
    empty = queries.answer(state, queries.statement(SUSPENSE, lines=1)).page(0)
    assert empty is not None
    assert (empty.lines.size, empty.cursor) == (0, 0)


def test_answers_are_read_only_copies() -> None:
    world = make_world()
    requests = np.concatenate([queries.accounts([SHOP]), queries.statement(SHOP, lines=9)])
    answers = queries.answer(world.state, requests)
    requests[:] = 0
    before, lines = answers.account(0), answers.page(1)
    assert before is not None
    assert lines is not None
    shown = lines.lines.tolist()
    world.frame(30, record(Kind.PAY, 601, debit=PHONE, credit=SHOP, amount=7))
    assert answers.account(0) == before
    assert lines.lines.tolist() == shown
    after = queries.answer(world.state, queries.accounts([SHOP]))
    assert after.sequence == answers.sequence + 1
    assert after.account(0) == replace(before, credits_posted=before.credits_posted + 7)
    for name in ("requests", "found", "names", "accounts", "keys", "purses", "holds", "bound", "times", "lines"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(answers, name)[...] = 0


def test_one_pass_has_limits() -> None:
    page = queries.statement(PHONE, lines=queries.PAGE_LINES_MAX)
    many = np.concatenate([queries.accounts([PHONE] * 5), *([page] * 20)])
    fit = queries.fitting(many)
    assert fit == 5 + queries.LINES_MAX // queries.PAGE_LINES_MAX
    assert queries.fitting(many[5:6]) == 1
    assert queries.fitting(queries.accounts([PHONE] * 9_000)) == queries.READS_MAX
    with pytest.raises(UsageError, match="exceed the limit of one pass"):
        queries.answer(shared().state, many)
    answers = queries.answer(shared().state, many[:fit])
    pages = [answers.page(i) for i in range(5, fit)]
    assert all(each is not None and each.lines.tolist() == pages[0].lines.tolist() for each in pages if pages[0])
    assert queries.answer(shared().state, many[:0]).found.size == 0


def test_invalid_requests_are_refused() -> None:
    with pytest.raises(UsageError, match="lines must be an integer from 1 to 1000; got 1001"):
        queries.statement(PHONE, lines=1_001)
    with pytest.raises(UsageError, match=r"lines must .*; got 0"):
        queries.statement(PHONE, lines=0)
    with pytest.raises(UsageError, match=r"cursor must .*; got -1"):
        queries.statement(PHONE, lines=1, cursor=-1)
    with pytest.raises(UsageError, match=rf"id must .*; got {1 << 128}"):
        queries.accounts([1 << 128])
    with pytest.raises(UsageError, match=r"id must .*; got -1"):
        queries.holds([-1])
    with pytest.raises(UsageError, match="id must be an integer or a UUID; got 'x'"):
        queries.operations(["x"])  # type: ignore[list-item]
    assert np.array_equal(queries.accounts([np.uint64(5)]), queries.accounts([5]))  # type: ignore[list-item]
    with pytest.raises(UsageError, match="member -1 is not a purse"):
        queries.purses([(1, -1)])
    wrong = queries.accounts([PHONE])
    wrong["kind"] = 9
    with pytest.raises(UsageError, match="unknown kind of read: 9"):
        queries.answer(shared().state, wrong)
    answers = queries.answer(shared().state, np.concatenate([queries.operations([PAID]), queries.holds([HELD])]))
    with pytest.raises(UsageError, match="request 0 is for OPERATION, not for HOLD"):
        answers.hold(0)
