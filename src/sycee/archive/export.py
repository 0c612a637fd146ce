"""Export of a ledger's history to Parquet: movements, operations and frames by UTC day, and registers.

A day is a UTC day, because a frame has one time and each currency has its own midnights. So each frame and all its
movements belong to one day, independent of the currencies of a ledger. Each movement's local date is a column.

An export continues where the last one ended. New frames of a day that already has a file go to a further file; the
files of a day are merged when a later day begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from sycee.archive import history_copy, parquet_files, tables
from sycee.archive.history_source import Source, StateReader, reader_of
from sycee.archive.manifest import Archive, Entry, Manifest
from sycee.archive.schema import BY_DAY, REGISTERS
from sycee.core.errors import IntegrityError
from sycee.core.timestamps import NS_PER_DAY, utc_day
from sycee.ledger.state import LedgerState
from sycee.sequencer.folders import folder_path

Progress = Callable[[int, int], None]  # movements and operations written so far, and their total

# Smaller registers are rewritten by every export; larger ones when a day is over, and on request.
SMALL_REGISTERS_ROWS: Final = 262_144


@dataclass(frozen=True, slots=True)
class ExportResult:
    """Result of one export: the rows added, and the size of the archive after it."""

    folder: Path
    frame: int  # the newest exported
    time_ns: int  # of that frame
    frames: int  # added by this export
    operations: int
    movements: int
    files: int  # of the whole archive
    bytes: int


def export(ledger: Source, folder: str | Path, *, progress: Progress | None = None) -> ExportResult:
    """Export all durable frames of a ledger to the archive in `folder`, which is created if absent.

    Raises UsageError if the folder holds other files or another ledger's archive, IntegrityError if the archive has
    frames that the ledger does not have, UnavailableError if another process exports to it or the disk refuses. Data
    exported before is unharmed by any error.
    """
    with ExportSession(ledger, folder) as session:
        return session.advance(progress=progress)


class ExportSession:
    """Exports of one ledger to one folder, which is locked until `close`. For one thread."""

    def __init__(self, ledger: Source, folder: str | Path, *, mark: str = "") -> None:
        """Lock the folder. mark: of the manifest and of the metadata of each file, for a ledger of invented people."""
        self._source: StateReader = reader_of(ledger)
        self._archive = Archive(folder_path(folder), self._source.ledger_id, mark)
        self._mark = mark

    @property
    def manifest(self) -> Manifest:
        """Manifest of everything exported so far."""
        return self._archive.manifest

    def advance(self, *, registers: bool = True, progress: Progress | None = None) -> ExportResult:
        """Export the frames since the last export, up to the newest durable one.

        `registers=False` leaves large registers until a day is over.
        """
        before = self.manifest
        with self._source.reading() as state:
            _check_same_history(before, state)
            goal = _manifest_after(before, state, state.sequence)
            register_rows, self._zones = tables.register_rows(state), dict(state.zones)
        if goal.frame > before.frame or goal.frame > before.registers_frame or not before.files:
            self._archive.sweep()
        total, written = goal.operations + goal.movements - before.operations - before.movements, 0

        def report(rows: int) -> None:
            nonlocal written
            written += rows
            if progress:
                progress(written, total)

        while self.manifest.frame < goal.frame:
            with self._source.reading() as state:
                day, after = _next_day(state, self.manifest, goal)
            registers = registers or day not in self.manifest.days()
            self._merge(before_day=day)
            files = [entry for table in BY_DAY for entry in self._write(table, day, after, report)]
            self._archive.commit(replace(after, files=self.manifest.files).with_files(files))
        if registers or sum(register_rows.values()) <= SMALL_REGISTERS_ROWS:
            self._write_registers(goal.frame, register_rows)
        self._archive.flush()
        now = self.manifest
        return ExportResult(
            folder=self._archive.folder,
            frame=now.frame,
            time_ns=now.time_ns,
            frames=now.frame - before.frame,
            operations=now.operations - before.operations,
            movements=now.movements - before.movements,
            files=len(now.files),
            bytes=sum(entry.bytes for entry in now.files),
        )

    def close(self) -> None:
        """Make committed files durable and unlock the folder, also after an interrupted export."""
        try:
            self._archive.flush()
        finally:
            self._archive.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, table: str, day: str, after: Manifest, report: Callable[[int], None]) -> list[Entry]:
        """Write the rows of a table between the manifest and `after`; no rows give no file."""
        column = {"frames": "frame"}.get(table, table)
        first, end = getattr(self.manifest, column), getattr(after, column)
        if first == end:
            return []

        def parts() -> Iterator[Any]:
            for part in tables.slices(self._source, table, first, end, self._zones):
                yield part
                if table != "frames":
                    report(part.num_rows)

        frames = (self.manifest.frame + 1, after.frame)
        return [parquet_files.write_file(self._archive.folder, table, parts(), day=day, frames=frames, mark=self._mark)]

    def _merge(self, *, before_day: str) -> None:
        """Merge the files of the newest day if it is over; earlier days are already merged."""
        days = self.manifest.days()
        if not days or days[-1] >= before_day:
            return
        for table in BY_DAY:
            parts = [entry for entry in self.manifest.files_of(table) if entry.day == days[-1]]
            if len(parts) > 1:
                frames = (parts[0].first_frame, parts[-1].last_frame)
                rows = parquet_files.row_groups(self._archive.folder, parts)
                whole = parquet_files.write_file(
                    self._archive.folder, table, rows, day=days[-1], frames=frames, mark=self._mark
                )
                self._archive.commit(self.manifest.with_files([whole], without=parts))

    def _write_registers(self, frame: int, sizes: Mapping[str, int]) -> None:
        if self.manifest.registers_frame == frame and self.manifest.files_of("accounts"):
            return
        added = []
        for table in REGISTERS:
            rows = tables.slices(self._source, table, 0, sizes[table], self._zones)
            added.append(
                parquet_files.write_file(self._archive.folder, table, rows, frames=(frame, frame), mark=self._mark)
            )
        old = [entry for entry in self.manifest.files if entry.table in REGISTERS]
        self._archive.commit(replace(self.manifest.with_files(added, without=old), registers_frame=frame))


def _manifest_after(manifest: Manifest, state: LedgerState, frame: int) -> Manifest:
    """Return the manifest of an export up to `frame`, without its files."""
    return replace(
        manifest,
        frame=frame,
        time_ns=int(state.frame_times[frame]),
        operations=history_copy.operations_until(state, frame),
        movements=history_copy.movements_until(state, frame),
        movement_digest=state.movement_digest.hex() if frame == state.sequence else "",
    )


def _next_day(state: LedgerState, manifest: Manifest, goal: Manifest) -> tuple[str, Manifest]:
    """Return the UTC day of the next frame to export, and the manifest after the frames of that day."""
    day = int(state.frame_times[manifest.frame + 1]) // NS_PER_DAY
    last = min(history_copy.frame_before(state, (day + 1) * NS_PER_DAY), goal.frame)
    digest = goal.movement_digest if last == goal.frame else ""
    after = replace(_manifest_after(manifest, state, last), movement_digest=digest)
    return utc_day(day * NS_PER_DAY).isoformat(), after


def _check_same_history(manifest: Manifest, state: LedgerState) -> None:
    """Raise IntegrityError if the exported frames are not the ledger's, as after a restore of an older copy."""
    frame = manifest.frame
    exported = (manifest.time_ns, manifest.operations, manifest.movements) if frame else (0, 0, 0)
    found = None
    if frame <= state.sequence:
        time_ns = int(state.frame_times[frame]) if frame else 0
        found = (time_ns, history_copy.operations_until(state, frame), history_copy.movements_until(state, frame))
    digest = state.movement_digest.hex()
    if found != exported or (frame == state.sequence and manifest.movement_digest not in ("", digest)):
        raise IntegrityError(
            f"the archive holds {frame:,} frames that are not those of this ledger, which has {state.sequence:,}",
            hint="was the ledger restored from a copy that lacked the last frames? Export to a new folder, and leave "
            "this archive as it is",
        )
