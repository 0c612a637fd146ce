"""The folder of a ledger: which disk holds its journal, and which its snapshots."""

from __future__ import annotations

from pathlib import Path

from sycee.core.arguments import short_repr
from sycee.core.errors import UsageError
from sycee.journal.disk import RealDisk


def journal_disk(folder: str | Path) -> RealDisk:
    """Return the disk that holds the journal of the ledger in `folder`. Raises UsageError for what is no path."""
    return RealDisk(folder_path(folder) / "journal")


def snapshot_disk(folder: str | Path) -> RealDisk:
    """Return the disk that holds the snapshots of the ledger in `folder`. Raises UsageError for what is no path."""
    return RealDisk(folder_path(folder) / "snapshots")


def folder_path(folder: object) -> Path:
    """Return the folder as a Path. Raises UsageError for anything that is no path."""
    if not isinstance(folder, (str, Path)) or not str(folder) or "\0" in str(folder):
        raise UsageError(f"{short_repr(folder)} is no folder", hint="give a path, as a text or a Path")
    return Path(folder)
