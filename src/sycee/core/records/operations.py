"""Record builders: one function per kind of operation, for one record or for a million.

Each function builds the records of the operation that its name and docstring describe. The first argument is the ids of
the operations; the result is an array of `layout.OPERATION` with one record per id. Ids are ints, UUIDs, texts of UUIDs
or arrays of `sycee.core.ids.ID`; a single value applies to all records. The functions check only that an argument has
its type and fits its field, and raise UsageError otherwise, for example for a float or a bool instead of an integer.
The ledger itself refuses malformed operations.
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
from sycee.core.records import layout
from sycee.core.records.layout import AccountKind, Kind, RuleFlag
from sycee.core.records.operation_table import bytes_of

Id: TypeAlias = "AnyId | Array"
Number = int | Array
P = ParamSpec("P")

_PLAIN: Final = {"bool": (bool, np.bool_), "bytes": (bytes,), "bytes | None": (bytes, type(None)), "str": (str,)}


def _checked(build: Callable[P, Array]) -> Callable[P, Array]:
    """Check each argument of a builder against its annotation and its field.

    NumPy would accept 0.5 and True as integers, and truncate array elements that are too large for a field.
    """
    annotations: dict[str, str] = build.__annotations__  # as text: Id and Number differ only by name

    @wraps(build)
    def checked(*given: P.args, **named: P.kwargs) -> Array:
        records = 1
        for name, value in (*zip(annotations, given, strict=False), *named.items()):
            annotation = annotations.get(name, "Number")  # the maxima of a rule set share one annotation
            _check("id" if name == "ids" else name, value, annotation)
            if annotation in ("Id", "Number") and isinstance(value, np.ndarray):
                records = value.size if name == "ids" else records
                if value.ndim > 1 or value.size not in (1, records):
                    raise UsageError(
                        f"{name} has shape {value.shape} for {records:,} ids",
                        hint="give one value for all operations, or one value per operation",
                    )
        return build(*given, **named)

    return checked


def _check(name: str, value: object, annotation: str) -> None:
    if annotation in _PLAIN:
        if not isinstance(value, _PLAIN[annotation]):
            raise UsageError(f"{name} must be {annotation}; got {short_repr(value)}", hint=f"give {annotation}")
        if isinstance(value, bytes) and len(value) != limits.KEY_BYTES and (value or name != "hash_lock"):
            raise UsageError(f"{name} must have {limits.KEY_BYTES} bytes, not {len(value)}")
    elif annotation == "Array":
        if not isinstance(value, np.ndarray) or value.dtype != ID or value.ndim != 1:
            raise UsageError(
                f"{name} must be an array of ids", hint="give a one-dimensional array of sycee.core.ids.ID"
            )
    elif annotation.startswith("Sequence"):
        if not isinstance(value, (list, tuple, np.ndarray)) or np.ndim(value) == 0:
            raise UsageError(f"{name} must be a list; got {short_repr(value)}", hint="give a list of integers")
        for each in value:
            check_integer(name, each, *_range(name))
    elif isinstance(value, (np.ndarray, np.void)) and annotation in ("Id", "Number"):
        if annotation == "Id" and value.dtype == ID:
            return
        if annotation == "Id" or value.dtype.kind not in "iu" or isinstance(value, np.void):
            wanted = "sycee.core.ids.ID" if annotation == "Id" else "integers"
            raise UsageError(
                f"{name} must be an int or an array of {wanted}; got an array of {value.dtype}",
                hint="convert the array: a value must not be rounded or truncated",
            )
        for extreme in (value.min(), value.max()) if value.size else ():
            check_integer(name, extreme, *_range(name))
    elif annotation == "Id":
        check_id(name, value)
    else:
        check_integer(name, value, *_range(name))


def _range(name: str) -> tuple[int, int]:
    """Return the smallest and the largest value of the field that stores an argument of this name."""
    if name in ("amount", "refund_reserve", "total") or name.endswith(("_ns", "_max", "_min")):
        return -limits.I64_MAX - 1, limits.I64_MAX
    return 0, 2**16 - 1 if name in ("flags", "sides", "groups") else 2**32 - 1


@_checked
def define_currency(ids: Id, *, currency: Number, zone: str) -> Array:
    """Define a currency. Its day ends at midnight in `zone`, the IANA name of a time zone."""
    text = zone.encode("ascii", errors="replace")
    if not 0 < len(text) <= limits.ZONE_BYTES_MAX:
        raise UsageError(f"the name of time zone {zone!r} must have 1 to {limits.ZONE_BYTES_MAX} characters")
    return _with_bytes(_records(Kind.DEFINE_CURRENCY, ids, number=currency), "zone", text)


@_checked
def define_group(ids: Id, *, group: Number) -> Array:
    """Define a payee group. Rule sets name the groups that their money may reach."""
    return _records(Kind.DEFINE_GROUP, ids, number=group)


@_checked
def join_group(ids: Id, *, group: Number, account: Id) -> Array:
    """Add an account to a payee group."""
    return _records(Kind.JOIN_GROUP, ids, number=group, debit=account)


@_checked
def leave_group(ids: Id, *, group: Number, account: Id) -> Array:
    """Remove an account from a payee group."""
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
    """Define a rule set, or change one at `effective_ns`, which must be in the future.

    - `groups`: payee groups that the money may reach, at most four; an empty list permits every payee.
    - `flags`: layout.RuleFlag.
    - `maxima`: balance_max, single_max, day_max, month_max, year_max in minor units, 0 for none.
    - `payment_min`: a purse pays nothing to smaller payments. This function then sets the flag PAYMENT_MIN; such a rule
      set has no refund reserve, so UsageError is raised for both.
    """
    if len(groups) > limits.GROUPS_PER_RULE_SET_MAX:
        raise UsageError(f"a rule set has at most {limits.GROUPS_PER_RULE_SET_MAX} groups, not {len(groups)}")
    if unknown := maxima.keys() - {"balance_max", "single_max", "day_max", "month_max", "year_max"}:
        raise UsageError(f"a rule set has no {', '.join(sorted(unknown))}")
    if np.any(payment_min):
        if np.any(refund_reserve):
            raise UsageError(
                "a rule set has a payment_min or a refund_reserve, not both",
                hint="define two rule sets: payment_min applies to purses only, refund_reserve to accounts only",
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
    """Grant a role to a person with a public key. `key`: 32 bytes; `flags`: layout.KeyFlag.

    `operator`: the operator number of an operator's grant. `currency`: the only currency that an officer signs for;
    0 makes the person an officer of the board.
    """
    records = _records(
        Kind.GRANT_ROLE, ids, debit=person, first=int(role), flags=flags, count=operator, number=currency,
        from_ns=from_ns, until_ns=until_ns,
    )  # fmt: skip
    return _with_bytes(records, "key", key)


@_checked
def revoke_role(ids: Id, *, grant: Id) -> Array:
    """Revoke a role. `grant` is the id of the GRANT_ROLE."""
    return _records(Kind.REVOKE_ROLE, ids, reference=grant)


@_checked
def upgrade(ids: Id, *, rules: int, release: str) -> Array:
    """Apply the rules of version `rules`, of the release with this name, from this operation on."""
    text = release.encode("ascii", errors="replace")[: limits.RELEASE_BYTES_MAX]
    return _with_bytes(_records(Kind.UPGRADE, ids, number=rules), "release", text)


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
    """Open an account. Only ISSUANCE and SUSPENSE accounts have no `suspense` account."""
    return _records(
        Kind.OPEN_ACCOUNT, ids, debit=account, credit=suspense, number=currency, first=int(kind), count=operator,
        rule_set=rule_set,
    )  # fmt: skip


@_checked
def block_account(ids: Id, *, account: Id, sides: layout.Block, reason: layout.Reason, code: Number = 0) -> Array:
    """Block debits, credits or both for a reason. Blocks for other reasons stay."""
    return _records(Kind.BLOCK_ACCOUNT, ids, debit=account, flags=int(sides), first=int(reason), code=code)


@_checked
def unblock_account(ids: Id, *, account: Id, sides: layout.Block, reason: layout.Reason, code: Number = 0) -> Array:
    """Lift the block that was set for this reason."""
    return _records(Kind.UNBLOCK_ACCOUNT, ids, debit=account, flags=int(sides), first=int(reason), code=code)


@_checked
def close_account(ids: Id, *, account: Id, reason: layout.Reason = layout.Reason.REQUEST) -> Array:
    """Close an empty account permanently."""
    return _records(Kind.CLOSE_ACCOUNT, ids, debit=account, first=int(reason))


@_checked
def set_rule_set(ids: Id, *, account: Id, rule_set: Number) -> Array:
    """Apply a rule set to an account; 0 for none."""
    return _records(Kind.SET_RULE_SET, ids, debit=account, rule_set=rule_set)


@_checked
def set_key(ids: Id, *, account: Id, key: bytes = bytes(limits.KEY_BYTES), flags: int = 0) -> Array:
    """Set the public key that signs the account's own operations; without flags, remove the key."""
    return _with_bytes(_records(Kind.SET_KEY, ids, debit=account, flags=flags), "key", key)


@_checked
def link_account(ids: Id, *, account: Id, to: Id = 0) -> Array:
    """Link an account to the IN_TRANSIT account of its excess, or an IN_TRANSIT account to its destination."""
    return _records(Kind.LINK_ACCOUNT, ids, debit=account, credit=to)


@_checked
def open_programme(
    ids: Id, *, programme: int, funder: Id, rule_set: int, members: int, claim_from_ns: int, claim_until_ns: int
) -> Array:
    """Open a programme with `members` empty purses, claimed from `claim_from_ns` until `claim_until_ns`."""
    return _records(
        Kind.OPEN_PROGRAMME, ids, number=programme, debit=funder, rule_set=rule_set, count=members,
        from_ns=claim_from_ns, until_ns=claim_until_ns,
    )  # fmt: skip


def add_members_records(members: int) -> int:
    """Return the number of ADD_MEMBERS records, and of their ids, for this number of members."""
    return -(-members // limits.MEMBERS_PER_RECORD_MAX)


@_checked
def add_members(ids: Id, *, programme: int, members: Array) -> Array:
    """Add a whole cohort. members: (m,) ID, in cohort order; ids: (add_members_records(m),)."""
    per_record = limits.MEMBERS_PER_RECORD_MAX
    count = add_members_records(members.size)
    if _count(ids) != count:
        raise UsageError(
            f"{members.size:,} members need {count:,} ids, not {_count(ids):,}", hint="give one per record"
        )
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
    """Return BLAKE3-256 over the member ids in order, the digest of SEAL_COHORT. members: (m,) ID."""
    _check("members", members, "Array")
    # Without a copy, which would hold the GIL for 130 ms of 10,000,000 members.
    return blake3.blake3().update(np.ascontiguousarray(members).view(np.uint8).data).digest()


@_checked
def seal_cohort(ids: Id, *, programme: int, digest: bytes) -> Array:
    """Seal the cohort of a programme. `digest`: 32 bytes, see `cohort_digest`."""
    return _with_bytes(_records(Kind.SEAL_COHORT, ids, number=programme), "digest", digest)


@_checked
def drop(ids: Id, *, programme: int, first: Number, count: Number, amount: Number, seal: Id) -> Array:
    """Drop `amount` into each EMPTY purse of a range. `seal` is the id of the programme's SEAL_COHORT."""
    return _records(Kind.DROP, ids, number=programme, first=first, count=count, amount=amount, reference=seal)


@_checked
def claim(ids: Id, *, programme: Number, member: Number, member_id: Id, wallet: Id) -> Array:
    """Bind a member's purse to a wallet. `member_id` must be the id in the cohort."""
    return _records(Kind.CLAIM, ids, number=programme, first=member, reference=member_id, credit=wallet)


@_checked
def expire(ids: Id, *, programme: int, first: Number, count: Number) -> Array:
    """Return the rest of a range of purses to the programme's return account."""
    return _records(Kind.EXPIRE, ids, number=programme, first=first, count=count)


@_checked
def transfer(ids: Id, *, debit: Id, credit: Id, amount: Number, code: Number = 0) -> Array:
    """Transfer own money from one account to another."""
    return _records(Kind.TRANSFER, ids, debit=debit, credit=credit, amount=amount, code=code)


@_checked
def pay(ids: Id, *, payer: Id, payee: Id, amount: Number, flags: Number = 0, code: Number = 0) -> Array:
    """Pay with purse money where the payee is permitted, then with own money. `flags`: layout.PayFlag."""
    return _records(Kind.PAY, ids, debit=payer, credit=payee, amount=amount, flags=flags, code=code)


@_checked
def refund(ids: Id, *, original: Id, amount: Number, code: Number = 0) -> Array:
    """Refund part or all of the pay `original` to the same purses and accounts."""
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
    """Hold money for a payee until a time. `flags`: layout.PayFlag.

    With `third`, this third account posts the hold. With `hash_lock`, the SHA-256 of a secret of 32 bytes, the payee
    posts the hold with the secret.
    """
    kind = layout.HoldFlag.HASH_LOCKED if hash_lock else layout.HoldFlag(0)
    if isinstance(third, np.ndarray) or third:
        kind |= layout.HoldFlag.THREE_PARTY
    records = _records(
        Kind.HOLD, ids, debit=payer, credit=payee, amount=amount, until_ns=until_ns, flags=flags, reference=third
    )
    records["flags"] |= int(kind)
    return _with_bytes(records, "hash", hash_lock) if hash_lock else records


@_checked
def post(
    ids: Id, *, hold: Id, by: Id, amount: Number, release_rest: bool = False, secret: bytes | None = None
) -> Array:
    """Pay all or part of a hold, requested by account `by`; `release_rest` ends the hold on the rest."""
    flags = layout.PostFlag.RELEASE_REST if release_rest else layout.PostFlag(0)
    if secret is not None:
        flags |= layout.PostFlag.PREIMAGE
    records = _records(Kind.POST, ids, reference=hold, debit=by, amount=amount, flags=int(flags))
    return records if secret is None else _with_bytes(records, "secret", secret)


@_checked
def void(ids: Id, *, hold: Id, by: Id) -> Array:
    """Release a hold, as its payee or its third account."""
    return _records(Kind.VOID, ids, reference=hold, debit=by)


@_checked
def extend(ids: Id, *, hold: Id, by: Id, until_ns: Number) -> Array:
    """Set a later end of a hold, as its payer."""
    return _records(Kind.EXTEND, ids, reference=hold, debit=by, until_ns=until_ns)


@_checked
def post_holds(ids: Id, *, first: Id, last: Id, by: Id) -> Array:
    """Post, in full, all holds from the first to the last that account `by` may post."""
    return _records(Kind.POST_HOLDS, ids, debit=first, credit=last, reference=by)


@_checked
def void_holds(ids: Id, *, first: Id, last: Id, by: Id) -> Array:
    """Void all holds from the first to the last that account `by` may void."""
    return _records(Kind.VOID_HOLDS, ids, debit=first, credit=last, reference=by)


@_checked
def reverse(ids: Id, *, original: Id, amount: Number, code: Number = 0) -> Array:
    """Reverse part or all of a transfer, pay or post by authority. Money that is missing becomes a claim on record."""
    return _records(Kind.REVERSE, ids, reference=original, amount=amount, code=code)


@_checked
def send(ids: Id, *, source: Id, destination: Id, through: Id, amount: Number, up_to: bool = False) -> Array:
    """Send money through an IN_TRANSIT account; `up_to`: the available money, at most the amount."""
    flags = int(layout.SendFlag.UP_TO) if up_to else 0
    return _records(Kind.SEND, ids, debit=source, credit=destination, reference=through, amount=amount, flags=flags)


@_checked
def confirm(ids: Id, *, sent: Id) -> Array:
    """Confirm that the external leg succeeded: the money goes to its destination."""
    return _records(Kind.CONFIRM, ids, reference=sent)


@_checked
def reject(ids: Id, *, sent: Id) -> Array:
    """Report that the external leg failed: the money returns."""
    return _records(Kind.REJECT, ids, reference=sent)


@_checked
def stage(ids: Id, *, batch: Number, debit: Id, credit: Id, amount: Number, code: Number = 0, note: Id = 0) -> Array:
    """Add a payment to a batch, which SETTLE executes later.

    A new batch has the next number, the newest number + 1. A batch belongs to the operator of its first `debit`, and
    all its payments debit accounts of that operator. The ledger does not interpret `note`.
    """
    return _records(Kind.STAGE, ids, number=batch, debit=debit, credit=credit, amount=amount, code=code, note=note)


@_checked
def settle(
    ids: Id, *, batch: Number, payments: Number, total: Number, operator: Number = 0, discard: bool = False
) -> Array:
    """Execute all payments of a batch, or none; `discard` deletes them instead.

    `payments` and `total` are the expected number of payments and their sum over all currencies. `operator` is the
    operator of the batch.
    """
    flags = int(layout.SettleFlag.DISCARD) if discard else 0
    return _records(Kind.SETTLE, ids, number=batch, count=payments, amount=total, first=operator, flags=flags)


def chain(*records: Array) -> Array:
    """Return these records as a chain, which succeeds or fails as a whole: all but the last are linked to the next."""
    if not records or any(getattr(each, "dtype", None) != layout.OPERATION or np.ndim(each) != 1 for each in records):
        raise UsageError(
            "a chain links one or more records of operations", hint="pass results of the functions in this module"
        )
    linked = np.concatenate(records)
    linked["flags"][:-1] |= layout.LINKED
    return linked


def _with_bytes(records: Array, field: str, value: bytes) -> Array:
    """Write bytes to a field of every record, padded with zeros."""
    place = bytes_of(field)
    padded = np.frombuffer(value.ljust(len(place), b"\0"), np.uint8)
    records.view(np.uint8).reshape(records.size, -1)[:, place.start : place.stop] = padded
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
