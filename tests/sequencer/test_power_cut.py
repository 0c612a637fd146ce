"""A power cut at every disk operation of a small history: nothing is lost, nothing is done twice."""

from __future__ import annotations

from functools import cache

import pytest
from tests.sequencer.small import START_NS, first_results, run, start, steps

from sycee.core.arrays import Array
from sycee.core.clock import SimulatedClock
from sycee.core.errors import TailInDoubt
from sycee.core.result_codes import Result
from sycee.sequencer.sequencer import Sequencer
from sycee.testing.disk import FakeDisk, Loss, PowerCut

WAYS = ((Loss.RANDOM, 1), (Loss.RANDOM, 2), (Loss.LOST, 0), (Loss.KEPT, 0), (Loss.FIRST, 3), (Loss.LAST, 4))
Acknowledged = list[tuple[Array, Array]]


@cache
def undisturbed() -> tuple[Acknowledged, bytes, int]:
    """Return the results of an undisturbed run, its digest, and its number of disk operations."""
    disk, clock = FakeDisk(), SimulatedClock(START_NS)
    acknowledged: Acknowledged = []
    sequencer = start(disk, clock)
    run(sequencer, clock, acknowledged)
    digest = sequencer.state.digest()
    sequencer.close()
    return acknowledged, digest, disk.operations.total()


def interrupted(after: int) -> tuple[FakeDisk, Acknowledged]:
    disk, clock = FakeDisk(cut_after=after), SimulatedClock(START_NS)
    acknowledged: Acknowledged = []
    try:
        sequencer = start(disk, clock)
        run(sequencer, clock, acknowledged)
        sequencer.close()
    except PowerCut:
        return disk, acknowledged
    raise AssertionError(f"there are no {after} operations on the disk")


def start_whatever(disk: FakeDisk, clock: SimulatedClock) -> Sequencer:
    try:
        return start(disk, clock)
    except TailInDoubt:
        # The frame in doubt was not acknowledged in this test; otherwise a person would have to check.
        return start(disk, clock, cut_tail=True)


def require_whole(disk: FakeDisk, acknowledged: Acknowledged) -> None:
    clock = SimulatedClock(START_NS)
    sequencer = start_whatever(disk, clock)
    sequencer.state.check()
    for records, answers in acknowledged:
        again = sequencer.submit(records)
        assert set(again["code"].tolist()) == {Result.EXISTS}
        assert again["first_code"].tolist() == first_results(answers)
        assert again["place"].tolist() == answers["place"].tolist()
    # There is no frame 0, the first has the version of the rules, and one may be incomplete.
    assert len(sequencer.frame_times) <= len(acknowledged) + 3, "a frame that was never asked for"
    resubmitted: Acknowledged = []
    run(sequencer, clock, resubmitted)
    undisturbed_answers, digest, _ = undisturbed()
    for (_, answers), (_, expected) in zip(resubmitted, undisturbed_answers, strict=True):
        assert first_results(answers) == first_results(expected)
    assert sequencer.state.digest() == digest
    sequencer.state.check()
    sequencer.close()
    reopened = start(disk.crash(loss=Loss.LOST), clock)
    assert reopened.state.digest() == digest


def test_the_history_has_the_expected_results() -> None:
    acknowledged, _, _ = undisturbed()
    assert len(acknowledged) == len(steps())
    codes = [Result(code) for _, answers in acknowledged for code in answers["code"].tolist()]
    assert codes.count(Result.EXCEEDS_BALANCE) == 2
    assert set(codes) == {Result.CREATED, Result.EXCEEDS_BALANCE}


@pytest.mark.parametrize("after", range(undisturbed()[2]))
def test_nothing_acknowledged_is_lost(after: int) -> None:
    """Half of the ways after every second operation, the others after the operations between them."""
    disk, acknowledged = interrupted(after)
    for loss, seed in WAYS[after % 2 :: 2]:
        require_whole(disk.crash(seed, loss), acknowledged)


@pytest.mark.soak
@pytest.mark.parametrize("after", range(undisturbed()[2]))
def test_nothing_acknowledged_is_lost_in_many_ways(after: int) -> None:
    disk, acknowledged = interrupted(after)
    for seed in range(100, 140):
        require_whole(disk.crash(seed, Loss.RANDOM), acknowledged)


@pytest.mark.parametrize("after", range(undisturbed()[2]))
def test_a_killed_process_loses_nothing(after: int) -> None:
    disk, acknowledged = interrupted(after)
    require_whole(disk.kill(), acknowledged)


def test_successive_power_cuts() -> None:
    """Each run lasts a little longer: after dozens of power cuts the final state is the same."""
    disk, acknowledged = interrupted(14)
    rounds = 0
    while True:
        rounds += 1
        disk = disk.crash(rounds)
        disk.cut_after = 6 + rounds // 8
        clock = SimulatedClock(START_NS)
        try:
            sequencer = start_whatever(disk, clock)
            for records, answers in acknowledged:
                assert sequencer.submit(records)["first_code"].tolist() == first_results(answers)
            more: Acknowledged = []
            try:
                run(sequencer, clock, more)
            finally:
                acknowledged += more[len(acknowledged) :]
            assert sequencer.state.digest() == undisturbed()[1]
            break
        except PowerCut:
            continue
    assert rounds > 3
    disk.cut_after = None
    require_whole(disk.crash(loss=Loss.LOST), acknowledged)
