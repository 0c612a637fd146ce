"""TRANSFER, PAY, REFUND and REVERSE. Ledger reference, sections 3 and 5."""

from __future__ import annotations

import numpy as np

from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.inline import njit
from sycee.ledger.kernels.lookup import find, find_bound, frame_time_ns
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
from sycee.ledger.kernels.prefetch import RING_MASK
from sycee.ledger.kernels.rules import (
    FITS,
    NEEDS_WATERFALL,
    check_credit,
    check_debit,
    check_payee,
    count_usage,
    in_force,
    is_final,
    payee_code,
    send_excess,
)

NS_PER_SECOND = 1_000_000_000


@njit(forceinline=True)
def _account_row(tables, guessed, low, high):
    """Return the row of an account, -1 if there is none. `guessed`: probable row + 1, from the prefetch ring."""
    row = np.int64(guessed) - 1
    if row >= 0 and tables.accounts[row].id_low == low and tables.accounts[row].id_high == high:
        return row
    return find(tables.account_slots, tables.accounts, low, high)


@njit(forceinline=True)
def account_rows(tables, operation, i):
    """Return (debit row, credit row) of operation `i` of the frame, -1 for an account that does not exist."""
    guessed = tables.prefetch_ring[i & RING_MASK]
    return (
        _account_row(tables, guessed[0], operation.debit_low, operation.debit_high),
        _account_row(tables, guessed[1], operation.credit_low, operation.credit_high),
    )


@njit(forceinline=True)
def find_and_check_accounts(tables, operation, i, now_ns):
    """Return (code, debit row, credit row), with the checks that TRANSFER and PAY share."""
    debit_row, credit_row = account_rows(tables, operation, i)
    if debit_row < 0:
        return c.DEBIT_ACCOUNT_NOT_FOUND, debit_row, credit_row
    if credit_row < 0:
        return c.CREDIT_ACCOUNT_NOT_FOUND, debit_row, credit_row
    return check_accounts(tables, debit_row, credit_row, now_ns), debit_row, credit_row


@njit(forceinline=True)
def check_accounts(tables, debit_row, credit_row, now_ns):
    """Return CREATED if money can move between these accounts, else the reason, regardless of the amount."""
    debit = tables.accounts[debit_row]
    credit = tables.accounts[credit_row]
    if debit.currency != credit.currency:
        return c.CURRENCIES_MUST_MATCH
    if debit.kind == c.ACCOUNT_KIND_IN_TRANSIT or credit.kind == c.ACCOUNT_KIND_IN_TRANSIT:
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
    """Apply a TRANSFER: one movement, and one more for a waterfall. Return (code, 1 if it is final)."""
    code, debit_row, credit_row = find_and_check_accounts(tables, operation, i, now_ns)
    if code == c.CREATED:
        code = check_payee(tables, debit_row, credit_row)
    zero = np.int64(0)
    if code != c.CREATED:
        return code, zero
    amount = operation.amount
    if overflows_debits(tables.accounts[debit_row], amount):
        return c.OVERFLOWS_DEBITS, zero
    if overflows_credits(tables.accounts[credit_row], amount):
        return c.OVERFLOWS_CREDITS, zero
    code = check_debit(tables, debit_row, amount, True)
    if code != c.CREATED:
        return code, zero
    fit = check_credit(tables, credit_row, amount, now_ns)
    if fit > NEEDS_WATERFALL:
        return fit, zero
    move(tables, place, c.PURPOSE_TRANSFER, 0, debit_row, credit_row, amount)
    count_usage(tables, debit_row, amount)
    if fit == NEEDS_WATERFALL:
        send_excess(tables, place, 1, credit_row, amount)
    return c.CREATED, is_final(tables, credit_row)


@njit(forceinline=True)
def choose_purses(tables, payer, credit, amount, now_ns):
    """Choose the purses for a payment into `scratch`. Return (legs, rest for own money, whether a purse overflows)."""
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
            and payee_code(
                tables.rule_sets,
                tables.group_rows,
                tables.group_bits,
                rule_set,
                np.int64(credit.payee),
                np.int64(credit.kind),
            )
            == c.CREATED
        ):
            part = min(left, remaining)
            single = tables.rule_sets[rule_set].single_max
            if single:
                part = min(part, single)
            overflows = overflows or purse.spent + purse.pending > c.I64_MAX - amount
            tables.scratch[0, legs] = link - 1
            tables.scratch[1, legs] = part
            legs += 1
            remaining -= part
        link = np.int64(purse.next_purse)
    return legs, remaining, overflows


@njit(forceinline=True)
def check_pay(tables, debit_row, credit_row, amount, flags, now_ns):
    """Return (code, legs in `scratch`, own money, FITS or NEEDS_WATERFALL): the checks that PAY and HOLD share.

    Call `check_accounts` first.
    """
    debit = tables.accounts[debit_row]
    credit = tables.accounts[credit_row]
    legs = 0
    own = amount
    overflows = False
    if not flags & c.PAY_FLAG_OWN_ONLY and debit.first_purse:
        legs, own, overflows = choose_purses(tables, debit, credit, amount, now_ns)
    if own > 0 and not flags & c.PAY_FLAG_PURSES_ONLY:
        code = check_payee(tables, debit_row, credit_row)
        if code != c.CREATED:
            return code, legs, own, FITS
    if overflows or overflows_debits(debit, amount):
        return c.OVERFLOWS_DEBITS, legs, own, FITS
    if overflows_credits(credit, amount):
        return c.OVERFLOWS_CREDITS, legs, own, FITS
    if own > 0:
        if flags & c.PAY_FLAG_PURSES_ONLY:
            return c.EXCEEDS_BALANCE, legs, own, FITS
        code = check_debit(tables, debit_row, own, True)
        if code != c.CREATED:
            return code, legs, own, FITS
    fit = check_credit(tables, credit_row, amount, now_ns)
    if fit > NEEDS_WATERFALL:
        return fit, legs, own, FITS
    return c.CREATED, legs, own, fit


@njit(forceinline=True)
def pay(tables, operation, i, place, now_ns):
    """Apply a PAY: one movement per purse that may pay this payee, then one of own money. Return the code."""
    code, debit_row, credit_row = find_and_check_accounts(tables, operation, i, now_ns)
    if code != c.CREATED:
        return code
    amount = operation.amount
    code, legs, own, fit = check_pay(tables, debit_row, credit_row, amount, np.int64(operation["flags"]), now_ns)
    if code != c.CREATED:
        return code
    for leg in range(legs):
        move_from_purse(
            tables, place, c.PURPOSE_PAY_PURSE, leg, tables.scratch[0, leg], credit_row, tables.scratch[1, leg]
        )
    if own > 0:
        move(tables, place, c.PURPOSE_PAY_OWN, legs, debit_row, credit_row, own)
        count_usage(tables, debit_row, own)
        legs += 1
    if fit == NEEDS_WATERFALL:
        send_excess(tables, place, legs, credit_row, amount)
    return c.CREATED


@njit
def account_or_suspense(tables, row, purpose, suspense_purpose):
    """Return (row, purpose) of the account, or of its suspense account if the account cannot be credited.

    An ISSUANCE account is its own suspense account: only the purpose then shows that it could not be credited.
    """
    account = tables.accounts[row]
    if account.blocks & (c.BLOCK_CLOSED | c.BLOCK_CREDIT):
        return np.int64(account.suspense), suspense_purpose
    return np.int64(row), purpose


@njit
def _return_slice(tables, original_row, returned, amount, reversal, place, now_ns, execute):
    """Check, or with `execute` move, the slice [refunded, refunded + returned) of a payment's legs back to the payer.

    The legs are in the reverse order of the payment's movements: own money first, then the purses from last to first.
    A check returns OVERFLOWS_CREDITS if a receiver cannot accept the whole `amount`.
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
        part = min(start + paid.amount, refunded + returned) - max(start, refunded)
        start += paid.amount
        if part <= 0:
            continue
        if paid.purpose != c.PURPOSE_PAY_PURSE:
            target, purpose = account_or_suspense(tables, np.int64(paid.debit_row), own_purpose, suspense_purpose)
            if execute:
                move(tables, place, purpose, leg, payee_row, target, part)
                leg += 1
            elif overflows_credits(tables.accounts[target], amount):
                return c.OVERFLOWS_CREDITS
        else:
            purse_row = np.int64(paid.debit_row) & ~c.PURSE_BIT
            purse = tables.purses[purse_row]
            rules = tables.rule_sets[tables.programmes[purse.programme].rule_set]
            is_expired = purse.state == c.PURSE_STATE_EXPIRED or now_ns >= rules.until_ns
            target, purpose = account_or_suspense(
                tables, np.int64(rules.return_row), c.PURPOSE_RETURN, c.PURPOSE_RETURN_SUSPENSE
            )
            if execute:
                move_to_purse(tables, place, purse_purpose, leg, payee_row, purse_row, part)
                leg += 1
                if is_expired:
                    move_from_purse(tables, place, purpose, leg, purse_row, target, part)
                    leg += 1
            elif purse.refunded > c.I64_MAX - amount or (
                is_expired and overflows_credits(tables.accounts[target], amount)
            ):
                return c.OVERFLOWS_CREDITS
    return c.CREATED


@njit
def _is_pay(original, movements):
    """Return whether the operation is a PAY, a POST, or a HOLD that POST_HOLDS posted."""
    is_posted = original.kind == c.KIND_HOLD and movements > 0
    return original.kind == c.KIND_PAY or original.kind == c.KIND_POST or is_posted


@njit
def refund(tables, operation, place, now_ns):
    """Apply a REFUND: return a slice of a PAY or POST to the payer. Return the code."""
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
        # The movement's place, not the original's: a hold is posted later than it is created.
        paid_ns = frame_time_ns(tables, tables.movements[first - 1].place)
        if window_s and now_ns - paid_ns >= window_s * NS_PER_SECOND:
            return c.REFUND_WINDOW_CLOSED
    if amount > paid - refunded_of(tables, original_row):
        return c.EXCEEDS_REFUNDABLE
    if overflows_debits(payee, amount):
        return c.OVERFLOWS_DEBITS
    code = _return_slice(tables, original_row, amount, amount, False, place, now_ns, False)
    if code != c.CREATED:
        return code
    if available(payee) < amount and payee.kind != c.ACCOUNT_KIND_ISSUANCE:
        return c.EXCEEDS_BALANCE
    _return_slice(tables, original_row, amount, amount, False, place, now_ns, True)
    note_refund(tables, original_row, amount)
    return c.CREATED


@njit
def reverse(tables, operation, place, now_ns):
    """Apply a REVERSE as far as the payee has money. Return (code, amount that was missing)."""
    zero = np.int64(0)
    original_row = find_bound(tables, operation.reference_low, operation.reference_high)
    if original_row < 0:
        return c.ORIGINAL_NOT_FOUND, zero
    original = tables.bound[original_row]
    first, movements, paid = paid_by(tables, original_row)
    is_transfer = original.kind == c.KIND_TRANSFER
    if (is_transfer and original.detail) or not (is_transfer or _is_pay(original, movements)):
        return c.ORIGINAL_NOT_REVERSIBLE, zero
    if original.result != c.CREATED:
        return c.ORIGINAL_WAS_REFUSED, zero
    amount = operation.amount
    if amount > paid - refunded_of(tables, original_row):
        return c.EXCEEDS_REFUNDABLE, zero
    payee = tables.accounts[np.int64(tables.movements[first - 1].credit_row)]
    if overflows_debits(payee, amount):
        return c.OVERFLOWS_DEBITS, zero
    returned = amount
    if payee.kind != c.ACCOUNT_KIND_ISSUANCE:
        returned = min(amount, max(available(payee), zero))
    code = _return_slice(tables, original_row, amount, amount, True, place, now_ns, False)
    if code != c.CREATED:
        return code, zero
    _return_slice(tables, original_row, returned, amount, True, place, now_ns, True)
    if returned:
        note_refund(tables, original_row, returned)
    return c.CREATED, amount - returned
