"""A payment may add to its declared flow. To narrow it, a person is named with a role and a reason."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from tests.compliance import build
from tests.compliance.service.world import Desk, rule

from sycee.compliance.enforcement.judge_cache import JudgeCache
from sycee.compliance.enforcement.screening import ComplianceRecord, PaymentRequest, Refusal, UnreadableFlow
from sycee.core.errors import UsageError

WHO = {"role": "head of compliance", "reason": "the data of this payment is stored at home"}


def declared() -> JudgeCache:
    """Return a judge of one declared flow, all of whose facts a rule reads."""
    fields = ("purpose", "classes", "legal_bases", "persons_12m", "incidental", "amount_minor", "stored")
    regime = build.profile(
        *(
            build.rule("flow", build.condition(name, "declared"), id=f"reads-{name.replace('_', '-')}")
            for name in fields
        )
    )
    network = build.network(
        hub=build.facility(state="AA"),
        far=build.facility(state="BB"),
        bank=build.participant(gateway="hub"),
        shop=build.participant(gateway="hub"),
        pay=build.flow(
            from_="bank",
            to="shop",
            purpose="analytics",
            incidental=False,
            classes=("financial", "personal"),
            persons_12m=5000,
            amount_minor=700,
            legal_bases=[{"state": "AA", "basis": "contract"}],
            stored=[{"at": "hub"}, {"at": "far", "until": date(2026, 1, 1)}],
        ),
    )
    return JudgeCache(network, build.library(regime), build.AT, ())


@pytest.mark.parametrize(
    ("facts", "narrows"),
    [
        ({}, ""),
        ({"purpose": "analytics", "persons_12m": 5000, "classes": ["personal", "financial"]}, ""),
        ({"classes": ["financial", "personal", "account"]}, ""),
        ({"classes": ["financial"]}, "classes"),
        ({"classes": []}, "classes"),
        ({"persons_12m": 5001}, ""),
        ({"persons_12m": 4999}, "persons_12m"),
        ({"amount_minor": 1}, ""),
        ({"purpose": "payment"}, "purpose"),
        ({"incidental": True}, "incidental"),
        ({"stored": [{"at": "far"}, {"at": "hub"}]}, ""),
        ({"stored": [{"at": "hub", "until": "2026-01-01"}]}, "stored"),
        ({"stored": [{"at": "hub", "reason": "law"}]}, "stored"),
        ({"stored": []}, "stored"),
        ({"legal_bases": [{"state": "AA", "basis": "contract"}]}, ""),
        ({"legal_bases": [{"state": "AA", "basis": "contract"}, {"state": "AA", "basis": "consent"}]}, "legal_bases"),
        ({"from": "shop", "to": "bank"}, "from, to"),
    ],
)
def test_facts_that_add_and_facts_that_narrow(facts: dict[str, Any], narrows: str) -> None:
    cache = declared()
    if not narrows:
        assert cache.flow_class("pay", facts).narrowed == {}
        assert cache.flow_class("pay", facts, **WHO).digest == cache.flow_class("pay", facts).digest
        return
    with pytest.raises(UsageError, match=f"narrows its {narrows}") as caught:
        cache.flow_class("pay", facts)
    assert caught.value.hint
    for lacking in ({"role": ""}, {"reason": "  "}):
        with pytest.raises(UsageError, match="may only add"):
            cache.flow_class("pay", facts, **(WHO | lacking))
    assert cache.flow_class("pay", facts, **WHO).narrowed == WHO


def test_a_narrowing_is_stored_and_judged_again(small: Desk) -> None:
    for each in "ab":
        small.compliance.admit(f"bank-{each}", by="desk")
    facts = {"stored": [{"at": "hub-b"}]}
    refused = small.compliance.screen("retail", facts, payment="1", by="gateway")
    assert isinstance(refused, UnreadableFlow)
    assert "may only add to its declared flow retail" in refused.messages[0]
    made = small.compliance.screen("retail", facts, payment="2", by="gateway", **WHO)
    assert isinstance(made, ComplianceRecord)
    assert made.record["flow"]["narrowed"] == WHO
    assert small.compliance.replay(made.digest).record == made.record
    assert small.compliance.replay(refused.digest).record == refused.record
    many = small.compliance.screen_many(
        [PaymentRequest("3", "retail", facts), PaymentRequest("4", "retail", facts, **WHO)], by="gateway"
    )
    assert [type(each) for each in many] == [UnreadableFlow, ComplianceRecord]
    as_declared = small.compliance.screen("retail", {"stored": [{"at": "hub-a"}]}, payment="5", by="gateway", **WHO)
    assert "narrowed" not in as_declared.record["flow"]
    assert small.compliance.replay(as_declared.digest).record == as_declared.record


def test_a_payment_does_not_clear_a_flow_that_contradicts_itself(small: Desk) -> None:
    """A class that supports the label of the declared flow is an addition; the declaration stays contradictory."""
    small.declare(('classes = ["payment"]', 'classes = ["valuable-ip"]'))
    small.add(rule("use", "flow", 'require = [{ fact = "purpose", test = "declared" }]'))
    for each in "ab":
        small.compliance.admit(f"bank-{each}", by="desk")
    made = small.compliance.screen("retail", {"classes": ["valuable-ip", "payment"]}, payment="1", by="gateway")
    assert isinstance(made, Refusal)
    assert (made.reason_code, [each.rule for each in made.result.findings if each.stops]) == (
        "RR05",
        ["consistency/payment-class"],
    )


def test_a_payment_that_names_no_flow_narrows_none_between_its_parties(small: Desk) -> None:
    small.add(rule("use", "flow", 'require = [{ fact = "stored.at.state", test = "declared" }]'))
    for each in "ab":
        small.compliance.admit(f"bank-{each}", by="desk")
    declared = small.compliance.network().entities["retail"].facts
    facts = {"from": "bank-a", "to": "bank-b", "stored": [{"at": "hub-b"}]}
    assert "stored" in declared
    refused = small.compliance.screen("", facts, payment="1", by="gateway")
    assert isinstance(refused, UnreadableFlow)
    assert "narrows its stored" in refused.messages[0]
    assert "flow retail" in refused.messages[0]
    made = small.compliance.screen("", facts, payment="2", by="gateway", **WHO)
    assert made.record["flow"]["narrowed"] == WHO
    assert small.again().replay(made.digest).record == made.record
    for other in ({"from": "bank-b", "to": "bank-a"}, {"stored": [{"at": "hub-a"}, {"at": "hub-b"}]}):
        asked = small.compliance.screen("", facts | other, payment=str(other), by="gateway")
        assert not isinstance(asked, UnreadableFlow), other


def test_a_payment_without_a_declared_flow_names_a_class_that_supports_its_purpose(small: Desk) -> None:
    payments = 'unless = [{ fact = "purpose", test = "any-in", values = ["payment"] }]'
    small.add(rule("use", "flow", f'{payments}\nrequire = [{{ fact = "currency", test = "declared" }}]'))
    for each in "ab":
        small.compliance.admit(f"bank-{each}", by="desk")
    facts = {"from": "bank-a", "to": "bank-b", "purpose": "payment", "stored": [{"at": "hub-a"}]}
    made = small.compliance.screen("", facts, payment="1", by="gateway")
    assert isinstance(made, Refusal)
    assert made.result.missing == ("asked.classes", "asked.currency")
    assert (
        small.compliance.screen("", facts | {"classes": ["payment"]}, payment="2", by="gateway").outcome == "permitted"
    )
