"""How the naive twin reads one record of 128 bytes, and what it finds malformed (docs/reference/ledger.md §1, §2)."""

from __future__ import annotations

from dataclasses import dataclass

from sycee.core import limits
from sycee.core.codes import Result
from sycee.ledger.layout import AccountKind, Block, Kind, PayFlag

# Where each field lies: the first byte of it and the first byte after it. A rule set and a cohort overlay the others.
FIELDS = {
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
    "groups": (32, 48),
    "return": (48, 64),
    "digest": (32, 64),
}
ALWAYS_USED = range(24)  # id, kind, flags and code: an unknown flag has a code of its own
MEMBER_BYTES = (32, 48, 64, 96, 112)

# The fields that each kind uses beside those of every kind.
USED: dict[Kind, tuple[str, ...]] = {
    Kind.DEFINE_CURRENCY: ("number", "zone", "note"),
    Kind.DEFINE_GROUP: ("number", "note"),
    Kind.JOIN_GROUP: ("number", "debit", "note"),
    Kind.LEAVE_GROUP: ("number", "debit", "note"),
    Kind.DEFINE_RULE_SET: ("groups", "return", "number", "from_ns", "until_ns"),
    Kind.OPEN_ACCOUNT: ("debit", "credit", "number", "first", "count", "rule_set", "note"),
    Kind.BLOCK_ACCOUNT: ("debit", "note"),
    Kind.CLOSE_ACCOUNT: ("debit", "note"),
    Kind.OPEN_PROGRAMME: ("number", "debit", "rule_set", "count", "from_ns", "until_ns", "note"),
    Kind.ADD_MEMBERS: ("number", "first", "count"),
    Kind.SEAL_COHORT: ("number", "digest", "note"),
    Kind.DROP: ("number", "first", "count", "amount", "reference", "note"),
    Kind.CLAIM: ("number", "first", "reference", "credit", "note"),
    Kind.EXPIRE: ("number", "first", "count", "note"),
    Kind.TRANSFER: ("debit", "credit", "amount", "note"),
    Kind.PAY: ("debit", "credit", "amount", "note"),
    Kind.REFUND: ("reference", "amount", "note"),
}
FLAGS_ALLOWED: dict[Kind, tuple[int, ...]] = {
    Kind.BLOCK_ACCOUNT: (0, Block.DEBIT, Block.CREDIT, Block.DEBIT | Block.CREDIT),
    Kind.PAY: (0, PayFlag.PURSES_ONLY, PayFlag.OWN_ONLY),
}
NUMBER_MAX: dict[Kind, int] = {
    Kind.DEFINE_CURRENCY: 999,
    Kind.OPEN_ACCOUNT: 999,
    Kind.DEFINE_GROUP: limits.GROUPS_MAX,
    Kind.JOIN_GROUP: limits.GROUPS_MAX,
    Kind.LEAVE_GROUP: limits.GROUPS_MAX,
    Kind.DEFINE_RULE_SET: limits.RULE_SETS_MAX,
    Kind.OPEN_PROGRAMME: limits.PROGRAMMES_MAX,
    Kind.ADD_MEMBERS: limits.PROGRAMMES_MAX,
    Kind.SEAL_COHORT: limits.PROGRAMMES_MAX,
    Kind.DROP: limits.PROGRAMMES_MAX,
    Kind.CLAIM: limits.PROGRAMMES_MAX,
    Kind.EXPIRE: limits.PROGRAMMES_MAX,
}
COUNT_MAX: dict[Kind, int] = {
    Kind.OPEN_PROGRAMME: limits.COHORT_MEMBERS_MAX,
    Kind.ADD_MEMBERS: limits.MEMBERS_PER_RECORD_MAX,
    Kind.DROP: limits.COHORT_MEMBERS_MAX,
    Kind.EXPIRE: limits.COHORT_MEMBERS_MAX,
}
HAS_AMOUNT = (Kind.DROP, Kind.TRANSFER, Kind.PAY, Kind.REFUND)
HAS_WINDOW = (Kind.OPEN_PROGRAMME, Kind.DEFINE_RULE_SET)
NAMES_TWO_ACCOUNTS = (Kind.TRANSFER, Kind.PAY, Kind.OPEN_ACCOUNT)

# These are their own suspense account: they take what could be credited nowhere else, or are where money ends.
SELF_SUSPENDED = (AccountKind.ISSUANCE, AccountKind.SUSPENSE)


@dataclass(frozen=True)
class Operation:
    """One record, read. An id is one Python int."""

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
        """Read 128 bytes as the table of §1 does."""

        def unsigned(name: str) -> int:
            return int.from_bytes(record[slice(*FIELDS[name])], "little")

        def signed(name: str) -> int:
            return int.from_bytes(record[slice(*FIELDS[name])], "little", signed=True)

        return cls(
            record=record,
            id=int.from_bytes(record[0:16], "little"),
            kind=int.from_bytes(record[16:18], "little"),
            flags=int.from_bytes(record[18:20], "little"),
            amount=signed("amount"),
            debit=unsigned("debit"),
            credit=unsigned("credit"),
            reference=unsigned("reference"),
            number=unsigned("number"),
            first=unsigned("first"),
            count=unsigned("count"),
            rule_set=unsigned("rule_set"),
            from_ns=signed("from_ns"),
            until_ns=signed("until_ns"),
        )

    @property
    def content(self) -> bytes:
        """What a retry must repeat to be the same request."""
        return self.record[16:128]

    @property
    def zone(self) -> bytes:
        """DEFINE_CURRENCY: name of the time zone, zero-padded."""
        return self.record[slice(*FIELDS["zone"])]

    @property
    def digest(self) -> bytes:
        """SEAL_COHORT: the digest of the member ids."""
        return self.record[slice(*FIELDS["digest"])]

    @property
    def groups(self) -> tuple[int, ...]:
        """DEFINE_RULE_SET: four groups, 0 for none."""
        return tuple(int.from_bytes(self.record[at : at + 4], "little") for at in range(32, 48, 4))

    @property
    def return_account(self) -> int:
        """DEFINE_RULE_SET: where the rest returns, 0 for nowhere."""
        return int.from_bytes(self.record[slice(*FIELDS["return"])], "little")

    @property
    def members(self) -> list[int]:
        """ADD_MEMBERS: the first `count` of its ids; none while `count` is out of range."""
        if self.count > len(MEMBER_BYTES):
            return []
        return [int.from_bytes(self.record[at : at + 16], "little") for at in MEMBER_BYTES[: self.count]]


def malformed(operation: Operation) -> Result | None:
    """What is wrong with the bytes alone; None if the state must judge."""
    if operation.id == 0:
        return Result.ID_MUST_NOT_BE_ZERO
    if operation.kind not in tuple(Kind):
        return Result.KIND_UNKNOWN
    kind = Kind(operation.kind)
    if operation.flags not in FLAGS_ALLOWED.get(kind, (0,)):
        return Result.FLAGS_UNKNOWN
    if any(operation.record[at] != 0 for at in set(range(limits.RECORD_BYTES)) - used_bytes(operation, kind)):
        return Result.FIELD_MUST_BE_ZERO
    if kind in HAS_AMOUNT and operation.amount <= 0:
        return Result.AMOUNT_MUST_BE_POSITIVE
    if 0 in ids_needed(operation, kind):
        return Result.ACCOUNT_ID_MUST_NOT_BE_ZERO
    if kind in NAMES_TWO_ACCOUNTS and operation.debit == operation.credit:
        return Result.ACCOUNTS_MUST_BE_DIFFERENT
    if kind in NUMBER_MAX and not 1 <= operation.number <= NUMBER_MAX[kind]:
        return Result.NUMBER_OUT_OF_RANGE
    if kind is Kind.OPEN_ACCOUNT and operation.rule_set > limits.RULE_SETS_MAX:
        return Result.NUMBER_OUT_OF_RANGE
    if kind is Kind.OPEN_PROGRAMME and not 1 <= operation.rule_set <= limits.RULE_SETS_MAX:
        return Result.NUMBER_OUT_OF_RANGE
    if kind is Kind.DEFINE_RULE_SET and any(group > limits.GROUPS_MAX for group in operation.groups):
        return Result.NUMBER_OUT_OF_RANGE
    if kind in COUNT_MAX and not 1 <= operation.count <= COUNT_MAX[kind]:
        return Result.COUNT_OUT_OF_RANGE
    if kind is Kind.OPEN_ACCOUNT and operation.first not in tuple(AccountKind):
        return Result.ACCOUNT_KIND_UNKNOWN
    if kind in HAS_WINDOW and operation.until_ns <= operation.from_ns:
        return Result.WINDOW_MUST_END_AFTER_START
    if kind is Kind.DEFINE_CURRENCY and operation.zone[0] == 0:
        return Result.ZONE_MUST_NOT_BE_EMPTY
    return None


def used_bytes(operation: Operation, kind: Kind) -> set[int]:
    """The places of the bytes that may be other than zero."""
    names = set(USED[kind])
    if kind is Kind.OPEN_ACCOUNT and operation.first in SELF_SUSPENDED:
        names.remove("credit")
    used = set(ALWAYS_USED)
    for name in names:
        used.update(range(*FIELDS[name]))
    if kind is Kind.ADD_MEMBERS:
        # Which ids are unused cannot be said while `count` is out of range: then none is judged, nor looked at.
        in_range = 1 <= operation.count <= len(MEMBER_BYTES)
        for at in MEMBER_BYTES[: operation.count] if in_range else MEMBER_BYTES:
            used.update(range(at, at + 16))
    return used


def ids_needed(operation: Operation, kind: Kind) -> list[int]:
    """The ids that must name something."""
    if kind is Kind.ADD_MEMBERS:
        return operation.members
    if kind is Kind.OPEN_ACCOUNT and operation.first in SELF_SUSPENDED:
        return [operation.debit]
    named = {"debit": operation.debit, "credit": operation.credit, "reference": operation.reference}
    return [id for name, id in named.items() if name in USED[kind]]
