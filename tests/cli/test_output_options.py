"""Every option and argument for an output: checked before any work is done, because results would be lost after it."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_numbers_and_paths import needed
from tests.docs.test_docs import arguments_of, every_command

from sycee import cli
from sycee.cli.registration_options import write_private

OUTPUTS = {
    *("--accounts", "--codes", "--csv", "--html", "--out", "--output", "--page", "--pdf", "--picture", "--png"),
    *("--proofs", "--receipt", "--receipts", "--refused", "--report", "--seen", "--status", "--svg"),
    *("OUT", "OUTPUT"),
}
FOLDERS = {  # these outputs are folders
    *(("clearing", "answers"), ("clearing", "certificate"), ("clearing", "inbox"), ("clearing", "reports")),
    *(("drop", "report"), ("sandbox", "city")),
}
MORE = {  # values that these commands check first
    ("compliance", "members"): ["--format=html"],
    ("compliance", "what-if"): ["--format=html"],
    ("compliance", "routes"): ["x", "y"],
    ("drop", "situations"): ["--hour=2026-11-07T08"],
    ("sandbox", "compare"): ["variant"],
    ("sandbox", "score"): ["x"],
}
FOUND = sorted(
    (words, argument.names[0])
    for words, command in every_command(cli.app)
    if command.default_command
    for argument in arguments_of(words, command)
    if argument.names[0] in OUTPUTS and "Path" in str(argument.hint)
)
OF_A_LEDGER = [
    (words, option)
    for words, option in FOUND
    if arguments_of(words, dict(every_command(cli.app))[words])[0].names[0] == "FOLDER" and words[0] != "draw"
]


def named(each: str | tuple[str, ...]) -> str:
    return each if isinstance(each, str) else " ".join(each)


def called(words: tuple[str, ...], option: str, output: Path, folder: Path) -> list[str]:
    """Return a call of a command on `folder`, with one output and values that lead nowhere for all else."""
    others = [*(each.replace("=x", "=y") for each in needed(words, option)), *MORE.get(words, [])]
    others += ["--key=x"] if option == "--proofs" else []
    at = [argument.names[0] for argument in arguments_of(words, dict(every_command(cli.app))[words])]
    if at[0] == "FOLDER":
        others[0] = str(folder)
    if option.startswith("--"):
        return [*words, *others, f"{option}={output}"]
    return [*words, *others[: at.index(option)], str(output), *others[at.index(option) :]]


def test_there_are_outputs() -> None:
    assert len(FOUND) > 40
    assert {words[0] for words, _ in OF_A_LEDGER} >= {"bulk", "clearing", "day", "drop", "statement", "voucher"}


@pytest.mark.parametrize(("words", "option"), OF_A_LEDGER, ids=named)
def test_no_output_goes_into_the_folder_of_a_ledger_or_a_bank(
    sycee: Any, tmp_path: Path, words: tuple[str, ...], option: str
) -> None:
    (tmp_path / "bank" / "journal").mkdir(parents=True)
    result = sycee(*called(words, option, tmp_path / "bank" / "journal" / "x", tmp_path / "bank"))
    assert (result.code, result.out) == (2, ""), result.err
    assert "is inside the ledger's folder" in result.err
    assert list((tmp_path / "bank").rglob("*")) == [tmp_path / "bank" / "journal"]


@pytest.mark.parametrize(
    ("words", "option"),
    [each for each in FOUND if each[0] not in FOLDERS],
    ids=named,
)
def test_a_folder_as_a_file_is_refused_before_any_work(
    sycee: Any, tmp_path: Path, words: tuple[str, ...], option: str
) -> None:
    result = sycee(*called(words, option, tmp_path, tmp_path / "bank"))
    assert (result.code, result.out) == (2, ""), result.err
    assert f"{tmp_path} is a folder" in result.err


def test_a_private_file_is_closed_to_others_also_if_it_existed(tmp_path: Path) -> None:
    path, pipe = tmp_path / "receipt.json", tmp_path / "pipe"
    path.write_text("a longer text that stood here before")
    path.chmod(0o644)
    write_private(path, "secret")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("secret", 0o600)
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_private(pipe, "secret")
    reader.join()
    assert read == ["secret"]
    assert pipe.is_fifo()
