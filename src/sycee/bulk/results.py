"""Results of rows: codes as the payer may know them, and the frames that decided."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import sqlalchemy

from sycee.bulk.files import File
from sycee.bulk.tables import BAD_ROWS, DISCARDED, SETTLED
from sycee.core.arrays import Array
from sycee.core.limits import PLACE_INDEX_BITS
from sycee.core.records.bulk_rows import BATCH_ROWS, Mode, RowCode
from sycee.core.result_codes import SIGNATURE_CODES, Result
from sycee.database.stores import Stores
from sycee.database.transactions import reading
from sycee.ledger.batch import first_codes
from sycee.ledger.queries import READ, READS_MAX, ReadKind
from sycee.wallets.payments import HIDDEN

# Code of the ledger to code of the row.
_SHOWN: Final = np.arange(max(Result) + 1, dtype=np.uint16)
_SHOWN[[int(code) for code in HIDDEN]] = RowCode.PAYEE_CANNOT_RECEIVE
_IS_HIDDEN: Final = np.isin(np.arange(max(Result) + 1), [int(code) for code in HIDDEN])
# Codes that bind no id.
UNBOUND: Final = np.array(
    [not Result(code).binds if code in set(Result) else False for code in range(max(Result) + 1)], np.bool_
)
# Those of them that do not mean a malformed row: an earlier request has the id, or the signatures of the whole batch
# are wrong.
_UNBOUND_BUT_NOT_MALFORMED: Final = (Result.EXISTS, Result.EXISTS_WITH_DIFFERENT_CONTENT, *sorted(SIGNATURE_CODES))

assert BATCH_ROWS <= READS_MAX


@dataclass(frozen=True, slots=True, eq=False)
class RowResults:
    """Results of consecutive rows.

    - `codes`: (n,) u2, of Result or RowCode. `repeated`: (n,) bool, whether an earlier request decided the row.
    - `frames`: (n,) u8, the ledger's frame that decided; 0 if none did.
    - `ledger_codes`: (n,) u2, the ledger's own codes, for the staff of payees' operators.
    """

    first: int
    codes: Array
    repeated: Array
    frames: Array
    ledger_codes: Array

    @property
    def size(self) -> int:
        """Return the number of rows."""
        return int(self.codes.size)

    @property
    def hidden(self) -> Array:
        """Return which rows the payee's account refused: (n,) bool."""
        # A row that was not submitted has a RowCode, above all codes of the ledger.
        hidden: Array = _IS_HIDDEN[np.minimum(self.ledger_codes, max(Result))]
        return hidden

    @property
    def bad(self) -> Array:
        """Return which rows are malformed; the ledger bound no id to them: (n,) bool."""
        codes = np.minimum(self.ledger_codes, max(Result))
        bad: Array = UNBOUND[codes] & ~np.isin(codes, _UNBOUND_BUT_NOT_MALFORMED)
        return bad

    @property
    def is_complete(self) -> bool:
        """Whether every row has a result that a repetition does not change."""
        codes = np.minimum(self.ledger_codes, max(Result))
        return not (UNBOUND[codes] & ~self.bad).any()


def of_answers(first: int, answers: Array) -> RowResults:
    """Return the results of records, (n,) layout.ANSWER, whose first is of the row `first`."""
    repeated = answers["code"] == Result.EXISTS
    codes = first_codes(answers)
    frames = answers["place"] >> np.uint64(PLACE_INDEX_BITS)
    return RowResults(first, _SHOWN[codes], repeated, frames, codes)


def shown(file: File, found: RowResults) -> RowResults:
    """Return results as the payer may know them: CREATED for a STAGE operation means staged, not paid."""
    if file.content.mode is not Mode.ALL or file.state == SETTLED:
        return found
    code = RowCode.DISCARDED if file.state == DISCARDED else RowCode.STAGED
    return replace(found, codes=np.where(found.codes == Result.CREATED, code, found.codes).astype(np.uint16))


def not_taken(first: int, size: int, bad: Array, code: int) -> RowResults:
    """Return the results of a batch that was not submitted because of the rows where `bad`, (n,) bool, is true."""
    codes = np.where(bad, code, RowCode.BATCH_NOT_TAKEN).astype(np.uint16)
    return RowResults(first, codes, np.zeros(size, np.bool_), np.zeros(size, np.uint64), np.zeros(size, np.uint16))


def read(stores: Stores, file: File, number: int) -> tuple[RowResults, int]:
    """Return the results of a batch from the ledger, and the sum of the amounts of its rows that succeeded."""
    first, size = number * BATCH_ROWS, file.content.rows_of(number)
    wanted = np.zeros(size, READ)
    row_ids = file.ids.of_rows(first, size)
    wanted["kind"], wanted["id_low"], wanted["id_high"] = ReadKind.OPERATION, row_ids["low"], row_ids["high"]
    answers = stores.ledger.sequencer.read(wanted)
    at = answers.found["at"]
    is_bound = at >= 0
    bound = answers.bound[at[is_bound]]
    codes = np.full(size, RowCode.NOT_PAID_YET, np.uint16)
    frames = np.zeros(size, np.uint64)
    ledger_codes = np.zeros(size, np.uint16)
    ledger_codes[is_bound] = bound["result"]
    codes[is_bound] = _SHOWN[bound["result"]]
    frames[is_bound] = bound["place"] >> np.uint64(PLACE_INDEX_BITS)
    if not is_bound.all():
        query = sqlalchemy.select(BAD_ROWS.c.row, BAD_ROWS.c.code)
        chosen = (BAD_ROWS.c.file == file.id) & (BAD_ROWS.c.row >= first) & (BAD_ROWS.c.row < first + size)
        with reading(stores.engine) as connection:
            for row, code in connection.execute(query.where(chosen)):
                codes[row - first] = ledger_codes[row - first] = code
    paid = int(bound["amount"][bound["result"] == Result.CREATED].sum())
    return RowResults(first, codes, is_bound, frames, ledger_codes), paid
