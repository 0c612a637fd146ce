"""Naive twin: transits (docs/reference/ledger.md §8) and settlement batches (§10)."""

from __future__ import annotations

from collections.abc import Iterator

from sycee.core import limits
from sycee.core.limits import I64_MAX
from sycee.core.records.layout import AccountKind, Purpose, SendFlag, SettleFlag, TransitState
from sycee.core.result_codes import PRECEDENCE, Result
from sycee.testing.naive_book import Book, refuse, refuse_for
from sycee.testing.naive_limits import count_use, forbids_amount, forbids_payee, forbids_receiving, is_in_force
from sycee.testing.naive_record import Operation
from sycee.testing.naive_rows import Account, Batch, Transit


def send(book: Book, operation: Operation) -> None:
    """Move money to an IN_TRANSIT account until it is confirmed or rejected."""
    source = book.account_or(Result.DEBIT_ACCOUNT_NOT_FOUND, operation.debit)
    destination = book.account_or(Result.CREDIT_ACCOUNT_NOT_FOUND, operation.credit)
    through = book.account_or(Result.TRANSIT_ACCOUNT_NOT_FOUND, operation.reference)
    refuse(Result.TRANSIT_ACCOUNT_NOT_FOUND, through.kind != AccountKind.IN_TRANSIT)
    refuse(Result.CURRENCIES_MUST_MATCH, len({source.currency, destination.currency, through.currency}) > 1)
    refuse(Result.ACCOUNT_IS_IN_TRANSIT, AccountKind.IN_TRANSIT in (source.kind, destination.kind))
    refuse(Result.DEBIT_ACCOUNT_CLOSED, source.closed)
    refuse(Result.CREDIT_ACCOUNT_CLOSED, destination.closed or through.closed)
    refuse(Result.DEBIT_ACCOUNT_BLOCKED, source.debit_reasons)
    refuse(Result.CREDIT_ACCOUNT_BLOCKED, destination.credit_reasons or through.credit_reasons)
    refuse(Result.RULE_SET_NOT_IN_FORCE, not is_in_force(book, book.rules_of(destination)))
    refuse_for(forbids_payee(book, book.rules_of(source), destination))
    amount = operation.amount
    if operation.flags & SendFlag.UP_TO:
        amount = _up_to(book, source, amount)
        refuse(Result.EXCEEDS_BALANCE, amount <= 0)
    refuse(Result.OVERFLOWS_DEBITS, source.overflows_debits(amount))
    refuse(Result.OVERFLOWS_CREDITS, destination.overflows_credits(amount) or through.overflows_credits(amount))
    refuse_for(forbids_amount(book, source, amount))
    refuse_for(forbids_receiving(book, destination, amount, waterfall=False))
    counted, periods = count_use(book, source, amount)
    destination.credits_pending += amount
    book.move([(source, through, amount, Purpose.SEND)])
    book.transits[operation.id] = Transit(operation.id, source.id, through.id, destination.id, amount, counted, periods)


def _up_to(book: Book, source: Account, amount: int) -> int:
    if source.kind == AccountKind.ISSUANCE:
        return amount
    rules = book.rules_of(source)
    return min(amount, source.available - (rules.refund_reserve if rules is not None else 0))


def confirm(book: Book, operation: Operation) -> None:
    transit = _open_transit(book, operation)
    destination = book.accounts[transit.destination]
    receiver, purpose = book.receiver(destination, Purpose.CONFIRM, Purpose.CONFIRM_SUSPENSE)
    _finish(book, transit, receiver, purpose)
    transit.state = TransitState.CONFIRMED


def reject(book: Book, operation: Operation) -> None:
    transit = _open_transit(book, operation)
    source = book.accounts[transit.source]
    receiver, purpose = book.receiver(source, Purpose.REJECT, Purpose.REJECT_SUSPENSE)
    _finish(book, transit, receiver, purpose)
    if transit.counted:
        book.subtract_use(source, transit.amount, transit.periods)
    transit.state = TransitState.REJECTED


def _open_transit(book: Book, operation: Operation) -> Transit:
    refuse(Result.TRANSIT_NOT_FOUND, operation.reference not in book.transits)
    transit = book.transits[operation.reference]
    refuse(Result.TRANSIT_DONE, transit.state is not TransitState.OPEN)
    return transit


def _finish(book: Book, transit: Transit, receiver: Account, purpose: Purpose) -> None:
    through, destination = book.accounts[transit.through], book.accounts[transit.destination]
    refuse(Result.OVERFLOWS_DEBITS, through.overflows_debits(transit.amount))
    # The transit is part of the destination's pending credits and would be counted twice there.
    more = 0 if receiver is destination else transit.amount
    refuse(Result.OVERFLOWS_CREDITS, receiver.overflows_credits(more))
    destination.credits_pending -= transit.amount
    book.move([(through, receiver, transit.amount, purpose)])


# ── Settlement ───────────────────────────────────────────────────────────────────────────────────────────────────


def stage(book: Book, operation: Operation) -> None:
    """Stage a payment in a batch; the next number begins a new batch."""
    debit = book.account_or(Result.DEBIT_ACCOUNT_NOT_FOUND, operation.debit)
    credit = book.account_or(Result.CREDIT_ACCOUNT_NOT_FOUND, operation.credit)
    is_next = operation.number == book.newest_batch + 1
    batch = Batch(debit.operator) if is_next else _open_batch(book, operation.number)
    refuse(Result.BATCH_OF_ANOTHER_OPERATOR, debit.operator != batch.operator)
    refuse(Result.CURRENCIES_MUST_MATCH, debit.currency != credit.currency)
    refuse(Result.ACCOUNT_IS_IN_TRANSIT, AccountKind.IN_TRANSIT in (debit.kind, credit.kind))
    refuse(Result.TOO_MANY_PAYMENTS, len(batch.payments) >= limits.SETTLEMENT_PAYMENTS_MAX)
    refuse_for(forbids_payee(book, book.rules_of(debit), credit))
    refuse(Result.OVERFLOWS_CREDITS, batch.total + operation.amount > I64_MAX)
    batch.payments.append((debit.id, credit.id, operation.amount))
    book.batches[operation.number] = batch
    book.newest_batch = max(book.newest_batch, operation.number)


def _open_batch(book: Book, number: int) -> Batch:
    refuse(Result.BATCH_NOT_FOUND, number > book.newest_batch)
    refuse(Result.BATCH_DONE, number not in book.batches)
    return book.batches[number]


def settle(book: Book, operation: Operation) -> None:
    """Settle all payments of a batch, limits checked on each account's net, or refuse it finally."""
    batch = _open_batch(book, operation.number)
    refuse(Result.BATCH_OF_ANOTHER_OPERATOR, operation.first != batch.operator)
    refuse(Result.BATCH_DIFFERS, (operation.count, operation.amount) != (len(batch.payments), batch.total))
    if not operation.flags & SettleFlag.DISCARD:
        _settle(book, batch)
    del book.batches[operation.number]


def _settle(book: Book, batch: Batch) -> None:
    gives = {id: 0 for payment in batch.payments for id in payment[:2]}
    gets = dict(gives)
    for debit, credit, amount in batch.payments:
        gives[debit] += amount
        gets[credit] += amount
    codes = [code for id in gives for code in _forbids_settling(book, book.accounts[id], gives[id], gets[id])]
    refuse_for(min(codes, key=PRECEDENCE.index, default=None))
    for id in gives:
        if gives[id] > gets[id]:
            count_use(book, book.accounts[id], gives[id] - gets[id])
    book.move(
        [(book.accounts[debit], book.accounts[credit], amount, Purpose.SETTLEMENT)
         for debit, credit, amount in batch.payments]
    )  # fmt: skip


def _forbids_settling(book: Book, account: Account, gives: int, gets: int) -> Iterator[Result]:
    """Yield every code that one account of a batch gives; `settle` returns the highest of all accounts."""
    net = gets - gives
    if gives > 0 and account.closed:
        yield Result.DEBIT_ACCOUNT_CLOSED
    if gets > 0 and account.closed:
        yield Result.CREDIT_ACCOUNT_CLOSED
    if gives > 0 and account.debit_reasons:
        yield Result.DEBIT_ACCOUNT_BLOCKED
    if gets > 0 and account.credit_reasons:
        yield Result.CREDIT_ACCOUNT_BLOCKED
    if net > 0 and not is_in_force(book, book.rules_of(account)):
        yield Result.RULE_SET_NOT_IN_FORCE
    if account.overflows_debits(gives):
        yield Result.OVERFLOWS_DEBITS
    if account.overflows_credits(gets):
        yield Result.OVERFLOWS_CREDITS
    code = None
    if net < 0:
        code = forbids_amount(book, account, -net, single=False)
    elif net > 0:
        code = forbids_receiving(book, account, net, waterfall=False)
    if code is not None:
        yield code
