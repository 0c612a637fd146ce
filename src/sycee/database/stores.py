"""Stores: one ledger and one database, which every service of a bank receives."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.engine import Engine

from sycee.core import ids
from sycee.core.clock import Clock, read_ns
from sycee.database.actions import Actions
from sycee.database.intents import Intents
from sycee.database.jobs import Jobs
from sycee.database.numbers import Numbers
from sycee.sequencer.embedded import Ledger


@dataclass(frozen=True, slots=True)
class Stores:
    """One ledger and one database, and the work that joins them."""

    ledger: Ledger
    engine: Engine
    clock: Clock
    actions: Actions
    intents: Intents
    jobs: Jobs
    numbers: Numbers
    mark: str  # the first line of every page and table made from them, such as "rehearsal, invented people"

    @classmethod
    def of(cls, ledger: Ledger, engine: Engine, clock: Clock, mark: str = "") -> Stores:
        """Return the stores of a ledger and of a database whose tables are those of this release."""
        actions = Actions()
        intents = Intents(engine, ledger, clock, actions)
        return cls(ledger, engine, clock, actions, intents, Jobs(engine, clock), Numbers(clock), mark)

    def new_id(self) -> int:
        """Return a new id of the present time."""
        return ids.new(read_ns(self.clock) // 1_000_000)
