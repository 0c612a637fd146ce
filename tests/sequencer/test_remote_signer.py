"""A signer whose private key is elsewhere, and ids that follow from the id of a request."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sycee.core import ids
from sycee.core.errors import UsageError
from sycee.core.keys import SigningKey
from sycee.core.records import operations
from sycee.sequencer.signer import RemoteSigner, SignatureNeeded, Signer, sign_parts, sign_records

KEY, OTHER = (SigningKey.derive(bytes([number]) * 32, algorithm) for number, algorithm in ((1, "ed25519"), (2, "p256")))
LEDGER = bytes(range(16))
RECORDS = operations.transfer(1, debit=2, credit=3, amount=4)
SIGNED = Signer(7, KEY).sign(RECORDS, LEDGER, 1_000)


def test_given_envelopes_are_used_for_the_records_that_they_cover() -> None:
    (made,) = sign_records(RECORDS, LEDGER, [RemoteSigner(7, KEY.public, given=(SIGNED,))], valid_until_ns=5)
    assert made == SIGNED  # with the time that its signer chose


def test_one_of_several_keys_of_a_person_suffices() -> None:
    signer = RemoteSigner(7, OTHER.public, given=(SIGNED,), other_keys=(KEY.public,))
    assert sign_records(RECORDS, LEDGER, [signer], 5) == [SIGNED]


def test_each_part_has_its_envelope_wherever_it_was_given() -> None:
    records = operations.transfer(ids.generate(4, time_ms=5), debit=2, credit=3, amount=4)
    made = sign_parts(records, LEDGER, [Signer(7, KEY)], 1_000, (1, 2, 1))
    assert [(each.first, each.count) for each in made] == [(0, 1), (1, 2), (3, 1)]
    moved = tuple(replace(each, first=0) for each in reversed(made))
    for given in (tuple(made), tuple(reversed(made)), moved):
        assert sign_parts(records, LEDGER, [RemoteSigner(7, KEY.public, given=given)], 5, (1, 2, 1)) == made
    with pytest.raises(SignatureNeeded) as raised:
        sign_parts(records, LEDGER, [RemoteSigner(7, KEY.public, given=tuple(made[1:]))], 5, (1, 2, 1))
    assert raised.value.parts == (1, 2, 1)
    assert raised.value.records.size == 4


@pytest.mark.parametrize(
    ("signer", "records", "ledger"),
    [
        (RemoteSigner(7, KEY.public), RECORDS, LEDGER),
        (RemoteSigner(8, KEY.public, given=(SIGNED,)), RECORDS, LEDGER),
        (RemoteSigner(7, OTHER.public, given=(SIGNED,)), RECORDS, LEDGER),
        (RemoteSigner(7, KEY.public, currency=156, given=(SIGNED,)), RECORDS, LEDGER),
        (RemoteSigner(7, KEY.public, given=(SIGNED,)), operations.transfer(1, debit=2, credit=3, amount=5), LEDGER),
        (RemoteSigner(7, KEY.public, given=(SIGNED,)), RECORDS, bytes(16)),
    ],
    ids=["none given", "other person", "other key", "account", "other amount", "other ledger"],
)
def test_without_a_fitting_envelope_the_records_are_returned(
    signer: RemoteSigner, records: object, ledger: bytes
) -> None:
    with pytest.raises(SignatureNeeded) as raised:
        sign_records(records, ledger, [signer], 5)
    assert raised.value.signer is signer
    assert raised.value.valid_until_ns == 5


def test_a_remote_signer_has_no_private_key() -> None:
    with pytest.raises(UsageError, match="public key"):
        RemoteSigner(7, KEY)


def test_ids_of_a_block_follow_from_its_id() -> None:
    parent = ids.new(1_700_000_000_000)

    def made(number: int) -> list[int]:
        with ids.derived_from(number):
            return [ids.new(5), ids.new(6), *map(ids.to_int, ids.generate(2, time_ms=7))]

    first, *others = made(parent)
    assert made(parent) == [first, *others]
    assert len({parent, first, *others, *made(parent + 1)}) == 9
    assert first >> 80 == parent >> 80
    assert ids.new(5) >> 80 == 5  # outside of a block
