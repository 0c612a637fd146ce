"""Migration and tables of the clearing house agree."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import numpy as np
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from tests.clearing.declared import admit_all
from tests.clearing.test_permits import DIRECT
from tests.clearing.world import EAST_BANK, NORTH_BANK, Sent, place
from tests.database.places import opened

from sycee.clearing import inbox, tables
from sycee.clearing.waiting import waiting
from sycee.database.migrations import upgrade

_ALL_ROWS: Final = re.compile(r"SCAN (clearing_(payments|messages|deliveries|permits|members|inbox)|[a-z])")


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


def test_an_arriving_payment_reads_the_queues_of_its_pair_alone(tmp_path: Path) -> None:
    plan = []

    def explain(connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT p."):
            plan.extend(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters))

    with opened(tmp_path / "bank.db") as engine:
        upgrade(engine, tables.SCHEMA)
        with engine.connect() as connection:
            sqlalchemy.event.listen(engine, "before_cursor_execute", explain)
            waiting(connection, tables.QUEUED, 5, pair=(NORTH_BANK, EAST_BANK), since_ns=3)
    search = "SEARCH clearing_payments USING"
    assert [step for step in plan if step.startswith("SEARCH")] == [
        "SEARCH p USING INTEGER PRIMARY KEY (rowid=?)",
        f"{search} COVERING INDEX clearing_payments_between (sender=? AND receiver=?)",
        f"{search} INDEX clearing_payments_between (sender=?)",
        f"{search} INDEX clearing_payments_backs (receiver=?)",
    ]


def test_no_step_of_a_payment_reads_all_payments(tmp_path: Path) -> None:
    """Permits, bookings, ends and answers find their payments by indexes, however many payments have ended."""
    scans = set()

    def explain(connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, is_many: bool) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            chosen = parameters[0] if is_many else parameters
            plan = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", chosen)
            scans.update((step[3], statement) for step in plan if _ALL_ROWS.fullmatch(step[3]))

    with place(tmp_path, compliance="true") as house:
        admit_all(house.bank, tmp_path)
        clearing = house.bank.clearing
        sqlalchemy.event.listen(house.bank.stores.engine, "before_cursor_execute", explain)
        house.send(NORTH_BANK, *(Sent(at, EAST_BANK, 60_00, passes=DIRECT) for at in range(3)))
        assert clearing.permits.ask() == (3, 0)
        assert house.release()[0] == 1
        house.send(EAST_BANK, Sent(9, NORTH_BANK, 120_00, passes=DIRECT[::-1]))
        assert house.settle(seconds=0.05).payments >= 2
        clearing.permits.renew()
        clearing.payments.queue_due()
        clearing.payments.end_overdue()
        clearing.payments.cancel_waiting()
        clearing.payments.mark_answered([each.number for each in clearing.payments.unanswered()])
    assert scans == set()
