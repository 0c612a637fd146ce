"""Payments that wait in a batch and are settled together, limits on the net effect. Reference, section 10."""

from __future__ import annotations

import numpy as np

from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.inner import njit
from sycee.ledger.kernels.lookup import find
from sycee.ledger.kernels.movements import move, overflows_credits, overflows_debits
from sycee.ledger.kernels.rules import FITS, giving, giving_to, in_force, receiving, use_up
from sycee.ledger.kernels.undo import touch_copied

GIVES = 0  # columns of `gross`
RECEIVES = 1
# What any account of a batch may say against it, in order of precedence.
ORDER = np.array(
    [
        c.DEBIT_ACCOUNT_CLOSED,
        c.CREDIT_ACCOUNT_CLOSED,
        c.DEBIT_ACCOUNT_BLOCKED,
        c.CREDIT_ACCOUNT_BLOCKED,
        c.RULE_SET_NOT_IN_FORCE,
        c.OVERFLOWS_DEBITS,
        c.OVERFLOWS_CREDITS,
        c.EXCEEDS_BALANCE,
        c.RESERVED_FOR_REFUNDS,
        c.EXCEEDS_DAY_LIMIT,
        c.EXCEEDS_MONTH_LIMIT,
        c.EXCEEDS_YEAR_LIMIT,
        c.EXCEEDS_BALANCE_LIMIT,
        c.CREATED,
    ]
)


@njit
def stage(tables, operation):
    """A payment waits in its batch."""
    debit_row = find(tables.account_slots, tables.accounts, operation.debit_low, operation.debit_high)
    if debit_row < 0:
        return c.DEBIT_ACCOUNT_NOT_FOUND
    credit_row = find(tables.account_slots, tables.accounts, operation.credit_low, operation.credit_high)
    if credit_row < 0:
        return c.CREDIT_ACCOUNT_NOT_FOUND
    batch = tables.batches[operation.number]
    if batch.state != c.BATCH_OPEN:
        return c.BATCH_DONE
    debit = tables.accounts[debit_row]
    credit = tables.accounts[credit_row]
    if debit.currency != credit.currency or (batch.count and batch.currency != debit.currency):
        return c.CURRENCIES_MUST_MATCH
    if debit.kind == c.IN_TRANSIT or credit.kind == c.IN_TRANSIT:
        return c.ACCOUNT_IS_IN_TRANSIT
    code = giving_to(tables, debit_row, credit_row)
    if code != c.CREATED:
        return code
    if batch.total > c.I64_MAX - operation.amount:
        return c.OVERFLOWS_CREDITS
    row = tables.counters[c.STAGED]
    staged = tables.staged[row]
    staged.amount = operation.amount
    staged.debit = debit_row
    staged.credit = credit_row
    staged.next = 0
    staged.batch = operation.number
    tables.counters[c.STAGED] = row + 1
    touch_copied(tables, tables.batches, c.COPIED_BATCHES, operation.number)
    if batch.count:
        touch_copied(tables, tables.staged, c.COPIED_STAGED, np.int64(batch.last) - 1)
        tables.staged[np.int64(batch.last) - 1].next = row + 1
    else:
        batch.first = row + 1
    batch.last = row + 1
    batch.currency = debit.currency
    batch.count += 1
    batch.total += operation.amount
    return c.CREATED


@njit(forceinline=True)
def _objection(tables, row, now_ns):
    """What an account says against the sums in `gross`: a place in ORDER, the last of which is none."""
    account = tables.accounts[row]
    gives = tables.gross[row, GIVES]
    receives = tables.gross[row, RECEIVES]
    net = receives - gives
    worst = ORDER.size - 1
    if net > 0 and receiving(tables, row, net, now_ns) != FITS:
        worst = _place_of(c.EXCEEDS_BALANCE_LIMIT, worst)
    if net < 0:
        worst = _place_of(giving(tables, row, -net, False), worst)
    if receives > 0 and overflows_credits(account, receives):
        worst = _place_of(c.OVERFLOWS_CREDITS, worst)
    if gives > 0 and overflows_debits(account, gives):
        worst = _place_of(c.OVERFLOWS_DEBITS, worst)
    if net > 0 and account.rule_set and not in_force(tables.rule_sets, np.int64(account.rule_set), now_ns):
        worst = _place_of(c.RULE_SET_NOT_IN_FORCE, worst)
    if receives > 0 and account.blocks & c.BLOCK_CREDIT:
        worst = _place_of(c.CREDIT_ACCOUNT_BLOCKED, worst)
    if gives > 0 and account.blocks & c.BLOCK_DEBIT:
        worst = _place_of(c.DEBIT_ACCOUNT_BLOCKED, worst)
    if account.blocks & c.BLOCK_CLOSED:
        if receives > 0:
            worst = _place_of(c.CREDIT_ACCOUNT_CLOSED, worst)
        if gives > 0:
            worst = _place_of(c.DEBIT_ACCOUNT_CLOSED, worst)
    return worst


@njit
def _place_of(code, worst):
    """The earlier of two places in ORDER."""
    for place in range(worst):
        if ORDER[place] == code:
            return place
    return worst


@njit
def settle(tables, operation, place, now_ns):
    """All payments of a batch at once, or none; or the batch is discarded."""
    number = np.int64(operation.number)
    if number >= tables.batches.size or tables.batches[number].count == 0:
        return c.BATCH_NOT_FOUND
    batch = tables.batches[number]
    if batch.state != c.BATCH_OPEN:
        return c.BATCH_DONE
    if operation.count != batch.count or operation.amount != batch.total:
        return c.BATCH_DIFFERS
    if operation["flags"] & c.DISCARD:
        touch_copied(tables, tables.batches, c.COPIED_BATCHES, number)
        batch.state = c.BATCH_DISCARDED
        return c.CREATED
    # The sum of a batch fits 64 bits, so that of any account in it does.
    link = np.int64(batch.first)
    while link:
        staged = tables.staged[link - 1]
        tables.gross[staged.debit, GIVES] += staged.amount
        tables.gross[staged.credit, RECEIVES] += staged.amount
        link = np.int64(staged.next)
    worst = ORDER.size - 1
    judged = np.int64(-1)  # who pays many in a row is asked once
    link = np.int64(batch.first)
    while link:
        staged = tables.staged[link - 1]
        debit_row = np.int64(staged.debit)
        if debit_row != judged:
            judged = debit_row
            worst = min(worst, _objection(tables, debit_row, now_ns))
        worst = min(worst, _objection(tables, np.int64(staged.credit), now_ns))
        link = np.int64(staged.next)
    done = ORDER[worst] == c.CREATED
    leg = 0
    link = np.int64(batch.first)
    while link and done:
        staged = tables.staged[link - 1]
        move(tables, place, c.PURPOSE_SETTLEMENT, leg, np.int64(staged.debit), np.int64(staged.credit), staged.amount)
        _forget_gross(tables, np.int64(staged.debit), True)
        _forget_gross(tables, np.int64(staged.credit), True)
        leg += 1
        link = np.int64(staged.next)
    while link:
        staged = tables.staged[link - 1]
        _forget_gross(tables, np.int64(staged.debit), False)
        _forget_gross(tables, np.int64(staged.credit), False)
        link = np.int64(staged.next)
    if done:
        touch_copied(tables, tables.batches, c.COPIED_BATCHES, number)
        batch.state = c.BATCH_SETTLED
    return ORDER[worst]


@njit(forceinline=True)
def _forget_gross(tables, row, done):
    """Clear an account's sums for the next settlement; once settled, count what it gave on balance."""
    net = tables.gross[row, RECEIVES] - tables.gross[row, GIVES]
    if done and net < 0:
        use_up(tables, row, -net)
    tables.gross[row, GIVES] = 0
    tables.gross[row, RECEIVES] = 0
