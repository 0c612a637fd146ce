"""However the same operations are cut into frames, and whatever is sent again, the ledger ends in the same state."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sequencer.small import LEDGER_ID, Array, first_results

from sycee.core.clock import SimulatedClock
from sycee.core.errors import UsageError
from sycee.core.limits import I64_MAX
from sycee.journal import Journal
from sycee.ledger import layout
from sycee.ledger.layout import Kind
from sycee.ledger.state import LedgerState
from sycee.sequencer import sequencer as sequencer_module
from sycee.sequencer.sequencer import Sequencer, zone_of
from sycee.testing.disk import FakeDisk
from sycee.testing.histories import Frame, histories, random_history

# Frames have different times, operations of one moment need not: the moments are so far apart that a moment's
# frames all lie on the same side of every window's ends.
MOMENT_NS = 1_000


def spread(history: list[Frame]) -> list[Frame]:
    """The same history with MOMENT_NS between its times, without what the sequencer does not take."""
    frames = []
    for now_ns, operations in history:
        operations = operations[[is_taken(operations, at) for at in range(operations.size)]]
        windows = np.isin(operations["kind"], (Kind.OPEN_PROGRAMME, Kind.DEFINE_RULE_SET))
        for field in ("from_ns", "until_ns"):
            times = operations[field][windows]
            near = np.abs(times) < I64_MAX // MOMENT_NS
            operations[field][np.flatnonzero(windows)[near]] = times[near] * MOMENT_NS
            operations[field][np.flatnonzero(windows)[~near]] = np.sign(times[~near]) * I64_MAX
        frames.append((now_ns * MOMENT_NS, operations))
    return frames


def is_taken(operations: Array, at: int) -> bool:
    if operations["kind"][at] != Kind.DEFINE_CURRENCY:
        return True
    try:
        zone_of(operations[at : at + 1].view("u1")[32:80].tobytes().rstrip(b"\0").decode("latin-1") or "UTC")
    except UsageError:
        return False
    return True


def sequencer_on(disk: FakeDisk, clock: SimulatedClock, *, side_by_side: bool) -> Sequencer:
    journal = Journal.create(disk, ledger_id=LEDGER_ID, segment_bytes=256 << 10)
    return Sequencer(journal, clock=clock, side_by_side=side_by_side)


def run_whole(frames: list[Frame]) -> tuple[list[int], bytes]:
    """One submit for each moment: first results and digest."""
    clock = SimulatedClock(0)
    sequencer = sequencer_on(FakeDisk(), clock, side_by_side=False)
    results = []
    for now_ns, operations in frames:
        clock.set(now_ns)
        results += first_results(sequencer.submit(operations))
    sequencer.state.check()
    return results, sequencer.state.digest()


def run_cut(frames: list[Frame], seed: int, *, side_by_side: bool) -> tuple[list[int], bytes, FakeDisk]:
    """The same, cut anywhere, with slices of what went before sent again in between and within."""
    dice = random.Random(seed)
    clock, disk = SimulatedClock(0), FakeDisk()
    sequencer = sequencer_on(disk, clock, side_by_side=side_by_side)
    results: list[int] = []
    said = np.zeros(0, layout.OPERATION)
    for now_ns, operations in frames:
        clock.set(now_ns)
        at = 0
        while at < operations.size:
            part = operations[at : at + dice.randint(1, max(1, min(60, operations.size - at)))]
            at += part.size
            again = slice_of(said, dice) if dice.random() < 0.3 else said[:0]
            answers = sequencer.submit(np.concatenate([again, part]))
            results += first_results(answers[again.size :])
            said = np.concatenate([said, part])
            if dice.random() < 0.3:
                before = sequencer.durable_sequence
                sequencer.submit(slice_of(said, dice))
                assert sequencer.durable_sequence == before, "what is known was journaled again"
    sequencer.state.check()
    digest = sequencer.state.digest()
    sequencer.close()
    return results, digest, disk


def slice_of(said: Array, dice: random.Random) -> Array:
    first = dice.randint(0, said.size)
    return said[first : first + dice.randint(0, 50)]


def require_same(history: list[Frame], seed: int, *, side_by_side: bool) -> None:
    frames = spread(history)
    results, digest = run_whole(frames)
    cut_results, cut_digest, disk = run_cut(frames, seed, side_by_side=side_by_side)
    assert cut_results == results
    assert cut_digest == digest
    reopened = Sequencer(Journal.open(disk), side_by_side=side_by_side)
    assert reopened.state.digest() == digest
    reopened.close()


@pytest.mark.parametrize("side_by_side", [False, True])
@pytest.mark.parametrize("first", range(0, 100, 25))
def test_seeded_histories_cut_anywhere(first: int, side_by_side: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencer_module, "SIDE_BY_SIDE_RECORDS_MIN", 1)
    for seed in range(first, first + 25):
        require_same(random_history(seed, 60), seed, side_by_side=side_by_side)


@settings(max_examples=60)
@given(histories(40), st.integers(0, 2**32))
def test_hypothesis_histories_cut_anywhere(history: list[Frame], seed: int) -> None:
    require_same(history, seed, side_by_side=False)


@pytest.mark.soak
@pytest.mark.parametrize("first", range(1_000, 3_000, 200))
def test_many_histories_cut_anywhere(first: int) -> None:
    for seed in range(first, first + 200):
        require_same(random_history(seed, 100), seed, side_by_side=seed % 2 == 0)


@settings(max_examples=60)
@given(histories(40), st.integers(0, 2**32))
def test_the_state_machine_itself_knows_no_frames(history: list[Frame], seed: int) -> None:
    """At one and the same time, without a sequencer: one frame or many, the state is equal."""
    dice = random.Random(seed)
    whole, cut = LedgerState(), LedgerState()
    for sequence, (now_ns, operations) in enumerate(history, 1):
        at = 0
        while at < operations.size:
            part = operations[at : at + dice.randint(1, 40)]
            at += part.size
            apply(cut, sequence * 1_000 + at, now_ns, part)
        apply(whole, sequence, now_ns, operations)
        assert whole.digest() == cut.digest()


def apply(state: LedgerState, sequence: int, now_ns: int, operations: Array) -> None:
    operations = operations[state.resolve(operations)[0]["code"] == 65_535]
    state.reserve(operations)
    state.apply(sequence, now_ns, operations)
