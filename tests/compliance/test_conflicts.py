"""Regimes that contradict each other, and what a person decided."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from tests.compliance.build import (
    AT,
    condition,
    flow,
    participant,
    profile,
    rule,
)
from tests.compliance.judged import AT_HOME, declared, judge, one, waiver

from sycee.compliance.facts import Network, Waiver
from sycee.compliance.profiles import Profile, Rule
from sycee.compliance.verdicts import Finding, Verdict

pytestmark = pytest.mark.fast


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
        profile(rule("flow", condition("at.state", "any-in", values=["AA", "BB"]), each="stored"), id="there"),
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


@pytest.mark.parametrize("states", [None, ()])
def test_a_fact_that_nobody_knows_or_that_says_nothing_makes_none(states: tuple[str, ...] | None) -> None:
    """Two rules that ask one fact for other values contradict each other over a value only."""
    facts = {"incidental": False} if states is None else {"incidental": False, "subject_states": states}
    first = condition("subject_states", "all-in", values=["AA"])
    here = profile(rule("flow", first, condition("incidental", "is-true")), id="here")
    there = profile(rule("flow", replace(first, values=frozenset(["BB"]))), id="there")
    found = findings_of(declared(pay=flow(**facts)), here, there)
    assert found["here"].verdict is Verdict.FAIL
    assert found["there"].verdict is (Verdict.UNKNOWN if states is None else Verdict.PASS)


@pytest.mark.parametrize(
    ("one_test", "one_values", "other_test", "other_values", "conflict"),
    [
        ("all-in", ["AA"], "none-in", ["AA", "CC"], True),
        ("all-in", ["AA", "BB"], "none-in", ["AA"], False),
        ("any-in", ["AA"], "all-in", ["BB"], True),
        ("any-in", ["AA"], "none-in", ["AA"], True),
        ("any-in", ["AA", "BB"], "none-in", ["AA"], False),
        ("any-in", ["AA"], "any-in", ["BB"], False),
        ("none-in", ["AA"], "none-in", ["BB"], False),
    ],
)
def test_tests_of_sets_that_contradict_each_other(
    one_test: str, one_values: list[str], other_test: str, other_values: list[str], conflict: bool
) -> None:
    asked = profile(rule("flow", condition("subject_states", one_test, values=one_values)), id="here")
    other = profile(rule("flow", condition("subject_states", other_test, values=other_values)), id="there")
    for pair in ((asked, other), (other, asked)):
        found = findings_of(declared(pay=flow(subject_states=("AA",))), *pair)
        assert ({each.verdict for each in found.values()} == {Verdict.CONFLICT}) is conflict


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
