"""Naive twin: recompute every sum and report the row where one is wrong."""

from __future__ import annotations

from collections import defaultdict

from sycee.core.errors import IntegrityError, require
from sycee.core.limits import I64_MAX
from sycee.core.records.layout import AccountKind, HoldState, Purpose, PurseState, TransitState
from sycee.testing.naive_book import Book
from sycee.testing.naive_rows import Account, Purse, PurseKey, Row

RETURNS = (Purpose.RETURN, Purpose.RETURN_SUSPENSE)


def check(book: Book) -> None:
    """Raise IntegrityError with the row whose values differ from its movements, holds or transits."""
    moved = _check_movements(book)
    sums: dict[int, int] = defaultdict(int)
    for account in book.accounts.values():
        sums[account.currency] += account.balance
        _check_account(account, moved)
    for purse in book.purses.values():
        sums[book.programmes[purse.programme].currency] += purse.posted
        _check_purse(purse, moved)
    for currency, total in sums.items():
        require(total == 0, f"currency {currency}: all rows sum to {total}")
    _check_pending(book)
    _check_transits(book)


def _check_movements(book: Book) -> dict[tuple[Row, str], int]:
    """Return the debits and credits of each row by field name, summed over the movements."""
    moved: dict[tuple[Row, str], int] = defaultdict(int)
    balances: dict[Row, int] = defaultdict(int)
    for movement in book.movements:
        # Messages are built on failure only: this loop runs over all movements after every frame.
        if movement.amount <= 0:
            raise IntegrityError(f"{movement} moves nothing")
        is_return, is_drop = movement.purpose in RETURNS, movement.purpose is Purpose.DROP
        moved[movement.debit, "returned" if is_return else "spent"] += movement.amount
        moved[movement.credit, "dropped" if is_drop else "refunded"] += movement.amount
        moved[movement.debit, "debits_posted"] += movement.amount
        moved[movement.credit, "credits_posted"] += movement.amount
        balances[movement.debit] -= movement.amount
        balances[movement.credit] += movement.amount
        for row, stated in ((movement.debit, movement.debit_balance), (movement.credit, movement.credit_balance)):
            # Open holds reduce the balance of a purse and leave no movement.
            if not (stated == balances[row] if row[0] == "account" else 0 <= stated <= balances[row]):
                raise IntegrityError(f"{row}: balance after {movement}, where {balances[row]} was moved")
    return moved


def _check_account(account: Account, moved: dict[tuple[Row, str], int]) -> None:
    row = account.row
    for name in ("debits_posted", "credits_posted"):
        value = getattr(account, name)
        require(value == moved[row, name], f"{row}: {name} {value}, moved {moved[row, name]}")
    require(account.has(0), f"{row}: available {account.available} is below zero")
    require(min(account.debits_pending, account.credits_pending) >= 0, f"{row}: pending is below zero")
    highest = max(account.debits_posted + account.debits_pending, account.credits_posted + account.credits_pending)
    require(highest <= I64_MAX, f"{row}: passes 64 bits")
    most = account.debits_posted + account.debits_pending
    require(all(0 <= used <= most for used in account.used), f"{row}: used {account.used}, gave and will give {most}")


def _check_purse(purse: Purse, moved: dict[tuple[Row, str], int]) -> None:
    row = purse.row
    for name in ("dropped", "spent", "refunded", "returned"):
        require(getattr(purse, name) == moved[row, name], f"{row}: {name} is not what moved")
        require(getattr(purse, name) <= I64_MAX, f"{row}: {name} passes 64 bits")
    require(purse.left >= 0, f"{row}: left {purse.left} is below zero")
    require(purse.spent + purse.pending <= I64_MAX, f"{row}: spent and pending pass 64 bits")
    gone = purse.left == purse.pending == 0
    require(purse.state is not PurseState.EXPIRED or gone, f"{row}: is EXPIRED and not empty")


def _check_pending(book: Book) -> None:
    """Compare pending amounts with open holds and open transits."""
    debits: dict[int, int] = defaultdict(int)
    credits: dict[int, int] = defaultdict(int)
    reserved: dict[PurseKey, int] = defaultdict(int)
    for hold in book.holds.values():
        name = ("hold", hold.id)
        require(all(part >= 0 for _, part in hold.legs), f"{name}: a leg holds less than nothing")
        require((hold.state is HoldState.OPEN) == (hold.held > 0), f"{name}: {hold.state.name}, holds {hold.held}")
        require(hold.state is not HoldState.OPEN or hold.end_ns > book.now, f"{name}: is open beyond its end")
        debits[hold.payer] += hold.own
        credits[hold.payee] += hold.held
        for leg, part in hold.purse_legs:
            reserved[leg] += part
    for transit in book.transits.values():
        if transit.state is TransitState.OPEN:
            credits[transit.destination] += transit.amount
    for account in book.accounts.values():
        pending = (account.debits_pending, account.credits_pending)
        wanted = (debits[account.id], credits[account.id])
        require(pending == wanted, f"{account.row}: pending {pending}, holds and transits say {wanted}")
    for key, purse in book.purses.items():
        require(
            purse.pending == reserved[key], f"{purse.row}: pending {purse.pending}, open holds reserve {reserved[key]}"
        )


def _check_transits(book: Book) -> None:
    """Compare the balance of each IN_TRANSIT account with its open transits."""
    under_way: dict[int, int] = defaultdict(int)
    for transit in book.transits.values():
        if transit.state is TransitState.OPEN:
            under_way[transit.through] += transit.amount
    for account in book.accounts.values():
        if account.kind == AccountKind.IN_TRANSIT:
            has, wanted = account.balance, under_way[account.id]
            require(has == wanted, f"{account.row}: balance {has}, under way {wanted}")
