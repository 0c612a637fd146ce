"""Frames that were read back, applied to a state: the same in a start, in `verify` and in `restore`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sycee.core.errors import IntegrityError, UnavailableError, UsageError
from sycee.journal.disk import RealDisk
from sycee.journal.frame import Frame, FrameKind
from sycee.ledger import kernels, layout
from sycee.ledger.operations import shown
from sycee.ledger.state import LedgerState
from sycee.sequencer import rules


def journal_disk(folder: str | Path) -> RealDisk:
    """The disk that holds the journal of the ledger in `folder`. Raises UsageError for what is no path."""
    return RealDisk(path_of(folder) / "journal")


def snapshot_disk(folder: str | Path) -> RealDisk:
    """The disk that holds the snapshots of the ledger in `folder`. Raises UsageError for what is no path."""
    return RealDisk(path_of(folder) / "snapshots")


def path_of(folder: object) -> Path:
    """The folder as a path. Raises UsageError for what is none."""
    if not isinstance(folder, (str, Path)) or not str(folder) or "\0" in str(folder):
        raise UsageError(f"{shown(folder)} is no folder", hint="give a path, as a text or a Path")
    return Path(folder)


def replay(state: LedgerState, frame: Frame) -> None:
    """Apply a frame that was read back.

    Raises IntegrityError where what was computed so far is not what the frame's writer had computed, and
    UnavailableError where the frame follows rules that this release does not know.
    """
    if frame.kind is not FrameKind.OPERATIONS:
        _require_same(state, frame)
        state.pass_time(frame.time_ns, frame.calendar, sequence=frame.sequence)
        return
    # A copy, since the kernels are compiled for arrays that may be written; it costs less than their hashing.
    operations = np.empty(len(frame.records), layout.OPERATION)
    source, words = frame.records.view(np.uint64), operations.view(np.uint64).reshape(len(operations), -1)
    kinds, links, is_in_order = kernels.take(source, kernels.seen(operations), words)
    kinds = 0 if links else kinds
    all_pend = is_in_order and not links and state.is_new(operations)
    # Without asking how much memory there is: it was journaled, so it must be held.
    state.reserve(operations, kinds=kinds)
    # No sooner: the digest of the frame before is worked out beside what came so far.
    _require_same(state, frame)
    state.apply(frame.sequence, frame.time_ns, operations, frame.calendar, kinds=kinds, all_pend=all_pend)
    rules.check_rules(state)


def _require_same(state: LedgerState, frame: Frame) -> None:
    if frame.movement_digest != state.movement_digest:
        raise _other_movements(state, frame)


def _other_movements(state: LedgerState, frame: Frame) -> Exception:
    if state.rules < rules.RULES_OLDEST:
        return UnavailableError(
            f"this ledger follows version {state.rules} of the rules, older than {rules.RULES_OLDEST}, the oldest that "
            "this release replays",
            hint=f"Sycee {rules.RELEASES[state.rules]} replays it. Nothing was changed.",
        )
    return IntegrityError(
        f"{frame.place}: frame {frame.sequence}: this release computes other movements for the frames before it than "
        "the one that wrote it",
        hint="The bytes are whole, so it is the program that differs: use the release that wrote the ledger, and "
        "report this as a defect. Nothing was changed.",
    )
