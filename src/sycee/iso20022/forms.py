"""Forms of texts in messages: for each its rule in schemas, its check in Python, and the correct form for errors.

The patterns use only syntax that XML Schema and Python read alike. Each form accepts no text that the type of
ISO 20022 of the same purpose refuses.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

# Reasons of ExternalStatusReason1Code, read in the copy that data/iso20022/status-reasons.toml names.
SYNTAX: Final = "FF01"
CONTENT: Final = "CH16"
NOT_ADMITTED: Final = "CH17"
DECIMALS: Final = "CH20"
MISSING: Final = "CH21"
ZERO: Final = "AM01"
DUPLICATE: Final = "AM05"
CONTROL_SUM: Final = "AM10"
CURRENCY: Final = "AM11"
AMOUNT: Final = "AM12"
COUNT: Final = "AM18"
ACCOUNT: Final = "AC01"
BIC: Final = "RC05"
COUNTRY: Final = "BE09"
DATE: Final = "DT01"

# Characters of a text on one line. A text does not begin with a blank.
_LINE: Final = r"[^\n\r\t ][^\n\r\t]*"
_BLANKS: Final = " \t\r\n"  # white space of XML
_ZONE: Final = r"(Z|[+\-](0[0-9]|1[0-3]):[0-5][0-9])"
_TIME: Final = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
_DAY: Final = r"(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]"


@dataclass(frozen=True, slots=True)
class Form:
    """One kind of text.

    `name` is its type in schemas and `base` the type that it restricts. `right` describes a correct text, `reason` is
    the code for a wrong one. `check` returns what a schema cannot find wrong; "" for a correct text.
    """

    name: str
    right: str
    pattern: str = ""
    length: int = 0  # characters at most; 0 where the pattern decides
    codes: tuple[str, ...] = ()
    base: str = "string"
    reason: str = CONTENT
    check: Callable[[str], str] | None = None
    is_amount: bool = False  # a decimal number with the attribute Ccy
    may_be_zero: bool = True
    compiled: re.Pattern[str] = field(init=False, repr=False, compare=False, default=re.compile(""))

    def __post_init__(self) -> None:
        pattern = self.pattern or "|".join(map(re.escape, self.codes))
        object.__setattr__(self, "compiled", re.compile(pattern))

    def value(self, text: str) -> str:
        """Return the value of a text: decimal numbers and flags may have blanks around them, as in XML Schema."""
        return text.strip(_BLANKS) if self.base in ("decimal", "boolean") else text

    def problem(self, text: str) -> tuple[str, str] | None:
        """Return the reason and the problem of a wrong text; None for a correct one."""
        if not text:
            return (self.reason, "is empty")
        if self.length and len(text) > self.length:
            return (self.reason, f"has {len(text):,} characters, and {self.length} are the most")
        if not self.compiled.fullmatch(text):
            return (self.reason, "")
        found = self.check(text) if self.check else ""
        return (self.reason, found) if found else None


def text(length: int) -> Form:
    """Return the form of a text of up to `length` characters on one line."""
    right = f"1 to {length:,} characters on one line, not beginning with a blank"
    return Form(f"Text{length}", right, _LINE, length)


def code(length: int = 4) -> Form:
    """Return the form of a code of an external list, which a schema does not contain."""
    right = f"a code of 1 to {length} capital letters and digits"
    return Form(f"Code{length}", right, f"[A-Z0-9]{{1,{length}}}")


def one_of(name: str, *codes: str) -> Form:
    """Return the form of a code of a closed list."""
    return Form(name, "one of " + ", ".join(codes), codes=codes)


def _lei(text: str) -> str:
    return "" if int("".join(str(int(each, 36)) for each in text)) % 97 == 1 else "has wrong check digits"


def _iban(text: str) -> str:
    turned = text[4:] + text[:4]
    return "" if int("".join(str(int(each, 36)) for each in turned)) % 97 == 1 else "has wrong check digits"


def _day(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError:
        return "is no day of the calendar"
    return ""


def _moment(text: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return "is no moment of the calendar"
    return ""


def _digits(text: str) -> str:
    whole, _, part = text.partition(".")
    count = len(whole.lstrip("0")) + len(part.rstrip("0"))
    return f"has {count} digits, and 18 are the most" if count > 18 else ""


TEXT_16: Final = text(16)
TEXT_34: Final = text(34)
TEXT_35: Final = text(35)
TEXT_70: Final = text(70)
TEXT_105: Final = text(105)
TEXT_140: Final = text(140)
TEXT_350: Final = text(350)
TEXT_500: Final = text(500)
TEXT_1000: Final = text(1_000)
CODE: Final = code()
CODE_3: Final = code(3)
CODE_5: Final = code(5)
CODE_35: Final = code(35)
BICFI: Final = Form(
    "BIC",
    "8 or 11 capital letters and digits, such as BANKDEFF (ISO 9362)",
    "[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?",
    reason=BIC,
)
LEI: Final = Form(
    "LEI",
    "18 capital letters and digits, and two check digits (ISO 17442)",
    "[A-Z0-9]{18}[0-9]{2}",
    check=_lei,
)
IBAN: Final = Form(
    "IBAN",
    "an account number such as DE02120300000000202051 (ISO 13616)",
    "[A-Z]{2}[0-9]{2}[A-Za-z0-9]{1,30}",
    reason=ACCOUNT,
    check=_iban,
)
COUNTRY_CODE: Final = Form("Country", "two capital letters, such as DE (ISO 3166)", "[A-Z]{2}", reason=COUNTRY)
CURRENCY_CODE: Final = Form("Currency", "three capital letters, such as EUR (ISO 4217)", "[A-Z]{3}", reason=CURRENCY)
UETR: Final = Form(
    "UETR",
    "a UUID of version 4 in small letters, such as 8a562c67-ca16-48ba-b074-65581be6f001",
    "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
)
DAY: Final = Form("Day", "a day such as 2026-11-25", _DAY, base="date", reason=DATE, check=_day)
MOMENT: Final = Form(
    "Moment",
    "a moment such as 2026-11-25T09:30:00+01:00",
    f"{_DAY}T{_TIME}{_ZONE}?",
    base="dateTime",
    reason=DATE,
    check=_moment,
)
TIME: Final = Form("Time", "a time such as 17:30:00+01:00", f"{_TIME}{_ZONE}?", base="time", reason=DATE)
NUMBER: Final = Form("Number", "a number of 1 to 15 digits", "[0-9]{1,15}", reason=COUNT)
PAGE: Final = Form("Page", "a number of 1 to 5 digits", "[0-9]{1,5}")
SEQUENCE: Final = Form("Sequence", "a whole number of 1 to 18 digits", "[0-9]{1,18}", base="decimal")
SUM: Final = Form(
    "Sum",
    "a sum such as 1234.50, of at most 18 digits",
    r"[0-9]{1,18}(\.[0-9]{1,5})?",
    base="decimal",
    reason=CONTROL_SUM,
    check=_digits,
)
RATE: Final = Form("Rate", "a rate such as 1.0825, of at most 11 digits", r"[0-9]{1,5}(\.[0-9]{1,6})?", base="decimal")
FLAG: Final = Form("Flag", "true or false", codes=("true", "false"), base="boolean")
_AMOUNT_RIGHT: Final = "an amount such as 1234.50, of at most 18 digits"
_AMOUNT_PATTERN: Final = r"[0-9]{1,18}(\.[0-9]{1,5})?"
AMOUNT_OR_ZERO: Final = Form(
    "Amount", _AMOUNT_RIGHT, _AMOUNT_PATTERN, base="decimal", reason=AMOUNT, check=_digits, is_amount=True
)
AMOUNT_ABOVE_ZERO: Final = Form(
    "Amount",
    _AMOUNT_RIGHT,
    _AMOUNT_PATTERN,
    base="decimal",
    reason=AMOUNT,
    check=_digits,
    is_amount=True,
    may_be_zero=False,
)
