"""Movements of money between rows. The callers have checked everything."""

from __future__ import annotations

from numba import njit

from sycee.ledger.kernels import constants as c


@njit
def available(account):
    """What may be taken from an account."""
    return account.credits_posted - account.debits_posted - account.debits_pending


@njit
def left_in(purse):
    """What is left in a purse."""
    return purse.dropped - purse.spent + purse.refunded - purse.returned - purse.pending


@njit
def move(tables, place, purpose, leg, debit_row, credit_row, amount):
    """One movement between accounts. The caller has checked everything."""
    debit = tables.accounts[debit_row]
    credit = tables.accounts[credit_row]
    number = tables.counters[c.MOVEMENTS] + 1
    movement = tables.movements[number - 1]
    debit.debits_posted += amount
    credit.credits_posted += amount
    movement.debit_row = debit_row
    movement.credit_row = credit_row
    movement.amount = amount
    movement.debit_balance = debit.credits_posted - debit.debits_posted
    movement.credit_balance = credit.credits_posted - credit.debits_posted
    movement.debit_previous = debit.last_movement
    movement.credit_previous = credit.last_movement
    movement.place = place
    movement.purpose = purpose
    movement.leg = min(leg, 65_535)
    movement.reserved = 0
    debit.last_movement = number
    credit.last_movement = number
    tables.counters[c.MOVEMENTS] = number


@njit
def move_to_purse(tables, place, purpose, leg, debit_row, purse_row, amount):
    """Account to purse: a drop, or a refund on its way back."""
    debit = tables.accounts[debit_row]
    purse = tables.purses[purse_row]
    number = tables.counters[c.MOVEMENTS] + 1
    movement = tables.movements[number - 1]
    debit.debits_posted += amount
    if purpose == c.PURPOSE_DROP:
        purse.dropped += amount
    else:
        purse.refunded += amount
    movement.debit_row = debit_row
    movement.credit_row = purse_row | c.PURSE_BIT
    movement.amount = amount
    movement.debit_balance = debit.credits_posted - debit.debits_posted
    movement.credit_balance = left_in(purse)
    movement.debit_previous = debit.last_movement
    movement.credit_previous = purse.last_movement
    movement.place = place
    movement.purpose = purpose
    movement.leg = min(leg, 65_535)
    movement.reserved = 0
    debit.last_movement = number
    purse.last_movement = number
    tables.counters[c.MOVEMENTS] = number


@njit
def move_from_purse(tables, place, purpose, leg, purse_row, credit_row, amount):
    """Purse to account: a payment, or what is left going home."""
    purse = tables.purses[purse_row]
    credit = tables.accounts[credit_row]
    number = tables.counters[c.MOVEMENTS] + 1
    movement = tables.movements[number - 1]
    if purpose == c.PURPOSE_PAY_PURSE:
        purse.spent += amount
    else:
        purse.returned += amount
    credit.credits_posted += amount
    movement.debit_row = purse_row | c.PURSE_BIT
    movement.credit_row = credit_row
    movement.amount = amount
    movement.debit_balance = left_in(purse)
    movement.credit_balance = credit.credits_posted - credit.debits_posted
    movement.debit_previous = purse.last_movement
    movement.credit_previous = credit.last_movement
    movement.place = place
    movement.purpose = purpose
    movement.leg = min(leg, 65_535)
    movement.reserved = 0
    purse.last_movement = number
    credit.last_movement = number
    tables.counters[c.MOVEMENTS] = number
