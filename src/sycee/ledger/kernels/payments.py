"""TRANSFER, PAY, REFUND and REVERSE."""

from __future__ import annotations

import numpy as np

from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.inline import njit
from sycee.ledger.kernels.lookup import find, find_bound
from sycee.ledger.kernels.movements import (
    available,
    left_in,
    move,
    move_from_purse,
    move_to_purse,
    overflows_credits,
    overflows_debits,
)
from sycee.ledger.kernels.original_payments import note_refund, paid_by, refunded_of
from sycee.ledger.kernels.prefetch import AHEAD_MASK
from sycee.ledger.kernels.rules import (
    FITS,
    FLOWS_OVER,
    flow_over,
    giving,
    giving_to,
    in_force,
    is_final,
    reaching,
    receiving,
    use_up,
)

NS_PER_SECOND = 1_000_000_000


@njit(forceinline=True)
def _row(tables, guessed, low, high):
    """Row of an account, -1 where there is none; `guessed` is row + 1 of the one that was fetched ahead."""
    row = np.int64(guessed) - 1
    if row >= 0 and tables.accounts[row].id_low == low and tables.accounts[row].id_high == high:
        return row
    return find(tables.account_slots, tables.accounts, low, high)


@njit(forceinline=True)
def sides(tables, operation, i):
    """(debit row, credit row) of operation `i` of the frame, -1 where there is no such account."""
    guessed = tables.ahead[i & AHEAD_MASK]
    return (
        _row(tables, guessed[0], operation.debit_low, operation.debit_high),
        _row(tables, guessed[1], operation.credit_low, operation.credit_high),
    )


@njit(forceinline=True)
def pair(tables, operation, i, now_ns):
    """Checks that TRANSFER and PAY share: (code, debit row, credit row)."""
    debit_row, credit_row = sides(tables, operation, i)
    if debit_row < 0:
        return c.DEBIT_ACCOUNT_NOT_FOUND, debit_row, credit_row
    if credit_row < 0:
        return c.CREDIT_ACCOUNT_NOT_FOUND, debit_row, credit_row
    return between(tables, debit_row, credit_row, now_ns), debit_row, credit_row


@njit(forceinline=True)
def between(tables, debit_row, credit_row, now_ns):
    """Why no money may go from one account to the other, whatever the amount; CREATED where it may."""
    debit = tables.accounts[debit_row]
    credit = tables.accounts[credit_row]
    if debit.currency != credit.currency:
        return c.CURRENCIES_MUST_MATCH
    if debit.kind == c.IN_TRANSIT or credit.kind == c.IN_TRANSIT:
        return c.ACCOUNT_IS_IN_TRANSIT
    if debit.blocks or credit.blocks:
        if debit.blocks & c.BLOCK_CLOSED:
            return c.DEBIT_ACCOUNT_CLOSED
        if credit.blocks & c.BLOCK_CLOSED:
            return c.CREDIT_ACCOUNT_CLOSED
        if debit.blocks & c.BLOCK_DEBIT:
            return c.DEBIT_ACCOUNT_BLOCKED
        if credit.blocks & c.BLOCK_CREDIT:
            return c.CREDIT_ACCOUNT_BLOCKED
    if credit.rule_set and not in_force(tables.rule_sets, np.int64(credit.rule_set), now_ns):
        return c.RULE_SET_NOT_IN_FORCE
    return c.CREATED


@njit(forceinline=True)
def transfer(tables, operation, i, place, now_ns):
    """Own money from one account to another: one movement, and one more where it flows over: (code, 1 if final)."""
    code, debit_row, credit_row = pair(tables, operation, i, now_ns)
    if code == c.CREATED:
        code = giving_to(tables, debit_row, credit_row)
    nothing = np.int64(0)
    if code != c.CREATED:
        return code, nothing
    amount = operation.amount
    if overflows_debits(tables.accounts[debit_row], amount):
        return c.OVERFLOWS_DEBITS, nothing
    if overflows_credits(tables.accounts[credit_row], amount):
        return c.OVERFLOWS_CREDITS, nothing
    code = giving(tables, debit_row, amount, True)
    if code != c.CREATED:
        return code, nothing
    room = receiving(tables, credit_row, amount, now_ns)
    if room > FLOWS_OVER:
        return room, nothing
    move(tables, place, c.PURPOSE_TRANSFER, 0, debit_row, credit_row, amount)
    use_up(tables, debit_row, amount)
    if room == FLOWS_OVER:
        flow_over(tables, place, 1, credit_row, amount)
    return c.CREATED, is_final(tables, credit_row)


@njit(forceinline=True)
def choose_purses(tables, payer, credit, amount, now_ns):
    """Which purses give how much to this payee, into `scratch`: (legs, what is left for own money, overflows)."""
    overflows = False
    remaining = amount
    legs = 0
    link = np.int64(payer.first_purse)
    while link and remaining > 0:
        purse = tables.purses[link - 1]
        rule_set = np.int64(tables.programmes[purse.programme].rule_set)
        left = left_in(purse)
        if (
            left > 0
            and amount >= tables.rule_sets[rule_set].payment_min
            and in_force(tables.rule_sets, rule_set, now_ns)
            and reaching(
                tables.rule_sets,
                tables.group_rows,
                tables.group_bits,
                rule_set,
                np.int64(credit.payee),
                np.int64(credit.kind),
            )
            == c.CREATED
        ):
            take = min(left, remaining)
            single = tables.rule_sets[rule_set].single_max
            if single:
                take = min(take, single)
            overflows = overflows or purse.spent + purse.pending > c.I64_MAX - amount
            tables.scratch[0, legs] = link - 1
            tables.scratch[1, legs] = take
            legs += 1
            remaining -= take
        link = np.int64(purse.next_purse)
    return legs, remaining, overflows


@njit(forceinline=True)
def judge_pay(tables, debit_row, credit_row, amount, flags, now_ns):
    """What PAY and HOLD share behind `pair`: (code, legs in `scratch`, own money, whether the payee flows over)."""
    debit = tables.accounts[debit_row]
    credit = tables.accounts[credit_row]
    legs = 0
    own = amount
    overflows = False
    if not flags & c.OWN_ONLY and debit.first_purse:
        legs, own, overflows = choose_purses(tables, debit, credit, amount, now_ns)
    if own > 0 and not flags & c.PURSES_ONLY:
        code = giving_to(tables, debit_row, credit_row)
        if code != c.CREATED:
            return code, legs, own, FITS
    if overflows or overflows_debits(debit, amount):
        return c.OVERFLOWS_DEBITS, legs, own, FITS
    if overflows_credits(credit, amount):
        return c.OVERFLOWS_CREDITS, legs, own, FITS
    if own > 0:
        if flags & c.PURSES_ONLY:
            return c.EXCEEDS_BALANCE, legs, own, FITS
        code = giving(tables, debit_row, own, True)
        if code != c.CREATED:
            return code, legs, own, FITS
    room = receiving(tables, credit_row, amount, now_ns)
    if room > FLOWS_OVER:
        return room, legs, own, FITS
    return c.CREATED, legs, own, room


@njit(forceinline=True)
def pay(tables, operation, i, place, now_ns):
    """Purses that may pay this payee first, then own money: a movement each."""
    code, debit_row, credit_row = pair(tables, operation, i, now_ns)
    if code != c.CREATED:
        return code
    amount = operation.amount
    code, legs, own, room = judge_pay(tables, debit_row, credit_row, amount, np.int64(operation["flags"]), now_ns)
    if code != c.CREATED:
        return code
    for leg in range(legs):
        move_from_purse(
            tables, place, c.PURPOSE_PAY_PURSE, leg, tables.scratch[0, leg], credit_row, tables.scratch[1, leg]
        )
    if own > 0:
        move(tables, place, c.PURPOSE_PAY_OWN, legs, debit_row, credit_row, own)
        use_up(tables, debit_row, own)
        legs += 1
    if room == FLOWS_OVER:
        flow_over(tables, place, legs, credit_row, amount)
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
def _slice(tables, original_row, taken, amount, reversal, place, now_ns, doing):
    """The slice [refunded, refunded + taken) of a pay's legs goes back the way it came: judged, or done.

    The legs laid end to end, own money first and then the purses from the last to the first, are the pay's movements
    read backwards. Judged, it returns OVERFLOWS_CREDITS where a receiver cannot take the whole `amount`.
    """
    oldest, movements, _ = paid_by(tables, original_row)
    refunded = refunded_of(tables, original_row)
    payee_row = np.int64(tables.movements[oldest - 1].credit_row)
    own_purpose = c.PURPOSE_REVERSAL_OWN if reversal else c.PURPOSE_REFUND_OWN
    suspense_purpose = c.PURPOSE_REVERSAL_SUSPENSE if reversal else c.PURPOSE_REFUND_SUSPENSE
    purse_purpose = c.PURPOSE_REVERSAL_PURSE if reversal else c.PURPOSE_REFUND_PURSE
    start = np.int64(0)
    leg = 0
    for number in range(oldest + movements - 1, oldest - 1, -1):
        paid = tables.movements[number - 1]
        if paid.purpose == c.PURPOSE_WATERFALL:
            continue
        part = min(start + paid.amount, refunded + taken) - max(start, refunded)
        start += paid.amount
        if part <= 0:
            continue
        if paid.purpose != c.PURPOSE_PAY_PURSE:
            target, purpose = takes_or_suspense(tables, np.int64(paid.debit_row), own_purpose, suspense_purpose)
            if doing:
                move(tables, place, purpose, leg, payee_row, target, part)
                leg += 1
            elif overflows_credits(tables.accounts[target], amount):
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
                move_to_purse(tables, place, purse_purpose, leg, payee_row, purse_row, part)
                leg += 1
                if home:
                    move_from_purse(tables, place, purpose, leg, purse_row, target, part)
                    leg += 1
            elif purse.refunded > c.I64_MAX - amount or (home and overflows_credits(tables.accounts[target], amount)):
                return c.OVERFLOWS_CREDITS
    return c.CREATED


@njit
def _is_pay(original, movements):
    """Is it a PAY, a POST, or a HOLD that POST_HOLDS posted?"""
    is_posted = original.kind == c.KIND_HOLD and movements > 0
    return original.kind == c.KIND_PAY or original.kind == c.KIND_POST or is_posted


@njit
def refund(tables, operation, place, now_ns):
    """Give back a slice of a pay or post, the way it came."""
    original_row = find_bound(tables, operation.reference_low, operation.reference_high)
    if original_row < 0:
        return c.ORIGINAL_NOT_FOUND
    original = tables.bound[original_row]
    first, movements, paid = paid_by(tables, original_row)
    if not _is_pay(original, movements):
        return c.ORIGINAL_IS_NOT_A_PAY
    if original.result != c.CREATED:
        return c.ORIGINAL_WAS_REFUSED
    amount = operation.amount
    payee_row = np.int64(tables.movements[first - 1].credit_row)
    payee = tables.accounts[payee_row]
    if payee.blocks & c.BLOCK_CLOSED:
        return c.DEBIT_ACCOUNT_CLOSED
    if payee.blocks & c.BLOCK_DEBIT:
        return c.DEBIT_ACCOUNT_BLOCKED
    if payee.rule_set:
        window_s = np.int64(tables.rule_sets[payee.rule_set].refund_window_s)
        # The movement's place, not the original's: a hold is posted later than it is made.
        place_paid = tables.movements[first - 1].place
        paid_ns = tables.frame_times[np.int64(place_paid >> c.PLACE_SHIFT)]
        if window_s and now_ns - paid_ns >= window_s * NS_PER_SECOND:
            return c.REFUND_WINDOW_CLOSED
    if amount > paid - refunded_of(tables, original_row):
        return c.EXCEEDS_REFUNDABLE
    if overflows_debits(payee, amount):
        return c.OVERFLOWS_DEBITS
    code = _slice(tables, original_row, amount, amount, False, place, now_ns, False)
    if code != c.CREATED:
        return code
    if available(payee) < amount and payee.kind != c.ISSUANCE:
        return c.EXCEEDS_BALANCE
    _slice(tables, original_row, amount, amount, False, place, now_ns, True)
    note_refund(tables, original_row, amount)
    return c.CREATED


@njit
def reverse(tables, operation, place, now_ns):
    """By authority, as far as money is there: (code, what was not there)."""
    nothing = np.int64(0)
    original_row = find_bound(tables, operation.reference_low, operation.reference_high)
    if original_row < 0:
        return c.ORIGINAL_NOT_FOUND, nothing
    original = tables.bound[original_row]
    first, movements, paid = paid_by(tables, original_row)
    is_transfer = original.kind == c.KIND_TRANSFER
    if (is_transfer and original.detail) or not (is_transfer or _is_pay(original, movements)):
        return c.ORIGINAL_NOT_REVERSIBLE, nothing
    if original.result != c.CREATED:
        return c.ORIGINAL_WAS_REFUSED, nothing
    amount = operation.amount
    if amount > paid - refunded_of(tables, original_row):
        return c.EXCEEDS_REFUNDABLE, nothing
    payee = tables.accounts[np.int64(tables.movements[first - 1].credit_row)]
    if overflows_debits(payee, amount):
        return c.OVERFLOWS_DEBITS, nothing
    taken = amount
    if payee.kind != c.ISSUANCE:
        taken = min(amount, max(available(payee), nothing))
    code = _slice(tables, original_row, amount, amount, True, place, now_ns, False)
    if code != c.CREATED:
        return code, nothing
    _slice(tables, original_row, taken, amount, True, place, now_ns, True)
    if taken:
        note_refund(tables, original_row, taken)
    return c.CREATED, amount - taken
