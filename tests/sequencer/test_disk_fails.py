"""A disk that refuses stops the ledger with an error. Everything acknowledged before is durable."""

from __future__ import annotations

import pytest
from tests.sequencer.small import SHOP, START_NS, TREASURY, first_results, opening, run, some_ids, start

from sycee.core.arrays import Array
from sycee.core.clock import SimulatedClock
from sycee.core.errors import UnavailableError
from sycee.core.limits import FRAME_RECORDS_MAX
from sycee.core.records import operations
from sycee.core.result_codes import Result
from sycee.journal import FrameKind, Journal
from sycee.sequencer.sequencer import Sequencer
from sycee.testing.disk import FakeDisk, Loss

Acknowledged = list[tuple[Array, Array]]


def require_stopped(disk: FakeDisk, acknowledged: Acknowledged, clock: SimulatedClock, overlap: bool) -> None:
    """Run the small history until the failure, and check everything that follows."""
    sequencer = start(disk, clock, overlap=overlap)
    with pytest.raises(UnavailableError, match=r"fake/journal/\d{12}\.segment|spare") as error:
        run(sequencer, clock, acknowledged)
    assert error.value.hint
    before = disk.operations.total()
    for _ in range(2):
        with pytest.raises(UnavailableError, match="the ledger stopped at frame") as again:
            sequencer.submit(operations.transfer(900, debit=TREASURY, credit=SHOP, amount=1))
        assert str(error.value) in str(again.value), "the first cause is missing"
        # Memory may be ahead of the disk, so all reads are refused, also of a bound id.
        with pytest.raises(UnavailableError), sequencer.reading():
            pass
        with pytest.raises(UnavailableError):
            sequencer.submit(opening())
    sequencer.close()
    sequencer.close()
    assert disk.operations.total() == before, "something was written after the failure"


def require_kept(disk: FakeDisk, acknowledged: Acknowledged) -> None:
    clock = SimulatedClock(START_NS)
    sequencer = start(disk, clock)
    sequencer.state.check()
    for records, answers in acknowledged:
        again = sequencer.submit(records)
        assert set(again["code"].tolist()) == {Result.EXISTS}
        assert again["first_code"].tolist() == first_results(answers)
    run(sequencer, clock, [])
    sequencer.state.check()
    undisturbed = start(FakeDisk(), clock := SimulatedClock(START_NS))
    run(undisturbed, clock, [])
    assert sequencer.state.digest() == undisturbed.state.digest()


OF_THE_SPARE = 3  # of the next segment, created before it is needed


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("sync", [sync for sync in range(2, 15) if sync != OF_THE_SPARE])
def test_a_failed_fsync(sync: int, overlap: bool) -> None:
    """Fail each fdatasync in turn: of the frames, of the next segment, of its header."""
    clock, disk = SimulatedClock(START_NS), FakeDisk()
    start(disk, clock).close()
    disk = disk.kill()
    disk.fail_sync_at = sync  # the first one is from the start
    acknowledged: Acknowledged = []
    require_stopped(disk, acknowledged, clock, overlap)
    for next_disk in (disk.crash(loss=Loss.LOST), disk.crash(7), disk.kill()):
        require_kept(next_disk, acknowledged)


def test_a_failed_fsync_of_the_next_segment() -> None:
    """The next segment is created again in another file when it is needed, since the first was never used."""
    clock, disk = SimulatedClock(START_NS), FakeDisk()
    start(disk, clock).close()
    disk = disk.kill()
    disk.fail_sync_at = OF_THE_SPARE
    acknowledged: Acknowledged = []
    run(start(disk, clock), clock, acknowledged)
    assert disk.faults["failed fdatasync"] == 1
    for next_disk in (disk.crash(loss=Loss.LOST), disk.crash(7), disk.kill()):
        require_kept(next_disk, acknowledged)


def test_a_full_disk() -> None:
    clock = SimulatedClock(START_NS)
    disk = FakeDisk(space_bytes=60 << 10)  # the first segment fits, the second does not
    acknowledged: Acknowledged = []
    require_stopped(disk, acknowledged, clock, overlap=False)
    assert len(acknowledged) > 5
    for next_disk in (disk.crash(loss=Loss.LOST), disk.crash(7), disk.kill()):
        next_disk.space_bytes = None
        require_kept(next_disk, acknowledged)


def test_a_request_of_many_frames_may_be_done_in_part() -> None:
    """The call raises the error, since not all of it is durable; sent again, each part is done once."""
    clock, disk = SimulatedClock(START_NS), FakeDisk()
    sequencer = Sequencer(Journal.create(disk), clock=clock, overlap=False)
    sequencer.submit(opening())
    count = 3 * FRAME_RECORDS_MAX
    records = operations.transfer(some_ids("many", count), debit=TREASURY, credit=SHOP, amount=1)
    disk.fail_sync_at = disk.operations["fdatasync"] + 2
    with pytest.raises(UnavailableError):
        sequencer.submit(records)
    sequencer = Sequencer(Journal.open(disk.crash(loss=Loss.LOST)), clock=clock)
    answers = sequencer.submit(records)
    assert answers["code"].tolist() == [Result.EXISTS] * FRAME_RECORDS_MAX + [Result.CREATED] * 1_886 + [
        Result.EXCEEDS_BALANCE
    ] * (count - FRAME_RECORDS_MAX - 1_886)
    with sequencer.reading() as state:
        state.check()
        assert state.account(SHOP).balance == 9_950  # type: ignore[union-attr]


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("what", ["before", "after"])
def test_ctrl_c_between_disk_and_memory_ends_without_a_close(
    what: str, overlap: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frame is durable, but the state differs from a replay: a CLOSE frame would have the wrong movements."""
    disk, clock = FakeDisk(), SimulatedClock(START_NS)
    sequencer = start(disk, clock, overlap=overlap)
    sequencer.submit(opening())
    real = sequencer.state.apply

    def interrupted(*arguments: object, **seen: object) -> Array:
        if what == "after":
            real(*arguments, **seen)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(sequencer.state, "apply", interrupted)
    record = operations.transfer(900, debit=TREASURY, credit=SHOP, amount=1)
    with pytest.raises(KeyboardInterrupt):
        sequencer.submit(record)
    with pytest.raises(UnavailableError, match="the ledger stopped at frame 3: KeyboardInterrupt"):
        sequencer.submit(record)
    sequencer.close()
    frames = list(Journal.open(disk.kill(), read_only=True).recover())
    assert [frame.kind for frame in frames] == [FrameKind.OPERATIONS] * 3
    reopened = start(disk.kill(), clock)
    assert reopened.submit(record)["code"].tolist() == [Result.EXISTS]
    reopened.state.check()
    reopened.close()
    start(disk.kill(), clock).close()
