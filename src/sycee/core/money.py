"""Amounts of money as text: to and from signed 64-bit integers of minor units (fen, cents).

`parse` accepts a text only if it is unambiguous and exact, and raises UsageError with a correct form otherwise. It uses
neither float nor Decimal. The currencies are those of ISO 4217, read from `sycee/data/currencies.toml` at first use.
"""

from __future__ import annotations

import difflib
import operator
import re
import tomllib
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final, SupportsIndex

from sycee.core.errors import UsageError

MINOR_MIN: Final = -(2**63)
MINOR_MAX: Final = 2**63 - 1
SHOWN_MAX = 60  # characters of a wrong text in an error

# ASCII only: str.isdigit and \d would accept digits of other scripts and full-width forms.
_AMOUNT = re.compile(r"(?P<sign>-?)(?P<whole>[0-9]+|[1-9][0-9]{0,2}(?:,[0-9]{3})+)(?:\.(?P<part>[0-9]+))?")
_ONE_COMMA = re.compile(r"-?[1-9][0-9]{0,2},[0-9]{3}")
_DECIMAL_COMMA = re.compile(r"-?[0-9]+(?:\.[0-9]{3})*,[0-9]+")


@dataclass(frozen=True, slots=True)
class Currency:
    """One currency of ISO 4217. `digits` is the number of decimals: 2 for CNY, 0 for JPY, 3 for KWD."""

    code: str
    numeric: int
    digits: int
    name: str


def currency(code_or_numeric: str | int) -> Currency:
    """Return the currency with this code ("CNY") or numeric code (156). UsageError suggests similar codes."""
    if isinstance(code_or_numeric, int):
        found = _by_numeric().get(code_or_numeric)
        if found is None:
            raise UsageError(
                f"{code_or_numeric} is no numeric currency code of ISO 4217", hint="CNY is 156, EUR is 978"
            )
        return found
    found = _by_code().get(code_or_numeric)
    if found is None:
        raise _unknown(code_or_numeric)
    return found


def currency_of(number: int) -> Currency:
    """Return a currency by its number; a book outside ISO 4217 has its number as code and no decimals."""
    return _by_numeric().get(number) or Currency(code=str(number), numeric=number, digits=0, name=f"book {number}")


def currency_code(number: int) -> str:
    """Return the ISO 4217 code of a currency, or the number as text if ISO 4217 does not list it."""
    return currency_of(number).code


def currencies() -> tuple[Currency, ...]:
    """Return all currencies that have a minor unit, in the order of their codes."""
    return tuple(_by_code().values())


def parse(text: str, currency: Currency) -> int:
    """Return an amount such as "1,234.50", "-3" or "0.5" in minor units.

    Commas may group thousands, a point separates the decimals, "-" is the only sign. Raises UsageError for a text that
    is ambiguous, has more decimals than the currency, or does not fit 64 bits.
    """
    if not isinstance(text, str):
        raise UsageError(
            f"an amount is given as text, not as {type(text).__name__} {text}",
            hint=f"write it as text, such as {_example(currency)}; an integer of minor units needs no parsing",
        )
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise _wrong(text, currency, "is not an amount", _advice(text, currency))
    if currency.digits >= 3 and _ONE_COMMA.fullmatch(text):
        # With three decimals "1,234" is 1234 to one reader and 1.234 to another.
        plain, decimal = text.replace(",", ""), text.replace(",", ".")
        raise _wrong(text, currency, "is ambiguous", f'write "{plain}" or "{decimal}"')
    part = match["part"] or ""
    if len(part) > currency.digits:
        count = "no decimals" if currency.digits == 0 else f"{currency.digits} decimals"
        raise _wrong(
            text, currency, f"has {len(part)} decimals", f"{currency.code} has {count}, as in {_example(currency)}"
        )
    digits = (match["whole"].replace(",", "") + part.ljust(currency.digits, "0")).lstrip("0")
    # The length first: converting a megabyte of digits into a number takes long.
    minor = int(digits or "0") if len(digits) <= len(str(MINOR_MAX)) else MINOR_MAX + 2
    minor = -minor if match["sign"] else minor
    if not MINOR_MIN <= minor <= MINOR_MAX:
        bounds = f"{format(MINOR_MIN, currency)} to {format(MINOR_MAX, currency)}"
        raise _wrong(text, currency, "does not fit 64 bits of minor units", f"amounts go from {bounds}")
    return minor


def format(
    minor: SupportsIndex, currency: Currency, *, symbol: str = "", code: bool = False, grouped: bool = True
) -> str:
    """Return an amount of minor units as exact text: "1,234.50"; symbol="¥": "-¥3.00"; code=True: "CNY 1,234.50".

    `parse` converts the form without symbol and code back to the same number. Raises TypeError for a float.
    """
    number = operator.index(minor)
    whole, part = divmod(abs(number), 10**currency.digits)
    text = f"{whole:,}" if grouped else str(whole)
    if currency.digits:
        text += f".{part:0{currency.digits}d}"
    sign = "-" if number < 0 else ""
    return f"{currency.code} {sign}{symbol}{text}" if code else f"{sign}{symbol}{text}"


def with_code(minor: SupportsIndex, currency: Currency) -> str:
    """Return an amount of minor units before its code: "1,234.50 CNY". Raises TypeError for a float."""
    return f"{format(minor, currency)} {currency.code}"


@cache
def _by_code() -> dict[str, Currency]:
    return {
        code: Currency(code=code, numeric=entry["numeric"], digits=entry["digits"], name=entry["name"])
        for code, entry in _document()["currencies"].items()
    }


@cache
def _by_numeric() -> dict[int, Currency]:
    return {entry.numeric: entry for entry in _by_code().values()}


@cache
def _document() -> dict[str, Any]:
    text = resources.files("sycee.data").joinpath("currencies.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _unknown(code: str) -> UsageError:
    if code in _document()["without_minor_unit"]:
        return UsageError(f"{code} has no minor unit in ISO 4217, so its amounts are not exact")
    codes = list(_by_code())
    near = [code.upper()] if code.upper() in codes else _near(code, codes)
    hint = f"did you mean {' or '.join(near)}?" if near else "codes are three letters, such as CNY or EUR"
    return UsageError(f"{_shown(code)} is no currency code of ISO 4217", hint=hint)


def _near(code: str, codes: list[str]) -> list[str]:
    # "yuan" is a currency's name; shorter words match too many names.
    word = code.strip().lower()
    if other := _document()["other_names"].get(code.strip().upper()):
        return [other]
    named = [entry.code for entry in _by_code().values() if len(word) > 3 and word in entry.name.lower()]
    return named[:3] or difflib.get_close_matches(code.upper(), codes, n=3, cutoff=0.5)


def _wrong(text: str, currency: Currency, what: str, hint: str) -> UsageError:
    return UsageError(f"{_shown(text)} {what} ({currency.code})", hint=hint)


def _shown(text: str) -> str:
    # repr shows blanks and control characters; _advice names characters that look like digits and signs.
    return repr(text) if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]!r}… ({len(text)} characters)"


def _advice(text: str, currency: Currency) -> str:
    """Return a hint: the correct form where the mistake is a common one, else an example."""
    example = f"write it as {_example(currency)}"
    if not text.strip():
        return f"the amount is empty; {example}"
    if strange := next((letter for letter in text if not letter.isascii()), None):
        name = f"U+{ord(strange):04X} {unicodedata.name(strange, '')}".rstrip()
        return f"{name} is not allowed in an amount, only 0 to 9, a point, commas and -; {example}"
    if text != text.strip():
        return f'remove the blanks around it: "{text.strip()[:SHOWN_MAX]}"'
    if re.search(r"[eE]", text) and re.fullmatch(r"[-+0-9.,eE]+", text):
        return f"an amount has no exponent; {example}"
    if text.startswith("+"):
        return f'leave the plus sign out: "{text[1:SHOWN_MAX]}"'
    if re.fullmatch(r"-?\.[0-9]+", text):
        return f'write a digit before the point: "{text.replace(".", "0.")[:SHOWN_MAX]}"'
    if re.fullmatch(r"-?[0-9]+\.", text):
        return f'remove the point at the end: "{text[:-1][:SHOWN_MAX]}"'
    if _DECIMAL_COMMA.fullmatch(text):
        meant = text.replace(".", "").replace(",", ".")
        return f'a comma groups three digits; if it is the decimal mark here, write "{meant[:SHOWN_MAX]}"'
    return example


def _example(currency: Currency) -> str:
    return f'"{format(123_456_789, currency)}" or "{format(-300, currency, grouped=False)}"'
