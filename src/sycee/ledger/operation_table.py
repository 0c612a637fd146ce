"""The table of operations: one row per kind, from which all that can be read off a kind follows.

The kernels' shape checks (`kernels/shape.py`), the capacity a frame needs (`capacity.py`), whose signature an operation
needs (`authority.py`) and the table of kinds in docs/reference/ledger.md are derived from these rows. A new operation
is a row here, a branch in the kernels and a table of tests. The naive twin and tools/checker.py do not read this table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, NamedTuple

from sycee.core import limits
from sycee.ledger import layout
from sycee.ledger.layout import AccountKind, Kind, Reason, Role


class Field(NamedTuple):
    """A field that a kind uses beside `id`, `kind`, `flags`, `code` and `note`."""

    name: str
    meaning: str = ""
    low: int = 0  # the least and the most that it takes; 0 and 0 for no bound
    high: int = 0
    flag: int = 0  # it is used only with one of these flags; 0 for always
    may_be_zero: bool = False  # of an id: it need not name anything


class Authority(IntEnum):
    """Whose signature a kind needs, docs/reference/authority.md section 3."""

    FREE = 0  # nobody's
    TWO_OFFICERS = 1
    OFFICER = 2
    STAFF = 3  # any officer or operator
    NEW_ACCOUNT = 4  # of the operator that `count` names
    NAMED_OPERATOR = 5  # of the operator that `first` names
    ADMINISTRATION = 6  # of the account's operator
    GUARDED = 7  # likewise, but of two officers where the account is the issuer's or a vault
    OWNER = 8
    OWNER_AND_OPERATOR = 9  # of the account's operator, and of the account's own key if it has one


class Subject(IntEnum):
    """Which account the signature is about."""

    NONE = 0
    DEBIT = 1
    CREDIT = 2
    REFERENCE = 3
    PAYEE = 4  # of the operation that `reference` names
    TRANSIT = 5  # the IN_TRANSIT account through which the money of `reference` goes
    FUNDER = 6  # of the programme `number`
    REVERSED = 7  # who was paid by the operation that `reference` names, if a frame before bound it


@dataclass(frozen=True)
class Row:
    """What is known of a kind."""

    fields: tuple[Field, ...]
    authority: Authority
    subject: Subject = Subject.NONE
    flags: tuple[int, ...] = (0,)  # the values that `flags` may have, LINKED apart
    linkable: bool = False  # it may stand in a chain: it writes to a few rows
    different: tuple[str, ...] = ()  # ids that must differ from each other
    rows_added: dict[str, int] = field(default_factory=dict)  # rows that one operation may add, at most, by table
    may_overflow: bool = False  # a waterfall may follow it: one movement and one transit more

    def uses(self, name: str) -> Field | None:
        """Return the field of this name; None if the kind does not use it."""
        return next((each for each in self.fields if each.name == name), None)


def _number(high: int, meaning: str) -> Field:
    return Field("number", meaning, 1, high)


def _count(high: int, meaning: str) -> Field:
    return Field("count", meaning, 1, high)


def _rule_set(low: int) -> Field:
    return Field("rule_set", "" if low else "0 for none", low, limits.RULE_SETS_MAX)


DEBIT: Final = Field("debit")
CREDIT: Final = Field("credit")
AMOUNT: Final = Field("amount")
NOTE: Final = Field("note")  # every kind uses it; in two of them other fields lie there
FROM: Final = Field("from_ns")
UNTIL: Final = Field("until_ns")
ACCOUNT: Final = Field("debit", "the account")
ASKS: Final = Field("debit", "the account that asks")
HOLD: Final = Field("reference", "id of the HOLD")
SENT: Final = Field("reference", "id of the SEND, or of the operation whose excess went on its way")
GROUP: Final = _number(limits.GROUPS_MAX, "the group")
PROGRAMME: Final = _number(limits.PROGRAMMES_MAX, "the programme")
BATCH: Final = _number(limits.BATCHES_MAX, "the batch")
CURRENCY_MAX: Final = 999
MEMBER: Final = Field("first", "the member")
FIRST_MEMBER: Final = Field("first", "the first member")
MEMBERS: Final = _count(limits.COHORT_MEMBERS_MAX, "members")
REASON: Final = Field("first", "the reason", 1, max(Reason))
SIDES: Final = Field("flags", "the sides, 1 debit, 2 credit")
ROLES: Final = ", ".join(f"{role.value} {role.name.lower()}" for role in Role)
HOLDS: Final = (
    Field("debit", "id of the first HOLD"),
    Field("credit", "id of the last HOLD (they may be one)"),
    Field("reference", "the account that asks"),
)

_KEY_FLAGS: Final = (1, 2, 6)
_TWO: Final = ("debit", "credit")
_LEGS: Final = limits.PURSES_PER_WALLET_MAX + 1  # of a pay: one for each purse, and own money
_RETRACED: Final = 2 * limits.PURSES_PER_WALLET_MAX + 1  # movements that undo a pay: each purse's part may go home

TABLE: Final[dict[Kind, Row]] = {
    Kind.DEFINE_CURRENCY: Row(
        (_number(CURRENCY_MAX, "ISO 4217 numeric code"), Field("zone", "name of the time zone, ASCII, zero-padded")),
        Authority.OFFICER,
    ),
    Kind.DEFINE_GROUP: Row((GROUP,), Authority.OFFICER, rows_added={"groups": 1}),
    Kind.JOIN_GROUP: Row((GROUP, ACCOUNT), Authority.ADMINISTRATION, Subject.DEBIT, rows_added={"payees": 1}),
    Kind.LEAVE_GROUP: Row((GROUP, ACCOUNT), Authority.ADMINISTRATION, Subject.DEBIT),
    Kind.DEFINE_RULE_SET: Row(
        (Field("rules", "all fields of §4"), _number(limits.RULE_SETS_MAX, "the rule set"), FROM, UNTIL),
        Authority.TWO_OFFICERS,
        flags=tuple(range(16)),
    ),
    Kind.GRANT_ROLE: Row(
        (
            Field("debit", "the person's id, opaque"), Field("key"), Field("first", f"role, {ROLES}", 1, max(Role)),
            Field("count", "the operator's number, for role 2 (otherwise 0)"),
            Field("number", "the currency of an officer, 0 for the board (for other roles 0)", 0, CURRENCY_MAX),
            Field("from_ns", "the grant counts from then on"), Field("until_ns", "and no longer from then on"),
        ),
        Authority.TWO_OFFICERS,
        flags=_KEY_FLAGS,
    ),
    Kind.REVOKE_ROLE: Row((Field("reference", "id of the GRANT_ROLE"),), Authority.TWO_OFFICERS),
    Kind.UPGRADE: Row(
        (_number(limits.RULES_MAX, "version of these rules"), Field("release", "its name, ASCII, zero-padded")),
        Authority.FREE,
    ),
    Kind.OPEN_ACCOUNT: Row(
        (
            Field("debit", "the new account's id"),
            Field(
                "credit", "its operator's suspense account (zero for ISSUANCE and SUSPENSE accounts)", may_be_zero=True
            ),
            _number(CURRENCY_MAX, "currency"), Field("first", "account kind", 1, max(AccountKind)),
            Field("count", "operator, opaque"), _rule_set(0),
        ),
        Authority.NEW_ACCOUNT,
        different=_TWO,
        rows_added={"accounts": 1},
    ),
    Kind.BLOCK_ACCOUNT: Row((ACCOUNT, REASON, SIDES), Authority.ADMINISTRATION, Subject.DEBIT, flags=(1, 2, 3)),
    Kind.UNBLOCK_ACCOUNT: Row((ACCOUNT, REASON, SIDES), Authority.ADMINISTRATION, Subject.DEBIT, flags=(1, 2, 3)),
    Kind.CLOSE_ACCOUNT: Row((ACCOUNT, REASON), Authority.ADMINISTRATION, Subject.DEBIT),
    Kind.SET_RULE_SET: Row((ACCOUNT, _rule_set(0)), Authority.GUARDED, Subject.DEBIT),
    Kind.SET_KEY: Row(
        (ACCOUNT, Field("key", "without flags zero, for none", flag=1 | 2)),
        Authority.GUARDED,
        Subject.DEBIT,
        flags=(0, *_KEY_FLAGS),
        rows_added={"keys": 1},
    ),
    Kind.LINK_ACCOUNT: Row(
        (ACCOUNT, Field("credit", "the account it is linked to, or zero for none", may_be_zero=True)),
        Authority.GUARDED,
        Subject.DEBIT,
        different=_TWO,
    ),
    Kind.OPEN_PROGRAMME: Row(
        (
            PROGRAMME, Field("debit", "the funder's account"), _rule_set(1), MEMBERS,
            Field("from_ns", "begin of the claim window"), Field("until_ns", "its end"),
        ),
        Authority.ADMINISTRATION,
        Subject.DEBIT,
    ),
    Kind.ADD_MEMBERS: Row(
        (
            PROGRAMME, Field("first", "index of the first of these members"),
            _count(limits.MEMBERS_PER_RECORD_MAX, "how many ids follow, the others zero"),
            *(Field(f"member_{number}") for number in range(1, limits.MEMBERS_PER_RECORD_MAX + 1)),
        ),
        Authority.ADMINISTRATION,
        Subject.FUNDER,
    ),
    Kind.SEAL_COHORT: Row((PROGRAMME, Field("digest", "§5")), Authority.ADMINISTRATION, Subject.FUNDER),
    Kind.DROP: Row(
        (
            PROGRAMME, FIRST_MEMBER, MEMBERS, Field("amount", "to each"),
            Field("reference", "id of the SEAL_COHORT"),
        ),
        Authority.OWNER,
        Subject.FUNDER,
    ),
    Kind.CLAIM: Row(
        (PROGRAMME, MEMBER, Field("reference", "the member's id"), Field("credit", "the wallet")),
        Authority.ADMINISTRATION,
        Subject.CREDIT,
    ),
    Kind.EXPIRE: Row((PROGRAMME, FIRST_MEMBER, MEMBERS), Authority.STAFF),
    Kind.TRANSFER: Row(
        (DEBIT, CREDIT, AMOUNT),
        Authority.OWNER,
        Subject.DEBIT,
        linkable=True,
        different=_TWO,
        rows_added={"movements": 1},
        may_overflow=True,
    ),
    Kind.PAY: Row(
        (
            Field("debit", "payer"), Field("credit", "payee"), AMOUNT,
            Field("flags", "1 purses only, 2 own money only"),
        ),
        Authority.OWNER,
        Subject.DEBIT,
        flags=(0, 1, 2),
        linkable=True,
        different=_TWO,
        rows_added={"movements": _LEGS},
        may_overflow=True,
    ),
    Kind.REFUND: Row(
        (Field("reference", "id of the PAY or POST"), AMOUNT),
        Authority.OWNER,
        Subject.PAYEE,
        linkable=True,
        rows_added={"movements": _RETRACED, "refunds": 1},
    ),
    Kind.HOLD: Row(
        (
            Field("debit", "payer"), Field("credit", "payee"), AMOUNT, Field("until_ns", "its end"),
            Field("flags", "1 and 2 as PAY, 4 three-party, 8 hash-locked"),
            Field("reference", "the third account", flag=4), Field("hash", "the SHA-256 of the secret", flag=8),
        ),
        Authority.OWNER,
        Subject.DEBIT,
        flags=(0, 1, 2, 4, 5, 6, 8, 9, 10),
        linkable=True,
        different=_TWO,
        rows_added={"holds": 1, "hold_legs": limits.PURSES_PER_WALLET_MAX, "time_outs": 1},
    ),
    Kind.POST: Row(
        (
            HOLD, ASKS, AMOUNT, Field("flags", "1 let the rest go, 2 a secret comes with it"),
            Field("secret", flag=2),
        ),
        Authority.OWNER,
        Subject.DEBIT,
        flags=(0, 1, 2, 3),
        linkable=True,
        rows_added={"movements": _LEGS},
        may_overflow=True,
    ),
    Kind.VOID: Row((HOLD, ASKS), Authority.OWNER, Subject.DEBIT, linkable=True),
    Kind.EXTEND: Row(
        (HOLD, ASKS, Field("until_ns", "the new end")),
        Authority.OWNER,
        Subject.DEBIT,
        linkable=True,
        rows_added={"time_outs": 1},
    ),
    Kind.POST_HOLDS: Row(HOLDS, Authority.OWNER, Subject.REFERENCE),
    Kind.VOID_HOLDS: Row(HOLDS, Authority.OWNER, Subject.REFERENCE),
    Kind.REVERSE: Row(
        (Field("reference", "id of the TRANSFER, PAY or POST"), AMOUNT),
        Authority.TWO_OFFICERS,
        Subject.REVERSED,
        linkable=True,
        rows_added={"movements": _RETRACED, "refunds": 1},
    ),
    Kind.SEND: Row(
        (
            Field("debit", "from"), Field("credit", "destination"), Field("reference", "the IN_TRANSIT account"),
            AMOUNT, Field("flags", "1 up to that amount"),
        ),
        Authority.OWNER,
        Subject.DEBIT,
        flags=(0, 1),
        linkable=True,
        different=(*_TWO, "reference"),
        rows_added={"movements": 1, "transits": 1},
    ),
    Kind.CONFIRM: Row(
        (SENT,), Authority.ADMINISTRATION, Subject.TRANSIT, linkable=True, rows_added={"movements": 1}
    ),
    Kind.REJECT: Row(
        (SENT,), Authority.ADMINISTRATION, Subject.TRANSIT, linkable=True, rows_added={"movements": 1}
    ),
    Kind.STAGE: Row(
        (BATCH, DEBIT, CREDIT, AMOUNT),
        Authority.OWNER_AND_OPERATOR,
        Subject.DEBIT,
        different=_TWO,
        rows_added={"staged": 1, "batches": 1},
    ),
    Kind.SETTLE: Row(
        (
            BATCH, Field("first", "the operator whose it is"),
            _count(limits.SETTLEMENT_PAYMENTS_MAX, "its payments"),
            Field("amount", "their control sum, over all currencies"), Field("flags", "1 discard"),
        ),
        Authority.NAMED_OPERATOR,
        flags=(0, 1),
    ),
}  # fmt: skip
assert set(TABLE) == set(Kind)

LINKABLE: Final = tuple(kind for kind, row in TABLE.items() if row.linkable)


def bytes_of(name: str) -> range:
    """Return which bytes of the record a field takes."""
    begin, end = _SHARED[name] if name in _SHARED else _plain(name)
    return range(begin, end)


# Fields of some kinds that lie over others; `rules` is the whole of what layout.RULE_SET_OPERATION divides.
_SHARED: Final = {
    "rules": (24, limits.RECORD_BYTES),
    "zone": (32, 32 + limits.ZONE_BYTES_MAX),
    "release": (32, 32 + limits.RELEASE_BYTES_MAX),
    "digest": (32, 32 + limits.KEY_BYTES),
    "key": (8 * layout.KEY_WORD, 8 * layout.KEY_WORD + limits.KEY_BYTES),
    "hash": (8 * layout.HASH_WORD, 8 * layout.HASH_WORD + limits.KEY_BYTES),
    "secret": (8 * layout.SECRET_WORD, 8 * layout.SECRET_WORD + limits.KEY_BYTES),
    **{f"member_{at + 1}": (8 * word, 8 * word + 16) for at, word in enumerate(layout.MEMBER_WORDS)},
}


def _plain(name: str) -> tuple[int, int]:
    fields = layout.OPERATION.fields
    assert fields is not None
    if f"{name}_low" in fields:
        begin = int(fields[f"{name}_low"][1])
        return begin, begin + 16
    dtype, begin = fields[name][:2]
    return int(begin), int(begin) + int(dtype.itemsize)


def reference_row(kind: Kind) -> str:
    """Return the kind's line in the table of docs/reference/ledger.md, section 1."""
    row = TABLE[kind]
    cell = ""
    for each, following in zip(row.fields, (*row.fields[1:], None), strict=True):
        bounds = f" {each.low:,}–{each.high:,}" if each.high else ""
        flag = f" with flag {each.flag}" if each.flag.bit_count() == 1 else ""
        meaning = f": {each.meaning}" if each.meaning else ""
        separator = ", " if following and not each.meaning and not following.meaning else "; " if following else ""
        cell += f"`{each.name}`{bounds}{flag}{meaning}{separator}"
    name = f"{kind.name} ⛓" if row.linkable else kind.name
    return f"| {name} | {kind.value} | {', '.join(map(str, row.flags))} | {cell} |"
