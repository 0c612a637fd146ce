"""Naive twin: holds (docs/reference/ledger.md §7)."""

from __future__ import annotations

import hashlib

from sycee.core.records.layout import HoldFlag, HoldState, PostFlag
from sycee.core.result_codes import Result
from sycee.testing.naive_book import Book, Refusal, refuse
from sycee.testing.naive_limits import waterfall, waterfall_is_possible
from sycee.testing.naive_pays import check_paying, count_own_use, payer_and_payee, paying
from sycee.testing.naive_record import Operation
from sycee.testing.naive_rows import Hold, Legs, Pay


def hold(book: Book, operation: Operation) -> None:
    """Reserve the money that a PAY would debit."""
    payer, payee = payer_and_payee(book, operation)
    three_party = bool(operation.flags & HoldFlag.THREE_PARTY)
    hash_locked = bool(operation.flags & HoldFlag.HASH_LOCKED)
    if three_party:
        book.account_or(Result.RELEASER_NOT_FOUND, operation.reference)
    refuse(Result.HOLD_MUST_END_LATER, operation.until_ns <= book.now)
    legs = check_paying(book, operation, payer, payee)
    counted, periods = count_own_use(book, payer, legs)
    made = Hold(
        id=operation.id,
        payer=payer.id,
        payee=payee.id,
        third=operation.reference if three_party else 0,
        hash=operation.field("hash") if hash_locked else bytes(32),
        hash_locked=hash_locked,
        end_ns=_end(book, operation.until_ns, legs),
        legs=(),
        counted=counted,
        periods=periods,
    )
    book.holds[made.id] = made
    book.set_legs(made, legs)


def _end(book: Book, until_ns: int, legs: Legs) -> int:
    """Return the requested end, or the earliest end of the purses used if it is earlier."""
    ends = [book.rules_of_programme(purse[0]).until_ns for purse, _ in legs if purse is not None]
    return min([until_ns, *ends])


def _hold(book: Book, id: int) -> Hold:
    refuse(Result.HOLD_NOT_FOUND, id not in book.holds)
    return book.holds[id]


def _check_open(held: Hold) -> None:
    refuse(Result.HOLD_DONE, held.state in (HoldState.POSTED, HoldState.VOIDED))
    refuse(Result.HOLD_TIMED_OUT, held.state is HoldState.TIMED_OUT)


# ── One hold ─────────────────────────────────────────────────────────────────────────────────────────────────────


def post(book: Book, operation: Operation) -> None:
    """Pay a part of a hold or all of it; release the rest on request."""
    held = _hold(book, operation.reference)
    secret = operation.field("secret") if operation.flags & PostFlag.PREIMAGE else None
    _check_post(book, held, operation.debit, secret, operation.amount)
    payee = book.accounts[held.payee]
    done = held.held if operation.flags & PostFlag.RELEASE_REST else operation.amount
    possible = waterfall_is_possible(book, payee, operation.amount, pending_no_more=done)
    taken = _pay_from_legs(book, held, operation.amount)
    if operation.flags & PostFlag.RELEASE_REST:
        book.release(held, HoldState.POSTED)
    if possible:
        waterfall(book, operation.id, payee, operation.amount)
    book.pays[operation.id] = Pay(held.payer, held.payee, operation.amount, taken, book.now)


def _check_post(book: Book, held: Hold, asks: int, secret: bytes | None, amount: int) -> None:
    if held.third != 0:
        parties = [held.third]
    elif held.hash_locked:
        parties = [held.payee]
    else:
        parties = [held.payer, held.payee]
    refuse(Result.NOT_A_PARTY_TO_HOLD, asks not in parties)
    opens = secret is not None and hashlib.sha256(secret).digest() == held.hash
    refuse(Result.PREIMAGE_DIFFERS, not opens if held.hash_locked else secret is not None)
    _check_open(held)
    payer, payee = book.accounts[held.payer], book.accounts[held.payee]
    refuse(Result.CREDIT_ACCOUNT_CLOSED, payee.closed)
    refuse(Result.DEBIT_ACCOUNT_BLOCKED, payer.debit_reasons)
    refuse(Result.CREDIT_ACCOUNT_BLOCKED, payee.credit_reasons)
    refuse(Result.EXCEEDS_HELD, amount > held.held)


def _pay_from_legs(book: Book, held: Hold, amount: int) -> Legs:
    """Debit `amount` from the legs of a hold in their order; return the legs that paid."""
    taken: list[tuple[tuple[int, int] | None, int]] = []
    for purse, part in held.legs:
        taken.append((purse, min(part, amount)))
        amount -= min(part, amount)
    for leg in taken:
        # Leg by leg: the amount of a leg stops being pending at the moment it is paid.
        rest = tuple((purse, part - (leg[1] if purse == leg[0] else 0)) for purse, part in held.legs)
        book.set_legs(held, rest)
        book.move(paying(book, book.accounts[held.payer], book.accounts[held.payee], (leg,)))
    if held.held == 0:
        held.state = HoldState.POSTED
    return tuple(leg for leg in taken if leg[1] > 0)


def void(book: Book, operation: Operation) -> None:
    held = _hold(book, operation.reference)
    _check_void(held, operation.debit)
    book.release(held, HoldState.VOIDED)


def _check_void(held: Hold, asks: int) -> None:
    parties = [held.payee] if held.third == 0 else [held.payee, held.third]
    refuse(Result.NOT_A_PARTY_TO_HOLD, asks not in parties)
    _check_open(held)


def extend(book: Book, operation: Operation) -> None:
    """Extend the end of a hold, requested by the payer."""
    held = _hold(book, operation.reference)
    refuse(Result.NOT_A_PARTY_TO_HOLD, operation.debit != held.payer)
    _check_open(held)
    end_ns = _end(book, operation.until_ns, held.legs)
    refuse(Result.HOLD_MUST_END_LATER, end_ns <= held.end_ns)
    held.end_ns = end_ns


# ── Many holds ───────────────────────────────────────────────────────────────────────────────────────────────────


def _from_first_to_last(book: Book, operation: Operation) -> list[Hold]:
    made = list(book.holds)
    refuse(Result.HOLD_NOT_FOUND, operation.debit not in made or operation.credit not in made)
    first, last = made.index(operation.debit), made.index(operation.credit)
    refuse(Result.HOLDS_OUT_OF_ORDER, first > last)
    return [book.holds[id] for id in made[first : last + 1]]


def post_holds(book: Book, operation: Operation) -> None:
    """Post in full every hold of a range that the requester may post."""
    for held in _from_first_to_last(book, operation):
        try:
            _check_post(book, held, operation.reference, None, held.held)
        except Refusal:
            continue
        amount = held.held
        taken = _pay_from_legs(book, held, amount)
        book.pays[held.id] = Pay(held.payer, held.payee, amount, taken, book.now)


def void_holds(book: Book, operation: Operation) -> None:
    """Void every hold of a range that the requester may void."""
    for held in _from_first_to_last(book, operation):
        try:
            _check_void(held, operation.reference)
        except Refusal:
            continue
        book.release(held, HoldState.VOIDED)
