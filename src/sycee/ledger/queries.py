"""Reads that were gathered, answered in one pass between two frames.

    requests = np.concatenate([reading.accounts([ann, bob]), reading.statement(ann, lines=20)])
    answers = reading.answer(state, requests)     # between two frames: nothing is applied meanwhile
    answers.account(0).balance; answers.page(2).lines["amount"]

The arrays are copies that nobody can write to, so answers may leave the thread that made them.
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
from sycee.core.result_codes import Result
from sycee.ledger import kernels, layout
from sycee.ledger.kernels import queries as kernel
from sycee.ledger.kernels.queries import FOUND, LINE, NAMES, READ
from sycee.ledger.layout import Kind
from sycee.ledger.models import Account, Hold, Purse

if TYPE_CHECKING:
    from sycee.ledger.state import LedgerState


__all__ = [
    "LINE",
    "LINES_MAX",
    "PAGE_LINES_MAX",
    "READ",
    "READS_MAX",
    "Answers",
    "Operation",
    "Page",
    "answer",
    "fitting",
]

# What one pass answers at most, so that the next frame does not wait for reads: a few milliseconds of random memory.
READS_MAX: Final = 8_192
LINES_MAX: Final = 16_384  # of all pages together
PAGE_LINES_MAX: Final = 1_000


class ReadKind(IntEnum):
    """What a request asks for."""

    ACCOUNT = kernel.ACCOUNT
    PURSE = kernel.PURSE
    HOLD = kernel.HOLD
    OPERATION = kernel.OPERATION
    STATEMENT = kernel.STATEMENT


class Page(NamedTuple):
    """Lines of a statement, newest first, and how to go on."""

    lines: Array  # (k,) LINE, read-only
    cursor: int  # for the next page, which stays the same whatever comes meanwhile; 0: the oldest line is among these


class Operation(NamedTuple):
    """What an operation's id is bound to."""

    kind: Kind
    result: Result
    time_ns: int  # of the frame in which it was judged
    record: np.void  # all of it, layout.BOUND


# --- requests ---


def accounts(ids: Sequence[AnyId]) -> Array:
    """Ask for accounts, whole records: (n,) READ. Raises UsageError for what is no id of 128 bits."""
    return _by_id(ReadKind.ACCOUNT, ids)


def holds(ids: Sequence[AnyId]) -> Array:
    """Ask for holds by the ids of the operations that made them."""
    return _by_id(ReadKind.HOLD, ids)


def operations(ids: Sequence[AnyId]) -> Array:
    """Ask what the ids of operations are bound to."""
    return _by_id(ReadKind.OPERATION, ids)


def purses(places: Sequence[tuple[int, int]]) -> Array:
    """Ask for purses by programme and member."""
    asked = np.zeros(len(places), READ)
    asked["kind"] = ReadKind.PURSE
    for at, (programme, member) in enumerate(places):
        if not (0 <= programme < 1 << 32 and 0 <= member < 1 << 63):
            raise UsageError(f"programme {programme}, member {member} is no purse's place", hint="both count from 0")
        asked["programme"][at], asked["member"][at] = programme, member
    return asked


def statement(account: AnyId, *, lines: int, cursor: int = 0) -> Array:
    """Ask for one page of a statement, (1,) READ: at most `lines` lines, newest first, after those read before.

    cursor: of the page before, 0 for the first. Raises UsageError for more than PAGE_LINES_MAX lines or none.
    """
    asked = _by_id(ReadKind.STATEMENT, [account])
    asked["lines"] = check_integer("lines", lines, low=1, high=PAGE_LINES_MAX)
    asked["cursor"] = check_integer("cursor", cursor, high=I64_MAX)
    return asked


def _by_id(kind: ReadKind, ids: Sequence[AnyId]) -> Array:
    asked = np.zeros(len(ids), READ)
    asked["kind"] = kind
    try:
        halves = b"".join([each.to_bytes(16, "little") for each in ids])  # type: ignore[union-attr]
    except (OverflowError, AttributeError, TypeError):  # UUIDs, texts, NumPy integers; or an error
        halves = b"".join([check_id("id", each).to_bytes(16, "little") for each in ids])
    words = np.frombuffer(halves, np.uint64)
    asked["id_low"], asked["id_high"] = words[::2], words[1::2]
    return asked


def page_lines(requests: Array) -> int:
    """Return how many lines the pages that are asked for may have together."""
    pages = requests["kind"] == ReadKind.STATEMENT
    return int(requests["lines"][pages].astype(np.int64).sum()) if pages.any() else 0


def fitting(requests: Array) -> int:
    """How many of the first requests one pass answers: at least one, of one kind of limit or the other."""
    lines = np.cumsum(np.where(requests["kind"] == ReadKind.STATEMENT, requests["lines"], 0), dtype=np.int64)
    return max(1, min(requests.size, READS_MAX, int(np.searchsorted(lines, LINES_MAX, "right"))))


# --- answers ---


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What n requests came to, as of one frame. Request i is answered by the methods for its kind.

    Each array holds what was found of its kind, in the order of the requests: `found["at"]` says where request i's is,
    -1 where there is nothing. All are copies that cannot be written to.
    """

    sequence: int  # of the frame after which this was so
    requests: Array  # (n,) READ
    found: Array  # (n,) FOUND
    names: Array  # (n, 6) u8: ids of accounts that the record names, see kernels/queries.py
    accounts: Array  # layout.ACCOUNT
    keys: Array  # layout.KEY, of each of the accounts; zero for none
    purses: Array  # layout.PURSE
    holds: Array  # layout.HOLD
    bound: Array  # layout.BOUND
    times: Array  # i8: of the frame of each of them
    lines: Array  # LINE

    def part(self, start: int, end: int) -> Answers:
        """Return the answers to requests `start` to `end` (exclusive) alone."""
        if start == 0 and end == self.requests.size:
            return self
        requests, found, names = (array[start:end] for array in (self.requests, self.found, self.names))
        return replace(self, requests=requests, found=found, names=names)

    def account(self, i: int) -> Account | None:
        """The account that request i asked for, or None."""
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
        """Its balance in minor units, or None."""
        at = self._at(i, ReadKind.ACCOUNT)
        if at < 0:
            return None
        return int(self.accounts["credits_posted"][at]) - int(self.accounts["debits_posted"][at])

    def balances(self) -> list[int | None]:
        """The balances of all requests, each of which must ask for an account, in order; None where there is none."""
        at = self.found["at"]
        held = self.accounts["credits_posted"] - self.accounts["debits_posted"]
        if (at >= 0).all():
            balances: list[int | None] = held[at].tolist()
            return balances
        return [int(held[each]) if each >= 0 else None for each in at.tolist()]

    def purse(self, i: int) -> Purse | None:
        """The purse that request i asked for, or None."""
        at = self._at(i, ReadKind.PURSE)
        if at < 0:
            return None
        programme, member = int(self.requests["programme"][i]), int(self.requests["member"][i])
        return Purse.of(self.purses[at], programme=programme, member=member, wallet=self._name(i, 0))

    def hold(self, i: int) -> Hold | None:
        """The hold that request i asked for, or None."""
        at = self._at(i, ReadKind.HOLD)
        if at < 0:
            return None
        payer, payee, third = (self._name(i, word) for word in range(3))
        return Hold.of(self.holds[at], id=self._id(i), payer=payer, payee=payee, third=third)

    def operation(self, i: int) -> Operation | None:
        """What request i's operation came to, or None where nothing is bound to its id."""
        at = self._at(i, ReadKind.OPERATION)
        if at < 0:
            return None
        record = self.bound[at]
        return Operation(Kind(int(record["kind"])), Result(int(record["result"])), int(self.times[at]), record)

    def page(self, i: int) -> Page | None:
        """The page that request i asked for, or None where there is no such account.

        Raises UsageError where the cursor is not of this account's statement.
        """
        at, found = self._at(i, ReadKind.STATEMENT), self.found[i]
        if at >= 0:
            return Page(self.lines[at : at + int(found["lines"])], int(found["cursor"]))
        if found["cursor"] < 0:
            raise UsageError(
                f"cursor {self.requests['cursor'][i]} is no movement of account {self._id(i):#034x}",
                hint="begin with 0; each page has the next page's cursor",
            )
        return None

    def _at(self, i: int, kind: ReadKind) -> int:
        if self.requests["kind"][i] != kind:
            asked = ReadKind(int(self.requests["kind"][i])).name
            raise UsageError(f"request {i} asked for {asked}, not for {kind.name}", hint="read it as it was asked for")
        return int(self.found["at"][i])

    def _name(self, i: int, number: int) -> int:
        return ids.join(*self.names[i, 2 * number : 2 * number + 2])

    def _id(self, i: int) -> int:
        return ids.of_record(self.requests[i], "id")


def answer(state: LedgerState, requests: Array) -> Answers:
    """Answer requests, (n,) READ, from the state as it stands; no frame may be applied meanwhile.

    Raises UsageError for more than one pass answers: `fitting` says how many.
    """
    if requests.size and fitting(requests) < requests.size:
        raise UsageError(
            f"{requests.size:,} reads are more than one pass answers",
            hint=f"at most {READS_MAX:,} reads, and pages of {LINES_MAX:,} lines together; `fitting` cuts them",
        )
    asked = np.ascontiguousarray(requests).copy()
    kinds = asked["kind"]
    if kinds.size and kinds.max() > kernel.STATEMENT:
        raise UsageError(f"{kinds.max()} is no kind of read", hint="use the functions that make requests")
    counts = np.bincount(kinds, minlength=len(ReadKind)).tolist()
    lines_max = page_lines(asked)
    found, names = np.zeros(asked.size, FOUND), np.zeros((asked.size, NAMES), np.uint64)
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
    seen = [kernels.seen(array) for array in (asked, found)]
    used = kernel.read(state.tables, *seen, names, *(kernels.seen(array) for array in made.values()))
    if used < lines_max // 2:
        made["lines"] = made["lines"][:used].copy()  # a page may be shorter than it might have been
    for array in (asked, found, names, *made.values()):
        array.flags.writeable = False
    return Answers(state.sequence, asked, found, names, **made)
