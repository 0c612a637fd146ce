"""Describe records as text: the only text that a signer is shown.

A line names every field that the record's kind uses. An account's currency is known if the records open the account, or
from `names`, which this machine's database gives; otherwise an amount is in minor units. Pure: no file, no database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

from sycee.core import ids, money
from sycee.core.arrays import Array
from sycee.core.keys import PublicKey
from sycee.core.limits import I64_MAX
from sycee.core.money import currency_of
from sycee.core.records import layout
from sycee.core.records.layout import (
    LINKED,
    AccountKind,
    Block,
    HoldFlag,
    Kind,
    PayFlag,
    PostFlag,
    Reason,
    Role,
    RuleFlag,
)
from sycee.core.records.operation_table import NOTE, TABLE, Field, bytes_of
from sycee.core.timestamps import exact_text

_MAXIMA: Final = ("balance_max", "single_max", "day_max", "month_max", "year_max")
_MAXIMUM_WORDS: Final = {
    "balance_max": "balance", "single_max": "one payment", "day_max": "a day", "month_max": "a month",
    "year_max": "a year",
}  # fmt: skip
_RULE_FLAGS: Final = {
    RuleFlag.NO_PERSONS: "no payment to wallets",
    RuleFlag.NO_CASH_OUT: "no payment to vaults and reserves",
    RuleFlag.FINAL: "received transfers are final",
}


@dataclass(frozen=True, slots=True)
class LocalName:
    """Data of this machine about an account: a name, "" for none, and the number of its currency, 0 if unknown."""

    name: str = ""
    currency: int = 0


Names = Mapping[int, LocalName]


@dataclass(slots=True)
class _Known:
    """Facts about accounts and rule sets, from the records and from this machine."""

    names: Names
    currencies: dict[int, int] = field(default_factory=dict)
    rule_sets: dict[int, Any] = field(default_factory=dict)

    def currency(self, account: int) -> int:
        local = self.names.get(account)
        return self.currencies.get(account) or (local.currency if local else 0)

    def account(self, account: int) -> str:
        if not account:
            return "no account"
        local = self.names.get(account)
        return f"{ids.format(account)} (local name: {local.name})" if local and local.name else ids.format(account)


def lines(records: Array, names: Names | None = None) -> list[str]:
    """Return one line per record: its number from 1, its kind, and every field that the kind uses.

    A line of a chain ends with "and only together with the next". Unknown kinds and fields that must be zero are shown
    in hexadecimal: nothing in the records is omitted.
    """
    known = _Known(names or {})
    for record in records:
        if record["kind"] == Kind.OPEN_ACCOUNT:
            known.currencies[ids.of_record(record, "debit")] = int(record["number"])
        elif record["kind"] == Kind.DEFINE_RULE_SET:
            rules = _rules(record)
            known.rule_sets[int(rules["number"])] = rules
    width = len(str(records.size))
    return [f"{number:>{width}}  {_line(record, known)}" for number, record in enumerate(records, 1)]


def amount(minor: int, currency: int) -> str:
    """Return an amount as text, with its currency; minor units for currency 0."""
    if not currency:
        return f"{minor:,} minor units"
    known = currency_of(currency)
    text = money.format(minor, known)
    return f"{text} {known.code}" if known.code.isalpha() else f"{minor:,} minor units of book {currency}"


def period(from_ns: int, until_ns: int) -> str:
    """Return a window of time as text."""
    start = f"from {exact_text(from_ns)}" if from_ns else "from now"
    return f"{start} without end" if until_ns == I64_MAX else f"{start} until {exact_text(until_ns)}"


def key_text(flags: int, key: bytes) -> str:
    """Return a public key as text."""
    return str(PublicKey(flags, key)) if flags else "none"


def _line(record: Any, known: _Known) -> str:
    number = int(record["kind"])
    if number not in _DESCRIBERS:
        return f"KIND {number}  unknown: {record.tobytes().hex()}"
    kind = Kind(number)
    text = f"{kind.name}  {_DESCRIBERS[kind](record, known)}"
    if record["code"]:
        text += f", code {int(record['code'])}"
    if _flags(record) not in TABLE[kind].flags:
        text += f", unknown flags {_flags(record)}"
    if kind not in (Kind.DEFINE_RULE_SET, Kind.ADD_MEMBERS) and (record["note_low"] or record["note_high"]):
        text += f", note {ids.format(ids.of_record(record, 'note'))}"
    if unused := _unused(record, kind):
        text += f", bytes that must be zero: {unused.hex()}"
    return f"{text}, and only together with the next" if record["flags"] & LINKED else text


def _unused(record: Any, kind: Kind) -> bytes:
    """Return the bytes that the kind does not use, if one of them is not zero."""
    left = bytearray(record.tobytes())
    flags = _flags(record)
    for name in ("id", "kind", "flags", "code", *(used.name for used in _fields(kind, flags))):
        place = bytes_of(name)
        left[place.start : place.stop] = bytes(len(place))
    return bytes(left) if any(left) else b""


def _fields(kind: Kind, flags: int) -> list[Field]:
    """Return the fields that a record of a kind uses with these flags."""
    note = [] if kind in (Kind.DEFINE_RULE_SET, Kind.ADD_MEMBERS) else [NOTE]
    return [*(used for used in TABLE[kind].fields if not used.flag or flags & used.flag), *note]


def _flags(record: Any) -> int:
    return int(record["flags"]) & ~LINKED


def _id(record: Any, name: str) -> int:
    return ids.of_record(record, name)


def _bytes(record: Any, name: str) -> bytes:
    place = bytes_of(name)
    content: bytes = record.tobytes()[place.start : place.stop]
    return content


def _text(record: Any, name: str) -> str:
    return ascii(_bytes(record, name).rstrip(b"\0").decode("latin-1"))[1:-1]


def _rules(record: Any) -> Any:
    return record.reshape(1).view(layout.RULE_SET_OPERATION)[0]


def _sides(flags: int) -> str:
    return " and ".join(name for side, name in ((Block.DEBIT, "debits"), (Block.CREDIT, "credits")) if flags & side)


def _reason(record: Any) -> str:
    return _member(Reason, int(record["first"]))


def _member(kind: type[IntEnum], number: int) -> str:
    """Return the name of a member of an enumeration, or its number if there is no such member."""
    names = {int(member): member.name for member in kind}
    return names.get(number, f"unknown {kind.__name__.lower()} {number}")


def _operator(number: int) -> str:
    return f"operator {number}" if number else "the issuer (operator 0)"


def _moved(record: Any, known: _Known) -> str:
    source, target = _id(record, "debit"), _id(record, "credit")
    currency = known.currency(source) or known.currency(target)
    return f"{amount(int(record['amount']), currency)} from {known.account(source)} to {known.account(target)}"


def _limits(rules: Any, currency: int) -> str:
    parts = [f"{_MAXIMUM_WORDS[name]} at most {amount(int(rules[name]), currency)}" for name in _MAXIMA if rules[name]]
    return ", ".join(parts) or "no maximum"


def _rule_set(record: Any, known: _Known, account: int = 0) -> str:
    number = int(record["rule_set"])
    if not number:
        return "no rule set"
    rules = known.rule_sets.get(number)
    return f"rule set {number}" + (f" ({_limits(rules, known.currency(account))})" if rules is not None else "")


def _define_rule_set(record: Any, known: _Known) -> str:
    rules, flags = _rules(record), _flags(record)
    parts = [f"rule set {int(rules['number'])}: {_limits(rules, 0)}"]
    if groups := [int(group) for group in rules["groups"] if group]:
        parts.append(f"payees of groups {', '.join(map(str, groups))} only")
    parts += [text for flag, text in _RULE_FLAGS.items() if flags & flag]
    if rules["refund_reserve"]:
        what = "smaller payments use no purse" if flags & RuleFlag.PAYMENT_MIN else "reserved for refunds"
        parts.append(f"{amount(int(rules['refund_reserve']), 0)} {what}")
    if rules["refund_window_s"]:
        parts.append(f"refunds within {int(rules['refund_window_s']):,} s")
    if rules["return_low"] or rules["return_high"]:
        parts.append(f"returns to {known.account(_id(rules, 'return'))}")
    parts.append(period(int(rules["from_ns"]), int(rules["until_ns"])))
    if rules["effective_ns"]:
        parts.append(f"in force at {exact_text(int(rules['effective_ns']))}")
    return ", ".join(parts)


def _grant_role(record: Any, known: _Known) -> str:
    number = int(record["first"])
    role = _member(Role, number)
    operator, currency, scope = int(record["count"]), int(record["number"]), ""
    if operator or number == Role.OPERATOR:
        scope = f" of {_operator(operator)}"
    if currency or number == Role.OFFICER:
        scope += f" of {_book(currency)}" if currency else " of the board"
    return (
        f"{role}{scope} for person {ids.format(_id(record, 'debit'))}, key {_key(record)}, "
        f"{period(int(record['from_ns']), int(record['until_ns']))}"
    )


def _key(record: Any) -> str:
    return key_text(_flags(record), _bytes(record, "key"))


def _open_account(record: Any, known: _Known) -> str:
    number, account = int(record["first"]), _id(record, "debit")
    kind = _member(AccountKind, number)
    currency = currency_of(int(record["number"]))
    shown = currency.code if currency.code.isalpha() else f"book {currency.numeric}"
    suspense = _id(record, "credit")
    return (
        f"{kind} of {_operator(int(record['count']))}, {shown}, account {known.account(account)}, "
        f"{_rule_set(record, known, account)}, "
        f"{f'suspense {known.account(suspense)}' if suspense else 'no suspense account'}"
    )


def _block(record: Any, known: _Known) -> str:
    return f"{_sides(_flags(record))} of {known.account(_id(record, 'debit'))}, reason {_reason(record)}"


def _range(record: Any) -> str:
    first, count = int(record["first"]), int(record["count"])
    return f"programme {int(record['number'])}, members {first:,} to {first + count - 1:,}"


def _source(flags: int) -> str:
    if flags & PayFlag.PURSES_ONLY:
        return ", purses only"
    return ", own money only" if flags & PayFlag.OWN_ONLY else ""


def _add_members(record: Any, known: _Known) -> str:
    count = int(record["count"])
    members = [
        ids.format(int.from_bytes(_bytes(record, f"member_{at}"), "little")) for at in range(1, min(count, 5) + 1)
    ]
    return f"{_range(record)}: {', '.join(members)}"


def _hold(record: Any, known: _Known) -> str:
    flags = _flags(record)
    text = f"{_moved(record, known)}, until {exact_text(int(record['until_ns']))}{_source(flags)}"
    if flags & HoldFlag.THREE_PARTY:
        text += f", released by {known.account(_id(record, 'reference'))}"
    return f"{text}, hash {_bytes(record, 'hash').hex()}" if flags & HoldFlag.HASH_LOCKED else text


def _post(record: Any, known: _Known) -> str:
    flags, by = _flags(record), _id(record, "debit")
    text = f"{amount(int(record['amount']), known.currency(by))} of hold {_reference(record)} by {known.account(by)}"
    text += ", the rest is released" if flags & PostFlag.RELEASE_REST else ""
    return f"{text}, with the secret {_bytes(record, 'secret').hex()}" if flags & PostFlag.PREIMAGE else text


def _reference(record: Any) -> str:
    return ids.format(_id(record, "reference"))


def _holds(record: Any, known: _Known) -> str:
    first, last = ids.format(_id(record, "debit")), ids.format(_id(record, "credit"))
    return f"holds {first} to {last}, by {known.account(_id(record, 'reference'))}"


def _given_back(record: Any, known: _Known) -> str:
    return f"{amount(int(record['amount']), 0)} of operation {_reference(record)}"


def _send(record: Any, known: _Known) -> str:
    limit = ", at most" if _flags(record) else ""
    return f"{_moved(record, known)} through {known.account(_id(record, 'reference'))}{limit}"


_DESCRIBERS: Final[dict[int, Callable[[Any, _Known], str]]] = {
    Kind.DEFINE_CURRENCY: lambda record, known: (
        f"{_book(int(record['number']))}, its day ends at midnight in {_text(record, 'zone')}"
    ),
    Kind.DEFINE_GROUP: lambda record, known: f"payee group {int(record['number'])}",
    Kind.JOIN_GROUP: lambda record, known: _group(record, known),
    Kind.LEAVE_GROUP: lambda record, known: _group(record, known),
    Kind.DEFINE_RULE_SET: _define_rule_set,
    Kind.GRANT_ROLE: _grant_role,
    Kind.REVOKE_ROLE: lambda record, known: f"the grant {_reference(record)}",
    Kind.UPGRADE: lambda record, known: f"rules {int(record['number'])} of release {_text(record, 'release')}",
    Kind.OPEN_ACCOUNT: _open_account,
    Kind.BLOCK_ACCOUNT: _block,
    Kind.UNBLOCK_ACCOUNT: _block,
    Kind.CLOSE_ACCOUNT: lambda record, known: f"{known.account(_id(record, 'debit'))}, reason {_reason(record)}",
    Kind.SET_RULE_SET: lambda record, known: (
        f"{known.account(_id(record, 'debit'))}, {_rule_set(record, known, _id(record, 'debit'))}"
    ),
    Kind.SET_KEY: lambda record, known: f"{known.account(_id(record, 'debit'))}, key {_key(record)}",
    Kind.LINK_ACCOUNT: lambda record, known: (
        f"{known.account(_id(record, 'debit'))} to {known.account(_id(record, 'credit'))}"
    ),
    Kind.OPEN_PROGRAMME: lambda record, known: (
        f"programme {int(record['number'])} of {known.account(_id(record, 'debit'))}, {_rule_set(record, known)}, "
        f"{int(record['count']):,} members, claims {period(int(record['from_ns']), int(record['until_ns']))}"
    ),
    Kind.ADD_MEMBERS: _add_members,
    Kind.SEAL_COHORT: lambda record, known: (
        f"programme {int(record['number'])}, digest {_bytes(record, 'digest').hex()}"
    ),
    Kind.DROP: lambda record, known: (
        f"{_range(record)}: {amount(int(record['amount']), 0)} each, cohort sealed by {_reference(record)}"
    ),
    Kind.CLAIM: lambda record, known: (
        f"programme {int(record['number'])}, member {int(record['first']):,} ({_reference(record)}) "
        f"for {known.account(_id(record, 'credit'))}"
    ),
    Kind.EXPIRE: lambda record, known: _range(record),
    Kind.TRANSFER: _moved,
    Kind.PAY: lambda record, known: f"{_moved(record, known)}{_source(_flags(record))}",
    Kind.REFUND: _given_back,
    Kind.HOLD: _hold,
    Kind.POST: _post,
    Kind.VOID: lambda record, known: f"hold {_reference(record)} by {known.account(_id(record, 'debit'))}",
    Kind.EXTEND: lambda record, known: (
        f"hold {_reference(record)} by {known.account(_id(record, 'debit'))}, "
        f"until {exact_text(int(record['until_ns']))}"
    ),
    Kind.POST_HOLDS: _holds,
    Kind.VOID_HOLDS: _holds,
    Kind.REVERSE: _given_back,
    Kind.SEND: _send,
    Kind.CONFIRM: lambda record, known: f"the money sent by {_reference(record)}",
    Kind.REJECT: lambda record, known: f"the money sent by {_reference(record)}",
    Kind.STAGE: lambda record, known: f"batch {int(record['number'])}: {_moved(record, known)}",
    Kind.SETTLE: lambda record, known: (
        f"batch {int(record['number'])} of {_operator(int(record['first']))}: {int(record['count']):,} payments, "
        f"control sum {amount(int(record['amount']), 0)}{', deleted' if _flags(record) else ''}"
    ),
}


def _group(record: Any, known: _Known) -> str:
    return f"payee group {int(record['number'])}, {known.account(_id(record, 'debit'))}"


def _book(number: int) -> str:
    currency = currency_of(number)
    return currency.code if currency.code.isalpha() else f"book {number}"
