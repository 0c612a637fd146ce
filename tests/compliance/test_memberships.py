"""Lists of members: the shipped ones, invalid documents, selection, and pages about them."""

from __future__ import annotations

from datetime import date

import pytest

from sycee import data
from sycee.compliance import library, memberships
from sycee.compliance.memberships import MemberList
from sycee.compliance.verdicts import Force
from sycee.core import documents
from sycee.core.documents import DocumentError
from sycee.core.errors import UsageError

pytestmark = pytest.mark.fast

TEXT = """
profile = "river"
title = "The river: members"
as_of = 2026-01-01

rows = [
  { party = "Upper bank", kind = "state", states = ["XA"], relation = "initiator", from = 2020-01-01, BY_ITSELF },
  { party = "Lower bank", kind = "state", states = ["XB"], relation = "signed", from = 2021-01-01, UNTIL, BY_ITSELF },
  { party = "League", kind = "organisation", states = ["XB","XC"], relation = "welcomed", from = 2022-01-01, BY_PAPER },
  { party = "Ferry", kind = "company", states = ["XD"], relation = "named", from = 2020-06-01, BY_UPPER },
]

[[sources]]
id = "treaty"
title = "The treaty"
publisher = "the banks"
date = 2020-01-01
at_hand = true

[[sources]]
id = "paper"
title = "A report"
publisher = "a paper"
date = 2022-01-01
at_hand = false
"""
for short, whole in {
    "BY_ITSELF": 'said_by = "itself", source = "treaty"',
    "BY_PAPER": 'said_by = "a paper", source = "paper", note = "in passing"',
    "BY_UPPER": 'said_by = "Upper bank", source = "paper"',
    "UNTIL": "until = 2023-01-01",
}.items():
    TEXT = TEXT.replace(short, whole)


def parse(text: str = TEXT) -> MemberList:
    return memberships.parse(documents.parse(text, "river.toml"))


# --- shipped ---


@pytest.mark.parametrize("name", memberships.shipped())
def test_a_shipped_list_is_of_a_pledge_and_binds_nobody(name: str) -> None:
    members = memberships.load(name)
    assert members.profile == name
    (profile,) = library.load([name]).profiles
    assert profile.force(members.as_of) is Force.ADVISED
    assert {row.source for row in members.rows} == {source.id for source in members.sources}


def test_both_pledges_have_members_with_an_initiator() -> None:
    pledges = [each.id for each in library.load(data.names("profiles")).profiles if each.status == "pledge"]
    assert list(memberships.shipped()) == sorted(pledges)
    for members in memberships.load_all():
        assert [row.relation for row in members.rows].count("initiator") == 1
        assert len(members.states_on(members.as_of, taking_part=False)) >= 30
        assert {row.kind for row in members.rows} >= {"state"}


def test_members_of_a_day() -> None:
    members = memberships.load("clean-network-2020")
    counts = [len(members.states_on(date.fromisoformat(day), taking_part=True)) for day in ("2020-06-24", "2020-06-25")]
    assert counts == [1, 13]
    assert members.on(date(2020, 4, 28)) == ()


# --- documents ---


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('states = ["XA"]', 'states = ["XA", "XB"]', "states: found 2 codes for a state"),
        ('states = ["XA"]', "states = []", "states"),
        ('states = ["XA"]', 'states = ["upper"]', 'found "upper", which is not the code of a state'),
        ('relation = "signed"', 'relation = "sgned"', 'relation: found "sgned"'),
        ('kind = "company"', 'kind = "firm"', 'kind: found "firm"'),
        ("until = 2023-01-01", "until = 2021-01-01", "until: found 2021-01-01"),
        ('source = "treaty" },\n  { party = "L', 'source = "trety" },\n  { party = "L', 'source: found "trety"'),
        ('said_by = "a paper", ', "", "said_by: missing"),
        ("from = 2020-01-01, ", "", "from: missing"),
        ('note = "in passing"', 'notes = "in passing"', 'did you mean "note"?'),
        ('profile = "river"', 'profile = "The river"', "profile"),
        ("Lower bank", "Upper bank", ""),
    ],
)
def test_invalid_lists_are_refused(old: str, new: str, says: str) -> None:
    assert old in TEXT
    text = TEXT.replace(old, new, 1)
    if not says:  # another relation of the same party is no repetition
        assert len(parse(text).rows) == 4
        return
    with pytest.raises(DocumentError) as raised:
        parse(text)
    assert says in f"{raised.value.message} {raised.value.hint}"
    assert raised.value.line > 0


def test_a_repeated_row_is_refused_unless_the_earlier_one_ended() -> None:
    row = '  { party = "Lower bank", kind = "state", states = ["XB"], relation = "signed", from = DAY'
    row += ', said_by = "it", source = "paper" },\n]'
    with pytest.raises(DocumentError, match='"Lower bank" is already "signed" at that time') as raised:
        parse(TEXT.replace("]\n\n[[sources]]", row.replace("DAY", "2022-12-31") + "\n\n[[sources]]", 1))
    assert "river.toml:8" in str(raised.value.hint)
    assert (
        len(parse(TEXT.replace("]\n\n[[sources]]", row.replace("DAY", "2023-01-01") + "\n\n[[sources]]", 1)).rows) == 5
    )


def test_names_that_cannot_be_loaded_are_reported() -> None:
    with pytest.raises(UsageError, match='there is no list of members "clean-network"') as raised:
        memberships.load("clean-network")
    assert raised.value.hint == 'did you mean "clean-network-2020"?'
    with pytest.raises(UsageError, match="the members of clean-network-2020 were given twice"):
        memberships.load_all(["clean-network-2020", "clean-network-2020"])


# --- questions ---


@pytest.mark.parametrize(
    ("day", "taking_part", "states"),
    [
        (date(2019, 12, 31), False, ""),
        (date(2020, 6, 1), False, "XA"),
        (date(2022, 12, 31), False, "XA XB XC"),
        (date(2022, 12, 31), True, "XA XB"),
        (date(2023, 1, 1), False, "XA XB XC"),
        (date(2023, 1, 1), True, "XA"),
    ],
)
def test_states_of_a_day(day: date, taking_part: bool, states: str) -> None:
    assert parse().states_on(day, taking_part=taking_part) == frozenset(states.split())


def test_rows_are_selected_by_day_state_and_relation() -> None:
    def parties(**by: object) -> list[str]:
        ((_, rows),) = memberships.selected([parse()], **by)  # type: ignore[arg-type]
        return [row.party for row in rows]

    assert len(parties()) == 4
    assert parties(day=date(2020, 6, 1)) == ["Upper bank", "Ferry"]
    assert parties(states=["XB"]) == ["Lower bank", "League"]
    assert parties(states=["XB"], day=date(2023, 1, 1)) == ["League"]
    assert parties(relations=["named", "initiator"]) == ["Upper bank", "Ferry"]
