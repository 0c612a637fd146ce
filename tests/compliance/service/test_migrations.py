"""Screenings that an earlier release stored are kept: same number, reference, digest and record."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import Engine
from tests.compliance.service.world import NOON, Desk
from tests.database.places import empty_database, opened

from sycee.compliance.enforcement.screening import PaymentRequest
from sycee.compliance.enforcement.service import Compliance
from sycee.compliance.enforcement.tables import SCHEMA
from sycee.core.clock import SimulatedClock
from sycee.core.errors import IntegrityError
from sycee.database.migrations import Schema, upgrade
from sycee.database.transactions import write


def first_release(tmp_path: Path) -> Schema:
    folder = tmp_path / "migrations"
    folder.mkdir()
    shutil.copy(SCHEMA.migrations / "0001_everything.py", folder)
    return Schema(SCHEMA.package, SCHEMA.tables, folder)


def store(engine: Engine, number: int, record: dict[str, Any]) -> None:
    """Store a record as the first release did."""
    row = {
        "number": number,
        "payment": record["payment"],
        "flow": "0" * 64,
        "outcome": record["outcome"],
        **{name: record["inputs"][name] for name in ("network", "library", "day")},
        "reason_code": record["reason_code"],
        "digest": record["digest"],
        "record": json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False),
        "who": "gateway",
        "at_ns": NOON + number,
    }
    names = ", ".join(row)
    insert = text(f"INSERT INTO compliance_crossings ({names}) VALUES ({', '.join(f':{name}' for name in row)})")  # noqa: S608
    write(engine, lambda connection: connection.execute(insert, row) and None)


def test_screenings_of_the_first_release_stay(desk: Desk, server: str, tmp_path: Path) -> None:
    desk.compliance.admit("bank-a", by="desk")
    payments = [PaymentRequest(f"payment {number} 付款", "retail") for number in range(3)]
    records = [each.record for each in desk.compliance.screen_many([*payments, payments[0]], by="gateway")]
    with opened(empty_database(server) if server else tmp_path / "old.db") as engine:
        upgrade(engine, first_release(tmp_path))
        for number, record in enumerate(records, 5):
            store(engine, number, record)
        upgrade(engine, SCHEMA)
        kept = Compliance(engine, SimulatedClock(NOON))
        found = [each for payment in payments for each in kept.screenings(payment.payment)]
        assert [(each.number, each.record, each.who, each.at_ns) for each in found] == [
            (number, records[index], "gateway", NOON + number) for number, index in ((5, 0), (8, 3), (6, 1), (7, 2))
        ]
        kept.declare({"network.toml": b'[network]\nid = "n"\ntitle = "n"\nas_of = 2026-01-01\nsource = "s"\n'}, by="x")
        kept.use(["us-eo-13971"], by="x")
        kept.screen("none", payment="later", by="x")
        assert [each.number for each in kept.screenings("later")] == [9]


def test_a_changed_row_is_found(small: Desk) -> None:
    """The owner of a database can drop its triggers; the digest of the decision then shows the change."""
    small.compliance.screen("retail", payment="payment-1", by="gateway")

    def change(connection: Any) -> None:
        connection.exec_driver_sql("DROP TRIGGER compliance_screenings_no_update")
        connection.exec_driver_sql("UPDATE compliance_screenings SET payment = 'payment-2'")

    write(small.engine, change)
    with pytest.raises(IntegrityError, match="the stored decision 1 about payment-2 was changed"):
        small.compliance.screenings("payment-2")


def test_payments_of_a_class_share_one_stored_text(small: Desk) -> None:
    requests = [PaymentRequest(f"payment-{n}", "retail", {"amount_minor": n}) for n in range(50)]
    small.compliance.screen_many(requests, by="gateway")
    small.compliance.screen_many(requests, by="gateway")
    with small.engine.connect() as connection:
        forms = connection.exec_driver_sql("SELECT count(*), count(DISTINCT form) FROM compliance_screenings").one()
    assert tuple(forms) == (100, 1)
