"""The journal of one ledger: create, recover, append, close, verify."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, Required, TypedDict, Unpack

import numpy as np

from sycee.core.arrays import Array
from sycee.core.buffers import BufferPool, FrameBuffer
from sycee.core.errors import JournalDamaged, UnavailableError, UsageError
from sycee.core.fork_guard import Owner
from sycee.core.limits import FRAME_ALIGNMENT_BYTES, FRAME_BYTES_MAX, FRAME_HEADER_BYTES, RECORD_BYTES, SEGMENT_BYTES
from sycee.core.worker_thread import Worker
from sycee.journal import frame as frames
from sycee.journal import segments
from sycee.journal.disk import Disk, DiskFile
from sycee.journal.frame import NO_DIGEST, Anchor, Digest, Flaw, Frame, FrameKind, Header
from sycee.journal.recovery import JournalReport, Scan, ledger_folder
from sycee.journal.segments import LEDGER_ID_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader, Spare

FIRST_EPOCH: Final = 1
EPOCH_MAX: Final = 2**32 - 1
# The next segment is created when an eighth of the current one is used: at full speed, filling a segment with zeros
# takes almost as long as writing its frames, and a ledger with little use never needs a second one.
SPARE_FRACTION: Final = 8
# If the average frame is larger, the next segment's space is reserved without writing zeros. Each fdatasync then
# changes metadata too, which takes 0.07 ms; writing the zeros would take longer.
LARGE_FRAME_BYTES: Final = 128 << 10

_HASHER: Final = Worker("sycee-frame-digest")


class FrameFields(TypedDict, total=False):
    """Parameters of `Journal.prepare`."""

    kind: Required[FrameKind]
    time_ns: Required[int]
    records: Array | bytes
    calendar: Sequence[tuple[int, int, int, int]]
    envelopes: Array | bytes
    movement_digest: Digest
    buffer: FrameBuffer | None


class PreparedFrame:
    """An encoded frame with a sequence, to be written by one `Journal.write`."""

    __slots__ = ("buffer", "digest", "frame_bytes", "is_own", "previous_digest", "sequence", "time_ns")

    def __init__(self, buffer: FrameBuffer, frame_bytes: int, header: Header, digest: Digest, *, is_own: bool) -> None:
        self.buffer = buffer
        self.is_own = is_own  # the buffer is the journal's, not the caller's
        self.digest = digest
        self.frame_bytes = frame_bytes
        self.sequence = header.sequence
        self.time_ns = header.time_ns
        self.previous_digest = header.previous_digest


class Journal:
    """Ordered frames on a disk that this object owns.

    Created by `create` or `open`. After `open`, iterate over `recover` to its end before appending. One thread may
    `prepare` while another is in `write`; no other method is thread-safe. After a failed write or fdatasync,
    every call except `close` raises UnavailableError: open the journal again, which checks it. The same applies to a
    forked child, where `close` writes nothing.
    """

    apply_may_overlap = True  # a written frame is committed, or the ledger stops: no other writer can replace it

    def __init__(self, disk: Disk, header: SegmentHeader, *, cut_tail: bool, read_only: bool) -> None:
        self.ledger_id: bytes = header.ledger_id
        self.epoch = header.epoch
        self.read_only = read_only
        self.findings: list[str] = []  # changes by recovery, one sentence each
        self.bytes_written = 0  # of frames, by this object
        self.last_sequence = 0  # newest durable frame, 0 for none
        self.last_time_ns = 0
        self.prepared_sequence = 0  # newest prepared frame, durable or not
        self.prepared_time_ns = 0
        self._owner = Owner()
        self._disk = disk
        self._cut_tail = cut_tail
        self._segment_bytes = header.segment_bytes
        self._spare = Spare(disk, header.segment_bytes)
        self._last_digest: Digest = frames.genesis_digest(header.ledger_id)
        self._prepared_digest: Digest = self._last_digest
        self._closed_cleanly = False
        self._file: DiskFile | None = None
        self._segment = 1
        self._offset = SEGMENT_HEADER_BYTES
        self._segment_frames = 0  # that this object wrote to the current segment
        self.buffers = BufferPool(FRAME_BYTES_MAX, FRAME_HEADER_BYTES, frames.body_checksum_of)
        self._hashing: FrameBuffer | None = None  # a thread reads it until `_prepared_digest` has its result
        self._released: FrameBuffer | None = None  # by the caller, while a thread was reading it
        self._failed = False
        self._closing = False

    @property
    def anchor(self) -> Anchor:
        """The newest durable frame; Anchor(0, 0, genesis digest) before the first one."""
        self._owner.check(self._disk.folder)
        self._await_digest()
        self._last_digest = frames.resolve_digest(self._last_digest)
        return Anchor(self.last_sequence, self.last_time_ns, self._last_digest)

    @staticmethod
    def exists(disk: Disk) -> bool:
        """Return whether there is a journal, valid or not. An interrupted `create` leaves none."""
        return disk.exists() and bool(segments.segment_numbers(disk))

    @classmethod
    def create(cls, disk: Disk, *, ledger_id: bytes | None = None, segment_bytes: int = SEGMENT_BYTES) -> Journal:
        """Create an empty journal and own its folder.

        `ledger_id` is 16 bytes, random unless given. Raises UsageError if a journal exists, UnavailableError if the
        disk refuses.
        """
        ledger_id = secrets.token_bytes(LEDGER_ID_BYTES) if ledger_id is None else ledger_id
        if len(ledger_id) != LEDGER_ID_BYTES:
            raise ValueError(f"a ledger id has {LEDGER_ID_BYTES} bytes, not {len(ledger_id)}")
        if segment_bytes % FRAME_ALIGNMENT_BYTES or segment_bytes < 2 * FRAME_ALIGNMENT_BYTES:
            raise ValueError(
                f"a segment of {segment_bytes} bytes is not a whole number of blocks with space for a frame"
            )
        header = SegmentHeader(ledger_id, 1, FIRST_EPOCH, 1, frames.genesis_digest(ledger_id), segment_bytes)
        disk.make_folder()
        disk.lock()
        file: DiskFile | None = None
        try:
            if cls.exists(disk):
                raise UsageError(
                    f"{disk.folder} already contains a journal",
                    hint="Open it, or choose an empty folder for a new ledger.",
                )
            if segments.SPARE_NAME in disk.names():
                disk.unlink(segments.SPARE_NAME)
            journal = cls(disk, header, cut_tail=False, read_only=False)
            file = journal._spare.pop()
            journal._file = file
            segments.publish(disk, file, segments.SPARE_NAME, header)
        except BaseException:
            if file is not None:
                file.close()
            disk.unlock()
            raise
        return journal

    @classmethod
    def open(cls, disk: Disk, *, cut_tail: bool = False, read_only: bool = False) -> Journal:
        """Open an existing journal; iterate over `recover` to its end next.

        `cut_tail` gives up a last frame in doubt. `read_only` locks and changes nothing; if another process is writing,
        the end may look incomplete. Raises UsageError if no journal exists, UnavailableError if another process owns
        it, JournalDamaged if the first segment's header is invalid.
        """
        if not cls.exists(disk):
            raise UsageError(
                f"{disk.folder} contains no journal", hint="Check the path of the folder, or create a ledger."
            )
        if not read_only:
            disk.lock()
        try:
            header = _first_header(disk)
        except BaseException:
            disk.unlock()
            raise
        return cls(disk, header, cut_tail=cut_tail, read_only=read_only)

    @classmethod
    def verify(cls, disk: Disk, *, cut_tail: bool = False) -> JournalReport:
        """Read the whole journal without changing it. Errors as `recover`."""
        journal = cls.open(disk, cut_tail=cut_tail, read_only=True)
        scan = Scan(disk, journal.ledger_id, journal.epoch)
        for _ in scan.read():
            pass
        scan.repair_tail(cut_tail=cut_tail, read_only=True)
        return scan.report()

    def recover(
        self,
        after: Anchor | None = None,
        *,
        anchors: Sequence[Anchor] = (),
        give_up: Callable[[int], None] | None = None,
    ) -> Iterator[Frame]:
        """Yield every valid frame in order, or those after an anchor; then repair the tail for `append`.

        With `after`, only the headers of the segments before the anchor's are checked, and its own from the beginning.
        `anchors` are further durable frames. Raises JournalDamaged for damage in acknowledged frames, and if the
        journal ends before an anchor or has another frame in its place; TailInDoubt if the last frame may have been
        acknowledged. Before an error nothing is changed, and the folder is released. With `cut_tail` and `give_up`, the
        frame that is cut may be one of `anchors`; `give_up(sequence)` is called before. `findings` lists cuts and
        repairs.
        """
        self._owner.check(self._disk.folder)
        gives_up = self._cut_tail and give_up is not None
        scan = Scan(self._disk, self.ledger_id, self.epoch, after, anchors, gives_up)
        try:
            yield from scan.read()
            if give_up is not None and gives_up and scan.tail.cut_until:
                give_up(scan.sequence + 1)
            if self._file is not None:  # `create` opened it; `repair_tail` opens the last one
                self._file.close()
            self._file = scan.repair_tail(cut_tail=self._cut_tail, read_only=self.read_only)
            self._continue_after(scan)
        except Exception:
            self._release()
            raise

    def _continue_after(self, scan: Scan) -> None:
        self.epoch = scan.epoch
        self.findings = scan.findings
        self.last_sequence = self.prepared_sequence = scan.sequence
        self.last_time_ns = self.prepared_time_ns = scan.time_ns
        self._last_digest = self._prepared_digest = scan.digest
        self._closed_cleanly = scan.closed
        self._segment = scan.tail.segment
        self._offset = scan.tail.offset
        self._segment_bytes = scan.tail.segment_bytes
        if scan.tail.unfinished_segment and not self.read_only:
            # Its header is lost. It may have begun the next epoch; with the one after that, no frame can be confused
            # with its writer's. The segment is replaced in one step, so that no power cut can lose this.
            self._next_segment(self.last_sequence + 1, scan.digest, self.epoch + 2)
            self.findings.append(f"epoch {self.epoch} begins: the segment that was cut may have begun the one before")

    def begin_epoch(self) -> int:
        """Begin the next epoch in a new segment; return its number once it is durable.

        For a process that takes a journal over from another writer: the epochs distinguish their frames. Call it after
        `recover`, before preparing frames. Raises ValueError if a frame was prepared and not written, UnavailableError
        if the disk refuses; the journal then accepts nothing more.
        """
        self._require_writable()
        if self.prepared_sequence != self.last_sequence:
            raise ValueError(f"frame {self.prepared_sequence} of epoch {self.epoch} is not written yet")
        if self.epoch == EPOCH_MAX:
            raise ValueError(f"epoch {EPOCH_MAX} is the last one")
        try:
            self._next_segment(self.last_sequence + 1, self.anchor.digest, self.epoch + 1)
        except BaseException:
            self._failed = True
            raise
        return self.epoch

    def append(self, **fields: Unpack[FrameFields]) -> int:
        """Write one frame; return its sequence once it is durable. Parameters and errors as `prepare` and `write`."""
        return self.write(self.prepare(**fields))

    def prepare(
        self,
        *,
        kind: FrameKind,
        time_ns: int,
        records: Array | bytes = b"",
        calendar: Sequence[tuple[int, int, int, int]] = (),
        envelopes: Array | bytes = b"",
        movement_digest: Digest = NO_DIGEST,
        buffer: FrameBuffer | None = None,
    ) -> PreparedFrame:
        """Encode one frame with the next sequence, without using the disk.

        - `records`: whole 128-byte records; `envelopes`: whole 104-byte envelopes; both as any array or bytes.
        - `time_ns`: after `prepared_time_ns`. `calendar`: (currency, day, month, year) of each currency.
        - `movement_digest`: the ledger's digest before this frame.
        - `buffer`: one of `buffers` that already contains the records; the frame is built around them. The caller
          releases it once the frame is written and the records are not needed any more.

        All prepared frames must be written, in their order. Raises ValueError for content that no frame can have; the
        sequence then stays free.
        """
        self._require_writable()
        if time_ns <= self.prepared_time_ns:
            raise ValueError(
                f"time {time_ns} ns is not after {self.prepared_time_ns} ns, the time of the previous frame"
            )
        view, signed = _as_bytes(records), _as_bytes(envelopes)
        frame_bytes = frames.padded_bytes(len(view) // RECORD_BYTES, len(signed))
        if frame_bytes > self._segment_bytes - SEGMENT_HEADER_BYTES:
            raise ValueError(f"a frame of {frame_bytes} bytes does not fit a segment of {self._segment_bytes} bytes")
        header = Header(
            sequence=self.prepared_sequence + 1,
            kind=kind,
            time_ns=time_ns,
            acknowledged=self.last_sequence,
            epoch=self.epoch,
            previous_digest=frames.resolve_digest(self._prepared_digest),
            calendar=frames.as_calendar(calendar),
            record_count=len(view) // RECORD_BYTES,
            movement_digest=frames.resolve_digest(movement_digest),
        )
        frames.require_possible(header, len(view), len(signed))
        self._await_digest()
        is_own = buffer is None
        buffer = buffer or self.buffers.acquire()
        body_checksum = None if signed else buffer.body_checksum
        frame_bytes = frames.encode_into(
            buffer.memory, header, view, signed, in_place=not is_own, body_checksum=body_checksum
        )
        content = buffer.memory[:frame_bytes]
        if frame_bytes >= LARGE_FRAME_BYTES and self._disk.concurrent:
            # The digest is needed for the next frame, after this frame's fdatasync.
            self._prepared_digest, self._hashing = _HASHER.submit(partial(frames.digest_of, content)), buffer
        else:
            self._prepared_digest = frames.digest_of(content)
        self.prepared_sequence = header.sequence
        self.prepared_time_ns = time_ns
        return PreparedFrame(buffer, frame_bytes, header, self._prepared_digest, is_own=is_own)

    def write(self, prepared: PreparedFrame) -> int:
        """Write a prepared frame; return its sequence once it is durable.

        Raises UnavailableError if the disk refuses; the journal then accepts nothing more.
        """
        self._require_writable()
        if prepared.sequence != self.last_sequence + 1:
            raise ValueError(f"frame {prepared.sequence} cannot be written after frame {self.last_sequence}")
        try:
            if self._offset + prepared.frame_bytes > self._segment_bytes:
                self._next_segment(prepared.sequence, prepared.previous_digest, self.epoch)
            file = self._open_file()
            file.pwrite(prepared.buffer.memory[: prepared.frame_bytes], self._offset)
            # Before the result: a payment that a caller saw as created must survive a power cut.
            file.fdatasync()
        except BaseException:
            self._failed = True
            raise
        self._offset += prepared.frame_bytes
        self._segment_frames += 1
        self.bytes_written += prepared.frame_bytes
        self.last_sequence = prepared.sequence
        self.last_time_ns = prepared.time_ns
        self._last_digest = prepared.digest
        self._closed_cleanly = False
        if prepared.is_own:
            self.release(prepared.buffer)
        if self._offset * SPARE_FRACTION > self._segment_bytes and not self._closing:
            # Writing zeros takes as long as writing frames; it is worthwhile only if frames are small.
            self._spare.prepare(written=self._offset < self._segment_frames * LARGE_FRAME_BYTES)
        return prepared.sequence

    def release(self, buffer: FrameBuffer) -> None:
        """Return a buffer to `buffers` after its frame was written or given up."""
        if buffer is self._hashing:
            self._released = buffer  # returned to the pool when its digest is computed
        else:
            self.buffers.release(buffer)

    def _await_digest(self) -> None:
        """Wait until no thread reads a buffer."""
        if self._hashing is not None:
            self._prepared_digest = frames.resolve_digest(self._prepared_digest)
            self._hashing = None
            if self._released is not None:
                self.buffers.release(self._released)
                self._released = None

    def _next_segment(self, first_sequence: int, previous_digest: bytes, epoch: int) -> None:
        # All earlier frames are durable, so the existence of a segment proves the one before it.
        file = self._spare.pop()
        self._segment_bytes = self._spare.segment_bytes
        header = SegmentHeader(
            self.ledger_id, self._segment + 1, epoch, first_sequence, previous_digest, self._segment_bytes
        )
        segments.publish(self._disk, file, segments.SPARE_NAME, header)
        self._open_file().close()
        self._file = file
        self._segment += 1
        self._offset = SEGMENT_HEADER_BYTES
        self._segment_frames = 0
        self.epoch = epoch

    def close(self, *, clean: bool = True, time_ns: int | None = None, movement_digest: bytes = NO_DIGEST) -> None:
        """Write a CLOSE frame, unless the last frame is one, and release the folder.

        `time_ns` is the CLOSE frame's time, by default just after the last frame's; `movement_digest` is the ledger's.
        A caller without that digest passes `clean=False`, and no CLOSE frame is written. A second call does nothing.
        Raises UnavailableError if the disk refuses the CLOSE frame; the folder is released anyway. In a forked child,
        only the child's copies of the files are closed.
        """
        try:
            if self._file is None or self._failed or not self._owner.is_here:
                return
            self._closing = True
            # A prepared frame that was never written breaks the chain: such a run cannot end cleanly.
            whole = self.prepared_sequence == self.last_sequence
            if clean and whole and self.last_sequence and not self._closed_cleanly:
                self.append(
                    kind=FrameKind.CLOSE, time_ns=time_ns or self.last_time_ns + 1, movement_digest=movement_digest
                )
            self._spare.discard()
        finally:
            self._release()

    def _release(self) -> None:
        if self._owner.is_here:
            self._spare.abandon()
        if self._file is not None:
            self._file.close()
            self._file = None
        self._disk.unlock()

    def _open_file(self) -> DiskFile:
        if self._file is None:
            raise ValueError("the journal is not open for writing: iterate over recover() to its end first")
        return self._file

    def _require_writable(self) -> None:
        self._owner.check(self._disk.folder)
        if self._failed:
            raise UnavailableError(
                "the journal stopped after a failed write",
                hint="Start again: everything acknowledged is safe, and the end of the journal is checked.",
            )
        self._open_file()


def _first_header(disk: Disk) -> SegmentHeader:
    number = segments.segment_numbers(disk)[0]
    file = disk.open(segments.segment_name(number), writable=False)
    try:
        block = memoryview(bytearray(SEGMENT_HEADER_BYTES))
        length = file.pread_into(block, 0)
        return segments.decode_header(block[:length])
    except Flaw as flaw:
        raise JournalDamaged(
            f"{disk.folder}/{segments.segment_name(number)}: byte 0: {flaw}",
            hint=f"Run `sycee verify {ledger_folder(disk)}` for details. Nothing was changed; restore the file from a "
            "copy.",
        ) from flaw
    finally:
        file.close()


def _as_bytes(records: Array | bytes) -> memoryview:
    """Return bytes or an array as flat bytes, without a copy if it is contiguous."""
    if isinstance(records, bytes):
        return memoryview(records)
    return np.ascontiguousarray(records).reshape(-1).view(np.uint8).data
