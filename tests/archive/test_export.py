"""An archive agrees with its ledger after any number of exports and interruptions."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from tests.archive.sample_ledgers import (
    DAY_NS,
    LEDGER_ID,
    Town,
    accounts_of,
    replayed,
    replayed_by_frame,
    rows,
    sample_ledger,
)

from sycee.archive import export as exporting
from sycee.archive import exporter, manifest, parquet_files, tables
from sycee.archive.check import check
from sycee.archive.export import export
from sycee.archive.exporter import Exporter
from sycee.archive.history_source import ReplayedLedger
from sycee.archive.manifest import Manifest, load
from sycee.archive.query import Query
from sycee.archive.schema import BY_DAY, REGISTERS
from sycee.core import timestamps
from sycee.core.errors import IntegrityError, UnavailableError, UsageError
from sycee.core.limits import PLACE_INDEX_BITS
from sycee.core.money import currency_code
from sycee.core.records.layout import Kind, Purpose, PurseState
from sycee.testing.histories import histories, random_history

SHORT_DAY_NS = 40 * 10**9  # a step of a random history takes about a second of ledger time


@pytest.fixture
def short_days(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a day forty seconds long, so that a random history has several days."""
    for module in (exporting, tables, timestamps):
        monkeypatch.setattr(module, "NS_PER_DAY", SHORT_DAY_NS)


@pytest.fixture
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip fsync, which only a power cut needs."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def content(folder: Path) -> dict[str, list[Any]]:
    """Return every row of every table, in order."""
    with Query(folder) as query:
        found = {table: rows(query.run(f"FROM {table}")) for table in BY_DAY}
        return found | {view: rows(query.run(f"FROM {view} ORDER BY ALL")) for view in ("balances", "purses")}


def manifest_of(folder: Path) -> Manifest:
    found = load(folder)
    assert found is not None
    return found


# --- agreement with the ledger ---


@settings(max_examples=4)
@given(histories(60))
def test_the_archive_of_a_random_history_agrees_with_the_ledger(
    tmp_path_factory: pytest.TempPathFactory, history: Any
) -> None:
    source, folder = replayed(history), tmp_path_factory.mktemp("archive")
    made = export(source, folder)
    state = source.state
    assert (made.frame, made.operations, made.movements) == (state.sequence, state.bound.size, state.movements.size)
    check(source, folder)
    with Query(folder) as query:
        sums = dict(rows(query.run("SELECT currency, sum(amount) FROM lines GROUP BY ALL")))
        assert set(sums.values()) <= {0}
        balances = dict(rows(query.run("SELECT account, balance FROM balances")))
        purses = rows(
            query.run("SELECT dropped, spent, refunded, returned, held, state FROM purses ORDER BY programme, member")
        )
    own = state.accounts
    assert sorted(balances.values()) == sorted((own["credits_posted"] - own["debits_posted"]).tolist())
    by_number = sorted(state.all_purses.tolist(), key=lambda purse: purse[8])  # programme; members are in order
    names = state.all_purses.dtype.names
    assert purses == [
        [*(purse[names.index(name)] for name in ("dropped", "spent", "refunded", "returned", "pending")),
         PurseState(purse[names.index("state")]).name]
        for purse in by_number
    ]  # fmt: skip


def test_every_movement_and_operation_is_exported_unchanged(tmp_path: Path) -> None:
    source = sample_ledger()
    export(source, tmp_path)
    state, found = source.state, content(tmp_path)

    def text(number: int) -> str:
        digits = f"{number:032x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def side(row: int) -> str | None:
        return None if row >> 31 else text(state.account_id(row))

    by_place = {int(bound["place"]): bound for bound in state.bound}
    for number, (row, movement) in enumerate(zip(found["movements"], state.movements, strict=True), 1):
        bound = by_place[int(movement["place"])]
        account = min(int(movement["debit_row"]), int(movement["credit_row"]))
        assert [row[1], row[2], row[3], *row[6:13], *row[15:]] == [
            number,
            int(movement["place"]) >> PLACE_INDEX_BITS,
            int(movement["place"]) & 8191,
            currency_code(int(state.accounts["currency"][account])),
            Purpose(int(movement["purpose"])).name,
            int(movement["amount"]),
            side(int(movement["debit_row"])),
            side(int(movement["credit_row"])),
            int(movement["debit_balance"]),
            int(movement["credit_balance"]),
            text(int(bound["id_high"]) << 64 | int(bound["id_low"])),
            int(movement["leg"]),
        ]
    assert [row[1] for row in found["operations"]] == [
        text(int(bound["id_high"]) << 64 | int(bound["id_low"])) for bound in state.bound
    ]
    assert [Kind[row[5]] for row in found["operations"]] == state.bound["kind"].tolist()
    assert {row[4].count(".") for row in found["movements"]} == {1}  # nanoseconds are kept


# --- continued exports ---


@pytest.mark.parametrize("every", [3, pytest.param(40, marks=pytest.mark.soak)])
@pytest.mark.usefixtures("short_days", "quick_disk")
def test_many_small_exports_give_the_same_archive(tmp_path: Path, every: int) -> None:
    history = random_history(7, 100 if every == 3 else 300)
    for number, source in enumerate(replayed_by_frame(history), 1):
        if number % every == 0 or number == len(history):
            export(source, tmp_path / "parts")
    export(source, tmp_path / "whole")
    assert content(tmp_path / "parts") == content(tmp_path / "whole")
    check(source, tmp_path / "parts")
    days = manifest_of(tmp_path / "whole").days()
    assert len(days) > 1
    # Each day has one file, except the newest, which is not over yet.
    for table in BY_DAY:
        for day in days[:-1]:
            assert len([entry for entry in manifest_of(tmp_path / "parts").files_of(table) if entry.day == day]) <= 1
    assert manifest_of(tmp_path / "parts").movement_digest == source.state.movement_digest.hex()


@pytest.mark.usefixtures("short_days", "quick_disk")
def test_the_archive_does_not_depend_on_slices_and_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = sample_ledger()
    export(source, tmp_path / "whole")
    monkeypatch.setattr(tables.history_copy, "SLICE_ROWS", 3)
    monkeypatch.setattr(parquet_files, "ROW_GROUP_ROWS", 5)
    monkeypatch.setattr(manifest, "COMMITS_WAITING_MAX", 0)
    export(source, tmp_path / "parts")
    assert content(tmp_path / "parts") == content(tmp_path / "whole")
    path = (
        tmp_path
        / "parts"
        / max(manifest_of(tmp_path / "parts").files_of("movements"), key=lambda entry: entry.rows).path
    )
    assert pq.ParquetFile(path).num_row_groups > 2


def test_an_export_without_new_frames_writes_nothing(tmp_path: Path) -> None:
    source = sample_ledger()
    first = export(source, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    again = export(source, tmp_path)
    assert (again.frame, again.frames, again.movements, again.files) == (first.frame, 0, 0, first.files)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_an_empty_ledger_has_an_archive_too(tmp_path: Path) -> None:
    from sycee.ledger.state import LedgerState

    export(ReplayedLedger(LEDGER_ID, LedgerState()), tmp_path)
    assert set(map(len, content(tmp_path).values())) == {0}


def test_progress_ends_with_the_total(tmp_path: Path) -> None:
    source, said = sample_ledger(), list[tuple[int, int]]()
    export(source, tmp_path, progress=lambda done, total: said.append((done, total)))
    total = source.state.movements.size + source.state.bound.size
    assert said[-1] == (total, total)
    assert said == sorted(said)


# --- folders that are refused ---


def test_a_folder_with_other_files_is_refused_and_unchanged(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    with pytest.raises(UsageError, match="holds other files"):
        export(sample_ledger(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letters"]


def test_the_archive_of_another_ledger_is_refused_and_unchanged(tmp_path: Path) -> None:
    source = sample_ledger()
    export(source, tmp_path)
    with pytest.raises(UsageError, match=f"another ledger, {LEDGER_ID.hex()}"):
        export(ReplayedLedger(bytes(16), source.state), tmp_path)
    check(source, tmp_path)


def test_a_ledger_with_another_history_is_refused(tmp_path: Path) -> None:
    history = random_history(7, 200)
    export(replayed(history), tmp_path)
    shorter = replayed(history[:-2])
    with pytest.raises(IntegrityError, match="not those of this ledger"):
        export(shorter, tmp_path)
    with pytest.raises(IntegrityError, match="not those of this ledger"):
        export(replayed([*history[:-1], random_history(8, 20)[0]._replace(now_ns=history[-1].now_ns)]), tmp_path)


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    source = sample_ledger()
    with exporting.ExportSession(source, tmp_path), pytest.raises(UnavailableError, match="another process"):
        export(source, tmp_path)
    export(source, tmp_path)


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("{", IntegrityError, "is not the manifest of an archive"),
        ("[]", IntegrityError, "is not the manifest of an archive"),
        ('{"format": 1, "files": [{"rows": 1}]}', IntegrityError, "is not the manifest of an archive"),
        ('{"format": 2}', UnavailableError, "has format 2"),
    ],
)
def test_an_invalid_manifest_is_refused(tmp_path: Path, text: str, error: type[Exception], says: str) -> None:
    source = sample_ledger()
    export(source, tmp_path)
    (tmp_path / "manifest.json").write_text(text)
    for ask in (lambda: export(source, tmp_path), lambda: Query(tmp_path)):
        with pytest.raises(error, match=says):
            ask()


# --- interrupted exports ---


class PowerCut(BaseException):
    """No further write happens."""


@pytest.fixture
def power(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Return a function that allows `steps` calls which make files durable or rename them, and then raises."""
    left = [10**9]
    rename = Path.replace

    def step() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise PowerCut

    def replace(path: Path, target: Path) -> Path:
        step()
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", lambda _: step())
    monkeypatch.setattr(Path, "replace", replace)

    def let(steps: int) -> None:
        left[0] = steps

    yield let
    left[0] = 10**9


@pytest.mark.usefixtures("short_days")
@pytest.mark.parametrize("every", [23, pytest.param(1, marks=pytest.mark.soak)])
def test_an_export_interrupted_anywhere_is_usable_and_continues(
    tmp_path: Path, power: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    monkeypatch.setattr(manifest, "COMMITS_WAITING_MAX", 1)
    history = random_history(7, 60)
    sources = replayed_by_frame(history)
    early = next(source for number, source in enumerate(sources, 1) if number == len(history) // 2)
    export(early, tmp_path / "before")
    for source in sources:
        last = source
    export(last, tmp_path / "whole")
    expected = content(tmp_path / "whole")
    steps, cuts = 0, 0
    while True:
        folder = tmp_path / f"cut-{steps}"
        shutil.copytree(tmp_path / "before", folder)
        power(steps)
        try:
            export(last, folder)
            break
        except PowerCut:
            cuts += 1
        finally:
            power(10**9)
        # The manifest lists the same files as before.
        assert manifest_of(folder).frame <= last.state.sequence
        check(last, folder)
        export(last, folder)
        assert content(folder) == expected
        check(last, folder)
        steps += every
    assert cuts >= 3
    listed = {entry.path for entry in manifest_of(folder).files}
    export(last, folder)
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet")} >= listed


def test_files_of_interrupted_exports_are_removed(tmp_path: Path) -> None:
    history = random_history(7, 60)
    export(replayed(history[:-1]), tmp_path)
    stray = tmp_path / "movements" / "1970-01-01" / ".000000000001-000000000002.parquet"
    orphan = stray.with_name("000000000777-000000000778.parquet")
    for path in (stray, orphan, tmp_path / ".manifest.json-abc"):
        path.write_bytes(b"x")
    (tmp_path / "mine.txt").write_text("not yours")
    export(replayed(history), tmp_path)
    assert not stray.exists()
    assert not orphan.exists()
    assert not (tmp_path / ".manifest.json-abc").exists()
    assert (tmp_path / "mine.txt").exists()


def test_a_disk_that_refuses_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = sample_ledger()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnavailableError, match="No space left"):
        export(source, tmp_path)
    assert list(tmp_path.rglob("*.parquet")) == []
    monkeypatch.undo()
    export(source, tmp_path)
    check(source, tmp_path)


def test_a_file_that_was_changed_is_found(tmp_path: Path) -> None:
    source = sample_ledger()
    export(source, tmp_path)
    path = tmp_path / manifest_of(tmp_path).files_of("movements")[0].path
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    with pytest.raises(IntegrityError, match="was changed after the export"):
        check(source, tmp_path)
    path.unlink()
    with pytest.raises(IntegrityError, match="is incomplete"):
        check(source, tmp_path)


@pytest.mark.usefixtures("short_days", "quick_disk")
def test_damaged_files_are_not_merged(tmp_path: Path) -> None:
    history = random_history(7, 200)
    for number, source in enumerate(replayed_by_frame(history), 1):
        if number in (20, 30):
            export(source, tmp_path)
    path = tmp_path / manifest_of(tmp_path).files_of("operations")[-1].path
    whole = path.read_bytes()
    path.write_bytes(whole[:300] + bytes(100) + whole[400:])
    with pytest.raises(IntegrityError, match="cannot be read"):
        export(source, tmp_path)


def test_an_archive_that_differs_from_its_ledger_is_found(tmp_path: Path) -> None:
    source = sample_ledger()
    export(source, tmp_path)
    # The ledger's memory has another amount: all its sums agree, but not with the archive.
    chosen = source.state.movements["purpose"] == Purpose.TRANSFER
    at = int(chosen.nonzero()[0][0])
    for side, total in (("debit_row", "debits_posted"), ("credit_row", "credits_posted")):
        source.state.accounts[total][source.state.movements[side][at]] += 1
    source.state.movements["amount"][at] += 1
    with pytest.raises(IntegrityError, match="has another balance"):
        check(source, tmp_path)


# --- background exports ---


def test_the_exporter_exports_while_payments_continue(tmp_path: Path) -> None:
    town = Town(tmp_path / "ledger")
    with town.ledger as ledger, Exporter(ledger, tmp_path / "archive", every_s=0.02) as background:

        def work() -> None:
            for _ in range(60):
                ledger.transfer(town.ann, town.bob, 1)

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            town.wait(DAY_NS // 10)
            assert background.flush().frame <= ledger.sequencer.durable_sequence
        for thread in threads:
            thread.join()
        for _ in range(3):
            town.wait(DAY_NS)
            ledger.transfer(town.ann, town.bob, 1)
        town.drop()
        made = background.flush()
        assert made.frame == background.frame == ledger.sequencer.durable_sequence
        check(ledger, tmp_path / "archive")
        background.stop()
        background.stop()
        assert background.last_error is None
        with pytest.raises(UsageError, match="has been stopped"):
            background.flush()
        with Query(tmp_path / "archive") as query:
            assert rows(query.run("SELECT sum(balance) FROM balances WHERE kind IN ('WALLET', 'MERCHANT')")) == [
                [101_000]
            ]
            assert rows(query.run("SELECT count(DISTINCT day) FROM frames"))[0][0] >= 3
        export(ledger, tmp_path / "whole")
    assert content(tmp_path / "archive") == content(tmp_path / "whole")


def test_the_exporter_stores_its_last_error_and_retries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town(tmp_path / "ledger")
    failed = threading.Event()

    def full(*_: object, **__: object) -> None:
        failed.set()
        raise UnavailableError("the disk is full")

    with town.ledger as ledger:
        monkeypatch.setattr(exporting.parquet_files, "write_file", full)
        background = Exporter(ledger, tmp_path / "archive", every_s=0.01)
        assert failed.wait(10)
        with pytest.raises(UnavailableError, match="the disk is full"):
            background.flush()
        assert isinstance(background.last_error, UnavailableError)
        monkeypatch.undo()
        background.flush()
        background.stop()
        assert background.last_error is None
        check(ledger, tmp_path / "archive")


def test_large_registers_are_written_when_a_day_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "SMALL_REGISTERS_ROWS", 0)
    town = Town(tmp_path / "ledger")
    with town.ledger as ledger, exporting.ExportSession(ledger, tmp_path / "archive") as one:
        one.advance(registers=False)
        written = one.manifest.registers_frame
        late = ledger.open_account("EUR", exporter.Ledger.account(ledger, town.bob).kind)
        ledger.transfer(town.ann, late, 5)
        one.advance(registers=False)
        assert one.manifest.registers_frame == written
        with Query(tmp_path / "archive") as query:
            # The view has its balance before the register lists the account.
            assert rows(query.run("SELECT currency, kind FROM balances WHERE balance = 5")) == [["EUR", None]]
        town.wait(DAY_NS)
        ledger.transfer(town.ann, late, 5)
        one.advance(registers=False)
        assert one.manifest.registers_frame == one.manifest.frame
        assert set(REGISTERS) == {entry.table for entry in one.manifest.files if not entry.day}


@pytest.mark.parametrize("every_s", [0, -1, "often", True, float("nan")])
def test_every_s_must_be_a_number_of_seconds(tmp_path: Path, every_s: Any) -> None:
    town = Town(tmp_path / "ledger")
    with town.ledger as ledger, pytest.raises(UsageError, match="is not a number of seconds"):
        Exporter(ledger, tmp_path / "archive", every_s=every_s)
    with suppress(FileNotFoundError):
        assert not list((tmp_path / "archive").iterdir())


def test_the_register_lists_every_account(tmp_path: Path) -> None:
    source = sample_ledger()
    export(source, tmp_path)
    with Query(tmp_path) as query:
        assert rows(query.run("SELECT count(*) FROM accounts")) == [[len(accounts_of(source))]]
        assert rows(query.run("SELECT bool_and(suspense IS NOT NULL) FROM accounts")) == [[True]]
