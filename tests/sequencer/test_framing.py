"""The final state does not depend on the division into frames, nor on repeated submissions."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sequencer.small import LEDGER_ID, first_results

from sycee.core.arrays import Array
from sycee.core.clock import SimulatedClock
from sycee.core.errors import UsageError
from sycee.core.limits import I64_MAX
from sycee.core.records import layout
from sycee.core.records.layout import Kind, Role
from sycee.core.result_codes import Result
from sycee.core.time_zones import zone_info
from sycee.journal import Journal
from sycee.ledger import batch as batches
from sycee.ledger.kernels import constants
from sycee.ledger.state import LedgerState
from sycee.sequencer.overlap import Overlap
from sycee.sequencer.rules_version import RULES_VERSION
from sycee.sequencer.sequencer import Sequencer
from sycee.testing.disk import FakeDisk
from sycee.testing.histories import Frame, cuts, histories, random_history

# Frames have different times, operations of one moment need not: the moments are so far apart that a moment's
# frames all lie on the same side of every window's ends.
MOMENT_NS = 1_000
SEEDS = 12


Moment = tuple[int, Array]

# Fields with times, in addition to `from_ns` and `until_ns`, by kind.
TIMED = (Kind.OPEN_PROGRAMME, Kind.DEFINE_RULE_SET, Kind.GRANT_ROLE, Kind.HOLD, Kind.EXTEND)


def spread(history: list[Frame]) -> list[Moment]:
    """Return the same history with MOMENT_NS between its times, without operations that the sequencer refuses."""
    moments = []
    for now_ns, records, _ in history:
        operations = records[[is_taken(records, at) for at in range(records.size)]]
        for kinds, field in ((TIMED, "from_ns"), (TIMED, "until_ns"), ((Kind.DEFINE_RULE_SET,), "amount")):
            chosen = np.flatnonzero(np.isin(operations["kind"], kinds))  # `amount` is a rule set's `effective_ns`
            times = operations[field][chosen]
            near = np.abs(times) < I64_MAX // MOMENT_NS
            operations[field][chosen] = np.where(near, times * near * MOMENT_NS, np.sign(times) * I64_MAX)
        if operations.size:
            operations["flags"][-1] &= ~np.uint16(layout.LINKED)  # a submission does not end within a chain
        moments.append((now_ns * MOMENT_NS, operations))
    return moments


def is_taken(operations: Array, at: int) -> bool:
    """Return False for unknown zones, unknown rules, and officers, after whom every operation needs a signature."""
    kind = operations["kind"][at]
    if kind == Kind.UPGRADE:
        return bool(operations["number"][at] <= RULES_VERSION)
    if kind == Kind.GRANT_ROLE:
        return bool(operations["first"][at] != Role.OFFICER)
    if kind != Kind.DEFINE_CURRENCY:
        return True
    try:
        zone_info(operations[at : at + 1].view("u1")[32:80].tobytes().rstrip(b"\0").decode("latin-1") or "UTC")
    except UsageError:
        return False
    return True


def sequencer_on(disk: FakeDisk, clock: SimulatedClock, *, overlap: bool) -> Sequencer:
    journal = Journal.create(disk, ledger_id=LEDGER_ID, segment_bytes=256 << 10)
    return Sequencer(journal, clock=clock, overlap=overlap and Overlap(records_min=1))


def run_whole(moments: list[Moment]) -> tuple[list[int], bytes]:
    """Submit each moment at once; return first results and digest."""
    clock = SimulatedClock(0)
    sequencer = sequencer_on(FakeDisk(), clock, overlap=False)
    results = []
    for now_ns, operations in moments:
        clock.set(now_ns)
        results += first_results(sequencer.submit(operations))
        sequencer.tick()
    sequencer.state.check()
    return results, sequencer.state.digest()


def run_cut(moments: list[Moment], seed: int, *, overlap: bool) -> tuple[list[int], bytes, FakeDisk]:
    """Submit in random slices that divide no chain, and repeat earlier slices; return first results and digest."""
    dice = random.Random(seed)
    clock, disk = SimulatedClock(0), FakeDisk()
    sequencer = sequencer_on(disk, clock, overlap=overlap)
    results: list[int] = []
    submitted = np.zeros(0, layout.OPERATION)
    for now_ns, operations in moments:
        clock.set(now_ns)
        places = cuts(operations)
        if Kind.DEFINE_CURRENCY in operations["kind"]:
            places = [0, operations.size]  # a currency has no date in the frame that defines it, but in the next
        while len(places) > 1:
            taken = dice.randint(1, min(60, len(places) - 1))
            part = operations[places[0] : places[taken]]
            places = places[taken:]
            again = slice_of(submitted, dice) if dice.random() < 0.3 else submitted[:0]
            answers = sequencer.submit(np.concatenate([again, part]))[again.size :]
            results += first_results(answers)
            submitted = np.concatenate([submitted, part[stays_so(part, answers)]])
            if dice.random() < 0.3:
                before = sequencer.durable_sequence
                sequencer.submit(slice_of(submitted, dice))
                assert sequencer.durable_sequence == before, "what is known was journaled again"
        sequencer.tick()
    sequencer.state.check()
    digest = sequencer.state.digest()
    sequencer.close()
    return results, digest, disk


def stays_so(part: Array, answers: Array) -> Array:
    """Return whether a chain does not repeat an id: such a chain binds nothing, and may succeed at another time."""
    stays = np.ones(part.size, np.bool_)
    for start, end in pairwise(cuts(part)):
        stays[start:end] = Result.CHAIN_REPEATS_AN_ID not in answers["code"][start:end]
    return stays


def slice_of(submitted: Array, dice: random.Random) -> Array:
    places = cuts(submitted)
    first = dice.randint(0, len(places) - 1)
    last = min(first + dice.randint(0, 50), len(places) - 1)
    return submitted[places[first] : places[last]]


def require_same(history: list[Frame], seed: int, *, overlap: bool) -> None:
    moments = spread(history)
    results, digest = run_whole(moments)
    cut_results, cut_digest, disk = run_cut(moments, seed, overlap=overlap)
    assert cut_results == results
    assert cut_digest == digest
    reopened = Sequencer(Journal.open(disk), overlap=overlap)
    assert reopened.state.digest() == digest
    reopened.close()


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("seeds", [SEEDS // 2, pytest.param(SEEDS, marks=pytest.mark.soak)], ids=["quick", "soak"])
def test_seeded_histories_cut_anywhere(seeds: int, overlap: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With overlap, all code paths for large batches and large frames are used."""
    if overlap:
        monkeypatch.setattr(batches, "BUFFERED_RECORDS_MIN", 1)
    for seed in range(seeds):
        require_same(random_history(seed, 60), seed, overlap=overlap)


@settings(max_examples=15)
@given(histories(40), st.integers(0, 2**32))
def test_hypothesis_histories_cut_anywhere(history: list[Frame], seed: int) -> None:
    require_same(history, seed, overlap=False)


@pytest.mark.soak
@pytest.mark.parametrize("first", range(SEEDS, SEEDS + 2_000, 200))
def test_many_histories_cut_anywhere(first: int) -> None:
    for seed in range(first, first + 200):
        require_same(random_history(seed, 100), seed, overlap=seed % 2 == 0)


@settings(max_examples=30)
@given(histories(40), st.integers(0, 2**32))
def test_the_state_does_not_depend_on_frames(history: list[Frame], seed: int) -> None:
    """Without a sequencer, at one time: the state after one frame equals the state after many."""
    dice = random.Random(seed)
    whole, cut = LedgerState(), LedgerState()
    for sequence, (now_ns, records, calendar) in enumerate(history, 1):
        places = cuts(records)
        apply(cut, sequence * 1_000, Frame(now_ns, records[:0], calendar))
        while len(places) > 1:
            taken = dice.randint(1, min(40, len(places) - 1))
            apply(cut, sequence * 1_000 + places[taken], Frame(now_ns, records[places[0] : places[taken]], calendar))
            places = places[taken:]
        apply(whole, sequence, Frame(now_ns, records, calendar))
        assert whole.digest() == cut.digest()


def apply(state: LedgerState, sequence: int, frame: Frame) -> None:
    records = frame.records[state.resolve(frame.records)[0]["code"] == constants.PENDING]
    state.reserve(records)
    state.apply(sequence, frame.now_ns, records, frame.calendar)
