"""No command prints a traceback if its stdout is closed, is no longer read, or cannot encode a character."""

from __future__ import annotations

import io
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from tests.cli.calling import PILOT, SCRIPT, forked, start
from tests.processes import PROCESSES

from sycee import cli
from sycee.cli import terminal

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "two-regimes"
CHINESE = "账本"
WRITE_NUMBERS = {"x86_64": "1", "aarch64": "64"}  # of the system call, on Linux


@pytest.fixture(scope="module")
def place(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a pilot and its archive, whose name has Chinese characters."""
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("streams") / CHINESE)
    assert cli.main(["export", str(folder)]) == 0
    assert cli.main(["key", "new", str(folder.parent / "signer.pem")]) == 0
    for name in BANK_KEYS:
        assert cli.main(["key", "new", str(folder.parent / f"{name}.pem")]) == 0
    assert cli.main(found_bank(folder.parent)) == 0
    return folder


BANK_KEYS = ("ann", "bob", "desk", "wu")


def found_bank(place: Path) -> list[str]:
    """The call that founds a bank in `place` / "bank", or opens it."""
    ann, bob, desk, wu = (str(place / f"{name}.pem") for name in BANK_KEYS)
    return [
        *("init", str(place / "bank"), "--currency", "CNY", "--zone", "Asia/Shanghai", "--preset", "ecny-2021"),
        *("--retention", "cn-2025", "--master-key", str(place / "master.key"), "--key-backup", str(place / "backup")),
        *("--officer", ann, "--officer", bob, "--desk", desk, "--witness", wu),
        *("--rehearsal-from", "2026-11-02T08:00", "--without-compliance"),
    ]


def commands(place: Path) -> list[list[str]]:
    """One call of each command that prints something."""
    issuance = "SELECT account FROM balances WHERE kind = 'ISSUANCE' LIMIT 1"
    ledger, signer = str(place), str(place.parent / "signer.pem")
    from sycee.archive.query import Query

    with Query(place) as query:
        ((account,),) = query.run(issuance).values()
    new = place.parent / os.urandom(4).hex()
    bank = str(place.parent / "bank")
    return [
        ["--help"],
        ["verify", "--help"],
        [*PILOT],
        ["verify", ledger],
        ["verify", ledger, "--json"],
        ["draw", "verify", f"{ledger}/draw"],
        ["draw", "verify", f"{ledger}/draw", "--json"],
        ["statement", ledger, account],
        ["statement", ledger, account, "--json"],
        ["export", ledger],
        ["query", ledger],
        ["query", ledger, f"SELECT '{CHINESE}' AS name"],
        ["query", ledger, f"SELECT '{CHINESE}' AS name", "--csv"],
        ["query", ledger, f"SELECT '{CHINESE}' AS name", "--json"],
        ["query", ledger, "FROM lines LIMIT 100"],
        ["snapshot", ledger],
        ["restore", ledger, str(new)],
        ["checkpoint", "create", ledger, "--key", signer, "--signer", "0175f0a0-0000-7000-8000-000000000001"],
        ["key", "new", f"{new}.pem"],
        ["simulate", "--histories", "1"],
        ["sandbox", "city", "--help"],
        ["sandbox", "verify", "--help"],
        ["clearing", "days", "--help"],
        ["compliance", "check", str(EXAMPLE)],
        ["compliance", "check", str(EXAMPLE), "--json"],
        found_bank(place.parent),
        ["config", "show", bank],
        ["config", "show", bank, "--json"],
        ["person", "verify", bank],
        ["person", "verify", bank, "--json"],
        ["person", "due", bank],
        ["person", "notices", bank],
        ["clock", "set", bank, "2026-11-02T09:00"],
        # People and proposals.
        ["officer", "list", bank],
        ["officer", "list", bank, "--json"],
        ["institution", "list", bank],
        ["institution", "list", bank, "--json"],
        ["proposal", "list", bank],
        ["proposal", "list", bank, "--json"],
        ["key", "list", bank],
        ["key", "list", bank, "--json"],
        # Access over HTTP.
        ["client", "list", bank],
        ["client", "list", bank, "--json"],
        ["invite", "list", bank],
        ["invite", "list", bank, "--json"],
        ["invite", "logins", bank],
        ["invite", "logins", bank, "--json"],
        # Personal data.
        # Issuance.
        ["mint", "--help"],
        ["redeem", "--help"],
        ["operator", "list", bank],
        ["operator", "list", bank, "--json"],
        ["reserves", "rules", bank],
        ["reserves", "rules", bank, "--json"],
        ["clearing", "positions", bank],
        ["clearing", "queue", bank],
        ["funding", "list", bank],
        ["funding", "list", bank, "--json"],
        ["supply", bank],
        ["supply", bank, "--json"],
        # Wallets and payments.
        ["wallet", "list", bank, "00000000-0000-0000-0000-000000000001"],
        ["wallet", "dormant", bank, "--since", "2026-01-01"],
        ["wallet", "dormant", bank, "--since", "2026-01-01", "--json"],
        ["merchant", "--help"],
        ["pay", "--help"],
        ["refund", "--help"],
        ["request", "--help"],
        ["hold", "--help"],
        ["bulk", "--help"],
        ["drop", "list", bank],
        ["drop", "list", bank, "--json"],
        ["drop", "funders", bank],
        ["voucher", "--help"],
        # The day, cases, backup.
        ["day", "list", bank],
        ["day", "list", bank, "--json"],
        ["day", "breaks", bank],
        ["day", "breaks", bank, "--json"],
        ["case", "list", bank],
        ["case", "list", bank, "--json"],
        ["case", "claims", bank],
        ["backup", bank, f"{new}.backup", "--backup-key", str(place.parent / "backup.key")],
        # The server.
        ["demo", "--help"],
        ["serve", "--help"],
        ["load", "--help"],
        ["conformance", "--help"],
        ["nonsense", CHINESE],
    ]


@pytest.mark.parametrize("third", [0, *(pytest.param(each, marks=pytest.mark.soak) for each in (1, 2))])
def test_a_stdout_that_is_no_longer_read_is_no_error(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], third: int
) -> None:
    once = {tuple(words[:2]): words for words in commands(place)}  # with --json where it has that
    for words in list(once.values())[third::3]:
        for buffering in (1, -1) if words[0] in ("verify", "query") else (1,):
            reader, writer = os.pipe()
            os.close(reader)
            with open(writer, "w", buffering, encoding="utf-8") as stdout, monkeypatch.context() as patch:  # noqa: PTH123
                patch.setattr(sys, "stdout", stdout)
                code = cli.main(words)
            assert code == (2 if words[0] == "nonsense" else 0), words
    assert "Traceback" not in capfd.readouterr().err


def test_a_stdout_that_lacks_characters_gets_escapes(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    every = commands(place)
    for words in [words for words in every if words[0] in ("verify", "query", "nonsense")] + every[1::4]:
        stdout = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stdout)
            code = cli.main(words)
        stdout.flush()
        out = stdout.buffer.getvalue().decode("ascii")  # type: ignore[attr-defined]
        assert code == (2 if words[0] == "nonsense" else 1 if words[0] == "compliance" else 0), words
        if "--json" in words:
            assert isinstance(json.loads(out), dict)
        if words[1:2] == [str(place)] and words[0] == "verify" and "--json" not in words:
            assert out.startswith(f"verification passed: {place.parent}/\\u8d26\\u672c\n")
        if words[0] == "query" and "--json" in words:
            assert json.loads(out)["rows"] == [[CHINESE]]


def test_escapes_have_the_form_of_json() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        terminal.prepare_streams()
        print('"é 账 🎉 \udcff"', end="", flush=True)
    text = stream.buffer.getvalue().decode("ascii")  # type: ignore[attr-defined]
    assert text == r'"\u00e9 \u8d26 \ud83c\udf89 \udcff"'
    assert json.loads(text) == "é 账 🎉 \udcff"


def test_a_closed_stdout_is_unavailable(place: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"exec '{sys.executable}' -c '{SCRIPT}' --version >&-"],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    query = start("query", str(place), "--json", before=close_stdout)
    error = "error: stdout is closed\nhint: redirect it to a file, or to /dev/null\n"
    assert (done.returncode, done.stderr) == (4, error)
    assert query.communicate() == ("", error)
    assert query.returncode == 4


def close_stdout() -> None:
    """Be as a process that starts with its stdout closed."""
    sys.stdout.close()  # also the descriptor, and before the object ends: Python 3.13 reports a failure of that
    sys.stdout = None  # type: ignore[assignment]


def test_a_closed_stderr_changes_no_exit_code() -> None:
    done = subprocess.run(
        ["bash", "-c", f"exec '{sys.executable}' -c '{SCRIPT}' nonsense 2>&-"], stdout=subprocess.PIPE, check=False
    )
    assert done.returncode == 2
    for words, code in ((("verify", "nowhere"), 2), (PILOT, 0)):
        process = start(*words, before=close_stderr)
        process.communicate()
        assert process.returncode == code


def close_stderr() -> None:
    """Be as a process that starts with its stderr closed."""
    os.close(2)
    sys.stderr = None  # type: ignore[assignment]


def test_head_reads_one_line_of_a_long_output(place: Path) -> None:
    process = start("query", str(place), "FROM range(200000)", "--csv")
    assert process.stdout.readline() == "range\n"
    process.stdout.close()
    assert process.stderr.read() in ("", "as of frame 158 of 2020-10-18 16:00:00 UTC\n")
    process.stderr.close()
    assert process.wait() == 0


@pytest.mark.parametrize(
    "words",
    [("query", "{place}", "SELECT 1", "--json"), ("compliance", "explain", str(EXAMPLE), "tropic-east-us-br")],
    ids=["flush in the command", "last flush"],
)
def test_ctrl_c_ends_a_command_whose_stdout_is_not_read(place: Path, words: tuple[str, ...]) -> None:
    reader, writer = PROCESSES.Pipe(duplex=False)
    os.set_blocking(writer.fileno(), False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer.fileno(), bytes(1 << 12))
    os.set_blocking(writer.fileno(), True)
    errors, stderr = PROCESSES.Pipe(duplex=False)
    process = forked(tuple(word.format(place=place) for word in words), dict(os.environ), writer, stderr)
    assert process.pid is not None
    wait_until_it_writes(process.pid)
    os.kill(process.pid, signal.SIGINT)
    stderr.close()
    with os.fdopen(os.dup(errors.fileno()), encoding="utf-8") as file:
        err = file.read()
    process.join()
    for end in (errors, reader, writer):
        end.close()
    assert process.exitcode == 130
    assert "\ninterrupted; " in err
    assert "Traceback" not in err


def wait_until_it_writes(process: int) -> None:
    """Wait until a process is blocked in a write to its stdout."""
    file = Path(f"/proc/{process}/syscall")
    if platform.machine() not in WRITE_NUMBERS or not file.exists():
        pytest.skip("NOT RUN: this system does not show in which call a process waits")
    for _ in range(2_000):
        if file.read_text().split()[:2] == [WRITE_NUMBERS[platform.machine()], "0x1"]:
            return
        time.sleep(0.01)
    raise AssertionError("the command does not write to stdout")


def test_the_list_of_commands_is_complete(place: Path) -> None:
    tried = {words[0] for words in commands(place)}
    assert [name for name in cli.COMMANDS if name not in tried] == []
