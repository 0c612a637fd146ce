"""Power cuts at every operation of a small history, and the start after each."""

from __future__ import annotations

import pytest
from tests.each import case
from tests.journal.history import ENVELOPES, FIRST, Written, append, create, recover, recover_whatever, run

from sycee.core.errors import UnavailableError
from sycee.journal import FrameKind, Journal
from sycee.testing.disk import FakeDisk, Loss, PowerCut

pytestmark = pytest.mark.fast

SEEDS = {Loss.LOST: 1, Loss.KEPT: 1, Loss.FIRST: 1, Loss.LAST: 1, Loss.SHUFFLED: 1, Loss.RANDOM: 2}
SOAK_SEEDS = {Loss.FIRST: 20, Loss.LAST: 20, Loss.SHUFFLED: 20, Loss.RANDOM: 60}
DURING = 8  # operations of a recovery before the power is cut again


def undisturbed() -> tuple[list[Written], int]:
    disk = FakeDisk()
    written: list[Written] = []
    run(disk, written)
    return written, disk.operations.total()


ALL, OPERATIONS = undisturbed()


def cut(after: int) -> tuple[FakeDisk, list[Written]]:
    disk = FakeDisk(cut_after=after)
    acknowledged: list[Written] = []
    with pytest.raises(PowerCut):
        run(disk, acknowledged)
    return disk, acknowledged


def require_whole(disk: FakeDisk, acknowledged: list[Written]) -> bool:
    """Recover after a crash and require all acknowledged frames. Return whether the tail was in doubt."""
    if not Journal.exists(disk):
        assert acknowledged == []
        journal, found, doubted = create(disk), [], False
    else:
        journal, found, doubted = recover_whatever(disk)
    assert found == ALL[: len(found)], "a frame that was never written"
    assert found[: len(acknowledged)] == acknowledged, "an acknowledged frame is lost"
    assert len(found) <= len(acknowledged) + 1
    if doubted:
        assert len(found) == len(acknowledged), "there was no doubt to have"

    # The journal accepts new frames after the cut, large and small, and reopens without findings.
    found += [append(journal, 90), append(journal, 1)]
    journal.close()
    found.append((journal.last_sequence, FrameKind.CLOSE, journal.last_time_ns, b""))
    journal, again = recover(disk.crash(loss=Loss.LOST))
    assert again == found
    assert journal.findings == []
    return doubted


def require_nothing_lost(seeds: dict[Loss, int]) -> None:
    for after in range(OPERATIONS):
        with case(after):
            disk, acknowledged = cut(after)
            for loss, count in seeds.items():
                for seed in range(count):
                    require_whole(disk.crash(seed, loss), acknowledged)


def test_a_power_cut_loses_nothing_acknowledged() -> None:
    require_nothing_lost(SEEDS)


@pytest.mark.soak
def test_power_cuts_of_many_kinds_lose_nothing_acknowledged() -> None:
    require_nothing_lost(SOAK_SEEDS)


def test_the_history_crosses_segments_and_every_verdict_occurs() -> None:
    disk = FakeDisk()
    run(disk, [])
    assert [name for name in disk.names() if name.endswith(".segment")] == [f"{n:012}.segment" for n in (1, 2, 3)]
    seen = set()
    for after in range(OPERATIONS):
        interrupted, _ = cut(after)
        for seed in range(4):
            for loss in (Loss.LAST, Loss.RANDOM):
                crashed = interrupted.crash(seed, loss)
                if Journal.exists(crashed):
                    journal, _, doubted = recover_whatever(crashed)
                    seen.add("doubt" if doubted else "torn" if journal.findings else "clean")
    assert seen == {"doubt", "torn", "clean"}


def require_nothing_lost_during_recovery(after: int, losses: list[Loss]) -> None:
    disk, acknowledged = cut(after)
    for first, loss in enumerate(losses):
        for during in range(DURING):
            crashed = disk.crash(first, loss)
            crashed.cut_after = during
            try:
                recover_whatever(crashed)
            except PowerCut:
                require_whole(crashed.crash(during, Loss.RANDOM), acknowledged)
            else:
                break


def test_a_power_cut_during_recovery_loses_nothing_acknowledged() -> None:
    """Half of the kinds of loss after every third operation, in turn."""
    for number, after in enumerate(range(8, OPERATIONS, 3)):
        with case(after):
            require_nothing_lost_during_recovery(after, list(Loss)[number % 2 :: 2])


@pytest.mark.soak
def test_a_power_cut_during_any_recovery_loses_nothing_acknowledged() -> None:
    for after in range(8, OPERATIONS):
        with case(after):
            require_nothing_lost_during_recovery(after, list(Loss))


def test_a_killed_process_loses_nothing_at_all() -> None:
    for after in range(OPERATIONS):
        with case(after):
            disk, acknowledged = cut(after)
            killed = disk.kill()
            # The kernel's memory outlives the process: the second process finds unacknowledged frames there and keeps
            # them. After a power cut, every frame that the second process returned must still be there.
            if not Journal.exists(killed):
                assert acknowledged == []
                continue
            journal, found = recover(killed)
            assert found[: len(acknowledged)] == acknowledged
            assert recover(killed.crash(loss=Loss.LOST))[1] == found
            assert journal.last_sequence == len(found)


def test_a_failed_fdatasync_stops_the_journal_and_is_never_retried() -> None:
    disk = FakeDisk()
    journal = create(disk)
    first = append(journal, 3)
    disk.fail_sync_at = disk.operations["fdatasync"] + 1
    with pytest.raises(UnavailableError, match=r"fake/journal/000000000001.segment: the disk refused .*fdatasync"):
        append(journal, 4)
    before = disk.operations.total()
    with pytest.raises(UnavailableError, match="stopped after a failed write"):
        append(journal, 4)
    journal.close()
    assert disk.operations.total() == before, "nothing more is written, not even a CLOSE frame"

    # The kernel dropped the bytes but still returns them. A start that does not write them again loses the frame later.
    restarted = disk.kill()
    _, found = recover(restarted)
    assert found[0] == first
    assert len(found) == 2
    _, again = recover(restarted.crash(loss=Loss.LOST))
    assert again == found


def test_a_torn_write_of_every_length() -> None:
    """The first sectors of the last frame are on disk: the frame is kept if it is complete, else cut."""
    for count in [1, 27, 28, 100]:
        for sectors in range(28):
            with case(count, sectors):
                disk = FakeDisk()
                journal = create(disk)
                first = append(journal, 2)
                before = disk.content(FIRST)
                second = append(journal, count)
                after = disk.content(FIRST)
                end = 8192 + sectors * 512
                torn = disk.crash()
                torn.replace(FIRST, after[:end] + before[end:])
                journal, found = recover(torn)
                # Padding is zero anyway, so with its last record the frame is complete except for its trailer.
                whole = sectors * 512 >= 512 + count * 128 + ENVELOPES.get(count, 0) * 104
                assert found == ([first, second] if whole else [first])
                trailer_there = torn.content(FIRST)[:end] == after[:end] and end >= 8192 + len(
                    after.rstrip(b"\0")[8192:]
                )
                assert len(journal.findings) == (0 if sectors == 0 or (whole and trailer_there) else 1)
                assert append(journal, 1)[0] == len(found) + 1
