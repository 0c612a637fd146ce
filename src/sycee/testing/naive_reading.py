"""Naive twin: reads in loops: accounts, purses, holds, pages of statements."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from sycee.core.limits import PLACE_INDEX_BITS
from sycee.core.records.layout import AccountKind, Block, KeyFlag, Reason
from sycee.ledger.models import Account, Hold, Purse
from sycee.testing.naive_book import Book


class Line(NamedTuple):
    """One line of a statement. Amounts in minor units: positive incoming, negative outgoing."""

    number: int  # number of the movement, from 1
    time_ns: int
    amount: int
    balance: int  # balance after the movement
    counterparty: int  # account id; 0 where the other side is a purse
    operation: int  # id of the operation of the movement
    purpose: int


def account(book: Book, id: int) -> Account | None:
    found = book.accounts.get(id)
    if found is None:
        return None
    blocks = Block(0)
    blocks |= Block.DEBIT if found.debit_reasons else Block(0)
    blocks |= Block.CREDIT if found.credit_reasons else Block(0)
    blocks |= Block.CLOSED if found.closed else Block(0)
    others: dict[str, Any] = {
        "kind": AccountKind(found.kind),
        "blocks": blocks,
        "debit_reasons": _reasons(found.debit_reasons),
        "credit_reasons": _reasons(found.credit_reasons),
        "close_reason": Reason(found.closed) if found.closed else None,
        "key_flags": KeyFlag(found.key_flags),
        "key": found.key if found.key_flags else b"",
        **dict(zip(("day_used", "month_used", "year_used"), found.used, strict=True)),
        **dict(zip(("day", "month", "year"), found.periods, strict=True)),
    }
    return Account(**_equal(Account, found, others), **others)


def purse(book: Book, programme: int, member: int) -> Purse | None:
    found = book.purses.get((programme, member))
    if found is None:
        return None
    return Purse(**_equal(Purse, found))


def hold(book: Book, id: int) -> Hold | None:
    """Return the hold made by this operation, or None."""
    found = book.holds.get(id)
    if found is None:
        return None
    others: dict[str, Any] = {
        "hash_lock": found.hash if found.hash_locked else b"",
        "until_ns": found.end_ns,
        "own_held": found.own,
    }
    return Hold(**_equal(Hold, found, others), **others)


def statement(book: Book, id: int, times_ns: Mapping[int, int], operations: Mapping[int, int]) -> list[Line]:
    """Return all lines of an account, newest first. `times_ns` is indexed by frame, `operations` by place."""
    lines = []
    row = "account", id
    for number, movement in enumerate(book.movements, start=1):
        if row not in (movement.debit, movement.credit):
            continue
        went_out = movement.debit == row
        other = movement.credit if went_out else movement.debit
        lines.append(
            Line(
                number=number,
                time_ns=times_ns[movement.place >> PLACE_INDEX_BITS],
                amount=0 if other == row else -movement.amount if went_out else movement.amount,
                balance=movement.debit_balance if went_out else movement.credit_balance,
                counterparty=other[1] if other[0] == "account" else 0,
                operation=operations[movement.place],
                purpose=movement.purpose,
            )
        )
    return lines[::-1]


def page(lines: list[Line], *, lines_max: int, cursor: int = 0) -> tuple[list[Line], int]:
    """Return up to `lines_max` lines, newest first, after the line numbered `cursor`; and the next cursor."""
    rest = [line for line in lines if not cursor or line.number < cursor]
    shown = rest[:lines_max]
    return shown, shown[-1].number if len(rest) > len(shown) else 0


def _equal(model: type, row: Any, others: Collection[str] = ()) -> dict[str, Any]:
    """Return the fields of a model that a row of the twin has under the same name, except `others`."""
    return {each.name: getattr(row, each.name) for each in fields(model) if each.name not in others}


def _reasons(bits: int) -> frozenset[Reason]:
    return frozenset(reason for reason in Reason if bits >> (reason - 1) & 1)
