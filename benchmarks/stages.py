"""Where the time of a durable frame goes: its stages one after the other, in one thread, each with its own clock.

The sequencer runs the kernel beside encode, digest, write and sync; here nothing overlaps, so that the parts add up.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np

from benchmarks.disk import SegmentWriter
from benchmarks.ledger import NOW_NS
from benchmarks.measure import BATCH, batches_of, settle
from benchmarks.town import CURRENCY, Town
from sycee.core.limits import FRAME_BYTES_MAX
from sycee.journal import frame
from sycee.journal.frame import FrameKind, Header
from sycee.ledger.state import LedgerState
from sycee.sequencer.sequencer import calendar_entry

Array = np.ndarray[Any, Any]

STAGES: Final = {
    "resolve": "known ids and malformed operations (kernel)",
    "reserve": "make room in the tables",
    "apply": "judge, move, bind (kernel)",
    "calendar": "each currency's local date",
    "encode": "copy into the frame, checksums (XXH3)",
    "digest": "chain of frames (BLAKE3)",
    "write": "pwrite, and the next segment when one is full",
    "sync": "fdatasync",
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


def measure(folder: Path, *, accounts: int, operations: int) -> Iterator[StageRow]:
    """The stages of `operations` transfers among `accounts`, in order."""
    town = Town(accounts)
    state, sequence = LedgerState(), 0
    for batch in batches_of(town.opening):
        sequence += 1
        state.reserve(batch)
        state.apply(sequence, NOW_NS + sequence, batch)
    batches = [batch for batch in batches_of(town.transfers(operations)) if batch.size == min(BATCH, operations)]
    buffer = memoryview(bytearray(FRAME_BYTES_MAX))
    digest = bytes(32)
    writer = SegmentWriter(folder / "stages")
    settle()
    moments = np.zeros((len(batches), len(STAGES) + 1))
    for at, batch in enumerate(batches):
        sequence += 1
        now_ns = NOW_NS + sequence
        marks = [perf_counter()]
        state.resolve(batch)
        marks.append(perf_counter())
        state.reserve(batch)
        marks.append(perf_counter())
        state.apply(sequence, now_ns, batch)
        marks.append(perf_counter())
        calendar = tuple(calendar_entry(currency, zone, now_ns) for currency, zone in state.zones.items())
        marks.append(perf_counter())
        header = Header(sequence, FrameKind.OPERATIONS, now_ns, sequence - 1, 1, digest, calendar, batch.size)
        frame_bytes = frame.encode_into(buffer, header, batch.view(np.uint8).data)
        marks.append(perf_counter())
        digest = frame.digest_of(buffer[:frame_bytes])
        marks.append(perf_counter())
        writer.pwrite(buffer[:frame_bytes])
        marks.append(perf_counter())
        writer.fdatasync()
        marks.append(perf_counter())
        moments[at] = marks
    writer.close()
    shutil.rmtree(folder / "stages")
    state.check()
    assert state.supply(CURRENCY) == town.minted
    parts_ms = 1000 * np.diff(moments, axis=1)
    whole_ms = float(parts_ms.mean(axis=0).sum())
    for (stage, what), one in zip(STAGES.items(), parts_ms.T, strict=True):
        p50, p99 = np.percentile(one, (50, 99))
        yield StageRow(
            accounts=accounts,
            stage=stage,
            what=what,
            mean_ms=round(float(one.mean()), 4),
            p50_ms=round(float(p50), 4),
            p99_ms=round(float(p99), 4),
            share=round(float(one.mean()) / whole_ms, 4),
        )
