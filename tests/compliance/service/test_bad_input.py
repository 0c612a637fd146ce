"""Invalid arguments of every kind raise an error with a hint, and nothing is stored."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.compliance.service.world import NEXT_YEAR, Desk

from sycee.compliance.enforcement.service import Compliance
from sycee.core.errors import SyceeError

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
    *(lambda it, flow=flow: it.screen(flow, by="x") for flow in (HALF, NUL, None, ["retail"])),
    *(lambda it, facts=facts: it.screen("retail", facts, by="x") for facts in ([1], "stored", 5, {5: 5}, {HALF: 1})),
    *(lambda it, stored=stored: it.screen("retail", {"stored": stored}, by="x") for stored in (HALF, [HALF], DEEP)),
    *(lambda it, each=each: it.screen("retail", {"amount_minor": each}, by="x") for each in (float("nan"), object())),
    *(lambda it, purpose=purpose: it.screen("retail", {"purpose": purpose}, by="x") for purpose in (HALF, NUL, "\x7f")),
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
