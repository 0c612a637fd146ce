"""Exit codes, stdout and stderr of the commands, and the folders after them."""

from __future__ import annotations

import errno
import gc
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from tests.cli.calling import PILOT, SCALE, SCRIPT, CommandResult, forked, start
from tests.processes import PROCESSES
from tests.report import outcomes

from sycee import __version__ as sycee_version
from sycee import cli
from sycee.cli import terminal
from sycee.cli.pilot import _table
from sycee.core import ids
from sycee.core.clock import SimulatedClock
from sycee.core.records import operations
from sycee.journal.frame import FrameKind
from sycee.journal.journal import Journal
from sycee.programmes import draw
from sycee.programmes.definition import load
from sycee.programmes.duplicates import Registrations
from sycee.sandbox import assumptions, plan
from sycee.sandbox.seeded_choices import Stream
from sycee.sequencer.embedded import Ledger
from sycee.sequencer.folders import journal_disk

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def content(folder: Path) -> dict[str, str]:
    """Return the digest of every file of a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def frames(folder: Path) -> list[tuple[FrameKind, int]]:
    """Return kind and byte offset of every frame; at this scale all are in the first segment."""
    journal = Journal.open(journal_disk(folder), read_only=True)
    found = [(frame.kind, frame.location.offset) for frame in journal.recover()]
    journal.close()
    return found


def segment(folder: Path) -> Path:
    return folder / "journal" / "000000000001.segment"


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


# --- done ---


def replayed(*words: str, no_color: str = "1") -> CommandResult:
    """Call the pilot on a narrow terminal, without colours."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("NO_COLOR", no_color)
        patch.setenv("COLUMNS", "60")
        code = cli.main([*PILOT, *words])
    return CommandResult(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def table() -> CommandResult:
    return replayed()


@pytest.fixture(scope="module")
def as_json() -> CommandResult:
    return replayed("--json")


def test_table_and_json_of_pilot_agree(table: CommandResult, as_json: CommandResult) -> None:
    assert table.code == 0
    assert "published against ledger (seed 2020, scale 0.002)" in table.out
    found = as_json.json()
    assert f"state digest {found['digest']}\n" in table.out
    assert {key: found[key] for key in ("registered", "winners", "claimed", "payments", "agrees")} == {
        "registered": 3_828,
        "winners": 100,
        "claimed": 95,
        "payments": 126,
        "agrees": True,
    }
    assert found["budget_minor"] == found["spent_from_packets_minor"] + found["returned_minor"] == 2_000_000
    assert found["minted_minor"] == found["budget_minor"] + found["spent_own_minor"]
    assert found["mint_officers"] == 2
    signers = found["signatures"]
    assert [row["role"] for row in signers] == ["officer"] * 2 + ["operator"] * 5
    officers, operators = (sum(row["signatures"] for row in part) for part in (signers[:2], signers[2:]))
    assert f"signatures verified: {officers} by officers, {operators} by operators\n" in table.err


def test_the_table_is_complete_on_any_terminal(table: CommandResult) -> None:
    assert max(len(line.rstrip()) for line in table.out.splitlines()) <= 80
    assert "…" not in table.out
    rows = {line.split("  ")[0]: line.split() for line in table.out.splitlines()}
    assert rows["budget dropped"][2:] == ["20,000.00", "20,000.00", "equal", "follows"]
    assert rows["minted, gross"][2:] == ["21,802.00", "derived", "21,802.00", "equal", "follows"]
    assert rows["returned to the funder"][-4:] == ["derived", rows["returned to the funder"][-3], "equal", "computed"]
    # At full size, and with a figure that differs, it is at its widest.
    full = outcomes.outcome(load("luohu-2020"))
    wrong = replace(full, comparisons=tuple(replace(each, ledger=each.ledger + 1) for each in full.comparisons))
    wide = terminal.console()
    wide.width = 200
    with wide.capture() as captured:
        wide.print(_table(wrong))
    assert max(len(line.rstrip()) for line in captured.get().splitlines()) <= 80
    assert "10,000,000.01" in captured.get()
    assert "DIFFERS" in captured.get()


def test_every_reading_command_prints_one_json_object_and_messages_on_stderr(
    sycee: Any, finished: Path, tmp_path: Path
) -> None:
    receipt = tmp_path / "receipt.json"
    receipt.write_text(json.dumps(some_receipt(finished / "draw")))
    for words in (
        ("verify", finished, "--json"),
        ("draw", "verify", finished / "draw", "--json"),
        ("draw", "entry", finished / "draw", receipt, "--json"),
    ):
        result = sycee(*words)
        assert result.code == 0, result.err
        assert result.json()
        assert "error" not in result.err


@cache
def people() -> Registrations:
    """Return the registrations of the replay with seed 2020."""
    programme = load("luohu-2020")
    assumed = assumptions.load(programme)
    targets = plan.Targets.of(programme, assumed, SCALE)
    return plan.Planner(programme, assumed, targets, Stream(2020), b"", SCALE).registrations()


def some_receipt(folder: Path) -> dict[str, str]:
    """Return the receipt of the first registrant."""
    document, phone = int(people().documents[0]), int(people().phones[0])
    salt = draw.replay_salts(2020, 1)[0].tobytes()
    assert draw.check_entry(folder, document, phone, salt).ok
    return {"document": str(document), "phone": str(phone), "salt": salt.hex()}


def test_journal_and_draw_contain_no_personal_data(finished: Path) -> None:
    files = [path for path in sorted(finished.rglob("*")) if path.is_file()]
    published = b"".join(path.read_bytes().rstrip(b"\0") for path in files)
    salts = draw.replay_salts(2020, len(people()))
    for number in range(0, len(people()), 41):
        document, phone = int(people().documents[number]), int(people().phones[number])
        for key in (document, phone):
            for written in (str(key).encode(), key.to_bytes(8, "little"), key.to_bytes(8, "big")):
                assert written not in published
        assert salts[number].tobytes() not in published


def test_progress_goes_to_stderr(as_json: CommandResult) -> None:
    for phase in ("registration", "freeze and draw", "mint and drop", "claims and payments", "expiry and return"):
        assert phase in as_json.err
        assert phase not in as_json.out
    assert "error" not in as_json.err


def test_verify_lists_what_it_proved(sycee: Any, finished: Path) -> None:
    result = sycee("verify", finished)
    assert result.code == 0
    assert f"verification passed: {finished}\n" in result.out
    found = sycee("verify", finished, "--json").json()
    assert found["ok"] is True
    assert len(found["proved"]) >= 6
    assert found["supply"] == {"CNY": 2_180_200, "1": 2_180_200}
    assert f"state digest {found['digest']}\n" in result.out


def test_verify_does_not_round_times_up(sycee: Any, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sycee.sequencer import verify

    verified = verify.verify(finished)
    almost_ns = 1_602_511_199_999_999_999
    changed = replace(verified, first_time_ns=almost_ns, last_time_ns=almost_ns)
    monkeypatch.setattr(verify, "verify", lambda *_, **__: changed)
    assert "from 2020-10-12 13:59:59 UTC to 2020-10-12 13:59:59 UTC\n" in sycee("verify", finished).out


def test_verify_changes_nothing(sycee: Any, finished: Path) -> None:
    before = content(finished)
    sycee("verify", finished)
    sycee("draw", "verify", finished / "draw")
    assert content(finished) == before


def test_a_finished_pilot_run_again_ends_with_the_same_digest(sycee: Any, copy: Path) -> None:
    first = sycee("verify", copy, "--json").json()
    again = sycee(*PILOT, "--data", copy, "--json").json()
    assert (again["digest"], again["operations"]) == (first["digest"], first["operations"])
    assert sycee("verify", copy, "--json").json()["digest"] == first["digest"]


def test_another_seed_ends_with_another_digest(sycee: Any, finished: Path, as_json: CommandResult) -> None:
    found = [as_json.json(), sycee(*PILOT, "--seed", 2, "--json").json()]
    assert sycee("verify", finished, "--json").json()["digest"] == found[0]["digest"] != found[1]["digest"]
    assert found[0]["returned_minor"] == found[1]["returned_minor"]


def test_the_report_is_written_to_its_path(sycee: Any, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    result = sycee(*PILOT, "--report", report)
    assert result.code == 0
    assert f"report written to {report}\n" in result.err
    assert report.read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html>")


def test_no_color_removes_all_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured, plain = replayed(no_color=""), replayed()
    assert COLOUR.search(coloured.out)
    assert not COLOUR.search(plain.out)
    assert not COLOUR.search(plain.err)
    assert coloured.code == plain.code == 0


def test_folder_names_with_markup_are_printed_unchanged(sycee: Any, finished: Path, tmp_path: Path) -> None:
    odd = shutil.copytree(finished, tmp_path / "an [bold]odd[/] name")
    assert f"verification passed: {odd}\n" in sycee("verify", odd).out
    assert f"Draw in {odd}/draw\n" in sycee("draw", "verify", odd / "draw").out
    result = sycee(*PILOT, "--data", odd)
    assert f"ledger stored in {odd}\n" in result.err
    assert f"check it: sycee verify '{odd}' --authority; sycee draw verify '{odd}/draw'\n" in result.err


def test_a_folder_inside_the_ledgers_names_the_ledgers(sycee: Any, finished: Path) -> None:
    result = sycee("verify", finished / "journal")
    assert (result.code, result.out) == (2, "")
    assert result.err == f"error: {finished / 'journal'} holds no ledger\nhint: did you mean {finished}?\n"


def test_reserves_are_named(sycee: Any, finished: Path) -> None:
    lines = sycee("verify", finished).out.splitlines()
    assert [line for line in lines if "book" in line] == ["reserves (book 1): 2,180,200 minor units"]


def test_the_command_line_is_also_a_module() -> None:
    ran = [
        subprocess.run([sys.executable, "-m", "sycee", word], capture_output=True, text=True, check=False)
        for word in ("--version", "verfy")
    ]
    assert (ran[0].returncode, ran[0].stdout) == (0, f"sycee {sycee_version}\n")
    assert ran[1].returncode == 2
    assert 'did you mean "verify"?' in ran[1].stderr


def test_cycles_are_collected_rarely_during_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    before, during = gc.get_threshold(), []
    monkeypatch.setattr(cli, "_run", lambda _: during.append(gc.get_threshold()) or 0)
    assert cli.main([]) == 0
    assert (during, gc.get_threshold()) == ([cli.GARBAGE_THRESHOLDS], before)


# --- usage: exit code 2 ---


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("pilot", "lohu"), 'did you mean "luohu"?'),
        (("pilot", "luohu", "--dta", "x"), "Unknown option: --dta. Did you mean --data?"),
        (
            ("pilot", "luohu", "--scale", "0"),
            "--scale must be from 0.001 to 1; got 0\nhint: give a number in this range, such as 0.01",
        ),
        (("pilot", "luohu", "--scale", "-1"), "--scale must be from 0.001 to 1; got -1\n"),
        (("pilot", "luohu", "--scale", "1.5"), "--scale must be from 0.001 to 1; got 1.5\n"),
        (("pilot", "luohu", "--scale", "nan"), '--scale must be a number; got "nan"\n'),
        (
            ("pilot", "luohu", "--scale", "big"),
            '--scale must be a number; got "big"\nhint: write digits, such as 0.01 or 1\n',
        ),
        (("pilot", "luohu", "--seed", "-1"), f"--seed must be from 0 to {2**63 - 1}; got -1\n"),
        (("pilot", "luohu", "--seed", str(2**63)), f"--seed must be from 0 to {2**63 - 1}; got {2**63}\n"),
        (("bulk", "list", "--server", "x"), "PAYER is missing: sycee bulk list PAYER --server SERVER\n"),
        (("verify",), "error: FOLDER is missing: sycee verify FOLDER\n"),
        (("verify", "a", "b"), 'error: "b" is one argument too many: sycee verify FOLDER\n'),
        (("checkpoint", "create", "x"), "--key is missing: sycee checkpoint create FOLDER --key KEY --signer SIGNER\n"),
        (("simulate", "--seed"), "error: --seed needs a value\n"),
        (("compliance", "routes"), "NETWORK is missing: sycee compliance routes NETWORK [FROM] [TO]\n"),
        (("compliance", "split", "x"), "PROFILE_1 is missing: sycee compliance split NETWORK PROFILE_1 PROFILE_2\n"),
        (("verify", "no-such-folder"), "no-such-folder holds no ledger"),
        (("draw", "verify", "no-such-folder"), "no-such-folder is not a folder"),
        (("draw", "entry", "no-such-folder"), "error: RECEIPT is missing: sycee draw entry FOLDER RECEIPT\n"),
        (("draw", "verify", ".", "--announced", "12"), '--announced is "12"'),
        (("pilot", "luohu", "--data", ""), "--data is empty"),
        (("pilot", "luohu", "--data="), "--data is empty"),
    ],
)
def test_wrong_arguments_are_usage_errors(sycee: Any, words: tuple[str, ...], says: str) -> None:
    result = sycee(*words)
    assert (result.code, result.out) == (2, "")
    assert says in result.err
    assert result.err.count("error: ") == 1
    assert "hint: " in result.err


@pytest.mark.parametrize("words", [("--seed", "2021", "--scale", str(SCALE)), ("--scale", "0.003")])
def test_a_folder_of_another_replay_is_refused_and_unchanged(sycee: Any, copy: Path, words: tuple[str, ...]) -> None:
    before = content(copy)
    result = sycee("pilot", "luohu", "--data", copy, *words)
    assert (result.code, result.out) == (2, "")
    assert f"{copy} holds another replay: {words[0][2:]} " in result.err
    assert content(copy) == before


def test_a_folder_with_other_files_is_refused_and_unchanged(sycee: Any, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("three years of work\n")
    result = sycee(*PILOT, "--data", tmp_path)
    assert result.code == 2
    assert "is not empty and holds no replay" in result.err
    assert os.listdir(tmp_path) == ["thesis.txt"]  # noqa: PTH208


def test_a_file_as_data_folder_is_refused(sycee: Any, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x\n")
    result = sycee(*PILOT, "--data", file)
    assert (result.code, result.err) == (2, f"error: {file} is not a folder\nhint: name an empty folder for --data\n")


def test_an_invalid_manifest_is_refused(sycee: Any, tmp_path: Path) -> None:
    for text in ("", "[]", '{"pilot": "luohu-2020"}'):
        (tmp_path / "pilot.json").write_text(text)
        assert sycee(*PILOT, "--data", tmp_path).code == 2
        assert [path.name for path in tmp_path.iterdir()] == ["pilot.json"]


def test_a_run_killed_while_it_wrote_its_manifest_can_be_started_again(sycee: Any, tmp_path: Path) -> None:
    (tmp_path / ".pilot.json-k1lled").write_text('{"pilot": "luo')
    (tmp_path / "draw").mkdir()
    assert sycee(*PILOT, "--data", tmp_path).code == 2  # a folder `draw` is not ours
    (tmp_path / "draw").rmdir()
    assert sycee(*PILOT, "--data", tmp_path).code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["draw", "duplicates.csv", "journal", "pilot.json"]


def test_partial_files_of_a_killed_run_are_removed_from_the_published_folder(sycee: Any, copy: Path) -> None:
    (copy / "draw" / ".tickets.bin-k1lled").write_bytes(b"half")
    assert sycee(*PILOT, "--data", copy).code == 0
    assert [path.name for path in (copy / "draw").iterdir() if path.name.startswith(".")] == []


def test_a_report_that_cannot_be_written_is_refused_before_the_replay(sycee: Any, tmp_path: Path) -> None:
    data = tmp_path / "data"
    missing = tmp_path / "missing" / "report.html"
    for report, says in (
        (missing, "its folder does not exist"),
        (tmp_path, "is a folder"),
        (data / "report.html", "is inside the ledger's folder"),
    ):
        result = sycee(*PILOT, "--data", data, "--report", report)
        assert (result.code, result.out) == (2, "")
        assert says in result.err
        assert not data.exists()


# --- refused: exit code 1 ---


def test_a_refusal_gives_its_code(sycee: Any, finished: Path, tmp_path: Path) -> None:
    # The replay's id is bound to another operation: the ledger refuses, and nothing is minted.
    programme = load("luohu-2020")
    shutil.copy(finished / "pilot.json", tmp_path / "pilot.json")
    taken = ids.derive(
        f"luohu-2020:2020:{SCALE}".encode(), "budget paid in", 1, time_ms=programme.draw.beacon_due_ns // 10**6
    )
    with Ledger.open(tmp_path, clock=SimulatedClock(programme.registration.from_ns)) as ledger:
        ledger.submit(operations.transfer(taken, debit=1, credit=2, amount=3))
    result = sycee(*PILOT, "--data", tmp_path, "--json")
    assert (result.code, result.out) == (1, "")
    assert "error: reserves not recorded: EXISTS_WITH_DIFFERENT_CONTENT\n" in result.err
    assert sycee("verify", tmp_path, "--json").json()["supply"]["CNY"] == 0


# --- integrity: exit code 3 ---


def test_damage_is_found_and_named(sycee: Any, copy: Path) -> None:
    _, offset = frames(copy)[5]
    place = offset + 512 + 40  # in the first record of frame 6
    overwrite(segment(copy), place, bytes([segment(copy).read_bytes()[place] ^ 1]))
    before = content(copy)
    for words in (("verify", copy), (*PILOT, "--data", copy)):
        result = sycee(*words)
        assert (result.code, result.out) == (3, "")
        assert f"000000000001.segment: frame 6 at byte {offset}: " in result.err
        assert "hint: " in result.err
    assert "restore the file from a copy" in sycee("verify", copy).err
    result = sycee("verify", copy, "--json")
    assert result.code == 3
    assert result.json()["ok"] is False
    assert f"frame 6 at byte {offset}" in result.json()["error"]
    assert content(copy) == before | {"journal/lock": content(copy)["journal/lock"]}


def test_a_last_frame_in_doubt_is_refused_and_cut_with_cut_tail(sycee: Any, copy: Path) -> None:
    digest = sycee("verify", copy, "--json").json()["digest"]
    (_, expiry), (kind, close) = frames(copy)[-2:]
    assert kind is FrameKind.CLOSE
    # As after a power cut: no clean end, and other bytes in the frame that returns the money.
    overwrite(segment(copy), close, bytes(4_096))
    overwrite(segment(copy), expiry + 512 + 100, b"\xff")
    before = content(copy)
    for words in (("verify", copy), (*PILOT, "--data", copy)):
        result = sycee(*words)
        assert result.code == 3
        assert "may have been acknowledged" in result.err
        assert "--cut-tail" in result.err
    assert content(copy)["journal/000000000001.segment"] == before["journal/000000000001.segment"]
    assert sycee(*PILOT, "--data", copy, "--cut-tail", "--json").json()["digest"] == digest
    assert sycee("verify", copy, "--json").json()["digest"] == digest


def test_a_changed_draw_fails_verification(sycee: Any, copy: Path) -> None:
    winners = copy / "draw" / "winners.csv"
    lines = winners.read_text().splitlines(keepends=True)
    winners.write_text("".join([*lines[:-1], lines[-1].replace("100,", "101,", 1)]))
    result = sycee("draw", "verify", copy / "draw", "--json")
    assert result.code == 3
    assert result.json()["ok"] is False
    assert "winners.csv" in result.err


def test_a_draw_already_published_is_never_replaced(sycee: Any, copy: Path) -> None:
    # A changed announcement is refused, not replaced.
    announcement = copy / "draw" / "announcement.json"
    announcement.write_text(announcement.read_text().replace('"round": 1', '"round": 2'))
    before = content(copy / "draw")
    result = sycee(*PILOT, "--data", copy)
    assert result.code == 2
    assert "is published already, with other content" in result.err
    assert content(copy / "draw") == before


# --- unavailable: exit code 4 ---


def test_a_folder_in_use_by_another_process_is_refused(sycee: Any, copy: Path) -> None:
    with Ledger.open(copy):
        process = start(*PILOT, "--data", str(copy))
        out, err = process.communicate()
    assert (process.returncode, out) == (4, "")
    assert f"is in use by the process with pid {os.getpid()}" in err
    assert "hint: Only one process can use a ledger" in err


def test_a_ledger_in_use_can_be_verified(sycee: Any, copy: Path) -> None:
    digest = sycee("verify", copy, "--json").json()["digest"]
    with Ledger.open(copy):
        assert sycee("verify", copy, "--json").json()["digest"] == digest


def test_a_disk_that_refuses_is_unavailable(sycee: Any) -> None:
    result = sycee(*PILOT, "--data", "/proc/pilot")  # not even root can create a folder there
    assert (result.code, result.out) == (4, "")
    assert result.err.startswith("error: /proc/pilot")


def unbuffered() -> None:
    """Be as a process that starts with PYTHONUNBUFFERED."""
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.reconfigure(write_through=True)


def test_stdout_that_cannot_be_written_is_unavailable(finished: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, "--help"], stdout=full, stderr=subprocess.PIPE, check=False, text=True
        )
    ended = [(done.returncode, done.stderr)]
    for words, before in ((("verify", str(finished)), int), (("verify", str(finished), "--json"), unbuffered)):
        full = Connection(os.open("/dev/full", os.O_WRONLY), readable=False)
        errors, stderr = PROCESSES.Pipe(duplex=False)
        process = forked(words, dict(os.environ), full, stderr, before)
        stderr.close()
        full.close()
        with os.fdopen(os.dup(errors.fileno()), encoding="utf-8") as file:
            err = file.read()
        errors.close()
        process.join()
        ended.append((process.exitcode or 0, err))
    for code, err in ended:
        assert code == 4
        assert "error: stdout cannot be written: No space left on device\nhint: the disk or the quota is full" in err
        assert "Traceback" not in err


@pytest.mark.parametrize(
    ("number", "hint"),
    [(errno.EROFS, "hint: the file system is read-only"), (errno.ENOSPC, "hint: the disk or the quota")],
)
def test_a_disk_that_is_full_or_read_only_has_a_hint(
    sycee: Any, monkeypatch: pytest.MonkeyPatch, number: int, hint: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "place")

    monkeypatch.setattr(cli, "app", fail)
    result = sycee("verify", "x")
    assert result.code == 4
    assert result.err.startswith(f"error: place: {os.strerror(number)}\n{hint}")


def test_with_data_no_temporary_folder_is_made(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir(mode=0o500)
    watched = tmp_path / "tmp"
    before = watched.stat().st_mtime_ns
    process = start(*PILOT, "--data", str(copy), TMPDIR=str(watched))
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert watched.stat().st_mtime_ns == before


# --- reports of recovery ---


def test_a_torn_tail_is_cut_and_reported(sycee: Any, copy: Path) -> None:
    before = sycee("verify", copy, "--json").json()
    (segment,) = (copy / "journal").glob("*.segment")
    # The first block of a frame without the rest, as after a power cut during an unacknowledged write.
    with segment.open("r+b") as file:
        content = file.read()
        end = len(content.rstrip(b"\0"))
        file.seek(-(-end // 4096) * 4096)
        file.write(b"half a frame")
    result = sycee(*PILOT, "--data", copy, "--json")
    assert result.code == 0
    assert [line for line in result.err.splitlines() if line.startswith("note: ")]
    assert result.json()["digest"] == before["digest"]
