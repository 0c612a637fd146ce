"""A bank for tests: two officers, the reserve desk, a witness, and operators, with keys that every test can derive.

`bank` opens a fresh copy of a bank that is founded once per process and kind of database.
"""

from __future__ import annotations

import itertools
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url
from tests.database.places import copied_database, maintenance, temporary_folder

from sycee.bank.bank import Bank
from sycee.bank.founding import Founding, StoredFounding
from sycee.core import ids
from sycee.core.keys import SigningKey
from sycee.sequencer.embedded import Signer

SECOND_NS = 10**9
HOUR_NS = 3_600 * SECOND_NS
DAY_NS = 24 * HOUR_NS
START_NS = 1_793_577_600 * SECOND_NS  # 2026-11-02T08:00 in Shanghai
ZONE = "Asia/Shanghai"
QUOTA = 5_000_000_00
MINTED = 1_000_000_00

ANN, BOB, DESK, WITNESS, NORTH, SOUTH, *OTHERS = (SigningKey.derive(bytes([number]) * 32) for number in range(1, 20))

_NUMBERS = itertools.count(1)


def founding(folder: Path, settings: Mapping[str, str] | None = None) -> Founding:
    """What the bank in `folder` / "bank" is founded with."""
    return Founding(
        currency="CNY",
        zone=ZONE,
        preset="ecny-2021",
        retention="eu-2015",
        officers=(ANN.public, BOB.public),
        desk=DESK.public,
        witness=WITNESS.public,
        master_key=folder / "master.key",
        key_backup=folder / "people-backup",
        rehearsal_from_ns=START_NS,
        settings={"compliance": "false"} | dict(settings or {}),
    )


class Copies:
    """A closed bank, of which fresh copies can be opened. `where` is the location of its database."""

    def __init__(self, folder: Path, where: str) -> None:
        self.folder = folder
        self.where = where

    def copy(self, folder: Path) -> dict[str, str]:
        """Copy the bank with its keys into a new folder; return the options with which `folder` / "bank" is opened."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return {"database": copied_database(self.where)} if "://" in self.where else {}


@cache
def founded(server: str) -> Copies:
    """A bank that is founded and closed. `server`: "" for SQLite, or the URL of a PostgreSQL database to use."""
    folder = temporary_folder()
    where = server
    if server:
        name = f"founded_{next(_NUMBERS)}"
        with psycopg.connect(maintenance(server), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        where = make_url(server).set(database=name).render_as_string(hide_password=False)
    settings = {"database": where} if where else {}
    Bank.create(folder / "bank", founding(folder, settings)).close()
    return Copies(folder, where)


@cache
def two_tiers(server: str) -> Copies:
    """A closed bank with the operators 2 (North Bank) and 3 (South Bank), each with MINTED in its vault."""
    folder = temporary_folder()
    options = founded(server).copy(folder)
    with Bank.open(folder / "bank", options=options) as made:
        for name, key in (("North Bank", NORTH), ("South Bank", SOUTH)):
            mint(made, join(made, name, key), MINTED, key)
    return Copies(folder, options.get("database", ""))


@contextmanager
def bank(where: str, folder: Path, *, operators: bool = False) -> Iterator[Bank]:
    """A fresh bank in `folder` / "bank". `where`: as the fixture `server`; SQLite is in the data folder.

    `operators`: with those of `two_tiers`.
    """
    server = maintenance(where) if "://" in where else ""
    options = (two_tiers if operators else founded)(server).copy(folder)
    with Bank.open(folder / "bank", options=options) as made:
        yield made


def join(made: Bank, name: str, key: SigningKey) -> int:
    """Let an institution pass its due diligence and join; return its number. `key`: of its first person."""
    maker = made.people.person_of_key(ANN.public)
    owner = ids.new(START_NS // 1_000_000)
    institution = made.institutions.add("operator", name, by=maker, owners={owner: 1_000_000})
    for check in ("papers", "owners"):
        made.proposals.sign(made.institutions.decide(institution, check, "passed", maker=maker).id, ANN, BOB)
    until_ns = START_NS + 5 * 365 * DAY_NS
    proposal = made.issuance.join(institution, quota_minor=QUOTA, key=key.public, until_ns=until_ns, maker=maker)
    assert made.proposals.sign(proposal.id, ANN, BOB).needs == ()
    number = made.institutions.get(institution).operator
    assert number is not None
    return number


def mint(made: Bank, operator: int, minor: int, key: SigningKey) -> None:
    """Record reserves of an operator and issue money against them."""
    maker = made.people.person_of_key(ANN.public)
    reserves = made.issuance.credit_reserves(operator, minor, maker=maker)
    assert made.proposals.sign(reserves.id, ANN, BOB).needs == ()
    minted = made.issuance.mint(operator, minor, maker=maker)
    assert made.proposals.sign(minted.id, ANN, BOB, key).needs == ()


def record(made: Bank) -> StoredFounding:
    """The founding, which knows the ids of the first persons and accounts."""
    return StoredFounding.load(made.folder)


def technical(made: Bank) -> SigningKey:
    """The key of operator 0, which is on the bank's machine."""
    return record(made).technical_key()


def officers(made: Bank) -> list[Signer]:
    """Both officers as signers."""
    return made.signers(ANN, BOB)


def secret_of(folder: Path, person: int) -> bytes:
    """The stored secret of a person, from the backup of the key file."""
    with closing(sqlite3.connect(folder / "people-backup" / "people.keys")) as connection:
        query = "SELECT secret FROM personal_keys_secrets WHERE person = ?"
        (secret,) = connection.execute(query, [person.to_bytes(16, "big")]).fetchone()
    return bytes(secret)
