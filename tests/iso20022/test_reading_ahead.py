"""A child process reads messages ahead: the rows are those of this process, and no end of the child loses a message."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.iso20022.test_bulk_credit_transfers import HEADER, content, message, transfer

from sycee.iso20022 import reading_ahead
from sycee.iso20022.bulk_credit_transfers import read_credit_transfers, read_plain
from sycee.iso20022.institutions import Account
from sycee.iso20022.reading_ahead import MESSAGES_MIN, STARTS_MAX, ReadingAhead

WAIT_S = 20.0


def group(number: int) -> list[bytes]:
    """Messages of all kinds: with a header, of several transactions, in another form, wrong, and none."""
    plain = [content(message(transfer(number * 1_000 + at)), HEADER) for at in range(MESSAGES_MIN)]
    many = message(*(transfer(at, urgency="URGT", not_before="09:00:00") for at in range(1, 4)))
    parsed = content(message(transfer(7, debtor_account=Account(number="7"))))
    return [*plain, content(many), parsed, plain[0].replace(b">USD<", b">U<").replace(b"USD", b"USX"), b"no message"]


GROUPS = [group(number) for number in range(4)]


def rows(contents: list[bytes], plain: reading_ahead.Plain = ()) -> list[str]:
    return [repr(each) for each in read_credit_transfers(contents, plain=plain)]


@pytest.fixture
def ahead() -> Iterator[ReadingAhead]:
    with ReadingAhead() as made:
        yield made


def is_running(process: int | None) -> bool:
    return process is not None and Path(f"/proc/{process}").exists()


@pytest.mark.parametrize("workers", [0, 1])
def test_the_rows_are_those_of_this_process(workers: int) -> None:
    groups = [*GROUPS, GROUPS[0][:2], [], GROUPS[1]]
    with ReadingAhead(workers) as ahead:
        found = list(ahead.read(groups))
        process = ahead.process_id
        assert is_running(process) == bool(workers)
    assert not is_running(process)
    assert ahead.findings == []
    assert [rows(*each) for each in zip(groups, found, strict=True)] == [rows(each) for each in groups]
    read = [list(map(read_plain, each)) for each in groups]
    assert [list(each) for each in found] == [each if workers and len(each) >= MESSAGES_MIN else [] for each in read]


def test_a_child_that_is_killed_is_replaced_and_nothing_is_lost(ahead: ReadingAhead) -> None:
    found, processes = [], set()
    for each in ahead.read(GROUPS * 3):
        found.append(each)
        if ahead.process_id is not None:  # it may have answered about the next group already
            processes.add(ahead.process_id)
            os.kill(ahead.process_id, signal.SIGKILL)
    assert len(processes) == len(ahead.findings) == STARTS_MAX
    assert [rows(*each) for each in zip(GROUPS * 3, found, strict=True)] == [rows(each) for each in GROUPS * 3]


def test_a_child_that_does_not_answer_is_replaced(ahead: ReadingAhead, monkeypatch: pytest.MonkeyPatch) -> None:
    for at, each in enumerate(ahead.read(GROUPS)):
        assert rows(GROUPS[at], each) == rows(GROUPS[at])
        if not at and ahead._connection and ahead.process_id:
            os.kill(ahead.process_id, signal.SIGSTOP)
            ahead._connection.settimeout(0.2)
    assert (len(ahead.findings), is_running(ahead.process_id)) == (1, True)


def test_ctrl_c_ends_the_child(ahead: ReadingAhead) -> None:
    read = ahead.read(GROUPS)
    next(read)
    process = ahead.process_id
    assert process
    os.kill(process, signal.SIGSTOP)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        next(read)
    assert not is_running(process)
    assert [rows(*each) for each in zip(GROUPS, ahead.read(GROUPS), strict=True)] == [rows(each) for each in GROUPS]


def test_where_no_child_starts_this_process_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    for program in ("/bin/false", "/is/not/there"):
        monkeypatch.setattr(sys, "executable", program)
        with ReadingAhead() as ahead:
            assert [list(each) for each in ahead.read(GROUPS)] == [[]] * len(GROUPS)
        assert len(ahead.findings) == STARTS_MAX


def test_the_child_ends_with_a_parent_that_is_killed() -> None:
    program = (
        "import os, signal\nfrom tests.iso20022.test_reading_ahead import GROUPS, ReadingAhead\n"
        "ahead = ReadingAhead()\nnext(ahead.read(GROUPS))\nprint(ahead.process_id, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=False)
    end = time.monotonic() + WAIT_S
    while is_running(int(done.stdout)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not is_running(int(done.stdout))


def test_the_child_has_one_socket_and_can_open_nothing(ahead: ReadingAhead) -> None:
    list(ahead.read(GROUPS[:1]))
    folder = Path(f"/proc/{ahead.process_id}")
    opened = [str(each.readlink()) for each in (folder / "fd").iterdir()]
    assert sorted(each.partition(":")[0] for each in opened) == ["/dev/null"] * 3 + ["socket"]
    assert (folder / "cwd").readlink() == Path("/")
    names = {each.partition(b"=")[0] for each in (folder / "environ").read_bytes().split(b"\0") if each}
    assert names <= {b"PYTHONPATH", b"LC_CTYPE"}
    assert "Max open files            0" in (folder / "limits").read_text()
