"""An embedded ledger for asyncio: the same verbs, awaited, and as many callers at once as there are."""

from __future__ import annotations

import struct
from asyncio import Future
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Final, Protocol, Self

import numpy as np

from sycee.core.codes import Result
from sycee.core.errors import UsageError
from sycee.core.limits import ENVELOPE_BYTES, RECORD_BYTES
from sycee.ledger import layout, operations, reading
from sycee.ledger.batch import PreparedBatch
from sycee.ledger.envelopes import Envelope, decode
from sycee.ledger.layout import Kind
from sycee.ledger.reading import Answers
from sycee.ledger.values import Account
from sycee.sequencer.event_loop import LoopSubmitter
from sycee.sequencer.readers import no_account
from sycee.sequencer.sequencer import Sequencer
from sycee.sequencer.signer import Signer
from sycee.sequencer.verbs import Chain, Verbs
from sycee.sequencer.views import check_size

Array = np.ndarray[Any, Any]

_KIND_AND_FLAGS: Final = struct.Struct("<HH")  # of layout.OPERATION, at byte 16
_RANGE: Final = struct.Struct("<HH")  # of an envelope: first and count


class Embedded(Protocol):
    """What an AsyncLedger needs of the ledger that made it: `embedded.Ledger`."""

    @property
    def sequencer(self) -> Sequencer:
        """Return the sequencer that both submit to."""
        ...

    @property
    def signs(self) -> bool:
        """Return whether records without envelopes are signed."""
        ...

    def signed_by(self, *signers: Signer) -> Embedded:
        """Return the same ledger, whose operations these signers sign."""
        ...

    def envelopes_of(self, records: Array, envelopes: Array | Sequence[Envelope] = ()) -> Array | Sequence[Envelope]:
        """Return the envelopes given, or those of the signers."""
        ...

    def new_id(self) -> int:
        """Return a fresh id."""
        ...


class AsyncLedger(Verbs[Coroutine[Any, Any, Result]]):
    """The verbs of a ledger, awaited: each returns its Result once it is durable. Made by `Ledger.asynchronous`.

    For the callers of one event loop. While one frame is on its way to the disk, what all of them ask for gathers for
    the next. Amounts are integers of minor units: a text would have to be looked up in the ledger, and nothing here
    waits for that.

    Cancelling a caller withdraws its operation if the ledger has not taken it yet, and disturbs nobody else; whether
    it was taken is found by its id, with `result_of`, or by sending it again.
    """

    def __init__(self, ledger: Embedded, submitter: LoopSubmitter) -> None:
        self._ledger = ledger
        self._submitter = submitter
        self._signs = ledger.signs

    async def submit(self, records: Array | bytes, envelopes: Array | Sequence[Envelope] = ()) -> Array:
        """Ask for operations: (n,) layout.OPERATION, or their bytes, to (n,) layout.ANSWER, once they are durable.

        Waits for space, in order of arrival, while the ledger's queue is full. A long submission is cut into several
        frames. Raises UsageError for what no frame can hold, UnavailableError where memory or the disk cannot hold it,
        and once this or the ledger is closed.
        """
        answers: Array = await self._submitter.submit(b"", self._checked(records, envelopes))
        return answers

    def submit_nowait(self, records: Array | bytes, envelopes: Array | Sequence[Envelope] = ()) -> Future[Array]:
        """The same, taken at once: the future of its answers. Raises UnavailableError where too much waits already."""
        return self._submitter.submit_nowait(b"", self._checked(records, envelopes))

    async def submit_signed(self, record: bytes, envelope: bytes) -> Result:
        """Submit one record of RECORD_BYTES with one envelope of ENVELOPE_BYTES; return its Result once it is durable.

        The short path of payments that their callers signed. Waits for space as `submit` does. Raises UsageError for
        what is neither, else as `submit`.
        """
        if len(record) != RECORD_BYTES or len(envelope) != ENVELOPE_BYTES:
            raise UsageError(
                f"submit_signed takes {RECORD_BYTES} and {ENVELOPE_BYTES} bytes; got {len(record)} and {len(envelope)}",
                hint="`submit` takes several records, and envelopes that cover several",
            )
        kind, flags = _KIND_AND_FLAGS.unpack_from(record, 16)
        if kind <= Kind.UPGRADE or flags & layout.LINKED or _RANGE.unpack_from(envelope) != (0, 1):
            (answer,) = await self.submit(record, decode(envelope))
            return Result(int(answer["code"]))
        return await self._submitter.submit_signed(record, envelope)

    # --- reads, answered from the newest committed frame ---

    async def balance(self, account: int) -> int:
        """Return an account's balance in minor units. Raises UsageError where there is no such account."""
        number = operations.integer("account", account)
        balance: int | None = await self._submitter.balance(number)
        if balance is None:
            raise no_account(number)
        return balance

    async def account(self, account: int) -> Account:
        """Return an account as of the newest committed frame. Raises UsageError where there is none."""
        number = operations.integer("account", account)
        found = (await self.read(reading.accounts([number]))).account(0)
        if found is None:
            raise no_account(number)
        return found

    async def read(self, requests: Array, *, at_least: int = 0) -> Answers:
        """Answer reads, (n,) sycee.ledger.reading.READ, from one committed frame, which the answers name.

        `at_least`: wait until this frame is committed. Raises UsageError for more than one pass answers.
        """
        check_size(requests)
        answers: Answers = await self._submitter.read(requests, at_least=at_least)
        return answers

    @asynccontextmanager
    async def chain(self) -> AsyncIterator[Chain]:
        """Collect verbs, which are not awaited, and do them when the block ends, whole or not at all.

            async with door.chain() as both:
                both.transfer(ann, bob, 500)
                both.transfer(bob, shop, 500)
            both.results

        An error inside the block does none of them.
        """
        chain = Chain(self)
        yield chain
        if chain.records:
            chain.answered(await self.submit(operations.chain(*chain.records)))

    def signed_by(self, *signers: Signer) -> AsyncLedger:
        """The same, whose operations all these sign from now on. `aclose` of either closes both."""
        return AsyncLedger(self._ledger.signed_by(*signers), self._submitter)

    def new_id(self) -> int:
        """A fresh id, for an operation that may have to be sent again."""
        return self._ledger.new_id()

    async def aclose(self) -> None:
        """Take nothing more, and return when all that was asked for is answered. The ledger itself stays open."""
        await self._submitter.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # --- helpers ---

    def _take_moving(self, record: bytes) -> Coroutine[Any, Any, Result]:
        if self._signs:
            return self._take(np.frombuffer(record, layout.OPERATION))
        return self._submitter.submit(record, None)

    async def _take(self, record: Array) -> Result:
        return Result(int((await self.submit(record))["code"][0]))

    def _checked(self, records: Array | bytes, envelopes: Array | Sequence[Envelope]) -> PreparedBatch:
        if isinstance(records, bytes):
            if len(records) % RECORD_BYTES:
                raise UsageError(f"{len(records)} bytes are no operations of {RECORD_BYTES} bytes each")
            records = np.frombuffer(records, layout.OPERATION)
        return self._ledger.sequencer.admission.prepare(records, self._ledger.envelopes_of(records, envelopes))

    def _currency_of(self, account: int) -> int:
        raise UsageError(
            "amounts are integers of minor units here: which currency a text is of would have to be looked up",
            hint='money.parse("12.50", money.currency("EUR")) of sycee.core reads a text without the ledger',
        )

    def _currency_of_operation(self, id: int) -> int:
        return self._currency_of(id)
