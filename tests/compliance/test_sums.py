"""Sums of a number over all flows between two parties: dividing a flow never clears it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.compliance.build import (
    AT,
    cloud,
    condition,
    fact,
    flow,
    library,
    network,
    organisation,
    participant,
    profile,
    rule,
)
from tests.compliance.judged import judge
from tests.compliance.naive import Naive

from sycee.compliance import library as shipped
from sycee.compliance.enforcement.judge_cache import JudgeCache
from sycee.compliance.facts import Network
from sycee.compliance.judging.judge import Judge
from sycee.compliance.profile_reader import parse_profile
from sycee.compliance.profiles import Library
from sycee.compliance.verdicts import Finding, Verdict
from sycee.compliance.vocabulary import USUAL_TIES
from sycee.core import documents
from sycee.core.documents import DocumentError

pytestmark = pytest.mark.fast

BULK = condition("classes", "any-in", values=["financial", "identifiers"])
NOT_EXEMPT = condition("incidental", "is-true", negate=True)


def bulk(limit: int, *among: Any, of: str = "financial") -> Any:
    """Return a rule on the persons of flows with a class of data."""
    when = (condition("classes", "any-in", values=[of]), NOT_EXEMPT)
    summed = condition("persons_12m", "sum-at-most", limit=limit, among=among or (BULK, NOT_EXEMPT))
    return rule("flow", summed, id=of, when=when)


FORMER = fact("there", expires=AT)  # the parent of a branch, out of date

REGIME = profile(bulk(10_000), bulk(100_000, of="identifiers"))


def data(persons: int | None, *classes: str, **facts: Any) -> Any:
    """Return a maker of a flow that is not incidental; without `persons` their number is undeclared."""
    given: dict[str, Any] = {"from_": "bank", "to": "shop", "incidental": False, "classes": classes or ("financial",)}
    given |= {} if persons is None else {"persons_12m": persons}
    return flow(**{name: each for name, each in (given | facts).items() if each is not None})


def declared(**flows: Any) -> Network:
    return network(
        firm=organisation(),
        other=organisation(),
        third=organisation(),
        bank=participant(organisation="firm"),
        shop=participant(organisation="other"),
        branch=participant(organisation="other"),
        elsewhere=participant(organisation="third"),
        unsaid=participant(),
        **flows,
    )


def finding(made: Network, subject: str = "one", of: str = "financial") -> Finding:
    found = next(each for each in judge(made, REGIME).findings(subject) if each.rule == f"regime/{of}")
    assert Naive(made, library(REGIME), AT).verdicts()[found.rule, subject] is found.verdict
    return found


@pytest.mark.parametrize(
    ("second", "verdict"),
    [
        (data(4000), Verdict.PASS),
        (data(4001), Verdict.FAIL),
        (data(4001, to="branch"), Verdict.FAIL),
        (data(4001, from_="shop", to="bank"), Verdict.FAIL),
        (data(4001, "identifiers"), Verdict.FAIL),
        (data(4001, "valuable-ip"), Verdict.PASS),
        (data(4001, incidental=True), Verdict.PASS),
        (data(4001, to="elsewhere"), Verdict.PASS),
        (data(None), Verdict.UNKNOWN),
        (data(None, to="elsewhere"), Verdict.PASS),
        (data(4001, incidental=None), Verdict.UNKNOWN),
        (data(4000, incidental=None), Verdict.PASS),
        (data(4001, to="unsaid"), Verdict.UNKNOWN),
        (data(4001, to=None), Verdict.UNKNOWN),
        (data(4000, to=None), Verdict.PASS),
    ],
)
def test_two_flows_count_together(second: Any, verdict: Verdict) -> None:
    """The first flow has 6,000 persons, and the threshold is 10,000."""
    assert finding(declared(one=data(6000), two=second)).verdict is verdict


THROUGH = condition("stored.at.operator", "controlled-by", values=["CC"], ties=USUAL_TIES)
AT_THIRD = {"from_": "bank", "stored": [{"at": "store"}]}


@pytest.mark.parametrize(
    ("second", "verdict"),
    [
        (data(4001, to="elsewhere", **AT_THIRD), Verdict.FAIL),
        (data(4000, to="elsewhere", **AT_THIRD), Verdict.PASS),
        (data(4001, to="elsewhere", from_="unsaid", stored=[{"at": "store"}]), Verdict.UNKNOWN),
        (data(4001, to="elsewhere", from_="branch", stored=[{"at": "store"}]), Verdict.PASS),
        (data(4001, to="elsewhere", stored=[{"at": "other-store"}]), Verdict.PASS),
        (data(4001, to="elsewhere", stored=[{"at": "open-store"}]), Verdict.PASS),
        (data(4001, to="elsewhere", stored=[{"at": "unsaid-store"}]), Verdict.UNKNOWN),
        (data(4000, to="elsewhere", stored=[{"at": "unsaid-store"}]), Verdict.PASS),
        (data(4001, to="elsewhere", stored=[{"at": "former-store"}]), Verdict.UNKNOWN),
        (data(4001, to="elsewhere"), Verdict.UNKNOWN),
        (data(4001, to="elsewhere", stored=()), Verdict.PASS),
    ],
)
def test_flows_of_one_sender_count_together_through_a_third_party(second: Any, verdict: Verdict) -> None:
    """The first flow has 6,000 persons and is stored at a store that a party of CC runs."""
    summed = condition("persons_12m", "sum-at-most", limit=10_000, through=(THROUGH,))
    regime = profile(rule("flow", summed))
    made = declared(
        one=data(6000, **AT_THIRD),
        two=second,
        there=organisation(state="CC", headquarters="CC"),
        also_there=organisation(state="CC", headquarters="CC"),
        here=organisation(state="AA", headquarters="AA"),
        store=cloud(state="AA", operator="there"),
        other_store=cloud(state="AA", operator="also-there"),
        open_store=cloud(state="AA", operator="here"),
        unsaid_store=cloud(state="AA"),
        former=organisation(state="CC", headquarters="CC", branch_of=FORMER),
        former_store=cloud(state="AA", operator="former"),
    )
    found = next(each for each in judge(made, regime).findings("one"))
    assert found.verdict is verdict
    assert Naive(made, library(regime), AT).verdicts()["regime/rule", "one"] is verdict


def test_a_flow_above_the_limit_needs_no_other_flow() -> None:
    assert finding(declared(one=data(10_001), two=data(None))).verdict is Verdict.FAIL
    assert finding(declared(one=data(None), two=data(10_001))).verdict is Verdict.FAIL
    assert finding(declared(one=data(None))).missing == ("one.persons_12m",)


def test_evidence_and_missing_facts_name_the_flows() -> None:
    broken = finding(declared(one=data(6000), two=data(4001)))
    assert [each.path for each in broken.evidence if each.path.endswith("persons_12m")] == [
        "one.persons_12m",
        "two.persons_12m",
    ]
    assert "two.persons_12m is 4001" in broken.message
    unknown = finding(declared(one=data(6000), two=data(None), three=data(5, incidental=None)))
    assert unknown.missing == ("two.persons_12m", "three.incidental")


def test_a_branch_whose_parent_is_out_of_date_may_be_a_part_of_any_organisation() -> None:
    makers = {"office": organisation(branch_of=FORMER), "desk": participant(organisation="office")}
    flows = {"one": data(6000), "two": data(6000, to="desk")}
    assert finding(declared(**flows, **makers)).verdict is Verdict.UNKNOWN


def test_a_participant_without_a_declared_organisation_is_its_own_party() -> None:
    flows = {"one": data(6000, to="unsaid"), "two": data(6000, to="unsaid")}
    assert finding(declared(**flows)).verdict is Verdict.FAIL


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_dividing_a_flow_never_clears_it(seed: int) -> None:
    """A part has some of the persons and some of the classes; together they have all of both."""
    random = Random(seed)
    persons = random.choice((9_000, 10_001, 30_000, 100_001))
    classes = random.choice((("financial",), ("identifiers",), ("financial", "identifiers")))
    whole = declared(one=data(persons, *classes))
    count = random.choice((2, 3, 5))
    cuts = sorted(random.randrange(persons) for _ in range(count - 1))
    sizes = [end - start for start, end in zip([0, *cuts], [*cuts, persons], strict=True)]
    parts = {}
    for number, size in enumerate(sizes):
        own = classes if number == 0 else tuple(random.sample(classes, random.randrange(1, len(classes) + 1)))
        ends = random.choice(({}, {"to": "branch"}, {"from_": "shop", "to": "bank"}))
        parts[f"part_{number}"] = data(size, *own, **ends)
    divided = declared(**parts)
    if any(each.stops for each in judge(whole, REGIME).findings("one")):
        stopped = [judge(divided, REGIME).findings(each.id) for each in divided.of_kind("flow")]
        assert any(each.stops for findings in stopped for each in findings)
    for each in divided.of_kind("flow"):
        for of in ("financial", "identifiers"):
            finding(divided, each.id, of)


@cache
def bulk_data() -> Library:
    return shipped.load(["us-28-cfr-202"])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_dividing_a_flow_never_clears_it_under_a_shipped_profile(seed: int) -> None:
    """Every part has all facts of the flow but its number of persons and some of its kinds of data."""
    random = Random(seed)
    regimes = bulk_data()
    kinds = ("financial", "identifiers", "health", "biometric", "geolocation", "genetic")
    classes = tuple(random.sample(kinds, random.randrange(1, 4)))
    persons = random.choice((90, 101, 1_001, 10_001, 100_001))
    more: dict[str, Any] = dict.fromkeys(("stored", "processed", "accessors", "legal_bases"), ())
    more |= {"purpose": random.choice(("analytics", "us-28-cfr-202/data-brokerage")), "subject_states": ("US",)}
    cut = random.randrange(persons + 1)
    own = tuple(random.sample(classes, random.randrange(1, len(classes) + 1)))
    parts = {"one": data(cut, *own, **more), "two": data(persons - cut, *classes, **more)}

    def stops(**flows: Any) -> bool:
        made = network(
            firm=organisation(state="US"),
            other=organisation(state="CN"),
            bank=participant(organisation="firm", state="US"),
            shop=participant(organisation="other", state="CN"),
            **flows,
        )
        asked = Judge(made, regimes, date(2026, 6, 1))
        return any(found.stops for each in made.of_kind("flow") for found in asked.findings(each.id))

    assert stops(**parts) or not stops(one=data(persons, *classes, **more))


def test_a_payment_adds_to_the_declared_flows_and_takes_the_place_of_its_own() -> None:
    made = declared(one=data(6000), two=data(3000))
    cache = JudgeCache(made, library(REGIME), AT, ())

    def verdict(id: str, facts: dict[str, Any]) -> str:
        entity = cache.flow_class(id, facts).entity
        found = Judge(made, library(REGIME), AT).findings(entity)
        return next(each for each in found if each.rule == "regime/financial").verdict.word

    assert verdict("one", {}) == "pass"
    assert verdict("one", {"persons_12m": 7000}) == "pass"
    assert verdict("one", {"persons_12m": 7001}) == "fail"
    own = {"from": "bank", "to": "shop", "classes": ["financial"], "incidental": False}
    assert verdict("", {**own, "persons_12m": 1000}) == "pass"
    assert verdict("", {**own, "persons_12m": 1001}) == "fail"
    assert verdict("", own) == "unknown"


# --- reading ---

PROFILE = """
id = "sums"
version = 1
title = "Sums"
status = "law"
issuer = "somebody"
effective_from = 2020-01-01
reviewed = 2026-11-01
summary = "A law."
limits = "It is made up."
sources = [{ id = "text", title = "a text", publisher = "somebody", date = 2020-01-01, at_hand = true }]

[[rules]]
id = "bulk"
title = "Few persons"
level = "flow"
addressee = "company"
kind = "checked"
source = "text"
remedy = "Send less."
require = [
  { fact = "persons_12m", test = "sum-at-most", limit = 10, among = [
    { fact = "classes", test = "any-in", values = ["personal"] },
  ] },
]
"""


def read(text: str) -> Any:
    return parse_profile(documents.parse(text, "sums.toml"))


def test_a_sum_is_read_with_the_flows_that_it_counts() -> None:
    made = read(PROFILE)
    (required,) = made.rules[0].require
    assert [each.fact for each in required.among] == ["classes"]
    assert {path for path, _ in made.paths()} == {"persons_12m", "classes"}
    assert read(
        PROFILE.replace(', among = [\n    { fact = "classes", test = "any-in", values = ["personal"] },\n  ]', "")
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('fact = "persons_12m"', 'fact = "purpose"', 'found "purpose"'),
        ('fact = "persons_12m"', 'fact = "stored.retention_days"', 'found "stored.retention_days"'),
        (
            '{ fact = "classes", test = "any-in", values = ["personal"] }',
            '{ fact = "persons_12m", test = "sum-at-most", limit = 1 }',
            "has a sum in it",
        ),
        ('fact = "classes"', 'fact = "clases"', "clases"),
    ],
)
def test_sums_that_cannot_be_read(old: str, new: str, message: str) -> None:
    assert old in PROFILE
    with pytest.raises(DocumentError, match=message) as caught:
        read(PROFILE.replace(old, new))
    assert caught.value.hint


def test_the_flows_of_a_large_network_are_found_by_their_parties() -> None:
    """The evidence shows some of the flows; all count."""
    flows = {f"flow-{number}": data(1, "financial")(f"flow-{number}") for number in range(300)}
    made = declared(one=data(9_701))
    made = replace(made, entities={**made.entities, **flows})
    found = next(each for each in judge(made, REGIME).findings("one") if each.rule == "regime/financial")
    assert found.verdict is Verdict.FAIL
    assert len(found.evidence) < 30
