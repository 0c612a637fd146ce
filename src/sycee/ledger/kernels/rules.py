"""Checks of rule sets: payees, limits of debits and credits, waterfalls. Ledger reference, section 4.

`check_payee`, `check_debit`, `count_usage` and `check_credit` accept any account, and pass one without a rule set;
callers of the others skip such an account. Where possible the functions receive the few arrays that they read, since
a call that is not inlined copies its arguments.
"""

from __future__ import annotations

import numpy as np

from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.inline import njit
from sycee.ledger.kernels.movements import available, move, overflows_credits, overflows_debits
from sycee.ledger.kernels.undo import touch_account

FITS = 0
NEEDS_WATERFALL = 1


@njit(forceinline=True)
def in_force(rule_sets, rule_set, now_ns):
    """Return whether the rule set is in force now."""
    return rule_sets[rule_set].from_ns <= now_ns < rule_sets[rule_set].until_ns


@njit
def payee_code(rule_sets, group_rows, group_bits, rule_set, payee, payee_kind):
    """Return CREATED if money under the rule set may be paid to this payee, else the reason.

    payee: its number among payees. A rule set that names no group allows every payee.
    """
    rules = rule_sets[rule_set]
    named = False
    member = False
    for k in range(c.GROUPS_PER_RULE_SET):
        group = np.int64(rules.groups[k])
        if group:
            named = True
            bit = np.int64(payee)
            if bit and group_bits[np.int64(group_rows[group]) - 1, bit >> 6] >> np.uint64(bit & 63) & c.ONE:
                member = True
    if named and not member:
        return c.PAYEE_NOT_ALLOWED
    flags = np.int64(rules["flags"])
    if flags & c.RULE_FLAG_NO_PERSONS and payee_kind == c.ACCOUNT_KIND_WALLET:
        return c.PERSONS_NOT_ALLOWED
    is_cash_out = payee_kind == c.ACCOUNT_KIND_VAULT or payee_kind == c.ACCOUNT_KIND_RESERVE
    if flags & c.RULE_FLAG_NO_CASH_OUT and is_cash_out:
        return c.CASH_OUT_NOT_ALLOWED
    return c.CREATED


@njit(forceinline=True)
def check_payee(tables, row, payee_row):
    """Return CREATED if the account's own money may be paid to this payee, else the reason."""
    rule_set = np.int64(tables.accounts[row].rule_set)
    if rule_set == 0:
        return c.CREATED
    payee = tables.accounts[payee_row]
    return payee_code(
        tables.rule_sets, tables.group_rows, tables.group_bits, rule_set, np.int64(payee.payee), np.int64(payee.kind)
    )


@njit(forceinline=True)
def is_final(tables, row):
    """Return 1 if a TRANSFER to this account cannot be reversed, else 0."""
    rule_set = np.int64(tables.accounts[row].rule_set)
    if rule_set and np.int64(tables.rule_sets[rule_set]["flags"]) & c.RULE_FLAG_FINAL:
        return np.int64(1)
    return np.int64(0)


@njit
def _check_limits(accounts, rule_sets, calendar, row, amount, single):
    """Return the part of `check_debit` that concerns the rule set."""
    account = accounts[row]
    rules = rule_sets[account.rule_set]
    if account.kind != c.ACCOUNT_KIND_ISSUANCE and available(account) - amount < rules.refund_reserve:
        return c.RESERVED_FOR_REFUNDS
    if single and rules.single_max and amount > rules.single_max:
        return c.EXCEEDS_SINGLE_LIMIT
    today = calendar[account.currency]
    # Usage of an earlier period no longer counts. An earlier date starts no new period.
    if rules.day_max:
        used = account.day_used if today.day <= account.day else np.int64(0)
        if used > rules.day_max - amount:
            return c.EXCEEDS_DAY_LIMIT
    if rules.month_max:
        used = account.month_used if today.month <= account.month else np.int64(0)
        if used > rules.month_max - amount:
            return c.EXCEEDS_MONTH_LIMIT
    if rules.year_max:
        used = account.year_used if today.year <= account.year else np.int64(0)
        if used > rules.year_max - amount:
            return c.EXCEEDS_YEAR_LIMIT
    return c.CREATED


@njit(forceinline=True)
def check_debit(tables, row, amount, single):
    """Return CREATED if the account can give this much of its own money, else the reason.

    single: whether the limit per operation applies.
    """
    account = tables.accounts[row]
    if available(account) < amount and account.kind != c.ACCOUNT_KIND_ISSUANCE:
        return c.EXCEEDS_BALANCE
    if account.rule_set == 0:
        return c.CREATED
    return _check_limits(tables.accounts, tables.rule_sets, tables.calendar, row, amount, single)


@njit
def _add_usage(accounts, calendar, row, amount):
    account = accounts[row]
    today = calendar[account.currency]
    if today.day > account.day:
        account.day = today.day
        account.day_used = 0
    if today.month > account.month:
        account.month = today.month
        account.month_used = 0
    if today.year > account.year:
        account.year = today.year
        account.year_used = 0
    account.day_used += amount
    account.month_used += amount
    account.year_used += amount


@njit(forceinline=True)
def count_usage(tables, row, amount):
    """Count a debit against the account's limits. Return whether the account has a rule set."""
    if tables.accounts[row].rule_set == 0:
        return False
    touch_account(tables, row)
    _add_usage(tables.accounts, tables.calendar, row, amount)
    return True


@njit
def restore_usage(accounts, row, amount, day, month, year):
    """Subtract from the usage an amount that was counted in these periods but not paid; ended periods are ignored."""
    account = accounts[row]
    if account.day == day:
        account.day_used -= amount
    if account.month == month:
        account.month_used -= amount
    if account.year == year:
        account.year_used -= amount


@njit
def _excess(accounts, rule_sets, row):
    """Return balance and credits pending minus the account's `balance_max`; negative if they are below it."""
    account = accounts[row]
    return (
        account.credits_posted
        - account.debits_posted
        + account.credits_pending
        - rule_sets[account.rule_set].balance_max
    )


@njit
def _fits_balance_max(accounts, rule_sets, row, amount):
    return rule_sets[accounts[row].rule_set].balance_max == 0 or _excess(accounts, rule_sets, row) <= -amount


@njit
def _waterfall_is_possible(tables, row, amount, now_ns):
    """Return whether the excess of this amount could be sent to the linked bank account."""
    accounts = tables.accounts
    account = accounts[row]
    if account.link == 0 or overflows_debits(account, amount):
        return False
    transit_account = accounts[np.int64(account.link) - 1]
    if (
        transit_account.blocks & (c.BLOCK_CLOSED | c.BLOCK_CREDIT)
        or transit_account.link == 0
        or overflows_credits(transit_account, amount)
    ):
        return False
    destination_row = np.int64(transit_account.link) - 1
    destination = accounts[destination_row]
    if destination_row == row or destination.blocks & (c.BLOCK_CLOSED | c.BLOCK_CREDIT):
        return False
    if overflows_credits(destination, amount) or check_payee(tables, row, destination_row) != c.CREATED:
        return False
    if destination.rule_set == 0:
        return True
    excess = min(amount, _excess(accounts, tables.rule_sets, row) + amount)
    return in_force(tables.rule_sets, np.int64(destination.rule_set), now_ns) and _fits_balance_max(
        accounts, tables.rule_sets, destination_row, excess
    )


@njit(forceinline=True)
def check_credit(tables, row, amount, now_ns):
    """Return FITS, NEEDS_WATERFALL, or the code EXCEEDS_BALANCE_LIMIT."""
    if tables.accounts[row].rule_set == 0 or _fits_balance_max(tables.accounts, tables.rule_sets, row, amount):
        return FITS
    if _waterfall_is_possible(tables, row, amount, now_ns):
        return NEEDS_WATERFALL
    return c.EXCEEDS_BALANCE_LIMIT


@njit
def begin_transit(tables, source, transit_row, destination, amount, counted):
    """Record money in transit, in the IN_TRANSIT account `transit_row`.

    The operation that sends it is the next one to be bound.
    """
    number = tables.counters[c.TRANSITS]
    transit = tables.transits[number]
    account = tables.accounts[source]
    transit.bound = tables.counters[c.BOUND]
    transit.source = source
    transit.through = transit_row
    transit.destination = destination
    transit.amount = amount
    transit.day = account.day if counted else 0
    transit.month = account.month if counted else 0
    transit.year = account.year if counted else 0
    transit.state = c.TRANSIT_STATE_OPEN
    transit.counted = 1 if counted else 0
    tables.counters[c.TRANSITS] = number + 1
    touch_account(tables, destination)
    tables.accounts[destination].credits_pending += amount


@njit
def send_excess(tables, place, leg, row, received):
    """Make the waterfall: send what an account received above its `balance_max` to the linked bank account."""
    excess = min(received, _excess(tables.accounts, tables.rule_sets, row))
    if excess <= 0:
        return
    transit_row = np.int64(tables.accounts[row].link) - 1
    move(tables, place, c.PURPOSE_WATERFALL, leg, row, transit_row, excess)
    begin_transit(tables, row, transit_row, np.int64(tables.accounts[transit_row].link) - 1, excess, False)
