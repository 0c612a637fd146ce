"""Sign records that a server built, after a comparison with what was requested.

The server answers an action with the records that need a signature. An attacker's server could send others: a
payment of another amount, to another payee. So `envelopes` decodes the records and compares every byte. A message of 32
bytes is computed here from the request, and compared with the one that the server sent.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from sycee.client.errors import ContradictsRequest
from sycee.core import ids, timestamps
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.keys import SigningKey
from sycee.core.limits import FRAME_RECORDS_MAX, RECORD_BYTES
from sycee.core.records import describe
from sycee.core.records import envelopes as sealed
from sycee.core.records.layout import LINKED, OPERATION, Kind

ENVELOPE_VALIDITY_NS: Final = 3_600 * 10**9  # of an envelope that a client signs without asking the server
# Longer than any signature of the server's own actions; a proposal may be signed for 72 hours.
VALIDITY_NS_MAX: Final = 73 * 3_600 * 10**9
_DERIVED_IDS: Final = 64  # ids that one action may derive from its own
MESSAGE_BYTES: Final = 32
_IDS: Final = ("id", "debit", "credit", "reference", "note")
_FIELDS: Final = ("code", "amount", "number", "first", "count", "rule_set", "from_ns", "until_ns")


@dataclass(frozen=True, slots=True)
class Signer:
    """A wallet, a merchant's account or a person: its id, and its private key."""

    id: int
    key: SigningKey = field(repr=False)

    @classmethod
    def of(cls, id: str, key: SigningKey) -> Signer:
        """Return the signer with an id as text. Raises UsageError for another text."""
        return cls(ids.parse(id), key)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One record as the caller wants it.

    - `fields`: values of fields of `layout.OPERATION`, ids as whole numbers under the names without `_low` and `_high`.
    - `free`: fields that the server may choose. All others must be zero; `note`, and `id` if it is not in `fields`, may
      also be an id that follows from the action's id.
    - `most`: the maximum of a free field. `derived`: further fields with an id that follows from the action's id.
    - `is_linked`: whether the record is in a chain with the next one, if there is one.
    """

    kind: Kind
    fields: Mapping[str, int]
    free: frozenset[str] = frozenset()
    flags: int = 0
    most: Mapping[str, int] = field(default_factory=dict)
    derived: frozenset[str] = frozenset()
    is_linked: bool = True

    @classmethod
    def of_record(cls, record: Any) -> Wanted:
        """Return exactly this record, in no chain; the server chooses its id."""
        values = {name: ids.of_record(record, name) for name in _IDS} | {name: int(record[name]) for name in _FIELDS}
        fields = {name: each for name, each in values.items() if each and name != "id"}
        return cls(Kind(int(record["kind"])), fields, free=frozenset({"id"}), is_linked=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """A message of 32 bytes that the server asks for, the public key that signs, and what the message is about."""

    message: bytes
    key: str
    document: Mapping[str, Any]


def envelopes(
    to_sign: Mapping[str, Any],
    wanted: Sequence[Wanted],
    action: int,
    signers: Sequence[Signer],
    now_ns: int,
    *,
    valid_ns_max: int = VALIDITY_NS_MAX,
    parts: Sequence[int] = (),
) -> list[str]:
    """Return base64 of the envelopes for the answer 202, one for each part and each signer that it names.

    `parts`: how many consecutive records each envelope covers; () for all. Raises ContradictsRequest if a record is not
    the wanted one, or the signature would be valid for longer than `valid_ns_max`; UsageError if the answer names a
    signer without a key here.
    """
    records = _read_records(to_sign)
    try:
        ledger_id = bytes.fromhex(to_sign["ledger_id"])
        until_ns = int(to_sign["valid_until_ns"])
        asked = [(ids.parse(each["id"]), str(each["key"]), each) for each in to_sign["signers"]]
        numbers = [(int(each["currency"]), int(each["key_epoch"])) for _, _, each in asked]
    except (KeyError, ValueError, TypeError, UsageError) as error:
        raise ContradictsRequest("the server's request for a signature cannot be read", hint=_HINT) from error
    compare(records, wanted, action)
    if until_ns - now_ns > valid_ns_max:
        raise ContradictsRequest(
            f"the signature would be valid until {timestamps.utc_text(until_ns)}",
            hint="if the bank is a rehearsal with a clock of its own, give `Client` this clock as now_ns; with "
            "a command, name the bank's time as --bank-time",
        )
    made = []
    for (id, key, _), (currency, key_epoch) in zip(asked, numbers, strict=True):
        signer, first = _signer(signers, id, key), 0
        for size in parts or [records.size]:
            envelope = sealed.sign(
                records[first : first + size], ledger_id, id, signer.key, until_ns, first=first, currency=currency,
                key_epoch=key_epoch,
            )  # fmt: skip
            made.append(base64.b64encode(envelope.encode()).decode())
            first += size
    return made


def asked_among(to_sign: Mapping[str, Any], wanted: Sequence[Wanted], name: str) -> Sequence[Wanted]:
    """Return the wanted records whose id in field `name` is in a record of the answer 202.

    Raises ContradictsRequest for an answer of another form.
    """
    asked = set(ids.of_records(_read_records(to_sign), name))
    return [each for each in wanted if each.fields[name] in asked]


def compare(records: Array, wanted: Sequence[Wanted], action: int) -> None:
    """Raise ContradictsRequest unless `records`, (n,) layout.OPERATION, are the wanted ones, in their order.

    `action`: the id of the request, from which ids inside the records follow.
    """
    if records.size != len(wanted):
        raise ContradictsRequest(f"the server sent {records.size:,} records, not {len(wanted):,}", hint=_HINT)
    with ids.derived_from(action):
        derived = {ids.new(0) for _ in range(_DERIVED_IDS)}
    for at, (record, each) in enumerate(zip(records, wanted, strict=True)):
        linked = LINKED if each.is_linked and at < records.size - 1 else 0
        if (int(record["kind"]), int(record["flags"])) != (each.kind, each.flags | linked):
            raise _contradiction(records, at, "kind or flags")
        for name in (*_IDS, *_FIELDS):
            value = ids.of_record(record, name) if name in _IDS else int(record[name])
            if name in each.free and value <= each.most.get(name, value):
                continue
            if name not in each.free and value == each.fields.get(name, 0):
                continue
            if name not in {"id", "note", *each.derived} or name in each.fields or value not in derived:
                raise _contradiction(records, at, name)


def asked_message(members: Mapping[str, Any]) -> Asked:
    """Return the message of an answer 202. Raises ContradictsRequest for an answer of another form."""
    asked: Any = members.get("message_to_sign")
    try:
        message, key, document = bytes.fromhex(asked["message"]), asked["key"], asked.get("document") or {}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ContradictsRequest("the server's request for a signature cannot be read", hint=_HINT) from error
    if len(message) != MESSAGE_BYTES or not isinstance(key, str) or not isinstance(document, dict):
        raise ContradictsRequest("the server's request for a signature cannot be read", hint=_HINT)
    return Asked(message, key, document)


def message_signature(asked: Asked, expected: bytes, signers: Sequence[Signer]) -> str:
    """Return the signature of a message, hexadecimal.

    Raises ContradictsRequest if the server asks for another message than the expected one; UsageError if no signer has
    the key that the server names.
    """
    if asked.message != expected:
        raise ContradictsRequest("the server asks for a signature of a message of another content", hint=_HINT)
    for each in signers:
        if str(each.key.public) == asked.key:
            return each.key.sign(expected).hex()
    raise UsageError(f"the key {asked.key} must sign, and it was not given", hint="name its private key's file")


def _read_records(to_sign: Mapping[str, Any]) -> Array:
    try:
        return _records(to_sign)
    except (KeyError, ValueError, TypeError) as error:
        raise ContradictsRequest("the server's request for a signature cannot be read", hint=_HINT) from error


def _records(to_sign: Mapping[str, Any]) -> Array:
    raw = base64.b64decode(to_sign["records"], validate=True)
    if len(raw) % RECORD_BYTES or not 0 < len(raw) <= RECORD_BYTES * FRAME_RECORDS_MAX:
        raise ValueError("partial record")
    records: Array = np.frombuffer(raw, OPERATION)
    return records


def _signer(signers: Sequence[Signer], id: int, key: str) -> Signer:
    for each in signers:
        if each.id == id:
            if str(each.key.public) != key:
                raise UsageError(
                    f"{ids.format(id)} has the key {key} in this ledger, and the given key is {each.key.public}",
                    hint="name the file of its current key",
                )
            return each
    raise UsageError(f"{ids.format(id)} must sign, and no key of it was given", hint="name its private key's file")


def _contradiction(records: Array, at: int, what: str) -> ContradictsRequest:
    (line,) = describe.lines(records[at : at + 1])
    return ContradictsRequest(
        f"the server asks for a signature of another operation ({what} of record {at + 1}): {line.strip()}", hint=_HINT
    )


_HINT: Final = "nothing was signed; call the bank, and do not repeat the request"
