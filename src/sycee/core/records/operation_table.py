"""Operation table: one row per kind, the source of all facts about a kind.

Derived from these rows: the kernels' shape checks (`kernels/validation.py`), the capacity a frame needs
(`capacity.py`), the required signatures (`authority.py`) and the table of kinds in docs/reference/ledger.md. A new
operation is a row here, a branch in the kernels and a table of tests. The naive twin and tools/checker.py do not read
this table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, NamedTuple

from sycee.core import limits
from sycee.core.records import layout
from sycee.core.records.layout import AccountKind, Kind, Reason, Role


class Field(NamedTuple):
    """Field that a kind uses in addition to `id`, `kind`, `flags`, `code` and `note`."""

    name: str
    meaning: str = ""
    low: int = 0  # smallest and largest permitted value; 0 and 0: no bounds
    high: int = 0
    flag: int = 0  # the field is used only with one of these flags; 0: always
    may_be_zero: bool = False  # of an id: zero is permitted


class Authority(IntEnum):
    """Required signatures of a kind, docs/reference/authority.md section 3."""

    FREE = 0  # none
    TWO_OFFICERS = 1
    OFFICER = 2
    STAFF = 3  # any officer or operator
    NEW_ACCOUNT = 4  # the operator in `count`
    NAMED_OPERATOR = 5  # the operator in `first`
    ADMINISTRATION = 6  # the account's operator
    GUARDED = 7  # the account's operator; two officers for accounts of the issuer and for vaults
    OWNER = 8
    OWNER_AND_OPERATOR = 9  # the account's operator, and the account's own key if it has one


class Subject(IntEnum):
    """Account whose owner or operator signs."""

    NONE = 0
    DEBIT = 1
    CREDIT = 2
    REFERENCE = 3
    PAYEE = 4  # payee of the operation in `reference`
    TRANSIT = 5  # IN_TRANSIT account that holds the money of `reference`
    FUNDER = 6  # funder of the programme in `number`
    REVERSED = 7  # payee of the operation in `reference`, if an earlier frame bound that operation


@dataclass(frozen=True)
class Row:
    """Properties of one kind."""

    fields: tuple[Field, ...]
    authority: Authority
    subject: Subject = Subject.NONE
    flags: tuple[int, ...] = (0,)  # permitted values of `flags`, without LINKED
    linkable: bool = False  # permitted in a chain: the kind writes to a few rows only
    different: tuple[str, ...] = ()  # ids that must differ from each other
    rows_added: dict[str, int] = field(default_factory=dict)  # maximum per operation, by table
    may_overflow: bool = False  # a waterfall may follow: one more movement and one more transit


def _number(high: int, meaning: str) -> Field:
    return Field("number", meaning, 1, high)


def _count(high: int, meaning: str) -> Field:
    return Field("count", meaning, 1, high)


def _rule_set(low: int) -> Field:
    return Field("rule_set", "" if low else "0 for none", low, limits.RULE_SETS_MAX)


DEBIT: Final = Field("debit")
CREDIT: Final = Field("credit")
AMOUNT: Final = Field("amount")
NOTE: Final = Field("note")  # used by every kind; two kinds store other fields in these bytes
FROM: Final = Field("from_ns")
UNTIL: Final = Field("until_ns")
ACCOUNT: Final = Field("debit", "the account")
REQUESTER: Final = Field("debit", "the requesting account")
HOLD: Final = Field("reference", "id of the HOLD")
SENT: Final = Field("reference", "id of the SEND, or of the operation whose excess was sent")
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
    Field("credit", "id of the last HOLD, which may be the same"),
    Field("reference", "the requesting account"),
)

_KEY_FLAGS: Final = (1, 2, 6)
_TWO: Final = ("debit", "credit")
_LEGS: Final = limits.PURSES_PER_WALLET_MAX + 1  # of a pay: one for each purse, one for own money
_RETRACED: Final = 2 * limits.PURSES_PER_WALLET_MAX + 1  # movements that undo a pay: a purse's part may return home

TABLE: Final[dict[Kind, Row]] = {
    Kind.DEFINE_CURRENCY: Row(
        (_number(CURRENCY_MAX, "ISO 4217 numeric code"), Field("zone", "time zone name, ASCII, zero-padded")),
        Authority.OFFICER,
    ),
    Kind.DEFINE_GROUP: Row((GROUP,), Authority.OFFICER, rows_added={"groups": 1}),
    Kind.JOIN_GROUP: Row((GROUP, ACCOUNT), Authority.ADMINISTRATION, Subject.DEBIT, rows_added={"payees": 1}),
    Kind.LEAVE_GROUP: Row((GROUP, ACCOUNT), Authority.ADMINISTRATION, Subject.DEBIT),
    Kind.DEFINE_RULE_SET: Row(
        (Field("rules", "all fields of §4"), _number(limits.RULE_SETS_MAX, "the rule set"), FROM, UNTIL),
        Authority.TWO_OFFICERS, flags=tuple(range(16)),
    ),
    Kind.GRANT_ROLE: Row(
        (
            Field("debit", "the person's id, opaque"), Field("key"), Field("first", f"role, {ROLES}", 1, max(Role)),
            Field("count", "the operator number for role 2, otherwise 0"),
            Field("number", "the currency of an officer, 0 for the board and for other roles", 0, CURRENCY_MAX),
            Field("from_ns", "start of the grant"), Field("until_ns", "end of the grant, exclusive"),
        ),
        Authority.TWO_OFFICERS, flags=_KEY_FLAGS,
    ),
    Kind.REVOKE_ROLE: Row((Field("reference", "id of the GRANT_ROLE"),), Authority.TWO_OFFICERS),
    Kind.UPGRADE: Row(
        (_number(limits.RULES_MAX, "version of the rules"), Field("release", "release name, ASCII, zero-padded")),
        Authority.FREE,
    ),
    Kind.OPEN_ACCOUNT: Row(
        (
            Field("debit", "the new account's id"),
            Field("credit", "the suspense account, zero for ISSUANCE and SUSPENSE accounts", may_be_zero=True),
            _number(CURRENCY_MAX, "currency"), Field("first", "account kind", 1, max(AccountKind)),
            Field("count", "operator number"), _rule_set(0),
        ),
        Authority.NEW_ACCOUNT, different=_TWO, rows_added={"accounts": 1},
    ),
    Kind.BLOCK_ACCOUNT: Row((ACCOUNT, REASON, SIDES), Authority.ADMINISTRATION, Subject.DEBIT, flags=(1, 2, 3)),
    Kind.UNBLOCK_ACCOUNT: Row((ACCOUNT, REASON, SIDES), Authority.ADMINISTRATION, Subject.DEBIT, flags=(1, 2, 3)),
    Kind.CLOSE_ACCOUNT: Row((ACCOUNT, REASON), Authority.ADMINISTRATION, Subject.DEBIT),
    Kind.SET_RULE_SET: Row((ACCOUNT, _rule_set(0)), Authority.GUARDED, Subject.DEBIT),
    Kind.SET_KEY: Row(
        (ACCOUNT, Field("key", "zero without flags, for an account without key", flag=1 | 2)),
        Authority.GUARDED, Subject.DEBIT, flags=(0, *_KEY_FLAGS), rows_added={"keys": 1},
    ),
    Kind.LINK_ACCOUNT: Row(
        (ACCOUNT, Field("credit", "the linked account, or zero for none", may_be_zero=True)),
        Authority.GUARDED, Subject.DEBIT, different=_TWO,
    ),
    Kind.OPEN_PROGRAMME: Row(
        (
            PROGRAMME, Field("debit", "the funder's account"), _rule_set(1), MEMBERS,
            Field("from_ns", "start of the claim window"), Field("until_ns", "end of the claim window"),
        ),
        Authority.ADMINISTRATION, Subject.DEBIT,
    ),
    Kind.ADD_MEMBERS: Row(
        (
            PROGRAMME, Field("first", "index of the first of these members"),
            _count(limits.MEMBERS_PER_RECORD_MAX, "number of ids given, the other ids are zero"),
            *(Field(f"member_{number}") for number in range(1, limits.MEMBERS_PER_RECORD_MAX + 1)),
        ),
        Authority.ADMINISTRATION, Subject.FUNDER,
    ),
    Kind.SEAL_COHORT: Row((PROGRAMME, Field("digest", "§5")), Authority.ADMINISTRATION, Subject.FUNDER),
    Kind.DROP: Row(
        (PROGRAMME, FIRST_MEMBER, MEMBERS, Field("amount", "per purse"), Field("reference", "id of the SEAL_COHORT")),
        Authority.OWNER, Subject.FUNDER,
    ),
    Kind.CLAIM: Row(
        (PROGRAMME, MEMBER, Field("reference", "the member's id"), Field("credit", "the wallet")),
        Authority.ADMINISTRATION, Subject.CREDIT,
    ),
    Kind.EXPIRE: Row((PROGRAMME, FIRST_MEMBER, MEMBERS), Authority.STAFF),
    Kind.TRANSFER: Row(
        (DEBIT, CREDIT, AMOUNT), Authority.OWNER, Subject.DEBIT, linkable=True, different=_TWO,
        rows_added={"movements": 1}, may_overflow=True,
    ),
    Kind.PAY: Row(
        (Field("debit", "payer"), Field("credit", "payee"), AMOUNT, Field("flags", "1 purses only, 2 own money only")),
        Authority.OWNER, Subject.DEBIT, flags=(0, 1, 2), linkable=True, different=_TWO,
        rows_added={"movements": _LEGS}, may_overflow=True,
    ),
    Kind.REFUND: Row(
        (Field("reference", "id of the PAY or POST"), AMOUNT), Authority.OWNER, Subject.PAYEE, linkable=True,
        rows_added={"movements": _RETRACED, "refunds": 1},
    ),
    Kind.HOLD: Row(
        (
            Field("debit", "payer"), Field("credit", "payee"), AMOUNT, Field("until_ns", "end of the hold"),
            Field("flags", "1 and 2 as PAY, 4 three-party, 8 hash-locked"),
            Field("reference", "the third account", flag=4), Field("hash", "the SHA-256 of the secret", flag=8),
        ),
        Authority.OWNER, Subject.DEBIT, flags=(0, 1, 2, 4, 5, 6, 8, 9, 10), linkable=True, different=_TWO,
        rows_added={"holds": 1, "hold_legs": limits.PURSES_PER_WALLET_MAX, "time_outs": 1},
    ),
    Kind.POST: Row(
        (HOLD, REQUESTER, AMOUNT, Field("flags", "1 release the rest, 2 with secret"), Field("secret", flag=2)),
        Authority.OWNER, Subject.DEBIT, flags=(0, 1, 2, 3), linkable=True, rows_added={"movements": _LEGS},
        may_overflow=True,
    ),
    Kind.VOID: Row((HOLD, REQUESTER), Authority.OWNER, Subject.DEBIT, linkable=True),
    Kind.EXTEND: Row(
        (HOLD, REQUESTER, Field("until_ns", "the new end")), Authority.OWNER, Subject.DEBIT, linkable=True,
        rows_added={"time_outs": 1},
    ),
    Kind.POST_HOLDS: Row(HOLDS, Authority.OWNER, Subject.REFERENCE),
    Kind.VOID_HOLDS: Row(HOLDS, Authority.OWNER, Subject.REFERENCE),
    Kind.REVERSE: Row(
        (Field("reference", "id of the TRANSFER, PAY or POST"), AMOUNT),
        Authority.TWO_OFFICERS, Subject.REVERSED, linkable=True, rows_added={"movements": _RETRACED, "refunds": 1},
    ),
    Kind.SEND: Row(
        (
            Field("debit", "source"), Field("credit", "destination"), Field("reference", "the IN_TRANSIT account"),
            AMOUNT, Field("flags", "1 up to this amount"),
        ),
        Authority.OWNER, Subject.DEBIT, flags=(0, 1), linkable=True, different=(*_TWO, "reference"),
        rows_added={"movements": 1, "transits": 1},
    ),
    Kind.CONFIRM: Row(
        (SENT,), Authority.ADMINISTRATION, Subject.TRANSIT, linkable=True, rows_added={"movements": 1}
    ),
    Kind.REJECT: Row(
        (SENT,), Authority.ADMINISTRATION, Subject.TRANSIT, linkable=True, rows_added={"movements": 1}
    ),
    Kind.STAGE: Row(
        (BATCH, DEBIT, CREDIT, AMOUNT), Authority.OWNER_AND_OPERATOR, Subject.DEBIT, different=_TWO,
        rows_added={"staged": 1, "batches": 1},
    ),
    Kind.SETTLE: Row(
        (
            BATCH, Field("first", "the batch's operator"),
            _count(limits.SETTLEMENT_PAYMENTS_MAX, "number of payments"),
            Field("amount", "control sum over all currencies"), Field("flags", "1 discard"),
        ),
        Authority.NAMED_OPERATOR, flags=(0, 1),
    ),
}  # fmt: skip
assert set(TABLE) == set(Kind)

# Fields that share bytes with other fields; `rules` is everything in layout.RULE_SET_OPERATION behind byte 23.
_SHARED: Final = {
    "rules": (24, limits.RECORD_BYTES - 24),
    "zone": (32, limits.ZONE_BYTES_MAX),
    "release": (32, limits.RELEASE_BYTES_MAX),
    "digest": (32, limits.KEY_BYTES),
    "key": (8 * layout.KEY_WORD, limits.KEY_BYTES),
    "hash": (8 * layout.HASH_WORD, limits.KEY_BYTES),
    "secret": (8 * layout.SECRET_WORD, limits.KEY_BYTES),
    **{f"member_{at + 1}": (8 * word, 16) for at, word in enumerate(layout.MEMBER_WORDS)},
}


def bytes_of(name: str) -> range:
    """Return the bytes of the record that a field occupies."""
    fields = layout.OPERATION.fields
    assert fields is not None
    if name in _SHARED:
        start, size = _SHARED[name]
    elif f"{name}_low" in fields:
        start, size = int(fields[f"{name}_low"][1]), 16
    else:
        start, size = int(fields[name][1]), fields[name][0].itemsize
    return range(start, start + size)


def reference_row(kind: Kind) -> str:
    """Return the kind's row in the table of docs/reference/ledger.md, section 1."""
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
