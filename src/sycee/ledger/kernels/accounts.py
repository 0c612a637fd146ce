"""Accounts and payee groups: open, block, close, rule set, key, link, join, leave. Ledger reference, section 3."""

from __future__ import annotations

import numpy as np

from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.inline import njit
from sycee.ledger.kernels.lookup import find, insert
from sycee.ledger.kernels.undo import touch_account, touch_copied


@njit
def _has_rule_set(tables, number):
    """Return whether this rule set is defined. 0, for none, always is."""
    return number == 0 or (number < tables.rule_sets.size and tables.rule_sets[number].defined != 0)


@njit
def open_account(tables, operation):
    """Apply an OPEN_ACCOUNT. Rows are in the order of opening. Return the code."""
    currency = np.int64(operation.number)
    kind = np.int64(operation.first)
    if tables.issuance[currency] == 0:
        return c.CURRENCY_NOT_FOUND
    if not _has_rule_set(tables, operation.rule_set):
        return c.RULE_SET_NOT_FOUND
    if find(tables.account_slots, tables.accounts, operation.debit_low, operation.debit_high) >= 0:
        return c.ACCOUNT_EXISTS
    row = tables.counters[c.ACCOUNTS]
    suspense = row
    if kind == c.ACCOUNT_KIND_ISSUANCE:
        if tables.issuance[currency] > 0:
            return c.ISSUANCE_EXISTS
        tables.issuance[currency] = row + 1
    elif kind != c.ACCOUNT_KIND_SUSPENSE:
        suspense = find(tables.account_slots, tables.accounts, operation.credit_low, operation.credit_high)
        if (
            suspense < 0
            or tables.accounts[suspense].kind != c.ACCOUNT_KIND_SUSPENSE
            or tables.accounts[suspense].currency != currency
            # It belongs to the account's operator or to the issuer, number 0: no other operator may get its money.
            or (tables.accounts[suspense].operator != 0 and tables.accounts[suspense].operator != operation.count)
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
def block_account(tables, operation, blocks):
    """Apply a BLOCK_ACCOUNT or UNBLOCK_ACCOUNT: a side is blocked for at least one reason. Return the code."""
    row = find(tables.account_slots, tables.accounts, operation.debit_low, operation.debit_high)
    if row < 0:
        return c.ACCOUNT_NOT_FOUND
    account = tables.accounts[row]
    if account.kind == c.ACCOUNT_KIND_SUSPENSE:
        return c.ACCOUNT_MUST_STAY_OPEN
    if account.blocks & c.BLOCK_CLOSED:
        return c.ACCOUNT_CLOSED
    touch_account(tables, row)
    bit = np.int64(1) << (np.int64(operation.first) - 1)
    if operation["flags"] & c.BLOCK_DEBIT:
        account.debit_reasons = np.int64(account.debit_reasons) | bit if blocks else account.debit_reasons & ~bit
    if operation["flags"] & c.BLOCK_CREDIT:
        account.credit_reasons = np.int64(account.credit_reasons) | bit if blocks else account.credit_reasons & ~bit
    account.blocks = (c.BLOCK_DEBIT if account.debit_reasons else 0) | (c.BLOCK_CREDIT if account.credit_reasons else 0)
    return c.CREATED


@njit
def close_account(tables, operation):
    """Apply a CLOSE_ACCOUNT, which cannot be undone. Return the code."""
    row = find(tables.account_slots, tables.accounts, operation.debit_low, operation.debit_high)
    if row < 0:
        return c.ACCOUNT_NOT_FOUND
    account = tables.accounts[row]
    if account.kind == c.ACCOUNT_KIND_SUSPENSE or account.kind == c.ACCOUNT_KIND_ISSUANCE:
        return c.ACCOUNT_MUST_STAY_OPEN
    if account.blocks & c.BLOCK_CLOSED:
        return c.ACCOUNT_CLOSED
    if account.credits_posted != account.debits_posted or account.debits_pending or account.credits_pending:
        return c.ACCOUNT_NOT_EMPTY
    touch_account(tables, row)
    account.blocks |= c.BLOCK_CLOSED
    account.close_reason = operation.first
    return c.CREATED


@njit
def set_rule_set(tables, operation):
    """Apply a SET_RULE_SET. Return the code."""
    if not _has_rule_set(tables, operation.rule_set):
        return c.RULE_SET_NOT_FOUND
    row = find(tables.account_slots, tables.accounts, operation.debit_low, operation.debit_high)
    if row < 0:
        return c.ACCOUNT_NOT_FOUND
    account = tables.accounts[row]
    if account.blocks & c.BLOCK_CLOSED:
        return c.ACCOUNT_CLOSED
    touch_account(tables, row)
    account.rule_set = operation.rule_set
    return c.CREATED


@njit
def set_key(tables, operation, words, i):
    """Apply a SET_KEY: replace or remove the key that signs the account's payments. Return the code."""
    row = find(tables.account_slots, tables.accounts, operation.debit_low, operation.debit_high)
    if row < 0:
        return c.ACCOUNT_NOT_FOUND
    account = tables.accounts[row]
    if account.blocks & c.BLOCK_CLOSED:
        return c.ACCOUNT_CLOSED
    touch_account(tables, row)
    account.key_epoch += 1
    account.key = 0
    if operation["flags"]:
        number = tables.counters[c.KEYS]
        key = tables.keys[number]
        for k in range(4):
            key.key[k] = words[i, c.KEY_WORD + k]
        key["flags"] = operation["flags"]
        account.key = number + 1
        tables.counters[c.KEYS] = number + 1
    return c.CREATED


@njit
def link_account(tables, operation):
    """Apply a LINK_ACCOUNT: set the account that receives a waterfall. Return the code."""
    row = find(tables.account_slots, tables.accounts, operation.debit_low, operation.debit_high)
    if row < 0:
        return c.ACCOUNT_NOT_FOUND
    account = tables.accounts[row]
    link = np.int64(-1)
    if operation.credit_low != c.ZERO or operation.credit_high != c.ZERO:
        link = find(tables.account_slots, tables.accounts, operation.credit_low, operation.credit_high)
        if link < 0:
            return c.CREDIT_ACCOUNT_NOT_FOUND
        if tables.accounts[link].currency != account.currency:
            return c.CURRENCIES_MUST_MATCH
        if (tables.accounts[link].kind == c.ACCOUNT_KIND_IN_TRANSIT) == (account.kind == c.ACCOUNT_KIND_IN_TRANSIT):
            return c.LINK_KIND_WRONG
    if account.blocks & c.BLOCK_CLOSED:
        return c.ACCOUNT_CLOSED
    touch_account(tables, row)
    account.link = link + 1
    tables.counters[c.LINKS] += 1
    return c.CREATED


@njit
def group_membership(tables, operation, joins):
    """Apply a JOIN_GROUP or LEAVE_GROUP; a repetition changes nothing. Return the code."""
    group = np.int64(operation.number)
    if not tables.group_rows[group]:
        return c.GROUP_NOT_FOUND
    row = find(tables.account_slots, tables.accounts, operation.debit_low, operation.debit_high)
    if row < 0:
        return c.ACCOUNT_NOT_FOUND
    account = tables.accounts[row]
    group_row = np.int64(tables.group_rows[group]) - 1
    if joins and not account.payee:
        touch_account(tables, row)
        tables.counters[c.PAYEES] += 1
        account.payee = tables.counters[c.PAYEES]
    bit = np.int64(account.payee)
    if bit:
        words = tables.group_bits.shape[1]
        touch_copied(tables, tables.group_bits, c.COPIED_GROUP_BITS, group_row * words + (bit >> 6))
        if joins:
            tables.group_bits[group_row, bit >> 6] |= c.ONE << np.uint64(bit & 63)
        else:
            tables.group_bits[group_row, bit >> 6] &= ~(c.ONE << np.uint64(bit & 63))
    return c.CREATED
