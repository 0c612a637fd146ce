"""Vouchers and their steps in a caller's transaction. The state of a voucher follows from its steps, never the reverse.

An outcome can be written again, after a crash or a restore. It sets the state of one step, and the voucher is then
derived anew from all its steps: the same steps give the same voucher in any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy
from sqlalchemy import bindparam
from sqlalchemy.engine import Connection, Row

from sycee.vouchers import tables
from sycee.vouchers.tables import DONE, LIVE, REFUSED, SENT, STEP_ROWS, VOUCHERS

_READ_MAX: Final = 500  # variables of one statement


@dataclass(frozen=True, slots=True)
class Voucher:
    """A voucher. `batch`: the request that made it; `row`: its place there. `hold`: the HOLD that keeps its money."""

    serial: int
    group: str
    hold: int
    batch: int
    row: int
    minor: int
    redeemed_minor: int
    until_ns: int
    beneficiary: bytes | None
    state: str

    @property
    def rest_minor(self) -> int:
        """Return the money that can still be redeemed."""
        return self.minor - self.redeemed_minor if self.state in LIVE else 0

    @property
    def returned_minor(self) -> int:
        """Return the money that returned to the funder."""
        is_over = self.state in (tables.CANCELLED, tables.EXPIRED)
        return self.minor - self.redeemed_minor if is_over else 0


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a voucher. `id`: of the request; of a redemption also of its payment. `code`: of a refusal, or "".

    `number`: its place among the steps of the voucher, from 1; 0 before it is stored.
    """

    serial: int
    id: int
    step: str
    minor: int
    payee: int | None
    code: str
    who: int
    at_ns: int
    state: str
    number: int = 0


def derived(minor: int, steps: Iterable[Step]) -> tuple[str, int]:
    """Return the state of a voucher and what was redeemed of it. Pure."""
    found = list(steps)
    done = {each.step for each in found if each.state == DONE}
    redeemed = sum(each.minor for each in found if each.step == tables.REDEEM and each.state == DONE)
    reserved = next((each.state for each in found if each.step == tables.RESERVE), REFUSED)
    if reserved != DONE:
        return (tables.RESERVING if reserved == SENT else REFUSED), 0
    if tables.CANCEL in done:
        return tables.CANCELLED, redeemed
    if redeemed >= minor:
        return tables.REDEEMED, redeemed
    if tables.EXPIRE in done:
        return tables.EXPIRED, redeemed
    return (tables.ACTIVATED if tables.ACTIVATE in done else tables.PREACTIVATED), redeemed


def vouchers_in(connection: Connection, serials: Sequence[int]) -> dict[int, Voucher]:
    """Return vouchers by serial; those that do not exist are missing."""
    found: dict[int, Voucher] = {}
    for at in range(0, len(serials), _READ_MAX):
        query = sqlalchemy.select(VOUCHERS).where(VOUCHERS.c.serial.in_(serials[at : at + _READ_MAX]))
        found |= {row.serial: voucher_of(row) for row in connection.execute(query)}
    return found


def steps_in(connection: Connection, serials: Sequence[int]) -> list[Step]:
    """Return the steps of vouchers, by serial, then in their order."""
    found: list[Step] = []
    order = (STEP_ROWS.c.serial, STEP_ROWS.c.number)
    for at in range(0, len(serials), _READ_MAX):
        query = sqlalchemy.select(STEP_ROWS).where(STEP_ROWS.c.serial.in_(serials[at : at + _READ_MAX]))
        found += [step_of(row) for row in connection.execute(query.order_by(*order))]
    return found


def steps_of(connection: Connection, id: int) -> list[Step]:
    """Return the steps that one request took, by serial."""
    query = sqlalchemy.select(STEP_ROWS).where(STEP_ROWS.c.id == id).order_by(STEP_ROWS.c.serial)
    return [step_of(row) for row in connection.execute(query)]


def add(connection: Connection, made: Sequence[Step]) -> None:
    """Store the steps of one request, each after the earlier ones of its voucher."""
    if not made:
        return
    last = dict.fromkeys((each.serial for each in made), 0)
    for each in steps_in(connection, list(last)):
        last[each.serial] = each.number
    names = [name for name in Step.__slots__ if name != "number"]
    rows = [{name: getattr(each, name) for name in names} | {"number": last[each.serial] + 1} for each in made]
    connection.execute(STEP_ROWS.insert(), rows)


def finish(connection: Connection, id: int, results: dict[int, str]) -> None:
    """Set the outcome of a request's steps that went to the ledger, and derive their vouchers anew.

    `results`: by serial, "" for success, otherwise the code.
    """
    if not results:
        return
    statement = (
        STEP_ROWS.update()
        .where(STEP_ROWS.c.id == id, STEP_ROWS.c.serial == bindparam("which"))
        .values(state=bindparam("new_state"), code=bindparam("new_code"))
    )
    rows = [
        {"which": serial, "new_state": REFUSED if code else DONE, "new_code": code} for serial, code in results.items()
    ]
    connection.execute(statement, rows)
    derive(connection, list(results))


def derive(connection: Connection, serials: Sequence[int]) -> None:
    """Set the state of vouchers and what was redeemed of them from their steps."""
    found, by_serial = vouchers_in(connection, serials), dict[int, list[Step]]()
    for each in steps_in(connection, serials):
        by_serial.setdefault(each.serial, []).append(each)
    rows = []
    for serial, voucher in found.items():
        state, redeemed = derived(voucher.minor, by_serial.get(serial, ()))
        if (state, redeemed) != (voucher.state, voucher.redeemed_minor):
            rows.append({"which": serial, "new_state": state, "redeemed": redeemed})
    if rows:
        statement = (
            VOUCHERS.update()
            .where(VOUCHERS.c.serial == bindparam("which"))
            .values(state=bindparam("new_state"), redeemed_minor=bindparam("redeemed"))
        )
        connection.execute(statement, rows)


def voucher_of(row: Row[Any]) -> Voucher:
    """Return the voucher of a row."""
    return Voucher(**row._mapping)


def step_of(row: Row[Any]) -> Step:
    """Return the step of a row."""
    return Step(**row._mapping)
