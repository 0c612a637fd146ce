"""Batched reads, answered in one pass between two frames.

    requests = np.concatenate([queries.accounts([ann, bob]), queries.statement(ann, lines=20)])
    answers = queries.answer(state, requests)     # between two frames
    answers.account(0).balance; answers.page(2).lines["amount"]

The answers' arrays are read-only copies, so other threads may use them. A read is one request, a row of READ; the
kernel `kernels/queries.py` answers all of them. `sequencer/reads.py` builds the reads of `Ledger`'s methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sycee.core import ids
from sycee.core.arguments import check_id, check_integer
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.ids import AnyId
from sycee.core.limits import I64_MAX
from sycee.core.records import layout
from sycee.core.records.layout import Kind
from sycee.core.result_codes import Result
from sycee.ledger import kernels
from sycee.ledger.kernels import queries as kernel
from sycee.ledger.kernels.queries import FOUND, NAMES
from sycee.ledger.kernels.queries import LINE as LINE
from sycee.ledger.kernels.queries import READ as READ
from sycee.ledger.models import Account, Hold, Purse

if TYPE_CHECKING:
    from sycee.ledger.state import LedgerState

# Limits of one pass, so that the next frame waits for reads a few milliseconds at most.
READS_MAX: Final = 8_192
LINES_MAX: Final = 16_384  # of all pages together
PAGE_LINES_MAX: Final = 1_000


class ReadKind(IntEnum):
    """Kind of a read."""

    ACCOUNT = kernel.ACCOUNT
    PURSE = kernel.PURSE
    HOLD = kernel.HOLD
    OPERATION = kernel.OPERATION
    STATEMENT = kernel.STATEMENT


class Page(NamedTuple):
    """Lines of a statement, newest first, and the cursor of the next page."""

    lines: Array  # (k,) LINE, read-only
    cursor: int  # for the next page, unaffected by later movements; 0: this page has the oldest line


class Operation(NamedTuple):
    """Result to which an operation's id is bound."""

    kind: Kind
    result: Result
    time_ns: int  # of its frame
    record: np.void  # layout.BOUND


# --- requests ---


def accounts(ids: Sequence[AnyId]) -> Array:
    """Return reads of accounts, (n,) READ. Raise UsageError for a value that is no id."""
    return _by_id(ReadKind.ACCOUNT, ids)


def holds(ids: Sequence[AnyId]) -> Array:
    """Return reads of holds, by the ids of their operations."""
    return _by_id(ReadKind.HOLD, ids)


def operations(ids: Sequence[AnyId]) -> Array:
    """Return reads of the results of operations, by id."""
    return _by_id(ReadKind.OPERATION, ids)


def operations_of(records: Array) -> Array:
    """Return reads of the results of operations, (n,) layout.OPERATION."""
    reads = np.zeros(records.size, READ)
    reads["kind"] = ReadKind.OPERATION
    reads["id_low"], reads["id_high"] = records["id_low"], records["id_high"]
    return reads


def purses(places: Sequence[tuple[int, int]]) -> Array:
    """Return reads of purses, by programme and member."""
    reads = np.zeros(len(places), READ)
    reads["kind"] = ReadKind.PURSE
    for at, (programme, member) in enumerate(places):
        if not (0 <= programme < 1 << 32 and 0 <= member < 1 << 63):
            raise UsageError(f"programme {programme}, member {member} is not a purse", hint="both numbers begin at 0")
        reads["programme"][at], reads["member"][at] = programme, member
    return reads


def statement(account: AnyId, *, lines: int, cursor: int = 0) -> Array:
    """Return the read of one page of a statement, (1,) READ: at most `lines` lines, newest first.

    cursor: from the previous page, 0 for the first. Raise UsageError unless 1 ≤ lines ≤ PAGE_LINES_MAX.
    """
    reads = _by_id(ReadKind.STATEMENT, [account])
    reads["lines"] = check_integer("lines", lines, low=1, high=PAGE_LINES_MAX)
    reads["cursor"] = check_integer("cursor", cursor, high=I64_MAX)
    return reads


def _by_id(kind: ReadKind, ids: Sequence[AnyId]) -> Array:
    reads = np.zeros(len(ids), READ)
    reads["kind"] = kind
    try:
        halves = b"".join([each.to_bytes(16, "little") for each in ids])  # type: ignore[union-attr]
    except (OverflowError, AttributeError, TypeError):  # UUIDs, texts, NumPy integers; or an error
        halves = b"".join([check_id("id", each).to_bytes(16, "little") for each in ids])
    words = np.frombuffer(halves, np.uint64)
    reads["id_low"], reads["id_high"] = words[::2], words[1::2]
    return reads


def page_lines(requests: Array) -> int:
    """Return the maximum number of lines of all requested pages."""
    pages = requests["kind"] == ReadKind.STATEMENT
    return int(requests["lines"][pages].astype(np.int64).sum()) if pages.any() else 0


def fitting(requests: Array) -> int:
    """Return how many of the first requests fit the limits of one pass; at least one."""
    lines = np.cumsum(np.where(requests["kind"] == ReadKind.STATEMENT, requests["lines"], 0), dtype=np.int64)
    return max(1, min(requests.size, READS_MAX, int(np.searchsorted(lines, LINES_MAX, "right"))))


# --- answers ---


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Answers to n requests, as of one frame. Read the answer to request i by the method for its kind.

    Each array has the records found of its kind. `found["at"]` is request i's position in it, -1 if nothing was found.
    All arrays are read-only copies.
    """

    sequence: int  # of the newest frame applied before
    requests: Array  # (n,) READ
    found: Array  # (n,) FOUND
    names: Array  # (n, NAMES) u64: ids of accounts that the record refers to, see kernels/queries.py
    accounts: Array  # layout.ACCOUNT
    keys: Array  # layout.KEY of each account; zero for none
    purses: Array  # layout.PURSE
    holds: Array  # layout.HOLD
    bound: Array  # layout.BOUND
    times: Array  # i64: time of the frame of each bound operation
    lines: Array  # LINE

    def part(self, start: int, end: int) -> Answers:
        """Return the answers to requests `start` to `end` (exclusive) only."""
        if start == 0 and end == self.requests.size:
            return self
        requests, found, names = (array[start:end] for array in (self.requests, self.found, self.names))
        return replace(self, requests=requests, found=found, names=names)

    def account(self, i: int) -> Account | None:
        """Return the account of request i, or None."""
        at = self._at(i, ReadKind.ACCOUNT)
        if at < 0:
            return None
        flags = int(self.keys[at]["flags"])
        return Account.of(
            self.accounts[at],
            suspense=self._name(i, 0),
            link=self._name(i, 1),
            key_flags=flags,
            key=self.keys[at]["key"].tobytes() if flags else b"",
        )

    def balance(self, i: int) -> int | None:
        """Return the balance of the account of request i in minor units, or None."""
        at = self._at(i, ReadKind.ACCOUNT)
        if at < 0:
            return None
        return int(self.accounts["credits_posted"][at]) - int(self.accounts["debits_posted"][at])

    def balances(self) -> list[int | None]:
        """Return the balances for all requests, which must be for accounts; None for an account that does not exist."""
        at = self.found["at"]
        held = self.accounts["credits_posted"] - self.accounts["debits_posted"]
        if (at >= 0).all():
            balances: list[int | None] = held[at].tolist()
            return balances
        return [int(held[each]) if each >= 0 else None for each in at.tolist()]

    def purse(self, i: int) -> Purse | None:
        """Return the purse of request i, or None."""
        at = self._at(i, ReadKind.PURSE)
        if at < 0:
            return None
        programme, member = int(self.requests["programme"][i]), int(self.requests["member"][i])
        return Purse.of(self.purses[at], programme=programme, member=member, wallet=self._name(i, 0))

    def hold(self, i: int) -> Hold | None:
        """Return the hold of request i, or None."""
        at = self._at(i, ReadKind.HOLD)
        if at < 0:
            return None
        payer, payee, third = (self._name(i, word) for word in range(3))
        return Hold.of(self.holds[at], id=self._id(i), payer=payer, payee=payee, third=third)

    def operation(self, i: int) -> Operation | None:
        """Return the operation of request i, or None if its id is not bound."""
        at = self._at(i, ReadKind.OPERATION)
        if at < 0:
            return None
        record = self.bound[at]
        return Operation(Kind(int(record["kind"])), Result(int(record["result"])), int(self.times[at]), record)

    def page(self, i: int) -> Page | None:
        """Return the page of request i, or None if there is no such account.

        Raise UsageError if the cursor is not from this account's statement.
        """
        at, found = self._at(i, ReadKind.STATEMENT), self.found[i]
        if at >= 0:
            return Page(self.lines[at : at + int(found["lines"])], int(found["cursor"]))
        if found["cursor"] < 0:
            raise UsageError(
                f"cursor {self.requests['cursor'][i]} is not a movement of account {self._id(i):#034x}",
                hint="begin with cursor 0; each page has the cursor of the next",
            )
        return None

    def _at(self, i: int, kind: ReadKind) -> int:
        if self.requests["kind"][i] != kind:
            requested = ReadKind(int(self.requests["kind"][i])).name
            hint = f"use the method for {requested}"
            raise UsageError(f"request {i} is for {requested}, not for {kind.name}", hint=hint)
        return int(self.found["at"][i])

    def _name(self, i: int, number: int) -> int:
        return ids.join(*self.names[i, 2 * number : 2 * number + 2])

    def _id(self, i: int) -> int:
        return ids.of_record(self.requests[i], "id")


def answer(state: LedgerState, requests: Array) -> Answers:
    """Return the answers to requests, (n,) READ, from the present state. Apply no frame during the call.

    Raise UsageError if the requests exceed the limits of one pass, see `fitting`.
    """
    if requests.size and fitting(requests) < requests.size:
        raise UsageError(
            f"{requests.size:,} reads exceed the limit of one pass",
            hint=f"at most {READS_MAX:,} reads, and {LINES_MAX:,} lines of all pages; `fitting` returns how many fit",
        )
    reads = np.ascontiguousarray(requests).copy()
    kinds = reads["kind"]
    if kinds.size and kinds.max() > kernel.STATEMENT:
        raise UsageError(f"unknown kind of read: {kinds.max()}", hint="use the functions of sycee.ledger.queries")
    counts = np.bincount(kinds, minlength=len(ReadKind)).tolist()
    lines_max = page_lines(reads)
    found, names = np.zeros(reads.size, FOUND), np.zeros((reads.size, NAMES), np.uint64)
    at_most = {
        "accounts": (counts[ReadKind.ACCOUNT], layout.ACCOUNT),
        "keys": (counts[ReadKind.ACCOUNT], layout.KEY),
        "purses": (counts[ReadKind.PURSE], layout.PURSE),
        "holds": (counts[ReadKind.HOLD], layout.HOLD),
        "bound": (counts[ReadKind.OPERATION], layout.BOUND),
        "times": (counts[ReadKind.OPERATION], np.dtype(np.int64)),
        "lines": (lines_max, LINE),
    }
    made: dict[str, Array] = {name: np.zeros(count, dtype) for name, (count, dtype) in at_most.items()}
    seen = [kernels.kernel_view(array) for array in (reads, found)]
    used = kernel.read(state.tables, *seen, names, *(kernels.kernel_view(array) for array in made.values()))
    if used < lines_max // 2:
        made["lines"] = made["lines"][:used].copy()  # pages may be shorter than requested
    for array in (reads, found, names, *made.values()):
        array.flags.writeable = False
    return Answers(state.sequence, reads, found, names, **made)
