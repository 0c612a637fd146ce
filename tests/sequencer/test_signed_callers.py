"""Signatures verified before the writer, by workers or in this process: each payment once, in order, never unsigned."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sequencer.gated import run
from tests.sequencer.small import ANN, BOB, ISSUANCE, SHOP, TREASURY, opening

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.errors import BusyError, UnavailableError, UsageError
from sycee.core.keys import SigningKey
from sycee.core.limits import PLACE_INDEX_BITS
from sycee.core.records import operations
from sycee.core.records.envelopes import sign
from sycee.core.records.layout import Role
from sycee.core.result_codes import Result
from sycee.sequencer.embedded import Ledger, Signer

UNTIL_NS = 2**62
OFFICERS = {person: SigningKey.derive(bytes([person]) * 32) for person in (50, 51)}
PHONE, NEW_PHONE = (SigningKey.derive(bytes([number]) * 32) for number in (1, 2))


@pytest.fixture(params=[0, 2])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger", signature_workers=request.param) as ledger:
        ledger.submit(opening())
        ledger.transfer(TREASURY, ANN, 1_000)
        for person, key in OFFICERS.items():
            ledger.grant_role(person, Role.OFFICER, key.public)
        officers(ledger).set_key(ANN, PHONE.public)
        yield ledger
        ledger.check()


def officers(ledger: Ledger) -> Ledger:
    return ledger.signed_by(*(Signer(person, key) for person, key in OFFICERS.items()))


def payment(id: int, amount: int = 1) -> Array:
    return operations.transfer(id, debit=ANN, credit=SHOP, amount=amount)


def signed(ledger: Ledger, record: Array, key: SigningKey = PHONE, *, epoch: int = 1) -> bytes:
    return sign(record, ledger.ledger_id, ANN, key, UNTIL_NS, currency=156, key_epoch=epoch).encode()


def test_signed_and_unsigned_callers_at_once(ledger: Ledger) -> None:
    wrong = SigningKey.derive(b"\7" * 32)

    async def main() -> None:
        async with ledger.asynchronous() as async_ledger:
            good = [payment(1_000 + n) for n in range(150)]
            bad = [payment(2_000 + n) for n in range(20)]
            envelopes = [signed(ledger, record) for record in good]
            results = await asyncio.gather(
                *(async_ledger.submit_signed(r.tobytes(), e) for r, e in zip(good, envelopes, strict=True)),
                *(async_ledger.submit_signed(r.tobytes(), signed(ledger, r, wrong)) for r in bad),
                *(async_ledger.transfer(ANN, SHOP, 1) for _ in range(20)),
                async_ledger.submit_signed(bad[0].tobytes(), envelopes[0]),
            )
            assert results[:150] == [Result.CREATED] * 150
            assert set(results[150:170]) == {Result.SIGNATURE_INVALID}
            assert set(results[170:190]) == {Result.NOT_AUTHORISED}
            assert results[190] is Result.SIGNATURE_INVALID
            again = await async_ledger.submit_signed(good[0].tobytes(), envelopes[0])
            assert again is Result.EXISTS
            chain = operations.chain(payment(3_000), payment(3_001))
            both = [sign(chain, ledger.ledger_id, ANN, PHONE, UNTIL_NS, currency=156, key_epoch=1)]
            assert (await async_ledger.submit(chain, both))["code"].tolist() == [Result.CREATED] * 2
            for record, envelope in ((b"", envelopes[0]), (good[0].tobytes(), b"1")):
                with pytest.raises(UsageError, match="128 and 104 bytes"):
                    await async_ledger.submit_signed(record, envelope)

    run(main())
    assert ledger.balance(SHOP) == 152


def test_operations_keep_the_order_in_which_they_were_submitted(ledger: Ledger) -> None:
    """A large signed batch needs long to verify, but later submissions still follow it."""
    many = np.concatenate([payment(1_000 + n) for n in range(300)])
    envelopes = [
        sign(many[at : at + 1], ledger.ledger_id, ANN, PHONE, UNTIL_NS, first=at, currency=156, key_epoch=1)
        for at in range(300)
    ]

    async def main() -> None:
        async with ledger.asynchronous() as async_ledger:
            first = async_ledger.submit_nowait(many, envelopes)
            record = payment(5_000)
            rest = [
                async_ledger.submit_signed(record.tobytes(), signed(ledger, record)),
                async_ledger.submit(operations.define_group(5_001, group=1)),
            ]
            await asyncio.gather(first, *rest)

    run(main())
    bound = ledger.sequencer.state.bound
    places = {int(row["id_low"]): int(row["place"]) for row in bound if int(row["id_high"]) == 0}
    assert places[1_299] < places[5_000]


def test_a_key_that_is_replaced_while_payments_wait(ledger: Ledger) -> None:
    """Each payment is checked with the key that applies in its frame, though it was verified with an earlier one."""
    board = officers(ledger)
    created: list[int] = []
    refused: list[int] = []
    replaced = threading.Event()

    async def main() -> None:
        async with ledger.asynchronous() as async_ledger:
            records = [payment(1_000 + n) for n in range(400)]
            calls = [asyncio.create_task(async_ledger.submit_signed(r.tobytes(), signed(ledger, r))) for r in records]
            await asyncio.sleep(0)
            await asyncio.to_thread(board.set_key, ANN, NEW_PHONE.public)
            replaced.set()
            for record, result in zip(records, await asyncio.gather(*calls), strict=True):
                (created if result is Result.CREATED else refused).append(int(record["id_low"][0]))
            late = payment(9_000)
            assert await async_ledger.submit_signed(late.tobytes(), signed(ledger, late)) is not Result.CREATED
            assert (
                await async_ledger.submit_signed(late.tobytes(), signed(ledger, late, NEW_PHONE, epoch=2))
                is Result.CREATED
            )

    run(main())
    assert len(created) + len(refused) == 400
    with ledger.sequencer.reading() as state:
        rotation = max(int(row["place"]) for row in state.bound if row["kind"] == operations.Kind.SET_KEY)
        places = [int(state.bound_of(id)["place"]) for id in created]  # type: ignore[index]
    # The state before a frame decides: payments in the rotation's own frame still need the old key.
    assert all(place >> PLACE_INDEX_BITS <= rotation >> PLACE_INDEX_BITS for place in places)


def test_a_ledger_closed_while_signatures_are_verified(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, signature_workers=2)
    ledger.submit(opening())
    officers(ledger)

    async def main() -> None:
        async_ledger = ledger.asynchronous()
        records = [payment(1_000 + n) for n in range(300)]
        calls: list[Any] = [
            asyncio.create_task(async_ledger.submit_signed(r.tobytes(), signed(ledger, r, epoch=0))) for r in records
        ]
        await asyncio.sleep(0)
        await asyncio.to_thread(ledger.close)
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(outcome, (Result, UnavailableError))
        await async_ledger.aclose()

    run(main())


def test_threads_have_their_signatures_verified_too(ledger: Ledger) -> None:
    board = officers(ledger)
    assert board.transfer(ISSUANCE, TREASURY, 5) is Result.CREATED
    assert ledger.transfer(ISSUANCE, TREASURY, 5) is not Result.CREATED
    assert ledger.signed_by(ledger.signer_for(ANN, PHONE)).transfer(ANN, BOB, 3) is Result.CREATED


def test_a_customer_does_not_spoil_its_operators_batch(ledger: Ledger) -> None:
    """The operator's staged payments settle, although customers, who have keys and no money, try to add others."""
    operator = Signer(60, SigningKey.derive(b"\x09" * 32))
    officers(ledger).grant_role(operator.id, Role.OPERATOR, operator.key.public, operator=0)
    customer = ledger.signer_for(ANN, PHONE)
    theirs = operations.stage(1_000, batch=1, debit=TREASURY, credit=SHOP, amount=50)
    customers = operations.stage(1_001, batch=1, debit=ANN, credit=SHOP, amount=1)

    def answer(record: Array, *signers: Signer) -> Result:
        return Result(int(ledger.signed_by(*signers).submit(record)["code"][0]))

    assert answer(theirs, operator) is Result.CREATED
    assert answer(customers, customer) is Result.NOT_AUTHORISED
    assert answer(customers, operator) is Result.NOT_AUTHORISED
    assert answer(operations.settle(1_002, batch=1, operator=0, payments=1, total=50), operator) is Result.CREATED
    again = operations.stage(1_003, batch=2, debit=ANN, credit=SHOP, amount=1)
    assert answer(again, operator, customer) is Result.CREATED
    assert answer(operations.settle(1_004, batch=2, operator=0, payments=1, total=1), operator) is Result.CREATED
    assert ledger.balance(SHOP) == 51


def test_worker_processes_end_with_the_ledger(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, signature_workers=1) as ledger:
        ledger.submit(opening())
        for person, key in OFFICERS.items():
            ledger.grant_role(person, Role.OFFICER, key.public)
        assert officers(ledger).transfer(ISSUANCE, TREASURY, 5) is Result.CREATED
        verifier = ledger.sequencer.admission._verifier
        assert len(verifier.process_ids) == 1
    assert verifier.process_ids == ()
    for wrong in (-1, 65, 1.5):
        with pytest.raises(UsageError, match="signature_workers"):
            Ledger.open(tmp_path, signature_workers=wrong)  # type: ignore[arg-type]


def test_answers_of_single_records_without_waiting(ledger: Ledger) -> None:
    async def main() -> None:
        async with ledger.asynchronous() as async_ledger:
            record = payment(5_000)
            envelope = signed(ledger, record)
            code, _, _, place = await async_ledger.submit_signed_nowait(record.tobytes(), envelope)
            assert (code, place >> PLACE_INDEX_BITS) == (Result.CREATED, ledger.sequencer.durable_sequence)
            bound = ledger.result_of(5_000)
            assert bound is not None
            assert async_ledger.frame_time_ns(place >> PLACE_INDEX_BITS) == bound.time_ns
            again = await async_ledger.submit_signed_nowait(record.tobytes(), envelope)
            assert again == (Result.EXISTS, Result.CREATED, 0, place)
        with pytest.raises(UnavailableError, match="closed"):
            async_ledger.submit_signed_nowait(record.tobytes(), envelope)

    run(main())


def test_a_full_queue_refuses_a_single_record(tmp_path: Path) -> None:
    async def main(ledger: Ledger) -> None:
        async with ledger.asynchronous() as async_ledger:
            records = [payment(6_000 + at) for at in range(3)]
            first = async_ledger.submit_signed_nowait(records[0].tobytes(), signed(ledger, records[0]))
            with pytest.raises(BusyError, match="the ledger is busy"):
                async_ledger.submit_signed_nowait(records[1].tobytes(), signed(ledger, records[1]))
            assert (await first)[0] == Result.SIGNER_NOT_FOUND

    with Ledger.open(tmp_path / "ledger", operations_max=1) as ledger:
        run(main(ledger))


def test_batches_that_were_started_are_written_in_order(ledger: Ledger) -> None:
    """A thread prepares the next batches while earlier ones are verified and written."""
    wrong = SigningKey.derive(b"\7" * 32)
    first, forged, last = (
        operations.transfer(ids.generate(512, time_ms=10**12 + number), debit=ANN, credit=SHOP, amount=1)
        for number in range(3)
    )

    def start(records: Array, key: SigningKey) -> Any:
        envelope = sign(records, ledger.ledger_id, ANN, key, UNTIL_NS, currency=156, key_epoch=1)
        return ledger.sequencer.start(records, [envelope])

    tickets = [start(first, PHONE), start(forged, wrong), start(last, PHONE)]
    paid, refused, rest = (ticket.wait() for ticket in tickets)
    assert set(paid["code"].tolist()) == {Result.CREATED}
    assert set(refused["code"].tolist()) == {Result.SIGNATURE_INVALID}
    assert set(rest["code"].tolist()) == {Result.CREATED}
    assert int(paid["place"][-1]) < int(rest["place"][0])
    assert set(start(first, PHONE).wait()["code"].tolist()) == {Result.EXISTS}
    assert ledger.sequencer.start(first[:1]).wait()["code"].tolist() == [Result.EXISTS]
