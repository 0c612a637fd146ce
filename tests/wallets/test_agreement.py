"""Wallets, keys and links in SQL are compared with the ledger while frames are written."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.engine import Connection
from tests.wallets.world import Town

from sycee.bank import agreement
from sycee.core import ids
from sycee.database.transactions import write
from sycee.wallets.tables import CLOSED, WALLETS


def test_a_wallet_that_the_ledger_has_otherwise_is_named(town: Town) -> None:
    assert town.bank.check() == []
    changes: list[tuple[dict[str, Any], str]] = [
        ({"state": CLOSED}, "closed in the database, and not so in the ledger"),
        ({"operator": 77}, "of operator 77 in the database, and of 2 in the ledger"),
        ({"state": "refused"}, "refused in the database, and the ledger has its account"),
        ({"account": 5}, "open in the database, and the ledger has no such account"),
    ]
    first = town.bank.directory.get(town.leo)
    stated = {"account": first.account, "state": first.state, "operator": first.operator}
    for changed, sentence in changes:
        values = stated | changed
        with changed_wallet(town, first.account, values):
            assert town.bank.check() == [f"wallet {ids.format(values['account'])} is {sentence}"]
    assert town.bank.check() == []


@contextmanager
def changed_wallet(town: Town, account: int, values: dict[str, Any]) -> Iterator[None]:
    """Change the row of a wallet inside the block."""

    def change(connection: Connection) -> dict[str, Any]:
        row = connection.execute(sqlalchemy.select(WALLETS).where(WALLETS.c.account == account)).mappings().one()
        connection.execute(WALLETS.update().where(WALLETS.c.account == account).values(**values))
        return dict(row)

    before = write(town.bank.stores.engine, change)
    yield
    chosen = WALLETS.c.account == values["account"]
    write(town.bank.stores.engine, lambda connection: connection.execute(WALLETS.update().where(chosen).values(before)))


def test_frames_wait_for_no_query_of_the_comparison(town: Town) -> None:
    sequencer, stopped = town.bank.stores.ledger.sequencer, []

    def before(*_: Any) -> None:
        stopped.append(sequencer._reader == threading.get_ident())

    sqlalchemy.event.listen(town.bank.stores.engine, "before_cursor_execute", before)
    assert town.bank.check() == []
    assert len(stopped) > 20
    assert not any(stopped)


@pytest.mark.parametrize("lasts", [False, True])
def test_a_disagreement_counts_if_it_is_there_twice(small: Town, lasts: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Service:
        times = 0

        def disagreements(self) -> Any:
            self.times += 1
            yield from ["one", "two"] if lasts or self.times == 1 else ["two"]

    monkeypatch.setattr(agreement, "AGAIN_S", 0.0)
    assert agreement.disagreements(small.bank.stores.intents, [Service(), object()]) == (
        ["one", "two"] if lasts else ["two"]
    )
