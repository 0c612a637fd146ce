"""The access log: a chain in which every kind of change is found, with its number."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy.engine import Connection
from tests.database.places import opened
from tests.personal.world import ACCESS, ANN, BOB, BOTH, CASE, CLERK, DAY_NS, NOON, PRIVACY, World, world

from sycee.core.errors import IntegrityError
from sycee.database.engines import is_sqlite
from sycee.database.transactions import write
from sycee.personal.access import REASONS, START, Access, Reason, entry_digest
from sycee.personal.tables import ACCESSES, DELAYS

NUMBER = ACCESSES.c.number


def fill(bank: World, count: int = 5) -> None:
    for number in range(count):
        bank.log.enter(ACCESS, [(ANN, BOB)[number % 2]], ["name", "phone"])


def tamper(bank: World, *statements: sqlalchemy.Executable) -> None:
    """Change the log as somebody with the password of the database can."""

    def work(connection: Connection) -> None:
        if is_sqlite(connection):
            for act in ("no_replace", "no_update", "no_delete"):
                connection.exec_driver_sql(f"DROP TRIGGER personal_accesses_{act}")
        else:
            connection.exec_driver_sql("ALTER TABLE personal_accesses DISABLE TRIGGER USER")
        for statement in statements:
            connection.execute(statement)

    write(bank.engine, work)


def forge(bank: World, number: int) -> sqlalchemy.Executable:
    """Change an entry, and give it the digest that fits its new content."""
    entry = bank.log.entries(after=number - 1, most=1)[0]
    digest = entry_digest(replace(entry, who=BOB))
    return ACCESSES.update().where(ACCESSES.c.number == number).values(who=BOB, digest=digest)


@BOTH
def test_entries_form_a_chain(bank: World) -> None:
    assert bank.log.head() == (0, START)
    assert bank.log.verify() == 0
    fill(bank)
    entries = bank.log.entries()
    assert [entry.number for entry in entries] == [1, 2, 3, 4, 5]
    assert [entry.previous for entry in entries] == [START, *(entry.digest for entry in entries[:-1])]
    assert bank.log.head() == (5, entries[-1].digest)
    assert bank.log.verify([(3, entries[2].digest), (5, entries[4].digest)]) == 5
    assert bank.log.entries(after=2, most=2) == entries[2:4]
    assert list(bank.log.disagreements()) == []


@pytest.mark.parametrize("column", ["who", "person", "fields", "reason", "case", "at_ns", "digest", "previous"])
def test_a_changed_column_is_found(tmp_path: Path, column: str) -> None:
    new = {"who": BOB, "person": CLERK, "fields": "name", "reason": "dispute", "case": 13, "at_ns": 1}
    with world(str(tmp_path / "kept.db"), tmp_path) as bank:
        fill(bank)
        tamper(bank, ACCESSES.update().where(NUMBER == 3).values(**{column: new.get(column, bytes(32))}))
        with pytest.raises(IntegrityError, match="entry 3 of the access log"):
            bank.log.verify()
        assert len(list(bank.log.disagreements())) == 1


@pytest.mark.parametrize("column", ["invitation", "inviter"])
def test_who_invited_a_login_is_in_the_digest(tmp_path: Path, column: str) -> None:
    with world(str(tmp_path / "kept.db"), tmp_path) as bank:
        bank.log.enter(Access(ANN, Reason.OWN_REQUEST, 0, 77, CLERK), [ANN], ["name"])
        (entry,) = bank.log.entries()
        assert (entry.invitation, entry.inviter, bank.log.verify()) == (77, CLERK, 1)
        tamper(bank, ACCESSES.update().values(**{column: BOB}))
        with pytest.raises(IntegrityError, match="entry 1 of the access log"):
            bank.log.verify()


@BOTH
@pytest.mark.parametrize(
    ("change", "number"),
    [
        (lambda bank: [ACCESSES.delete().where(NUMBER == 1)], 1),
        (lambda bank: [ACCESSES.delete().where(NUMBER == 3)], 3),
        (lambda bank: [forge(bank, 3)], 4),
        (lambda bank: [forge(bank, 5)], 5),
        (lambda bank: [ACCESSES.delete().where(NUMBER == 5)], 5),
        (lambda bank: [ACCESSES.delete()], 1),
        (
            lambda bank: [
                ACCESSES.delete().where(NUMBER == 2),
                ACCESSES.update().where(NUMBER == 3).values(number=2),
            ],
            2,
        ),
    ],
    ids=["first", "middle", "forged", "newest forged", "newest removed", "emptied", "renumbered"],
)
def test_removed_and_forged_entries_are_found(
    bank: World, change: Callable[[World], list[sqlalchemy.Executable]], number: int
) -> None:
    fill(bank)
    head = bank.log.head()  # as a pack signed it
    tamper(bank, *change(bank))
    with pytest.raises(IntegrityError, match=f"entry {number} of the access log"):
        bank.log.verify([head])


@BOTH
def test_entries_cannot_be_changed_by_mistake(bank: World) -> None:
    fill(bank, 2)
    for statement in (ACCESSES.delete(), ACCESSES.update().values(who=BOB)):
        with pytest.raises(IntegrityError, match="append-only"):
            write(bank.engine, lambda connection, said=statement: connection.execute(said))
    assert bank.log.verify() == 2


def test_threads_leave_one_chain_without_gaps(where: str, tmp_path: Path) -> None:
    with world(where, tmp_path) as bank:
        threads = [threading.Thread(target=fill, args=(bank, 6)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert bank.log.verify() == 24
    with opened(where) as engine, engine.connect() as connection:
        assert connection.scalar(sqlalchemy.select(sqlalchemy.func.max(NUMBER))) == 24


@BOTH
def test_a_delay_hides_the_entries_of_its_case_until_its_end(bank: World) -> None:
    bank.cases.open.add(13)
    bank.log.enter(ACCESS, [ANN], ["name"])
    bank.log.enter(type(ACCESS)(CLERK, ACCESS.reason, 13), [ANN], ["phone"])
    order = {"id": 1, "person": ANN, "case": CASE, "from_ns": NOON, "until_ns": NOON + DAY_NS, "proposal": 1}
    write(bank.engine, lambda connection: connection.execute(DELAYS.insert().values(**order)))
    assert [entry.case for entry in bank.log.of_person(ANN, by=ANN)] == [13]
    assert [entry.case for entry in bank.log.of_person(ANN, by=PRIVACY)] == [CASE, 13]
    bank.clock.set(NOON + DAY_NS - 1)
    assert [entry.case for entry in bank.log.of_person(ANN, by=ANN)] == [13]
    bank.clock.set(NOON + DAY_NS)
    assert [entry.case for entry in bank.log.of_person(ANN, by=ANN)] == [CASE, 13]
    assert bank.log.verify() == 2


@BOTH
def test_a_delay_needs_an_end(bank: World) -> None:
    for until in (None, NOON):
        order = {"id": 1, "person": ANN, "case": CASE, "from_ns": NOON, "until_ns": until, "proposal": 1}
        with pytest.raises(IntegrityError):
            write(bank.engine, lambda connection, row=order: connection.execute(DELAYS.insert().values(**row)))


def test_the_page_lists_every_reason() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "personal-data.md").read_text(encoding="utf-8")
    assert [reason for reason in REASONS if f"`{reason}`" not in page] == []
