"""Time of each stage of a durable frame: the stages in sequence, in one thread, each timed separately.

Computation is timed by the thread's processor time, so that other work on the machine does not count; disk waits by
wall-clock time. The sequencer runs the kernel concurrently with the journal; here nothing overlaps, so that the parts
add up. The inside of the kernel cannot be timed from outside. Two of its parts are therefore run alone on tables of the
same sizes, and the difference is the time for checking and booking: touching the cache lines of every transfer, and new
memory for movements and ids.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any, Final

import numpy as np
from blake3 import blake3

from benchmarks import books, memory
from benchmarks.disk import SegmentWriter
from benchmarks.measure import BATCH, batches_of, settle
from benchmarks.town import Town, forget_moments
from sycee.core.arrays import Array
from sycee.core.buffers import BufferPool
from sycee.core.errors import require
from sycee.core.limits import FRAME_BYTES_MAX, FRAME_HEADER_BYTES
from sycee.core.records import layout
from sycee.journal import frame
from sycee.journal.frame import FrameKind, Header
from sycee.ledger import batch as batches
from sycee.ledger.state import LedgerState
from sycee.sequencer.time_zones import calendar_entry
from sycee.storage.table_storage import TableStorage

ACCOUNTS: Final = (10_000, 1_000_000)
OPERATIONS: Final = 2_000_000

# In the order of timing. Parts of a stage follow it, as in a path.
CLOCKED: Final = {
    "submit/copy": "copy records into the frame buffer and check them (kernel)",
    "submit/resolve": "compare their ids with the greatest bound id",
    "submit/reserve": "reserve rows in the tables",
    "submit/calendar": "each currency's local date",
    "submit/apply": "check, move money, bind ids",
    "submit/journal/encode": "header, trailer, checksums (XXH3)",
    "submit/journal/digest": "chain of frames (BLAKE3); concurrent with the write",
    "submit/journal/write": "pwrite, and a new segment when one is full",
    "submit/journal/sync": "fdatasync",
}
WAITING: Final = ("submit/journal/write", "submit/journal/sync")
INSIDE: Final = {
    "submit/apply/movement digest": "running digest of results and movements (BLAKE3), timed alone",
    "submit/apply/kernel": "the rest of apply",
    "submit/apply/kernel/cache lines": "index slots and account rows read, changed and written, run alone",
    "submit/apply/kernel/new memory": "movements and bound ids written to new memory, run alone",
    "submit/apply/kernel/check and book": "the rest of the kernel",
}


@dataclass(frozen=True, slots=True)
class StageRow:
    """One stage of a frame of 8,064 transfers. `share` is of the mean time of the whole frame."""

    accounts: int
    stage: str
    what: str
    mean_ms: float
    p50_ms: float
    p99_ms: float
    share: float


def measure(folder: Path, *, accounts: int, operations: int | None = None) -> list[dict[str, Any]]:
    """Measure the stages of transfers among `accounts`; each stage precedes its parts."""
    count = operations or OPERATIONS
    forget_moments()
    town, state = Town(accounts, count), LedgerState(TableStorage())
    sequence = 0
    for sequence, batch in enumerate(batches_of(town.opening()), start=1):
        state.reserve(batch)
        books.require_created(state.apply(sequence, time.time_ns(), batch))
    writer = SegmentWriter(folder / "stages")
    settle(folder, count)
    frames = _Frames(state, writer, sequence)
    full = [frames.clocked(batch) for batch in batches_of(town.transfers()) if batch.size == min(BATCH, count)]
    writer.close()
    shutil.rmtree(folder / "stages")
    books.check_state(state, town.minted)
    found = dict(zip((*CLOCKED, "submit/apply/movement digest"), 1000 * np.array(full).T, strict=True))
    del frames, state
    found |= _alone(accounts, count)
    return [asdict(row) for row in _rows(accounts, _summed(found))]


class _Frames:
    """Runs frames of transfers through state and disk, stage by stage."""

    def __init__(self, state: LedgerState, writer: SegmentWriter, sequence: int) -> None:
        self._state, self._writer, self._sequence = state, writer, sequence
        self._digest = bytes(32)
        self._buffers = BufferPool(FRAME_BYTES_MAX, FRAME_HEADER_BYTES)

    def clocked(self, batch: Array) -> list[float]:
        """Return the seconds of each of CLOCKED, in order, then of the movement digest alone."""
        state = self._state
        self._sequence += 1
        now_ns = time.time_ns()
        before, moved = state.movement_digest, len(state.movements)
        marks = [_both()]
        asked = batches.prepare(batch, buffers=self._buffers)
        taken, buffer = asked.operations, asked.buffer
        marks.append(_both())
        require(
            asked.in_order and buffer is not None and state.is_all_new(taken),
            "ascending ids above all bound ids must be new",
        )
        marks.append(_both())
        state.reserve(asked)
        marks.append(_both())
        calendar = tuple(calendar_entry(currency, zone, now_ns) for currency, zone in state.zones.items())
        marks.append(_both())
        answers = state.apply(self._sequence, now_ns, asked.with_all_new(), calendar)
        marks.append(_both())
        header = Header(
            self._sequence, FrameKind.OPERATIONS, now_ns, self._sequence - 1, 1, self._digest, calendar, taken.size
        )
        frame_bytes = frame.encode_into(buffer.memory, header, taken.view(np.uint8).data, in_place=True)
        marks.append(_both())
        self._digest = frame.digest_of(buffer.memory[:frame_bytes])
        marks.append(_both())
        self._writer.pwrite(buffer.memory[:frame_bytes])
        marks.append(_both())
        self._writer.fdatasync()
        marks.append(_both())
        parts = (
            before,
            self._sequence.to_bytes(8, "little"),
            answers["code"].tobytes(),
            state.movements[moved:].tobytes(),
        )
        blake3(b"".join(parts)).digest()
        marks.append(_both())
        self._buffers.release(buffer)
        by_clock, by_processor = np.diff(marks, axis=0).T
        waits = [name in WAITING for name in (*CLOCKED, "movement digest")]
        seconds: list[float] = np.where(waits, by_clock, by_processor).tolist()
        return seconds


def _both() -> tuple[float, float]:
    """Return wall-clock seconds and processor seconds of this thread."""
    return perf_counter(), thread_time()


def _alone(accounts: int, count: int) -> dict[str, Array]:
    """Return milliseconds per frame of the parts that run without the kernel."""
    lines = memory.touched(accounts=accounts, operations=count, clock=thread_time).batches_s
    row_bytes = layout.MOVEMENT.itemsize + layout.BOUND.itemsize
    new = memory.filled(count, row_bytes, clock=thread_time).total_s * min(BATCH, count) / count
    return {
        "submit/apply/kernel/cache lines": 1000 * np.array(lines),
        "submit/apply/kernel/new memory": 1000 * np.array([new]),
    }


def _summed(found: dict[str, Array]) -> dict[str, Array]:
    """Add the stages that contain others, and the unexplained rest of each.

    Parts that ran alone use separate frames, and enter with their mean.
    """
    kernel = np.maximum(found["submit/apply"] - found["submit/apply/movement digest"], 0)
    found["submit/apply/kernel"] = kernel
    inside = [found[f"submit/apply/kernel/{name}"].mean() for name in ("cache lines", "new memory")]
    found["submit/apply/kernel/check and book"] = kernel - min(sum(inside), kernel.mean())
    found["submit/journal"] = np.sum([found[name] for name in CLOCKED if name.startswith("submit/journal/")], axis=0)
    found["submit"] = np.sum([found[name] for name in CLOCKED], axis=0)
    return found


def _rows(accounts: int, found: dict[str, Array]) -> Iterator[StageRow]:
    texts = {"submit": "a frame of 8,064 transfers", **CLOCKED, **INSIDE, "submit/journal": "disk"}
    whole_ms = float(found["submit"].mean())
    for stage in _in_order(list(texts)):
        values = found[stage]
        p50, p99 = np.percentile(values, (50, 99)).tolist()
        yield StageRow(
            accounts=accounts,
            stage=stage,
            what=texts[stage],
            mean_ms=round(float(values.mean()), 4),
            p50_ms=round(p50, 4),
            p99_ms=round(p99, 4),
            share=round(float(values.mean()) / whole_ms, 4),
        )


def _in_order(stages: list[str], parent: str = "") -> Iterator[str]:
    """Return each stage before its parts."""
    for stage in stages:
        if stage.rpartition("/")[0] == parent:
            yield stage
            yield from _in_order(stages, stage)
