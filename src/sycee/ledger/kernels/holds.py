"""Holds: money reserved for a payee. Ledger reference, section 7."""

from __future__ import annotations

import numpy as np

from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.inline import njit
from sycee.ledger.kernels.lookup import find, find_bound
from sycee.ledger.kernels.movements import move, move_from_purse
from sycee.ledger.kernels.payments import account_rows, check_accounts, check_pay
from sycee.ledger.kernels.rules import FITS, NEEDS_WATERFALL, check_credit, count_usage, restore_usage, send_excess
from sycee.ledger.kernels.undo import touch_account, touch_hold, touch_purse, touch_value


@njit
def _earlier(time_outs, one, other):
    """Return whether one entry precedes the other: by end, then by order of creation."""
    if time_outs[one].until_ns != time_outs[other].until_ns:
        return time_outs[one].until_ns < time_outs[other].until_ns
    return time_outs[one].hold < time_outs[other].hold


@njit
def _swap(time_outs, one, other):
    until_ns = time_outs[one].until_ns
    hold = time_outs[one].hold
    time_outs[one].until_ns = time_outs[other].until_ns
    time_outs[one].hold = time_outs[other].hold
    time_outs[other].until_ns = until_ns
    time_outs[other].hold = hold


@njit(forceinline=True)
def push_time_out(tables, hold_row):
    """Push the end of a hold onto the heap."""
    at = tables.counters[c.TIME_OUTS]
    tables.time_outs[at].until_ns = tables.holds[hold_row].until_ns
    tables.time_outs[at].hold = hold_row
    tables.counters[c.TIME_OUTS] = at + 1
    while at > 0 and _earlier(tables.time_outs, at, (at - 1) >> 1):
        _swap(tables.time_outs, at, (at - 1) >> 1)
        at = (at - 1) >> 1


@njit
def _pop_time_out(tables):
    last = tables.counters[c.TIME_OUTS] - 1
    _swap(tables.time_outs, np.int64(0), last)
    tables.counters[c.TIME_OUTS] = last
    at = np.int64(0)
    while True:
        child = 2 * at + 1
        if child >= last:
            return
        if child + 1 < last and _earlier(tables.time_outs, child + 1, child):
            child += 1
        if not _earlier(tables.time_outs, child, at):
            return
        _swap(tables.time_outs, child, at)
        at = child


@njit
def release_due_holds(tables, now_ns):
    """Release every open hold whose end is due. Drop stale entries at the top, regardless of their end."""
    while tables.counters[c.TIME_OUTS]:
        hold_row = np.int64(tables.time_outs[0].hold)
        # An undone chain may have left an entry for a hold that no longer exists.
        is_stale = hold_row >= tables.counters[c.HOLDS]
        if not is_stale:
            hold = tables.holds[hold_row]
            is_stale = hold.state != c.HOLD_STATE_OPEN or hold.until_ns != tables.time_outs[0].until_ns
        if not is_stale and tables.time_outs[0].until_ns > now_ns:
            return
        _pop_time_out(tables)
        if not is_stale:
            release_hold(tables, hold_row, c.HOLD_STATE_TIMED_OUT)


@njit(forceinline=True)
def find_hold(tables, low, high):
    """Return the row of the hold that this operation created, or -1."""
    bound_row = find_bound(tables, low, high)
    if bound_row < 0 or tables.bound[bound_row].kind != c.KIND_HOLD or tables.bound[bound_row].result != c.CREATED:
        return np.int64(-1)
    return tables.bound[bound_row].detail


@njit(forceinline=True)
def _capped_end(tables, hold_row, until_ns):
    """Return `until_ns`, or the earliest end of the purses that the hold uses, if that is earlier."""
    hold = tables.holds[hold_row]
    for k in range(np.int64(hold.legs)):
        purse = tables.purses[tables.hold_legs[np.int64(hold.first_leg) + k].purse]
        until_ns = min(until_ns, tables.rule_sets[tables.programmes[purse.programme].rule_set].until_ns)
    return until_ns


@njit(forceinline=True)
def create_hold(tables, operation, words, i, now_ns):
    """Apply a HOLD: make the checks of a PAY, count usage, move nothing. Return the code."""
    flags = np.int64(operation["flags"])
    debit_row, credit_row = account_rows(tables, operation, i)
    if debit_row < 0:
        return c.DEBIT_ACCOUNT_NOT_FOUND
    if credit_row < 0:
        return c.CREDIT_ACCOUNT_NOT_FOUND
    third = np.int64(-1)
    if flags & c.HOLD_FLAG_THREE_PARTY:
        third = find(tables.account_slots, tables.accounts, operation.reference_low, operation.reference_high)
        if third < 0:
            return c.RELEASER_NOT_FOUND
    if operation.until_ns <= now_ns:
        return c.HOLD_MUST_END_LATER
    code = check_accounts(tables, debit_row, credit_row, now_ns)
    if code != c.CREATED:
        return code
    amount = operation.amount
    code, legs, own, _ = check_pay(tables, debit_row, credit_row, amount, flags, now_ns)
    if code != c.CREATED:
        return code
    hold_row = tables.counters[c.HOLDS]
    hold = tables.holds[hold_row]
    hold.bound = tables.counters[c.BOUND]
    hold.payer = debit_row
    hold.payee = credit_row
    hold.third = third + 1
    hold.hash_locked = 1 if flags & c.HOLD_FLAG_HASH_LOCKED else 0
    for k in range(4):
        hold.hash[k] = words[i, 8 + k] if flags & c.HOLD_FLAG_HASH_LOCKED else c.ZERO
    hold.own_held = own
    hold.held = amount
    hold.first_leg = tables.counters[c.HOLD_LEGS]
    hold.legs = legs
    hold.state = c.HOLD_STATE_OPEN
    hold.movements = 0
    hold.first_movement = 0
    hold.posted = 0
    for k in range(legs):
        leg = tables.hold_legs[tables.counters[c.HOLD_LEGS] + k]
        leg.purse = tables.scratch[0, k]
        leg.held = tables.scratch[1, k]
        touch_purse(tables, np.int64(leg.purse))
        tables.purses[leg.purse].pending += leg.held
    tables.counters[c.HOLD_LEGS] += legs
    touch_account(tables, debit_row)
    touch_account(tables, credit_row)
    payer = tables.accounts[debit_row]
    payer.debits_pending += own
    tables.accounts[credit_row].credits_pending += amount
    counted = own > 0 and count_usage(tables, debit_row, own)
    hold.counted = 1 if counted else 0
    hold.day = payer.day if counted else 0
    hold.month = payer.month if counted else 0
    hold.year = payer.year if counted else 0
    tables.counters[c.HOLDS] = hold_row + 1
    hold.until_ns = _capped_end(tables, hold_row, operation.until_ns)
    push_time_out(tables, hold_row)
    return c.CREATED


@njit
def release_hold(tables, hold_row, state):
    """Release what is still held: it is no longer pending."""
    touch_hold(tables, hold_row)
    hold = tables.holds[hold_row]
    payer_row = np.int64(hold.payer)
    payee_row = np.int64(hold.payee)
    for k in range(np.int64(hold.legs)):
        leg_row = np.int64(hold.first_leg) + k
        leg = tables.hold_legs[leg_row]
        if leg.held:
            touch_purse(tables, np.int64(leg.purse))
            touch_value(tables, c.VALUE_HOLD_LEG, leg_row, leg.held)
            tables.purses[leg.purse].pending -= leg.held
            leg.held = 0
    touch_account(tables, payer_row)
    touch_account(tables, payee_row)
    tables.accounts[payer_row].debits_pending -= hold.own_held
    tables.accounts[payee_row].credits_pending -= hold.held
    if hold.counted:
        restore_usage(tables.accounts, payer_row, hold.own_held, hold.day, hold.month, hold.year)
    hold.own_held = 0
    hold.held = 0
    hold.state = state


@njit(forceinline=True)
def _pay_from_hold(tables, place, first_leg_number, hold_row, amount):
    """Pay `amount` of a hold to the payee, from its legs in their order. Return the next leg number."""
    touch_hold(tables, hold_row)
    hold = tables.holds[hold_row]
    payee_row = np.int64(hold.payee)
    payer_row = np.int64(hold.payer)
    number = first_leg_number
    remaining = amount
    touch_account(tables, payee_row)
    tables.accounts[payee_row].credits_pending -= amount
    for k in range(np.int64(hold.legs)):
        leg_row = np.int64(hold.first_leg) + k
        leg = tables.hold_legs[leg_row]
        part = min(leg.held, remaining)
        if part > 0:
            purse_row = np.int64(leg.purse)
            touch_purse(tables, purse_row)
            touch_value(tables, c.VALUE_HOLD_LEG, leg_row, leg.held)
            leg.held -= part
            tables.purses[purse_row].pending -= part
            move_from_purse(tables, place, c.PURPOSE_PAY_PURSE, number, purse_row, payee_row, part)
            number += 1
            remaining -= part
    if remaining > 0:
        touch_account(tables, payer_row)
        tables.accounts[payer_row].debits_pending -= remaining
        hold.own_held -= remaining
        move(tables, place, c.PURPOSE_PAY_OWN, number, payer_row, payee_row, remaining)
        number += 1
    hold.held -= amount
    if hold.held == 0:
        hold.state = c.HOLD_STATE_POSTED
    return number


@njit(forceinline=True)
def _may_post(tables, hold, by):
    """Return whether this account may post the hold."""
    if hold.hash_locked:
        return by == np.int64(hold.payee)
    if hold.third:
        return by == np.int64(hold.third) - 1
    return by == np.int64(hold.payee) or by == np.int64(hold.payer)


@njit
def _may_void(tables, hold, by):
    """Return whether this account may void the hold. The payee always may."""
    return by == np.int64(hold.payee) or (hold.third and by == np.int64(hold.third) - 1)


@njit(forceinline=True)
def _state_code(hold):
    if hold.state == c.HOLD_STATE_TIMED_OUT:
        return c.HOLD_TIMED_OUT
    return c.CREATED if hold.state == c.HOLD_STATE_OPEN else c.HOLD_DONE


@njit(forceinline=True)
def _accounts_code(tables, hold):
    """Return CREATED if the blocks of both accounts permit a post, else the reason."""
    if tables.accounts[hold.payee].blocks & c.BLOCK_CLOSED:
        return c.CREDIT_ACCOUNT_CLOSED
    if tables.accounts[hold.payer].blocks & c.BLOCK_DEBIT:
        return c.DEBIT_ACCOUNT_BLOCKED
    if tables.accounts[hold.payee].blocks & c.BLOCK_CREDIT:
        return c.CREDIT_ACCOUNT_BLOCKED
    return c.CREATED


@njit(forceinline=True)
def post(tables, operation, hashes, i, place, now_ns):
    """Apply a POST. `hashes`: (n, 4) u64, SHA-256 of each operation's secret. Return the code."""
    hold_row = find_hold(tables, operation.reference_low, operation.reference_high)
    if hold_row < 0:
        return c.HOLD_NOT_FOUND
    hold = tables.holds[hold_row]
    by = find(tables.account_slots, tables.accounts, operation.debit_low, operation.debit_high)
    if by < 0 or not _may_post(tables, hold, by):
        return c.NOT_A_PARTY_TO_HOLD
    flags = np.int64(operation["flags"])
    has_secret = (flags & c.POST_FLAG_PREIMAGE) != 0
    if has_secret != (hold.hash_locked != 0):
        return c.PREIMAGE_DIFFERS
    if has_secret:
        for k in range(4):
            if hold.hash[k] != hashes[i, k]:
                return c.PREIMAGE_DIFFERS
    code = _state_code(hold)
    if code == c.CREATED:
        code = _accounts_code(tables, hold)
    if code != c.CREATED:
        return code
    amount = operation.amount
    if amount > hold.held:
        return c.EXCEEDS_HELD
    payee_row = np.int64(hold.payee)
    # `balance_max` was checked when the hold was created: an excess now makes a waterfall or remains. The amount that
    # this operation pays or releases is no longer a pending credit.
    payee = tables.accounts[payee_row]
    resolved = hold.held if flags & c.POST_FLAG_RELEASE_REST else amount
    payee.credits_pending -= resolved
    fit = check_credit(tables, payee_row, amount, now_ns)
    payee.credits_pending += resolved
    number = _pay_from_hold(tables, place, 0, hold_row, amount)
    if flags & c.POST_FLAG_RELEASE_REST and hold.held > 0:
        release_hold(tables, hold_row, c.HOLD_STATE_POSTED)
    if fit == NEEDS_WATERFALL:
        send_excess(tables, place, number, payee_row, amount)
    return c.CREATED


@njit
def void(tables, operation):
    """Apply a VOID: release a hold. Return the code."""
    hold_row = find_hold(tables, operation.reference_low, operation.reference_high)
    if hold_row < 0:
        return c.HOLD_NOT_FOUND
    hold = tables.holds[hold_row]
    by = find(tables.account_slots, tables.accounts, operation.debit_low, operation.debit_high)
    if by < 0 or not _may_void(tables, hold, by):
        return c.NOT_A_PARTY_TO_HOLD
    code = _state_code(hold)
    if code == c.CREATED:
        release_hold(tables, hold_row, c.HOLD_STATE_VOIDED)
    return code


@njit
def extend(tables, operation):
    """Apply an EXTEND: set a later end. Return the code."""
    hold_row = find_hold(tables, operation.reference_low, operation.reference_high)
    if hold_row < 0:
        return c.HOLD_NOT_FOUND
    hold = tables.holds[hold_row]
    by = find(tables.account_slots, tables.accounts, operation.debit_low, operation.debit_high)
    if by < 0 or by != np.int64(hold.payer):
        return c.NOT_A_PARTY_TO_HOLD
    code = _state_code(hold)
    if code != c.CREATED:
        return code
    until_ns = _capped_end(tables, hold_row, operation.until_ns)
    if until_ns <= hold.until_ns:
        return c.HOLD_MUST_END_LATER
    touch_hold(tables, hold_row)
    hold.until_ns = until_ns
    push_time_out(tables, hold_row)
    return c.CREATED


@njit
def post_or_void_range(tables, operation, place, posts):
    """Apply POST_HOLDS or VOID_HOLDS to every hold of a range that the requester may post or void. Return the code."""
    first = find_hold(tables, operation.debit_low, operation.debit_high)
    last = find_hold(tables, operation.credit_low, operation.credit_high)
    if first < 0 or last < 0:
        return c.HOLD_NOT_FOUND
    if first > last:
        return c.HOLDS_OUT_OF_ORDER
    by = find(tables.account_slots, tables.accounts, operation.reference_low, operation.reference_high)
    number = 0
    for hold_row in range(first, last + 1):
        hold = tables.holds[hold_row]
        if hold.state != c.HOLD_STATE_OPEN or by < 0:
            continue
        if not posts:
            if _may_void(tables, hold, by):
                release_hold(tables, hold_row, c.HOLD_STATE_VOIDED)
        elif not hold.hash_locked and _may_post(tables, hold, by) and _accounts_code(tables, hold) == c.CREATED:
            first_movement, amount = tables.counters[c.MOVEMENTS], hold.held
            number = _pay_from_hold(tables, place, number, hold_row, amount)
            # No POST exists for this payment, so it is refunded by the id of the hold.
            hold.first_movement = first_movement + 1
            hold.movements = tables.counters[c.MOVEMENTS] - first_movement
            hold.posted = amount
    return c.CREATED


assert FITS < NEEDS_WATERFALL
