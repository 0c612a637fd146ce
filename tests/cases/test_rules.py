"""Rules of cases: every kind can be decided, and errors in a file name their place."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from sycee.cases import rules
from sycee.cases.rules import Weekdays, deadline
from sycee.core.documents import DocumentError
from sycee.core.errors import UsageError

pytestmark = pytest.mark.fast

KINDS = {"unauthorised", "wrong-payee", "not-delivered", "deceased", "recovery", "complaint"}


@pytest.mark.parametrize("name", rules.names())
def test_every_shipped_case_can_be_decided(name: str) -> None:
    loaded = rules.load(name)
    assert set(loaded.kinds) >= KINDS
    for kind in loaded.kinds.values():
        reached, waiting = set(), [kind.states[0].name]
        while waiting:
            state = waiting.pop()
            if state not in reached:
                reached.add(state)
                waiting += [step.to for step in kind.steps_from(state)]
        assert reached == {state.name for state in kind.states}, kind.name
        ends = [state for state in kind.states if not kind.steps_from(state.name)]
        assert ends, kind.name
        for each in kind.states:
            assert bool(each.business_days) is (each not in ends), "a case that is not decided has a deadline"
            assert not each.business_days or each.source


def test_a_deadline_counts_business_days() -> None:
    friday = date(2026, 11, 6)
    assert deadline(friday, 0, Weekdays()) == friday
    assert deadline(friday, 1, Weekdays()) == date(2026, 11, 9)
    assert deadline(friday, 15, Weekdays()) == date(2026, 11, 27)


def test_what_is_not_possible_is_explained() -> None:
    kind = rules.load("eu-2015").kind("unauthorised")
    with pytest.raises(UsageError, match="the step close is not possible: the case is opened") as caught:
        kind.step("close", "opened")
    assert caught.value.hint == "possible now: hold, investigate, uphold, dismiss"
    with pytest.raises(UsageError, match="the case is upheld") as caught:
        kind.step("uphold", "upheld")
    assert caught.value.hint == "the case is decided: open another one"
    with pytest.raises(UsageError, match="there is no kind of case 'unauthorized'") as caught:
        rules.load("eu-2015").kind("unauthorized")
    assert caught.value.hint == 'did you mean "unauthorised"?'


SMALL = """name = "own"
title = "our own"
as_of = "2026-11-27"
[[kinds]]
name = "complaint"
about = "person"
means = "anything"
states = [{ name = "opened", business_days = 3, source = "us", mark = "assumed" }, { name = "done" }]
steps = [{ name = "close", from = ["opened"], to = "done" }]
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('to = "done"', 'to = "gone"', "gone is no state of this kind"),
        ('from = ["opened"]', 'from = ["shut"]', "shut"),
        ('mark = "assumed"', 'mark = "sure"', "sure"),
        (', source = "us"', "", "source: missing"),
        ('to = "done"', 'to = "done", leads = "hold"', "only a case about a payment leads to an operation"),
        ('to = "done"', 'to = "done", leads = "prison"', "prison"),
        ("business_days = 3", "business_days = 401", "401"),
        ('means = "anything"', 'means = "anything"\nmore = 1', "more: unknown key"),
    ],
)
def test_an_error_names_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    file = tmp_path / "own.toml"
    file.write_text(SMALL)
    assert rules.load(file).kind("complaint").steps[0].to == "done"
    assert old in SMALL
    file.write_text(SMALL.replace(old, new))
    with pytest.raises(DocumentError, match=message) as caught:
        rules.load(file)
    assert str(file) in caught.value.message
