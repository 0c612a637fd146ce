"""docs/guides/recover.md: each case is produced, and the ledger's message is the one in the guide."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from blake3 import blake3
from tests.docs.pages import ROOT
from tests.forked import MAY_FORK, in_child

from sycee.core import ids
from sycee.core.clock import SimulatedClock
from sycee.core.errors import SyceeError
from sycee.core.limits import FRAME_RECORDS_MAX
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind
from sycee.core.result_codes import Result
from sycee.journal import frame as journal_frame
from sycee.ledger import state as ledger_state
from sycee.sequencer import rules_version
from sycee.sequencer.embedded import Ledger
from sycee.sequencer.restore import restore
from sycee.sequencer.verify import verify

pytestmark = MAY_FORK

GUIDE = ROOT / "docs" / "guides" / "recover.md"
FOLDER = "shop-ledger"
SEGMENT = Path(FOLDER) / "journal" / "000000000001.segment"
START_NS = 1_700_000_000 * 10**9
_CASE = re.compile(r"^### (?P<title>.+?)\n(?P<body>.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
_SHOWN = re.compile(r"```text\n(?P<text>.*?)```", re.DOTALL)


def ledger(*, frames: int = 4, snapshot: bool = False) -> bytes:
    """Create a ledger of a number of frames in FOLDER, closed cleanly; return its digest."""
    with Ledger.open(FOLDER, clock=SimulatedClock(START_NS), snapshot_frames=0 if snapshot else None) as opened:
        for group in range(1, frames):
            opened.submit(operations.define_group(group, group=group))
        return opened.digest()


def message_of(use: Callable[[], object]) -> str:
    """Return the text of an error."""
    with pytest.raises(SyceeError) as error:
        use()
    assert error.value.hint, "it does not say what to do"
    return error.value.message


def open_ledger() -> None:
    Ledger.open(FOLDER, clock=SimulatedClock(START_NS)).close()


def damage(path: Path, offset: int, count: int = 1) -> None:
    content = bytearray(path.read_bytes())
    for at in range(offset, offset + count):
        content[at] ^= 0xFF
    path.write_bytes(content)


@contextmanager
def refusing(monkeypatch: pytest.MonkeyPatch, name: str, code: int, *, writes: bool = False) -> Iterator[None]:
    """Make a system call fail; with `writes`, only calls that would change a file."""
    real = getattr(os, name)

    def refuse(*arguments: Any, **options: Any) -> Any:
        if writes and not arguments[1] & (os.O_RDWR | os.O_CREAT):
            return real(*arguments, **options)
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        patched.setattr(os, name, refuse)
        yield


# --- the disk ---


def full_disk(monkeypatch: pytest.MonkeyPatch) -> str:
    ledger()
    with Ledger.open(FOLDER, clock=SimulatedClock(START_NS)) as opened:
        with refusing(monkeypatch, "pwrite", errno.ENOSPC):
            message = message_of(lambda: opened.submit(operations.define_group(99, group=9)))
        assert "the ledger stopped at frame 6" in message_of(opened.digest)
    with Ledger.open(FOLDER) as opened:
        assert opened.submit(operations.define_group(99, group=9))["code"].tolist() == [Result.CREATED]
    return message


def read_only_disk(monkeypatch: pytest.MonkeyPatch) -> str:
    ledger()
    with refusing(monkeypatch, "open", errno.EROFS, writes=True):
        message = message_of(open_ledger)
        verify(FOLDER)  # it only reads
    return message


def folder_in_use(monkeypatch: pytest.MonkeyPatch) -> str:
    with Ledger.open(FOLDER):
        return message_of(open_ledger)


def removed_while_open(monkeypatch: pytest.MonkeyPatch) -> str:
    ledger()
    with Ledger.open(FOLDER, clock=SimulatedClock(START_NS)) as opened:
        shutil.copytree(FOLDER, "backup")
        shutil.rmtree(FOLDER)
        message = message_of(lambda: opened.submit(operations.define_group(99, group=9)))
        assert "the ledger stopped at frame 6" in message_of(opened.digest)
    Path("backup").rename(FOLDER)
    open_ledger()
    return message


def forked(monkeypatch: pytest.MonkeyPatch) -> str:
    ledger()
    with Ledger.open(FOLDER, clock=SimulatedClock(START_NS)) as opened:
        message: str = in_child(lambda: message_of(lambda: opened.submit(operations.define_group(99, group=9))))
        assert opened.submit(operations.define_group(99, group=9))["code"].tolist() == [Result.CREATED]
    return message


def no_space_for_a_snapshot(monkeypatch: pytest.MonkeyPatch) -> str:
    ledger()
    with Ledger.open(FOLDER, clock=SimulatedClock(START_NS)) as opened:
        opened.submit(operations.define_group(99, group=9))
        with refusing(monkeypatch, "pwrite", errno.ENOSPC):
            message = message_of(opened.snapshot)
        assert opened.submit(operations.define_group(98, group=8))["code"].tolist() == [Result.CREATED]
    return message


# --- releases ---


def journal_of_a_newer_version(monkeypatch: pytest.MonkeyPatch) -> str:
    with monkeypatch.context() as newer:
        newer.setattr(journal_frame, "FORMAT_VERSION", 2)
        ledger()
    return message_of(open_ledger)


def newer_rules(monkeypatch: pytest.MonkeyPatch) -> str:
    with monkeypatch.context() as newer:
        newer.setattr(rules_version, "RULES_VERSION", rules_version.RULES_VERSION + 1)
        ledger()
    return message_of(open_ledger)


# --- snapshots ---


def snapshots() -> list[Path]:
    return sorted((Path(FOLDER) / "snapshots").iterdir())


def finding() -> str:
    digest = verify(FOLDER).digest
    with Ledger.open(FOLDER, clock=SimulatedClock(START_NS)) as opened:
        assert opened.digest().hex() == digest, "the ledger was rebuilt from its journal"
        (text,) = opened.sequencer.findings
    return text


def damaged_snapshot(monkeypatch: pytest.MonkeyPatch) -> str:
    ledger(snapshot=True)
    damage(snapshots()[-1], 5_000)
    return finding()


def snapshot_of_another_ledger(monkeypatch: pytest.MonkeyPatch) -> str:
    ledger(snapshot=True)
    Path(FOLDER).rename("other-ledger")
    ledger(snapshot=True)
    shutil.copy(Path("other-ledger") / "snapshots" / snapshots()[-1].name, snapshots()[-1])
    return finding()


def wrong_books(monkeypatch: pytest.MonkeyPatch) -> str:
    with Ledger.open(FOLDER, clock=SimulatedClock(START_NS), snapshot_frames=None) as opened:
        opened.define_currency("EUR", zone="Europe/Paris")
        opened.open_account("EUR", AccountKind.WALLET)
        opened.sequencer.state.accounts["credits_posted"][0] += 1
        opened.snapshot()
    with Ledger.open(FOLDER, clock=SimulatedClock(START_NS)) as opened:
        opened.check()
        (text,) = opened.findings
    return text


def journal_older_than_its_snapshot(monkeypatch: pytest.MonkeyPatch) -> str:
    ledger(frames=3)
    shutil.copytree(Path(FOLDER) / "journal", "backup")
    with Ledger.open(FOLDER, clock=SimulatedClock(START_NS), snapshot_frames=0) as opened:
        opened.submit(operations.define_group(99, group=9))
    shutil.rmtree(Path(FOLDER) / "journal")
    shutil.move("backup", Path(FOLDER) / "journal")
    message = message_of(open_ledger)
    shutil.rmtree(Path(FOLDER) / "snapshots")
    open_ledger()
    return message


def journal_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> str:
    ledger(snapshot=True)
    shutil.move(Path(FOLDER) / "journal", "elsewhere")
    message = message_of(open_ledger)
    shutil.move("elsewhere", Path(FOLDER) / "journal")
    open_ledger()
    return message


# --- the journal ---


def crashed() -> None:
    """Leave the folder as a killed process does: the last frame is an operation, without a CLOSE frame."""
    opened = Ledger.open(FOLDER, clock=SimulatedClock(START_NS), snapshot_frames=None)
    for group in range(1, 4):
        opened.submit(operations.define_group(group, group=group))
    opened.sequencer._log._release()  # type: ignore[attr-defined]


LAST_FRAME_AT = 4 * 4096  # after the segment's header and three frames of a block each


def torn_tail(monkeypatch: pytest.MonkeyPatch) -> str:
    crashed()
    content = bytearray(SEGMENT.read_bytes())
    content[LAST_FRAME_AT + 512 : LAST_FRAME_AT + 4096] = bytes(4096 - 512)
    SEGMENT.write_bytes(content)
    with Ledger.open(FOLDER, clock=SimulatedClock(START_NS)) as opened:
        (text,) = opened.sequencer.findings
        # The caller without a result sends again.
        assert opened.submit(operations.define_group(3, group=3))["code"].tolist() == [Result.CREATED]
    return text


def tail_in_doubt(monkeypatch: pytest.MonkeyPatch) -> str:
    crashed()
    damage(SEGMENT, LAST_FRAME_AT + 600)
    message = message_of(open_ledger)
    with Ledger.open(FOLDER, cut_tail=True) as opened:
        assert opened.sequencer.durable_sequence == 3
    return message


def damaged_frame(monkeypatch: pytest.MonkeyPatch) -> str:
    ledger()
    damage(SEGMENT, 2 * 4096 + 600)
    message = message_of(open_ledger)
    assert message_of(lambda: verify(FOLDER)) == message
    assert message_of(lambda: restore(FOLDER, "restored")) == message
    return message


def missing_segment(monkeypatch: pytest.MonkeyPatch) -> str:
    with Ledger.open(FOLDER, clock=SimulatedClock(START_NS)) as opened:
        opened.define_currency("EUR", zone="Europe/Paris")
        mint, wallet = opened.open_account("EUR", AccountKind.ISSUANCE), opened.open_account("EUR", AccountKind.WALLET)
        many = ids.derive(b"guide", "transfers", 17 * FRAME_RECORDS_MAX, time_ms=1)
        opened.submit(operations.transfer(many, debit=mint, credit=wallet, amount=1))
    SEGMENT.unlink()
    return message_of(open_ledger)


def other_movements(monkeypatch: pytest.MonkeyPatch) -> str:
    with monkeypatch.context() as wrong:
        wrong.setattr(ledger_state, "blake3", SimpleNamespace(blake3=lambda content: blake3(content + b"!")))
        ledger()
    return message_of(open_ledger)


# --- copies and clocks ---


def restore_over_something(monkeypatch: pytest.MonkeyPatch) -> str:
    digest = ledger()
    Path("restored").mkdir()
    Path("restored/notes.txt").write_text("mine")
    message = message_of(lambda: restore(FOLDER, "restored"))
    restored = restore(FOLDER, "restored-ledger")
    assert (restored.digest, restored.epoch) == (digest.hex(), 2)
    return message


def wild_clock(monkeypatch: pytest.MonkeyPatch) -> str:
    ledger()
    with Ledger.open(FOLDER, clock=SimulatedClock(START_NS + 40 * 366 * 86_400 * 10**9)) as opened:
        message = message_of(lambda: opened.submit(operations.define_group(99, group=9)))
        assert opened.sequencer.durable_sequence == 5
    with Ledger.open(FOLDER, clock=SimulatedClock(0)) as opened:
        assert opened.submit(operations.define_group(99, group=9))["code"].tolist() == [Result.CREATED]
    return message


CASES: dict[str, Callable[[pytest.MonkeyPatch], str]] = {
    "A full disk": full_disk,
    "A read-only disk": read_only_disk,
    "The folder is in use": folder_in_use,
    "A folder that was removed while the ledger was open": removed_while_open,
    "A forked process": forked,
    "No space for a snapshot": no_space_for_a_snapshot,
    "A journal of a newer version": journal_of_a_newer_version,
    "Rules of a newer release": newer_rules,
    "A release that computes otherwise": other_movements,
    "A damaged snapshot": damaged_snapshot,
    "A snapshot of another ledger": snapshot_of_another_ledger,
    "Wrong books in a snapshot": wrong_books,
    "A journal older than its snapshot": journal_older_than_its_snapshot,
    "A journal that is gone": journal_that_is_gone,
    "A torn tail": torn_tail,
    "A tail in doubt": tail_in_doubt,
    "A damaged frame": damaged_frame,
    "A missing segment": missing_segment,
    "Restore from a copy": restore_over_something,
    "A wild clock": wild_clock,
}


def cases() -> dict[str, str]:
    """Return title and body of each case of the guide."""
    return {match["title"]: match["body"] for match in _CASE.finditer(GUIDE.read_text())}


def pattern(shown: str) -> str:
    """Return a message of the guide as a regular expression: line ends are spaces, … matches any text."""
    return ".+".join(re.escape(part) for part in " ".join(shown.split()).split("…"))


def test_the_guide_has_these_cases() -> None:
    assert list(cases()) == list(CASES)


@pytest.mark.parametrize("title", CASES)
def test_messages_are_those_of_the_guide(title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    message = CASES[title](monkeypatch)
    shown = _SHOWN.search(cases()[title])
    assert shown is not None, "the guide does not print this message"
    assert re.fullmatch(pattern(shown["text"]), message), f"\nshown: {shown['text']}\nsaid:  {message}"
