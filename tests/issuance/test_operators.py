"""Operators of a live bank: they join, mint, redeem and leave, each step signed by those whom the ledger requires."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.bank import world
from tests.bank.killing import POSTGRESQL_IN_SOAK, check_kills

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.errors import NotFound, UsageError
from sycee.core.keys import SigningKey
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind, Block
from sycee.core.result_codes import Result
from sycee.identity.proposals import Missing
from sycee.issuance import tables
from sycee.sequencer.embedded import Signer

QUOTA = 5_000_000_00
ANN, BOB, DESK, NORTH, SOUTH = world.ANN, world.BOB, world.DESK, world.NORTH, world.SOUTH


@pytest.fixture
def bank(server: str, tmp_path: Path) -> Iterator[Bank]:
    with world.bank(server, tmp_path) as made:
        yield made


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Bank]:
    with world.bank("", tmp_path) as made:
        yield made


def person(bank: Bank, key: SigningKey) -> int:
    return bank.people.person_of_key(key.public)


def approved(bank: Bank, name: str, id: int = 0) -> int:
    """Return an institution that passed its due diligence; the owner is a person without duties."""
    owner = ids.new(world.START_NS // 1_000_000)
    institution = bank.institutions.add("operator", name, by=person(bank, ANN), owners={owner: 1_000_000}, id=id)
    for kind in ("papers", "owners"):
        proposal = bank.institutions.decide(institution, kind, "passed", maker=person(bank, ANN))
        assert bank.proposals.sign(proposal.id, ANN, BOB).needs == ()
    return institution


def join(bank: Bank, name: str = "North Bank", key: SigningKey = NORTH, quota: int = QUOTA, id: int = 0) -> Missing:
    institution = approved(bank, name)
    until_ns = world.START_NS + 365 * world.DAY_NS
    proposal = bank.issuance.join(
        institution, quota_minor=quota, key=key.public, until_ns=until_ns, maker=person(bank, ANN), id=id
    )
    return bank.proposals.sign(proposal.id, ANN, BOB)


def minted(bank: Bank, operator: int, minor: int, key: SigningKey = NORTH) -> Missing:
    credit = bank.issuance.credit_reserves(operator, minor, maker=person(bank, ANN))
    assert bank.proposals.sign(credit.id, ANN, BOB).needs == ()
    mint = bank.issuance.mint(operator, minor, maker=person(bank, ANN))
    return bank.proposals.sign(mint.id, ANN, BOB, key)


def open_wallet(bank: Bank, operator: int, key: SigningKey) -> int:
    wallet = ids.new(world.START_NS // 1_000_000)
    record = operations.open_account(
        ids.new(world.START_NS // 1_000_000),
        account=wallet,
        currency=156,
        kind=AccountKind.WALLET,
        suspense=bank.registry.operator(operator).accounts.suspense,
        operator=operator,
        rule_set=bank.wallet_classes()["class-2"],
    )
    answers = bank.stores.ledger.signed_by(*bank.signers(key)).submit(record)
    assert answers["code"].tolist() == [Result.CREATED]
    return wallet


@POSTGRESQL_IN_SOAK
def test_an_operator_joins_and_mints(bank: Bank) -> None:
    signed = join(bank)
    assert signed.outcome is not None
    assert signed.outcome.created
    row = bank.registry.operator(2)
    assert (row.state, row.number) == (tables.ACTIVE, 2)
    assert minted(bank, 2, 1_000_000_00).needs == ()
    with bank.stores.ledger.sequencer.reading() as state:
        assert state.account(row.accounts.vault).balance == 1_000_000_00
        assert state.supply(156) == state.account(bank.registry.issuer.converted).balance == 1_000_000_00
        assert state.account(row.accounts.transit).operator == 0
    assert bank.check() == []


def test_two_officers_and_the_operator_sign_a_mint(small: Bank) -> None:
    join(small)
    proposal = small.issuance.mint(2, 100, maker=person(small, ANN))
    assert small.proposals.sign(proposal.id, ANN).needs != ()
    assert small.proposals.sign(proposal.id, NORTH).needs != ()
    done = small.proposals.sign(proposal.id, BOB)
    assert done.needs == ()
    assert done.outcome is not None
    assert done.outcome.refusal is Result.EXCEEDS_BALANCE  # no reserves yet


def test_a_third_operator_joins_while_payments_run(small: Bank) -> None:
    join(small)
    minted(small, 2, 1_000_00)
    wallet = open_wallet(small, 2, NORTH)
    signers, who = small.signers(NORTH), person(small, NORTH)
    for number, (name, key) in enumerate((("South Bank", SOUTH), ("East Bank", world.OTHERS[0])), 3):
        funded = small.issuance.fund(2, wallet, 100, f"N-{number}", signers=signers, who=who)
        assert funded.created
        assert join(small, name, key).needs == ()
        assert small.registry.operator(number).state == tables.ACTIVE
        assert small.registry.operator(number).quota_rule_set == small.registry.operator(2).quota_rule_set + number - 2
    assert small.check() == []


def test_a_refused_record_leaves_no_active_operator(small: Bank) -> None:
    institution = approved(small, "North Bank")
    until_ns = world.START_NS + 365 * world.DAY_NS
    maker = person(small, ANN)
    proposal = small.issuance.join(institution, quota_minor=QUOTA, key=NORTH.public, until_ns=until_ns, maker=maker)
    # Another grant of the same key comes first, so the ledger refuses the last record of the seven others.
    grant = operations.grant_role(
        ids.new(1), person=77, role=2, key=NORTH.public.key, flags=NORTH.public.flags, from_ns=0, until_ns=until_ns,
        operator=99,
    )  # fmt: skip
    assert small.stores.ledger.signed_by(*world.officers(small)).submit(grant)["code"].tolist() == [Result.CREATED]
    signed = small.proposals.sign(proposal.id, ANN, BOB)
    assert signed.outcome is None or not signed.outcome.created
    assert small.registry.operator(2).state in (tables.JOINING, tables.REFUSED)
    with pytest.raises(UsageError, match="only an active operator"):
        small.issuance.mint(2, 1, maker=maker)
    assert small.check() == []


def test_quota_and_cap_refuse_with_their_codes(small: Bank) -> None:
    join(small, quota=1_000)
    over = minted(small, 2, 1_001)
    assert over.outcome is not None
    assert over.outcome.refusal is Result.EXCEEDS_BALANCE_LIMIT
    cap = small.issuance.change_cap(600, effective_ns=world.START_NS + world.HOUR_NS, maker=person(small, ANN))
    assert small.proposals.sign(cap.id, ANN, BOB).needs == ()
    small.set_clock(world.START_NS + 2 * world.HOUR_NS)
    within = small.issuance.mint(2, 600, maker=person(small, ANN))
    signed = small.proposals.sign(within.id, ANN, BOB, NORTH)
    assert signed.outcome is not None
    assert signed.outcome.created
    second = small.issuance.mint(2, 1, maker=person(small, ANN))
    signed = small.proposals.sign(second.id, ANN, BOB, NORTH)
    assert signed.outcome is not None
    assert signed.outcome.refusal is Result.EXCEEDS_DAY_LIMIT
    with pytest.raises(UsageError, match="at least 1 minor unit"):
        small.issuance.change_cap(0, effective_ns=world.START_NS + world.DAY_NS, maker=person(small, ANN))


@POSTGRESQL_IN_SOAK
def test_an_operator_leaves(bank: Bank) -> None:
    join(bank)
    minted(bank, 2, 500)
    north = {"signers": bank.signers(NORTH), "who": person(bank, NORTH)}
    fields = {"name": "Ned", "phone": "+86 138 0000 0003"}
    wallet = bank.wallets.open_person(fields, operator=2, tier="class-4", **north).account
    maker = person(bank, ANN)
    with pytest.raises(UsageError, match=f"has open wallets, such as {ids.format(wallet)}"):
        bank.issuance.leave(2, maker=maker)
    bank.changes.close(wallet, **north)
    assert bank.proposals.sign(bank.issuance.leave(2, maker=maker).id, ANN, BOB, NORTH).needs == ()
    assert bank.registry.operator(2).state == tables.LEAVING
    with pytest.raises(UsageError, match="holds 500 minor units"):
        bank.issuance.leave(2, maker=maker)
    redeemed = bank.issuance.redeem(2, 500, maker=person(bank, NORTH))
    assert bank.proposals.sign(redeemed.id, NORTH, DESK).needs == ()
    assert bank.proposals.sign(bank.issuance.leave(2, maker=maker).id, ANN, BOB, NORTH).needs == ()
    row = bank.registry.operator(2)
    assert row.state == tables.LEFT
    with bank.stores.ledger.sequencer.reading() as state:
        assert state.supply(156) == 0
        for account in (row.accounts.vault, row.accounts.reserve, row.accounts.transit):
            assert state.account(account).blocks & Block.CLOSED
    duty = next(each for each in bank.people.holders() if each.operator == 2)
    assert bank.proposals.sign(bank.appointments.dismiss(duty.id, maker=maker).id, ANN, BOB).needs == ()
    assert bank.check() == []


def test_the_technical_key_moves_no_reserves(small: Bank) -> None:
    join(small)
    minted(small, 2, 1_000)
    issuer, accounts = small.registry.issuer, small.registry.operator(2).accounts
    technical = next(each.person for each in small.people.holders() if each.operator == 0)
    ledger = small.stores.ledger.signed_by(Signer(technical, world.technical(small)))
    for source, target in ((issuer.converted, accounts.reserve), (accounts.vault, issuer.suspense)):
        answers = ledger.submit(operations.transfer(ids.new(3), debit=source, credit=target, amount=1))
        assert answers["code"].tolist() == [Result.NOT_AUTHORISED]


@POSTGRESQL_IN_SOAK
def test_money_goes_to_a_wallet_and_back(bank: Bank) -> None:
    join(bank)
    minted(bank, 2, 1_000)
    wallet, who = open_wallet(bank, 2, NORTH), person(bank, NORTH)
    north, zero = (
        bank.signers(NORTH),
        [Signer(next(each.person for each in bank.people.holders() if each.operator == 0), world.technical(bank))],
    )
    sent = bank.issuance.fund(2, wallet, 300, "N-1", signers=north, who=who)
    assert sent.created
    with pytest.raises(UsageError, match="has the reference 'N-1' already"):
        bank.issuance.fund(2, wallet, 300, "N-1", signers=north, who=who)
    funding = bank.issuance.funding(2, "N-1")
    assert funding.state == tables.SENT
    assert bank.issuance.confirm(funding.id, signers=zero, who=who).created
    again = bank.issuance.confirm(funding.id, signers=zero, who=who)
    assert again.refusal is Result.TRANSIT_DONE
    assert bank.issuance.funding(2, "N-1").state == tables.CONFIRMED

    bank.issuance.fund(2, wallet, 200, "N-2", signers=north, who=who)
    rejected = bank.issuance.funding(2, "N-2")
    assert bank.issuance.reject(rejected.id, signers=zero, who=who).created
    refused = bank.issuance.fund(2, wallet, 10_000, "N-3", signers=north, who=who)
    assert refused.refusal is Result.EXCEEDS_BALANCE
    assert (bank.issuance.funding(2, "N-3").state, bank.issuance.funding(2, "N-3").reason) == (
        tables.REFUSED, "EXCEEDS_BALANCE",
    )  # fmt: skip
    # A refused payment of the bank may be made again under its reference.
    assert bank.issuance.fund(2, wallet, 1, "N-3", signers=north, who=who).created
    with bank.stores.ledger.sequencer.reading() as state:
        assert state.account(wallet).balance == 300
        assert state.account(bank.registry.operator(2).accounts.vault).balance == 699
    assert bank.check() == []


def test_many_wallets_are_funded_at_once(bank: Bank) -> None:
    join(bank)
    minted(bank, 2, 1_000)
    wallet, who = open_wallet(bank, 2, NORTH), person(bank, NORTH)
    north, zero = bank.signers(NORTH), bank.technical_signers()
    rows = [(wallet, 20 + number, f"N-{number}") for number in range(20)]  # more than one group of intents
    outcomes = bank.issuance.fund_many(2, [*rows, (wallet, 5_000, "N-20")], signers=north, who=who)
    assert [each.created for each in outcomes] == [True] * 20 + [False]
    with pytest.raises(UsageError, match="has the reference 'N-3' already"):
        bank.issuance.fund_many(2, [(wallet, 1, "N-3")], signers=north, who=who)
    sent = [each.id for each in bank.issuance.fundings(tables.SENT)]
    assert len(sent) == 20
    with pytest.raises(NotFound, match="has sent no funding"):
        bank.issuance.confirm_many(2, [*sent, ids.new(1)], signers=zero, who=who)
    with pytest.raises(UsageError):
        bank.issuance.confirm_many(3, sent, signers=zero, who=who)
    assert all(each.created for each in bank.issuance.confirm_many(2, sent, signers=zero, who=who))
    with bank.stores.ledger.sequencer.reading() as state:
        assert state.account(wallet).balance == sum(minor for _, minor, _ in rows)
    assert bank.check() == []


def prepare_joined(bank: Bank) -> None:
    join(bank)
    minted(bank, 2, 1_000)


def act_join(bank: Bank) -> None:
    institution = next((each.id for each in bank.institutions.list("operator")), 0) or approved(bank, "North", 11)
    if bank.registry.operators(tables.ACTIVE):
        return
    try:
        stored = bank.proposals.get(12)
    except UsageError:
        until_ns = world.START_NS + 365 * world.DAY_NS
        bank.issuance.join(
            institution, quota_minor=QUOTA, key=NORTH.public, until_ns=until_ns, maker=person(bank, ANN), id=12
        )
        stored = bank.proposals.get(12)
    keys = [key for key in (ANN, BOB) if person(bank, key) not in stored.signers]
    bank.proposals.sign(12, *keys)


def prepare_approved(bank: Bank) -> None:
    approved(bank, "North", 11)


def expect_joined(bank: Bank) -> None:
    assert [row.state for row in bank.registry.operators()] == [tables.ACTIVE]


def act_fund(bank: Bank) -> None:
    accounts = bank.registry.operator(2).accounts
    bank.issuance.fund(2, accounts.suspense, 10, "N-1", signers=bank.signers(NORTH), who=person(bank, NORTH), id=21)


def expect_funded(bank: Bank) -> None:
    assert [(each.state, each.minor) for each in bank.issuance.fundings()] == [(tables.SENT, 10)]


@POSTGRESQL_IN_SOAK
def test_kills_while_an_operator_joins(server: str, tmp_path: Path) -> None:
    assert check_kills(server, tmp_path, prepare_approved, act_join, expect=expect_joined) >= 4


@POSTGRESQL_IN_SOAK
def test_kills_while_a_wallet_is_funded(server: str, tmp_path: Path) -> None:
    assert check_kills(server, tmp_path, prepare_joined, act_fund, expect=expect_funded) >= 4
