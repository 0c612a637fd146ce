"""A bank with a clearing house, three participants and two currencies, founded once per process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.bank import world
from tests.bank.world import ANN, BOB, NORTH, OTHERS, SOUTH, Copies
from tests.database.places import temporary_folder

from sycee.bank.bank import Bank
from sycee.clearing.positions import Funds
from sycee.core.arrays import Array
from sycee.core.keys import SigningKey
from sycee.core.records.proposal_format import Proposal
from sycee.core.result_codes import Result
from sycee.sequencer.signer import Signer, sign_records

HOUSE, EAST = OTHERS[0], OTHERS[1]
CNY, HKD = 156, 344
NORTH_BANK, SOUTH_BANK, HOUSE_OPERATOR, EAST_BANK = 2, 3, 4, 5
BANKS = {NORTH_BANK: NORTH, SOUTH_BANK: SOUTH, EAST_BANK: EAST}
CODES = {NORTH_BANK: "NORTCNB1XXX", SOUTH_BANK: "SOUTCNB1XXX", EAST_BANK: "EASTHKH1XXX"}
PREFUNDED = 100_00


def message_key(participant: int) -> SigningKey:
    """The key with which a participant signs messages."""
    return SigningKey.derive(bytes([60 + participant]) * 32)


def agree(bank: Bank, proposal: Proposal, *more: SigningKey) -> None:
    """Both officers sign, and whoever else must."""
    assert bank.proposals.sign(proposal.id, ANN, BOB, *more).needs == ()


@cache
def cleared_bank() -> Copies:
    """A closed bank with a house, and 100 yuan on each participant's position."""
    folder = temporary_folder()
    world.two_tiers("").copy(folder)
    with Bank.open(folder / "bank") as bank:
        for name, key in (("Clearing House", HOUSE), ("East Bank", EAST)):
            number = world.join(bank, name, key)
            world.mint(bank, number, world.MINTED, key)
        maker = bank.people.person_of_key(ANN.public)
        register = bank.clearing.register
        agree(bank, register.found(HOUSE_OPERATOR, maker=maker))
        agree(bank, register.add_currency("HKD", zone="Asia/Hong_Kong", maker=maker))
        for number in BANKS:
            key = message_key(number).public
            agree(bank, register.admit(number, CODES[number], key=key, currencies=("CNY", "HKD"), maker=maker))
            Place(bank).prefund(number, PREFUNDED)
    return Copies(folder, "")


@dataclass(frozen=True)
class Place:
    """The open bank, and what its persons do with the house."""

    bank: Bank

    @property
    def maker(self) -> int:
        return self.bank.people.person_of_key(ANN.public)

    def person(self, participant: int) -> int:
        return self.bank.people.person_of_key((BANKS | {HOUSE_OPERATOR: HOUSE})[participant].public)

    @property
    def signing(self) -> dict[str, list[Signer] | int]:
        """The house signs and asks."""
        return {"signers": self.bank.signers(HOUSE), "who": self.person(HOUSE_OPERATOR)}

    def prefund(self, participant: int, minor: int, *, id: int = 0) -> str:
        signers, who = self.bank.signers(BANKS[participant]), self.person(participant)
        outcome = self.bank.clearing.positions.prefund(participant, "CNY", minor, signers=signers, who=who, id=id)
        return "CREATED" if outcome.created else outcome.refusal.name

    def funds(self, participant: int, currency: int = CNY) -> Funds:
        return next(
            each
            for each in self.bank.clearing.positions.funds()
            if (each.position.participant, each.position.currency) == (participant, currency)
        )

    def vault(self, participant: int) -> int:
        return self.bank.stores.ledger.balance(self.bank.registry.operator(participant).accounts.vault)

    def reserve(self, participant: int) -> int:
        return self.bank.stores.ledger.balance(self.bank.registry.operator(participant).accounts.reserve)

    def submitted(self, made: Array, *keys: SigningKey) -> Result:
        """The ledger's code for a record that these persons sign, without the service."""
        ledger = self.bank.stores.ledger
        until_ns = self.bank.stores.clock.now_ns() + 10**12
        signed = sign_records(made, ledger.ledger_id, self.bank.signers(*keys), until_ns)
        return Result(int(ledger.sequencer.submit(made, signed)["code"][0]))


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    cleared_bank().copy(folder)
    with Bank.open(folder / "bank") as bank:
        yield Place(bank)
