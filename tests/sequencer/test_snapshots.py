"""A start from a snapshot equals a start from the first frame, but is faster; a bad snapshot does no harm."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xxhash
from blake3 import blake3
from tests.journal import snapshot_files
from tests.sequencer.small import LEDGER_ID, SEGMENT_BYTES, SHOP, START_NS, TREASURY, run, some_ids, steps

from sycee.core.clock import SimulatedClock
from sycee.core.errors import IntegrityError, JournalDamaged, TailInDoubt, UnavailableError, UsageError
from sycee.core.records import operations
from sycee.core.result_codes import Result
from sycee.journal import Journal
from sycee.journal import snapshot as files
from sycee.journal.frame import Frame
from sycee.ledger.kernels import constants
from sycee.ledger.state import LedgerState
from sycee.sequencer import snapshots
from sycee.sequencer import verify as verify_module
from sycee.sequencer.applier import Applier
from sycee.sequencer.embedded import Ledger
from sycee.sequencer.rules_version import RULES_VERSION
from sycee.sequencer.sequencer import Sequencer
from sycee.sequencer.snapshot_schedule import SNAPSHOT_FRAMES_MIN
from sycee.sequencer.verify import Verification, verify
from sycee.testing.disk import FakeDisk, Loss, PowerCut

FRAMES = 1 + len(steps())


class Folder:
    """A ledger's two disks."""

    def __init__(self, journal: FakeDisk | None = None, kept: FakeDisk | None = None) -> None:
        self.journal = journal or FakeDisk()
        self.kept = kept or FakeDisk(folder="fake/snapshots")
        self.clock = SimulatedClock(START_NS)

    def open(self, *, snapshot_frames: int | None = None, trusted: bool = True) -> Sequencer:
        make = {"ledger_id": LEDGER_ID, "segment_bytes": SEGMENT_BYTES}
        is_there = Journal.exists(self.journal)
        return Sequencer(
            Journal.open(self.journal, cut_tail=not trusted) if is_there else Journal.create(self.journal, **make),  # type: ignore[arg-type]
            clock=self.clock,
            overlap=False,
            snapshot_disk=self.kept,
            snapshot_frames=snapshot_frames,
            trust_snapshots=trusted,
        )

    def after(self) -> Folder:
        """Return the disks as the next process finds them."""
        return Folder(self.journal.kill(), self.kept.kill())

    def names(self) -> list[str]:
        return files.names(self.kept)


def name_of(sequence: int) -> str:
    return f"{sequence:020}.snapshot"


def filled(*, snapshot_at: int) -> tuple[Folder, bytes]:
    """Run the small history with a snapshot after these steps."""
    folder = Folder()
    sequencer = folder.open()
    for number, (seconds, records) in enumerate(steps(), 1):
        folder.clock.set(START_NS + seconds * 10**9)
        sequencer.submit(records)
        if number == snapshot_at:
            assert sequencer.snapshot() == name_of(number + 1)
    digest = sequencer.state.digest()
    sequencer.close()
    return folder.after(), digest


@pytest.fixture
def replayed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Record the sequences of the frames that starts replay."""
    seen: list[int] = []
    real = Applier.replay

    def count(applier: Applier, frame: Frame) -> None:
        seen.append(frame.sequence)
        real(applier, frame)

    monkeypatch.setattr(Applier, "replay", count)
    return seen


@pytest.mark.parametrize("snapshot_at", range(1, len(steps()) + 1))
def test_a_start_replays_the_frames_after_it_alone(snapshot_at: int, replayed: list[int]) -> None:
    folder, digest = filled(snapshot_at=snapshot_at)
    whole = Folder(folder.journal.kill()).open()
    replayed.clear()
    sequencer = folder.open()
    assert replayed == list(range(snapshot_at + 2, FRAMES + 2))
    assert sequencer.findings == ()
    assert sequencer.state.digest() == whole.state.digest() == digest
    assert sequencer.state.movement_digest == whole.state.movement_digest
    assert sequencer.frame_times.tolist() == whole.frame_times.tolist()
    sequencer.state.check()
    # Both continue equally: bound ids exist, and new ones are done.
    acknowledged: list[list[tuple[np.ndarray, np.ndarray]]] = [[], []]  # type: ignore[type-arg]
    for each, answers in zip((sequencer, whole), acknowledged, strict=True):
        run(each, folder.clock, answers)
        more = operations.transfer(some_ids("more", 40), debit=TREASURY, credit=SHOP, amount=1)
        answers.append((more, each.submit(more)))
    for (_, one), (_, other) in zip(*acknowledged, strict=True):
        assert one.tolist() == other.tolist()
    assert sequencer.state.digest() == whole.state.digest()


def test_closing_writes_a_snapshot_after_many_frames() -> None:
    folder = Folder()
    sequencer = folder.open(snapshot_frames=3)
    for group in range(1, 4):
        sequencer.submit(operations.define_group(group, group=group))
    sequencer.close()
    assert folder.names() == [name_of(4)]
    folder = folder.after()
    sequencer = folder.open(snapshot_frames=3)
    assert sequencer.durable_sequence == 5  # including the CLOSE frame
    sequencer.submit(operations.define_group(4, group=4))
    sequencer.close()
    assert folder.names() == [name_of(4)], "two frames are not many"
    folder = folder.after()
    sequencer = folder.open(snapshot_frames=3)
    sequencer.submit(operations.define_group(5, group=5))
    sequencer.close()
    assert folder.names() == [name_of(4), name_of(8)]
    folder.open(snapshot_frames=None).close()
    folder.after().open(snapshot_frames=0).close()
    assert folder.names() == [name_of(8), name_of(9)], "any frame at all, and two are kept"
    folder.after().open(snapshot_frames=0).close()
    assert folder.names() == [name_of(8), name_of(9)], "nothing came since"


def test_a_ledger_of_a_folder_writes_snapshots(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, snapshot_frames=1) as ledger:
        ledger.submit(operations.define_group(1, group=1))
        digest = ledger.digest()
        assert ledger.snapshot() == name_of(2)
    assert [path.name for path in (tmp_path / "snapshots").iterdir()] == [name_of(2)]
    with Ledger.open(tmp_path) as ledger:
        assert ledger.digest() == digest
        assert ledger.sequencer._snapshots._newest == 2
    assert SNAPSHOT_FRAMES_MIN > 3
    assert verify(tmp_path).proved[-1] == "snapshots that equal the replay: 1"


def test_a_ledger_without_frames_or_disk_has_no_snapshot(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        with pytest.raises(UsageError, match="the ledger has no frame yet"):
            ledger.snapshot()
        with ledger.sequencer.reading(), pytest.raises(UsageError, match="snapshot inside `with reading"):
            ledger.snapshot()
    with pytest.raises(UsageError, match="no folder for snapshots"):
        Sequencer(Journal.create(FakeDisk())).snapshot()


def damage(folder: Folder) -> str:
    folder.kept.damage(folder.names()[0], 5_000, 1)
    return "the snapshot is damaged"


def truncate(folder: Folder) -> str:
    name = folder.names()[0]
    folder.kept.replace(name, folder.kept.content(name)[:4096])
    return "the snapshot is damaged"


def exchange(folder: Folder) -> str:
    other = Folder()
    sequencer = Sequencer(
        Journal.create(other.journal, ledger_id=bytes(16)), clock=other.clock, snapshot_disk=other.kept
    )
    for group in range(1, 9):
        sequencer.submit(operations.define_group(group, group=group))
    name = sequencer.snapshot()
    folder.kept.remove(folder.names()[0])
    folder.kept.replace(name, other.kept.content(name))
    return "belongs to another ledger"


def rearrange(folder: Folder) -> str:
    """Rewrite a snapshot as a release with another layout would."""
    sequencer = folder.after().open()
    sections, small = sequencer.state.save()
    sections["movements"] = sections["movements"].view("u1")
    name = folder.names()[0]
    with files.open_good(folder.kept, name, LEDGER_ID) as good:
        anchor, digest = good.anchor, good.movement_digest
    snapshot_files.write(
        folder.kept,
        ledger_id=LEDGER_ID,
        epoch=1,
        anchor=anchor,
        rules=RULES_VERSION,
        movement_digest=digest,
        sections=sections,
        small=small,
    )
    return "does not fit this release"


@pytest.mark.parametrize("spoil", [damage, truncate, exchange, rearrange])
def test_a_snapshot_that_cannot_be_used_is_a_finding(spoil: Callable[[Folder], str], replayed: list[int]) -> None:
    folder, digest = filled(snapshot_at=8)
    message = spoil(folder)
    replayed.clear()
    sequencer = folder.open()
    assert replayed == list(range(1, FRAMES + 2))
    assert len(sequencer.findings) == 1
    assert message in sequencer.findings[0]
    assert "fake/snapshots/000000000000000000" in sequencer.findings[0]
    assert sequencer.state.digest() == digest


def test_the_one_before_is_used_when_the_newest_is_damaged(replayed: list[int]) -> None:
    folder, digest = filled(snapshot_at=8)
    sequencer = folder.open(snapshot_frames=0)
    sequencer.close()
    assert folder.names() == [name_of(9), name_of(FRAMES + 1)]
    folder = folder.after()
    folder.kept.damage(name_of(FRAMES + 1), 5_000, 1)
    replayed.clear()
    sequencer = folder.open()
    assert replayed[0] == 10
    assert sequencer.state.digest() == digest


def test_a_head_that_disagrees_with_its_tables_is_not_believed() -> None:
    folder, digest = filled(snapshot_at=8)
    sequencer = folder.after().open()
    sections, small = sequencer.state.save()
    with files.open_good(folder.kept, name_of(9), LEDGER_ID) as good:
        anchor = good.anchor
    snapshot_files.write(
        folder.kept,
        ledger_id=LEDGER_ID,
        epoch=1,
        anchor=anchor,
        rules=RULES_VERSION,
        movement_digest=b"\1" * 32,
        sections=sections,
        small=small,
    )
    sequencer = folder.open()
    assert "its tables differ from those in its header" in sequencer.findings[0]
    assert sequencer.state.digest() == digest


@pytest.mark.parametrize(("table", "row", "field"), [("accounts", 3, "credits_posted"), ("purses", 0, "refunded")])
def test_a_snapshot_whose_books_do_not_sum_to_zero_is_not_believed(
    table: str, row: int, field: str, replayed: list[int]
) -> None:
    folder, digest = filled(snapshot_at=8)
    sequencer = folder.after().open()
    sections, small = sequencer.state.save()
    sections[table] = sections[table].copy()
    sections[table][row][field] += 1
    facts = {"anchor": sequencer._log.anchor, "rules": small["rules"]}
    facts["movement_digest"] = sequencer.state.movement_digest
    snapshot_files.write(folder.kept, ledger_id=LEDGER_ID, epoch=1, sections=sections, small=small, **facts)
    folder = folder.after()
    replayed.clear()
    sequencer = folder.open()
    message = "the snapshot has wrong sums: currency 156: all accounts and purses sum to 1, not to zero"
    assert message in sequencer.findings[0]
    assert (replayed[0], sequencer.state.digest()) == (10, digest)  # from the previous snapshot on


def test_a_full_disk_leaves_no_snapshot_and_does_no_harm() -> None:
    folder = Folder()
    sequencer = folder.open(snapshot_frames=0)
    run(sequencer, folder.clock, [])
    folder.kept.space_bytes = 1_000
    with pytest.raises(UnavailableError, match=r"the snapshot of frame 13 failed: .*no space left"):
        sequencer.snapshot()
    assert sequencer.submit(operations.define_group(77, group=7))["code"].tolist() == [Result.CREATED]
    digest = sequencer.state.digest()
    sequencer.close()
    assert len(sequencer.findings) == 1
    assert "no snapshot was written: the snapshot of frame 14 failed" in sequencer.findings[0]
    folder = folder.after()
    assert folder.names() == []
    sequencer = folder.open()
    assert sequencer.state.digest() == digest
    assert sequencer.findings == (), "the ledger was not closed cleanly"


# --- power cuts ---


# Different moments for each kind of loss, so that together they cover every second one.
@pytest.mark.parametrize(("loss", "first"), [(loss, first) for first, loss in enumerate(Loss)])
def test_a_power_cut_while_a_snapshot_is_written_loses_nothing(loss: Loss, first: int) -> None:
    cut_at_moments(loss, 2 * first, 2 * len(Loss))


@pytest.mark.soak
@pytest.mark.parametrize("loss", list(Loss))
def test_a_power_cut_at_any_moment_of_a_snapshot_loses_nothing(loss: Loss) -> None:
    cut_at_moments(loss, 0, 1)


def cut_at_moments(loss: Loss, first: int, every: int) -> None:
    """Cut the power after a number of writes, and after `every` more each time, until a run ends before it."""
    digest = filled(snapshot_at=1)[1]
    after = first
    while True:
        folder = Folder(kept=FakeDisk(folder="fake/snapshots", cut_after=after))
        try:
            sequencer = folder.open()
            for number, (seconds, records) in enumerate(steps(), 1):
                folder.clock.set(START_NS + seconds * 10**9)
                sequencer.submit(records)
                if number % 3 == 0:
                    sequencer.snapshot()
        except PowerCut:
            folder = Folder(folder.journal.crash(after, loss), folder.kept.crash(after, loss))
            sequencer = folder.open(snapshot_frames=0)
            sequencer.state.check()
            run(sequencer, folder.clock, [])
            assert sequencer.state.digest() == digest
            sequencer.close()
            assert folder.names(), "the next snapshot is written all the same"
            sequencer = folder.after().open()
            assert sequencer.state.digest() == digest
            assert sequencer.findings == ()
            after += every
            continue
        break
    assert after > 20


# --- a journal without the frame of its snapshot ---


def shortened() -> Folder:
    """Return a snapshot of the newest frame, and a journal whose newest frame is damaged: a person must decide."""
    folder = Folder()
    sequencer = folder.open()
    run(sequencer, folder.clock, [])
    sequencer.snapshot()
    frames = list(Journal.open(folder.journal.kill(), read_only=True).recover())
    folder = folder.after()
    segment = frames[-1].location.file.rsplit("/", 1)[-1]
    folder.journal.damage(segment, frames[-1].location.offset + 600, 1)
    return folder


def test_a_snapshot_shows_that_the_journal_lost_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shortened()
    with pytest.raises(JournalDamaged, match="ends with frame 12, but frame 13 was durable"):
        folder.open()
    with pytest.raises(TailInDoubt):
        Folder(folder.journal.kill()).open()
    with pytest.raises((JournalDamaged, TailInDoubt)):
        verify_folder(folder, monkeypatch)


def test_cutting_the_tail_removes_the_snapshots_beyond_it() -> None:
    folder = shortened()
    sequencer = folder.open(trusted=False)
    assert sequencer.durable_sequence == 12
    assert f"fake/snapshots/{name_of(13)} was removed" in " ".join(sequencer.findings)
    assert folder.names() == []
    run(sequencer, folder.clock, [])
    digest = sequencer.state.digest()
    sequencer.close()
    assert folder.after().open().state.digest() == digest


@pytest.mark.parametrize("loss", [Loss.KEPT, Loss.LOST])
@pytest.mark.parametrize("which", ["journal", "kept"])
def test_the_snapshot_of_a_frame_is_removed_before_the_frame(which: str, loss: Loss) -> None:
    """A power cut between the two must not leave a snapshot of a removed frame: no later start would succeed."""
    for after in range(20):
        folder = shortened()
        getattr(folder, which).cut_after = after
        try:
            folder.open(trusted=False)
        except PowerCut:
            folder = Folder(folder.journal.crash(after, loss), folder.kept.crash(after, loss))
            assert folder.open(trusted=False).durable_sequence == 12
            assert folder.names() == []
        else:
            break
    assert 2 <= after < 20


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize("later", [1, 2])
def test_frames_of_a_snapshot_are_not_cut_with_the_tail(trusted: bool, later: int) -> None:
    """An old copy of the journal, or one without its end, opened with `cut_tail`."""
    old, _ = filled(snapshot_at=8)
    sequencer = old.open()
    old = Folder(old.journal.crash(loss=Loss.KEPT), old.kept)
    sequencer.submit(operations.define_group(70, group=70))
    for more in range(later - 1):
        sequencer.submit(operations.define_group(71 + more, group=71))
    name = sequencer.snapshot()
    sequencer.close()
    disks = {each: [(one, each.content(one)) for one in each.names()] for each in (old.journal, old.kept)}
    newest = FRAMES + 1 + later
    with pytest.raises(JournalDamaged, match=f"ends with frame {FRAMES + 1}, but frame {newest} was durable"):
        old.open(trusted=trusted)
    assert name == name_of(newest)
    assert all(content == [(one, each.content(one)) for one in each.names()] for each, content in disks.items())


def test_a_later_snapshot_than_that_of_the_frame_in_doubt_is_a_loss() -> None:
    folder = shortened()
    copy = folder.kept.content(name_of(13))
    ahead = bytearray(copy)
    ahead[40:48] = (14).to_bytes(8, "little")  # its sequence
    ahead[4088:4096] = bytes(8)
    ahead[4088:4096] = xxhash.xxh3_64_digest(bytes(ahead[:4096]))
    table = len(ahead) - 32 - -(-int.from_bytes(ahead[12:16], "little") // 4096) * 4096
    ahead[-32:] = blake3(bytes(ahead[:4096] + ahead[table:-32])).digest()
    folder.kept.replace(name_of(14), bytes(ahead))
    with pytest.raises(JournalDamaged, match="ends with frame 12, but frame 14 was durable"):
        folder.open(trusted=False)
    assert folder.names() == [name_of(13), name_of(14)]


def test_start_and_verify_report_the_snapshot_of_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same frames to the same state, except the time of one."""
    folder, _ = filled(snapshot_at=len(steps()))
    fork = Folder()
    sequencer = fork.open()
    for seconds, records in steps():
        fork.clock.set(START_NS + seconds * 10**9 + (1 if seconds == 1_001 else 0))
        sequencer.submit(records)
    sequencer.close()
    fork = Folder(fork.journal.kill(), folder.kept)
    messages = []
    for use in (fork.after().open, lambda: fork.after().open(trusted=False), lambda: verify_folder(fork, monkeypatch)):
        with pytest.raises(JournalDamaged, match="frame 13 before it is not the one that was") as caught:
            use()
        messages.append((caught.value.message, caught.value.hint))
    assert messages[0] == messages[1] == messages[2]
    assert "of another copy that was used separately, move the snapshots away" in (messages[0][1] or "")


def test_no_ledger_is_created_where_one_lost_its_journal(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, snapshot_frames=1) as ledger:
        ledger.submit(operations.define_group(1, group=1))
    shutil.move(tmp_path / "journal", tmp_path / "elsewhere")
    for _ in range(2):
        with pytest.raises(JournalDamaged, match=f"{name_of(2)} is a snapshot of one") as caught:
            Ledger.open(tmp_path)
        assert "Restore the journal from a copy" in (caught.value.hint or "")
        assert not (tmp_path / "journal").exists()
    shutil.move(tmp_path / "elsewhere", tmp_path / "journal")
    Ledger.open(tmp_path).close()


def test_cutting_no_tail_removes_no_snapshot() -> None:
    folder, digest = filled(snapshot_at=8)
    sequencer = folder.open(trusted=False)
    assert sequencer.state.digest() == digest
    assert sequencer.findings == ()
    assert folder.names() == [name_of(9)]


# --- verify ---


def verify_folder(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Verification:
    monkeypatch.setattr(verify_module, "existing_journal_disk", lambda _: folder.journal)
    monkeypatch.setattr(verify_module, "snapshot_disk", lambda _: folder.kept)
    return verify("ledger")


def test_verify_compares_snapshots_with_the_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    folder, digest = filled(snapshot_at=8)
    found = verify_folder(folder, monkeypatch)
    assert found.digest == digest.hex()
    assert found.proved[-1] == "snapshots that equal the replay: 1"
    assert found.findings == ()


def another_balance(state: LedgerState) -> str:
    state.accounts["debits_posted"][2] += 1
    return "its accounts differ"


def another_payer(state: LedgerState) -> str:
    """Swap the payers of the last two movements: no state digest changes, but a refund would."""
    rows = state.movements["debit_row"]
    assert rows[-1] != rows[-2]
    rows[-2:] = rows[-2:][::-1].copy()
    return "its movements differ"


def another_claim(state: LedgerState) -> str:
    state.bound["detail"][-1] += 1
    return "its bound differ"


def another_counter(state: LedgerState) -> str:
    state.tables.counters[constants.LINKS] += 1
    return "its counters differ"


def another_group(state: LedgerState) -> str:
    state.tables.group_bits[-1, -1] += 1
    return "its group_bits differ"


def another_zone(state: LedgerState) -> str:
    state.zones[156] = "UTC"
    return "its zones differ"


def another_time(state: LedgerState) -> str:
    state.tables.frame_times[3] += 1
    return "its frame_times differ"


@pytest.mark.parametrize(
    "change",
    [another_balance, another_payer, another_claim, another_counter, another_group, another_zone, another_time],
)
def test_verify_names_a_snapshot_that_is_whole_and_wrong(
    change: Callable[[LedgerState], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = filled(snapshot_at=8)
    state = Folder(folder.journal.kill()).open().state
    with files.open_good(folder.kept, name_of(9), LEDGER_ID) as good:
        anchor, digest = good.anchor, good.movement_digest
        kept = snapshots.load_state(good)
    what = change(kept)
    sections, small = kept.save()
    snapshot_files.write(
        folder.kept,
        ledger_id=LEDGER_ID,
        epoch=1,
        anchor=anchor,
        rules=state.rules,
        movement_digest=digest,
        sections=sections,
        small=small,
    )
    message = f"is intact, but differs from the replayed state at frame 9: {what}"
    with pytest.raises(IntegrityError, match=message):
        verify_folder(folder, monkeypatch)


def test_verify_agrees_with_snapshots_of_any_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The snapshot equals a full replay, whatever the state was loaded from and however its tables grew."""
    folder = Folder()
    for number, (seconds, records) in enumerate(steps()):
        sequencer = folder.open()
        folder.clock.set(START_NS + seconds * 10**9)
        if number % 2:
            sequencer.snapshot()  # after a CLOSE frame, which has no dates
        sequencer.submit(records)
        sequencer.snapshot()
        sequencer.close()
        assert verify_folder(folder, monkeypatch).proved[-1].startswith("snapshots that equal the replay")
        folder = folder.after()


@pytest.mark.parametrize("spoil", [damage, truncate, exchange, rearrange])
def test_verify_finds_what_a_start_would_skip(spoil: Callable[[Folder], str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, digest = filled(snapshot_at=8)
    message = spoil(folder)
    found = verify_folder(folder, monkeypatch)
    assert found.digest == digest.hex()
    assert len(found.findings) == 1
    assert message in found.findings[0]


def test_verify_names_a_snapshot_of_a_frame_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = filled(snapshot_at=len(steps()))
    shorter, _ = filled(snapshot_at=3)
    frames = list(Journal.open(shorter.journal, read_only=True).recover())
    # Everything from the second segment on is missing: a valid but short journal.
    first = min(frame.sequence for frame in frames if "000000000002" in frame.location.file)
    shorter.journal.remove("000000000002.segment")
    shorter = Folder(shorter.journal, folder.kept)
    with pytest.raises(
        JournalDamaged, match=f"the journal ends with frame {first - 1}, but frame {FRAMES} was durable"
    ):
        verify_folder(shorter, monkeypatch)
    shorter.kept.damage(name_of(FRAMES), 5_000, 1)
    assert "the snapshot is damaged" in verify_folder(shorter, monkeypatch).findings[0]
