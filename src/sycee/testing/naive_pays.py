"""Naive twin: PAY, REFUND, REVERSE (docs/reference/ledger.md §5)."""

from __future__ import annotations

from sycee.core.records.layout import AccountKind, Kind, PayFlag, Purpose, PurseState
from sycee.core.result_codes import Result
from sycee.testing.naive_accounts import check_between
from sycee.testing.naive_book import Book, refuse, refuse_for
from sycee.testing.naive_limits import (
    count_use,
    forbids_amount,
    forbids_payee,
    forbids_receiving,
    is_in_force,
    waterfall,
    waterfall_is_possible,
)
from sycee.testing.naive_record import Operation
from sycee.testing.naive_rows import Account, Legs, Pay, Plan, Purse

SECOND_NS = 1_000_000_000


def pay(book: Book, operation: Operation) -> None:
    """Pay from purses first, then from own money; send any excess of the payee to its bank."""
    payer, payee = payer_and_payee(book, operation)
    legs = check_paying(book, operation, payer, payee)
    count_own_use(book, payer, legs)
    possible = waterfall_is_possible(book, payee, operation.amount)
    book.move(paying(book, payer, payee, legs))
    if possible:
        waterfall(book, operation.id, payee, operation.amount)
    book.pays[operation.id] = Pay(payer.id, payee.id, operation.amount, legs, book.now)


def payer_and_payee(book: Book, operation: Operation) -> tuple[Account, Account]:
    payer = book.account_or(Result.DEBIT_ACCOUNT_NOT_FOUND, operation.debit)
    payee = book.account_or(Result.CREDIT_ACCOUNT_NOT_FOUND, operation.credit)
    return payer, payee


def check_paying(book: Book, operation: Operation, payer: Account, payee: Account) -> Legs:
    """Check PAY's refusals except missing accounts; return the amounts per purse and own money."""
    check_between(payer, payee)
    amount = operation.amount
    refuse(Result.RULE_SET_NOT_IN_FORCE, not is_in_force(book, book.rules_of(payee)))
    purse_legs, own = _split(book, operation, payer, payee)
    purses_only = bool(operation.flags & PayFlag.PURSES_ONLY)
    if own > 0 and not purses_only:
        refuse_for(forbids_payee(book, book.rules_of(payer), payee))
    refuse(Result.OVERFLOWS_DEBITS, payer.overflows_debits(amount))
    refuse(Result.OVERFLOWS_DEBITS, any(purse.overflows_debits(amount) for purse, _ in purse_legs))
    refuse(Result.OVERFLOWS_CREDITS, payee.overflows_credits(amount))
    if own > 0:
        refuse(Result.EXCEEDS_BALANCE, purses_only)
        refuse_for(forbids_amount(book, payer, own))
    refuse_for(forbids_receiving(book, payee, amount))
    legs: Legs = tuple((purse.key, part) for purse, part in purse_legs)
    return (*legs, (None, own)) if own > 0 else legs


def _split(book: Book, operation: Operation, payer: Account, payee: Account) -> tuple[list[tuple[Purse, int]], int]:
    """Return the amount from each purse, and the rest from own money."""
    own = operation.amount
    purse_legs = []
    for purse in [] if operation.flags & PayFlag.OWN_ONLY else usable_purses(book, payer, payee, own):
        single_max = book.rules_of_programme(purse.programme).single_max
        part = min(purse.left, own) if single_max == 0 else min(purse.left, own, single_max)
        if part > 0:
            purse_legs.append((purse, part))
            own -= part
    return purse_legs, own


def usable_purses(book: Book, payer: Account, payee: Account, amount: int) -> list[Purse]:
    """Return the payer's purses that may pay this amount to this payee: by earliest end, programme, member."""
    usable = []
    for purse in book.purses_of(payer):
        rules = book.rules_of_programme(purse.programme)
        reaches = is_in_force(book, rules) and forbids_payee(book, rules, payee) is None
        reaches = reaches and amount >= rules.payment_min
        if purse.state is PurseState.CLAIMED and purse.left > 0 and reaches:
            usable.append((rules.until_ns, purse.programme, purse.member, purse))
    return [purse for *_, purse in sorted(usable, key=lambda entry: entry[:3])]


def count_own_use(book: Book, payer: Account, legs: Legs) -> tuple[bool, tuple[int, int, int]]:
    """Count the own money of a PAY or HOLD in the limits."""
    own = sum(part for purse, part in legs if purse is None)
    return count_use(book, payer, own) if own > 0 else (False, (0, 0, 0))


def paying(book: Book, payer: Account, payee: Account, legs: Legs) -> Plan:
    return [
        (payer, payee, part, Purpose.PAY_OWN) if purse is None else (book.purses[purse], payee, part, Purpose.PAY_PURSE)
        for purse, part in legs
        if part > 0
    ]


# ── Refunds and reversals ────────────────────────────────────────────────────────────────────────────────────

REFUND = (Purpose.REFUND_OWN, Purpose.REFUND_SUSPENSE, Purpose.REFUND_PURSE)
REVERSAL = (Purpose.REVERSAL_OWN, Purpose.REVERSAL_SUSPENSE, Purpose.REVERSAL_PURSE)


def refund(book: Book, operation: Operation) -> None:
    """Refund a part of a pay: own money first, then purses from the last."""
    original = _original(book, operation, (Kind.PAY, Kind.POST, Kind.HOLD), Result.ORIGINAL_IS_NOT_A_PAY)
    payee, amount = book.accounts[original.payee], operation.amount
    refuse(Result.DEBIT_ACCOUNT_CLOSED, payee.closed)
    refuse(Result.DEBIT_ACCOUNT_BLOCKED, payee.debit_reasons)
    rules, passed = book.rules_of(payee), book.now - original.paid_ns
    if rules is not None and rules.refund_window_s != 0:
        refuse(Result.REFUND_WINDOW_CLOSED, passed >= rules.refund_window_s * SECOND_NS)
    _check_refundable(book, operation, original)
    refuse(Result.EXCEEDS_BALANCE, not payee.has(amount))
    _give_back(book, operation.reference, original, amount, REFUND)


def reverse(book: Book, operation: Operation) -> None:
    """Reverse by authority up to the payee's money; the rest is a claim on record."""
    reversible = (Kind.TRANSFER, Kind.PAY, Kind.POST, Kind.HOLD)
    original = _original(book, operation, reversible, Result.ORIGINAL_NOT_REVERSIBLE)
    refuse(Result.ORIGINAL_NOT_REVERSIBLE, original.final)
    payee, amount = book.accounts[original.payee], operation.amount
    _check_refundable(book, operation, original)
    taken = amount if payee.kind == AccountKind.ISSUANCE else max(0, min(amount, payee.available))
    _give_back(book, operation.reference, original, taken, REVERSAL)
    book.refunded[operation.id] = amount - taken


def _original(book: Book, operation: Operation, kinds: tuple[Kind, ...], otherwise: Result) -> Pay:
    refuse(Result.ORIGINAL_NOT_FOUND, operation.reference not in book.bound)
    bound = book.bound[operation.reference]
    refuse(otherwise, bound.kind not in kinds)
    # A hold that a POST posted, or no operation posted, has no entry.
    refuse(otherwise, bound.kind is Kind.HOLD and operation.reference not in book.pays)
    refuse(Result.ORIGINAL_WAS_REFUSED, bound.result is not Result.CREATED)
    return book.pays[operation.reference]


def _check_refundable(book: Book, operation: Operation, original: Pay) -> None:
    """Check the refusals shared by REFUND and REVERSE, for the operation's whole amount."""
    amount, refunded = operation.amount, book.refunded.get(operation.reference, 0)
    refuse(Result.EXCEEDS_REFUNDABLE, refunded + amount > original.amount)
    plan = _refund_plan(book, original, refunded, amount, REFUND)
    refuse(Result.OVERFLOWS_DEBITS, book.accounts[original.payee].overflows_debits(amount))
    refuse(Result.OVERFLOWS_CREDITS, any(receiver.overflows_credits(amount) for _, receiver, _, _ in plan))


def _give_back(book: Book, original_id: int, original: Pay, amount: int, purposes: tuple[Purpose, ...]) -> None:
    refunded = book.refunded.get(original_id, 0)
    book.move(_refund_plan(book, original, refunded, amount, purposes))
    book.refunded[original_id] = refunded + amount


def _refund_plan(book: Book, original: Pay, refunded: int, amount: int, purposes: tuple[Purpose, ...]) -> Plan:
    """Return the part [refunded, refunded + amount) of the legs: own money first, then purses from the last."""
    to_own, to_suspense, to_purse = purposes
    payer, payee = book.accounts[original.payer], book.accounts[original.payee]
    own_legs = [leg for leg in original.legs if leg[0] is None]
    purse_legs = [leg for leg in original.legs if leg[0] is not None]
    plan: Plan = []
    begin = 0
    for key, length in own_legs + purse_legs[::-1]:
        end = begin + length
        part = min(end, refunded + amount) - max(begin, refunded)
        begin = end
        if part <= 0:
            continue
        if key is None:
            receiver, purpose = book.receiver(payer, to_own, to_suspense)
            plan.append((payee, receiver, part, purpose))
            continue
        purse = book.purses[key]
        plan.append((payee, purse, part, to_purse))
        if purse.state is PurseState.EXPIRED or book.is_expired(purse.programme):
            receiver, purpose = book.return_account(purse.programme)
            plan.append((purse, receiver, part, purpose))
    return plan
