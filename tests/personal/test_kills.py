"""A process is killed between any two steps: afterwards key file, backup, register and log agree."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from tests.personal.crashing import SHOWN, fresh, killed
from tests.personal.world import ACCESS, ANN, BOB, PRIVACY, WANG, World, world

from sycee.core.errors import NotFound, UnavailableError

STEPS_MAX = 12  # more commits than any act has


def prepare(where: str, folder: Path) -> None:
    with world(where, folder) as bank:
        bank.store(ANN, WANG)
        bank.end_relation(ANN, date(2020, 1, 1))


def name_of(bank: World, person: int) -> str | None:
    try:
        return bank.register.read(person, ["name"], access=ACCESS)["name"]
    except (NotFound, UnavailableError):
        return None


def check_store(bank: World, folder: Path) -> None:
    if name_of(bank, BOB) is None:
        bank.store(BOB, {"name": "Bob", "phone": "13900139000"})
    assert name_of(bank, BOB) == "Bob"
    assert bank.keys.complete_backup() in (0, 1)
    assert bank.keys.missing_in_backup() == []


def check_read(bank: World, folder: Path) -> None:
    # An entry without disclosure may be there; a disclosure without entry never.
    entries = [entry for entry in bank.log.entries() if entry.fields == ("name",)]
    assert len(entries) >= (folder / SHOWN).exists()


def check_change(bank: World, folder: Path) -> None:
    assert name_of(bank, ANN) in ("Wang Li", "Wang Mei")
    bank.register.change(ANN, {"name": "Wang Mei"}, access=ACCESS)
    assert name_of(bank, ANN) == "Wang Mei"


def check_shred(bank: World, folder: Path) -> None:
    if not bank.register.shredded():
        assert name_of(bank, ANN) == "Wang Li"
        bank.register.shred(ANN, who=PRIVACY, basis="relation-ended")
    assert name_of(bank, ANN) is None
    assert bank.keys.persons() == []
    assert bank.register.shredded() == [ANN]


CHECKS = {"store": check_store, "read": check_read, "change": check_change, "shred": check_shred}


def check_killed(where: str, folder: Path, act: str, steps: int) -> bool:
    """Kill an act before a step and check; return whether it was killed."""
    prepare(where, folder)
    was_killed = killed(where, folder, act, steps)
    with world(where, folder) as bank:
        bank.register.finish_shreds()
        assert list(bank.register.disagreements()) == []
        assert bank.log.verify() <= 1
        CHECKS[act](bank, folder)
        assert list(bank.register.disagreements()) == []
        bank.log.verify()
    return was_killed


@pytest.mark.soak
@pytest.mark.parametrize("act", CHECKS)
def test_kills_before_every_commit(where: str, tmp_path: Path, act: str) -> None:
    for steps in range(1, STEPS_MAX):
        folder = tmp_path / str(steps)
        folder.mkdir()
        with fresh(where, folder) as place:
            if not check_killed(place, folder, act, steps):
                break
    assert 2 <= steps < STEPS_MAX


@pytest.mark.parametrize(("act", "steps"), [("store", 3), ("read", 2), ("change", 2), ("shred", 2)])
def test_kills_on_each_database(where: str, tmp_path: Path, act: str, steps: int) -> None:
    assert check_killed(where, tmp_path, act, steps)
