"""The answer to the sender of a refused payment, and the exact codes that are stored for the payee's operator.

A payer gets one answer for all refusals by the payee's account. Refusals that arrive while a transaction runs share the
next one, so that a flood of them makes one transaction after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, NamedTuple

import sqlalchemy
from sqlalchemy.engine import Connection, Engine

from sycee.core.errors import UnavailableError
from sycee.core.records.layout import Kind
from sycee.core.result_codes import Result
from sycee.database.transactions import write
from sycee.sequencer.asynchronous import AsyncLedger
from sycee.wallets.holds import payee_answer
from sycee.wallets.payments import HIDDEN, payer_answer, store_payer_refusal, store_refusal
from sycee.wallets.tables import WALLETS

_DEBIT_AT: Final = 32  # bytes of layout.OPERATION
_CREDIT_AT: Final = 48
_REFERENCE_AT: Final = 64


class PayeeRefusal(NamedTuple):
    """A refused payment. `operation`: its id; `payee`: if its account refused, otherwise 0; `payer`: 0 if unproved."""

    operation: int
    payee: int
    result: Result
    time_ns: int
    payer: int = 0


async def answer_for_payer(record: bytes, result: Result, ledger: AsyncLedger) -> tuple[str, int]:
    """Return the code of a refusal as its sender may know it, and the payee if its account refused, otherwise 0.

    docs/reference/payments.md has the rules. The payee of a hold requests POST and VOID: codes about its own account
    pass through, a code about the payer's does not.
    """
    kind = int.from_bytes(record[16:18], "little")
    if kind in (Kind.POST, Kind.VOID):
        heard = payee_answer(result)
        if result not in HIDDEN:
            return heard, 0
        hold = await ledger.find_hold(_id_at(record, _REFERENCE_AT))
        if hold is None or hold.payee == _id_at(record, _DEBIT_AT):
            return heard, 0
        return payer_answer(result), hold.payee  # the third account of the hold requests
    # The credit of REFUND and EXTEND is zero: the record does not lead to the payee.
    return payer_answer(result), _id_at(record, _CREDIT_AT) if result in HIDDEN else 0


def payer_of(record: bytes, result: Result) -> int:
    """Return the payer of a refused payment, transfer or hold; 0 for other kinds, and if no signature was accepted."""
    is_payment = int.from_bytes(record[16:18], "little") in (Kind.PAY, Kind.TRANSFER, Kind.HOLD)
    return _id_at(record, _DEBIT_AT) if is_payment and result.binds else 0


def _id_at(record: bytes, at: int) -> int:
    return int.from_bytes(record[at : at + 16], "little")


class Refusals:
    """Stores refusals on a separate thread. For one event loop."""

    def __init__(self, engine: Engine) -> None:
        """Create the thread. `engine`: of the bank's database."""
        self._engine = engine
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sycee-refusals")
        self._waiting: list[tuple[PayeeRefusal, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def store(self, refusal: PayeeRefusal) -> None:
        """Return once a refusal is stored; repeating the call changes nothing. Raises UnavailableError if it is not."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((refusal, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._store_waiting())
        await future

    async def aclose(self) -> None:
        """Return when all refusals are stored."""
        if self._task is not None:
            await self._task
        self._thread.shutdown()

    async def _store_waiting(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            chosen, self._waiting = self._waiting, []
            error: Exception | None = None
            try:
                await loop.run_in_executor(self._thread, self._write, [refusal for refusal, _ in chosen])
            except Exception as raised:
                error = UnavailableError(f"a refusal could not be stored: {raised}", hint="send the same bytes again")
                error.__cause__ = raised
            for _, future in chosen:
                with suppress(asyncio.InvalidStateError):  # the caller was cancelled
                    if error is None:
                        future.set_result(None)
                    else:
                        future.set_exception(error)

    def _write(self, refusals: Sequence[PayeeRefusal]) -> None:
        def store(connection: Connection) -> None:
            for operation, payee, result, time_ns, payer in refusals:
                if payer:
                    store_payer_refusal(connection, operation, payer, result, time_ns)
                operator = connection.scalar(sqlalchemy.select(WALLETS.c.operator).where(WALLETS.c.account == payee))
                if operator is not None:  # nothing is stored for an unknown payee
                    store_refusal(connection, operation, payee, operator, result, time_ns)

        write(self._engine, store)
