"""A bank with a clearing house, three participants and two currencies, founded once per process."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from tests.bank import world
from tests.bank.world import ANN, BOB, NORTH, OTHERS, SOUTH, Copies
from tests.database.places import maintenance, temporary_folder

from sycee.bank.bank import Bank
from sycee.clearing import chains, instructions
from sycee.clearing.instructions import Instructions, Receipt, uetr_bytes
from sycee.clearing.positions import Funds
from sycee.clearing.sets import Settled
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
def cleared_bank(server: str = "") -> Copies:
    """A closed bank with a house, and 100 yuan on each participant's position. `server`: as `world.founded`."""
    folder = temporary_folder()
    options = world.two_tiers(server).copy(folder)
    with Bank.open(folder / "bank", options=options) as bank:
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
    return Copies(folder, options.get("database", ""))


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

    def send(self, sender: int, *sent: Sent, business_id: str = "", key: SigningKey | None = None) -> Receipt:
        """Deliver one message of a participant with these payments."""
        made = instructions_of(sent, business_id or f"MSG-{sender}-{sent[0].number}")
        content = repr((made.business_ids, sent)).encode()
        ledger_id = self.bank.stores.ledger.ledger_id
        signature = instructions.sign(content, key or message_key(sender), ledger_id=ledger_id, participant=sender)
        return self.bank.clearing.receiving.receive(
            sender, content, signature, made, kind="pacs.009", who=self.person(sender)
        )

    def release(self, **named: int) -> tuple[int, int, int]:
        found = self.bank.clearing.gross.release(**self.signing, **named)  # type: ignore[arg-type]
        return found.payments, found.minor, found.refused

    def settle(self, **named: Any) -> Settled:
        return self.bank.clearing.sets.settle(**self.signing, **named)  # type: ignore[arg-type]

    def balances(self, currency: int = CNY) -> list[int]:
        """What is on the positions of North, South and East."""
        return [self.funds(each, currency).minor for each in (NORTH_BANK, SOUTH_BANK, EAST_BANK)]

    def states(self, *numbers: int) -> list[str]:
        return [self.bank.clearing.payments.get(uetr(each)).state for each in numbers]

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
def place(folder: Path, where: str = "", **settings: str) -> Iterator[Place]:
    """A fresh copy of the bank, opened with other settings. `where`: as the fixture `server`."""
    options = cleared_bank(maintenance(where) if "://" in where else "").copy(folder) | settings
    with Bank.open(folder / "bank", options=options) as bank:
        yield Place(bank)


def uetr(number: int) -> str:
    """The UETR of a test's payment of this number: a UUID of version 4."""
    return str(uuid.UUID(int=number << 80 | 0x4000_8000 << 48 | number))


@dataclass(frozen=True)
class Sent:
    """A payment of a test. `back`: currency and amount that come back; `passes`: BICs of its chain, if it crosses."""

    number: int
    receiver: int
    minor: int
    currency: int = CNY
    back: tuple[int, int] = (0, 0)
    priority: int = 4
    from_ns: int = 0
    until_ns: int = 0
    original: int = 0
    passes: tuple[str, ...] = ()


def instructions_of(sent: Sequence[Sent], business_id: str) -> Instructions:
    """The payments of one message."""

    def column(values: Iterable[int]) -> Array:
        return np.array(list(values), np.int64)

    return Instructions(
        uetr_bytes([uetr(each.number) for each in sent]),
        [business_id],
        np.zeros(len(sent), np.int64),
        column(each.receiver for each in sent),
        column(each.currency for each in sent),
        column(each.minor for each in sent),
        priorities=column(each.priority for each in sent),
        back_currencies=column(each.back[0] for each in sent),
        back_amounts=column(each.back[1] for each in sent),
        from_ns=column(each.from_ns for each in sent),
        until_ns=column(each.until_ns for each in sent),
        originals=column(each.original for each in sent),
        chains={row: chains.of_codes(each.passes) for row, each in enumerate(sent) if each.passes},
    )
