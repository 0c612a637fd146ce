"""Examples of the API's document, for bodies whose fields have none of their own.

Every request and answer of text has an example: `examples` of a field, or a whole body here. A test compares them with
their schemas.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_ID: Final = "01930e2c-5a00-7abc-8def-0123456789ab"
_CHALLENGE: Final = "tyoH01QrEUa8Hs6wHu5QipqcVDk7u7qugnoLFEiBe98"
_DIGEST: Final = "774d5a8d4f5dd7f8d3146caede3f181be56d1c09bc2762d74c72b55338272311"
_STATEMENT: Final = (
    "time,purpose,amount_minor,balance_minor,counterparty,operation,text\r\n"
    f"2026-11-02T09:30:00.000000000Z,PAY_OWN,1250,48750,{_ID},{_ID},tea\r\n"
)
_DAY_REPORT: Final = (
    "outlet,till,payments,gross_minor,own_minor,packets_minor,refunds,refunded_own_minor,refunded_packets_minor,"
    "net_minor\r\nMain Street,T1,3,3750,2500,1250,1,500,0,3250\r\n"
)
_JSON: Final = "application/json"
_CSV: Final = "text/csv"

# By the names of schemas.
BODIES: Final[Mapping[str, Any]] = {
    "Problem": {
        "type": "/problems/not-found",
        "title": "There is no such thing, or the caller may not see it",
        "status": 404,
        "detail": "there is no wallet",
        "request_id": "01930e2c5a007abc",
    },
    "InvitationBody": {"invitation": "G3SF-VJA2-PEB3-Y576-LEPI-UBZR-SCJC-T2UB"},
    "ProviderBody": {"invitation": ""},
    "CredentialBody": {"credential": {"id": _CHALLENGE, "rawId": _CHALLENGE, "type": "public-key", "response": {}}},
    "MessageRequest": {"message_to_sign": {"message": _DIGEST, "key": f"ed25519:{_DIGEST}", "document": None}},
    "EndedOthers": {"ended": 2},
    "AliasQuery": {"alias": "+8613923160000"},
    "Confirmed": {"active": True},
    "Qr": {"text": "00020101021126...6304A13F", "dynamic": False},
    "MessageList": {"language": "en", "rows": [{"state": "won", "text": "You have won {amount}.", "open": ["amount"]}]},
    "Languages": {"languages": ["en", "zh"]},
    "ClearingParticipant": {"participant": 2, "code": "NORTHCNSXXX", "currencies": ["CNY"]},
    "DraftAnswer": {"name": "luohu-2020", "state": "draft", "digest": _DIGEST},
    "ReceiptAnswer": {
        "entry": 17,
        "state": "registered",
        "reason": "",
        "document": "900000000000017485",
        "phone": "19900005662",
        "salt": _DIGEST,
    },
    "PeopleAnswer": {
        "rows": 3,
        "registered": 2,
        "refused": {"DUPLICATE_PHONE": 1},
        "faults": [{"row": 3, "column": "phone", "code": "DUPLICATE_PHONE"}],
    },
    "EntryCounts": {"rows": [{"state": "registered", "reason": "", "entries": 1200}]},
    "ScreeningAnswer": {"duplicates": 12, "excluded": 3},
    "Codes": {"rows": [{"entry": 17, "code": "482913"}]},
    "ReceiptBody": {"reason": "complaint", "case": 4},
    "LookupBody": {"reason": "complaint", "case": 4, "phone": "19900005662"},
    "ReportFiles": {"files": ["report.html", "report.json"]},
    "BeaconAnswer": {"values": {_DIGEST: 2}},
    "HaltAnswer": {"name": "luohu-2020", "halted": "a shop sold packets"},
    "Joined": {"operator": 2, "joined": 3},
    "Conditions": {"go": False, "conditions": [{"name": "money", "met": False, "detail": "reserves are missing"}]},
    "Filed": {"kind": "restore", "operator": 2, "passed": True},
    "Numbers": {"rows": [{"serial": 17, "number": "0000 0000 1742 1190 5773 0266"}]},
    "sycee__server__routes__cases__Opened": {"case": 4},
    "CaseTexts": {"rows": [{"number": 1, "text": "I paid twice."}]},
    "DayDone": {"day": "2026-11-02", "pack": _DIGEST, "breaks": 0},
    "SearchBody": {"by": "phone", "text": "+8613923160000", "reason": "dispute", "case": 4},
}

# By the names of operations: media type and example of the first answer.
ANSWERS: Final[Mapping[str, tuple[str, Any]]] = {
    "health": (_JSON, {"status": "alive"}),
    "ready": (_JSON, {"status": "ready", "frame": 357}),
    "supply": (
        _JSON,
        {
            "format": "sycee.supply.v1",
            "currency": "CNY",
            "decimals": 2,
            "supply": "400000000",
            "converted_reserves": "400000000",
            "equal": True,
            "in_wallets": {"class-2": "585021", "other": "25024"},
            "in_purses": "0",
            "elsewhere": "399389955",
            "operators": {"2": {"state": "active", "vault": "194395000", "reserve": "0"}},
            "ledger": "bb5c2d0c6b9b4bed938fdcaa5e1617d2",
            "epoch": 1,
            "frame": "357",
            "time": "2026-11-28 21:57:15 UTC",
            "frame_digest": _DIGEST,
            "state_digest": None,
            "rehearsal": False,
        },
    ),
    "problem": ("text/plain", "The ledger refused (HTTP 422)\n\nThe rules of the currency forbid the operation; ...\n"),
    "request_token": (
        _JSON,
        {"access_token": "eyJhbGciOi...", "token_type": "DPoP", "expires_in": 300, "scope": "read write"},
    ),
    "token_keys": (
        _JSON,
        {
            "keys": [
                {"kty": "OKP", "crv": "Ed25519", "x": _CHALLENGE, "kid": _CHALLENGE, "use": "sig", "alg": "Ed25519"}
            ]
        },
    ),
    "begin_passkey": (
        _JSON,
        {"publicKey": {"rp": {"name": "Sycee", "id": "localhost"}, "challenge": _CHALLENGE, "attestation": "none"}},
    ),
    "begin_login": (
        _JSON,
        {"publicKey": {"challenge": _CHALLENGE, "rpId": "localhost", "userVerification": "required"}},
    ),
    "begin_provider_login": (_JSON, {"location": "https://login.example/authorize?client_id=sycee&state=..."}),
    "session": (
        _JSON,
        {"kind": "machine", "person": _ID, "client": _ID, "operator": 2, "scopes": ["read", "write"]},
    ),
    "order_state": (
        _JSON,
        {
            "order": "17",
            "state": "paid",
            "payment": _ID,
            "minor": "1250",
            "refunded": "0",
            "time": "2026-11-02 09:30:00 UTC",
        },
    ),
    "read_pack": (_JSON, {"format": "sycee.day.v1", "day": "2026-11-02"}),
    "download_statement": (_CSV, _STATEMENT),
    "download_day_report": (_CSV, _DAY_REPORT),
}


def add_examples(document: dict[str, Any]) -> None:
    """Add the examples to a document of OpenAPI 3.1, whose schemas and operations all have the names used here."""
    schemas = document["components"]["schemas"]
    for name, example in BODIES.items():
        schemas[name]["examples"] = [example]
    operations = {each["operationId"]: each for path in document["paths"].values() for each in path.values()}
    for name, (media_type, example) in ANSWERS.items():
        responses = operations[name]["responses"]
        responses[min(responses)]["content"][media_type]["example"] = example
