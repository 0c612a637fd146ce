"""Errors of asyncio callers when the ledger, their loop or their AsyncLedger is closed, and after failures."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.sequencer.gated import WAIT_S, Place, run, seen, settled
from tests.sequencer.small import ANN, BOB, SHOP, TREASURY, opening

from sycee.core.errors import UnavailableError, UsageError
from sycee.core.records import layout, operations
from sycee.core.result_codes import Result
from sycee.ledger import batch as batches
from sycee.sequencer.asynchronous import AsyncLedger
from sycee.sequencer.embedded import Ledger
from sycee.sequencer.event_loop import SINGLES_MAX


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place()
    yield place
    place.log.open.set()
    place.ledger.check()
    place.ledger.close()


# --- the end ---


def test_closing_answers_all_that_came_before() -> None:
    place = Place(operations_max=4)

    async def main() -> None:
        async_ledger = place.ledger.asynchronous()
        async with place.shut():
            tasks = [asyncio.create_task(async_ledger.transfer(TREASURY, SHOP, 1)) for _ in range(20)]
            await settled()
            closing = [asyncio.create_task(async_ledger.aclose()) for _ in range(2)]
            await settled()
            for refused in (async_ledger.transfer(TREASURY, SHOP, 1), async_ledger.submit(opening())):
                with pytest.raises(UnavailableError, match="closed"):
                    await refused
            with pytest.raises(UnavailableError, match="closed"):
                async_ledger.submit_nowait(opening())
            assert not any(task.done() for task in (*tasks, *closing))
            closing[1].cancel()
        await closing[0]
        assert [task.result() for task in tasks] == [Result.CREATED] * 20
        await async_ledger.aclose()
        with pytest.raises(UnavailableError, match="closed"):
            await async_ledger.transfer(TREASURY, SHOP, 1)
        async with place.ledger.asynchronous() as another:
            assert await another.transfer(TREASURY, SHOP, 1) is Result.CREATED

    run(main())


def test_closing_waits_for_an_empty_submission(place: Place) -> None:
    async def main() -> None:
        async_ledger = place.ledger.asynchronous()
        nothing = async_ledger.submit_nowait(b"")
        await async_ledger.aclose()
        assert nothing.result().size == 0

    run(main())


def test_closing_a_ledger_with_waiting_callers() -> None:
    place = Place(operations_max=5)

    async def main() -> None:
        async_ledger = place.ledger.asynchronous()
        async with place.shut():
            tasks = [asyncio.create_task(async_ledger.transfer(TREASURY, SHOP, 1)) for _ in range(20)]
            closing = asyncio.create_task(asyncio.to_thread(place.ledger.close))
            await seen(lambda: len(place.ledger.sequencer.admission.queue._calls) == 1)
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await closing
        for end in ended:
            assert end is Result.CREATED or "the ledger is closed" in str(end)
        with pytest.raises(UnavailableError, match="the ledger is closed"):
            await async_ledger.transfer(TREASURY, SHOP, 1)
        await async_ledger.aclose()

    run(main())


def test_a_loop_closed_while_a_frame_is_on_its_way(place: Place) -> None:
    loop = asyncio.new_event_loop()
    tasks: list[asyncio.Task[Any]] = []

    async def main() -> None:
        async_ledger = place.ledger.asynchronous()
        place.log.begun.clear()
        place.log.open.clear()
        tasks.append(asyncio.create_task(async_ledger.transfer(TREASURY, SHOP, 1, id=700)))
        await asyncio.to_thread(place.log.begun.wait, WAIT_S)
        tasks.append(asyncio.create_task(async_ledger.transfer(TREASURY, SHOP, 1, id=701)))
        await settled()

    loop.run_until_complete(main())
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    place.log.open.set()
    # Both were in the queue: no caller waits for their results, and they are found by their ids.
    assert place.ledger.transfer(TREASURY, SHOP, 1) is Result.CREATED
    assert place.ledger.result_of(700) is not None
    assert place.ledger.result_of(701) is not None
    tasks.clear()


def test_ctrl_c_ends_the_loop_and_the_ledger_continues(place: Place) -> None:
    async def main() -> None:
        async_ledger = place.ledger.asynchronous()
        await asyncio.gather(*(async_ledger.transfer(TREASURY, SHOP, 1) for _ in range(5)))
        tasks = [asyncio.create_task(async_ledger.transfer(TREASURY, SHOP, 1)) for _ in range(5)]
        await settled()
        assert tasks
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert place.ledger.transfer(TREASURY, SHOP, 1) is Result.CREATED


# --- errors go to the caller that caused them ---


def test_a_read_that_needs_too_much_does_not_affect_others(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sycee.sequencer.writer.available_bytes", lambda: 1 << 30)
    large = operations.open_programme(
        600, programme=1, funder=TREASURY, rule_set=1, members=1 << 30, claim_from_ns=0, claim_until_ns=1
    )
    no_zone = operations.define_currency(601, currency=978, zone="Europe/Atlantis")
    open_chain = operations.transfer(602, debit=ANN, credit=BOB, amount=1)
    open_chain["flags"] |= layout.LINKED

    async def main() -> None:
        async with place.ledger.asynchronous() as async_ledger:
            async with place.shut():
                calls: list[Callable[[], Coroutine[Any, Any, Any]]] = [
                    lambda: async_ledger.transfer(TREASURY, SHOP, 1),
                    lambda: async_ledger.submit(large),
                    lambda: async_ledger.submit(no_zone),
                    lambda: async_ledger.submit(open_chain),
                    lambda: async_ledger.submit(bytes(130)),
                    lambda: async_ledger.transfer(TREASURY, SHOP, 1),
                ]
                tasks = [asyncio.create_task(call()) for call in calls]
                await settled()
            first, memory, zone, chain, odd, last = await asyncio.gather(*tasks, return_exceptions=True)
            assert first is last is Result.CREATED
            assert isinstance(memory, UnavailableError)
            assert "memory cannot hold" in memory.message
            assert [type(error) for error in (zone, chain, odd)] == [UsageError] * 3

    run(main())
    assert place.ledger.balance(SHOP) == 3


def test_arguments_are_checked_before_anything_is_awaited(place: Place, tmp_path: Path) -> None:
    async def main() -> None:
        async with place.ledger.asynchronous() as async_ledger:
            for wrong in (1.5, True, None, 2**63):
                with pytest.raises(UsageError, match="amount"):
                    async_ledger.transfer(TREASURY, SHOP, wrong)  # type: ignore[arg-type]
            with pytest.raises(UsageError, match="integers of minor units"):
                async_ledger.transfer(TREASURY, SHOP, "1.00")
            with pytest.raises(UsageError, match="integers of minor units"):
                async_ledger.refund(1, "1.00")
            with pytest.raises(UsageError, match="array of operations"):
                await async_ledger.submit([1])  # type: ignore[arg-type]

    run(main())
    with pytest.raises(UsageError, match="no event loop"):
        place.ledger.asynchronous()
    for bound in ("operations_max", "bytes_max"):
        with pytest.raises(UsageError, match=bound):
            Ledger.open(tmp_path, **{bound: 0})


def test_it_belongs_to_one_loop(place: Place) -> None:
    async def made() -> AsyncLedger:
        return place.ledger.asynchronous()

    async def used(async_ledger: AsyncLedger) -> None:
        await async_ledger.transfer(TREASURY, SHOP, 1)

    with pytest.raises(UsageError, match="another event loop"):
        run(used(run(made())))


def test_a_disk_failure_is_raised_in_each_caller() -> None:
    place = Place(operations_max=5)

    async def main() -> None:
        async with place.ledger.asynchronous() as async_ledger:
            place.disk.fail_sync_at = place.disk.operations["fdatasync"] + 1
            tasks = [asyncio.create_task(async_ledger.transfer(TREASURY, SHOP, 1)) for _ in range(10)]
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(end, UnavailableError) for end in ended)
            assert len({id(end) for end in ended}) == 10
            with pytest.raises(UnavailableError, match="the ledger stopped at frame"):
                await async_ledger.transfer(TREASURY, SHOP, 1)

    run(main())
    place.ledger.close()


def test_a_group_without_memory_fails_its_own_callers(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The callers of the group get the error; a batch of the same iteration is written, and `aclose` does not wait."""

    def none_left(_: Any) -> Any:
        raise MemoryError

    async def main() -> None:
        async with place.ledger.asynchronous() as async_ledger:
            with monkeypatch.context() as patched:
                patched.setattr(batches, "prepare_singles", none_left)
                tasks = [asyncio.create_task(async_ledger.transfer(TREASURY, SHOP, 1)) for _ in range(3)]
                await asyncio.sleep(0)
                one = operations.transfer(1, debit=TREASURY, credit=SHOP, amount=1)
                batch = async_ledger.submit_nowait(one)
                ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(end) for end in ended] == [UnavailableError] * 3
            assert (await batch)["code"] == [Result.CREATED]

    run(main())


def test_more_single_payments_than_one_entry_holds(place: Place) -> None:
    async def main() -> None:
        async with place.ledger.asynchronous() as async_ledger:
            payments = [async_ledger.transfer(TREASURY, SHOP, 1, id=9_000 + n) for n in range(2 * SINGLES_MAX + 7)]
            assert set(await asyncio.gather(*payments)) == {Result.CREATED}

    run(main())
    assert place.order_of(*range(9_000, 9_000 + 2 * SINGLES_MAX + 7)) == [*range(9_000, 9_000 + 2 * SINGLES_MAX + 7)]


def test_a_machine_error_is_raised_in_each_caller(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of several entries in a frame is tried separately, and raises its own error.

    Single payments of one iteration of the loop are one entry.
    """
    calls: list[int] = []

    def none_left(batch: Any, **_: Any) -> int:
        calls.append(batch.size)
        raise MemoryError

    async def main() -> None:
        async with place.ledger.asynchronous() as async_ledger:
            with monkeypatch.context() as patched:
                patched.setattr(place.ledger.sequencer.state, "reserve", none_left)
                tasks = [asyncio.create_task(async_ledger.transfer(TREASURY, SHOP, 1)) for _ in range(3)]
                one = operations.transfer(1, debit=TREASURY, credit=SHOP, amount=1)
                tasks += [asyncio.ensure_future(async_ledger.submit(one)) for _ in range(2)]
                ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(end) for end in ended] == [UnavailableError] * 3 + [MemoryError] * 2
            assert all(isinstance(end.__cause__, MemoryError) for end in ended[:3])
            assert len({id(end) for end in ended}) == 5
            assert await async_ledger.transfer(TREASURY, SHOP, 1) is Result.CREATED

    run(main())
    assert calls == [5, 3, 1, 1]


def test_the_interpreters_switch_interval_is_unchanged(tmp_path: Path) -> None:
    before = sys.getswitchinterval()

    async def main() -> None:
        async with ledger.asynchronous() as async_ledger:
            await async_ledger.submit(opening())
            assert sys.getswitchinterval() == before

    with Ledger.open(tmp_path / "ledger") as ledger:
        asyncio.run(main())
