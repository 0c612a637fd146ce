"""The judge: which rules apply, verdicts, evidence, paths, reports and mistyped names."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from tests.compliance.build import (
    AT,
    attestation,
    condition,
    either,
    facility,
    flow,
    library,
    listing,
    network,
    organisation,
    participant,
    profile,
    row,
    rule,
    segment,
    touch,
    without,
)
from tests.compliance.judged import AT_HOME, declared, judge, one, replace_via, waiver

from sycee.compliance.facts import Adoption, Assurance, Entity
from sycee.compliance.judging.judge import Judge
from sycee.compliance.profiles import Library
from sycee.compliance.verdicts import Force, Verdict
from sycee.core.errors import UsageError

pytestmark = pytest.mark.fast

DAY = timedelta(days=1)


# --- applicability ---


@pytest.mark.parametrize(
    ("state", "verdict"),
    [("AA", Verdict.PASS), ("BB", Verdict.FAIL), (None, Verdict.UNKNOWN)],
)
def test_a_rule_passes_fails_or_is_unknown(state: str | None, verdict: Verdict) -> None:
    place = facility(state=state) if state else facility()
    finding = one(network(place=place), "place", profile(rule("facility", AT_HOME)))
    assert finding.verdict is verdict
    assert finding.missing == (("place.state",) if state is None else ())
    assert finding.force is Force.ENFORCED
    assert finding.stops == (verdict is not Verdict.PASS)
    assert finding.assurance is (None if state is None else Assurance.DECLARED)


@pytest.mark.parametrize(
    ("applies", "holds", "verdict"),
    [
        (False, False, Verdict.NOT_APPLICABLE),
        (None, True, Verdict.PASS),
        (None, False, Verdict.UNKNOWN),
        (None, None, Verdict.UNKNOWN),
        (True, None, Verdict.UNKNOWN),
    ],
)
def test_a_rule_that_holds_is_met_where_it_may_not_apply(applies: Any, holds: Any, verdict: Verdict) -> None:
    facts = {"exit_terms": applies, "forced_upgrades": holds}
    made = network(bank=participant(**{name: value for name, value in facts.items() if value is not None}))
    asked = rule("participant", condition("forced_upgrades", "is-true"), when=(condition("exit_terms", "is-true"),))
    assert one(made, "bank", profile(asked)).verdict is verdict
    # The same for `unless`, reversed.
    exempted = replace(asked, when=(), unless=(condition("exit_terms", "is-false"),))
    assert one(made, "bank", profile(exempted)).verdict is verdict


def test_an_exemption_is_evidence() -> None:
    asked = rule("facility", condition("state", "none-in", values=["AA"]), unless=(AT_HOME,))
    finding = one(declared(), "one", profile(asked))
    assert finding.verdict is Verdict.NOT_APPLICABLE
    assert finding.message == "one is exempt from profile regime version 1 rule rule: one.state is AA."


def test_exactly_the_deciding_exemptions_are_evidence() -> None:
    """Only the exemptions and places that decided are evidence."""
    mission = condition("stored.at.use", "any-in", values=["mission"])
    other = condition("purpose", "any-in", values=["support"])
    asked = rule("flow", condition("incidental", "is-true"), unless=(either(mission, other),))
    made = network(
        embassy=facility(use="mission"),
        hub=facility(use="gateway"),
        pay=flow(purpose="payment", stored=[{"at": "embassy"}, {"at": "hub"}]),
    )
    finding = one(made, "pay", profile(asked))
    assert finding.verdict is Verdict.NOT_APPLICABLE
    assert finding.message.endswith(": embassy.use is mission.")


def test_facts_that_make_a_rule_apply_have_a_note() -> None:
    """One fact may make a rule apply and be required by it: no report may show it as holding and not holding."""
    touches = [touch("facility", "state", "any-in", values=["AA", "CC"])]
    asked = rule(
        "facility",
        condition("vendor", "none-in", values=["bad"]),
        when=(condition("use", "any-in", values=["gateway"]),),
        unless=(condition("operator", "any-in", values=["bad"]),),
        each="equipment",
        where=(condition("part", "any-in", values=["storage"]),),
    )
    equipment = [{"vendor": "good", "part": "storage"}]
    made = network(place=facility(state="AA", use="gateway", operator="acme", equipment=equipment))
    evidence = one(made, "place", profile(asked, touches=touches)).evidence
    assert {each.path: each.note for each in evidence} == {
        "place.state": "makes the rule apply",
        "place.use": "makes the rule apply",
        "place.operator": "makes the rule apply",
        "place.equipment[1].part": "makes the rule apply",
        "place.equipment[1].vendor": "",
    }


def test_a_rule_may_count_unknown_as_failure() -> None:
    asked = rule("facility", condition("state", "declared"), when_unknown="fail")
    finding = one(network(place=facility()), "place", profile(asked))
    assert (finding.verdict, finding.missing) == (Verdict.FAIL, ("place.state",))
    assert "place.state is not declared" in finding.message


@pytest.mark.parametrize(
    ("at", "status", "adopted", "force"),
    [
        (AT, "law", False, Force.ENFORCED),
        (AT, "contract", False, Force.ENFORCED),
        (AT, "pledge", False, Force.ADVISED),
        (AT, "pledge", True, Force.ENFORCED),
        (date(1999, 12, 31), "law", False, Force.NONE),
    ],
)
def test_a_pledge_stops_nothing_until_it_is_adopted(at: date, status: str, adopted: bool, force: Force) -> None:
    adoption = Adoption("regime", "authority", "an act", date(2026, 1, 1), None)
    made = replace(declared(), adoptions=(adoption,) if adopted else ())
    finding = one(made, "two", profile(rule("facility", AT_HOME), status=status), at=at)
    assert finding.force is force
    assert finding.verdict is (Verdict.NOT_APPLICABLE if force is Force.NONE else Verdict.FAIL)
    assert finding.stops == (force is Force.ENFORCED)


def test_a_regime_applies_to_what_it_touches() -> None:
    asked = rule("facility", condition("operator", "none-in", values=["acme"]))
    touches = [touch("facility", "state", "any-in", values=["AA"]), touch("participant", "bic", "declared")]
    made = declared(bare=facility(operator="acme"))
    verdicts = {each.subject: each.verdict for each in judge(made, profile(asked, touches=touches)).report().findings}
    assert verdicts["one"] is Verdict.FAIL
    assert verdicts["two"] is Verdict.NOT_APPLICABLE
    assert verdicts["bare"] is Verdict.UNKNOWN
    # A profile without touches of a kind applies to all entities of it.
    always = [touch("participant", "bic", "declared")]
    assert one(made, "two", profile(asked, touches=always)).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("since", "until", "in_force"),
    [(AT, None, True), (None, AT, False), (AT + DAY, None, False), (None, AT + DAY, True), (AT, AT + DAY, True)],
)
def test_a_rule_applies_on_its_own_days_only(since: date | None, until: date | None, in_force: bool) -> None:
    other = rule("facility", AT_HOME, id="other")
    regime = profile(rule("facility", AT_HOME, from_date=since, until_date=until), other)
    dated, open_ended = judge(network(place=facility(state="BB")), regime).findings("place")
    assert open_ended.stops
    assert dated.stops == in_force
    assert dated.verdict is (Verdict.FAIL if in_force else Verdict.NOT_APPLICABLE)
    assert dated.force is (Force.ENFORCED if in_force else Force.NONE)
    assert in_force or dated.message.endswith("rule rule, which is not in effect.")


# --- elements ---


def test_each_selected_element_is_judged() -> None:
    asked = rule(
        "facility",
        condition("vendor", "none-listed", list="list"),
        each="equipment",
        where=(condition("part", "any-in", values=["storage"]),),
    )
    regime, bad = profile(asked), listing(row("bad"))

    def verdict(*equipment: dict[str, Any]) -> Verdict:
        made = network(place=facility(equipment=list(equipment)), bad=organisation(), good=organisation())
        return one(made, "place", regime, bad).verdict

    assert verdict({"vendor": "bad", "part": "storage"}) is Verdict.FAIL
    assert verdict({"vendor": "bad", "part": "control"}) is Verdict.PASS
    assert verdict({"vendor": "bad"}) is Verdict.UNKNOWN
    assert verdict({"vendor": "good"}) is Verdict.PASS
    assert verdict({"part": "storage"}, {"vendor": "bad", "part": "storage"}) is Verdict.FAIL
    assert verdict({"part": "storage"}) is Verdict.UNKNOWN
    assert verdict() is Verdict.PASS
    assert one(network(place=facility()), "place", regime, bad).missing == ("place.equipment",)


def test_elements_may_be_entities_and_conditions_may_read_the_subject() -> None:
    asked = rule("flow", condition("state", "any-in", facts="subject.subject_states"), each="stored.at")
    made = declared(pay=flow(subject_states=("BB",), stored=[{"at": "vault"}]))
    assert one(made, "pay", profile(asked)).verdict is Verdict.PASS
    made = declared(pay=flow(subject_states=("AA",), stored=[{"at": "vault"}]))
    assert one(made, "pay", profile(asked)).verdict is Verdict.FAIL


def test_a_fail_shows_the_chain_and_the_row() -> None:
    owned = organisation(owners=[{"owner": "bad", "share_bp": 6000}], dispersed_bp=4000)
    made = declared(child=owned, far=segment(supplier="child"))
    regime = profile(rule("segment", condition("supplier", "none-listed", list="list"), id="cable"))
    finding = one(made, "far", regime, listing(row("bad")))
    assert finding.chain == ("bad holds 6,000 of 10,000 basis points of child",)
    assert finding.list_row == "list: bad"
    assert finding.message == (
        "far is excluded by profile regime version 1 rule cable because far.supplier is child; "
        "bad holds 6,000 of 10,000 basis points of child; on list list: bad."
    )


# --- attestations ---


@pytest.mark.parametrize(
    ("about", "words", "verdict"),
    [
        ({}, (), Verdict.PASS),
        ({"kind": "attested"}, (), Verdict.ATTESTED),
        ({"complete": "inventory"}, (), Verdict.UNKNOWN),
        ({"complete": "inventory"}, ("inventory",), Verdict.ATTESTED),
    ],
)
def test_a_rule_met_by_attestation_is_attested(about: Any, words: Any, verdict: Verdict) -> None:
    made = replace(declared(), attestations=tuple(attestation("one", word) for word in words))
    finding = one(made, "one", profile(rule("facility", AT_HOME, **about)))
    assert finding.verdict is verdict
    assert finding.missing == (("one.attested.inventory",) if verdict is Verdict.UNKNOWN else ())
    assert not finding._replace(verdict=Verdict.ATTESTED).stops
    # An attestation does not help a rule that fails.
    assert one(made, "two", profile(rule("facility", AT_HOME, **about))).verdict is Verdict.FAIL


def test_a_finding_has_the_weakest_assurance() -> None:
    made = replace(declared(), attestations=(attestation("one", facts=["state"]),))
    both = profile(rule("facility", AT_HOME, condition("operator", "declared"), id="both"), rule("facility", AT_HOME))
    assert [each.assurance for each in judge(made, both).findings("one")] == [
        Assurance.DECLARED,
        Assurance.THIRD_PARTY,
    ]


# --- on a path ---


def test_all_elements_on_a_path_are_judged_for_its_flow() -> None:
    asked = [
        rule("facility", AT_HOME, id="place"),
        rule("edge", condition("operator", "none-listed", list="list"), id="edge"),
        rule("span", condition("operator", "declared"), id="span"),
        rule("facility", AT_HOME, id="diplomatic", flow=(condition("purpose", "any-in", values=["diplomatic"]),)),
    ]
    asked_judge = judge(declared(), profile(*asked), listing(row("bad")))
    findings = [(each.rule.partition("/")[2], each.subject, each.verdict.word) for each in asked_judge.flow("pay")]
    assert findings == [
        ("place", "pay @ one", "pass"),
        ("diplomatic", "pay @ one", "not-applicable"),
        ("edge", "pay @ land", "pass"),
        ("span", "pay @ land", "pass"),
        ("place", "pay @ mid", "pass"),
        ("diplomatic", "pay @ mid", "not-applicable"),
        ("edge", "pay @ sea", "fail"),
        ("place", "pay @ two", "fail"),
        ("diplomatic", "pay @ two", "not-applicable"),
    ]
    # Places themselves are judged by rules that read no flow.
    assert [each.rule for each in asked_judge.findings("two")] == ["regime/place"]
    assert [each.subject for each in asked_judge.flow("pay", ["land", "sea"])] == [each for _, each, _ in findings]


@pytest.mark.parametrize(
    ("entity", "field", "missing"),
    [
        ("pay", "via", "pay.via"),
        ("pay", "from", "pay.from"),
        ("bank", "gateway", "bank.gateway"),
        ("shop", "gateway", "shop.gateway"),
        ("sea", "ends", "sea.ends"),
    ],
)
def test_a_path_with_missing_facts_is_unknown(entity: str, field: str, missing: str) -> None:
    asked = profile(rule("facility", condition("operator", "declared")))
    findings = judge(without(declared(), entity, field), asked).flow("pay")
    (gap,) = (each for each in findings if each.subject == "pay")
    assert (gap.verdict, gap.missing) == (Verdict.UNKNOWN, (missing,))


@pytest.mark.parametrize(
    ("via", "gaps"),
    [
        (["land", "sea"], ()),
        ([], ("pay.via",)),
        (["land"], ("pay.via",)),
        (["sea", "land"], ("pay.via",)),
        (["land", "sea", "land"], ("pay.via",)),
        (["land", "land", "land", "sea"], ()),  # a path there and back joins them
        (["land", "one"], ("one.ends",)),  # a place is not a link
        (["land", "bank"], ("bank.ends",)),
        (["land", "ghost"], ("ghost.ends",)),  # an undeclared link may join them
    ],
)
def test_a_path_must_join_both_gateways(via: list[str], gaps: tuple[str, ...]) -> None:
    """A path with a gap may have further elements of any kind."""
    asked = profile(
        rule("facility", condition("operator", "declared"), id="facility"),
        rule("edge", condition("operator", "none-listed", list="list"), id="edge"),
        touches=[touch("segment", "operator", "any-in", values=["nobody"]), touch("flow", "purpose", "declared")],
    )
    by_path = profile(id="path", touches=[touch("segment", "operator", "any-in", values=["nobody"])])
    asked_judge = judge(declared(), asked, by_path, listing(row("worse")))
    found = {each.rule: each for each in asked_judge.flow("pay", via) if each.subject == "pay"}
    assert set(found) == ({"regime/facility", "regime/edge"} if gaps else set())
    for finding in found.values():
        assert (finding.verdict, finding.missing) == (Verdict.UNKNOWN, gaps)
    assert asked_judge.regimes("pay", via)["path"] is (None if gaps else False)


def test_a_flow_or_its_path_makes_a_regime_apply() -> None:
    asked = rule("flow", condition("purpose", "none-in", values=["payment"]))
    by_path = profile(asked, id="path", touches=[touch("segment", "ends.state", "any-in", values=["BB"])])
    by_flow = profile(asked, id="flow", touches=[touch("flow", "from.state", "any-in", values=["BB"])])
    nothing = profile(asked, id="any")
    ended = profile(asked, id="ended", effective_until=date(2026, 1, 1))
    asked_judge = judge(declared(), by_path, by_flow, nothing, ended)
    assert asked_judge.regimes("pay") == {"path": True, "flow": False, "any": True, "ended": False}
    at_home = judge(replace_via(declared(), "land", "land"), by_path, by_flow, nothing, ended)
    assert at_home.regimes("pay") == {"path": False, "flow": False, "any": True, "ended": False}
    unknown = judge(without(declared(), "pay", "via"), by_path, by_flow)
    assert unknown.regimes("pay") == {"path": None, "flow": False}
    assert [each.verdict for each in asked_judge.findings("pay")] == [
        Verdict.FAIL,
        Verdict.NOT_APPLICABLE,
        Verdict.FAIL,
        Verdict.NOT_APPLICABLE,
    ]


def test_an_undeclared_edge_is_unknown() -> None:
    asked = profile(rule("edge", condition("operator", "declared"), id="edge"))
    found = judge(declared(), asked).flow("pay", ["ghost"])
    assert [(each.subject, each.missing) for each in found] == [
        ("pay @ ghost", ("ghost.operator",)),
        ("pay", ("ghost.ends",)),
    ]


def test_a_rule_may_read_the_flow_that_passes() -> None:
    asked = rule("facility", condition("state", "any-in", facts="flow.subject_states"))
    made = declared(pay=flow(from_="bank", to="shop", via=("land", "sea"), subject_states=("BB",)))
    asked_judge = judge(made, profile(asked))
    assert {each.subject: each.verdict for each in asked_judge.flow("pay")} == {
        "pay @ one": Verdict.FAIL,
        "pay @ mid": Verdict.FAIL,
        "pay @ two": Verdict.PASS,
    }
    assert asked_judge.findings("one") == ()
    assert asked_judge.element_verdict(asked_judge.path_rules()[0], "one") is None


def test_a_flow_may_be_a_question() -> None:
    made = declared()
    asked = judge(made, profile(rule("facility", AT_HOME)))
    pay = made.entities["pay"]
    question = Entity("flow", "question", "a question", pay.facts)
    assert [each.subject for each in asked.flow(question, ["land", "sea"])] == [
        f"question @ {place}" for place in ("one", "mid", "two")
    ]
    assert asked.flow(pay) == asked.flow("pay")


# --- reports ---


def test_a_report_is_complete_and_reproducible() -> None:
    parts: Library = library(
        profile(rule("facility", AT_HOME), rule("flow", condition("purpose", "declared"), id="purpose"))
    )
    made = declared()
    report = Judge(made, parts, AT).report()
    assert (report.network, report.library, report.at) == (made.digest, parts.digest, AT)
    assert [each.subject for each in report.findings] == [
        "one",
        "mid",
        "two",
        "pay",
        "pay @ one",
        "pay @ mid",
        "pay @ two",
    ]
    assert report.digest == Judge(made, parts, AT).report().digest
    assert report.stops == tuple(each for each in report.findings if each.verdict is Verdict.FAIL)


def test_the_order_of_files_and_profiles_changes_no_digest() -> None:
    made = declared()
    backwards = replace(made, entities=dict(reversed(list(made.entities.items()))))
    parts = [profile(rule("facility", AT_HOME), id=id) for id in ("here", "there")]
    one_way, other_way = library(*parts), library(*reversed(parts))
    assert one_way.digest == other_way.digest
    assert Judge(made, one_way, AT).report().digest == Judge(backwards, other_way, AT).report().digest


# --- mistyped names of profiles and rules ---


@pytest.mark.parametrize(
    ("adopted", "waived", "hint"),
    [
        ("regim", "", 'did you mean "regime"?'),
        ("clean-network-202", "", 'did you mean "clean-network-2020"?'),  # shipped, but not loaded here
        ("", "regime/landing-station", 'did you mean "regime/landing-stations"?'),
        ("", "regme/landing-stations", 'did you mean "regime/landing-stations"?'),
        ("regime", "regime/landing-stations", ""),
        ("clean-network-2020", "clean-network-2020/anything", ""),
        ("another-law", "another-law/rule", ""),  # of a user's profile that is not loaded here
    ],
)
def test_a_mistyped_name_disables_no_regime(adopted: str, waived: str, hint: str) -> None:
    parts = profile(rule("facility", AT_HOME, id="landing-stations"))
    adoptions = (Adoption(adopted, "authority", "an act", date(2026, 1, 1), None),) if adopted else ()
    waivers = (waiver(waived, "two"),) if waived else ()
    made = replace(declared(), adoptions=adoptions)
    for declared_here in (True, False):
        network_ = replace(made, waivers=waivers) if declared_here else made
        given = () if declared_here else waivers
        if not hint:
            judge(network_, parts, waivers=given)
            continue
        with pytest.raises(UsageError) as error:
            judge(network_, parts, waivers=given)
        assert error.value.hint is not None
        assert error.value.hint.startswith(hint)


def test_an_undeclared_subject_is_reported_with_the_nearest() -> None:
    asked = judge(declared(), profile(rule("facility", AT_HOME)))
    with pytest.raises(UsageError, match="no entity has the id bonk") as error:
        asked.findings("bonk")
    assert error.value.hint == 'did you mean "bank"?'
    with pytest.raises(UsageError, match="bank is a participant, not a flow"):
        asked.flow("bank")
