"""Capacity of the tables: an upper bound for the rows that a frame creates, provided before it is journaled."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np

from sycee.core import limits
from sycee.core.arrays import Array
from sycee.core.errors import UnavailableError
from sycee.core.records import layout
from sycee.core.records.layout import LINKED, Kind, SettleFlag
from sycee.core.records.operation_table import TABLE
from sycee.ledger import id_generations, kernels
from sycee.ledger.batch import PreparedBatch, as_batch
from sycee.ledger.kernels import constants, indexes
from sycee.ledger.storage import Pending, Storage

GROWTH_CHECKED_BYTES: Final = 64 << 20  # smaller growth is done without checking the available memory
EXPIRY_AHEAD_BYTES: Final = 64 << 20  # memory for movements that is prepared before the later parts of an expiry
SLOTS_LOAD_MAX: Final = 0.5  # keeps linear probing short
EXTENDED_LOAD: Final = 0.375  # from which on the background builds a larger index
EXTENDED_SLOTS_MIN = 1 << 16  # a smaller index is rebuilt within a millisecond; tests lower it
_ROWS_MAX: Final = {
    "accounts": limits.ACCOUNTS_MAX, "purses": limits.PURSES_MAX, "bound": limits.BOUND_MAX,
    "refunds": limits.REFUNDS_MAX, "holds": limits.HOLDS_MAX, "hold_legs": limits.HOLD_LEGS_MAX,
    "staged": limits.STAGED_MAX,
}  # fmt: skip
# Indexes of ids: of the rows of a table, or of the bound ids that are not ordered by time.
_INDEXES: Final = {
    "account_slots": "accounts", "unordered_slots": "unordered", "refund_slots": "refunds", "batch_slots": "batches",
}  # fmt: skip
_COUNTERS: Final = constants.SAVED_TABLES | {"payees": constants.PAYEES, "time_outs": constants.TIME_OUTS}
# Pre-images that one operation of a chain may save, at most: a REFUND of a PAY from 16 purses returns each part to the
# return account. One chain needs them: chains do not overlap.
_UNDO_ROWS: Final = {
    "undo_accounts": 96, "undo_account_rows": 96, "undo_purses": 64, "undo_purse_rows": 64,
    "undo_holds": 8, "undo_hold_rows": 8, "undo_values": 64,
}  # fmt: skip
# Movements of one operation, at most, by the `kinds` of a frame of a single frequent kind. Where accounts are linked, a
# payment adds one more, and a transit. The purses of members were reserved by OPEN_PROGRAMME.
_MOVEMENTS_EACH: Final = {
    1 << kind: TABLE[kind].rows_added.get("movements", 0) for kind in (Kind.TRANSFER, Kind.PAY, Kind.ADD_MEMBERS)
}
_PAY_LEGS_MAX: Final = TABLE[Kind.PAY].rows_added["movements"]
# Rows that one operation of each kind may add, at most: (kinds, tables) i8.
_ADDED_TABLES: Final = tuple(dict.fromkeys(name for row in TABLE.values() for name in row.rows_added))
_ROWS_OF_KIND: Final = np.array(
    [
        [TABLE[Kind(kind)].rows_added.get(name, 0) if kind in TABLE else 0 for name in _ADDED_TABLES]
        for kind in range(constants.KINDS)
    ]
)
_MOVEMENT_BYTES: Final[int] = kernels.GROWING_TABLES["movements"][0].itemsize
_OVERFLOWING: Final = [kind for kind, row in TABLE.items() if row.may_overflow]


class GrowingTables:
    """The tables of a state and their capacity. `StateTables` and the state inherit from this class."""

    def __init__(self, storage: Storage | None = None) -> None:
        self.storage: Storage = storage or Storage()
        self.now_ns = 0  # time of the newest frame
        self._growing = {
            name: self.storage.array(dtype, length) for name, (dtype, length) in kernels.GROWING_TABLES.items()
        }
        views = {name: kernels.kernel_view(table.array) for name, table in self._growing.items()}
        self.tables = kernels.empty_tables().replaced(**views)
        self.groups: dict[int, int] = {}  # number -> order of definition
        self.sorting: Pending[int] | None = None  # sorting of the older generation of ids; result: ids in its run
        self._extension: Pending[tuple[Array, Array]] | None = None  # a larger index of unordered ids: slots, highs
        self._extended_until = 0  # bound rows whose unordered ids it has
        self._undropped = 0  # members without a packet: their drops make as many movements at some time
        self._undropped_until_ns = 0  # when that number changes without an operation; 0 if an operation changed it

    def reserve(self, batch: PreparedBatch | Array, *, available_bytes: Callable[[], int] | None = None) -> int:
        """Provide capacity for all rows that a frame may create, before it is journaled; `apply` needs no more.

        `batch`: a PreparedBatch, or (n,) layout.OPERATION that was not inspected. Return the maximum number of
        movements that the frame can make.

        Raise UnavailableError, with nothing changed, if this machine cannot hold the rows. `available_bytes` returns
        the free memory and is called only for large growth. The operating system reserves memory without having it, so
        a successful allocation proves nothing, and a journaled frame must never prevent the next start.
        """
        batch = as_batch(batch)
        operations = batch.operations
        each = _MOVEMENTS_EACH.get(batch.kinds or _kinds_of(operations))
        if each is not None:
            transits = operations.size if each and self.tables.counters[constants.LINKS] else 0
            movements = each * operations.size + transits
            if self._fits(operations.size, movements, transits):
                if not each:
                    self._use_purses(operations)
                    self._undropped_until_ns = 0
                self.evict_history()
                return movements
        undropped = self._count_undropped()  # before the needs of these operations, which may change the number
        needs, in_use = self._needs(operations), self._in_use()
        for name, most in _ROWS_MAX.items():
            if needs[name] > most:
                raise UnavailableError(
                    f"a ledger holds at most {most:,} rows of {name}; these operations need {needs[name]:,}"
                )
        bits_shape = self._bits_shape(needs)
        rows = {name: needs[name] for name in _COUNTERS if name in self._growing}
        new_bytes = sum((rows[name] - in_use[name]) * kernels.GROWING_TABLES[name][0].itemsize for name in rows)
        new_bytes += self._index_bytes(needs)
        new_bytes += 8 * bits_shape[0] * bits_shape[1] if bits_shape != self.tables.group_bits.shape else 0
        # Memory for the movements of drops was counted when the purses were added, and is not counted again.
        dropped = min(needs["dropped"], undropped)
        new_bytes += (needs["purses"] - in_use["purses"] - dropped) * _MOVEMENT_BYTES
        if new_bytes > GROWTH_CHECKED_BYTES and available_bytes:
            promised, left = self._promised_bytes(), available_bytes()
            if new_bytes + promised > left:
                raise _no_memory(f"{new_bytes:,} bytes are needed, {max(left - promised, 0):,} are free")
        try:
            for name, needed in rows.items():
                self.grow(name, needed)
                if name not in ("movements", "purses"):
                    self._growing[name].use(in_use[name])
            self._use_purses(operations)
            at_once = needs["movements at once"] - dropped
            if at_once:
                at_once = self._movements_ahead(operations, at_once)
            self._growing["movements"].use(in_use["movements"], expected=at_once, later=undropped)
            self.grow("gross", needs["accounts"])
            self._grow_undo(operations)
            self._extend_unordered(needs["unordered"], available_bytes)
            for name, held in _INDEXES.items():
                self.grow_slots(name, needs[held])
            self._widen_slots(needs["bound"])
            self._grow_bits(bits_shape)
            id_generations.reserve_ids(self, operations.size)
        except MemoryError as error:
            raise _no_memory(f"{new_bytes:,} bytes are needed") from error
        self.evict_history()
        return needs["movements"] - in_use["movements"]

    def _fits(self, operations: int, movements: int, transits: int) -> bool:
        """Return whether the tables have capacity for operations of one kind in `_MOVEMENTS_EACH`, as in most frames.

        Makes every check of `reserve` for such operations in a fifth of the time, and prepares memory ahead.
        """
        tables = self.tables
        counters, newest = tables.counters.tolist(), tables.generations.tolist()
        moved, bound = counters[constants.MOVEMENTS], counters[constants.BOUND]
        slots = tables.unordered_slots.size
        if (
            moved + movements > tables.movements.size
            or counters[constants.TRANSITS] + transits > tables.transits.size
            or bound + operations > min(tables.bound.size, limits.BOUND_MAX)
            or (bound + operations > limits.SLOT_ROWS_MAX and tables.unordered_row_highs.size == 1)
            or bound + operations - newest[constants.RECENT_FIRST] > id_generations.GENERATION_ROWS
            or newest[constants.UNORDERED] + operations
            > (slots - 1) * (EXTENDED_LOAD if slots > EXTENDED_SLOTS_MIN else SLOTS_LOAD_MAX)
            or newest[constants.RECENT] + operations > id_generations.capacity(tables.recent_slots)
        ):
            return False
        self._growing["movements"].use(moved, later=self._count_undropped())
        self._growing["bound"].use(bound)
        if transits:
            self._growing["transits"].use(counters[constants.TRANSITS])
        return True

    def _movements_ahead(self, operations: Array, at_once: int) -> int:
        """Return for how many movements to prepare memory: `at_once`, and further parts of an expiry.

        A part whose memory is prepared only when the part is written would wait for it, and payments with it.
        """
        following, expiries = 0, operations[operations["kind"] == Kind.EXPIRE]
        for number in np.unique(expiries["number"]).tolist():
            if number < self.tables.programmes.size:
                first = int(expiries["first"][expiries["number"] == number].min())
                following += max(int(self.tables.programmes["count"][number]) - first, 0)
        most: int = EXPIRY_AHEAD_BYTES // _MOVEMENT_BYTES
        return max(at_once, min(following, most))

    def _count_undropped(self) -> int:
        """Return the number of members who have no packet, in programmes that have not ended."""
        if self.now_ns >= self._undropped_until_ns:
            tables = self.tables
            numbers = np.flatnonzero(tables.undropped)
            until_ns = tables.rule_sets["until_ns"][tables.programmes["rule_set"][numbers]]
            numbers, until_ns = numbers[until_ns > self.now_ns], until_ns[until_ns > self.now_ns]
            self._undropped = int(tables.undropped[numbers].sum())
            self._undropped_until_ns = int(until_ns.min()) if until_ns.size else limits.I64_MAX
        return self._undropped

    def _use_purses(self, operations: Array) -> None:
        """Request memory for the purses of further members, of which an opened programme has none yet."""
        added = operations[operations["kind"] == Kind.ADD_MEMBERS]
        if added.size:
            numbers = np.unique(added["number"])
            programmes = self.tables.programmes.view(np.ndarray)
            programmes = programmes[numbers[numbers < programmes.size]]
            rows = programmes["first_purse"].astype(np.int64) + programmes["filled"]
            self._growing["purses"].use(int(rows.max(initial=0)))

    def _promised_bytes(self) -> int:
        """Return the memory in bytes for members that can still be added, and for their drops: not allocated yet."""
        programmes = self.tables.programmes.view(np.ndarray)
        is_open = self.tables.rule_sets["until_ns"][programmes["rule_set"]] > self.now_ns
        members = programmes["count"].astype(np.int64) - programmes["filled"]
        return int(members.sum()) * layout.PURSE.itemsize + int(members[is_open].sum()) * _MOVEMENT_BYTES

    def evict_history(self, *, wait: bool = False) -> None:
        """Evict old rows from memory, if the storage supports it. Call it between frames."""
        self.storage.evict(self.tables, self.now_ns, wait=wait)

    def _in_use(self) -> dict[str, int]:
        counters = self.tables.counters.tolist()
        return {name: counters[counter] for name, counter in _COUNTERS.items()}

    def _needs(self, operations: Array) -> dict[str, int]:
        """Return an upper bound for the rows of every table after these operations."""
        needs = self._in_use()
        needs["groups"] = len(self.groups)
        needs["bound"] += operations.size
        # Any id may be unordered: the time of the frame that binds it is not decided yet.
        needs["unordered"] = int(self.tables.generations[constants.UNORDERED]) + operations.size
        needs["movements at once"] = 0  # of single operations that make many movements
        needs["dropped"] = 0  # those of drops
        kinds = operations["kind"]
        links = bool(self.tables.counters[constants.LINKS])
        if kinds.size and int(kinds.min()) == int(kinds.max()) == Kind.TRANSFER and not links:
            needs["movements"] += operations.size
        elif kinds.size:
            self._add_rare_needs(needs, operations, kinds, links)
        return needs

    def _add_rare_needs(self, needs: dict[str, int], operations: Array, kinds: Array, links: bool) -> None:
        counts = np.bincount(kinds, minlength=constants.KINDS)[: constants.KINDS]
        for name, added in zip(_ADDED_TABLES, (counts @ _ROWS_OF_KIND).tolist(), strict=True):
            needs[name] += added
        if links or counts[Kind.LINK_ACCOUNT]:
            flowing = int(counts[_OVERFLOWING].sum())
            needs["movements"] += flowing
            needs["transits"] += flowing
        if counts[Kind.POST_HOLDS]:
            # Each open hold has an entry among the time-outs and can be posted once.
            needs["movements"] += _PAY_LEGS_MAX * needs["time_outs"]
        if counts[Kind.SETTLE]:
            needs["movements at once"] += self._payments_to_settle(operations, kinds)
        if int(kinds.min()) < Kind.TRANSFER:
            self._undropped_until_ns = 0
            opened = operations[kinds == Kind.OPEN_PROGRAMME]
            opened = opened[opened["count"] <= limits.COHORT_MEMBERS_MAX]  # larger ones are refused and add no row
            needs["purses"] += int(opened["count"].astype(np.int64).sum())
            needs["dropped"] = self._block_movements(operations[kinds == Kind.DROP], opened)
            expired = self._block_movements(operations[kinds == Kind.EXPIRE], opened)
            needs["movements at once"] += needs["dropped"] + expired
        needs["movements"] += needs["movements at once"]

    def _payments_to_settle(self, operations: Array, kinds: Array) -> int:
        """Return an upper bound for the payments in the batches that these operations settle."""
        discarded = operations["flags"] & SettleFlag.DISCARD != 0
        numbers = np.unique(operations["number"][(kinds == Kind.SETTLE) & ~discarded])
        numbers = numbers[numbers > 0]  # free rows have number 0
        staged = np.count_nonzero((kinds == Kind.STAGE) & np.isin(operations["number"], numbers))
        batches = self.tables.batches.view(np.ndarray)[: self.tables.counters[constants.BATCHES]]
        waiting = batches["count"][np.isin(batches["number"], numbers)]
        return int(staged) + int(waiting.sum(dtype=np.int64))

    def _block_movements(self, records: Array, opened: Array) -> int:
        """Return an upper bound for the movements of drops, or of expiries: each purse of a programme is moved once."""
        total = 0
        for number in np.unique(records["number"]).tolist():
            requested = int(records["count"][records["number"] == number].astype(np.int64).sum())
            sizes = opened["count"][opened["number"] == number].tolist()
            if number < self.tables.programmes.size:
                sizes.append(int(self.tables.programmes["count"][number]))
            total += min(requested, max(sizes, default=0))
        return total

    def _grow_undo(self, operations: Array) -> None:
        linked = int(np.count_nonzero(operations["flags"] & LINKED))
        if linked:
            for name, rows in _UNDO_ROWS.items():
                self.grow(name, 2 * linked * rows)  # the last operation of a chain has no flag

    def grow(self, name: str, needed: int) -> None:
        """Extend a table to at least `needed` rows. Raise MemoryError if there is no memory."""
        length = getattr(self.tables, name).shape[0]
        if needed > length:
            array = self._growing[name].grow(_larger(length, needed))
            self.tables = self.tables.replaced(**{name: kernels.kernel_view(array)})

    def _slots(self, name: str, needed: int) -> int:
        """Return the number of slots that an index needs for `needed` ids; 0 if it has enough."""
        if needed <= (getattr(self.tables, name).size - 1) * SLOTS_LOAD_MAX:
            return 0
        return 1 << (int(needed / SLOTS_LOAD_MAX) - 1).bit_length()

    def grow_slots(self, name: str, needed: int) -> None:
        """Extend an index to hold at least `needed` ids. Raise MemoryError if there is no memory."""
        size = self._slots(name, needed)
        if size:
            old: Array = getattr(self.tables, name)
            old_highs = self.tables.unordered_row_highs if name == "unordered_slots" else np.zeros(1, np.uint16)
            slots, highs = _rehashed(size, old, old_highs)
            self.tables = self.tables.replaced(**{name: slots})
            if name == "unordered_slots":
                self.tables = self.tables.replaced(unordered_row_highs=highs)

    def _extend_unordered(self, needed: int, available_bytes: Callable[[], int] | None) -> None:
        """Replace the index of unordered ids by a larger one, which the background built since it was 3/4 full.

        Meanwhile frames insert into the old index. Rows bound since then are inserted here; a few frames bound them.
        """
        tables = self.tables
        slots, highs, bound = tables.unordered_slots, tables.unordered_row_highs, int(tables.counters[constants.BOUND])
        if self._extension is None:
            # Beside frames, upper bits of rows would not agree with their slots.
            if highs.size > 1 or slots.size <= EXTENDED_SLOTS_MIN or needed <= (slots.size - 1) * EXTENDED_LOAD:
                return
            new_bytes = 2 * slots.nbytes
            if new_bytes <= GROWTH_CHECKED_BYTES or not available_bytes or new_bytes <= available_bytes():
                self._extended_until = bound
                self._extension = self.storage.begin_long(partial(_rehashed, 2 * slots.size - 2, slots, highs, bound))
        elif self._extension.done():
            extension, self._extension = self._extension, None
            larger, _ = extension.result()
            if larger.size > slots.size and highs.size == 1:  # else it was extended or widened in between
                self.tables = tables.replaced(unordered_slots=larger)
                unordered = int(tables.generations[constants.UNORDERED])
                indexes.index_unordered(self.tables, self._extended_until, bound)
                tables.generations[constants.UNORDERED] = unordered  # they were counted before

    def _widen_slots(self, bound: int) -> None:
        """Provide memory for the upper bits of rows once there are more bound rows than 32 bits can count."""
        if bound > limits.SLOT_ROWS_MAX and self.tables.unordered_row_highs.size == 1:
            highs = np.zeros(self.tables.unordered_slots.size, np.uint16)
            self.tables = self.tables.replaced(unordered_row_highs=highs)

    def _index_bytes(self, needs: dict[str, int]) -> int:
        """Return the memory in bytes for the indexes that must grow."""
        total = 8 * sum(self._slots(name, needs[held]) for name, held in _INDEXES.items())
        if needs["bound"] > limits.SLOT_ROWS_MAX:
            widened = self.tables.unordered_slots.size if self.tables.unordered_row_highs.size == 1 else 0
            total += 2 * max(self._slots("unordered_slots", needs["unordered"]), widened)
        return total

    def rebuild_indexes(self, content_key: int) -> None:
        """Build all indexes after the tables were loaded. `content_key`: hash key of the stored content hashes."""
        unordered = id_generations.rebuild(self)
        in_use = self._in_use() | {"unordered": unordered}
        for name, held in _INDEXES.items():
            old: Array = getattr(self.tables, name)
            size = max(self._slots(name, in_use[held]), old.size - 1)
            key = content_key if name == "unordered_slots" else int(old[-1])
            self.tables = self.tables.replaced(**{name: kernels.empty_slots(size, key)})
        self._widen_slots(in_use["bound"])
        indexes.index_accounts(self.tables, in_use["accounts"])
        indexes.index_refunds_and_batches(self.tables)
        if unordered:
            indexes.index_unordered(self.tables, 0, in_use["bound"])

    def _bits_shape(self, needs: dict[str, int]) -> tuple[int, int]:
        """Return the (rows, words) of `group_bits` for the needed groups and payees; payees count from 1."""
        rows, words = self.tables.group_bits.shape
        return _larger(rows, needs["groups"]), _larger(words, (needs["payees"] >> 6) + 1)

    def _grow_bits(self, shape: tuple[int, int]) -> None:
        bits = self.tables.group_bits
        if shape != bits.shape:
            wider = np.zeros(shape, np.uint64)
            wider[: bits.shape[0], : bits.shape[1]] = bits
            self.tables = self.tables.replaced(group_bits=wider)
            # A snapshot copy in progress reads the old array, which no frame changes any more.
            self.tables.copying[constants.COPIED_GROUP_BITS, constants.COPY_END] = 0


def _kinds_of(operations: Array) -> int:
    """Return the kinds of operations as in `PreparedBatch.kinds`, 0 if there are several or an operation is linked."""
    if not operations.size or np.bitwise_or.reduce(operations["flags"]) & LINKED:
        return 0
    kinds = operations["kind"]
    least = int(kinds.min())
    return 1 << least if 0 < least == int(kinds.max()) < constants.KINDS - 1 else 0


def _rehashed(size: int, old: Array, old_highs: Array, end: int = limits.I64_MAX) -> tuple[Array, Array]:
    """Return an index of `size` slots with the entries of `old` whose row is < `end`, and the upper bits of rows."""
    highs = np.zeros(size + 1 if old_highs.size > 1 else 1, np.uint16)
    slots = kernels.empty_slots(size, int(old[-1]))
    indexes.rehash(slots, old, highs, old_highs, end)
    return slots, highs


def _larger(length: int, needed: int) -> int:
    """Return `length` if it is sufficient, else at least twice that."""
    return length if needed <= length else max(needed, 2 * length)


def _no_memory(numbers: str) -> UnavailableError:
    return UnavailableError(
        f"this machine's memory cannot hold the rows that these operations create: {numbers}",
        hint="open smaller programmes, or use a machine with more memory",
    )
