"""Bulk payments: one account pays many payees, and a cut never pays a row twice.

    payment = bulk.Payment(rows, payer, (signer,))
    for results in client.bulk(payment):
        print(results.first, results.names())

`rows` are of `bulk_csv.read` or `bulk_arrow.rows_of`. After an error, `client.bulk` of the same payment continues: the
file's id makes that safe. Store the id first, to continue in another process.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Final

from sycee.client import bulk_arrow, errors
from sycee.client.bulk_arrow import RowResults
from sycee.client.calls import Call, Members, action, fresh_id, place, read, require_same
from sycee.client.calls import rows as listed_rows
from sycee.client.errors import ContradictsRequest
from sycee.client.exchange import Conversation, Request, Session
from sycee.client.operations.arguments import ledger_of
from sycee.client.signing import ENVELOPE_VALIDITY_NS, Signer, Wanted
from sycee.client.values import Payer
from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.records import bulk_rows, envelopes
from sycee.core.records.bulk_rows import BATCH_ROWS, Content, FileIds, Mode, Rows
from sycee.core.records.layout import Kind, SettleFlag

REQUEST_BATCHES: Final = 125  # a million rows: their results fit an answer, and a cut repeats little


@dataclass(frozen=True, slots=True)
class BulkFile:
    """A file as the server has it. Amounts in minor units.

    - `state`: "waiting" for two persons, "open", "settling", "settled" or "discarded".
    - `settlement`: number of the settlement batch, 0 if each row is paid separately.
    - `counts`: rows by code, and `paid_minor`, if the summary was asked for; else None.
    """

    id: str
    payer: str
    mode: Mode
    rows: int
    sum_minor: int
    digest: str
    state: str
    settlement: int
    batches: int
    next_batch: int
    counts: Mapping[str, int] | None
    paid_minor: int | None

    @property
    def number(self) -> int:
        """Return the id as a number."""
        return ids.parse(self.id)


@dataclass(frozen=True, eq=False)
class Payment:
    """A file to pay. `id`: of the file, a fresh one by default. `valid_ns`: of the envelopes.

    `signers`: who owns the payer's account: a `Payer` for an account with a key, or a `Signer` for a person of its
    operator. In mode ALL the operator's person signs, too.
    """

    rows: Rows
    payer: int
    signers: Sequence[Payer | Signer]
    mode: Mode = Mode.EACH
    id: int = field(default_factory=fresh_id)
    valid_ns: int = ENVELOPE_VALIDITY_NS

    @cached_property
    def content(self) -> Content:
        """Return what is declared. Raises UsageError for amounts or numbers of rows that are too large."""
        described = (bulk_rows.describe(self.part(number)) for number in range(self.batches))
        return Content.of(self.payer, self.mode, self.rows.size, described)

    @property
    def batches(self) -> int:
        """Return the number of batches."""
        return -(-self.rows.size // BATCH_ROWS)

    def part(self, number: int) -> Rows:
        """Return the rows of a batch."""
        return self.rows.part(number * BATCH_ROWS, (number + 1) * BATCH_ROWS)

    def signed(self, number: int, settlement: int, ledger_id: bytes, until_ns: int) -> bytes:
        """Return the bytes of a batch's envelopes."""
        records = bulk_rows.records(
            self.part(number), FileIds(self.id, self.payer), number * BATCH_ROWS, batch=settlement
        )
        return b"".join(_signed(records, signer, ledger_id, until_ns) for signer in self.signers)


def _signed(records: Array, signer: Payer | Signer, ledger_id: bytes, until_ns: int) -> bytes:
    if isinstance(signer, Signer):
        made = envelopes.sign(records, ledger_id, signer.id, signer.key, until_ns)
    else:
        made = envelopes.sign(
            records,
            ledger_id,
            signer.account,
            signer.key,
            until_ns,
            currency=signer.currency,
            key_epoch=signer.key_epoch,
        )
    return made.encode()


# --- calls ---


def declare(payment: Payment) -> Call[BulkFile]:
    """Declare a file. Nothing is paid. Raises IdConflict for another file under the id."""
    content = payment.content
    body = {
        "payer": ids.format(payment.payer),
        "mode": content.mode.value,
        "rows": content.rows,
        "sum_minor": str(content.sum_minor),
        "batches": base64.b64encode(content.batches).decode(),
    }

    def make(members: Members) -> BulkFile:
        require_same(members, "digest", content.digest.hex())
        return _file(members)

    return action("/v1/bulk", body, make, id=payment.id)


def status(id: int | str, *, summary: bool = False) -> Call[BulkFile]:
    """Return a file. `summary`: with its rows by code, for which the server reads every row's result."""
    query = {"summary": "true"} if summary else None
    return read(f"/v1/bulk/{place(_number(id))}", _file, query=query)


def files(payer: int | str) -> Call[Sequence[BulkFile]]:
    """Return the newest 100 files of a payer, newest first."""
    return listed_rows("/v1/bulk", _file, query={"payer": place(_number(payer))})


def send(payment: Payment, file: BulkFile, first: int, count: int = REQUEST_BATCHES) -> Call[Sequence[RowResults]]:
    """Pay `count` batches from number `first` on; return their results, in order.

    Rows that were paid before are not paid again, and have their first results. Raises the problem that ended the
    results early; the same call again continues.
    """
    numbers = range(first, min(first + count, payment.batches))

    def converse(session: Session) -> Conversation[Sequence[RowResults]]:
        ledger_id, _ = yield from ledger_of(session)
        until_ns = session.now_ns() + payment.valid_ns

        @cache  # a repetition sends the same envelopes
        def signed(number: int) -> bytes:
            return payment.signed(number, file.settlement, ledger_id, until_ns)

        def pieces() -> Iterator[bytes]:
            # Each batch is signed when it is sent: the server pays the earlier ones meanwhile.
            return bulk_arrow.write_rows((number, payment.part(number), signed(number)) for number in numbers)

        path = f"/v1/bulk/{place(payment.id)}"
        response = yield Request("POST", path, content_type=bulk_arrow.STREAM_TYPE, pieces=pieces)
        return _results(response.content, sum(payment.part(number).size for number in numbers))

    return Call(converse)


def check(rows: Rows, payer: int) -> Call[Sequence[RowResults]]:
    """Return what rows would be answered now. Moves no money."""

    def converse(_: Session) -> Conversation[Sequence[RowResults]]:
        parts = range(-(-rows.size // BATCH_ROWS))

        def pieces() -> Iterator[bytes]:
            return bulk_arrow.write_rows(
                (number, rows.part(number * BATCH_ROWS, (number + 1) * BATCH_ROWS), b"") for number in parts
            )

        query = {"payer": ids.format(payer)}
        kind = bulk_arrow.STREAM_TYPE
        response = yield Request("POST", "/v1/bulk/check", query, content_type=kind, pieces=pieces)
        return _results(response.content, rows.size)

    return Call(converse)


def results(id: int | str, first: int = 0, count: int = REQUEST_BATCHES) -> Call[Sequence[RowResults]]:
    """Return the results of batches as the server stored them."""

    def converse(_: Session) -> Conversation[Sequence[RowResults]]:
        query = {"first_batch": str(first), "batches": str(count)}
        response = yield Request("GET", f"/v1/bulk/{place(_number(id))}/results", query)
        return _results(response.content, None)

    return Call(converse)


def approve(id: int | str, *, request: int = 0) -> Call[str]:
    """Make the proposal to take a file above the amount, and return its id. Two persons sign it: `api.sign`."""
    return action(f"/v1/bulk/{place(_number(id))}/approval", {}, lambda members: str(members["proposal"]), id=request)


def settle(file: BulkFile, signer: Signer, *, discard: bool = False, request: int = 0) -> Call[BulkFile]:
    """Pay all rows of a file of mode ALL together; `discard`: pay none, and end it. The operator's person signs."""

    def wanted(id: int) -> Sequence[Wanted]:
        fields, flags = {"id": id, "number": file.settlement}, 0
        free = frozenset({"first", "count", "amount"})
        if discard:
            flags = int(SettleFlag.DISCARD)
        else:
            fields |= {"count": file.rows, "amount": file.sum_minor}
            free = frozenset({"first"})
        return [Wanted(Kind.SETTLE, fields, free, flags)]

    return action(
        f"/v1/bulk/{place(file.number)}/settlement",
        {"discard": discard},
        _file,
        signers=(signer,),
        wanted=wanted,
        id=request,
    )


def calls(payment: Payment, file: BulkFile) -> Iterator[Call[Sequence[RowResults]]]:
    """Yield the calls that pay a declared file; parts that are paid completely are only read.

    Raises UsageError for a file that takes no rows.
    """
    if file.state == "waiting":
        raise UsageError(
            f"file {file.id} waits: two persons approve its digest {file.digest}",
            hint="one of them proposes it (`sycee bulk approve`), both sign, then pay the same file again",
        )
    for first in range(0, payment.batches, REQUEST_BATCHES):
        is_done = min(first + REQUEST_BATCHES, payment.batches) <= file.next_batch or file.state != "open"
        yield results(payment.id, first) if is_done else send(payment, file, first)


def _file(members: Members) -> BulkFile:
    counts, paid = members["counts"], members["paid_minor"]
    return BulkFile(
        id=str(members["file"]),
        payer=str(members["payer"]),
        mode=Mode(members["mode"]),
        rows=int(members["rows"]),
        sum_minor=int(members["sum_minor"]),
        digest=str(members["digest"]),
        state=str(members["state"]),
        settlement=int(members["settlement"]),
        batches=int(members["batches"]),
        next_batch=int(members["next_batch"]),
        counts=None if counts is None else dict(counts),
        paid_minor=None if paid is None else int(paid),
    )


def _results(content: bytes, rows: int | None) -> Sequence[RowResults]:
    """Return the results in an answer. Raises the problem in it, and ContradictsRequest for another number of rows."""
    found: list[RowResults] = []
    for each in bulk_arrow.read_results(io.BytesIO(content)):
        if not isinstance(each, RowResults):
            raise errors.problem(int(each.get("status", 500)), json.dumps(each).encode())
        found.append(each)
    size = sum(each.codes.size for each in found)
    if rows is not None and size != rows:
        raise ContradictsRequest(f"the answer has results of {size:,} rows, not of {rows:,}")
    return found


def _number(id: int | str) -> int:
    return ids.parse(id) if isinstance(id, str) else id
