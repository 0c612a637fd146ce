"""Drafts of programmes: who may store a file, and which files a bank accepts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.programmes import world
from tests.programmes.world import ANN, DESK, FILE, NORTH, SOUTH, funder, person

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.errors import NotFound, UsageError
from sycee.database.events import EventKind, events_after
from sycee.identity.people import DutyMissing
from sycee.programmes import states
from sycee.programmes.occurrence_ids import OccurrenceIds


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    with world.opened(tmp_path, world.at("funded").copy(tmp_path)) as made:
        yield made


def test_a_draft_is_stored_replaced_and_listed(bank: Bank) -> None:
    maker = person(bank, NORTH)
    made = bank.programmes.draft(FILE, funder=funder(bank), maker=maker)
    assert (made.name, made.operator, made.state, made.operators) == (
        "autumn-2026", 2, states.DRAFT, {"north": 2, "south": 3},
    )  # fmt: skip
    (occurrence,) = bank.programmes.occurrences("autumn-2026")
    assert (occurrence.occurrence, occurrence.date, occurrence.state) == (0, "2026-11-03", states.DRAFT)
    assert bank.programmes.draft(FILE, funder=funder(bank), maker=maker) == made
    changed = FILE.replace("Autumn packets", "Packets of autumn")
    assert bank.programmes.draft(changed, funder=funder(bank), maker=maker).definition.title == "Packets of autumn"
    assert [each.name for each in bank.programmes.list()] == ["autumn-2026"]
    assert bank.programmes.list(after="autumn-2026") == []
    kinds = [each.kind for each in events_after(bank.stores.engine, 0, most=1_000) if each.subject == "autumn-2026"]
    assert kinds == [EventKind.PROGRAMME_DRAFTED] * 2  # the repetition changed nothing
    assert bank.check() == []


def test_drafts_that_a_bank_refuses(bank: Bank) -> None:
    programmes, maker = bank.programmes, person(bank, NORTH)
    with pytest.raises(DutyMissing, match=r"programme\.draft"):
        programmes.draft(FILE, funder=funder(bank), maker=person(bank, SOUTH))  # the funder is another operator's
    with pytest.raises(DutyMissing):
        programmes.draft(FILE, funder=funder(bank), maker=person(bank, DESK))
    with pytest.raises(UsageError, match="budget"):
        programmes.draft(FILE.replace('"160.00"', '"160.01"'), funder=funder(bank), maker=maker)
    with pytest.raises(UsageError, match="another currency"):
        programmes.draft(FILE.replace("CNY", "EUR"), funder=funder(bank), maker=maker)
    with pytest.raises(UsageError, match="VAULT account, not a funder's"):
        programmes.draft(FILE, funder=bank.registry.operator(2).accounts.vault, maker=maker)
    with pytest.raises(NotFound, match="no account"):
        programmes.draft(FILE, funder=ids.new(1), maker=maker)
    with pytest.raises(UsageError, match="no operator of this bank is named 'East Bank'"):
        programmes.draft(FILE.replace("South Bank", "East Bank"), funder=funder(bank), maker=maker)
    with pytest.raises(UsageError, match="names no operator 'west'"):
        programmes.draft(FILE, funder=funder(bank), maker=maker, operators={"west": 2})
    named = programmes.draft(
        FILE.replace("South Bank", "East Bank"), funder=funder(bank), maker=person(bank, ANN), operators={"south": 3}
    )
    assert named.operators == {"north": 2, "south": 3}
    with pytest.raises(NotFound, match="no programme 'spring'"):
        programmes.get("spring")
    with pytest.raises(NotFound, match="no occurrence 1"):
        programmes.occurrence("autumn-2026", 1)


def test_ids_follow_from_programme_date_step_and_attempt() -> None:
    made = OccurrenceIds(bytes(16), "autumn-2026", "2026-11-03")
    assert made.many("cohort", 3)["low"].tolist() == made.many("cohort", 5)[:3]["low"].tolist()
    assert made.one("seal") == made.one("seal")
    others = [
        made.one("drop"),
        made.one("seal", attempt=1),
        OccurrenceIds(bytes(16), "autumn-2026", "2026-11-04").one("seal"),
        OccurrenceIds(bytes(16), "autumn-2027", "2026-11-03").one("seal"),
        OccurrenceIds(b"\1" * 16, "autumn-2026", "2026-11-03").one("seal"),
    ]
    assert len({made.one("seal"), *others}) == 6


def test_the_table_of_changes_has_one_end() -> None:
    reached, waiting = set(), [states.DRAFT]
    while waiting:
        state = waiting.pop()
        reached.add(state)
        waiting += states.CHANGES[state] - reached
    assert reached == set(states.OCCURRENCE_STATES)
    for state in states.OCCURRENCE_STATES:
        for new in states.OCCURRENCE_STATES:
            if new in states.CHANGES[state]:
                states.require_change("it", state, new)
            else:
                with pytest.raises(UsageError, match=f"it is {state} and cannot become {new}"):
                    states.require_change("it", state, new)
