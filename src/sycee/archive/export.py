"""A ledger's history as Parquet: movements, operations and frames by UTC day, and registers of what there is.

A day is a UTC day since a frame has one time and every currency has midnights of its own: so each frame, and all it
did, stands in one day, whatever currencies a ledger keeps. The local date of each movement is a column beside.

An export goes on where the last one ended. What comes of a day that has a file gets a file of its own; once a later day
has begun, the files of a day are made one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from sycee.archive import history_copy, parquet_files, tables
from sycee.archive.history_source import Reading, Source, source_of
from sycee.archive.manifest import Archive, Entry, Manifest
from sycee.archive.schema import BY_DAY, REGISTERS
from sycee.archive.timestamps import NS_PER_DAY, utc_day
from sycee.core.errors import IntegrityError
from sycee.ledger.state import LedgerState
from sycee.sequencer.folders import folder_path

Progress = Callable[[int, int], None]  # movements and operations written so far, and of how many

# Registers below it are written anew with every export; larger ones when a day is over, and when somebody asks.
SMALL_REGISTERS_ROWS: Final = 262_144


@dataclass(frozen=True, slots=True)
class Exported:
    """What one export added, and where the archive stands now."""

    folder: Path
    frame: int  # the newest exported
    time_ns: int
    frames: int  # how many were added
    operations: int
    movements: int
    files: int  # how many the archive has
    bytes: int  # and how large they are


@dataclass(frozen=True, slots=True)
class _Goal:
    """The newest frame when an export began, and what there was after it."""

    frame: int
    time_ns: int
    operations: int
    movements: int
    movement_digest: bytes
    registers: dict[str, int]
    zones: dict[int, str]


@dataclass(frozen=True, slots=True)
class _Span:
    """Frames of one day, and which rows of the tables are theirs: (first, end), counted from 0."""

    day: str
    last_frame: int
    last_time_ns: int
    rows: dict[str, tuple[int, int]]


def export(ledger: Source, folder: str | Path, *, progress: Progress | None = None) -> Exported:
    """Bring the archive in `folder`, made if absent, to the newest durable frame of a ledger.

    Raises UsageError where the folder holds something else or another ledger, IntegrityError where it holds frames that
    the ledger does not have, UnavailableError where another process exports to it or the disk refuses. What was
    exported before stays whole, whatever happens.
    """
    with Exporting(ledger, folder) as exporting:
        return exporting.advance(progress=progress)


class Exporting:
    """Exports of one ledger to one folder, which is owned from here to `close`. For one thread."""

    def __init__(self, ledger: Source, folder: str | Path) -> None:
        self._source: Reading = source_of(ledger)
        self._archive = Archive(folder_path(folder), self._source.ledger_id)

    @property
    def manifest(self) -> Manifest:
        """What is exported."""
        return self._archive.manifest

    def advance(self, *, registers: bool = True, progress: Progress | None = None) -> Exported:
        """Export what came since the last time, up to the frame that is the newest now.

        `registers=False` leaves large ones until a day is over.
        """
        before = self.manifest
        with self._source.reading() as state:
            goal = _goal(state)
            _check_same_history(before, state)
        if goal.frame > before.frame or goal.frame > before.registers_frame or not before.files:
            self._archive.sweep()
        total = goal.operations + goal.movements - before.operations - before.movements
        done = 0
        while self.manifest.frame < goal.frame:
            with self._source.reading() as state:
                span = _span(state, self.manifest, goal.frame)
            registers = registers or span.day not in self.manifest.days()
            self._merge(before_day=span.day)
            added = []
            for name in BY_DAY:
                added += self._write(name, span, goal, lambda rows: progress and progress(rows, total), done)
                done += 0 if name == "frames" else span.rows[name][1] - span.rows[name][0]
            self._archive.commit(_after(self.manifest.with_files(added), span, goal))
        if registers or sum(goal.registers.values()) <= SMALL_REGISTERS_ROWS:
            self._write_registers(goal)
        self._archive.flush()
        return self._exported(before)

    def close(self) -> None:
        """Let the folder go; what was written counts, however far an interrupted export came."""
        try:
            self._archive.flush()
        finally:
            self._archive.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(
        self, table: str, span: _Span, goal: _Goal, said: Callable[[int], object], done: int
    ) -> list[Entry]:  # fmt: skip
        first, end = span.rows[table]
        if first == end:
            return []

        def watched() -> Iterable[object]:
            written = done
            for part in tables.slices(self._source, table, first, end, goal.zones):
                yield part
                if table != "frames":
                    written += part.num_rows
                    said(written)

        first_frame = self.manifest.frame + 1
        return [
            parquet_files.write_file(
                self._archive.folder,
                table,
                watched(),
                day=span.day,
                first_frame=first_frame,
                last_frame=span.last_frame,
            )
        ]

    def _merge(self, *, before_day: str) -> None:
        """Make the files of the newest day one, if it is over. Those before it are already."""
        days = self.manifest.days()
        if not days or days[-1] >= before_day:
            return
        for table in BY_DAY:
            parts = [entry for entry in self.manifest.of(table) if entry.day == days[-1]]
            if len(parts) > 1:
                whole = parquet_files.write_file(
                    self._archive.folder,
                    table,
                    parquet_files.merged(self._archive.folder, parts),
                    day=days[-1],
                    first_frame=parts[0].first_frame,
                    last_frame=parts[-1].last_frame,
                )
                self._archive.commit(self.manifest.with_files([whole], without=parts))

    def _write_registers(self, goal: _Goal) -> None:
        if self.manifest.registers_frame == goal.frame and self.manifest.of("accounts"):
            return
        added = [
            parquet_files.write_file(
                self._archive.folder,
                table,
                tables.slices(self._source, table, 0, goal.registers[table], goal.zones),
                first_frame=goal.frame,
                last_frame=goal.frame,
            )
            for table in REGISTERS
        ]
        old = [entry for entry in self.manifest.files if entry.table in REGISTERS]
        self._archive.commit(replace(self.manifest.with_files(added, without=old), registers_frame=goal.frame))

    def _exported(self, before: Manifest) -> Exported:
        now = self.manifest
        return Exported(
            folder=self._archive.folder,
            frame=now.frame,
            time_ns=now.time_ns,
            frames=now.frame - before.frame,
            operations=now.operations - before.operations,
            movements=now.movements - before.movements,
            files=len(now.files),
            bytes=sum(entry.bytes for entry in now.files),
        )


def _goal(state: LedgerState) -> _Goal:
    return _Goal(
        frame=state.sequence,
        time_ns=int(state.frame_times[state.sequence]),
        operations=state.bound.size,
        movements=state.movements.size,
        movement_digest=state.movement_digest,
        registers=tables.register_rows(state),
        zones=dict(state.zones),
    )


def _span(state: LedgerState, manifest: Manifest, goal_frame: int) -> _Span:
    """The next frames, as far as they are of one day."""
    first = manifest.frame + 1
    day = int(state.frame_times[first]) // NS_PER_DAY
    last = min(history_copy.frame_before(state, (day + 1) * NS_PER_DAY), goal_frame)
    return _Span(
        day=utc_day(day * NS_PER_DAY).isoformat(),
        last_frame=last,
        last_time_ns=int(state.frame_times[last]),
        rows={
            "movements": (manifest.movements, history_copy.movements_until(state, last)),
            "operations": (manifest.operations, history_copy.operations_until(state, last)),
            "frames": (manifest.frame, last),
        },
    )


def _after(manifest: Manifest, span: _Span, goal: _Goal) -> Manifest:
    return replace(
        manifest,
        frame=span.last_frame,
        time_ns=span.last_time_ns,
        operations=span.rows["operations"][1],
        movements=span.rows["movements"][1],
        movement_digest=goal.movement_digest.hex() if span.last_frame == goal.frame else "",
    )


def _check_same_history(manifest: Manifest, state: LedgerState) -> None:
    """Whether what was exported is what the ledger has: a copy that was restored may have gone another way."""
    frame = manifest.frame
    known = (manifest.time_ns, manifest.operations, manifest.movements) if frame else (0, 0, 0)
    found = None
    if frame <= state.sequence:
        time_ns = int(state.frame_times[frame]) if frame else 0
        found = (time_ns, history_copy.operations_until(state, frame), history_copy.movements_until(state, frame))
    digest = state.movement_digest.hex()
    if found != known or (frame == state.sequence and manifest.movement_digest not in ("", digest)):
        raise IntegrityError(
            f"the archive holds {frame:,} frames that are not those of this ledger, which has {state.sequence:,}",
            hint="Was the ledger restored from a copy that had not all of them? Keep the archive, and export to a new "
            "folder.",
        )
