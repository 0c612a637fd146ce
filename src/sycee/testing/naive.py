"""Naive twin of the ledger: the same rules in dictionaries and plain integers, slow and obviously right.

Written from docs/reference/ledger.md alone, in the order of that page. The twin shares no code with the kernels except
the enums in `core` and `ledger.layout`. If twin and kernel differ, the twin, the kernel or the page is wrong.

Each operation is one function in the order of its paragraph: refusals by precedence, then changes. No value changes
before the last refusal. One file per part of the page: `naive_record` reads records and finds malformed ones,
`naive_book` holds the state and advances time, `naive_accounts`, `naive_limits`, `naive_programmes`, `naive_pays`,
`naive_holds` and `naive_transits` are the operations, `naive_digest` and `naive_check` compute the sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sycee.core import limits
from sycee.core.records.layout import AccountKind, Kind
from sycee.core.result_codes import Result
from sycee.testing import naive_accounts, naive_holds, naive_limits, naive_pays, naive_programmes, naive_transits
from sycee.testing.naive_book import Book, Day, Refusal
from sycee.testing.naive_check import check
from sycee.testing.naive_digest import MovementDigest, state_digest
from sycee.testing.naive_programmes import cohort_digest
from sycee.testing.naive_record import LINKABLE, Operation, malformed
from sycee.testing.naive_rows import Bound, Purse

__all__ = ["Answer", "NaiveLedger", "cohort_digest"]

Answer: TypeAlias = tuple[Result, Result]  # the code, and the first code of a bound id

# The function of each kind has the name of the kind in lower case.
FUNCTIONS: dict[str, Any] = {}
for _module in (naive_accounts, naive_holds, naive_limits, naive_pays, naive_programmes, naive_transits):
    FUNCTIONS |= vars(_module)
JUDGES: dict[Kind, Callable[[Book, Operation], None]] = {kind: FUNCTIONS[kind.name.lower()] for kind in Kind}


class NaiveLedger(Book):
    """State machine of docs/reference/ledger.md."""

    def __init__(self) -> None:
        super().__init__()
        self._movement_digest = MovementDigest()

    # ── Frames ───────────────────────────────────────────────────────────────────────────────────────────────

    def apply(
        self, sequence: int, now_ns: int, records: npt.NDArray[Any], calendar: Iterable[Day] = ()
    ) -> list[Answer]:
        """Apply one frame and return (code, first code) for each operation.

        Arguments: an array of layout.OPERATION, the frame's time in nanoseconds, and (currency, day, month, year) for
        each currency that an earlier frame defined.
        """
        self.pass_time(now_ns, calendar)
        operations = [Operation.read(record.tobytes()) for record in np.ascontiguousarray(records)]
        first_movement = len(self.movements)
        answers: list[Answer] = []
        for unit in chains(operations):
            self.place = sequence << limits.PLACE_INDEX_BITS | len(answers)
            if is_chain(unit):
                answers += self._chain(unit)
            else:
                answers.append(self._bound_result(unit[0]) or (self._judge(unit[0]), Result.CREATED))
        if operations:
            codes = [code for code, _ in answers]
            self._movement_digest.add_frame(self, sequence, codes, self.movements[first_movement:])
        return answers

    def resolve(self, records: npt.NDArray[Any]) -> list[Answer | None]:
        """Return the results that need no state change: malformed, bound or broken chain; None for the rest."""
        operations = [Operation.read(record.tobytes()) for record in np.ascontiguousarray(records)]
        answers: list[Answer | None] = []
        for unit in chains(operations):
            answers += self._resolve_chain(unit) if is_chain(unit) else [self._bound_result(unit[0])]
        return answers

    def resolve_broken_chains(self, records: npt.NDArray[Any], answers: list[Answer]) -> list[Answer]:
        """Correct the results of a submission after its frame was applied.

        An operation of a broken chain is answered EXISTS if an earlier operation of the frame bound its id.
        """
        operations = [Operation.read(record.tobytes()) for record in np.ascontiguousarray(records)]
        bound: set[int] = set()
        corrected = []
        for operation, answer in zip(operations, answers, strict=True):
            is_bound = answer[0] is Result.CHAIN_BROKEN and operation.id in bound
            corrected.append((self._bound_result(operation) or answer) if is_bound else answer)
            if answer[0].binds:
                bound.add(operation.id)
        return corrected

    # ── §2 Ids, once ─────────────────────────────────────────────────────────────────────────────────────────

    def _bound_result(self, operation: Operation) -> Answer | None:
        refusal = malformed(operation)
        if refusal is not None:
            return refusal, Result.CREATED
        bound = self.bound.get(operation.id)
        if bound is None:
            return None
        same = bound.content == operation.content
        return Result.EXISTS if same else Result.EXISTS_WITH_DIFFERENT_CONTENT, bound.result

    def _judge(self, operation: Operation) -> Result:
        """Apply the operation unless a rule refuses it, and bind its id to the result."""
        self.leg = 0
        result = Result.CREATED
        try:
            JUDGES[Kind(operation.kind)](self, operation)
        except Refusal as refusal:
            result = refusal.code
        self._bind(operation, result)
        return result

    def _bind(self, operation: Operation, result: Result) -> None:
        self.bound[operation.id] = Bound(operation.content, Kind(operation.kind), result)

    # ── §9 Chains ────────────────────────────────────────────────────────────────────────────────────────────

    def _chain(self, chain: list[Operation]) -> list[Answer]:
        """Apply all operations of a chain, or none."""
        before = [answer for answer in self._resolve_chain(chain) if answer is not None]
        if before:
            return before
        first_place = self.place
        saved = self.savepoint()
        for index, operation in enumerate(chain):
            self.place = first_place + index
            if operation.id in [earlier.id for earlier in chain[:index]]:
                self.restore(saved)
                return all_but(chain, index, Result.CHAIN_REPEATS_AN_ID, Result.CHAIN_BROKEN)
            result = self._judge(operation)
            if result is not Result.CREATED:
                self.restore(saved)
                answers = all_but(chain, index, result, Result.LINKED_FAILED)
                for each, (code, _) in zip(chain, answers, strict=True):
                    if each.id not in self.bound:  # an id that occurs twice is bound to its first result
                        self._bind(each, code)
                return answers
        return [(Result.CREATED, Result.CREATED)] * len(chain)

    def _resolve_chain(self, chain: list[Operation]) -> list[Answer | None]:
        """Return the results of a chain that is refused as a whole; None for each operation if it is not."""
        answers = [self._bound_result(operation) for operation in chain]
        for index, operation in enumerate(chain):
            if answers[index] is None and not operation.is_linked and operation.kind not in LINKABLE:
                answers[index] = Result.CANNOT_BE_LINKED, Result.CREATED
            elif answers[index] is None and operation.is_linked and index == len(chain) - 1:
                answers[index] = Result.CHAIN_OPEN, Result.CREATED
        if answers == [None] * len(chain):
            return answers
        return [answer or (Result.CHAIN_BROKEN, Result.CREATED) for answer in answers]

    # ── Queries ──────────────────────────────────────────────────────────────────────────────────────────────

    def balance(self, account_id: int) -> int:
        return self.accounts[account_id].balance

    def purse(self, programme: int, member: int) -> Purse:
        return self.purses[programme, member]

    def supply(self, currency: int) -> int:
        """Return the money in circulation in minor units: the debit balance of the currency's issuance account."""
        return -sum(
            a.balance for a in self.accounts.values() if (a.kind, a.currency) == (AccountKind.ISSUANCE, currency)
        )

    def check(self) -> None:
        """Recompute every sum; raise IntegrityError with the row where a sum is wrong."""
        check(self)

    def digest(self) -> bytes:
        """Return the state digest, §12."""
        return state_digest(self)

    @property
    def movement_digest(self) -> bytes:
        """Return the movement digest after the newest frame, §13."""
        return self._movement_digest.value


def chains(operations: list[Operation]) -> list[list[Operation]]:
    """Split a frame into units that are applied together: chains and single operations."""
    parts: list[list[Operation]] = []
    open_chain = False
    for operation in operations:
        if open_chain:
            parts[-1].append(operation)
        else:
            parts.append([operation])
        open_chain = operation.is_linked
    return parts


def is_chain(unit: list[Operation]) -> bool:
    """Return whether a unit is a chain: several operations, or one linked operation at the end of the frame."""
    return unit[0].is_linked


def all_but(chain: list[Operation], index: int, code: Result, others: Result) -> list[Answer]:
    """Return results of a chain: `code` at position `index`, `others` elsewhere."""
    return [(code if at == index else others, Result.CREATED) for at in range(len(chain))]
