"""The independent checker: against hand-made journals, against the ledger, and against damage that it must find."""

from __future__ import annotations

import ast
import importlib.util
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
from blake3 import blake3
from xxhash import xxh3_64_digest, xxh3_128_digest

from sycee import AccountKind, Ledger
from sycee.journal import FrameKind, Journal, RealDisk
from sycee.ledger.kernels import constants
from sycee.ledger.state import LedgerState
from sycee.testing.histories import random_history

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path("tools", "checker.py")
PAGES = (Path("docs", "reference", "ledger.md"), Path("docs", "reference", "result-codes.md"))  # it reads their tables
SEEDS = 20
SEGMENT_BYTES = 1 << 20
LEDGER_ID = bytes(range(16))
ISSUANCE, SUSPENSE, WALLET = 11, 12, 13  # ids of the hand-made ledger's accounts


def load(root: Path) -> ModuleType:
    """Load the checker of a checkout as a separate module."""
    spec = importlib.util.spec_from_file_location("checker", root / SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


checker = load(ROOT)


# --- journals made by hand, from the reference alone ---


class Made(NamedTuple):
    """A frame to write."""

    time_ns: int
    records: tuple[bytes, ...] = ()
    movement_digest: bytes = bytes(32)
    envelopes: bytes = b""
    calendar: bytes = b""
    kind: int = 0  # 0: determined by the records


def record(id: int, kind: int, *, flags: int = 0, amount: int = 0, ids: tuple[int, ...] = (), **words: int) -> bytes:
    names = ("number", "first", "count", "rule_set")
    three = [*ids, 0, 0, 0][:3]
    return (
        id.to_bytes(16, "little")
        + struct.pack("<HHIq", kind, flags, 0, amount)
        + b"".join(each.to_bytes(16, "little") for each in three)
        + struct.pack("<4I", *(words.get(name, 0) for name in names))
        + struct.pack("<qq16x", words.get("from_ns", 0), words.get("until_ns", 0))
    )


def sealed(raw: bytes) -> bytes:
    return raw + xxh3_64_digest(raw + bytes(8))


def frame_bytes(sequence: int, made: Made, epoch: int, before: bytes) -> bytes:
    content = b"".join(made.records) + made.envelopes
    length = -(-(512 + len(content) + 64) // 4096) * 4096
    content = content.ljust(length - 512 - 64, b"\0")
    kind = made.kind or (1 if made.records else 2)
    header = b"SYCEEFRM" + struct.pack("<HHIQqQ", 1, kind, length, sequence, made.time_ns, sequence - 1)
    header += struct.pack("<IIIHH", len(made.records), len(made.envelopes), epoch, len(made.calendar) // 16, 0)
    header += before + made.movement_digest + xxh3_128_digest(content) + made.calendar.ljust(256, b"\0")
    trailer = b"SYCEEEND" + struct.pack("<QII", sequence, length, 0) + xxh3_128_digest(content) + bytes(16)
    return sealed(header.ljust(504, b"\0")) + content + sealed(trailer)


def write(folder: Path, *segments: tuple[int, list[Made]]) -> Path:
    """Write a journal of segments (epoch, frames)."""
    (folder / "journal").mkdir(parents=True, exist_ok=True)
    sequence, before = 1, blake3(LEDGER_ID).digest()
    for number, (epoch, frames) in enumerate(segments, 1):
        head = (
            b"SYCEESEG"
            + struct.pack("<HHI16sQIIQ", 1, 0, SEGMENT_BYTES, LEDGER_ID, number, epoch, 0, sequence)
            + before
        )
        raw = sealed(head.ljust(4088, b"\0"))
        for made in frames:
            frame = frame_bytes(sequence, made, epoch, before)
            raw, sequence, before = raw + frame, sequence + 1, blake3(frame).digest()
        (folder / "journal" / f"{number:012}.segment").write_bytes(raw.ljust(SEGMENT_BYTES, b"\0"))
    return folder


def movement(
    debit: int, credit: int, amount: int, balances: tuple[int, int], previous: tuple[int, int], place: int
) -> bytes:
    return struct.pack("<IIqqqqqQHHI", debit, credit, amount, *balances, *previous, place, 1, 0, 0)


def after(digest: bytes, sequence: int, codes: list[int], *movements: bytes) -> bytes:
    return blake3(digest + struct.pack(f"<Q{len(codes)}H", sequence, *codes) + b"".join(movements)).digest()


def hand_made() -> list[Made]:
    """Return frames: a currency, three accounts, 200 minted, 60 redeemed, a refusal, a frame without records."""
    zone = b"Asia/Shanghai".ljust(48, b"\0")
    currency = record(1, 1, number=156)
    opened = (
        currency[:32] + zone + currency[80:],
        record(2, 10, ids=(ISSUANCE,), number=156, first=1, count=7),
        record(3, 10, ids=(SUSPENSE,), number=156, first=2, count=7),
        record(4, 10, ids=(WALLET, SUSPENSE), number=156, first=6, count=7),
    )
    minted = (record(5, 30, amount=200, ids=(ISSUANCE, WALLET)),)
    taken = (
        record(6, 30, amount=60, ids=(WALLET, ISSUANCE)),
        record(7, 30, amount=141, ids=(WALLET, SUSPENSE)),  # EXCEEDS_BALANCE, 60
        record(6, 30, amount=60, ids=(WALLET, ISSUANCE)),  # EXISTS, 1
    )
    day = struct.pack("<HHiii", 156, 0, 20_000, 24_000, 2_000)
    first = after(bytes(32), 1, [0, 0, 0, 0])
    second = after(first, 2, [0], movement(0, 2, 200, (-200, 200), (0, 0), 2 * 8192))
    third = after(second, 3, [0, 60, 1], movement(2, 0, 60, (140, -140), (1, 1), 3 * 8192))
    return [
        Made(1_000, opened),
        Made(2_000, minted, first, envelopes=bytes(range(104)), calendar=day),
        Made(3_000, taken, second, calendar=day),
        Made(4_000, (), third, calendar=day),
    ]


def test_a_hand_made_journal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = hand_made()
    checked = checker.check(write(tmp_path, (1, frames)))
    assert checked[:5] == (4, 8, 3, 2, {156: 140})
    assert checked.movement_digest == frames[-1].movement_digest
    assert checker.main([str(tmp_path), "--per-frame"]) == 0
    printed = capsys.readouterr().out
    assert f"4 {checked.movement_digest.hex()} {checked.state_digest.hex()}\n" in printed
    assert f"state digest            {checked.state_digest.hex()}\n" in printed
    assert "supply                  {156: 140}\n" in printed
    assert printed.endswith("The journal is right. Compare the state digest with the one of `sycee verify`.\n")


def test_a_later_epoch_in_a_later_segment(tmp_path: Path) -> None:
    frames = hand_made()
    checked = checker.check(write(tmp_path, (1, frames[:2]), (1, frames[2:3]), (3, frames[3:])))
    assert checked == checker.check(write(tmp_path / "whole", (1, frames)))
    with pytest.raises(checker.Wrong, match=r"Frame 4 .* does not continue"):
        checker.check(write(tmp_path, (2, frames[:2]), (2, frames[2:3]), (1, frames[3:])))


def changed(frames: list[Made], frame: int, index: int, amount: int) -> list[Made]:
    """Return the frames with another amount; `write` computes all checksums again."""
    old = frames[frame - 1]
    records = list(old.records)
    records[index] = records[index][:24] + struct.pack("<q", amount) + records[index][32:]
    return [*frames[: frame - 1], old._replace(records=tuple(records)), *frames[frame:]]


@pytest.mark.parametrize(("frame", "index", "amount"), [(2, 0, 201), (3, 0, 59), (3, 1, 140)])
def test_a_changed_amount_with_correct_checksums_is_found(
    tmp_path: Path, frame: int, index: int, amount: int, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, (1, changed(hand_made(), frame, index, amount)))
    assert checker.main([str(tmp_path)]) == 3
    assert f"Frame {frame + 1} or an earlier one is wrong" in capsys.readouterr().out


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    path = write(tmp_path, (1, hand_made())) / "journal" / "000000000001.segment"
    whole = path.read_bytes()
    for at in (*range(0, 4096 * 5, 61), 4096 * 6):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(checker.Wrong, match=f"^Frame {min(max(at // 4096, 1), 5)} "):
            checker.check(tmp_path)


def test_unfinished_and_missing_frames(tmp_path: Path) -> None:
    path = write(tmp_path, (1, hand_made())) / "journal" / "000000000001.segment"
    whole = path.read_bytes()
    for end in (4096 * 4 + 520, 4096 * 4 + 300):
        path.write_bytes(whole[:end] + bytes(SEGMENT_BYTES - end))
        with pytest.raises(checker.Wrong, match=r"^Frame 4 .* is damaged"):
            checker.check(tmp_path)
    path.write_bytes(whole[: 4096 * 4] + bytes(SEGMENT_BYTES - 4096 * 4))
    assert checker.check(tmp_path).frames == 3
    path.write_bytes(whole[: 4096 * 3] + bytes(4096) + whole[4096 * 4 :])
    with pytest.raises(checker.Wrong, match=r"^Frame 3 .* its header is damaged"):
        checker.check(tmp_path)
    path.unlink()
    with pytest.raises(checker.NoJournal, match="contains no journal"):
        checker.check(tmp_path)


def test_a_folder_without_a_journal_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checker.main([str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"error: {tmp_path} contains no journal; give the folder of a ledger.\n"


def test_a_journal_of_a_newer_release_is_named_as_such(tmp_path: Path) -> None:
    write(tmp_path, (1, [*hand_made()[:1], Made(2_000, kind=4)]))
    with pytest.raises(checker.Wrong, match="newer release"):
        checker.check(tmp_path)


# --- the ledger itself ---


def written(folder: Path, seed: int, operations: int) -> list[tuple[int, bytes, bytes]]:
    """Run a random history with kernels and journal; return each frame's sequence, movement digest and state digest."""
    state, journal, said = LedgerState(), Journal.create(RealDisk(folder / "journal"), segment_bytes=1 << 18), []
    for sequence, (now_ns, records, calendar) in enumerate(random_history(seed, operations), 1):
        if records.size:
            fresh = state.resolve(records)[0]["code"] == constants.PENDING
            state.reserve(records[fresh])
            # The sequencer journals no malformed and no bound operations; the checker must accept them too.
            records = records[fresh] if seed % 2 else records
        kind = FrameKind.OPERATIONS if records.size else FrameKind.EMPTY
        raw, before = records.tobytes(), state.movement_digest
        journal.append(kind=kind, time_ns=now_ns, records=raw, calendar=calendar, movement_digest=before)
        if records.size:
            state.apply(sequence, now_ns, records, calendar)
        else:
            state.pass_time(now_ns, calendar, sequence=sequence)
        said.append((sequence, state.movement_digest, state.digest()))
    journal.close(movement_digest=state.movement_digest)
    return said


def differs(with_checker: ModuleType, folder: Path, said: list[tuple[int, bytes, bytes]]) -> str:
    """Return the first difference between checker and ledger, or ""."""
    found: list[tuple[int, bytes, bytes]] = []
    try:
        with_checker.check(folder, lambda *frame: found.append(frame))
    except (with_checker.Wrong, struct.error) as wrong:
        return str(wrong)
    for ours, theirs in zip(said, found, strict=False):
        if ours != theirs:
            return f"they differ first in frame {ours[0]}"
    return "" if len(found) == len(said) + 1 else f"{len(found)} frames, not {len(said)} and the one that closes"


History = tuple[Path, list[tuple[int, bytes, bytes]]]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], History]:
    """Return the journal of `random_history(seed, 60)`, and the ledger's digests of each frame."""

    @cache
    def made(seed: int) -> History:
        folder = tmp_path_factory.mktemp("history")
        return folder, written(folder, seed, 60)

    return made


@pytest.mark.parametrize("seed", range(SEEDS))
def test_random_histories(history: Callable[[int], History], seed: int) -> None:
    assert not differs(checker, *history(seed))


def test_a_long_history(tmp_path: Path) -> None:
    assert not differs(checker, tmp_path, written(tmp_path, 7_001, 400))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("in reversed(Row.log)", "in Row.log"),  # undoing a chain
        ("excess = min(op.amount, self.over(account))", "excess = op.amount"),  # the waterfall
        ("self.use_back(hold.payer, hold.own, hold)", "pass"),  # the release of a hold
        ("in reversed(original.legs)", "in original.legs"),  # the order of a refund
        ("amount + used * (now <= then)", "amount + used"),  # a new day
        ("if op.flags & 1 or not hold.held: self.let_go", "if not hold.held: self.let_go"),  # the rest of a hold
        ("if account.takes else (account.suspense", "if True else (account.suspense"),  # money that cannot be returned
        ("amount > row.spare - rules.refund_reserve", "False"),  # a reserve for refunds
        ("batch.count == 2**30", "batch.count == 1"),  # the number of payments of a batch
        # The checker reads tables of these pages.
        ("| `EXCEEDS_BALANCE` | 60 |", "| `EXCEEDS_BALANCE` | 61 |"),
        ("| REFUND_OWN | 5 |", "| REFUND_OWN | 6 |"),
        ("| 24–31 | i64 | `effective_ns` |", "| 40–47 | i64 | `effective_ns` |"),
        ("`hash` with flag 8: the SHA-256", "`hash`: the SHA-256"),
        ("| STAGE | 43 | 0 | `number` 1–4,294,967,295", "| STAGE | 43 | 0 | `number` 1–2"),
        ("`debits` i64, `credits` i64", "`credits` i64, `debits` i64"),
    ],
)
def test_a_wrong_rule_in_the_checker_is_noticed(
    history: Callable[[int], History], right: str, wrong: str, tmp_path: Path
) -> None:
    texts = {path: (ROOT / path).read_text(encoding="utf-8") for path in (SOURCE, *PAGES)}
    assert sum(text.count(right) for text in texts.values()) == 1
    for path, text in texts.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text.replace(right, wrong), encoding="utf-8")
    altered = load(tmp_path)
    assert any(differs(altered, *history(seed)) for seed in range(SEEDS))


@pytest.mark.soak
def test_many_random_histories(tmp_path: Path) -> None:
    for seed in range(1_000, 2_000):
        folder = tmp_path / str(seed)
        assert not differs(checker, folder, written(folder, seed, 120)), f"random_history({seed}, 120)"
        shutil.rmtree(folder)


def test_a_ledger_made_by_the_python_interface(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.define_currency("CNY", zone="Asia/Shanghai")
        issuance = ledger.open_account("CNY", AccountKind.ISSUANCE)
        ann = ledger.open_account("CNY", AccountKind.WALLET)
        shop = ledger.open_account("CNY", AccountKind.MERCHANT)
        ledger.transfer(issuance, ann, "200.00")
        ledger.transfer(ann, shop, "139.58")
        ledger.transfer(ann, shop, "100.00")
        digest, supply = ledger.digest(), ledger.supply("CNY")
    checked = checker.check(tmp_path)
    assert checked.state_digest == digest
    assert checked.supply == {156: supply}
    command = [sys.executable, str(ROOT / "tools" / "checker.py"), str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert digest.hex() in ran.stdout


# --- the checker itself ---


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_it_imports_nothing_of_the_ledger() -> None:
    names = {name.split(".")[0] for name in imports(ast.parse((ROOT / SOURCE).read_text(encoding="utf-8")))}
    assert names - set(sys.stdlib_module_names) == {"blake3", "xxhash"}


def test_it_has_less_than_620_lines() -> None:
    assert len((ROOT / SOURCE).read_text(encoding="utf-8").splitlines()) < 620


@pytest.mark.parametrize("missing", ["blake3", "xxhash"])
def test_a_missing_library_is_an_error_with_the_next_step(missing: str) -> None:
    script = f"import sys; sys.modules[{missing!r}] = None; import tools.checker"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"error: {missing} is missing: run `python3 -m pip install blake3 xxhash`")


@pytest.mark.parametrize("missing", PAGES)
def test_a_missing_page_of_the_specification_is_an_error(tmp_path: Path, missing: Path) -> None:
    for path in {SOURCE, *PAGES} - {missing}:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    command = [sys.executable, str(tmp_path / SOURCE), str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert f"{missing.name} is missing: the checker reads its tables from there." in ran.stderr
    assert "Run it inside a clone of Sycee, or copy docs/reference next to the checker's folder." in ran.stderr
    assert "Traceback" not in ran.stderr
