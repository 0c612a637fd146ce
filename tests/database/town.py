"""A ledger that needs signatures, a database, and one action: a ledger of payments in SQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import Column, MetaData, Table, Text
from sqlalchemy.engine import Connection
from tests.database.places import opened
from tests.sequencer.small import ANN, SHOP, START_NS
from tests.sequencer.test_envelopes import ANNS_KEY, opening

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import SimulatedClock
from sycee.core.records import operations
from sycee.core.result_codes import Result
from sycee.database import tables
from sycee.database.actions import Draft, Intent
from sycee.database.columns import Id128
from sycee.database.migrations import upgrade
from sycee.database.stores import Stores
from sycee.database.transactions import reading
from sycee.sequencer.embedded import Ledger, Signer

METADATA = MetaData()
PAYMENTS = Table("payments", METADATA, Column("id", Id128, primary_key=True), Column("state", Text, nullable=False))
CLERK = 77
SIGNER = Signer(ANN, ANNS_KEY, currency=156, key_epoch=1)


class Pay:
    """Writes the state of each payment: before() writes "asked"."""

    name = "town.pay"

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        for at, result in enumerate(results):
            self._set(connection, intent.payload["first"] + at, "paid" if result is Result.CREATED else result.name)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        for at in range(intent.payload["count"]):
            self._set(connection, intent.payload["first"] + at, "lapsed")

    def _set(self, connection: Connection, id: int, state: str) -> None:
        assert connection.execute(PAYMENTS.update().where(PAYMENTS.c.id == id).values(state=state)).rowcount == 1


class Town:
    """A ledger with Ann, who has 500, a shop, and the stores that join it with a database."""

    def __init__(self, folder: Path, engine: sqlalchemy.Engine) -> None:
        self.clock = SimulatedClock(START_NS)
        self.ledger = Ledger.open(folder / "ledger", clock=self.clock)
        if self.ledger.result_of(100) is None:
            assert set(self.ledger.submit(opening())["code"].tolist()) == {Result.CREATED}
        upgrade(engine, tables.SCHEMA)
        METADATA.create_all(engine)
        self.stores = Stores.of(self.ledger, engine, self.clock)
        self.stores.actions.register(Pay())

    @property
    def intents(self) -> Any:
        return self.stores.intents

    def draft(self, first: int, amounts: Sequence[int], **others: Any) -> Draft:
        """A draft of payments by Ann to the shop; their ids count from `first`."""

        def before(connection: Connection) -> None:
            rows = [{"id": first + at, "state": "asked"} for at in range(len(amounts))]
            connection.execute(PAYMENTS.insert(), rows)

        payload = {"first": first, "count": len(amounts)}
        given = {"signers": [SIGNER], "before": before, "payload": payload, "who": CLERK} | others
        return Draft("town.pay", payments(first, amounts), **given)

    def states(self) -> dict[int, str]:
        with reading(self.stores.engine) as connection:
            rows = connection.execute(sqlalchemy.select(PAYMENTS.c.id, PAYMENTS.c.state)).all()
        return {row.id: row.state for row in rows}

    def shop(self) -> int:
        return self.ledger.balance(SHOP)

    def close(self) -> None:
        self.ledger.close()


def payments(first: int, amounts: Sequence[int]) -> Array:
    import numpy as np

    chosen = np.array([ids.split(first + at) for at in range(len(amounts))], ids.ID)
    return operations.transfer(chosen, debit=ANN, credit=SHOP, amount=np.array(amounts, np.int64))


@contextmanager
def town(folder: Path, where: str) -> Iterator[Town]:
    with opened(where) as engine:
        made = Town(folder, engine)
        try:
            yield made
        finally:
            made.close()
