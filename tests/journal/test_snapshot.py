"""Snapshots: they are read back, damage to them is found, and the ledger is never harmed."""

from __future__ import annotations

import json
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import xxhash
from blake3 import blake3
from tests.journal import snapshot_files
from tests.journal.history import LEDGER_ID, append, create

from sycee.core.errors import IntegrityError, UnavailableError
from sycee.journal import Anchor, Disk, Journal, RealDisk, Snapshot, snapshot
from sycee.testing.disk import FakeDisk, Loss, PowerCut

pytestmark = pytest.mark.fast

FOLDER = "fake/snapshots"
ROW = np.dtype([("id", "<u8", (2,)), ("kind", "<u2"), ("key", "u1", (32,)), ("amount", "<i8")], align=True)
SMALL = {"zones": {"156": "Asia/Shanghai"}, "next": 2**63, "on": True, "none": None}


def name_of(sequence: int) -> str:
    return f"{sequence:020}.snapshot"


def anchor_of(sequence: int) -> Anchor:
    return Anchor(sequence, 1_000 + sequence, blake3(b"%d" % sequence).digest())


def sections(sequence: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(sequence)
    rows = np.zeros(300, ROW)
    rows["id"] = random.integers(0, 2**63, (300, 2))
    rows["amount"] = random.integers(-5, 5, 300)
    return {
        "accounts": rows,
        "movements": random.integers(1, 256, (70, 64), dtype=np.uint8),
        "nothing": np.zeros(0, ROW),
        "counters": np.arange(sequence, sequence + 9),
        "one": np.array(7, "<i4"),
    }


def write(disk: Disk, sequence: int, *, ledger_id: bytes = LEDGER_ID) -> str:
    return snapshot_files.write(
        disk,
        ledger_id=ledger_id,
        epoch=3,
        anchor=anchor_of(sequence),
        rules=2,
        movement_digest=bytes([9]) * 32,
        sections=sections(sequence),
        small=SMALL,
    )


def require_whole(found: Snapshot | None, sequence: int) -> None:
    assert found is not None
    assert (found.ledger_id, found.epoch, found.anchor) == (LEDGER_ID, 3, anchor_of(sequence))
    assert (found.rules, found.movement_digest) == (2, bytes([9]) * 32)
    assert found.small == SMALL
    expected = sections(sequence)
    assert list(found.sections) == list(expected)
    for name, array in expected.items():
        section = found.sections[name]
        assert (section.dtype, section.shape, section.size_bytes) == (array.dtype, array.shape, array.nbytes)
        assert section.read().tobytes() == array.tobytes()


def newest(disk: Disk) -> tuple[Snapshot | None, list[str]]:
    return snapshot_files.newest_good(disk, LEDGER_ID)


def test_a_snapshot_is_read_back() -> None:
    disk = FakeDisk(folder=FOLDER)
    assert newest(disk) == (None, [])
    assert write(disk, 7) == name_of(7)
    found, findings = newest(disk)
    require_whole(found, 7)
    assert findings == []
    assert disk.names() == snapshot.names(disk) == [name_of(7)]


def test_a_snapshot_on_a_real_disk(tmp_path: Path) -> None:
    disk = RealDisk(tmp_path / "ledger" / "snapshots")
    assert newest(disk) == (None, [])
    for sequence in (1, 2, 3):
        write(disk, sequence)
    with snapshot.open_good(disk, name_of(2), LEDGER_ID) as older:
        require_whole(older, 2)
    found, findings = newest(disk)
    assert found is not None
    assert findings == []
    assert found.size_bytes == (tmp_path / "ledger" / "snapshots" / name_of(3)).stat().st_size
    with found:
        require_whole(found, 3)
    assert disk.names() == [name_of(2), name_of(3)]


def test_two_snapshots_are_kept_and_only_older_ones_are_removed() -> None:
    disk = FakeDisk(folder=FOLDER)
    disk.replace("00000000000000000004.temp", b"left by a kill")
    disk.replace("notes.txt", b"not ours")
    for sequence in (1, 5, 6, 9):
        write(disk, sequence)
    write(disk, 7)
    write(disk, 9)
    assert disk.names() == [name_of(7), name_of(9), "notes.txt"]
    require_whole(newest(disk)[0], 9)


def test_the_bytes_agree_with_the_reference() -> None:
    """Read a snapshot with the numbers of docs/reference/journal.md only, without the code of the journal."""
    disk = FakeDisk(folder=FOLDER)
    write(disk, 7)
    content = disk.content(name_of(7))
    head = struct.unpack_from("<8sHHI16sIIQq32s32sQ", content)
    table_bytes = head[3]
    assert head == (
        b"SYCEESNP", 3, 0, table_bytes, LEDGER_ID, 3, 2, 7, 1_007, anchor_of(7).digest, bytes([9]) * 32, len(content)
    )  # fmt: skip
    assert not any(content[128:4088])
    assert xxhash.xxh3_64_digest(content[:4088] + bytes(8)) == content[4088:4096]
    start = len(content) - 32 - -(-table_bytes // 4096) * 4096
    assert blake3(content[:4096] + content[start:-32]).digest() == content[-32:]
    table = json.loads(content[start : start + table_bytes])
    assert table["small"] == SMALL
    assert not any(content[start + table_bytes : -32])
    assert [entry["name"] for entry in table["sections"]] == list(sections(7))
    end = 4096
    for entry, array in zip(table["sections"], sections(7).values(), strict=True):
        at = entry["offset"]
        assert at == end
        assert entry["shape"] == list(array.shape)
        assert content[at : at + array.nbytes] == array.tobytes()
        assert bytes.fromhex(entry["blake3"]) == blake3(array.tobytes()).digest()
        end = at + -(-array.nbytes // 4096) * 4096
        assert not any(content[at + array.nbytes : end])
    assert start == end
    assert table["sections"][1]["type"] == "|u1"
    assert table["sections"][0]["type"][:2] == [["id", "<u8", [2]], ["kind", "<u2"]]


@pytest.mark.parametrize("xor", [0x01, 0xFF])
def test_every_changed_byte_is_found_and_the_older_snapshot_is_used(xor: int) -> None:
    disk = FakeDisk(folder=FOLDER)
    write(disk, 6)
    write(disk, 7)
    size = len(disk.content(name_of(7)))
    positions = {*range(140), *range(4080, 4200), *range(0, size, 97), *range(size - 40, size)}
    for position in sorted(positions)[:: 4 if xor == 0xFF else 1]:
        damaged = disk.crash()
        damaged.damage(name_of(7), position, xor)
        found, findings = newest(damaged)
        assert found is not None
        assert found.anchor.sequence == 6, position
        assert len(findings) == 1
        assert findings[0].startswith(f"{FOLDER}/{name_of(7)}: the snapshot is damaged: "), findings
        assert findings[0].endswith("skipped, because the journal has everything")
    require_whole(found, 6)


def test_bit_rot_in_both_snapshots_leaves_none() -> None:
    disk = FakeDisk(folder=FOLDER)
    write(disk, 6)
    write(disk, 7)
    for name in disk.names():
        disk.flip_bits(1, bits=3, name=name)
    found, findings = newest(disk)
    assert found is None
    assert [finding.split(":")[0] for finding in findings] == [f"{FOLDER}/{name_of(n)}" for n in (7, 6)]


@pytest.mark.parametrize("size", [0, 100, 4095, 4096, 20_000, -1])
def test_a_truncated_snapshot_is_skipped(size: int) -> None:
    disk = FakeDisk(folder=FOLDER)
    write(disk, 6)
    write(disk, 7)
    disk.replace(name_of(7), disk.content(name_of(7))[:size])
    found, findings = newest(disk)
    require_whole(found, 6)
    assert "ends after" in findings[0] or "in its header" in findings[0]


def test_a_renamed_snapshot_is_skipped() -> None:
    disk = FakeDisk(folder=FOLDER)
    write(disk, 6)
    disk.replace(name_of(8), disk.content(name_of(6)))
    found, findings = newest(disk)
    require_whole(found, 6)
    assert "its header has frame 6" in findings[0]


def test_a_snapshot_of_another_ledger_is_skipped_and_named() -> None:
    disk = FakeDisk(folder=FOLDER)
    write(disk, 6)
    write(disk, 8, ledger_id=bytes([0xAB]) * 16)
    found, findings = newest(disk)
    require_whole(found, 6)
    assert f"{name_of(8)}: the snapshot belongs to another ledger, {'ab' * 16}" in findings[0]
    with pytest.raises(IntegrityError) as refused:
        snapshot.open_good(disk, name_of(8), LEDGER_ID)
    assert refused.value.hint is not None
    assert "This ledger is unharmed" in refused.value.hint


@pytest.mark.parametrize("version", [1, 2, 4])
def test_a_snapshot_of_another_version_is_skipped_and_named(version: int) -> None:
    disk = FakeDisk(folder=FOLDER)
    write(disk, 6)
    write(disk, 7)
    content = bytearray(disk.content(name_of(7)))
    struct.pack_into("<H", content, 8, version)
    content[4088:4096] = bytes(8)
    content[4088:4096] = xxhash.xxh3_64_digest(bytes(content[:4096]))
    disk.replace(name_of(7), bytes(content))
    found, findings = newest(disk)
    require_whole(found, 6)
    assert f"was written by another version of Sycee: it has format version {version}" in findings[0]
    with pytest.raises(UnavailableError) as refused:
        snapshot.open_good(disk, name_of(7), LEDGER_ID)
    assert refused.value.hint is not None
    assert "its journal has everything" in refused.value.hint


def table_of(content: bytes) -> tuple[int, int]:
    """Return the offset of the table, and its length."""
    length = struct.unpack_from("<I", content, 12)[0]
    return len(content) - 32 - -(-length // 4096) * 4096, length


def resealed(disk: FakeDisk, table: dict[str, object]) -> None:
    """Replace the table by another of the same length, with valid checksums, as after a forgery."""
    content = bytearray(disk.content(name_of(7)))
    start, length = table_of(content)
    content[start : start + length] = json.dumps(table, sort_keys=True).ljust(length).encode()[:length]
    content[-32:] = blake3(bytes(content[:4096] + content[start:-32])).digest()
    disk.replace(name_of(7), bytes(content))


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("offset", 0, "section movements begins at byte"),
        ("shape", [9_999], "section nothing begins at byte"),
        ("shape", [-1], "its table cannot be read"),
        ("type", "|O", "its table cannot be read"),
        ("type", "nonsense", "its table cannot be read"),
        ("blake3", "zz", "its table cannot be read"),
        ("name", None, ""),
    ],
)
def test_a_table_with_impossible_sections_is_damage(field: str, value: object, says: str) -> None:
    disk = FakeDisk(folder=FOLDER)
    write(disk, 7)
    content = disk.content(name_of(7))
    start, length = table_of(content)
    table = json.loads(content[start : start + length])
    table["sections"][1][field] = value
    resealed(disk, table)
    if says:
        assert says in newest(disk)[1][0]
    else:
        found, _ = newest(disk)
        assert found is not None
        assert "None" in found.sections


def test_a_table_without_its_members_is_damage() -> None:
    disk = FakeDisk(folder=FOLDER)
    write(disk, 7)
    resealed(disk, {"sections": []})
    assert "its table cannot be read" in newest(disk)[1][0]
    resealed(disk, {"sections": [], "small": {}})
    assert "its sections end at byte" in newest(disk)[1][0]


def test_bytes_that_change_after_the_check_are_found() -> None:
    disk = FakeDisk(folder=FOLDER)
    write(disk, 7)
    found, _ = newest(disk)
    assert found is not None
    start = disk.content(name_of(7)).find(sections(7)["movements"].tobytes())
    disk.damage(name_of(7), start + 5, 1)
    with pytest.raises(IntegrityError, match=f"section movements at byte {start} does not match its digest") as refused:
        found.sections["movements"].read()
    assert refused.value.hint is not None
    assert "The ledger is unharmed" in refused.value.hint


def test_only_an_array_of_the_same_type_and_shape_is_filled() -> None:
    disk = FakeDisk(folder=FOLDER)
    write(disk, 7)
    found, _ = newest(disk)
    assert found is not None
    section = found.sections["movements"]
    grown = np.zeros((100, 64), np.uint8)
    section.read_into(grown[:70])
    assert grown[:70].tobytes() == sections(7)["movements"].tobytes()
    assert not grown[70:].any()
    frozen = np.zeros((70, 64), np.uint8)
    frozen.flags.writeable = False
    for wrong in (grown, grown[:70].view(np.int8), np.zeros((70, 128), np.uint8)[:, ::2], frozen):
        with pytest.raises(ValueError, match=r"section movements is uint8 of shape \(70, 64\)"):
            section.read_into(wrong)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ledger_id": bytes(15)}, "a ledger id has 16 bytes"),
        ({"movement_digest": bytes(31)}, "a digest 32"),
        ({"sections": {"x": np.array([object()])}}, "section x contains Python objects"),
        ({"small": {"x": float("nan")}}, "not JSON compliant"),
    ],
)
def test_content_that_no_snapshot_can_have_is_refused(changes: dict[str, object], says: str) -> None:
    disk = FakeDisk(folder=FOLDER)
    values = {
        "ledger_id": LEDGER_ID, "epoch": 1, "anchor": anchor_of(1), "rules": 0, "movement_digest": bytes(32),
        "sections": {}, "small": {},
    }  # fmt: skip
    with pytest.raises(ValueError, match=says):
        snapshot_files.write(disk, **{**values, **changes})  # type: ignore[arg-type]
    assert not disk.operations
    assert snapshot_files.write(disk, **values) == name_of(1)  # type: ignore[arg-type]


def test_a_power_cut_at_every_operation_leaves_a_good_snapshot_or_none() -> None:
    def history(disk: FakeDisk, durable: list[int]) -> None:
        for sequence in (3, 5, 8, 9):
            write(disk, sequence)
            durable.append(sequence)

    undisturbed = FakeDisk(folder=FOLDER)
    history(undisturbed, [])
    for cut_after in range(undisturbed.operations.total()):
        disk = FakeDisk(folder=FOLDER, cut_after=cut_after)
        durable: list[int] = []
        with pytest.raises(PowerCut):
            history(disk, durable)
        for seed, loss in enumerate(Loss):
            crashed = disk.crash(seed, loss)
            found, findings = newest(crashed)
            assert findings == [], "under its own name a snapshot is whole"
            if found is None:
                assert durable == []
            else:
                assert found.anchor.sequence >= max(durable, default=0), "a durable snapshot was lost"
                require_whole(found, found.anchor.sequence)
            write(crashed, 12)
            require_whole(newest(crashed)[0], 12)
            assert len(crashed.names()) <= snapshot.KEPT
            assert not any(name.endswith(".temp") for name in crashed.names())


@pytest.mark.parametrize("share", [0.0, 0.2, 0.7, 1.0])
def test_a_full_disk_leaves_the_older_snapshots_and_no_partial_file(share: float) -> None:
    disk = FakeDisk(folder=FOLDER)
    write(disk, 3)
    held = len(disk.content(name_of(3)))
    disk.space_bytes = held + int(share * (held - 1))  # the last: one byte too little
    with pytest.raises(
        UnavailableError, match=r"the snapshot of frame 5 failed: .*no space left on the disk"
    ) as refused:
        write(disk, 5)
    assert refused.value.hint is not None
    assert "The ledger is unharmed" in refused.value.hint
    assert disk.names() == [name_of(3)]
    assert disk.faults["refused: no space"] == 1
    require_whole(newest(disk)[0], 3)
    disk.space_bytes = None
    write(disk, 5)
    require_whole(newest(disk)[0], 5)


def test_a_full_disk_during_a_snapshot_does_not_stop_the_journal() -> None:
    journal_disk, disk = FakeDisk(), FakeDisk(folder=FOLDER, space_bytes=10_000)
    journal = create(journal_disk)
    append(journal, 3)
    with pytest.raises(UnavailableError):
        write(disk, journal.last_sequence)
    append(journal, 3)
    journal.close()
    assert Journal.verify(journal_disk).closed


def test_a_read_only_disk_refuses_a_snapshot_and_is_still_read() -> None:
    disk = FakeDisk(folder=FOLDER)
    write(disk, 3)
    disk.read_only = True
    with pytest.raises(UnavailableError, match=r"the snapshot of frame 5 failed: .*the disk is read-only") as refused:
        write(disk, 5)
    assert refused.value.hint is not None
    assert "mounted for writing" in refused.value.hint
    require_whole(newest(disk)[0], 3)


@pytest.mark.parametrize("number", [3, 4])
def test_a_failed_fdatasync_leaves_the_older_snapshot(number: int) -> None:
    disk = FakeDisk(folder=FOLDER)
    write(disk, 3)
    disk.fail_sync_at = disk.operations["fdatasync"] + 1
    with pytest.raises(UnavailableError, match=r"making it durable \(fdatasync\)"):
        write(disk, number)
    assert disk.names() == [name_of(3)]
    require_whole(newest(disk)[0], 3)


@pytest.mark.parametrize("elsewhere", [None, (name_of(3), 4096), (name_of(3), 8192)])
def test_a_misdirected_write_is_found(elsewhere: tuple[str, int] | None) -> None:
    """The disk reports success for a write that it misdirects: the digests find it, in either file."""
    whole = FakeDisk(folder=FOLDER)
    write(whole, 3)
    before = whole.operations["pwrite"]
    write(whole, 5)
    writes = whole.operations["pwrite"] - before
    seen = set()
    for number in range(1, writes + 1):
        disk = FakeDisk(folder=FOLDER)
        write(disk, 3)
        disk.misdirected = {before + number: elsewhere}
        write(disk, 5)
        assert disk.faults["write lost" if elsewhere is None else "write misdirected"] == 1
        found, findings = newest(disk)
        if found is not None:
            require_whole(found, found.anchor.sequence)
        seen.add((found.anchor.sequence if found else 0, len(findings)))
    # A lost write of padding changes no byte of the file.
    assert seen <= {(5, 0), (3, 1), (0, 2)}
    assert seen & {(3, 1), (0, 2)}


def test_a_file_that_cannot_be_read_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = RealDisk(tmp_path / "snapshots")
    write(disk, 3)

    def refuse(*_: object) -> int:
        raise OSError(5, "")

    with monkeypatch.context() as patched:
        patched.setattr(os, "preadv", refuse)
        found, findings = newest(disk)
    assert found is None
    assert "the disk refused while reading 4096 bytes at byte 0" in findings[0]
    with monkeypatch.context() as patched:
        patched.setattr(Path, "iterdir", refuse)
        assert "no snapshot was used: " in newest(disk)[1][0]


def test_writing_and_reading_need_no_second_copy_in_memory(tmp_path: Path) -> None:
    disk = RealDisk(tmp_path / "snapshots")
    array = np.ones(32 << 20, np.uint8)
    target = np.zeros_like(array)
    tracemalloc.start()
    snapshot_files.write(
        disk,
        ledger_id=LEDGER_ID,
        epoch=1,
        anchor=anchor_of(1),
        rules=0,
        movement_digest=bytes(32),
        sections={"big": array},
        small={},
    )
    found, _ = newest(disk)
    assert found is not None
    found.sections["big"].read_into(target)
    found.close()
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 8 << 20
    assert (target == 1).all()
