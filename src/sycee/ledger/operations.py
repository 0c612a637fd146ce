"""Build records: one function per kind, for one operation or a million.

Every function takes the operations' ids first and returns an array of `layout.OPERATION`, one record per id. Ids are
ints, UUIDs, texts of UUIDs, or arrays of `sycee.core.ids.ID`; a single value applies to all records. The functions
check only that an argument has its type and fits its field, and raise UsageError for a float or a bool in place of an
integer, for example. The ledger refuses malformed operations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Final, ParamSpec, TypeAlias

import blake3
import numpy as np

from sycee.core import limits
from sycee.core.arguments import check_id, check_integer, short_repr
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.ids import ID, AnyId, split
from sycee.ledger import layout
from sycee.ledger.layout import AccountKind, Kind, RuleFlag

Id: TypeAlias = "AnyId | Array"
Number = int | Array
P = ParamSpec("P")

_PLAIN: Final = {"bool": (bool, np.bool_), "bytes": (bytes,), "bytes | None": (bytes, type(None)), "str": (str,)}


def _checked(build: Callable[P, Array]) -> Callable[P, Array]:
    """The gate of every builder: each argument is what its annotation says, and fits the field that it goes to.

    NumPy would take 0.5 and True for integers, and cut what is too large for a field out of an array.
    """
    annotations: dict[str, str] = build.__annotations__  # as written: to Python itself Id and Number are one type

    @wraps(build)
    def checked(*given: P.args, **named: P.kwargs) -> Array:
        records = 1
        for name, value in (*zip(annotations, given, strict=False), *named.items()):
            annotation = annotations.get(name, "Number")  # a maximum of a rule set has no annotation of its own
            _check("id" if name == "ids" else name, value, annotation)
            if annotation in ("Id", "Number") and isinstance(value, np.ndarray):
                records = value.size if name == "ids" else records
                if value.ndim > 1 or value.size not in (1, records):
                    raise UsageError(
                        f"{name} is an array of shape {value.shape}, and there are {records:,} ids",
                        hint="give one value for all operations, or one for each",
                    )
        return build(*given, **named)

    return checked


def _check(name: str, value: object, annotation: str) -> None:
    if annotation in _PLAIN:
        if not isinstance(value, _PLAIN[annotation]):
            raise UsageError(f"{name} = {short_repr(value)} is no {annotation.split()[0]}", hint=f"give {annotation}")
    elif annotation == "Array":
        if not isinstance(value, np.ndarray) or value.dtype != ID or value.ndim != 1:
            raise UsageError(f"{name} is no array of ids", hint="give a one-dimensional array of sycee.core.ids.ID")
    elif annotation.startswith("Sequence"):
        if not isinstance(value, (list, tuple, np.ndarray)) or np.ndim(value) == 0:
            raise UsageError(f"{name} = {short_repr(value)} is no list", hint="give a list of integers")
        for each in value:
            check_integer(name, each, *_range(name))
    elif isinstance(value, (np.ndarray, np.void)) and annotation in ("Id", "Number"):
        if annotation == "Id" and value.dtype == ID:
            return
        if annotation == "Id" or value.dtype.kind not in "iu" or isinstance(value, np.void):
            wanted = "sycee.core.ids.ID" if annotation == "Id" else "integers"
            raise UsageError(f"{name} is an array of {value.dtype}", hint=f"give an int, or an array of {wanted}")
        for extreme in (value.min(), value.max()) if value.size else ():
            check_integer(name, extreme, *_range(name))
    elif annotation == "Id":
        check_id(name, value)
    else:
        check_integer(name, value, *_range(name))


def _range(name: str) -> tuple[int, int]:
    """The least and the most that the field can hold to which an argument of this name goes."""
    if name in ("amount", "refund_reserve", "total") or name.endswith(("_ns", "_max", "_min")):
        return -limits.I64_MAX - 1, limits.I64_MAX
    return 0, 2**16 - 1 if name in ("flags", "sides", "groups") else 2**32 - 1


@_checked
def define_currency(ids: Id, *, currency: Number, zone: str) -> Array:
    """`zone` is the IANA name of the time zone whose midnight ends the currency's day."""
    text = zone.encode("ascii", errors="replace")
    if not 0 < len(text) <= limits.ZONE_BYTES_MAX:
        raise UsageError(f"time zone {zone!r}: its name must have 1 to {limits.ZONE_BYTES_MAX} characters")
    records = _records(Kind.DEFINE_CURRENCY, ids, number=currency)
    records.view(np.uint8).reshape(records.size, -1)[:, 32 : 32 + len(text)] = np.frombuffer(text, np.uint8)
    return records


@_checked
def define_group(ids: Id, *, group: Number) -> Array:
    """Payee groups are numbers; a rule set names the groups its money may reach."""
    return _records(Kind.DEFINE_GROUP, ids, number=group)


@_checked
def join_group(ids: Id, *, group: Number, account: Id) -> Array:
    """From now on `account` is a payee of the group."""
    return _records(Kind.JOIN_GROUP, ids, number=group, debit=account)


@_checked
def leave_group(ids: Id, *, group: Number, account: Id) -> Array:
    """From now on `account` is none."""
    return _records(Kind.LEAVE_GROUP, ids, number=group, debit=account)


@_checked
def define_rule_set(
    ids: Id,
    *,
    rule_set: Number,
    from_ns: Number,
    until_ns: Number,
    groups: Sequence[int] = (),
    return_account: Id = 0,
    flags: Number = 0,
    effective_ns: Number = 0,
    refund_reserve: Number = 0,
    refund_window_s: Number = 0,
    payment_min: Number = 0,
    **maxima: Number,
) -> Array:
    """`groups`: the payee groups that money may reach, at most four; none means every payee. `flags`: layout.RuleFlag.

    `maxima`: balance_max, single_max, day_max, month_max, year_max in minor units, 0 for none. A rule set that is
    defined already changes at `effective_ns`, a time to come. payment_min: a purse gives nothing to smaller payments;
    such a rule set has no refund reserve, and its flag PAYMENT_MIN is set here. Raises UsageError for both.
    """
    if len(groups) > limits.GROUPS_PER_RULE_SET_MAX:
        raise UsageError(f"a rule set names at most {limits.GROUPS_PER_RULE_SET_MAX} groups, not {len(groups)}")
    if unknown := maxima.keys() - {"balance_max", "single_max", "day_max", "month_max", "year_max"}:
        raise UsageError(f"a rule set has no {', '.join(sorted(unknown))}")
    if np.any(payment_min):
        if np.any(refund_reserve):
            raise UsageError(
                "a rule set has a payment_min or a refund_reserve, not both",
                hint="a payment_min binds purses alone, a refund_reserve accounts alone: define a rule set for each",
            )
        flags, refund_reserve = np.bitwise_or(flags, int(RuleFlag.PAYMENT_MIN)), payment_min
    records = _records(Kind.DEFINE_RULE_SET, ids, number=rule_set, from_ns=from_ns, until_ns=until_ns, flags=flags)
    rules = records.view(layout.RULE_SET_OPERATION)
    rules["groups"][:, : len(groups)] = groups
    rules["return_low"], rules["return_high"] = _halves(return_account)
    rules["effective_ns"], rules["refund_reserve"] = effective_ns, refund_reserve
    rules["refund_window_s"] = refund_window_s
    for name, most in maxima.items():
        rules[name] = most
    return records


@_checked
def grant_role(
    ids: Id,
    *,
    person: Id,
    role: layout.Role,
    key: bytes,
    flags: int,
    from_ns: Number,
    until_ns: Number,
    operator: Number = 0,
    currency: Number = 0,
) -> Array:
    """`key`: 32 bytes, `flags`: layout.KeyFlag. An operator's grant names the number of its operator.

    currency: of an officer, the only one that may be signed for; 0 makes the person an officer of the board.
    """
    records = _records(
        Kind.GRANT_ROLE, ids, debit=person, first=int(role), flags=flags, count=operator, number=currency,
        from_ns=from_ns, until_ns=until_ns,
    )  # fmt: skip
    return _with_bytes(records, 48, key, limits.KEY_BYTES)


@_checked
def revoke_role(ids: Id, *, grant: Id) -> Array:
    """`grant` is the id of the GRANT_ROLE."""
    return _records(Kind.REVOKE_ROLE, ids, reference=grant)


@_checked
def upgrade(ids: Id, *, rules: int, release: str) -> Array:
    """From now on these rules hold, of this release."""
    return _with_bytes(
        _records(Kind.UPGRADE, ids, number=rules),
        32,
        release.encode("ascii", errors="replace")[: limits.RELEASE_BYTES_MAX].ljust(limits.RELEASE_BYTES_MAX, b"\0"),
        limits.RELEASE_BYTES_MAX,
    )


@_checked
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


@_checked
def block_account(ids: Id, *, account: Id, sides: layout.Block, reason: layout.Reason, code: Number = 0) -> Array:
    """Block debits, credits or both for a reason; other reasons that stand are left as they are."""
    return _records(Kind.BLOCK_ACCOUNT, ids, debit=account, flags=int(sides), first=int(reason), code=code)


@_checked
def unblock_account(ids: Id, *, account: Id, sides: layout.Block, reason: layout.Reason, code: Number = 0) -> Array:
    """Lift a block that was set for this reason."""
    return _records(Kind.UNBLOCK_ACCOUNT, ids, debit=account, flags=int(sides), first=int(reason), code=code)


@_checked
def close_account(ids: Id, *, account: Id, reason: layout.Reason = layout.Reason.REQUEST) -> Array:
    """For good; the account must be empty."""
    return _records(Kind.CLOSE_ACCOUNT, ids, debit=account, first=int(reason))


@_checked
def set_rule_set(ids: Id, *, account: Id, rule_set: Number) -> Array:
    """The account lives under this rule set from now on; 0 for none."""
    return _records(Kind.SET_RULE_SET, ids, debit=account, rule_set=rule_set)


@_checked
def set_key(ids: Id, *, account: Id, key: bytes = bytes(limits.KEY_BYTES), flags: int = 0) -> Array:
    """The account's own operations are signed with this key from now on; without flags, with none."""
    return _with_bytes(_records(Kind.SET_KEY, ids, debit=account, flags=flags), 48, key, limits.KEY_BYTES)


@_checked
def link_account(ids: Id, *, account: Id, to: Id = 0) -> Array:
    """Where an account's excess goes: an IN_TRANSIT account; and where that one's confirmed money goes."""
    return _records(Kind.LINK_ACCOUNT, ids, debit=account, credit=to)


@_checked
def open_programme(
    ids: Id, *, programme: int, funder: Id, rule_set: int, members: int, claim_from_ns: int, claim_until_ns: int
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


@_checked
def add_members(ids: Id, *, programme: int, members: Array) -> Array:
    """A whole cohort as chunks. members: (m,) ID, in cohort order; ids: (add_members_records(m),)."""
    per_record = limits.MEMBERS_PER_RECORD_MAX
    count = add_members_records(members.size)
    if _count(ids) != count:
        raise UsageError(f"{members.size:,} members take {count:,} ids, not {_count(ids):,}", hint="one per record")
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
    _check("members", members, "Array")
    return blake3.blake3(np.ascontiguousarray(members).tobytes()).digest()


@_checked
def seal_cohort(ids: Id, *, programme: int, digest: bytes) -> Array:
    """`digest`: 32 bytes, BLAKE3-256 over the member ids in order."""
    return _with_bytes(_records(Kind.SEAL_COHORT, ids, number=programme), 32, digest, 32)


@_checked
def drop(ids: Id, *, programme: int, first: Number, count: Number, amount: Number, seal: Id) -> Array:
    """`amount` goes to each EMPTY purse of the range; `seal` is the id of the SEAL_COHORT it rests on."""
    return _records(Kind.DROP, ids, number=programme, first=first, count=count, amount=amount, reference=seal)


@_checked
def claim(ids: Id, *, programme: Number, member: Number, member_id: Id, wallet: Id) -> Array:
    """Bind a member's purse to a wallet; `member_id` must be the one in the cohort."""
    return _records(Kind.CLAIM, ids, number=programme, first=member, reference=member_id, credit=wallet)


@_checked
def expire(ids: Id, *, programme: int, first: Number, count: Number) -> Array:
    """Return what is left of a range of purses."""
    return _records(Kind.EXPIRE, ids, number=programme, first=first, count=count)


@_checked
def transfer(ids: Id, *, debit: Id, credit: Id, amount: Number, code: Number = 0) -> Array:
    """Own money from one account to another."""
    return _records(Kind.TRANSFER, ids, debit=debit, credit=credit, amount=amount, code=code)


@_checked
def pay(ids: Id, *, payer: Id, payee: Id, amount: Number, flags: Number = 0, code: Number = 0) -> Array:
    """Purse money as far as it may go there, then own money; `flags` are layout.PayFlag."""
    return _records(Kind.PAY, ids, debit=payer, credit=payee, amount=amount, flags=flags, code=code)


@_checked
def refund(ids: Id, *, original: Id, amount: Number, code: Number = 0) -> Array:
    """Part or all of the pay `original`, back the way it came."""
    return _records(Kind.REFUND, ids, reference=original, amount=amount, code=code)


@_checked
def hold(
    ids: Id,
    *,
    payer: Id,
    payee: Id,
    amount: Number,
    until_ns: Number,
    flags: Number = 0,
    third: Id = 0,
    hash_lock: bytes = b"",
) -> Array:
    """Keep money ready for a payee until a time. A `third` posts it, or with `hash_lock` a payee who has its secret.

    `flags` are layout.PayFlag; what makes it three-party or hash-locked follows from the other arguments.
    """
    kind = layout.HoldFlag.HASH_LOCKED if hash_lock else layout.HoldFlag(0)
    if isinstance(third, np.ndarray) or third:
        kind |= layout.HoldFlag.THREE_PARTY
    records = _records(
        Kind.HOLD, ids, debit=payer, credit=payee, amount=amount, until_ns=until_ns, flags=flags, reference=third
    )
    records["flags"] |= int(kind)
    return _with_bytes(records, 64, hash_lock, limits.KEY_BYTES) if hash_lock else records


@_checked
def post(
    ids: Id, *, hold: Id, by: Id, amount: Number, release_rest: bool = False, secret: bytes | None = None
) -> Array:
    """All or part of a hold goes to its payee, asked for by `by`; `release_rest`: the rest is not kept any longer."""
    flags = layout.PostFlag.RELEASE_REST if release_rest else layout.PostFlag(0)
    if secret is not None:
        flags |= layout.PostFlag.PREIMAGE
    records = _records(Kind.POST, ids, reference=hold, debit=by, amount=amount, flags=int(flags))
    return records if secret is None else _with_bytes(records, 80, secret, limits.KEY_BYTES)


@_checked
def void(ids: Id, *, hold: Id, by: Id) -> Array:
    """Let go of a hold, as its payee or its third account."""
    return _records(Kind.VOID, ids, reference=hold, debit=by)


@_checked
def extend(ids: Id, *, hold: Id, by: Id, until_ns: Number) -> Array:
    """Keep a hold's money ready for longer, as its payer."""
    return _records(Kind.EXTEND, ids, reference=hold, debit=by, until_ns=until_ns)


@_checked
def post_holds(ids: Id, *, first: Id, last: Id, by: Id) -> Array:
    """Every hold made from the first to the last that this account may post, whole."""
    return _records(Kind.POST_HOLDS, ids, debit=first, credit=last, reference=by)


@_checked
def void_holds(ids: Id, *, first: Id, last: Id, by: Id) -> Array:
    """Every hold made from the first to the last that this account may void."""
    return _records(Kind.VOID_HOLDS, ids, debit=first, credit=last, reference=by)


@_checked
def reverse(ids: Id, *, original: Id, amount: Number, code: Number = 0) -> Array:
    """By authority: part or all of a transfer, pay or post, as far as money is there. The rest, or all, is a claim."""
    return _records(Kind.REVERSE, ids, reference=original, amount=amount, code=code)


@_checked
def send(ids: Id, *, source: Id, destination: Id, through: Id, amount: Number, up_to: bool = False) -> Array:
    """Money sets out through an IN_TRANSIT account; `up_to`: as much as there is, at most the amount."""
    flags = int(layout.SendFlag.UP_TO) if up_to else 0
    return _records(Kind.SEND, ids, debit=source, credit=destination, reference=through, amount=amount, flags=flags)


@_checked
def confirm(ids: Id, *, sent: Id) -> Array:
    """The other leg is done: the money reaches its destination."""
    return _records(Kind.CONFIRM, ids, reference=sent)


@_checked
def reject(ids: Id, *, sent: Id) -> Array:
    """The other leg failed: the money goes back."""
    return _records(Kind.REJECT, ids, reference=sent)


@_checked
def stage(ids: Id, *, batch: Number, debit: Id, credit: Id, amount: Number, code: Number = 0, note: Id = 0) -> Array:
    """Put a payment into a batch, where it waits until the batch is settled.

    A new batch takes the next number, one more than the newest; it belongs to the operator of its first `debit`, and
    all its payments debit accounts of that operator. `note` is the caller's, opaque.
    """
    return _records(Kind.STAGE, ids, number=batch, debit=debit, credit=credit, amount=amount, code=code, note=note)


@_checked
def settle(
    ids: Id, *, batch: Number, payments: Number, total: Number, operator: Number = 0, discard: bool = False
) -> Array:
    """Do all payments of a batch, or none; `discard`: forget them.

    `payments` and `total` say what the batch is known to hold: their number, and their control sum, over all
    currencies. `operator` is the one whose batch it is.
    """
    flags = int(layout.SettleFlag.DISCARD) if discard else 0
    return _records(Kind.SETTLE, ids, number=batch, count=payments, amount=total, first=operator, flags=flags)


def chain(*records: Array) -> Array:
    """These operations whole or not at all: one array, all but the last of them linked to the next."""
    if not records or any(getattr(each, "dtype", None) != layout.OPERATION or np.ndim(each) != 1 for each in records):
        raise UsageError(
            "a chain links one or more records of operations", hint="give it what the functions here return"
        )
    linked = np.concatenate(records)
    linked["flags"][:-1] |= layout.LINKED
    return linked


def _with_bytes(records: Array, at: int, value: bytes, size: int) -> Array:
    """Write bytes that are no number into every record. Raises UsageError where there are not exactly `size`."""
    if len(value) != size:
        raise UsageError(f"{len(value)} bytes were given where {size} belong")
    records.view(np.uint8).reshape(records.size, -1)[:, at : at + size] = np.frombuffer(value, np.uint8)
    return records


def _records(kind: Kind, ids: Id, **fields: Any) -> Array:
    records = np.zeros(_count(ids), layout.OPERATION)
    records["kind"] = int(kind)
    for name, value in (("id", ids), *fields.items()):
        if name in ("id", "debit", "credit", "reference", "note"):
            records[f"{name}_low"], records[f"{name}_high"] = _halves(value)
        else:
            records[name] = value
    return records


def _count(ids: Id) -> int:
    return ids.size if isinstance(ids, np.ndarray) else 1


def _halves(value: Id) -> tuple[Any, Any]:
    if isinstance(value, (np.ndarray, np.void)):
        return value["low"], value["high"]
    low, high = split(check_id("id", value))
    return np.uint64(low), np.uint64(high)
