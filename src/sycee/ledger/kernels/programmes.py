"""Purses of programmes: ADD_MEMBERS, DROP, CLAIM, EXPIRE. Ledger reference, section 5."""

from __future__ import annotations

import numpy as np

from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.inline import njit
from sycee.ledger.kernels.lookup import find
from sycee.ledger.kernels.movements import left_in, move_from_purse, move_to_purse, overflows_debits
from sycee.ledger.kernels.payments import account_or_suspense
from sycee.ledger.kernels.rules import check_debit, count_usage
from sycee.ledger.kernels.undo import touch_account, touch_purse
from sycee.ledger.kernels.validation import MEMBER_WORDS


@njit
def has_programme(tables, number):
    """Return whether a programme of this number was opened."""
    return number < tables.programmes.size and tables.programmes[number].defined != 0


@njit
def add_members(tables, operation, words, i):
    """Apply an ADD_MEMBERS: up to five more members of a cohort. Return the code."""
    number = np.int64(operation.number)
    if not has_programme(tables, number):
        return c.PROGRAMME_NOT_FOUND
    programme = tables.programmes[number]
    if programme.sealed:
        return c.COHORT_SEALED
    first = np.int64(operation.first)
    count = np.int64(operation.count)
    if first + count > np.int64(programme.count):
        return c.MEMBER_NOT_FOUND
    if first != np.int64(programme.filled):
        return c.MEMBERS_OUT_OF_ORDER
    for member in range(count):
        touch_purse(tables, programme.first_purse + first + member)
        purse = tables.purses[programme.first_purse + first + member]
        purse.programme = np.uint32(number)
        purse.member_low = words[i, MEMBER_WORDS[member]]
        purse.member_high = words[i, MEMBER_WORDS[member] + 1]
    programme.filled += count
    tables.undropped[number] += count
    return c.CREATED


@njit
def drop(tables, operation, place, now_ns):
    """Apply a DROP: fill the empty purses of a range, all or none. Return the code."""
    number = np.int64(operation.number)
    if not has_programme(tables, number):
        return c.PROGRAMME_NOT_FOUND
    programme = tables.programmes[number]
    if not programme.sealed:
        return c.COHORT_NOT_SEALED
    if programme.seal_low != operation.reference_low or programme.seal_high != operation.reference_high:
        return c.SEAL_DIFFERS
    first = np.int64(operation.first)
    count = np.int64(operation.count)
    if first + count > np.int64(programme.count):
        return c.MEMBER_NOT_FOUND
    funder_row = np.int64(programme.funder)
    funder = tables.accounts[funder_row]
    if funder.blocks & c.BLOCK_CLOSED:
        return c.DEBIT_ACCOUNT_CLOSED
    if funder.blocks & c.BLOCK_DEBIT:
        return c.DEBIT_ACCOUNT_BLOCKED
    if now_ns >= tables.rule_sets[programme.rule_set].until_ns:
        return c.PROGRAMME_EXPIRED
    amount = operation.amount
    total = np.int64(0)
    to_fill = np.int64(0)
    for row in range(programme.first_purse + first, programme.first_purse + first + count):
        if tables.purses[row].state == c.PURSE_STATE_EMPTY:
            to_fill += 1
    if to_fill > 0:
        if amount > c.I64_MAX // to_fill or overflows_debits(funder, amount * to_fill):
            return c.OVERFLOWS_DEBITS
        total = amount * to_fill
        code = check_debit(tables, funder_row, total, False)
        if code != c.CREATED:
            return code
    balance_max = tables.rule_sets[programme.rule_set].balance_max
    if balance_max and amount > balance_max:
        return c.EXCEEDS_BALANCE_LIMIT
    if total > 0:
        count_usage(tables, funder_row, total)
    leg = 0
    for row in range(programme.first_purse + first, programme.first_purse + first + count):
        purse = tables.purses[row]
        if purse.state == c.PURSE_STATE_EMPTY:
            touch_purse(tables, row)
            purse.state = c.PURSE_STATE_DROPPED
            move_to_purse(tables, place, c.PURPOSE_DROP, leg, funder_row, row, amount)
            leg += 1
    tables.undropped[number] -= leg
    return c.CREATED


@njit
def count_undropped(tables, now_ns):
    """Count the members without a packet of each programme that can be dropped on, after a snapshot was loaded."""
    for number in range(tables.programmes.size):
        programme = tables.programmes[number]
        if programme.defined and now_ns < tables.rule_sets[programme.rule_set].until_ns:
            for row in range(programme.first_purse, programme.first_purse + np.int64(programme.filled)):
                if tables.purses[row].state == c.PURSE_STATE_EMPTY:
                    tables.undropped[number] += 1


@njit
def _comes_before(tables, purse_row, other_row):
    """Return whether a purse precedes another of its wallet: by end, then programme, then member."""
    purse = tables.purses[purse_row]
    other = tables.purses[other_row]
    until_ns = tables.rule_sets[tables.programmes[purse.programme].rule_set].until_ns
    other_until_ns = tables.rule_sets[tables.programmes[other.programme].rule_set].until_ns
    if until_ns != other_until_ns:
        return until_ns < other_until_ns
    if purse.programme != other.programme:
        return purse.programme < other.programme
    return purse_row < other_row


@njit
def claim(tables, operation, now_ns):
    """Apply a CLAIM: insert a purse into its wallet's list, in the order in which payments use it. Return the code."""
    number = np.int64(operation.number)
    if not has_programme(tables, number):
        return c.PROGRAMME_NOT_FOUND
    programme = tables.programmes[number]
    wallet_row = find(tables.account_slots, tables.accounts, operation.credit_low, operation.credit_high)
    if wallet_row < 0:
        return c.CREDIT_ACCOUNT_NOT_FOUND
    if not programme.sealed:
        return c.COHORT_NOT_SEALED
    member = np.int64(operation.first)
    if member >= np.int64(programme.count):
        return c.MEMBER_NOT_FOUND
    purse_row = programme.first_purse + member
    purse = tables.purses[purse_row]
    if purse.member_low != operation.reference_low or purse.member_high != operation.reference_high:
        return c.MEMBER_DIFFERS
    wallet = tables.accounts[wallet_row]
    if wallet.currency != programme.currency:
        return c.CURRENCIES_MUST_MATCH
    if wallet.kind == c.ACCOUNT_KIND_IN_TRANSIT:
        return c.ACCOUNT_IS_IN_TRANSIT
    if wallet.blocks & c.BLOCK_CLOSED:
        return c.CREDIT_ACCOUNT_CLOSED
    if wallet.blocks & c.BLOCK_CREDIT:
        return c.CREDIT_ACCOUNT_BLOCKED
    if purse.state == c.PURSE_STATE_EMPTY:
        return c.PURSE_NOT_DROPPED
    if purse.wallet:
        return c.PURSE_CLAIMED
    if purse.state == c.PURSE_STATE_EXPIRED or now_ns >= tables.rule_sets[programme.rule_set].until_ns:
        return c.PROGRAMME_EXPIRED
    if now_ns < programme.claim_from_ns:
        return c.CLAIM_WINDOW_NOT_OPEN
    if now_ns >= programme.claim_until_ns:
        return c.CLAIM_WINDOW_CLOSED
    if wallet.purses >= c.PURSES_PER_WALLET:
        return c.TOO_MANY_PURSES
    touch_purse(tables, purse_row)
    touch_account(tables, wallet_row)
    purse.wallet = wallet_row + 1
    purse.state = c.PURSE_STATE_CLAIMED
    wallet.purses += 1
    before = np.int64(-1)
    link = np.int64(wallet.first_purse)
    while link and _comes_before(tables, link - 1, purse_row):
        before = link - 1
        link = np.int64(tables.purses[before].next_purse)
    purse.next_purse = link
    if before < 0:
        wallet.first_purse = purse_row + 1
    else:
        touch_purse(tables, before)
        tables.purses[before].next_purse = purse_row + 1
    return c.CREATED


@njit(forceinline=True)
def _unlink(tables, purse_row):
    """Remove an expiring purse from its wallet's list."""
    wallet_row = np.int64(tables.purses[purse_row].wallet) - 1
    touch_account(tables, wallet_row)
    wallet = tables.accounts[wallet_row]
    before = np.int64(-1)
    link = np.int64(wallet.first_purse)
    while link - 1 != purse_row:
        before = link - 1
        link = np.int64(tables.purses[before].next_purse)
    if before < 0:
        wallet.first_purse = tables.purses[purse_row].next_purse
    else:
        touch_purse(tables, before)
        tables.purses[before].next_purse = tables.purses[purse_row].next_purse
    tables.purses[purse_row].next_purse = 0
    wallet.purses -= 1


@njit
def expire(tables, operation, place, now_ns):
    """Apply an EXPIRE: move what is left in a range of purses to the return account. Return the code."""
    number = np.int64(operation.number)
    if not has_programme(tables, number):
        return c.PROGRAMME_NOT_FOUND
    programme = tables.programmes[number]
    if not programme.sealed:
        return c.COHORT_NOT_SEALED
    first = np.int64(operation.first)
    count = np.int64(operation.count)
    if first + count > np.int64(programme.count):
        return c.MEMBER_NOT_FOUND
    rules = tables.rule_sets[programme.rule_set]
    if now_ns < rules.until_ns:
        return c.PROGRAMME_NOT_EXPIRED
    target, purpose = account_or_suspense(
        tables, np.int64(rules.return_row), c.PURPOSE_RETURN, c.PURPOSE_RETURN_SUSPENSE
    )
    headroom = c.I64_MAX - tables.accounts[target].credits_posted - tables.accounts[target].credits_pending
    for row in range(programme.first_purse + first, programme.first_purse + first + count):
        if tables.purses[row].state != c.PURSE_STATE_EXPIRED:
            left = left_in(tables.purses[row])
            if left > headroom:
                return c.OVERFLOWS_CREDITS
            headroom -= left
    leg = 0
    for row in range(programme.first_purse + first, programme.first_purse + first + count):
        purse = tables.purses[row]
        if purse.state == c.PURSE_STATE_EXPIRED:
            continue
        touch_purse(tables, row)
        if purse.state == c.PURSE_STATE_CLAIMED:
            _unlink(tables, row)
        purse.state = c.PURSE_STATE_EXPIRED
        left = left_in(purse)
        if left > 0:
            move_from_purse(tables, place, purpose, leg, row, target, left)
            leg += 1
    return c.CREATED
