"""Small world of random histories: accounts, records, calendar and dice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from sycee.core import ids
from sycee.core.limits import I64_MAX
from sycee.core.records.layout import (
    HASH_WORD,
    KEY_WORD,
    LINKED,
    MEMBER_WORDS,
    OPERATION,
    RULE_SET_OPERATION,
    SECRET_WORD,
    AccountKind,
)

Record: TypeAlias = npt.NDArray[Any]  # one OPERATION, shape (1,)
Day: TypeAlias = tuple[int, int, int, int]  # currency, day, month and year number
Chosen = TypeVar("Chosen")


class Frame(NamedTuple):
    """Content of one frame. Without records it only advances time."""

    now_ns: int
    records: npt.NDArray[Any]  # OPERATION
    calendar: tuple[Day, ...]  # of the currencies defined before it


START_NS: Final = 1_000
FAR_TICKS: Final = 10**6  # later than the end of any history
SECOND_NS: Final = 10**9
CURRENCIES: Final = (156, 978)

# Account numbers of a currency; `account_id` converts them to ids.
(
    ISSUANCE, SUSPENSE, FUNDER, RETURN, ANN, BOB, CAT, SHOP, CAFE, OTHER_SUSPENSE, WAY, BANK, RESERVE, OTHER_WAY,
) = range(14)  # fmt: skip
KINDS: Final = (
    AccountKind.ISSUANCE, AccountKind.SUSPENSE, AccountKind.FUNDER, AccountKind.VAULT, AccountKind.WALLET,
    AccountKind.WALLET, AccountKind.WALLET, AccountKind.MERCHANT, AccountKind.MERCHANT, AccountKind.SUSPENSE,
    AccountKind.IN_TRANSIT, AccountKind.VAULT, AccountKind.RESERVE, AccountKind.IN_TRANSIT,
)  # fmt: skip
NEW_ACCOUNTS: Final = range(14, 20)
STRANGER: Final = 77  # an unused number
OPERATOR, OTHER_OPERATOR = 9, 8  # the second currency has one wallet, CAT; OTHER_SUSPENSE belongs to the issuer
# Rule sets of accounts; programmes' rule sets have the programmes' numbers.
PERSONS, SHOPS, NARROW, BRIEF = 11, 12, 13, 14
ACCOUNT_RULES: Final = (PERSONS, SHOPS, NARROW, BRIEF)
AMOUNTS: Final = (1, 10, 25, 30, 2, 7, 50, 3, 45, 100)
HUGE_AMOUNTS: Final = (1 << 62, I64_MAX, (1 << 62) + (1 << 61), I64_MAX - 1_000, (1 << 62) - 1_000)
SECRETS: Final = tuple(bytes([at]) * 32 for at in range(3))
HASHES: Final = tuple(hashlib.sha256(secret).digest() for secret in SECRETS)

IDS: Final = ("id", "debit", "credit", "reference", "note")
# Overlapping fields, with the first byte of each.
OVERLAYS: Final = {
    "zone": 32, "release": 32, "digest": 32, "key": 8 * KEY_WORD, "hash": 8 * HASH_WORD, "secret": 8 * SECRET_WORD,
}  # fmt: skip
RULE_SET_FIELDS: Final = (
    "effective_ns", "refund_reserve", "balance_max", "single_max", "refund_window_s", "day_max", "month_max",
    "year_max",
)  # fmt: skip


def record(kind: int, id: int, **fields: Any) -> Record:
    """Return one operation. Ids are Python ints; `zone`, `release` are text, `digest`, `key`, `hash`, `secret` bytes.

    `members`, `groups`, `return_account` and the amounts of a rule set overlap other fields.
    """
    row = np.zeros(1, OPERATION)
    words, raw = row.view("<u8"), row.view("u1")
    rule_set = row.view(RULE_SET_OPERATION)
    row["kind"] = kind
    for name, value in {"id": id, **fields}.items():
        if name in IDS:
            row[f"{name}_low"], row[f"{name}_high"] = ids.split(value)
        elif name in OVERLAYS:
            data = value.encode("ascii") if isinstance(value, str) else value
            raw[OVERLAYS[name] : OVERLAYS[name] + len(data)] = np.frombuffer(data, np.uint8)
        elif name == "members":
            for at, each in zip(MEMBER_WORDS, value, strict=False):
                words[at : at + 2] = ids.split(each)
        elif name == "groups":
            rule_set["groups"][0, : len(value)] = value
        elif name == "return_account":
            rule_set["return_low"], rule_set["return_high"] = ids.split(value)
        elif name in RULE_SET_FIELDS:
            rule_set[name] = value
        else:
            row[name] = value
    return row


def capped(value: int) -> int:
    """Return the number, or the maximum of the field."""
    return min(value, I64_MAX)


def is_linked(row: Record) -> bool:
    return bool(row["flags"][0] & LINKED)


def cuts(records: npt.NDArray[Any]) -> list[int]:
    """Return the positions at which these records may be split into frames: start, end, and between chains."""
    linked = [bool(flags & LINKED) for flags in records["flags"].tolist()]
    return [0, *(at for at in range(1, len(records)) if not linked[at - 1]), len(records)] if linked else [0]


def account_id(currency: int, number: int) -> int:
    """Return an id; the orders by low half, by high half and by number all differ."""
    number += 100 * currency + 100
    return number if number % 2 else number << 64 | 1_000 - number


def member_id(programme: int, member: int) -> int:
    """Return the id of the person with a purse, never equal to an account id."""
    number = 10_000 * programme + member
    return number if member % 3 else number << 64 | 77_777_777_777 - number


def calendar_at(ticks: int, currencies: Iterable[int], *, backwards: int) -> tuple[Day, ...]:
    """Return a calendar with short days, months and years, `ticks` after the start.

    It differs between currencies. The calendar of the currency `backwards` goes back once, like a zone that crosses the
    date line.
    """
    days = []
    for currency in sorted(currencies):
        passed = ticks + currency % 5
        if currency == backwards and ticks >= 9:
            passed -= 7
        days.append((currency, 20_000 + passed // 4, 600 + passed // 12, 2_000 + passed // 30))
    return tuple(days)


class Dice:
    """Choices read from bytes; after the last byte every choice is the first option."""

    def __init__(self, data: bytes) -> None:
        self._data = iter(data)

    def below(self, bound: int) -> int:
        """Return a number from 0 to bound − 1, at most 65,535, read from one byte, or from two for large bounds."""
        number = next(self._data, 0)
        if bound > 100:
            number = number << 8 | next(self._data, 0)
        return number % bound

    def one_in(self, bound: int) -> bool:
        """Return True rarely, and never for zero bytes."""
        return self.below(bound) == bound - 1

    def pick(self, options: Sequence[Chosen]) -> Chosen:
        return options[self.below(len(options))]

    def newest(self, options: Sequence[Chosen]) -> Chosen:
        """Return one of the options, the last for zero bytes."""
        return options[-1 - self.below(min(len(options), 200))]
