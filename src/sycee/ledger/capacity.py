"""How many rows a frame may create, at most, and making room for them before it is journaled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from sycee.core import limits
from sycee.core.arrays import Array
from sycee.core.errors import UnavailableError
from sycee.ledger import id_generations, kernels
from sycee.ledger.batch import PreparedBatch, as_batch
from sycee.ledger.layout import LINKED, Kind, SettleFlag
from sycee.ledger.operation_table import TABLE
from sycee.ledger.storage import InMemory, Pending, Storage

GROWTH_CHECKED_BYTES: Final = 64 << 20  # smaller growth is not worth asking how much memory there is
DROP_AHEAD_BYTES: Final = 64 << 20  # of movements, for which memory is made ready before a drop
SLOTS_LOAD_MAX: Final = 0.5  # linear probing stays short below it
_ROWS_MAX: Final = {
    "accounts": limits.ACCOUNTS_MAX,
    "purses": limits.PURSES_MAX,
    "bound": limits.BOUND_MAX,
    "refunds": limits.REFUNDS_MAX,
    "holds": limits.HOLDS_MAX,
    "hold_legs": limits.HOLD_LEGS_MAX,
    "staged": limits.STAGED_MAX,
}
# Index, and what it holds: rows of a table, or the bound ids that are not ordered by time.
_INDEXES: Final = {
    "account_slots": "accounts",
    "bound_slots": "strays",
    "refund_slots": "refunds",
    "batch_slots": "batches",
}
_COUNTERS: Final = {
    "accounts": kernels.ACCOUNTS,
    "purses": kernels.PURSES,
    "movements": kernels.MOVEMENTS,
    "bound": kernels.BOUND,
    "refunds": kernels.REFUNDS,
    "payees": kernels.PAYEES,
    "holds": kernels.HOLDS,
    "hold_legs": kernels.HOLD_LEGS,
    "time_outs": kernels.TIME_OUTS,
    "transits": kernels.TRANSITS,
    "batches": kernels.BATCHES,
    "staged": kernels.STAGED,
    "keys": kernels.KEYS,
}
# The most rows that one operation of a chain may write to, and so the pre-images that it keeps: a refund retraces a
# pay of sixteen purses and sends each part home. They are needed for one chain at a time and written to seldom.
_UNDO_ROWS: Final = {"undo_accounts": 96, "undo_purses": 64, "undo_holds": 8, "undo_values": 64}
_UNDO_TABLES: Final = {
    "undo_accounts": ("undo_accounts", "undo_account_rows"),
    "undo_purses": ("undo_purses", "undo_purse_rows"),
    "undo_holds": ("undo_holds", "undo_hold_rows"),
    "undo_values": ("undo_values",),
}
# The most movements of one operation, by the kinds of a batch that make movements alone and are asked for most often.
_MOVEMENTS_EACH: Final = {1 << kind: TABLE[kind].rows_added["movements"] for kind in (Kind.TRANSFER, Kind.PAY)}
_PAY_LEGS_MAX: Final = TABLE[Kind.PAY].rows_added["movements"]
# Rows that one operation of each kind may add, at most: (kinds, tables) i8.
_GROWS: Final = tuple(dict.fromkeys(name for row in TABLE.values() for name in row.rows_added))
_GROWTH: Final = np.array(
    [
        [TABLE[Kind(kind)].rows_added.get(name, 0) if kind in TABLE else 0 for name in _GROWS]
        for kind in range(kernels.KINDS)
    ]
)
_OVERFLOWING: Final = [kind for kind, row in TABLE.items() if row.may_overflow]


class Growth:
    """The tables of a state, which grow; the state inherits from it."""

    def __init__(self, storage: Storage | None = None) -> None:
        self.storage: Storage = storage or InMemory()
        self.now_ns = 0  # time of the newest frame
        self.tables = kernels.empty_tables()
        self._growing = {name: self.storage.array(dtype, length) for name, (dtype, length) in kernels.GROWING.items()}
        self.tables = self.tables._replace(**{name: kernels.seen(table.array) for name, table in self._growing.items()})
        self.groups: dict[int, int] = {}  # number -> order of definition
        self.sealing: Pending[int] | None = None  # of the older generation of ids: how many its run will hold

    def reserve(self, batch: PreparedBatch | Array, *, available_bytes: Callable[[], int] | None = None) -> int:
        """Make room for all that a frame may create, before it is journaled; `apply` then needs nothing more.

        `batch`: a PreparedBatch, or (n,) layout.OPERATION of which nothing is known. Returns the most movements that
        the frame can make.

        Raises UnavailableError, with nothing changed, where this machine cannot hold it: `available_bytes` says how
        much memory there is, and is asked only when much is needed. A table in memory is real only once it is written
        to, so a promise of the operating system is not enough: a journaled frame must not kill every start.
        """
        batch = as_batch(batch)
        operations = batch.operations
        movements = operations.size * _MOVEMENTS_EACH.get(batch.kinds, 0)
        if movements and self._has_room(operations.size, movements):
            self.settle_history()
            return movements
        needs, in_use = self._needs(operations), self._in_use()
        for name, most in _ROWS_MAX.items():
            if needs[name] > most:
                raise UnavailableError(
                    f"a ledger holds at most {most:,} rows of {name}, and {needs[name]:,} are asked for"
                )
        bits_shape = self._bits_shape(needs)
        rows = {name: needs[name] for name in _COUNTERS if name in self._growing}
        new_bytes = sum((rows[name] - in_use[name]) * kernels.GROWING[name][0].itemsize for name in rows)
        new_bytes += self._index_bytes(needs)
        new_bytes += 8 * bits_shape[0] * bits_shape[1] if bits_shape != self.tables.group_bits.shape else 0
        if new_bytes > GROWTH_CHECKED_BYTES and available_bytes and new_bytes > (left := available_bytes()):
            raise _no_memory(f"{new_bytes:,} bytes are needed and {left:,} are there")
        try:
            for name, needed in rows.items():
                self.grow(name, needed)
                self._growing[name].use(in_use[name])
            if needs["movements at once"]:
                self._growing["movements"].use(in_use["movements"], coming=needs["movements at once"])
            self._expect_drops(needs["purses"] - in_use["purses"], needs["movements"])
            self.grow("gross", needs["accounts"])
            self._grow_undo(operations)
            for name, held in _INDEXES.items():
                self.grow_slots(name, needs[held])
            self._widen_slots(needs["bound"])
            self._grow_bits(bits_shape)
            id_generations.turn(self, operations.size)
        except MemoryError as error:
            raise _no_memory(f"{new_bytes:,} bytes are needed") from error
        self.settle_history()
        return needs["movements"] - in_use["movements"]

    def _has_room(self, operations: int, movements: int) -> bool:
        """Return whether no table need grow for operations that only make movements, as for most frames.

        Checks all that `reserve` would check for them, in a fifth of the time, and makes memory ready for more.
        """
        tables = self.tables
        counters, newest = tables.counters, tables.generations
        moved, bound = int(counters[kernels.MOVEMENTS]), int(counters[kernels.BOUND])
        if (
            counters[kernels.LINKS]
            or moved + movements > tables.movements.size
            or bound + operations > min(tables.bound.size, limits.BOUND_MAX)
            or (bound + operations > limits.SLOT_ROWS_MAX and tables.stray_highs.size == 1)
            or bound + operations - int(newest[kernels.RECENT_FIRST]) > kernels.generation_rows()
            or int(newest[kernels.STRAYS]) + operations > (tables.bound_slots.size - 1) * SLOTS_LOAD_MAX
            or int(newest[kernels.RECENT]) + operations > id_generations.capacity(tables.recent_slots)
        ):
            return False
        self._growing["movements"].use(moved)
        self._growing["bound"].use(bound)
        return True

    def _expect_drops(self, opened: int, movements: int) -> None:
        """Purses that are opened will be filled, at one stroke: have memory for those movements by then."""
        if opened:
            self.grow("movements", movements + opened)
            row_bytes = kernels.GROWING["movements"][0].itemsize
            self._growing["movements"].use(movements, coming=min(opened, DROP_AHEAD_BYTES // row_bytes))

    def settle_history(self, *, wait: bool = False) -> None:
        """Let old rows leave memory, if the storage has another place for them. For between frames."""
        self.storage.settle(self.tables, self.now_ns, wait=wait)

    def _in_use(self) -> dict[str, int]:
        counters = self.tables.counters.tolist()
        return {name: counters[counter] for name, counter in _COUNTERS.items()}

    def _needs(self, operations: Array) -> dict[str, int]:
        """How many rows there may be of everything after these operations, at most."""
        needs = self._in_use()
        needs["groups"] = len(self.groups)
        needs["bound"] += operations.size
        # When a frame is bound decides whether an id agrees with it, and that is not known yet: it may be any.
        needs["strays"] = int(self.tables.generations[kernels.STRAYS]) + operations.size
        needs["movements at once"] = 0  # by few operations, which make that many or none
        kinds = operations["kind"]
        links = bool(self.tables.counters[kernels.LINKS])
        if kinds.size and int(kinds.min()) == int(kinds.max()) == Kind.TRANSFER and not links:
            needs["movements"] += operations.size
        elif kinds.size:
            self._need_more(needs, operations, kinds, links)
        return needs

    def _need_more(self, needs: dict[str, int], operations: Array, kinds: Array, links: bool) -> None:
        counts = np.bincount(kinds, minlength=kernels.KINDS)[: kernels.KINDS]
        for name, added in zip(_GROWS, (counts @ _GROWTH).tolist(), strict=True):
            needs[name] += added
        if links or counts[Kind.LINK_ACCOUNT]:
            flowing = int(counts[_OVERFLOWING].sum())
            needs["movements"] += flowing
            needs["transits"] += flowing
        if counts[Kind.POST_HOLDS]:
            # Each hold that is open, which has its time-out still to come, is posted once.
            needs["movements"] += _PAY_LEGS_MAX * needs["time_outs"]
        if counts[Kind.SETTLE]:
            needs["movements at once"] += self._settled(operations, kinds)
        if int(kinds.min()) < Kind.TRANSFER:
            opened = operations[kinds == Kind.OPEN_PROGRAMME]
            needs["purses"] += int(opened["count"].astype(np.int64).sum())
            for kind in (Kind.DROP, Kind.EXPIRE):
                needs["movements at once"] += self._block_movements(operations[kinds == kind], opened)
        needs["movements"] += needs["movements at once"]

    def _settled(self, operations: Array, kinds: Array) -> int:
        """So many payments at most are in the batches that these operations settle."""
        discarded = operations["flags"] & SettleFlag.DISCARD != 0
        numbers = np.unique(operations["number"][(kinds == Kind.SETTLE) & ~discarded])
        numbers = numbers[numbers > 0]  # a free row has none
        staged = np.count_nonzero((kinds == Kind.STAGE) & np.isin(operations["number"], numbers))
        batches = self.tables.batches.view(np.ndarray)[: self.tables.counters[kernels.BATCHES]]
        waiting = batches["count"][np.isin(batches["number"], numbers)]
        return int(staged) + int(waiting.sum(dtype=np.int64))

    def _block_movements(self, records: Array, opened: Array) -> int:
        """At most so many movements come of drops, or of expiries: one for each purse of a programme, however often."""
        total = 0
        for number in np.unique(records["number"]).tolist():
            asked = int(records["count"][records["number"] == number].astype(np.int64).sum())
            sizes = opened["count"][opened["number"] == number].tolist()
            if number < self.tables.programmes.size:
                sizes.append(int(self.tables.programmes["count"][number]))
            total += min(asked, max(sizes, default=0))
        return total

    def _grow_undo(self, operations: Array) -> None:
        linked = int(np.count_nonzero(operations["flags"] & LINKED))
        if linked:
            for name, rows in _UNDO_ROWS.items():
                for table in _UNDO_TABLES[name]:
                    self.grow(table, 2 * linked * rows)  # the last of a chain carries no flag

    def _enlarged(self, name: str, needed: int) -> int:
        """The length to give a table that must hold `needed` rows: its own, or twice that."""
        length: int = getattr(self.tables, name).shape[0]
        return length if needed <= length else max(needed, 2 * length)

    def grow(self, name: str, needed: int) -> None:
        """Make a table hold at least `needed` rows. Raises MemoryError where there is no room at all."""
        length = self._enlarged(name, needed)
        if length != getattr(self.tables, name).shape[0]:
            self.tables = self.tables._replace(**{name: kernels.seen(self._growing[name].grow(length))})

    def _slots(self, name: str, needed: int) -> int:
        """How many slots an index must get to hold `needed` ids; 0 where it has enough."""
        if needed <= (getattr(self.tables, name).size - 1) * SLOTS_LOAD_MAX:
            return 0
        return 1 << (int(needed / SLOTS_LOAD_MAX) - 1).bit_length()

    def grow_slots(self, name: str, needed: int) -> None:
        """Make an index hold at least `needed` ids. Raises MemoryError where there is no room at all."""
        size = self._slots(name, needed)
        if size:
            old: Array = getattr(self.tables, name)
            old_highs = self.tables.stray_highs if name == "bound_slots" else np.zeros(1, np.uint16)
            highs = np.zeros(size + 1 if old_highs.size > 1 else 1, np.uint16)
            slots = _slots_with_key(size, int(old[-1]))
            kernels.rehash(slots, old, highs, old_highs)
            self.tables = self.tables._replace(**{name: slots})
            if name == "bound_slots":
                self.tables = self.tables._replace(stray_highs=highs)

    def _widen_slots(self, bound: int) -> None:
        """Have room beside the slots of strays for the rows that no slot can hold, once there are so many."""
        if bound > limits.SLOT_ROWS_MAX and self.tables.stray_highs.size == 1:
            self.tables = self.tables._replace(stray_highs=np.zeros(self.tables.bound_slots.size, np.uint16))

    def _index_bytes(self, needs: dict[str, int]) -> int:
        """How much memory the indexes will take that must grow."""
        total = 8 * sum(self._slots(name, needs[held]) for name, held in _INDEXES.items())
        if needs["bound"] > limits.SLOT_ROWS_MAX:
            widened = self.tables.bound_slots.size if self.tables.stray_highs.size == 1 else 0
            total += 2 * max(self._slots("bound_slots", needs["strays"]), widened)
        return total

    def index(self, content_key: int) -> None:
        """Find all ids anew, after the tables were filled from elsewhere; retries are compared by `content_key`."""
        strays = id_generations.rebuild(self)
        in_use = self._in_use() | {"strays": strays}
        for name, held in _INDEXES.items():
            old: Array = getattr(self.tables, name)
            size = max(self._slots(name, in_use[held]), old.size - 1)
            slots = _slots_with_key(size, content_key if name == "bound_slots" else int(old[-1]))
            self.tables = self.tables._replace(**{name: slots})
        self._widen_slots(in_use["bound"])
        kernels.index_accounts(self.tables, in_use["accounts"])
        kernels.index_rest(self.tables)
        if strays:
            kernels.index_strays(self.tables, in_use["bound"])

    def _bits_shape(self, needs: dict[str, int]) -> tuple[int, int]:
        """Rows and words of the payee groups' bits for so many groups and payees; payees count from 1."""
        rows, words = self.tables.group_bits.shape
        needed_words = (needs["payees"] >> 6) + 1
        return (
            rows if needs["groups"] <= rows else max(needs["groups"], 2 * rows),
            words if needed_words <= words else max(needed_words, 2 * words),
        )

    def _grow_bits(self, shape: tuple[int, int]) -> None:
        bits = self.tables.group_bits
        if shape != bits.shape:
            wider = np.zeros(shape, np.uint64)
            wider[: bits.shape[0], : bits.shape[1]] = bits
            self.tables = self.tables._replace(group_bits=wider)
            # A copy of the state that has begun keeps reading the old bits, which no frame changes any more.
            self.tables.copying[kernels.COPIED_GROUP_BITS, kernels.COPY_END] = 0


def _slots_with_key(size: int, key: int) -> Array:
    slots = kernels.empty_slots(size)
    slots[-1] = key
    return slots


def _no_memory(numbers: str) -> UnavailableError:
    return UnavailableError(
        f"this machine's memory cannot hold what these operations create: {numbers}",
        hint="open smaller programmes, or use a machine with more memory",
    )
