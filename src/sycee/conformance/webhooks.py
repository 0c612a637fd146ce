"""Checks of a receiver of webhooks: out of order, repeated, forged, and with a clock that is wrong by a minute.

The receiver must trust the public key of the test. It should take a webhook (status 200 to 299) if its signature is
right and its time near, independent of earlier events, and refuse every other one (400 to 499).
docs/reference/events.md defines body and signature.
"""

from __future__ import annotations

import base64
import json
from typing import Any, Final

from sycee.conformance.checks import Bench, Differs, check
from sycee.core import timestamps
from sycee.core.clock import RealClock
from sycee.core.errors import UnavailableError
from sycee.core.extras import extra
from sycee.core.keys import SigningKey

with extra("client"):
    import httpx

TIMEOUT_S: Final = 15.0
TAKEN: Final = "taken: 200 to 299"
REFUSED: Final = "refused: 400 to 499"
_FRAME: Final = 9_000_000_000  # of invented events, far above those of a real ledger


@check("webhooks", "in-order", f"two webhooks, one after the other: {TAKEN}")
def in_order(bench: Bench) -> str:
    """Send two events."""
    return f"{taken(bench, 1)}, {taken(bench, 3)}"


@check("webhooks", "out-of-order", f"an older event after a newer one: {TAKEN}")
def out_of_order(bench: Bench) -> str:
    """Send an event whose number is between those that were sent."""
    return taken(bench, 2)


@check("webhooks", "repeated", f"an event that was taken before: {TAKEN}")
def repeated(bench: Bench) -> str:
    """Send an event again."""
    return taken(bench, 1)


@check("webhooks", "unknown-type", f"a type that the receiver does not know: {TAKEN}")
def unknown_type(bench: Bench) -> str:
    """Send an event of a type that does not exist yet."""
    return taken(bench, 4, type="test.unknown")


@check("webhooks", "clock-slow", f"a clock that is a minute behind: {TAKEN}")
def clock_slow(bench: Bench) -> str:
    """Send an event that the sender's clock dates a minute ago."""
    return taken(bench, 5, at_s=-60)


@check("webhooks", "clock-fast", f"a clock that is a minute ahead: {TAKEN}")
def clock_fast(bench: Bench) -> str:
    """Send an event that the sender's clock dates a minute ahead."""
    return taken(bench, 6, at_s=60)


@check("webhooks", "stale", f"a webhook of an hour ago, as in a replay: {REFUSED}")
def stale(bench: Bench) -> str:
    """Send an event with a right signature and an old time."""
    return turned_away(bench, 7, at_s=-3_600)


@check("webhooks", "wrong-key", f"a signature with another key: {REFUSED}")
def wrong_key(bench: Bench) -> str:
    """Send an event that a stranger signed."""
    return turned_away(bench, 8, key=SigningKey.generate())


@check("webhooks", "changed", f"a body that was changed after it was signed: {REFUSED}")
def changed(bench: Bench) -> str:
    """Send an event whose amount is another one than the signed one."""
    return turned_away(bench, 9, amount="1")


@check("webhooks", "unsigned", f"a webhook without a signature: {REFUSED}")
def unsigned(bench: Bench) -> str:
    """Send an event without the header."""
    return turned_away(bench, 10, without_signature=True)


def taken(bench: Bench, number: int, **how: Any) -> str:
    """Send a webhook that the receiver must take."""
    status = _sent(bench, number, **how)
    if not 200 <= status < 300:
        raise Differs(f"status {status}, not 200 to 299")
    return f"status {status}"


def turned_away(bench: Bench, number: int, **how: Any) -> str:
    """Send a webhook that the receiver must refuse."""
    status = _sent(bench, number, **how)
    if not 400 <= status < 500:
        raise Differs(f"status {status}, not 400 to 499")
    return f"status {status}"


def signature(key: SigningKey, id: str, at_s: int, body: bytes) -> str:
    """Return the header `webhook-signature` of Standard Webhooks for an Ed25519 key."""
    return f"v1a,{base64.b64encode(key.sign(f'{id}.{at_s}.'.encode() + body)).decode()}"


def _sent(
    bench: Bench,
    number: int,
    *,
    type: str = "payment.made",
    at_s: int = 0,
    key: SigningKey | None = None,
    amount: str = "",
    without_signature: bool = False,
) -> int:
    """Send one webhook, and return the status of the answer. Raises UnavailableError without an answer."""
    own = bench.tested.webhook_key
    assert own is not None, "the command needs a key for a receiver"
    now_ns = RealClock().now_ns()
    sent_s = now_ns // 10**9 + at_s
    name, at = f"evt_test_{_FRAME + number}_0", timestamps.exact_text(now_ns)
    event = {
        "id": f"{_FRAME + number}.0",
        "type": type,
        "at": at,
        "at_ns": str(now_ns),
        "operation": f"01930e2c-5a00-7abc-8def-{number:012x}",
        "currency": "XTS",  # of ISO 4217, for tests
        "amount": "100",
        "accounts": ["01930e2c-5a00-7abc-8def-000000000001", "01930e2c-5a00-7abc-8def-000000000002"],
    }
    envelope = {"type": type, "timestamp": at, "data": event}
    signed_body = json.dumps(envelope).encode()
    headers = {"Content-Type": "application/json", "webhook-id": name, "webhook-timestamp": str(sent_s)}
    if not without_signature:
        headers["webhook-signature"] = signature(key or own, name, sent_s, signed_body)
    body = json.dumps(envelope | {"data": event | {"amount": amount}}).encode() if amount else signed_body
    try:
        answer = httpx.post(bench.tested.receiver, content=body, headers=headers, timeout=TIMEOUT_S)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UnavailableError(f"the receiver gave no answer: {error}") from error
    return answer.status_code
