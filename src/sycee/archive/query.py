"""SQL over an archive: DuckDB in memory, with named views and without a way to anything else.

What a query may be is one SELECT. DuckDB itself is told which files there are and locked before it sees the query: it
opens no other file, no network, no other database and no extension, looks at no variable of this program, and lets no
setting be changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import duckdb

from sycee.archive.manifest import DEFAULT_FOLDER, Manifest, load
from sycee.archive.parquet_files import digest_of
from sycee.archive.schema import TABLES, VIEWS, Column
from sycee.core.errors import IntegrityError, UnavailableError, UsageError
from sycee.sequencer.folders import folder_path

# What stands in a query's way when it is opened; the rest is set once the views are there.
_CONFIG: Final[dict[str, Any]] = {
    "allow_community_extensions": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,  # else `SELECT * FROM name` finds variables of this program
    "temp_directory": "",  # what does not fit memory is refused, and not written anywhere
}
# What DuckDB raises for bytes that are no Parquet, besides other things.
_OF_DAMAGE: Final = (
    duckdb.Error, duckdb.InvalidInputException, duckdb.IOException, duckdb.SerializationException,
    duckdb.InternalException, duckdb.OutOfRangeException, UnicodeDecodeError,
)  # fmt: skip
_ERRORS: Final = (duckdb.Error, RuntimeError, UnicodeDecodeError)  # what its Python client raises
_INTEGERS: Final = {
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
}  # fmt: skip
_PATTERN_CHARACTERS: Final = "*?["
_REGISTER: Final = {"purses": "purse_register"}  # what a table's files are called where a view adds to them


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query found. Every value is text as DuckDB writes it, exact; None is null."""

    names: list[str]
    types: list[str]  # DuckDB's names of them
    rows: Iterator[tuple[str | None, ...]]  # read as it is iterated, once

    def values(self) -> Iterator[list[Any]]:
        """The rows for JSON: integers, booleans and floating-point numbers as such, everything else as text."""
        makers = [_maker(each) for each in self.types]
        for row in self.rows:
            yield [
                None if text is None else make(text) for make, text in zip(makers, row, strict=True)
            ]  # fmt: skip

    def is_number(self, column: int) -> bool:
        """Whether a column's values are numbers."""
        return self.types[column] in _INTEGERS or self.types[column].startswith(("DECIMAL", "DOUBLE", "FLOAT"))


def archive_in(place: str | Path) -> Path:
    """The folder of the archive that is meant: this, or the one in a ledger's folder. Raises UsageError."""
    folder = folder_path(place)
    for each in (folder, folder / DEFAULT_FOLDER):
        if load(each) is not None:
            return each
    if (folder / "journal").is_dir():
        raise UsageError(f"{folder} has no archive yet", hint=f"`sycee export {folder}` makes it")
    raise UsageError(f"{folder} is no archive", hint="name a ledger's folder, or what was given to `sycee export --to`")


class Query:
    """An archive, as it stands now, for any number of queries. For one thread."""

    def __init__(self, place: str | Path) -> None:
        """Open the archive in `place`, or in `place`/archive.

        Raises UsageError where there is none, IntegrityError where a file of it is missing or damaged.
        """
        self.folder = archive_in(place).resolve()
        if any(each in str(self.folder) for each in _PATTERN_CHARACTERS):
            raise UsageError(
                f"{self.folder}: the path has a *, a ? or a [, which DuckDB takes for a pattern",
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
            raise IntegrityError(
                f"{self.folder} is not whole: {_first_line(error)}",
                hint="Nothing of the ledger is lost: remove the folder and export again.",
            ) from error
        self._lock()

    def run(self, sql: str) -> Answer:
        """Answer one SELECT. Raises UsageError with DuckDB's message where it is none or is wrong."""
        try:
            statements = self._connection.extract_statements(sql)
        except duckdb.Error as error:
            raise self._refusal(error) from error
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            found = ", ".join(str(each.type).rpartition(".")[2] for each in statements) or "nothing"
            raise UsageError(
                f"a query is one SELECT, and this is {found}", hint="an archive is for reading: it cannot be changed"
            )
        try:
            relation = self._connection.sql(statements[0].query)
            if relation is None:
                raise UsageError("the query has no result", hint="a query is one SELECT")
            names, types = list(relation.columns), [str(each) for each in relation.types]
            texts = relation.project("CAST(COLUMNS(*) AS VARCHAR)")
            rows = iter(texts.iter_rows())
            first = list(islice(rows, 1))  # what is wrong with a query shows by its first row
        except _ERRORS as error:
            raise self._refusal(error) from error
        return Answer(names, types, self._rows(chain(first, rows)))

    def columns(self, view: str) -> tuple[Column, ...]:
        """The columns of a view, as DuckDB finds them, with what each means."""
        meanings = {column.name: column.meaning for column in VIEWS[view].columns}
        relation = self._connection.view(view)
        return tuple(
            Column(name, str(kind), meanings[name]) for name, kind in zip(relation.columns, relation.types, strict=True)
        )

    def close(self) -> None:
        """Let the archive go."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _make_views(self) -> None:
        run = self._connection.execute
        run("SET TimeZone = 'UTC'")
        for table, columns in TABLES.items():
            paths = [_quoted(str(self.folder / entry.path)) for entry in self.manifest.of(table)]
            if paths:
                names = ", ".join(column.name for column in columns)
                content = f"SELECT {names} FROM read_parquet([{', '.join(paths)}], hive_partitioning = false)"  # noqa: S608
            else:
                empty = ", ".join(f"NULL::{column.type} AS {column.name}" for column in columns)
                content = f"SELECT {empty} WHERE false"
            run(f"CREATE VIEW {_REGISTER.get(table, table)} AS {content}")
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
            raise self._refusal(error) from error

    def _refusal(self, error: Exception) -> BaseException:
        if isinstance(error, RuntimeError) and "interrupted" in str(error):  # Ctrl-C reaches Python as this
            return KeyboardInterrupt()
        message = _first_line(error)
        if isinstance(error, duckdb.OutOfMemoryException):
            return UnavailableError(message, hint="ask for less at once: a day, an account, a sum")
        if type(error) in _OF_DAMAGE and (damaged := self._damaged()):
            return IntegrityError(
                f"{self.folder / damaged} is not as it was written: {message}",
                hint="Nothing of the ledger is lost: remove the folder and export again.",
            )
        if isinstance(error, (duckdb.PermissionException, duckdb.IOException)):
            # DuckDB looks for a missing file as if its name were a pattern, and that it may not.
            if gone := [each.path for each in self.manifest.files if not (self.folder / each.path).is_file()]:
                return UnavailableError(
                    f"{self.folder}: {gone[0]} is no longer there",
                    hint="the archive was exported anew meanwhile, twice at least: ask again",
                )
            return UsageError(message, hint="a query reads the views of the archive, and nothing else")
        if not isinstance(error, duckdb.Error):
            return error
        return UsageError(message, hint="`sycee query FOLDER` without a query shows the views and their columns")

    def _damaged(self) -> str:
        """The first file whose bytes are others than were written, or nothing."""
        for entry in self.manifest.files:
            path = self.folder / entry.path
            if path.is_file() and digest_of(path) != entry.blake3:
                return entry.path
        return ""


def _first_line(error: Exception) -> str:
    """DuckDB's message, in as many lines as say something, without its advice about settings that are locked."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return "\n".join(lines[:1] if isinstance(error, duckdb.PermissionException) else lines)


def _maker(kind: str) -> Any:
    if kind in _INTEGERS:
        return int
    if kind == "BOOLEAN":
        return lambda text: text == "true"
    return float if kind in ("DOUBLE", "FLOAT") else str


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
