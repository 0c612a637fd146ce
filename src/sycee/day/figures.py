"""Figures of a day, computed from a ledger alone, so that a copy of the ledger on another machine gives them again.

The money of each party after the day is computed twice: from the balances of its accounts, and from its money before
the day and all movements of the day. History is copied in slices between frames, so payments continue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from sycee.archive import history_copy
from sycee.archive.balances import Balances, balances_at
from sycee.archive.history_source import Source, StateReader, reader_of
from sycee.core import ids
from sycee.core.errors import IntegrityError
from sycee.core.records.layout import PURSE_BIT, AccountKind, Kind, TransitState
from sycee.core.result_codes import Result
from sycee.issuance.records import RESERVE_BOOK
from sycee.ledger.invariants import exact_sum
from sycee.ledger.state import LedgerState

ISSUANCE: Final = "issuance"
PURSES: Final = "purses"
DESK: Final = 1  # the operator whose RESERVE account holds the converted reserves

_HALF: Final = np.uint64(32)
_LOW: Final = np.uint64(0xFFFFFFFF)
_PARTS: Final[Mapping[str, tuple[AccountKind, ...]]] = {
    "vaults": (AccountKind.VAULT,),
    "wallets": (AccountKind.WALLET, AccountKind.MERCHANT),
    "funders": (AccountKind.FUNDER, AccountKind.RESERVE),
    "transit": (AccountKind.IN_TRANSIT,),
    "suspense": (AccountKind.SUSPENSE,),
}


@dataclass(frozen=True, slots=True)
class Position:
    """Money of one party, in minor units. A party is an operator, the issuance account, or all purses.

    `received`, `paid`: to and from other parties during the day. `parts`: the closing balance by kind of account.
    """

    opening: int
    received: int
    paid: int
    closing: int
    parts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Suspense:
    """A suspense account with money. `purpose`: of its newest movement."""

    account: int
    operator: int
    minor: int
    purpose: int


@dataclass(frozen=True, slots=True)
class OldTransit:
    """Money that has been in transit since `sent_ns`. `operation`: the one that sent it."""

    operation: int
    through: int
    operator: int
    minor: int
    sent_ns: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of one currency after frame `frame`, for the frames after `after`. Amounts in minor units.

    `operations`: created operations of the day by kind. `reserves`: by operator, in the book of reserves; the issuer's
    reserve desk holds the converted ones.
    """

    after: int
    frame: int
    supply: int
    positions: Mapping[str, Position]
    reserves: Mapping[int, int]
    reserve_suspense: int
    operations: Mapping[str, int]

    @property
    def converted(self) -> int:
        """Return the converted reserves, which the money in circulation must equal."""
        return self.reserves.get(DESK, 0)


def compute(ledger: Source, currency: int, *, after: int, frame: int) -> Figures:
    """Return the figures of the frames `after` + 1 to `frame`.

    Raises IntegrityError if accounts do not sum to zero or movements do not explain a party's money; UsageError for a
    frame that the ledger does not have.
    """
    source = reader_of(ledger)
    parties = _Parties(source, currency, frame)
    opening = parties.totals(balances_at(source, currency, frame=after))
    closing_balances = balances_at(source, currency, frame=frame)
    closing = parties.totals(closing_balances)
    received, paid = parties.flows(source, after, frame)
    positions = {}
    for name in parties.names:
        at = parties.names.index(name)
        position = Position(opening[at], received[at], paid[at], closing[at], parties.parts(closing_balances, at))
        if position.opening + position.received - position.paid != position.closing:
            raise IntegrityError(
                f"the movements of frames {after + 1:,} to {frame:,} do not explain the money of {name}: "
                f"{position.opening} + {position.received} - {position.paid} is not {position.closing} minor units",
                hint="run `sycee verify`, and do not close the day before the cause is found",
            )
        # An operator without money is omitted: the ledger does not show whether it had joined by the frame.
        if name == ISSUANCE or any((position.opening, position.received, position.paid, position.closing)):
            positions[name] = position
    reserves, suspense = _reserves(source, frame)
    return Figures(
        after=after,
        frame=frame,
        supply=-closing[parties.names.index(ISSUANCE)],
        positions=positions,
        reserves=reserves,
        reserve_suspense=suspense,
        operations=_operations(source, after, frame),
    )


class _Parties:
    """Parties of a currency: each account's party by its row."""

    def __init__(self, source: StateReader, currency: int, frame: int) -> None:
        with source.reading() as state:
            accounts = state.accounts
            self._of_currency = accounts["currency"] == currency
            kinds, operators = accounts["kind"].copy(), accounts["operator"].copy()
        numbers = np.unique(operators[self._of_currency])
        self.names = [*(str(number) for number in numbers.tolist()), ISSUANCE, PURSES]
        of_row = np.searchsorted(numbers, operators).astype(np.int64)
        of_row[kinds == AccountKind.ISSUANCE] = len(self.names) - 2
        of_row[~self._of_currency] = -1
        self._of_row = of_row
        self._kinds = kinds[self._of_currency]

    def totals(self, balances: Balances) -> list[int]:
        """Return the sum of each party's accounts."""
        parties = self._of_row[self._of_currency]
        # Accounts that were opened meanwhile have no money after the frame.
        known = min(parties.size, balances.balances.size)
        parties, amounts = parties[:known], balances.balances[:known]
        sums = [exact_sum(amounts[parties == at]) for at in range(len(self.names))]
        sums[-1] = exact_sum(balances.purses)
        return sums

    def parts(self, balances: Balances, party: int) -> dict[str, int]:
        """Return the money of a party by kind of account, without kinds that have none."""
        if self.names[party] == ISSUANCE:
            return {}
        known = min(self._kinds.size, balances.balances.size)
        mine = self._of_row[self._of_currency][:known] == party
        kinds, amounts = self._kinds[:known], balances.balances[:known]
        found = {name: exact_sum(amounts[mine & np.isin(kinds, chosen)]) for name, chosen in _PARTS.items()}
        return {name: minor for name, minor in found.items() if minor}

    def flows(self, source: StateReader, after: int, frame: int) -> tuple[list[int], list[int]]:
        """Return what each party received from others, and paid to others, in the frames after `after`."""
        size, purses = len(self.names), len(self.names) - 1
        low, high = np.zeros(size * size, np.uint64), np.zeros(size * size, np.uint64)

        def add(state: LedgerState, first: int, end: int) -> None:
            movements = state.movements[first:end]
            rows = [movements[side].astype(np.int64) for side in ("debit_row", "credit_row")]
            debit, credit = (
                np.where(row >= PURSE_BIT, -2, self._of_row[np.where(row >= PURSE_BIT, 0, row)]) for row in rows
            )
            # At most one side is a purse, and the other side shows the currency.
            ours = (debit >= 0) | (credit >= 0)
            pairs = np.where(debit < 0, purses, debit)[ours] * size + np.where(credit < 0, purses, credit)[ours]
            amounts = movements["amount"][ours].astype(np.uint64)
            np.add.at(low, pairs, amounts & _LOW)
            np.add.at(high, pairs, amounts >> _HALF)

        _slices(source, history_copy.movements_until, after, frame, add)
        moved = [(int(h) << 32) + int(each) for h, each in zip(high, low, strict=True)]
        between = [moved[at * size : (at + 1) * size] for at in range(size)]
        for at in range(size):
            between[at][at] = 0  # inside one party
        return [sum(row[at] for row in between) for at in range(size)], [sum(row) for row in between]


def _reserves(source: StateReader, frame: int) -> tuple[dict[int, int], int]:
    """Return the reserves by operator, and the money on suspense accounts of the reserve book."""
    with source.reading() as state:
        if RESERVE_BOOK not in state.zones:
            return {}, 0
    balances = balances_at(source, RESERVE_BOOK, frame=frame).balances
    with source.reading() as state:
        accounts = state.accounts
        chosen = np.flatnonzero(accounts["currency"] == RESERVE_BOOK)[: balances.size]
        kinds, operators = accounts["kind"][chosen], accounts["operator"][chosen]
    held = kinds == AccountKind.RESERVE
    found = {
        number: exact_sum(balances[held & (operators == number)]) for number in np.unique(operators[held]).tolist()
    }
    found = {number: minor for number, minor in found.items() if minor}
    return found, exact_sum(balances[kinds == AccountKind.SUSPENSE])


def _operations(source: StateReader, after: int, frame: int) -> dict[str, int]:
    counts = np.zeros(max(Kind) + 1, np.int64)

    def add(state: LedgerState, first: int, end: int) -> None:
        bound = state.bound[first:end]
        created = bound["kind"][bound["result"] == Result.CREATED]
        counts[:] += np.bincount(created, minlength=counts.size)[: counts.size]

    _slices(source, history_copy.operations_until, after, frame, add)
    return {kind.name: int(counts[kind]) for kind in Kind if counts[kind]}


def _slices(
    source: StateReader,
    until: Callable[[LedgerState, int], int],
    after: int,
    frame: int,
    add: Callable[[LedgerState, int, int], None],
) -> None:
    with source.reading() as state:
        first, end = until(state, after), until(state, frame)
    for start in range(first, end, history_copy.SLICE_ROWS):
        with source.reading() as state:
            add(state, start, min(start + history_copy.SLICE_ROWS, end))


def suspense_accounts(ledger: Source, currency: int, frame: int) -> list[Suspense]:
    """Return the suspense accounts that held money after a frame, in the order of opening."""
    source = reader_of(ledger)
    balances = balances_at(source, currency, frame=frame).balances
    found = []
    with source.reading() as state:
        accounts = state.accounts
        rows = np.flatnonzero(accounts["currency"] == currency)[: balances.size]
        chosen = (accounts["kind"][rows] == AccountKind.SUSPENSE) & (balances != 0)
        for row, minor in zip(rows[chosen].tolist(), balances[chosen].tolist(), strict=True):
            newest = history_copy.newest_movement(state, row)
            purpose = int(state.movements[newest - 1]["purpose"]) if newest else 0
            found.append(Suspense(state.account_id(row), int(accounts["operator"][row]), minor, purpose))
    return found


def open_transits(ledger: Source, currency: int, frame: int) -> list[OldTransit]:
    """Return the money that was sent up to a frame and is in transit now, in the order of sending.

    `operator`: of the account to which the transit account is linked, else of the transit account itself.
    """
    source = reader_of(ledger)
    with source.reading() as state:
        transits, bound, accounts = state.transits, state.bound, state.accounts
        rows = np.flatnonzero(transits["state"] == TransitState.OPEN)
        rows = rows[accounts["currency"][transits["through"][rows]] == currency]
        found = []
        for record in transits[rows]:
            sent = bound[int(record["bound"])]
            at = int(history_copy.frames_of(sent["place"]))
            if at > frame:
                continue
            through = int(record["through"])
            link = int(accounts["link"][through])
            owner = link - 1 if link else through
            found.append(
                OldTransit(
                    ids.of_record(sent, "id"),
                    state.account_id(through),
                    int(accounts["operator"][owner]),
                    int(record["amount"]),
                    int(state.frame_times[at]),
                )
            )
    return found
