"""The folder of a ledger, and the disks of its journal and of its snapshots."""

from __future__ import annotations

from pathlib import Path

from sycee.core.arguments import short_repr
from sycee.core.errors import UsageError
from sycee.journal.disk import RealDisk
from sycee.journal.journal import Journal


def journal_disk(folder: str | Path) -> RealDisk:
    """Open the subfolder `journal` of a ledger's `folder`. Raises UsageError unless `folder` is a path."""
    return RealDisk(folder_path(folder) / "journal")


def existing_journal_disk(folder: str | Path) -> RealDisk:
    """Return the disk of the journal of the ledger in `folder`. Raises UsageError if there is no ledger."""
    disk = journal_disk(folder)
    if not Journal.exists(disk):
        hint, path = "name the folder that was given to --data or Ledger.open", folder_path(folder)
        if path.name == "journal" and Journal.exists(journal_disk(path.parent)):
            hint = f"did you mean {path.parent}?"
        raise UsageError(f"{folder} holds no ledger", hint=hint)
    return disk


def snapshot_disk(folder: str | Path) -> RealDisk:
    """Open the subfolder `snapshots` of a ledger's `folder`. Raises UsageError unless `folder` is a path."""
    return RealDisk(folder_path(folder) / "snapshots")


def folder_path(folder: object) -> Path:
    """Return `folder` as a Path. Raises UsageError unless it is a non-empty text or a Path."""
    if not isinstance(folder, (str, Path)) or not str(folder) or "\0" in str(folder):
        raise UsageError(f"folder must be a path; got {short_repr(folder)}", hint="give a non-empty text or a Path")
    return Path(folder)
