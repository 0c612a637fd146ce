"""Functions that write a whole snapshot, and find the newest valid one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sycee.journal.disk import Disk
from sycee.journal.snapshot import Snapshot, SnapshotHeader, Writer, all_good


def write(disk: Disk, *, sections: Mapping[str, np.ndarray], small: Mapping[str, Any], **facts: Any) -> str:
    """Write a snapshot; `facts` are the other fields of its header. Returns its name, as `Writer.finish`."""
    arrays = {name: np.asarray(array, order="C") for name, array in sections.items()}
    writer = Writer(disk, SnapshotHeader(**facts), arrays, small)
    try:
        for array in arrays.values():
            if array.nbytes:
                writer.add(array.reshape(-1).view(np.uint8).data)
        return writer.finish()
    except Exception:
        writer.abandon()
        raise


def newest_good(disk: Disk, ledger_id: bytes) -> tuple[Snapshot | None, list[str]]:
    """Return the newest valid snapshot of this ledger, and one sentence for each that was skipped."""
    findings: list[str] = []
    return next(all_good(disk, ledger_id, findings), None), findings
