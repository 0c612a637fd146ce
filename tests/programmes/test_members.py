"""The records that add members: the database has only their digest, and makes them again from the published files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy
from tests.programmes import world
from tests.programmes.world import NORTH, person

from sycee.bank.bank import Bank
from sycee.core.errors import IntegrityError
from sycee.database.tables import INTENT_RECORDS, INTENTS
from sycee.database.transactions import reading
from sycee.programmes import draw_files, states
from sycee.programmes.dropping import ALLOT, SEAL

NAME = "autumn-2026"


class Stop(Exception):
    """Instead of a kill: the process goes no further."""


def stored(bank: Bank, action: str) -> list[int]:
    """Return how many bytes of records the database has of each intent of an action."""
    joined = sqlalchemy.select(INTENT_RECORDS.c.records).join(INTENTS, INTENTS.c.id == INTENT_RECORDS.c.id)
    with reading(bank.stores.engine) as connection:
        return [len(each) for each in connection.scalars(joined.where(INTENTS.c.action == action))]


def allot(bank: Bank) -> Any:
    return bank.programmes.allot(NAME, signers=bank.signers(NORTH), who=person(bank, NORTH))


def filled(bank: Bank) -> int:
    number = bank.programmes.occurrence(NAME).number
    with bank.stores.ledger.sequencer.reading() as state:
        return int(state.tables.programmes["filled"][number])


def stopped(folder: Path, monkeypatch: pytest.MonkeyPatch, server: str = "") -> dict[str, Any]:
    """Store the intent and submit nothing; return the options that open the bank again."""
    options = world.at("approved", server).copy(folder)
    with world.opened(folder, options) as bank:

        def stop(*_: Any) -> Any:
            raise Stop

        with monkeypatch.context() as patch:
            patch.setattr(bank.stores.ledger.sequencer, "submit", stop)
            with pytest.raises(Stop):
                allot(bank)
        assert (bank.stores.intents.pending(), filled(bank)) == (1, 0)
        assert stored(bank, ALLOT) == [0]
    return dict(options)


def test_only_signatures_are_stored(tmp_path: Path) -> None:
    with world.opened(tmp_path, world.at("approved").copy(tmp_path)) as bank:
        assert allot(bank).state == states.ALLOTTED
        assert (stored(bank, ALLOT), stored(bank, SEAL)) == ([0], [128])
        assert bank.check() == []


def test_a_stopped_call_is_finished_from_the_files(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = stopped(tmp_path, monkeypatch, server)
    with world.opened(tmp_path, options) as bank:
        assert (bank.stores.intents.pending(), filled(bank)) == (0, 5)
        members = bank.programmes.cohort_of(NAME).members
        with bank.stores.ledger.sequencer.reading() as state:
            purses = state.purses(bank.programmes.occurrence(NAME).number or 0)
            assert np.array_equal(purses["member_low"], members["low"])
        assert allot(bank).state == states.ALLOTTED
        assert bank.check() == []


def test_a_changed_list_adds_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = stopped(tmp_path, monkeypatch)
    (path,) = tmp_path.rglob(draw_files.WINNERS)
    content = path.read_text()
    lines = content.splitlines(keepends=True)
    path.write_text("".join([lines[0], lines[2], lines[1], *lines[3:]]))
    with pytest.raises(IntegrityError, match="another cohort than the signed one"):
        world.opened(tmp_path, options)
    path.unlink()
    with pytest.raises(IntegrityError, match=r"has no winners\.csv any more"):
        world.opened(tmp_path, options)
    path.write_text(content)
    with world.opened(tmp_path, options) as bank:
        assert filled(bank) == 5


def test_a_check_says_which_files_are_missing(tmp_path: Path) -> None:
    with world.opened(tmp_path, world.at("allotted").copy(tmp_path)) as bank:
        (path,) = tmp_path.rglob(draw_files.WINNERS)
        content = path.read_bytes()
        path.unlink()
        (found,) = bank.check()
        assert "programme.allot cannot be compared" in found
        assert draw_files.WINNERS in found
        path.write_bytes(content)
        assert bank.check() == []
