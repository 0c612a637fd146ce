"""Admission, conditions, refusal, appeals, and judging all applicants again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.compliance.service.world import DAY_NS, NETWORK, NEXT_YEAR, TODAY, Desk, rule
from tests.database.places import opened

from sycee.compliance.enforcement.admission import Change
from sycee.compliance.enforcement.judge_cache import JudgeCache
from sycee.compliance.enforcement.service import Compliance
from sycee.compliance.enforcement.tables import SCHEMA
from sycee.core.errors import UnavailableError, UsageError
from sycee.database.migrations import upgrade


def outcomes(desk: Desk) -> list[str]:
    """Return the status of each bank."""
    return [desk.compliance.admission_status(f"bank-{each}").outcome for each in "abc"]


def admit_all(desk: Desk) -> None:
    for each in "abc":
        desk.compliance.admit(f"bank-{each}", by="admissions desk")


def test_admitted_and_refused(desk: Desk) -> None:
    admit_all(desk)
    assert outcomes(desk) == ["admit", "admit", "refuse"]
    (kept,) = desk.compliance.admissions("bank-c")
    assert (kept.cause, kept.outcome, kept.who) == ("asked", "refuse", "admissions desk")
    assert kept.record["reason_code"] == "RR04"
    assert kept.record["messages"] == [
        "bank-c does not meet profile first-law version 1 rule exit because bank-c.exit_terms is false."
    ]


def test_an_unknown_fact_refuses_and_is_named(small: Desk) -> None:
    small.declare(("exit_terms = false\n", ""))
    admission = small.compliance.admit("bank-c", by="desk")
    assert (admission.outcome, admission.reason_code) == ("refuse", "RR05")
    assert admission.missing == ("bank-c.exit_terms",)


def test_a_pledge_alone_refuses_no_participant(small: Desk) -> None:
    admission = small.compliance.admit("bank-a", by="desk")
    findings = {each.rule: (each.verdict, each.force) for each in admission.findings}
    assert findings["first-pledge/notice"] == ("fail", "advised")
    assert admission.outcome == "admit"


def test_a_waiver_admits_on_conditions(desk: Desk) -> None:
    desk.compliance.waive("first-law/exit", "bank-c", role="head", reason="soon", until=NEXT_YEAR, by="eve")
    admission = desk.compliance.admit("bank-c", by="desk")
    assert admission.outcome == "conditional"
    (let,) = admission.waivers
    assert (let.rule, let.role, let.reason, let.until) == ("first-law/exit", "head", "soon", NEXT_YEAR)


def test_an_organisation_of_a_participant_is_judged_with_it(small: Desk) -> None:
    small.use(("PARTY", "owner-b"))
    admission = small.compliance.admit("bank-b", by="desk")
    assert admission.outcome == "refuse"
    assert "on list excluded: owner-b" in admission.messages[0]


APP = """
[[apps]]
id = "purse"
publisher = "carrier-one"

[[participants]]
id = "bank-b"
apps = ["purse"]
"""
OFFERED = ('[[participants]]\nid = "bank-b"\n', APP)
PUBLISHER = rule("app", "app", 'require = [{ fact = "publisher", test = "none-listed", list = "excluded" }]')
SMALL = rule("small", "organisation", 'require = [{ fact = "dispersed_bp", test = "at-least", limit = 1 }]')
NO_MORE = "{ apps = { as_of = 2026-01-01, expires = 2026-11-01 } }"


@pytest.mark.parametrize(
    ("old", "new", "missing"),
    [
        ('apps = ["purse"]', "apps = []", ()),
        ('apps = ["purse"]', 'apps = ["purse"] ', ()),
        ('apps = ["purse"]\n', "", ("bank-b.apps",)),
        ('apps = ["purse"]', f'apps = ["purse"]\nprovenance = {NO_MORE}', ("bank-b.apps",)),
        ('apps = ["purse"]', 'apps = ["something"]', ("something.publisher",)),
        ('organisation = "owner-b"\n', "", ("bank-b.organisation",)),
        ('organisation = "owner-b"', 'organisation = "firm"', ("firm.dispersed_bp", "firm.identifiers")),
    ],
)
def test_an_undeclared_fact_refuses_a_participant(small: Desk, old: str, new: str, missing: tuple[str, ...]) -> None:
    """A participant cannot pass a rule about apps by not declaring them."""
    small.add(PUBLISHER, SMALL)
    small.declare(
        ('[[participants]]\nid = "bank-a"', '[[participants]]\nid = "bank-a"\napps = []'), OFFERED, (old, new)
    )
    made = small.compliance.admit("bank-b", by="desk")
    assert made.outcome == ("refuse" if missing else "admit")
    assert set(missing) <= set(made.missing)
    assert made.reason_code == ("RR05" if missing else "")
    assert small.compliance.replay(made.digest) == made


def test_a_rule_about_an_undeclared_subject_cannot_be_waived(small: Desk) -> None:
    small.add(PUBLISHER)
    refused = small.compliance.admit("bank-b", by="desk")
    assert refused.missing == ("bank-b.apps",)
    number = small.compliance.appeal(refused.digest, reason="we have one", by="bank-b")
    with pytest.raises(UsageError, match=r"bank-b\.apps is not declared"):
        small.compliance.decide_appeal(number, granted=True, role="board", reason="so", until=NEXT_YEAR, by="eve")


def test_an_id_that_is_no_participant(small: Desk) -> None:
    for name in ("bank-x", "hub-a"):
        with pytest.raises(UsageError, match=f"{name} is not a declared participant"):
            small.compliance.admit(name, by="desk")
    assert small.compliance.admission_status("bank-x").outcome == ""


def test_before_anything_was_declared_or_used(where: str) -> None:
    with opened(where) as engine:
        upgrade(engine, SCHEMA)
        compliance = Compliance(engine)
        with pytest.raises(UsageError, match="nothing is declared yet"):
            compliance.admit("bank-a", by="desk")
        compliance.declare({"network.toml": NETWORK.encode()}, by="desk")
        with pytest.raises(UsageError, match="no profile is in use yet"):
            compliance.admit("bank-a", by="desk")


# --- judged again ---


def test_judged_again_after_a_change_of_a_list(desk: Desk) -> None:
    admit_all(desk)
    assert desk.compliance.due()
    assert desk.compliance.rejudge(by="night") == ()
    assert not desk.compliance.due()
    desk.use(("PARTY", "owner-b"))
    assert desk.compliance.due()
    (change,) = desk.compliance.rejudge(by="night")
    assert change == Change("bank-b", "admit", "refuse", "first-law/owner", "bank-b", "pass", "fail")
    assert outcomes(desk) == ["admit", "refuse", "refuse"]
    assert [each.cause for each in desk.compliance.admissions("bank-b")] == ["asked", "judged-again"]
    last = desk.compliance.last_round()
    assert last is not None
    assert (last.judged, last.changed, last.who) == (3, 1, "night")
    desk.use()
    (back,) = desk.compliance.rejudge(by="night")
    assert (back.before, back.after, back.outcome) == ("fail", "pass", "admit")


def test_judged_again_after_a_change_of_declarations(desk: Desk) -> None:
    admit_all(desk)
    desk.declare(("vulnerability_notice_days = 90", "vulnerability_notice_days = 20"))
    (change,) = desk.compliance.rejudge(by="night")
    assert (change.rule, change.before, change.after) == ("first-pledge/notice", "fail (advised)", "pass (advised)")
    assert outcomes(desk)[0] == "admit"


def test_judged_again_after_a_change_of_a_profile(desk: Desk) -> None:
    admit_all(desk)
    law = desk.folder / "law.toml"
    law.write_text(law.read_text().replace('"BB"', '"CC"'))  # the law no longer applies to two of them
    desk.use()
    changes = desk.compliance.rejudge(by="night")
    assert {(each.participant, each.rule, each.before, each.after) for each in changes} == {
        ("bank-b", "first-law/exit", "pass", ""),
        ("bank-b", "first-law/owner", "pass", ""),
        ("bank-c", "first-law/exit", "fail", ""),
        ("bank-c", "first-law/owner", "pass", ""),
    }


def test_a_refused_participant_is_judged_again_too(desk: Desk) -> None:
    desk.compliance.admit("bank-c", by="desk")
    desk.declare(("exit_terms = false", "exit_terms = true"))
    (change,) = desk.compliance.rejudge(by="night")
    assert (change.participant, change.outcome_before, change.outcome) == ("bank-c", "refuse", "admit")
    assert desk.compliance.admission_status("bank-c").outcome == "admit"


def test_time_alone_changes_a_decision(desk: Desk) -> None:
    """The list is valid until 2027-01-01; from then on its rules are unknown."""
    admit_all(desk)
    desk.clock.advance(36 * DAY_NS)
    assert desk.compliance.rejudge(by="night") == ()
    desk.clock.advance(DAY_NS)
    changes = desk.compliance.rejudge(by="night")
    assert {(each.rule, each.before, each.after) for each in changes} == {("first-law/owner", "pass", "unknown")}
    assert outcomes(desk) == ["refuse", "refuse", "refuse"]
    desk.use(("2027-01-01", "2028-01-01"))
    desk.compliance.rejudge(by="night")
    assert outcomes(desk) == ["admit", "admit", "refuse"]


def test_a_decision_names_the_day_until_which_it_holds(small: Desk) -> None:
    """No daily rejudge changes anything before the day that the decision names."""
    admission = small.compliance.admit("bank-a", by="desk")
    assert admission.until is not None
    for _ in range((admission.until - TODAY).days - 1):
        small.clock.advance(DAY_NS)
        assert small.compliance.rejudge(by="night") == ()
    small.clock.advance(DAY_NS)
    assert small.compliance.rejudge(by="night") != ()


def test_a_participant_that_is_no_longer_declared_is_refused(desk: Desk) -> None:
    admit_all(desk)
    desk.declare(('id = "bank-b"', 'id = "new-b"'), ('to = "bank-b"', 'to = "new-b"'))
    changes = desk.compliance.rejudge(by="night")
    assert {(each.participant, each.outcome, each.after) for each in changes} == {("bank-b", "refuse", "")}
    assert outcomes(desk)[1] == "refuse"
    digest = desk.compliance.admission_status("bank-b").digest
    assert desk.compliance.replay(digest).digest == digest


def test_versions_may_change_while_judging(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stored decision uses the versions that are newest when it is stored."""
    judged: list[str] = []
    admission = JudgeCache.admission

    def overtaken(prepared: JudgeCache, participant: str) -> object:
        if not judged:
            judged.append(participant)
            desk.use(("PARTY", "owner-b"))
        return admission(prepared, participant)

    monkeypatch.setattr(JudgeCache, "admission", overtaken)
    assert desk.compliance.admit("bank-b", by="desk").outcome == "refuse"
    assert len(desk.compliance.admissions("bank-b")) == 1


def test_versions_that_always_change_are_an_error(small: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    admission = JudgeCache.admission

    def overtaken(prepared: JudgeCache, participant: str) -> object:
        small.compliance.waive("first-law/exit", "bank-c", role="head", reason="why", until=NEXT_YEAR, by="eve")
        return admission(prepared, participant)

    monkeypatch.setattr(JudgeCache, "admission", overtaken)
    with pytest.raises(UnavailableError, match="the versions in use changed 10 times while judging"):
        small.compliance.admit("bank-b", by="desk")
    assert small.compliance.admissions("bank-b") == []


# --- appeals ---


def test_an_appeal_that_is_granted(desk: Desk) -> None:
    refused = desk.compliance.admit("bank-c", by="desk")
    number = desk.compliance.appeal(refused.digest, reason="terms are being printed", by="bank-c")
    assert [each.granted for each in desk.compliance.appeals()] == [None]
    admission = desk.compliance.decide_appeal(
        number, granted=True, role="board", reason="a month", until=TODAY + timedelta(days=30), by="eve"
    )
    assert admission is not None
    assert admission.outcome == "conditional"
    assert desk.compliance.admission_status("bank-c").digest == admission.digest
    assert [each.cause for each in desk.compliance.admissions("bank-c")] == ["asked", "appeal"]
    assert [each.granted for each in desk.compliance.appeals()] == [True]
    assert desk.compliance.replay(admission.digest) == admission
    desk.clock.advance(30 * DAY_NS)
    (change,) = desk.compliance.rejudge(by="night")
    assert (change.before, change.after, change.outcome) == ("waived", "fail", "refuse")


def test_an_appeal_that_is_not_granted_is_decided_once(desk: Desk) -> None:
    refused = desk.compliance.admit("bank-c", by="desk")
    number = desk.compliance.appeal(refused.digest, reason="why not", by="bank-c")
    network = desk.compliance.network().digest
    assert desk.compliance.decide_appeal(number, granted=False, role="board", reason="no terms", by="eve") is None
    assert desk.compliance.network().digest == network
    with pytest.raises(UsageError, match="is already decided"):
        desk.compliance.decide_appeal(number, granted=False, role="board", reason="again", by="eve")


def test_invalid_appeals(desk: Desk) -> None:
    admitted = desk.compliance.admit("bank-a", by="desk")
    with pytest.raises(UsageError, match="no decision has the digest"):
        desk.compliance.appeal("0" * 64, reason="why", by="bank-a")
    with pytest.raises(UsageError, match="there is no appeal 7"):
        desk.compliance.decide_appeal(7, granted=True, role="board", reason="why", until=NEXT_YEAR, by="eve")
    number = desk.compliance.appeal(admitted.digest, reason="why was I admitted?", by="bank-a")
    with pytest.raises(UsageError, match="the day until which it holds"):
        desk.compliance.decide_appeal(number, granted=True, role="board", reason="why", by="eve")
    with pytest.raises(UsageError, match="no rule stopped"):
        desk.compliance.decide_appeal(number, granted=True, role="board", reason="why", until=NEXT_YEAR, by="eve")
