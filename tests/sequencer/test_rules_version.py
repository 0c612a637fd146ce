"""The journal contains the version of the rules, and a release that computes different movements reports it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.sequencer.small import LEDGER_ID, START_NS, opening, run, some_ids, start

from sycee import __version__
from sycee.core.arrays import Array
from sycee.core.clock import SimulatedClock
from sycee.core.errors import IntegrityError, UnavailableError, UsageError
from sycee.core.records import layout, operations
from sycee.core.records.layout import Kind
from sycee.core.result_codes import Result
from sycee.journal import FrameKind, Journal
from sycee.ledger.state import LedgerState
from sycee.sequencer import rules_version
from sycee.sequencer.embedded import Ledger
from sycee.sequencer.rules_version import RELEASES, RULES_OLDEST, RULES_VERSION, upgrade_record
from sycee.testing.disk import FakeDisk


def first_records(disk: FakeDisk) -> list[Array]:
    frames = Journal.open(disk.kill(), read_only=True).recover()
    return [frame.records.reshape(-1).view(layout.OPERATION) for frame in frames]


def test_the_first_frame_of_a_ledger_has_its_rules_version() -> None:
    disk, clock = FakeDisk(), SimulatedClock(START_NS)
    sequencer = start(disk, clock)
    assert sequencer.durable_sequence == 0
    # A malformed operation changes nothing, so it writes no UPGRADE.
    sequencer.submit(operations.transfer(0, debit=1, credit=2, amount=1))
    assert sequencer.durable_sequence == 0
    answers = sequencer.submit(opening())
    assert answers["place"].tolist() == [2 << 13 | at for at in range(opening().size)]
    with sequencer.reading() as state:
        assert (state.rules, state.release) == (RULES_VERSION, f"sycee {__version__}")
    sequencer.submit(operations.define_group(77, group=1))
    upgrades = [Kind.UPGRADE in records["kind"] for records in first_records(disk)]
    assert upgrades == [True, False, False]
    assert first_records(disk)[0].size == 1
    sequencer.close()
    reopened = start(disk.kill(), clock)
    reopened.submit(operations.define_group(78, group=2))
    assert sum(Kind.UPGRADE in records["kind"] for records in first_records(disk)) == 1


def test_the_same_history_ends_with_the_same_digest_in_every_ledger(tmp_path: Path) -> None:
    digests = set()
    for name in ("one", "other"):
        with Ledger.open(tmp_path / name, clock=SimulatedClock(START_NS)) as ledger:
            ledger.submit(opening())
            digests.add(ledger.digest())
    assert len(digests) == 1


def test_a_release_with_newer_rules_writes_an_upgrade_first(monkeypatch: pytest.MonkeyPatch) -> None:
    disk, clock = FakeDisk(), SimulatedClock(START_NS)
    sequencer = start(disk, clock)
    sequencer.submit(opening())
    sequencer.close()
    monkeypatch.setattr(rules_version, "RULES_VERSION", RULES_VERSION + 1)
    disk = disk.kill()
    sequencer = start(disk, clock)
    before = sequencer.durable_sequence
    sequencer.submit(operations.transfer(0, debit=1, credit=2, amount=1))
    sequencer.submit(opening())
    assert sequencer.durable_sequence == before, "nothing was asked for yet"
    sequencer.submit(operations.define_group(77, group=1))
    assert sequencer.durable_sequence == before + 2
    with sequencer.reading() as state:
        assert state.rules == RULES_VERSION + 1
    sequencer.close()
    monkeypatch.undo()
    with pytest.raises(UnavailableError, match=f"follows version {RULES_VERSION + 1} of the rules") as error:
        start(disk.kill(), clock)
    assert error.value.hint is not None
    assert "newer" in error.value.hint


def test_a_caller_cannot_lift_a_ledger_out_of_this_releases_reach() -> None:
    disk, clock = FakeDisk(), SimulatedClock(START_NS)
    sequencer = start(disk, clock)
    sequencer.submit(opening())
    record = upgrade_record(LedgerState())
    record["id_low"] += np.uint64(1)
    record["number"] = RULES_VERSION + 1
    with pytest.raises(UsageError, match=f"UPGRADE to version {RULES_VERSION + 1} of the rules"):
        sequencer.submit(record)
    record["number"] = RULES_VERSION
    assert sequencer.submit(record)["code"].tolist() == [Result.RULES_NOT_NEWER]
    sequencer.close()
    start(disk.kill(), clock).close()


def test_an_upgrade_uses_another_id_if_its_own_is_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    disk, clock = FakeDisk(), SimulatedClock(START_NS)
    sequencer = start(disk, clock)
    sequencer.submit(opening())
    monkeypatch.setattr(rules_version, "RULES_VERSION", RULES_VERSION + 1)
    taken = upgrade_record(sequencer.state)
    monkeypatch.undo()
    squatter = operations.define_group(int(taken["id_high"][0]) << 64 | int(taken["id_low"][0]), group=9)
    assert sequencer.submit(squatter)["code"].tolist() == [Result.CREATED]
    monkeypatch.setattr(rules_version, "RULES_VERSION", RULES_VERSION + 1)
    sequencer.submit(operations.define_group(77, group=1))
    with sequencer.reading() as state:
        assert state.rules == RULES_VERSION + 1


def test_frames_carry_the_digest_of_the_movements_before_them() -> None:
    disk, clock = FakeDisk(), SimulatedClock(START_NS)
    sequencer = start(disk, clock)
    run(sequencer, clock, [])
    last = sequencer.state.movement_digest
    sequencer.close()
    state = LedgerState()
    digests = []
    for frame in Journal.open(disk.kill(), read_only=True).recover():
        assert frame.movement_digest == state.movement_digest
        digests.append(frame.movement_digest)
        if frame.kind is FrameKind.OPERATIONS:
            records = frame.records.reshape(-1).view(layout.OPERATION).copy()
            state.reserve(records)
            state.apply(frame.sequence, frame.time_ns, records, frame.calendar)
    assert digests[0] == bytes(32)
    assert digests[-1] == last
    assert len(set(digests)) == len(digests)


def journal_with(disk: FakeDisk, *, digest: bytes, upgrade: bool) -> None:
    """Write two frames by hand; the second has `digest` as the digest of the first one's movements."""
    journal = Journal.create(disk, ledger_id=LEDGER_ID)
    first = np.concatenate([*([upgrade_record(LedgerState())] if upgrade else []), opening()])
    journal.append(kind=FrameKind.OPERATIONS, time_ns=START_NS, records=first)
    more = operations.define_group(some_ids("more", 1), group=1)
    journal.append(kind=FrameKind.OPERATIONS, time_ns=START_NS + 1, records=more, movement_digest=digest)


def test_a_release_that_computes_otherwise_names_the_frame() -> None:
    disk = FakeDisk()
    journal_with(disk, digest=b"\1" * 32, upgrade=True)
    with pytest.raises(IntegrityError, match=r"segment at byte 8192: frame 2: the digest of the movements before"):
        start(disk.kill(), SimulatedClock(START_NS))
    start(FakeDisk(), SimulatedClock(START_NS)).close()  # the folder was released, and everything else is correct


def test_a_ledger_of_rules_too_old_to_replay_names_the_release_that_does(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(RELEASES) == set(range(rules_version.RULES_OLDEST))
    disk = FakeDisk()
    journal_with(disk, digest=bytes(32), upgrade=False)
    message = f"follows version 0 of the rules; this release replays versions from {RULES_OLDEST}"
    with pytest.raises(UnavailableError, match=message) as error:
        start(disk.kill(), SimulatedClock(START_NS))
    assert str(error.value.hint).startswith("No release has these rules: a development version wrote the ledger.")
    assert __version__ not in RELEASES.values(), "this release does not replay it"
    monkeypatch.setitem(RELEASES, 0, "0.0.9")
    with pytest.raises(UnavailableError, match=message) as error:
        start(disk.kill(), SimulatedClock(START_NS))
    assert error.value.hint == "Use Sycee 0.0.9, which replays it. Nothing was changed."
