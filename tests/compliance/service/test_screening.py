"""Screening of payments: a record of permission or a refusal, and both can be judged again."""

from __future__ import annotations

import json
from datetime import date, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from tests.compliance.service.world import DAY_NS, NETWORK, NEXT_YEAR, TODAY, Desk, rule
from tests.database.places import opened

from sycee.compliance.enforcement import admission, decision_replay, decisions, reason_codes
from sycee.compliance.enforcement.decisions import record_digest
from sycee.compliance.enforcement.judge_cache import JudgeCache
from sycee.compliance.enforcement.screening import (
    ComplianceRecord,
    PaymentRequest,
    Refusal,
    Screening,
    UnreadableFlow,
)
from sycee.compliance.enforcement.service import Compliance
from sycee.compliance.enforcement.tables import SCHEMA
from sycee.compliance.verdicts import ENGINE
from sycee.core.errors import IntegrityError, UnavailableError, UsageError
from sycee.database.migrations import upgrade
from sycee.database.transactions import reading


def admit(desk: Desk) -> Desk:
    for each in "ab":
        desk.compliance.admit(f"bank-{each}", by="desk")
    return desk


@pytest.fixture
def admitted(small: Desk) -> Desk:
    """Yield two admitted banks on SQLite alone: what is judged depends on no database."""
    return admit(small)


@pytest.fixture
def stored(desk: Desk) -> Desk:
    """Yield two admitted banks, once per kind of database."""
    return admit(desk)


def screen(desk: Desk, flow: str = "retail", facts: dict[str, Any] | None = None) -> ComplianceRecord | Refusal:
    decision = desk.compliance.screen(flow, facts, payment="payment-1", by="gateway")
    assert not isinstance(decision, UnreadableFlow), decision.messages
    return decision


# --- permitted and refused ---


def test_permitted(admitted: Desk) -> None:
    made = screen(admitted)
    assert isinstance(made, ComplianceRecord)
    answer = made.result
    assert answer.route is not None
    assert (answer.route.via, answer.route.cost) == (("short-way",), 1)
    regimes = [(each.profile, each.version, each.force, each.applies) for each in answer.regimes]
    assert regimes == [("first-law", 1, "enforced", "yes"), ("first-pledge", 2, "advised", "yes")]
    assert answer.verdicts == {"pass": 6, "unknown": 1, "fail": 1}
    assert answer.until == date(2027, 1, 1)
    assert made.reason_code == ""
    assert made.holds(TODAY)
    assert made.holds(date(2026, 12, 31))
    assert not made.holds(date(2027, 1, 1))
    assert not made.holds(TODAY - timedelta(days=1))


def test_another_route_where_the_best_is_excluded(admitted: Desk) -> None:
    admitted.use(("PARTY", "carrier-two"))
    made = screen(admitted)
    assert isinstance(made, ComplianceRecord)
    assert made.result.route is not None
    assert made.result.route.via == ("long-way",)


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        ("cost = 5", "cost = 5\n", "", ""),
        ('operator = "carrier-one"', 'operator = "carrier-two"', "RR04", "rule carrier"),
        ('operator = "carrier-one"\n', "", "RR05", "long-way.operator"),
        ('stored = [{ at = "hub-a" }]\ncurrency', "currency", "RR05", "retail"),
    ],
)
def test_findings_that_stop_a_flow(admitted: Desk, old: str, new: str, code: str, message: str) -> None:
    """`carrier-two` is excluded, so only the long route remains."""
    admitted.declare((old, new))
    admitted.use(("PARTY", "carrier-two"))
    made = screen(admitted)
    assert made.reason_code == code
    assert isinstance(made, Refusal) == bool(code)
    assert message in " ".join(made.messages)
    assert bool(made.result.missing) == (code == "RR05")
    assert admitted.compliance.replay(made.digest).digest == made.digest


def test_an_undeclared_cost(admitted: Desk) -> None:
    admitted.declare(("cost = 1\n", ""), ("cost = 5\n", ""))
    made = screen(admitted)
    assert (made.outcome, made.reason_code) == ("refused", "RR05")
    assert "short-way.cost" in made.result.missing or "long-way.cost" in made.result.missing


def test_no_route(admitted: Desk) -> None:
    admitted.compliance.waive("first-law/exit", "bank-c", role="head", reason="soon", until=NEXT_YEAR, by="eve")
    admitted.compliance.admit("bank-c", by="desk")
    made = screen(admitted, "to-nowhere")
    assert (made.outcome, made.reason_code, made.result.route) == ("refused", "ED01", None)
    assert [each.rule for each in made.result.waivers] == ["first-law/exit"]


def test_a_party_that_is_not_admitted(admitted: Desk) -> None:
    assert screen(admitted, "to-nowhere").reason_code == "AGNT"
    admitted.use(("PARTY", "owner-b"))
    made = screen(admitted)  # stopped before `rejudge` has run
    assert made.reason_code == "RR04"
    admitted.compliance.rejudge(by="night")
    made = screen(admitted)
    assert made.reason_code == "AGNT"
    assert made.messages[0] == "bank-b is not admitted"


def test_permission_and_refusal_are_stored(stored: Desk) -> None:
    first = screen(stored)
    stored.use(("PARTY", "owner-b"))
    second = screen(stored)
    kept = stored.compliance.screenings("payment-1")
    assert [(each.outcome, each.digest, each.who) for each in kept] == [
        ("permitted", first.digest, "gateway"),
        ("refused", second.digest, "gateway"),
    ]
    assert [dict(each.record) for each in kept] == [first.record, second.record]


def test_stored_words_are_those_of_the_first_release(stored: Desk) -> None:
    """Records that were sent have the word "cleared", and their digests cover it."""
    permitted = screen(stored)
    refused = screen(stored, "to-nowhere")
    assert [each.record["outcome"] for each in (permitted, refused)] == ["cleared", "refused"]
    with reading(stored.engine) as connection:
        rows = connection.exec_driver_sql("SELECT outcome FROM compliance_screenings ORDER BY number").scalars().all()
    assert rows == ["cleared", "refused"]
    assert [each.outcome for each in stored.compliance.screenings("payment-1")] == ["permitted", "refused"]
    assert stored.compliance.verify_record(permitted.json()).outcome == "permitted"


# --- flow classes ---


def test_facts_of_the_payment_add_to_declared_ones(admitted: Desk) -> None:
    facility = '[[facilities]]\nid = "hub-z"\nstate = "ZZ"\n\n[[facilities]]\nid = "hub-c"'
    admitted.declare(('[[facilities]]\nid = "hub-c"', facility))
    assert screen(admitted).outcome == "permitted"
    made = screen(admitted, facts={"stored": [{"at": "hub-a"}, {"at": "hub-z"}]})
    assert (made.outcome, made.reason_code) == ("refused", "RR04")
    assert made.record["flow"]["facts"] == {"stored": [{"at": "hub-a"}, {"at": "hub-z"}]}
    assert admitted.again().verify_record(made.json()).digest == made.digest
    element = {"at": "hub-z", "until": "2026-11-01"}  # has ended
    assert screen(admitted, facts={"stored": [{"at": "hub-a"}, element]}).outcome == "permitted"


def test_an_undeclared_flow(admitted: Desk) -> None:
    facts = {"from": "bank-a", "to": "bank-b", "purpose": "payment", "stored": [{"at": "hub-a"}]}
    made = screen(admitted, "", facts)
    assert made.outcome == "permitted"
    assert made.record["flow"]["facts"] == {"from": "bank-a", "to": "bank-b", "stored": [{"at": "hub-a"}]}
    assert admitted.compliance.replay(made.digest).digest == made.digest
    assert screen(admitted, "", {**facts, "stored": [{"at": "hub-a"}, {"at": "hub-b"}]}).outcome == "permitted"
    cleaner = admitted.compliance.screen("", {**facts, "stored": []}, payment="payment-1", by="gateway")
    assert isinstance(cleaner, UnreadableFlow)  # retail, between the same parties, is stored at a place
    assert screen(admitted, "", {"from": "bank-a", "to": "bank-b"}).result.missing == ("asked.stored",)


def test_an_undeclared_id_is_unknown(admitted: Desk) -> None:
    made = screen(admitted, facts={"stored": [{"at": "hub-a"}, {"at": "elsewhere"}]})
    assert (made.reason_code, made.result.missing) == ("RR05", ("elsewhere.state",))


def test_a_waiver_of_a_flow_is_not_for_a_payment_that_differs(admitted: Desk) -> None:
    facility = '[[facilities]]\nid = "hub-z"\nstate = "ZZ"\n\n[[facilities]]\nid = "hub-c"'
    admitted.declare(('[[facilities]]\nid = "hub-c"', facility), ('stored = [{ at = "hub-a" }]\ncurrency', "currency"))
    assert screen(admitted).reason_code == "RR05"
    admitted.compliance.waive("first-law/stored", "retail", role="head", reason="so", until=NEXT_YEAR, by="eve")
    assert screen(admitted).outcome == "permitted"
    same = {"from": "bank-a", "to": "bank-b", "amount_minor": 5}
    assert screen(admitted, facts=same).outcome == "permitted"
    made = screen(admitted, facts={"stored": [{"at": "hub-a"}, {"at": "hub-z"}]})
    assert (made.reason_code, made.result.waivers) == ("RR04", ())
    made = screen(admitted, "", {"from": "bank-b", "to": "bank-a"})
    assert (made.reason_code, made.result.missing) == ("RR05", ("asked.stored",))


@pytest.mark.parametrize("flow", ["", "retail"])
def test_an_appeal_permits_no_undeclared_flow(admitted: Desk, flow: str) -> None:
    """All payments that differ from their flow share one id, so a waiver for it would permit all of them."""
    admitted.declare(('[[facilities]]\nid = "hub-c"\nstate = "BB"', '[[facilities]]\nid = "hub-c"\nstate = "ZZ"'))
    made = screen(admitted, flow, {"from": "bank-a", "to": "bank-b", "stored": [{"at": "hub-a"}, {"at": "hub-c"}]})
    assert made.reason_code == "RR04"
    number = admitted.compliance.appeal(made.digest, reason="please", by="bank-a")
    with pytest.raises(UsageError, match="asked is not declared") as caught:
        admitted.compliance.decide_appeal(number, granted=True, role="head", reason="so", until=NEXT_YEAR, by="eve")
    assert caught.value.hint
    assert admitted.compliance.network().waivers == ()
    assert [each.granted for each in admitted.compliance.appeals()] == [None]


@pytest.mark.parametrize("subject", ["asked", "asked @ short-way"])
def test_the_id_of_undeclared_flows_is_reserved(admitted: Desk, subject: str) -> None:
    waiver = f'[[waivers]]\nrule = "first-law/stored"\nsubject = "{subject}"\nrole = "head"\nreason = "so"\n'
    flow = '[[flows]]\nid = "retail"'
    admitted.declare((flow, f"{waiver}from = 2026-01-01\nuntil = 2027-01-01\n\n{flow}"))
    with pytest.raises(UnavailableError, match='"asked" is declared'):
        screen(admitted, "", {"from": "bank-a", "to": "bank-b"})


def test_a_record_holds_no_longer_than_the_facts_of_the_payment(admitted: Desk) -> None:
    admitted.add(rule("access", "flow", 'each = "accessors"\nrequire = [{ fact = "permissions", test = "declared" }]'))
    permission = {"state": "BB", "name": "a permission", "until": "2026-11-28"}
    facts = {"accessors": [{"party": "owner-a", "state": "AA", "permissions": [permission]}], "processed": []}
    made = screen(admitted, facts=facts)
    assert isinstance(made, ComplianceRecord)
    assert made.result.until == date(2026, 11, 28)
    assert not made.holds(date(2026, 11, 28))
    assert admitted.compliance.replay(made.digest).digest == made.digest
    admitted.clock.advance(3 * DAY_NS)
    assert screen(admitted, facts=facts).outcome == "refused"


def test_payments_that_differ_in_unread_facts_are_one_class(admitted: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    searched = []
    best = JudgeCache._router.func  # type: ignore[attr-defined]

    def counted(prepared: JudgeCache) -> Any:
        router = best(prepared)
        find = router.best
        router.best = lambda flow: searched.append(flow.id) or find(flow)
        return router

    monkeypatch.setattr(JudgeCache._router, "func", counted)
    answers = [screen(admitted, facts={"amount_minor": each}).result for each in (1, 2, 3)]
    assert answers[0] is answers[1] is answers[2]
    assert len(searched) == 1
    screen(admitted, facts={"stored": [{"at": "hub-a"}, {"at": "hub-b"}]})
    assert len(searched) == 2
    admitted.add(rule("amount", "flow", 'require = [{ fact = "amount_minor", test = "at-most", limit = 2 }]'))
    outcomes = [screen(admitted, facts={"amount_minor": each}).outcome for each in (1, 2, 3)]
    assert outcomes == ["permitted", "permitted", "refused"]
    assert len(searched) == 5


def test_a_result_is_never_of_other_versions_or_another_day(stored: Desk) -> None:
    other = stored.again()
    first = screen(stored).result
    assert screen(stored).result is first
    other.waive("first-law/exit", "bank-c", role="head", reason="soon", until=NEXT_YEAR, by="eve")
    second = screen(stored).result
    assert second.inputs.network != first.inputs.network
    stored.clock.advance(DAY_NS)
    third = screen(stored).result
    assert third.inputs.day == TODAY + timedelta(days=1)
    stored.clock.advance(40 * DAY_NS)
    assert screen(stored).reason_code == "RR05"  # the list has expired


@pytest.mark.parametrize(
    ("flow", "facts", "message"),
    [
        ("retial", {}, "retial is not a declared flow"),
        ("bank-a", {}, "bank-a is not a declared flow"),
        ("", {"from": "bank-a"}, 'the flow has no "to"'),
        ("retail", {"amount": 5}, 'a flow has no "amount"'),
        ("retail", {"amount_minor": "5"}, "amount_minor"),
        ("retail", {"amount_minor": 1.5}, "amount_minor"),
        ("retail", {"stored": [{"at = 1 } ]": "x"}]}, "stored"),
        ("retail", {"stored": None}, "a fact cannot be None"),
        ("retail", {"id": "other"}, 'a flow has no "id"'),
        ("retail", {"stored": [{"at": "owner-a"}]}, "owner-a is not a declared cloud or facility"),
        ("retail", {"via": ["a-b"]}, "a payment cannot give its route"),
        ("retail", {"accessors": [{"party": "carier-one"}]}, "carier-one is not a declared organisation"),
        ("retail", {"to": "bnak-b"}, "bnak-b is not a declared participant"),
        ("", {"from": "hub-a", "to": "bank-b"}, "hub-a is not a declared participant"),
        ("", {"from": "bank-a", "to": "nobody"}, "nobody is not a declared participant"),
    ],
)
def test_invalid_payments(small: Desk, flow: str, facts: dict[str, Any], message: str) -> None:
    decision = small.compliance.screen(flow, facts, payment="payment-1", by="gateway")
    assert isinstance(decision, UnreadableFlow)
    assert message in decision.messages[0]
    assert small.compliance.screenings("payment-1")[0].record == decision.record


def test_many_payments_are_decided_as_one_by_one(small: Desk) -> None:
    small.compliance.admit("bank-a", by="desk")
    small.compliance.admit("bank-b", by="desk")
    facts: list[dict[str, Any]] = [{}, {"amount_minor": 7}, {"stored": [{"at": "hub-b"}]}, {"amount_minor": -7}]
    requests = [
        PaymentRequest(f'"payment" {number} 付款 \\', flow, each)
        for number, (flow, each) in enumerate(product(("retail", "to-nowhere", "payment", ""), facts * 2))
    ]
    many = small.compliance.screen_many(requests, by="gateway")
    assert {each.outcome for each in many} == {"permitted", "refused"}
    stored = [small.compliance.screenings(each.payment)[0] for each in requests]
    one_by_one = [
        small.compliance.screen(each.flow, each.facts, payment=each.payment, by="gateway") for each in requests
    ]
    assert [each.digest for each in many] == [each.digest for each in stored] == [each.digest for each in one_by_one]
    assert [each.record for each in stored] == [each.record for each in many] == [each.record for each in one_by_one]
    assert [each.number for each in stored] == list(range(1, len(requests) + 1))


def test_a_record_is_written_rightly_whatever_words_it_has(small: Desk) -> None:
    """The writer of records cuts them at the reference, whose first choice is "payment"."""
    small.compliance.admit("bank-a", by="desk")
    many = small.compliance.screen_many(
        [PaymentRequest(each, "retail", {"purpose": "payment"}) for each in ("payment", "payment.", "")], by="gateway"
    )
    for each in many:
        assert each.digest == record_digest(each.record) == small.compliance.screenings(each.payment)[0].digest


def test_nothing_of_many_payments_is_stored_if_a_reference_cannot_be(small: Desk) -> None:
    with pytest.raises(UsageError, match="cannot store"):
        small.compliance.screen_many([PaymentRequest("good", "retail"), PaymentRequest("a\0", "retail")], by="gateway")
    assert small.compliance.screenings("good") == []


# --- verification ---


def test_a_record_travels_and_is_verified_elsewhere(stored: Desk, tmp_path: Path) -> None:
    """The receiver has stored the same versions in another database."""
    record = screen(stored).json()
    with opened(tmp_path / "receiver.db") as engine:
        upgrade(engine, SCHEMA)
        receiver = Compliance(engine)
        with pytest.raises(UnavailableError, match="no network with the digest"):
            receiver.verify_record(record)
        receiver.declare({"as-it-came.toml": NETWORK.encode()}, by="receiver")
        names = [stored.folder / name for name in ("law.toml", "pledge.toml")]
        receiver.use(names, [stored.folder / "excluded.toml"], by="receiver")
        made = receiver.verify_record(record)
    assert isinstance(made, ComplianceRecord)
    assert made.json() == record


@pytest.mark.parametrize("name", ["payment", "outcome", "route", "regimes", "standings", "until", "flow"])
def test_a_record_that_was_changed(admitted: Desk, name: str) -> None:
    record = screen(admitted).record
    changed = {**record, name: {"id": "to-nowhere"} if name == "flow" else "another"}
    with pytest.raises(IntegrityError, match="its digest is not the digest of its content"):
        admitted.compliance.verify_record(changed)


@pytest.mark.parametrize(
    ("name", "value"), [("outcome", "refused"), ("reason_code", "RR04"), ("until", "2030-01-01"), ("route", None)]
)
def test_a_record_that_was_forged_with_its_digest(admitted: Desk, name: str, value: object) -> None:
    """The digest matches the content, but judging gives another record."""
    forged = {**screen(admitted).record, name: value}
    forged["digest"] = decisions.record_digest(forged)
    with pytest.raises(IntegrityError, match=f"judging the record again gives different {name}"):
        admitted.compliance.verify_record(forged)


@pytest.mark.parametrize(
    "record",
    ["", "[]", "{}", '{"format": "another"}', b"\xff", "null", "[" * 100_000, '{"a": "\\ud800"}', {"a": {1}}, None],
)
def test_values_that_are_no_records(admitted: Desk, record: Any) -> None:
    with pytest.raises(UsageError, match="no record"):
        admitted.compliance.verify_record(record)


@pytest.mark.parametrize("missing", ["inputs", "flow", "standings", "payment"])
def test_a_record_that_lacks_something(admitted: Desk, missing: str) -> None:
    lacking = {name: each for name, each in screen(admitted).record.items() if name != missing}
    lacking["digest"] = decisions.record_digest(lacking)
    with pytest.raises(UsageError, match="no record"):
        admitted.compliance.verify_record(lacking)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("standings", [], UsageError),
        ("standings", [5], UsageError),
        ("standings", None, UsageError),
        ("flow", {"id": "retail", "facts": ["purpose"], "digest": ""}, UsageError),
        ("flow", "retail", UsageError),
        ("inputs", {"network": 5, "library": "", "day": "2026-11-25", "engine": ENGINE}, UsageError),
        ("inputs", {"network": "", "library": "", "day": 5, "engine": ENGINE}, UsageError),
        ("payment", "another", None),
    ],
)
def test_a_record_of_another_form(admitted: Desk, name: str, value: object, error: type[Exception] | None) -> None:
    forged = {**screen(admitted).record, name: value}
    forged["digest"] = decisions.record_digest(forged)
    if error is None:  # any reference is valid
        assert admitted.compliance.verify_record(forged).record == forged
        return
    with pytest.raises(error):
        admitted.compliance.verify_record(forged)


def test_a_record_names_the_standings_of_its_parties_and_no_others(admitted: Desk) -> None:
    record = screen(admitted).record
    forged = {
        **record,
        "standings": [*record["standings"], {"participant": "bank-c", "outcome": "admit", "digest": ""}],
    }
    forged["digest"] = decisions.record_digest(forged)
    with pytest.raises(IntegrityError, match="gives different standings"):
        admitted.compliance.verify_record(forged)


def test_every_decision_can_be_judged_again_later(stored: Desk) -> None:
    made = [
        screen(stored),
        screen(stored, "to-nowhere"),
        screen(stored, facts={"stored": [{"at": "hub-a"}, {"at": "hub-b"}]}),
    ]
    digests = [each.digest for each in made]
    digests += [stored.compliance.admission_status(f"bank-{each}").digest for each in "ab"]
    stored.clock.advance(100 * DAY_NS)
    stored.use(("PARTY", "owner-b"))
    stored.declare(("exit_terms = true", "exit_terms = false"))
    later = stored.again()
    assert [later.replay(each).digest for each in digests] == digests


def test_a_decision_by_another_engine_is_not_judged_by_this_one(
    admitted: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = screen(admitted)
    monkeypatch.setattr(decision_replay, "ENGINE", "sycee.compliance.v0")
    with pytest.raises(UnavailableError, match=r"made by the engine sycee\.compliance\.v2"):
        admitted.compliance.replay(made.digest)


def test_a_record_has_one_form(admitted: Desk) -> None:
    record = screen(admitted).json()
    assert json.dumps(json.loads(record), sort_keys=True, separators=(",", ":"), ensure_ascii=False) == record
    assert json.loads(record)["format"] == Screening.FORMAT


# --- reason codes ---


def test_every_reason_has_a_code_with_its_source() -> None:
    found = reason_codes.reasons()
    assert tuple(found) == reason_codes.PRECEDENCE
    assert all(len(each.code) == 4 and each.interpretation for each in found.values())
    assert reason_codes.code_of("unknown", "fail", "conflict") == "RR04"
    assert reason_codes.code_of("unknown", reason_codes.NOT_ADMITTED) == "AGNT"
    assert reason_codes.code_of() == ""
    assert admission.REFUSE == "refuse"
