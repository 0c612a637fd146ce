"""Receive webhooks: check that the server sent a request, and return its event.

The form is that of Standard Webhooks (https://www.standardwebhooks.com) with an Ed25519 key.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from sycee.client.errors import WebhookRefused, members_of
from sycee.core.clock import RealClock
from sycee.core.errors import UsageError
from sycee.core.keys import ED25519, PublicKey

TOLERANCE_S: Final = 300  # clocks differ, and webhooks are sent again with a new time
BODY_BYTES_MAX: Final = 1 << 20
_KEY_PREFIX: Final = "whpk_"


def public_key(text: str) -> PublicKey:
    """Return the key in a text such as the server's `public_key`: whpk_ and base64. Raises UsageError for another."""
    try:
        key = base64.b64decode(text.removeprefix(_KEY_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not text.startswith(_KEY_PREFIX) or len(key) != 32:
        raise UsageError("this is no key of webhooks", hint=f'it begins with "{_KEY_PREFIX}"')
    return PublicKey(ED25519, key)


def received(
    headers: Mapping[str, str], body: bytes, key: PublicKey, *, now_s: float | None = None
) -> Mapping[str, Any]:
    """Return the event in a webhook, as it is in a stream. `headers`: of the request, with names in any case.

    Raises WebhookRefused for a wrong signature, a time that differs by more than TOLERANCE_S, and any other content:
    answer 400. A webhook may arrive twice, and after later ones: the member `id` is the number of the event.
    """
    named = {name.lower(): value for name, value in headers.items()}
    id, sent = named.get("webhook-id", ""), named.get("webhook-timestamp", "")
    if not sent.isascii() or not sent.isdigit() or len(sent) > 12:
        raise WebhookRefused("the webhook has no time")
    if abs((RealClock().now_ns() / 1e9 if now_s is None else now_s) - int(sent)) > TOLERANCE_S:
        raise WebhookRefused("the time of the webhook differs too much", hint="check the clock of this machine")
    message = f"{id}.{sent}.".encode() + body
    if len(body) > BODY_BYTES_MAX or not any(
        key.verifies(_signature(each), message) for each in named.get("webhook-signature", "")[:1_000].split()
    ):
        raise WebhookRefused("the signature of the webhook is wrong", hint="compare the key with that of the server")
    event = members_of(body).get("data")
    if not isinstance(event, dict) or "id" not in event or "type" not in event:
        raise WebhookRefused("the webhook has no event")
    return event


def _signature(text: str) -> bytes:
    """Return the signature in a text such as v1a,BASE64; b"" for another kind."""
    version, _, encoded = text.partition(",")
    try:
        return base64.b64decode(encoded, validate=True) if version == "v1a" else b""
    except binascii.Error:
        return b""
