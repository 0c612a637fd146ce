"""A bank with one programme in registration, prepared once per process and copied."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from tests.bank import world
from tests.programmes.world import ANN, BEACON_VALUE, BOB, NORTH, SECOND_NS, SOUTH, at, moment, person

from sycee.bank.bank import Bank
from sycee.core.keys import SigningKey
from sycee.database.transactions import write
from sycee.identity.duties import Duty
from sycee.programmes.stored import change_state

__all__ = ["ANN", "BOB", "NORTH", "SOUTH", "person"]

NAME: Final = "autumn-2026"
HOUR_NS: Final = 3_600 * SECOND_NS
OPENS_NS: Final = moment(3, 8)
NOW_NS: Final = moment(3, 9)
CLOSES_NS: Final = moment(5)
CASEWORKER: Final = SigningKey.derive(bytes([31]) * 32)
OTHER_CASEWORKER: Final = SigningKey.derive(bytes([32]) * 32)


@cache
def prepared(server: str) -> world.Copies:
    """A closed bank of `world` whose programme registers, with two caseworkers."""
    folder = world.temporary_folder()
    options = at("registering", server).copy(folder)
    with Bank.open(folder / "bank", options=options) as bank:
        for key in (CASEWORKER, OTHER_CASEWORKER):
            proposal = bank.appointments.appoint(
                Duty.CASEWORKER, key.public, until_ns=NOW_NS + 10**17, maker=person(bank, ANN)
            )
            assert bank.proposals.sign(proposal.id, ANN, BOB).needs == ()
    return world.Copies(folder, options.get("database", ""))


@contextmanager
def registering(folder: Path, where: str = "") -> Iterator[Bank]:
    """Yield a copy of the bank of `prepared`."""
    options = prepared(world.maintenance(where) if "://" in where else "").copy(folder)
    with Bank.open(folder / "bank", options=options) as bank:
        yield bank


def enter(bank: Bank, state: str) -> None:
    """Set the state of the occurrence, for tests that do not follow its whole life."""
    found = bank.programmes.occurrence(NAME)
    write(bank.stores.engine, lambda connection: change_state(connection, bank.stores.clock, found, state, {}))


def drawn(bank: Bank) -> None:
    """Freeze the list, publish it, bring the beacon and draw. Registration must be complete."""
    north, ann = person(bank, NORTH), person(bank, ANN)
    bank.set_clock(moment(5, 12))
    bank.programmes.freeze(NAME, who=north)
    bank.programmes.publish(NAME, who=north)
    bank.set_clock(moment(6, 13))
    for who in (north, ann):
        bank.programmes.bring_beacon(NAME, value=BEACON_VALUE, who=who)
    bank.programmes.draw(NAME, who=north)
