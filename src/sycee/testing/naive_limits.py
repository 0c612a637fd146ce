"""Naive twin: rule sets (docs/reference/ledger.md §4), their definition and the limits they set.

A function named `forbids_…` returns the code of the rule that refuses, or None.
"""

from __future__ import annotations

from sycee.core.limits import I64_MAX
from sycee.core.records.layout import AccountKind, Purpose, RuleFlag
from sycee.core.result_codes import Result
from sycee.testing.naive_book import Book, period_numbers, refuse
from sycee.testing.naive_record import Operation
from sycee.testing.naive_rows import Account, Rules, RuleSet, Three, Transit


def define_rule_set(book: Book, operation: Operation) -> None:
    """Define the first version of a rule set, or schedule the next."""
    existing = book.rule_sets.get(operation.number)
    rules = read_rules(operation)
    refuse(Result.GROUP_NOT_FOUND, any(group != 0 and group not in book.groups for group in rules.groups))
    refuse(Result.RULE_SET_EXISTS, existing is not None and rules.effective_ns <= book.now)
    refuse(Result.RULE_SET_NOT_FOUND, existing is None and rules.effective_ns > book.now)
    if existing is not None:
        has = existing.current
        same = (has.from_ns, has.until_ns, has.return_account) == (rules.from_ns, rules.until_ns, rules.return_account)
        refuse(Result.RULE_SET_MUST_KEEP_WINDOW, not same)
    if rules.return_account != 0:
        account = book.account_or(Result.RETURN_ACCOUNT_NOT_FOUND, rules.return_account)
        refuse(Result.RETURN_ACCOUNT_NOT_FOUND, account.kind == AccountKind.IN_TRANSIT)
    if existing is None:
        book.rule_sets[operation.number] = RuleSet(rules)
    else:
        existing.scheduled = rules


def read_rules(operation: Operation) -> Rules:
    """Read a DEFINE_RULE_SET record by its own layout."""
    has_payment_min = bool(operation.flags & RuleFlag.PAYMENT_MIN)
    amount = operation.signed("refund_reserve")
    return Rules(
        flags=operation.flags,
        groups=operation.groups,
        return_account=operation.unsigned("return"),
        from_ns=operation.from_ns,
        until_ns=operation.until_ns,
        balance_max=operation.signed("balance_max"),
        single_max=operation.signed("single_max"),
        period_max=(operation.signed("day_max"), operation.signed("month_max"), operation.signed("year_max")),
        refund_reserve=0 if has_payment_min else amount,
        payment_min=amount if has_payment_min else 0,
        effective_ns=operation.signed("effective_ns"),
        refund_window_s=operation.unsigned("refund_window_s"),
    )


# ── In force, and payees ─────────────────────────────────────────────────────────────────────────────────────


def is_in_force(book: Book, rules: Rules | None) -> bool:
    """Return whether the time is within the window of the rules; True without rules."""
    return rules is None or rules.from_ns <= book.now < rules.until_ns


def forbids_payee(book: Book, rules: Rules | None, payee: Account) -> Result | None:
    """Return the code if money under these rules may not reach this payee."""
    if rules is None:
        return None
    groups = [group for group in rules.groups if group != 0]
    if groups and not any(payee.id in book.groups[group] for group in groups):
        return Result.PAYEE_NOT_ALLOWED
    if rules.flags & RuleFlag.NO_PERSONS and payee.kind == AccountKind.WALLET:
        return Result.PERSONS_NOT_ALLOWED
    if rules.flags & RuleFlag.NO_CASH_OUT and payee.kind in (AccountKind.RESERVE, AccountKind.VAULT):
        return Result.CASH_OUT_NOT_ALLOWED
    return None


# ── Outgoing amounts ─────────────────────────────────────────────────────────────────────────────────────────


def forbids_amount(book: Book, account: Account, amount: int, *, single: bool = True) -> Result | None:
    """Return the code if an account may not give this amount of its own money now. `single=False` skips the single
    limit.
    """
    if not account.has(amount):
        return Result.EXCEEDS_BALANCE
    rules = book.rules_of(account)
    if rules is None:
        return None
    if account.kind != AccountKind.ISSUANCE and account.available - rules.refund_reserve < amount:
        return Result.RESERVED_FOR_REFUNDS
    if single and rules.single_max != 0 and amount > rules.single_max:
        return Result.EXCEEDS_SINGLE_LIMIT
    codes = (Result.EXCEEDS_DAY_LIMIT, Result.EXCEEDS_MONTH_LIMIT, Result.EXCEEDS_YEAR_LIMIT)
    numbers = period_numbers(book.calendar, account)
    for code, maximum, (_, used) in zip(codes, rules.period_max, numbers, strict=True):
        if maximum != 0 and used + amount > maximum:
            return code
    return None


def count_use(book: Book, account: Account, amount: int) -> tuple[bool, Three]:
    """Count an outgoing amount in the limits; return whether it was counted, and its day, month and year."""
    if account.rule_set == 0:
        return False, (0, 0, 0)
    (day, day_used), (month, month_used), (year, year_used) = period_numbers(book.calendar, account)
    account.periods = day, month, year
    account.used = day_used + amount, month_used + amount, year_used + amount
    return True, account.periods


# ── Incoming amounts and the excess ──────────────────────────────────────────────────────────────────────────


def forbids_receiving(book: Book, account: Account, amount: int, *, waterfall: bool = True) -> Result | None:
    """Return the code if an account may not receive this amount. `waterfall=False`: the excess cannot be sent on."""
    rules = book.rules_of(account)
    if rules is None or rules.balance_max == 0:
        return None
    if account.balance + account.credits_pending + amount <= rules.balance_max:
        return None
    if waterfall and waterfall_is_possible(book, account, amount):
        return None
    return Result.EXCEEDS_BALANCE_LIMIT


def waterfall_is_possible(book: Book, account: Account, amount: int, *, pending_no_more: int = 0) -> bool:
    """Return whether the excess of this amount could be sent to the bank.

    `pending_no_more`: the part of the account's pending credits that the operation ends.
    """
    if account.link == 0:
        return False
    through = book.accounts[account.link]
    if through.kind != AccountKind.IN_TRANSIT or through.closed or through.credit_reasons or through.link == 0:
        return False
    destination = book.accounts[through.link]
    if destination is account or account.debits_posted + account.debits_pending + amount > I64_MAX:
        return False
    if through.overflows_credits(amount) or destination.overflows_credits(amount):
        return False
    if destination.closed or destination.credit_reasons or not is_in_force(book, book.rules_of(destination)):
        return False
    excess = min(amount, excess_of(book, account) + amount - pending_no_more)
    return (
        forbids_payee(book, book.rules_of(account), destination) is None
        and forbids_receiving(book, destination, excess, waterfall=False) is None
    )


def excess_of(book: Book, account: Account) -> int:
    """Return balance plus pending credits above the highest balance; negative below it."""
    rules = book.rules_of(account)
    most = 0 if rules is None else rules.balance_max
    return account.balance + account.credits_pending - most


def waterfall(book: Book, id: int, account: Account, amount: int) -> None:
    """Send the excess of an amount just received by the operation of this id to the bank."""
    rules = book.rules_of(account)
    if rules is None or rules.balance_max == 0:
        return
    excess = min(amount, excess_of(book, account))
    if excess > 0:
        through = book.accounts[account.link]
        destination = book.accounts[through.link]
        book.move([(account, through, excess, Purpose.WATERFALL)])
        book.transits[id] = Transit(id, account.id, through.id, destination.id, excess)
        destination.credits_pending += excess
