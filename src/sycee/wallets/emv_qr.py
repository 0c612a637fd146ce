"""QR codes of merchants and requests, in the form of EMVCo (Merchant-Presented Mode 1.1), and their pictures.

A payload is a sequence of fields: two digits of tag, two digits of length, and the value. The last field is a CRC of
all bytes before it. A payload names accounts and requests by their ids, never a person.
"""

from __future__ import annotations

import binascii
import io
import re
from dataclasses import dataclass
from typing import Final

from sycee.core import ids, money
from sycee.core.errors import UsageError
from sycee.core.extras import extra

with extra("bank"):
    import segno

STATIC: Final = "11"
DYNAMIC: Final = "12"
VALUE_BYTES_MAX: Final = 99
NAME_CHARACTERS_MAX: Final = 25
CITY_CHARACTERS_MAX: Final = 15

_FORMAT: Final = "01"
_ACCOUNT: Final = "26"
_CRC_HEAD: Final = "6304"
_FIELD: Final = re.compile(r"(\d\d)(\d\d)")
_DOMAIN: Final = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_MCC: Final = re.compile(r"\d{4}")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_UUID: Final = re.compile(r"[0-9a-f]{32}")
_LABEL: Final = re.compile(r"[A-Za-z0-9._/-]{0,25}")


@dataclass(frozen=True, slots=True)
class Payload:
    """The content of a QR code.

    - `domain`: reverse domain of the scheme. `account`: receives the money. `request`: of a request to pay, or 0.
    - `minor`: 0 if the payer enters the amount. `currency`: ISO 4217 code.
    - `name`, `city`: of the merchant; "" writes a dash, since EMVCo requires both. `category`: ISO 18245.
    - `order`, `till`: "" for none.
    """

    domain: str
    account: int
    currency: str
    country: str
    name: str = ""
    city: str = ""
    request: int = 0
    minor: int = 0
    order: str = ""
    till: str = ""
    category: str = "0000"

    @property
    def is_dynamic(self) -> bool:
        """Whether the code is for one payment alone: it has a request or an order."""
        return bool(self.request or self.order)


def crc(text: str) -> str:
    """Return the CRC-16 (polynomial 0x1021, start 0xFFFF) of a text as four hexadecimal digits."""
    return f"{binascii.crc_hqx(text.encode('utf-8'), 0xFFFF):04X}"


def encode(payload: Payload) -> str:
    """Return the text of a QR code. Raises UsageError for values that EMVCo or `parse` does not permit."""
    _check(payload)
    account = _field("00", payload.domain) + _field("01", f"{payload.account:032x}")
    if payload.request:
        account += _field("02", f"{payload.request:032x}")
    currency = money.currency(payload.currency)
    fields = [
        _field("00", _FORMAT),
        _field("01", DYNAMIC if payload.is_dynamic else STATIC),
        _field(_ACCOUNT, account),
        _field("52", payload.category),
        _field("53", f"{currency.numeric:03}"),
    ]
    if payload.minor:
        fields.append(_field("54", money.format(payload.minor, currency).replace(",", "")))
    fields += [_field("58", payload.country), _field("59", payload.name or "-"), _field("60", payload.city or "-")]
    more = (_field("05", payload.order) if payload.order else "") + (_field("07", payload.till) if payload.till else "")
    if more:
        fields.append(_field("62", more))
    text = "".join(fields) + _CRC_HEAD
    return text + crc(text)


def parse(text: str) -> Payload:
    """Return the content of a QR code's text. Raises UsageError for a damaged text and for one of another scheme."""
    if len(text) < len(_CRC_HEAD) + 4 or text[-8:-4] != _CRC_HEAD or text[-4:] != crc(text[:-4]):
        raise UsageError("the text is not a whole QR code of EMVCo: its CRC differs", hint="scan the code again")
    fields = _fields(text[:-8])
    account = _fields(_required(fields, _ACCOUNT))
    more = _fields(fields.get("62", ""))
    currency = money.currency(int(_digits(_required(fields, "53"))))
    amount = fields.get("54", "")
    request = account.get("02", "")
    name, city = _required(fields, "59"), _required(fields, "60")
    payload = Payload(
        domain=_required(account, "00"),
        account=_id(_required(account, "01")),
        currency=currency.code,
        country=_required(fields, "58"),
        name="" if name == "-" else name,
        city="" if city == "-" else city,
        request=_id(request) if request else 0,
        minor=money.parse(amount, currency) if amount else 0,
        order=more.get("05", ""),
        till=more.get("07", ""),
        category=_required(fields, "52"),
    )
    _check(payload)
    if _required(fields, "00") != _FORMAT or _required(fields, "01") != (DYNAMIC if payload.is_dynamic else STATIC):
        raise UsageError("the QR code has another form than its content", hint="scan the code again")
    return payload


def png(text: str, *, scale: int = 8) -> bytes:
    """Return the picture of a text as PNG. `scale`: pixels of one module."""
    file = io.BytesIO()
    segno.make(text, error="m", micro=False).save(file, kind="png", scale=scale)
    return file.getvalue()


def svg(text: str, *, scale: int = 8) -> bytes:
    """Return the picture of a text as SVG."""
    file = io.BytesIO()
    segno.make(text, error="m", micro=False).save(file, kind="svg", scale=scale)
    return file.getvalue()


# --- fields ---


def _field(tag: str, value: str) -> str:
    size = len(value)
    if not 0 < size <= VALUE_BYTES_MAX:
        raise UsageError(f"field {tag} of the QR code has {size} characters", hint="a field has 1 to 99 characters")
    return f"{tag}{size:02}{value}"


def _fields(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        head = _FIELD.match(text, at)
        size = int(head[2]) if head else 0
        if head is None or not size or at + 4 + size > len(text) or head[1] in found:
            raise UsageError(f"the QR code is damaged at character {at + 1}", hint="scan the code again")
        found[head[1]] = text[at + 4 : at + 4 + size]
        at += 4 + size
    return found


def _required(fields: dict[str, str], tag: str) -> str:
    if tag not in fields:
        raise UsageError(f"the QR code has no field {tag}", hint="it is of another scheme")
    return fields[tag]


def _digits(text: str) -> str:
    if not text.isascii() or not text.isdigit():
        raise UsageError("the QR code has a currency that is no number", hint="scan the code again")
    return text


def _id(text: str) -> int:
    if not _UUID.fullmatch(text) or not int(text, 16):
        raise UsageError("the QR code names no account of this scheme", hint="it is of another scheme")
    return int(text, 16)


def _check(payload: Payload) -> None:
    ids.format(payload.account)  # raises for a number that is no id
    wrong = {
        "domain": not _DOMAIN.fullmatch(payload.domain) or len(payload.domain) > 32,
        "country": not _COUNTRY.fullmatch(payload.country),
        "category": not _MCC.fullmatch(payload.category),
        "name": not _is_text(payload.name, NAME_CHARACTERS_MAX),
        "city": not _is_text(payload.city, CITY_CHARACTERS_MAX),
        "order": not _LABEL.fullmatch(payload.order),
        "till": not _LABEL.fullmatch(payload.till),
        "amount": payload.minor < 0,
    }
    for name, is_wrong in wrong.items():
        if is_wrong:
            raise UsageError(
                f"the {name} of the QR code has a wrong form",
                hint="a name has at most 25 printable characters, a city 15, an order or till 25 of the letters "
                "A-Z a-z 0-9 . _ / -, and a country is two capital letters",
            )


def _is_text(text: str, most: int) -> bool:
    return len(text) <= most and text.isprintable() and text == text.strip() and text != "-"
