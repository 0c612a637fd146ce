"""Migration and tables of the clearing house agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from tests.database.places import opened

from sycee.clearing import inbox, tables
from sycee.database.migrations import upgrade


def test_migrations_make_the_tables_of_this_release(where: str) -> None:
    with opened(where) as engine:
        upgrade(engine, tables.SCHEMA)
        with engine.connect() as connection:
            options = {"version_table": tables.SCHEMA.version_table, "compare_type": True}
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, tables.METADATA) == []


def test_messages_of_the_inbox_are_found_by_their_payments(tmp_path: Path) -> None:
    """A booking or a cancellation does not read what waits for all other payments."""
    plans = []

    def explain(connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith(("SELECT clearing_inbox.source", "UPDATE", "DELETE")):
            plans.append([row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)])

    with opened(tmp_path / "bank.db") as engine:
        upgrade(engine, tables.SCHEMA)
        with engine.connect() as connection:
            inbox.add_waiting(connection, *np.ones((3, 1), np.int64))
            sqlalchemy.event.listen(engine, "before_cursor_execute", explain)
            inbox.deliver_booked(connection, 1, 1)
            inbox.take_back(connection, sqlalchemy.select(tables.MEMBERS.c.payment))
            inbox.drop_waiting(connection, tables.PAYMENTS.c.number == 1)
    assert len(plans) == 3
    for plan in plans:
        steps = [step for step in plan if "clearing_inbox" in step]
        assert steps == ["SEARCH clearing_inbox USING INDEX clearing_inbox_payment (payment=?)"], plan


def test_payments_of_a_participant_are_found_by_indexes(tmp_path: Path) -> None:
    """A report and a list of one participant do not read the payments of all others."""
    with opened(tmp_path / "bank.db") as engine:
        upgrade(engine, tables.SCHEMA)
        query = "SELECT * FROM clearing_payments WHERE (sender = 1 OR receiver = 1) AND booked_ns >= 0 ORDER BY number"
        with engine.connect() as connection:
            plan = " ".join(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}"))
    assert ("clearing_payments_sender" in plan, "clearing_payments_receiver" in plan) == (True, True), plan
