"""Duties: the tables are consistent, and every cell of the page is what `may` and `may_check` return."""

from __future__ import annotations

import pytest
from tests.each import case

from sycee.core.errors import UsageError
from sycee.identity import duties
from sycee.identity.duties import ACTIONS, APART, Duty
from tools import duties_page

pytestmark = pytest.mark.fast


def test_every_duty_and_action() -> None:
    for action in ACTIONS:
        with case(action):
            rule = ACTIONS[action]
            for duty in Duty:
                assert duties.may([duty], action) is (duty in rule.makers)
                assert duties.may_check([duty], action) is (duty in rule.checkers)
            assert not duties.may([], action)
            assert rule.makers, "nobody could request the action"
            assert bool(rule.checkers) is (rule.checkers_min > 0)
            assert rule.what[0].islower()


def test_an_action_that_needs_two_officers_is_checked_by_one() -> None:
    for rule in ACTIONS.values():
        if rule.ledger in (duties.TWO_OFFICERS, duties.TWO_OFFICERS_AND_OPERATOR):
            assert rule.checkers == {Duty.OFFICER}
            assert rule.checkers_min >= 1


def test_auditors_change_nothing() -> None:
    allowed = {name for name in ACTIONS if duties.may([Duty.AUDITOR], name)}
    assert allowed == {"audit", "day.read", "merchant.report", "person.log", "programme.report"}
    assert not any(duties.may_check([Duty.AUDITOR], name) for name in ACTIONS)


def test_duties_apart() -> None:
    assert duties.conflict([Duty.CLERK, Duty.OFFICER], Duty.OPERATOR) is Duty.OFFICER
    assert duties.conflict([Duty.OPERATOR], Duty.OFFICER) is Duty.OPERATOR
    assert duties.conflict([Duty.CLOSER], Duty.COUNTERSIGNER) is Duty.CLOSER
    assert duties.conflict([Duty.CLERK], Duty.CASEWORKER) is None
    assert all(len(pair) == 2 for pair in APART)


def test_unknown_names() -> None:
    with pytest.raises(UsageError, match=r"there is no action 'mnt'") as caught:
        duties.may([Duty.OFFICER], "mnt")
    assert caught.value.hint == 'did you mean "mint"?'
    with pytest.raises(UsageError, match=r"'boss' is not a duty"):
        duties.parse("boss")
    with pytest.raises(UsageError, match=r"'closr' is not a duty") as caught:
        duties.parse("closr")
    assert caught.value.hint == 'did you mean "closer"?'
    assert duties.parse(" Officer ") is Duty.OFFICER


def test_every_cell_of_the_page() -> None:
    """The page is made from the tables, and each cell is what `may` and `may_check` return."""
    text = duties_page.PAGE.read_text(encoding="utf-8")
    assert text == duties_page.made(), f"run {duties_page.COMMAND}"
    head, _, *rows = [line.strip("|").split("|") for line in text.split("## Actions")[1].splitlines() if "|" in line]
    columns = [name.strip() for name in head]
    assert columns[2:-3] == [duty.value for duty in Duty]
    assert [row[0].strip(" `") for row in rows] == list(ACTIONS)
    for row in rows:
        action = row[0].strip(" `")
        for duty, shown in zip(Duty, row[2:-3], strict=True):
            assert ("R" in shown) is duties.may([duty], action)
            assert ("C" in shown) is duties.may_check([duty], action)
