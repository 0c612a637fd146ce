"""Kills between the steps of every action of identity, on both databases: the stores agree after the next start."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy
from tests.bank import killing, world
from tests.bank.world import ANN, BOB, START_NS

from sycee.bank.bank import Bank
from sycee.core.keys import SigningKey
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind, Reason
from sycee.core.records.proposal_format import Proposal, sign
from sycee.core.records.signed_messages import proof_message
from sycee.database.tables import INTENTS
from sycee.database.transactions import reading
from sycee.identity.duties import Duty
from sycee.identity.proposals import StoredProposal

NEW = SigningKey.derive(bytes([70]) * 32, "p256")
SUSPENSE, WALLET = 901, 902
UNTIL_NS = START_NS + world.DAY_NS


def only(bank: Bank, action: str) -> StoredProposal:
    """Return the proposal of an action that was prepared."""
    (stored,) = [each for each in bank.proposals.list() if each.proposal.action == action]
    return stored


def officers(bank: Bank) -> tuple[int, int]:
    return bank.people.person_of_key(ANN.public), bank.people.person_of_key(BOB.public)


def signed_once(bank: Bank, proposal: Proposal) -> None:
    bank.proposals.sign(proposal.id, ANN)


# --- the last signature of a proposal with records ---


def propose_an_officer(bank: Bank) -> None:
    ann, _ = officers(bank)
    signed_once(bank, bank.appointments.appoint(Duty.OFFICER, NEW.public, until_ns=UNTIL_NS, maker=ann))


def sign_last(bank: Bank) -> None:
    stored = only(bank, "duty.appoint")
    if stored.state == "open":
        _, bob = officers(bank)
        if bob in stored.signers:
            bank.proposals.submit(stored.id)
        else:
            bank.proposals.add_signature(sign(stored.proposal, bob, BOB))
    else:
        bank.proposals.submit(stored.id)


def expect_an_officer(bank: Bank) -> None:
    stored = only(bank, "duty.appoint")
    assert stored.state == "done"
    held = bank.people.duties_of(bank.people.person_of_key(NEW.public))
    assert [each.duty for each in held] == [Duty.OFFICER]
    with bank.stores.ledger.sequencer.reading() as state:
        assert sum(grant.key == NEW.public.key for grant in state.grants.values()) == 1


# --- the last signature of a proposal without records ---


def propose_a_closer(bank: Bank) -> None:
    ann, _ = officers(bank)
    signed_once(bank, bank.appointments.appoint(Duty.CLOSER, NEW.public, until_ns=UNTIL_NS, maker=ann))


def expect_a_closer(bank: Bank) -> None:
    assert only(bank, "duty.appoint").state == "done"
    held = bank.people.duties_of(bank.people.person_of_key(NEW.public))
    assert [each.duty for each in held] == [Duty.CLOSER]


# --- the rotation of a key ---


def open_a_wallet(bank: Bank) -> None:
    records = [
        operations.open_account(903, account=SUSPENSE, currency=156, kind=AccountKind.SUSPENSE, operator=1),
        operations.open_account(
            904, account=WALLET, currency=156, kind=AccountKind.WALLET, suspense=SUSPENSE, operator=1
        ),
    ]
    for record in records:
        answers = bank.stores.ledger.signed_by(*bank.signers(world.DESK)).submit(record)
        assert answers["code"].tolist() == [0]


def rotate(bank: Bank) -> None:
    desk = bank.people.person_of_key(world.DESK.public)
    account = bank.stores.ledger.account(WALLET)
    if account.key == NEW.public.key and not account.debit_reasons:
        return
    proof = NEW.sign(proof_message(bank.stores.ledger.ledger_id, WALLET, account.key_epoch + 1, NEW.public))
    bank.keys.set(WALLET, NEW.public, proof, signers=bank.signers(world.DESK), who=desk)


def expect_the_new_key(bank: Bank) -> None:
    account = bank.stores.ledger.account(WALLET)
    assert (account.key, account.key_epoch, account.debit_reasons) == (NEW.public.key, 1, frozenset())
    assert Reason.RECOVERY not in account.credit_reasons
    assert [(row.epoch, row.state) for row in bank.keys.history(WALLET)] == [(1, "set")]


# --- withdrawing ---


def withdraw(bank: Bank) -> None:
    stored = only(bank, "duty.appoint")
    if stored.state == "open":
        bank.proposals.withdraw(stored.id, by=stored.proposal.maker)


def expect_withdrawn(bank: Bank) -> None:
    stored = only(bank, "duty.appoint")
    assert stored.state == "withdrawn"
    with reading(bank.stores.engine) as connection:
        assert connection.execute(sqlalchemy.select(INTENTS.c.id).where(INTENTS.c.id == stored.id)).first() is None


ACTIONS = {
    "a role": (propose_an_officer, sign_last, expect_an_officer),
    "a duty": (propose_a_closer, sign_last, expect_a_closer),
    "a key": (open_a_wallet, rotate, expect_the_new_key),
}


@killing.POSTGRESQL_IN_SOAK
@pytest.mark.parametrize("name", ["a role", "a key"])
def test_killed(server: str, tmp_path: Path, name: str) -> None:
    prepare, act, expect = ACTIONS[name]
    killing.check_kills(server, tmp_path, prepare, act, expect=expect)


def test_killed_on_each_database(server: str, tmp_path: Path) -> None:
    prepare, act, expect = ACTIONS["a duty"]
    killing.check_kills(server, tmp_path, prepare, act, expect=expect)


@pytest.mark.soak
@pytest.mark.parametrize("name", ACTIONS)
def test_killed_at_every_boundary(server: str, tmp_path: Path, name: str) -> None:
    prepare, act, expect = ACTIONS[name]
    killing.check_kills(server, tmp_path, prepare, act, expect=expect, every=True)


@killing.POSTGRESQL_IN_SOAK
def test_withdrawn_once(server: str, tmp_path: Path) -> None:
    """A withdrawal is one transaction: it happened or it did not."""
    with world.bank(server, tmp_path) as bank:
        propose_an_officer(bank)
        withdraw(bank)
        withdraw(bank)
        expect_withdrawn(bank)
        assert bank.check() == []
