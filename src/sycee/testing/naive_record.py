"""Naive twin: read a record of 128 bytes and find it malformed (docs/reference/ledger.md §1, §2)."""

from __future__ import annotations

from dataclasses import dataclass

from sycee.core import limits
from sycee.core.records.layout import LINKED, AccountKind, HoldFlag, Kind, PostFlag, Reason, Role
from sycee.core.result_codes import Result

# The first byte of each field and the byte after it. Some kinds use other fields at these places.
FIELDS = {
    "id": (0, 16),
    "kind": (16, 18),
    "flags": (18, 20),
    "amount": (24, 32),
    "debit": (32, 48),
    "credit": (48, 64),
    "reference": (64, 80),
    "number": (80, 84),
    "first": (84, 88),
    "count": (88, 92),
    "rule_set": (92, 96),
    "from_ns": (96, 104),
    "until_ns": (104, 112),
    "note": (112, 128),
    "zone": (32, 80),
    "release": (32, 64),
    "digest": (32, 64),
    "key": (48, 80),
    "hash": (64, 96),
    "secret": (80, 112),
    # fields of DEFINE_RULE_SET
    "effective_ns": (24, 32),
    "groups": (32, 40),
    "refund_reserve": (40, 48),
    "return": (48, 64),
    "balance_max": (64, 72),
    "single_max": (72, 80),
    "refund_window_s": (84, 88),
    "day_max": (88, 96),
    "month_max": (112, 120),
    "year_max": (120, 128),
}
READ_AT_ONCE = (
    "id", "kind", "flags", "amount", "debit", "credit", "reference", "number", "first", "count", "rule_set", "from_ns",
    "until_ns",
)  # fmt: skip
SIGNED = ("amount", "from_ns", "until_ns")
ALWAYS_USED = range(24)  # id, kind, flags and code: an unknown flag has its own code
MEMBER_BYTES = (32, 48, 64, 96, 112)
RULE_SET_AMOUNTS = ("refund_reserve", "balance_max", "single_max", "day_max", "month_max", "year_max")

# The fields that each kind uses besides the fields of every kind.
USED: dict[Kind, tuple[str, ...]] = {
    Kind.DEFINE_CURRENCY: ("number", "zone", "note"),
    Kind.DEFINE_GROUP: ("number", "note"),
    Kind.JOIN_GROUP: ("number", "debit", "note"),
    Kind.LEAVE_GROUP: ("number", "debit", "note"),
    Kind.DEFINE_RULE_SET: (
        *RULE_SET_AMOUNTS, "effective_ns", "groups", "return", "number", "refund_window_s", "from_ns", "until_ns",
    ),
    Kind.GRANT_ROLE: ("debit", "key", "number", "first", "count", "from_ns", "until_ns", "note"),
    Kind.REVOKE_ROLE: ("reference", "note"),
    Kind.UPGRADE: ("number", "release", "note"),
    Kind.OPEN_ACCOUNT: ("debit", "credit", "number", "first", "count", "rule_set", "note"),
    Kind.BLOCK_ACCOUNT: ("debit", "first", "note"),
    Kind.UNBLOCK_ACCOUNT: ("debit", "first", "note"),
    Kind.CLOSE_ACCOUNT: ("debit", "first", "note"),
    Kind.SET_RULE_SET: ("debit", "rule_set", "note"),
    Kind.SET_KEY: ("debit", "key", "note"),
    Kind.LINK_ACCOUNT: ("debit", "credit", "note"),
    Kind.OPEN_PROGRAMME: ("number", "debit", "rule_set", "count", "from_ns", "until_ns", "note"),
    Kind.ADD_MEMBERS: ("number", "first", "count"),
    Kind.SEAL_COHORT: ("number", "digest", "note"),
    Kind.DROP: ("number", "first", "count", "amount", "reference", "note"),
    Kind.CLAIM: ("number", "first", "reference", "credit", "note"),
    Kind.EXPIRE: ("number", "first", "count", "note"),
    Kind.TRANSFER: ("debit", "credit", "amount", "note"),
    Kind.PAY: ("debit", "credit", "amount", "note"),
    Kind.REFUND: ("reference", "amount", "note"),
    Kind.HOLD: ("debit", "credit", "amount", "until_ns", "note"),  # and by its flags, below
    Kind.POST: ("reference", "debit", "amount", "note"),  # as above
    Kind.VOID: ("reference", "debit", "note"),
    Kind.EXTEND: ("reference", "debit", "until_ns", "note"),
    Kind.POST_HOLDS: ("debit", "credit", "reference", "note"),
    Kind.VOID_HOLDS: ("debit", "credit", "reference", "note"),
    Kind.REVERSE: ("reference", "amount", "note"),
    Kind.SEND: ("debit", "credit", "reference", "amount", "note"),
    Kind.CONFIRM: ("reference", "note"),
    Kind.REJECT: ("reference", "note"),
    Kind.STAGE: ("debit", "credit", "amount", "number", "note"),
    Kind.SETTLE: ("number", "first", "count", "amount", "note"),
}  # fmt: skip
# The flags allowed for each kind; LINKED is added for kinds allowed in chains.
FLAGS_ALLOWED: dict[Kind, tuple[int, ...]] = {
    Kind.DEFINE_RULE_SET: tuple(range(16)),
    Kind.GRANT_ROLE: (1, 2, 6),
    Kind.BLOCK_ACCOUNT: (1, 2, 3),
    Kind.UNBLOCK_ACCOUNT: (1, 2, 3),
    Kind.SET_KEY: (0, 1, 2, 6),
    Kind.PAY: (0, 1, 2),
    Kind.HOLD: (0, 1, 2, 4, 5, 6, 8, 9, 10),
    Kind.POST: (0, 1, 2, 3),
    Kind.SEND: (0, 1),
    Kind.SETTLE: (0, 1),
}
NUMBER_MAX: dict[Kind, int] = {
    **dict.fromkeys((Kind.DEFINE_CURRENCY, Kind.OPEN_ACCOUNT), 999),
    **dict.fromkeys((Kind.DEFINE_GROUP, Kind.JOIN_GROUP, Kind.LEAVE_GROUP), 4_096),
    **dict.fromkeys((Kind.DEFINE_RULE_SET, Kind.UPGRADE, Kind.OPEN_PROGRAMME, Kind.ADD_MEMBERS), 65_535),
    **dict.fromkeys((Kind.SEAL_COHORT, Kind.DROP, Kind.CLAIM, Kind.EXPIRE), 65_535),
    **dict.fromkeys((Kind.STAGE, Kind.SETTLE), (1 << 32) - 1),
}
COUNT_MAX: dict[Kind, int] = {
    Kind.OPEN_PROGRAMME: 1 << 30,
    Kind.ADD_MEMBERS: 5,
    Kind.DROP: 1 << 30,
    Kind.EXPIRE: 1 << 30,
    Kind.SETTLE: 1 << 30,
}
HAS_AMOUNT = (
    Kind.DROP, Kind.TRANSFER, Kind.PAY, Kind.REFUND, Kind.HOLD, Kind.POST, Kind.REVERSE, Kind.SEND, Kind.STAGE,
    Kind.SETTLE,
)  # fmt: skip
LINKABLE = (
    Kind.TRANSFER, Kind.PAY, Kind.REFUND, Kind.HOLD, Kind.POST, Kind.VOID, Kind.EXTEND, Kind.REVERSE, Kind.SEND,
    Kind.CONFIRM, Kind.REJECT,
)  # fmt: skip
HAS_REASON = (Kind.BLOCK_ACCOUNT, Kind.UNBLOCK_ACCOUNT, Kind.CLOSE_ACCOUNT)
HAS_WINDOW = (Kind.OPEN_PROGRAMME, Kind.DEFINE_RULE_SET, Kind.GRANT_ROLE)
NAMES_TWO_ACCOUNTS = (
    Kind.TRANSFER, Kind.PAY, Kind.OPEN_ACCOUNT, Kind.LINK_ACCOUNT, Kind.HOLD, Kind.SEND, Kind.STAGE,
)  # fmt: skip

# Accounts of these kinds have no suspense account: they are one, or money ends there.
SELF_SUSPENDED = (AccountKind.ISSUANCE, AccountKind.SUSPENSE)


@dataclass(frozen=True)
class Operation:
    """One parsed record. An id is one Python int."""

    record: bytes
    id: int
    kind: int
    flags: int
    amount: int
    debit: int
    credit: int
    reference: int
    number: int
    first: int
    count: int
    rule_set: int
    from_ns: int
    until_ns: int

    @classmethod
    def read(cls, record: bytes) -> Operation:
        """Parse 128 bytes by the table of §1."""
        numbers = {
            name: int.from_bytes(record[slice(*FIELDS[name])], "little", signed=name in SIGNED) for name in READ_AT_ONCE
        }
        return cls(record, **numbers)

    def field(self, name: str) -> bytes:
        return self.record[slice(*FIELDS[name])]

    def signed(self, name: str) -> int:
        return int.from_bytes(self.field(name), "little", signed=True)

    def unsigned(self, name: str) -> int:
        return int.from_bytes(self.field(name), "little")

    @property
    def is_linked(self) -> bool:
        return bool(self.flags & LINKED)

    @property
    def content(self) -> bytes:
        """Return the bytes that a retry must repeat to be the same request."""
        return self.record[16:128]

    @property
    def groups(self) -> tuple[int, ...]:
        """Return the four groups of DEFINE_RULE_SET, 0 for none."""
        return tuple(int.from_bytes(self.record[at : at + 2], "little") for at in range(32, 40, 2))

    @property
    def members(self) -> list[int]:
        """Return the first `count` ids of ADD_MEMBERS; none if `count` is out of range."""
        if self.count > len(MEMBER_BYTES):
            return []
        return [int.from_bytes(self.record[at : at + 16], "little") for at in MEMBER_BYTES[: self.count]]


_KINDS = frozenset(Kind)
_ALL_BYTES = frozenset(range(limits.RECORD_BYTES))


def malformed(operation: Operation) -> Result | None:
    """Return the code of a malformed record; None if the state must decide."""
    if operation.id == 0:
        return Result.ID_MUST_NOT_BE_ZERO
    if operation.kind not in _KINDS:
        return Result.KIND_UNKNOWN
    kind = Kind(operation.kind)
    flags = operation.flags & ~LINKED if kind in LINKABLE else operation.flags
    if flags not in FLAGS_ALLOWED.get(kind, (0,)):
        return Result.FLAGS_UNKNOWN
    if any(operation.record[at] != 0 for at in _ALL_BYTES - used_bytes(operation, kind)):
        return Result.FIELD_MUST_BE_ZERO
    if kind in HAS_AMOUNT and operation.amount <= 0:
        return Result.AMOUNT_MUST_BE_POSITIVE
    if kind is Kind.DEFINE_RULE_SET and any(operation.signed(name) < 0 for name in RULE_SET_AMOUNTS):
        return Result.AMOUNT_MUST_BE_POSITIVE
    if 0 in ids_needed(operation, kind):
        return Result.ACCOUNT_ID_MUST_NOT_BE_ZERO
    if kind in NAMES_TWO_ACCOUNTS and operation.debit == operation.credit:
        return Result.ACCOUNTS_MUST_BE_DIFFERENT
    if kind is Kind.SEND and operation.reference in (operation.debit, operation.credit):
        return Result.ACCOUNTS_MUST_BE_DIFFERENT
    if not numbers_in_range(operation, kind):
        return Result.NUMBER_OUT_OF_RANGE
    if kind in COUNT_MAX and not 1 <= operation.count <= COUNT_MAX[kind]:
        return Result.COUNT_OUT_OF_RANGE
    return _names_unknown(operation, kind)


def _names_unknown(operation: Operation, kind: Kind) -> Result | None:
    """Check the second half of `malformed`: kinds, reasons and roles, windows, names and keys."""
    if kind is Kind.OPEN_ACCOUNT and operation.first not in tuple(AccountKind):
        return Result.ACCOUNT_KIND_UNKNOWN
    if kind in HAS_REASON and operation.first not in tuple(Reason):
        return Result.REASON_UNKNOWN
    if kind is Kind.GRANT_ROLE and operation.first not in tuple(Role):
        return Result.ROLE_UNKNOWN
    if kind in HAS_WINDOW and operation.until_ns <= operation.from_ns:
        return Result.WINDOW_MUST_END_AFTER_START
    if kind in (Kind.DEFINE_CURRENCY, Kind.UPGRADE) and operation.record[32] == 0:
        return Result.ZONE_MUST_NOT_BE_EMPTY
    has_key = kind is Kind.GRANT_ROLE or (kind is Kind.SET_KEY and operation.flags != 0)
    if has_key and operation.field("key") == bytes(32):
        return Result.KEY_MUST_NOT_BE_ZERO
    return None


def numbers_in_range(operation: Operation, kind: Kind) -> bool:
    if kind in NUMBER_MAX and not 1 <= operation.number <= NUMBER_MAX[kind]:
        return False
    if kind is Kind.GRANT_ROLE and operation.number > 999:
        return False
    if kind in (Kind.OPEN_ACCOUNT, Kind.SET_RULE_SET) and operation.rule_set > 65_535:
        return False
    if kind is Kind.OPEN_PROGRAMME and not 1 <= operation.rule_set <= 65_535:
        return False
    return not (kind is Kind.DEFINE_RULE_SET and any(group > 4_096 for group in operation.groups))


def used_bytes(operation: Operation, kind: Kind) -> set[int]:
    """Return the positions of the bytes that may be other than zero."""
    names = set(USED[kind])
    if kind is Kind.OPEN_ACCOUNT and operation.first in SELF_SUSPENDED:
        names.remove("credit")
    if kind is Kind.SET_KEY and operation.flags == 0:
        names.remove("key")
    if kind is Kind.GRANT_ROLE and operation.first != Role.OPERATOR:
        names.remove("count")
    if kind is Kind.GRANT_ROLE and operation.first != Role.OFFICER:
        names.remove("number")
    if kind is Kind.HOLD and operation.flags & HoldFlag.THREE_PARTY:
        names.add("reference")
    if kind is Kind.HOLD and operation.flags & HoldFlag.HASH_LOCKED:
        names.add("hash")
    if kind is Kind.POST and operation.flags & PostFlag.PREIMAGE:
        names.add("secret")
    used = set(ALWAYS_USED)
    for name in names:
        used.update(range(*FIELDS[name]))
    if kind is Kind.ADD_MEMBERS:
        # With `count` out of range the unused ids are undefined: none is checked.
        in_range = 1 <= operation.count <= len(MEMBER_BYTES)
        for at in MEMBER_BYTES[: operation.count] if in_range else MEMBER_BYTES:
            used.update(range(at, at + 16))
    return used


def ids_needed(operation: Operation, kind: Kind) -> list[int]:
    if kind is Kind.ADD_MEMBERS:
        return operation.members
    named = {"debit": operation.debit, "credit": operation.credit, "reference": operation.reference}
    needed = {name for name in named if name in USED[kind]}
    if kind is Kind.LINK_ACCOUNT or (kind is Kind.OPEN_ACCOUNT and operation.first in SELF_SUSPENDED):
        needed.remove("credit")
    if kind is Kind.HOLD and operation.flags & HoldFlag.THREE_PARTY:
        needed.add("reference")
    return [named[name] for name in sorted(needed)]
