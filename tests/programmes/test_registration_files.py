"""Registration from files: CSV, Arrow and Parquet, errors by row, deadlines in bulk, and interrupted calls."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest
from sqlalchemy.engine import Connection
from tests.bank.killing import check_kills
from tests.programmes.registering import CLOSES_NS, NAME, NORTH, NOW_NS, drawn, person, prepared, registering

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.programmes import registration_entering, registration_rows
from sycee.programmes.registration_entering import Imported
from sycee.programmes.registration_store import Vault

HEAD = "document,phone,bank,registered_at\n"
AT = "2026-11-03T08:30:00"


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    with registering(tmp_path) as made:
        yield made


def read(bank: Bank, content: str | bytes, **options: object) -> Imported:
    path = bank.folder.path.parent / "people"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return bank.registrations.register_file(NAME, 0, path, who=person(bank, NORTH), **options)  # type: ignore[arg-type]


def rows(count: int, first: int = 1) -> str:
    return "".join(f"{number},+86139{number:08},north,{AT}\n" for number in range(first, first + count))


def test_a_file_is_registered_once(bank: Bank) -> None:
    found: list[tuple[list[int], list[int], int]] = []
    content = HEAD + rows(40)
    imported = read(
        bank, content, receipts=lambda rows, entries, salts: found.append((rows.tolist(), entries.tolist(), salts.size))
    )
    assert (imported.rows, imported.registered, imported.refused, imported.faults) == (40, 40, {}, ())
    assert found == [(list(range(1, 41)), list(range(40)), 40 * 32)]
    assert read(bank, content) == imported
    assert bank.registrations.counts(NAME) == {("registered", ""): 40}
    other = read(bank, HEAD + rows(40).replace("00000001,", "00000001 ,"))  # another file, the same people
    assert other.registered == 40
    assert bank.registrations.screen(NAME).duplicates == 40


# Each bad row with its column and message. Nothing of a document or a phone is repeated.
CELLS = "the row has more or fewer cells than the headings, or a cell of more than 128 characters"
NUMBER = "the document is not a number from 1 to 2^64 - 1 in its first characters"
TIME = "the time is not ISO 8601, or a local time that the zone skips or has twice"
WINDOW = "the registration is outside the window of the programme file"
FAULTS = [
    (f",,north,{AT}", "", "there is no identity key: the programme needs one of its keys at least"),
    (f"12a,,north,{AT}", "document", NUMBER),
    (f"0,,north,{AT}", "document", NUMBER),
    (f"5,+8613,north,{AT}", "phone", "the phone is not + and 8 to 15 digits"),
    (f"5,,east,{AT}", "bank", "the bank is not an operator of the programme file"),
    ("5,,north,3 November", "registered_at", TIME),
    ("5,,north,2026-11-03T07:59:59", "registered_at", WINDOW),
    ("5,,north,2026-11-03T09:00:01", "registered_at", "the time is later than now"),
    ("5,,north", "", CELLS),
    (f"5,,north,{AT},", "", CELLS),
    (f"{'5' * 129},,north,{AT}", "", CELLS),
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    with registering(tmp_path_factory.mktemp("shared")) as made:
        yield made


@pytest.mark.parametrize(("row", "column", "message"), FAULTS)
def test_a_bad_row_is_refused_and_the_others_are_registered(shared: Bank, row: str, column: str, message: str) -> None:
    before = len(shared.registrations.entries(NAME))
    imported = read(shared, HEAD + rows(1, 100) + row + "\n" + rows(1, 101))
    assert [str(fault) for fault in imported.faults] == [f"row 2{f', {column}' if column else ''}: {message}"]
    assert (imported.rows, imported.registered) == (3, 2)
    assert imported.refused == {imported.faults[0].code: 1}
    assert len(shared.registrations.entries(NAME)) == before + 2
    assert read(shared, HEAD + rows(1, 100) + row + "\n" + rows(1, 101)).refused == imported.refused


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        ("document,phone,registered_at\n1,,\n", "the column bank is missing", "needs document, phone, bank"),
        ("document,bank\n1,north\n", "the column phone is missing", "needs"),
        ("dokument,phone,bank\n1,,north\n", "the column 'dokument' is not one", 'did you mean "document"?'),
        ("document,phone,phone,bank\n1,,,north\n", "the column 'phone' is there twice", "once"),
        ("document,phone,bank,confirmed_at\n1,,north,\n", "the column checked_at is missing", "needs"),
        ("", "people has no headings", "the first line names columns"),
        ('document,phone,bank\n"1,,north\n', "people, line 2: ", "RFC 4180"),
        (b"document,phone,bank\n\xff,,north\n", "people is not UTF-8", "UTF-8"),
        (b"PAR1 this is no Parquet file", "people is damaged", "write it again"),
        (b"ARROW1\0\0 this is no Arrow file", "people is damaged", "write it again"),
        (b"\xff\xff\xff\xff\x10\0\0\0 nor this", "people is damaged", "write it again"),
    ],
)  # fmt: skip
def test_a_file_that_is_refused_as_a_whole(shared: Bank, content: str | bytes, message: str, hint: str) -> None:
    before = shared.registrations.counts(NAME)
    with pytest.raises(UsageError) as caught:
        read(shared, content)
    assert caught.value.message.startswith(message)
    assert hint in str(caught.value.hint)
    assert shared.registrations.counts(NAME) == before
    with pytest.raises(UsageError, match="/nowhere/at/all cannot be read: there is no such file"):
        shared.registrations.register_file(NAME, 0, Path("/nowhere/at/all"), who=person(shared, NORTH))


def table() -> pa.Table:
    times = pa.array([NOW_NS - 1_000, None, NOW_NS - 2_000], pa.timestamp("ns", "UTC"))
    return pa.table(
        {
            "document": pa.array([11, None, 13], pa.uint64()),
            "phone": pa.array(["+86 139 0000 0011", "0086 139 0000 0012", None]),
            "bank": pa.array(["north", "South Bank", "south"]).dictionary_encode(),
            "registered_at": times,
            "wallet": pa.array([None, ids.format(5), ""]),
        }
    )


@pytest.mark.parametrize("kind", ["stream", "file", "parquet"])
def test_arrow_and_parquet(shared: Bank, kind: str) -> None:
    target = io.BytesIO()
    if kind == "parquet":
        pyarrow.parquet.write_table(table(), target)
    else:
        made = {"stream": pyarrow.ipc.new_stream, "file": pyarrow.ipc.new_file}[kind](target, table().schema)
        with made as writer:
            writer.write_table(table(), max_chunksize=2)
    first = len(shared.registrations.entries(NAME))
    imported = read(shared, target.getvalue())
    assert (imported.registered, imported.faults) == (3, ())
    found = shared.registrations.entries(NAME, after=first - 1)
    assert [each.bank for each in found] == [0, 1, 1]
    assert [each.registered_ns for each in found] == [NOW_NS - 1_000, NOW_NS, NOW_NS - 2_000]


def test_times_of_arrow_need_a_zone_and_columns_a_known_type(shared: Bank) -> None:
    for column, problem in (
        (pa.array([NOW_NS], pa.timestamp("ns")), "times without a zone"),
        (pa.array([1.5]), "has the type double"),
    ):
        target = io.BytesIO()
        content = pa.table({"document": ["1"], "phone": [""], "bank": ["north"], "registered_at": column})
        pyarrow.parquet.write_table(content, target)
        with pytest.raises(UsageError, match=problem):
            read(shared, target.getvalue())


def test_deadlines_count_in_a_file_too(bank: Bank) -> None:
    enter_times = [
        ("2026-11-03T08:00:00", "", "", ("registered", "")),
        ("2026-11-03T08:00:00", "2026-11-03T08:30:00", "", ("checked", "")),
        ("2026-11-03T08:00:00", "2026-11-03T08:30:00", "2026-11-03T08:59:00", ("confirmed", "")),
        ("2026-11-03T08:00:00", "2026-11-03T10:00:00", "2026-11-03T10:01:00", ("lapsed", "not-checked")),
        ("2026-11-03T08:00:00", "2026-11-03T09:59:59.999999", "2026-11-03T10:01:00", ("confirmed", "")),
        ("2026-11-03T08:00:00", "2026-11-03T08:30:00", "2026-11-03T14:30:00", ("lapsed", "no-code")),
    ]
    bank.set_clock(NOW_NS + 6 * 3_600 * 10**9)
    content = "document,phone,bank,registered_at,checked_at,confirmed_at\n" + "".join(
        f"{number},,north,{','.join(times)}\n" for number, (*times, _) in enumerate(enter_times, 1)
    )
    assert read(bank, content).registered == 6
    found = bank.registrations.entries(NAME)
    assert [(each.state, each.reason) for each in found] == [state for *_, state in enter_times]
    assert [each.due_ns is not None for each in found] == [True, True, False, False, False, False]
    wrong = "document,phone,bank,registered_at,checked_at,confirmed_at\n"
    orders = (",2026-11-03T08:29:59,", ",2026-11-03T08:31:00,2026-11-03T08:30:59", f",,{AT}")
    for number, times in enumerate(orders):
        (fault,) = read(bank, f"{wrong}{number + 50},,north,{AT}{times}\n").faults
        assert fault.code == "WRONG_ORDER"


def test_rows_that_the_operators_confirmed(bank: Bank) -> None:
    assert read(bank, HEAD + rows(3), is_confirmed=True).registered == 3
    assert bank.registrations.counts(NAME) == {("confirmed", ""): 3}
    drawn(bank)
    assert bank.programmes.occurrence(NAME).entries == 3
    with pytest.raises(UsageError, match="its list does not change now"):
        read(bank, HEAD + rows(1, 9))


def test_the_first_characters_of_a_document_are_its_number() -> None:
    from sycee.programmes import definition

    programme = definition.load("luohu-2020")

    def numbers(characters: int) -> list[int]:
        from dataclasses import replace

        rules = replace(programme.registration_rules, document_characters=characters)
        reader = registration_rows.Reader(replace(programme, registration_rules=rules), lambda text: text, 0)
        return [reader.document_number(text) for text in ("440301-19800101-001X", "12", "X1", "")]

    assert numbers(17) == [44030119800101001, 12, 0, 0]
    assert numbers(0) == [0, 12, 0, 0]


# --- interrupted calls --------------------------------------------------------------------------------------------

PEOPLE = HEAD + "".join(f"{number},,south,{AT}\n" for number in range(1, 31)) + "x,,south,\n"


def register_in_groups(bank: Bank) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registration_rows, "GROUP_ROWS", 8)  # four groups
        patch.setattr(registration_entering, "TRANSACTION_HASHES", 20)  # two transactions
        imported = read(bank, PEOPLE, is_confirmed=True)
    assert (imported.rows, imported.registered, imported.refused) == (31, 30, {"INVALID_DOCUMENT": 1})


def everybody_once(bank: Bank) -> None:
    assert bank.registrations.counts(NAME) == {("confirmed", ""): 30}
    assert bank.registrations.screen(NAME).duplicates == 0
    with bank.stores.engine.connect() as connection:
        keys = connection.exec_driver_sql("SELECT count(*), count(DISTINCT entry) FROM programmes_entry_keys").one()
    assert tuple(keys) == (30, 30)


def test_the_index_is_written_on_the_way_through_a_large_file(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration_rows, "GROUP_ROWS", 8)
    monkeypatch.setattr(registration_entering, "GROUP_ROWS", 8)
    monkeypatch.setattr(registration_entering, "INDEX_ROWS", 16)
    computed: list[int] = []
    hashed = Vault.hashed

    def counted(vault: Vault, connection: Connection, first: int, end: int) -> Array:
        computed.append(first)
        return hashed(vault, connection, first, end)

    monkeypatch.setattr(Vault, "hashed", counted)

    def enter(_: int) -> None:
        if bank.registrations.counts(NAME) == {("confirmed", ""): 8}:
            bank.registrations.register(NAME, who=person(bank, NORTH), document="99", bank="north")

    assert read(bank, PEOPLE, is_confirmed=True, progress=enter).registered == 30
    for number in (1, 16, 17, 30):  # each has a hash, so the same document is a duplicate
        entered = bank.registrations.register(NAME, who=person(bank, NORTH), document=str(number), bank="north")
        assert entered.state == "duplicate", number
    assert bank.registrations.screen(NAME).duplicates == 4
    assert computed, "hashes after an entry from elsewhere are computed from the stored entries"


def test_a_call_that_is_killed_registers_everybody_once(tmp_path: Path) -> None:
    assert check_kills("", tmp_path, prepared(""), register_in_groups, expect=everybody_once) > 10


def test_a_list_is_not_frozen_while_a_file_is_incomplete(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration_rows, "GROUP_ROWS", 8)

    class Stopped(Exception):
        pass

    def stop(rows: int) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        read(bank, PEOPLE, is_confirmed=True, progress=stop)
    bank.set_clock(CLOSES_NS)
    with pytest.raises(UsageError, match="read up to row 8 only") as caught:
        bank.registrations.accepted(NAME)
    assert "register the same file again" in str(caught.value.hint)
    assert read(bank, PEOPLE, is_confirmed=True).registered == 30
    assert np.array_equal(bank.registrations.accepted(NAME).documents, np.arange(1, 31))
