"""Quotes and acceptances: the texts that participants sign, and the exact amounts that follow from a rate.

Both are canonical JSON: one text for one value. docs/reference/corridors.md describes their members.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from blake3 import blake3

from sycee.core import ids, json_documents, money
from sycee.core.canonical_json import canonical
from sycee.core.errors import UsageError
from sycee.core.limits import I64_MAX

QUOTE: Final = "sycee-quote/1"
ACCEPTANCE: Final = "sycee-acceptance/1"
CONTENT_MAX: Final = 4_096  # bytes
RATE_MAX: Final = 10**15  # of numerator and denominator
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_RATE: Final = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,12})|/([0-9]{1,15}))?")


@dataclass(frozen=True, slots=True)
class Quote:
    """What a participant offers: it takes one currency and gives another at a rate, until a time.

    - `provider`: its code in messages. `takes`, `gives`: ISO 4217 codes.
    - `rate`: units of `gives` for one unit of `takes`. `until_ns`: the first nanosecond at which it is expired.
    - `least_minor`: of one acceptance, `most_minor`: of all together, in `takes`. `most_minor` 0 offers nothing.
    """

    id: int
    provider: str
    takes: str
    gives: str
    rate: Fraction
    least_minor: int
    most_minor: int
    until_ns: int

    def content(self) -> bytes:
        """Return the text that the participant signs."""
        return canonical(
            {
                "format": QUOTE,
                "id": ids.format(self.id),
                "provider": self.provider,
                "takes": self.takes,
                "gives": self.gives,
                "rate": {"numerator": str(self.rate.numerator), "denominator": str(self.rate.denominator)},
                "least": str(self.least_minor),
                "most": str(self.most_minor),
                "until_ns": str(self.until_ns),
            }
        )

    @property
    def digest(self) -> str:
        """Return the BLAKE3 of the content, which an acceptance names."""
        return blake3(self.content()).hexdigest()

    def given(self, minor: int) -> int:
        """Return what the provider gives for an amount of `takes`, rounded down to a minor unit."""
        return given(self.rate, minor, self.takes, self.gives)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What another participant signs: it accepts a quote, by its id and digest, for an amount.

    `pays_minor`: in the currency that the provider takes. `gets_minor`: in the one that it gives.
    """

    quote: int
    digest: str
    taker: str
    uetr: str
    pays_minor: int
    gets_minor: int

    def content(self) -> bytes:
        """Return the text that the participant signs."""
        return canonical(
            {
                "format": ACCEPTANCE,
                "quote": ids.format(self.quote),
                "digest": self.digest,
                "taker": self.taker,
                "uetr": self.uetr,
                "pays": str(self.pays_minor),
                "gets": str(self.gets_minor),
            }
        )


def given(rate: Fraction, minor: int, takes: str, gives: str) -> int:
    """Return what is given for an amount in minor units, rounded down: the provider never gives more than the rate."""
    digits = money.currency(gives).digits - money.currency(takes).digits
    exact = rate * minor * Fraction(10) ** digits
    return exact.numerator // exact.denominator


def parse_rate(text: str) -> Fraction:
    """Return a rate such as "1.0912" or "1364/1250", exactly. Raises UsageError for another text, or 0."""
    found = _RATE.fullmatch(text)
    if found is not None:
        denominator = int(found[3]) if found[3] else 10 ** len(found[2] or "")
        if denominator and (numerator := int(found[1] + (found[2] or ""))):
            return _limited(Fraction(numerator, denominator))
    raise UsageError(
        f"{text[:40]!r} is no rate", hint="write units given for one unit taken, such as 1.0912 or 109/100"
    )


def read_quote(content: bytes) -> Quote:
    """Return the quote of a signed text. Raises UsageError for every other text than `Quote.content` writes."""
    members = _members(content, QUOTE)
    rate = members.get("rate")
    if not isinstance(rate, dict):
        raise _wrong(QUOTE, "rate")
    made = Quote(
        id=_id(members, "id"),
        provider=_text(members, "provider"),
        takes=money.currency(_text(members, "takes")).code,
        gives=money.currency(_text(members, "gives")).code,
        rate=_limited(Fraction(_number(rate, "numerator"), max(1, _number(rate, "denominator")))),
        least_minor=_number(members, "least"),
        most_minor=_number(members, "most"),
        until_ns=_number(members, "until_ns"),
    )
    if made.content() != content:
        raise _wrong(QUOTE, "text")
    if made.takes == made.gives or made.rate <= 0 or not 0 <= made.least_minor <= made.most_minor:
        raise UsageError(
            "a quote has two currencies, a rate above 0, and amounts in order",
            hint="`least` is of one acceptance, and `most` of all together",
        )
    return made


def read_acceptance(content: bytes) -> Acceptance:
    """Return the acceptance of a signed text. Raises UsageError for every other text than `content` writes."""
    members = _members(content, ACCEPTANCE)
    made = Acceptance(
        quote=_id(members, "quote"),
        digest=_text(members, "digest"),
        taker=_text(members, "taker"),
        uetr=_text(members, "uetr"),
        pays_minor=_number(members, "pays"),
        gets_minor=_number(members, "gets"),
    )
    if made.content() != content:
        raise _wrong(ACCEPTANCE, "text")
    try:
        is_uetr = str(uuid.UUID(made.uetr)) == made.uetr
    except ValueError:
        is_uetr = False
    if not is_uetr:
        raise _wrong(ACCEPTANCE, "uetr")
    return made


def _members(content: bytes, format: str) -> Mapping[str, Any]:
    if len(content) > CONTENT_MAX:
        raise UsageError(f"a {format} has at most {CONTENT_MAX:,} bytes; got {len(content):,}")
    try:
        members = json_documents.parse(content, format)
    except UsageError as error:
        raise UsageError(
            f"this is no {format}: it is no JSON", hint="docs/reference/corridors.md has its members"
        ) from error
    if not isinstance(members, dict) or members.get("format") != format:
        raise _wrong(format, "format")
    return members


def _text(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str):
        raise _wrong("quote or acceptance", name)
    return value


def _number(members: Mapping[str, Any], name: str) -> int:
    text = _text(members, name)
    if not _NUMBER.fullmatch(text) or int(text) > I64_MAX:
        raise _wrong("quote or acceptance", name)
    return int(text)


def _id(members: Mapping[str, Any], name: str) -> int:
    return ids.parse(_text(members, name))


def _limited(rate: Fraction) -> Fraction:
    if max(rate.numerator, rate.denominator) > RATE_MAX:
        raise UsageError(
            f"numerator and denominator of a rate are at most 10^15; got {rate}", hint="write fewer digits"
        )
    return rate


def _wrong(format: str, name: str) -> UsageError:
    return UsageError(
        f"the member {name} of a {format} is missing or wrong", hint="docs/reference/corridors.md has all"
    )
