"""Records of single frames, read from the journal of a running ledger."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.sequencer.small import SEGMENT_BYTES, SHOP, TREASURY, opening, some_ids

from sycee.core.errors import IntegrityError
from sycee.core.records import operations
from sycee.journal import Journal
from sycee.journal.disk import RealDisk
from sycee.sequencer.embedded import Ledger
from sycee.sequencer.frame_records import FrameRecords
from sycee.sequencer.sequencer import Sequencer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_any_frame_of_any_segment_is_found(folder: Path) -> None:
    journal = Journal.create(RealDisk(folder / "journal"), segment_bytes=SEGMENT_BYTES)
    ledger = Ledger(Sequencer(journal))
    submitted = [opening()]
    submitted += [
        operations.transfer(some_ids(f"frame {at}", 7), debit=TREASURY, credit=SHOP, amount=1) for at in range(40)
    ]
    frames = FrameRecords(folder)
    for at, records in enumerate(submitted, 1):
        ledger.submit(records)
        found = frames.read(ledger.sequencer.durable_sequence)
        assert found.tobytes() == records.tobytes(), at
    first = ledger.sequencer.durable_sequence - len(submitted) + 1
    assert len(list((folder / "journal").glob("*.segment"))) > 2
    for reader in (frames, FrameRecords(folder)):
        for at in (40, 3, 17, 0, 39, 18):
            assert reader.read(first + at).tobytes() == submitted[at].tobytes()
    with pytest.raises(IntegrityError, match="cannot be read"):
        frames.read(ledger.sequencer.durable_sequence + 1)
    ledger.close()


def test_a_damaged_frame_is_refused(folder: Path) -> None:
    ledger = Ledger.open(folder)
    ledger.submit(opening())
    sequence = ledger.sequencer.durable_sequence
    (segment,) = (folder / "journal").glob("*1.segment")
    frames = FrameRecords(folder)
    assert frames.read(sequence).size == opening().size
    content = bytearray(segment.read_bytes())
    at = content.find(opening()[0].tobytes())
    with segment.open("r+b") as file:
        file.seek(at + 40)
        file.write(b"\xff")
    with pytest.raises(IntegrityError, match="do not match their checksum"):
        frames.read(sequence)
    ledger.close()
