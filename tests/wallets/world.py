"""A bank with North (operator 2), two citizens with keys, a custodial wallet, and a tea house with two tills.

`bank` opens a fresh copy of a bank that is prepared once per process and kind of database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from sqlalchemy.engine import make_url
from tests.bank import world
from tests.bank.world import ANN, BOB, DESK, NORTH, SOUTH, START_NS
from tests.database.places import drop_database

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.keys import SigningKey
from sycee.core.records.signed_messages import proof_message
from sycee.identity.duties import Duty
from sycee.identity.institutions import SettlementAccount
from sycee.sequencer.embedded import Signer

LEO_KEY, MIA_KEY, *_ = (SigningKey.derive(bytes([number]) * 32, "p256") for number in range(60, 64))
STRANGER: Final = SigningKey.derive(bytes([99]) * 32)
LEO: Final = {"name": "Leo Marked-Name", "phone": "+86 138 0000 0001", "paper": "E-LEO", "paper_kind": "passport"}
MIA: Final = {"name": "Mia Wu", "phone": "+86 138 0000 0002", "paper": "E-MIA", "paper_kind": "passport"}
NED: Final = {"name": "Ned", "phone": "+86 138 0000 0003"}
TEA: Final = "Tea house"
YEAR_NS: Final = 365 * world.DAY_NS


@dataclass(frozen=True)
class Town:
    """The open bank, and the ids of its people."""

    bank: Bank
    north: int  # who signs for operator 2
    leo: int  # accounts
    mia: int
    ned: int  # custodial
    tea: int  # the merchant
    shop: int  # its account, which is custodial
    till_1: int
    till_2: int

    def signers(self, *keys: SigningKey) -> list[Signer]:
        return self.bank.signers(*keys)

    @property
    def operator(self) -> list[Signer]:
        return self.bank.signers(NORTH)

    def signer(self, account: int, key: SigningKey) -> list[Signer]:
        return [self.bank.stores.ledger.signer_for(account, key)]

    def balance(self, account: int) -> int:
        return self.bank.stores.ledger.balance(account)

    def holder(self, account: int) -> int:
        return self.bank.directory.holder_of(account)

    def fund(self, account: int, minor: int, reference: str) -> None:
        sent = self.bank.issuance.fund(2, account, minor, reference, signers=self.operator, who=self.north)
        sent.require_created("the wallet is not funded")
        technical = self.signers(world.technical(self.bank))
        funding = self.bank.issuance.funding(2, reference).id
        self.bank.issuance.confirm(funding, signers=technical, who=self.north).require_created("it is not confirmed")


def person(bank: Bank, key: SigningKey) -> int:
    return bank.people.person_of_key(key.public)


def join(bank: Bank, name: str, key: SigningKey) -> int:
    """Let an institution join as an operator, and mint 1,000,000.00 for it; return its number."""
    ann = person(bank, ANN)
    owner = ids.new(START_NS // 1_000_000)
    institution = bank.institutions.add("operator", name, by=ann, owners={owner: 1_000_000}, participant=f"{name}-id")
    for kind in ("papers", "owners"):
        bank.proposals.sign(bank.institutions.decide(institution, kind, "passed", maker=ann).id, ANN, BOB)
    joined = bank.issuance.join(institution, quota_minor=10**12, key=key.public, until_ns=START_NS + YEAR_NS, maker=ann)
    assert bank.proposals.sign(joined.id, ANN, BOB).needs == ()
    number = bank.institutions.get(institution).operator
    assert number is not None
    bank.proposals.sign(bank.issuance.credit_reserves(number, 10**8, maker=ann).id, ANN, BOB)
    assert bank.proposals.sign(bank.issuance.mint(number, 10**8, maker=ann).id, ANN, BOB, key).needs == ()
    return number


def open_with_key(bank: Bank, fields: dict[str, str], key: SigningKey, tier: str = "class-2") -> int:
    account = bank.wallets.new_account()
    proof = key.sign(proof_message(bank.stores.ledger.ledger_id, account, 1, key.public))
    opened = bank.wallets.open_person(
        fields, operator=2, tier=tier, signers=bank.signers(NORTH), who=person(bank, NORTH), account=account,
        key=key.public, proof=proof,
    )  # fmt: skip
    return opened.account


def approved_merchant(bank: Bank, name: str) -> int:
    """Enter a merchant of operator 2 whose due diligence passed."""
    north, owner = person(bank, NORTH), ids.new(START_NS // 1_000_000)
    settlement = SettlementAccount(b"sealed", name.encode().ljust(16, b"\0")[:16])
    merchant = bank.institutions.add(
        "merchant", name, by=north, operator=2, owners={owner: 1_000_000}, settlement=settlement
    )
    for kind in ("papers", "owners", "settlement"):
        proposal = bank.institutions.decide(merchant, kind, "passed", maker=north)
        assert bank.proposals.sign(proposal.id, NORTH, world.OTHERS[0]).needs == (), kind
    return merchant


def settle(bank: Bank) -> None:
    """Prepare the town."""
    join(bank, "North Bank", NORTH)
    north = person(bank, NORTH)
    # A second person of North, who checks what the first one makes.
    found = bank.institutions.of_operator(2)
    assert found is not None
    appointed = bank.appointments.appoint(
        Duty.OPERATOR,
        world.OTHERS[0].public,
        institution=found.id,
        until_ns=START_NS + YEAR_NS,
        maker=person(bank, ANN),
    )
    assert bank.proposals.sign(appointed.id, ANN, BOB).needs == ()
    open_with_key(bank, LEO, LEO_KEY)
    open_with_key(bank, MIA, MIA_KEY)
    bank.wallets.open_person(NED, operator=2, tier="class-4", signers=bank.signers(NORTH), who=north)
    merchant = approved_merchant(bank, TEA)
    bank.wallets.open(merchant, operator=2, tier="", signers=bank.signers(NORTH), who=north)
    outlet = bank.institutions.add_outlet(merchant, "MAIN", by=north)
    for code in ("T1", "T2"):
        bank.institutions.add_till(outlet, code, by=north)
    made = town(bank)
    made.fund(made.leo, 500_00, "N-1")
    made.fund(made.mia, 500_00, "N-2")


def town(bank: Bank) -> Town:
    """Return the town of an open bank that `settle` prepared."""
    wallets = {bank.personal.mask_of(each.holder): each for each in everyone(bank)}
    tea = bank.institutions.find("merchant", TEA).id
    tills = {till.code: till.id for till in bank.institutions.tills_of(tea)}
    return Town(
        bank, person(bank, NORTH), wallets["L** M**********"].account, wallets["M** W*"].account,
        wallets["N**"].account, tea, bank.directory.open_of(tea).account, tills["T1"], tills["T2"],
    )  # fmt: skip


def everyone(bank: Bank) -> list:
    from sqlalchemy import select

    from sycee.database.transactions import reading
    from sycee.wallets.tables import WALLETS

    with reading(bank.stores.engine) as connection:
        accounts = list(connection.scalars(select(WALLETS.c.account).where(WALLETS.c["class"] != "")))
    return [bank.directory.get(account) for account in accounts]


@cache
def settled(server: str) -> world.Copies:
    """A town that is settled and closed. `server`: "" for SQLite, or the URL of a PostgreSQL database to use."""
    folder = world.temporary_folder()
    with world.bank(server, folder) as bank:
        settle(bank)
        database = bank.config.database
    return world.Copies(folder, database if "://" in database else "")


def prepared(where: str) -> world.Copies:
    """The town for kills. `where`: as the fixture `server`."""
    return settled(_server(where))


def further(server: str, folder: Path, prepare: Callable[[Bank], None]) -> world.Copies:
    """A closed copy of the town in which `prepare` was called."""
    options = settled(server).copy(folder)
    with Bank.open(folder / "bank", options=options) as made:
        prepare(made)
    return world.Copies(folder, options.get("database", ""))


@cache
def overflown(server: str) -> world.Copies:
    """The town after a payment that exceeded the limit of Ned's wallet: 5.00 wait in transit to his bank account."""
    folder = world.temporary_folder()
    options = settled(server).copy(folder)
    with Bank.open(folder / "bank", options=options) as made:
        found = town(made)
        found.fund(found.ned, 10_000_00, "N-8")
        made.sweeps.link(found.ned, "CN00 0000", signers=found.operator, who=found.north)
        leo = {"signers": found.signer(found.leo, LEO_KEY), "who": found.holder(found.leo)}
        assert made.payments.pay(found.leo, found.ned, 5_00, **leo).is_paid
    return world.Copies(folder, options.get("database", ""))


@cache
def linked(server: str) -> world.Copies:
    """The town after Leo's wallet was linked to his bank account."""
    folder = world.temporary_folder()
    options = settled(server).copy(folder)
    with Bank.open(folder / "bank", options=options) as made:
        found = town(made)
        made.sweeps.link(found.leo, "CN00 0000", signers=found.operator, who=found.north)
    return world.Copies(folder, options.get("database", ""))


def with_link(where: str) -> world.Copies:
    """The town of `linked` for kills on a database of the kind of `where`."""
    return linked(_server(where))


def with_excess(where: str) -> world.Copies:
    """The town of `overflown` for kills on a database of the kind of `where`."""
    return overflown(_server(where))


def _server(where: str) -> str:
    return make_url(where).set(database="postgres").render_as_string(hide_password=False) if "://" in where else ""


@contextmanager
def bank(where: str, folder: Path) -> Iterator[Town]:
    """A fresh town in `folder` / "bank". `where`: as the fixture `server`; SQLite is in the data folder in any case."""
    options = settled(_server(where)).copy(folder)
    with Bank.open(folder / "bank", options=options) as made:
        yield town(made)
    drop_database(options.get("database", ""))


__all__ = ["ANN", "BOB", "DESK", "NORTH", "SOUTH", "START_NS", "Town", "bank"]
