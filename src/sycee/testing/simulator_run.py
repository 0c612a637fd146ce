"""Run of one simulated history: a real sequencer and journal on a fake disk under a fake clock, with the oracle.

`Run` executes the plan step by step. After every frame and every restart it compares everything with the oracle, and
raises Difference at the first deviation.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

from sycee.core.clock import SimulatedClock
from sycee.core.errors import UnavailableError, UsageError
from sycee.core.limits import PLACE_INDEX_BITS
from sycee.core.records.envelopes import Envelope
from sycee.core.records.layout import OPERATION, Kind
from sycee.core.result_codes import Result
from sycee.journal.frame import FrameKind
from sycee.ledger import batch
from sycee.sequencer.sequencer import Sequencer
from sycee.testing import simulator_text as words
from sycee.testing.disk import FakeDisk, PowerCut
from sycee.testing.histories_world import Dice
from sycee.testing.naive import Answer
from sycee.testing.simulator_actor import Actor, SubmissionSigner
from sycee.testing.simulator_disk import LEDGER_ID, Written
from sycee.testing.simulator_faults import Ended, Machine
from sycee.testing.simulator_oracle import Difference, Expected, expect
from sycee.testing.simulator_plan import Plan, Step

Records = npt.NDArray[Any]

ATTEMPTS_MAX: Final = 40
# By the machine, which also crashes processes and flips every byte of a bad sector.
COUNTED_OTHERWISE: Final = ("power cut", "byte damaged")
_KINDS: Final = {int(kind): kind.name for kind in Kind}


@dataclass(frozen=True, slots=True)
class Parts:
    """Components of a run; tests replace them by defective ones."""

    sequencer: Callable[..., Sequencer] = Sequencer
    disk: Callable[[], FakeDisk] = lambda: FakeDisk(folder="fake")
    applies_first: bool | None = None  # frames are applied before they are appended; None: chosen by the seed
    # Reads a ledger's folder; returns its number of frames, state digest and movement digest.
    checker: Callable[[Path], tuple[int, bytes, bytes]] | None = None


class Submission(NamedTuple):
    """A submission that is repeated until it is answered."""

    records: Records
    envelopes: tuple[Envelope, ...]


@dataclass(slots=True)
class HistoryOutcome:
    """Outcome of one history."""

    failure: Difference | None = None
    ended: str = ""  # reason for an early end without a failure
    steps: int = 0  # steps begun
    counts: Counter[str] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    story: list[str] = field(default_factory=list)


def run(plan: Plan, parts: Parts | None = None, *, tell: bool = False) -> HistoryOutcome:
    """Run one history; `tell` records its events as text.

    Never raises the ledger's failure: the outcome's `failure` contains it.
    """
    history = Run(plan, parts or Parts(), tell=tell)
    outcome = history.outcome
    # All submissions here are short; every other history treats them as long ones.
    buffered_records_min = 1 if plan.setting < b"\x80" else batch.BUFFERED_RECORDS_MIN
    try:
        with patch.object(batch, "BUFFERED_RECORDS_MIN", buffered_records_min):
            history.run()
    except Difference as difference:
        outcome.failure = difference
    except Ended as ended:
        outcome.ended = str(ended)
        outcome.counts[f"ended early: {ended}"] += 1
        history.tell(f"{ended}: the history ends here")
    except (Exception, PowerCut) as error:
        detail = "".join(traceback.format_exception(error)[-4:])
        outcome.failure = Difference(f"the ledger raised {type(error).__name__}", f"{error}\n{detail}")
    outcome.counts["histories"] += 1
    outcome.counts["frames"] += len(history.machine.oracle.frames)
    outcome.counts["movements"] += len(history.machine.oracle.twin.movements)
    faults = history.machine.disk.faults
    outcome.faults = Counter({name: faults[name] for name in faults if name not in COUNTED_OTHERWISE and faults[name]})
    if outcome.failure is not None:
        history.tell(f"FAILURE: {outcome.failure}")
    return outcome


class Run:
    """A running history."""

    def __init__(self, plan: Plan, parts: Parts, *, tell: bool) -> None:
        self.outcome = HistoryOutcome()
        self._plan = plan
        self._parts = parts
        self._tells = tell
        self.clock = SimulatedClock(0)
        applies_first = bool(plan.setting[0] & 0x40) if parts.applies_first is None else parts.applies_first
        self.outcome.counts[f"histories that apply {'before the append' if applies_first else 'after the commit'}"] += 1
        self.machine = Machine(
            parts.disk(), parts.sequencer, self.clock, self.outcome.counts, self.tell, applies_first=applies_first
        )
        self._oracle = self.machine.oracle
        self._actor = Actor(plan.setting, self._oracle.twin)
        self._signer = SubmissionSigner(self._oracle.twin, LEDGER_ID)
        self._is_set_up = False
        self._said: list[Submission] = []
        self._unanswered: Submission | None = None
        self.clock.set(self._actor.start_ns)

    def tell(self, sentence: str) -> None:
        if self._tells:
            self.outcome.story.append(sentence)

    def run(self) -> None:
        """Run all steps, then close cleanly. Raises Difference."""
        for step in self._plan.steps:
            self.outcome.steps += 1
            self._do(step)
        self._do(Step("submit", b""))
        self.machine.cancel_faults()
        self._do(Step("close", b""))
        self.machine.check_folder(self._parts.checker)

    def _do(self, step: Step) -> None:
        dice = Dice(step.data)
        try:
            self.machine.continue_snapshot()
            if step.what == "ask":
                self._set_up()
                self._actor.add_operation(step.data, max(self.machine.right_ns(), self._oracle.last_time_ns))
            elif step.what == "submit":
                self._submit(dice)
            elif step.what == "resend":
                if self._said:
                    self._send(self._said[-1 - dice.below(min(len(self._said), 250))])
            elif step.what == "tick":
                self._tick(dice)
            elif step.what == "clock":
                self.machine.change_clock(dice, self._actor)
            else:
                self.machine.apply_event(step.what, dice)
        except PowerCut:
            self.machine.power_cut()
        self._submit_until_answered()

    # ── Submissions ──────────────────────────────────────────────────────────────────────────────────────────

    def _set_up(self) -> None:
        if not self._is_set_up:
            self._is_set_up = True
            stage = self._actor.first
            if self._plan.stage is not None:
                stage = stage[list(self._plan.stage)]
            if len(stage):
                self._ask(stage, ())

    def _submit(self, dice: Dice) -> None:
        for group in self._actor.next_submission():
            if len(group.records):
                now_ns = self._oracle.time_of_next(self.machine.right_ns())
                self._ask(group.records, tuple(self._signer.envelopes(group.records, now_ns, dice)))
            if group.passes_ns:
                self.machine.advance_time(group.passes_ns)
        self.machine.set_clock_right()

    def _ask(self, records: Records, envelopes: tuple[Envelope, ...]) -> None:
        submission = Submission(records, envelopes)
        self._said.append(submission)
        self._actor.record(self.clock.now_ns(), records)
        self._unanswered = submission
        self._submit_until_answered()

    def _submit_until_answered(self) -> None:
        """Repeat a submission until it is answered or refused as a whole."""
        for _ in range(ATTEMPTS_MAX):
            if self._unanswered is None:
                return
            try:
                self._send(self._unanswered)
            except PowerCut:
                self.machine.power_cut()
        raise Difference("a request is never answered", f"not in {ATTEMPTS_MAX} attempts")

    def _send(self, submission: Submission) -> None:
        """Submit and compare the results."""
        sequencer = self.machine.running()
        records, envelopes = submission
        usage = self._oracle.usage_error(records)
        now_ns = self._oracle.time_of_next(self.clock.now_ns())
        if not self._oracle.twin.rules:
            now_ns += 1  # a separate frame first states the version of the rules
        expected = self._oracle.expected(records, envelopes, now_ns)
        wild = expected.needs_frame and self._oracle.is_wild(self.clock.now_ns())
        try:
            answers = sequencer.submit(records, envelopes)
        except UsageError as error:
            expect(usage, "a valid submission is refused as a whole", error)
            self._refused(submission, f"refused as a whole: {error.message}", "submissions refused as a whole")
            return
        except UnavailableError as error:
            if not wild:
                self.machine.refused(error)
            else:
                self._refused(submission, f"refused: {error.message}", "submissions refused for a wild clock")
            return
        self._tell_answers(records, answers)
        expect(not usage, "an invalid submission was accepted", usage)
        expect(not wild, "a wild clock was accepted")
        self._done(submission)
        self._compare(records, answers, expected, now_ns)
        self.outcome.counts["submissions"] += 1
        self._oracle.check(sequencer)

    def _tell_answers(self, records: Records, answers: Records) -> None:
        if self._tells:
            written = "".join(f", frame {each.sequence}" for each in self.machine.new_frames())
            self.tell(f"asked at {words.moment(self.clock.now_ns())}{written}:")
            for record, answer in zip(records, answers, strict=False):
                self.tell(f"  {words.answered(record, int(answer['code']), int(answer['first_code']))}")

    def _done(self, submission: Submission) -> None:
        if submission is self._unanswered:
            self._unanswered = None

    def _refused(self, submission: Submission, sentence: str, count: str) -> None:
        """Check a submission that was refused as a whole; the ledger continues."""
        expect(len(self.machine.watch.durable) == len(self._oracle.frames), "a refused submission was written")
        self.outcome.counts[count] += 1
        self.tell(f"a submission of {len(submission.records)} operations: {sentence}")
        self._done(submission)
        self._oracle.check(self.machine.running())

    def _compare(self, records: Records, answers: Records, expected: Expected, now_ns: int) -> None:
        frames = self.machine.new_frames()
        if expected.needs_frame and not self._oracle.twin.rules:
            expect(frames and _is_upgrade(frames[0]), "the first frame does not name the version of the rules")
            self._oracle.apply(frames.pop(0))
        expect(len(frames) == bool(expected.journaled), "other operations were journaled", f"{len(frames)} frames")
        taken: list[Answer] = []
        if frames:
            wanted = records[expected.journaled].tobytes()
            expect(frames[0].records == wanted, "other operations were journaled", f"frame {frames[0].sequence}")
            expect(frames[0].envelopes == expected.envelopes, "other envelopes were journaled")
            expect(frames[0].time_ns == now_ns, "the frame has another time", f"{frames[0].time_ns}, not {now_ns}")
            taken = self._oracle.apply(frames[0])
        said: list[Answer | None] = list(expected.answers)
        places = [self._oracle.place_of(record) for record in records]
        for index, (at, answer) in enumerate(zip(expected.journaled, taken, strict=True)):
            said[at] = answer
            if answer[0].binds:
                places[at] = frames[0].sequence << PLACE_INDEX_BITS | index
        expect(len(answers) == len(records), "the number of answers differs")
        right = self._oracle.twin.resolve_broken_chains(records, [answer for answer in said if answer is not None])
        for record, answer, right_one, place in zip(records, answers, right, places, strict=True):
            self._compare_answer(record, answer, right_one, place)

    def _compare_answer(self, record: np.void, answer: np.void, right: Answer, place: int) -> None:
        code, first = Result(int(answer["code"])), Result(int(answer["first_code"]))
        self.outcome.operations[_KINDS.get(int(record["kind"]), "unknown")] += 1
        self.outcome.answers[code.name] += 1
        if (code, first) != right:
            wanted = words.answered(record, *right).rpartition(": ")[2]
            raise Difference("an answer differs", f"{words.answered(record, code, first)}, not {wanted}")
        if code.binds or code in (Result.EXISTS, Result.EXISTS_WITH_DIFFERENT_CONTENT):
            expect(int(answer["place"]) == place, "an answer has another place", f"{answer['place']}, not {place}")

    # ── Time ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _tick(self, dice: Dice) -> None:
        sequencer = self.machine.running()
        due_ns = sequencer.next_due_ns()  # checked after every frame
        if due_ns is not None and dice.below(3) < 2:
            self.machine.advance_time(max(0, due_ns - self.machine.right_ns()) - dice.pick((0, 0, 1)))
        clock_ns = self.clock.now_ns()
        is_due = due_ns is not None and due_ns <= clock_ns
        now_ns = self._oracle.time_of_next(clock_ns)
        try:
            ticked = sequencer.tick()
        except UnavailableError as error:
            if not (is_due and self._oracle.is_wild(clock_ns)):
                self.machine.refused(error)
            return
        expect(ticked == is_due, "a tick advanced time wrongly", f"at {clock_ns}, due at {due_ns}")
        frames = self.machine.new_frames()
        expect(len(frames) == ticked, "a tick advanced time wrongly", f"{len(frames)} frames")
        for frame in frames:
            expect(frame.kind is FrameKind.EMPTY and frame.time_ns == now_ns, "a tick advanced time wrongly")
            self._oracle.apply(frame)
            self.outcome.counts["frames that only advance time"] += 1
            self.tell(f"frame {frame.sequence} at {words.moment(frame.time_ns)}: no operations")
        self._oracle.check(sequencer)


def _is_upgrade(frame: Written) -> bool:
    records = np.frombuffer(frame.records, OPERATION)
    return frame.kind is FrameKind.OPERATIONS and records["kind"].tolist() == [Kind.UPGRADE]
