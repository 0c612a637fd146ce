"""Keys of accounts: rotation that no payment passes, revocation, proof of possession, kills between the steps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sqlalchemy
from tests.bank.killing import EMPTY_POSTGRESQL_IN_SOAK
from tests.identity.world import (
    ANN,
    CARL,
    CNY,
    KEYS,
    NORTH,
    SHOP,
    SOUTH,
    STRANGER,
    SUSPENSE,
    WALLET,
    WALLET_KEY,
    World,
)

from sycee.core import ids
from sycee.core.errors import UsageError
from sycee.core.keys import Y_ODD, PublicKey, SigningKey
from sycee.core.records import envelopes, operations
from sycee.core.records.layout import AccountKind, Block, Reason
from sycee.core.records.proposal_format import records_of
from sycee.core.records.signed_messages import proof_message
from sycee.core.result_codes import Result
from sycee.database.stores import Stores
from sycee.database.tables import INTENT_RECORDS
from sycee.database.transactions import write
from sycee.identity.key_register import KeyRegister
from sycee.identity.people import People
from sycee.identity.proposals import Proposals
from sycee.sequencer.embedded import Signer

NEW: Any = SigningKey.derive(bytes([60]) * 32)
NEWER: Any = SigningKey.derive(bytes([61]) * 32, "p256")


def proof(bank: World, key: SigningKey, *, account: int = WALLET) -> bytes:
    epoch = bank.ledger.account(account).key_epoch + 1
    return key.sign(proof_message(bank.ledger.ledger_id, account, epoch, key.public))


def rotate(bank: World, key: SigningKey, **others: Any) -> Any:
    given: dict[str, Any] = {"signers": bank.signers(NORTH), "who": NORTH, "consent": consent(bank, key)}
    return bank.keys.set(WALLET, key.public, proof(bank, key), **(given | others))


def consent(bank: World, key: SigningKey) -> bytes:
    """Return the signature of the wallet's present key for a new one."""
    account = bank.ledger.account(WALLET)
    present = next((each for each in (WALLET_KEY, NEW, NEWER) if each.public.key == account.key), key)
    return present.sign(proof_message(bank.ledger.ledger_id, WALLET, account.key_epoch + 1, key.public))


def pay(bank: World, key: SigningKey, *, epoch: int, amount: int = 1) -> Result:
    """Pay from the wallet with a key and epoch, whatever the ledger has now."""
    record = operations.pay(bank.new_id(), payer=WALLET, payee=SHOP, amount=amount)
    signed = bank.ledger.signed_by(Signer(WALLET, key, currency=CNY, key_epoch=epoch))
    return Result(int(signed.submit(record)["code"][0]))


def test_rotation(bank: World) -> None:
    assert pay(bank, WALLET_KEY, epoch=1) is Result.CREATED
    assert rotate(bank, NEW).created
    account = bank.ledger.account(WALLET)
    assert (account.key, account.key_epoch, account.debit_reasons) == (NEW.public.key, 2, frozenset())
    assert pay(bank, WALLET_KEY, epoch=1) is Result.KEY_EPOCH_DIFFERS
    assert pay(bank, WALLET_KEY, epoch=2) is Result.SIGNATURE_INVALID
    assert pay(bank, NEW, epoch=1) is Result.KEY_EPOCH_DIFFERS
    assert pay(bank, NEW, epoch=2) is Result.CREATED
    assert rotate(bank, NEWER, reason="lost").created
    assert [(row.epoch, row.public_key, row.state, row.until_ns is None) for row in bank.keys.history(WALLET)] == [
        (2, str(NEW.public), "set", False),
        (3, str(NEWER.public), "set", True),
    ]
    assert bank.check() == []


def test_no_payment_under_the_old_key_after_the_block(small: World) -> None:
    """Four threads pay with the old key while it is replaced. Every payment that was accepted precedes the block."""
    begun, stop = threading.Barrier(5), threading.Event()
    results: list[tuple[int, Result]] = []

    def payer(number: int) -> None:
        begun.wait()
        for at in range(200):
            if stop.is_set() and at > 20:
                return
            id = (number + 1) << 64 | at + 1
            record = operations.pay(id, payer=WALLET, payee=SHOP, amount=1)
            signed = small.ledger.signed_by(Signer(WALLET, WALLET_KEY, currency=CNY, key_epoch=1))
            results.append((id, Result(int(signed.submit(record)["code"][0]))))

    threads = [threading.Thread(target=payer, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    begun.wait()
    while len(results) < 8:
        time.sleep(0.001)
    outcome = rotate(small, NEW)
    stop.set()
    for thread in threads:
        thread.join()
    assert outcome.created
    # The block is the first record of the rotation's intent, so its place is the change's place.
    intent = small.stores.intents.find(outcome.intent)
    assert intent is not None
    with small.ledger.sequencer.reading() as state:
        bound = state.bound_of(block_of(small, outcome.intent))
        places = {id: int(state.bound_of(id)["place"]) for id, result in results if result is Result.CREATED}
        assert bound is not None
        block = int(bound["place"])
    accepted = [place for place in places.values() if place > block]
    assert places, "the test proves something only if payments were accepted before"
    assert accepted == []
    assert {result for _, result in results} <= {
        Result.CREATED, Result.DEBIT_ACCOUNT_BLOCKED, Result.KEY_EPOCH_DIFFERS,
    }  # fmt: skip
    assert pay(small, WALLET_KEY, epoch=1) is Result.KEY_EPOCH_DIFFERS
    assert small.check() == []


def block_of(bank: World, intent: int) -> int:
    """Return the id of the first record of a stored intent."""
    with bank.engine.connect() as connection:
        chosen = sqlalchemy.select(INTENT_RECORDS.c.records).where(INTENT_RECORDS.c.id == intent)
        return ids.of_records(records_of(bytes(connection.scalar(chosen))), "id")[0]


def test_the_same_frame_needs_the_block(small: World) -> None:
    """Why the block is there: a payment in the frame of a bare SET_KEY is authorised by the key before it."""
    change = operations.set_key(small.new_id(), account=WALLET, key=NEW.public.key, flags=NEW.public.flags)
    block = operations.block_account(small.new_id(), account=WALLET, sides=Block.DEBIT, reason=Reason.RECOVERY)
    payments = [operations.pay(small.new_id(), payer=WALLET, payee=SHOP, amount=1) for _ in range(2)]
    ledger, until = small.ledger, small.clock.now_ns() + 10**12
    records = np.concatenate([change, payments[0], block, payments[1]])
    made = [
        envelopes.sign(change, ledger.ledger_id, NORTH, KEYS[NORTH], until),
        envelopes.sign(payments[0], ledger.ledger_id, WALLET, WALLET_KEY, until, first=1, currency=CNY, key_epoch=1),
        envelopes.sign(block, ledger.ledger_id, NORTH, KEYS[NORTH], until, first=2),
        envelopes.sign(payments[1], ledger.ledger_id, WALLET, WALLET_KEY, until, first=3, currency=CNY, key_epoch=1),
    ]
    codes = [Result(code) for code in ledger.submit(records, made)["code"].tolist()]
    assert codes == [Result.CREATED, Result.CREATED, Result.CREATED, Result.DEBIT_ACCOUNT_BLOCKED]


@EMPTY_POSTGRESQL_IN_SOAK
def test_revocation(bank: World) -> None:
    outcome = bank.keys.revoke(WALLET, reason="stolen", signers=bank.signers(NORTH), who=NORTH)
    assert outcome.created
    assert bank.keys.is_custodial(WALLET)
    assert pay(bank, WALLET_KEY, epoch=1) in (Result.SIGNER_NOT_FOUND, Result.KEY_EPOCH_DIFFERS)
    operator = operations.pay(bank.new_id(), payer=WALLET, payee=SHOP, amount=1)
    answers = bank.ledger.signed_by(*bank.signers(NORTH)).submit(operator)
    assert answers["code"].tolist() == [Result.DEBIT_ACCOUNT_BLOCKED]
    assert bank.check() == []
    assert [row.reason for row in bank.keys.history(WALLET)] == ["stolen"]


def no_proof(bank: World) -> bytes:
    return bytes(64)


def old_proof(bank: World) -> bytes:
    """A proof for the epoch that the account has now."""
    return NEW.sign(proof_message(bank.ledger.ledger_id, WALLET, 1, NEW.public))


def proof_for_another_account(bank: World) -> bytes:
    return NEW.sign(proof_message(bank.ledger.ledger_id, SHOP, 2, NEW.public))


def proof_for_another_ledger(bank: World) -> bytes:
    return NEW.sign(proof_message(bytes(16), WALLET, 2, NEW.public))


def proof_of_another_key(bank: World) -> bytes:
    return proof(bank, NEWER)


@pytest.mark.parametrize(
    "forge", [no_proof, old_proof, proof_for_another_account, proof_for_another_ledger, proof_of_another_key]
)
def test_a_key_without_possession(small: World, forge: Callable[[World], bytes]) -> None:
    with pytest.raises(UsageError, match=r"the proof is not a signature of ed25519:.* key epoch 2"):
        small.keys.set(WALLET, NEW.public, forge(small), signers=small.signers(NORTH), who=NORTH)
    assert small.ledger.account(WALLET).key_epoch == 1
    flipped = PublicKey(NEWER.public.flags ^ Y_ODD, NEWER.public.key)
    with pytest.raises(UsageError, match=r"the proof is not a signature"):
        small.keys.set(WALLET, flipped, proof(small, NEWER), signers=small.signers(NORTH), who=NORTH)


def test_who_may_not_set_a_key(small: World) -> None:
    for who in (SOUTH, CARL, 12345):
        with pytest.raises(UsageError, match=r"may not request key.set for operator 2"):
            rotate(small, NEW, who=who)
    # The queue would let North ask, but South's key is not authority for North's account.
    outcome = rotate(small, NEW, signers=small.signers(SOUTH))
    assert outcome.refusal is Result.NOT_AUTHORISED
    outcome = rotate(small, NEW, signers=[Signer(NORTH, STRANGER)])
    assert outcome.refusal is Result.SIGNATURE_INVALID
    outcome = rotate(small, NEW, signers=[Signer(NORTH, KEYS[ANN])])
    assert outcome.refusal is Result.SIGNATURE_INVALID
    assert outcome.state == "lapsed"
    assert small.keys.history(WALLET) == []
    assert pay(small, WALLET_KEY, epoch=1) is Result.CREATED
    assert small.check() == []


def test_a_block_of_another_recovery_is_not_lifted(small: World) -> None:
    block = operations.block_account(small.new_id(), account=WALLET, sides=Block.DEBIT, reason=Reason.RECOVERY)
    small.ledger.signed_by(*small.signers(NORTH)).submit(block)
    with pytest.raises(UsageError, match=r"is blocked for RECOVERY"):
        rotate(small, NEW)


def test_the_operator_alone_replaces_no_key(small: World) -> None:
    """One insider would redirect a customer's money; also by a revocation before."""
    for wrong in (b"", proof(small, NEW), WALLET_KEY.sign(b"another message")):
        with pytest.raises(UsageError, match=r"did not agree to the key"):
            rotate(small, NEW, consent=wrong)
    for_another = consent(small, NEWER)
    with pytest.raises(UsageError, match=r"did not agree to the key"):
        rotate(small, NEW, consent=for_another)
    assert small.keys.revoke(WALLET, reason="stolen", signers=small.signers(NORTH), who=NORTH).created
    with pytest.raises(UsageError, match=r"was revoked, and the operator alone gives it no new one"):
        rotate(small, NEW)
    assert small.keys.is_custodial(WALLET)
    assert small.check() == []


def test_a_first_key_of_a_custodial_account(small: World) -> None:
    account = 950
    opened = operations.open_account(
        small.new_id(), account=account, currency=CNY, kind=AccountKind.WALLET, suspense=SUSPENSE, operator=2
    )
    small.ledger.signed_by(*small.signers(NORTH)).submit(opened)
    assert small.keys.is_custodial(account)
    outcome = small.keys.set(
        account, NEW.public, proof(small, NEW, account=account), signers=small.signers(NORTH), who=NORTH
    )
    assert outcome.created
    assert not small.keys.is_custodial(account)


# --- interrupted ---


def again(bank: World) -> None:
    """Open the services anew, as after a crash, and finish what is pending."""
    bank.stores = Stores.of(bank.ledger, bank.engine, bank.clock)
    bank.people = People(bank.stores)
    bank.proposals = Proposals(bank.stores, bank.people)
    bank.keys = KeyRegister(bank.stores, bank.people)
    bank.stores.intents.resume()
    bank.keys.resume()


class KilledError(Exception):
    """The process ends here."""


@pytest.mark.parametrize("step", [0, 1])
def test_a_crash_before_the_block_is_lifted(bank: World, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Step 0: before the lift's intent is stored. Step 1: after, before it is submitted."""
    if step:
        submit, calls = bank.ledger.sequencer.submit, []

        def dies(*given: Any) -> Any:
            calls.append(1)
            if len(calls) == 2:
                raise KilledError
            return submit(*given)

        monkeypatch.setattr(bank.ledger.sequencer, "submit", dies)
    else:
        monkeypatch.setattr(bank.keys, "_lift", lambda payload, who: (_ for _ in ()).throw(KilledError))
    with pytest.raises(KilledError):
        rotate(bank, NEW)
    monkeypatch.undo()
    assert bank.ledger.account(WALLET).debit_reasons == {Reason.RECOVERY}
    assert "is still blocked" in bank.check()[0]
    again(bank)
    assert bank.ledger.account(WALLET).debit_reasons == frozenset()
    assert bank.check() == []
    assert pay(bank, NEW, epoch=2) is Result.CREATED


def test_a_crash_for_longer_than_the_signatures_are_valid(small: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small.keys, "_lift", lambda payload, who: (_ for _ in ()).throw(KilledError))
    with pytest.raises(KilledError):
        rotate(small, NEW)
    monkeypatch.undo()
    small.clock.advance(3_600 * 10**9)
    again(small)
    assert "set the same key again to lift the block" in small.check()[0]
    assert small.ledger.account(WALLET).debit_reasons == {Reason.RECOVERY}
    # Setting the same key again signs anew, and needs no proof: the key is set.
    assert small.keys.set(WALLET, NEW.public, b"", signers=small.signers(NORTH), who=NORTH).created
    assert small.ledger.account(WALLET).debit_reasons == frozenset()
    assert small.check() == []
    with pytest.raises(UsageError, match=r"has no rotation that waits"):
        small.keys.lift(WALLET, signers=small.signers(NORTH), who=NORTH)


def test_keys_set_by_others_are_stored_and_taken_back(small: World) -> None:
    write(small.engine, lambda c: small.keys.record(c, WALLET, WALLET_KEY.public, epoch=1, reason="opening", intent=1))
    assert small.check() == []
    write(small.engine, lambda c: small.keys.record(c, WALLET, None, epoch=2, reason="lost", intent=2))
    assert "key epoch 1 in the ledger, and 2 in the database" in small.check()[0]
    write(small.engine, lambda c: small.keys.forget(c, WALLET, epoch=2))
    assert small.check() == []
