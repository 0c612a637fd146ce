"""The simulator: some histories in every run, ten minutes in a soak test, and planted defects that it must find."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

import numpy as np
import pytest

from sycee.cli import main
from sycee.core.arrays import Array
from sycee.core.errors import UnavailableError, UsageError
from sycee.core.limits import RECORD_BYTES
from sycee.core.records.layout import Kind
from sycee.core.result_codes import Result
from sycee.journal.frame import FrameKind
from sycee.journal.recovery import Scan
from sycee.ledger import authority
from sycee.ledger.batch import PreparedBatch
from sycee.sequencer import frame_time, snapshots
from sycee.sequencer.sequencer import Sequencer
from sycee.sequencer.time_zones import calendar_entry
from sycee.testing.disk import FakeDisk, FakeFile
from sycee.testing.simulator import SEED_MAX, Failure, Parts, Report, plan_of, run, simulate
from sycee.testing.simulator_shrink import RUNS_MAX

SEED, HISTORIES = 14, 10  # few that have every event below; the soak test runs hundreds
SOAK_SECONDS = 600

# Counters that must be above 0 after these histories: no change may make the histories easier unnoticed.
HAPPENINGS = (
    "power cuts", "power cuts during a start", "kills", "step: close", "step: cut", "step: cut now", "snapshots",
    "snapshots written behind",
    "starts from a snapshot", "new epochs", "refusals of the disk", "starts that the disk refused",
    "flipped bits", "bad sectors", "damage that was detected", "damage that was harmless",
    "tails in doubt that were cut", "unfinished frames that were kept", "unfinished frames that were lost",
    "clock went back", "clock went wild", "clock: midnight", "clock: year", "clock: turn", "clock: due",
    "submissions refused for a wild clock", "submissions refused as a whole", "frames that only advance time",
    "ended early: a false success of the disk was detected", "folders verified",
    "journals cut before the frame of a snapshot", "journals replaced before the frame of a snapshot",
)  # fmt: skip
FAULTS = (
    "names lost in a power cut", "sectors lost in a power cut", "failed fdatasync", "refused: no space",
    "refused: read-only", "write lost", "write misdirected", "writes done in another order", "file lost",
)  # fmt: skip
SIGNATURES = (
    Result.SIGNATURE_INVALID, Result.SIGNATURE_EXPIRED, Result.SIGNER_NOT_FOUND, Result.KEY_EPOCH_DIFFERS,
    Result.NOT_AUTHORISED, Result.TWO_PERSONS_MUST_SIGN,
)  # fmt: skip


def require_agreement(report: Report) -> None:
    assert report.failure is None, report.failure.text()


def test_ten_histories() -> None:
    report = simulate(SEED, histories=HISTORIES)
    require_agreement(report)
    assert report.histories == HISTORIES
    missing = [name for name in HAPPENINGS if not report.counts[name]]
    missing += [name for name in FAULTS if not report.faults[name]]
    missing += [kind.name for kind in Kind if not report.operations[kind.name]]
    missing += [code.name for code in SIGNATURES if not report.answers[code.name]]
    assert missing == []
    assert len(report.answers) > 95


@pytest.mark.soak
@pytest.mark.parametrize("applies_first", [False, True])
def test_ten_minutes(applies_first: bool) -> None:
    """Of each order in which frames are applied and appended."""
    parts = Parts(applies_first=applies_first)
    report = simulate(1_000_000 + 500_000 * applies_first, seconds=SOAK_SECONDS, parts=parts)
    print(json.dumps(report.as_json(), indent=1))
    require_agreement(report)
    # No submission ends with a code of the first kind; the second needs a batch of 2³⁰ payments.
    assert {code.name for code in Result} - report.answers.keys() <= {"CHAIN_OPEN", "TOO_MANY_PAYMENTS"}
    assert report.histories > 20  # hundreds on a machine that does nothing else


def test_one_seed_is_one_history() -> None:
    one, other = (run(plan_of(7), tell=True) for _ in range(2))
    assert one.story == other.story
    assert (one.counts, one.operations, one.answers, one.faults) == (
        other.counts,
        other.operations,
        other.answers,
        other.faults,
    )
    assert plan_of(8) != plan_of(7)


# ── Planted defects ──────────────────────────────────────────────────────────────────────────────────────────────────


def found(parts: Parts | None = None, *, first: int = 1, shrink_runs_max: int = 25) -> Failure:
    """Return the failure that the simulator must find in 30 histories."""
    failure = simulate(first, histories=30, parts=parts or Parts(), shrink_runs_max=shrink_runs_max).failure
    assert failure is not None, "the simulator did not find it"
    assert failure.command == f"sycee simulate --seed {failure.seed} --histories 1"
    assert failure.story[-1].startswith("FAILURE: ")
    assert failure.steps_left < failure.steps
    assert f"seed {failure.seed}: {failure.what}" in failure.text()
    return failure


class HastySequencer(Sequencer):
    """Returns results before the frame is durable."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        writer, state, commit = self._writer, self.state, self._writer._commit

        def hasty(kind: FrameKind, now_ns: int, batch: PreparedBatch) -> Array:
            sequence = self._log.last_sequence + 1
            try:
                return commit(kind, now_ns, batch)
            except UnavailableError:
                self._queue.stopped, writer.durable_sequence = None, sequence
                return state.apply(sequence, now_ns, batch)

        writer._commit = hasty  # type: ignore[method-assign]


class LenientSequencer(Sequencer):
    """Ignores the limit of a single payment."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        state, apply = self.state, self.state.apply

        def lenient(sequence: int, now_ns: int, batch: Any, calendar: Any = ()) -> Array:
            limits = state.tables.rule_sets["single_max"]
            kept = limits.copy()
            limits[:] = 0
            answers = apply(sequence, now_ns, batch, calendar)
            np.copyto(limits, kept, where=kept != 0)
            return answers

        state.apply = lenient  # type: ignore[method-assign]


class LyingFile(FakeFile):
    """Reports success of an fdatasync without doing it."""

    def fdatasync(self) -> None:
        self._disk._done("fdatasync")


class LyingDisk(FakeDisk):
    """Disk of such files."""

    def create(self, name: str) -> FakeFile:
        return self._lying(super().create(name))

    def open(self, name: str, *, writable: bool) -> FakeFile:
        return self._lying(super().open(name, writable=writable))

    def _lying(self, file: FakeFile) -> FakeFile:
        return LyingFile(self, file.name, file._inode)

    def _successor(self) -> FakeDisk:
        after = LyingDisk(folder=self.folder)
        after.faults = self.faults
        return after


def test_a_sequencer_that_answers_before_the_write_is_found() -> None:
    failure = found(Parts(sequencer=HastySequencer), shrink_runs_max=RUNS_MAX)  # shrunk as far as it can be
    assert failure.steps_left <= 6
    assert failure.runs < RUNS_MAX
    assert any(line.split()[0] in ("sync", "full", "read-only") for line in failure.story)


def test_a_ledger_without_a_limit_is_found() -> None:
    failure = found(Parts(sequencer=LenientSequencer))
    assert failure.what in ("an answer differs", "the movement digests differ", "the state digests differ")
    assert failure.steps_left <= 12
    assert "EXCEEDS_SINGLE_LIMIT" in failure.story[-1] or "differ" in failure.story[-1]


def test_a_disk_that_loses_durable_data_is_found() -> None:
    failure = found(Parts(disk=lambda: LyingDisk(folder="fake")))
    assert failure.steps_left <= 8


def test_an_envelope_that_is_dropped_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PreparedBatch, "frame_envelopes", lambda self: self.envelopes[:0])
    failure = found()
    assert failure.what in ("other envelopes were journaled", "other operations were journaled")


def test_a_calendar_of_another_zone_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def everywhere_utc(zones: dict[int, str], now_ns: int) -> Any:
        return tuple(calendar_entry(currency, "UTC", now_ns) for currency in zones)

    monkeypatch.setattr(frame_time, "calendar_of", everywhere_utc)
    failure = found()
    assert failure.what == "the frame has other local dates"
    assert failure.steps_left <= 6


def test_a_snapshot_that_forgets_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    load_state = snapshots.load_state

    def forgetful(snapshot: Any, history: Any = None) -> Any:
        state = load_state(snapshot, history)
        state.accounts["day_used"] = 0
        return state

    monkeypatch.setattr(snapshots, "load_state", forgetful)
    failure = found(first=100)
    # By the state after a start, or by the replay at the end, which compares snapshots.
    assert failure.what in ("the state digests differ", "an answer differs", "verify finds damage")


@pytest.mark.parametrize(("what", "first"), [("_require_anchor", 2), ("_ends_too_early", 3)])
def test_a_start_that_ignores_the_position_of_its_snapshot_is_found(
    what: str, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scan, what, lambda *_: None)
    failure = found(first=first)
    assert failure.what == "a ledger starts without frames that its snapshot has"
    assert failure.steps_left <= 6


def test_a_record_that_is_changed_before_the_journal_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    submit = Sequencer.submit

    def careless(self: Sequencer, operations: Array, envelopes: Any = ()) -> Array:
        if operations.size > 4:
            operations = operations.copy()
            operations["code"][4] += 1
        return submit(self, operations, envelopes)

    monkeypatch.setattr(Sequencer, "submit", careless)
    failure = found()
    assert failure.what == "other operations were journaled"
    assert RECORD_BYTES == 128


# ── The command ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--seed", "17", "--histories", "1", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["ok"], first["histories"], first["failure"]) == (True, 1, None)
    assert main(["simulate", "--seed", "17", "--histories", "1"]) == 0
    text = capsys.readouterr().out
    assert "1 history, seed 17: every frame and every start agreed with the twin." in text
    assert f"{first['answers']['CREATED']:>12,}  CREATED" in text


def test_unchecked_signatures_are_found_and_shown_by_the_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authority, "authorise", lambda *arguments, **_: np.zeros(arguments[3].size, np.uint16))
    assert main(["simulate", "--seed", "1", "--histories", "30"]) == 3
    text = capsys.readouterr().out
    assert "other operations were journaled" in text
    assert "to repeat it: sycee simulate --seed " in text


@pytest.mark.parametrize(
    ("seed", "seconds", "histories", "says"),
    [
        (1, None, None, "has no end"),
        (-1, None, 1, "seed must be a whole number from 0 to 9223372036854775807; got -1"),
        (SEED_MAX + 1, None, 1, "got 9223372036854775808"),
        (SEED_MAX, None, 2, "need seeds above the last one"),
        (1, None, 0, "histories must be at least 1; got 0"),
        (1, 5.0, -3, "histories must be at least 1; got -3"),
        (1, float("nan"), None, "seconds must be a finite number above 0; got nan"),
        (1, float("nan"), 1, "seconds must be a finite number above 0; got nan"),
        (1, float("inf"), None, "seconds must be a finite number above 0; got inf"),
        (1, 0.0, 1, "seconds must be a finite number above 0; got 0.0"),
        (1, -1.0, 1, "seconds must be a finite number above 0; got -1.0"),
    ],
)
def test_a_simulation_without_end_or_histories_is_refused(
    seed: int, seconds: float | None, histories: int | None, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match=says):
        simulate(seed, seconds=seconds, histories=histories)
    words = [] if seconds is None else [f"--seconds={seconds}"]
    words += [] if histories is None else [f"--histories={histories}"]
    if words:  # the command has a default
        assert main(["simulate", f"--seed={seed}", *words]) == 2
        if seconds is not None and not isfinite(seconds):
            says = f'--seconds must be a number; got "{seconds}"'  # an option is never infinite
        assert says in capsys.readouterr().err


def test_the_last_seed_is_the_last() -> None:
    assert simulate(SEED_MAX, seconds=60.0).histories == 1
