"""What is repeated, how long it waits, and when it ends: the shared core, without a network."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

import pytest

from sycee.client import Call, LostConnection, NotTaken, Problem, ServerFailed, TooManyRequests, api
from sycee.client.exchange import PAUSE_S_MAX, Lost, Pause, Response, Send, SendOutcome, Session
from sycee.client.operations.arguments import ledger_of
from sycee.client.tokens import Credentials, Tokens
from sycee.core import ids
from sycee.core.errors import UsageError
from sycee.core.keys import SigningKey

pytestmark = pytest.mark.fast
KEY = SigningKey.derive(bytes(32))
READY = Response(200, {}, b'{"status":"ready","frame":7}')
TOKEN = Response(200, {}, b'{"access_token":"t","expires_in":300}')


def session(credentials: Credentials | None = None, *, deadline_s: float = 60) -> Session:
    return Session("https://bank.example", credentials, deadline_s, time.time_ns, time.time_ns)


def talk(on: Session, call: Any, outcomes: Sequence[SendOutcome]) -> tuple[Any, list[Send | Pause]]:
    """Return the value of a call for these outcomes of its requests, and its steps."""
    steps, given = on.run(call.converse(on)), list(outcomes)
    made: list[Send | Pause] = []
    outcome: SendOutcome = None
    while True:
        try:
            made.append(steps.send(outcome))
        except StopIteration as ended:
            assert given == []
            return ended.value, made
        outcome = given.pop(0) if isinstance(made[-1], Send) else None


def status(number: int, **headers: str) -> Response:
    return Response(number, {name.replace("_", "-"): value for name, value in headers.items()}, b"{}")


@pytest.mark.parametrize("number", [408, 429, 502, 503, 504])
def test_what_was_not_taken_is_repeated_after_the_stated_time(number: int) -> None:
    value, steps = talk(session(), api.ready(), [status(number, retry_after="2"), Lost("reset"), READY])
    assert value == 7
    assert [type(each) for each in steps] == [Send, Pause, Send, Pause, Send]
    assert steps[1] == Pause(2.0)
    assert isinstance(steps[3], Pause)
    assert 0 < steps[3].seconds <= 0.2


def test_pauses_double_up_to_a_maximum() -> None:
    _, steps = talk(session(deadline_s=1e9), api.ready(), [*12 * [Lost("reset")], READY])
    pauses = [each.seconds for each in steps if isinstance(each, Pause)]
    assert all(low <= pause <= 2 * low for low, pause in zip((0.05, 0.1, 0.2, 0.4), pauses, strict=False))
    assert PAUSE_S_MAX / 2 <= pauses[-1] <= PAUSE_S_MAX


@pytest.mark.parametrize("number", [400, 403, 404, 409, 422, 500, 501])
def test_an_answer_that_would_not_change_is_not_repeated(number: int) -> None:
    with pytest.raises(Problem) as found:
        talk(session(), api.ready(), [status(number)])
    assert found.value.status == number
    assert isinstance(found.value, ServerFailed) is (number >= 500)


def test_the_deadline_ends_the_repetitions() -> None:
    for outcome, error in (
        (Lost("reset"), LostConnection),
        (status(503, retry_after="10"), NotTaken),
        (status(429), TooManyRequests),
    ):
        with pytest.raises(error):
            talk(session(deadline_s=0), api.ready(), [outcome])


def test_a_token_is_replaced_before_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    on = session(Credentials(ids.format(1), KEY))
    _, steps = talk(on, api.ready(), [TOKEN, READY])
    assert [each.request.path for each in steps if isinstance(each, Send)] == ["/oauth/token", "/readyz"]
    assert len(talk(on, api.ready(), [READY])[1]) == 1
    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s + 271)
    _, steps = talk(on, api.ready(), [TOKEN, READY])
    assert len(steps) == 2
    # Every attempt has a proof of its own: a server refuses one that it saw before.
    _, steps = talk(on, api.ready(), [Lost("reset"), READY])
    proofs = [each.headers["DPoP"] for each in steps if isinstance(each, Send)]
    assert len(set(proofs)) == 2


def test_a_refused_token_is_replaced_once() -> None:
    on = session(Credentials(ids.format(1), KEY))
    _, steps = talk(on, api.ready(), [TOKEN, status(401), TOKEN, READY])
    assert len(steps) == 4
    with pytest.raises(Problem, match="401"):
        talk(on, api.ready(), [status(401), TOKEN, status(401)])


def test_credentials_do_not_show_their_key() -> None:
    credentials = Credentials(ids.format(1).upper(), KEY)
    assert credentials.client == ids.format(1)
    assert "SigningKey" not in repr(credentials)
    assert not Tokens(credentials, "https://bank.example", time.time_ns).keep({"access_token": 1}, 0)
    with pytest.raises(UsageError, match="no scope"):
        Credentials(ids.format(1), KEY, "admin")


def test_the_ledger_in_which_a_client_signs_is_read_once() -> None:
    """A server computes its supply for each request that asks for it."""
    on, ledger = session(), bytes(range(16))
    supply = Response(200, {}, json.dumps({"ledger": ledger.hex(), "currency": "CNY"}).encode())
    found, made = talk(on, Call(ledger_of), [supply])
    assert (found, len(made)) == ((ledger, 156), 1)
    assert talk(on, Call(ledger_of), []) == ((ledger, 156), [])
