"""Reads of a ledger: queries, which share one pass between two frames, and functions over the whole state.

A `Query` is a request and the function that decodes its answer, so that `Ledger` and `AsyncLedger` ask the same:

    query = reads.account(ann)
    account = query.decode(sequencer.read(query.requests))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from sycee.core import ids, money
from sycee.core.arguments import check_id, check_integer, short_repr
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.ids import AnyId
from sycee.core.limits import I64_MAX, PLACE_INDEX_BITS
from sycee.core.result_codes import Result
from sycee.ledger import layout, queries
from sycee.ledger.entities import Account, Hold, Purse
from sycee.ledger.layout import AccountKind, Kind, Purpose
from sycee.ledger.queries import Answers, Page
from sycee.ledger.state import LedgerState

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a statement. Amounts in minor units: positive came in, negative went out."""

    time_ns: int
    purpose: Purpose
    amount: int
    balance: int  # after it
    counterparty: int  # account id; 0 where the other side is a purse
    operation: int  # id of the operation that made it


@dataclass(frozen=True, slots=True)
class Bound:
    """What an operation's id is bound to, for the life of the ledger."""

    id: int
    kind: Kind
    result: Result  # the first, however often the operation was sent again
    time_ns: int  # of the frame in which it was judged


class Query(NamedTuple, Generic[Found]):
    """One read: its request, and the function that makes a value of the answers to that request alone."""

    requests: Array  # (n,) reading.READ
    decode: Callable[[Answers], Found]


# --- queries ---


def account(account: AnyId) -> Query[Account]:
    """Query an account; the value raises UsageError where there is none."""
    number = check_id("account", account)
    return Query(queries.accounts([number]), lambda answers: _existing(answers.account(0), number))


def balance(account: AnyId) -> Query[int]:
    """Query an account's balance in minor units; the value raises UsageError where there is no such account."""
    number = check_id("account", account)
    return Query(queries.accounts([number]), lambda answers: _existing(answers.balance(0), number))


def statement_page(account: AnyId, *, lines: int, cursor: int) -> Query[Page]:
    """Query one page of a statement; the value raises UsageError where there is no such account or cursor."""
    number = check_id("account", account)
    requests = queries.statement(number, lines=lines, cursor=cursor)
    return Query(requests, lambda answers: _existing(answers.page(0), number))


def purse(programme: int, member: int) -> Query[Purse | None]:
    """Query what a member holds of a programme, None where there is no such purse."""
    programme, member = (
        check_integer(name, value, -I64_MAX, I64_MAX) for name, value in (("programme", programme), ("member", member))
    )
    if not (0 <= programme < 1 << 32 and member >= 0):
        return Query(queries.purses([]), lambda _: None)
    return Query(queries.purses([(programme, member)]), lambda answers: answers.purse(0))


def hold(hold: AnyId) -> Query[Hold | None]:
    """Query what an operation holds, None where it made no hold."""
    return Query(queries.holds([check_id("hold", hold)]), lambda answers: answers.hold(0))


def operation(id: AnyId) -> Query[Bound | None]:
    """Query what an operation's id is bound to, None where nothing is."""
    number = check_id("id", id)

    def decode(answers: Answers) -> Bound | None:
        found = answers.operation(0)
        return found and Bound(id=number, kind=found.kind, result=found.result, time_ns=found.time_ns)

    return Query(queries.operations([number]), decode)


def missing(reversal: AnyId) -> Query[int]:
    """Query the claim that a reverse left, in minor units; the value raises UsageError where no reverse was done."""
    number = check_id("reversal", reversal)

    def decode(answers: Answers) -> int:
        found = answers.operation(0)
        if found is None or found.kind is not Kind.REVERSE or found.result is not Result.CREATED:
            raise UsageError(
                f"no reverse was done under the id {number:#034x}",
                hint="name the reverse's own id, not its original's; result_of finds what an id is bound to",
            )
        return int(found.record["detail"])

    return Query(queries.operations([number]), decode)


# --- functions over the whole state, between two frames ---


def accounts(state: LedgerState, filters: dict[str, int | None], currency: str | None) -> list[Account]:
    """Return the accounts whose fields have the `filters` values, None for any, in order of opening. O(accounts)."""
    if currency is not None:
        check_defined(state, currency)
    rows = state.accounts
    chosen = np.ones(rows.size, np.bool_)
    for field, value in filters.items():
        if value is not None:
            chosen &= rows[field] == value
    ids = [state.account_id(row) for row in np.flatnonzero(chosen).tolist()]
    return [_existing(state.account(id), id) for id in ids]


def issuance(state: LedgerState, currency: str) -> int:
    """Return the id of the currency's issuance account. Raises UsageError where none is open."""
    check_defined(state, currency)
    row = int(state.tables.issuance[currency_number(currency)]) - 1
    if row < 0:
        raise UsageError(
            f"{currency} has no issuance account", hint="open_account opens one of kind AccountKind.ISSUANCE"
        )
    return state.account_id(row)


def supply(state: LedgerState, currency: str) -> int:
    """Return the debit balance of the currency's issuance account, 0 before it is open."""
    check_defined(state, currency)
    return state.supply(currency_number(currency))


def statement(state: LedgerState, account: int, *, newest: int | None = None) -> list[Line]:
    """Return an account's movements, oldest first; with `newest` only that many of the latest. O(lines)."""
    _existing(state.account(account), account)
    row = state.row(account)
    return [_line(state, row, movement) for movement in reversed(state.movement_numbers(row, newest=newest))]


def currency_of_operation(state: LedgerState, id: AnyId) -> int:
    """Return the number of the currency that an operation moved or held. Raises UsageError where it did neither."""
    number = check_id("id", id)
    hold, bound = state.hold(number), state.bound_of(number)
    if hold is not None:
        return int(state.accounts["currency"][state.row(hold.payer)])
    if bound is not None and bound["first_movement"]:
        movement = state.movements[int(bound["first_movement"]) - 1]
        # One side may be a purse, but never both.
        row = int(min(movement["debit_row"], movement["credit_row"]))
        return int(state.accounts["currency"][row])
    raise UsageError(
        f"no operation {number:#034x} moved or held money, so that a text is no amount of it",
        hint="give the amount as an integer of minor units, or the id of the payment or hold",
    )


# --- arguments ---


def currency_number(currency: str) -> int:
    """Return the ISO 4217 number of a currency's code. Raises UsageError where there is no such code."""
    if not isinstance(currency, str):
        raise UsageError(
            f"{short_repr(currency)} is no currency code", hint='codes are three letters, such as "CNY" or "EUR"'
        )
    return money.currency(currency).numeric


def account_kind(kind: AccountKind) -> AccountKind:
    """Return `kind`. Raises UsageError where it is no AccountKind."""
    if not isinstance(kind, AccountKind):
        raise UsageError(
            f"{short_repr(kind)} is no AccountKind",
            hint=f"use {', '.join(f'AccountKind.{each.name}' for each in AccountKind)}",
        )
    return kind


def check_defined(state: LedgerState, currency: str) -> None:
    """Raise UsageError where the ledger does not keep this currency."""
    if currency_number(currency) not in state.zones:
        kept = ", ".join(money.currency(number).code for number in state.zones) or "none"
        raise UsageError(
            f"this ledger does not keep {currency}; its currencies: {kept}",
            hint=f'define_currency("{currency}", zone=...) comes first',
        )


def no_account(account: int) -> UsageError:
    """Return the error for an account that does not exist."""
    return UsageError(f"no account {account:#034x}", hint="ids come from open_account")


def _existing(found: Found | None, account: int) -> Found:
    if found is None:
        raise no_account(account)
    return found


def _line(state: LedgerState, row: int, number: int) -> Line:
    movement = state.movements[number - 1]
    amount = int(movement["amount"])
    went_out = int(movement["debit_row"]) == row
    other = int(movement["credit_row" if went_out else "debit_row"])
    place = int(movement["place"])
    # Bound operations stand in order of place, so a movement finds its own by bisection.
    bound = state.bound[int(np.searchsorted(state.bound["place"], movement["place"]))]
    return Line(
        time_ns=int(state.frame_times[place >> PLACE_INDEX_BITS]),
        purpose=Purpose(int(movement["purpose"])),
        # A suspense account that gives back what a closed payer cannot take keeps it: in and out, so nothing.
        amount=0 if other == row else -amount if went_out else amount,
        balance=int(movement["debit_balance" if went_out else "credit_balance"]),
        counterparty=0 if other & layout.PURSE_BIT else state.account_id(other),
        operation=ids.of_record(bound, "id"),
    )
