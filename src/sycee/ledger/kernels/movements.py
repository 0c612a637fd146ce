"""Movements of money between rows. The callers have made all checks."""

from __future__ import annotations

from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.inline import njit
from sycee.ledger.kernels.undo import touch_account, touch_purse


@njit(forceinline=True)
def available(account):
    """Return how much the account can give: its balance without what is held."""
    return account.credits_posted - account.debits_posted - account.debits_pending


@njit(forceinline=True)
def overflows_debits(account, amount):
    """Return whether debits posted, debits pending and `amount` together exceed I64_MAX."""
    return account.debits_posted + account.debits_pending > c.I64_MAX - amount


@njit(forceinline=True)
def overflows_credits(account, amount):
    """Return whether credits posted, credits pending and `amount` together exceed I64_MAX."""
    return account.credits_posted + account.credits_pending > c.I64_MAX - amount


@njit(forceinline=True)
def left_in(purse):
    """Return the amount left in a purse, without what is held."""
    return purse.dropped - purse.spent + purse.refunded - purse.returned - purse.pending


@njit(forceinline=True)
def _append(tables, place, purpose, leg, debit_row, credit_row, amount, debit, credit, balances):
    """Write the movement and link it as the newest of both rows. `balances`: of both rows, after it."""
    number = tables.counters[c.MOVEMENTS] + 1
    movement = tables.movements[number - 1]
    movement.debit_row = debit_row
    movement.credit_row = credit_row
    movement.amount = amount
    movement.debit_balance = balances[0]
    movement.credit_balance = balances[1]
    movement.debit_previous = debit.last_movement
    movement.credit_previous = credit.last_movement
    movement.place = place
    movement.purpose = purpose
    movement.leg = min(leg, 65_535)
    movement.reserved = 0
    debit.last_movement = number
    credit.last_movement = number
    tables.counters[c.MOVEMENTS] = number


@njit(forceinline=True)
def move(tables, place, purpose, leg, debit_row, credit_row, amount):
    """Move money from one account to another."""
    touch_account(tables, debit_row)
    touch_account(tables, credit_row)
    debit = tables.accounts[debit_row]
    credit = tables.accounts[credit_row]
    debit.debits_posted += amount
    credit.credits_posted += amount
    balances = (debit.credits_posted - debit.debits_posted, credit.credits_posted - credit.debits_posted)
    _append(tables, place, purpose, leg, debit_row, credit_row, amount, debit, credit, balances)


@njit(forceinline=True)
def move_to_purse(tables, place, purpose, leg, debit_row, purse_row, amount):
    """Move money from an account to a purse: a drop or a refund."""
    touch_account(tables, debit_row)
    touch_purse(tables, purse_row)
    debit = tables.accounts[debit_row]
    purse = tables.purses[purse_row]
    debit.debits_posted += amount
    if purpose == c.PURPOSE_DROP:
        purse.dropped += amount
    else:
        purse.refunded += amount
    balances = (debit.credits_posted - debit.debits_posted, left_in(purse))
    _append(tables, place, purpose, leg, debit_row, purse_row | c.PURSE_BIT, amount, debit, purse, balances)


@njit(forceinline=True)
def move_from_purse(tables, place, purpose, leg, purse_row, credit_row, amount):
    """Move money from a purse to an account: a payment or a return."""
    touch_purse(tables, purse_row)
    touch_account(tables, credit_row)
    purse = tables.purses[purse_row]
    credit = tables.accounts[credit_row]
    if purpose == c.PURPOSE_PAY_PURSE:
        purse.spent += amount
    else:
        purse.returned += amount
    credit.credits_posted += amount
    balances = (left_in(purse), credit.credits_posted - credit.debits_posted)
    _append(tables, place, purpose, leg, purse_row | c.PURSE_BIT, credit_row, amount, purse, credit, balances)
