"""The folder of a ledger, and the disks of its journal and of its snapshots."""

from __future__ import annotations

from pathlib import Path

from sycee.core.arguments import short_repr
from sycee.core.errors import UsageError
from sycee.journal.disk import RealDisk


def journal_disk(folder: str | Path) -> RealDisk:
    """Return the disk of the journal of the ledger in `folder`. Raises UsageError unless `folder` is a path."""
    return RealDisk(folder_path(folder) / "journal")


def snapshot_disk(folder: str | Path) -> RealDisk:
    """Return the disk of the snapshots of the ledger in `folder`. Raises UsageError unless `folder` is a path."""
    return RealDisk(folder_path(folder) / "snapshots")


def folder_path(folder: object) -> Path:
    """Return `folder` as a Path. Raises UsageError unless it is a non-empty text or a Path."""
    if not isinstance(folder, (str, Path)) or not str(folder) or "\0" in str(folder):
        raise UsageError(f"folder must be a path; got {short_repr(folder)}", hint="give a non-empty text or a Path")
    return Path(folder)
