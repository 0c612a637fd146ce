"""Reads during writes: one pass for many reads, from one committed frame that each result names."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sequencer.gated import Place, run
from tests.sequencer.small import ANN, BOB, SHOP, TREASURY, opening
from tests.sequencer.test_ledger_methods import END_NS, Market

from sycee.core.errors import UnavailableError, UsageError
from sycee.core.limits import PLACE_INDEX_BITS
from sycee.core.records import operations
from sycee.core.result_codes import Result
from sycee.ledger import queries
from sycee.sequencer.embedded import Ledger


def test_an_answer_names_its_frame_and_cannot_be_changed(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.submit(opening())
        answers = ledger.read(np.concatenate([queries.accounts([ANN, 99, SHOP]), queries.operations([107, 12])]))
        assert answers.sequence == ledger.sequencer.durable_sequence
        assert answers.part(0, 3).balances() == [50, None, 0]
        assert answers.account(0) == ledger.account(ANN)
        assert answers.operation(4) is None
        operation = answers.operation(3)
        assert operation is not None
        assert operation.result is Result.CREATED
        with pytest.raises(ValueError, match="read-only"):
            answers.accounts["credits_posted"] = 0
        (answer,) = ledger.submit(operations.transfer(700, debit=TREASURY, credit=SHOP, amount=1))
        frame = int(answer["place"]) >> PLACE_INDEX_BITS
        assert ledger.read(queries.accounts([SHOP]), at_least=frame).sequence == frame


def test_a_read_waits_for_the_frame_that_it_asks_for() -> None:
    place = Place()
    newest = place.frames
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(place.ledger.read, queries.accounts([SHOP]), at_least=newest + 2)
        for id in (700, 701):
            assert not waiting.done()
            place.ledger.submit(operations.transfer(id, debit=TREASURY, credit=SHOP, amount=1))
        answers = waiting.result(60)
        assert (answers.sequence, answers.balance(0)) == (newest + 2, 2)
        # A read of a frame that is never written gets an error when the ledger is closed.
        late = pool.submit(place.ledger.read, queries.accounts([SHOP]), at_least=newest + 100)
        time.sleep(0.02)
        place.ledger.close()
        with pytest.raises(UnavailableError, match="the ledger is closed"):
            late.result(60)
    with pytest.raises(UnavailableError, match="the ledger is closed"):
        place.ledger.balance(SHOP)


@pytest.mark.parametrize("function", ["answer", "page_lines"])
def test_a_defect_in_a_pass_fails_every_waiting_read(monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    """Reads that the writer had taken from the queue get an error, as do reads that wait for a later frame."""
    place = Place()

    def broken(*_: Any) -> None:
        raise SystemExit("broken")

    monkeypatch.setattr(queries, function, broken)
    pool = ThreadPoolExecutor(3)
    late = pool.submit(place.ledger.read, queries.accounts([SHOP]), at_least=place.frames + 100)
    waiting = [pool.submit(place.ledger.read, queries.accounts([each])) for each in (ANN, SHOP)]
    pool.shutdown(wait=False)
    for each in (*waiting, late):
        with pytest.raises(UnavailableError, match="the ledger stopped: broken"):
            each.result(60)
    place.ledger.close()


def test_reads_that_wait_share_passes_and_larger_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place()
    passes: list[int] = []
    answer = queries.answer
    monkeypatch.setattr(
        queries, "answer", lambda state, requests: passes.append(requests.size) or answer(state, requests)
    )
    many = queries.accounts([ANN] * 3_000)
    with ThreadPoolExecutor(6) as pool:
        with place.ledger.sequencer.reading():
            waiting = [pool.submit(place.ledger.read, many) for _ in range(6)]
            while len(place.ledger.sequencer.admission.queue._reads) < 6:
                time.sleep(0.001)
        assert {tuple(set(each.result(60).balances())) for each in waiting} == {(50,)}
    assert passes == [6_000] * 3
    with pytest.raises(UsageError, match="8,193 reads do not fit one pass"):
        place.ledger.read(queries.accounts([ANN] * 8_193))
    for wrong in ([ANN], np.zeros(3), None):
        with pytest.raises(UsageError, match="requests must be an array"):
            place.ledger.read(wrong)  # type: ignore[arg-type]
    place.ledger.close()


def test_coroutines_read_while_frames_are_written(tmp_path: Path) -> None:
    """Sums are correct in every result, since each is from one frame; a payer reads its own payment."""
    accounts = [TREASURY, ANN, BOB, SHOP]

    async def pay(async_ledger: Any, number: int) -> None:
        for turn in range(40):
            assert await async_ledger.transfer(TREASURY, accounts[1 + (number + turn) % 3], 1) is Result.CREATED
            if turn % 10 == 0:
                assert (await async_ledger.account(TREASURY)).balance <= 9_950 - 10 * (turn // 10)

    async def read(async_ledger: Any) -> None:
        newest = 0
        for _ in range(60):
            answers = await async_ledger.read(queries.accounts(accounts))
            assert sum(answers.balances()) == 10_000
            assert answers.sequence >= newest
            newest = answers.sequence
            assert 0 <= await async_ledger.balance(SHOP) <= 400

    async def main() -> None:
        async with ledger.asynchronous() as async_ledger:
            await asyncio.gather(
                *(pay(async_ledger, number) for number in range(10)), *(read(async_ledger) for _ in range(10))
            )
            with pytest.raises(UsageError, match="no account"):
                await async_ledger.balance(99)
            with pytest.raises(UsageError, match="no account"):
                await async_ledger.account(99)
            with pytest.raises(UsageError, match="account"):
                await async_ledger.balance("ann")

    with Ledger.open(tmp_path) as ledger:
        ledger.submit(opening())
        run(main())
        ledger.check()


def test_threads_read_while_frames_are_written(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.submit(opening())
        ended = threading.Event()

        def read() -> int:
            count = 0
            while not ended.is_set():
                answers = ledger.read(queries.accounts([TREASURY, ANN, BOB, SHOP]))
                assert sum(each or 0 for each in answers.balances()) == 10_000
                count += 1
            return count

        with ThreadPoolExecutor(4) as pool:
            readers = [pool.submit(read) for _ in range(4)]
            for number in range(200):
                assert ledger.transfer(TREASURY, (ANN, BOB, SHOP)[number % 3], 1) is Result.CREATED
            ended.set()
            assert all(reader.result(60) for reader in readers)


def test_pages_of_a_statement(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.submit(opening())
        for amount in range(1, 26):
            ledger.transfer(TREASURY, SHOP, amount)
        first = ledger.statement_page(SHOP, lines=10)
        ledger.transfer(TREASURY, SHOP, 1_000)
        second = ledger.statement_page(SHOP, lines=10, cursor=first.cursor)
        third = ledger.statement_page(SHOP, lines=10, cursor=second.cursor)
        amounts = [abs(int(amount)) for page in (first, second, third) for amount in page.lines["amount"]]
        assert amounts == list(range(25, 0, -1))
        assert third.cursor == 0
        with pytest.raises(UsageError, match="no account"):
            ledger.statement_page(99)


def test_more_balances_at_once_than_one_pass_answers(tmp_path: Path) -> None:
    async def main() -> None:
        async with ledger.asynchronous() as async_ledger:
            accounts = [ANN, BOB] * queries.READS_MAX
            assert await asyncio.gather(*map(async_ledger.balance, accounts)) == [50, 0] * queries.READS_MAX

    with Ledger.open(tmp_path) as ledger:
        ledger.submit(opening())
        run(main())


def test_coroutines_read_the_same_as_threads(tmp_path: Path) -> None:
    market = Market(tmp_path)
    ledger, ann = market.ledger, market.ann
    hold, payment, reversal = (ledger.new_id() for _ in range(3))
    ledger.hold(ann, market.shop, 500, until_ns=END_NS, id=hold)
    ledger.pay(ann, market.shop, 700, id=payment)
    ledger.transfer(market.shop, market.bob, 600)
    ledger.reverse(payment, 300, id=reversal)

    async def main() -> None:
        async with ledger.asynchronous() as async_ledger:
            assert await async_ledger.account(ann) == ledger.account(ann)
            assert await async_ledger.balance(ann) == ledger.balance(ann) == 10_000 - 700 + 100
            assert await async_ledger.find_hold(hold) == ledger.find_hold(hold) is not None
            assert await async_ledger.result_of(payment) == ledger.result_of(payment) is not None
            assert await async_ledger.unrecovered_of(reversal) == ledger.unrecovered_of(reversal) == 200
            assert await async_ledger.purse(1, 1) is ledger.purse(1, 1) is await async_ledger.purse(-1, 1) is None
            assert (await async_ledger.find_hold(payment), await async_ledger.result_of(1)) == (None, None)
            page = await async_ledger.statement_page(ann, lines=2)
            assert page.lines.tolist() == ledger.statement_page(ann, lines=2).lines.tolist()
            rest = await async_ledger.statement_page(ann, cursor=page.cursor)
            assert [*rest.lines["amount"][::-1], *page.lines["amount"][::-1]] == [10_000, -700, 100]
            for ask in (
                async_ledger.account(99),
                async_ledger.balance(99),
                async_ledger.statement_page(99),
                async_ledger.unrecovered_of(payment),
            ):
                with pytest.raises(UsageError):
                    await ask
            with pytest.raises(UsageError, match=r"at_least must be an integer from .*; got 0\.5"):
                await async_ledger.read(queries.accounts([ann]), at_least=0.5)  # type: ignore[arg-type]

    with ledger:
        run(main())


def test_a_closed_door_reads_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with ledger.asynchronous() as async_ledger:
            pass
        with pytest.raises(UnavailableError, match="closed"):
            await async_ledger.balance(ANN)

    with Ledger.open(tmp_path) as ledger:
        ledger.submit(opening())
        run(main())
