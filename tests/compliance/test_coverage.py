"""What a profile does not model is unknown; what a party declares in its own favour is attested at most."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.compliance import build
from tests.compliance.naive import Naive

from sycee.compliance import library
from sycee.compliance.facts import Network
from sycee.compliance.judging.judge import Judge
from sycee.compliance.profiles import Condition, Library, Rule
from sycee.compliance.verdicts import Finding, Verdict
from sycee.core.documents import DocumentError

MODELLED = build.condition("classes", "all-in", values=["payment", "valuable-ip"])
PROFILE = """
id = "one"
version = 1
title = "One"
status = "law"
issuer = "somebody"
effective_from = 2020-01-01
reviewed = 2026-01-01
summary = "what it is"
limits = "what it is not"
sources = [{ id = "text", title = "The text", publisher = "somebody", date = 2020-01-01, at_hand = true }]

[conditions]
abroad = [{ fact = "to.state", test = "any-in", values = ["BB"] }]

[coverage]
source = "text"
transactions = "payments"
parties = "all"
exemptions = "none"
classes = ["payment"]
outside_classes = ["valuable-ip"]
outside = "section 1"
purposes = ["payment"]
when = [{ named = "abroad" }]
not_modelled = [{ what = "time", clause = "2" }]

[[rules]]
id = "rule"
title = "A rule"
level = "flow"
addressee = "company"
kind = "checked"
source = "text"
remedy = "another"
when = [{ named = "abroad" }]
require = [{ fact = "persons_12m", test = "at-most", limit = 10 }]
"""


def asked(network: Network, regimes: Library, rule: str = "regime/rule") -> Finding:
    """Return the finding about `pay`. The plain twin agrees, but that it does not know what made a rule hold."""
    judge = Judge(network, regimes, build.AT)
    (found,) = (each for each in judge.findings("pay") if each.rule == rule)
    plainly = Naive(network, regimes, build.AT).verdicts()[rule, "pay"]
    assert plainly is found.verdict or (plainly, found.verdict) == (Verdict.ATTESTED, Verdict.PASS)
    return found


def judged(rule: Rule, **facts: Any) -> Finding:
    return asked(build.network(pay=build.flow(**facts)), build.library(build.profile(rule)))


# --- rules of the kind coverage ---


@pytest.mark.parametrize(
    ("classes", "verdict", "says"),
    [
        (["payment"], Verdict.NOT_APPLICABLE, "is within what profile regime version 1 models"),
        (["valuable-ip", "payment"], Verdict.NOT_APPLICABLE, "is within"),
        ([], Verdict.NOT_APPLICABLE, "is within"),
        (["genetic"], Verdict.UNKNOWN, "pay.classes is genetic; profile regime version 1 does not model all of this"),
        (["payment", "other/word"], Verdict.UNKNOWN, "does not model all of this"),
        (None, Verdict.UNKNOWN, "pay.classes is not declared"),
    ],
)
def test_what_is_not_modelled_is_unknown_and_never_fails_or_passes(
    classes: list[str] | None, verdict: Verdict, says: str
) -> None:
    facts = {} if classes is None else {"classes": classes}
    for when_unknown in ("unknown", "fail"):
        found = judged(build.rule("flow", MODELLED, kind="coverage", when_unknown=when_unknown), **facts)
        assert (found.verdict, found.stops) == (verdict, verdict is Verdict.UNKNOWN)
        assert says in found.message


@pytest.mark.parametrize(
    ("purpose", "verdict"),
    [("analytics", Verdict.UNKNOWN), ("support", Verdict.NOT_APPLICABLE), (None, Verdict.UNKNOWN)],
)
def test_a_rule_of_coverage_is_about_what_the_regime_concerns(purpose: str | None, verdict: Verdict) -> None:
    when = (build.condition("purpose", "any-in", values=["analytics"]),)
    facts = {"classes": ["genetic"]} | ({} if purpose is None else {"purpose": purpose})
    found = judged(build.rule("flow", MODELLED, kind="coverage", when=when), **facts)
    assert found.verdict is verdict
    assert found.missing == (("pay.purpose",) if purpose is None else ())


def test_coverage_makes_no_conflict_with_another_regime() -> None:
    other = build.rule("flow", build.condition("classes", "all-in", values=["diplomatic"]), kind="coverage")
    one = build.rule("flow", build.condition("classes", "any-in", values=["payment"]))
    regimes = build.library(build.profile(one, id="one"), build.profile(other, id="other"))
    network = build.network(pay=build.flow(classes=["payment"]))
    assert asked(network, regimes, "one/rule").verdict is Verdict.PASS
    assert asked(network, regimes, "other/rule").verdict is Verdict.UNKNOWN


# --- self-declared conditions ---

CURE = build.condition("incidental", "is-true", self_declared=True)
BELOW = build.condition("persons_12m", "at-most", limit=10)


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        ({"incidental": True, "persons_12m": 11}, Verdict.ATTESTED),
        ({"incidental": True, "persons_12m": 10}, Verdict.PASS),  # a fact decides
        ({"incidental": False, "persons_12m": 11}, Verdict.FAIL),
        ({"incidental": True}, Verdict.ATTESTED),
        ({"persons_12m": 11}, Verdict.UNKNOWN),
    ],
)
def test_a_self_declared_cure_is_attested_where_no_fact_decides(facts: dict[str, Any], verdict: Verdict) -> None:
    assert judged(build.rule("flow", build.either(CURE, BELOW)), **facts).verdict is verdict


EXEMPT = build.condition("purpose", "any-in", values=["analytics"])


@pytest.mark.parametrize(
    ("unless", "facts", "verdict"),
    [
        ([CURE], {"incidental": True}, Verdict.ATTESTED),
        ([CURE], {"incidental": False}, Verdict.FAIL),
        ([CURE], {}, Verdict.UNKNOWN),
        ([CURE, EXEMPT], {"incidental": True, "purpose": "analytics"}, Verdict.NOT_APPLICABLE),
        ([EXEMPT, CURE], {"incidental": True, "purpose": "analytics"}, Verdict.NOT_APPLICABLE),
        ([EXEMPT, CURE], {"incidental": True, "purpose": "support"}, Verdict.ATTESTED),
        ([EXEMPT, CURE], {"incidental": True}, Verdict.ATTESTED),
        ([build.either(EXEMPT, CURE)], {"incidental": True, "purpose": "analytics"}, Verdict.NOT_APPLICABLE),
        ([build.either(EXEMPT, CURE)], {"incidental": True, "purpose": "support"}, Verdict.ATTESTED),
    ],
)
def test_an_exemption_that_is_only_declared_is_attested(
    unless: list[Condition], facts: dict[str, Any], verdict: Verdict
) -> None:
    found = judged(build.rule("flow", BELOW, unless=tuple(unless)), persons_12m=11, **facts)
    assert found.verdict is verdict
    if verdict is Verdict.ATTESTED:
        assert "is exempt from" in found.message
        assert "pay.incidental is true" in found.message


def test_an_exemption_exempts_only_where_the_rule_applies() -> None:
    when = (build.condition("classes", "any-in", values=["payment"]),)
    rule = build.rule("flow", BELOW, when=when, unless=(CURE,))
    assert judged(rule, classes=["genetic"], incidental=True).verdict is Verdict.NOT_APPLICABLE


# --- in a profile's file ---


def loaded(tmp_path: Path, text: str = PROFILE) -> Library:
    path = tmp_path / "one.toml"
    path.write_text(text, encoding="utf-8")
    return library.load([path])


@pytest.mark.parametrize(
    ("state", "facts", "verdict"),
    [
        ("BB", {"classes": ["payment"], "purpose": "payment"}, Verdict.NOT_APPLICABLE),
        ("BB", {"classes": ["payment"], "purpose": "support"}, Verdict.UNKNOWN),
        ("BB", {"classes": ["personal"], "purpose": "payment"}, Verdict.UNKNOWN),
        ("BB", {"classes": ["payment"]}, Verdict.UNKNOWN),
        ("AA", {"classes": ["personal"], "purpose": "support"}, Verdict.NOT_APPLICABLE),
    ],
)
def test_a_rule_is_made_from_the_coverage(tmp_path: Path, state: str, facts: dict[str, Any], verdict: Verdict) -> None:
    bank = build.participant(state=state)
    network = build.network(bank=bank, pay=build.flow(to="bank", persons_12m=1, **facts))
    assert asked(network, loaded(tmp_path), "one/coverage").verdict is verdict


def test_coverage_without_classes_and_purposes_makes_no_rule(tmp_path: Path) -> None:
    lines = [line for line in PROFILE.splitlines() if "classes" not in line and "purposes" not in line]
    (profile,) = loaded(tmp_path, "\n".join(lines)).profiles
    assert [rule.id for rule in profile.rules] == ["one/rule"]
    assert profile.coverage is not None


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ('outside = "section 1"\n', "", 'no reason for "valuable-ip"'),
        ('id = "rule"', 'id = "coverage"', "the rule one/coverage is made from [coverage]"),
        ('named = "abroad"', 'named = "abroads"', 'did you mean "abroad"?'),
        ('abroad = [{ fact = "to.state"', 'other = [{ fact = "to.state"', '"other"'),
        ('abroad = [{ fact = "to.state"', 'more = [{ named = "abroad" }]\nabroad = [{ fact = "to.state"', "names it"),
        ('{ fact = "to.state", test = "any-in", values = ["BB"] }', '{ named = "abroad" }', "names itself"),
        ('classes = ["payment"]', 'classes = ["paiment"]', 'did you mean "payment"?'),
        ('clause = "2"', 'claus = "2"', "clause"),
    ],
)
def test_a_mistake_in_coverage_or_named_conditions_is_an_error(
    tmp_path: Path, was: str, becomes: str, says: str
) -> None:
    assert was in PROFILE
    with pytest.raises(DocumentError) as raised:
        loaded(tmp_path, PROFILE.replace(was, becomes, 1))
    assert says in f"{raised.value} {raised.value.hint}"
