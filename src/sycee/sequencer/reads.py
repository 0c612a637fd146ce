"""Reads of a ledger: reads by id, which share one pass between two frames, and functions over the whole state.

A `Read` has requests and the function that decodes their results, so that `Ledger` and `AsyncLedger` share it:

    read = reads.account(ann)
    account = read.decode(sequencer.read(read.requests))

Use a `Read` to find something by its id: the kernel of `ledger/queries.py` serves all waiting reads in one pass of at
most a few milliseconds. Use `Sequencer.reading` for what that kernel cannot find, such as all accounts of a kind, a
supply or a digest: it stops the writer while its block runs, so a long block delays every payment.
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
from sycee.core.records import layout
from sycee.core.records.layout import AccountKind, Kind, Purpose
from sycee.core.result_codes import Result
from sycee.ledger import queries
from sycee.ledger.models import Account, Hold, Purse, Transit
from sycee.ledger.queries import Answers, Page
from sycee.ledger.state import LedgerState

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a statement. Amounts in minor units: positive for money received, negative for money paid."""

    time_ns: int
    purpose: Purpose
    amount: int
    balance: int  # after this line
    counterparty: int  # account id; 0 for a purse
    operation: int  # id of the operation that made the movement


@dataclass(frozen=True, slots=True)
class Bound:
    """The permanent outcome of an operation's id."""

    id: int
    kind: Kind
    result: Result  # of the first submission
    time_ns: int  # of the frame that decided the operation


class Read(NamedTuple, Generic[Value]):
    """One read: its requests, and a function that returns the value from the results of those requests."""

    requests: Array  # (n,) queries.READ
    decode: Callable[[Answers], Value]


# --- reads by id ---


def account(account: AnyId) -> Read[Account]:
    """Read an account. Decoding raises UsageError if it does not exist."""
    number = check_id("account", account)
    return Read(queries.accounts([number]), lambda answers: _existing(answers.account(0), number))


def balance(account: AnyId) -> Read[int]:
    """Read an account's balance in minor units. Decoding raises UsageError if the account does not exist."""
    number = check_id("account", account)
    return Read(queries.accounts([number]), lambda answers: _existing(answers.balance(0), number))


def statement_page(account: AnyId, *, lines: int, cursor: int) -> Read[Page]:
    """Read one page of a statement. Decoding raises UsageError if the account or the cursor does not exist."""
    number = check_id("account", account)
    requests = queries.statement(number, lines=lines, cursor=cursor)
    return Read(requests, lambda answers: _existing(answers.page(0), number))


def purse(programme: int, member: int) -> Read[Purse | None]:
    """Read a member's purse of a programme, None if there is no such purse."""
    programme, member = (
        check_integer(name, value, -I64_MAX, I64_MAX) for name, value in (("programme", programme), ("member", member))
    )
    if not (0 <= programme < 1 << 32 and member >= 0):
        return Read(queries.purses([]), lambda _: None)
    return Read(queries.purses([(programme, member)]), lambda answers: answers.purse(0))


def hold(hold: AnyId) -> Read[Hold | None]:
    """Read the hold that an operation created, None if there is none."""
    return Read(queries.holds([check_id("hold", hold)]), lambda answers: answers.hold(0))


def operation(id: AnyId) -> Read[Bound | None]:
    """Read the first result of an operation's id, None if the id is not bound."""
    number = check_id("id", id)

    def decode(answers: Answers) -> Bound | None:
        found = answers.operation(0)
        return found and Bound(id=number, kind=found.kind, result=found.result, time_ns=found.time_ns)

    return Read(queries.operations([number]), decode)


def unrecovered(reversal: AnyId) -> Read[int]:
    """Read the claim of a reverse in minor units. Decoding raises UsageError if the id is not a reverse's."""
    number = check_id("reversal", reversal)

    def decode(answers: Answers) -> int:
        found = answers.operation(0)
        if found is None or found.kind is not Kind.REVERSE or found.result is not Result.CREATED:
            raise UsageError(
                f"the id {ids.format(number)} is not bound to a reverse that was CREATED",
                hint="give the reverse's own id, not its original's; result_of returns the first result of an id",
            )
        return int(found.record["detail"])

    return Read(queries.operations([number]), decode)


# --- functions over the whole state, between two frames ---


def accounts(state: LedgerState, currency: str | None, kind: AccountKind | None, operator: int | None) -> list[Account]:
    """Return the accounts of a currency, a kind and an operator, None for any, in order of opening. O(accounts)."""
    rows = state.accounts
    chosen = np.ones(rows.size, np.bool_)
    if currency is not None:
        chosen &= rows["currency"] == defined_currency(state, currency)
    if kind is not None:
        chosen &= rows["kind"] == account_kind(kind)
    if operator is not None:
        chosen &= rows["operator"] == check_integer("operator", operator, high=2**32 - 1)
    found = [state.account_id(row) for row in np.flatnonzero(chosen).tolist()]
    return [_existing(state.account(id), id) for id in found]


def issuance(state: LedgerState, currency: str) -> int:
    """Return the id of the currency's issuance account. Raises UsageError if none is open."""
    row = int(state.tables.issuance[defined_currency(state, currency)]) - 1
    if row < 0:
        raise UsageError(
            f"{currency} has no issuance account", hint="open one with open_account and AccountKind.ISSUANCE"
        )
    return state.account_id(row)


def supply(state: LedgerState, currency: str) -> int:
    """Return the debit balance of the currency's issuance account, 0 before it is open."""
    return state.supply(defined_currency(state, currency))


def statement(state: LedgerState, account: AnyId, *, newest: int | None = None) -> list[Line]:
    """Return an account's movements, oldest first; with `newest`, only the latest ones. O(lines)."""
    number = check_id("account", account)
    if newest is not None:
        newest = check_integer("newest", newest)
    _existing(state.account(number), number)
    row = state.row(number)
    return [_line(state, row, movement) for movement in reversed(state.movement_numbers(row, newest=newest))]


def transit(state: LedgerState, sent: AnyId) -> Transit | None:
    """Return the money in transit of a send or waterfall, None if there is none."""
    return state.transit_of(check_id("sent", sent))


def currency_of_operation(state: LedgerState, id: AnyId) -> int:
    """Return the number of the currency that an operation moved or held. Raises UsageError if it did neither."""
    number = check_id("id", id)
    hold, bound = state.hold(number), state.bound_of(number)
    if hold is not None:
        return int(state.accounts["currency"][state.row(hold.payer)])
    if bound is not None and bound["first_movement"]:
        movement = state.movements[int(bound["first_movement"]) - 1]
        # At most one side is a purse.
        row = int(min(movement["debit_row"], movement["credit_row"]))
        return int(state.accounts["currency"][row])
    raise UsageError(
        f"no operation {ids.format(number)} moved or held money, so the currency of a text amount is unknown",
        hint="give the amount as an integer of minor units, or the id of the payment or hold",
    )


# --- arguments ---


def currency_number(currency: str) -> int:
    """Return the ISO 4217 number of a currency code. Raises UsageError for an unknown code."""
    if not isinstance(currency, str):
        raise UsageError(
            f"{short_repr(currency)} is no currency code", hint='give three letters, such as "CNY" or "EUR"'
        )
    return money.currency(currency).numeric


def account_kind(kind: AccountKind) -> AccountKind:
    """Return `kind`. Raises UsageError unless it is an AccountKind."""
    if not isinstance(kind, AccountKind):
        raise UsageError(
            f"{short_repr(kind)} is no AccountKind",
            hint=f"use {', '.join(f'AccountKind.{each.name}' for each in AccountKind)}",
        )
    return kind


def defined_currency(state: LedgerState, currency: str) -> int:
    """Return the number of a currency code. Raises UsageError unless the currency is defined in this ledger."""
    number = currency_number(currency)
    if number not in state.zones:
        defined = ", ".join(money.currency(number).code for number in state.zones) or "none"
        raise UsageError(
            f"currency {currency} is not defined in this ledger; defined are: {defined}",
            hint=f'call define_currency("{currency}", zone=...) first',
        )
    return number


def no_account(account: int) -> UsageError:
    """Return the error for an account that does not exist."""
    return UsageError(f"no account {ids.format(account)}", hint="use an id that open_account returned")


def _existing(found: Value | None, account: int) -> Value:
    if found is None:
        raise no_account(account)
    return found


def _line(state: LedgerState, row: int, number: int) -> Line:
    movement = state.movements[number - 1]
    amount = int(movement["amount"])
    went_out = int(movement["debit_row"]) == row
    other = int(movement["credit_row" if went_out else "debit_row"])
    place = int(movement["place"])
    # Bound operations are sorted by place, so bisection finds the operation of a movement.
    bound = state.bound[int(np.searchsorted(state.bound["place"], movement["place"]))]
    return Line(
        time_ns=int(state.frame_times[place >> PLACE_INDEX_BITS]),
        purpose=Purpose(int(movement["purpose"])),
        # A refund to a closed payer goes from a suspense account to itself: debit and credit cancel out.
        amount=0 if other == row else -amount if went_out else amount,
        balance=int(movement["debit_balance" if went_out else "credit_balance"]),
        counterparty=0 if other & layout.PURSE_BIT else state.account_id(other),
        operation=ids.of_record(bound, "id"),
    )
