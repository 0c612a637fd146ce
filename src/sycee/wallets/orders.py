"""Orders of merchants: each is paid once, by a payment or by what its hold paid.

The row of an order names its newest payment or hold. While a hold is open the row stays `asked`: the state of a hold is
the ledger's. So an order whose hold has ended can be paid again without a write to SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.core import ids
from sycee.core.errors import UsageError
from sycee.core.records.layout import HoldState
from sycee.core.result_codes import Result
from sycee.database.stores import Stores
from sycee.database.transactions import reading
from sycee.identity.people import People
from sycee.sequencer.embedded import Ledger
from sycee.wallets.directory import Wallet
from sycee.wallets.references import check_order
from sycee.wallets.tables import ASKED, DONE, HOLDS, LAPSED, ORDERS, PAID, REFERENCES, REFUSED

# States that no row has: of an order that nobody tried to pay, and of one whose hold decides.
UNKNOWN: Final = "unknown"
HELD: Final = "held"
RELEASED: Final = "released"
ENDED: Final = "ended"  # by the time of the hold

_HOLDS: Final = {HoldState.OPEN: HELD, HoldState.VOIDED: RELEASED, HoldState.TIMED_OUT: ENDED}
_FREE: Final = (RELEASED, ENDED)


@dataclass(frozen=True, slots=True)
class OrderState:
    """The state of an order: unknown, asked, held, paid, refused, lapsed, released or ended. Amounts in minor units.

    `operation`: of the payment; of the hold if nothing was paid. `at_ns`: of that operation.
    """

    order: str
    state: str
    operation: int = 0
    minor: int = 0
    refunded_minor: int = 0
    at_ns: int = 0

    @property
    def is_paid(self) -> bool:
        """Whether the order was paid."""
        return self.state == PAID


def check_payee(people: People, payee: Wallet, order: str) -> None:
    """Raise UsageError unless the order has the right form and the payee is a merchant."""
    check_order(order)
    if people.state_of(payee.holder) is not None:
        raise UsageError(
            f"wallet {ids.format(payee.account)} is a person's: it has no orders",
            hint="give a text with the payment instead",
        )


def state_of(stores: Stores, merchant: int, order: str) -> OrderState:
    """Return the state of an order. The ledger decides, also if a crash left an intent unfinished."""
    check_order(order)
    with reading(stores.engine) as connection:
        row = connection.execute(sqlalchemy.select(ORDERS).where(_of(merchant, order))).one_or_none()
    if row is None:
        return OrderState(order, UNKNOWN)
    state, operation, minor = row.state, row.operation, row.minor
    bound = stores.ledger.result_of(operation)
    if bound is not None:
        state = PAID if bound.result is Result.CREATED else REFUSED
    hold = stores.ledger.find_hold(operation)
    if hold is not None:
        state = _HOLDS.get(hold.state, PAID)
        for each in _posts_of(stores, operation) if state == PAID else ():
            operation, minor, bound = each.operation, each.minor, stores.ledger.result_of(each.operation)
    refunds = sqlalchemy.select(sqlalchemy.func.sum(REFERENCES.c.minor)).where(
        REFERENCES.c.original == operation, REFERENCES.c.state == DONE
    )
    with reading(stores.engine) as connection:
        refunded = int(connection.scalar(refunds) or 0)
    return OrderState(order, state, operation, minor, refunded, bound.time_ns if bound is not None else 0)


def post_of(stores: Stores, operation: int) -> int:
    """Return the POST by which a hold was paid; another operation as it is. Raises UsageError for an unpaid hold."""
    with reading(stores.engine) as connection:
        is_hold = connection.scalar(sqlalchemy.select(HOLDS.c.id).where(HOLDS.c.id == operation)) is not None
    if not is_hold:
        return operation
    for each in _posts_of(stores, operation):
        return int(each.operation)
    raise UsageError(f"hold {ids.format(operation)} paid nothing", hint="only a payment can be refunded")


def _posts_of(stores: Stores, hold: int) -> list[sqlalchemy.Row[Any]]:
    """Return the references of the POSTs of a hold that the ledger has: one at most, because it releases the rest."""
    with reading(stores.engine) as connection:
        rows = connection.execute(sqlalchemy.select(REFERENCES).where(REFERENCES.c.original == hold)).all()
    found = [(row, stores.ledger.result_of(row.operation)) for row in rows]
    return [row for row, bound in found if bound is not None and bound.result is Result.CREATED]


def _of(merchant: int, order: str) -> sqlalchemy.ColumnElement[bool]:
    return (ORDERS.c.merchant == merchant) & (ORDERS.c.order_number == order)


# --- in a transaction ---


def take(
    connection: Connection, ledger: Ledger, merchant: int, order: str, *, reference: int, operation: int, minor: int
) -> None:
    """Mark an order as asked for a payment or a hold. Raises UsageError if it is paid, being paid or held."""
    chosen = _of(merchant, order)
    row = connection.execute(sqlalchemy.select(ORDERS).where(chosen)).one_or_none()
    if row is not None and row.state in (ASKED, PAID):
        hold = ledger.find_hold(row.operation) if row.state == ASKED else None
        held = _HOLDS.get(hold.state, PAID) if hold is not None else ""
        if held not in _FREE:
            words = {HELD: "held: the payee takes or releases it", PAID: "paid already"}
            raise UsageError(
                f"order {order} is {words.get(held or row.state, 'being paid')}",
                hint="`sycee merchant paid` shows the state of an order",
            )
    values = {"reference": reference, "operation": operation, "minor": minor, "state": ASKED}
    if row is None:
        connection.execute(ORDERS.insert().values(merchant=merchant, order_number=order, **values))
    else:
        connection.execute(ORDERS.update().where(chosen).values(values))


def named(merchant: int, order: str) -> dict[str, str]:
    """Return the members of an intent's payload that name its order; none without an order."""
    return {"merchant": ids.format(merchant), "order": order} if order else {}


def set_state(connection: Connection, payload: Mapping[str, Any], reference: int, state: str) -> None:
    """Set the state of the order of a payment or a hold, unless a later payment took the order since."""
    _change(connection, payload, reference, {"state": state})


def pay_by_post(connection: Connection, payload: Mapping[str, Any], held: int, post: int) -> None:
    """Mark the order of a hold as paid by a post. `held`, `post`: their references."""
    _change(connection, payload, held, _newest(connection, post) | {"state": PAID})


def undo_post(connection: Connection, payload: Mapping[str, Any], held: int, post: int) -> None:
    """Let the order of a hold name the hold again: after a restore its post lapsed."""
    query = sqlalchemy.select(REFERENCES.c.state).where(REFERENCES.c.id == held)
    state = connection.scalar(query)
    values = _newest(connection, held) | {"state": state if state in (REFUSED, LAPSED) else ASKED}
    _change(connection, payload, post, values)


def _newest(connection: Connection, reference: int) -> dict[str, Any]:
    """Return the columns by which the row of an order names a payment or a hold."""
    row = connection.execute(sqlalchemy.select(REFERENCES).where(REFERENCES.c.id == reference)).one()
    return {"reference": reference, "operation": row.operation, "minor": row.minor}


def _change(connection: Connection, payload: Mapping[str, Any], reference: int, values: Mapping[str, Any]) -> None:
    if "order" in payload:
        chosen = _of(ids.parse(payload["merchant"]), payload["order"]) & (ORDERS.c.reference == reference)
        connection.execute(ORDERS.update().where(chosen).values(values))
