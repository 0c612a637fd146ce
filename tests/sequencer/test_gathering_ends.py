"""What asyncio callers are told when the ledger, their loop or their door is closed, and when something is wrong."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.sequencer.gated import WAIT_S, Place, run, seen, settled
from tests.sequencer.small import ANN, BOB, SHOP, TREASURY, Array, opening

from sycee.core.codes import Result
from sycee.core.errors import UnavailableError, UsageError
from sycee.ledger import layout, operations
from sycee.sequencer import gathering
from sycee.sequencer.asynchronous import AsyncLedger
from sycee.sequencer.embedded import Ledger
from sycee.sequencer.sequencer import Interrupted


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place()
    yield place
    place.log.open.set()
    place.ledger.check()
    place.ledger.close()


# --- the end ---


def test_closing_answers_all_that_came_before(place: Place) -> None:
    async def main() -> None:
        door = place.ledger.asynchronous(operations_max=4)
        async with place.shut():
            tasks = [asyncio.create_task(door.transfer(TREASURY, SHOP, 1)) for _ in range(20)]
            await settled()
            closing = [asyncio.create_task(door.aclose()) for _ in range(2)]
            await settled()
            for refused in (door.transfer(TREASURY, SHOP, 1), door.submit(opening())):
                with pytest.raises(UnavailableError, match="closed"):
                    await refused
            with pytest.raises(UnavailableError, match="closed"):
                door.submit_nowait(opening())
            assert not any(task.done() for task in (*tasks, *closing))
            closing[1].cancel()
        await closing[0]
        assert [task.result() for task in tasks] == [Result.CREATED] * 20
        await door.aclose()
        with pytest.raises(UnavailableError, match="closed"):
            await door.transfer(TREASURY, SHOP, 1)
        async with place.ledger.asynchronous() as another:
            assert await another.transfer(TREASURY, SHOP, 1) is Result.CREATED

    run(main())


def test_closing_waits_for_who_asked_for_nothing(place: Place) -> None:
    async def main() -> None:
        door = place.ledger.asynchronous()
        nothing = door.submit_nowait(b"")
        await door.aclose()
        assert nothing.result().size == 0

    run(main())


def test_a_ledger_closed_over_those_who_wait() -> None:
    place = Place()

    async def main() -> None:
        door = place.ledger.asynchronous(operations_max=4)
        async with place.shut():
            tasks = [asyncio.create_task(door.transfer(TREASURY, SHOP, 1)) for _ in range(20)]
            closing = asyncio.create_task(asyncio.to_thread(place.ledger.close))
            await seen(lambda: len(place.ledger.sequencer._waiting) == 1)
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await closing
        for end in ended:
            assert end is Result.CREATED or "the ledger is closed" in str(end)
        with pytest.raises(UnavailableError, match="the ledger is closed"):
            await door.transfer(TREASURY, SHOP, 1)
        await door.aclose()

    run(main())


def test_a_loop_closed_while_a_frame_is_on_its_way(place: Place) -> None:
    loop = asyncio.new_event_loop()
    tasks: list[asyncio.Task[Any]] = []

    async def main() -> None:
        door = place.ledger.asynchronous()
        place.log.begun.clear()
        place.log.open.clear()
        tasks.append(asyncio.create_task(door.transfer(TREASURY, SHOP, 1, id=700)))
        await asyncio.to_thread(place.log.begun.wait, WAIT_S)
        tasks.append(asyncio.create_task(door.transfer(TREASURY, SHOP, 1, id=701)))
        await settled()
        workers.append(door._gatherer._worker)

    workers: list[Any] = []
    loop.run_until_complete(main())
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    place.log.open.set()
    workers[0].shutdown(wait=True)
    assert place.ledger.result_of(700) is not None
    assert place.ledger.result_of(701) is None
    assert place.ledger.transfer(TREASURY, SHOP, 1) is Result.CREATED
    tasks.clear()


def test_ctrl_c_ends_the_loop_and_the_ledger_goes_on(place: Place) -> None:
    async def main() -> None:
        door = place.ledger.asynchronous()
        await asyncio.gather(*(door.transfer(TREASURY, SHOP, 1) for _ in range(5)))
        tasks = [asyncio.create_task(door.transfer(TREASURY, SHOP, 1)) for _ in range(5)]
        await settled()
        assert tasks
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert place.ledger.transfer(TREASURY, SHOP, 1) is Result.CREATED


# --- errors go to whom they concern ---


def test_one_who_asks_too_much_spoils_it_for_nobody(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sycee.sequencer.sequencer.available_bytes", lambda: 1 << 30)
    large = operations.open_programme(
        600, programme=1, funder=TREASURY, rule_set=1, members=1 << 30, claim_from_ns=0, claim_until_ns=1
    )
    no_zone = operations.define_currency(601, currency=978, zone="Europe/Atlantis")
    open_chain = operations.transfer(602, debit=ANN, credit=BOB, amount=1)
    open_chain["flags"] |= layout.LINKED

    async def main() -> None:
        async with place.ledger.asynchronous() as door:
            async with place.shut():
                calls: list[Callable[[], Coroutine[Any, Any, Any]]] = [
                    lambda: door.transfer(TREASURY, SHOP, 1),
                    lambda: door.submit(large),
                    lambda: door.submit(no_zone),
                    lambda: door.submit(open_chain),
                    lambda: door.submit(bytes(130)),
                    lambda: door.transfer(TREASURY, SHOP, 1),
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


def test_arguments_are_looked_at_before_anything_is_awaited(place: Place) -> None:
    async def main() -> None:
        async with place.ledger.asynchronous() as door:
            for wrong in (1.5, True, None, 2**63):
                with pytest.raises(UsageError, match="amount"):
                    door.transfer(TREASURY, SHOP, wrong)  # type: ignore[arg-type]
            with pytest.raises(UsageError, match="integers of minor units"):
                door.transfer(TREASURY, SHOP, "1.00")
            with pytest.raises(UsageError, match="integers of minor units"):
                door.refund(1, "1.00")
            with pytest.raises(UsageError, match="array of operations"):
                await door.submit([1])  # type: ignore[arg-type]

    run(main())
    with pytest.raises(UsageError, match="no event loop"):
        place.ledger.asynchronous()
    with pytest.raises(UsageError, match="operations_max"):
        place.ledger.asynchronous(operations_max=0)


def test_it_belongs_to_one_loop(place: Place) -> None:
    async def made() -> AsyncLedger:
        return place.ledger.asynchronous()

    async def used(door: AsyncLedger) -> None:
        await door.transfer(TREASURY, SHOP, 1)

    with pytest.raises(UsageError, match="another event loop"):
        run(used(run(made())))


def test_a_disk_that_fails_is_told_to_each() -> None:
    place = Place()

    async def main() -> None:
        async with place.ledger.asynchronous(operations_max=5) as door:
            place.disk.fail_sync_at = place.disk.operations["fdatasync"] + 1
            tasks = [asyncio.create_task(door.transfer(TREASURY, SHOP, 1)) for _ in range(10)]
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(end, UnavailableError) for end in ended)
            assert len({id(end) for end in ended}) == 10
            with pytest.raises(UnavailableError, match="the ledger stopped at frame"):
                await door.transfer(TREASURY, SHOP, 1)

    run(main())
    place.ledger.close()


@pytest.mark.parametrize("error", [Interrupted("interrupted"), KeyboardInterrupt(), MemoryError()])
def test_what_comes_between_is_told_and_nobody_waits_for_ever(
    place: Place, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """Another thread that led was interrupted, or this one was."""
    sequencer, submit = place.ledger.sequencer, place.ledger.sequencer.submit_checked
    calls = 0

    def interrupted(asked: Any) -> Array:
        nonlocal calls
        calls += 1
        if asked.operations.size > 1 or isinstance(error, MemoryError):
            raise error
        return submit(asked)

    async def main() -> None:
        async with place.ledger.asynchronous() as door:
            monkeypatch.setattr(sequencer, "submit_checked", interrupted)
            tasks = [asyncio.create_task(door.transfer(TREASURY, SHOP, 1)) for _ in range(3)]
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            expected = "could not take this" if isinstance(error, MemoryError) else "it may have taken this request"
            assert all(isinstance(end, UnavailableError) and expected in end.message for end in ended)

    run(main())
    assert calls == (4 if isinstance(error, MemoryError) else 1)


def test_threads_change_over_quickly_while_anybody_gathers(tmp_path: Path) -> None:
    before = sys.getswitchinterval()

    async def main() -> None:
        async with ledger.asynchronous() as door:
            async with ledger.asynchronous():
                assert sys.getswitchinterval() == pytest.approx(gathering.SWITCH_S)
            assert sys.getswitchinterval() == pytest.approx(gathering.SWITCH_S)
            await door.aclose()
            await door.aclose()
            assert sys.getswitchinterval() == pytest.approx(before)

    with Ledger.open(tmp_path / "ledger") as ledger:
        asyncio.run(main())
    assert sys.getswitchinterval() == pytest.approx(before)
