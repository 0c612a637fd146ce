"""Vouchers: groups, rows of requests, redemptions and the status of one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VoucherGroup:
    """A group of vouchers. `account`: of the group, on the ledger. `state`: proposed, open or refused.

    `balance_minor`: what refunds and returns by authority left on the account.
    """

    group: str
    programme: str
    merchants: str
    funder: str
    account: str
    operator: int
    budget_minor: int
    until_ns: int
    state: str
    balance_minor: int = 0


@dataclass(frozen=True, slots=True)
class VoucherRow:
    """The outcome of one row. `outcome`: done, refused or sent; `code`: of a refusal; `state`: of the voucher now."""

    serial: int
    step: str
    outcome: str
    code: str
    minor: int
    state: str


@dataclass(frozen=True, slots=True)
class VoucherBatch:
    """The rows of a request, by serial. `batch`: its id."""

    batch: str
    rows: tuple[VoucherRow, ...]


@dataclass(frozen=True, slots=True)
class VoucherNumber:
    """A voucher with its number, which is the money."""

    serial: int
    number: str


@dataclass(frozen=True, slots=True)
class Redemption:
    """A redemption. `payment`: the operation that paid the shop. `rest_minor`, `state`: of the voucher then."""

    payment: str
    serial: int
    minor: int
    rest_minor: int
    state: str


@dataclass(frozen=True, slots=True)
class VoucherStep:
    """An action on a voucher. `id`: of the request or of the payment; `who`: the person who asked."""

    step: str
    outcome: str
    code: str
    minor: int
    shop: str | None
    id: str
    who: str
    at: str


@dataclass(frozen=True, slots=True)
class Voucher:
    """A voucher: what it promised, what shops got, what is left, and what returned to the funder."""

    serial: int
    group: str
    state: str
    minor: int
    redeemed_minor: int
    rest_minor: int
    returned_minor: int
    until_ns: int
    steps: tuple[VoucherStep, ...]
