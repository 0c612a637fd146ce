"""Options with numbers, paths of inputs, and paths of outputs."""

from __future__ import annotations

import csv
import io
import os
import shutil
import threading
from pathlib import Path
from typing import Any, get_args

import pytest
from tests.cli.calling import PILOT, start
from tests.docs.test_docs import arguments_of, every_command
from tests.each import case

from sycee import cli


def account_of(folder: Path) -> str:
    """Return the id of an account with lines: the debit side of the first movement."""
    from sycee.archive.history_source import replay_folder
    from sycee.core import ids

    state = replay_folder(folder).state
    return ids.format(state.account_id(int(state.movements["debit_row"][0])))


# --- numbers ---


def options_of_type(type_: type) -> list[tuple[tuple[str, ...], str]]:
    """Return (words of the command, option) of each option whose value is of this type."""
    return [
        (words, argument.names[0])
        for words, command in every_command(cli.app)
        if command.default_command
        for argument in arguments_of(words, command)
        if type_ in (argument.hint, *get_args(argument.hint)) and argument.names[0].startswith("--")
    ]


def crossed(type_: type, *values: str) -> list[tuple[tuple[str, ...], str, str]]:
    """Return each option of a type with one of the values in turn, and the first option with every value."""
    options = options_of_type(type_)
    first = [(*options[0], value) for value in values]
    return first + [(*option, values[at % len(values)]) for at, option in enumerate(options[1:])]


def needed(words: tuple[str, ...], option: str) -> list[str]:
    """Return values for what a command requires besides an option, so that only the option is wrong."""
    values = []
    for argument in arguments_of(words, dict(every_command(cli.app))[words]):
        name = argument.names[0]
        if argument.required and name != option:
            value = "1" if int in (argument.hint, *get_args(argument.hint)) else "x"
            values += [f"{name}={value}"] if name.startswith("--") else [value]
    return values


def test_there_are_options_with_numbers() -> None:
    assert {name for _, name in options_of_type(int)} >= {"--seed", "--year", "--histories"}
    assert {name for _, name in options_of_type(float)} >= {"--scale", "--seconds"}


def test_a_number_by_its_place_is_refused_alike(sycee: Any) -> None:
    result = sycee("drop", "exclude", "bank", "spring-2027", "seven", "--reason", "staff")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith('error: ENTRY must be an integer; got "seven"\n')


def test_other_texts_for_a_number_are_refused(sycee: Any) -> None:
    for words, option, value in crossed(float, "", "big", "0,5", "1_000.0", "0x1", "nan", "inf", "-inf", "1e", "."):
        with case(words, option, value):
            result = sycee(*words, *needed(words, option), f"{option}={value}")
            assert (result.code, result.out) == (2, "")
            hint = "hint: write digits, such as 0.01 or 1"
            assert result.err == f'error: {option} must be a number; got "{value}"\n{hint}\n'


@pytest.mark.parametrize("value", ["1", "1.", "+1.0", "1e0", ".1E1"])
def test_numbers_may_have_a_point_and_an_exponent(sycee: Any, value: str) -> None:
    result = sycee("pilot", "luohu", f"--scale={value}", "--report", "/")
    assert result.err.startswith("error: / is a folder\n")


def test_other_texts_for_an_integer_are_refused(sycee: Any) -> None:
    for words, option, value in crossed(int, "1.5", "2020.7", "1e3", "0x10", "", "seven", "1_000", "nan"):
        with case(words, option, value):
            result = sycee(*words, *needed(words, option), f"{option}={value}")
            assert (result.code, result.out) == (2, "")
            hint = "hint: write digits only, such as 2020"
            assert result.err == f'error: {option} must be an integer; got "{value}"\n{hint}\n'


# --- empty paths ---


@pytest.mark.parametrize(
    "words",
    [
        ("verify", ""),
        ("verify", "x", "--checkpoint", ""),
        ("export", "x", "--to", ""),
        ("restore", "", "x"),
        ("restore", "x", ""),
        ("snapshot", ""),
        ("query", ""),
        ("key", "new", ""),
        ("checkpoint", "create", "x", "--key", "", "--signer", "1"),
        ("checkpoint", "create", "x", "--key", "k", "--signer", "1", "--out", ""),
        ("statement", "x", "1", "--csv", ""),
        ("statement", "x", "1", "--pdf", " "),
        (*PILOT, "--data", ""),
        (*PILOT, "--report", ""),
        ("draw", "verify", ""),
        ("compliance", "check", ""),
        ("compliance", "check", "x", "--output", ""),
    ],
    ids=" ".join,
)
def test_an_empty_path_is_refused(sycee: Any, tmp_path: Path, words: tuple[str, ...], monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    result = sycee(*words)
    assert (result.code, result.out) == (2, "")
    assert " is empty\nhint: name a file or folder; is a variable of your script empty?\n" in result.err
    assert list(tmp_path.iterdir()) == []


# --- outputs ---


def test_a_statement_is_written_into_a_pipe_that_stays_a_pipe(sycee: Any, finished: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    result = sycee("statement", finished, account_of(finished), "--csv", pipe)
    reader.join()
    assert result.code == 0
    assert pipe.is_fifo()
    assert next(csv.reader(io.StringIO(read[0])))[0] == "time"


def test_a_statement_is_written_through_a_link(sycee: Any, finished: Path, tmp_path: Path) -> None:
    target, link = tmp_path / "target.csv", tmp_path / "link.csv"
    target.write_text("old")
    target.chmod(0o600)
    link.symlink_to(target)
    assert sycee("statement", finished, account_of(finished), "--csv", link).code == 0
    assert link.is_symlink()
    assert target.read_text().startswith("time,")
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_statement_on_stdout(finished: Path) -> None:
    process = start("statement", str(finished), account_of(finished), "--csv", "/dev/stdout")
    out, _ = process.communicate()
    assert process.returncode == 0
    assert out.startswith("time,local_date,")


def test_one_file_for_two_outputs_is_refused(sycee: Any, finished: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "x")
    for one, other in (("x", "x"), ("x", "link"), ("./x", "../" + tmp_path.name + "/x")):
        result = sycee("statement", finished, "1", "--csv", tmp_path / one, "--pdf", tmp_path / other)
        assert (result.code, result.out) == (2, "")
    result = sycee("statement", finished, account_of(finished), "--csv", tmp_path / "x", "--pdf", tmp_path / "link")
    assert result.code == 2
    assert "--csv and --pdf name the same file" in result.err
    assert not (tmp_path / "x").exists()


def test_no_output_goes_into_the_ledgers_own_folder(sycee: Any, copy: Path, tmp_path: Path) -> None:
    account = account_of(copy)
    (tmp_path / "link").symlink_to(copy)
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}
    signer = tmp_path / "signer.pem"
    assert sycee("key", "new", signer).code == 0
    who = ("--key", signer, "--signer", account)
    for words in (
        ("statement", copy, account, "--csv", copy / "statement.csv"),
        ("statement", copy, account, "--pdf", tmp_path / "link" / "journal" / "x.pdf"),
        ("export", copy, "--to", copy / "journal" / "archive"),
        ("export", copy, "--to", tmp_path / "link" / "snapshots"),
        ("checkpoint", "create", copy, *who, "--out", copy / "checkpoint.json"),
        ("restore", copy, copy),
        ("restore", copy, copy / "again"),
        ("restore", copy, tmp_path / "link" / "again"),
        (*PILOT, "--data", copy, "--report", copy / "report.html"),
    ):
        result = sycee(*words)
        assert (result.code, result.out) == (2, ""), words
        assert "is inside the ledger's folder" in result.err, result.err
        assert {path: path.stat().st_mtime_ns for path in copy.rglob("*")} == before, words


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("key", "new", "{folder}/nowhere/key.pem"), 2),
        (("key", "new", "/proc/key.pem"), 4),
        ((*PILOT, "--data", "/proc/pilot"), 4),
        (("export", "{ledger}", "--to", "/proc/archive"), 4),
        (("restore", "{ledger}", "/proc/restored"), 4),
        (("statement", "{ledger}", "{account}", "--csv", "/proc/x.csv"), 4),
        (("statement", "{ledger}", "{account}", "--csv", "{folder}/nowhere/x.csv"), 2),
        (("checkpoint", "create", "{ledger}", "--key", "{key}", "--signer", "{account}", "--out", "/proc/x.json"), 4),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else str(each),
)
def test_a_path_that_cannot_be_written_has_a_hint(
    sycee: Any, finished: Path, tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    key = tmp_path / "key.pem"
    assert sycee("key", "new", key).code == 0
    names = {"ledger": finished, "folder": tmp_path, "key": key, "account": account_of(finished)}
    result = sycee(*(word.format(**names) for word in words))
    assert (result.code, result.out) == (code, "")
    assert "hint: " in result.err
    assert words[-1].format(**names).rpartition("/")[0].rstrip("/") in result.err


# --- inputs ---


@pytest.fixture
def denied(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file without read permission; root may read any file, so a patch makes its opening fail."""
    path = tmp_path / "denied"
    path.write_text("x")
    opened = Path.open

    def refuse(self: Path, *arguments: Any, **options: Any) -> Any:
        if self == path:
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    return path


def test_a_file_without_permission_is_unavailable_and_a_missing_one_is_a_usage_error(
    sycee: Any, finished: Path, denied: Path, tmp_path: Path
) -> None:
    for path, code in ((denied, 4), (tmp_path / "missing", 2), (tmp_path, 2)):
        for words in (
            ("checkpoint", "verify", path, "--key", f"ed25519:{'00' * 32}"),
            ("checkpoint", "verify", __file__, "--key", path),
            ("verify", finished, "--checkpoint", path),
        ):
            result = sycee(*words)
            assert (result.code, result.out) == (code, ""), result.err
            assert "hint: " in result.err


def test_an_archive_without_its_files_is_incomplete(sycee: Any, finished: Path, tmp_path: Path) -> None:
    assert sycee("export", finished, "--to", tmp_path / "archive").code == 0
    shutil.rmtree(tmp_path / "archive" / "movements")
    result = sycee("query", tmp_path / "archive", "SELECT 1")
    assert (result.code, result.out) == (3, "")
    assert "is incomplete" in result.err
