"""A bank with two operators, four wallets that pay each other, and persons who close and countersign its days."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from functools import cache
from pathlib import Path

from tests.bank import world

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.keys import SigningKey
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind
from sycee.core.result_codes import Result
from sycee.day.calendar import cutoff_ns
from sycee.identity.duties import Duty

CAROL, DAVE = (SigningKey.derive(bytes([number]) * 32) for number in (41, 42))  # close, countersign
WALLETS = tuple(0xA0 + number for number in range(4))  # two of operator 2, two of operator 3
MONDAY = date(2026, 11, 2)
NORTH, SOUTH = 2, 3
KEYS = {NORTH: world.NORTH, SOUTH: world.SOUTH}


def person(bank: Bank, key: SigningKey) -> int:
    return bank.people.person_of_key(key.public)


def appoint(bank: Bank, duty: Duty, key: SigningKey) -> None:
    until_ns = world.START_NS + 365 * world.DAY_NS
    proposal = bank.appointments.appoint(duty, key.public, until_ns=until_ns, maker=person(bank, world.ANN))
    assert bank.proposals.sign(proposal.id, world.ANN, world.BOB).needs == ()


def prepare(bank: Bank) -> None:
    """Two operators with 1,000.00 each, of which each wallet gets 100.00; staff for the day."""
    ann, bob = world.ANN, world.BOB
    for name, operator in (("North Bank", NORTH), ("South Bank", SOUTH)):
        owner = ids.new(world.START_NS // 1_000_000)
        institution = bank.institutions.add("operator", name, by=person(bank, ann), owners={owner: 1_000_000})
        for kind in ("papers", "owners"):
            passed = bank.institutions.decide(institution, kind, "passed", maker=person(bank, ann))
            assert bank.proposals.sign(passed.id, ann, bob).needs == ()
        joined = bank.issuance.join(
            institution,
            quota_minor=5_000_00,
            key=KEYS[operator].public,
            until_ns=world.START_NS + 365 * world.DAY_NS,
            maker=person(bank, ann),
        )
        assert bank.proposals.sign(joined.id, ann, bob).needs == ()
        mint(bank, operator, 1_000_00)
    for wallet in WALLETS:
        operator = operator_of(wallet)
        record = operations.open_account(
            ids.new(world.START_NS // 1_000_000),
            account=wallet,
            currency=156,
            kind=AccountKind.WALLET,
            suspense=bank.registry.operator(operator).accounts.suspense,
            operator=operator,
        )
        signers = bank.signers(KEYS[operator])
        answers = bank.stores.ledger.signed_by(*signers).submit(record)
        assert answers["code"].tolist() == [Result.CREATED]
        fund(bank, operator, wallet, 100_00, f"OPEN-{wallet}")
    appoint(bank, Duty.CLOSER, CAROL)
    appoint(bank, Duty.COUNTERSIGNER, DAVE)


def operator_of(wallet: int) -> int:
    return NORTH if wallet < WALLETS[2] else SOUTH


def mint(bank: Bank, operator: int, minor: int) -> None:
    credit = bank.issuance.credit_reserves(operator, minor, maker=person(bank, world.ANN))
    assert bank.proposals.sign(credit.id, world.ANN, world.BOB).needs == ()
    made = bank.issuance.mint(operator, minor, maker=person(bank, world.ANN))
    assert bank.proposals.sign(made.id, world.ANN, world.BOB, KEYS[operator]).needs == ()


def fund(bank: Bank, operator: int, wallet: int, minor: int, reference: str, *, confirm: bool = True) -> int:
    key = KEYS[operator]
    outcome = bank.issuance.fund(operator, wallet, minor, reference, signers=bank.signers(key), who=person(bank, key))
    assert outcome.created
    funding = bank.issuance.funding(operator, reference).id
    if confirm:
        technical = bank.signers(world.technical(bank))
        assert bank.issuance.confirm(funding, signers=technical, who=person(bank, key)).created
    return funding


def pay(bank: Bank, payer: int, payee: int, minor: int, id: int = 0) -> int:
    """Pay, signed by the payer's operator, and return the operation."""
    id = id or ids.new(world.START_NS // 1_000_000)
    assert tried(bank, payer, payee, minor, id) is Result.CREATED
    return id


def tried(bank: Bank, payer: int, payee: int, minor: int, id: int = 0) -> Result:
    """Try to pay, and return the ledger's answer."""
    id = id or ids.new(world.START_NS // 1_000_000)
    record = operations.pay(id, payer=payer, payee=payee, amount=minor)
    signers = bank.signers(KEYS[operator_of(payer)])
    (code,) = bank.stores.ledger.signed_by(*signers).submit(record)["code"].tolist()
    return Result(code)


def after(bank: Bank, day: date) -> None:
    """Set the clock to the cut-off of a day."""
    bank.set_clock(cutoff_ns(day, "23:00", world.ZONE))


@cache
def _prepared() -> world.Copies:
    folder = Path(tempfile.mkdtemp(prefix="sycee-town-"))
    with world.bank("", folder) as bank:
        prepare(bank)
    return world.Copies(folder, "")


@contextmanager
def bank(folder: Path) -> Iterator[Bank]:
    """A fresh copy of the bank on SQLite."""
    _prepared().copy(folder)
    with Bank.open(folder / "bank") as made:
        yield made
