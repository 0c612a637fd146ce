"""Permits: what compliance said about payments that cross a border, and when it must be asked again."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.clearing.tables import CLEARED, PAYMENTS, PERMITS, QUEUED, REFUSED, VALID
from sycee.compliance.enforcement.screening import ComplianceRecord, PaymentRequest, Screened
from sycee.compliance.enforcement.service import Compliance
from sycee.core.clock import read_ns
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write

ASKED_MAX: Final = 100_000  # payments of one transaction of compliance
_BY: Final = "clearing house"


class Permits:
    """The permits of the house of one bank."""

    def __init__(self, stores: Stores, compliance: Compliance) -> None:
        self._stores, self._compliance = stores, compliance

    def renew(self) -> None:
        """Ask again about all payments whose permit may not hold any more, and about those that have none."""
        self.withdraw_stale()
        self.ask()

    def ask(self) -> tuple[int, int]:
        """Ask compliance about all payments that wait for a permit; return how many it permitted and refused.

        A permitted payment is queued, or cleared until its time comes. A refused one has the reason of compliance. The
        digest of the record stays with the payment. While nothing is declared, all of them wait.
        """
        permitted = refused = 0
        if not all(self._compliance.versions(kind) for kind in ("network", "library")):
            return permitted, refused
        query = (
            sqlalchemy.select(PAYMENTS.c.number, PAYMENTS.c.uetr, PERMITS.c.flow, PERMITS.c.facts)
            .join(PERMITS, PERMITS.c.payment == PAYMENTS.c.number)
            .where(PAYMENTS.c.state == VALID)
            .order_by(PAYMENTS.c.number)
            .limit(ASKED_MAX)
        )
        while True:
            with reading(self._stores.engine) as connection:
                rows = list(connection.execute(query))
            if not rows:
                return permitted, refused
            asked = [PaymentRequest(_text(row.uetr), row.flow, json.loads(row.facts)) for row in rows]
            answers = self._compliance.screen_many(asked, by=_BY)
            kept = [(row.number, answer) for row, answer in zip(rows, answers, strict=True)]
            good = sum(isinstance(answer, ComplianceRecord) for answer in answers)
            now_ns = read_ns(self._stores.clock)
            write(self._stores.engine, lambda connection, kept=kept, now=now_ns: _store(connection, kept, now))  # type: ignore[misc]
            permitted, refused = permitted + good, refused + len(answers) - good

    def withdraw_stale(self) -> int:
        """Let payments wait for a permit again whose permit may not hold any more; return their number.

        A permit is stale from the day on which time may change it, and once declarations, profiles or lists changed.
        """
        stale = PERMITS.c.digest != ""
        current = {kind: self._compliance.versions(kind) for kind in ("network", "library")}
        newest = {kind: found[-1].digest if found else "" for kind, found in current.items()}
        changed = (PERMITS.c.network != newest["network"]) | (PERMITS.c.library != newest["library"])
        over = (PERMITS.c.until_day != "") & (PERMITS.c.until_day <= self._today())
        open_ = PAYMENTS.c.state.in_((CLEARED, QUEUED)) & (PAYMENTS.c.crossing == 1)
        chosen = sqlalchemy.select(PERMITS.c.payment).where(
            PERMITS.c.payment == PAYMENTS.c.number, stale & (changed | over)
        )
        statement = PAYMENTS.update().where(open_, chosen.exists()).values(state=VALID)
        with reading(self._stores.engine) as connection:
            if connection.scalar(sqlalchemy.select(PAYMENTS.c.number).where(open_).limit(1)) is None:
                return 0
        return write(self._stores.engine, lambda connection: connection.execute(statement).rowcount)

    def _today(self) -> str:
        return datetime.fromtimestamp(read_ns(self._stores.clock) / 1e9, UTC).date().isoformat()


def _store(connection: Connection, answers: list[tuple[int, Screened]], now_ns: int) -> None:
    """Write the answers of compliance and the states that follow. A payment that was cancelled meanwhile stays so."""
    permits: list[dict[str, Any]] = []
    good: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    for number, answer in answers:
        permit = {"at": number, "new_digest": answer.digest, "new_network": "", "new_library": "", "new_day": ""}
        if isinstance(answer, ComplianceRecord):
            inputs, until = answer.result.inputs, answer.result.until
            day = "" if until is None else until.isoformat()
            permit |= {"new_network": inputs.network, "new_library": inputs.library, "new_day": day}
            good.append({"at": number})
        else:
            bad.append({"at": number, "why": answer.reason_code})
        permits.append(permit)
    bind = sqlalchemy.bindparam
    values: dict[str, Any] = {
        "digest": bind("new_digest"), "network": bind("new_network"), "library": bind("new_library"),
        "until_day": bind("new_day"),
    }  # fmt: skip
    connection.execute(PERMITS.update().where(PERMITS.c.payment == bind("at")).values(values), permits)
    mine = (PAYMENTS.c.number == bind("at")) & (PAYMENTS.c.state == VALID)
    if good:
        state = sqlalchemy.case((PAYMENTS.c.from_ns > now_ns, CLEARED), else_=QUEUED)
        connection.execute(PAYMENTS.update().where(mine).values(state=state), good)
    if bad:
        connection.execute(PAYMENTS.update().where(mine).values(state=REFUSED, reason=bind("why")), bad)


def _text(uetr: bytes) -> str:
    return str(uuid.UUID(bytes=bytes(uetr)))
