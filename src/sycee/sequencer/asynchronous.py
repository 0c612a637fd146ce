"""An embedded ledger for asyncio: operations and reads, awaited, for the coroutines of one event loop."""

from __future__ import annotations

import struct
from asyncio import Future
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Self

import numpy as np

from sycee.core import ids
from sycee.core.arguments import check_id
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.ids import AnyId
from sycee.core.keys import SigningKey
from sycee.core.limits import ENVELOPE_BYTES, RECORD_BYTES
from sycee.core.records import layout, single_record
from sycee.core.records.envelopes import Envelope, decode
from sycee.core.records.layout import AccountKind, Kind
from sycee.core.result_codes import Result
from sycee.ledger.batch import AnswerTuple, PreparedBatch, results_of
from sycee.ledger.models import Account, Hold, Purse, Transit
from sycee.ledger.queries import Answers, Page
from sycee.ledger.state import LedgerState
from sycee.sequencer import reads
from sycee.sequencer.account_opening import Steps
from sycee.sequencer.event_loop import LoopSubmitter
from sycee.sequencer.ledger_operations import LedgerOperations
from sycee.sequencer.money_operations import Amount, Chain
from sycee.sequencer.reads import Bound, Line, Read, Value
from sycee.sequencer.sequencer import Sequencer
from sycee.sequencer.session import Session
from sycee.sequencer.signer import Signer
from sycee.sequencer.views import check_requests

_KIND_AND_FLAGS: Final = struct.Struct("<HH")  # of layout.OPERATION, at byte 16
_RANGE: Final = struct.Struct("<HH")  # of an envelope: first, count


class AsyncLedger(LedgerOperations[Coroutine[Any, Any, Result], Coroutine[Any, Any, int]]):
    """A ledger for the coroutines of one event loop. Created by `Ledger.asynchronous`.

    It has the methods of `Ledger`, except those that open and close the folder. Each operation returns its Result once
    it is durable. Operations and reads of all coroutines share frames and
    passes: those that arrive while one frame is written share the next. Amounts are integers of minor units, since a
    text would need a lookup of the currency, and no method here blocks the loop.

    Cancelling a coroutine withdraws its operation if the writer has not popped it yet, and affects no other. To find
    out, call `result_of` with its id, or send the operation again.
    """

    def __init__(self, sequencer: Sequencer, session: Session, submitter: LoopSubmitter) -> None:
        super().__init__(sequencer, session)
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

    # --- signers ---

    def signed_by(self, *signers: Signer) -> AsyncLedger:
        """Return this with other signers, all of which sign each operation. `aclose` of either closes both."""
        return AsyncLedger(self.sequencer, self._session.with_signers(signers), self._submitter)

    async def signer_for(self, account: AnyId, key: SigningKey) -> Signer:
        """Return the signer of an account, as `Ledger.signer_for` does."""
        return Signer.of_account(await self.account(account), key)

    # --- reading accounts ---

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

    async def accounts(
        self, *, currency: str | None = None, kind: AccountKind | None = None, operator: int | None = None
    ) -> list[Account]:
        """Return the accounts of the given currency, kind and operator, in order of opening.

        O(accounts), and no frame is written meanwhile: with a million accounts, give at least one filter.
        """
        return await self._whole(lambda state: reads.accounts(state, currency, kind, operator))

    async def issuance(self, currency: str) -> int:
        """Return the id of the currency's issuance account. Raises UsageError if none is open."""
        return await self._whole(lambda state: reads.issuance(state, currency))

    async def supply(self, currency: str) -> int:
        """Return the money in circulation, in minor units: the debit balance of the issuance account."""
        return await self._whole(lambda state: reads.supply(state, currency))

    async def statement(self, account: AnyId, *, newest: int | None = None) -> list[Line]:
        """Return an account's movements, oldest first; with `newest`, only the latest ones. O(lines).

        `statement_page` returns the newest line first, and stops no frame.
        """
        return await self._whole(lambda state: reads.statement(state, account, newest=newest))

    async def statement_page(self, account: AnyId, *, lines: int = 100, cursor: int = 0) -> Page:
        """Return one page of an account's statement, newest line first, and the cursor of the next page.

        `cursor`: from the previous page, 0 for the first. Raises UsageError as `Ledger.statement_page` does.
        """
        return await self._read_one(reads.statement_page(account, lines=lines, cursor=cursor))

    async def purse(self, programme: int, member: int) -> Purse | None:
        """Return a member's purse of a programme, or None."""
        return await self._read_one(reads.purse(programme, member))

    async def read(self, requests: Array, *, at_least: int = 0) -> Answers:
        """Return the results of many reads, (n,) sycee.ledger.queries.READ, from one committed frame.

        `at_least`: wait until this frame is committed. Raises UsageError for more requests than one pass allows.
        """
        requests, at_least = check_requests(requests, at_least)
        return await self._submitter.read(requests, at_least=at_least)

    # --- reading operations ---

    async def find_hold(self, hold: AnyId) -> Hold | None:
        """Return the hold that an operation created, or None."""
        return await self._read_one(reads.hold(hold))

    async def result_of(self, id: AnyId) -> Bound | None:
        """Return the first result under this id, however often it was sent again; None if the id is not bound."""
        return await self._read_one(reads.operation(id))

    async def unrecovered_of(self, reversal: AnyId) -> int:
        """Return the claim of the reverse with this id, in minor units. Raises as `Ledger.unrecovered_of` does."""
        return await self._read_one(reads.unrecovered(reversal))

    async def find_transit(self, sent: AnyId) -> Transit | None:
        """Return the money in transit of a send or waterfall, or None."""
        return await self._whole(lambda state: reads.transit(state, sent))

    # --- the whole ledger ---

    async def tick(self) -> bool:
        """End the holds and change the rule sets that are due; return whether there were any."""
        return await self._submitter.in_thread(self.sequencer.tick)

    async def snapshot(self) -> str:
        """Write the state to disk, so that the next start is quick; return the file's name. As `Ledger.snapshot`."""
        return await self._submitter.in_thread(self.sequencer.snapshot)

    async def digest(self) -> bytes:
        """Return the state digest, 32 bytes: equal for equal histories, independent of their frames."""
        return await self._whole(LedgerState.digest)

    async def check(self) -> None:
        """Recompute every balance and purse from the movements. Raises IntegrityError if any differs."""
        await self._whole(LedgerState.check)

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

    async def _whole(self, function: Callable[[LedgerState], Value]) -> Value:
        """Return what a function of the whole state returns between two frames, on a thread."""

        def read() -> Value:
            with self.sequencer.reading() as state:
                return function(state)

        return await self._submitter.in_thread(read)

    async def _follow(self, steps: Steps[Value]) -> Value:
        try:
            step = next(steps)
            while True:
                step = steps.send(await (self._whole(step) if callable(step) else self.submit(step)))
        except StopIteration as end:
            value: Value = end.value
            return value

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
