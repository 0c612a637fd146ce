"""SQL over an archive: DuckDB in memory, with named views and without access to anything else.

A query is one SELECT. Before DuckDB reads it, DuckDB is given the list of the archive's files and locked. It then opens
no other file, no network, no other database and no extension, reads no variable of this program, and refuses changes of
its settings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final, Self

from sycee.archive.manifest import DEFAULT_FOLDER, Manifest, load
from sycee.archive.parquet_files import digest_of
from sycee.archive.schema import TABLES, VIEWS, Column
from sycee.core.errors import IntegrityError, UnavailableError, UsageError
from sycee.core.extras import extra
from sycee.sequencer.folders import folder_path

with extra("bank"):
    import duckdb

# Restrictions from the start; `_lock` adds the others when the views exist.
_CONFIG: Final[dict[str, Any]] = {
    "allow_community_extensions": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,  # otherwise `SELECT * FROM name` finds variables of this program
    "temp_directory": "",  # a query that does not fit memory is refused, not written to disk
}
# Errors that DuckDB raises for damaged Parquet files, among other causes.
_DAMAGE_ERRORS: Final = (
    duckdb.Error, duckdb.InvalidInputException, duckdb.IOException, duckdb.SerializationException,
    duckdb.InternalException, duckdb.OutOfRangeException, UnicodeDecodeError,
)  # fmt: skip
_ERRORS: Final = (duckdb.Error, RuntimeError, UnicodeDecodeError)  # errors of its Python client
_INTEGERS: Final = {
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
}  # fmt: skip
_PATTERN_CHARACTERS: Final = "*?["
_FILE_VIEWS: Final = {"purses": "purse_register"}  # view over a table's files if a public view has the table's name
_EXPORT_AGAIN: Final = "nothing of the ledger is lost: remove the folder and export again"
_SHOW_VIEWS: Final = "`sycee query FOLDER` without a query lists the views and their columns"


@dataclass(frozen=True, slots=True)
class QueryResult:
    """Result of a query. Every value is text as DuckDB writes it, exact; None is null."""

    names: list[str]
    types: list[str]  # DuckDB's names of the types
    rows: Iterator[tuple[str | None, ...]]  # read while iterated, once

    def values(self) -> Iterator[list[Any]]:
        """Yield the rows for JSON: integers, booleans and floating-point numbers as such, all else as text."""
        makers = [_maker(each) for each in self.types]
        for row in self.rows:
            yield [None if text is None else make(text) for make, text in zip(makers, row, strict=True)]

    def is_number(self, column: int) -> bool:
        """Return whether a column's values are numbers."""
        return self.types[column] in _INTEGERS or self.types[column].startswith(("DECIMAL", "DOUBLE", "FLOAT"))


def archive_in(place: str | Path) -> Path:
    """Return the folder of an archive: `place`, or `place`/archive of a ledger's folder. Raises UsageError."""
    folder = folder_path(place)
    for each in (folder, folder / DEFAULT_FOLDER):
        if load(each) is not None:
            return each
    if (folder / "journal").is_dir():
        raise UsageError(f"{folder} has no archive yet", hint=f"`sycee export {folder}` creates it")
    raise UsageError(f"{folder} is not an archive", hint="name a ledger's folder, or the folder of `sycee export --to`")


class Query:
    """An archive as of its opening, for any number of queries. For one thread."""

    def __init__(self, place: str | Path) -> None:
        """Open the archive in `place`, or in `place`/archive.

        Raises UsageError if there is none, IntegrityError if a file of it is missing or damaged.
        """
        self.folder = archive_in(place).resolve()
        if any(each in str(self.folder) for each in _PATTERN_CHARACTERS):
            raise UsageError(
                f"the path {self.folder} has a *, a ? or a [, which DuckDB reads as a pattern",
                hint="move the archive, or make a link to it",
            )
        manifest = load(self.folder)
        assert manifest is not None
        self.manifest: Manifest = manifest
        self._connection = duckdb.connect(":memory:", config=_CONFIG)
        try:
            self._make_views()
        except (duckdb.Error, UnicodeDecodeError) as error:
            self._connection.close()
            raise IntegrityError(f"{self.folder} is incomplete: {_message(error)}", hint=_EXPORT_AGAIN) from error
        self._lock()

    def run(self, sql: str) -> QueryResult:
        """Run one SELECT. Raises UsageError with DuckDB's message if it is not one or is wrong."""
        try:
            statements = self._connection.extract_statements(sql)
        except duckdb.Error as error:
            raise self._error_of(error) from error
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            found = ", ".join(str(each.type).rpartition(".")[2] for each in statements) or "nothing"
            raise UsageError(
                f"a query is one SELECT; got {found}", hint="an archive is read-only: it cannot be changed"
            )
        try:
            relation = self._connection.sql(statements[0].query)
            if relation is None:
                raise UsageError("the query has no result", hint="a query is one SELECT")
            names, types = list(relation.columns), [str(each) for each in relation.types]
            texts = relation.project("CAST(COLUMNS(*) AS VARCHAR)")
            rows = iter(texts.iter_rows())
            first = list(islice(rows, 1))  # most errors of a query occur before its first row
        except _ERRORS as error:
            raise self._error_of(error) from error
        return QueryResult(names, types, self._rows(chain(first, rows)))

    def columns(self, view: str) -> tuple[Column, ...]:
        """Return the columns of a view, with DuckDB's types and the meanings of the schema."""
        meanings = {column.name: column.meaning for column in VIEWS[view].columns}
        relation = self._connection.view(view)
        return tuple(
            Column(name, str(kind), meanings[name]) for name, kind in zip(relation.columns, relation.types, strict=True)
        )

    def close(self) -> None:
        """Close DuckDB and the archive's files."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _make_views(self) -> None:
        run = self._connection.execute
        run("SET TimeZone = 'UTC'")
        for table, columns in TABLES.items():
            paths = [_quoted(str(self.folder / entry.path)) for entry in self.manifest.files_of(table)]
            if paths:
                names = ", ".join(column.name for column in columns)
                content = f"SELECT {names} FROM read_parquet([{', '.join(paths)}], hive_partitioning = false)"  # noqa: S608
            else:
                empty = ", ".join(f"NULL::{column.type} AS {column.name}" for column in columns)
                content = f"SELECT {empty} WHERE false"
            run(f"CREATE VIEW {_FILE_VIEWS.get(table, table)} AS {content}")
        for view in VIEWS.values():
            if view.sql:
                run(f"CREATE VIEW {view.name} AS {view.sql}")

    def _lock(self) -> None:
        run = self._connection.execute
        paths = ", ".join(_quoted(str(self.folder / entry.path)) for entry in self.manifest.files)
        run(f"SET allowed_paths = [{paths}]")
        run("SET enable_external_access = false")
        run("SET lock_configuration = true")

    def _rows(self, found: Iterator[tuple[str | None, ...]]) -> Iterator[tuple[str | None, ...]]:
        try:
            yield from found
        except _ERRORS as error:
            raise self._error_of(error) from error

    def _error_of(self, error: Exception) -> BaseException:
        """Return the error to raise for an error of DuckDB."""
        if isinstance(error, RuntimeError) and "interrupted" in str(error):  # DuckDB's error for Ctrl-C
            return KeyboardInterrupt()
        message = _message(error)
        if isinstance(error, duckdb.OutOfMemoryException):
            return UnavailableError(message, hint="query less at once: one day, one account, one sum")
        if type(error) in _DAMAGE_ERRORS and (damaged := self._damaged()):
            return IntegrityError(
                f"{self.folder / damaged} was changed after the export: {message}", hint=_EXPORT_AGAIN
            )
        if isinstance(error, (duckdb.PermissionException, duckdb.IOException)):
            # DuckDB expands the name of a missing file as a pattern, which is forbidden here.
            if gone := [each.path for each in self.manifest.files if not (self.folder / each.path).is_file()]:
                return UnavailableError(
                    f"{gone[0]} is no longer in {self.folder}",
                    hint="the archive was exported at least twice since this query began: run it again",
                )
            return UsageError(message, hint="a query reads the views of the archive, and no other file")
        return UsageError(message, hint=_hint(error)) if isinstance(error, duckdb.Error) else error

    def _damaged(self) -> str:
        """Return the first file whose bytes differ from the export, or nothing."""
        for entry in self.manifest.files:
            path = self.folder / entry.path
            if path.is_file() and digest_of(path) != entry.blake3:
                return entry.path
        return ""


def _message(error: Exception) -> str:
    """Return DuckDB's message: its first line and the excerpt of the query, without DuckDB's own advice."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    excerpt = next((at for at, line in enumerate(lines) if re.match(r"LINE \d+: ", line)), len(lines))
    return "\n".join(lines[:1] + lines[max(excerpt, 1) : excerpt + 2])


def _hint(error: Exception) -> str:
    """Return the next step after a wrong query, instead of DuckDB's advice about settings and extensions."""
    text = str(error)
    if candidate := re.search(r'^Candidate bindings: "([^"]+)"', text, re.MULTILINE):
        return f"did you mean {candidate[1]}? {_SHOW_VIEWS}"
    if text.startswith("Catalog Error: Table with name"):
        return f"the views are {', '.join(VIEWS)}; {_SHOW_VIEWS}"
    if " extension" in text:
        return "an archive is read without DuckDB's extensions"
    return _SHOW_VIEWS


def _maker(kind: str) -> Any:
    if kind in _INTEGERS:
        return int
    if kind == "BOOLEAN":
        return lambda text: text == "true"
    return float if kind in ("DOUBLE", "FLOAT") else str


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
