"""Seeded values of all messages: with as few elements as possible, with all of them, and with some."""

from __future__ import annotations

import random
import uuid
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from sycee.iso20022 import forms
from sycee.iso20022.credit_transfer_messages import CustomerTransfers, InstitutionTransfers
from sycee.iso20022.elements import Amount, Part, layout
from sycee.iso20022.forms import Form

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS = "0123456789"
CHARACTERS = LETTERS + LETTERS.lower() + DIGITS + "/-?:().,'+ &<>\"éß漢字😀\xa0"
CURRENCIES = (("EUR", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4))


def value(of: type, seed: int, share: float) -> Any:
    """Return a value of a class. `share` of the optional elements are there: 0 for none, 1 for all."""
    made = _value(of, random.Random(seed), share)
    return _consistent(made)


def _value(of: type, chance: random.Random, share: float) -> Any:
    values: dict[str, Any] = {}
    _fill(layout(of), values, chance, share)
    return of(**values)


def _fill(of: Part, values: dict[str, Any], chance: random.Random, share: float) -> None:
    parts = list(of.parts.values())
    for part in [chance.choice(parts)] if of.is_choice else parts:
        if part.expected or (not part.least and not of.is_choice and chance.random() >= share):
            continue
        if not part.field:
            _fill(part, values, chance, share)
        elif part.is_many:
            count = 2 if share == 1 else max(part.least, chance.randint(1, 2))
            values[part.field] = tuple(_one(part, chance, share) for _ in range(count))
        else:
            values[part.field] = _one(part, chance, share)


def _one(part: Part, chance: random.Random, share: float) -> Any:
    return _value(part.of, chance, share if share == 1 else share * 0.9) if part.of else _text(part.form, chance)


def _text(form: Form | None, chance: random.Random) -> Any:
    assert form
    if form.codes:
        found = chance.choice(form.codes)
        return found == "true" if form is forms.FLAG else found
    if form.is_amount:
        code, _ = chance.choice(CURRENCIES)
        return Amount(code, chance.randint(0 if form.may_be_zero else 1, 10 ** chance.randint(1, 13)))
    if form is forms.DAY:
        return date(2026, 11, 28) + timedelta(chance.randint(-2_000, 2_000))
    return MAKERS[form.name](chance) if form.name in MAKERS else _long(form, chance)


def _long(form: Form, chance: random.Random) -> str:
    if form.name.startswith("Code"):
        most = int(form.pattern.rpartition(",")[2].rstrip("}"))
        return "".join(chance.choices(LETTERS + DIGITS, k=chance.randint(1, most)))
    length = chance.choice((1, form.length, chance.randint(1, form.length)))
    return chance.choice(LETTERS) + "".join(chance.choices(CHARACTERS, k=length - 1))


def _checked(begin: str, digits_at_end: bool) -> str:
    """Return a number with its check digits of ISO 7064 (mod 97-10), as LEI (at the end) and IBAN have them."""
    base = begin + "00" if digits_at_end else begin[2:] + begin[:2] + "00"
    check = 98 - int("".join(str(int(each, 36)) for each in base)) % 97
    return f"{begin}{check:02}" if digits_at_end else f"{begin[:2]}{check:02}{begin[2:]}"


def _letters(chance: random.Random, count: int, of: str = LETTERS) -> str:
    return "".join(chance.choices(of, k=count))


def _moment(chance: random.Random) -> str:
    part = chance.choice(("", ".5", ".123456"))
    return f"2026-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}T{_time(chance, part)}"


def _time(chance: random.Random, part: str = "") -> str:
    zone = chance.choice(("", "Z", "+13:59", "-08:00"))
    return f"{chance.randint(0, 23):02}:{chance.randint(0, 59):02}:{chance.randint(0, 59):02}{part}{zone}"


MAKERS = {
    "BIC": lambda chance: f"{_letters(chance, 6)}{_letters(chance, 2, LETTERS + DIGITS)}{chance.choice(('', 3 * 'X'))}",
    "LEI": lambda chance: _checked(_letters(chance, 18, LETTERS + DIGITS), digits_at_end=True),
    "IBAN": lambda chance: _checked("DE" + _letters(chance, chance.randint(8, 30), DIGITS), digits_at_end=False),
    "Country": lambda chance: _letters(chance, 2),
    "Currency": lambda chance: chance.choice(CURRENCIES)[0],
    "UETR": lambda chance: str(uuid.UUID(int=chance.getrandbits(128), version=4)),
    "Moment": _moment,
    "Time": _time,
    "Number": lambda chance: str(chance.randint(0, 10**15 - 1)),
    "Page": lambda chance: str(chance.randint(1, 99_999)),
    "Sequence": lambda chance: str(chance.randint(0, 10**18 - 1)),
    "Sum": lambda chance: chance.choice(("0", "1.5", "999999999999999999", "1234567890123.12345")),
    "Rate": lambda chance: chance.choice(("1", "0.000001", "12345.123456")),
}


def _consistent(made: Any) -> Any:
    """Return a value that also keeps the rules that no schema states."""
    if isinstance(made, CustomerTransfers | InstitutionTransfers):
        return _shared(replace(made, total=None), "transactions")
    name = type(made).__name__
    if name == "Returns":
        each = [replace(one, original_amount=None) for one in made.transactions]
        return _shared(replace(made, total=None, transactions=tuple(each)), "transactions")
    if name in ("StatusReport", "StatusRequest") and not made.groups and not made.payments:
        part = layout(type(made)).parts
        (of,) = [each.of for each in part.values() if each.field == "payments"]
        made = replace(made, payments=(_value(of, random.Random(1), 1),))
    if name == "StatusRequest":
        return replace(made, payments=tuple(replace(one, end_to_end="E-1") for one in made.payments))
    if name == "Statements":
        plain = [replace(one, balances=tuple(replace(each, type="INFO", type_own="") for each in one.balances))
                 for one in made.statements]  # fmt: skip
        return replace(made, statements=tuple(plain))
    return made


def _shared(made: Any, name: str) -> Any:
    """State day, sender and receiver in the header or in each transaction, not in both."""
    filled = []
    for one in getattr(made, name):
        for field in ("day", "sender", "receiver"):
            if getattr(made, field) is not None:
                one = replace(one, **{field: None})
            elif getattr(one, field) is None:
                content = date(2026, 11, 30) if field == "day" else _bank()
                one = replace(one, **{field: content})
        filled.append(one)
    return replace(made, **{name: tuple(filled)})


def _bank() -> Any:
    from sycee.iso20022.institutions import Institution

    return Institution(bic="BANKAAAA")
