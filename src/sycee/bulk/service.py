"""Bulk payments of one bank: declare a file, take its batches, settle it, and read its results at any later time.

    declare ─> (approve, above an amount) ─> append each batch ─> results
                                                └─ mode "all": STAGE each row ─> settle: all rows or none

A batch is checked against the digest that its payer declared before anything of it reaches the ledger, so another file
under the same id pays nothing. Ids follow from the file's id and the row's number: a batch that is sent again is
answered with its first results.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.bulk import files, results
from sycee.bulk.ends import Answered, record_end
from sycee.bulk.files import File
from sycee.bulk.results import RowResults
from sycee.bulk.tables import BAD_ROWS, DISCARDED, FILES, OPEN, SETTLED, SETTLING, WAITING
from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import RealClock, read_ns
from sycee.core.errors import BusyError, UsageError
from sycee.core.records import bulk_rows, operations
from sycee.core.records.bulk_rows import BATCH_ROWS, FRESH_ID_HINT, Content, Mode, RowCode, Rows
from sycee.core.records.envelopes import Envelope, as_array
from sycee.core.records.proposal_format import Proposal
from sycee.core.result_codes import Result
from sycee.database.actions import Draft, Intent
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write
from sycee.ledger.kernels import constants
from sycee.sequencer.signer import Signer
from sycee.sequencer.submission_queue import Ticket
from sycee.wallets.tables import REFUSALS, WALLETS

if TYPE_CHECKING:
    from collections.abc import Callable

    from sycee.identity.people import People
    from sycee.identity.proposals import Proposals

PAY: Final = "bulk.pay"
APPROVE: Final = "bulk.approve"
SETTLE: Final = "bulk.settle"
TIME_AHEAD_NS_MAX: Final = 86_400 * 10**9  # of the time in a file's id
BAD_ROWS_MAX: Final = 100_000  # of a file; their codes are rows of SQL
_READ_MAX: Final = 500  # values of one query


@dataclass(slots=True)
class Pending:
    """A batch that waits for the ledger. `take` returns its results once they are durable."""

    service: BulkPayments
    file: File
    rows: Rows
    first: int
    ticket: Ticket | None
    refused: RowResults | None = None
    answers: Array | None = None  # if the ledger has answered already

    def take(self) -> RowResults:
        """Wait for the results, and return them. Raises as `Sequencer.submit` does."""
        if self.refused is not None:
            return self.refused
        if self.answers is None:
            assert self.ticket is not None
            self.answers = self.ticket.wait()
        found = results.of_answers(self.first, self.answers)
        are_paid = not found.codes.any()  # CREATED is 0
        if not are_paid:
            self.service.store_refusals(self.file, self.rows, found)
        if are_paid or found.is_complete:
            self.service.answered.note(self.file, self.first // BATCH_ROWS)
        return results.shown(self.file, found)


@dataclass(frozen=True, slots=True)
class Summary:
    """The rows of a file by the name of their code, and the money that was paid."""

    counts: Mapping[str, int]
    paid_minor: int
    done: int  # rows that have a result

    @property
    def paid(self) -> int:
        """Return the number of rows that were paid."""
        return self.counts.get(Result.CREATED.name, 0)


@dataclass(slots=True)
class BulkPayments:
    """Bulk payments. `unpayable`: accounts that no row may pay. `two_persons_minor`: above it, two approve."""

    stores: Stores
    people: People
    proposals: Proposals
    unpayable: Callable[[], frozenset[int]]
    two_persons_minor: int
    answered: Answered = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.answered = Answered(self.stores)
        self.stores.actions.register(_Approve(), _Settle(self.stores))

    # --- declaring ---

    def declare(self, id: int, content: Content, *, who: int) -> File:
        """Store a file and return it; the same content under the same id again returns the stored file.

        Raises UsageError for an id whose time is after tomorrow, an unknown payer, a person without the duty, and
        another file under the id.
        """
        now_ns = read_ns(self.stores.clock)
        account = self.stores.ledger.account(content.payer)
        self.people.require(who, PAY, operator=account.operator)
        if (earlier := self.find(id)) is not None:
            return _same(earlier, content)
        # Rows with ids of the future would make every later id of the ledger slower to find. A caller of a rehearsal
        # takes ids from its machine's clock.
        latest_ns = max(now_ns, RealClock().now_ns()) + TIME_AHEAD_NS_MAX
        if (id >> 80) * 1_000_000 > latest_ns or (id >> 76) & 0xF != 7:
            raise UsageError(
                f"{ids.format(id)} is not an id of today", hint="make a fresh UUID of version 7 for each file"
            )
        needs_two = content.sum_minor > self.two_persons_minor

        def store(connection: Connection) -> File:
            if (found := files.find(connection, id)) is not None:
                return _same(found, content)
            row = {
                "id": id,
                "payer": content.payer,
                "operator": account.operator,
                "mode": content.mode.value,
                "rows": content.rows,
                "sum_minor": content.sum_minor,
                "batches": content.batches,
                "digest": content.digest.hex(),
                "settlement": 0,
                "state": WAITING if needs_two else OPEN,
                "who": who,
                "made_ns": now_ns,
            }
            connection.execute(FILES.insert().values(row))
            return files.get(connection, id)

        return self._numbered(write(self.stores.engine, store))

    def _numbered(self, file: File) -> File:
        """Return a file with the number that its first row would begin, if it is paid as a whole and has none yet."""
        if file.content.mode is not Mode.ALL or file.settlement or file.state not in (WAITING, OPEN):
            return file
        return replace(file, settlement=self._newest_settlement() + 1)

    def find(self, id: int) -> File | None:
        """Return a file, or None."""
        with reading(self.stores.engine) as connection:
            found = files.find(connection, id)
        return None if found is None else self._numbered(found)

    def get(self, id: int) -> File:
        """Return a file. Raises NotFound if there is none."""
        with reading(self.stores.engine) as connection:
            found = files.get(connection, id)
        return self._numbered(found)

    def list(self, payer: int, *, most: int = 100) -> Sequence[File]:
        """Return the newest files of a payer, newest first."""
        query = sqlalchemy.select(FILES).where(FILES.c.payer == payer).order_by(FILES.c.id.desc()).limit(most)
        with reading(self.stores.engine) as connection:
            found = [File.of(row) for row in connection.execute(query)]
        return [self._numbered(each) for each in found]

    # --- two persons ---

    def approve(self, id: int, *, maker: int, proposal: int = 0) -> Proposal:
        """Propose to take a file above the amount: two persons sign its digest and its sum.

        Raises UsageError for a file that needs no approval, and a maker without the duty.
        """
        found = self.get(id)
        if found.state != WAITING:
            raise UsageError(f"file {ids.format(id)} is {found.state}", hint="only a file that waits is approved")
        effect = {
            "file": ids.format(id),
            "digest": found.content.digest.hex(),
            "payer": ids.format(found.payer),
            "mode": found.content.mode.value,
            "rows": found.content.rows,
            "sum_minor": found.content.sum_minor,
            "operator": found.operator,
        }
        return self.proposals.propose(APPROVE, None, effect, maker=maker, id=proposal)

    # --- batches ---

    def append(self, file: File, number: int, rows: Rows, envelopes: Array | Sequence[Envelope]) -> Pending:
        """Queue one batch of a file, and return without waiting for its results. Batches of one thread stay in order.

        `number`: of the batch, from 0. Raises UsageError for a file that takes no rows, and for rows that are not those
        that the payer declared: nothing of them is paid.
        """
        self.check_batch(file, number, rows)
        signed = as_array(envelopes)
        wrong = np.flatnonzero((signed["first"] != 0) | (signed["count"] != rows.size))
        if wrong.size:
            raise UsageError(
                f"an envelope covers {signed['count'][wrong[0]]:,} records from {signed['first'][wrong[0]]:,} on; the "
                f"batch has {rows.size:,}",
                hint="sign all records of a batch together",
            )
        first = number * BATCH_ROWS
        bad = self._not_payable(rows)
        if bad.any():
            refused = results.not_taken(first, rows.size, bad, RowCode.PAYEE_NOT_PAYABLE)
            return Pending(self, file, rows, first, None, refused)
        records = bulk_rows.records(rows, file.ids, first, batch=file.settlement)
        sequencer = self.stores.ledger.sequencer
        if file.content.mode is Mode.ALL:
            with self._lock:
                if not self._has_begun(file):
                    # No other file may get the number before these rows have begun the settlement batch, or failed to.
                    self._take_number(file)
                    return Pending(self, file, rows, first, None, answers=sequencer.submit(records, signed))
        return Pending(self, file, rows, first, sequencer.start(records, signed))

    def _has_begun(self, file: File) -> bool:
        """Return whether the file's settlement batch has begun.

        Raises UsageError if the file takes no rows any more, and BusyError if its number is not `file.settlement`,
        which the rows' signatures cover.
        """
        with reading(self.stores.engine) as connection:
            stored = files.get(connection, file.id)
        if stored.state != OPEN:
            raise _takes_no_rows(stored)
        newest = self._newest_settlement()
        has_begun = 0 < stored.settlement <= newest
        number = stored.settlement if has_begun else newest + 1
        if number != file.settlement:
            raise BusyError(
                f"another file began settlement batch {file.settlement:,}; this one now has the number {number:,}",
                hint="read the file's status, sign the rows for that number, and send them again",
            )
        return has_begun

    def _take_number(self, file: File) -> None:
        """Store the number of a file whose first rows go to the ledger next.

        A file that had the number before got no row accepted: it gets another number.
        """
        others = (FILES.c.settlement == file.settlement) & (FILES.c.id != file.id)

        def store(connection: Connection) -> None:
            connection.execute(FILES.update().where(others).values(settlement=0))
            connection.execute(FILES.update().where(FILES.c.id == file.id).values(settlement=file.settlement))

        write(self.stores.engine, store)

    def _newest_settlement(self) -> int:
        """Return the number of the newest settlement batch that has begun."""
        with self.stores.ledger.sequencer.reading() as state:
            return int(state.tables.counters[constants.NEWEST_BATCH])

    def check_batch(self, file: File, number: int, rows: Rows) -> None:
        """Raise UsageError unless the file takes rows and these are the rows of a batch as its payer declared them."""
        if file.state != OPEN:
            raise _takes_no_rows(file)
        content = file.content
        if not 0 <= number < content.count:
            raise UsageError(f"the file has {content.count:,} batches; there is no batch {number:,}")
        if rows.size != content.rows_of(number):
            raise UsageError(
                f"batch {number:,} has {content.rows_of(number):,} rows; {rows.size:,} came",
                hint=f"each batch but the last has {BATCH_ROWS:,} rows",
            )
        if rows.digest() != content.digest_of(number) or rows.sum_minor() != content.sum_of(number):
            raise UsageError(
                f"the rows of batch {number:,} are not those that were declared under {ids.format(file.id)}",
                hint="nothing of the batch was paid; declare another file under a fresh id",
            )

    def _not_payable(self, rows: Rows) -> Array:
        """Return which rows pay an account of the issuer, of an operator or of a funder: (n,) bool."""
        return bulk_rows.any_of(rows, self.unpayable())

    def store_refusals(self, file: File, rows: Rows, found: RowResults) -> None:
        """Store what the ledger or its payer does not: codes of malformed rows, and of refusals by payees' accounts."""
        bad, hidden = np.flatnonzero(found.bad), np.flatnonzero(found.hidden)
        if not bad.size and not hidden.size:
            return
        now_ns = read_ns(self.stores.clock)
        low = found.first
        row_ids = file.ids.of_rows(low, found.size)
        refused = {
            ids.to_int(row_ids[at]): (int.from_bytes(rows.payees[at].tobytes(), "big"), int(found.ledger_codes[at]))
            for at in hidden.tolist()
        }

        def store(connection: Connection) -> None:
            mine = BAD_ROWS.c.file == file.id
            known = mine & (BAD_ROWS.c.row >= low) & (BAD_ROWS.c.row < low + found.size)
            connection.execute(BAD_ROWS.delete().where(known))
            stored = connection.scalar(sqlalchemy.select(sqlalchemy.func.count()).where(mine)) if bad.size else 0
            kept = bad[: max(0, BAD_ROWS_MAX - int(stored or 0))].tolist()
            if kept:
                made = [{"file": file.id, "row": low + at, "code": int(found.ledger_codes[at])} for at in kept]
                connection.execute(BAD_ROWS.insert(), made)
            _store_refused(connection, refused, now_ns)

        write(self.stores.engine, store)

    # --- results ---

    def results(self, file: File, number: int) -> RowResults:
        """Return the results of one batch, from the ledger."""
        return results.shown(file, results.read(self.stores, file, number)[0])

    def summary(self, file: File) -> Summary:
        """Return the rows of a file by cause. Reads every row's result: about a second for a million rows."""
        return self._summary(file)

    def _summary(self, file: File, *, as_staged: bool = False) -> Summary:
        """Return the rows of a file by cause. `as_staged`: rows that are staged, and their money, count as paid."""
        counts: Counter[int] = Counter()
        paid = 0
        for number in range(file.content.count):
            found, minor = results.read(self.stores, file, number)
            found = found if as_staged else results.shown(file, found)
            codes, rows = np.unique(found.codes, return_counts=True)
            counts.update(dict(zip(codes.tolist(), rows.tolist(), strict=True)))
            paid += minor if (found.codes == Result.CREATED).any() else 0
        named = {bulk_rows.code_name(code): count for code, count in sorted(counts.items())}
        return Summary(named, paid, file.content.rows - counts[RowCode.NOT_PAID_YET])

    def next_batch(self, file: File) -> int:
        """Return the first batch from which a sender continues, if batches were sent in order. O(log batches)."""

        def is_paid(number: int) -> bool:
            return not (self.results(file, number).codes == RowCode.NOT_PAID_YET).all()

        # A new file, the usual one, needs only the results of its first batch.
        low, high, count = 0, 1, file.content.count
        while high <= count and is_paid(high - 1):
            low, high = high, 2 * high
        high = min(high - 1, count)
        return low + bisect_left(range(low, high), True, key=lambda number: not is_paid(number))

    def disagreements(self) -> Iterator[str]:
        """Yield one sentence for each file that has ended, or is open, while the ledger's settlement batch is not."""
        query = sqlalchemy.select(FILES.c.id, FILES.c.settlement, FILES.c.state)
        compared = (FILES.c.settlement > 0) & FILES.c.state.in_((OPEN, SETTLED, DISCARDED))
        with reading(self.stores.engine) as connection:
            files = connection.execute(query.where(compared)).all()
        with self.stores.ledger.sequencer.reading() as state:
            newest = int(state.tables.counters[constants.NEWEST_BATCH])
            batches = set(state.tables.batches.view(np.ndarray)["number"].tolist())
        for id, number, name in files:
            if number in batches and name != OPEN:
                yield f"file {ids.format(id)} is {name}, and its settlement batch {number:,} is open"
            if number not in batches and name == OPEN and number <= newest:
                yield f"file {ids.format(id)} is {name}, and its settlement batch {number:,} has ended"

    # --- all or nothing ---

    def settle(self, id: int, *, signers: Sequence[Signer], who: int, discard: bool = False, request: int = 0) -> File:
        """Pay all staged rows of a file of mode "all" together; `discard`: delete them instead, and pay none.

        The operator of the payer's account signs, or an officer. `request`: the id of the action. Raises UsageError for
        a file of another mode or state, or with rows that were not staged; Refused with the ledger's code: nothing was
        paid, and the file can be settled again or discarded.
        """
        found = self.get(id)
        self.people.require(who, PAY, operator=found.operator)
        if found.state in (SETTLED, DISCARDED):
            if discard is (found.state == DISCARDED):
                return found
            raise _takes_no_rows(found)
        if found.content.mode is not Mode.ALL:
            raise UsageError("each row of this file is paid by itself", hint="there is nothing to settle")
        summary = self._summary(found, as_staged=True)
        if not discard and summary.paid < found.content.rows:
            refused = {name: count for name, count in summary.counts.items() if name != Result.CREATED.name}
            shown = ", ".join(f"{count:,} {name}" for name, count in refused.items())
            raise UsageError(
                f"not all rows can be paid: {shown}", hint="discard the file, correct it, and declare a new one"
            )
        if discard and not summary.paid:
            with self._lock:  # no first row is on its way to the ledger
                summary = self._summary(found, as_staged=True)
                if not summary.paid:
                    return self._discard_empty(found)
        now_ns = read_ns(self.stores.clock)
        operation = request or ids.new(now_ns // 1_000_000)
        record = operations.settle(
            operation, batch=found.settlement, payments=summary.paid, total=summary.paid_minor,
            operator=found.operator, discard=discard,
        )  # fmt: skip
        payload = {"file": ids.format(id), "discard": discard}

        def before(connection: Connection) -> None:
            # Not SETTLING: the same request again has an intent already, and another request would end the batch twice.
            chosen = (FILES.c.id == id) & (FILES.c.state == OPEN)
            if not connection.execute(FILES.update().where(chosen).values(state=SETTLING)).rowcount:
                raise UsageError(
                    f"file {ids.format(id)} is {files.get(connection, id).state}",
                    hint="look at its status; only a file that is open can be settled or discarded",
                )

        outcome = self.stores.intents.perform(
            Draft(SETTLE, record, payload, who=who, signers=signers, before=before, id=operation)
        )
        outcome.require_created("nothing was paid")
        return self.get(id)

    def _discard_empty(self, found: File) -> File:
        """Discard a file of which nothing is staged."""

        def end(connection: Connection) -> None:
            if files.get(connection, found.id).state in (WAITING, OPEN):
                record_end(connection, self.stores, found.id, DISCARDED, settlement=0)

        write(self.stores.engine, end)
        return self.get(found.id)


def _same(stored: File, content: Content) -> File:
    if stored.content != content:
        raise UsageError(
            f"another file has the id {ids.format(stored.id)}",
            hint=FRESH_ID_HINT,
        )
    return stored


def _takes_no_rows(file: File) -> UsageError:
    hint = {
        WAITING: "two persons approve it first: `sycee bulk approve`",
        SETTLED: "all its rows were paid",
        DISCARDED: "nothing of it was paid; declare a new file",
    }.get(file.state, "look at its status")
    return UsageError(f"file {ids.format(file.id)} is {file.state} and takes no rows", hint=hint)


def _store_refused(connection: Connection, refused: Mapping[int, tuple[int, int]], now_ns: int) -> None:
    """Store refusals by payees' accounts for the payees' operators. `refused`: payee and code by the operation's id."""
    operators = {
        row.account: row.operator
        for payees in _parts(sorted({payee for payee, _ in refused.values()}))
        for row in connection.execute(
            sqlalchemy.select(WALLETS.c.account, WALLETS.c.operator).where(WALLETS.c.account.in_(payees))
        )
    }
    stored: set[int] = set()
    for some in _parts(list(refused)):
        known = sqlalchemy.select(REFUSALS.c.operation).where(REFUSALS.c.operation.in_(some))
        stored.update(connection.scalars(known))
    made = [
        {"operation": id, "payee": payee, "operator": operators[payee], "code": code, "at_ns": now_ns}
        for id, (payee, code) in refused.items()
        if payee in operators and id not in stored
    ]
    if made:
        connection.execute(REFUSALS.insert(), made)


def _parts(values: Sequence[int]) -> Iterator[Sequence[int]]:
    return (values[at : at + _READ_MAX] for at in range(0, len(values), _READ_MAX))


class _Approve:
    """Open a file that two persons approved."""

    name = APPROVE

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Let the file take rows, if its content is the approved one."""
        chosen = (FILES.c.id == ids.parse(intent.payload["file"])) & (FILES.c.digest == intent.payload["digest"])
        values: dict[str, Any] = {"state": OPEN, "proposal": intent.id}
        connection.execute(FILES.update().where(chosen, FILES.c.state == WAITING).values(values))

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Let the file wait again."""
        chosen = (FILES.c.id == ids.parse(intent.payload["file"])) & (FILES.c.proposal == intent.id)
        connection.execute(FILES.update().where(chosen, FILES.c.state == OPEN).values(state=WAITING, proposal=None))


class _Settle:
    """Store that a file was settled or discarded."""

    name = SETTLE

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Set the final state, or after a refusal let the file be settled again.

        A refusal because the batch has ended never changes a final state: another request has set it.
        """
        id = ids.parse(intent.payload["file"])
        if results[0] is Result.CREATED:
            record_end(connection, self._stores, id, DISCARDED if intent.payload["discard"] else SETTLED)
            return
        chosen = FILES.c.id == id
        if results[0] is Result.BATCH_DONE:
            chosen &= FILES.c.state == SETTLING
        connection.execute(FILES.update().where(chosen).values(state=OPEN, ended_ns=None))

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Let the file be settled again."""
        chosen = FILES.c.id == ids.parse(intent.payload["file"])
        connection.execute(FILES.update().where(chosen).values(state=OPEN, ended_ns=None))
