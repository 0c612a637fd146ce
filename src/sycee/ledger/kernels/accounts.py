"""Accounts and payee groups: open, block, close, join, leave."""

from __future__ import annotations

import numpy as np
from numba import njit

from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.lookup import find, insert


@njit
def open_account(tables, operation):
    """A new account, row given in order of opening."""
    currency = np.int64(operation.number)
    kind = np.int64(operation.first)
    if tables.issuance[currency] == 0:
        return c.CURRENCY_NOT_FOUND
    if operation.rule_set and (
        operation.rule_set >= tables.rule_sets.size or not tables.rule_sets[operation.rule_set].defined
    ):
        return c.RULE_SET_NOT_FOUND
    if find(tables.account_slots, tables.accounts, operation.debit_low, operation.debit_high) >= 0:
        return c.ACCOUNT_EXISTS
    row = tables.counters[c.ACCOUNTS]
    suspense = row
    if kind == c.ISSUANCE:
        if tables.issuance[currency] > 0:
            return c.ISSUANCE_EXISTS
        tables.issuance[currency] = row + 1
    elif kind != c.SUSPENSE:
        suspense = find(tables.account_slots, tables.accounts, operation.credit_low, operation.credit_high)
        if (
            suspense < 0
            or tables.accounts[suspense].kind != c.SUSPENSE
            or tables.accounts[suspense].currency != currency
        ):
            return c.SUSPENSE_NOT_FOUND
    account = tables.accounts[row]
    account.id_low = operation.debit_low
    account.id_high = operation.debit_high
    account.currency = currency
    account.kind = kind
    account.operator = operation.count
    account.rule_set = operation.rule_set
    account.suspense = suspense
    insert(tables.account_slots, operation.debit_low, operation.debit_high, row)
    tables.counters[c.ACCOUNTS] = row + 1
    return c.CREATED


@njit
def block_account(tables, operation):
    """Set debit and credit block to what `flags` says."""
    row = find(tables.account_slots, tables.accounts, operation.debit_low, operation.debit_high)
    if row < 0:
        return c.ACCOUNT_NOT_FOUND
    account = tables.accounts[row]
    if account.kind == c.SUSPENSE:
        return c.ACCOUNT_MUST_STAY_OPEN
    if account.blocks & c.BLOCK_CLOSED:
        return c.ACCOUNT_CLOSED
    account.blocks = operation.flags
    return c.CREATED


@njit
def close_account(tables, operation):
    """Close an empty account for good."""
    row = find(tables.account_slots, tables.accounts, operation.debit_low, operation.debit_high)
    if row < 0:
        return c.ACCOUNT_NOT_FOUND
    account = tables.accounts[row]
    if account.kind == c.SUSPENSE or account.kind == c.ISSUANCE:
        return c.ACCOUNT_MUST_STAY_OPEN
    if account.blocks & c.BLOCK_CLOSED:
        return c.ACCOUNT_CLOSED
    if account.credits_posted != account.debits_posted or account.debits_pending or account.credits_pending:
        return c.ACCOUNT_NOT_EMPTY
    account.blocks |= c.BLOCK_CLOSED
    return c.CREATED


@njit
def group_membership(tables, operation, joins):
    """JOIN_GROUP or LEAVE_GROUP; doing it twice changes nothing."""
    group = np.int64(operation.number)
    if not tables.group_rows[group]:
        return c.GROUP_NOT_FOUND
    row = find(tables.account_slots, tables.accounts, operation.debit_low, operation.debit_high)
    if row < 0:
        return c.ACCOUNT_NOT_FOUND
    account = tables.accounts[row]
    group_row = np.int64(tables.group_rows[group]) - 1
    if joins:
        if not account.payee:
            tables.counters[c.PAYEES] += 1
            account.payee = tables.counters[c.PAYEES]
        bit = np.int64(account.payee)
        tables.group_bits[group_row, bit >> 6] |= c.ONE << np.uint64(bit & 63)
    elif account.payee:
        bit = np.int64(account.payee)
        tables.group_bits[group_row, bit >> 6] &= ~(c.ONE << np.uint64(bit & 63))
    return c.CREATED
