"""One request and its answer: authentication, repetition and deadline, without any network.

Everything the client decides is in generators. They yield what is to be sent or how long to wait, and receive what came
back; `Client` and `AsyncClient` only carry that out.

Every request is safe to repeat: it reads, or it has an id under which the server acts once.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar

from sycee.client import errors
from sycee.client.tokens import FORM, TOKEN_PATH, Credentials, Tokens

PAUSE_S: Final = 0.1  # before the first repetition; each pause doubles, up to PAUSE_S_MAX
PAUSE_S_MAX: Final = 5.0
RETRY_STATUSES: Final = frozenset({408, 429, 502, 503, 504})

Value = TypeVar("Value")
Query: TypeAlias = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `path` is percent-encoded and has no query.

    `is_anonymous`: send no token. `is_stream`: the body of an answer 200 is left unread, in `Response.stream`.
    `pieces`: in place of `content`, returns the body in pieces, again for each attempt.
    """

    method: str
    path: str
    query: Query = field(default_factory=dict)
    content: bytes = b""
    content_type: str = ""
    is_anonymous: bool = False
    is_stream: bool = False
    pieces: Callable[[], Iterator[bytes]] | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """A step: send a request with these headers."""

    request: Request
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Pause:
    """A step: wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Response:
    """The answer of a server. `headers` have names in lower case. `stream`: the caller closes it."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    stream: Any = None


@dataclass(frozen=True, slots=True)
class Lost:
    """No answer arrived: the connection failed, or the time was over."""

    reason: str


SendOutcome: TypeAlias = Response | Lost | None  # None at the first step, and after a pause
Steps: TypeAlias = Generator[Send | Pause, SendOutcome, Value]
# An operation yields requests, and receives answers that are no errors.
Conversation: TypeAlias = Generator[Request, Response, Value]


class Session:
    """State shared by the requests of one client.

    - `deadline_s`: seconds for one call, with all its requests and repetitions.
    - `now_ns`: the bank's time, for the validity of signatures. `machine_ns`: this machine's, for proofs (DPoP).
    - `ledger_id`: 32 hexadecimal digits of the only ledger in which this client signs; "" takes the first one.
    """

    def __init__(
        self,
        origin: str,
        credentials: Credentials | None,
        deadline_s: float,
        now_ns: Callable[[], int],
        machine_ns: Callable[[], int],
        ledger_id: str = "",
    ) -> None:
        self.tokens = None if credentials is None else Tokens(credentials, origin, machine_ns)
        self.deadline_s = deadline_s
        self.now_ns = now_ns
        self._ledger_id = ledger_id.lower()
        self.signs_in: tuple[bytes, int] | None = None  # id of the ledger and number of its currency, once read

    def require_ledger(self, id: object) -> None:
        """Raise ContradictsRequest for the id of another ledger than the first one, or than the given one.

        A signature is valid in one ledger, so a server of a test could ask for one that a real bank accepts.
        """
        if not isinstance(id, str) or (self._ledger_id and id != self._ledger_id):
            raise errors.ContradictsRequest(
                f"the server asks for a signature in the ledger {id}, not in {self._ledger_id}",
                hint="nothing was signed; check the address of the server",
            )
        self._ledger_id = id

    def run(self, conversation: Conversation[Value]) -> Steps[Value]:
        """Yield the steps of a whole conversation; return its value. Raises the errors of `errors`."""
        until_s = time.monotonic() + self.deadline_s
        response: Response | None = None
        while True:
            try:
                request = next(conversation) if response is None else conversation.send(response)
            except StopIteration as ended:
                value: Value = ended.value
                return value
            response = yield from self._answered(request, until_s)
            if response.status >= 300:
                raise errors.problem(response.status, response.content)

    def _answered(self, request: Request, until_s: float) -> Steps[Response]:
        """Return the answer to a request, with a token if there are credentials."""
        tokens = None if request.is_anonymous else self.tokens
        if tokens is None:
            return (yield from _repeated(lambda: Send(request, {}), until_s))
        is_renewed = False
        while True:
            token = tokens.current() or (yield from self._new_token(tokens, until_s))
            response = yield from _with_proof(tokens, request, token, until_s)
            # The server restarted, or its clock moved: one new token decides whether the client is still known.
            if response.status != 401 or is_renewed:
                return response
            tokens.forget()
            is_renewed = True

    def _new_token(self, tokens: Tokens, until_s: float) -> Steps[str]:
        asked_s = time.monotonic()
        request = Request("POST", TOKEN_PATH, content_type=FORM)
        response = yield from _with_proof(tokens, request, "", until_s, content=tokens.form)
        members = errors.members_of(response.content)
        if response.status != 200 or not tokens.keep(members, asked_s):
            raise errors.token_refused(response.status, response.content)
        return str(members["access_token"])


def _with_proof(
    tokens: Tokens, request: Request, token: str, until_s: float, *, content: Callable[[], bytes] | None = None
) -> Steps[Response]:
    """Return the answer to a request with a proof; if the server demands a nonce, repeat it once with the nonce.

    `content`: makes the body again for each attempt.
    """

    def attempt() -> Send:
        headers = tokens.headers(request.method, request.path, token)
        if content is None:
            return Send(request, headers)
        made = Request(request.method, request.path, content=content(), content_type=request.content_type)
        return Send(made, headers)

    response = yield from _repeated(attempt, until_s)
    if tokens.take_nonce(response.headers) and response.status in (400, 401):
        response = yield from _repeated(attempt, until_s)
        tokens.take_nonce(response.headers)
    return response


def _repeated(attempt: Callable[[], Send], until_s: float) -> Steps[Response]:
    """Return the first answer that need not be retried.

    At the deadline, return the last answer. Raises LostConnection if there was none.
    """
    pause_s = PAUSE_S
    while True:
        outcome = yield attempt()
        assert outcome is not None
        if isinstance(outcome, Response) and outcome.status not in RETRY_STATUSES:
            return outcome
        wait_s = _retry_after_s(outcome) or random.uniform(pause_s / 2, pause_s)
        pause_s = min(2 * pause_s, PAUSE_S_MAX)
        if time.monotonic() + wait_s >= until_s:
            if isinstance(outcome, Response):
                return outcome
            raise errors.LostConnection(
                f"the server gave no answer: {outcome.reason}",
                hint="check the address and the network; then do the same call again: its id makes that safe",
            )
        yield Pause(wait_s)


def _retry_after_s(outcome: SendOutcome) -> float:
    """Return the seconds of the header Retry-After, 0 for none. After a date, the usual pause applies."""
    text = outcome.headers.get("retry-after", "") if isinstance(outcome, Response) else ""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 8 else 0.0
