"""Copies of operations for the feed, with the accounts that each concerns.

Everything is copied between two frames, in passes of a few thousand rows, and depends only on the operations' frames:
a later copy of the same operations gives the same events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sycee.archive.history_source import StateReader
from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.limits import PLACE_INDEX_BITS
from sycee.core.records.layout import ACCOUNT, OPERATION, PURSE_BIT, AccountKind, Kind, Purpose
from sycee.core.result_codes import Result
from sycee.ledger.state import LedgerState
from sycee.sequencer.frame_records import FrameRecords
from sycee.server.events.kinds import DISCARDED, MINTED, REDEEMED, TYPES, Accounts, Amount, EventType

OPERATIONS_MAX: Final = 2_048  # of one page
MOVEMENTS_MAX: Final = 8_192  # copied between two frames

INDEX_MASK: Final = (1 << PLACE_INDEX_BITS) - 1
TYPE_OF: Final[Mapping[int, EventType]] = {int(kind): each for kind, each in TYPES.items()}

_AMOUNT_OF_RECORD: Final = np.array([int(kind) for kind, each in TYPES.items() if each.amount is Amount.RECORD])
_NEEDS_RECORD: Final = np.array([int(kind) for kind, each in TYPES.items() if each.needs_record])
_FIELDS: Final[Mapping[Accounts, tuple[str, ...]]] = {
    Accounts.DEBIT: ("debit",),
    Accounts.CREDIT: ("credit",),
    Accounts.BOTH: ("debit", "credit"),
    Accounts.REFERENCE: ("reference",),
}
# Money that moved on after it arrived, which is no part of an operation's amount; an EXPIRE makes returns alone.
_FOLLOWING: Final = np.array([int(each) for each in (Purpose.RETURN, Purpose.RETURN_SUSPENSE)])
_NO_ROWS: Final = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class LedgerEvents:
    """Created operations in order, and pairs of an operation and an account that it concerns.

    Lists have one value for each operation. `pair_at`: positions of operations, ascending; `pair_account`: positions in
    the arrays of accounts; the pairs of operation i are `starts[i]` to `starts[i + 1]`, the paying account first.
    """

    places: Sequence[int]
    types: Sequence[EventType]
    names: Sequence[str]  # of types
    ids: Sequence[int]
    times_ns: Sequence[int]
    amounts: Sequence[int]
    starts: Sequence[int]
    pair_at: Array
    pair_account: Array
    rows: Array  # of the accounts in the ledger, ascending
    operators: Array  # of the accounts
    accounts: Sequence[str]  # ids
    currencies: Sequence[int]  # of the accounts
    records: Mapping[int, Any]  # of operations whose event needs one, by position

    def accounts_of(self, at: int) -> Array:
        """Return the positions of an operation's accounts."""
        found: Array = self.pair_account[self.starts[at] : self.starts[at + 1]]
        return found


def operations_after(
    source: StateReader, frames: FrameRecords, place: int, until: int
) -> tuple[LedgerEvents, int, bool]:
    """Return the next created operations after a place, the place after them, and whether it is the newest.

    `until`: the last place that counts. Refused operations are skipped.
    """
    copy = _Copy(frames)
    with source.reading() as state:
        bound = state.bound
        first = int(np.searchsorted(bound["place"], np.uint64(place), side="right"))
        last = int(np.searchsorted(bound["place"], np.uint64(until), side="right"))
        end = min(last, first + OPERATIONS_MAX)
        copy.begin(state, bound[first:end])
        copy.take_movements(state)
    while copy.has_movements:
        with source.reading() as state:
            copy.take_movements(state)
    if copy.read_records():
        with source.reading() as state:
            copy.take_named(state)
    return copy.finish(), (copy.last_place if end > first else place), end == last


class _Copy:
    """One page while it is copied."""

    def __init__(self, frames: FrameRecords) -> None:
        self._frames = frames
        self._at: list[Array] = []
        self._rows: list[Array] = []
        self._account_rows: list[Array] = []
        self._accounts: list[Array] = []
        self._renamed: dict[int, str] = {}
        self._records: dict[int, Any] = {}
        self._next = 0  # of the movements to copy
        self.last_place = 0

    def begin(self, state: LedgerState, found: Array) -> None:
        """Copy the operations, and the accounts of new holds."""
        if found.size:
            self.last_place = int(found["place"][-1])
        self._bound = bound = found[found["result"] == Result.CREATED].copy()
        self._kinds = bound["kind"]
        self._times = state.frame_times[(bound["place"] >> np.uint64(PLACE_INDEX_BITS)).astype(np.int64)].copy()
        self._amounts = np.zeros(bound.size, np.int64)
        counts = bound["movements"].astype(np.int64)
        self._movement_at = np.repeat(np.arange(bound.size), counts)
        starts = np.repeat(bound["first_movement"] - np.cumsum(counts) + counts, counts)
        self._movements = starts + np.arange(self._movement_at.size) - 1  # indexes
        for at in np.flatnonzero((self._kinds == Kind.SETTLE) & (counts == 0)).tolist():
            self._renamed[at] = DISCARDED
        made = np.flatnonzero(self._kinds == Kind.HOLD)
        if made.size:
            self._add_holds(state, made, bound["detail"][made])

    @property
    def has_movements(self) -> bool:
        """Whether movements are left to copy."""
        return self._next < self._movements.size

    def take_movements(self, state: LedgerState) -> None:
        """Copy the accounts and the amounts of the next movements."""
        part = slice(self._next, self._next + MOVEMENTS_MAX)
        self._next = part.stop
        at, movements = self._movement_at[part], state.movements[self._movements[part]]
        if not at.size:
            return
        kinds = self._kinds[at]
        debit, credit = (self._account_of(state, movements[side], kinds) for side in ("debit_row", "credit_row"))
        counted = movements["purpose"] != Purpose.WATERFALL
        counted &= (kinds == Kind.EXPIRE) | ~np.isin(movements["purpose"], _FOLLOWING)
        np.add.at(self._amounts, at[counted], movements["amount"][counted])
        # Side by side, so that each movement's paying account is first.
        self._add(state, np.repeat(at, 2), np.stack([debit, credit], axis=1).reshape(-1))
        for side, name in ((debit, MINTED), (credit, REDEEMED)):
            moved = np.flatnonzero(kinds == Kind.TRANSFER)
            issued = moved[state.accounts["kind"][side[moved]] == AccountKind.ISSUANCE]
            self._renamed.update(dict.fromkeys(at[issued].tolist(), name))

    def read_records(self) -> bool:
        """Read the records of operations that the state does not describe; return whether there were any."""
        needed = np.flatnonzero(np.isin(self._kinds, _NEEDS_RECORD))
        places = self._bound["place"][needed].tolist()
        frame, records = -1, np.zeros(0, OPERATION)
        for at, place in zip(needed.tolist(), places, strict=True):
            if place >> PLACE_INDEX_BITS != frame:
                frame = place >> PLACE_INDEX_BITS
                records = self._frames.read(frame)
            self._records[at] = records[place & INDEX_MASK]
        return bool(self._records)

    def take_named(self, state: LedgerState) -> None:
        """Find the accounts that records name, themselves or by a hold."""
        for at, record in self._records.items():
            source = TYPE_OF[int(self._kinds[at])].accounts
            if source is Accounts.NAMED_HOLD:
                hold = state.bound_of(ids.of_record(record, "reference"))
                assert hold is not None, "the operation was created, so its hold exists"
                self._add_holds(state, np.array([at]), np.array([int(hold["detail"])]))
            for name in _FIELDS.get(source, ()):
                self._add(state, np.array([at]), np.array([state.row(ids.of_record(record, name))]))

    def finish(self) -> LedgerEvents:
        """Return the events, each account once per operation."""
        at, rows = (np.concatenate([_NO_ROWS, *parts]) for parts in (self._at, self._rows))
        _, first = np.unique(at << 32 | rows, return_index=True)
        first = np.sort(first)
        first = first[np.argsort(at[first], kind="stable")]
        account_rows, places = np.unique(np.concatenate([_NO_ROWS, *self._account_rows]), return_index=True)
        accounts = np.concatenate([np.zeros(0, ACCOUNT), *self._accounts])[places]
        kinds, pair_at = self._kinds.tolist(), at[first]
        names = [TYPE_OF[kind].name for kind in kinds]
        for place, name in self._renamed.items():
            names[place] = name
        of_record = np.isin(self._kinds, _AMOUNT_OF_RECORD)
        return LedgerEvents(
            places=self._bound["place"].tolist(),
            types=[TYPE_OF[kind] for kind in kinds],
            names=names,
            ids=ids.of_records(self._bound, "id"),
            times_ns=self._times.tolist(),
            amounts=np.where(of_record, self._bound["amount"], self._amounts).tolist(),
            starts=np.searchsorted(pair_at, np.arange(len(kinds) + 1)).tolist(),
            pair_at=pair_at,
            pair_account=np.searchsorted(account_rows, rows[first]),
            rows=account_rows,
            operators=accounts["operator"].copy(),
            accounts=[ids.format(each) for each in ids.of_records(accounts, "id")],
            currencies=accounts["currency"].tolist(),
            records=self._records,
        )

    def _account_of(self, state: LedgerState, rows: Array, kinds: Array) -> Array:
        """Return the account's row of each side of movements; of a purse the wallet that claimed it, -1 for none.

        A DROP may come before or after a claim, so it concerns no wallet: otherwise a later copy would differ.
        """
        found = rows.astype(np.int64)
        is_purse = found >= PURSE_BIT
        if is_purse.any():
            wallets = state.all_purses["wallet"][found[is_purse] - PURSE_BIT].astype(np.int64) - 1
            found[is_purse] = np.where(kinds[is_purse] == Kind.DROP, -1, wallets)
        return found

    def _add_holds(self, state: LedgerState, at: Array, rows: Array) -> None:
        holds = state.holds[rows]
        parties = [holds["payer"], holds["payee"], holds["third"].astype(np.int64) - 1]
        self._add(state, np.repeat(at, 3), np.stack([each.astype(np.int64) for each in parties], axis=1).reshape(-1))

    def _add(self, state: LedgerState, at: Array, rows: Array) -> None:
        """Add pairs; row -1 is no account."""
        known = rows >= 0
        self._at.append(at[known])
        self._rows.append(rows[known])
        fresh = np.unique(rows[known])
        self._account_rows.append(fresh)
        self._accounts.append(state.accounts[fresh])
