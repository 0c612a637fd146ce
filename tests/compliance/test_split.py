"""Blocs of a network small enough to calculate by hand, and compared with single routes."""

from __future__ import annotations

from typing import Any

import pytest
from tests.compliance.build import (
    AT,
    condition,
    facility,
    library,
    listing,
    network,
    organisation,
    participant,
    profile,
    row,
    rule,
    span,
    touch,
)

from sycee.compliance.facts import Fact, Network
from sycee.compliance.routing.routes import NearestMiss, Router
from sycee.compliance.routing.split import Bloc, Effect, Payment, Split, payment, split
from sycee.core.errors import UsageError


def bloc(name: str, home: str, listed: str) -> tuple[Any, Any]:
    """Return a regime of one state that excludes a carrier."""
    require = condition("operator", "none-listed", list=f"{name}-list")
    touches = [touch("flow", "from.state", "any-in", values=[home]), touch("flow", "to.state", "any-in", values=[home])]
    return profile(rule("edge", require), id=name, touches=touches), listing(row(listed), id=f"{name}-list")


def declared(**more: Any) -> Network:
    """Return east, between and west in a row. West excludes the cheap carrier, and east the only other one."""
    places = {f"place_{name}": facility(state=state) for name, state in (("west", "WW"), ("mid", "MM"), ("east", "EE"))}
    parties = {
        name: participant(state=state, gateway=f"place-{name}")
        for name, state in (("west", "WW"), ("mid", "MM"), ("east", "EE"))
    }
    return network(
        red=organisation(state="RR"),
        blue=organisation(),
        red_west=span(ends=["place-west", "place-mid"], operator="red", cost=1),
        blue_west=span(ends=["place-west", "place-mid"], operator="blue", cost=4),
        red_east=span(ends=["place-east", "place-mid"], operator="red", cost=2),
        blue_east=span(ends=["place-east", "place-mid"], operator="blue", cost=3),
        **places,
        **parties,
        **more,
    )


def router(**more: Any) -> Router:
    west, east = bloc("western", "WW", "red"), bloc("eastern", "EE", "blue")
    return Router(declared(**more), library(*west, *east), AT)


def made() -> Split:
    return split(router(), "western", "eastern")


def test_the_bloc_is_that_of_a_payment_with_itself() -> None:
    assert made().blocs == {"west": Bloc.FIRST, "mid": Bloc.BETWEEN, "east": Bloc.SECOND}
    assert made().members(Bloc.BETWEEN) == ("mid",)


def test_a_bloc_can_be_defined_by_states() -> None:
    asked = router(abroad=participant(organisation="red", state="MM"))
    found = split(asked, "western", "eastern", states={"western": {"MM"}, "eastern": {"EE", "RR"}})
    assert found.blocs == {"west": Bloc.BETWEEN, "mid": Bloc.FIRST, "east": Bloc.SECOND, "abroad": Bloc.BOTH}


def test_possible_payments_and_their_costs() -> None:
    payments = made().payments
    assert payments["west", "mid"] == Payment("west", "mid", free=1, first=4, second=1, together=4)
    assert payments["mid", "east"] == Payment("mid", "east", free=2, first=2, second=2, together=2)
    assert payments["west", "east"] == Payment("west", "east", free=3, first=7, second=3, together=None)
    assert len(payments) == 6


def test_the_summary_adds_up_both_regimes() -> None:
    found = made()
    across = found.summary(Bloc.FIRST, Bloc.SECOND)
    assert (across.pairs, across.connected) == (1, 1)
    assert (across.first, across.second, across.together) == (Effect(0, 1, 4), Effect(0, 0, 0), Effect(1, 0, 0))
    whole = found.summary()
    assert (whole.pairs, whole.connected, whole.together) == (6, 6, Effect(lost=2, dearer=2, extra=6))
    assert sum(each.pairs for each in found.summaries) == 6
    assert all(each.source is not each.target for each in found.summaries)  # no participant pays itself


def test_each_cost_is_that_of_the_route() -> None:
    asked = router()
    found = split(asked, "western", "eastern")
    for (source, target), each in found.payments.items():
        flow = payment(asked, source, target)
        for cost, under in ((each.free, []), (each.first, ["western"]), (each.together, ["western", "eastern"])):
            answer = asked.under(flow, under)
            assert cost == (None if isinstance(answer, NearestMiss) else answer.cost)


def test_a_standard_payment_has_only_declared_facts() -> None:
    asked = router(bare=participant())
    flow = payment(asked, "west", "east")
    assert flow.facts["subject_states"].value == ("WW", "EE")
    assert flow.facts["cross_border"].value is True
    assert [each.facts["at"].value for each in flow.facts["stored"].value] == ["place-west", "place-east"]
    unknown = payment(asked, "west", "bare")
    assert {"subject_states", "stored", "cross_border"}.isdisjoint(unknown.facts)
    assert unknown.facts["origin"].value == "WW"
    found = split(asked, "western", "eastern")
    assert found.blocs["bare"] is Bloc.BETWEEN
    assert found.payments["west", "bare"] == Payment("west", "bare", None, None, None, None)


def test_additional_facts_are_part_of_every_payment() -> None:
    flow = payment(router(), "west", "mid", {"purpose": Fact("support"), "currency": Fact("WWD")})
    assert (flow.facts["purpose"].value, flow.facts["currency"].value) == ("support", "WWD")


def test_blocs_need_two_profiles_in_effect() -> None:
    with pytest.raises(UsageError, match="both blocs have the profile western"):
        split(router(), "western", "western")
    with pytest.raises(UsageError, match="no profile northern is in effect"):
        split(router(), "western", "northern")


def test_progress_is_reported_for_every_participant() -> None:
    reported: list[tuple[int, int]] = []
    split(router(), "western", "eastern", progress=lambda done, total: reported.append((done, total)))
    assert reported == [(1, 3), (2, 3), (3, 3)]
