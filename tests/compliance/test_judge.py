"""Rules on subjects: what applies, what comes of it, what is told, and where a person has to decide."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from tests.compliance.build import (
    AT,
    attestation,
    cloud,
    condition,
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
    span,
    touch,
    without,
)

from sycee.compliance.facts import Adoption, Assurance, Entity, Network, Waiver
from sycee.compliance.judging.judge import Judge
from sycee.compliance.profiles import Library, Profile, Rule
from sycee.compliance.verdicts import Finding, Force, Verdict
from sycee.core.errors import UsageError

pytestmark = pytest.mark.fast

AT_HOME = condition("state", "all-in", values=["AA"])


def declared(**more: Any) -> Network:
    """Two banks in two states, joined by a span, an exchange and a segment."""
    return network(
        **{
            "acme": organisation(),
            "bad": organisation(),
            "one": facility(state="AA", operator="acme", equipment=[]),
            "mid": facility(state="AA", operator="acme", equipment=[{"vendor": "bad", "part": "storage"}]),
            "two": facility(state="BB", operator="acme", equipment=[]),
            "land": span(ends=("one", "mid"), operator="acme"),
            "sea": segment(ends=("mid", "two"), operator="bad"),
            "vault": cloud(state="BB"),
            "bank": participant(state="AA", gateway="one"),
            "shop": participant(state="BB", gateway="two"),
            "pay": flow(
                from_="bank",
                to="shop",
                purpose="payment",
                classes=("payment",),
                via=("land", "sea"),
                stored=[{"at": "vault", "reason": "business"}],
            ),
            **more,
        }
    )


def judge(made: Network, *parts: Any, at: date = AT, waivers: tuple[Waiver, ...] = ()) -> Judge:
    return Judge(made, library(*parts), at, waivers)


def one(made: Network, subject: str, *parts: Any, at: date = AT) -> Finding:
    """The finding of the first rule of the first profile on a subject, a place on a path too."""
    asked = judge(made, *parts, at=at)
    whole, _, place = subject.partition(" @ ")
    findings = asked.flow(whole) if place else asked.findings(whole)
    return next(each for each in findings if each.subject == subject)


# --- what applies ---


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
def test_what_holds_anyhow_is_met_where_it_may_not_apply(applies: Any, holds: Any, verdict: Verdict) -> None:
    facts = {"exit_terms": applies, "forced_upgrades": holds}
    made = network(bank=participant(**{name: value for name, value in facts.items() if value is not None}))
    asked = rule("participant", condition("forced_upgrades", "is-true"), when=(condition("exit_terms", "is-true"),))
    assert one(made, "bank", profile(asked)).verdict is verdict
    # What exempts is the same, the other way round.
    exempted = replace(asked, when=(), unless=(condition("exit_terms", "is-false"),))
    assert one(made, "bank", profile(exempted)).verdict is verdict


def test_what_exempts_is_told() -> None:
    asked = rule("facility", condition("state", "none-in", values=["AA"]), unless=(AT_HOME,))
    finding = one(declared(), "one", profile(asked))
    assert finding.verdict is Verdict.NOT_APPLICABLE
    assert finding.message == "one is exempt from profile regime version 1 rule rule: one.state is AA."


def test_an_unknown_may_count_as_a_failure() -> None:
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
    # What nothing is asked of is touched always.
    always = [touch("participant", "bic", "declared")]
    assert one(made, "two", profile(asked, touches=always)).verdict is Verdict.FAIL


# --- elements ---


def test_each_element_is_judged_that_the_rule_is_about() -> None:
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


def test_elements_may_be_entities_and_look_at_the_subject() -> None:
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


# --- what is vouched for ---


@pytest.mark.parametrize(
    ("about", "words", "verdict"),
    [
        ({}, (), Verdict.PASS),
        ({"kind": "attested"}, (), Verdict.ATTESTED),
        ({"complete": "inventory"}, (), Verdict.UNKNOWN),
        ({"complete": "inventory"}, ("inventory",), Verdict.ATTESTED),
    ],
)
def test_what_rests_on_somebodys_word_is_attested(about: Any, words: Any, verdict: Verdict) -> None:
    made = replace(declared(), attestations=tuple(attestation("one", word) for word in words))
    finding = one(made, "one", profile(rule("facility", AT_HOME, **about)))
    assert finding.verdict is verdict
    assert finding.missing == (("one.attested.inventory",) if verdict is Verdict.UNKNOWN else ())
    assert not finding._replace(verdict=Verdict.ATTESTED).stops
    # Nobody's word makes up for what fails.
    assert one(made, "two", profile(rule("facility", AT_HOME, **about))).verdict is Verdict.FAIL


def test_the_weakest_fact_says_how_sure_a_finding_is() -> None:
    made = replace(declared(), attestations=(attestation("one", facts=["state"]),))
    both = profile(rule("facility", AT_HOME, condition("operator", "declared"), id="both"), rule("facility", AT_HOME))
    assert [each.assurance for each in judge(made, both).findings("one")] == [
        Assurance.DECLARED,
        Assurance.THIRD_PARTY,
    ]


# --- on a path ---


def test_all_that_lies_on_a_path_is_judged_for_its_flow() -> None:
    asked = [
        rule("facility", AT_HOME, id="place"),
        rule("edge", condition("operator", "none-listed", list="list"), id="edge"),
        rule("span", condition("operator", "declared"), id="span"),
        rule("facility", AT_HOME, id="diplomatic", flow=(condition("purpose", "any-in", values=["diplomatic"]),)),
    ]
    asked_judge = judge(declared(), profile(*asked), listing(row("bad")))
    told = [(each.rule.partition("/")[2], each.subject, each.verdict.word) for each in asked_judge.flow("pay")]
    assert told == [
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
    # By themselves, places are judged by what holds whatever passes.
    assert [each.rule for each in asked_judge.findings("two")] == ["regime/place"]
    assert [each.subject for each in asked_judge.flow("pay", ["land"])] == [
        *["pay @ one"] * 2,
        *["pay @ land"] * 2,
        *["pay @ mid"] * 2,
        *["pay @ two"] * 2,
    ]


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
def test_a_path_of_which_something_is_missing_is_unknown(entity: str, field: str, missing: str) -> None:
    asked = profile(rule("facility", condition("operator", "declared")))
    findings = judge(without(declared(), entity, field), asked).flow("pay")
    (gap,) = (each for each in findings if each.subject == "pay")
    assert (gap.verdict, gap.missing) == (Verdict.UNKNOWN, (missing,))


def test_a_flow_is_touched_by_what_it_is_or_by_what_lies_on_its_path() -> None:
    asked = rule("flow", condition("purpose", "none-in", values=["payment"]))
    by_path = profile(asked, id="path", touches=[touch("segment", "ends.state", "any-in", values=["BB"])])
    by_flow = profile(asked, id="flow", touches=[touch("flow", "from.state", "any-in", values=["BB"])])
    nothing = profile(asked, id="any")
    ended = profile(asked, id="ended", effective_until=date(2026, 1, 1))
    asked_judge = judge(declared(), by_path, by_flow, nothing, ended)
    assert asked_judge.regimes("pay") == {"path": True, "flow": False, "any": True, "ended": False}
    assert asked_judge.regimes("pay", ["land"]) == {"path": False, "flow": False, "any": True, "ended": False}
    unknown = judge(without(declared(), "pay", "via"), by_path, by_flow)
    assert unknown.regimes("pay") == {"path": None, "flow": False}
    assert [each.verdict for each in asked_judge.findings("pay")] == [
        Verdict.FAIL,
        Verdict.NOT_APPLICABLE,
        Verdict.FAIL,
        Verdict.NOT_APPLICABLE,
    ]


def test_what_is_declared_nowhere_is_unknown() -> None:
    asked = profile(rule("edge", condition("operator", "declared"), id="edge"))
    (finding,) = judge(declared(), asked).flow("pay", ["ghost"])
    assert (finding.subject, finding.missing) == ("pay @ ghost", ("ghost.operator",))


def test_a_rule_may_look_at_the_flow_that_passes() -> None:
    asked = rule("facility", condition("state", "any-in", facts="flow.subject_states"))
    made = declared(pay=flow(from_="bank", to="shop", via=(), subject_states=("BB",)))
    asked_judge = judge(made, profile(asked))
    assert {each.subject: each.verdict for each in asked_judge.flow("pay")} == {
        "pay @ one": Verdict.FAIL,
        "pay @ two": Verdict.PASS,
    }
    assert asked_judge.findings("one") == ()
    assert asked_judge.element_truth(asked_judge.path_rules()[0], "one") is None


def test_a_flow_may_be_a_question() -> None:
    made = declared()
    asked = judge(made, profile(rule("facility", AT_HOME)))
    pay = made.entities["pay"]
    question = Entity("flow", "question", "a question", pay.facts)
    assert [each.subject for each in asked.flow(question, ["land"])] == [
        f"question @ {place}" for place in ("one", "mid", "two")
    ]
    assert asked.flow(pay) == asked.flow("pay")


# --- where regimes contradict each other ---


def storing(state: str, **about: Any) -> Rule:
    return rule("flow", condition("at.state", "all-in", values=[state]), each="stored", **about)


def findings_of(made: Network, *parts: Profile, waivers: tuple[Waiver, ...] = ()) -> dict[str, Finding]:
    return {each.profile: each for each in judge(made, *parts, waivers=waivers).findings("pay")}


def test_what_cannot_be_met_at_once_is_a_conflict() -> None:
    here, there = profile(storing("AA"), id="here"), profile(storing("BB"), id="there")
    found = findings_of(declared(), here, there)
    assert {each.verdict for each in found.values()} == {Verdict.CONFLICT}
    assert found["here"].conflicts_with == ("there/rule",)
    assert found["there"].conflicts_with == ("here/rule",)


@pytest.mark.parametrize(
    "other",
    [
        profile(rule("flow", condition("at.state", "all-in", values=["AA", "BB"]), each="stored"), id="there"),
        profile(rule("flow", condition("at.state", "any-in", values=["BB"]), each="stored"), id="there"),
        profile(storing("BB", when=(condition("purpose", "any-in", values=["support"]),)), id="there"),
        profile(storing("BB", where=(condition("reason", "any-in", values=["law"]),)), id="there"),
        profile(storing("BB"), id="there", effective_until=date(2026, 1, 1)),
    ],
)
def test_other_rules_make_none(other: Profile) -> None:
    here = profile(storing("AA", where=(condition("reason", "any-in", values=["business"]),)), id="here")
    found = findings_of(declared(), here, other)
    assert found["here"].verdict is Verdict.FAIL
    assert found["there"].verdict in (Verdict.PASS, Verdict.NOT_APPLICABLE)


def test_what_both_are_content_with_is_none() -> None:
    made = declared(pay=flow(stored=[]))
    found = findings_of(made, profile(storing("AA"), id="here"), profile(storing("BB"), id="there"))
    assert {each.verdict for each in found.values()} == {Verdict.PASS}


def test_a_pledge_makes_no_conflict_of_a_law_that_is_met() -> None:
    law, pledge = profile(storing("BB"), id="law"), profile(storing("AA"), id="pledge", status="pledge")
    found = findings_of(declared(), law, pledge)
    assert found["law"].verdict is Verdict.PASS
    assert (found["pledge"].verdict, found["pledge"].stops) == (Verdict.CONFLICT, False)


def test_an_exclusion_that_another_regime_asks_for_is_a_conflict() -> None:
    evidence = rule(
        "participant",
        condition("evidence", "any-in", values=["audit", "incident"]),
        each="exclusions",
        basis="basis",
        id="evidence",
    )
    other = rule("segment", condition("operator", "declared"), id="carrier")

    def excluding(*bases: str, **about: Any) -> Finding:
        exclusions = [{"excludes": "bad", "basis": basis, "evidence": ["origin"]} for basis in bases]
        made = declared(bank=participant(exclusions=exclusions))
        return one(made, "bank", profile(evidence, id="asks"), profile(other, id="wants", **about))

    finding = excluding("wants/carrier")
    assert (finding.verdict, finding.conflicts_with) == (Verdict.CONFLICT, ("wants/carrier",))
    assert excluding("own-decision").verdict is Verdict.FAIL
    assert excluding("wants/carrier", "own-decision").verdict is Verdict.FAIL
    assert excluding("asks/evidence").verdict is Verdict.FAIL
    assert excluding("wants/nothing").verdict is Verdict.FAIL
    assert excluding("wants/carrier", effective_until=date(2026, 1, 1)).verdict is Verdict.FAIL


# --- where a person decided ---


def waiver(rule: str, subject: str, **about: Any) -> Waiver:
    given = {
        "role": "head of compliance",
        "reason": "moves in January",
        "from_date": AT,
        "until_date": date(2027, 1, 1),
    }
    return Waiver(rule, subject, **(given | about))


@pytest.mark.parametrize("subject", ["pay @ two", "pay", "two"])
def test_a_waiver_lets_a_subject_off_a_rule(subject: str) -> None:
    regime = profile(rule("facility", AT_HOME), rule("facility", AT_HOME, id="other"))
    given = waiver("regime/rule", subject)
    for asked in (judge(declared(), regime, waivers=(given,)), judge(replace(declared(), waivers=(given,)), regime)):
        found = {each.rule: each for each in asked.flow("pay") if each.subject == "pay @ two"}
        waived = found["regime/rule"]
        assert (waived.verdict, waived.waiver, waived.stops) == (Verdict.WAIVED, given, False)
        assert "head of compliance: moves in January" in waived.message
        assert found["regime/other"].verdict is Verdict.FAIL


@pytest.mark.parametrize("about", [{"until_date": AT}, {"from_date": date(2026, 11, 26)}])
def test_a_waiver_has_its_time(about: dict[str, Any]) -> None:
    asked = judge(declared(), profile(rule("facility", AT_HOME)), waivers=(waiver("regime/rule", "two", **about),))
    assert asked.findings("two")[0].verdict is Verdict.FAIL


def test_what_is_met_needs_no_waiver() -> None:
    asked = judge(declared(), profile(rule("facility", AT_HOME)), waivers=(waiver("regime/rule", "one"),))
    assert asked.findings("one")[0].verdict is Verdict.PASS


def test_a_waiver_settles_a_conflict() -> None:
    here, there = profile(storing("AA"), id="here"), profile(storing("BB"), id="there")
    found = findings_of(declared(), here, there, waivers=(waiver("here/rule", "pay"),))
    assert found["here"].verdict is Verdict.WAIVED
    assert found["there"].verdict is Verdict.PASS


# --- whole ---


def test_a_report_tells_everything_and_the_same_again() -> None:
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


def test_who_is_not_there_is_named_with_the_nearest() -> None:
    asked = judge(declared(), profile(rule("facility", AT_HOME)))
    with pytest.raises(UsageError, match="Nothing with the id bonk is declared") as error:
        asked.findings("bonk")
    assert error.value.hint == "Did you mean bank?"
    with pytest.raises(UsageError, match="bank is a participant, not a flow"):
        asked.flow("bank")
