"""Many asyncio callers of one ledger: one frame for many, each operation once, and no caller blocks forever."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sequencer.gated import Place, run, seen, settled
from tests.sequencer.small import ANN, BOB, ISSUANCE, SHOP, TREASURY, opening, some_ids

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.errors import UnavailableError
from sycee.core.keys import SigningKey
from sycee.core.limits import FRAME_RECORDS_MAX
from sycee.core.records import layout, operations
from sycee.core.records.layout import AccountKind, Role
from sycee.core.result_codes import Result
from sycee.journal import Journal
from sycee.sequencer.asynchronous import AsyncLedger
from sycee.sequencer.embedded import Ledger, Signer
from sycee.testing.naive import NaiveLedger

PARENT = 0x0193_0E2C_5A00_7ABC_8DEF_0123_4567_89AB  # an id of version 7


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place()
    yield place
    place.log.open.set()
    place.ledger.check()
    place.ledger.close()


# --- one frame for many ---


def test_a_method_returns_its_result_once_it_is_durable(place: Place) -> None:
    async def main() -> None:
        async with place.ledger.asynchronous() as async_ledger:
            before = place.frames
            assert await async_ledger.transfer(TREASURY, SHOP, 25, id=700) is Result.CREATED
            assert place.frames == before + 1
            assert await async_ledger.transfer(TREASURY, SHOP, 25, id=700) is Result.EXISTS
            assert await async_ledger.pay(ANN, SHOP, 51) is Result.EXCEEDS_BALANCE
            assert await async_ledger.transfer(ANN, ANN, 5) is Result.ACCOUNTS_MUST_BE_DIFFERENT
            held = async_ledger.new_id()
            assert await async_ledger.hold(ANN, SHOP, 5, until_ns=2**62, id=held) is Result.CREATED
            assert await async_ledger.void(held, by=SHOP) is Result.CREATED
        assert place.ledger.balance(SHOP) == 25

    run(main())


def test_concurrent_operations_are_one_frame(place: Place) -> None:
    async def main() -> None:
        async with place.ledger.asynchronous() as async_ledger:
            before = place.frames
            results = await asyncio.gather(*(async_ledger.transfer(TREASURY, SHOP, 1) for _ in range(200)))
            assert results == [Result.CREATED] * 200
            assert place.frames == before + 1

    run(main())


def test_payments_of_one_iteration_get_ids_in_order_of_arrival(place: Place) -> None:
    """Also beside payments with an id of their own; ids of a block of `derived_from` follow from its id."""

    async def main(amount: int) -> None:
        async with place.ledger.asynchronous() as async_ledger:

            def pay(number: int) -> asyncio.Task[Result]:
                id = 7_000 + number if number == 3 else None
                return asyncio.create_task(async_ledger.transfer(TREASURY, SHOP, amount + number, id=id))

            async def derived() -> Result:
                with ids.derived_from(PARENT):
                    return await async_ledger.transfer(TREASURY, SHOP, amount + 9)

            results = await asyncio.gather(asyncio.create_task(derived()), *map(pay, range(8)))
            assert set(results) == {Result.CREATED}

    run(main(100))
    records = place.records()[-9:]
    assert records["amount"].tolist() == [109, *range(100, 108)]
    derived, *made = [ids.join(record["id_low"], record["id_high"]) for record in records]
    with ids.derived_from(PARENT):
        assert derived == ids.new(0)
    assert made.pop(3) == 7_003
    assert made == sorted(set(made))
    assert {id >> 76 & 15 for id in made} == {7}  # the version of UUIDv7
    assert {id >> 80 for id in made} != {0}  # the time, in milliseconds


def test_a_block_of_derived_ids_gives_none_to_other_callers(place: Place) -> None:
    """A batch in a block puts the pending payments of others into the queue; the block is then repeated."""

    async def main() -> None:
        async with place.ledger.asynchronous() as async_ledger:

            async def request() -> Array:
                with ids.derived_from(PARENT):
                    record = operations.transfer(ids.new(0), debit=TREASURY, credit=SHOP, amount=7)
                    return await async_ledger.submit(record)

            for codes in (Result.CREATED, Result.EXISTS):
                other = asyncio.create_task(async_ledger.transfer(TREASURY, SHOP, 100))
                assert (await asyncio.create_task(request()))["code"] == [codes]
                assert await other is Result.CREATED

    run(main())
    assert place.ledger.balance(SHOP) == 207


def test_operations_that_arrive_during_a_frame_share_the_next(place: Place) -> None:
    """Also from two event loops and from threads."""
    before = place.frames

    async def caller(tasks: int) -> None:
        async with place.ledger.asynchronous() as async_ledger:
            await asyncio.gather(*(async_ledger.transfer(TREASURY, SHOP, 1) for _ in range(tasks)))

    async def main() -> None:
        async with place.shut():
            thread = asyncio.create_task(asyncio.to_thread(place.ledger.transfer, TREASURY, SHOP, 1))
            loop = asyncio.create_task(asyncio.to_thread(run, caller(50)))
            here = asyncio.create_task(caller(100))
            await seen(lambda: place.waiting == 151)
        await asyncio.gather(thread, loop, here)
        assert place.ledger.balance(SHOP) == 1 + 1 + 50 + 100
        assert place.frames == before + 2

    run(main())


def test_more_than_a_frame_holds_is_several(place: Place) -> None:
    async def main() -> None:
        many = operations.transfer(some_ids("many", 2 * FRAME_RECORDS_MAX), debit=ANN, credit=BOB, amount=1)
        async with place.ledger.asynchronous() as async_ledger:
            async with place.shut():
                before = place.frames
                tasks = [
                    asyncio.create_task(async_ledger.transfer(TREASURY, SHOP, 1)) for _ in range(FRAME_RECORDS_MAX - 1)
                ]
                tasks.append(asyncio.create_task(async_ledger.submit(many)))  # type: ignore[arg-type]
                await settled()
            *singles, answers = await asyncio.gather(*tasks)
            assert set(singles) == {Result.CREATED}
            assert answers["code"].tolist() == [Result.CREATED] * 50 + [Result.EXCEEDS_BALANCE] * (len(many) - 50)
            assert place.frames - before == 1 + 1 + 2
            assert (await async_ledger.submit(many[:0])).size == 0

    run(main())


# --- each once, and in order ---


async def some_caller(async_ledger: AsyncLedger, number: int) -> list[tuple[Array, Array]]:
    """Submit at random: single operations, batches, chains, repetitions, refused and malformed ones."""
    chance = random.Random(number)
    done: list[tuple[Array, Array]] = []
    for turn in range(20):
        ends = [chance.sample((TREASURY, ANN, BOB, SHOP), 2) for _ in range(chance.randint(1, 4))]
        parts = [
            operations.transfer(10_000 + number * 1_000 + turn * 10 + at, debit=debit, credit=credit, amount=amount)
            for at, (debit, credit) in enumerate(ends)
            for amount in [chance.randint(0, 40)]
        ]
        kind = chance.choice(("one", "bulk", "chain", "bytes", "again"))
        if kind == "one":
            parts = parts[:1]
            (one,) = parts
            low = {name: int(one[f"{name}_low"][0]) for name in ("debit", "credit", "id")}
            result = await async_ledger.transfer(low["debit"], low["credit"], int(one["amount"][0]), id=low["id"])
            answers = np.zeros(1, layout.ANSWER)
            answers["code"] = result
        elif kind == "again" and done:
            parts = [done[-1][0]]
            answers = await async_ledger.submit(parts[0])
        elif kind == "chain":
            parts = [operations.chain(*parts)]
            answers = await async_ledger.submit(parts[0])
        else:
            records = np.concatenate(parts)
            answers = await async_ledger.submit(records.tobytes() if kind == "bytes" else records)
        done.append((np.concatenate(parts), answers))
        if chance.random() < 0.3:
            await asyncio.sleep(0)
    return done


@pytest.mark.parametrize("seed", range(3))
def test_each_caller_is_answered_as_the_naive_twin_answers(seed: int) -> None:
    place = Place(operations_max=7)

    async def main() -> list[list[tuple[Array, Array]]]:
        async with place.ledger.asynchronous() as async_ledger, place.ledger.asynchronous() as other:
            ledgers = (async_ledger, other)
            return await asyncio.gather(*(some_caller(ledgers[n % 2], 100 * seed + n) for n in range(12)))

    callers = run(main())
    twin = NaiveLedger()
    expected: dict[int, list[int]] = {}  # by id: the twin's results in the order of the journal
    for frame in Journal.open(place.disk, read_only=True).recover():
        records = np.frombuffer(frame.records.tobytes(), layout.OPERATION)
        answers = twin.apply(frame.sequence, frame.time_ns, records, frame.calendar)
        for record, (code, _) in zip(records, answers, strict=True):
            expected.setdefault(int(record["id_low"]), []).append(code)
    assert twin.digest() == place.ledger.digest()
    places = {int(row["id_low"]): int(row["place"]) for row in place.ledger.sequencer.state.bound}
    for done in callers:
        newest = 0
        for records, answers in done:
            for id, code in zip(records["id_low"].tolist(), answers["code"].tolist(), strict=True):
                assert code in NOT_JOURNALED or code in expected[id]
                if code not in NOT_JOURNALED:
                    assert newest <= places[id], "a caller's operations keep their order"
                    newest = places[id]


NOT_JOURNALED = (
    Result.EXISTS, Result.AMOUNT_MUST_BE_POSITIVE, Result.CHAIN_BROKEN, Result.EXISTS_WITH_DIFFERENT_CONTENT,
)  # fmt: skip


def test_a_chain_is_whole(place: Place) -> None:
    async def main() -> None:
        async with place.ledger.asynchronous() as async_ledger:
            async with async_ledger.chain() as both:
                both.transfer(ANN, BOB, 50)
                both.transfer(BOB, SHOP, 51)
            assert both.results == [Result.LINKED_FAILED, Result.EXCEEDS_BALANCE]
            with contextlib.suppress(ZeroDivisionError):
                async with async_ledger.chain() as both:
                    both.transfer(ANN, BOB, 50)
                    raise ZeroDivisionError
            async with async_ledger.chain():
                pass
        assert place.ledger.balance(ANN) == 50

    run(main())


def test_signers_sign(tmp_path: Path) -> None:
    keys = {person: SigningKey.generate() for person in (501, 502)}
    ledger = Ledger.open(tmp_path)
    ledger.submit(opening())
    reserve = ledger.open_account("CNY", AccountKind.RESERVE)
    for person in keys:
        ledger.grant_role(person, Role.OFFICER, keys[person].public)
    one, other = (Signer(person, key) for person, key in keys.items())

    async def main() -> None:
        async with ledger.asynchronous() as async_ledger:
            both = async_ledger.signed_by(one, other)
            results = await asyncio.gather(
                async_ledger.transfer(ISSUANCE, reserve, 1),
                both.transfer(ISSUANCE, reserve, 2),
                async_ledger.signed_by(one).transfer(ISSUANCE, reserve, 4),
                both.refund(1, 2),
            )
            assert [result is Result.CREATED for result in results] == [False, True, False, False]
            assert ledger.balance(reserve) == 2
            assert (await both.submit(operations.define_group(700, group=1)))["code"] == [Result.CREATED]

    run(main())
    ledger.close()


# --- too much at once ---


def test_callers_without_space_wait_in_order() -> None:
    place = Place(operations_max=4)  # one is in the blocked frame

    async def main() -> None:
        async with place.ledger.asynchronous() as async_ledger:
            async with place.shut():
                tasks = [asyncio.create_task(async_ledger.transfer(TREASURY, SHOP, 1, id=700 + n)) for n in range(20)]
                await settled()
                assert place.waiting == 3
                with pytest.raises(UnavailableError, match="busy: 4 operations of 512 bytes wait"):
                    async_ledger.submit_nowait(operations.transfer(800, debit=TREASURY, credit=SHOP, amount=1))
            assert await asyncio.gather(*tasks) == [Result.CREATED] * 20
            later = async_ledger.submit_nowait(operations.transfer(800, debit=TREASURY, credit=SHOP, amount=1))
            assert (await later)["code"] == [Result.CREATED]
        assert place.order_of(*range(700, 721), 800) == [*range(700, 720), 800]

    run(main())


def test_a_new_caller_waits_behind_admitted_ones() -> None:
    place = Place(operations_max=1)

    async def main() -> None:
        async with place.ledger.asynchronous() as async_ledger:

            async def twice() -> None:
                await async_ledger.transfer(TREASURY, SHOP, 1, id=700)
                # After the next waiter was admitted and before it runs.
                await async_ledger.transfer(TREASURY, SHOP, 1, id=702)

            await asyncio.gather(twice(), async_ledger.transfer(TREASURY, SHOP, 1, id=701))
        assert place.order_of(700, 701, 702) == [700, 701, 702]

    run(main())


def test_bytes_are_limited_as_well_and_a_larger_entry_is_admitted() -> None:
    place = Place(bytes_max=1_000)

    async def main() -> None:
        async with place.ledger.asynchronous() as async_ledger:
            async with place.shut():
                bulk = operations.transfer(some_ids("bulk", 100), debit=TREASURY, credit=SHOP, amount=1)
                tasks = [asyncio.create_task(async_ledger.submit(bulk[at : at + 20])) for at in range(0, 100, 20)]
                await settled()
                assert place.waiting == 20
            answers = np.concatenate(await asyncio.gather(*tasks))
            assert (answers["code"] == Result.CREATED).all()

    run(main())


# --- cancelled at every step ---


def test_cancelled_before_the_writer_pops_it(place: Place) -> None:
    """The first is in the current frame when it is cancelled, the others wait for the next."""

    async def main() -> None:
        async with place.ledger.asynchronous() as async_ledger:
            async with place.shut_on(async_ledger.transfer(TREASURY, SHOP, 1, id=700)) as taken:
                tasks = [asyncio.create_task(async_ledger.transfer(TREASURY, SHOP, 1, id=701 + n)) for n in range(5)]
                unstarted = asyncio.create_task(async_ledger.transfer(TREASURY, SHOP, 1, id=710))
                unstarted.cancel()
                await settled()
                for task in (taken, tasks[0], tasks[2], tasks[4]):
                    task.cancel()
                await settled()
            assert await tasks[1] is await tasks[3] is Result.CREATED
            ended = await asyncio.gather(taken, *tasks[::2], unstarted, return_exceptions=True)
            assert all(isinstance(end, asyncio.CancelledError) for end in ended)
        assert place.order_of(*range(700, 711)) == [700, 702, 704]
        bound = place.ledger.result_of(700)
        assert bound is not None
        assert bound.result is Result.CREATED
        assert place.ledger.result_of(701) is None

    run(main())


def test_all_that_waits_is_cancelled(place: Place) -> None:
    async def main() -> None:
        async with place.ledger.asynchronous() as async_ledger:
            async with place.shut_on(async_ledger.transfer(TREASURY, SHOP, 1, id=700)) as taken:
                tasks = [asyncio.create_task(async_ledger.transfer(TREASURY, SHOP, 1, id=701 + n)) for n in range(5)]
                await settled()
                for task in tasks:
                    task.cancel()
            assert await taken is Result.CREATED
            before = place.frames
            assert await async_ledger.transfer(TREASURY, SHOP, 1, id=720) is Result.CREATED
            assert place.frames == before + 1
        assert place.order_of(*range(700, 721)) == [700, 720]

    run(main())


def test_cancelled_while_waiting_for_space() -> None:
    place = Place(operations_max=3)

    async def main() -> None:
        async with place.ledger.asynchronous() as async_ledger:
            async with place.shut():
                tasks = [asyncio.create_task(async_ledger.transfer(TREASURY, SHOP, 1, id=700 + n)) for n in range(8)]
                await settled()
                tasks[3].cancel()
                tasks[7].cancel()
                await settled()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert [at for at, end in enumerate(ended) if isinstance(end, asyncio.CancelledError)] == [3, 7]
        assert place.order_of(*range(700, 708)) == [700, 701, 702, 704, 705, 706]

    run(main())


def test_cancelled_in_the_moment_of_being_called() -> None:
    """The caller that was admitted is cancelled: the next in the queue must not wait forever."""
    place = Place(operations_max=1)

    async def main() -> None:
        async with place.ledger.asynchronous() as async_ledger:

            async def first() -> None:
                await async_ledger.transfer(TREASURY, SHOP, 1, id=700)
                tasks[1].cancel()

            calls = [first(), *(async_ledger.transfer(TREASURY, SHOP, 1, id=701 + n) for n in range(2))]
            tasks = [asyncio.create_task(call) for call in calls]
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(ended[1], asyncio.CancelledError)
            assert ended[2] is Result.CREATED
        assert place.order_of(700, 701, 702) == [700, 702]

    run(main())


@pytest.mark.parametrize("seed", range(4))
def test_cancelled_at_any_moment(seed: int) -> None:
    """Operations with results are journaled, each once, and callers that were not cancelled get results."""
    chance = random.Random(seed)
    place = Place(operations_max=chance.choice((2, 5, 100)))

    async def main() -> list[Any]:
        async with place.ledger.asynchronous() as async_ledger:
            tasks: list[asyncio.Task[Any]] = []
            for number in range(150):
                if chance.random() < 0.8:
                    tasks.append(asyncio.create_task(async_ledger.transfer(TREASURY, SHOP, 1, id=1_000 + number)))
                else:
                    record = operations.transfer(1_000 + number, debit=TREASURY, credit=SHOP, amount=1)
                    tasks.append(asyncio.create_task(async_ledger.submit(record)))
                if chance.random() < 0.3:
                    chance.choice(tasks).cancel()
                if chance.random() < 0.2:
                    await asyncio.sleep(chance.choice((0, 0, 0.001)))
            return await asyncio.gather(*tasks, return_exceptions=True)

    ended = run(main())
    journaled = [id for id in place.records()["id_low"].tolist() if 1_000 <= id < 1_150]
    assert len(set(journaled)) == len(journaled)
    for number, end in enumerate(ended):
        if isinstance(end, asyncio.CancelledError):
            continue
        assert not isinstance(end, BaseException), end
        assert 1_000 + number in journaled
    assert place.ledger.balance(SHOP) == len(journaled)
