"""`verify` proves a good folder and names the damage in a bad one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.sequencer.small import START_NS, opening, run, some_ids, start, steps

from sycee.core.clock import SimulatedClock
from sycee.core.errors import IntegrityError, JournalDamaged, TailInDoubt, UsageError
from sycee.core.keys import SigningKey
from sycee.core.records import operations
from sycee.core.records.layout import Role
from sycee.core.result_codes import Result
from sycee.journal import Journal
from sycee.journal.frame import Frame
from sycee.ledger.state import LedgerState
from sycee.ledger.state_tables import StateTables
from sycee.sequencer import checkpoint as checkpoints
from sycee.sequencer import frozen
from sycee.sequencer import verify as verify_module
from sycee.sequencer.applier import Applier
from sycee.sequencer.checkpoint import Checkpoint, Position, sign
from sycee.sequencer.embedded import Ledger
from sycee.sequencer.folders import journal_disk
from sycee.sequencer.verify import Verification, verify
from sycee.testing.disk import FakeDisk

SEGMENT = "000000000001.segment"


def small_ledger(*, closed: bool = True) -> tuple[FakeDisk, bytes]:
    disk, clock = FakeDisk(), SimulatedClock(START_NS)
    sequencer = start(disk, clock)
    run(sequencer, clock, [])
    if closed:
        sequencer.close()
    return disk.kill(), sequencer.state.digest()


def verify_on(disk: FakeDisk, monkeypatch: pytest.MonkeyPatch) -> Verification:
    disk.read_only = True
    monkeypatch.setattr(verify_module, "existing_journal_disk", lambda folder: disk)
    return verify("ledger")


@pytest.mark.parametrize("closed", [True, False])
def test_a_good_folder(closed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, digest = small_ledger(closed=closed)
    seen: list[int] = []
    disk.read_only = True
    monkeypatch.setattr(verify_module, "existing_journal_disk", lambda folder: disk)
    found = verify("ledger", progress=seen.append)
    assert found.digest == digest.hex()
    assert found.frames == 1 + len(steps()) + closed
    assert seen == list(range(1, found.frames + 1))
    assert found.operations == 1 + sum(records.size for _, records in steps())
    assert (found.accounts, found.purses) == (6, 7)
    assert found.supply == {"CNY": 10_000}
    assert found.first_time_ns == START_NS
    assert found.last_time_ns == START_NS + 1_001 * 10**9 + closed
    assert found.findings == ()
    assert len(found.proved) == 9


def test_a_folder_on_a_real_disk_also_while_it_is_in_use(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.submit(opening())
        digest = ledger.digest().hex()
        assert verify(tmp_path).digest == digest
        ledger.submit(operations.define_group(some_ids("group", 1), group=1))
        later = ledger.digest().hex()
    assert verify(tmp_path).digest == later != digest


def test_a_folder_that_holds_no_ledger(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UsageError, match="holds no ledger"):
            verify(folder)
    assert list(tmp_path.iterdir()) == [], "verify wrote something"


def test_a_currency_that_iso_does_not_know(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.submit(operations.define_currency(1, currency=1, zone="UTC"))
    assert set(verify(tmp_path).supply.values()) == {0}


def test_each_byte_is_proved_or_harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Damage each byte in turn: verify names the place, or the state is the same."""
    disk, digest = small_ledger()
    frames = list(Journal.open(disk, read_only=True).recover())
    named = harmless = 0
    for frame in frames:
        begin = frame.location.offset
        end = begin + 512 + len(frame.records) * 128 + 64
        file = frame.location.file
        for offset in range(begin, end, 127):
            damaged = small_copy(disk)
            damaged.damage(file.rsplit("/", 1)[-1], offset, 0x10)
            if (error := damage_found(damaged, digest, monkeypatch)) is None:
                harmless += 1
                continue
            named += 1
            assert ".segment: " in str(error)
            assert f"frame {frame.sequence} " in str(error) or "byte" in str(error)
            assert error.hint
            assert error.exit_code == 3
    assert named > 20 * harmless


def damage_found(damaged: FakeDisk, digest: bytes, monkeypatch: pytest.MonkeyPatch) -> IntegrityError | None:
    try:
        found = verify_on(damaged, monkeypatch)
    except (JournalDamaged, TailInDoubt) as error:
        return error
    assert found.digest == digest.hex() or found.findings, "another state, and not a word about it"
    return None


def small_copy(disk: FakeDisk) -> FakeDisk:
    copy = FakeDisk()
    for name in disk.names():
        copy.replace(name, disk.content(name))
    return copy


def test_a_missing_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    disk, _ = small_ledger()
    assert len([name for name in disk.names() if name.endswith(".segment")]) > 1
    disk.remove(SEGMENT)
    with pytest.raises(JournalDamaged, match=f"{SEGMENT}.*missing"):
        verify_on(disk, monkeypatch)


def test_a_state_that_does_not_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checksums are valid, but a ledger with faulty kernels must not verify."""
    disk, _ = small_ledger()

    class WrongApplier(Applier):
        def replay(self, frame: Frame) -> None:
            super().replay(frame)
            if frame.sequence == 1 + len(steps()):
                self.state.accounts["credits_posted"][3] += 1

    monkeypatch.setattr(verify_module, "Applier", WrongApplier)
    with pytest.raises(IntegrityError, match="currency 156: all accounts and purses sum to 1"):
        verify_on(disk, monkeypatch)


# --- checkpoints ---

KEY = SigningKey.derive(b"\7" * 32)
WITNESS = 77


def witnessed(folder: Path, key: SigningKey = KEY) -> Checkpoint:
    """Create a ledger with a witness, and a checkpoint of its third frame; more frames follow."""
    public = KEY.public
    grant = operations.grant_role(
        1, person=WITNESS, role=Role.WITNESS, key=public.key, flags=public.flags, from_ns=0, until_ns=2**62
    )
    with Ledger.open(folder) as ledger:
        ledger.submit(opening())
        ledger.submit(grant)
        position = ledger.sequencer.position()
        ledger.submit(operations.define_group(some_ids("group", 1), group=1))
    return sign(position, WITNESS, key)


def test_a_checkpoint_that_agrees_is_proved(tmp_path: Path) -> None:
    checkpoint = witnessed(tmp_path)
    proved = verify(tmp_path, checkpoints=[checkpoint]).proved
    assert "the checkpoint at frame 3, signed by witness 00000000-0000-0000-0000-00000000004d, agrees" in proved
    position = replace(checkpoint.position, state_digest=bytes(32))
    with pytest.raises(IntegrityError, match="frame 3 differs from the signed one: its state_digest is"):
        verify(tmp_path, checkpoints=[sign(position, WITNESS, KEY)])
    position = replace(checkpoint.position, sequence=9)
    with pytest.raises(IntegrityError, match="signed at frame 9, and the journal ends with frame 5"):
        verify(tmp_path, checkpoints=[sign(position, WITNESS, KEY)])


def test_a_checkpoint_of_another_hand(tmp_path: Path) -> None:
    other = SigningKey.derive(b"\x08" * 32)
    with pytest.raises(IntegrityError, match="the checkpoint at frame 3 is not signed by the key"):
        verify(tmp_path, checkpoints=[witnessed(tmp_path, other)])
    with Ledger.open(tmp_path) as ledger:
        checkpoint = sign(ledger.sequencer.position(), WITNESS + 1, other)
    found = verify(tmp_path, checkpoints=[checkpoint])
    assert "the ledger lists no witness 00000000-0000-0000-0000-00000000004e" in found.findings[0]


def test_a_checkpoint_of_a_frame_that_lost_its_trailer(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, snapshot_frames=None) as ledger:
        ledger.submit(opening())
    journal = Journal.open(journal_disk(tmp_path), read_only=True)
    frame, state = None, LedgerState()
    for frame in journal.recover():
        Applier(state).replay(frame)
    assert frame is not None
    checkpoint = sign(Position.of(state, ledger_id=journal.ledger_id, epoch=1, anchor=journal.anchor), WITNESS, KEY)
    path = tmp_path / "journal" / SEGMENT
    content = bytearray(path.read_bytes())
    content[frame.location.offset + 4096 - 30] ^= 1
    path.write_bytes(content)
    findings = verify(tmp_path, checkpoints=[checkpoint]).findings
    assert "was complete except for its trailer" in findings[0]
    assert "the checkpoint at frame 3 agrees" in findings[1]


def test_a_witness_whose_grant_was_revoked_since(tmp_path: Path) -> None:
    checkpoint = witnessed(tmp_path)
    with Ledger.open(tmp_path) as ledger:
        assert ledger.submit(operations.revoke_role(2, grant=1))["code"].tolist() == [Result.CREATED]
        too_late = sign(ledger.sequencer.position(), WITNESS, KEY)
    found = verify(tmp_path, checkpoints=[checkpoint])
    assert not any("checkpoint" in sentence for sentence in found.proved)
    assert "agrees and its signature is valid, but the grant of witness " in found.findings[0]
    assert "was revoked since" in found.findings[0]
    for signature in (bytes(64), checkpoint.signature[::-1]):
        with pytest.raises(IntegrityError, match="the checkpoint at frame 3 is not signed by the key"):
            verify(tmp_path, checkpoints=[replace(checkpoint, signature=signature)])
    assert "its signature was not verified" in verify(tmp_path, checkpoints=[too_late]).findings[0]


def test_an_empty_ledger_has_no_position(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger, pytest.raises(UsageError, match="there is no position to sign"):
        ledger.sequencer.position()


def test_frames_continue_while_a_position_is_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest is that of the frame at which the call began, and the journal proves it."""
    with Ledger.open(tmp_path, snapshot_frames=None) as ledger:
        ledger.submit(opening())
        hashed = checkpoints.state_digest

        def hashed_late(state: StateTables) -> bytes:
            ledger.submit(operations.define_group(some_ids("group", 1), group=1))
            return hashed(state)

        monkeypatch.setattr(checkpoints, "state_digest", hashed_late)
        position = ledger.sequencer.position()
        monkeypatch.undo()
        assert (position.sequence, ledger.sequencer.durable_sequence) == (2, 3)
        begun = ledger.sequencer.begin_snapshot()  # has the pre-images: the writer waits for the digest
        later = ledger.sequencer.position()
        begun.abandon()
        monkeypatch.setattr(frozen, "available_bytes", lambda: 0)
        assert ledger.sequencer.position() == later
        assert later.state_digest == ledger.digest()
    findings = verify(tmp_path, checkpoints=[sign(each, WITNESS, KEY) for each in (position, later)]).findings
    assert [each[: len("the checkpoint at frame 2 agrees")] for each in findings] == [
        "the checkpoint at frame 2 agrees", "the checkpoint at frame 3 agrees",
    ]  # fmt: skip
