"""Invalid arguments of every kind raise an error with a hint, and nothing is stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.compliance.service.world import NEXT_YEAR, Desk

from sycee.compliance.enforcement.decisions import record_digest
from sycee.compliance.enforcement.screening import ComplianceRecord, PaymentRequest, UnreadableFlow
from sycee.compliance.enforcement.service import Compliance
from sycee.core.errors import IntegrityError, SyceeError, UnavailableError

HALF = "\ud800"  # a lone surrogate: no database stores it
NUL = "a\0b"  # PostgreSQL stores no NUL
LET = {"role": "head", "reason": "so", "until": NEXT_YEAR, "by": "eve"}
DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]


def waive(compliance: Compliance, **given: Any) -> None:
    compliance.waive(**({"rule": "first-law/exit", "subject": "bank-c"} | LET | given))


CALLS: list[Callable[[Compliance], object]] = [
    *(lambda it, by=by: it.screen("retail", by=by) for by in (HALF, NUL, None, 5, " ")),
    *(lambda it, name=name: it.screen("retail", payment=name, by="x") for name in (HALF, NUL, None, 5)),
    *(lambda it, name=name: it.admit(name, by="x") for name in (None, 5, HALF, NUL, "", ["bank-a"])),
    *(
        lambda it, until=until: waive(it, until=until)
        for until in ("2027-01-01", None, datetime(2027, 1, 1, tzinfo=UTC))
    ),
    *(lambda it, name=name: waive(it, rule=name) for name in (None, HALF, 5)),
    *(lambda it, name=name: waive(it, subject=name) for name in (None, HALF, "", " @ ", "retail @ ")),
    *(lambda it, name=name: waive(it, role=name) for name in (None, HALF, NUL, "")),
    *(lambda it, name=name: it.appeal(name, reason="so", by="x") for name in (None, HALF, "", "0" * 64)),
    *(lambda it, name=name: it.replay(name) for name in (None, HALF, "")),
    *(lambda it, name=name: it.admission_status(name) for name in (None, HALF, NUL)),
    *(lambda it, name=name: it.screenings(name) for name in (None, HALF, NUL)),
    *(
        lambda it, until=until: it.decide_appeal(1, granted=True, **LET | {"until": until})
        for until in ("2027-01-01", 5)
    ),
    *(lambda it, day=day: it.network(as_of=day) for day in ("2026-11-25", 5, datetime(2026, 11, 25, tzinfo=UTC))),
    *(lambda it, text=text: it.declare({"a.toml": text}, by="x") for text in (HALF, NUL, 5, b"\xff")),
    *(lambda it, name=name: it.declare({name: b""}, by="x") for name in (HALF, NUL, 5)),
    *(lambda it, kind=kind: it.versions(kind) for kind in ("netwrok", None, HALF)),
    *(lambda it, granted=granted: it.decide_appeal(1, granted=granted, **LET) for granted in ("yes", None, 1)),
]


def test_invalid_arguments_are_refused_with_a_hint(desk: Desk) -> None:
    refused = desk.compliance.admit("bank-c", by="desk")
    assert desk.compliance.appeal(refused.digest, reason="please", by="bank-c") == 1
    versions = desk.compliance.versions("network")
    for call in CALLS:
        with pytest.raises(SyceeError) as caught:
            call(desk.compliance)
        assert getattr(caught.value, "hint", "") or getattr(caught.value, "right", "")
        assert str(caught.value).encode("utf-8", "backslashreplace")
    assert desk.compliance.versions("network") == versions
    assert desk.compliance.screenings("") == []
    assert len(desk.compliance.admissions("bank-c")) == 1
    assert [each.granted for each in desk.compliance.appeals()] == [None]


UNREADABLE: list[tuple[Any, Any]] = [
    *((flow, {}) for flow in (HALF, NUL, None, ["retail"], "retial")),
    *(("retail", facts) for facts in ([1], "stored", 5, {5: 5}, {HALF: 1}, {"via": []}, {"to": "nobody"})),
    *(("retail", {"stored": stored}) for stored in (HALF, [HALF], DEEP)),
    *(("retail", {"amount_minor": each}) for each in (float("nan"), object(), 10**5000, "1", -1)),
    *(("retail", {"purpose": purpose}) for purpose in (HALF, NUL, "\x7f")),
]
NOT_KEPT = 4  # requests that JSON has no form for, or that are too deep


def test_a_payment_that_cannot_be_read_is_refused_and_stored(desk: Desk) -> None:
    desk.compliance.admit("bank-a", by="desk")
    desk.compliance.admit("bank-b", by="desk")
    requests = [PaymentRequest("payment", flow, facts) for flow, facts in UNREADABLE]
    decided = desk.compliance.screen_many([*requests, PaymentRequest("good", "retail")], by="gateway")
    types = [type(each) for each in decided]  # a diff of the requests would never end: one is 100,000 levels deep
    assert types == [*(UnreadableFlow for _ in requests), ComplianceRecord]
    assert {(each.outcome, each.reason_code) for each in decided[:-1]} == {("refused", "CH16")}
    assert all(each.messages[0].encode() for each in decided if isinstance(each, UnreadableFlow))
    stored = desk.compliance.screenings("payment")
    assert [each.digest for each in stored] == [each.digest for each in decided[:-1]]
    not_kept = 0
    for each in stored:
        if each.record["given"]:
            assert desk.compliance.replay(each.digest).digest == each.digest
        else:
            not_kept += 1
            with pytest.raises(UnavailableError, match="lacks the request"):
                desk.compliance.replay(each.digest)
    assert not_kept == NOT_KEPT


def test_a_record_that_calls_a_valid_request_unreadable_is_found(desk: Desk) -> None:
    made = desk.compliance.screen("retial", payment="p", by="gateway")
    forged = {**made.record, "given": json.dumps({"flow": "retail", "facts": {}})}
    forged["digest"] = record_digest(forged)
    with pytest.raises(IntegrityError, match="can be read"):
        desk.compliance.verify_record(forged)
