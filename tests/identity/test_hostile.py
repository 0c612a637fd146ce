"""Signatures that must not count: each is refused with its own message, and nothing is stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy
from tests.identity.world import (
    ANN,
    BOB,
    CARL,
    CLEO,
    EVE,
    HOUR_NS,
    KEYS,
    NORTH,
    SOUTH,
    START_NS,
    STRANGER,
    VAULT,
    WU,
    YEAR_NS,
    World,
    world,
)

from sycee.core import ids
from sycee.core.errors import IntegrityError, UsageError
from sycee.core.keys import P256, Y_ODD, PublicKey, SigningKey
from sycee.core.records import envelopes, operations
from sycee.core.records.layout import Role
from sycee.core.records.proposal_format import Proposal, ProposalSignature, envelope_of, sign
from sycee.core.result_codes import Result
from sycee.database.transactions import write
from sycee.identity.duties import Duty
from sycee.identity.tables import PROPOSALS, SIGNATURES

Forge = Callable[[World, Proposal], ProposalSignature]


def changed_envelope(of: ProposalSignature, **fields: object) -> ProposalSignature:
    return replace(of, envelope=replace(envelope_of(of), **fields).encode())  # type: ignore[arg-type]


def forged_approval(bank: World, one: Proposal) -> ProposalSignature:
    return replace(sign(one, BOB, KEYS[BOB]), approval=bytes(64))


def approval_of_a_stranger(bank: World, one: Proposal) -> ProposalSignature:
    return replace(sign(one, BOB, KEYS[BOB]), approval=sign(one, BOB, STRANGER).approval)


def approval_of_another_person(bank: World, one: Proposal) -> ProposalSignature:
    """Ann's approval, under Bob's name."""
    return replace(sign(one, BOB, KEYS[BOB]), approval=sign(one, ANN, KEYS[ANN]).approval)


def forged_envelope(bank: World, one: Proposal) -> ProposalSignature:
    return changed_envelope(sign(one, BOB, KEYS[BOB]), signature=bytes(64))


def envelope_of_a_stranger(bank: World, one: Proposal) -> ProposalSignature:
    forged = sign(one, BOB, STRANGER)
    return changed_envelope(replace(sign(one, BOB, KEYS[BOB]), envelope=forged.envelope), flags=KEYS[BOB].public.flags)


def no_envelope(bank: World, one: Proposal) -> ProposalSignature:
    return replace(sign(one, BOB, KEYS[BOB]), envelope=b"")


def replayed_from_another_proposal(bank: World, one: Proposal) -> ProposalSignature:
    """The same mint was proposed and signed an hour ago: its signature does not serve again."""
    return replace(sign(bank.mint(), BOB, KEYS[BOB]), proposal=one.id)


def replayed_with_a_new_digest(bank: World, one: Proposal) -> ProposalSignature:
    return replace(sign(bank.mint(), BOB, KEYS[BOB]), proposal=one.id, digest=one.digest)


def replayed_envelope(bank: World, one: Proposal) -> ProposalSignature:
    return replace(sign(one, BOB, KEYS[BOB]), envelope=sign(bank.mint(), BOB, KEYS[BOB]).envelope)


def replayed_from_another_ledger(bank: World, one: Proposal) -> ProposalSignature:
    return sign(replace(one, ledger_id=bytes(16)), BOB, KEYS[BOB])


def envelope_of_another_ledger(bank: World, one: Proposal) -> ProposalSignature:
    other = sign(replace(one, ledger_id=bytes(16)), BOB, KEYS[BOB])
    return replace(sign(one, BOB, KEYS[BOB]), envelope=other.envelope)


def wrong_epoch(bank: World, one: Proposal) -> ProposalSignature:
    envelope = envelopes.sign(one.records, one.ledger_id, BOB, KEYS[BOB], one.valid_until_ns, key_epoch=1, currency=0)
    return replace(sign(one, BOB, KEYS[BOB]), envelope=envelope.encode())


def of_an_account(bank: World, one: Proposal) -> ProposalSignature:
    envelope = envelopes.sign(one.records, one.ledger_id, BOB, KEYS[BOB], one.valid_until_ns, currency=156)
    return replace(sign(one, BOB, KEYS[BOB]), envelope=envelope.encode())


def wrong_curve(bank: World, one: Proposal) -> ProposalSignature:
    """Bob's key is on P-256: an Ed25519 signature under the flags of Ed25519 is not his."""
    return replace(sign(one, BOB, KEYS[BOB]), envelope=sign(one, BOB, KEYS[ANN]).envelope)


def y_flipped(bank: World, one: Proposal) -> ProposalSignature:
    signature = sign(one, BOB, KEYS[BOB])
    return changed_envelope(signature, flags=KEYS[BOB].public.flags ^ Y_ODD)


def key_with_y_flipped(bank: World, one: Proposal) -> ProposalSignature:
    public = KEYS[BOB].public
    return replace(sign(one, BOB, KEYS[BOB]), public_key=PublicKey(public.flags ^ Y_ODD, public.key))


def stale_envelope(bank: World, one: Proposal) -> ProposalSignature:
    envelope = envelopes.sign(one.records, one.ledger_id, BOB, KEYS[BOB], one.valid_until_ns - HOUR_NS)
    return replace(sign(one, BOB, KEYS[BOB]), envelope=envelope.encode())


def envelope_without_end(bank: World, one: Proposal) -> ProposalSignature:
    envelope = envelopes.sign(one.records, one.ledger_id, BOB, KEYS[BOB], one.valid_until_ns + YEAR_NS)
    return replace(sign(one, BOB, KEYS[BOB]), envelope=envelope.encode())


def part_of_the_records(bank: World, one: Proposal) -> ProposalSignature:
    envelope = envelopes.sign(one.records[:1], one.ledger_id, BOB, KEYS[BOB], one.valid_until_ns)
    return replace(sign(one, BOB, KEYS[BOB]), envelope=envelope.encode())


def other_records(bank: World, one: Proposal) -> ProposalSignature:
    """One bit of an amount differs from what was shown."""
    records = one.records.copy()
    records["amount"] ^= 1
    return sign(replace(one, records=records), BOB, KEYS[BOB])


def other_effect(bank: World, one: Proposal) -> ProposalSignature:
    return sign(replace(one, effect={"operator": 3}), BOB, KEYS[BOB])


def other_action(bank: World, one: Proposal) -> ProposalSignature:
    return sign(replace(one, action="redeem"), BOB, KEYS[BOB])


def other_maker(bank: World, one: Proposal) -> ProposalSignature:
    return sign(replace(one, maker=EVE), BOB, KEYS[BOB])


def other_end(bank: World, one: Proposal) -> ProposalSignature:
    return sign(replace(one, valid_until_ns=one.valid_until_ns + 1), BOB, KEYS[BOB])


def unknown_key(bank: World, one: Proposal) -> ProposalSignature:
    return sign(one, BOB, STRANGER)


def key_of_another_person(bank: World, one: Proposal) -> ProposalSignature:
    """Ann signs a second time, as Bob."""
    return sign(one, BOB, KEYS[ANN])


def without_a_duty(bank: World, one: Proposal) -> ProposalSignature:
    return sign(one, CLEO, KEYS[CLEO])


def clerk(bank: World, one: Proposal) -> ProposalSignature:
    return sign(one, CARL, KEYS[CARL])


def operator_of_another_bank(bank: World, one: Proposal) -> ProposalSignature:
    return sign(one, SOUTH, KEYS[SOUTH])


def witness(bank: World, one: Proposal) -> ProposalSignature:
    return sign(one, WU, KEYS[WU])


CASES: list[tuple[Forge, str]] = [
    (forged_approval, "the approval of .*02 is not a signature of the key p256"),
    (approval_of_a_stranger, "the approval of .*02 is not a signature of the key p256"),
    (approval_of_another_person, "the approval of .*02 is not a signature of the key p256"),
    (forged_envelope, "the envelope of .*02 is not a signature of the key p256-.* over the records"),
    (envelope_of_a_stranger, "the envelope of .*02 is not a signature of the key p256-.* over the records"),
    (no_envelope, "the signature has no envelope, and the proposal has records"),
    (replayed_from_another_proposal, "is of other bytes than proposal .*: its digest is"),
    (replayed_with_a_new_digest, "the approval of .*02 is not a signature"),
    (replayed_envelope, "the envelope of .*02 is not a signature of the key p256-.* over the records"),
    (replayed_from_another_ledger, "is of other bytes than proposal"),
    (envelope_of_another_ledger, "the envelope of .*02 is not a signature of the key p256-.* over the records"),
    (wrong_epoch, "the envelope states key epoch 1; a person's is 0"),
    (of_an_account, "the envelope is of the signer .*02, not of .*02"),
    (wrong_curve, "the envelope is of a key of another type than p256"),
    (y_flipped, "the envelope is of a key of another type than p256"),
    (key_with_y_flipped, "no person has the key p256"),
    (stale_envelope, "the envelope ends at 2026-11-02 .*, the proposal at 2026-11-02"),
    (envelope_without_end, "the envelope ends at 2027-11-02 .*, the proposal at 2026-11-02"),
    (part_of_the_records, "the envelope covers 1 records from number 1 on, and the proposal has 2"),
    (other_records, "is of other bytes than proposal"),
    (other_effect, "is of other bytes than proposal"),
    (other_action, "is of other bytes than proposal"),
    (other_maker, "is of other bytes than proposal"),
    (other_end, "is of other bytes than proposal"),
    (unknown_key, "no person has the key ed25519"),
    (key_of_another_person, "the key ed25519:.* is .*01's, not .*02's"),
    (without_a_duty, "may not sign mint: it needs officer, operator.*; this person's duties: compliance"),
    (clerk, "may not sign mint: it needs .*; this person's duties: clerk of operator 2"),
    (operator_of_another_bank, "may not sign mint: it needs .*; this person's duties: operator of operator 3"),
    (witness, "may not sign mint: it needs .*; this person's duties: witness"),
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> World:
    """One world for all forgeries: a refused signature changes nothing."""
    folder = tmp_path_factory.mktemp("hostile")
    with world(folder, str(folder / "hostile.db")) as made:
        yield made


@pytest.fixture(scope="module")
def signed_by_ann(shared: World) -> Proposal:
    one = shared.mint()
    shared.proposals.add_signature(sign(one, ANN, KEYS[ANN]))
    return one


@pytest.mark.parametrize(("forge", "message"), CASES, ids=[case[0].__name__ for case in CASES])
def test_refused(shared: World, signed_by_ann: Proposal, forge: Forge, message: str) -> None:
    signature = forge(shared, signed_by_ann)
    with pytest.raises(UsageError, match=message) as caught:
        shared.proposals.add_signature(signature)
    assert caught.value.hint
    stored = shared.proposals.get(signed_by_ann.id)
    assert (stored.state, stored.signers) == ("open", (ANN,))
    assert shared.ledger.balance(VAULT) == 0


def test_one_person_with_two_keys_signs_once(small: World) -> None:
    """Ann has a second grant, as an officer, with a second key. Neither queue nor ledger counts her twice."""
    second = SigningKey.derive(bytes([77]) * 32)
    grant = operations.grant_role(
        small.new_id(), person=ANN, role=Role.OFFICER, key=second.public.key, flags=second.public.flags,
        from_ns=0, until_ns=START_NS + YEAR_NS,
    )  # fmt: skip
    assert small.ledger.signed_by(*small.signers(BOB, EVE)).submit(grant)["code"].tolist() == [Result.CREATED]
    assert len(small.people.keys_of(ANN)) == 2
    mint = small.mint()
    small.proposals.sign(mint.id, KEYS[ANN], KEYS[NORTH])
    with pytest.raises(UsageError, match=r"signed proposal .* already") as caught:
        small.proposals.add_signature(sign(mint, ANN, second))
    assert "a second key of the same person does not count" in str(caught.value.hint)
    signed = [sign(mint, ANN, KEYS[ANN]), sign(mint, ANN, second), sign(mint, NORTH, KEYS[NORTH])]
    answers = small.ledger.submit(mint.records, [envelope_of(each) for each in signed])
    assert Result.TWO_PERSONS_MUST_SIGN in {Result(code) for code in answers["code"].tolist()}
    assert small.ledger.balance(VAULT) == 0


def test_two_officers_cannot_have_one_key(small: World) -> None:
    with pytest.raises(UsageError, match=r"two persons with one key would count as two signers"):
        small.appointments.appoint(Duty.OFFICER, KEYS[ANN].public, person=4_000, until_ns=START_NS + YEAR_NS, maker=BOB)
    # The ledger refuses the grant as well, whoever builds it.
    grant = operations.grant_role(
        small.new_id(), person=4_000, role=1, key=KEYS[ANN].public.key, flags=KEYS[ANN].public.flags, from_ns=0,
        until_ns=START_NS + YEAR_NS,
    )  # type: ignore[arg-type]  # fmt: skip
    one = small.proposals.propose("duty.appoint", grant, {"duty_id": ids.format(4_001)}, maker=BOB)
    outcome = small.proposals.sign(one.id, KEYS[BOB], KEYS[EVE]).outcome
    assert outcome is not None
    assert outcome.refusal is Result.KEY_IS_ANOTHERS
    assert small.proposals.get(one.id).reason == "KEY_IS_ANOTHERS"


def test_the_maker_is_no_checker(small: World) -> None:
    """A lawful order needs a second person; so does a reversal, though its maker signs as one of two officers."""
    one = small.proposals.propose("log.delay", None, {}, maker=ANN)
    small.proposals.sign(one.id, KEYS[ANN])
    with pytest.raises(UsageError, match=r"not signed by all: missing a person other than the maker") as caught:
        small.proposals.submit(one.id)
    assert "maker and checker are two persons" in str(caught.value.hint)
    with pytest.raises(UsageError, match=r"signed proposal .* already"):
        small.proposals.add_signature(sign(one, ANN, KEYS[ANN]))
    assert small.actions["log.delay"].done_ids == []


def test_an_officer_does_not_also_sign_as_the_operator(small: World) -> None:
    """Bob gets a grant as operator 2, past the duties that must be apart: a mint still takes three persons."""
    grant = operations.grant_role(
        small.new_id(), person=BOB, role=2, key=KEYS[BOB].public.key, flags=KEYS[BOB].public.flags, from_ns=0,
        until_ns=START_NS + YEAR_NS, operator=2,
    )  # type: ignore[arg-type]  # fmt: skip
    granted = small.ledger.signed_by(*small.signers(ANN, EVE)).submit(grant)
    assert granted["code"].tolist() == [Result.CREATED]
    mint = small.mint()
    answer = small.proposals.sign(mint.id, KEYS[ANN], KEYS[BOB])
    assert answer.needs == ("operator 2",)
    assert small.ledger.balance(VAULT) == 0
    assert small.proposals.sign(mint.id, KEYS[EVE]).outcome is not None


def test_a_person_dismissed_since_does_not_count(small: World) -> None:
    mint = small.mint()
    small.proposals.sign(mint.id, KEYS[ANN], KEYS[NORTH])
    (duty,) = small.people.duties_of(ANN)
    dismissal = small.appointments.dismiss(duty.id, maker=BOB)
    assert small.proposals.sign(dismissal.id, KEYS[BOB], KEYS[EVE]).outcome is not None
    assert small.people.duties_of(ANN) == []
    assert small.proposals.missing(mint.id).needs == ("two officers of the board",)
    assert small.proposals.sign(mint.id, KEYS[BOB]).needs == ("a second officer of the board",)
    with pytest.raises(UsageError, match=r"no person has the key"):
        small.proposals.add_signature(sign(mint, ANN, KEYS[ANN]))
    assert small.proposals.sign(mint.id, KEYS[EVE]).outcome is not None
    assert small.check() == []


def test_lapsed_before_a_signature(small: World) -> None:
    one = small.mint(valid_ns=HOUR_NS)
    small.proposals.sign(one.id, KEYS[ANN], KEYS[NORTH])
    small.clock.advance(HOUR_NS)
    with pytest.raises(UsageError, match=r"lapsed at 2026-11-02 \d\d:\d\d:\d\d UTC"):
        small.proposals.add_signature(sign(one, BOB, KEYS[BOB]))
    assert small.proposals.get(one.id).state == "lapsed"
    with pytest.raises(UsageError, match=r"is lapsed: SIGNATURE_EXPIRED"):
        small.proposals.submit(one.id)


def test_lapsed_between_signature_and_submission(small: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock passes the end after the last check: the ledger refuses, and nothing is half done."""
    one = small.mint(valid_ns=HOUR_NS)
    small.proposals.sign(one.id, KEYS[ANN], KEYS[NORTH])
    perform = small.stores.intents.perform

    def late(draft: object) -> object:
        small.clock.advance(HOUR_NS)
        return perform(draft)  # type: ignore[arg-type]

    monkeypatch.setattr(small.stores.intents, "perform", late)
    outcome = small.proposals.sign(one.id, KEYS[BOB]).outcome
    assert outcome is not None
    assert outcome.state == "lapsed"
    stored = small.proposals.get(one.id)
    assert (stored.state, stored.reason) == ("lapsed", "SIGNATURE_EXPIRED")
    assert small.actions["mint"].lapsed_ids == [one.id]
    assert small.ledger.balance(VAULT) == 0
    assert small.check() == []


@pytest.mark.parametrize("column", ["records", "effect", "valid_until_ns", "action", "maker"])
def test_stored_bytes_that_were_changed(small: World, column: str) -> None:
    """Somebody with the database's password changes a proposal between two signatures."""
    one = small.mint()
    small.proposals.sign(one.id, KEYS[ANN])
    records = one.records.copy()
    records["amount"] = 900_000
    changes = {
        "records": records.tobytes(), "effect": '{"operator":3}', "valid_until_ns": one.valid_until_ns + 1,
        "action": "redeem", "maker": EVE,
    }  # fmt: skip
    statement = PROPOSALS.update().where(PROPOSALS.c.id == one.id).values({column: changes[column]})
    write(small.engine, lambda connection: connection.execute(statement))
    with pytest.raises(IntegrityError, match=r"stored bytes of proposal .* were changed"):
        small.proposals.add_signature(sign(one, BOB, KEYS[BOB]))
    assert small.ledger.balance(VAULT) == 0


def test_changed_together_with_its_digest(small: World) -> None:
    """The stored digest is forged as well: then Ann's signature is of other bytes, and does not count."""
    one = small.mint()
    small.proposals.sign(one.id, KEYS[ANN], KEYS[NORTH])
    records = one.records.copy()
    records["amount"] = 900_000
    forged = replace(one, records=records)
    values = {"records": records.tobytes(), "digest": forged.digest.hex()}
    statement = PROPOSALS.update().where(PROPOSALS.c.id == one.id).values(values)
    write(small.engine, lambda connection: connection.execute(statement))
    needs = small.proposals.sign(one.id, KEYS[BOB]).needs
    assert needs == ("a second officer of the board", "operator 2")
    assert small.ledger.balance(VAULT) == 0


def test_a_signature_row_that_was_inserted(small: World) -> None:
    """A row without a valid signature, written past the checks, is no signature."""
    one = small.proposals.propose("log.delay", None, {}, maker=ANN)
    row = {"proposal": one.id, "signer": BOB, "public_key": str(KEYS[BOB].public), "approval": bytes(64), "at_ns": 0}
    write(small.engine, lambda connection: connection.execute(SIGNATURES.insert().values(row)))
    answer = small.proposals.sign(one.id, KEYS[ANN])
    assert answer.outcome is None
    assert len(answer.needs) == 1
    with small.engine.connect() as connection:
        assert connection.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(SIGNATURES)) == 2


def test_a_changed_file_is_not_signed(small: World, tmp_path: Path) -> None:
    one = small.mint()
    one.save(tmp_path / "mint.json")
    document = json.loads((tmp_path / "mint.json").read_text())
    document["effect"] = {"operator": 3}
    (tmp_path / "mint.json").write_text(json.dumps(document))
    with pytest.raises(UsageError, match=r"the file was changed|the file states"):
        Proposal.load(tmp_path / "mint.json")


def test_the_shown_text_is_of_the_bytes(small: World) -> None:
    """There is no description to change: what is shown follows from the records alone."""
    from sycee.core.records import describe

    one = small.mint()
    records = one.records.copy()
    records["amount"] += np.int64(1)
    assert describe.lines(records) != describe.lines(one.records)
    assert P256 in (KEYS[BOB].public.flags, KEYS[BOB].public.flags ^ Y_ODD)
