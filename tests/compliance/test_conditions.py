"""Each test of a condition with its three truths and its evidence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from tests.compliance import build
from tests.compliance.build import (
    AT,
    attestation,
    cloud,
    condition,
    either,
    element,
    entity,
    facility,
    fact,
    flow,
    listing,
    network,
    organisation,
    participant,
    row,
    without,
)

from sycee.compliance.fact_paths import Roots
from sycee.compliance.facts import Assurance, Network
from sycee.compliance.judging.condition_results import ConditionResult
from sycee.compliance.judging.conditions import ConditionCompiler
from sycee.compliance.judging.effective_facts import EffectiveNetwork
from sycee.compliance.judging.logic import conjunction, disjunction
from sycee.compliance.profiles import Condition, List

pytestmark = pytest.mark.fast

HOUR_NS = 3600 * 10**9


def ask(declared: Network, subject: str, asked: Condition, *lists: List, at: date = AT) -> ConditionResult:
    knowledge = EffectiveNetwork(declared, at)
    node = knowledge.node(subject)
    test = ConditionCompiler(knowledge, {each.id: each for each in lists}).compile(asked, Roots(node.kind))
    return test((node, node, node if node.kind == "flow" else None))


def place() -> Network:
    return network(
        hub=facility(state="AA", use="gateway", operator="acme"),
        acme=organisation(state="BB"),
        vault=cloud(state="CC", operator="acme", accessible_to=("acme", "nobody")),
        bare=facility(),
        bank=participant(organisation="acme", operates_in=("AA", "BB"), licences=[], exit_terms=True),
        pay=flow(
            from_="bank",
            classes=("payment", "personal"),
            subject_states=("AA",),
            persons_12m=10_000,
            stored=[{"at": "vault", "copy": True}, {"at": "bare"}],
            processed=[],
            origin="AA",
        ),
    )


@pytest.mark.parametrize(
    ("subject", "fact", "test", "arguments", "truth"),
    [
        ("hub", "state", "any-in", {"values": ["AA"]}, True),
        ("hub", "state", "any-in", {"values": ["BB"]}, False),
        ("bare", "state", "any-in", {"values": ["BB"]}, None),
        ("hub", "operator.state", "all-in", {"values": ["BB"]}, True),
        ("hub", "operator.state", "none-in", {"values": ["BB"]}, False),
        ("bank", "operates_in", "any-in", {"values": ["AA"]}, True),
        ("bank", "operates_in", "all-in", {"values": ["AA"]}, False),
        ("bank", "operates_in", "none-in", {"values": ["CC"]}, True),
        ("bank", "licences.state", "any-in", {"values": ["AA"]}, False),
        ("bank", "licences.state", "all-in", {"values": ["AA"]}, True),
        ("bank", "licences.state", "none-in", {"values": ["AA"]}, True),
        # One of two places is declared, which may decide.
        ("pay", "stored.at.state", "any-in", {"values": ["CC"]}, True),
        ("pay", "stored.at.state", "any-in", {"values": ["AA"]}, None),
        ("pay", "stored.at.state", "all-in", {"values": ["CC"]}, None),
        ("pay", "stored.at.state", "all-in", {"values": ["AA"]}, False),
        ("pay", "stored.at.state", "none-in", {"values": ["CC"]}, False),
        ("pay", "stored.at.state", "none-in", {"values": ["AA"]}, None),
        # A set that is declared itself.
        ("pay", "origin", "any-in", {"facts": "subject_states"}, True),
        ("pay", "origin", "all-in", {"facts": "stored.at.state"}, None),
        ("pay", "stored.at.state", "none-in", {"facts": "subject_states"}, None),
        ("pay", "from.operates_in", "all-in", {"facts": "subject_states"}, False),
        ("pay", "origin", "any-in", {"facts": "processed.at.state"}, False),
        ("pay", "to.state", "any-in", {"facts": "subject_states"}, None),
        # A facility cannot have an operator of record, so that is no gap; for the cloud it is one.
        ("pay", "stored.at.operator_of_record.state", "none-in", {"values": ["AA"]}, None),
        ("pay", "sold", "is-true", {}, None),
        ("bank", "gateway.state", "declared", {}, None),
        ("hub", "state", "declared", {}, True),
        ("bank", "licences", "declared", {}, False),
        ("pay", "stored", "declared", {}, True),
        ("pay", "stored.copy", "declared", {}, None),
        ("pay", "processed.at", "declared", {}, False),
        ("bank", "exit_terms", "is-true", {}, True),
        ("bank", "exit_terms", "is-false", {}, False),
        ("bank", "forced_upgrades", "is-false", {}, None),
        ("pay", "stored.copy", "is-true", {}, None),
        ("pay", "stored.copy", "is-false", {}, False),
        ("pay", "persons_12m", "at-most", {"limit": 10_000}, True),
        ("pay", "persons_12m", "at-least", {"limit": 10_001}, False),
        ("pay", "amount_minor", "at-most", {"limit": 1}, None),
        ("pay", "stored.retention_days", "at-most", {"limit": 1}, None),
        ("hub", "nothing.that.is", "any-in", {"values": ["AA"]}, False),
    ],
)
def test_conditions_over_plain_facts(
    subject: str, fact: str, test: str, arguments: dict[str, Any], truth: bool | None
) -> None:
    asked = condition(fact, test, **arguments)
    outcome = ask(place(), subject, asked)
    assert outcome.truth is truth
    assert bool(outcome.missing) == (truth is None)
    opposite = ask(place(), subject, replace(asked, negate=True))
    assert opposite.truth is (None if truth is None else not truth)


def test_evidence_has_each_fact_of_the_path_with_its_entity() -> None:
    outcome = ask(place(), "hub", condition("operator.state", "any-in", values=["BB"]))
    assert [(each.path, each.value, each.holds) for each in outcome.evidence] == [
        ("hub.operator", "acme", True),
        ("acme.state", "BB", True),
    ]
    assert {each.source for each in outcome.evidence} == {"declared"}
    assert {each.as_of for each in outcome.evidence} == {date(2026, 1, 1)}


@pytest.mark.parametrize(
    ("test", "state", "negate", "truth", "decided"),
    [
        ("any-in", "AA", False, True, ["here.state"]),
        ("none-in", "AA", False, False, ["here.state"]),
        ("all-in", "AA", False, False, ["there.state"]),
        ("any-in", "AA", True, False, ["here.state"]),
        ("any-in", "CC", False, False, ["here.state", "there.state"]),
        ("none-in", "CC", False, True, ["here.state", "there.state"]),
    ],
)
def test_no_fact_contradicts_a_decided_condition(
    test: str, state: str, negate: bool, truth: bool, decided: list[str]
) -> None:
    made = network(
        here=facility(state="AA"), there=facility(state="BB"), pay=flow(stored=[{"at": "here"}, {"at": "there"}])
    )
    outcome = ask(made, "pay", condition("stored.at.state", test, values=[state], negate=negate))
    assert outcome.truth is truth
    assert {each.holds for each in outcome.evidence} == {truth}
    states = [each for each in outcome.evidence if each.path.endswith(".state")]
    assert [each.path for each in states if not each.note] == decided
    assert {each.note for each in states} <= {"", "does not decide"}


@pytest.mark.parametrize("wrong", ["acme", "bank", "pay"])
def test_an_entity_of_another_kind_counts_as_undeclared(wrong: str) -> None:
    """An organisation is no place, so its missing operator does not decide."""
    made = place()
    elements = build.fact([{"at": wrong}])
    pay = replace(made.entities["pay"], facts={**made.entities["pay"].facts, "stored": elements})
    made = replace(made, entities={**made.entities, "pay": pay})
    asked = condition("stored.at.operator", "none-listed", list="list")
    outcome = ask(made, "pay", asked, listing(row("somebody")))
    assert (outcome.truth, outcome.missing) == (None, (f"{wrong}.operator",))


def test_missing_facts_are_named_after_their_entity() -> None:
    missing = {
        "stored.at.state": ("bare.state",),
        "stored.copy": ("pay.stored[2].copy",),
        "to.state": ("pay.to",),
        "stored.at.accessible_to.state": ("nobody.state",),
    }
    for path, paths in missing.items():
        asked = condition(path, "any-in", values=["XX"])
        if path == "stored.copy":
            asked = condition(path, "is-true")
        assert ask(place(), "pay", asked).missing == paths


def test_an_expired_fact_is_missing() -> None:
    old = network(hub=facility(state=fact("AA", expires=AT)))
    asked = condition("state", "any-in", values=["AA"])
    assert ask(old, "hub", asked).truth is None
    assert ask(old, "hub", asked, at=date(2026, 11, 24)).truth is True


def test_elements_count_between_two_days() -> None:
    licence = {"state": "AA", "since": date(2026, 1, 1), "until": AT}
    bank = network(bank=participant(licences=[licence]))
    asked = condition("licences", "declared")
    assert ask(bank, "bank", asked).truth is False
    assert ask(bank, "bank", asked, at=date(2026, 11, 24)).truth is True
    assert ask(bank, "bank", asked, at=date(2025, 12, 31)).truth is False


def test_one_of_several_conditions_suffices() -> None:
    yes, no, open_ = (condition("state", "any-in", values=[state]) for state in ("AA", "BB", "CC"))
    unknown = replace(open_, fact="owner.state")
    for conditions, truth in [
        ((no, yes), True),
        ((unknown, yes), True),
        ((no, unknown), None),
        ((no, no), False),
    ]:
        assert ask(place(), "hub", either(*conditions)).truth is truth


@pytest.mark.parametrize(
    ("licences", "truth", "missing"),
    [
        ([], False, ()),
        (None, None, ("bank.licences",)),
        ([{"state": "AA", "authority": "one"}], True, ()),
        ([{"state": "AA", "authority": "two"}, {"state": "BB", "authority": "one"}], False, ()),
        ([{"state": "AA"}, {"state": "BB", "authority": "one"}], None, ("bank.licences[1].authority",)),
        ([{"state": "AA"}, {"state": "AA", "authority": "one"}], True, ()),
        ([{"state": "AA", "authority": "one", "until": AT}], False, ()),
        ([{}], None, ("bank.licences[1].state", "bank.licences[1].authority")),
    ],
)
def test_some_element_meets_all_conditions(licences: Any, truth: bool | None, missing: tuple[str, ...]) -> None:
    facts = {} if licences is None else {"licences": licences}
    having = (condition("state", "any-in", values=["AA"]), condition("authority", "any-in", values=["one"]))
    some = Condition(some="licences", having=having)
    found = ask(network(bank=participant(**facts)), "bank", some)
    assert (found.truth, found.missing) == (truth, missing)
    assert all(each.holds is truth or each.note for each in found.evidence) or truth is None
    turned = ask(network(bank=participant(**facts)), "bank", replace(some, negate=True))
    assert turned.truth is (None if truth is None else not truth)
    assert turned.missing == missing


def test_some_may_read_other_parts_of_the_scope() -> None:
    """The places of a flow that are outside of the states of its persons, and what is inside of a list of entities."""
    abroad = condition("at.state", "none-in", facts="subject.subject_states")
    assert ask(place(), "pay", Condition(some="stored", having=(abroad,))).truth is True
    home = condition("state", "any-in", values=["BB"])
    assert ask(place(), "pay", Condition(some="stored.at.operator", having=(home,))).truth is True


def test_some_within_some() -> None:
    """An accessor in one state with a permission of another: both of the same accessor."""
    permitted = Condition(some="permissions", having=(condition("state", "any-in", values=["BB"]),))
    asked = Condition(some="accessors", having=(condition("state", "any-in", values=["AA"]), permitted))
    for states, truth in ((("AA", "BB"), True), (("BB", "AA"), False)):
        one = {"state": states[0], "permissions": [element(state=states[1])]}
        other = {"state": "AA", "permissions": []}
        pay = flow(accessors=[one, other], stored=[], processed=[])
        assert ask(network(pay=pay), "pay", asked).truth is truth
    silent = flow(accessors=[{"state": "AA"}], stored=[], processed=[])
    (gap,) = ask(network(pay=silent), "pay", asked).missing
    assert gap == "pay.accessors[1].permissions"


def test_checked_facts_come_before_attestations() -> None:
    declared = replace(place(), attestations=(attestation("hub", "no-backdoors"),))
    word = condition(test="attested", topic="no-backdoors")
    checked = condition("state", "any-in", values=["AA"])
    assert ask(declared, "hub", word).by_attestation
    assert not ask(declared, "hub", either(word, checked)).by_attestation


@pytest.mark.parametrize(
    ("about", "at_least", "truth"),
    [
        ({}, Assurance.DECLARED, True),
        ({}, Assurance.THIRD_PARTY, True),
        ({}, Assurance.OBSERVED, None),
        ({"signed": False}, Assurance.DECLARED, True),
        ({"signed": False}, Assurance.SELF_SIGNED, None),
        ({"expires": AT}, Assurance.DECLARED, None),
        ({"expires": None}, Assurance.DECLARED, True),
        ({"as_of": date(2026, 11, 26)}, Assurance.DECLARED, None),
    ],
)
def test_attested(about: dict[str, Any], at_least: Assurance, truth: bool | None) -> None:
    declared = replace(place(), attestations=(attestation("acme", "no-backdoors", **about),))
    own = condition(test="attested", topic="no-backdoors", at_least=at_least)
    outcome = ask(declared, "acme", own)
    assert outcome.truth is truth
    assert outcome.missing == (() if truth else ("acme.attested.no-backdoors",))
    of_operator = replace(own, of="operator")
    assert ask(declared, "hub", of_operator).truth is truth
    assert ask(declared, "bare", of_operator).missing == ("bare.operator",)


def test_the_strongest_attestation_counts() -> None:
    weak = attestation("acme", "topic", assurance=Assurance.SELF_SIGNED, by="acme")
    declared = network(attestations=[weak, attestation("acme", "topic")], acme=organisation())
    (evidence,) = ask(declared, "acme", condition(test="attested", topic="topic")).evidence
    assert (evidence.path, evidence.value, evidence.assurance) == (
        "acme.attested.topic",
        "auditor",
        Assurance.THIRD_PARTY,
    )


@pytest.mark.parametrize(
    ("about", "assurance"),
    [
        ({}, Assurance.THIRD_PARTY),
        ({"signed": False}, Assurance.DECLARED),
        ({"expires": AT}, Assurance.DECLARED),
        ({"facts": ["owner"]}, Assurance.DECLARED),
        ({"facts": ["equipment.vendor"]}, Assurance.THIRD_PARTY),
    ],
)
def test_an_attestation_of_a_fact_raises_its_assurance(about: dict[str, Any], assurance: Assurance) -> None:
    word = attestation("hub", **{"facts": ["equipment"], **about})
    declared = network(attestations=[word], hub=facility(equipment=[{"vendor": "acme"}]), acme=organisation())
    (evidence,) = ask(declared, "hub", condition("equipment.vendor", "any-in", values=["acme"])).evidence
    assert (evidence.path, evidence.assurance) == ("hub.equipment[1].vendor", assurance)


# --- lists; control is in test_ownership ---


def equipped(**vendor: Any) -> Network:
    return network(
        vendor=organisation(**vendor),
        hub=facility(equipment=[{"vendor": "vendor", "part": "storage"}]),
        open=facility(equipment=[{"vendor": "vendor"}]),
        none=facility(equipment=[]),
    )


LISTED_BY_NAME = listing(row("Seller Ltd"))


@pytest.mark.parametrize(("names", "truth"), [(("SELLER LTD",), True), ((), False), (("Maker",), False), (None, None)])
def test_a_party_is_found_by_its_identifiers(names: tuple[str, ...] | None, truth: bool | None) -> None:
    declared = equipped(identifiers=names)
    outcome = ask(declared, "hub", condition("equipment.vendor", "any-listed", list="list"), LISTED_BY_NAME)
    assert outcome.truth is truth
    assert outcome.missing == (("vendor.identifiers",) if truth is None else ())


@pytest.mark.parametrize(
    ("about", "truth"),
    [
        ({}, True),
        ({"valid_until": AT}, None),
        ({"valid_until": None}, True),
        ({"as_of": date(2026, 11, 26)}, None),
        ({"complete": False}, True),
    ],
)
def test_a_list_is_valid_for_its_time(about: dict[str, Any], truth: bool | None) -> None:
    asked = condition("equipment.vendor", "any-listed", list="list")
    assert ask(equipped(), "hub", asked, listing(row("vendor"), **about)).truth is truth
    absent: bool | None = False if truth and "complete" not in about else None
    assert ask(equipped(), "hub", asked, listing(row("somebody"), **about)).truth is absent


@pytest.mark.parametrize(
    ("about", "truth"),
    [
        ({"status": "pending"}, None),
        ({"status": "recommended"}, False),
        ({"until_date": AT}, False),
        ({"from_date": date(2026, 11, 26)}, False),
        ({"from_date": AT}, True),
    ],
)
def test_rows_count_by_status_and_time(about: dict[str, Any], truth: bool | None) -> None:
    asked = condition("equipment.vendor", "any-listed", list="list")
    outcome = ask(equipped(), "hub", asked, listing(row("vendor", **about)))
    assert outcome.truth is truth
    if "status" in about:
        assert about["status"] in outcome.row
        assert any(about["status"] in each.note for each in outcome.evidence)


@pytest.mark.parametrize(
    ("place", "parts", "truth"),
    [
        ("hub", ("storage",), True),
        ("hub", ("control",), False),
        ("open", ("storage",), None),
        ("none", ("storage",), False),
    ],
)
def test_rows_may_be_limited(place: str, parts: tuple[str, ...], truth: bool | None) -> None:
    asked = condition("equipment.vendor", "any-listed", list="list", parts="equipment.part")
    outcome = ask(equipped(), place, asked, listing(row("vendor", parts=parts)))
    assert outcome.truth is truth
    assert outcome.missing == (("open.equipment[1].part",) if truth is None else ())
    assert ask(equipped(), place, replace(asked, test="none-listed"), listing(row("vendor", parts=parts))).truth is (
        None if truth is None else not truth
    )


def test_limited_rows_are_unknown_to_a_rule_without_parts() -> None:
    asked = condition("equipment.vendor", "any-listed", list="list")
    assert ask(equipped(), "hub", asked, listing(row("vendor", parts=("storage",)))).truth is None


def test_the_list_is_evidence_with_its_date() -> None:
    outcome = ask(equipped(), "hub", condition("equipment.vendor", "none-listed", list="list"), listing())
    looked = next(each for each in outcome.evidence if each.path == "list list")
    assert (looked.value, looked.as_of, looked.holds) == ("vendor", date(2026, 1, 1), True)
    assert "among the rows of 2026-01-01" in looked.note


# --- returned in time ---


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("taken", "back", "days", "truth"),
    [
        ("2026-11-23T10:00", "2026-11-24T10:00", 1, True),  # to the second of the 24th hour
        ("2026-11-23T10:00", "2026-11-24T10:01", 1, False),
        ("2026-11-23T00:30", "2026-11-23T23:30", 0, False),  # 23 hours, but after the end of the day in the zone
        ("2026-11-23T00:30", "2026-11-23T18:29", 0, True),
        (
            "2026-11-21T10:00",
            "2026-11-22T09:00",
            0,
            True,
        ),  # on a Saturday: the end of Monday is later than 24 hours
        ("2026-11-23T10:00", None, 1, None),
        (None, "2026-11-23T10:00", 1, None),
    ],
)
def test_returned_in_time(taken: str | None, back: str | None, days: int, truth: bool | None) -> None:
    times = {"taken_at": taken, "returned_at": back, "deleted_at": back}
    given = {name: moment(text) for name, text in times.items() if text is not None}
    declared = network(pay=flow(processed=[given]))
    asked = condition(
        "processed",
        "returned-in-time",
        hours=24,
        business_days=days,
        zone="Asia/Kolkata",
        weekend=("saturday", "sunday"),
    )
    outcome = ask(declared, "pay", asked)
    assert outcome.truth is truth
    assert {each.path for each in outcome.evidence} == {f"pay.processed[1].{name}" for name in given}
    if given.keys() >= {"taken_at"}:
        assert ask(declared, "pay", replace(asked, fact="processed.taken_at")).truth is truth


@pytest.mark.parametrize("early", ["returned_at", "deleted_at"])
def test_nothing_is_returned_before_it_was_taken(early: str) -> None:
    times = dict.fromkeys(("taken_at", "returned_at", "deleted_at"), moment("2026-11-23T10:00"))
    asked = condition("processed", "returned-in-time", hours=24, business_days=1, zone="UTC")
    assert ask(network(pay=flow(processed=[times])), "pay", asked).truth is True
    times[early] -= 1
    assert ask(network(pay=flow(processed=[times])), "pay", asked).truth is False


def test_beyond_the_calendar_only_the_hours_limit() -> None:
    times = dict.fromkeys(("taken_at", "returned_at", "deleted_at"), moment("9999-12-31T23:00"))
    for zone in ("UTC", "Asia/Kolkata"):
        asked = condition("processed", "returned-in-time", hours=24, business_days=1, zone=zone)
        assert ask(network(pay=flow(processed=[times])), "pay", asked).truth is True


def test_a_late_return_fails_despite_missing_facts() -> None:
    times = {"taken_at": moment("2026-11-23T10:00"), "returned_at": moment("2026-11-25T10:00")}
    asked = condition("processed", "returned-in-time", hours=24, business_days=1, zone="UTC")
    assert ask(network(pay=flow(processed=[times])), "pay", asked).truth is False
    assert ask(network(pay=flow(processed=[])), "pay", asked).truth is True
    assert ask(network(pay=flow()), "pay", asked).missing == ("pay.processed",)


def test_holidays_are_no_business_days() -> None:
    times = {"taken_at": moment("2026-11-21T10:00"), "returned_at": moment("2026-11-24T08:00")}
    declared = network(pay=flow(processed=[{**times, "deleted_at": times["returned_at"]}]))
    asked = condition(
        "processed", "returned-in-time", hours=1000, business_days=0, zone="UTC", weekend=("saturday", "sunday")
    )
    assert ask(declared, "pay", asked).truth is False  # Monday 23 November was the last day
    assert ask(declared, "pay", replace(asked, holidays=frozenset(["2026-11-23"]))).truth is True


# --- three values ---


def test_fewer_facts_never_reverse_a_truth() -> None:
    """Hide one fact of every condition above: the truth stays the same or becomes unknown."""
    declared = place()
    asked = [
        condition("stored.at.state", test, values=[state])
        for test in ("any-in", "all-in", "none-in")
        for state in ("AA", "BB", "CC")
    ]
    for each in asked:
        before = ask(declared, "pay", each).truth
        for hidden in (("pay", "stored"), ("vault", "state")):
            assert ask(without(declared, *hidden), "pay", each).truth in (before, None)


def test_conjunction_and_disjunction() -> None:
    assert [conjunction(each) for each in ([], [True, None], [None, False])] == [True, None, False]
    assert [disjunction(each) for each in ([], [False, None], [None, True])] == [False, None, True]


def test_other_kinds_have_other_fields() -> None:
    shop = network(shop=entity("store", serves=("AA",)), app=entity("app", stores=("shop",)))
    assert ask(shop, "app", condition("stores.serves", "any-in", values=["AA"])).truth is True
