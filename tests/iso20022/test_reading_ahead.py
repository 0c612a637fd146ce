"""A child process reads messages ahead: the rows are those of this process, and no end of the child loses a message."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.iso20022.test_bulk_credit_transfers import HEADER, content, message, transfer
from tests.sequencer.ctrl_c import interrupted_when

from sycee.iso20022.bulk_credit_transfers import read_plain
from sycee.iso20022.institutions import Account
from sycee.iso20022.message_columns import MessageColumns, columns_if_plain, from_json, to_json
from sycee.iso20022.reading_ahead import MESSAGES_MIN, STARTS_MAX, ReadingAhead

WAIT_S = 20.0


def group(number: int) -> list[bytes]:
    """Plain messages: with a header and without, of one transaction and of several."""
    plain = [content(message(transfer(number * 1_000 + at)), HEADER) for at in range(MESSAGES_MIN)]
    many = message(*(transfer(at, urgency="URGT", not_before="09:00:00") for at in range(1, 4)))
    return [*plain, content(many), *plain[:1]]


GROUPS = [group(number) for number in range(4)]
# What columns do not have all of: in another form, wrong, and none.
OTHERS = [
    content(message(transfer(7, debtor_account=Account(number="7")))),
    GROUPS[0][0].replace(b">USD<", b">U<").replace(b"USD", b"USX"),
    b"no message",
]


def read_here(contents: Sequence[bytes]) -> str:
    return shown(columns_if_plain([read_plain(each) for each in contents]))


def shown(found: MessageColumns | None) -> str:
    return json.dumps(found and to_json(found))


@pytest.fixture
def ahead() -> Iterator[ReadingAhead]:
    with ReadingAhead() as made:
        yield made


def is_running(process: int | None) -> bool:
    return process is not None and Path(f"/proc/{process}").exists()


@pytest.mark.parametrize("workers", [0, 1])
def test_the_rows_are_those_of_this_process(workers: int) -> None:
    mixed = [[*GROUPS[0], each] for each in OTHERS]
    groups = [*GROUPS, GROUPS[0][:2], [], *mixed, GROUPS[1]]
    with ReadingAhead(workers) as ahead:
        found = list(ahead.read(groups))
        process = ahead.process_id
        assert is_running(process) == bool(workers)
    assert not is_running(process)
    assert ahead.findings == []
    expected = [read_here(each) if workers and len(each) >= MESSAGES_MIN else "null" for each in groups]
    assert list(map(shown, found)) == expected
    assert expected.count("null") == (len(groups) if not workers else 2 + len(OTHERS))


def test_columns_are_the_same_after_json() -> None:
    made = columns_if_plain([read_plain(each) for each in GROUPS[0]])
    assert made
    again = from_json(json.loads(json.dumps(to_json(made))))
    assert shown(again) == shown(made)
    assert again.rows.uetr.tobytes() == made.rows.uetr.tobytes()
    assert {name: getattr(again.rows, name).dtype for name in ("sender", "currency", "minor", "urgency")} == {
        name: getattr(made.rows, name).dtype for name in ("sender", "currency", "minor", "urgency")
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sender", [0]), ("receiver", [99] * 20), ("debtor", [-1] * 20), ("currency", [1] * 20),
        ("urgency", [3] * 20), ("minor", [1 << 63] * 20), ("counts", [1] * 19), ("counts", [0] * 18),
        ("uetrs", ["8a562c67"] * 20), ("uetrs", ["x" * 36] * 20), ("times", [1]), ("ids", ["one"]), ("day", [[1]]),
    ],
)  # fmt: skip
def test_a_wrong_response_is_refused(name: str, value: object) -> None:
    made = columns_if_plain([read_plain(each) for each in GROUPS[0]])
    assert made
    assert len(made.uetrs) == 20
    with pytest.raises((ValueError, TypeError, OverflowError)):
        from_json(to_json(made) | {name: value})


def test_a_child_that_is_killed_is_replaced_and_nothing_is_lost(ahead: ReadingAhead) -> None:
    found, processes = [], set()
    for each in ahead.read(GROUPS * 3):
        found.append(each)
        if ahead.process_id is not None:  # it may have answered about the next group already
            processes.add(ahead.process_id)
            os.kill(ahead.process_id, signal.SIGKILL)
    assert len(processes) == len(ahead.findings) == STARTS_MAX
    assert all(each is None or shown(each) == read_here(group) for each, group in zip(found, GROUPS * 3, strict=True))
    assert len(found) == len(GROUPS * 3)


def test_a_child_that_does_not_answer_is_replaced(ahead: ReadingAhead, monkeypatch: pytest.MonkeyPatch) -> None:
    for at, each in enumerate(ahead.read(GROUPS)):
        assert each is None or shown(each) == read_here(GROUPS[at])
        if not at and ahead._connection and ahead.process_id:
            os.kill(ahead.process_id, signal.SIGSTOP)
            ahead._connection.settimeout(0.2)
    assert (len(ahead.findings), is_running(ahead.process_id)) == (1, True)


def test_ctrl_c_ends_the_child(ahead: ReadingAhead) -> None:
    list(ahead.read(GROUPS[:1]))
    process = ahead.process_id
    assert process
    os.kill(process, signal.SIGSTOP)  # it has answered everything, and answers nothing more
    waits_from_s = time.monotonic() + 0.3
    with interrupted_when(lambda: time.monotonic() > waits_from_s):
        next(ahead.read(GROUPS))
    assert not is_running(process)
    assert list(map(shown, ahead.read(GROUPS))) == list(map(read_here, GROUPS))


def test_where_no_child_starts_this_process_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    for program in ("/bin/false", "/is/not/there"):
        monkeypatch.setattr(sys, "executable", program)
        with ReadingAhead() as ahead:
            assert list(ahead.read(GROUPS)) == [None] * len(GROUPS)
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
