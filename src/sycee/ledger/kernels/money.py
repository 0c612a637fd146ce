"""TRANSFER, PAY and REFUND."""

from __future__ import annotations

import numpy as np
from numba import njit

from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.lookup import find
from sycee.ledger.kernels.movements import available, left_in, move, move_from_purse, move_to_purse


@njit(forceinline=True)
def _pair(tables, operation):
    """Checks that TRANSFER and PAY share: (code, debit row, credit row)."""
    debit_row = find(tables.account_slots, tables.accounts, operation.debit_low, operation.debit_high)
    if debit_row < 0:
        return c.DEBIT_ACCOUNT_NOT_FOUND, debit_row, debit_row
    credit_row = find(tables.account_slots, tables.accounts, operation.credit_low, operation.credit_high)
    if credit_row < 0:
        return c.CREDIT_ACCOUNT_NOT_FOUND, debit_row, credit_row
    debit = tables.accounts[debit_row]
    credit = tables.accounts[credit_row]
    if debit.currency != credit.currency:
        return c.CURRENCIES_MUST_MATCH, debit_row, credit_row
    if debit.blocks or credit.blocks:
        if debit.blocks & c.BLOCK_CLOSED:
            return c.DEBIT_ACCOUNT_CLOSED, debit_row, credit_row
        if credit.blocks & c.BLOCK_CLOSED:
            return c.CREDIT_ACCOUNT_CLOSED, debit_row, credit_row
        if debit.blocks & c.BLOCK_DEBIT:
            return c.DEBIT_ACCOUNT_BLOCKED, debit_row, credit_row
        if credit.blocks & c.BLOCK_CREDIT:
            return c.CREDIT_ACCOUNT_BLOCKED, debit_row, credit_row
    return c.CREATED, debit_row, credit_row


@njit(forceinline=True)
def transfer(tables, operation, place):
    """Own money from one account to another: one movement."""
    code, debit_row, credit_row = _pair(tables, operation)
    if code != c.CREATED:
        return code
    debit = tables.accounts[debit_row]
    amount = operation.amount
    if debit.debits_posted > c.I64_MAX - amount:
        return c.OVERFLOWS_DEBITS
    if tables.accounts[credit_row].credits_posted > c.I64_MAX - amount:
        return c.OVERFLOWS_CREDITS
    if available(debit) < amount and debit.kind != c.ISSUANCE:
        return c.EXCEEDS_BALANCE
    move(tables, place, c.PURPOSE_TRANSFER, 0, debit_row, credit_row, amount)
    return c.CREATED


@njit(forceinline=True)
def _allows(tables, rule_set, payee):
    """May money under this rule set reach this account? No group named means every payee."""
    rules = tables.rule_sets[rule_set]
    named = False
    for k in range(c.GROUPS_PER_RULE_SET):
        group = np.int64(rules.groups[k])
        if group:
            named = True
            bit = np.int64(payee)
            if (
                bit
                and tables.group_bits[np.int64(tables.group_rows[group]) - 1, bit >> 6] >> np.uint64(bit & 63) & c.ONE
            ):
                return True
    return not named


@njit(forceinline=True)
def pay(tables, operation, place, now_ns):
    """Purses that may pay this payee first, then own money: a movement each."""
    code, debit_row, credit_row = _pair(tables, operation)
    if code != c.CREATED:
        return code
    debit = tables.accounts[debit_row]
    credit = tables.accounts[credit_row]
    amount = operation.amount
    flags = np.int64(operation.flags)
    overflows = debit.debits_posted > c.I64_MAX - amount
    remaining = amount
    legs = 0
    if not flags & c.OWN_ONLY:
        link = np.int64(debit.first_purse)
        while link and remaining > 0:
            purse = tables.purses[link - 1]
            rule_set = np.int64(tables.programmes[purse.programme].rule_set)
            rules = tables.rule_sets[rule_set]
            left = left_in(purse)
            if left > 0 and rules.from_ns <= now_ns < rules.until_ns and _allows(tables, rule_set, credit.payee):
                take = min(left, remaining)
                overflows = overflows or purse.spent > c.I64_MAX - amount
                tables.scratch[0, legs] = link - 1
                tables.scratch[1, legs] = take
                legs += 1
                remaining -= take
            link = np.int64(purse.next_purse)
    if overflows:
        return c.OVERFLOWS_DEBITS
    if credit.credits_posted > c.I64_MAX - amount:
        return c.OVERFLOWS_CREDITS
    if remaining > 0:
        if flags & c.PURSES_ONLY:
            return c.EXCEEDS_BALANCE
        if available(debit) < remaining and debit.kind != c.ISSUANCE:
            return c.EXCEEDS_BALANCE
    for leg in range(legs):
        move_from_purse(
            tables, place, c.PURPOSE_PAY_PURSE, leg, tables.scratch[0, leg], credit_row, tables.scratch[1, leg]
        )
    if remaining > 0:
        move(tables, place, c.PURPOSE_PAY_OWN, legs, debit_row, credit_row, remaining)
    return c.CREATED


@njit
def takes_or_suspense(tables, row, purpose, suspense_purpose):
    """The account itself where it can be credited, else its operator's suspense account; and the purpose to write.

    An ISSUANCE account is its own suspense account: the purpose then still says that it could not be credited.
    """
    account = tables.accounts[row]
    if account.blocks & (c.BLOCK_CLOSED | c.BLOCK_CREDIT):
        return np.int64(account.suspense), suspense_purpose
    return np.int64(row), purpose


@njit
def refund(tables, operation, place, now_ns):
    """Give back a slice of a pay, the way it came."""
    original_row = find(tables.bound_slots, tables.bound, operation.reference_low, operation.reference_high)
    if original_row < 0:
        return c.ORIGINAL_NOT_FOUND
    original = tables.bound[original_row]
    if original.kind != c.KIND_PAY:
        return c.ORIGINAL_IS_NOT_A_PAY
    if original.result != c.CREATED:
        return c.ORIGINAL_WAS_REFUSED
    amount = operation.amount
    oldest = np.int64(original.first_movement)
    newest = oldest + np.int64(original.movements) - 1
    payee_row = np.int64(tables.movements[oldest - 1].credit_row)
    payee = tables.accounts[payee_row]
    if payee.blocks & c.BLOCK_CLOSED:
        return c.DEBIT_ACCOUNT_CLOSED
    if payee.blocks & c.BLOCK_DEBIT:
        return c.DEBIT_ACCOUNT_BLOCKED
    if amount > original.amount - original.refunded:
        return c.EXCEEDS_REFUNDABLE
    if payee.debits_posted > c.I64_MAX - amount:
        return c.OVERFLOWS_DEBITS
    # The legs laid end to end, own money first and then the purses from the last to the first, are the pay's
    # movements read backwards; this refund is the slice [refunded, refunded + amount) of them.
    for doing in range(2):
        start = np.int64(0)
        leg = 0
        for number in range(newest, oldest - 1, -1):
            paid = tables.movements[number - 1]
            part = min(start + paid.amount, original.refunded + amount) - max(start, original.refunded)
            start += paid.amount
            if part <= 0:
                continue
            if paid.purpose == c.PURPOSE_PAY_OWN:
                payer_row = np.int64(paid.debit_row)
                target, purpose = takes_or_suspense(tables, payer_row, c.PURPOSE_REFUND_OWN, c.PURPOSE_REFUND_SUSPENSE)
                if doing:
                    move(tables, place, purpose, leg, payee_row, target, part)
                    leg += 1
                elif tables.accounts[target].credits_posted > c.I64_MAX - amount:
                    return c.OVERFLOWS_CREDITS
            else:
                purse_row = np.int64(paid.debit_row) & ~c.PURSE_BIT
                purse = tables.purses[purse_row]
                rules = tables.rule_sets[tables.programmes[purse.programme].rule_set]
                home = purse.state == c.EXPIRED or now_ns >= rules.until_ns
                target, purpose = takes_or_suspense(
                    tables, np.int64(rules.return_row), c.PURPOSE_RETURN, c.PURPOSE_RETURN_SUSPENSE
                )
                if doing:
                    move_to_purse(tables, place, c.PURPOSE_REFUND_PURSE, leg, payee_row, purse_row, part)
                    leg += 1
                    if home:
                        move_from_purse(tables, place, purpose, leg, purse_row, target, part)
                        leg += 1
                elif purse.refunded > c.I64_MAX - amount or (
                    home and tables.accounts[target].credits_posted > c.I64_MAX - amount
                ):
                    return c.OVERFLOWS_CREDITS
        if not doing and available(payee) < amount and payee.kind != c.ISSUANCE:
            return c.EXCEEDS_BALANCE
    original.refunded += amount
    return c.CREATED
