"""ASGI application of `POST /v1/payments`, the fast path for payments that their payers signed.

    body ─> limits of the sender ─> decode, check ─> ledger: verify, order, write, fdatasync ─> answer

No framework parses a request here, no token is read and no object is created that the answer does not need: the
envelope is the authority. docs/reference/http-payments.md defines the bytes.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Set
from time import monotonic, perf_counter
from typing import Any, Final, Protocol, TypeAlias

from sycee.core.errors import BusyError, UnavailableError
from sycee.core.limits import PLACE_INDEX_BITS
from sycee.core.result_codes import Result
from sycee.ledger.batch import AnswerTuple, first_result
from sycee.sequencer.asynchronous import AsyncLedger
from sycee.server.observing import Durations
from sycee.server.payments import answers
from sycee.server.payments.answers import WHOLE, Answer
from sycee.server.payments.decoding import JSON_BYTES_MAX, BodyError, Payment, decode
from sycee.server.payments.refusals import PayeeRefusal, answer_for_payer, payer_of
from sycee.server.payments.senders import Sender, Senders, address_of
from sycee.server.payments.settings import PaymentSettings
from sycee.wallets.payments import PayerAnswer

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

PATH: Final = "/v1/payments"
RETRY_S: Final = 1.0  # after the queue was full
STOPPED_RETRY_S: Final = 30.0  # after the ledger stopped: a person must look
_CLOSE: Final = [(b"connection", b"close")]
_CREDIT: Final = slice(48, 64)  # the payee of PAY, TRANSFER and HOLD; bytes of layout.OPERATION
_DIFFERENT: Final = int(Result.EXISTS_WITH_DIFFERENT_CONTENT)
# Results that bind no id, though a signature was verified: the sender made a mistake or guesses.
_FAILURES: Final = frozenset(int(result) for result in Result if not result.binds and result is not Result.EXISTS)


class RefusalStore(Protocol):
    """Stores the codes of refusals for the operators of payers and payees."""

    async def store(self, refusal: PayeeRefusal) -> None:
        """Return once the refusal is stored."""


class PaymentsApp:
    """Answers `POST /v1/payments`, and passes every other request to `otherwise`, if given."""

    def __init__(
        self,
        ledger: Callable[[], AsyncLedger],
        settings: PaymentSettings,
        *,
        otherwise: AsgiApp | None = None,
        refusals: RefusalStore | None = None,
        barred_payees: Callable[[], Set[int]] = frozenset,
    ) -> None:
        """Create the application.

        `ledger`: called once, on the event loop, at the first payment; the caller closes what it returns. `refusals`:
        where the exact codes of payees' refusals are stored; None: nowhere. `barred_payees`: returns the accounts that
        no payment, transfer or hold here may name as payee.
        """
        self._connect = ledger
        self._ledger: AsyncLedger | None = None
        self._settings = settings
        self._otherwise = otherwise
        self._refusals = refusals
        self._barred_payees = barred_payees
        self._senders = Senders(settings)
        self._counts: Counter[int] = Counter()
        self.durations = Durations()
        self.before_stop: Callable[[], None] = lambda: None  # ends open streams at the stop
        self._waiting = 0  # payments without an answer
        self._frame = self._frame_ns = 0  # the newest frame that was answered, and its time

    @property
    def counts(self) -> Mapping[int, int]:
        """Return the number of answers by status, since the start."""
        return self._counts

    @property
    def waiting(self) -> int:
        """Return the number of payments without an answer."""
        return self._waiting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
            if self._otherwise is not None:
                await self._otherwise(scope, receive, send)
                return
            answer = _not_here(scope)
        else:
            began = perf_counter()
            answer = await self.answer(scope, receive)
            self._counts[answer.status] += 1
            self.durations.add(perf_counter() - began)
            if answer.status < 300 and WHOLE in scope.get("extensions", ()):
                await send({"type": WHOLE, "status": answer.status, "headers": answer.headers, "body": answer.body})
                return
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def answer(self, scope: Scope, receive: Receive) -> Answer:
        """Return the answer to a request for PATH."""
        sender = self._senders.find(address_of(scope, forwarded=self._settings.forwarded), monotonic())
        if refusal := self._limit(sender):
            return refusal
        content_type = b""
        for name, value in scope["headers"]:
            if name == b"content-type":
                content_type = value
            elif name == b"content-length" and (len(value) > 9 or int(value) > JSON_BYTES_MAX):
                return _too_large()
        message = await receive()
        if message.get("more_body") or message["type"] != "http.request":
            try:
                body = await self._rest_of_body(message, receive)
            except BodyError as error:
                return answers.problem(error.name, error.detail, error.hint, headers=_CLOSE)
        else:
            body = message.get("body", b"")
        try:
            payment = decode(body, content_type)
        except BodyError as error:
            return answers.problem(error.name, error.detail, error.hint)
        return await self.pay(payment, sender)

    def _limit(self, sender: Sender) -> Answer | None:
        """Return the refusal of a request that comes too soon, or None."""
        if wait_s := sender.wait_after_failures_s():
            return answers.problem(
                "too-many-requests",
                "this address sent too many payments that were invalid",
                "sign with the account's current key and key epoch, and wait as Retry-After requires",
                retry_after_s=wait_s,
            )
        if wait_s := sender.wait_for_request_s():
            return answers.problem(
                "too-many-requests",
                f"this address may send {self._settings.rate_per_s:g} payments a second",
                "wait as Retry-After requires, then send the same bytes again",
                retry_after_s=wait_s,
            )
        return None

    async def _rest_of_body(self, message: MutableMapping[str, Any], receive: Receive) -> bytes:
        """Return a body that arrives in several parts. Raises BodyError if it is too large, too slow or incomplete."""
        parts, size = [], 0
        try:
            async with asyncio.timeout(self._settings.body_timeout_s):
                while True:
                    if message["type"] != "http.request":
                        raise BodyError("invalid-request", "the body is incomplete", "send the request again")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > JSON_BYTES_MAX:
                        raise _body_too_large()
                    if not message.get("more_body"):
                        return b"".join(parts)
                    message = await receive()
        except TimeoutError:
            raise BodyError(
                "request-timeout",
                f"the body was incomplete after {self._settings.body_timeout_s:g} s",
                "send the same bytes again",
            ) from None

    async def pay(self, payment: Payment, sender: Sender) -> Answer:
        """Return the answer to a payment, once it is durable."""
        record, envelope = payment
        if int.from_bytes(record[_CREDIT], "little") in self._barred_payees():
            # A payment to the issuance account would destroy money whose reserves stay, and end the books' equality.
            return _refused(PayerAnswer.PAYEE_CANNOT_RECEIVE, record)
        if self._waiting >= self._settings.waiting_max:
            return _try_again_later(f"{self._waiting:,} payments wait for their answers", record, RETRY_S)
        self._waiting += 1
        try:
            ledger = self._ledger
            if ledger is None:
                ledger = self._ledger = self._connect()
            answer = await ledger.submit_signed_nowait(record, envelope)
            return await self._answer_of(answer, record, sender, ledger)
        except UnavailableError as error:
            return _try_again_later(error.message, record, RETRY_S if isinstance(error, BusyError) else STOPPED_RETRY_S)
        finally:
            self._waiting -= 1

    async def _answer_of(self, answer: AnswerTuple, record: bytes, sender: Sender, ledger: AsyncLedger) -> Answer:
        code, _, _, place = answer
        if code in _FAILURES:
            sender.count_failure()
            if code == _DIFFERENT:
                return answers.problem(
                    "conflict",
                    "another payment has this id",
                    "create a new id for each payment; to repeat a payment, send the same bytes",
                    code=Result.EXISTS_WITH_DIFFERENT_CONTENT.name,
                    id=answers.id_text(record),
                )
        frame = place >> PLACE_INDEX_BITS
        if frame != self._frame and place:
            self._frame, self._frame_ns = frame, ledger.frame_time_ns(frame)
        frame_ns = self._frame_ns if place else 0
        if not code:
            return answers.result(201, record, Result.CREATED, frame, frame_ns)
        result = first_result(answer)
        if result is Result.CREATED:
            return answers.result(200, record, result, frame, frame_ns)
        heard, refused_by = await answer_for_payer(record, result, ledger)
        payer = payer_of(record, result)
        if (refused_by or payer) and self._refusals is not None:
            operation = int.from_bytes(record[:16], "little")
            await self._refusals.store(PayeeRefusal(operation, refused_by, result, frame_ns, payer))
        return _refused(heard, record)


def _refused(code: str, record: bytes) -> Answer:
    return answers.problem(
        "refused",
        "no money moved",
        "result-codes.md and payments.md in docs/reference explain the code",
        code=code,
        id=answers.id_text(record),
    )


def _not_here(scope: Scope) -> Answer:
    if scope["path"] == PATH:
        return answers.problem(
            "method-not-allowed", f"{scope['method']} is not allowed", "use POST", headers=[(b"allow", b"POST")]
        )
    return answers.problem("not-found", "there is nothing at this path", f"payments are sent to {PATH}")


def _body_too_large() -> BodyError:
    return BodyError(
        "too-large", f"the body has more than {JSON_BYTES_MAX:,} bytes", "send one payment in each request"
    )


def _too_large() -> Answer:
    error = _body_too_large()
    return answers.problem(error.name, error.detail, error.hint, headers=_CLOSE)


def _try_again_later(detail: str, record: bytes, retry_after_s: float) -> Answer:
    return answers.problem(
        "unavailable",
        detail,
        "send the same bytes again after Retry-After: a payment is never made twice",
        retry_after_s=retry_after_s,
        id=answers.id_text(record),
    )
