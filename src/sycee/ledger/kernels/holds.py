"""Holds: money kept ready for a payee. Reference, section 7."""

from __future__ import annotations

import numpy as np

from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.inline import njit
from sycee.ledger.kernels.lookup import find, find_bound
from sycee.ledger.kernels.movements import move, move_from_purse
from sycee.ledger.kernels.payments import between, judge_pay, sides
from sycee.ledger.kernels.rules import FITS, FLOWS_OVER, flow_over, give_back_used, receiving, use_up
from sycee.ledger.kernels.undo import touch_account, touch_hold, touch_purse, touch_value


@njit
def _earlier(time_outs, one, other):
    """Order of the heap: the earlier end first, then the earlier made."""
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
    """Note when a hold ends."""
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
def let_time_pass(tables, now_ns):
    """Let go of every open hold whose end has come. Stale entries at the top are dropped, whenever they end."""
    while tables.counters[c.TIME_OUTS]:
        hold_row = np.int64(tables.time_outs[0].hold)
        # A chain that was undone may have left an entry for a hold that is not there.
        is_stale = hold_row >= tables.counters[c.HOLDS]
        if not is_stale:
            hold = tables.holds[hold_row]
            is_stale = hold.state != c.HOLD_IS_OPEN or hold.until_ns != tables.time_outs[0].until_ns
        if not is_stale and tables.time_outs[0].until_ns > now_ns:
            return
        _pop_time_out(tables)
        if not is_stale:
            let_go(tables, hold_row, c.HOLD_IS_TIMED_OUT)


@njit(forceinline=True)
def hold_of(tables, low, high):
    """Row of the hold that this id made, or -1."""
    bound_row = find_bound(tables, low, high)
    if bound_row < 0 or tables.bound[bound_row].kind != c.KIND_HOLD or tables.bound[bound_row].result != c.CREATED:
        return np.int64(-1)
    return tables.bound[bound_row].detail


@njit(forceinline=True)
def _last_end(tables, hold_row, until_ns):
    """`until_ns`, or the earliest end of a purse that the hold uses: it outlives none."""
    hold = tables.holds[hold_row]
    for k in range(np.int64(hold.legs)):
        purse = tables.purses[tables.hold_legs[np.int64(hold.first_leg) + k].purse]
        until_ns = min(until_ns, tables.rule_sets[tables.programmes[purse.programme].rule_set].until_ns)
    return until_ns


@njit(forceinline=True)
def make_hold(tables, operation, words, i, now_ns):
    """HOLD: judged as a pay, counted at once, nothing moved."""
    flags = np.int64(operation["flags"])
    debit_row, credit_row = sides(tables, operation, i)
    if debit_row < 0:
        return c.DEBIT_ACCOUNT_NOT_FOUND
    if credit_row < 0:
        return c.CREDIT_ACCOUNT_NOT_FOUND
    third = np.int64(-1)
    if flags & c.THREE_PARTY:
        third = find(tables.account_slots, tables.accounts, operation.reference_low, operation.reference_high)
        if third < 0:
            return c.RELEASER_NOT_FOUND
    if operation.until_ns <= now_ns:
        return c.HOLD_MUST_END_LATER
    code = between(tables, debit_row, credit_row, now_ns)
    if code != c.CREATED:
        return code
    amount = operation.amount
    code, legs, own, _ = judge_pay(tables, debit_row, credit_row, amount, flags, now_ns)
    if code != c.CREATED:
        return code
    hold_row = tables.counters[c.HOLDS]
    hold = tables.holds[hold_row]
    hold.bound = tables.counters[c.BOUND]
    hold.payer = debit_row
    hold.payee = credit_row
    hold.third = third + 1
    hold.hash_locked = 1 if flags & c.HASH_LOCKED else 0
    for k in range(4):
        hold.hash[k] = words[i, 8 + k] if flags & c.HASH_LOCKED else c.ZERO
    hold.own_held = own
    hold.held = amount
    hold.first_leg = tables.counters[c.HOLD_LEGS]
    hold.legs = legs
    hold.state = c.HOLD_IS_OPEN
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
    counted = own > 0 and use_up(tables, debit_row, own)
    hold.counted = 1 if counted else 0
    hold.day = payer.day if counted else 0
    hold.month = payer.month if counted else 0
    hold.year = payer.year if counted else 0
    tables.counters[c.HOLDS] = hold_row + 1
    hold.until_ns = _last_end(tables, hold_row, operation.until_ns)
    push_time_out(tables, hold_row)
    return c.CREATED


@njit
def let_go(tables, hold_row, state):
    """What is still held is pending no more."""
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
        give_back_used(tables.accounts, payer_row, hold.own_held, hold.day, hold.month, hold.year)
    hold.own_held = 0
    hold.held = 0
    hold.state = state


@njit(forceinline=True)
def _take(tables, place, first_leg_number, hold_row, amount):
    """Part or all of what is held goes to the payee, from the legs in their order; returns the next leg's number."""
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
        take = min(leg.held, remaining)
        if take > 0:
            purse_row = np.int64(leg.purse)
            touch_purse(tables, purse_row)
            touch_value(tables, c.VALUE_HOLD_LEG, leg_row, leg.held)
            leg.held -= take
            tables.purses[purse_row].pending -= take
            move_from_purse(tables, place, c.PURPOSE_PAY_PURSE, number, purse_row, payee_row, take)
            number += 1
            remaining -= take
    if remaining > 0:
        touch_account(tables, payer_row)
        tables.accounts[payer_row].debits_pending -= remaining
        hold.own_held -= remaining
        move(tables, place, c.PURPOSE_PAY_OWN, number, payer_row, payee_row, remaining)
        number += 1
    hold.held -= amount
    if hold.held == 0:
        hold.state = c.HOLD_IS_POSTED
    return number


@njit(forceinline=True)
def _may_post(tables, hold, by):
    """Is it for this account to post the hold?"""
    if hold.hash_locked:
        return by == np.int64(hold.payee)
    if hold.third:
        return by == np.int64(hold.third) - 1
    return by == np.int64(hold.payee) or by == np.int64(hold.payer)


@njit
def _may_void(tables, hold, by):
    """Is it for this account to void the hold? The payee may always do without the money."""
    return by == np.int64(hold.payee) or (hold.third and by == np.int64(hold.third) - 1)


@njit(forceinline=True)
def _state_code(hold):
    if hold.state == c.HOLD_IS_TIMED_OUT:
        return c.HOLD_TIMED_OUT
    return c.CREATED if hold.state == c.HOLD_IS_OPEN else c.HOLD_DONE


@njit(forceinline=True)
def _accounts_code(tables, hold):
    """What of both accounts' blocks keeps a hold from being posted."""
    if tables.accounts[hold.payee].blocks & c.BLOCK_CLOSED:
        return c.CREDIT_ACCOUNT_CLOSED
    if tables.accounts[hold.payer].blocks & c.BLOCK_DEBIT:
        return c.DEBIT_ACCOUNT_BLOCKED
    if tables.accounts[hold.payee].blocks & c.BLOCK_CREDIT:
        return c.CREDIT_ACCOUNT_BLOCKED
    return c.CREATED


@njit(forceinline=True)
def post(tables, operation, hashes, i, place, now_ns):
    """All or part of a hold goes to the payee. `hashes`: (n, 4) u64, SHA-256 of each operation's secret."""
    hold_row = hold_of(tables, operation.reference_low, operation.reference_high)
    if hold_row < 0:
        return c.HOLD_NOT_FOUND
    hold = tables.holds[hold_row]
    by = find(tables.account_slots, tables.accounts, operation.debit_low, operation.debit_high)
    if by < 0 or not _may_post(tables, hold, by):
        return c.NOT_A_PARTY_TO_HOLD
    flags = np.int64(operation["flags"])
    has_secret = (flags & c.PREIMAGE) != 0
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
    # It was judged when it was held; what no longer fits now flows over, or stays. What is let go comes no more.
    payee = tables.accounts[payee_row]
    done = hold.held if flags & c.LETS_GO else amount
    payee.credits_pending -= done
    room = receiving(tables, payee_row, amount, now_ns)
    payee.credits_pending += done
    number = _take(tables, place, 0, hold_row, amount)
    if flags & c.LETS_GO and hold.held > 0:
        let_go(tables, hold_row, c.HOLD_IS_POSTED)
    if room == FLOWS_OVER:
        flow_over(tables, place, number, payee_row, amount)
    return c.CREATED


@njit
def void(tables, operation):
    """Let go of a hold."""
    hold_row = hold_of(tables, operation.reference_low, operation.reference_high)
    if hold_row < 0:
        return c.HOLD_NOT_FOUND
    hold = tables.holds[hold_row]
    by = find(tables.account_slots, tables.accounts, operation.debit_low, operation.debit_high)
    if by < 0 or not _may_void(tables, hold, by):
        return c.NOT_A_PARTY_TO_HOLD
    code = _state_code(hold)
    if code == c.CREATED:
        let_go(tables, hold_row, c.HOLD_IS_VOIDED)
    return code


@njit
def extend(tables, operation):
    """Keep money ready for longer."""
    hold_row = hold_of(tables, operation.reference_low, operation.reference_high)
    if hold_row < 0:
        return c.HOLD_NOT_FOUND
    hold = tables.holds[hold_row]
    by = find(tables.account_slots, tables.accounts, operation.debit_low, operation.debit_high)
    if by < 0 or by != np.int64(hold.payer):
        return c.NOT_A_PARTY_TO_HOLD
    code = _state_code(hold)
    if code != c.CREATED:
        return code
    until_ns = _last_end(tables, hold_row, operation.until_ns)
    if until_ns <= hold.until_ns:
        return c.HOLD_MUST_END_LATER
    touch_hold(tables, hold_row)
    hold.until_ns = until_ns
    push_time_out(tables, hold_row)
    return c.CREATED


@njit
def many_holds(tables, operation, place, posts):
    """POST_HOLDS and VOID_HOLDS: every hold of a range for which the account that asks may do so."""
    first = hold_of(tables, operation.debit_low, operation.debit_high)
    last = hold_of(tables, operation.credit_low, operation.credit_high)
    if first < 0 or last < 0:
        return c.HOLD_NOT_FOUND
    if first > last:
        return c.HOLDS_OUT_OF_ORDER
    by = find(tables.account_slots, tables.accounts, operation.reference_low, operation.reference_high)
    number = 0
    for hold_row in range(first, last + 1):
        hold = tables.holds[hold_row]
        if hold.state != c.HOLD_IS_OPEN or by < 0:
            continue
        if not posts:
            if _may_void(tables, hold, by):
                let_go(tables, hold_row, c.HOLD_IS_VOIDED)
        elif not hold.hash_locked and _may_post(tables, hold, by) and _accounts_code(tables, hold) == c.CREATED:
            made, amount = tables.counters[c.MOVEMENTS], hold.held
            number = _take(tables, place, number, hold_row, amount)
            # What is posted so comes back by the id of the hold, which was posted by no operation of its own.
            hold.first_movement = made + 1
            hold.movements = tables.counters[c.MOVEMENTS] - made
            hold.posted = amount
    return c.CREATED


assert FITS < FLOWS_OVER
