"""ASGI application of `POST /v1/payments`, the fast path for payments that their payers signed.

    body ─> limits of the sender ─> decode, check ─> ledger: verify, order, write, fdatasync ─> answer

No framework parses a request here, no token is read and no object is created that the answer does not need: the
envelope is the authority. docs/reference/http-payments.md defines the bytes.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Set
from dataclasses import dataclass, field
from functools import partial
from time import monotonic, perf_counter
from typing import Any, Final, Protocol, TypeAlias

from sycee.core.errors import BusyError, UnavailableError
from sycee.core.limits import PLACE_INDEX_BITS
from sycee.core.result_codes import Result
from sycee.ledger.batch import AnswerTuple, first_result
from sycee.sequencer.asynchronous import AsyncLedger
from sycee.server.observing import Durations
from sycee.server.payments import answers
from sycee.server.payments.answers import Answer
from sycee.server.payments.decoding import JSON_BYTES_MAX, BodyError, decode
from sycee.server.payments.refusals import PayeeRefusal, answer_for_payer, payer_of
from sycee.server.payments.senders import Sender, Senders, address_of
from sycee.server.payments.settings import PaymentSettings
from sycee.wallets.payments import PayerAnswer

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
EventualAnswer: TypeAlias = Answer | Awaitable[Answer]

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


@dataclass(slots=True, eq=False)
class _Request:
    """A request for PATH that has no answer yet."""

    sender: Sender
    done: Callable[[EventualAnswer], object]
    began: float = field(default_factory=perf_counter)
    record: bytes = b""


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
        if scope["type"] == "http" and self.is_payment(scope):
            await answers.send(await self.answer(scope, receive), send)
        elif self._otherwise is not None:
            await self._otherwise(scope, receive, send)
        else:
            await answers.send(_not_here(scope), send)

    def is_payment(self, scope: Scope) -> bool:
        """Return whether an HTTP request is for PATH."""
        return bool(scope["path"] == PATH and scope["method"] == "POST")

    def start(self, scope: Scope, body: bytes, done: Callable[[EventualAnswer], None]) -> None:
        """Answer a request for PATH with a complete body: call `done` once, possibly before this returns.

        A payment that is made needs no task. `done` gets an awaitable where the answer needs a read, and for an error.
        """
        request = _Request(self._sender_of(scope), done)
        try:
            answer = self._limit(request.sender) or self._pay(request, body, _header(scope, b"content-type"))
        except Exception as error:
            done(_raise(error))
        else:
            if answer is not None:
                self._end(request, answer)

    async def answer(self, scope: Scope, receive: Receive) -> Answer:
        """Return the answer to a request for PATH, whose body may be incomplete or too large."""
        outcome: asyncio.Future[EventualAnswer] = asyncio.get_running_loop().create_future()

        def done(found: EventualAnswer) -> None:
            if not outcome.done():
                outcome.set_result(found)

        request = _Request(self._sender_of(scope), done)
        answer = self._limit(request.sender) or _too_long(scope)
        if answer is None:
            try:
                body = await self._body(receive)
            except BodyError as error:
                answer = answers.problem(error.name, error.detail, error.hint, headers=_CLOSE)
            else:
                answer = self._pay(request, body, _header(scope, b"content-type"))
        if answer is not None:
            self._end(request, answer)
        found = await outcome
        return found if isinstance(found, Answer) else await found

    def _end(self, request: _Request, answer: Answer) -> None:
        self._count(request, answer)
        request.done(answer)

    def _count(self, request: _Request, answer: Answer) -> None:
        self._counts[answer.status] += 1
        self.durations.add(perf_counter() - request.began)

    def _sender_of(self, scope: Scope) -> Sender:
        return self._senders.find(address_of(scope, forwarded=self._settings.forwarded), monotonic())

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

    async def _body(self, receive: Receive) -> bytes:
        """Return the body of a request. Raises BodyError if it is too large, too slow or incomplete."""
        parts, size = [], 0
        try:
            async with asyncio.timeout(self._settings.body_timeout_s):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise BodyError("invalid-request", "the body is incomplete", "send the request again")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > JSON_BYTES_MAX:
                        raise _body_too_large()
                    if not message.get("more_body"):
                        return b"".join(parts)
        except TimeoutError:
            raise BodyError(
                "request-timeout",
                f"the body was incomplete after {self._settings.body_timeout_s:g} s",
                "send the same bytes again",
            ) from None

    def _pay(self, request: _Request, body: bytes, content_type: bytes) -> Answer | None:
        """Submit the payment in a body; return its refusal, or None: `_decided` ends the request."""
        try:
            record, envelope = decode(body, content_type)
        except BodyError as error:
            return answers.problem(error.name, error.detail, error.hint)
        if int.from_bytes(record[_CREDIT], "little") in self._barred_payees():
            # A payment to the issuance account would destroy money whose reserves stay, and end the books' equality.
            return _refused(PayerAnswer.PAYEE_CANNOT_RECEIVE, record)
        if self._waiting >= self._settings.waiting_max:
            return _try_again_later(f"{self._waiting:,} payments wait for their answers", record, RETRY_S)
        try:
            if self._ledger is None:
                self._ledger = self._connect()
            future = self._ledger.submit_signed_nowait(record, envelope)
        except UnavailableError as error:
            return _unavailable(error, record)
        self._waiting += 1
        request.record = record
        future.add_done_callback(partial(self._decided, request, self._ledger))
        return None

    def _decided(self, request: _Request, ledger: AsyncLedger, future: asyncio.Future[AnswerTuple]) -> None:
        """End the request of a payment that the ledger decided, or could not."""
        self._waiting -= 1
        try:
            outcome = self._outcome(request, ledger, future.result())
        except UnavailableError as error:
            outcome = _unavailable(error, request.record)
        except BaseException as error:
            outcome = _raise(error)
        if isinstance(outcome, Answer):
            self._end(request, outcome)
        else:
            request.done(outcome)

    def _outcome(self, request: _Request, ledger: AsyncLedger, answer: AnswerTuple) -> EventualAnswer:
        record = request.record
        code, _, _, place = answer
        if code in _FAILURES:
            request.sender.count_failure()
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
        return self._refusal(request, result, frame_ns, ledger)

    async def _refusal(self, request: _Request, result: Result, frame_ns: int, ledger: AsyncLedger) -> Answer:
        """Return the answer to a payment that the ledger refused; store the refusal for the operators."""
        record = request.record
        try:
            heard, refused_by = await answer_for_payer(record, result, ledger)
            payer = payer_of(record, result)
            if (refused_by or payer) and self._refusals is not None:
                operation = int.from_bytes(record[:16], "little")
                await self._refusals.store(PayeeRefusal(operation, refused_by, result, frame_ns, payer))
            answer = _refused(heard, record)
        except UnavailableError as error:
            answer = _unavailable(error, record)
        self._count(request, answer)
        return answer


def _header(scope: Scope, name: bytes) -> bytes:
    """Return the value of a request's header field, or nothing."""
    for each, value in scope["headers"]:
        if each == name:
            return bytes(value)
    return b""


async def _raise(error: BaseException) -> Answer:
    raise error


def _unavailable(error: UnavailableError, record: bytes) -> Answer:
    return _try_again_later(error.message, record, RETRY_S if isinstance(error, BusyError) else STOPPED_RETRY_S)


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


def _too_long(scope: Scope) -> Answer | None:
    """Return the refusal of a request whose header states too long a body."""
    length = _header(scope, b"content-length")
    if not length or (len(length) <= 9 and int(length) <= JSON_BYTES_MAX):
        return None
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
