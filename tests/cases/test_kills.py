"""Steps of cases are killed at their boundaries: afterwards case, claim and ledger agree."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.bank.killing import POSTGRESQL_IN_SOAK, check_kills
from tests.bank.world import ANN, BOB, NORTH
from tests.cases.office import CLEO, LEFT, PAID, prepare
from tests.wallets import world
from tests.wallets.world import town

from sycee.bank.bank import Bank
from sycee.core.records.proposal_format import Proposal

OPENED, HELD, UPHELD, REVERSED = 71, 72, 73, 74


def prepare_open(bank: Bank) -> None:
    prepare(bank)
    open_case(bank)


def prepare_held(bank: Bank) -> None:
    prepare_open(bank)
    hold(bank)


def prepare_spent(bank: Bank) -> None:
    prepare_open(bank)
    made = town(bank)
    spent = bank.payments.pay(made.shop, made.mia, 70_00, signers=made.operator, who=made.north)
    assert spent.is_paid


def cleo(bank: Bank) -> int:
    return bank.people.person_of_key(CLEO.public)


def open_case(bank: Bank) -> None:
    made = town(bank)
    line = bank.stores.ledger.statement(made.shop)[0]
    bank.cases.open("unauthorised", by=cleo(bank), payment=line.operation, text="a note", id=OPENED)


def hold(bank: Bank) -> None:
    bank.cases.act(1, "hold", who=cleo(bank), signers=bank.signers(NORTH), id=HELD)


def uphold(bank: Bank) -> None:
    bank.cases.act(1, "uphold", who=cleo(bank), signers=bank.signers(NORTH), id=UPHELD)


def reverse(bank: Bank) -> None:
    if not bank.cases.is_open(1):
        return
    if not bank.proposals.list("open"):
        proposal = bank.cases.act(1, "uphold", who=cleo(bank), id=REVERSED)
        assert isinstance(proposal, Proposal)
    stored = bank.proposals.get(REVERSED)
    bank.proposals.sign(
        REVERSED, *(key for key in (ANN, BOB) if bank.people.person_of_key(key.public) not in stored.signers)
    )


def is_open(bank: Bank) -> None:
    assert [(case.id, case.state) for case in bank.cases.list()] == [(OPENED, "opened")]


def is_held(bank: Bank) -> None:
    (case,) = bank.cases.list()
    assert (case.state, case.hold) == ("investigating", HELD)
    assert bank.stores.ledger.account(town(bank).shop).debits_pending == PAID


def is_upheld(bank: Bank) -> None:
    (case,) = bank.cases.list()
    assert case.state == "upheld"
    assert bank.stores.ledger.balance(town(bank).leo) == LEFT + PAID


def is_reversed(bank: Bank) -> None:
    (case,) = bank.cases.list()
    assert case.state == "upheld"
    (claim,) = bank.claims.list()
    assert (claim.minor, claim.state) == (70_00, "open")
    assert bank.stores.ledger.balance(town(bank).leo) == LEFT + 30_00


CALLS = {
    "open": (prepare, open_case, is_open),
    "hold": (prepare_open, hold, is_held),
    "uphold": (prepare_held, uphold, is_upheld),
    "reverse": (prepare_spent, reverse, is_reversed),
}


@pytest.mark.parametrize("name", ["hold", "uphold"])
def test_a_killed_step(tmp_path: Path, name: str) -> None:
    before, act, expect = CALLS[name]
    prepared = world.further("", tmp_path / "prepared", before)
    assert check_kills("", tmp_path, prepared, act, expect=expect) >= 4


@POSTGRESQL_IN_SOAK
def test_a_killed_return(server: str, tmp_path: Path) -> None:
    before, act, expect = CALLS["reverse"]
    prepared = world.further(server, tmp_path / "prepared", before)
    assert check_kills(server, tmp_path, prepared, act, expect=expect) >= 4


@pytest.mark.soak
@pytest.mark.parametrize("name", list(CALLS))
def test_a_step_killed_at_every_boundary(server: str, tmp_path: Path, name: str) -> None:
    before, act, expect = CALLS[name]
    prepared = world.further(server, tmp_path / "prepared", before)
    assert check_kills(server, tmp_path, prepared, act, expect=expect, every=True) >= 4
