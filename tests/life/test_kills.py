"""A process is killed between any two steps of a life event: afterwards ledger and database agree."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy
from tests.bank.killing import EMPTY_POSTGRESQL_IN_SOAK
from tests.life import crashing
from tests.life.world import LIMITS, NEW_KEY, OTTO, RECOVERY, WALLET, World, world
from tests.personal.crashing import fresh

from sycee.core.records.layout import Reason
from sycee.database.transactions import reading
from sycee.life.tables import EVENTS

STEPS_MAX = 40  # more steps than any act has


def prepare(where: str, folder: Path, act: str) -> None:
    with world(where, folder) as bank:
        if act == "restore":
            crashing.lose(bank)
        if act == "release":
            bank.life.dormant(WALLET, who=OTTO.id, signers=[OTTO])


def events(bank: World) -> list[str]:
    with reading(bank.personal.engine) as connection:
        return list(connection.scalars(sqlalchemy.select(EVENTS.c.kind).order_by(EVENTS.c.id)))


def check_lose(bank: World) -> None:
    account = bank.ledger.account(WALLET)
    assert (account.key, account.key_epoch) == (NEW_KEY.public.key, 2)
    assert (account.rule_set, account.debit_reasons) == (RECOVERY, frozenset())
    assert events(bank) == ["phone-lost"]
    assert len(bank.life.outbox.waiting()) == 1


def check_restore(bank: World) -> None:
    assert bank.ledger.account(WALLET).rule_set == LIMITS
    assert sorted(events(bank)) == ["phone-lost", "recovered"]


def check_order(bank: World) -> None:
    assert bank.ledger.account(WALLET).debit_reasons == {Reason.COURT_ORDER}
    assert events(bank) == ["court-order"]


def check_release(bank: World) -> None:
    assert bank.ledger.account(WALLET).debit_reasons == frozenset()
    assert sorted(events(bank)) == ["dormant", "lifted"]


CHECKS = {"lose": check_lose, "restore": check_restore, "order": check_order, "release": check_release}


def check_killed(where: str, folder: Path, act: str, steps: int) -> bool:
    """Kill an act before a step, open, repeat it, and check; return whether it was killed."""
    prepare(where, folder, act)
    was_killed = crashing.killed(where, folder, act, steps)
    with world(where, folder) as bank:
        bank.stores.intents.resume()
        bank.stores.jobs.take_over()
        bank.stores.jobs.run_due()
        assert bank.disagreements() == []
        crashing.ACTS[act](bank)
        assert bank.stores.intents.pending() == 0
        assert bank.disagreements() == []
        assert bank.stores.jobs.failing() == []
        CHECKS[act](bank)
    return was_killed


@pytest.mark.soak
@pytest.mark.parametrize("act", CHECKS)
def test_kills_between_every_two_steps(where: str, tmp_path: Path, act: str) -> None:
    for steps in range(1, STEPS_MAX):
        folder = tmp_path / str(steps)
        folder.mkdir()
        with fresh(where, folder) as place:
            if not check_killed(place, folder, act, steps):
                break
    assert 4 <= steps < STEPS_MAX


@pytest.mark.parametrize(
    ("act", "steps"),
    [("lose", 6), ("restore", 5)],
)
def test_kills_at_some_steps(tmp_path: Path, act: str, steps: int) -> None:
    assert check_killed(str(tmp_path / "kept.db"), tmp_path, act, steps)


@EMPTY_POSTGRESQL_IN_SOAK
def test_a_kill_after_the_new_key_on_each_database(where: str, tmp_path: Path) -> None:
    assert check_killed(where, tmp_path, "lose", 5)
