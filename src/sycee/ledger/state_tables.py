"""The contents of a ledger's state, and lookups in it. This module applies no operation."""

from __future__ import annotations

from typing import Any

import blake3
import numpy as np

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.records import layout
from sycee.core.records.layout import KeyFlag
from sycee.core.worker_thread import Deferred
from sycee.ledger.account_rows import account_rows
from sycee.ledger.capacity import GrowingTables
from sycee.ledger.kernels import constants, indexes
from sycee.ledger.models import Account, Grant, Hold, Purse, Transit
from sycee.ledger.storage import Storage


class _RowsInUse:
    """Attribute of a state: the rows in use of one table, as a view that must not be written."""

    def __init__(self, name: str, counter: int) -> None:
        self._name, self._counter = name, counter

    def __get__(self, state: StateTables, owner: object = None) -> Array:
        rows: Array = getattr(state.tables, self._name)[: state.tables.counters[self._counter]]
        return rows.view(np.ndarray)


class StateTables(GrowingTables):
    """All data of one ledger, in memory. Not thread-safe: the sequencer admits one frame or one reader at a time."""

    accounts = _RowsInUse("accounts", constants.ACCOUNTS)  # layout.ACCOUNT, in the order of opening
    all_purses = _RowsInUse("purses", constants.PURSES)  # layout.PURSE, in the order of OPEN_PROGRAMME
    movements = _RowsInUse("movements", constants.MOVEMENTS)  # layout.MOVEMENT; number n is at index n - 1
    bound = _RowsInUse("bound", constants.BOUND)  # layout.BOUND, in the order of place
    refunds = _RowsInUse("refunds", constants.REFUNDS)  # layout.REFUND, in the order of the first refund
    holds = _RowsInUse("holds", constants.HOLDS)  # layout.HOLD, in the order of creation
    hold_legs = _RowsInUse("hold_legs", constants.HOLD_LEGS)  # layout.HOLD_LEG
    transits = _RowsInUse("transits", constants.TRANSITS)  # layout.TRANSIT, in the order of creation
    batches = _RowsInUse("batches", constants.BATCHES)  # layout.BATCH: open batches, and free rows with number 0
    staged = _RowsInUse("staged", constants.STAGED)  # layout.STAGED: payments of open batches, and free rows
    keys = _RowsInUse("keys", constants.KEYS)  # layout.KEY

    def __init__(self, storage: Storage | None = None) -> None:
        super().__init__(storage)
        self.zones: dict[int, str] = {}  # currency number -> time zone name, in the order of definition
        self.rule_sets: dict[int, bytes] = {}  # number -> the record that defined it
        self.scheduled_rule_sets: dict[int, bytes] = {}  # number -> the record of a version that takes effect later
        self.grants: dict[int, Grant] = {}  # by the id of their GRANT_ROLE
        self.authority_on = False  # once two officers of the board had a grant: operations must be signed
        self.rules = 0  # version of the rules, set by UPGRADE
        self.release = ""  # name of that release
        self.sequence = 0  # of the newest frame
        self._movement_digest: bytes | Deferred[bytes] = bytes(32)
        # Of cohorts that are not sealed: hasher of the first members, and their number. Not part of the state.
        self._hashed_members: dict[int, tuple[blake3.blake3, int]] = {}

    @property
    def movement_digest(self) -> bytes:
        """Return the running digest of all movements, 32 bytes; docs/reference/ledger.md section 13."""
        if not isinstance(self._movement_digest, bytes):
            self._movement_digest = self._movement_digest.result()
        return self._movement_digest

    @movement_digest.setter
    def movement_digest(self, digest: bytes) -> None:
        self._movement_digest = digest

    @property
    def pending_movement_digest(self) -> bytes | Deferred[bytes]:
        """Return the movement digest without waiting for its computation."""
        return self._movement_digest

    @property
    def frame_times(self) -> Array:
        """Return the times of all frames by sequence, as a view that must not be written. Index 0 is no frame."""
        times: Array = self.tables.frame_times[: self.sequence + 1]
        return times

    def row(self, account_id: int) -> int:
        """Return the row of an account, or -1."""
        return int(self.rows(np.array([ids.split(account_id)], ids.ID))[0])

    def rows(self, account_ids: Array) -> Array:
        """Return the rows of many accounts, (n,) i64, -1 if there is none. `account_ids`: (n,) ids.ID."""
        low, high = np.ascontiguousarray(account_ids["low"]), np.ascontiguousarray(account_ids["high"])
        return account_rows(self.tables, low, high)

    def account(self, account_id: int) -> Account | None:
        """Return the account with this id, or None."""
        row = self.row(account_id)
        if row < 0:
            return None
        record = self.accounts[row]
        flags, key = self.key(row)
        return Account.of(
            record,
            suspense=self.account_id(int(record["suspense"])),
            link=self._linked_id(record["link"]),
            key_flags=flags,
            key=key,
        )

    def balance(self, account_id: int) -> int:
        """Return the balance of the account with this id in minor units; 0 if there is no such account."""
        found = self.account(account_id)
        return found.balance if found else 0

    def account_id(self, row: int) -> int:
        """Return the id of the account in a row."""
        record = self.accounts[row]
        return ids.of_record(record, "id")

    def _linked_id(self, number: Any) -> int:
        """Return the id of the account in row `number` - 1; 0 for number 0."""
        return self.account_id(int(number) - 1) if number else 0

    def key(self, row: int) -> tuple[KeyFlag, bytes]:
        """Return flags and 32 bytes of the key that signs an account's payments; 0 and no bytes if it has none."""
        number = int(self.accounts["key"][row])
        if not number:
            return KeyFlag(0), b""
        record = self.keys[number - 1]
        return KeyFlag(int(record["flags"])), record["key"].tobytes()

    def bound_row(self, operation_id: int) -> int:
        """Return the bound row of an operation's id, or -1. O(1)."""
        low, high = (np.array([half], np.uint64) for half in ids.split(operation_id))
        rows = np.empty(1, np.int64)
        indexes.bound_rows_of(self.tables, low, high, rows)
        return int(rows[0])

    def bound_of(self, operation_id: int) -> Any | None:
        """Return the layout.BOUND record of an operation's id, or None."""
        row = self.bound_row(operation_id)
        return None if row < 0 else self.bound[row]

    def hold(self, operation_id: int) -> Hold | None:
        """Return the hold that this operation created, or None."""
        row = self._made_by(operation_id, self.holds)
        if row < 0:
            return None
        record = self.holds[row]
        payer, payee = (self.account_id(int(record[name])) for name in ("payer", "payee"))
        return Hold.of(record, id=operation_id, payer=payer, payee=payee, third=self._linked_id(record["third"]))

    def transit_of(self, operation_id: int) -> Transit | None:
        """Return the transit that this operation began, or None."""
        row = self._made_by(operation_id, self.transits)
        if row < 0:
            return None
        record = self.transits[row]
        source, through, destination = (
            self.account_id(int(record[name])) for name in ("source", "through", "destination")
        )
        amount, state = int(record["amount"]), layout.TransitState(int(record["state"]))
        return Transit(operation_id, source, through, destination, amount, state)

    def _made_by(self, operation_id: int, made: Array) -> int:
        """Return the row in `made` (holds or transits, in the order of their operations) of an operation, or -1."""
        bound = self.bound_row(operation_id)
        if bound < 0:
            return -1
        row = int(np.searchsorted(made["bound"], bound))
        return row if row < made.size and int(made["bound"][row]) == bound else -1

    def has_programme(self, number: int) -> bool:
        """Return whether a programme of this number was opened."""
        programmes = self.tables.programmes
        return bool(0 < number < programmes.size and programmes["defined"][number])

    def programme_funder(self, number: int) -> int:
        """Return the row of a programme's funder, or -1 if there is no such programme."""
        return int(self.tables.programmes["funder"][number]) if self.has_programme(number) else -1

    def purse(self, programme: int, member: int) -> Purse | None:
        """Return the purse of a member of a programme, or None."""
        if not self.has_programme(programme) or not 0 <= member < self.tables.programmes["count"][programme]:
            return None
        record = self.purses(programme)[member]
        return Purse.of(record, programme=programme, member=member, wallet=self._linked_id(record["wallet"]))

    def purses(self, programme: int) -> Array:
        """Return a programme's purses in cohort order, (count,) layout.PURSE, as a view that must not be written."""
        first = int(self.tables.programmes["first_purse"][programme])
        return self.all_purses[first : first + int(self.tables.programmes["count"][programme])]

    def programmes_of_purses(self, first: int, end: int) -> Array:
        """Return the programme of the purses in rows `first` to `end` - 1, (n,) i8, also of those without a member.

        Only a member's purse has the number of its programme in its row.
        """
        programmes = self.tables.programmes.view(np.ndarray)
        numbers = np.flatnonzero(programmes["defined"])
        numbers = numbers[np.argsort(programmes["first_purse"][numbers])]
        found: Array = numbers[np.searchsorted(programmes["first_purse"][numbers], np.arange(first, end), "right") - 1]
        return found

    def movement_numbers(self, row: int, *, newest: int | None = None) -> list[int]:
        """Return the numbers of an account's movements, newest first, at most `newest`. O(their number)."""
        movements = self.movements
        number = int(self.accounts["last_movement"][row])
        numbers: list[int] = []
        while number and (newest is None or len(numbers) < newest):
            numbers.append(number)
            movement = movements[number - 1]
            number = int(
                movement["debit_previous"] if int(movement["debit_row"]) == row else movement["credit_previous"]
            )
        return numbers

    def supply(self, currency: int) -> int:
        """Return the money in circulation: the debit balance of the issuance account, in minor units."""
        row = int(self.tables.issuance[currency]) - 1
        if row < 0:
            return 0
        account = self.accounts[row]
        return int(account["debits_posted"]) - int(account["credits_posted"])

    def cohort_digest(self, programme: int) -> bytes:
        """Return BLAKE3-256 over the member ids added so far, in order."""
        return self.hash_members(programme).digest()

    def hash_members(self, programme: int) -> blake3.blake3:
        """Hash the members added since the last call, and return the hasher of all.

        Calls while members are added leave little to hash for the seal. Members are never taken back: no chain has an
        ADD_MEMBERS.
        """
        hasher, hashed = self._hashed_members.get(programme, (blake3.blake3(), 0))
        purses = self.purses(programme)[hashed : int(self.tables.programmes["filled"][programme])]
        members = np.empty((purses.size, 2), np.uint64)
        members[:, 0], members[:, 1] = purses["member_low"], purses["member_high"]
        hasher.update(members.reshape(-1).view(np.uint8).data)
        self._hashed_members[programme] = hasher, hashed + int(purses.size)
        return hasher

    def forget_members(self, programme: int) -> None:
        """Drop the hasher of a cohort that was sealed."""
        self._hashed_members.pop(programme, None)
