"""What-if questions: who is bound when states join or leave, changed lists, causes, and reports."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from tests.compliance import build
from tests.compliance.build import AT, condition, flow, library, listing, organisation, participant, profile, row, rule

from sycee.compliance.facts import Adoption, Network
from sycee.compliance.judging import what_if
from sycee.compliance.judging.what_if import JOIN, LEAVE, LIST_ADD, LIST_REMOVE, Answer, Step
from sycee.compliance.memberships import MemberList, Membership
from sycee.compliance.profiles import Library
from sycee.compliance.reports import effects, membership_page
from sycee.compliance.reports import what_if as report
from sycee.compliance.verdicts import Force
from sycee.core.errors import UsageError

pytestmark = pytest.mark.fast

ADOPTION = Adoption("pledge", "an authority", "a law", date(2020, 1, 1), None)


def declared(**more: Any) -> Network:
    """Return banks in three states without exit terms, and two flows between them."""
    return build.network(
        bad=organisation(state="CC"),
        good=organisation(state="AA"),
        one=participant(state="AA", organisation="good", exit_terms=False),
        two=participant(state="BB", organisation="good", exit_terms=False),
        three=participant(state="CC", organisation="bad", exit_terms=False),
        nowhere=participant(exit_terms=False),
        pay=flow(from_="one", to="two", purpose="payment", incidental=False),
        copy=flow(from_="two", to="three", purpose="analytics", incidental=False),
        **more,
    )


def regimes() -> Library:
    pledge = profile(
        rule("participant", condition("exit_terms", "is-true")),
        rule("flow", condition("incidental", "is-true"), id="flows"),
        id="pledge",
        status="pledge",
    )
    law = profile(rule("participant", condition("organisation", "none-listed", list="list")), id="law")
    return library(pledge, law, listing(row("bad")))


def members(*states: str, relation: str = "member") -> MemberList:
    rows = tuple(
        Membership(state, "state", (state,), relation, date(2020, 1, 1), None, "somebody", "text") for state in states
    )
    return MemberList("pledge", "the members", AT, (build.SOURCE,), rows)


def ask(*steps: Step, network: Network | None = None, lists: tuple[MemberList, ...] = ()) -> Answer:
    return what_if.ask(network or declared(), regimes(), AT, steps, lists=lists)


def stopped(answer: Answer, profile: str = "pledge") -> str:
    """Return the subjects that the pledge stops afterwards."""
    return " ".join(each.subject for each in answer.after.stops if each.profile == profile)


def join(*states: str) -> list[Step]:
    return [Step(JOIN, state, "pledge") for state in states]


def leave(*states: str) -> list[Step]:
    return [Step(LEAVE, state, "pledge") for state in states]


# --- joining and leaving ---


@pytest.mark.parametrize(
    ("steps", "adopted", "expected"),
    [
        (join("AA"), False, "one two pay copy"),  # the organisation of two is of AA, and copy starts at two
        (join("CC"), False, "three copy"),
        (join("XA"), False, ""),
        (join("CC", "XA"), False, "three copy"),
        (join("all"), False, "one two three nowhere pay copy"),
        (join("members"), False, "three copy"),
        (join("supporters"), False, "one two three pay copy"),
        (join("members") + leave("CC"), False, ""),
        (join("all") + leave("CC"), False, "one two nowhere pay copy"),
        (leave("CC"), True, "one two nowhere pay copy"),
        (leave("AA", "BB"), True, "three nowhere copy"),
        (leave("all"), True, ""),
        (leave("all") + join("CC"), True, "three copy"),
        (leave("members"), True, "one two nowhere pay copy"),
    ],
)
def test_a_pledge_binds_those_whom_its_states_concern(steps: list[Step], adopted: bool, expected: str) -> None:
    made = replace(declared(), adoptions=(ADOPTION,)) if adopted else declared()
    lists = (replace(members("CC"), rows=(*members("CC").rows, *members("AA", "BB", relation="welcomed").rows)),)
    answer = ask(*steps, network=made, lists=lists)
    assert stopped(answer) == expected
    assert [each.verdict for each in answer.before.findings] == [each.verdict for each in answer.after.findings]
    assert stopped(answer, "law") == "three nowhere"


def test_nothing_of_the_network_changes() -> None:
    made = declared()
    digest = made.digest
    answer = ask(*join("AA"), network=made)
    assert made.digest == digest == answer.after.network
    assert answer.before.library == answer.after.library
    assert answer.before.digest != answer.after.digest
    assert ask(*join("AA")).after.digest == answer.after.digest


def test_an_existing_report_is_used_again() -> None:
    first = ask(*join("AA"))
    again = what_if.ask(declared(), regimes(), AT, join("CC"), before=first.before)
    assert again.before is first.before
    assert stopped(again) == "three copy"


# --- lists ---


def test_a_listed_party_is_judged_and_a_removed_one_is_not() -> None:
    added = ask(Step(LIST_ADD, "good", "list"))
    assert stopped(added, "law") == "one two three nowhere"
    assert added.library.lists["list"].rows[-1].party == "good"
    removed = ask(Step(LIST_REMOVE, "BAD ", "list"), Step(LIST_ADD, "good", "list"))
    assert stopped(removed, "law") == "one two nowhere"
    assert added.before.library != added.after.library


# --- causes ---


def test_every_change_has_the_steps_that_concern_it() -> None:
    answer = ask(*join("AA", "CC"), Step(LIST_ADD, "good", "list"))
    found = {each.id: each for each in effects.effects(answer)}
    assert list(found) == ["one", "two", "three", "pay", "copy"]
    assert [each.group for each in found.values()] == ["participant"] * 3 + ["payment", "flow"]
    assert {one.change.rule: one.because for one in found["one"].changes} == {
        "pledge/rule": "AA joins pledge",
        "law/rule": "good is added to list",
    }
    assert [one.because for one in found["copy"].changes] == ["AA joins pledge and CC joins pledge"]
    assert found["three"].word == "still stops"
    assert found["pay"].word == "stops now"
    assert effects.headline(list(found.values())) == (
        "Now stop: 2 participants, 1 payment, 1 other flow; no longer stop: nothing."
    )


def test_states_explain_another_force_and_lists_another_verdict() -> None:
    parties = rule("participant", condition("organisation", "none-listed", list="list"))
    regime = library(profile(parties, id="pledge", status="pledge"), listing(row("bad")))
    steps = [*join("AA", "CC"), Step(LIST_ADD, "good", "list")]
    found = {each.id: each for each in effects.effects(what_if.ask(declared(), regime, AT, steps))}
    (of_one,), (of_three,) = found["one"].changes, found["three"].changes
    assert (of_one.verdicts, of_one.because) == (
        "pass (advised) -> fail (enforced)",
        "AA joins pledge and good is added to list",
    )
    assert (of_three.verdicts, of_three.because) == ("fail (advised) -> fail (enforced)", "CC joins pledge")


def test_an_element_on_a_path_belongs_to_its_flow() -> None:
    regime = profile(rule("span", condition("operator", "none-in", values=["bad"])), id="pledge", status="pledge")
    made = declared(
        hub=build.facility(state="AA"),
        end=build.facility(state="XA"),
        link=build.span(ends=("hub", "end"), operator="bad"),
        first=participant(state="AA", gateway="hub"),
        last=participant(state="XA", gateway="end"),
        sent=flow(from_="first", to="last", purpose="payment", via=("link",)),
    )
    answer = what_if.ask(made, library(regime), AT, join("XA"))
    found = effects.effects(answer)
    assert [(each.id, each.group) for each in found] == [("sent", "payment"), ("link", "other")]
    assert [one.change.subject for one in found[0].changes] == ["sent @ link"]


# --- errors ---


@pytest.mark.parametrize(
    ("steps", "says", "hint"),
    [
        ([], "nothing is assumed", "--join"),
        (join("aa"), "aa is not the code of a state", 'did you mean "AA"?'),
        (join("membrs"), "membrs is not the code of a state", ""),
        ([Step(JOIN, "AA", "pledg")], "the profile pledg is not used", 'did you mean "pledge"?'),
        ([Step(JOIN, "AA", "law")], "law is a law: its own conditions say whom it binds", "diff"),
        (leave("AA"), f"pledge binds no state on {AT}: there is nothing to leave", "--join members=pledge"),
        (join("members"), "no list of members of pledge is known", "name states by their codes"),
        (join("AA") + leave("AA"), "two steps contradict each other", "one of the two"),
        ([Step(LIST_ADD, "good", "lst")], "the list lst is not used", 'did you mean "list"?'),
        ([Step(LIST_REMOVE, "baad", "list")], "baad is not on the list list", 'did you mean "bad"?'),
    ],
)
def test_questions_without_a_meaning_are_refused(steps: list[Step], says: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        ask(*steps)
    assert says in raised.value.message
    assert hint in str(raised.value.hint)


def test_a_pledge_that_is_not_in_effect_is_refused() -> None:
    with pytest.raises(UsageError, match="pledge is not in effect on 1999-12-31"):
        what_if.ask(declared(), regimes(), date(1999, 12, 31), join("AA"))


@pytest.mark.parametrize(
    ("kind", "text", "what", "of"),
    [
        (JOIN, "AA=first-pledge", "AA", "first-pledge"),
        (LIST_ADD, "a-list=Firm = Sons", "Firm = Sons", "a-list"),
        (JOIN, "AA", None, ""),
        (LEAVE, "=pledge", None, ""),
        (LIST_REMOVE, "a-list=", None, ""),
    ],
)
def test_steps_are_written_with_an_equals_sign(kind: str, text: str, what: str | None, of: str) -> None:
    if what is not None:
        assert what_if.parse_step(kind, text, f"--{kind}") == Step(kind, what, of)
        return
    with pytest.raises(UsageError, match=f"--{kind} must be") as raised:
        what_if.parse_step(kind, text, f"--{kind}")
    assert f"--{kind}" in str(raised.value.hint)


# --- reports ---


def test_the_text_names_subjects_verdicts_and_reasons() -> None:
    text = " ".join(report.render_text(ask(*join("CC"))).split())
    assert "if CC joins pledge Now stop: 1 other flow; no longer stop: nothing." in text
    assert "three: still stops pledge/rule: fail (advised) -> fail (enforced); because CC joins pledge" in text
    assert "Nothing was written." in text
    assert "No verdict differs." in report.render_text(ask(*join("XA")))


def test_json_has_the_steps_and_every_change() -> None:
    made = report.members(ask(*join("CC")))
    assert made["steps"] == [{"kind": "join", "what": "CC", "of": "pledge"}]
    assert (made["stops_now"], made["goes_now"]) == (["copy"], [])
    assert {each["id"]: each["group"] for each in made["effects"]} == {"three": "participant", "copy": "flow"}
    (change,) = made["effects"][1]["changes"]
    assert (change["stops_before"], change["stops_after"], change["because"]) == (False, True, "CC joins pledge")


def test_the_adoption_of_a_pledge_is_shown_with_what_the_network_would_lose_or_gain() -> None:
    lists = (members("CC"),)
    before = ask(*join("XA")).before
    (lost,) = membership_page.adopted(declared(), regimes(), before, lists)
    assert (lost.ends, lost.states, lost.participants) == (False, frozenset({"CC"}), 1)
    assert stopped(lost.answer) == "three copy"
    bound = replace(declared(), adoptions=(ADOPTION,))
    before = ask(*join("XA"), network=bound).before
    (gained,) = membership_page.adopted(bound, regimes(), before, lists)
    assert gained.ends
    assert stopped(gained.answer) == ""
    assert all(each.force is not Force.ENFORCED for each in gained.answer.after.findings if each.profile == "pledge")


def test_the_page_has_changes_memberships_and_adoptions() -> None:
    lists = (members("CC"),)
    answer = ask(*join("CC"))
    html = report.render_html(answer, lists, membership_page.adopted(declared(), regimes(), answer.before, lists))
    assert html.startswith("<!doctype html>")
    for words in ("What would change if CC joins pledge", "its members adopt it", "Memberships over time", "three"):
        assert words in html
    assert "<script" not in html
    assert len(html) < 200_000
