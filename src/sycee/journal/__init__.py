"""The journal: ordered frames of operations on disk, each durable before it is acknowledged.

`disk` is the interface to a disk, `frame` and `segments` encode the bytes (pure), `recovery` reads a folder and
classifies its end, `journal` combines them. `snapshot` stores a ledger's state after one frame, so that a start need
not read all frames. `DESIGN.md` explains which bytes are in doubt after a power cut; docs/reference/journal.md
describes the bytes exactly.
"""

from sycee.journal.disk import Disk, DiskFile, RealDisk
from sycee.journal.frame import NO_DIGEST, Anchor, CalendarEntry, Frame, FrameKind, Location
from sycee.journal.journal import Journal, PreparedFrame
from sycee.journal.recovery import JournalReport
from sycee.journal.snapshot import Section, Snapshot

__all__ = [
    "NO_DIGEST",
    "Anchor",
    "CalendarEntry",
    "Disk",
    "DiskFile",
    "Frame",
    "FrameKind",
    "Journal",
    "JournalReport",
    "Location",
    "PreparedFrame",
    "RealDisk",
    "Section",
    "Snapshot",
]
