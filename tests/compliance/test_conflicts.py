"""Conflicts between regimes, and waivers."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
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


# --- contradictions ---


def storing(state: str, **about: Any) -> Rule:
    return rule("flow", condition("at.state", "all-in", values=[state]), each="stored", **about)


def findings_of(made: Network, *parts: Profile, waivers: tuple[Waiver, ...] = ()) -> dict[str, Finding]:
    return {each.profile: each for each in judge(made, *parts, waivers=waivers).findings("pay")}


def test_rules_that_exclude_each_other_conflict() -> None:
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
def test_compatible_rules_do_not_conflict(other: Profile) -> None:
    here = profile(storing("AA", where=(condition("reason", "any-in", values=["business"]),)), id="here")
    found = findings_of(declared(), here, other)
    assert found["here"].verdict is Verdict.FAIL
    assert found["there"].verdict in (Verdict.PASS, Verdict.NOT_APPLICABLE)


def test_a_value_that_meets_both_rules_is_no_conflict() -> None:
    made = declared(pay=flow(stored=[]))
    found = findings_of(made, profile(storing("AA"), id="here"), profile(storing("BB"), id="there"))
    assert {each.verdict for each in found.values()} == {Verdict.PASS}


@pytest.mark.parametrize("states", [None, ()])
def test_a_missing_or_empty_fact_is_no_conflict(states: tuple[str, ...] | None) -> None:
    """Two rules conflict over a value only, not over a missing or empty fact."""
    facts = (
        {"incidental": False}
        if states is None
        else {"incidental": False, "classes": (), "subject_states": states, "persons_12m": 0}
    )
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
def test_set_tests_that_exclude_each_other(
    one_test: str, one_values: list[str], other_test: str, other_values: list[str], conflict: bool
) -> None:
    asked = profile(rule("flow", condition("subject_states", one_test, values=one_values)), id="here")
    other = profile(rule("flow", condition("subject_states", other_test, values=other_values)), id="there")
    for pair in ((asked, other), (other, asked)):
        found = findings_of(declared(pay=flow(subject_states=("AA",))), *pair)
        assert ({each.verdict for each in found.values()} == {Verdict.CONFLICT}) is conflict


def test_a_pledge_does_not_conflict_with_a_law_that_is_met() -> None:
    law, pledge = profile(storing("BB"), id="law"), profile(storing("AA"), id="pledge", status="pledge")
    found = findings_of(declared(), law, pledge)
    assert found["law"].verdict is Verdict.PASS
    assert (found["pledge"].verdict, found["pledge"].stops) == (Verdict.CONFLICT, False)


def test_an_exclusion_that_another_regime_requires_is_a_conflict() -> None:
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


# --- waivers ---


@pytest.mark.parametrize("subject", ["pay @ two", "pay", "two"])
def test_a_waiver_exempts_a_subject_from_a_rule(subject: str) -> None:
    regime = profile(rule("facility", AT_HOME), rule("facility", AT_HOME, id="other"))
    given = waiver("regime/rule", subject)
    for asked in (judge(declared(), regime, waivers=(given,)), judge(replace(declared(), waivers=(given,)), regime)):
        found = {each.rule: each for each in asked.flow("pay") if each.subject == "pay @ two"}
        waived = found["regime/rule"]
        assert (waived.verdict, waived.waiver, waived.stops) == (Verdict.WAIVED, given, False)
        assert "head of compliance: moves in January" in waived.message
        assert found["regime/other"].verdict is Verdict.FAIL


@pytest.mark.parametrize("about", [{"until_date": AT}, {"from_date": date(2026, 11, 26)}])
def test_a_waiver_counts_between_two_days(about: dict[str, Any]) -> None:
    asked = judge(declared(), profile(rule("facility", AT_HOME)), waivers=(waiver("regime/rule", "two", **about),))
    assert asked.findings("two")[0].verdict is Verdict.FAIL


def test_a_rule_that_is_met_needs_no_waiver() -> None:
    asked = judge(declared(), profile(rule("facility", AT_HOME)), waivers=(waiver("regime/rule", "one"),))
    assert asked.findings("one")[0].verdict is Verdict.PASS


def test_a_waiver_ends_a_conflict() -> None:
    here, there = profile(storing("AA"), id="here"), profile(storing("BB"), id="there")
    found = findings_of(declared(), here, there, waivers=(waiver("here/rule", "pay"),))
    assert found["here"].verdict is Verdict.WAIVED
    assert found["there"].verdict is Verdict.PASS


def test_a_waiver_counts_for_a_year_and_a_day_however_long_it_is() -> None:
    long = waiver("regime/rule", "two", from_date=date(2025, 1, 1), until_date=date(2040, 1, 1))
    assert long.in_force(date(2026, 1, 1))
    assert not long.in_force(date(2026, 1, 2))
    asked = judge(declared(), profile(rule("facility", AT_HOME)), waivers=(long,))
    assert next(each for each in asked.findings("two")).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("second", "third", "last"),
    [
        ({"subject": "two"}, {}, date(2027, 1, 1)),  # each of at most a year and a day, one after the other
        ({"subject": "two", "from_date": date(2026, 6, 1)}, {}, date(2027, 1, 1)),  # they overlap
        ({"subject": "pay"}, {}, date(2027, 1, 1)),  # the second names the flow
        ({"subject": "two", "from_date": date(2026, 12, 30)}, {}, date(2027, 12, 29)),  # a day lies between them
        ({"subject": "one"}, {}, date(2026, 12, 28)),  # it is of another place
        (
            {"subject": "two", "until_date": date(2026, 12, 31)},
            {"subject": "two", "from_date": date(2026, 12, 31), "until_date": date(2027, 12, 30)},
            date(2027, 1, 1),
        ),
    ],
)
def test_waivers_in_a_row_count_as_one(second: dict[str, Any], third: dict[str, Any], last: date) -> None:
    def given(subject: str, **about: Any) -> Waiver:
        days = {"from_date": date(2026, 12, 29), "until_date": date(2027, 12, 30)}
        return waiver("regime/rule", subject, **(days | about))

    first = given("two", from_date=date(2026, 1, 1), until_date=date(2026, 12, 29))
    waivers = (first, given(**second), *([given(**third)] if third else []))
    regime = profile(rule("facility", AT_HOME))

    def verdict(at: date) -> Verdict:
        asked = judge(declared(), regime, at=at, waivers=waivers)
        return next(each.verdict for each in asked.flow("pay") if each.subject == "pay @ two")

    assert verdict(last) is Verdict.WAIVED
    assert verdict(last + timedelta(days=1)) is Verdict.FAIL
