"""Zones: in the file, in the order of the cohort, and dropped one after the other under one seal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from tests.bank import world as banks
from tests.programmes import world
from tests.programmes.test_modes import programme
from tests.programmes.world import ANN, BEACON_VALUE, BOB, FILE, NORTH, moment, person

from sycee.bank.bank import Bank
from sycee.bank.readiness import conditions
from sycee.core import ids
from sycee.core.documents import DocumentError
from sycee.core.errors import IntegrityError, UsageError
from sycee.core.records.layout import PurseState
from sycee.database.events import events_after
from sycee.programmes import states
from sycee.programmes.allotment import Share, planned_shares
from sycee.programmes.records import check_cohort

NAME = "autumn-2026"
EVERYBODY = '[[draw.strata]]\nname = "everybody"\nwinners = 5\n'
STRATA = """[[draw.strata]]
name = "old-town"
winners = 2

[[draw.strata]]
name = "new-town"
winners = 3
"""
ZONES = """
[[zones]]
name = "old-town"
packets = { large = 1, small = 1 }

[[zones]]
name = "new-town"
packets = { large = 1, small = 2 }
from = 2026-11-09T08:00:00
"""
TEXT = FILE.replace(EVERYBODY, STRATA) + ZONES


@cache
def prepared() -> banks.Copies:
    """A closed bank whose cohort of two zones is sealed."""
    folder = banks.temporary_folder()
    options = world.at("funded").copy(folder)
    with world.opened(folder, options) as bank:
        north, ann = person(bank, NORTH), person(bank, ANN)
        bank.programmes.draft(TEXT, funder=world.funder(bank), maker=north)
        bank.set_clock(moment(3, 9))
        bank.programmes.open_registration(NAME, who=north)
        bank.set_clock(moment(5))
        strata = (np.arange(world.PEOPLE) >= 5).astype(np.uint8)
        bank.programmes.freeze(NAME, who=north, entries=replace(world.entries(), strata=strata))
        bank.programmes.publish(NAME, who=north)
        bank.set_clock(moment(6, 13))
        for who in (north, ann):
            bank.programmes.bring_beacon(NAME, value=BEACON_VALUE, who=who)
        bank.programmes.draw(NAME, who=north)
        assert bank.proposals.sign(bank.programmes.propose_terms(NAME, maker=ann).id, ANN, BOB).needs == ()
        bank.programmes.allot(NAME, signers=bank.signers(NORTH), who=north)
    return banks.Copies(folder, options.get("database", ""))


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    with world.opened(tmp_path, prepared().copy(tmp_path)) as made:
        yield made


def drop(bank: Bank) -> None:
    bank.programmes.drop(NAME, signers=bank.signers(NORTH), who=person(bank, NORTH))


def widen(bank: Bank, zone: str = "") -> None:
    bank.programmes.widen(NAME, 0, zone, signers=bank.signers(NORTH), who=person(bank, NORTH))


def test_each_zone_is_dropped_once_in_order(bank: Bank) -> None:
    with pytest.raises(UsageError, match="old-town comes before new-town, and the file does not let it be skipped"):
        widen(bank, "new-town")
    drop(bank)
    assert bank.programmes.figures(NAME).dropped_minor == 70_00
    shares = [(each.zone, each.name, each.first, each.count) for each in bank.programmes.cohort_of(NAME).shares]
    assert shares == [
        ("old-town", "large", 0, 1), ("old-town", "small", 1, 1), ("new-town", "large", 2, 1),
        ("new-town", "small", 3, 2),
    ]  # fmt: skip
    # Both zones are promised until they are spent.
    assert (bank.programmes.exposure(), bank.check()) == (160_00, [])
    with pytest.raises(UsageError, match="the zone new-town begins 2026-11-09 08:00"):
        widen(bank)
    bank.set_clock(moment(9, 9))
    dry = bank.programmes.dry_run(NAME)
    assert dry.ok
    assert [each.name for each in dry.steps] == ["drop", "expiry"]
    bank.programmes.halt(NAME, "a doubt", who=person(bank, NORTH))
    with pytest.raises(UsageError, match="is halted: a doubt"):
        widen(bank)
    resumed = bank.programmes.propose_resume(NAME, "none", maker=person(bank, NORTH))
    assert bank.proposals.sign(resumed.id, NORTH, BOB).needs == ()
    bank.programmes.exposure_max_minor = 159_99
    with pytest.raises(UsageError, match="more than the maximum"):
        widen(bank)
    bank.programmes.exposure_max_minor = 160_00
    widen(bank)
    frames = bank.stores.ledger.sequencer.frame_times.size
    widen(bank, "old-town")
    widen(bank, "new-town")
    assert bank.stores.ledger.sequencer.frame_times.size == frames
    with pytest.raises(UsageError, match=r"every zone .* was dropped"):
        widen(bank)
    assert [each.frame is not None for each in bank.programmes.zones(NAME)] == [True, True]
    assert (bank.programmes.figures(NAME).dropped_minor, bank.check()) == (160_00, [])
    (event,) = [each for each in events_after(bank.stores.engine, 0, most=1_000) if each.kind == "programme.widened"]
    assert (event.data["zone"], event.data["occurrence"]) == ("new-town", 0)
    parts = bank.closing_reports.results(NAME).parts
    assert [(each.name, each.people) for each in parts] == [("old-town", 2), ("new-town", 3)]


def test_a_zone_that_was_not_dropped_expires_empty(bank: Bank) -> None:
    found = {each.name: each.is_met for each in conditions(bank, NAME)}
    assert (found["zone old-town is next"], found["funder covered"]) == (True, True)
    drop(bank)
    found = {each.name: each.is_met for each in conditions(bank, NAME)}
    assert (found["zone new-town is next"], found["zone new-town has begun"]) == (True, False)
    with pytest.raises(UsageError, match="there is no zone 'harbour'"):
        conditions(bank, NAME, zone="harbour")
    with pytest.raises(UsageError, match="there is no zone 'harbour'"):
        widen(bank, "harbour")
    bank.set_clock(moment(15))
    bank.programmes.expire(NAME)
    with pytest.raises(UsageError, match="is expired: new-town cannot be added"):
        widen(bank)
    with bank.stores.ledger.sequencer.reading() as state:
        purses = state.purses(bank.programmes.occurrence(NAME).number or 0)
        assert (purses["state"] == PurseState.EXPIRED).all()
    assert bank.stores.ledger.balance(world.funder(bank)) == 1_000_00
    assert bank.programmes.close(NAME, who=person(bank, NORTH)).state == states.CLOSED
    assert bank.check() == []


def test_the_cohort_is_in_the_order_of_its_zones(bank: Bank) -> None:
    drop(bank)
    found = bank.programmes.occurrence(NAME)
    assert found.number is not None
    folder, file = bank.programmes.files_of(found), bank.programmes.get(NAME).definition
    with bank.stores.ledger.sequencer.reading() as state:
        said = check_cohort(state, found.number, folder, file)
        assert said == f"the 5 members of programme {found.number} are the published winners, in zone order"
        small, large = (replace(each, amount_minor=7_00) for each in file.packets)
        with pytest.raises(IntegrityError, match=r"member 0 .* got 5000 minor units, not 700, the packet large"):
            check_cohort(state, found.number, folder, replace(file, packets=(small, large)))
        with pytest.raises(IntegrityError, match="is not the one in packet order"):
            check_cohort(state, found.number, folder, replace(file, zones=()))


def test_a_claim_waits_for_its_zone(bank: Bank) -> None:
    drop(bank)
    bank.set_clock(moment(8))
    members = bank.programmes.cohort_of(NAME).members
    rows = {ids.to_int(member): bank.programmes.registered.wallet_of(ids.to_int(member)) for member in members}  # type: ignore[union-attr]
    states_ = []
    for member, wallet in rows.items():
        key = NORTH if wallet.operator == 2 else world.SOUTH
        made = bank.programmes.claim(NAME, 0, member, wallet.account, signers=bank.signers(key), who=person(bank, key))
        states_.append("" if made.created else made.refusal.name)  # type: ignore[union-attr]
    assert states_ == ["", "", *["PURSE_NOT_DROPPED"] * 3]


def test_a_file_lets_a_zone_be_skipped() -> None:
    found = programme(TEXT.replace("small = 1 }", "small = 1 }\nskippable = true"))
    assert [(each.name, each.packets, each.skippable) for each in found.zones] == [
        ("old-town", (1, 1), True),
        ("new-town", (1, 2), False),
    ]
    assert planned_shares(found)[2] == Share("large", 2, 1, 50_00, "new-town")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (ZONES[1:], ZONES[ZONES.index("[[zones]]", 5) :], '"new-town" is not stratum 1 of the draw'),
        (ZONES[ZONES.index("[[zones]]", 5) :], "", "the stratum new-town is no zone"),
        ("small = 2 }", "small = 1 }", "the zone has 2 packets, and its stratum 3 winners"),
        ("large = 1, small = 2", "large = 0, small = 3", "the zones have 1 packets of the class large, and the file 2"),
        ("2026-11-09T08", "2026-11-19T08", "the zone begins after the expiry"),
    ],
)
def test_zones_that_do_not_fit_are_refused(old: str, new: str, said: str) -> None:
    with pytest.raises(DocumentError, match=said):
        programme(TEXT.replace(old, new))
