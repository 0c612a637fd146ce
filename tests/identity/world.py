"""A bank's ledger and database with its people: enough for the tests of identity.

Ann, Bob and Eve are officers of the board, the desk signs for operator 1, North for operator 2, Wu is a witness. Cleo
is a compliance person, Carl a clerk of operator 2. The mint of `issue` needs two officers and North.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import sqlalchemy
from sqlalchemy.engine import Connection
from tests.database.places import opened, temporary_folder

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import SimulatedClock
from sycee.core.keys import SigningKey
from sycee.core.limits import I64_MAX
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind, Role
from sycee.core.records.proposal_format import Proposal
from sycee.core.result_codes import Result
from sycee.database import tables as database_tables
from sycee.database.actions import Intent
from sycee.database.migrations import upgrade
from sycee.database.stores import Stores
from sycee.database.transactions import write
from sycee.identity import tables
from sycee.identity.appointments import Appointments
from sycee.identity.duties import Duty
from sycee.identity.institutions import Institutions
from sycee.identity.key_register import KeyRegister
from sycee.identity.people import HeldDuty, People
from sycee.identity.proposals import Proposals
from sycee.sequencer.embedded import Ledger, Signer

START_NS: Final = 1_793_580_000 * 10**9  # 2026-11-02
YEAR_NS: Final = 365 * 86_400 * 10**9
HOUR_NS: Final = 3_600 * 10**9
CNY, BOOK = 156, 1
DATABASE: Final = "world.db"

ANN, BOB, EVE, DESK, NORTH, WU, CLEO, CARL, ZERO, SOUTH = range(1, 11)
ISSUANCE, SUSPENSE, VAULT, RESERVE, CONVERTED, RESERVE_ISSUANCE, RESERVE_SUSPENSE, WALLET, SHOP = range(101, 110)

KEYS: Final = {
    person: SigningKey.derive(bytes([person]) * 32, "p256" if person in (BOB, NORTH) else "ed25519")
    for person in (ANN, BOB, EVE, DESK, NORTH, WU, CLEO, CARL, ZERO, SOUTH)
}
STRANGER: Final = SigningKey.derive(bytes([99]) * 32)
WALLET_KEY: Final = SigningKey.derive(bytes([98]) * 32, "p256")
GRANTS: Final = {
    ANN: (Duty.OFFICER, None), BOB: (Duty.OFFICER, None), EVE: (Duty.OFFICER, None), DESK: (Duty.OPERATOR, 1),
    NORTH: (Duty.OPERATOR, 2), SOUTH: (Duty.OPERATOR, 3), ZERO: (Duty.OPERATOR, 0), WU: (Duty.WITNESS, None),
}  # fmt: skip
ROLES: Final = {Duty.OFFICER: Role.OFFICER, Duty.OPERATOR: Role.OPERATOR, Duty.WITNESS: Role.WITNESS}
ROWS: Final = {CLEO: (Duty.COMPLIANCE, 0), CARL: (Duty.CLERK, 1_002)}
BANKS: Final = {1_002: ("North Bank", 2), 1_003: ("South Bank", 3)}


class Noted:
    """An action that notes what it was told, for actions whose own packages are above identity."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.done_ids: list[int] = []
        self.lapsed_ids: list[int] = []

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        self.done_ids.append(intent.id)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        self.lapsed_ids.append(intent.id)


def opening() -> Array:
    """Return the first frame: currencies, accounts and grants."""
    accounts = [
        (ISSUANCE, CNY, AccountKind.ISSUANCE, 0, 0), (SUSPENSE, CNY, AccountKind.SUSPENSE, 0, 2),
        (RESERVE_ISSUANCE, BOOK, AccountKind.ISSUANCE, 0, 0), (RESERVE_SUSPENSE, BOOK, AccountKind.SUSPENSE, 0, 0),
        (VAULT, CNY, AccountKind.VAULT, SUSPENSE, 2), (RESERVE, BOOK, AccountKind.RESERVE, RESERVE_SUSPENSE, 2),
        (CONVERTED, BOOK, AccountKind.RESERVE, RESERVE_SUSPENSE, 1), (WALLET, CNY, AccountKind.WALLET, SUSPENSE, 2),
        (SHOP, CNY, AccountKind.MERCHANT, SUSPENSE, 2),
    ]  # fmt: skip
    records = [
        operations.define_currency(201, currency=CNY, zone="Asia/Shanghai"),
        operations.define_currency(202, currency=BOOK, zone="Asia/Shanghai"),
    ]
    for number, (account, currency, kind, suspense, operator) in enumerate(accounts, 210):
        records.append(
            operations.open_account(
                number, account=account, currency=currency, kind=kind, suspense=suspense, operator=operator
            )
        )
    records.append(operations.transfer(230, debit=RESERVE_ISSUANCE, credit=RESERVE, amount=1_000_000))
    records.append(operations.transfer(231, debit=ISSUANCE, credit=WALLET, amount=100_000))
    records.append(operations.set_key(232, account=WALLET, key=WALLET_KEY.public.key, flags=WALLET_KEY.public.flags))
    records += [
        operations.grant_role(
            240 + person, person=person, role=ROLES[duty], key=KEYS[person].public.key, flags=KEYS[person].public.flags,
            from_ns=0, until_ns=I64_MAX, operator=operator or 0,
        )
        for person, (duty, operator) in GRANTS.items()
    ]  # fmt: skip
    return np.concatenate(records)


class World:
    """A ledger, a database, and the services of identity."""

    def __init__(self, folder: Path, engine: sqlalchemy.Engine) -> None:
        self.engine = engine
        self.clock = SimulatedClock(START_NS)
        self.ledger = Ledger.open(folder / "ledger", clock=self.clock)
        if self.ledger.result_of(201) is None:
            codes = self.ledger.submit(opening())["code"].tolist()
            assert set(codes) == {Result.CREATED}, codes
        upgrade(engine, database_tables.SCHEMA)
        upgrade(engine, tables.SCHEMA)
        self.stores = Stores.of(self.ledger, engine, self.clock)
        self.people = People(self.stores)
        self.proposals = Proposals(self.stores, self.people)
        self.institutions = Institutions(self.stores, self.people, self.proposals)
        self.appointments = Appointments(self.stores, self.people, self.institutions, self.proposals)
        self.keys = KeyRegister(self.stores, self.people)
        self.actions = {name: Noted(name) for name in ("mint", "redeem", "log.delay", "case.reverse")}
        self.stores.actions.register(*self.actions.values())
        write(engine, self._found)
        self._ids = iter(range(5_000, 10_000))

    def _found(self, connection: Connection) -> None:
        for person, (duty, operator) in GRANTS.items():
            held = HeldDuty(240 + person, person, duty, 0, operator, 0, I64_MAX, 240 + person)
            self.people.record(connection, held, KEYS[person].public)
        institutions = tables.INSTITUTIONS
        for id, (name, operator) in BANKS.items():
            if connection.scalar(sqlalchemy.select(institutions.c.id).where(institutions.c.id == id)) is None:
                row = {"id": id, "kind": "operator", "name": name, "operator": operator, "participant": ""}
                connection.execute(institutions.insert().values(row | {"state": "active", "made_ns": START_NS}))
        for person, (duty, institution) in ROWS.items():
            held = HeldDuty(300 + person, person, duty, institution, None, 0, I64_MAX)
            self.people.record(connection, held, KEYS[person].public)

    def new_id(self) -> int:
        """Return an id for an operation that this test made."""
        return ids.new(self.clock.now_ns() // 10**6)

    def issue(self, amount: int = 5_000) -> Array:
        """Return the chain that mints against North's reserves."""
        return operations.chain(
            operations.transfer(self.new_id(), debit=RESERVE, credit=CONVERTED, amount=amount),
            operations.transfer(self.new_id(), debit=ISSUANCE, credit=VAULT, amount=amount),
        )

    def mint(self, *, maker: int = ANN, **others: Any) -> Proposal:
        """Return a proposal to mint 50.00."""
        return self.proposals.propose("mint", self.issue(), {"operator": 2}, maker=maker, **others)

    def signers(self, *persons: int) -> list[Signer]:
        """Return the signers of persons with a grant."""
        return [Signer(person, KEYS[person]) for person in persons]

    def check(self) -> list[str]:
        """Return what SQL and the ledger disagree about."""
        with self.ledger.sequencer.reading() as state:
            state.check()
        found: list[str] = []
        for service in (self.people, self.institutions, self.proposals, self.keys):
            found += service.disagreements()
        return found

    def close(self) -> None:
        """Close the ledger."""
        self.ledger.close()


@contextmanager
def world(folder: Path, where: str) -> Iterator[World]:
    """Yield a world whose database is at `where`."""
    with opened(where) as engine:
        made = World(folder, engine)
        try:
            yield made
        finally:
            made.close()


@contextmanager
def small_world(folder: Path) -> Iterator[World]:
    """Yield a world on SQLite in a folder: a copy of one that each process makes once."""
    shutil.copytree(_closed_world(), folder, dirs_exist_ok=True)
    with world(folder, str(folder / DATABASE)) as made:
        yield made


@cache
def _closed_world() -> Path:
    folder = temporary_folder()
    with world(folder, str(folder / DATABASE)):
        return folder
