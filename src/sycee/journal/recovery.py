"""Reading a journal from its first frame, or after a marked one, and judging the place where the good frames end.

`DESIGN.md` says why the rules are these; docs/reference/journal.md lists them.
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


_ANCHOR_HINT: Final = (
    "Nothing was changed. What the snapshot knows and the journal does not was acknowledged: restore the journal's "
    "newest segments from a copy. If the journal itself was restored from an older copy on purpose, or the snapshot is "
    "of another copy that went on by itself, move the snapshots away."
)


class _Segment(NamedTuple):
    """A segment in memory, and of each frame whose header can be read: does its body hold, and its digest."""

    number: int
    data: Bytes
    proofs: dict[int, tuple[bool, bytes]]  # by the byte where the frame begins


class _Head(NamedTuple):
    """The first block of a segment's file, as far as it is there, and the size of the file in bytes."""

    block: memoryview
    file_bytes: int


@dataclass(frozen=True, slots=True)
class JournalReport:
    """What a complete reading of a journal found. Times are nanoseconds since 1970, 0 where there is no frame."""

    ledger_id: str  # hexadecimal
    epoch: int
    segments: int
    frames: int
    records: int
    frame_bytes: int  # with padding, without segment headers
    last_sequence: int
    first_time_ns: int
    last_time_ns: int
    digest: str  # of the last frame, hexadecimal: it depends on every byte of every frame before
    closed: bool  # whether the last run ended cleanly
    findings: tuple[str, ...]


@dataclass(slots=True)
class Tail:
    """Where the good frames end, and what stands after them."""

    segment: int = 1
    offset: int = SEGMENT_HEADER_BYTES  # where the next frame goes
    segment_bytes: int = 0
    last_frame: bytes = b""  # as it should stand, if it stands in this segment
    cut_until: int = 0  # end of what must be zeroed, 0 for nothing
    torn: str = ""  # why what follows is surely not acknowledged
    doubt: str = ""  # why what follows may have been acknowledged
    unfinished_segment: int = 0  # number of a last segment that has neither header nor frames


@dataclass(slots=True)
class Scan:
    """One reading of a folder. Iterate over `read()` to its end; then the fields and `tail` are valid."""

    disk: Disk
    ledger_id: bytes
    epoch: int  # while reading: that of the segment before, then of this one
    after: Anchor | None = None  # frames up to this one are checked as far as they share its segment, and not given out
    anchors: Sequence[Anchor] = ()  # frames that were durable too
    gives_up: bool = False  # whether a frame at the end that is not whole may be given up though it is one of `anchors`
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
        """What was found so far."""
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
        """Every good frame after the anchor, in order. Raises JournalDamaged at the first that must be good and is not.

        That is: one that was acknowledged, or that the anchor says was durable.
        """
        self.digest = frames.genesis_digest(self.ledger_id)
        numbers = segments.segment_numbers(self.disk)
        for expected, number in enumerate(numbers, start=1):
            if number != expected:
                self._damaged(expected, 0, f"the file is missing, though {segment_name(number)} is there")
        if self.after is not None:
            numbers = numbers[self._pass_over(numbers, self.after) :]
            self._require_anchor()  # of a journal without frames
        for segment in self._segments(numbers):
            last = segment.number == numbers[-1]
            if self._enter(segment.number, segment.data, last=last):
                yield from self._walk(segment, last=last)
        self._require_end()

    def _segments(self, numbers: list[int]) -> Iterator[_Segment]:
        """These segments, each read and hashed beside the use of the one before, where the disk allows for it."""
        if not self.disk.concurrent:
            yield from (_read_segment(self.disk, number) for number in numbers)
            return
        with ThreadPoolExecutor(1, thread_name_prefix="sycee-reader") as reader:
            coming: deque[Future[_Segment]] = deque()
            for number in numbers:
                coming.append(reader.submit(_read_segment, self.disk, number))
                if len(coming) > 1:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()

    def _pass_over(self, numbers: list[int], after: Anchor) -> int:
        """How many segments from the first on end before frame `after.sequence` begins; only their headers are read.

        What the one after them says of itself stands for them: its first sequence, and the digest before that.
        """
        before: list[SegmentHeader] = []
        for number in numbers:
            head = _read_head(self.disk, number)
            try:
                header = segments.decode_header(head.block)
            except Flaw as flaw:
                if number == numbers[-1] and number > 1:
                    break  # whole, damaged or unfinished: `_enter` sees all of it, and judges
                self._damaged(number, 0, str(flaw))
            if number > 1 and header.first_sequence > after.sequence:
                break
            self._require_own(number, header, head.file_bytes)
            if before and header.first_sequence < before[-1].first_sequence:
                self._damaged(number, 0, f"it begins with frame {header.first_sequence}, which we have had already")
            before.append(header)
            self.epoch = header.epoch
        first = before[-1]
        if first.number > 1:
            self.sequence, self.digest = first.first_sequence - 1, first.previous_digest
        self.segments = len(before) - 1
        return self.segments

    def _require_own(self, number: int, header: SegmentHeader, file_bytes: int) -> None:
        """Check that a segment is of this ledger, in its place and of its size."""
        if header.ledger_id != self.ledger_id:
            self._damaged(
                number,
                0,
                f"it belongs to another ledger, {header.ledger_id.hex()}",
                hint="Nothing was changed. That file is whole: move it to where its ledger is, and put back the one of "
                f"ledger {self.ledger_id.hex()}.",
            )
        if header.number != number:
            self._damaged(number, 0, f"its header says that it is segment {header.number}")
        if header.segment_bytes != file_bytes:
            self._damaged(number, 0, f"the file has {file_bytes} bytes, its header says {header.segment_bytes}")
        if header.epoch < self.epoch:
            self._damaged(number, 0, f"its epoch {header.epoch} is older than {self.epoch}")

    def _all_anchors(self) -> list[Anchor]:
        return [*self.anchors] if self.after is None else [self.after, *self.anchors]

    def _require_anchor(self) -> None:
        """Where an anchor is: the frame there must be the one that was marked."""
        for anchor in self._all_anchors():
            if anchor.sequence == self.sequence and anchor.digest != self.digest:
                self._damaged(
                    self.tail.segment,
                    self.tail.offset,
                    f"frame {self.sequence} before it is not the one that was durable there: the digests differ",
                    hint=_ANCHOR_HINT,
                )

    def _require_end(self) -> None:
        """Where the journal ends: no frame that was marked may be missing, but for one that a person gives up."""
        newest = max(self._all_anchors(), default=None)
        given_up = self.sequence + (1 if self.gives_up and self.after is None and self.tail.cut_until else 0)
        if newest is not None and newest.sequence > given_up:
            self._ends_too_early(newest)

    def _ends_too_early(self, anchor: Anchor) -> NoReturn:
        flaw = self.tail.doubt or self.tail.torn
        self._damaged(
            self.tail.segment,
            self.tail.offset,
            f"the journal ends with frame {self.sequence}, though frame {anchor.sequence} was durable"
            + (f" ({flaw})" if flaw else ""),
            hint=_ANCHOR_HINT,
        )

    def _enter(self, number: int, data: Bytes, *, last: bool) -> bool:
        """Check that a segment continues the journal. False if it is one that nothing was ever written to."""
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
            missing = f"frames {self.sequence + 1} to {header.first_sequence - 1} are missing"
            before = f"{segment_name(number)} begins with frame {header.first_sequence}"
            self._damaged(self.tail.segment, self.tail.offset, f"{missing}: {before}", sequence=self.sequence + 1)
        if header.first_sequence <= self.sequence:
            self._damaged(number, 0, f"it begins with frame {header.first_sequence}, which we have had already")
        if header.previous_digest != self.digest:
            self._damaged(number, 0, f"it does not continue frame {self.sequence}: the digests differ")
        self.epoch = header.epoch
        self.segments += 1
        self.tail = Tail(segment=number, segment_bytes=len(data))
        return True

    def _walk(self, segment: _Segment, *, last: bool) -> Iterator[Frame]:
        number, data = segment.number, segment.data
        view = data.data
        offset = SEGMENT_HEADER_BYTES
        while offset < len(data):
            try:
                header = frames.decode_header(view[offset:])
                self._require_continues(header, len(data) - offset)
            except HeaderUnreadable as flaw:
                self._judge_without_header(number, offset, data, str(flaw), last=last)
                return
            except Flaw as flaw:
                self._damaged(number, offset, str(flaw), sequence=self.sequence + 1)
            end = offset + header.frame_bytes
            holds, digest = segment.proofs[offset]
            if not holds:
                self._judge_with_header(number, offset, data, header, last=last)
                return
            if stray := frames.stray(header, view[offset:end]):
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

    def _require_continues(self, header: Header, room_bytes: int) -> None:
        """A sound header that does not continue the chain is never the work of a power cut."""
        if header.sequence != self.sequence + 1:
            raise Flaw(f"its header says that it is frame {header.sequence}")
        if header.previous_digest != self.digest:
            raise Flaw(f"it names another frame {self.sequence} than the one before it: the digests differ")
        if header.time_ns <= self.time_ns:
            raise Flaw(f"its time {header.time_ns} ns is not after that of the frame before it, {self.time_ns} ns")
        if header.epoch != self.epoch:
            raise Flaw(f"its epoch {header.epoch} is not its segment's, {self.epoch}")
        if header.acknowledged >= header.sequence:
            raise Flaw(f"it says that frame {header.acknowledged} was acknowledged before it was written")
        if header.frame_bytes > room_bytes:
            raise Flaw(f"its header says {header.frame_bytes} bytes where its segment has {room_bytes} left")

    def _with_trailer(self, number: int, offset: int, data: Bytes, header: Header, *, last: bool) -> bytes:
        """The frame with the trailer that its header asks for; all its content is there and proven."""
        end = offset + header.frame_bytes
        if follower := self._follower(number, end, data, last=last):
            self._damaged(number, offset, f"its trailer is damaged, and {follower}", sequence=header.sequence)
        self.findings.append(
            f"{self._path(number)}: frame {header.sequence} at byte {offset} was whole but for its trailer: kept, "
            "and its trailer written again"
        )
        trailer = frames.trailer(header.sequence, header.frame_bytes, header.body_checksum)
        return bytes(data.data[offset : end - FRAME_TRAILER_BYTES]) + trailer

    def _judge_without_header(self, number: int, offset: int, data: Bytes, flaw: str, *, last: bool) -> None:
        """Nothing readable at `offset`: the end of the journal, a torn frame, one in doubt, or damage."""
        if not _words(data[offset:]).any():
            return
        sequence = self.sequence + 1
        if follower := self._follower(number, offset, data, last=last):
            self._damaged(number, offset, f"{flaw}, and {follower}", sequence=sequence)
        place = f"{self._path(number)}: frame {sequence} at byte {offset}"
        reach = data[offset : offset + FRAME_BYTES_MAX]
        if _find_trailer(reach, lambda found: found in (sequence, -1)) is not None:
            self.tail.doubt = f"{place}: {flaw}, but its trailer is there"
        else:
            self.tail.torn = f"{place}: {flaw}, and it has no trailer"
        self.tail.cut_until = _written_end(data)

    def _judge_with_header(self, number: int, offset: int, data: Bytes, header: Header, *, last: bool) -> None:
        """The header is sound, the rest is not: a torn frame, one in doubt, or damage."""
        end = offset + header.frame_bytes
        flaw = "its records, envelopes or padding do not match their checksum"
        if follower := self._follower(number, end, data, last=last):
            self._damaged(number, offset, f"{flaw}, and {follower}", sequence=header.sequence)
        place = f"{self._path(number)}: frame {header.sequence} at byte {offset}"
        # Any byte there means that the last sector of the frame was written; a power cut leaves zeros.
        if data[end - FRAME_TRAILER_BYTES : end].any():
            self.tail.doubt = f"{place}: {flaw}, but its trailer is there"
        else:
            self.tail.torn = f"{place}: {flaw}, and it has no trailer"
        self.tail.cut_until = _written_end(data)

    def _follower(self, number: int, offset: int, data: Bytes, *, last: bool) -> str:
        """What proves that a frame before `offset` was acknowledged: anything written after it. Empty if nothing."""
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
        """Make the end fit for appending, or raise TailInDoubt and change nothing.

        Returns the last segment, open for writing; None when `read_only`. An unfinished one after it is left, for the
        one that takes its name.
        """
        tail = self.tail
        if tail.doubt and not cut_tail:
            raise TailInDoubt(
                f"{tail.doubt}. It was the last to be written, and may have been acknowledged",
                hint=f"Look for a better copy of the file. Without one, frame {self.sequence + 1} can be given up: by "
                "`sycee restore --cut-tail` into a new folder, `sycee pilot --cut-tail`, or Ledger.open(..., "
                "cut_tail=True); ask every caller that had an answer to it.",
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
                self.disk.unlink(name)  # a segment that was being made; it never held a frame
        file = self.disk.open(segment_name(tail.segment), writable=True)
        for offset in range(tail.offset, tail.cut_until, len(_ZEROS)):
            file.pwrite(_ZEROS[: tail.cut_until - offset], offset)
        # The last frame may stand in the kernel's memory only: its process may have died before its fdatasync, or
        # after one that failed, which a second fdatasync would not notice. Writing it again makes it durable.
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
            or f"`sycee verify {ledger_folder(self.disk)}` says more. Nothing was changed; restore the file from a "
            "copy.",
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
    """All that can be done about a segment without knowing the ones before it."""
    file = disk.open(segment_name(number), writable=False)
    try:
        data = segments.read_whole(file)
    finally:
        file.close()
    proofs: dict[int, tuple[bool, bytes]] = {}
    offset = SEGMENT_HEADER_BYTES
    # What stops it here, `_walk` meets in its turn, and judges.
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
    """The folder people know: the one that holds the journal's."""
    return os.path.dirname(disk.folder.rstrip("/")) or "."  # noqa: PTH120 - a text for a message, not a path to open


def _words(data: Bytes) -> npt.NDArray[np.uint64]:
    return data.view(np.dtype("<u8"))


def _written_end(data: Bytes) -> int:
    """Where the last block that is not all zero ends."""
    last = int(np.flatnonzero(_words(data))[-1]) * _WORD_BYTES
    return (last // FRAME_ALIGNMENT_BYTES + 1) * FRAME_ALIGNMENT_BYTES


def _find_trailer(data: Bytes, wanted: Callable[[int], bool]) -> int | None:
    """Where the first trailer that is `wanted`, by its sequence, ends; see frame.trailer_sequence."""
    view = data.data
    starts = _words(data)[_BLOCK_WORDS - FRAME_TRAILER_BYTES // _WORD_BYTES :: _BLOCK_WORDS]
    for block in np.flatnonzero(starts == _TRAILER_MAGIC):
        end = (int(block) + 1) * FRAME_ALIGNMENT_BYTES
        found = frames.trailer_sequence(view[end - FRAME_TRAILER_BYTES : end])
        if found is not None and wanted(found):
            return end
    return None
