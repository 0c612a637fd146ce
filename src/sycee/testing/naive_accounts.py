"""Naive twin: currencies, groups and accounts (docs/reference/ledger.md §3), roles and rules (§11)."""

from __future__ import annotations

from sycee.core.records.layout import AccountKind, Block, Purpose, Role, RuleFlag
from sycee.core.result_codes import Result
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
from sycee.testing.naive_record import SELF_SUSPENDED, Operation
from sycee.testing.naive_rows import Account, Grant, Pay

CURRENCIES_MAX = 16


def define_currency(book: Book, operation: Operation) -> None:
    refuse(Result.CURRENCY_EXISTS, operation.number in book.currencies)
    refuse(Result.TOO_MANY_CURRENCIES, len(book.currencies) == CURRENCIES_MAX)
    book.currencies[operation.number] = operation.field("zone")


def define_group(book: Book, operation: Operation) -> None:
    refuse(Result.GROUP_EXISTS, operation.number in book.groups)
    book.groups[operation.number] = set()


def join_group(book: Book, operation: Operation) -> None:
    refuse(Result.GROUP_NOT_FOUND, operation.number not in book.groups)
    account = book.account_or(Result.ACCOUNT_NOT_FOUND, operation.debit)
    book.groups[operation.number].add(account.id)


def leave_group(book: Book, operation: Operation) -> None:
    refuse(Result.GROUP_NOT_FOUND, operation.number not in book.groups)
    account = book.account_or(Result.ACCOUNT_NOT_FOUND, operation.debit)
    book.groups[operation.number].discard(account.id)


def open_account(book: Book, operation: Operation) -> None:
    kind, currency = AccountKind(operation.first), operation.number
    issuances = {account.currency for account in book.accounts.values() if account.kind == AccountKind.ISSUANCE}
    refuse(Result.CURRENCY_NOT_FOUND, currency not in book.currencies)
    refuse(Result.RULE_SET_NOT_FOUND, operation.rule_set != 0 and operation.rule_set not in book.rule_sets)
    refuse(Result.ACCOUNT_EXISTS, operation.debit in book.accounts)
    refuse(Result.ISSUANCE_EXISTS, kind is AccountKind.ISSUANCE and currency in issuances)
    if kind not in SELF_SUSPENDED:
        suspense = book.account_or(Result.SUSPENSE_NOT_FOUND, operation.credit)
        right = suspense.kind == AccountKind.SUSPENSE and suspense.currency == currency
        right = right and suspense.operator in (0, operation.count)
        refuse(Result.SUSPENSE_NOT_FOUND, not right)
    book.accounts[operation.debit] = Account(
        id=operation.debit,
        row_number=len(book.accounts),
        currency=currency,
        kind=kind,
        operator=operation.count,
        rule_set=operation.rule_set,
        suspense=operation.debit if kind in SELF_SUSPENDED else operation.credit,
    )


def block_account(book: Book, operation: Operation) -> None:
    account = _blockable(book, operation)
    if operation.flags & Block.DEBIT:
        account.debit_reasons |= 1 << operation.first - 1
    if operation.flags & Block.CREDIT:
        account.credit_reasons |= 1 << operation.first - 1


def unblock_account(book: Book, operation: Operation) -> None:
    account = _blockable(book, operation)
    if operation.flags & Block.DEBIT:
        account.debit_reasons &= ~(1 << operation.first - 1)
    if operation.flags & Block.CREDIT:
        account.credit_reasons &= ~(1 << operation.first - 1)


def _blockable(book: Book, operation: Operation) -> Account:
    account = book.account_or(Result.ACCOUNT_NOT_FOUND, operation.debit)
    refuse(Result.ACCOUNT_MUST_STAY_OPEN, account.kind == AccountKind.SUSPENSE)
    refuse(Result.ACCOUNT_CLOSED, account.closed)
    return account


def close_account(book: Book, operation: Operation) -> None:
    account = book.account_or(Result.ACCOUNT_NOT_FOUND, operation.debit)
    refuse(Result.ACCOUNT_MUST_STAY_OPEN, account.kind in SELF_SUSPENDED)
    refuse(Result.ACCOUNT_CLOSED, account.closed)
    has = (account.balance, account.debits_pending, account.credits_pending)
    refuse(Result.ACCOUNT_NOT_EMPTY, has != (0, 0, 0))
    account.closed = operation.first


def set_rule_set(book: Book, operation: Operation) -> None:
    """Set the rule set of an account; amounts used so far still count."""
    refuse(Result.RULE_SET_NOT_FOUND, operation.rule_set != 0 and operation.rule_set not in book.rule_sets)
    account = book.account_or(Result.ACCOUNT_NOT_FOUND, operation.debit)
    refuse(Result.ACCOUNT_CLOSED, account.closed)
    account.rule_set = operation.rule_set


def set_key(book: Book, operation: Operation) -> None:
    """Set or remove the key of an account and increase its key epoch."""
    account = book.account_or(Result.ACCOUNT_NOT_FOUND, operation.debit)
    refuse(Result.ACCOUNT_CLOSED, account.closed)
    account.key, account.key_flags = operation.field("key"), operation.flags
    account.key_epoch += 1


def link_account(book: Book, operation: Operation) -> None:
    """Set or remove the bank account that receives the excess over a limit."""
    account = book.account_or(Result.ACCOUNT_NOT_FOUND, operation.debit)
    if operation.credit != 0:
        other = book.account_or(Result.CREDIT_ACCOUNT_NOT_FOUND, operation.credit)
        refuse(Result.CURRENCIES_MUST_MATCH, account.currency != other.currency)
        in_transit = [side.kind == AccountKind.IN_TRANSIT for side in (account, other)]
        refuse(Result.LINK_KIND_WRONG, in_transit[0] == in_transit[1])
    refuse(Result.ACCOUNT_CLOSED, account.closed)
    account.link = operation.credit


# ── Shared by TRANSFER, PAY and HOLD ───────────────────────────────────────────────────────────────────────────


def check_between(debit: Account, credit: Account) -> None:
    """Refuse if no amount may be paid from one account to the other, regardless of the rule sets."""
    refuse(Result.CURRENCIES_MUST_MATCH, debit.currency != credit.currency)
    refuse(Result.ACCOUNT_IS_IN_TRANSIT, AccountKind.IN_TRANSIT in (debit.kind, credit.kind))
    refuse(Result.DEBIT_ACCOUNT_CLOSED, debit.closed)
    refuse(Result.CREDIT_ACCOUNT_CLOSED, credit.closed)
    refuse(Result.DEBIT_ACCOUNT_BLOCKED, debit.debit_reasons)
    refuse(Result.CREDIT_ACCOUNT_BLOCKED, credit.credit_reasons)


def transfer(book: Book, operation: Operation) -> None:
    """Make one movement, then send any excess to the bank. Purses are not used."""
    debit = book.account_or(Result.DEBIT_ACCOUNT_NOT_FOUND, operation.debit)
    credit = book.account_or(Result.CREDIT_ACCOUNT_NOT_FOUND, operation.credit)
    amount = operation.amount
    check_between(debit, credit)
    refuse(Result.RULE_SET_NOT_IN_FORCE, not is_in_force(book, book.rules_of(credit)))
    refuse_for(forbids_payee(book, book.rules_of(debit), credit))
    refuse(Result.OVERFLOWS_DEBITS, debit.overflows_debits(amount))
    refuse(Result.OVERFLOWS_CREDITS, credit.overflows_credits(amount))
    refuse_for(forbids_amount(book, debit, amount))
    refuse_for(forbids_receiving(book, credit, amount))
    count_use(book, debit, amount)
    possible = waterfall_is_possible(book, credit, amount)
    book.move([(debit, credit, amount, Purpose.TRANSFER)])
    if possible:
        waterfall(book, operation.id, credit, amount)
    rules = book.rules_of(credit)
    final = rules is not None and bool(rules.flags & RuleFlag.FINAL)
    book.pays[operation.id] = Pay(debit.id, credit.id, amount, ((None, amount),), book.now, final)


# ── Roles and rules ──────────────────────────────────────────────────────────────────────────────────────────────


def grant_role(book: Book, operation: Operation) -> None:
    """Grant a role to a person's key; the second officer turns authority on."""
    refuse(Result.CURRENCY_NOT_FOUND, operation.number != 0 and operation.number not in book.currencies)
    for other in book.grants.values():
        counts_yet = not other.revoked and book.now < other.until_ns
        mine = other.person == operation.debit
        refuse(Result.KEY_IS_ANOTHERS, counts_yet and not mine and other.key == operation.field("key"))
    book.grants[operation.id] = Grant(
        id=operation.id,
        person=operation.debit,
        role=operation.first,
        flags=operation.flags,
        key=operation.field("key"),
        operator=operation.count,
        currency=operation.number,
        from_ns=operation.from_ns,
        until_ns=operation.until_ns,
    )
    book.update_authority()


def revoke_role(book: Book, operation: Operation) -> None:
    refuse(Result.GRANT_NOT_FOUND, operation.reference not in book.grants)
    grant = book.grants[operation.reference]
    refuse(Result.GRANT_REVOKED, grant.revoked)
    on_the_board = grant.role == Role.OFFICER and grant.currency == 0
    too_few = len(book.officers(without=grant.id)) < 2
    refuse(Result.OFFICERS_MUST_REMAIN, book.authority_on and on_the_board and too_few)
    grant.revoked = True


def upgrade(book: Book, operation: Operation) -> None:
    refuse(Result.RULES_NOT_NEWER, operation.number <= book.rules)
    book.rules = operation.number
