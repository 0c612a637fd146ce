"""Naive twin: programmes and purses (docs/reference/ledger.md §5), except payments and refunds."""

from __future__ import annotations

from collections.abc import Iterable

from blake3 import blake3

from sycee.core.limits import I64_MAX
from sycee.core.records.layout import PURSE_BIT, AccountKind, Purpose, PurseState
from sycee.core.result_codes import Result
from sycee.testing.naive_book import Book, refuse, refuse_for
from sycee.testing.naive_limits import count_use, forbids_amount
from sycee.testing.naive_record import Operation
from sycee.testing.naive_rows import Programme, Purse

PURSES_PER_WALLET_MAX = 16


def id_bytes(id: int) -> bytes:
    """Return an id as 16 bytes, low half first."""
    return id.to_bytes(16, "little")


def cohort_digest(member_ids: Iterable[int]) -> bytes:
    """Return the digest that SEAL_COHORT must name: BLAKE3-256 over the member ids in order."""
    return blake3(b"".join(map(id_bytes, member_ids))).digest()


def _programme(book: Book, operation: Operation) -> Programme:
    refuse(Result.PROGRAMME_NOT_FOUND, operation.number not in book.programmes)
    return book.programmes[operation.number]


def open_programme(book: Book, operation: Operation) -> None:
    """Open a programme with a purse for each future member."""
    refuse(Result.RULE_SET_NOT_FOUND, operation.rule_set not in book.rule_sets)
    refuse(Result.PROGRAMME_EXISTS, operation.number in book.programmes)
    returns_to = book.rule_sets[operation.rule_set].current.return_account
    refuse(Result.RETURN_ACCOUNT_NOT_FOUND, returns_to == 0)
    funder = book.account_or(Result.DEBIT_ACCOUNT_NOT_FOUND, operation.debit)
    refuse(Result.CURRENCIES_MUST_MATCH, funder.currency != book.accounts[returns_to].currency)
    refuse(Result.ACCOUNT_IS_IN_TRANSIT, funder.kind == AccountKind.IN_TRANSIT)
    book.programmes[operation.number] = Programme(
        rule_set=operation.rule_set,
        funder=funder.id,
        currency=funder.currency,
        claim_from_ns=operation.from_ns,
        claim_until_ns=operation.until_ns,
        count=operation.count,
    )
    for member in range(operation.count):
        purse = Purse(operation.number, member, row_number=PURSE_BIT | len(book.purses))
        book.purses[purse.key] = purse


def add_members(book: Book, operation: Operation) -> None:
    programme = _programme(book, operation)
    refuse(Result.COHORT_SEALED, programme.sealed)
    refuse(Result.MEMBER_NOT_FOUND, operation.first + operation.count > programme.count)
    refuse(Result.MEMBERS_OUT_OF_ORDER, operation.first != programme.filled)
    for purse, member_id in zip(book.purses_in(operation), operation.members, strict=True):
        purse.member_id = member_id
    programme.filled += operation.count


def seal_cohort(book: Book, operation: Operation) -> None:
    """Fix the cohort by its digest, permanently."""
    programme = _programme(book, operation)
    refuse(Result.COHORT_SEALED, programme.sealed)
    refuse(Result.COHORT_INCOMPLETE, programme.filled != programme.count)
    members = [book.purses[operation.number, member].member_id for member in range(programme.count)]
    refuse(Result.COHORT_DIGEST_DIFFERS, operation.field("digest") != cohort_digest(members))
    programme.sealed, programme.seal = True, operation.id


def drop(book: Book, operation: Operation) -> None:
    """Pay the same amount to each member of a range, or to none; members already paid are skipped."""
    programme, amount = _programme(book, operation), operation.amount
    refuse(Result.COHORT_NOT_SEALED, not programme.sealed)
    refuse(Result.SEAL_DIFFERS, programme.seal != operation.reference)
    refuse(Result.MEMBER_NOT_FOUND, operation.first + operation.count > programme.count)
    funder = book.accounts[programme.funder]
    refuse(Result.DEBIT_ACCOUNT_CLOSED, funder.closed)
    refuse(Result.DEBIT_ACCOUNT_BLOCKED, funder.debit_reasons)
    refuse(Result.PROGRAMME_EXPIRED, book.is_expired(operation.number))
    to_fill = [purse for purse in book.purses_in(operation) if purse.state is PurseState.EMPTY]
    total = amount * len(to_fill)
    refuse(Result.OVERFLOWS_DEBITS, to_fill and (total > I64_MAX or funder.overflows_debits(total)))
    if to_fill:
        refuse_for(forbids_amount(book, funder, total, single=False))
    balance_max = book.rules_of_programme(operation.number).balance_max
    refuse(Result.EXCEEDS_BALANCE_LIMIT, balance_max != 0 and amount > balance_max)
    if to_fill:
        count_use(book, funder, total)
    for purse in to_fill:
        purse.state = PurseState.DROPPED
    book.move([(funder, purse, amount, Purpose.DROP) for purse in to_fill])


def claim(book: Book, operation: Operation) -> None:
    programme = _programme(book, operation)
    wallet = book.account_or(Result.CREDIT_ACCOUNT_NOT_FOUND, operation.credit)
    refuse(Result.COHORT_NOT_SEALED, not programme.sealed)
    refuse(Result.MEMBER_NOT_FOUND, operation.first >= programme.count)
    purse = book.purses[operation.number, operation.first]
    refuse(Result.MEMBER_DIFFERS, purse.member_id != operation.reference)
    refuse(Result.CURRENCIES_MUST_MATCH, wallet.currency != programme.currency)
    refuse(Result.ACCOUNT_IS_IN_TRANSIT, wallet.kind == AccountKind.IN_TRANSIT)
    refuse(Result.CREDIT_ACCOUNT_CLOSED, wallet.closed)
    refuse(Result.CREDIT_ACCOUNT_BLOCKED, wallet.credit_reasons)
    refuse(Result.PURSE_NOT_DROPPED, purse.state is PurseState.EMPTY)
    refuse(Result.PURSE_CLAIMED, purse.wallet != 0)
    refuse(Result.PROGRAMME_EXPIRED, book.is_expired(operation.number) or purse.state is PurseState.EXPIRED)
    refuse(Result.CLAIM_WINDOW_NOT_OPEN, book.now < programme.claim_from_ns)
    refuse(Result.CLAIM_WINDOW_CLOSED, book.now >= programme.claim_until_ns)
    held = [other for other in book.purses_of(wallet) if other.state is not PurseState.EXPIRED]
    refuse(Result.TOO_MANY_PURSES, len(held) >= PURSES_PER_WALLET_MAX)
    purse.state, purse.wallet = PurseState.CLAIMED, wallet.id


def expire(book: Book, operation: Operation) -> None:
    """Return the rest of a range of purses."""
    programme = _programme(book, operation)
    refuse(Result.COHORT_NOT_SEALED, not programme.sealed)
    refuse(Result.MEMBER_NOT_FOUND, operation.first + operation.count > programme.count)
    refuse(Result.PROGRAMME_NOT_EXPIRED, not book.is_expired(operation.number))
    receiver, purpose = book.return_account(operation.number)
    ending = [purse for purse in book.purses_in(operation) if purse.state is not PurseState.EXPIRED]
    refuse(Result.OVERFLOWS_CREDITS, receiver.overflows_credits(sum(purse.left for purse in ending)))
    for purse in ending:
        purse.state = PurseState.EXPIRED
    book.move([(purse, receiver, purse.left, purpose) for purse in ending if purse.left > 0])
