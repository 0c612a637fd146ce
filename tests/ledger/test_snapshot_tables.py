"""A state that was saved and loaded continues like the original, down to each byte of the answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tests.journal import snapshot_files
from tests.ledger.saved_state import kept, loaded
from tests.ledger.table import play
from tests.ledger.test_check import WIDE
from tests.ledger.verbs import id_of

from sycee.core.errors import IntegrityError
from sycee.core.result_codes import Result
from sycee.journal import Anchor
from sycee.ledger.state import LedgerState
from sycee.testing.disk import FakeDisk
from sycee.testing.histories import Frame, random_history

LEDGER_ID = bytes(range(16))
SEEDS = 15
SOAK_SEEDS = 330


def through_a_file(state: LedgerState) -> LedgerState:
    """Load the state from a snapshot on a disk."""
    disk = FakeDisk(folder="fake/snapshots")
    sections, small = state.save()
    snapshot_files.write(
        disk,
        ledger_id=LEDGER_ID,
        epoch=1,
        anchor=Anchor(max(state.sequence, 1), 1, bytes(32)),
        rules=state.rules,
        movement_digest=state.movement_digest,
        sections=sections,
        small=small,
    )
    found, findings = snapshot_files.newest_good(disk, LEDGER_ID)
    assert found is not None, findings
    with found:
        return LedgerState.load(found.sections, found.small)


def apply(state: LedgerState, sequence: int, frame: Frame) -> list[Any]:
    """Apply a frame as the sequencer does. Return its answers and the state's digests."""
    now_ns, records, calendar = frame
    if not records.size:
        state.pass_time(now_ns, calendar, sequence=sequence)
        return [state.digest()]
    answers, _ = state.resolve(records)
    state.reserve(records)
    applied = state.apply(sequence, now_ns, records, calendar)
    return [answers.tolist(), applied.tolist(), state.digest(), state.movement_digest, state.next_due_ns()]


def require_same(one: LedgerState, other: LedgerState) -> None:
    assert one.digest() == other.digest()
    assert one.movement_digest == other.movement_digest
    assert (one.sequence, one.rules, one.release) == (other.sequence, other.rules, other.release)
    assert (one.authority_on, one.grants, one.zones) == (other.authority_on, other.grants, other.zones)
    assert one.movements.tobytes() == other.movements.tobytes()
    assert one.frame_times.tolist() == other.frame_times.tolist()
    mine, others = one.save(), other.save()
    assert mine[1] == others[1]
    assert mine[0].keys() == others[0].keys()
    other.check()


def go_on(history: list[Frame], cut: int, *, file: bool = False) -> None:
    state = LedgerState()
    for sequence, frame in enumerate(history[:cut], 1):
        apply(state, sequence, frame)
    again = through_a_file(state) if file else loaded(state)
    require_same(state, again)
    for sequence, frame in enumerate(history[cut:], cut + 1):
        assert apply(state, sequence, frame) == apply(again, sequence, frame), f"frame {sequence}"
    require_same(state, again)


def saved_somewhere(seed: int) -> None:
    history = random_history(5_000_000 + seed, 60)
    go_on(history, seed * 7 % (len(history) + 1), file=seed % 5 == 0)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_loaded_state_continues_like_the_original(seed: int) -> None:
    saved_somewhere(seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(SEEDS, SOAK_SEEDS))
def test_many_loaded_states_continue_like_the_originals(seed: int) -> None:
    saved_somewhere(seed)


def test_a_state_is_saved_and_loaded_after_every_frame() -> None:
    state = LedgerState()
    for sequence, frame in enumerate(random_history(6_000_000, 120), 1):
        again = loaded(state)
        assert apply(state, sequence, frame) == apply(again, sequence, frame)
        state = again


def test_an_empty_ledger() -> None:
    require_same(LedgerState(), loaded(LedgerState()))
    require_same(LedgerState(), through_a_file(LedgerState()))


def test_a_loaded_state_answers_retries() -> None:
    table = play(WIDE)
    again = loaded(table.sides.state)
    assert len(table.sent) > 60
    for name, record in table.sent.items():
        codes, pending = again.resolve(record)
        assert pending == 0, name
        assert set(codes["code"].tolist()) == {Result.EXISTS}
        other = record.copy()
        other["code"] += 1
        assert set(again.resolve(other)[0]["code"].tolist()) == {Result.EXISTS_WITH_DIFFERENT_CONTENT}


def test_reads_of_a_loaded_state_are_equal() -> None:
    table = play(WIDE)
    state, again = table.sides.state, loaded(table.sides.state)
    for name in table.names.values():
        assert state.account(id_of(name)) == again.account(id_of(name)) is not None
    for name in ("room", "meal", "gone"):
        assert state.hold(id_of(name)) == again.hold(id_of(name)) is not None
    for name in ("under", "done"):
        assert state.transit_of(id_of(name)) == again.transit_of(id_of(name)) is not None
    for programme, member in ((1, 0), (1, 1), (3, 0), (3, 1)):
        assert state.purse(programme, member) == again.purse(programme, member) is not None
    assert state.next_due_ns() == again.next_due_ns() == 500


def test_stale_ends_of_holds_are_not_loaded() -> None:
    """The heap of time-outs is rebuilt without holds that have ended."""
    table = play("""
        transfer  treasury  ann  10
        hold      ann  shop  1  until=50   id=one
        hold      ann  shop  1  until=100  id=two
        hold      ann  shop  1  until=70   id=three
        extend    two  ann  200
        void      one  shop
    """)
    again = loaded(table.sides.state)
    assert again.next_due_ns() == 70
    again.pass_time(70, sequence=table.sides.sequence + 1)
    assert again.next_due_ns() == 200
    again.check()


def without(mapping: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key != name}


def test_an_incomplete_snapshot_is_refused() -> None:
    sections, small = kept(play(WIDE).sides.state)
    for name in sections:
        with pytest.raises(IntegrityError, match="does not contain what this release needs"):
            LedgerState.load(without(sections, name), small)
    for name in small:
        with pytest.raises(IntegrityError, match="does not contain what this release needs"):
            LedgerState.load(sections, without(small, name))


@pytest.mark.parametrize("name", ["movement_digest", "grants", "sequence"])
def test_a_snapshot_with_a_wrong_value_is_refused(name: str) -> None:
    sections, small = kept(play(WIDE).sides.state)
    with pytest.raises(IntegrityError, match="does not contain what this release needs"):
        LedgerState.load(sections, {**small, name: "something else"})
