"""Build records: one function per kind, for one operation or a million.

Every function takes the operations' ids first and returns an array of `layout.OPERATION`, one record per id. Ids are
Python ints or arrays of `sycee.core.ids.ID`; a single value stands for all records. Nothing is checked here but what
cannot be written down: the ledger itself refuses what is malformed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import blake3
import numpy as np

from sycee.core import limits
from sycee.core.errors import UsageError
from sycee.core.ids import ID
from sycee.ledger import layout
from sycee.ledger.layout import AccountKind, Kind

Array = np.ndarray[Any, Any]
Id = int | Array
Number = int | Array


def define_currency(ids: Id, *, currency: Number, zone: str) -> Array:
    """`zone` is the IANA name of the time zone whose midnight ends the currency's day."""
    text = zone.encode("ascii", errors="replace")
    if not 0 < len(text) <= limits.ZONE_BYTES_MAX:
        raise UsageError(f"time zone {zone!r}: its name must have 1 to {limits.ZONE_BYTES_MAX} characters")
    records = _records(Kind.DEFINE_CURRENCY, ids, number=currency)
    records.view(np.uint8).reshape(records.size, -1)[:, 32 : 32 + len(text)] = np.frombuffer(text, np.uint8)
    return records


def define_group(ids: Id, *, group: Number) -> Array:
    """Payee groups are numbers; a rule set names the groups its money may reach."""
    return _records(Kind.DEFINE_GROUP, ids, number=group)


def join_group(ids: Id, *, group: Number, account: Id) -> Array:
    """From now on `account` is a payee of the group."""
    return _records(Kind.JOIN_GROUP, ids, number=group, debit=account)


def leave_group(ids: Id, *, group: Number, account: Id) -> Array:
    """From now on `account` is none."""
    return _records(Kind.LEAVE_GROUP, ids, number=group, debit=account)


def define_rule_set(
    ids: Id, *, rule_set: int, groups: Sequence[int] = (), from_ns: int, until_ns: int, return_account: int = 0
) -> Array:
    """`groups`: the payee groups that money may reach, at most four; none means every payee."""
    if len(groups) > limits.GROUPS_PER_RULE_SET_MAX:
        raise UsageError(f"a rule set names at most {limits.GROUPS_PER_RULE_SET_MAX} groups, not {len(groups)}")
    records = _records(Kind.DEFINE_RULE_SET, ids, number=rule_set, from_ns=from_ns, until_ns=until_ns)
    rules = records.view(layout.RULE_SET_OPERATION)
    rules["groups"][:, : len(groups)] = groups
    rules["return_low"], rules["return_high"] = _halves(return_account)
    return records


def open_account(
    ids: Id,
    *,
    account: Id,
    currency: Number,
    kind: AccountKind,
    suspense: Id = 0,
    operator: Number = 0,
    rule_set: Number = 0,
) -> Array:
    """`suspense` is the operator's suspense account; only ISSUANCE and SUSPENSE accounts have none."""
    return _records(
        Kind.OPEN_ACCOUNT,
        ids,
        debit=account,
        credit=suspense,
        number=currency,
        first=int(kind),
        count=operator,
        rule_set=rule_set,
    )


def block_account(ids: Id, *, account: Id, blocks: layout.Block, code: Number = 0) -> Array:
    """`blocks` is the new state of both blocks; `code` is the reason, for whoever reads the journal."""
    return _records(Kind.BLOCK_ACCOUNT, ids, debit=account, flags=int(blocks), code=code)


def close_account(ids: Id, *, account: Id) -> Array:
    """For good; the account must be empty."""
    return _records(Kind.CLOSE_ACCOUNT, ids, debit=account)


def open_programme(
    ids: Id, *, programme: int, funder: int, rule_set: int, members: int, claim_from_ns: int, claim_until_ns: int
) -> Array:
    """A block of `members` empty purses, claimed between `claim_from_ns` and `claim_until_ns`."""
    return _records(
        Kind.OPEN_PROGRAMME,
        ids,
        number=programme,
        debit=funder,
        rule_set=rule_set,
        count=members,
        from_ns=claim_from_ns,
        until_ns=claim_until_ns,
    )


def add_members_records(members: int) -> int:
    """How many records, and so ids, ADD_MEMBERS takes for this many members."""
    return -(-members // limits.MEMBERS_PER_RECORD_MAX)


def add_members(ids: Id, *, programme: int, members: Array) -> Array:
    """A whole cohort as chunks. members: (m,) ID, in cohort order; ids: (add_members_records(m),)."""
    per_record = limits.MEMBERS_PER_RECORD_MAX
    count = add_members_records(members.size)
    first = np.arange(count) * per_record
    records = _records(
        Kind.ADD_MEMBERS, ids, number=programme, first=first, count=np.minimum(per_record, members.size - first)
    )
    padded = np.zeros((count * per_record, 2), np.uint64)
    padded[: members.size, 0], padded[: members.size, 1] = members["low"], members["high"]
    words = records.view(np.uint64).reshape(count, -1)
    for member, word in enumerate(layout.MEMBER_WORDS):
        words[:, word : word + 2] = padded[member::per_record]
    return records


def cohort_digest(members: Array) -> bytes:
    """BLAKE3-256 over the member ids in order, as SEAL_COHORT takes it. members: (m,) ID."""
    return blake3.blake3(np.ascontiguousarray(members).tobytes()).digest()


def seal_cohort(ids: Id, *, programme: int, digest: bytes) -> Array:
    """`digest`: 32 bytes, BLAKE3-256 over the member ids in order."""
    records = _records(Kind.SEAL_COHORT, ids, number=programme)
    records.view(np.uint8).reshape(records.size, -1)[:, 32:64] = np.frombuffer(digest, np.uint8)
    return records


def drop(ids: Id, *, programme: int, first: Number, count: Number, amount: Number, seal: Id) -> Array:
    """`amount` goes to each EMPTY purse of the range; `seal` is the id of the SEAL_COHORT it rests on."""
    return _records(Kind.DROP, ids, number=programme, first=first, count=count, amount=amount, reference=seal)


def claim(ids: Id, *, programme: Number, member: Number, member_id: Id, wallet: Id) -> Array:
    """Bind a member's purse to a wallet; `member_id` must be the one in the cohort."""
    return _records(Kind.CLAIM, ids, number=programme, first=member, reference=member_id, credit=wallet)


def expire(ids: Id, *, programme: int, first: Number, count: Number) -> Array:
    """Return what is left of a range of purses."""
    return _records(Kind.EXPIRE, ids, number=programme, first=first, count=count)


def transfer(ids: Id, *, debit: Id, credit: Id, amount: Number, code: Number = 0) -> Array:
    """Own money from one account to another."""
    return _records(Kind.TRANSFER, ids, debit=debit, credit=credit, amount=amount, code=code)


def pay(ids: Id, *, payer: Id, payee: Id, amount: Number, flags: Number = 0, code: Number = 0) -> Array:
    """Purse money as far as it may go there, then own money; `flags` are layout.PayFlag."""
    return _records(Kind.PAY, ids, debit=payer, credit=payee, amount=amount, flags=flags, code=code)


def refund(ids: Id, *, original: Id, amount: Number, code: Number = 0) -> Array:
    """Part or all of the pay `original`, back the way it came."""
    return _records(Kind.REFUND, ids, reference=original, amount=amount, code=code)


def _records(kind: Kind, ids: Id, **fields: Any) -> Array:
    size = 1 if isinstance(ids, int) else np.asarray(ids).size
    records = np.zeros(size, layout.OPERATION)
    records["kind"] = int(kind)
    for name, value in (("id", ids), *fields.items()):
        try:
            if name in ("id", "debit", "credit", "reference"):
                records[f"{name}_low"], records[f"{name}_high"] = _halves(value)
            else:
                records[name] = value
        except OverflowError as error:
            raise UsageError(f"{name} = {value} does not fit its field of a record") from error
        # NumPy refuses a Python int that does not fit, but quietly cuts the values of an array.
        if isinstance(value, np.ndarray) and name in (layout.OPERATION.names or ()) and np.any(records[name] != value):
            at = int(np.flatnonzero(records[name] != value)[0])
            raise UsageError(f"{name}[{at}] = {value.flat[at]} does not fit its field of a record")
    return records


def _halves(value: Id) -> tuple[Any, Any]:
    if isinstance(value, (int, np.integer)):
        return np.uint64(int(value) & 0xFFFFFFFFFFFFFFFF), np.uint64(int(value) >> 64)
    array = np.asarray(value, dtype=ID)
    return array["low"], array["high"]
