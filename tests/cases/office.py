"""A town in which Leo paid the tea house, and a caseworker. It is prepared once per process and kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tests.bank.world import ANN, BOB, DAY_NS, OTHERS, START_NS, Copies
from tests.database.places import drop_database, temporary_folder
from tests.wallets import world
from tests.wallets.world import LEO_KEY

from sycee.bank.bank import Bank
from sycee.cases.service import Case
from sycee.core.keys import SigningKey
from sycee.core.records.proposal_format import Proposal
from sycee.identity.duties import Duty

CLEO: SigningKey = OTHERS[5]
PAID = 100_00
LEFT = 400_00  # Leo's money after the payment


class Office:
    """The town after Leo's payment to the tea house."""

    def __init__(self, bank: Bank) -> None:
        self.town, self.bank = world.town(bank), bank
        self.cleo = bank.people.person_of_key(CLEO.public)
        self.payment = bank.stores.ledger.statement(self.town.shop)[0].operation

    def open(self, kind: str = "unauthorised", **others: object) -> int:
        given = {"by": self.cleo, "payment": self.payment} | others
        return self.bank.cases.open(kind, **given)  # type: ignore[arg-type]

    def act(self, number: int, step: str, **others: object) -> Case | Proposal:
        given = {"who": self.cleo, "signers": self.town.operator} | others
        return self.bank.cases.act(number, step, **given)  # type: ignore[arg-type]

    def spend(self, minor: int) -> None:
        """Let the tea house pay money to Mia."""
        paid = self.bank.payments.pay(
            self.town.shop, self.town.mia, minor, signers=self.town.operator, who=self.town.north
        )
        assert paid.is_paid

    def signed(self, proposal: Case | Proposal) -> None:
        """Let both officers sign."""
        assert isinstance(proposal, Proposal)
        assert self.bank.proposals.sign(proposal.id, ANN, BOB).needs == ()

    def what(self, number: int) -> list[str]:
        return [event.what for event in self.bank.cases.events(number)]


def prepare(bank: Bank) -> None:
    """Appoint the caseworker, and let Leo pay the tea house."""
    town, maker = world.town(bank), bank.people.person_of_key(ANN.public)
    proposal = bank.appointments.appoint(Duty.CASEWORKER, CLEO.public, until_ns=START_NS + 700 * DAY_NS, maker=maker)
    assert bank.proposals.sign(proposal.id, ANN, BOB).needs == ()
    leo = {"signers": town.signer(town.leo, LEO_KEY), "who": town.holder(town.leo)}
    assert bank.payments.pay(town.leo, town.shop, PAID, text="tea", **leo).is_paid


@cache
def prepared(server: str) -> Copies:
    """A closed office. `server`: as for `world.settled`."""
    return world.further(server, temporary_folder(), prepare)


@contextmanager
def office(server: str, folder: Path) -> Iterator[Office]:
    """A fresh office in `folder` / "bank"."""
    options = prepared(server).copy(folder)
    with Bank.open(folder / "bank", options=options) as bank:
        yield Office(bank)
    drop_database(options.get("database", ""))
