"""Simulated machine: faults of disk, power and clock, and the checks at the next start.

There are three classes of faults. Allowed behaviour of a correct disk (losing unsynced data, refusing) must lose
nothing acknowledged. Damage to durable data must be detected or be harmless. The same is required after a false success
of a write, with one exception that no journal can detect: whether the very last frames ever existed.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from sycee.core.clock import SimulatedClock
from sycee.core.errors import IntegrityError, SyceeError, TailInDoubt, UnavailableError, UsageError
from sycee.core.limits import RECORD_BYTES
from sycee.journal import snapshot as files
from sycee.journal.frame import FrameKind
from sycee.sequencer.overlap import Overlap, Task
from sycee.sequencer.restore import restore
from sycee.sequencer.sequencer import Sequencer
from sycee.sequencer.snapshots import SnapshotTask
from sycee.sequencer.verify import verify
from sycee.testing import simulator_text as words
from sycee.testing.disk import SECTOR_BYTES, FakeDisk, Loss, PowerCut
from sycee.testing.histories_world import Dice
from sycee.testing.simulator_actor import TURNS, ZONES, Actor
from sycee.testing.simulator_disk import (
    JOURNAL,
    LEDGER_ID,
    SNAPSHOTS,
    Damage,
    Folder,
    Watch,
    Written,
    copy_in,
    copy_out,
    open_journal,
    read_all,
    remove_end,
)
from sycee.testing.simulator_oracle import SECOND_NS, Oracle, expect

YEAR_NS: Final = 366 * 86_400 * SECOND_NS
LATEST_NS: Final = 2**62  # the end of all histories; later times are for wild clocks
_LOSSES: Final = (Loss.RANDOM, Loss.RANDOM, Loss.LOST, Loss.KEPT, Loss.FIRST, Loss.LAST, Loss.SHUFFLED)


class Ended(Exception):
    """The history cannot continue, without a failure: a false success of the disk was detected."""


class ApplyFirst(Overlap):
    """Executor that finishes the applier's task before the log's, on the calling thread, for frames of any size."""

    def __init__(self) -> None:
        super().__init__(records_min=0)

    def run(self, first: Task, second: Task) -> tuple[Any, Any]:
        result = second()
        return first(), result


class Machine:
    """Disk, clock and ledger process, with the oracle."""

    def __init__(
        self,
        disk: FakeDisk,
        make_sequencer: Callable[..., Sequencer],
        clock: SimulatedClock,
        counts: Counter[str],
        tell: Callable[[str], None],
        *,
        applies_first: bool = False,
    ) -> None:
        """Create the machine.

        `applies_first`: apply each frame before it is appended, the worst order where both overlap. Otherwise apply it
        after the commit.
        """
        self.disk = disk
        self.watch = Watch()
        self.oracle = Oracle(LEDGER_ID)
        self._make_sequencer = make_sequencer
        self._overlap: Overlap | bool = ApplyFirst() if applies_first else False
        self._clock = clock
        self._counts = counts
        self._tell = tell
        self._sequencer: Sequencer | None = None
        self._keeps_snapshots = False
        self._writing: SnapshotTask | None = None  # a snapshot being written while the ledger continues
        self._writing_dice = Dice(b"")
        self._dice = Dice(b"")  # operations until the scheduled power cut
        self._trouble = ""  # reason for which the disk may refuse
        self._stays_in_trouble = False
        self._damage: list[Damage] = []
        self._may_end_with_close = False
        self._right_ns: int | None = None  # time of the wild clock

    # ── The process ──────────────────────────────────────────────────────────────────────────────────────────

    def running(self) -> Sequencer:
        """Return the ledger, after starting it if necessary."""
        if self._sequencer is None:
            self._start(Dice(b""))
        assert self._sequencer is not None
        return self._sequencer

    def new_frames(self) -> list[Written]:
        return self.watch.durable[len(self.oracle.frames) :]

    def apply_event(self, what: str, dice: Dice) -> None:
        """Make one of the events of `simulator_plan` happen."""
        self._counts[f"step: {what}"] += 1
        self._tell(f"{what}")
        getattr(self, f"_{what.replace(' ', '_').replace('-', '_')}")(dice)

    def continue_snapshot(self) -> None:
        writing, sequencer = self._writing, self._sequencer
        if writing is None or sequencer is None:
            return
        try:
            for _ in range(self._writing_dice.pick((4, 1, 9, 30, 0))):
                writing.step()
        except UnavailableError as error:
            self.refused(error)
        if not writing.is_running:
            self._writing = None
            if writing.name:
                self._counts["snapshots written behind"] += 1
                self._tell(f"{writing.name} is written, {len(self.oracle.frames) - writing.sequence} frames behind")
                expect(writing.name in Folder(self.disk, SNAPSHOTS).names(), "a written snapshot is missing")
                self.oracle.check(sequencer)

    def refused(self, error: UnavailableError) -> None:
        """Handle a refusal of the disk: the ledger has stopped, or continues without harm."""
        expect(self._trouble, "the ledger stopped without a reason", error)
        self._tell(f"refused: {error.message}")
        self._counts["refusals of the disk"] += 1
        self._take_new()
        if self._sequencer is None:
            return
        try:
            self._sequencer.next_due_ns()
        except UnavailableError:
            # End the process, cleanly or not, and start it again.
            with_power = self._dice.below(2) == 0
            self._end_process("kill" if with_power else "cut now", self._dice)
            self._start(self._dice)
        else:
            self.oracle.check(self._sequencer)

    def power_cut(self) -> None:
        self._crash()
        self._start(self._dice)

    def cancel_faults(self) -> None:
        self._lift()
        self.disk.cut_after = None
        self.disk.misdirected.clear()

    def _take_new(self) -> None:
        for frame in self.new_frames():
            self.oracle.apply(frame)

    def _crash(self) -> None:
        loss = self._dice.pick(_LOSSES)
        seed = self._dice.below(256) << 8 | self._dice.below(256)
        self._counts["power cuts"] += 1
        in_flight = self.watch.in_flight
        doing = (
            f" in frame {in_flight.sequence}, {len(in_flight.records) // RECORD_BYTES} operations" if in_flight else ""
        )
        self._tell(f"power cut{doing}; data that was not durable: {loss.value}")
        self._sequencer = self._writing = None
        self.disk = self.disk.crash(seed, loss)
        self._stay_in_trouble()
        if self._dice.one_in(4):
            self.disk.cut_after = self._dice.below(12)  # a second fault, during the start

    def _end_process(self, how: str, dice: Dice) -> None:
        """End a running process by a clean close, a kill or a power cut."""
        sequencer, self._sequencer, self._writing = self._sequencer, None, None
        if how == "close" and sequencer is not None:
            try:
                sequencer.close()
            except UnavailableError as error:
                expect(self._trouble, "the ledger cannot be closed", error)
        self._take_new()
        if how == "cut now":
            self._dice = dice
            self._crash()
            self.disk.cut_after = None
            return
        if how == "kill":
            self._counts["kills"] += 1
        # A cleanly closed ledger survives a power cut whole.
        is_cut = how == "close" and dice.below(2) == 1
        self.disk = self.disk.crash(dice.below(256), Loss.LOST) if is_cut else self.disk.kill()
        self._stay_in_trouble()

    # ── Starts ───────────────────────────────────────────────────────────────────────────────────────────────

    def _start(self, dice: Dice) -> None:
        self._counts["starts"] += 1
        cut_tail = False
        while True:
            try:
                self._open(dice, cut_tail=cut_tail)
                break
            except PowerCut:
                self._counts["power cuts during a start"] += 1
                self._crash()
                self.disk.cut_after = None
            except TailInDoubt as error:
                if not self._is_explained(error):
                    expect(not cut_tail and self.watch.in_flight, "the tail of a complete journal is in doubt", error)
                    self._counts["tails in doubt that were cut"] += 1
                    cut_tail = True
            except IntegrityError as error:
                expect(self._is_explained(error), "a valid ledger is reported as damaged", error)
            except UnavailableError as error:
                expect(self._trouble, "the ledger does not start without a reason", error)
                self._counts["starts that the disk refused"] += 1
                self._lift()
        self._compare_with_disk()
        if self.watch.after:
            self._counts["starts from a snapshot"] += 1
        if self._damage:
            self._counts["damage that was harmless"] += 1
            self._heal()
        assert self._sequencer is not None
        self.oracle.check(self._sequencer)

    def _open(self, dice: Dice, *, cut_tail: bool) -> None:
        how = dice.below(6)
        self._keeps_snapshots = how != 5
        journal = open_journal(Folder(self.disk, JOURNAL), self.watch, cut_tail=cut_tail)
        self._sequencer = self._make_sequencer(
            journal,
            clock=self._clock,
            overlap=self._overlap,
            snapshot_disk=Folder(self.disk, SNAPSHOTS) if self._keeps_snapshots else None,
            snapshot_frames=dice.pick((1, 5, None, 20)),
            trust_snapshots=how != 4,
        )

    def _compare_with_disk(self) -> None:
        """Reread the journal: acknowledged frames are present, and an unfinished append is present whole or absent."""
        durable = self.watch.durable
        found: list[Written] | None = None
        while found is None:
            try:
                found = read_all(Folder(self.disk, JOURNAL))
            except IntegrityError as error:
                expect(self._is_explained(error), "a ledger with a damaged journal was started", error)
        if len(found) < len(durable) and found == durable[: len(found)] and self._lied():
            raise Ended("a false success of the disk lost the last frames without a trace")
        same = found[: len(durable)] == durable
        expect(same, "an acknowledged frame is lost", f"{len(found)} frames of {len(durable)}")
        more, in_flight = found[len(durable) :], self.watch.in_flight
        if in_flight is not None:
            self._counts[f"unfinished frames that were {'kept' if more else 'lost'}"] += 1
        if more and in_flight is not None and more[0] == in_flight:
            durable.append(more.pop(0))
        if more and self._may_end_with_close and more[0].kind is FrameKind.CLOSE:
            durable.append(more.pop(0))
        expect(not more, "the journal has a frame that was never appended", f"{len(more)}")
        self.watch.in_flight = None
        self._may_end_with_close = False
        self._take_new()

    def _is_explained(self, error: IntegrityError) -> bool:
        """Return whether injected damage explains this error; then repair it or end the history."""
        if self._damage:
            self._counts["damage that was detected"] += 1
            self._tell(f"detected: {error.message}")
            self._heal()
            return True
        if self._lied():
            raise Ended("a false success of the disk was detected")
        return False

    def _lied(self) -> bool:
        return bool(self.disk.faults["write lost"] or self.disk.faults["write misdirected"])

    def _heal(self) -> None:
        for damage in self._damage:
            damage.repair()
        self._damage.clear()

    def _stay_in_trouble(self) -> None:
        """Let a full or read-only disk stay so for one more start, then repair it."""
        if self._trouble == "full" and self._stays_in_trouble:
            self.disk.space_bytes = self._used_bytes()
        elif self._trouble == "read-only" and self._stays_in_trouble:
            self.disk.read_only = True
        else:
            self._trouble = ""
        self._stays_in_trouble = False

    def _lift(self) -> None:
        self._trouble = ""
        self.disk.space_bytes = self.disk.fail_sync_at = None
        self.disk.read_only = False

    def _used_bytes(self) -> int:
        return sum(len(self.disk.content(name)) for name in self.disk.names())

    # ── Events ───────────────────────────────────────────────────────────────────────────────────────────────

    def _close(self, dice: Dice) -> None:
        self.running()
        self._end_process("close", dice)
        self._start(dice)

    def _kill(self, dice: Dice) -> None:
        self._end_process("kill", dice)
        self._start(dice)

    def _cut(self, dice: Dice) -> None:
        self._dice = dice
        self.disk.cut_after = self.disk.operations.total() + dice.pick((0, 1, 2, 3, 4, 5, 6, 7, 9, 12, 16, 24))

    def _cut_now(self, dice: Dice) -> None:
        self._dice = dice
        self.power_cut()

    def _snapshot(self, dice: Dice) -> None:
        if self._writing is not None:
            return  # one at a time
        sequencer = self.running()
        try:
            name = sequencer.snapshot()
        except UsageError as error:
            expect(not self._keeps_snapshots or not self.oracle.frames, "a snapshot is refused", error)
        except UnavailableError as error:
            self.refused(error)
        else:
            self._counts["snapshots"] += 1
            expect(name in Folder(self.disk, SNAPSHOTS).names(), "a written snapshot is missing")
            self.oracle.check(sequencer)

    def _snapshot_behind(self, dice: Dice) -> None:
        """Begin a snapshot that is written between the following steps."""
        if self._writing is not None:
            return
        try:
            self._writing = self.running().begin_snapshot(piece_bytes=dice.pick((512, 128, 4_096)))
        except UsageError as error:
            expect(not self._keeps_snapshots or not self.oracle.frames, "a snapshot is refused", error)
        self._writing_dice = dice

    def _sync_fails(self, dice: Dice) -> None:
        self._dice, self._trouble = dice, "sync fails"
        self.disk.fail_sync_at = self.disk.operations["fdatasync"] + dice.pick((1, 1, 2, 3))

    def _full(self, dice: Dice) -> None:
        self._dice, self._trouble = dice, "full"
        self._stays_in_trouble = dice.below(2) == 1
        self.disk.space_bytes = self._used_bytes() + dice.pick((0, 4_096, 40_000))

    def _read_only(self, dice: Dice) -> None:
        self._dice, self._trouble = dice, "read-only"
        self._stays_in_trouble = dice.below(2) == 1
        self.disk.read_only = True

    def _rot(self, dice: Dice) -> None:
        self._end_process(dice.pick(("close", "kill", "cut now")), dice)
        name = self._a_file(dice)
        if name:
            offset = self._a_sector(name, dice) * SECTOR_BYTES + (dice.below(2) << 8 | dice.below(256))
            if offset < len(self.disk.content(name)):
                self._damage.append(Damage.bit(self.disk, name, offset, dice.below(8)))
                self._counts["flipped bits"] += 1
                self._tell(f"one bit of {name} at byte {offset} is flipped")
        self._start(dice)

    def _sector(self, dice: Dice) -> None:
        # Only after a clean end: otherwise a last frame without content and trailer looks torn.
        self.running()
        self._end_process("close", dice)
        name = self._a_file(dice)
        durable = self.watch.durable
        if name and self.watch.in_flight is None and durable and durable[-1].kind is FrameKind.CLOSE:
            sector = self._a_sector(name, dice)
            self._damage.append(Damage.sector(self.disk, name, sector, dice.pick((0, 0xFF))))
            self._counts["bad sectors"] += 1
            self._tell(f"sector {sector} of {name} is bad")
        self._start(dice)

    def _file_lost(self, dice: Dice) -> None:
        self._end_process(dice.pick(("close", "kill")), dice)
        names = self.disk.names()
        journal = [name for name in names if name.startswith(JOURNAL) and name.endswith(".segment")]
        candidates = [*journal[:-1], *(name for name in names if name.startswith(SNAPSHOTS))]
        if candidates:
            name = dice.pick(candidates)
            self._damage.append(Damage.lost(self.disk, name))
            self._tell(f"{name} is lost")
        self._start(dice)

    def _lie(self, dice: Dice) -> None:
        """Lose or misdirect one of the next writes, with a reported success."""
        number = self.disk.operations["pwrite"] + dice.pick((1, 1, 2, 3))
        segments = [name for name in self.disk.names() if name.endswith(".segment")]
        target = None
        if segments and dice.below(2):
            name = dice.pick(segments)
            target = name, self._a_sector(name, dice) * SECTOR_BYTES // 4_096 * 4_096
        self.disk.misdirected[number] = target

    def _restore(self, dice: Dice) -> None:
        """Copy the folder to another machine, which begins a new epoch."""
        self.running()
        self._end_process(dice.pick(("close", "kill")), dice)
        with tempfile.TemporaryDirectory(prefix="sycee-simulator-") as temporary:
            source, target = Path(temporary) / "source", Path(temporary) / "target"
            copy_out(self.disk, source)
            try:
                restored = restore(source, target, cut_tail=self.watch.in_flight is not None)
            except IntegrityError as error:
                expect(self._is_explained(error), "a valid ledger cannot be restored", error)
                raise  # only a false success of the disk damages anything here, and that ends the history
            self.disk = self.disk.crash(loss=Loss.KEPT)  # the other machine has no pending writes
            copy_in(target, self.disk)
        self._counts["new epochs"] += 1
        self._tell(f"the ledger is restored elsewhere, epoch {restored.epoch}")
        self._may_end_with_close = True
        self._start(dice)

    def _cut_short(self, dice: Dice) -> None:
        """Cut or replace the end of a copied journal behind a good snapshot: a start must detect it.

        The ledger itself continues unchanged.
        """
        if self._sequencer is None or self._damage or self._lied():
            return
        disk = self.disk.crash(loss=Loss.KEPT)
        journal, kept = Folder(disk, JOURNAL), Folder(disk, SNAPSHOTS)
        snapshot = next(files.all_good(kept, LEDGER_ID, []), None)
        if snapshot is None:
            return
        snapshot.close()
        newest = snapshot.anchor.sequence
        first = max(1, newest - dice.below(3))
        replaced = dice.below(2) == 1
        remove_end(journal, first, fill_until=newest if replaced else 0)
        done = "replaced" if replaced else "cut"
        self._counts[f"journals {done} before the frame of a snapshot"] += 1
        trusts = dice.below(3) > 0
        try:
            Sequencer(
                open_journal(journal, Watch(), cut_tail=not trusts),
                clock=self._clock,
                overlap=False,
                snapshot_disk=kept,
                snapshot_frames=None,
                trust_snapshots=trusts,
            )
        except (IntegrityError, UnavailableError):
            # UnavailableError: with another first frame the version of the rules is unknown.
            return
        expect(False, "a ledger starts without frames that its snapshot has", f"frame {first} was {done}")

    def _a_file(self, dice: Dice) -> str:
        names = [name for name in self.disk.names() if self.disk.content(name)]
        return dice.pick(names) if names else ""

    def _a_sector(self, name: str, dice: Dice) -> int:
        """Return mostly a written sector, sometimes the first one after them."""
        content = self.disk.content(name)
        written = -(-len(content.rstrip(b"\0")) // SECTOR_BYTES)
        sector = (dice.below(256) << 8 | dice.below(256)) % (written + 8)
        return min(sector, max(0, len(content) // SECTOR_BYTES - 1))

    # ── The clock ────────────────────────────────────────────────────────────────────────────────────────────

    def change_clock(self, dice: Dice, actor: Actor) -> None:
        """Advance, jump, stop, reverse the clock, or make it wild until `set_clock_right`."""
        now_ns = max(self._clock.now_ns(), self.oracle.last_time_ns)
        how = dice.pick(("tick", "tick", "midnight", "midnight", "due", "due", "back", "turn", "year", "wild", "hour"))
        before, zone = dice.pick((0, 1, 1, -1)), ZoneInfo(ZONES[dice.below(len(ZONES))])
        if how == "tick":
            set_ns = now_ns + dice.pick((1, 2, 5, 20)) * actor.pace_ns
        elif how == "midnight":
            set_ns = next_local(now_ns, zone, year=False) - before
        elif how == "due":
            due_ns = self.oracle.next_due_ns()
            set_ns = now_ns if due_ns is None else due_ns - before
        elif how == "back":
            set_ns = now_ns - dice.pick((1, SECOND_NS, 3_600 * SECOND_NS, 40 * 86_400 * SECOND_NS))
        elif how == "turn":
            set_ns = next((turn for turn in TURNS if turn > now_ns), now_ns) - before
        elif how == "year" and dice.one_in(3):
            set_ns = next_local(now_ns, zone, year=True) - before
        elif how == "wild":
            self._right_ns = self.right_ns()
            set_ns = dice.pick((now_ns + 11 * YEAR_NS, 7_258_118_400 * SECOND_NS + 1, 2**63 - 1))
        else:
            set_ns = now_ns + 3_600 * SECOND_NS
        if how == "back" or set_ns > LATEST_NS:
            self._counts["clock went back" if how == "back" else "clock went wild"] += 1
        self._counts[f"clock: {how}"] += 1
        if how != "wild":
            self._right_ns = None
        self._clock.set(min(max(0, set_ns), 2**63 - 1) if how == "wild" else min(max(0, set_ns), LATEST_NS))
        self._tell(f"the clock is set to {words.moment(self._clock.now_ns())} ({how})")

    def right_ns(self) -> int:
        """Return the time of the clock when it is not wild."""
        return self._clock.now_ns() if self._right_ns is None else self._right_ns

    def advance_time(self, ns: int) -> None:
        """Advance the clock by `ns` nanoseconds, up to the latest time."""
        self.set_clock_right()
        self._clock.set(min(self._clock.now_ns() + max(0, ns), LATEST_NS))

    def set_clock_right(self) -> None:
        if self._right_ns is not None:
            self._clock.set(self._right_ns)
            self._right_ns = None

    # ── The end ──────────────────────────────────────────────────────────────────────────────────────────────

    def check_folder(self, checker: Callable[[Path], tuple[int, bytes, bytes]] | None) -> None:
        """Close the ledger, then reread the disk with `verify` and the independent checker."""
        self.running()
        self._end_process("close", Dice(b""))
        oracle = self.oracle
        with tempfile.TemporaryDirectory(prefix="sycee-simulator-") as temporary:
            folder = Path(temporary)
            copy_out(self.disk, folder)
            if not oracle.frames:
                return
            try:
                found = verify(folder, authority=True)
                expect(found.digest == oracle.digest().hex(), "verify computes another state")
                expect(found.frames == len(oracle.frames), "verify counts other frames", found.frames)
            except SyceeError as error:
                # Without the folder's name, which differs between runs.
                said = error.message.replace(str(folder), "fake")
                expect(self._lied() and isinstance(error, IntegrityError), "verify finds damage", said)
                raise Ended("a false success of the disk was detected") from error
            if checker is not None:
                self._counts["folders checked independently"] += 1
                wanted = (len(oracle.frames), oracle.digest(), oracle.twin.movement_digest)
                expect(checker(folder) == wanted, "the checker computes another result")
        self._counts["folders verified"] += 1


def next_local(now_ns: int, zone: ZoneInfo, *, year: bool) -> int:
    """Return the next local midnight in a zone, or its next New Year's Day, in nanoseconds."""
    local = datetime.fromtimestamp(now_ns // SECOND_NS, zone)
    day = local.date().replace(month=1, day=1, year=local.year + 1) if year else local.date() + timedelta(days=1)
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * SECOND_NS
