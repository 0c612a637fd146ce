"""Queries: content and documentation of the views, and no access to anything else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.archive.sample_ledgers import Town, rows, sample_ledger
from tests.docs.pages import page

from sycee.archive.check import check
from sycee.archive.export import export
from sycee.archive.query import Query, archive_in
from sycee.archive.schema import VIEWS
from sycee.core.errors import IntegrityError, UnavailableError, UsageError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("archive") / "it's one"
    export(sample_ledger(), made)
    return made


@pytest.fixture
def query(folder: Path) -> Iterator[Query]:
    with Query(folder) as opened:
        yield opened


# --- the views ---


def test_views_have_the_columns_of_the_schema(query: Query) -> None:
    for name, view in VIEWS.items():
        assert query.columns(name) == view.columns


def test_an_empty_archive_has_the_same_columns(tmp_path: Path) -> None:
    from tests.archive.sample_ledgers import LEDGER_ID

    from sycee.archive.history_source import ReplayedLedger
    from sycee.ledger.state import LedgerState

    export(ReplayedLedger(LEDGER_ID, LedgerState()), tmp_path)
    with Query(tmp_path) as query:
        for name, view in VIEWS.items():
            assert query.columns(name) == view.columns
            assert rows(query.run(f"FROM {name}")) == []


def test_the_reference_lists_the_views_of_the_schema() -> None:
    sections = page("docs/reference/archive.md").text.split("\n### ")
    documented = {section.splitlines()[0].strip("`"): section for section in sections[1:]}
    assert list(documented) == list(VIEWS)
    for name, view in VIEWS.items():
        found = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+?) \|$", documented[name], re.MULTILINE)
        assert found == [(column.name, column.type, column.meaning) for column in view.columns]
        assert f"\n{view.meaning[0].upper()}{view.meaning[1:]}.\n" in documented[name]


def test_the_lines_view_equals_the_statements(tmp_path: Path) -> None:
    town = Town(tmp_path / "ledger")
    with town.ledger as ledger:
        town.drop()
        ledger.transfer(town.ann, town.bob, 300)
        export(ledger, tmp_path / "archive")
        with Query(tmp_path / "archive") as query:
            for account in (town.issuance, town.funder, town.ann, town.bob, town.shop):
                columns = "epoch_ns(time), purpose, amount, balance"
                found = rows(query.run(f"FROM lines SELECT {columns} WHERE account = '{account:032x}' ORDER BY number"))
                said = [
                    [each.time_ns, each.purpose.name, each.amount, each.balance] for each in ledger.statement(account)
                ]
                assert found == said
            assert rows(query.run("SELECT member, state, dropped, spent, balance FROM purses ORDER BY member")) == [
                [0, "CLAIMED", 2_000, 1_000, 1_000], [1, "DROPPED", 2_000, 0, 2_000], [2, "DROPPED", 2_000, 0, 2_000],
            ]  # fmt: skip
            assert rows(query.run("SELECT currency, members, sealed, spend_from_ns FROM programmes")) == [
                ["EUR", 3, True, 0]
            ]
            assert rows(query.run("FROM currencies")) == [["EUR", 978, 2, "Europe/Paris"]]


# --- results ---


def test_values_are_exact(query: Query) -> None:
    answer = query.run(
        "SELECT 9223372036854775807::BIGINT + 0::HUGEINT AS i, 0.10::DECIMAL(5,2) AS d, NULL AS n, 1 = 1 AS b, "
        "0.5::DOUBLE AS f, [1, 2] AS l, make_timestamp_ns(1602461400123456789) AS t, 'x' AS i -- a remark"
    )
    assert answer.names[:3] == ["i", "d", "n"]
    assert [answer.is_number(at) for at in range(6)] == [True, True, False, False, True, False]
    assert rows(answer) == [
        [9223372036854775807, "0.10", None, True, 0.5, "[1, 2]", "2020-10-12 00:10:00.123456789", "x"]
    ]


def test_rows_have_the_order_of_the_query(query: Query) -> None:
    numbers = [number for (number,) in rows(query.run("SELECT number FROM movements ORDER BY number DESC"))]
    assert numbers == sorted(numbers, reverse=True)
    assert len(numbers) > 50


@pytest.mark.parametrize("sql", ["DESCRIBE movements", "SHOW TABLES", "FROM frames", "VALUES (1)", "SUMMARIZE frames;"])
def test_other_forms_of_select_are_accepted(query: Query, sql: str) -> None:
    assert rows(query.run(sql))


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT * FROM payments", "payments does not exist"),
        ("SELECT nothing FROM movements", "nothing"),
        ("SELECT 'a'::INTEGER", "Could not convert"),
        ("SELECT purpose::INTEGER FROM movements", "Could not convert"),
        ("", "got nothing"),
        ("-- only a remark", "got nothing"),
    ],
)
def test_a_wrong_query_is_a_usage_error_with_the_reason(query: Query, sql: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        rows(query.run(sql))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("sql", "message", "hint"),
    [
        ("SELECT amuont FROM movements", 'Referenced column "amuont" not found', "did you mean amount? `sycee query"),
        ("SELECT * FROM payments", "Table with name payments does not exist!", "the views are movements, lines, "),
        ("SELECT * FROM read_xlsx('a.xlsx')", "exists in the excel extension", "without DuckDB's extensions"),
        ("SELECT (SELECT 1 UNION SELECT 2)", "More than one row", "lists the views and their columns"),
        ("SELECT sum(purpose) FROM movements", "No function matches", "lists the views and their columns"),
        ("SELECT amount, count(*) FROM movements", "must appear in the GROUP BY", "lists the views and their columns"),
    ],
)
def test_hints_are_ours_and_not_those_of_duckdb(query: Query, sql: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        rows(query.run(sql))
    assert message in caught.value.message
    assert hint in str(caught.value.hint)
    for theirs in ("Did you mean", "Candidate", "INSTALL", "SET ", "ANY_VALUE", "\n"):
        assert theirs not in caught.value.message


def test_a_syntax_error_shows_its_place(query: Query) -> None:
    with pytest.raises(UsageError) as caught:
        query.run("SELECT 1\nFROM FROM movements")
    assert caught.value.message.splitlines()[1].startswith("LINE 2: FROM FROM movements")
    assert caught.value.message.splitlines()[2].strip().startswith("^")


# --- no other access ---

ELSEWHERE = (
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('{folder}/manifest.json')",
    "SELECT * FROM read_json('{folder}/manifest.json')",
    "SELECT * FROM glob('/*')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM parquet_metadata('{outside}')",
    "SELECT * FROM read_parquet('{outside}')",
    "SELECT * FROM '{outside}'",
    "SELECT * FROM read_parquet('http://127.0.0.1:9/x.parquet')",
    "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
    "SELECT getenv('HOME')",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM secret_of_this_program",
    "SELECT * FROM query('COPY movements TO ''{outside}''')",
    "COPY movements TO '{outside}.csv'",
    "COPY movements TO '{inside}'",
    "COPY (SELECT 1) TO STDOUT",
    "EXPORT DATABASE '{outside}.db'",
    "IMPORT DATABASE '{outside}.db'",
    "ATTACH '{outside}.db'",
    "ATTACH ':memory:' AS other",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "RESET lock_configuration",
    "SET threads = 1",
    "PRAGMA enable_profiling",
    "CALL pragma_version()",
    "CREATE TABLE t (a INTEGER)",
    "CREATE OR REPLACE VIEW movements AS SELECT 1",
    "DROP VIEW movements",
    "INSERT INTO movements VALUES (1)",
    "DELETE FROM movements",
    "EXPLAIN ANALYZE COPY movements TO '{outside}.csv'",
    "PREPARE p AS SELECT 1",
    "CREATE SECRET s (TYPE s3)",
    "CHECKPOINT",
    "SELECT 1; COPY movements TO '{outside}.csv'",
)


@pytest.mark.parametrize("sql", ELSEWHERE)
def test_nothing_but_the_views_can_be_reached(query: Query, folder: Path, tmp_path: Path, sql: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    secret_of_this_program = pa.table({"secret": [1]})
    outside = tmp_path / "outside.parquet"
    pq.write_table(secret_of_this_program, outside)
    inside = folder / query.manifest.files_of("movements")[0].path
    before = {path: path.read_bytes() for path in (outside, inside)}
    names = {"folder": folder, "outside": outside, "inside": inside}
    quoted = {name: str(path).replace("'", "''") for name, path in names.items()}
    with pytest.raises((UsageError, UnavailableError)):
        rows(query.run(sql.format_map(quoted)))
    assert {path: path.read_bytes() for path in before} == before
    assert [path.name for path in tmp_path.iterdir()] == ["outside.parquet"]
    assert rows(query.run("SELECT count(*) > 1 FROM movements")) == [[True]]


def test_the_settings_are_locked(query: Query) -> None:
    locked = {
        "enable_external_access": "false",
        "lock_configuration": "true",
        "autoload_known_extensions": "false",
        "autoinstall_known_extensions": "false",
        "allow_community_extensions": "false",
        "python_enable_replacements": "false",
        "allowed_directories": "[]",
    }
    names = ", ".join(f"'{name}'" for name in locked)
    assert dict(rows(query.run(f"FROM duckdb_settings() SELECT name, value WHERE name IN ({names})"))) == locked


# --- finding the archive ---


def test_an_archive_is_found_in_its_ledgers_folder(folder: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    (ledger / "journal").mkdir(parents=True)
    with pytest.raises(UsageError, match="has no archive yet") as caught:
        archive_in(ledger)
    assert caught.value.hint == f"`sycee export {ledger}` creates it"
    (ledger / "archive").symlink_to(folder)
    assert archive_in(ledger) == ledger / "archive"
    with Query(ledger) as query:
        assert rows(query.run("SELECT 1")) == [[1]]
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UsageError, match="is not an archive"):
            archive_in(place)


def test_a_path_with_pattern_characters_is_refused(tmp_path: Path) -> None:
    export(sample_ledger(), tmp_path / "a[b]")
    with pytest.raises(UsageError, match="reads as a pattern"):
        Query(tmp_path / "a[b]")


def test_damage_is_an_integrity_error_and_no_usage_error(tmp_path: Path) -> None:
    damaged_at_every(1_201, tmp_path)


@pytest.mark.soak
def test_damage_anywhere_is_an_integrity_error_and_no_usage_error(tmp_path: Path) -> None:
    damaged_at_every(31, tmp_path)


def damaged_at_every(step: int, tmp_path: Path) -> None:
    source = sample_ledger()
    export(source, tmp_path)
    with Query(tmp_path) as query:
        path = tmp_path / query.manifest.files_of("movements")[0].path
    whole = path.read_bytes()
    said = set()
    for at in range(8, len(whole), step):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
        # A query does not read every byte; damage that it meets must be reported as damage.
        with suppress(IntegrityError), Query(tmp_path) as query:
            try:
                rows(query.run("FROM movements"))
            except IntegrityError as error:
                said.add(error.message.partition(": ")[0])
        with pytest.raises(IntegrityError):
            check(source, tmp_path)
    assert said == {f"{path} was changed after the export"}


def test_a_file_removed_during_a_query_is_unavailable(tmp_path: Path) -> None:
    export(sample_ledger(), tmp_path)
    with Query(tmp_path) as query:
        for entry in query.manifest.files_of("movements"):
            (tmp_path / entry.path).unlink()
        with pytest.raises(UnavailableError) as caught:
            rows(query.run("SELECT sum(amount) FROM movements"))
    assert "run it again" in str(caught.value.hint)


def test_two_queries_of_one_archive_do_not_disturb_each_other(folder: Path) -> None:
    with Query(folder) as one, Query(folder) as other:
        found: Any = one.run("SELECT number FROM movements ORDER BY number")
        assert rows(other.run("SELECT count(*) FROM movements")) == [[len(rows(found))]]
