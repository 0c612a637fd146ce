"""An embedded ledger for asyncio: operations and reads, awaited, for the coroutines of one event loop."""

from __future__ import annotations

import struct
from asyncio import Future
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Self

import numpy as np

from sycee.core import ids
from sycee.core.arguments import check_id
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.ids import AnyId
from sycee.core.limits import ENVELOPE_BYTES, RECORD_BYTES
from sycee.core.records import layout, single_record
from sycee.core.records.envelopes import Envelope, decode
from sycee.core.records.layout import Kind
from sycee.core.result_codes import Result
from sycee.ledger.batch import AnswerTuple, PreparedBatch, results_of
from sycee.ledger.models import Account, Hold, Purse
from sycee.ledger.queries import Answers, Page
from sycee.sequencer import reads
from sycee.sequencer.event_loop import LoopSubmitter
from sycee.sequencer.money_operations import Amount, Chain, MoneyOperations
from sycee.sequencer.reads import Bound, Read, Value
from sycee.sequencer.session import Session
from sycee.sequencer.signer import Signer
from sycee.sequencer.views import check_requests

_KIND_AND_FLAGS: Final = struct.Struct("<HH")  # of layout.OPERATION, at byte 16
_RANGE: Final = struct.Struct("<HH")  # of an envelope: first, count


class AsyncLedger(MoneyOperations[Coroutine[Any, Any, Result]]):
    """A ledger for the coroutines of one event loop. Created by `Ledger.asynchronous`.

    Each operation returns its Result once it is durable. Operations and reads of all coroutines share frames and
    passes: those that arrive while one frame is written share the next. Amounts are integers of minor units, since a
    text would need a lookup of the currency, and no method here blocks the loop.

    Cancelling a coroutine withdraws its operation if the writer has not popped it yet, and affects no other. To find
    out, call `result_of` with its id, or send the operation again.
    """

    def __init__(self, session: Session, submitter: LoopSubmitter) -> None:
        self._session = session
        self._submitter = submitter
        self._signs = session.signs

    # --- submitting ---

    async def submit(self, records: Array | bytes, envelopes: Array | Sequence[Envelope] = ()) -> Array:
        """Submit operations: (n,) layout.OPERATION, or their bytes, to (n,) layout.ANSWER, once they are durable.

        While the ledger's queue is full, waits for space in order of arrival. A long submission is split into several
        frames. Raises UsageError for records that no frame can hold, UnavailableError if memory or the disk is
        insufficient, and once this or the ledger is closed.
        """
        return await self._submitter.submit(self._prepared(records, envelopes))

    def submit_nowait(self, records: Array | bytes, envelopes: Array | Sequence[Envelope] = ()) -> Future[Array]:
        """Return the future of the results of operations. Raises BusyError while the queue is full."""
        return self._submitter.submit_nowait(self._prepared(records, envelopes))

    async def submit_signed(self, record: bytes, envelope: bytes) -> Result:
        """Submit one record of 128 bytes with one envelope of 104 bytes; return its Result once it is durable.

        The fastest method for payments that their payers signed. Waits for space as `submit` does. Raises UsageError
        for other lengths, else as `submit`.
        """
        if len(record) != RECORD_BYTES or len(envelope) != ENVELOPE_BYTES:
            raise UsageError(
                f"submit_signed needs {RECORD_BYTES} and {ENVELOPE_BYTES} bytes; got {len(record)} and {len(envelope)}",
                hint="use `submit` for several records, and for envelopes that cover several",
            )
        record, envelope = bytes(record), bytes(envelope)  # a bytearray could change before it is read
        kind, flags = _KIND_AND_FLAGS.unpack_from(record, 16)
        if kind <= Kind.UPGRADE or flags & layout.LINKED or _RANGE.unpack_from(envelope) != (0, 1):
            (answer,) = await self.submit(record, decode(envelope))
            return Result(int(answer["code"]))
        return await self._submitter.submit_signed(record, envelope)

    def submit_signed_nowait(self, record: bytes, envelope: bytes) -> Future[AnswerTuple]:
        """Return the future of the answer to one signed record: code, first_code, 0 and place of layout.ANSWER.

        For servers, which refuse a caller rather than let it wait. The arguments are not checked: bytes objects of 128
        and 104 bytes; the record is linked to no other and of a kind after UPGRADE; the envelope covers one record.
        Raises BusyError while the queue is full, else as `submit`.
        """
        return self._submitter.submit_signed_nowait(record, envelope)

    def frame_time_ns(self, frame: int) -> int:
        """Return the time of a committed frame, whose number is `place >> PLACE_INDEX_BITS` of an answer."""
        return self._submitter.frame_time_ns(frame)

    @asynccontextmanager
    async def chain(self) -> AsyncIterator[Chain]:
        """Collect operations, which are not awaited, and submit them when the block ends; if one fails, none is done.

            async with async_ledger.chain() as chain:
                chain.transfer(ann, bob, 500)
                chain.transfer(bob, shop, 500)
            chain.results

        If the block raises an error, nothing is submitted.
        """
        with Chain(self) as chain:
            yield chain
        if chain.records:
            chain.results = results_of(await self.submit(chain.linked()))

    def signed_by(self, *signers: Signer) -> AsyncLedger:
        """Return this with other signers, all of which sign each operation. `aclose` of either closes both."""
        return AsyncLedger(self._session.with_signers(signers), self._submitter)

    def new_id(self) -> int:
        """Return a fresh id for an operation. Store the id first if the operation may have to be sent again."""
        return self._session.new_id()

    # --- reading ---

    async def balance(self, account: AnyId) -> int:
        """Return an account's balance in minor units. Raises UsageError if the account does not exist."""
        number = check_id("account", account)
        balance = await self._submitter.balance(number)
        if balance is None:
            raise reads.no_account(number)
        return balance

    async def account(self, account: AnyId) -> Account:
        """Return an account as of the newest committed frame. Raises UsageError if it does not exist."""
        return await self._read_one(reads.account(account))

    async def statement_page(self, account: AnyId, *, lines: int = 100, cursor: int = 0) -> Page:
        """Return one page of an account's statement, newest line first, and the cursor of the next page.

        `cursor`: from the previous page, 0 for the first. Raises UsageError as `Ledger.statement_page` does.
        """
        return await self._read_one(reads.statement_page(account, lines=lines, cursor=cursor))

    async def purse(self, programme: int, member: int) -> Purse | None:
        """Return a member's purse of a programme, or None."""
        return await self._read_one(reads.purse(programme, member))

    async def find_hold(self, hold: AnyId) -> Hold | None:
        """Return the hold that an operation created, or None."""
        return await self._read_one(reads.hold(hold))

    async def result_of(self, id: AnyId) -> Bound | None:
        """Return the first result under this id, however often it was sent again; None if the id is not bound."""
        return await self._read_one(reads.operation(id))

    async def unrecovered_of(self, reversal: AnyId) -> int:
        """Return the claim of the reverse with this id, in minor units. Raises as `Ledger.unrecovered_of` does."""
        return await self._read_one(reads.unrecovered(reversal))

    async def read(self, requests: Array, *, at_least: int = 0) -> Answers:
        """Return the results of many reads, (n,) sycee.ledger.queries.READ, from one committed frame.

        `at_least`: wait until this frame is committed. Raises UsageError for more requests than one pass allows.
        """
        requests, at_least = check_requests(requests, at_least)
        return await self._submitter.read(requests, at_least=at_least)

    # --- closing ---

    async def aclose(self) -> None:
        """Accept nothing more; return when all earlier submissions have results. The ledger itself stays open."""
        await self._submitter.aclose()

    async def __aenter__(self) -> Self:
        self._submitter.check_open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    # --- helpers ---

    async def _read_one(self, read: Read[Value]) -> Value:
        return read.decode(await self._submitter.read(read.requests))

    def _submit_plain(
        self, kind: int, id: AnyId | None, debit: AnyId, credit: AnyId, amount: Amount
    ) -> Coroutine[Any, Any, Result]:
        if self._signs:
            return super()._submit_plain(kind, id, debit, credit, amount)
        if type(amount) is not int:
            amount = self._minor(debit, amount)
        # Ids that the caller did not choose are made together, for all payments of one iteration of the loop.
        needs_id = id is None and not ids.are_derived()
        record = single_record.of(kind, 0 if needs_id else self._id(id), debit, credit, amount)
        return self._submitter.submit_single(record, needs_id=needs_id)

    async def _submit_record(self, record: Array) -> Result:
        return Result(int((await self.submit(record))["code"][0]))

    def _prepared(self, records: Array | bytes, envelopes: Array | Sequence[Envelope]) -> PreparedBatch:
        if isinstance(records, bytes):
            if len(records) % RECORD_BYTES:
                raise UsageError(
                    f"records has {len(records)} bytes, which is not a multiple of {RECORD_BYTES}",
                    hint="join whole operations: array.tobytes() of what the functions of ledger.operations return",
                )
            records = np.frombuffer(records, layout.OPERATION)
        return self._submitter.prepare(records, self._session.envelopes_of(records, envelopes))

    def _currency_of(self, account: AnyId) -> int:
        raise UsageError(
            "amounts of an AsyncLedger are integers of minor units: a text would need a lookup of its currency",
            hint='convert a text with money.parse("12.50", money.currency("EUR")) of sycee.core',
        )

    def _currency_of_operation(self, id: AnyId) -> int:
        return self._currency_of(id)
