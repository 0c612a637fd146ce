"""Contradictions between declared facts: reported first, and nothing is met or permitted while one exists."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from tests.compliance import build
from tests.compliance.build import (
    AT,
    cloud,
    condition,
    either,
    facility,
    flow,
    library,
    network,
    organisation,
    participant,
    profile,
    rule,
)
from tests.compliance.judged import judge, one

from sycee.compliance.enforcement import admission
from sycee.compliance.enforcement.judge_cache import JudgeCache
from sycee.compliance.facts import Network
from sycee.compliance.judging import consistency
from sycee.compliance.judging.effective_facts import EffectiveNetwork
from sycee.compliance.judging.judge import Judge
from sycee.compliance.reports import html, json_report, junit, sarif, text
from sycee.compliance.reports.summary import JudgedNetwork
from sycee.compliance.verdicts import Verdict

pytestmark = pytest.mark.fast

START_NS = int(datetime(AT.year, AT.month, AT.day, tzinfo=UTC).timestamp()) * 10**9

# A regime that exempts payments, as many do: a false label would be a clearance.
EXEMPT = profile(
    rule(
        "flow",
        condition("stored.at.state", "all-in", values=["AA"]),
        unless=(condition("purpose", "any-in", values=["payment", "payment-processing"]),),
    )
)


def declared(**facts: Any) -> Network:
    """Return two banks, and a flow between them that its classes make a payment."""
    given = {
        "purpose": "payment",
        "classes": ("payment", "personal"),
        "stored": [{"at": "vault"}],
        "processed": [],
    } | facts
    return network(
        firm=organisation(state="AA"),
        other=organisation(state="BB"),
        vault=cloud(state="BB", key_custody="firm", accessible_to=("firm", "reader")),
        keys=cloud(state="BB", operator="other", key_custody="reader", accessible_to=()),
        **{"own-keys": cloud(state="BB", operator="reader", key_custody="reader", accessible_to=())},
        bank=participant(organisation="firm", state="AA", bic="AAAABB22"),
        shop=participant(organisation="other", state="BB", bic="CCCCBB22"),
        pay=flow(from_="bank", to="shop", **given),
    )


def changed(made: Network, id: str, **facts: Any) -> Network:
    """Return the network with other facts of one entity."""
    entity = made.entities[id]
    new = build.entity(entity.kind, **facts)(id)
    return replace(made, entities={**made.entities, id: replace(entity, facts={**entity.facts, **new.facts})})


@pytest.mark.parametrize(
    ("facts", "check", "paths"),
    [
        ({"classes": ("personal",)}, "payment-class", ("pay.purpose", "pay.classes")),
        ({"purpose": "payment-processing", "classes": ()}, "payment-class", ("pay.purpose", "pay.classes")),
        ({"subject_states": ()}, "nobody", ("pay.subject_states", "pay.classes")),
        (
            {"subject_states": (), "classes": ("financial", "health")},
            "nobody",
            ("pay.subject_states", "pay.classes"),
        ),
        (
            {"subject_states": (), "classes": ("financial",), "persons_12m": 20_000},
            "nobody",
            ("pay.subject_states", "pay.persons_12m"),
        ),
        ({"subject_states": (), "classes": ("financial",), "persons_12m": 0}, "", ()),
        ({"cross_border": False}, "foreign-leg", ("pay.cross_border", "bank.state", "shop.state")),
        ({"sold": True}, "sale", ("pay.sold", "pay.purpose")),
        ({"sold": True, "purpose": "analytics"}, "", ()),
        ({"sold": True, "purpose": "analytics", "incidental": True}, "sale", ("pay.sold", "pay.incidental")),
        ({"sold": False, "incidental": True}, "", ()),
        ({"accessors": [{"party": "firm"}]}, "readers", ("pay.accessors", "vault.accessible_to")),
        (
            {"accessors": [], "stored": [], "processed": [{"at": "vault"}]},
            "readers",
            ("pay.accessors", "vault.accessible_to"),
        ),
        ({"accessors": [], "stored": [{"at": "keys"}]}, "readers", ("pay.accessors", "keys.key_custody")),
        ({"accessors": [], "stored": [{"at": "own-keys"}]}, "", ()),
        (
            {"purpose": "support", "classes": ("valuable-ip",), "subject_states": ("AA",), "persons_12m": 7},
            "impersonal",
            ("pay.classes", "pay.subject_states", "pay.persons_12m"),
        ),
        ({"purpose": "support", "classes": (), "persons_12m": 7}, "impersonal", ("pay.classes", "pay.persons_12m")),
        ({"purpose": "support", "classes": ("valuable-ip",), "subject_states": (), "persons_12m": 0}, "", ()),
        ({"purpose": "support", "classes": ("valuable-ip", "important"), "subject_states": ("AA",)}, "", ()),
        ({"persons_12m": 0}, "zero-persons", ("pay.persons_12m", "pay.classes")),
        (
            {"classes": ("financial", "genetic"), "subject_states": ("AA",), "persons_12m": 0},
            "zero-persons",
            ("pay.persons_12m", "pay.classes", "pay.subject_states"),
        ),
        (
            {"classes": ("financial",), "subject_states": ("AA",), "persons_12m": 0},
            "zero-persons",
            ("pay.persons_12m", "pay.subject_states"),
        ),
        ({"persons_12m": 1}, "", ()),
        (
            {"stored": [{"at": "vault"}, {"at": "keys", "deleted_at": START_NS - 1}]},
            "deleted",
            ("pay.stored[2].at", "pay.stored[2].deleted_at"),
        ),
        ({"stored": [{"at": "vault", "deleted_at": START_NS}]}, "", ()),
        ({"stored": [{"at": "vault", "deleted_at": START_NS - 1, "until": AT}]}, "", ()),
        ({}, "", ()),
        ({"classes": ("financial",)}, "", ()),
        ({"classes": ("valuable-ip", "account"), "subject_states": ()}, "", ()),
        ({"purpose": "support", "classes": ("personal",)}, "", ()),
        ({"cross_border": True}, "", ()),
        ({"cross_border": False, "purpose": "analytics"}, "", ()),
        ({"accessors": [{"party": "reader"}]}, "", ()),
    ],
)
def test_facts_of_a_flow_that_exclude_each_other(facts: dict[str, Any], check: str, paths: tuple[str, ...]) -> None:
    found = consistency.contradictions(EffectiveNetwork(declared(**facts), AT))
    assert [(each.check, each.subject, each.facts) for each in found] == ([(check, "pay", paths)] if check else [])


def test_two_participants_with_one_code() -> None:
    made = changed(declared(), "shop", bic="AAAABB22")
    (found,) = consistency.contradictions(EffectiveNetwork(made, AT))
    assert (found.check, found.facts) == ("shared-code", ("bank.bic", "shop.bic"))
    branch = changed(made, "shop", organisation="firm")
    assert consistency.contradictions(EffectiveNetwork(branch, AT)) == ()


def test_holders_of_more_than_all_shares() -> None:
    made = changed(declared(), "firm", owners=({"owner": "other", "share_bp": 6000},), dispersed_bp=5000)
    (found,) = consistency.contradictions(EffectiveNetwork(made, AT))
    assert (found.check, found.subject) == ("shares", "firm")
    assert "11,000" in found.text


@pytest.mark.parametrize(("code", "expected"), [("XX", ["vault.state"]), ("ZZ", ["vault.state"]), ("XA", [])])
def test_the_code_of_an_unknown_state(code: str, expected: list[str]) -> None:
    made = changed(declared(), "vault", state=code)
    found = consistency.contradictions(EffectiveNetwork(made, AT))
    assert [each.facts[0] for each in found] == expected
    synthetic = replace(made, entities={id: replace(each, synthetic=True) for id, each in made.entities.items()})
    assert consistency.contradictions(EffectiveNetwork(synthetic, AT)) == ()


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        ({"accessors": []}, Verdict.UNKNOWN),
        ({"accessors": [], "stored": [], "processed": [{"at": "vault"}]}, Verdict.UNKNOWN),
        ({"accessors": [], "stored": [{"at": "keys"}]}, Verdict.UNKNOWN),
        ({"accessors": [], "stored": [{"at": "own-keys"}]}, Verdict.PASS),
        ({"accessors": [], "stored": []}, Verdict.PASS),
        ({"accessors": [{"party": "reader", "state": "AA"}]}, Verdict.PASS),
        ({"accessors": [{"party": "reader", "state": "BB"}]}, Verdict.FAIL),
        ({"accessors": [{"party": "other", "state": "BB"}]}, Verdict.FAIL),
    ],
)
def test_accessors_that_omit_a_reader_clear_nothing(facts: dict[str, Any], verdict: Verdict) -> None:
    each = rule("flow", condition("state", "all-in", values=["AA"]), each="accessors")
    path = rule("flow", condition("accessors.state", "all-in", values=["AA"]), id="path")
    found = judge(declared(**facts), profile(each, path), at=AT).findings("pay")
    assert {finding.verdict for finding in found} == {verdict}
    if verdict is Verdict.UNKNOWN:
        assert {finding.missing for finding in found} == {("pay.accessors",)}


@pytest.mark.parametrize(
    ("facts", "verdict", "missing"),
    [
        ({}, Verdict.NOT_APPLICABLE, ()),
        ({"classes": ("personal",)}, Verdict.UNKNOWN, ("pay.purpose",)),
        ({"purpose": "analytics", "classes": ("personal",)}, Verdict.FAIL, ()),
    ],
)
def test_a_label_without_support_exempts_nothing(
    facts: dict[str, Any], verdict: Verdict, missing: tuple[str, ...]
) -> None:
    found = one(declared(**facts), "pay", EXEMPT)
    assert (found.verdict, found.missing) == (verdict, missing)
    assert ("other facts contradict pay.purpose" in found.message) == bool(missing)


def test_dropping_the_classes_of_a_flow_exempts_nothing() -> None:
    made = declared()
    entity = made.entities["pay"]
    less = replace(entity, facts={name: fact for name, fact in entity.facts.items() if name != "classes"})
    found = one(replace(made, entities={**made.entities, "pay": less}), "pay", EXEMPT)
    assert (found.verdict, found.missing) == (Verdict.UNKNOWN, ("pay.classes",))


# --- reports ---


def judged(made: Network) -> JudgedNetwork:
    regimes = library(profile(rule("flow", either(condition("purpose", "declared"), condition("from", "declared")))))
    return JudgedNetwork(made, regimes, Judge(made, regimes, AT).report())


def test_every_report_has_contradictions_first_and_says_that_nothing_is_met() -> None:
    good, bad = judged(declared()), judged(declared(classes=("personal",)))
    assert good.profiles[0].sentence.startswith("meets profile regime")
    assert bad.profiles[0].sentence.startswith("is not known to meet profile regime")
    assert (good.is_stopped, bad.is_stopped, bad.report.stops) == (False, True, ())
    (found,) = bad.report.contradictions
    assert text.render(bad, width=200).splitlines()[1].startswith("1 declaration contradicts another: resolve")
    assert found.text in text.render(bad, width=200).splitlines()[2]
    parsed = json_report.parse(json_report.render(bad))
    assert parsed.contradictions == bad.report.contradictions
    assert json.loads(json_report.render(good))["contradictions"] == []
    suite = next(each for each in parsed_xml(bad) if each.get("name") == "consistency")
    assert (suite.get("failures"), suite[0].get("name")) == ("1", "pay")
    assert all(each.get("name") != "consistency" for each in parsed_xml(good))
    assert sarif.log(bad)["runs"][0]["properties"]["contradictions"][0]["check"] == "payment-class"
    assert html.render(bad).index("none of its classes") < html.render(bad).index("Results by profile")


def parsed_xml(of: JudgedNetwork) -> ET.Element:
    return ET.fromstring(junit.render(of))  # noqa: S314 - our own document


# --- decisions ---


def test_a_participant_that_contradicts_another_is_not_admitted() -> None:
    regimes = library(profile(rule("participant", condition("state", "declared"))))
    assert JudgeCache(declared(), regimes, AT, ()).admission("bank").outcome == admission.ADMIT
    cache = JudgeCache(changed(declared(), "shop", bic="AAAABB22"), regimes, AT, ())
    refused = cache.admission("bank")
    assert (refused.outcome, refused.reason_code, refused.missing) == ("refuse", "RR05", ("bank.bic", "shop.bic"))
    assert admission.changes(refused.json(), "bank", cache.findings("bank")) == ()


@pytest.mark.parametrize(
    ("declared_facts", "facts", "reason"),
    [
        ({}, {}, ""),
        ({"classes": ("personal",)}, {}, "unknown"),
        ({}, {"purpose": "payment", "accessors": [{"party": "firm"}]}, "unknown"),
    ],
)
def test_a_payment_of_a_flow_that_contradicts_itself_is_refused(
    declared_facts: dict[str, Any], facts: dict[str, Any], reason: str
) -> None:
    reads_all = either(
        condition("accessors", "declared"), condition("purpose", "declared"), condition("from", "declared")
    )
    regimes = library(profile(rule("flow", reads_all)))
    made = declared(**declared_facts)
    made = replace(made, entities={**made.entities, "hub": facility(state="AA")("hub")})
    for each in ("bank", "shop"):
        made = changed(made, each, gateway="hub")
    cache = JudgeCache(made, regimes, AT, ())
    result = cache.flow_result(cache.flow_class("pay", facts))
    assert result.reasons == ((reason,) if reason else ())


def test_the_day_decides_which_facts_contradict() -> None:
    shares = ({"owner": "other", "share_bp": 6000, "until": date(2026, 1, 1)}, {"owner": "other", "share_bp": 6000})
    made = changed(declared(), "firm", owners=shares, dispersed_bp=0)
    assert judge(made, EXEMPT).contradictions == ()
    assert [each.check for each in judge(made, EXEMPT, at=date(2025, 12, 31)).contradictions] == ["shares"]


@pytest.mark.parametrize(
    ("facts", "counts", "found"),
    [
        ({}, {"persons_sent_abroad": 500}, True),
        ({}, {"persons_sent_abroad": 1_999_999, "sensitive_persons_sent_abroad": 0}, True),
        ({}, {"persons_sent_abroad": 1_999_999, "sensitive_persons_sent_abroad": 1}, False),
        ({}, {}, False),
        ({"to": "bank", "stored": []}, {"persons_sent_abroad": 500}, False),
        ({"to": "bank"}, {"persons_sent_abroad": 500}, True),
        ({"to": "bank", "stored": [], "processed": [{"at": "vault"}]}, {"persons_sent_abroad": 500}, True),
        ({"to": "bank", "stored": [], "accessors": [{"state": "BB"}]}, {"persons_sent_abroad": 500}, True),
        ({"to": "bank", "stored": [], "accessors": [{"state": "AA"}]}, {"persons_sent_abroad": 500}, False),
        ({"origin": "BB"}, {"persons_sent_abroad": 500}, False),
        ({"legal_bases": [{"basis": "law-of-a/contract-with-person"}]}, {"persons_sent_abroad": 500}, False),
        ({"legal_bases": [{"basis": "law-of-a/standard-contract"}]}, {"persons_sent_abroad": 500}, True),
    ],
)
def test_a_flow_abroad_is_within_the_persons_that_its_sender_counts(
    facts: dict[str, Any], counts: dict[str, int], found: bool
) -> None:
    made = changed(changed(declared(persons_12m=2_000_000), "pay", **facts), "bank", **counts)
    checks = [each.check for each in consistency.contradictions(EffectiveNetwork(made, AT))]
    assert ("persons-abroad" in checks) == found


@pytest.mark.parametrize(
    ("facts", "counts", "paths"),
    [
        ({}, {"persons_handled": 0}, ("bank.persons_handled", "pay.classes")),
        ({}, {"persons_handled": 1}, ()),
        ({"classes": ("financial",)}, {"persons_handled": 0}, ()),
        ({"to": "bank", "from_": "shop"}, {"persons_handled": 0}, ("bank.persons_handled", "pay.classes")),
        ({}, {"persons_sent_abroad": 0}, ("bank.persons_sent_abroad", "pay.classes", "shop.state", "vault.state")),
        ({}, {"persons_sent_abroad": 0, "sensitive_persons_sent_abroad": 1}, ()),
        ({}, {"sensitive_persons_sent_abroad": 0}, ()),
        (
            {"classes": ("sensitive-personal",)},
            {"sensitive_persons_sent_abroad": 0},
            ("bank.sensitive_persons_sent_abroad", "pay.classes", "shop.state", "vault.state"),
        ),
        (
            {"classes": ("biometric", "personal"), "to": "bank"},
            {"sensitive_persons_sent_abroad": 0, "persons_sent_abroad": 9},
            (),
        ),
        ({"to": "bank", "stored": []}, {"persons_sent_abroad": 0}, ()),
        ({"legal_bases": [{"basis": "law-of-a/emergency"}]}, {"persons_sent_abroad": 0}, ()),
    ],
)
def test_a_participant_that_counts_nobody_has_no_flow_about_persons(
    facts: dict[str, Any], counts: dict[str, int], paths: tuple[str, ...]
) -> None:
    made = changed(changed(declared(), "pay", **facts), "bank", **counts)
    found = consistency.contradictions(EffectiveNetwork(made, AT))
    assert [each.facts for each in found if each.check == "zero-persons"] == ([paths] if paths else [])


def test_persons_abroad_names_the_facts_that_are_abroad() -> None:
    facts = {"to": "bank", "processed": [{"at": "keys"}], "accessors": [{"state": "AA"}, {"state": "BB"}]}
    made = changed(changed(declared(persons_12m=501), "pay", **facts), "bank", persons_sent_abroad=500)
    found = [each for each in consistency.contradictions(EffectiveNetwork(made, AT)) if each.check == "persons-abroad"]
    counts = ("pay.persons_12m", "bank.persons_sent_abroad", "bank.sensitive_persons_sent_abroad")
    assert [each.facts for each in found] == [(*counts, "vault.state", "keys.state", "pay.accessors[2].state")]
    assert "501 persons and goes abroad by vault.state" in found[0].text


@pytest.mark.parametrize(
    ("requests", "verdict", "missing"),
    [
        ([{"body": "judicial", "state": "BB"}], Verdict.PASS, ()),
        ([{"body": "judicial"}], Verdict.UNKNOWN, ("pay.requests[1].state",)),
        ([{"body": "judicial", "state": "AA"}, {"body": "judicial"}], Verdict.UNKNOWN, ("pay.requests[2].state",)),
        ([{"body": "judicial", "state": "BB"}, {"body": "judicial"}], Verdict.PASS, ()),
        ([{"body": "judicial", "state": "AA"}], Verdict.UNKNOWN, ("pay.requests",)),
        ([{"state": "BB"}], Verdict.UNKNOWN, ("pay.requests", "pay.requests[1].body")),
    ],
)
def test_a_request_without_the_state_of_its_authority_clears_nothing(
    requests: list[dict[str, str]], verdict: Verdict, missing: tuple[str, ...]
) -> None:
    court = changed(declared(purpose="law-enforcement", requests=requests), "other", authority="judicial")
    of_bodies = profile(rule("flow", condition("requests.body", "all-in", values=["judicial"])))
    finding = one(court, "pay", of_bodies)
    assert (finding.verdict, finding.missing) == (verdict, missing)
