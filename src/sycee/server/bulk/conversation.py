"""One stream of rows and its results: two threads, so that the next batch is prepared while the ledger writes.

    event loop ─> Intake ─> thread: rows, digest, records ─> ledger ─┐ up to IN_FLIGHT batches
    event loop <─ Outlet <─ thread: results in order  <──────────────┘

A sender that does not read holds up to ANSWER_BYTES_MAX of results; then no more rows are read. A cut ends both
threads; batches that the ledger has taken are paid.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from queue import Queue
from typing import Any, Final, Protocol

from sycee.bank.bank import Bank
from sycee.bulk.dry_run import DryRun
from sycee.bulk.files import File
from sycee.bulk.results import RowResults
from sycee.client import bulk_arrow, bulk_csv
from sycee.client.bulk_arrow import Batch, envelopes_of
from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import read_ns
from sycee.core.errors import SyceeError, UsageError
from sycee.core.money import Currency
from sycee.core.records.bulk_rows import BATCH_ROWS, FileIds, Rows
from sycee.server.bulk.intake import Cut, Intake, Outlet
from sycee.server.problems import Problem, from_error

IN_FLIGHT: Final = 6  # batches that the ledger has and that have no results yet
ANSWER_BYTES_MAX: Final = 32 << 20  # results of three million rows


class Taken(Protocol):
    """A batch whose results come."""

    def take(self) -> RowResults:
        """Wait for the results, and return them."""


Take = Callable[[int, Rows, Array], Taken]
Answer = Callable[[RowResults], bytes]


class Answered:
    """Results that are known already."""

    def __init__(self, results: RowResults) -> None:
        self._results = results

    def take(self) -> RowResults:
        """Return the results."""
        return self._results


def paying(bank: Bank, file: File) -> Take:
    """Return what pays the batches of a file."""

    def take(number: int, rows: Rows, envelopes: Array) -> Taken:
        return bank.bulk.append(file, number, rows, envelopes)

    return take


def checking(bank: Bank, payer: int) -> Take:
    """Return what answers batches as the ledger would now, and pays nothing."""
    file = FileIds(ids.new(read_ns(bank.stores.clock) // 1_000_000), payer)
    run = DryRun(bank.stores, file, bank.registry.own_accounts())

    def take(number: int, rows: Rows, envelopes: Array) -> Taken:
        return Answered(run.answer(rows, number * BATCH_ROWS))

    return take


def arrow_batches(intake: Intake, first: int, envelopes: Sequence[Array]) -> Iterator[Batch]:
    """Yield the batches of an Arrow stream, each with its number and its envelopes.

    `first`: number of a first batch without a number. `envelopes`: of batches without their own.
    """
    given = iter(envelopes)
    number = first
    for batch in bulk_arrow.read_rows(intake):
        number = number if batch.number < 0 else batch.number
        signed = batch.envelopes if batch.envelopes.size else next(given, batch.envelopes)
        yield Batch(number, batch.rows, signed)
        number += 1


def csv_batches(intake: Intake, first: int, envelopes: Sequence[Array] | None, currency: Currency) -> Iterator[Batch]:
    """Yield the batches of a CSV file, which is read as a whole first. `envelopes`: None for a dry run."""
    rows = bulk_csv.read(intake, currency)
    given = repeat(envelopes_of(b"")) if envelopes is None else iter(envelopes)
    for number, start in enumerate(range(0, rows.size, BATCH_ROWS), first):
        signed = next(given, None)
        if signed is None:
            raise UsageError(
                f"batch {number:,} has no envelope", hint="send them in the header Sycee-Envelopes, in order"
            )
        yield Batch(number, rows.part(start, start + BATCH_ROWS), signed)


def read_rows(batches: Callable[[], Iterator[Batch]], take: Callable[[], Take], waiting: Queue[Any]) -> None:
    """Queue each batch at the ledger. On a thread; `waiting` gets batches in order, then None or an error."""
    last = -1
    try:
        taking = take()
        for batch in batches():
            if batch.number <= last:
                raise UsageError(f"batch {batch.number:,} follows batch {last:,}", hint="send batches in order")
            last = batch.number
            waiting.put(taking(batch.number, batch.rows, batch.envelopes))
    except BaseException as error:
        waiting.put(error)
    else:
        waiting.put(None)


def write_results(waiting: Queue[Any], outlet: Outlet, writer: Writer) -> None:
    """Send the results of batches in order. On a thread; the outlet gets pieces, then None or an error."""
    is_begun = is_over = False
    try:
        while True:
            item = waiting.get()
            is_over = item is None or isinstance(item, BaseException)
            if item is None:
                break
            if isinstance(item, BaseException):
                raise item
            outlet.put(writer.add(item.take()))
            is_begun = True
        outlet.put(writer.end())
        outlet.put(None)
    except Cut:
        _end(outlet, Cut())
    except BaseException as error:
        if is_begun:
            _end(outlet, writer.fail(_problem(error)))
            _end(outlet, None)
        else:
            _end(outlet, error)
    finally:
        while not is_over:  # the other thread must never wait for space
            item = waiting.get()
            is_over = item is None or isinstance(item, BaseException)


class Writer(Protocol):
    """Writes results in one format."""

    media_type: str

    def add(self, results: RowResults) -> bytes:
        """Return the bytes of results."""

    def fail(self, problem: bytes) -> bytes:
        """Return the bytes of the end after a problem."""

    def end(self) -> bytes:
        """Return the bytes of the end."""


class ArrowWriter(bulk_arrow.ResultWriter):
    """Writes results as an Arrow IPC stream."""

    media_type = bulk_arrow.STREAM_TYPE


class CsvWriter:
    """Writes results as CSV."""

    media_type = bulk_csv.CSV_TYPE

    def __init__(self) -> None:
        self._is_begun = False

    def add(self, results: RowResults) -> bytes:
        """Return the lines of results."""
        header, self._is_begun = not self._is_begun, True
        return bulk_csv.write_results(results.first, results, header=header)

    def fail(self, problem: bytes) -> bytes:
        """Return one line with the problem."""
        return b"problem," + problem + b"\n"

    def end(self) -> bytes:
        """Return nothing."""
        return b""


def _end(outlet: Outlet, item: bytes | BaseException | None) -> None:
    try:
        outlet.put(item)
    except Cut:
        return


def _problem(error: BaseException) -> bytes:
    if isinstance(error, Problem):
        problem = error
    elif isinstance(error, SyceeError):
        problem = from_error(error)
    else:
        problem = Problem("failed", "the server failed in this request")
    return json.dumps(problem.document("")).encode()
