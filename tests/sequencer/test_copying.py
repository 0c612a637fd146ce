"""A snapshot that is written while frames continue equals the state at its first frame, byte by byte."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pytest
from tests.journal import snapshot_files
from tests.sequencer.small import ANN, MEMBERS, START_NS, SUSPENSE, opening, some_ids, steps

from sycee.core.errors import UnavailableError
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind, Kind
from sycee.journal import Anchor, Frame
from sycee.ledger import digest, kernels
from sycee.ledger.kernels import constants
from sycee.ledger.state import LedgerState
from sycee.sequencer import frozen, snapshots, state_copy
from sycee.sequencer.log import Log
from sycee.storage.snapshot_copy import CHANGING
from sycee.testing.disk import FakeDisk
from sycee.testing.histories import Frame as Asked
from sycee.testing.histories import random_history

LEDGER_ID = bytes(range(16))
SEEDS = 12
SOAK_SEEDS = 120
OPERATIONS = 120
PIECE_BYTES = 256  # two accounts, three purses: a snapshot needs many steps


@dataclass
class At:
    """The attributes of a log at its newest frame."""

    sequence: int
    ledger_id: bytes = LEDGER_ID
    epoch: int = 1
    time_ns: int = 7
    digest: bytes = bytes(32)

    @property
    def last_sequence(self) -> int:
        return self.sequence

    @property
    def anchor(self) -> Anchor:
        return Anchor(self.sequence, self.time_ns, self.digest)


@dataclass
class Ledger:
    """A state, and the frames that follow."""

    frames: list[Asked]
    state: LedgerState = field(default_factory=LedgerState)

    def go_on(self, count: int = 1) -> None:
        for now_ns, records, calendar in self.frames[:count]:
            sequence = self.state.sequence + 1
            if records.size:
                self.state.reserve(records)
                self.state.apply(sequence, now_ns, records, calendar)
            else:
                self.state.pass_time(now_ns, calendar, sequence=sequence)
        del self.frames[:count]


def begun(
    ledger: Ledger, disk: FakeDisk, dice: random.Random, piece_bytes: int = PIECE_BYTES
) -> snapshots.SnapshotTask:
    """Begin a snapshot of the ledger; frames may be applied between a step's read and its lock."""

    @contextmanager
    def between_frames() -> Iterator[None]:
        ledger.go_on(dice.choice((0, 0, 0, 1)))
        yield

    at = cast(Log, At(ledger.state.sequence))
    return snapshots.SnapshotTask(disk, at, ledger.state, between_frames, piece_bytes=piece_bytes)


def require_as_at(cut: int, history: list[Asked], disk: FakeDisk) -> LedgerState:
    """Check that the snapshot on disk equals that of a ledger that stopped at this frame; return its state."""
    then = Ledger(list(history))
    then.go_on(cut)
    found, findings = snapshot_files.newest_good(disk, LEDGER_ID)
    assert found is not None, findings
    with found:
        assert snapshots.difference(found, then.state, cast(Frame, At(cut))) == ""
        loaded = snapshots.load_state(found)
    assert loaded.digest() == then.state.digest()
    assert loaded.movement_digest == then.state.movement_digest
    loaded.check()
    return loaded


def copied_while_going_on(seed: int) -> Ledger:
    dice = random.Random(seed)
    history = random_history(7_000_000 + seed, OPERATIONS)
    cut = dice.randrange(len(history) // 3, len(history))
    ledger = Ledger(list(history))
    ledger.go_on(cut)
    disk = FakeDisk(folder="fake/snapshots")
    writing = begun(ledger, disk, dice, dice.choice((128, PIECE_BYTES, 1024, 8192)))
    ledger.go_on(dice.choice((0, 1, 5)))
    while writing.step():
        ledger.go_on(dice.choice((0, 0, 1, 2)))
    assert not ledger.state.tables.counters[constants.PREIMAGE_MODE]
    assert ledger.state.tables.preimages.size == 1
    loaded = Ledger(history[cut:], require_as_at(cut, history, disk))
    ledger.go_on(len(ledger.frames))
    loaded.go_on(len(loaded.frames))
    assert ledger.state.digest() == loaded.state.digest()
    assert ledger.state.movement_digest == loaded.state.movement_digest
    return ledger


def kept_as_it_was(seed: int) -> None:
    """Apply all later frames before the first piece, so that everything depends on the pre-images."""
    history = random_history(7_000_000 + seed, OPERATIONS)
    cut = len(history) * (1 + seed % 4) // 6
    ledger = Ledger(list(history))
    ledger.go_on(cut)
    disk = FakeDisk(folder="fake/snapshots")
    writing = begun(ledger, disk, random.Random(seed), 4_096)
    ledger.go_on(len(ledger.frames))
    writing.run()
    require_as_at(cut, history, disk)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_copy_is_of_the_frame_at_which_it_began(seed: int) -> None:
    copied_while_going_on(seed)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_copy_is_unaffected_by_any_later_write(seed: int) -> None:
    kept_as_it_was(seed)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_frozen_tables_are_those_of_one_frame(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen, "PIECE_BYTES", 256)
    dice = random.Random(seed)
    history = random_history(7_000_000 + seed, OPERATIONS)
    cut = dice.randrange(len(history) // 3, len(history))
    then, ledger = Ledger(list(history)), Ledger(list(history))
    then.go_on(cut)
    ledger.go_on(cut)

    @contextmanager
    def between_frames() -> Iterator[None]:
        ledger.go_on(dice.choice((0, 0, 1)))
        yield

    log = cast(Log, At(cut))
    tables = frozen.FrozenTables(ledger.state, between_frames, log)
    copied = LedgerState.load({name: state_copy._Section(tables, name) for name in tables.sections}, tables.small)
    tables.end()
    assert copied.digest() == then.state.digest()
    copied.check()
    assert not ledger.state.tables.counters[constants.PREIMAGE_MODE]

    now = Ledger(list(history))
    now.go_on(ledger.state.sequence)
    tables = frozen.FrozenTables(ledger.state, between_frames, log)
    readable = tables.readable()
    tables.end()
    ledger.go_on()
    assert digest.state_digest(readable) == now.state.digest()
    assert [readable.supply(each) for each in now.state.zones] == [now.state.supply(each) for each in now.state.zones]

    for name in ("accounts", "purses"):
        now = Ledger(list(history))
        now.go_on(ledger.state.sequence)
        tables = frozen.FrozenTables(ledger.state, between_frames, log)
        expected = now.state.save()[0][name]
        first = expected.size // 3
        found = [*tables.rows(name, first, expected.size - first)]
        tables.end()
        assert np.concatenate([expected[:first], *found]).tobytes() == expected.tobytes()


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(SEEDS, SOAK_SEEDS))
def test_many_copies_are_of_the_frame_at_which_they_began(seed: int) -> None:
    copied_while_going_on(seed)
    kept_as_it_was(seed)


def test_every_kind_is_done_while_a_copy_is_made() -> None:
    """Check that the seeds above cover every kind."""
    done = np.concatenate(
        [records["kind"] for n in range(SEEDS) for _, records, _ in random_history(7_000_000 + n, 120)]
    )
    assert {int(kind) for kind in Kind} <= set(done.tolist())


def test_a_programme_from_its_opening_to_its_end_at_every_frame() -> None:
    """Members, drops, claims, pays, refunds and expiry, a frame each: later frames are applied before the first piece.

    The first member's purse expires last, so that others are removed from behind it in its wallet's list.
    """
    frames: list[Asked] = []
    for seconds, records in steps():
        for at in range(records.size):
            one = records[at : at + 1]
            if one["kind"][0] == Kind.EXPIRE and one["count"][0] == MEMBERS:
                others = one.copy()
                others["id_low"] += 1
                others["first"], others["count"] = 1, MEMBERS - 1
                frames.append((START_NS + seconds * 10**9 + len(frames), others, ()))
            frames.append((START_NS + seconds * 10**9 + len(frames), one, ()))
    for cut in range(1, len(frames)):
        ledger = Ledger(list(frames))
        ledger.go_on(cut)
        disk = FakeDisk(folder="fake/snapshots")
        writing = snapshots.SnapshotTask(disk, cast(Log, At(cut)), ledger.state, nullcontext)
        ledger.go_on(len(ledger.frames))
        writing.run()
        require_as_at(cut, frames, disk)


def test_an_account_in_its_first_group_was_in_none_before() -> None:
    """Also if so many payees are added meanwhile that the groups' bits move to a wider table."""
    many = some_ids("wallets", 1_030)
    wallets = operations.open_account(
        some_ids("opened", 1_030), account=many, currency=156, kind=AccountKind.WALLET, suspense=SUSPENSE
    )
    frames: list[Asked] = [
        (1, opening(), ()),
        (2, np.concatenate([operations.define_group(200 + number, group=number) for number in (1, 2)]), ()),
        (3, operations.join_group(301, group=2, account=ANN), ()),
        (4, wallets, ()),
        (5, operations.join_group(some_ids("joined", 1_030), group=1, account=many), ()),
        (6, operations.leave_group(302, group=2, account=ANN), ()),
    ]
    for cut in range(2, len(frames)):
        for pieces_before in (0, 1, 100):
            ledger = Ledger(list(frames))
            ledger.go_on(cut)
            disk = FakeDisk(folder="fake/snapshots")
            writing = snapshots.SnapshotTask(disk, cast(Log, At(cut)), ledger.state, nullcontext, piece_bytes=512)
            for _ in range(pieces_before):
                writing.step()
            ledger.go_on(len(ledger.frames))
            writing.run()
            require_as_at(cut, frames, disk)


def test_an_abandoned_snapshot_leaves_nothing() -> None:
    history = random_history(7_100_000, OPERATIONS)
    ledger = Ledger(list(history))
    ledger.go_on(len(history) // 2)
    disk = FakeDisk(folder="fake/snapshots")
    writing = begun(ledger, disk, random.Random(1))
    for _ in range(5):
        assert writing.step()
    assert writing.is_running
    assert len(disk.names()) == 1
    writing.abandon()
    writing.abandon()
    assert not writing.step()
    assert disk.names() == []
    assert not ledger.state.tables.counters[constants.PREIMAGE_MODE]
    cut = ledger.state.sequence
    snapshots.SnapshotTask(disk, cast(Log, At(cut)), ledger.state, nullcontext).run()
    require_as_at(cut, history, disk)


@pytest.mark.parametrize("space_bytes", [0, 4_096, 12_288])
def test_a_full_disk_ends_the_snapshot_and_the_ledger_continues(space_bytes: int) -> None:
    history = random_history(7_200_000, OPERATIONS)
    ledger = Ledger(list(history))
    ledger.go_on(len(history) // 2)
    disk = FakeDisk(folder="fake/snapshots", space_bytes=space_bytes)
    writing = begun(ledger, disk, random.Random(1))
    with pytest.raises(UnavailableError, match=r"the snapshot of frame .* failed: .*no space"):
        writing.run()
    assert not writing.is_running
    assert disk.names() == []
    assert not ledger.state.tables.counters[constants.PREIMAGE_MODE]
    ledger.go_on(len(ledger.frames))
    undisturbed = Ledger(list(history))
    undisturbed.go_on(len(history))
    assert ledger.state.digest() == undisturbed.state.digest()


def test_the_tables_that_change_are_numbered_as_the_kernels_number_them() -> None:
    numbers: dict[str, Any] = {
        name.removeprefix("COPIED_").lower(): value
        for name, value in vars(kernels.constants).items()
        if name.startswith("COPIED_") and name != "COPIED_TABLES"
    }
    assert [name for name, _ in sorted(numbers.items(), key=lambda item: int(item[1]))] == list(CHANGING)
