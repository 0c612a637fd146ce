"""The small world of random histories: who is in it, how a record is written, what its calendar says, and dice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from sycee.core import ids
from sycee.core.limits import I64_MAX
from sycee.ledger.layout import (
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
Day: TypeAlias = tuple[int, int, int, int]  # currency, and its day, month and year number
Chosen = TypeVar("Chosen")


class Frame(NamedTuple):
    """What one frame brings. Without records only time passes."""

    now_ns: int
    records: npt.NDArray[Any]  # OPERATION
    calendar: tuple[Day, ...]  # of the currencies that were defined before it


START_NS: Final = 1_000
FAR_TICKS: Final = 10**6  # later than any history goes
SECOND_NS: Final = 10**9
CURRENCIES: Final = (156, 978)

# Numbers of a currency's accounts; `account_id` makes ids of them.
(
    ISSUANCE, SUSPENSE, FUNDER, RETURN, ANN, BOB, CAT, SHOP, CAFE, OTHER_SUSPENSE, WAY, BANK, RESERVE, OTHER_WAY,
) = range(14)  # fmt: skip
KINDS: Final = (
    AccountKind.ISSUANCE, AccountKind.SUSPENSE, AccountKind.FUNDER, AccountKind.VAULT, AccountKind.WALLET,
    AccountKind.WALLET, AccountKind.WALLET, AccountKind.MERCHANT, AccountKind.MERCHANT, AccountKind.SUSPENSE,
    AccountKind.IN_TRANSIT, AccountKind.VAULT, AccountKind.RESERVE, AccountKind.IN_TRANSIT,
)  # fmt: skip
NEW_ACCOUNTS: Final = range(14, 20)
STRANGER: Final = 77  # nobody has this number
OPERATOR, OTHER_OPERATOR = 9, 8  # the second has one wallet, CAT; OTHER_SUSPENSE is the issuer's own
# Rule sets of accounts; those of programmes have the programmes' numbers.
PERSONS, SHOPS, NARROW, BRIEF = 11, 12, 13, 14
ACCOUNT_RULES: Final = (PERSONS, SHOPS, NARROW, BRIEF)
AMOUNTS: Final = (1, 10, 25, 30, 2, 7, 50, 3, 45, 100)
HUGE_AMOUNTS: Final = (1 << 62, I64_MAX, (1 << 62) + (1 << 61), I64_MAX - 1_000, (1 << 62) - 1_000)
SECRETS: Final = tuple(bytes([at]) * 32 for at in range(3))
HASHES: Final = tuple(hashlib.sha256(secret).digest() for secret in SECRETS)

IDS: Final = ("id", "debit", "credit", "reference", "note")
# Overlays of bytes, with the first byte of each.
OVERLAYS: Final = {
    "zone": 32, "release": 32, "digest": 32, "key": 8 * KEY_WORD, "hash": 8 * HASH_WORD, "secret": 8 * SECRET_WORD,
}  # fmt: skip
RULE_SET_FIELDS: Final = (
    "effective_ns", "refund_reserve", "balance_max", "single_max", "refund_window_s", "day_max", "month_max",
    "year_max",
)  # fmt: skip


def record(kind: int, id: int, **fields: Any) -> Record:
    """One operation. Ids are Python ints; `zone`, `release` are text, `digest`, `key`, `hash`, `secret` bytes;
    `members`, `groups`, `return_account` and the amounts of a rule set lie over other fields.
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
    """The number, or the greatest that a record can hold."""
    return min(value, I64_MAX)


def is_linked(row: Record) -> bool:
    """True if this record makes a chain with the one after it."""
    return bool(row["flags"][0] & LINKED)


def cuts(records: npt.NDArray[Any]) -> list[int]:
    """Where a frame of these records may be cut into more frames: before its first, after its last, between chains."""
    linked = [bool(flags & LINKED) for flags in records["flags"].tolist()]
    return [0, *(at for at in range(1, len(records)) if not linked[at - 1]), len(records)] if linked else [0]


def account_id(currency: int, number: int) -> int:
    """Ids whose order by low half, by high half and by number all differ."""
    number += 100 * currency + 100
    return number if number % 2 else number << 64 | 1_000 - number


def member_id(programme: int, member: int) -> int:
    """The person behind a purse: never an account's id."""
    number = 10_000 * programme + member
    return number if member % 3 else number << 64 | 77_777_777_777 - number


def calendar_at(ticks: int, currencies: Iterable[int], *, backwards: int) -> tuple[Day, ...]:
    """A calendar with short days, months and years, for so many ticks after the start.

    It differs from currency to currency; that of the currency `backwards` once goes back, as a zone does that crosses
    the date line.
    """
    days = []
    for currency in sorted(currencies):
        passed = ticks + currency % 5
        if currency == backwards and ticks >= 9:
            passed -= 7
        days.append((currency, 20_000 + passed // 4, 600 + passed // 12, 2_000 + passed // 30))
    return tuple(days)


class Dice:
    """Choices read from bytes; when they run out every choice is the first."""

    def __init__(self, data: bytes) -> None:
        self._data = iter(data)

    def below(self, bound: int) -> int:
        """A number from 0 to bound − 1, at most 65,535: one byte says it, or two where it may be large."""
        number = next(self._data, 0)
        if bound > 100:
            number = number << 8 | next(self._data, 0)
        return number % bound

    def one_in(self, bound: int) -> bool:
        """True rarely, and never where the bytes are zero."""
        return self.below(bound) == bound - 1

    def pick(self, options: Sequence[Chosen]) -> Chosen:
        """One of the options."""
        return options[self.below(len(options))]

    def newest(self, options: Sequence[Chosen]) -> Chosen:
        """One of the options, the last if the bytes are zero."""
        return options[-1 - self.below(min(len(options), 200))]
