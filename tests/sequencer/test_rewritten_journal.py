"""A journal from whose middle a signed operation was removed: every signature is valid, and a checkpoint detects it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.golden.book import Book
from tests.golden.ledgers_roles import KEYS, WITNESS, authority

from sycee.core.errors import IntegrityError
from sycee.core.records import layout
from sycee.core.records.layout import Kind
from sycee.journal import Anchor, Frame, FrameKind, Journal, RealDisk
from sycee.ledger import batch as batches
from sycee.ledger.state import LedgerState
from sycee.sequencer import checkpoint as checkpoints
from sycee.sequencer.applier import Applier
from sycee.sequencer.checkpoint import Checkpoint, Position
from sycee.sequencer.folders import journal_disk
from sycee.sequencer.verify import verify


def frames_of(folder: Path) -> list[Frame]:
    journal = Journal.open(journal_disk(folder), read_only=True)
    frames = list(journal.recover())
    journal.close()
    return frames


def rewrite(source: Path, target: Path, is_kept: Callable[[Frame], bool]) -> None:
    """Write a journal from some frames of another, with correct previous digests and movement digests."""
    frames, state = frames_of(source), LedgerState()
    ledger_id = Journal.open(journal_disk(source), read_only=True).ledger_id
    journal = Journal.create(RealDisk(target / "journal"), ledger_id=ledger_id, segment_bytes=32 << 10)
    epoch = frames[0].epoch
    for frame in frames:
        while epoch < frame.epoch:
            journal.begin_epoch()
            epoch += 1
        if is_kept(frame) and frame.kind is not FrameKind.CLOSE:
            journal.append(
                kind=frame.kind, time_ns=frame.time_ns, records=frame.records.tobytes(), calendar=frame.calendar,
                envelopes=frame.envelopes, movement_digest=state.movement_digest,
            )  # fmt: skip
            batch = batches.from_frame(frame.records)
            state.reserve(batch)
            state.apply(journal.last_sequence, frame.time_ns, batch, frame.calendar)
    journal.close(movement_digest=state.movement_digest)


def checkpoint_of(folder: Path, at: int) -> Checkpoint:
    """Return a witness's checkpoint of this frame."""
    journal, state = Journal.open(journal_disk(folder), read_only=True), LedgerState()
    for frame in journal.recover():
        Applier(state).replay(frame)
        if frame.sequence == at:
            break
    anchor = Anchor(frame.sequence, frame.time_ns, frame.digest)
    position = Position.of(state, ledger_id=journal.ledger_id, epoch=frame.epoch, anchor=anchor)
    journal.close()
    return checkpoints.sign(position, WITNESS, KEYS[WITNESS])


def is_the_payment(frame: Frame) -> bool:
    """Return whether the frame's only record is a payment signed with a wallet's key."""
    kinds = frame.records.reshape(-1).view(layout.OPERATION)["kind"].tolist()
    return kinds == [Kind.PAY] and bool(frame.envelopes)


def test_only_a_checkpoint_shows_that_a_signed_operation_was_removed(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    book = Book(whole, "authority")
    authority(book)
    book.close()
    (payment,) = filter(is_the_payment, frames_of(whole))
    signed = [checkpoint_of(whole, at) for at in (payment.sequence - 1, payment.sequence, payment.sequence + 1)]
    verify(whole, authority=True, checkpoints=signed)

    rewrite(whole, cut, lambda frame: frame.sequence != payment.sequence)
    assert len(frames_of(cut)) == len(frames_of(whole)) - 1
    verified = verify(cut, authority=True)  # every remaining signature is valid, and every sum is correct
    assert not verified.findings
    assert verified.digest != verify(whole).digest
    verify(cut, authority=True, checkpoints=signed[:1])  # an earlier checkpoint agrees
    for checkpoint in signed[1:]:
        with pytest.raises(IntegrityError, match="differs from the signed one"):
            verify(cut, authority=True, checkpoints=[checkpoint])


def test_a_journal_that_is_written_again_whole_agrees_with_the_checkpoint(tmp_path: Path) -> None:
    """So the checkpoint detects the missing operation, not the rewriting."""
    whole, again = tmp_path / "whole", tmp_path / "again"
    book = Book(whole, "authority")
    authority(book)
    book.close()
    rewrite(whole, again, lambda _: True)
    last = frames_of(whole)[-2].sequence
    verify(again, authority=True, checkpoints=[checkpoint_of(whole, last)])
