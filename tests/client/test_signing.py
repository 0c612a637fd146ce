"""Records are compared with the request before they are signed: every field, ids that follow, and the validity."""

from __future__ import annotations

import base64
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sycee.client import ContradictsRequest, Signer, Wanted, api, decoding, errors
from sycee.client.signing import VALIDITY_NS_MAX, asked_among, asked_message, compare, envelopes, message_signature
from sycee.client.values import Keys
from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.keys import SigningKey
from sycee.core.records import envelopes as sealed
from sycee.core.records import operations
from sycee.core.records.layout import Kind

pytestmark = pytest.mark.fast
KEY, OTHER = (SigningKey.derive(bytes([number]) * 32) for number in (1, 2))
ACTION = ids.parse("01930e2c-5a00-7abc-8def-0123456789ab")
NOW_NS = 1_793_577_600 * 10**9
PAY = Wanted(Kind.PAY, {"id": ACTION, "debit": 2, "credit": 3, "amount": 100})


def record(**changes: int) -> Array:
    made = operations.pay(ACTION, payer=2, payee=3, amount=100)
    for name, value in changes.items():
        made[name] = value
    return made


def asked(records: Array, **changes: Any) -> dict[str, Any]:
    signer = {"id": ids.format(2), "currency": 156, "key_epoch": 4, "key": str(KEY.public)}
    return {
        "records": base64.b64encode(records.tobytes()).decode(),
        "ledger_id": "ab" * 16,
        "valid_until_ns": str(NOW_NS + 10**9),
        "signers": [signer],
    } | changes


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": 101}, {"debit_low": 4}, {"credit_low": 2}, {"credit_high": 1}, {"kind": 30}, {"flags": 1},
        {"flags": 0x8000}, {"id_low": 1}, {"code": 1}, {"reference_low": 1}, {"number": 1}, {"first": 1}, {"count": 1},
        {"rule_set": 1}, {"from_ns": 1}, {"until_ns": 1}, {"note_low": 1},
    ],
    ids=str,
)  # fmt: skip
def test_every_field_is_compared(changes: dict[str, int]) -> None:
    compare(record(), [PAY], ACTION)
    with pytest.raises(ContradictsRequest, match="another operation"):
        compare(record(**changes), [PAY], ACTION)


def test_ids_of_the_server_follow_from_the_action() -> None:
    with ids.derived_from(ACTION):
        own, note = ids.new(0), ids.new(0)
    low, high = ids.split(note)
    compare(record(note_low=low, note_high=high), [PAY], ACTION)
    with pytest.raises(ContradictsRequest, match="note of record 1"):
        compare(record(note_low=low, note_high=high), [PAY], ACTION + 1)
    sent = operations.send(own, source=5, destination=3, through=6, amount=100)
    wanted = Wanted(Kind.SEND, {"credit": 3, "amount": 100}, free=frozenset({"debit", "reference"}))
    compare(sent, [wanted], ACTION)
    with pytest.raises(ContradictsRequest, match="id of record 1"):
        compare(sent, [wanted], ACTION + 1)


def test_a_chain_is_compared_as_a_whole() -> None:
    with ids.derived_from(ACTION):
        second = ids.new(0)
    chain = operations.chain(record(), operations.pay(second, payer=2, payee=3, amount=1))
    both = [PAY, Wanted(Kind.PAY, {"debit": 2, "credit": 3, "amount": 1})]
    compare(chain, both, ACTION)
    for wanted in ([PAY], both[::-1], [*both, PAY]):
        with pytest.raises(ContradictsRequest):
            compare(chain, wanted, ACTION)


def test_a_free_field_may_have_a_maximum_and_an_id_must_follow() -> None:
    with ids.derived_from(ACTION):
        first, second, other = ids.new(0), ids.new(0), 77
    most = Wanted(Kind.SEND, {"credit": 3}, free=frozenset({"debit", "reference", "amount"}), most={"amount": 100})
    arrived = Wanted(Kind.CONFIRM, {}, derived=frozenset({"reference"}))

    def chain(amount: int, sent: int) -> Array:
        send = operations.send(first, source=5, destination=3, through=6, amount=amount)
        return operations.chain(send, operations.confirm(second, sent=sent))

    compare(chain(100, first), [most, arrived], ACTION)
    for records, what in ((chain(101, first), "amount of record 1"), (chain(100, other), "reference of record 2")):
        with pytest.raises(ContradictsRequest, match=what):
            compare(records, [most, arrived], ACTION)


def test_records_of_a_change_are_no_chain() -> None:
    both = [Wanted(Kind.PAY, PAY.fields, is_linked=False), Wanted(Kind.PAY, {"debit": 2, "credit": 3, "amount": 1})]
    with ids.derived_from(ACTION):
        second = operations.pay(ids.new(0), payer=2, payee=3, amount=1)
    compare(np.concatenate([record(), second]), both, ACTION)
    with pytest.raises(ContradictsRequest, match="kind or flags of record 1"):
        compare(operations.chain(record(), second), both, ACTION)


def test_a_server_may_omit_wanted_records_but_not_replace_them() -> None:
    others = [Wanted(Kind.PAY, {"id": ACTION, "debit": payer, "credit": 3, "amount": 100}) for payer in (1, 2, 4)]
    assert asked_among(asked(record()), others, "debit") == [others[1]]
    for records in (record(debit_low=5), np.concatenate([record(), record()]), record(amount=101)):
        with pytest.raises(ContradictsRequest):
            compare(records, asked_among(asked(records), others, "debit"), ACTION)


def test_a_message_is_signed_only_as_expected() -> None:
    asked_for = asked_message({"message_to_sign": {"message": "ab" * 32, "key": str(KEY.public), "document": None}})
    signature = message_signature(asked_for, bytes.fromhex("ab" * 32), [Signer(3, OTHER), Signer(2, KEY)])
    assert KEY.public.verifies(bytes.fromhex(signature), bytes.fromhex("ab" * 32))
    with pytest.raises(ContradictsRequest, match="another content"):
        message_signature(asked_for, bytes(32), [Signer(2, KEY)])
    with pytest.raises(UsageError, match="was not given"):
        message_signature(asked_for, asked_for.message, [Signer(2, OTHER)])


@pytest.mark.parametrize(
    "members",
    [
        {}, {"message_to_sign": 5}, {"message_to_sign": {"message": "ab", "key": "k"}},
        {"message_to_sign": {"message": "ab" * 32}}, {"message_to_sign": {"message": "ab" * 32, "key": 5}},
        {"message_to_sign": {"message": "ab" * 32, "key": "k", "document": [1]}},
    ],
    ids=str,
)  # fmt: skip
def test_a_message_of_another_form_is_refused(members: dict[str, Any]) -> None:
    with pytest.raises(ContradictsRequest, match="cannot be read"):
        asked_message(members)


def test_answers_get_their_types() -> None:
    row = {"key": "k", "key_epoch": "3", "from": "a", "until": None, "reason": "r", "is_blocked": False, "later": 1}
    members = {"wallet": "w", "ledger_id": "l", "key": "k", "key_epoch": 3, "next_epoch": 4, "keys": [row]}
    made = decoding.of(Keys)(members)
    assert (made.key_epoch, made.keys[0].key_epoch, made.keys[0].from_, made.keys[0].until) == (3, 3, "a", None)
    for name, wrong in (
        ("key_epoch", True),
        ("key_epoch", "x"),
        ("key_epoch", 1.0),
        ("key", 5),
        ("keys", {}),
        ("keys", [5]),
    ):
        with pytest.raises(ValueError, match="a member is of type"):
            decoding.of(Keys)({**members, name: wrong})
    with pytest.raises(KeyError):
        decoding.of(Keys)({})


def test_the_envelope_is_of_the_signer_and_ends_soon() -> None:
    (text,) = envelopes(asked(record()), [PAY], ACTION, [Signer(2, KEY)], NOW_NS)
    row = sealed.decode(base64.b64decode(text))[0]
    made = sealed.sign(record(), bytes.fromhex("ab" * 16), 2, KEY, NOW_NS + 10**9, currency=156, key_epoch=4)
    assert row.tobytes() == made.encode()
    late = asked(record(), valid_until_ns=str(NOW_NS + VALIDITY_NS_MAX + 1))
    with pytest.raises(ContradictsRequest, match="valid until 2026-11-05"):
        envelopes(late, [PAY], ACTION, [Signer(2, KEY)], NOW_NS)
    for signers, message in (([], "no key of it was given"), ([Signer(2, OTHER)], "the given key is")):
        with pytest.raises(UsageError, match=message):
            envelopes(asked(record()), [PAY], ACTION, signers, NOW_NS)


@pytest.mark.parametrize(
    "changes",
    [
        {"records": "!"}, {"records": ""}, {"records": "AAAA"}, {"records": 7}, {"ledger_id": "xy"}, {"signers": [{}]},
        {"signers": 3}, {"valid_until_ns": "soon"}, {"ledger_id": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_request_of_another_form_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ContradictsRequest, match="cannot be read"):
        envelopes(asked(record()) | changes, [PAY], ACTION, [Signer(2, KEY)], NOW_NS)


def test_every_call_is_on_the_page() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "client.md").read_text(encoding="utf-8")
    public = [name for name, each in vars(api).items() if inspect.isfunction(each)]
    assert sorted(public) == sorted(api.__all__)
    rows = "\n".join(line for line in page.splitlines() if line.startswith("| `api."))
    assert [name for name in public if f"`api.{name}(" not in rows] == []
    assert [each.__name__ for each in errors_of() if f"`{each.__name__}`" not in page] == []


def errors_of() -> list[type]:
    """Every class of the tree of errors but its abstract ones."""
    found = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.ClientError)]
    tree = errors.__doc__ or ""
    assert [each.__name__ for each in found if each.__name__ not in tree] == []
    return found
