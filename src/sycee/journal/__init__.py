"""The journal: frames of operations on disk, in one order, each durable before it is acknowledged.

Read from below: `disk` is what the journal needs of a disk, `frame` and `segments` are the bytes (pure),
`recovery` reads a folder and judges its end, `journal` is the whole; `snapshot` keeps a ledger's state at one frame, so
that a start need not read them all. `DESIGN.md` beside them explains which bytes
a power cut can leave in doubt; docs/reference/journal.md gives the bytes exactly.
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
