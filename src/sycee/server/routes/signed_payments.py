"""`POST /v1/payments` as an operation of the API, for its description and for an application without the fast path.

`sycee.server.payments.app` answers the path before the framework reads the request.
"""

from __future__ import annotations

import base64
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from sycee.core.records import envelopes, operations
from sycee.core.records.envelopes import Envelope
from sycee.server.operations import ENVELOPE, operation
from sycee.server.payments.app import PATH, PaymentsApp
from sycee.server.payments.decoding import JSON_TYPE, PAYMENT_BYTES, PAYMENT_TYPE

router = APIRouter(tags=["payments"])

_ID: Final = "01930e2c-5a00-7abc-8def-0123456789ab"
_RECORD: Final = operations.pay(_ID, payer=1_000, payee=1_001, amount=1_250).tobytes()
_ENVELOPE: Final = envelopes.as_array(
    [
        Envelope(
            first=0,
            count=1,
            flags=1,
            currency=156,
            key_epoch=1,
            signer=1_000,
            valid_until_ns=1_793_700_000_000_000_000,
            signature=bytes(64),
        )
    ]
).tobytes()
_BASE64: Final = {"type": "string", "contentEncoding": "base64"}
_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        PAYMENT_TYPE.decode(): {
            "schema": {
                "description": f"{PAYMENT_BYTES} bytes: a record of 128, then its envelope of 104",
                "contentMediaType": PAYMENT_TYPE.decode(),
            }
        },
        JSON_TYPE.decode(): {
            "schema": {
                "type": "object",
                "required": ["record", "envelope"],
                "additionalProperties": False,
                "properties": {
                    "record": {**_BASE64, "description": "128 bytes"},
                    "envelope": {**_BASE64, "description": "104 bytes"},
                },
            },
            "example": {
                "record": base64.b64encode(_RECORD).decode(),
                "envelope": base64.b64encode(_ENVELOPE).decode(),
            },
        },
    },
}
_RESULT: Final[dict[str, Any]] = {
    JSON_TYPE.decode(): {
        "schema": {
            "type": "object",
            "required": ["id", "result", "frame", "time_ns"],
            "properties": {
                "id": {"type": "string", "format": "uuid"},
                "result": {"const": "CREATED"},
                "frame": {"type": "integer", "description": "The frame that decided the payment"},
                "time_ns": {"type": "string", "description": "Its time, nanoseconds since 1970 UTC"},
            },
        },
        "example": {"id": _ID, "result": "CREATED", "frame": 8_123, "time_ns": "1793700000000000000"},
    }
}


@operation(
    router,
    "POST",
    PATH,
    access=ENVELOPE,
    status_code=201,
    response_class=Response,
    summary="Make a payment that its payer's key signed",
    responses={
        201: {"description": "The payment was made now, and is durable", "content": _RESULT},
        200: {"description": "An earlier request made the payment; its frame and time", "content": _RESULT},
    },
    openapi_extra={"requestBody": _BODY},
)
async def pay_signed(request: Request) -> Response:
    """Take PAY, TRANSFER, HOLD, POST, VOID, EXTEND or REFUND, signed by the account's own key.

    The record's id is the idempotency key: after a timeout or 503, send the same bytes again. Limits by address apply
    before the signature is verified.
    """
    payments: PaymentsApp = request.app.state.payments
    answer = await payments.answer(request.scope, request.receive)
    return Response(
        answer.body, answer.status, headers={name.decode(): value.decode() for name, value in answer.headers}
    )
