"""What a state holds, and reading it: the part of the state machine that judges nothing."""

from __future__ import annotations

from typing import Any

import blake3
import numpy as np

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.worker_thread import Coming
from sycee.ledger import kernels, layout
from sycee.ledger.capacity import Growth
from sycee.ledger.layout import KeyFlag
from sycee.ledger.models import Account, Grant, Hold, Purse, Transit
from sycee.ledger.storage import Storage


class StateTables(Growth):
    """All of one ledger, in memory. For one thread: the sequencer lets one frame or reader in at a time."""

    def __init__(self, storage: Storage | None = None) -> None:
        super().__init__(storage)
        self.zones: dict[int, str] = {}  # currency number -> time zone name, in order of definition
        self.rule_sets: dict[int, bytes] = {}  # number -> the record that defined it
        self.coming: dict[int, bytes] = {}  # number -> the record of the version that takes effect later
        self.grants: dict[int, Grant] = {}  # by the id of their GRANT_ROLE
        self.authority_on = False  # two officers were there once: from then on signatures are needed
        self.rules = 0  # version of the rules, of the last UPGRADE
        self.release = ""  # that named it
        self.sequence = 0  # of the newest frame
        self._movement_digest: bytes | Coming[bytes] = bytes(32)

    @property
    def movement_digest(self) -> bytes:
        """The running digest of all movements, 32 bytes: docs/reference/ledger.md section 13."""
        if not isinstance(self._movement_digest, bytes):
            self._movement_digest = self._movement_digest.result()
        return self._movement_digest

    @movement_digest.setter
    def movement_digest(self, digest: bytes) -> None:
        self._movement_digest = digest

    @property
    def coming_digest(self) -> bytes | Coming[bytes]:
        """The same, perhaps still being computed."""
        return self._movement_digest

    # --- reading ---

    def row(self, account_id: int) -> int:
        """Row of an account, -1 where there is none."""
        return int(self.rows(np.array([ids.split(account_id)], ids.ID))[0])

    def rows(self, account_ids: Array) -> Array:
        """Account rows of many ids: (n,) records with `low` and `high` to (n,) int64, -1 where there is none."""
        rows = np.empty(account_ids.size, np.int64)
        low, high = np.ascontiguousarray(account_ids["low"]), np.ascontiguousarray(account_ids["high"])
        tables = self.tables
        kernels.rows_of(tables.account_slots, tables.accounts, low, high, rows)
        return rows

    def account(self, account_id: int) -> Account | None:
        """The account with this id, or None."""
        row = self.row(account_id)
        if row < 0:
            return None
        record = self.accounts[row]
        flags, key = self.key(row)
        return Account.of(
            record,
            suspense=self.account_id(int(record["suspense"])),
            link=self.account_id(int(record["link"]) - 1) if record["link"] else 0,
            key_flags=flags,
            key=key,
        )

    def account_id(self, row: int) -> int:
        """Id of the account in a row."""
        record = self.accounts[row]
        return ids.of_record(record, "id")

    def key(self, row: int) -> tuple[KeyFlag, bytes]:
        """What an account's payments are signed with: flags and 32 bytes, or 0 and none."""
        number = int(self.accounts["key"][row])
        if not number:
            return KeyFlag(0), b""
        record = self._rows("keys", kernels.KEYS)[number - 1]
        return KeyFlag(int(record["flags"])), record["key"].tobytes()

    def bound_row(self, operation_id: int) -> int:
        """Row of an operation's id among the bound ones, -1 where it is not bound. O(1)."""
        low, high = (np.array([half], np.uint64) for half in ids.split(operation_id))
        rows = np.empty(1, np.int64)
        kernels.bound_rows_of(self.tables, low, high, rows)
        return int(rows[0])

    def bound_of(self, operation_id: int) -> Any | None:
        """What is remembered of an operation, as layout.BOUND, or None."""
        row = self.bound_row(operation_id)
        return None if row < 0 else self.bound[row]

    def hold(self, operation_id: int) -> Hold | None:
        """The hold that this operation made, or None."""
        row = self._made_by(operation_id, self.holds)
        if row < 0:
            return None
        record = self.holds[row]
        return Hold.of(
            record,
            id=operation_id,
            payer=self.account_id(int(record["payer"])),
            payee=self.account_id(int(record["payee"])),
            third=self.account_id(int(record["third"]) - 1) if record["third"] else 0,
        )

    def transit_of(self, operation_id: int) -> Transit | None:
        """The money that this operation sent on its way, or None."""
        row = self._made_by(operation_id, self.transits)
        if row < 0:
            return None
        record = self.transits[row]
        return Transit(
            id=operation_id,
            source=self.account_id(int(record["source"])),
            through=self.account_id(int(record["through"])),
            destination=self.account_id(int(record["destination"])),
            amount=int(record["amount"]),
            state=layout.TransitState(int(record["state"])),
        )

    def _made_by(self, operation_id: int, made: Array) -> int:
        """Row in `made`, holds or transits, of what an operation made, or -1. They stand in its order."""
        bound = self.bound_row(operation_id)
        if bound < 0:
            return -1
        row = int(np.searchsorted(made["bound"], bound))
        return row if row < made.size and int(made["bound"][row]) == bound else -1

    def has_programme(self, number: int) -> bool:
        """Whether a programme of this number was opened."""
        programmes = self.tables.programmes
        return bool(0 < number < programmes.size and programmes["defined"][number])

    def programme_funder(self, number: int) -> int:
        """Row of a programme's funder, -1 where there is no such programme."""
        return int(self.tables.programmes["funder"][number]) if self.has_programme(number) else -1

    def purse(self, programme: int, member: int) -> Purse | None:
        """The purse of a member of a programme, or None."""
        if not self.has_programme(programme) or not 0 <= member < self.tables.programmes["count"][programme]:
            return None
        record = self.purses(programme)[member]
        wallet = self.account_id(int(record["wallet"]) - 1) if record["wallet"] else 0
        return Purse.of(record, programme=programme, member=member, wallet=wallet)

    def purses(self, programme: int) -> Array:
        """A programme's block, in cohort order: (count,) layout.PURSE, a view that must not be written."""
        first = int(self.tables.programmes["first_purse"][programme])
        return self.all_purses[first : first + int(self.tables.programmes["count"][programme])]

    @property
    def all_purses(self) -> Array:
        """All purses of all programmes, in order of opening: a view that must not be written."""
        return self._rows("purses", kernels.PURSES)

    @property
    def accounts(self) -> Array:
        """All accounts in order of opening: a view that must not be written."""
        return self._rows("accounts", kernels.ACCOUNTS)

    @property
    def movements(self) -> Array:
        """All movements; number n stands at index n - 1: a view that must not be written."""
        return self._rows("movements", kernels.MOVEMENTS)

    @property
    def bound(self) -> Array:
        """All bound operations in order of place: a view that must not be written."""
        return self._rows("bound", kernels.BOUND)

    @property
    def refunds(self) -> Array:
        """What came back so far of each bound operation of which anything did: a view that must not be written."""
        return self._rows("refunds", kernels.REFUNDS)

    @property
    def holds(self) -> Array:
        """All holds in order of making: a view that must not be written."""
        return self._rows("holds", kernels.HOLDS)

    @property
    def hold_legs(self) -> Array:
        """What holds keep of purses: a view that must not be written."""
        return self._rows("hold_legs", kernels.HOLD_LEGS)

    @property
    def transits(self) -> Array:
        """All money that was ever on its way, in order of beginning: a view that must not be written."""
        return self._rows("transits", kernels.TRANSITS)

    @property
    def staged(self) -> Array:
        """All payments that wait in batches, and rows that are free: a view that must not be written."""
        return self._rows("staged", kernels.STAGED)

    @property
    def batches(self) -> Array:
        """All open batches, and rows that are free, whose number is 0: a view that must not be written."""
        return self._rows("batches", kernels.BATCHES)

    @property
    def frame_times(self) -> Array:
        """Times of all frames by sequence, from 0, which is none: a view that must not be written."""
        times: Array = self.tables.frame_times[: self.sequence + 1]
        return times

    def _rows(self, name: str, counter: int) -> Array:
        rows: Array = getattr(self.tables, name)[: self.tables.counters[counter]]
        return rows.view(np.ndarray)

    def movement_numbers(self, row: int, *, newest: int | None = None) -> list[int]:
        """Numbers of an account's movements, newest first, along its chain: O(k)."""
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
        """Money in circulation: the debit balance of the currency's issuance account, in minor units."""
        row = int(self.tables.issuance[currency]) - 1
        if row < 0:
            return 0
        account = self.accounts[row]
        return int(account["debits_posted"]) - int(account["credits_posted"])

    def cohort_digest(self, programme: int) -> bytes:
        """BLAKE3-256 over the member ids that came so far, in order."""
        purses = self.purses(programme)[: int(self.tables.programmes["filled"][programme])]
        members = np.empty((purses.size, 2), np.uint64)
        members[:, 0], members[:, 1] = purses["member_low"], purses["member_high"]
        return blake3.blake3(members.tobytes()).digest()
