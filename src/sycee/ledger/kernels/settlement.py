"""Batches of payments that are settled together, with limits on the net effect. Ledger reference, section 10."""

from __future__ import annotations

import numpy as np

from sycee.core.result_codes import PRECEDENCE, Result
from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.inline import njit
from sycee.ledger.kernels.lookup import find, find_number, insert, remove
from sycee.ledger.kernels.movements import move, overflows_credits, overflows_debits
from sycee.ledger.kernels.rules import FITS, check_credit, check_debit, check_payee, count_usage, in_force
from sycee.ledger.kernels.undo import touch_copied

GIVES = 0  # columns of `gross`
RECEIVES = 1
RANK = np.array([PRECEDENCE.index(code) for code in sorted(Result)])  # by code: its position in order of precedence


@njit
def find_batch(tables, number):
    """Return the row of the open batch with this number, or -1."""
    return find_number(tables.batch_slots, tables.batches["number"], number)


@njit
def index_batches(tables):
    """Insert all open batches into the empty index."""
    for row in range(tables.counters[c.BATCHES]):
        if tables.batches[row].number:
            insert(tables.batch_slots, np.uint64(tables.batches[row].number), c.ZERO, row)


@njit
def stage(tables, operation):
    """Apply a STAGE: add a payment to its batch. Return the code."""
    debit_row = find(tables.account_slots, tables.accounts, operation.debit_low, operation.debit_high)
    if debit_row < 0:
        return c.DEBIT_ACCOUNT_NOT_FOUND
    credit_row = find(tables.account_slots, tables.accounts, operation.credit_low, operation.credit_high)
    if credit_row < 0:
        return c.CREDIT_ACCOUNT_NOT_FOUND
    number = np.int64(operation.number)
    newest = tables.counters[c.NEWEST_BATCH]
    debit = tables.accounts[debit_row]
    credit = tables.accounts[credit_row]
    batch_row = np.int64(-1)
    if number > newest:
        if number > newest + 1:
            return c.BATCH_NOT_FOUND
    else:
        batch_row = find_batch(tables, number)
        if batch_row < 0:
            return c.BATCH_DONE
        if tables.batches[batch_row].operator != debit.operator:
            return c.BATCH_OF_ANOTHER_OPERATOR
    if debit.currency != credit.currency:
        return c.CURRENCIES_MUST_MATCH
    if debit.kind == c.ACCOUNT_KIND_IN_TRANSIT or credit.kind == c.ACCOUNT_KIND_IN_TRANSIT:
        return c.ACCOUNT_IS_IN_TRANSIT
    if batch_row >= 0 and tables.batches[batch_row].count >= c.SETTLEMENT_PAYMENTS_MAX:
        return c.TOO_MANY_PAYMENTS
    code = check_payee(tables, debit_row, credit_row)
    if code != c.CREATED:
        return code
    if batch_row < 0:
        batch_row = _begin_batch(tables, number, debit.operator)
    elif tables.batches[batch_row].total > c.I64_MAX - operation.amount:
        return c.OVERFLOWS_CREDITS
    _append(tables, batch_row, debit_row, credit_row, operation.amount)
    return c.CREATED


@njit
def _begin_batch(tables, number, operator):
    """Return the row of a new batch: the row freed last, or a new one."""
    # Free batches are a linked list: `last` of a free batch is the row + 1 of the next one, 0 for none.
    row = tables.counters[c.FREE_BATCH] - 1
    if row >= 0:
        touch_copied(tables, tables.batches, c.COPIED_BATCHES, row)
        tables.counters[c.FREE_BATCH] = tables.batches[row].last
    else:
        row = tables.counters[c.BATCHES]
        tables.counters[c.BATCHES] = row + 1
    batch = tables.batches[row]
    batch.total = 0
    batch.number = number
    batch.operator = operator
    batch.count = 0
    batch.first = 0
    batch.last = 0
    insert(tables.batch_slots, np.uint64(number), c.ZERO, row)
    tables.counters[c.NEWEST_BATCH] = number
    return row


@njit
def _append(tables, batch_row, debit_row, credit_row, amount):
    """Append a payment to a batch."""
    row = tables.counters[c.FREE_STAGED] - 1
    if row >= 0:
        touch_copied(tables, tables.staged, c.COPIED_STAGED, row)
        tables.counters[c.FREE_STAGED] = tables.staged[row].next
    else:
        row = tables.counters[c.STAGED]
        tables.counters[c.STAGED] = row + 1
    staged = tables.staged[row]
    staged.amount = amount
    staged.debit = debit_row
    staged.credit = credit_row
    staged.next = 0
    touch_copied(tables, tables.batches, c.COPIED_BATCHES, batch_row)
    batch = tables.batches[batch_row]
    if batch.count:
        touch_copied(tables, tables.staged, c.COPIED_STAGED, np.int64(batch.last) - 1)
        tables.staged[np.int64(batch.last) - 1].next = row + 1
    else:
        batch.first = row + 1
    batch.last = row + 1
    batch.count += 1
    batch.total += amount


@njit
def _free_batch(tables, batch_row):
    """Free the rows of a batch and of its payments for reuse."""
    batch = tables.batches[batch_row]
    remove(tables.batch_slots, np.uint64(batch.number), c.ZERO, batch_row)
    last = np.int64(batch.last) - 1
    touch_copied(tables, tables.staged, c.COPIED_STAGED, last)
    tables.staged[last].next = tables.counters[c.FREE_STAGED]
    tables.counters[c.FREE_STAGED] = batch.first
    touch_copied(tables, tables.batches, c.COPIED_BATCHES, batch_row)
    batch.total = 0
    batch.number = 0
    batch.operator = 0
    batch.count = 0
    batch.first = 0
    batch.last = tables.counters[c.FREE_BATCH]
    tables.counters[c.FREE_BATCH] = batch_row + 1


@njit(forceinline=True)
def _account_code(tables, row, now_ns):
    """Return the first code, in order of precedence, that an account causes by its sums in `gross`, or CREATED."""
    account = tables.accounts[row]
    gives = tables.gross[row, GIVES]
    receives = tables.gross[row, RECEIVES]
    net = receives - gives
    if account.blocks & c.BLOCK_CLOSED:
        return c.DEBIT_ACCOUNT_CLOSED if gives > 0 else c.CREDIT_ACCOUNT_CLOSED
    if gives > 0 and account.blocks & c.BLOCK_DEBIT:
        return c.DEBIT_ACCOUNT_BLOCKED
    if receives > 0 and account.blocks & c.BLOCK_CREDIT:
        return c.CREDIT_ACCOUNT_BLOCKED
    if net > 0 and account.rule_set and not in_force(tables.rule_sets, np.int64(account.rule_set), now_ns):
        return c.RULE_SET_NOT_IN_FORCE
    if gives > 0 and overflows_debits(account, gives):
        return c.OVERFLOWS_DEBITS
    if receives > 0 and overflows_credits(account, receives):
        return c.OVERFLOWS_CREDITS
    if net < 0:
        return check_debit(tables, row, -net, False)
    if net > 0 and check_credit(tables, row, net, now_ns) != FITS:
        return c.EXCEEDS_BALANCE_LIMIT
    return c.CREATED


@njit(forceinline=True)
def _preceding(code, other):
    """Return the code that precedes the other."""
    return code if RANK[code] < RANK[other] else other


@njit
def settle(tables, operation, place, now_ns):
    """Apply a SETTLE: make all payments of a batch, or none, or discard the batch. Return the code."""
    number = np.int64(operation.number)
    if number > tables.counters[c.NEWEST_BATCH]:
        return c.BATCH_NOT_FOUND
    batch_row = find_batch(tables, number)
    if batch_row < 0:
        return c.BATCH_DONE
    batch = tables.batches[batch_row]
    if operation.first != batch.operator:
        return c.BATCH_OF_ANOTHER_OPERATOR
    if operation.count != batch.count or operation.amount != batch.total:
        return c.BATCH_DIFFERS
    if operation["flags"] & c.SETTLE_FLAG_DISCARD:
        _free_batch(tables, batch_row)
        return c.CREATED
    # The control sum fits 64 bits, so every account's sum does.
    link = np.int64(batch.first)
    while link:
        staged = tables.staged[link - 1]
        tables.gross[staged.debit, GIVES] += staged.amount
        tables.gross[staged.credit, RECEIVES] += staged.amount
        link = np.int64(staged.next)
    result = c.CREATED
    checked = np.int64(-1)  # an account that pays several times in a row is checked once
    link = np.int64(batch.first)
    while link:
        staged = tables.staged[link - 1]
        debit_row = np.int64(staged.debit)
        if debit_row != checked:
            checked = debit_row
            result = _preceding(_account_code(tables, debit_row, now_ns), result)
        result = _preceding(_account_code(tables, np.int64(staged.credit), now_ns), result)
        link = np.int64(staged.next)
    is_settled = result == c.CREATED
    leg = 0
    link = np.int64(batch.first)
    while link and is_settled:
        staged = tables.staged[link - 1]
        move(tables, place, c.PURPOSE_SETTLEMENT, leg, np.int64(staged.debit), np.int64(staged.credit), staged.amount)
        _clear_gross(tables, np.int64(staged.debit), True)
        _clear_gross(tables, np.int64(staged.credit), True)
        leg += 1
        link = np.int64(staged.next)
    while link:
        staged = tables.staged[link - 1]
        _clear_gross(tables, np.int64(staged.debit), False)
        _clear_gross(tables, np.int64(staged.credit), False)
        link = np.int64(staged.next)
    if is_settled:
        _free_batch(tables, batch_row)
    return result


@njit(forceinline=True)
def _clear_gross(tables, row, is_settled):
    """Clear an account's sums. If the batch was settled, count the net debit against the account's limits."""
    net = tables.gross[row, RECEIVES] - tables.gross[row, GIVES]
    if is_settled and net < 0:
        count_usage(tables, row, -net)
    tables.gross[row, GIVES] = 0
    tables.gross[row, RECEIVES] = 0
