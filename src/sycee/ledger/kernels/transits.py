"""Transits of money to or from a bank: SEND, CONFIRM, REJECT. Ledger reference, section 8."""

from __future__ import annotations

import numpy as np

from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.inline import njit
from sycee.ledger.kernels.lookup import find, find_bound
from sycee.ledger.kernels.movements import available, move, overflows_credits, overflows_debits
from sycee.ledger.kernels.payments import account_or_suspense
from sycee.ledger.kernels.rules import (
    FITS,
    begin_transit,
    check_credit,
    check_debit,
    check_payee,
    count_usage,
    in_force,
    restore_usage,
)
from sycee.ledger.kernels.undo import touch_account, touch_value


@njit
def _accounts_code(tables, source_row, transit_row, destination_row, now_ns):
    """Return CREATED if money can be sent between these three accounts, else the reason, regardless of the amount."""
    source = tables.accounts[source_row]
    transit_account = tables.accounts[transit_row]
    destination = tables.accounts[destination_row]
    if source.currency != destination.currency or source.currency != transit_account.currency:
        return c.CURRENCIES_MUST_MATCH
    if source.kind == c.ACCOUNT_KIND_IN_TRANSIT or destination.kind == c.ACCOUNT_KIND_IN_TRANSIT:
        return c.ACCOUNT_IS_IN_TRANSIT
    if source.blocks & c.BLOCK_CLOSED:
        return c.DEBIT_ACCOUNT_CLOSED
    if (destination.blocks | transit_account.blocks) & c.BLOCK_CLOSED:
        return c.CREDIT_ACCOUNT_CLOSED
    if source.blocks & c.BLOCK_DEBIT:
        return c.DEBIT_ACCOUNT_BLOCKED
    if (destination.blocks | transit_account.blocks) & c.BLOCK_CREDIT:
        return c.CREDIT_ACCOUNT_BLOCKED
    if destination.rule_set and not in_force(tables.rule_sets, np.int64(destination.rule_set), now_ns):
        return c.RULE_SET_NOT_IN_FORCE
    return check_payee(tables, source_row, destination_row)


@njit
def send(tables, operation, place, now_ns):
    """Apply a SEND: move money to the IN_TRANSIT account and begin a transit. Return the code."""
    source_row = find(tables.account_slots, tables.accounts, operation.debit_low, operation.debit_high)
    if source_row < 0:
        return c.DEBIT_ACCOUNT_NOT_FOUND
    destination_row = find(tables.account_slots, tables.accounts, operation.credit_low, operation.credit_high)
    if destination_row < 0:
        return c.CREDIT_ACCOUNT_NOT_FOUND
    transit_row = find(tables.account_slots, tables.accounts, operation.reference_low, operation.reference_high)
    if transit_row < 0 or tables.accounts[transit_row].kind != c.ACCOUNT_KIND_IN_TRANSIT:
        return c.TRANSIT_ACCOUNT_NOT_FOUND
    code = _accounts_code(tables, source_row, transit_row, destination_row, now_ns)
    if code != c.CREATED:
        return code
    source = tables.accounts[source_row]
    amount = operation.amount
    if operation["flags"] & c.SEND_FLAG_UP_TO and source.kind != c.ACCOUNT_KIND_ISSUANCE:
        reserved = tables.rule_sets[source.rule_set].refund_reserve if source.rule_set else np.int64(0)
        amount = min(amount, available(source) - reserved)
        if amount <= 0:
            return c.EXCEEDS_BALANCE
    if overflows_debits(source, amount):
        return c.OVERFLOWS_DEBITS
    if overflows_credits(tables.accounts[transit_row], amount) or overflows_credits(
        tables.accounts[destination_row], amount
    ):
        return c.OVERFLOWS_CREDITS
    code = check_debit(tables, source_row, amount, True)
    if code != c.CREATED:
        return code
    if check_credit(tables, destination_row, amount, now_ns) != FITS:
        return c.EXCEEDS_BALANCE_LIMIT
    move(tables, place, c.PURPOSE_SEND, 0, source_row, transit_row, amount)
    counted = count_usage(tables, source_row, amount)
    begin_transit(tables, source_row, transit_row, destination_row, amount, counted)
    return c.CREATED


@njit
def _transit_of(tables, low, high):
    """Return the row of the transit that this operation began, or -1. Transits are in the order of their operations."""
    bound_row = find_bound(tables, low, high)
    least = np.int64(0)
    most = tables.counters[c.TRANSITS]
    if bound_row < 0:
        return np.int64(-1)
    while least < most:
        middle = (least + most) >> 1
        if np.int64(tables.transits[middle].bound) < bound_row:
            least = middle + 1
        else:
            most = middle
    if least < tables.counters[c.TRANSITS] and np.int64(tables.transits[least].bound) == bound_row:
        return least
    return np.int64(-1)


@njit
def confirm_or_reject(tables, operation, place, confirmed):
    """Apply a CONFIRM (pay the destination) or a REJECT (pay the source, regardless of its limits). Return the code."""
    row = _transit_of(tables, operation.reference_low, operation.reference_high)
    if row < 0:
        return c.TRANSIT_NOT_FOUND
    transit = tables.transits[row]
    if transit.state != c.TRANSIT_STATE_OPEN:
        return c.TRANSIT_DONE
    amount = transit.amount
    transit_row = np.int64(transit.through)
    destination_row = np.int64(transit.destination)
    source_row = np.int64(transit.source)
    if confirmed:
        target, purpose = account_or_suspense(tables, destination_row, c.PURPOSE_CONFIRM, c.PURPOSE_CONFIRM_SUSPENSE)
    else:
        target, purpose = account_or_suspense(tables, source_row, c.PURPOSE_REJECT, c.PURPOSE_REJECT_SUSPENSE)
    if overflows_debits(tables.accounts[transit_row], amount):
        return c.OVERFLOWS_DEBITS
    # The destination's pending credits include this amount since the transit began.
    if target != destination_row and overflows_credits(tables.accounts[target], amount):
        return c.OVERFLOWS_CREDITS
    touch_account(tables, destination_row)
    tables.accounts[destination_row].credits_pending -= amount
    move(tables, place, purpose, 0, transit_row, target, amount)
    if not confirmed and transit.counted:
        touch_account(tables, source_row)
        restore_usage(tables.accounts, source_row, amount, transit.day, transit.month, transit.year)
    touch_value(tables, c.VALUE_TRANSIT, row, np.int64(transit.state))
    transit.state = c.TRANSIT_STATE_CONFIRMED if confirmed else c.TRANSIT_STATE_REJECTED
    return c.CREATED
