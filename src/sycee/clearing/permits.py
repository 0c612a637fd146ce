"""Permits: what compliance said about payments that cross a border, and when it must be asked again."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.clearing.tables import CHAINS, CLEARED, PAYMENTS, PERMITS, QUEUED, REFUSED, VALID
from sycee.compliance.enforcement.screening import PERMITTED, ComplianceRecord
from sycee.compliance.enforcement.service import Compliance
from sycee.core import money
from sycee.core.clock import read_ns
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write

if TYPE_CHECKING:
    from sycee.clearing.chains import Chain
    from sycee.compliance.enforcement.payment_messages import ScreenedTransfer

ASKED_MAX: Final = 100_000  # payments of one transaction of compliance
_BY: Final = "clearing house"
_PART: Final = 500  # values of one condition


class Permits:
    """The permits of the house of one bank. `compliance`: None for a bank whose payments need no permit."""

    def __init__(self, stores: Stores, compliance: Compliance | None) -> None:
        self._stores, self._compliance = stores, compliance

    def renew(self) -> None:
        """Ask again about all payments whose permit may not hold any more, and about those that have none."""
        self.withdraw_stale()
        self.ask()

    def digests(self, payment: int) -> tuple[str, ...]:
        """Return the digests of the records of compliance about a payment, by its number, in order of its requests."""
        with reading(self._stores.engine) as connection:
            found = connection.scalar(sqlalchemy.select(PERMITS.c.digests).where(PERMITS.c.payment == payment))
        return tuple((found or "").split())

    def ask(self) -> tuple[int, int]:
        """Ask compliance about all payments that wait for a permit; return how many it permitted and refused.

        Every step of a payment's chain, in each of its currencies, is a request. A payment that is permitted in all of
        them is queued, or cleared until its time comes. Another one is refused with the first reason. The digests of
        the records stay with the payment. While nothing is declared, all of them wait.
        """
        if self._compliance is None:
            return self._permit_all(), 0
        permitted = refused = 0
        if not self._waits() or not all(self._compliance.versions(kind) for kind in ("network", "library")):
            return permitted, refused
        columns = (PAYMENTS.c.number, PAYMENTS.c.uetr, PAYMENTS.c.currency, PAYMENTS.c.minor, PERMITS.c.chain)
        query = (
            sqlalchemy.select(*columns)
            .join(PERMITS, PERMITS.c.payment == PAYMENTS.c.number)
            .where(PAYMENTS.c.state == VALID)
            .order_by(PAYMENTS.c.number)
            .limit(ASKED_MAX)
        )
        chains: dict[int, Chain] = {}
        while True:
            with reading(self._stores.engine) as connection:
                rows = connection.execute(query).all()
                _read_chains(connection, {row.chain for row in rows} - chains.keys(), chains)
            if not rows:
                return permitted, refused
            answers = self._compliance.screen_transfers(_asked(rows, chains), by=_BY)
            numbers, now_ns = [row.number for row in rows], read_ns(self._stores.clock)
            kept = list(zip(numbers, answers, strict=True))
            good = sum(each.outcome == PERMITTED for each in answers)
            write(self._stores.engine, lambda connection, kept=kept, now=now_ns: _store(connection, kept, now))  # type: ignore[misc]
            permitted, refused = permitted + good, refused + len(answers) - good

    def withdraw_stale(self) -> int:
        """Let payments wait for a permit again whose permit may not hold any more; return their number.

        A permit is stale from the day on which time may change it, and once declarations, profiles or lists changed.
        """
        if self._compliance is None:
            return 0
        current = {kind: self._compliance.versions(kind) for kind in ("network", "library")}
        newest = {kind: found[-1].digest if found else "" for kind, found in current.items()}
        changed = (PERMITS.c.network != newest["network"]) | (PERMITS.c.library != newest["library"])
        over = (PERMITS.c.until_day != "") & (PERMITS.c.until_day <= self._today())
        stale = (PERMITS.c.digests == "") | changed | over
        open_ = PAYMENTS.c.state.in_((CLEARED, QUEUED)) & (PAYMENTS.c.crossing == 1)
        chosen = sqlalchemy.select(PERMITS.c.payment).where(PERMITS.c.payment == PAYMENTS.c.number, stale)
        statement = PAYMENTS.update().where(open_, chosen.exists()).values(state=VALID)
        with reading(self._stores.engine) as connection:
            if connection.scalar(sqlalchemy.select(PAYMENTS.c.number).where(open_).limit(1)) is None:
                return 0
        return write(self._stores.engine, lambda connection: connection.execute(statement).rowcount)

    def _waits(self) -> bool:
        with reading(self._stores.engine) as connection:
            query = sqlalchemy.select(PAYMENTS.c.number).where(PAYMENTS.c.state == VALID).limit(1)
            return connection.scalar(query) is not None

    def _permit_all(self) -> int:
        """Queue what waits for a permit from a time at which the bank needed one."""
        if not self._waits():
            return 0
        state = _state_from(read_ns(self._stores.clock))
        statement = PAYMENTS.update().where(PAYMENTS.c.state == VALID).values(state=state)
        return write(self._stores.engine, lambda connection: connection.execute(statement).rowcount)

    def _today(self) -> str:
        return datetime.fromtimestamp(read_ns(self._stores.clock) / 1e9, UTC).date().isoformat()


def _asked(rows: Sequence[Any], chains: dict[int, Chain]) -> list[tuple[str, Any]]:
    """Return the transfers of payments with their UETRs, by which compliance keeps its records."""
    from sycee.iso20022.elements import Amount

    asked = []
    for row in rows:
        uetr = str(uuid.UUID(bytes=bytes(row.uetr)))
        amount = Amount(money.currency_of(row.currency).code, row.minor)
        asked.append((uetr, chains[row.chain].transfer(uetr, amount)))
    return asked


def _read_chains(connection: Connection, numbers: Iterable[int], into: dict[int, Chain]) -> None:
    from sycee.clearing.chains import parse

    wanted = sorted(numbers)
    for start in range(0, len(wanted), _PART):
        chosen = CHAINS.c.chain.in_(wanted[start : start + _PART])
        query = sqlalchemy.select(CHAINS.c.chain, CHAINS.c.content).where(chosen)
        into |= {number: parse(text) for number, text in connection.execute(query)}


def _store(connection: Connection, answers: Sequence[tuple[int, ScreenedTransfer]], now_ns: int) -> None:
    """Write the answers of compliance and the states that follow. A payment that was cancelled meanwhile stays so."""
    permits: list[dict[str, Any]] = []
    good: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    for number, answer in answers:
        digests = " ".join([each.digest for each in answer.decisions])
        permit = {"at": number, "new_digests": digests, "new_network": "", "new_library": "", "new_day": ""}
        if answer.outcome != PERMITTED:
            bad.append({"at": number, "why": answer.reason_code})
        else:
            results = [each.result for each in answer.decisions if isinstance(each, ComplianceRecord)]
            day = min((each.until.isoformat() for each in results if each.until), default="")
            inputs = results[0].inputs  # one transaction of compliance judges by the same versions
            permit |= {"new_network": inputs.network, "new_library": inputs.library, "new_day": day}
            good.append({"at": number})
        permits.append(permit)
    bind = sqlalchemy.bindparam
    values: dict[str, Any] = {
        "digests": bind("new_digests"), "network": bind("new_network"), "library": bind("new_library"),
        "until_day": bind("new_day"),
    }  # fmt: skip
    connection.execute(PERMITS.update().where(PERMITS.c.payment == bind("at")).values(values), permits)
    mine = (PAYMENTS.c.number == bind("at")) & (PAYMENTS.c.state == VALID)
    if good:
        connection.execute(PAYMENTS.update().where(mine).values(state=_state_from(now_ns)), good)
    if bad:
        connection.execute(PAYMENTS.update().where(mine).values(state=REFUSED, reason=bind("why")), bad)


def _state_from(now_ns: int) -> Any:
    """Return the state of a permitted payment: queued, or cleared until its time comes."""
    return sqlalchemy.case((PAYMENTS.c.from_ns > now_ns, CLEARED), else_=QUEUED)
