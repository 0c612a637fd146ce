"""Recovery: read a journal from its first frame or after an anchor, and classify the bytes after the last valid frame.

docs/reference/journal.md lists the rules; `DESIGN.md` has their reasons.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from sycee.core.arrays import Bytes
from sycee.core.errors import JournalDamaged, TailInDoubt, UnavailableError
from sycee.core.limits import FRAME_ALIGNMENT_BYTES, FRAME_BYTES_MAX, FRAME_TRAILER_BYTES
from sycee.journal import frame as frames
from sycee.journal import segments
from sycee.journal.disk import Disk, DiskFile
from sycee.journal.frame import Anchor, Flaw, Frame, FrameKind, Header, HeaderUnreadable, Location
from sycee.journal.segments import SEGMENT_HEADER_BYTES, SegmentHeader, segment_name

_WORD_BYTES: Final = 8
_BLOCK_WORDS: Final = FRAME_ALIGNMENT_BYTES // _WORD_BYTES
_FRAME_MAGIC: Final = int.from_bytes(frames.FRAME_MAGIC, "little")
_TRAILER_MAGIC: Final = int.from_bytes(frames.TRAILER_MAGIC, "little")
_ZEROS: Final = memoryview(bytes(FRAME_BYTES_MAX))


_BODY_FLAW: Final = "its records, envelopes or padding do not match their checksum"
_ANCHOR_HINT: Final = (
    "Nothing was changed. The frames that the snapshot includes and the journal lacks were acknowledged: restore the "
    "journal's newest segments from a copy. If the journal was restored from an older copy on purpose, or the snapshot "
    "is of another copy that was used separately, move the snapshots away."
)


class _Segment(NamedTuple):
    """A segment in memory; for each frame with a readable header, whether its body is valid, and its digest."""

    number: int
    data: Bytes
    proofs: dict[int, tuple[bool, bytes]]  # by the offset of the frame


class _Head(NamedTuple):
    """The first block of a segment's file, or what exists of it, and the size of the file in bytes."""

    block: memoryview
    file_bytes: int


@dataclass(frozen=True, slots=True)
class JournalReport:
    """Result of reading a whole journal. Times are nanoseconds since 1970, 0 without a frame."""

    ledger_id: str  # hexadecimal
    epoch: int
    segments: int
    frames: int
    records: int
    frame_bytes: int  # with padding, without segment headers
    last_sequence: int
    first_time_ns: int
    last_time_ns: int
    digest: str  # of the last frame, hexadecimal: it depends on every byte of all frames
    closed: bool  # whether the last run ended cleanly
    findings: tuple[str, ...]


@dataclass(slots=True)
class Tail:
    """End of the valid frames, and the bytes after them."""

    segment: int = 1
    offset: int = SEGMENT_HEADER_BYTES  # of the next frame
    segment_bytes: int = 0
    last_frame: bytes = b""  # with a valid trailer; empty if it is in an earlier segment
    cut_until: int = 0  # end of the bytes to replace by zeros, 0 for none
    torn: str = ""  # why the following bytes were not acknowledged
    doubt: str = ""  # why the following bytes may have been acknowledged
    unfinished_segment: int = 0  # number of a last segment without header and frames


@dataclass(slots=True)
class Scan:
    """One pass over a folder. Fields and `tail` are valid after iterating over `read()` to its end."""

    disk: Disk
    ledger_id: bytes
    epoch: int  # of the newest segment that was read
    after: Anchor | None = None  # `read` yields the frames after this one; others in its segment are checked only
    anchors: Sequence[Anchor] = ()  # further durable frames
    gives_up: bool = False  # whether an invalid last frame may be given up although it is one of `anchors`
    sequence: int = 0
    time_ns: int = 0
    first_time_ns: int = 0
    digest: bytes = frames.NO_DIGEST
    segments: int = 0
    frames: int = 0
    records: int = 0
    frame_bytes: int = 0
    closed: bool = False
    findings: list[str] = field(default_factory=list)
    tail: Tail = field(default_factory=Tail)

    def report(self) -> JournalReport:
        """Return the results so far."""
        return JournalReport(
            ledger_id=self.ledger_id.hex(),
            epoch=self.epoch,
            segments=self.segments,
            frames=self.frames,
            records=self.records,
            frame_bytes=self.frame_bytes,
            last_sequence=self.sequence,
            first_time_ns=self.first_time_ns,
            last_time_ns=self.time_ns,
            digest=self.digest.hex(),
            closed=self.closed,
            findings=tuple(self.findings),
        )

    def read(self) -> Iterator[Frame]:
        """Yield every valid frame after the anchor, in order.

        Raises JournalDamaged at the first invalid frame that was acknowledged, or was durable according to an anchor.
        """
        self.digest = frames.genesis_digest(self.ledger_id)
        numbers = segments.segment_numbers(self.disk)
        for expected, number in enumerate(numbers, start=1):
            if number != expected:
                self._damaged(expected, 0, f"the file is missing, but {segment_name(number)} exists")
        if self.after is not None:
            numbers = numbers[self._skip_segments(numbers, self.after) :]
            self._require_anchor()  # for a journal without frames
        for segment in self._segments(numbers):
            last = segment.number == numbers[-1]
            if self._begin_segment(segment.number, segment.data, last=last):
                yield from self._frames(segment, last=last)
        self._require_end()

    def _segments(self, numbers: list[int]) -> Iterator[_Segment]:
        """Yield these segments. Another thread reads and hashes the next one, if the disk supports it."""
        if not self.disk.concurrent:
            yield from (_read_segment(self.disk, number) for number in numbers)
            return
        with ThreadPoolExecutor(1, thread_name_prefix="sycee-reader") as reader:
            pending: deque[Future[_Segment]] = deque()
            for number in numbers:
                pending.append(reader.submit(_read_segment, self.disk, number))
                if len(pending) > 1:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()

    def _skip_segments(self, numbers: list[int], after: Anchor) -> int:
        """Return how many segments end before frame `after.sequence`. Only their headers are read.

        The header of the first segment that is not skipped has its first sequence and the digest before that.
        """
        before: list[SegmentHeader] = []
        for number in numbers:
            head = _read_head(self.disk, number)
            try:
                header = segments.decode_header(head.block)
            except Flaw as flaw:
                if number == numbers[-1] and number > 1:
                    break  # valid, damaged or unfinished: `_begin_segment` classifies it
                self._damaged(number, 0, str(flaw))
            if number > 1 and header.first_sequence > after.sequence:
                break
            self._require_own(number, header, head.file_bytes)
            if before and header.first_sequence < before[-1].first_sequence:
                self._damaged(
                    number, 0, f"it begins with frame {header.first_sequence}, which an earlier segment contains"
                )
            before.append(header)
            self.epoch = header.epoch
        first = before[-1]
        if first.number > 1:
            self.sequence, self.digest = first.first_sequence - 1, first.previous_digest
        self.segments = len(before) - 1
        return self.segments

    def _require_own(self, number: int, header: SegmentHeader, file_bytes: int) -> None:
        """Raise JournalDamaged unless a segment is of this ledger and has the right number, size and epoch."""
        if header.ledger_id != self.ledger_id:
            self._damaged(
                number,
                0,
                f"it belongs to another ledger, {header.ledger_id.hex()}",
                hint="Nothing was changed. That file is intact: move it to its ledger, and restore the one of ledger "
                f"{self.ledger_id.hex()}.",
            )
        if header.number != number:
            self._damaged(number, 0, f"its header has the number {header.number}")
        if header.segment_bytes != file_bytes:
            self._damaged(number, 0, f"the file has {file_bytes} bytes, but {header.segment_bytes} in its header")
        if header.epoch < self.epoch:
            self._damaged(number, 0, f"its epoch {header.epoch} is older than {self.epoch}")

    def _all_anchors(self) -> list[Anchor]:
        return [*self.anchors] if self.after is None else [self.after, *self.anchors]

    def _require_anchor(self) -> None:
        """Raise JournalDamaged if an anchor has this sequence and another digest."""
        for anchor in self._all_anchors():
            if anchor.sequence == self.sequence and anchor.digest != self.digest:
                self._damaged(
                    self.tail.segment,
                    self.tail.offset,
                    f"frame {self.sequence} before it is not the one that was durable there: the digests differ",
                    hint=_ANCHOR_HINT,
                )

    def _require_end(self) -> None:
        """Raise JournalDamaged if the journal ends before an anchor, except for one frame that a person gives up."""
        newest = max(self._all_anchors(), default=None)
        given_up = self.sequence + (1 if self.gives_up and self.after is None and self.tail.cut_until else 0)
        if newest is not None and newest.sequence > given_up:
            self._ends_too_early(newest)

    def _ends_too_early(self, anchor: Anchor) -> NoReturn:
        flaw = self.tail.doubt or self.tail.torn
        self._damaged(
            self.tail.segment,
            self.tail.offset,
            f"the journal ends with frame {self.sequence}, but frame {anchor.sequence} was durable"
            + (f" ({flaw})" if flaw else ""),
            hint=_ANCHOR_HINT,
        )

    def _begin_segment(self, number: int, data: Bytes, *, last: bool) -> bool:
        """Check that a segment continues the journal. Return False for a last segment without header and frames."""
        try:
            header = segments.decode_header(data.data)
        except Flaw as flaw:
            if last and number > 1 and not data[SEGMENT_HEADER_BYTES:].any():
                self.tail.unfinished_segment = number
                self.tail.doubt = f"{self._path(number)}: {flaw}, and no frame follows it"
                return False
            self._damaged(number, 0, str(flaw))
        self._require_own(number, header, len(data))
        if header.first_sequence > self.sequence + 1:
            missing = (
                f"frames {self.sequence + 1} to {header.first_sequence - 1} are missing: {segment_name(number)} begins "
                f"with frame {header.first_sequence}"
            )
            self._damaged(self.tail.segment, self.tail.offset, missing, sequence=self.sequence + 1)
        if header.first_sequence <= self.sequence:
            self._damaged(number, 0, f"it begins with frame {header.first_sequence}, which an earlier segment contains")
        if header.previous_digest != self.digest:
            self._damaged(number, 0, f"it does not continue frame {self.sequence}: the digests differ")
        self.epoch = header.epoch
        self.segments += 1
        self.tail = Tail(segment=number, segment_bytes=len(data))
        return True

    def _frames(self, segment: _Segment, *, last: bool) -> Iterator[Frame]:
        number, data = segment.number, segment.data
        view = data.data
        offset = SEGMENT_HEADER_BYTES
        while offset < len(data):
            try:
                header = frames.decode_header(view[offset:])
                self._require_continues(header, len(data) - offset)
            except HeaderUnreadable as flaw:
                self._classify(number, offset, data, str(flaw), None, last=last)
                return
            except Flaw as flaw:
                self._damaged(number, offset, str(flaw), sequence=self.sequence + 1)
            end = offset + header.frame_bytes
            holds, digest = segment.proofs[offset]
            if not holds:
                self._classify(number, offset, data, _BODY_FLAW, header, last=last)
                return
            if stray := frames.hidden_content(header, view[offset:end]):
                self._damaged(number, offset, stray, sequence=header.sequence)
            whole: memoryview | bytes = view[offset:end]
            if not frames.trailer_holds(header, view[offset:end]):
                whole = self._with_trailer(number, offset, data, header, last=last)
                digest = frames.digest_of(memoryview(whole))
            self.sequence = header.sequence
            self.time_ns = header.time_ns
            self.first_time_ns = self.first_time_ns or header.time_ns
            self.digest = digest
            self.frames += 1
            self.records += header.record_count
            self.frame_bytes += header.frame_bytes
            self.closed = header.kind == FrameKind.CLOSE
            if last:
                self.tail.last_frame = bytes(whole)
            self.tail.offset = end
            self._require_anchor()
            if self.after is None or header.sequence > self.after.sequence:
                yield _frame(header, data[offset:end], Location(segment_name(number), offset), self.digest)
            offset = end

    def _require_continues(self, header: Header, space_bytes: int) -> None:
        """Raise Flaw unless a valid header continues the chain. A power cut cannot cause such a header."""
        if header.sequence != self.sequence + 1:
            raise Flaw(f"its header has the sequence {header.sequence}")
        if header.previous_digest != self.digest:
            raise Flaw(f"its previous digest is not that of frame {self.sequence}")
        if header.time_ns <= self.time_ns:
            raise Flaw(f"its time {header.time_ns} ns is not after that of the previous frame, {self.time_ns} ns")
        if header.epoch != self.epoch:
            raise Flaw(f"its epoch {header.epoch} is not that of its segment, {self.epoch}")
        if header.acknowledged >= header.sequence:
            raise Flaw(f"its header has frame {header.acknowledged} as acknowledged before")
        if header.frame_bytes > space_bytes:
            raise Flaw(f"its header has {header.frame_bytes} bytes, and its segment only {space_bytes} more")

    def _with_trailer(self, number: int, offset: int, data: Bytes, header: Header, *, last: bool) -> bytes:
        """Return a frame with valid header and body with the trailer that its header determines."""
        end = offset + header.frame_bytes
        if later := self._later_valid_data(number, end, data, last=last):
            self._damaged(number, offset, f"its trailer is damaged, and {later}", sequence=header.sequence)
        self.findings.append(
            f"{self._path(number)}: frame {header.sequence} at byte {offset} was complete except for its trailer, "
            "which was written again"
        )
        trailer = frames.trailer(header.sequence, header.frame_bytes, header.body_checksum)
        return bytes(data.data[offset : end - FRAME_TRAILER_BYTES]) + trailer

    def _classify(self, number: int, offset: int, data: Bytes, flaw: str, header: Header | None, *, last: bool) -> None:
        """Classify an invalid frame at `offset`: end of the journal, torn or in doubt; JournalDamaged for damage.

        `header`: the frame's header, if that is valid.
        """
        if header is None and not _words(data[offset:]).any():
            return
        sequence, end = self.sequence + 1, offset + (header.frame_bytes if header else 0)
        if later := self._later_valid_data(number, end, data, last=last):
            self._damaged(number, offset, f"{flaw}, and {later}", sequence=sequence)
        if header is None:
            reach = data[offset : offset + FRAME_BYTES_MAX]
            has_trailer = _find_trailer(reach, lambda found: found in (sequence, -1)) is not None
        else:
            # Any byte there means that the last sector of the frame was written; a power cut leaves zeros.
            has_trailer = bool(data[end - FRAME_TRAILER_BYTES : end].any())
        problem = f"{self._path(number)}: frame {sequence} at byte {offset}: {flaw}"
        if has_trailer:
            self.tail.doubt = f"{problem}, but it has a trailer"
        else:
            self.tail.torn = f"{problem}, and it has no trailer"
        self.tail.cut_until = _written_end(data)

    def _later_valid_data(self, number: int, offset: int, data: Bytes, *, last: bool) -> str:
        """Return evidence that a frame before `offset` was acknowledged: a later write. Empty if there is none."""
        if not last:
            return f"{segment_name(number + 1)} follows it"
        sequence = self.sequence + 1
        rest = data[offset:]
        view = rest.data
        for block in np.flatnonzero(_words(rest)[::_BLOCK_WORDS] == _FRAME_MAGIC):
            at = int(block) * FRAME_ALIGNMENT_BYTES
            try:
                header = frames.decode_header(view[at:])
            except Flaw:
                continue
            if header.sequence > sequence:
                return f"frame {header.sequence} at byte {offset + at} was written after it"
        found = _find_trailer(rest, lambda found: found > sequence)
        return "" if found is None else f"a later frame ends at byte {offset + found}"

    def repair_tail(self, *, cut_tail: bool, read_only: bool) -> DiskFile | None:
        """Prepare the end of the journal for appending, or raise TailInDoubt and change nothing.

        Return the last segment, open for writing; None with `read_only`. An unfinished segment after it stays until a
        new one replaces it.
        """
        tail = self.tail
        if tail.doubt and not cut_tail:
            raise TailInDoubt(
                f"{tail.doubt}. It was written last, and may have been acknowledged",
                hint=f"Restore the file from a copy. Without one, frame {self.sequence + 1} can be given up: by "
                "`sycee restore --cut-tail` into a new folder, `sycee pilot luohu --cut-tail`, or Ledger.open(..., "
                "cut_tail=True). Ask every caller that received a result in this frame.",
            )
        done = "would be cut at a start" if read_only else "cut"
        if tail.unfinished_segment:
            self.findings.append(f"{tail.doubt}: {done}")
        elif tail.cut_until:
            lost = tail.cut_until - tail.offset
            self.findings.append(f"{tail.doubt or tail.torn}: {lost:,} bytes {done}")
        if read_only:
            return None
        for name in self.disk.names():
            if name.endswith(segments.TEMPORARY_SUFFIX):
                self.disk.unlink(name)  # an incomplete segment, which never contained a frame
        file = self.disk.open(segment_name(tail.segment), writable=True)
        for offset in range(tail.offset, tail.cut_until, len(_ZEROS)):
            file.pwrite(_ZEROS[: tail.cut_until - offset], offset)
        # The last frame may be only in the kernel's memory: its process may have ended before the fdatasync, or after a
        # failed one, which a second fdatasync would not report. Writing it again makes it durable.
        if tail.last_frame:
            file.pwrite(memoryview(tail.last_frame), tail.offset - len(tail.last_frame))
        file.fdatasync()
        self.disk.fsync_folder()
        return file

    def _path(self, number: int) -> str:
        return f"{self.disk.folder}/{segment_name(number)}"

    def _damaged(self, number: int, offset: int, what: str, *, sequence: int = 0, hint: str = "") -> NoReturn:
        subject = f"frame {sequence} at byte {offset}" if sequence else f"byte {offset}"
        raise JournalDamaged(
            f"{self._path(number)}: {subject}: {what}",
            hint=hint
            or f"Run `sycee verify {ledger_folder(self.disk)}` for details. Nothing was changed; restore the file from "
            "a copy.",
        )


def _frame(header: Header, data: Bytes, location: Location, digest: bytes) -> Frame:
    return Frame(
        sequence=header.sequence,
        kind=header.kind,
        time_ns=header.time_ns,
        acknowledged=header.acknowledged,
        calendar=header.calendar,
        records=frames.records_of(header, data),
        location=location,
        envelopes=frames.envelopes_of(header, data),
        movement_digest=header.movement_digest,
        epoch=header.epoch,
        digest=digest,
    )


def _read_segment(disk: Disk, number: int) -> _Segment:
    """Read and check what can be checked of a segment without the segments before it."""
    file = disk.open(segment_name(number), writable=False)
    try:
        data = segments.read_whole(file)
    finally:
        file.close()
    proofs: dict[int, tuple[bool, bytes]] = {}
    offset = SEGMENT_HEADER_BYTES
    # `_frames` meets the same flaw later and classifies it.
    with suppress(Flaw, UnavailableError):
        while offset < len(data):
            header = frames.decode_header(data.data[offset:])
            whole = data.data[offset : offset + header.frame_bytes]
            proofs[offset] = frames.body_holds(header, whole), frames.digest_of(whole)
            offset += header.frame_bytes
    return _Segment(number, data, proofs)


def _read_head(disk: Disk, number: int) -> _Head:
    file = disk.open(segment_name(number), writable=False)
    try:
        block = memoryview(bytearray(SEGMENT_HEADER_BYTES))
        return _Head(block[: file.pread_into(block, 0)], file.size())
    finally:
        file.close()


def ledger_folder(disk: Disk) -> str:
    """Return the ledger's folder, which contains the journal's."""
    return os.path.dirname(disk.folder.rstrip("/")) or "."  # noqa: PTH120 - a text for a message, not a path to open


def _words(data: Bytes) -> npt.NDArray[np.uint64]:
    return data.view(np.dtype("<u8"))


def _written_end(data: Bytes) -> int:
    """Return the end of the last block with a byte other than zero."""
    last = int(np.flatnonzero(_words(data))[-1]) * _WORD_BYTES
    return (last // FRAME_ALIGNMENT_BYTES + 1) * FRAME_ALIGNMENT_BYTES


def _find_trailer(data: Bytes, wanted: Callable[[int], bool]) -> int | None:
    """Return the end of the first trailer whose sequence (see frame.trailer_sequence) is `wanted`, None without one."""
    view = data.data
    starts = _words(data)[_BLOCK_WORDS - FRAME_TRAILER_BYTES // _WORD_BYTES :: _BLOCK_WORDS]
    for block in np.flatnonzero(starts == _TRAILER_MAGIC):
        end = (int(block) + 1) * FRAME_ALIGNMENT_BYTES
        found = frames.trailer_sequence(view[end - FRAME_TRAILER_BYTES : end])
        if found is not None and wanted(found):
            return end
    return None
