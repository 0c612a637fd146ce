"""Claims of decisions, tested on the example under all shipped profiles."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from tests.compliance import build

from sycee import data
from sycee.compliance import declarations, library
from sycee.compliance.enforcement import decisions, payment_flow
from sycee.compliance.enforcement.decisions import RecordedFinding
from sycee.compliance.facts import Network
from sycee.compliance.judging.judge import Judge
from sycee.compliance.profiles import Library

EXAMPLE = Path(__file__).parents[3] / "examples" / "two-regimes"
DAY = timedelta(days=1)


@cache
def example() -> tuple[Network, Library]:
    return declarations.load([EXAMPLE]), library.load(data.names("profiles"))


def all_findings(network: Network, day: date) -> tuple[RecordedFinding, ...]:
    return decisions.recorded_findings(Judge(network, example()[1], day).report().findings)


def spans() -> list[tuple[date, date]]:
    """Return pairs of a change day and the last day before the next one, if there are days between."""
    network, regimes = example()
    days = sorted(decisions.change_days(network) | decisions.change_days(regimes))
    return [(one, other - DAY) for one, other in pairwise(days) if other - one > DAY and one >= date(2020, 1, 1)]


@pytest.mark.parametrize("every", [16, pytest.param(1, marks=pytest.mark.soak)])
def test_nothing_changes_between_change_days(every: int) -> None:
    """Time alone changes no decision before the day that it names."""
    network, _ = example()
    distinct = set()
    chosen = spans()[::every]
    for first, last in chosen:
        at_first = all_findings(network, first)
        assert at_first == all_findings(network, last), f"between {first} and {last}"
        distinct.add(at_first)
    assert len(chosen) > 2
    assert len(distinct) > 1  # and verdicts change between spans


def test_facts_that_no_rule_reads_change_no_result() -> None:
    """So payments that differ in other facts only form one class."""
    network, regimes = example()
    counts = payment_flow.fields_read(regimes)
    assert {"from", "to", "via", "classes", "purpose", "stored"} <= counts
    assert "amount_minor" not in counts
    day = network.as_of
    judge = Judge(network, regimes, day)
    dropped = 0
    for flow in network.of_kind("flow"):
        bare = replace(flow, facts={name: each for name, each in flow.facts.items() if name in counts})
        dropped += len(flow.facts) - len(bare.facts)
        assert decisions.recorded_findings(judge.flow(bare)) == decisions.recorded_findings(judge.flow(flow))
    assert dropped > 0


def test_the_basis_of_a_rule_is_read() -> None:
    regime = build.profile(build.rule("flow", build.condition("incidental", "is-true"), basis="purpose"))
    assert {"incidental", "purpose"} <= payment_flow.fields_read(build.library(regime))


@pytest.mark.parametrize(
    ("read", "others"),
    [
        ("accessors", {"stored", "processed"}),
        ("requests", {"purpose", "classes"}),
        ("subject_states", {"classes", "persons_12m"}),
    ],
)
def test_the_fields_on_which_a_field_depends_are_read(read: str, others: set[str]) -> None:
    """Payments that differ in these only are of different classes."""
    regime = build.profile(build.rule("flow", build.condition(read, "declared")))
    assert payment_flow.fields_read(build.library(regime)) == {"from", "to", "via", read, *others}


@pytest.mark.parametrize("profile", data.names("profiles"))
def test_the_fields_that_each_profile_reads_are_found(profile: str) -> None:
    """Under a single profile, only facts that it does not read are dropped."""
    network, _ = example()
    regimes = library.load([profile])
    counts = payment_flow.fields_read(regimes)
    judge = Judge(network, regimes, network.as_of)
    for flow in network.of_kind("flow"):
        bare = replace(flow, facts={name: each for name, each in flow.facts.items() if name in counts})
        assert decisions.recorded_findings(judge.flow(bare)) == decisions.recorded_findings(judge.flow(flow))
