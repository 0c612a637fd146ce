"""Storing, finding, reading and shredding persons."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
import sqlalchemy
from tests.personal.world import ACCESS, ANN, BOB, BOTH, CASE, CLERK, DAY_NS, NOON, PRIVACY, WANG, World

from sycee.core import ids
from sycee.core.errors import IntegrityError, NotFound, UnavailableError, UsageError
from sycee.database.transactions import reading, write
from sycee.personal.access import NOBODY, Access, Reason
from sycee.personal.sealing import SearchKind
from sycee.personal.tables import RECORDS, SEARCH, SHREDS


def count(bank: World, table: sqlalchemy.Table) -> int:
    with reading(bank.engine) as connection:
        return connection.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(table)) or 0


@BOTH
def test_a_person_is_read_back(bank: World) -> None:
    bank.store(ANN, WANG)
    assert bank.register.read(ANN, ["name", "phone"], access=ACCESS) == {"name": "Wang Li", "phone": "+8613800138000"}
    assert bank.register.read(ANN, ["address"], access=ACCESS) == {"address": "7 Lake Road"}
    assert bank.register.mask_of(ANN) == "W*** L*"
    with pytest.raises(UnavailableError, match="has no secret"):
        bank.register.read(BOB, ["name"], access=ACCESS)
    with pytest.raises(UsageError, match="named that persons do not have"):
        bank.register.read(ANN, ["shoe"], access=ACCESS)
    with pytest.raises(UsageError, match="no field was named"):
        bank.register.read(ANN, [], access=ACCESS)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (SearchKind.PHONE, "138 0013 8000"),
        (SearchKind.PAPER, "Passport:e 1234567"),
        (SearchKind.NAME_AND_BIRTH, "1990-12-31  wang LI"),
    ],
)
def test_a_person_is_found_and_the_search_is_logged(bank: World, kind: SearchKind, text: str) -> None:
    bank.store(ANN, WANG)
    assert bank.register.find(kind, text, access=ACCESS) == [ANN]
    assert bank.register.find(kind, f"{text}9", access=ACCESS) == []
    first, second = bank.log.entries()
    assert (first.person, second.person) == (ANN, NOBODY)
    assert first.fields == second.fields == (f"found-by-{kind.name.lower().replace('_', '-')}",)


@BOTH
def test_a_change_adds_a_version_and_moves_the_search(bank: World) -> None:
    bank.store(ANN, WANG)
    bank.register.change(ANN, {"phone": "139 0013 9000", "address": ""}, access=ACCESS)
    assert bank.register.read(ANN, ["name", "phone", "address"], access=ACCESS) == {
        "name": "Wang Li",
        "phone": "+8613900139000",
    }
    assert bank.register.find(SearchKind.PHONE, "13800138000", access=ACCESS) == []
    assert bank.register.find(SearchKind.PHONE, "13900139000", access=ACCESS) == [ANN]
    assert count(bank, RECORDS) == 2
    with pytest.raises(UsageError, match="cannot be changed: the phone number"):
        bank.register.change(ANN, {"phone": "12"}, access=ACCESS)


def test_a_record_moved_to_another_person_does_not_open(bank: World) -> None:
    bank.store(ANN, WANG)
    bank.store(BOB, {"phone": "13900139000"})
    with reading(bank.engine) as connection:
        sealed = connection.scalar(sqlalchemy.select(RECORDS.c.sealed).where(RECORDS.c.person == ANN))
    write(
        bank.engine,
        lambda connection: connection.execute(RECORDS.update().where(RECORDS.c.person == BOB).values(sealed=sealed)),
    )
    with pytest.raises(IntegrityError, match="does not open"):
        bank.register.read(BOB, ["name"], access=ACCESS)


@BOTH
def test_many_rows_are_examined_and_stored(bank: World) -> None:
    columns = {
        "name": ["Wang Li", "王小明", "x" * 600, "Li", "", "Zhao", "Ann"],
        "phone": ["13800138000", "+8613900139000", "13700137000", "12", "", "", "13800138000"],
        "paper": ["", "", "", "", "", "E1", ""],
        "paper_kind": ["", "", "", "", "", "", ""],
        "birth": ["", "", "", "", "", "", "31.12.1990"],
    }
    examined = bank.register.examine(columns)
    assert examined.faults == {
        2: "TEXT_TOO_LONG",
        3: "INVALID_PHONE",
        4: "NOTHING_TO_FIND_BY",
        5: "INVALID_PAPER",
        6: "INVALID_BIRTH",
    }
    assert examined.columns["phone"][:2] == ["+8613800138000", "+8613900139000"]
    with pytest.raises(UsageError, match="row 3 cannot be stored: a field has more than 512") as raised:
        bank.register.prepare([ANN, BOB, CLERK], examined, [0, 1, 2])
    assert "x" * 20 not in str(raised.value)
    prepared = bank.register.prepare([ANN, BOB], examined, [0, 1])
    write(bank.engine, lambda connection: bank.register.store_many(connection, prepared))
    assert bank.register.read(BOB, ["name"], access=ACCESS) == {"name": "王小明"}
    assert "13800138000" not in repr(examined) + repr(prepared)
    with pytest.raises(UsageError, match="different lengths: 1, 2"):
        bank.register.examine({"name": ["a"], "phone": ["1", "2"]})
    with pytest.raises(UsageError, match="1 persons were given for 7 rows"):
        bank.register.prepare([ANN], examined)


@BOTH
def test_duplicates_are_found_in_the_register_and_in_the_batch(bank: World) -> None:
    bank.store(ANN, WANG)
    columns = {
        "name": ["Wang  Li", "Bo", "Bo", "Cai", "Dai"],
        "birth": ["1990-12-31", "", "", "", ""],
        "phone": ["13800138000", "13900139000", "13900139000", "13700137000", ""],
        "paper": ["", "", "", "e-1234567", "e-777"],
        "paper_kind": ["", "", "", "passport", "passport"],
    }
    examined = bank.register.examine(columns)
    assert examined.faults == {}
    with reading(bank.engine) as connection:
        assert bank.register.duplicate_rows(connection, examined) == {
            0: SearchKind.NAME_AND_BIRTH,
            2: SearchKind.PHONE,
            3: SearchKind.PAPER,
        }
        assert bank.register.duplicates(connection, {"phone": "13800138000"}) == [ANN]
        assert bank.register.duplicates(connection, {"phone": "13700137000"}) == []


def test_texts_of_other_packages(bank: World) -> None:
    bank.store(ANN, WANG)
    sealed = bank.register.seal(ANN, "reference", "rent for May 茶")
    assert bank.register.open_own(ANN, "reference", sealed) == "rent for May 茶"
    assert bank.register.open(ANN, "reference", sealed, access=ACCESS) == "rent for May 茶"
    assert [entry.fields for entry in bank.log.entries()] == [("reference",)]
    with pytest.raises(IntegrityError, match="does not open"):
        bank.register.open_own(ANN, "address", sealed)


# --- shredding ---


@BOTH
def test_a_shredded_person_is_unreadable(bank: World) -> None:
    bank.store(ANN, WANG)
    bank.store(BOB, {"phone": "13900139000"})
    reference = bank.register.seal(ANN, "reference", "rent")
    asked = []
    bank.register.on_shred.append(lambda connection, person: asked.append(person))
    bank.end_relation(ANN, date(2020, 1, 31))
    assert bank.retention.due() == [ANN]
    bank.register.shred(ANN, who=PRIVACY, basis="relation-ended")
    assert asked == [ANN]
    assert (count(bank, RECORDS), count(bank, SEARCH), count(bank, SHREDS)) == (1, 1, 1)
    for call in (
        lambda: bank.register.read(ANN, ["name"], access=ACCESS),
        lambda: bank.register.open(ANN, "reference", reference, access=ACCESS),
        lambda: bank.register.mask_of(ANN),
        lambda: bank.keys.create([ANN]),
    ):
        with pytest.raises(NotFound, match="was shredded"):
            call()
    assert bank.register.find(SearchKind.PHONE, "13800138000", access=ACCESS) == []
    assert bank.retention.due() == []
    assert list(bank.register.disagreements()) == []
    bank.register.shred(ANN, who=PRIVACY, basis="relation-ended")  # again
    assert bank.register.shredded() == [ANN]


def test_a_shredding_without_the_backup_is_completed_later(bank: World) -> None:
    bank.store(ANN, WANG)
    bank.end_relation(ANN, date(2020, 1, 31))
    backup = bank.keys.backup_file.parent
    backup.rename(backup.with_name("unmounted"))
    bank.keys.close()
    bank.keys._backup_engine = None  # as after a restart
    with pytest.raises(UnavailableError, match="not reachable"):
        bank.register.shred(ANN, who=PRIVACY, basis="relation-ended")
    with pytest.raises(NotFound, match="was shredded"):
        bank.register.read(ANN, ["name"], access=ACCESS)
    backup.with_name("unmounted").rename(backup)
    assert bank.register.finish_shreds() == 1
    assert bank.register.finish_shreds() == 0


@BOTH
def test_retention_and_duties_stop_shredding(bank: World) -> None:
    bank.store(ANN, WANG)

    def refused(match: str, who: int = PRIVACY) -> None:
        with pytest.raises(UsageError, match=match):
            bank.register.shred(ANN, who=who, basis="relation-ended")

    refused("has no duty that allows person.shred", CLERK)
    refused("has not ended, so no retention period has begun")
    assert bank.end_relation(ANN, date(2021, 11, 2)) == date(2026, 11, 2)
    refused("must be kept until 2026-11-02")
    bank.clock.set(NOON + 12 * 3_600 * 10**9 - 1)  # the last nanosecond of the day in Shanghai
    refused("must be kept until 2026-11-02")
    bank.clock.set(NOON + 12 * 3_600 * 10**9)
    bank.register.shred(ANN, who=PRIVACY, basis="relation-ended")


def test_a_person_who_came_back_is_kept(bank: World) -> None:
    bank.store(ANN, WANG)
    bank.end_relation(ANN, date(2020, 1, 31))
    write(bank.engine, lambda connection: bank.retention.cancel(connection, ANN))
    assert bank.retention.due() == []
    assert bank.retention.until(ANN) is None


def test_an_open_wallet_keeps_its_person(bank: World) -> None:
    class Customers:
        def is_customer(self, connection: object, person: int) -> bool:
            return person == ANN

    bank.retention.relations = Customers()
    bank.store(ANN, WANG)
    bank.end_relation(ANN, date(2020, 1, 31))
    assert bank.retention.due() == []
    with pytest.raises(UsageError, match="has not ended"):
        bank.register.shred(ANN, who=PRIVACY, basis="relation-ended")


def test_the_check_finds_a_person_without_a_secret(bank: World) -> None:
    bank.store(ANN, WANG)
    bank.keys.shred(ANN)
    assert list(bank.register.disagreements()) == [f"person {ids.format(ANN)} has a record and no secret"]


# --- access ---


def test_refused_accesses_show_nothing_and_are_not_logged(bank: World) -> None:
    bank.store(ANN, WANG)
    for access, match in (
        (replace(ACCESS, reason="curious"), "needs a reason"),
        (replace(ACCESS, case=0), "needs an open case: no case was given"),
        (replace(ACCESS, case=99), "needs an open case: case 99 is not open"),
        (replace(ACCESS, who=PRIVACY), "has no duty that allows person.read"),
        (Access(CLERK, Reason.OWN_REQUEST, 0), "own-request is for the own data only"),
        (Access(CLERK, Reason.PAYMENT, 0), "the reason payment shows nothing but: bank"),
    ):
        for call in (
            lambda access=access: bank.register.read(ANN, ["name"], access=access),
            lambda access=access: bank.register.find(SearchKind.PHONE, "13800138000", access=access),
            lambda access=access: bank.register.change(ANN, {"name": "X"}, access=access),
        ):
            with pytest.raises(UsageError, match=match):
                call()
    bank.cases.open.remove(CASE)
    with pytest.raises(UsageError, match=f"case {CASE} is not open"):
        bank.register.read(ANN, ["name"], access=ACCESS)
    assert bank.log.entries() == []


def test_persons_read_their_own_data_and_log(bank: World) -> None:
    bank.store(ANN, WANG)
    assert bank.register.read(ANN, ["name"], access=Access(ANN, Reason.OWN_REQUEST, 0)) == {"name": "Wang Li"}
    bank.register.read(ANN, ["phone"], access=ACCESS)
    entries = bank.log.of_person(ANN, by=ANN)
    assert [(entry.who, entry.fields, entry.reason, entry.case) for entry in entries] == [
        (ANN, ("name",), "own-request", 0),
        (CLERK, ("phone",), "complaint", CASE),
    ]
    assert bank.log.of_person(ANN, by=PRIVACY) == entries
    with pytest.raises(UsageError, match=r"no duty that allows person\.log"):
        bank.log.of_person(ANN, by=BOB)
    assert bank.log.of_person(BOB, by=BOB) == []


def test_the_entry_is_there_before_the_data_is_opened(bank: World) -> None:
    bank.store(ANN, WANG)
    seen = []
    key_of = bank.keys.key_of

    def watched(person: int) -> bytes:
        seen.append(bank.log.head()[0])
        return key_of(person)

    bank.keys.key_of = watched  # type: ignore[method-assign]
    bank.register.read(ANN, ["name"], access=ACCESS)
    assert seen == [1]
    bank.clock.advance(DAY_NS)
    bank.register.read(ANN, ["name"], access=ACCESS)
    assert seen == [1, 2]
