"""A ledger with two officers and two operators, a wallet with own money and a packet, and the life events."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy.engine import Connection
from tests.database.places import temporary_folder
from tests.personal.world import ACCESS, ANN, BOB, CASE, NOON, WANG
from tests.personal.world import World as PersonalWorld
from tests.personal.world import world as personal_world

from sycee.core import ids
from sycee.core.clock import SimulatedClock
from sycee.core.keys import SigningKey
from sycee.core.limits import I64_MAX
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind
from sycee.core.records.signed_messages import proof_message
from sycee.core.result_codes import Result
from sycee.database import tables as database_tables
from sycee.database.migrations import upgrade
from sycee.database.stores import Stores
from sycee.database.transactions import write
from sycee.identity import tables as identity_tables
from sycee.identity.key_register import KeyRegister
from sycee.identity.people import People
from sycee.identity.proposals import Proposals
from sycee.issuance.signing import grants
from sycee.life import rules
from sycee.life import tables as life_tables
from sycee.life.service import Life
from sycee.personal.two_person_orders import Orders
from sycee.sequencer.embedded import Ledger, Signer

CNY = 156
DATABASE = "kept.db"
MS = NOON // 10**6
YEAR_NS = 366 * 86_400 * 10**9
LIMITS, RECOVERY, PROGRAMME_RULES = 1, 2, 10_000
RECOVERY_GROUP, SHOPS = 1, 2

ANNA, BERT, OTTO, OLGA = (Signer(number, SigningKey.derive(bytes([number]) * 32)) for number in (1, 2, 3, 4))
OLD_KEY, NEW_KEY = SigningKey.derive(b"\7" * 32), SigningKey.derive(b"\10" * 32, "p256")
NEXT_KEY = SigningKey.derive(b"\11" * 32, "p256")
ISSUANCE, SUSPENSE, WALLET, SECOND, OTHER, SHOP, BANK, TRANSIT = (
    ids.to_int(each) for each in ids.derive(b"life", "accounts", 8, time_ms=MS)
)
BY_OTTO = type(ACCESS)(OTTO.id, ACCESS.reason, CASE)


class Wallets:
    """Holders of wallets: ANN has two at operator 1 and one at operator 2."""

    HOLDERS = ((WALLET, ANN), (SECOND, ANN), (OTHER, ANN))

    def holder_of(self, account: int) -> int:
        return dict(self.HOLDERS)[account]

    def accounts_of(self, person: int) -> list[int]:
        return [account for account, holder in self.HOLDERS if holder == person]


def proof_of(ledger: Ledger, account: int, key: SigningKey, epoch: int) -> bytes:
    """Return the signature with which a new key proves that its owner has it."""
    return key.sign(proof_message(ledger.ledger_id, account, epoch, key.public))


@dataclass
class World:
    """A bank with one customer."""

    personal: PersonalWorld
    ledger: Ledger
    stores: Stores
    proposals: Proposals
    orders: Orders
    keys: KeyRegister
    life: Life

    @property
    def clock(self) -> SimulatedClock:
        return self.personal.clock

    def pay(self, amount: int, key: SigningKey, *, payee: int = SHOP, flags: int = 0) -> Result:
        """Pay from the wallet with a key; return the ledger's code."""
        epoch = self.ledger.account(WALLET).key_epoch
        record = operations.pay(self.ledger.new_id(), payer=WALLET, payee=payee, amount=amount, flags=flags)
        return self.submit(record, Signer(WALLET, key, currency=CNY, key_epoch=epoch))

    def submit(self, record: np.ndarray, *signers: Signer) -> Result:
        answers = self.ledger.signed_by(*signers).submit(record)
        return Result(int(answers["code"][-1]))

    def lose(self, **changes: Any) -> Any:
        """Replace the key of the wallet: by NEW_KEY, or by NEXT_KEY if that is lost."""
        account = self.ledger.account(WALLET)
        key = changes.pop("key", NEXT_KEY if account.key == NEW_KEY.public.key else NEW_KEY)
        proof = proof_of(self.ledger, WALLET, key, account.key_epoch + 1)
        arguments = {"evidence": BY_OTTO, "signers": [OTTO], **changes}
        return self.life.phone_lost(WALLET, key.public, arguments.pop("proof", proof), **arguments)

    def disagreements(self) -> list[str]:
        return list(self.life.disagreements())


def opening() -> np.ndarray:
    """Return the first frame: accounts, rule sets, own money of 100, and a programme with one packet of 50."""
    fresh = iter(ids.to_int(each) for each in ids.derive(b"life", "opening", 40, time_ms=MS))
    member = ids.derive(b"life", "member", 1, time_ms=MS)
    seal = next(fresh)

    def account(name: int, kind: AccountKind, operator: int, rule_set: int = 0) -> np.ndarray:
        suspense = 0 if kind in (AccountKind.SUSPENSE, AccountKind.ISSUANCE) else SUSPENSE
        return operations.open_account(
            next(fresh), account=name, currency=CNY, kind=kind, suspense=suspense, operator=operator, rule_set=rule_set
        )

    records = [
        operations.define_currency(next(fresh), currency=CNY, zone="Asia/Shanghai"),
        rules.recovery_records(next(fresh), next(fresh), group=RECOVERY_GROUP, rule_set=RECOVERY),
        operations.define_rule_set(
            next(fresh), rule_set=LIMITS, from_ns=0, until_ns=I64_MAX, balance_max=1_000_000, single_max=200_000
        ),
        operations.define_group(next(fresh), group=SHOPS),
        account(SUSPENSE, AccountKind.SUSPENSE, 0),
        account(ISSUANCE, AccountKind.ISSUANCE, 0),
        *(account(name, AccountKind.WALLET, 1, LIMITS) for name in (WALLET, SECOND)),
        account(OTHER, AccountKind.WALLET, 2, LIMITS),
        account(SHOP, AccountKind.MERCHANT, 2),
        account(BANK, AccountKind.VAULT, 1),
        account(TRANSIT, AccountKind.IN_TRANSIT, 1),
        operations.join_group(next(fresh), group=SHOPS, account=SHOP),
        operations.transfer(next(fresh), debit=ISSUANCE, credit=WALLET, amount=100),
        operations.transfer(next(fresh), debit=ISSUANCE, credit=BANK, amount=1_000),
        operations.define_rule_set(
            next(fresh), rule_set=PROGRAMME_RULES, from_ns=0, until_ns=NOON + YEAR_NS, groups=[SHOPS],
            return_account=BANK,
        ),
        operations.open_programme(
            next(fresh), programme=1, funder=BANK, rule_set=PROGRAMME_RULES, members=1, claim_from_ns=0,
            claim_until_ns=NOON + YEAR_NS,
        ),
        operations.add_members(ids.derive(b"life", "add", 1, time_ms=MS), programme=1, members=member),
        operations.seal_cohort(seal, programme=1, digest=operations.cohort_digest(member)),
        operations.drop(next(fresh), programme=1, first=0, count=1, amount=50, seal=seal),
        operations.claim(next(fresh), programme=1, member=0, member_id=ids.to_int(member[0]), wallet=WALLET),
        operations.set_key(next(fresh), account=WALLET, key=OLD_KEY.public.key, flags=OLD_KEY.public.flags),
        grants(
            ids.derive(b"life", "roles", 4, time_ms=MS), officers=(ANNA, BERT), operators={1: OTTO, 2: OLGA},
            from_ns=0, until_ns=NOON + YEAR_NS,
        ),
    ]  # fmt: skip
    return np.concatenate(records)


@contextmanager
def world(where: str, folder: Path) -> Iterator[World]:
    """Open, or create, a bank in a folder."""
    with personal_world(where, folder) as personal:
        for schema in (database_tables.SCHEMA, identity_tables.SCHEMA, life_tables.SCHEMA):
            upgrade(personal.engine, schema)
        with Ledger.open(folder / "bank", clock=personal.clock) as ledger:
            stores = Stores.of(ledger, personal.engine, personal.clock)
            people = People(stores)
            personal.log._duties = personal.register._duties = people
            proposals = Proposals(stores, people)
            orders = Orders(stores, proposals, personal.cases, personal.retention.rules)
            keys = KeyRegister(stores, people)
            life = Life(stores, personal.register, people, keys, Wallets(), proposals)
            if not ledger.sequencer.durable_sequence:
                answers = ledger.submit(opening())
                assert {Result(code) for code in answers["code"].tolist()} == {Result.CREATED}
                write(personal.engine, lambda connection: numbers(stores, connection))
                personal.store(ANN, WANG)
                personal.store(BOB, {"name": "Bob", "phone": "13900139000"})
            yield World(personal, ledger, stores, proposals, orders, keys, life)


def numbers(stores: Stores, connection: Connection) -> None:
    """Allocate the numbers that `opening` uses."""
    for owner, number in (("tiers", LIMITS), (rules.RECOVERY_OWNER, RECOVERY)):
        assert stores.numbers.allocate(connection, stores.numbers.RULE_SETS, owner) == number


@contextmanager
def small_world(folder: Path) -> Iterator[World]:
    """Open a bank on SQLite in a folder: a copy of one that each process makes once."""
    shutil.copytree(_closed_world(), folder, dirs_exist_ok=True)
    with world(str(folder / DATABASE), folder) as made:
        yield made


@cache
def _closed_world() -> Path:
    folder = temporary_folder()
    with world(str(folder / DATABASE), folder):
        return folder
