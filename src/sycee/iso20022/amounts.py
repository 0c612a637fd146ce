"""Amounts of messages: decimal text and currency to minor units, and back."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Final

from sycee.core import money
from sycee.core.errors import UsageError
from sycee.iso20022 import forms
from sycee.iso20022.elements import Amount

_DECIMALS: Final = 5  # that the form of an amount allows


class AmountError(UsageError):
    """An amount does not fit its currency; `reason` is the code for a status report."""

    def __init__(self, message: str, reason: str, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


def minor_units(currency: str, text: str) -> int:
    """Return an amount such as "1234.50" in minor units.

    The form of messages allows five decimals; decimals that the currency lacks must be zero. Raise AmountError for an
    unknown currency, other decimals, and an amount of more than 64 bits.
    """
    digits = _digits(currency)
    whole, _, part = text.partition(".")
    if len(part) > digits:
        if part[digits:].strip("0"):
            count = "no decimals" if digits == 0 else f"{digits} decimals"
            raise AmountError(f"{text} has {len(part)} decimals", forms.DECIMALS, f"{currency} has {count}")
        part = part[:digits]
    minor = int(whole + part.ljust(digits, "0"))
    if minor > money.MINOR_MAX:
        most = money.format(money.MINOR_MAX, money.currency(currency), grouped=False)
        raise AmountError(f"{text} does not fit 64 bits of minor units", forms.AMOUNT, f"{most} is the most")
    return minor


def amount_text(amount: Amount) -> str:
    """Return the number of an amount as messages have it: "1234.50"."""
    return decimal_text(amount.minor, amount.currency)


def decimal_text(minor: int, currency: str) -> str:
    """Return minor units of a currency as a decimal text."""
    digits = _digits(currency)
    if not digits:
        return str(minor)
    whole, part = divmod(minor, 10**digits)
    return f"{whole}.{part:0{digits}d}"


def control_sum(amounts: Iterable[Amount]) -> str:
    """Return the sum of amounts as a decimal text, regardless of their currencies, as CtrlSum has it."""
    total = sum(each.minor * 10 ** (_DECIMALS - _digits(each.currency)) for each in amounts)
    whole, part = divmod(total, 10**_DECIMALS)
    return f"{whole}.{part:0{_DECIMALS}d}".rstrip("0").rstrip(".")


@cache
def _digits(currency: str) -> int:
    try:
        return money.currency(currency).digits
    except UsageError as error:
        raise AmountError(error.message, forms.CURRENCY, error.hint or "a currency of ISO 4217") from error
