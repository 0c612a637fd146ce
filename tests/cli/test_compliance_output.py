"""Output of `sycee compliance`: hostile texts, streams that cannot encode, and special output files."""

from __future__ import annotations

import io
import json
import os
import re
import stat
import sys
import threading
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

import pytest
from tests.cli.calling import start
from tests.cli.test_compliance import BANKS, TERMS

from sycee import cli, data
from sycee.core.keys import SigningKey

HOSTILE: Final = r"\u001b[31mRED\u009b31m\u202e\r\n\u0007深圳"
# Characters that a terminal obeys, except line ends.
COMMANDS_TERMINAL: Final = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

LIST: Final = f"""
id = "excluded"
title = "{HOSTILE}"
publisher = "{HOSTILE}"
as_of = 2026-01-01
complete = true
note = "{HOSTILE}"
sources = [{{ id = "text", title = "{HOSTILE}", publisher = "{HOSTILE}", date = 2020-01-01, at_hand = true }}]

[[rows]]
party = "{HOSTILE}"
also = ["examiner"]
note = "{HOSTILE}"
status = "listed"
source = "text"
"""


@pytest.fixture
def hostile(tmp_path: Path) -> dict[str, Path]:
    """Return declarations, a profile, a list and a case with control characters in every free text."""
    banks = BANKS.replace("EXAMINER", SigningKey.derive(bytes(32)).public.key.hex())
    banks = banks.replace('title = "Two banks"', f'title = "{HOSTILE}"').replace("their own word", HOSTILE)
    banks = banks.replace('id = "first-bank"', f'id = "first-bank"\nname = "{HOSTILE}"\norganisation = "examiner"')
    banks = banks.replace('id = "wages"', f'id = "wages"\nname = "{HOSTILE}"')
    banks = banks.replace('id = "examiner"', f'id = "examiner"\nname = "{HOSTILE}"\nidentifiers = ["{HOSTILE}"]')
    banks += f'\n[[waivers]]\nrule = "terms/exit"\nsubject = "first-bank"\nrole = "{HOSTILE}"\nreason = "{HOSTILE}"\n'
    banks += "from = 2026-01-01\nuntil = 2026-02-15\n"
    terms = TERMS
    for word in (
        "Terms",
        "an office",
        "Customers can leave",
        "Nothing else.",
        "The text",
        "section 4",
        "Publish terms.",
    ):
        terms = terms.replace(f'"{word}', f'"{HOSTILE}{word}')
    terms += f'interpretation = "{HOSTILE}"\n\n[[rules]]\nid = "owner"\ntitle = "{HOSTILE}"\nlevel = "participant"\n'
    terms += f'addressee = "company"\nkind = "checked"\nsource = "text"\nremedy = "{HOSTILE}"\n'
    terms += 'require = [{ fact = "organisation", test = "none-listed", list = "excluded" }]\n'
    case = data.content("cases", "data-security-links").decode()
    case = case.replace('verdict = "attested"', f'verdict = "attested", says = "{HOSTILE}", row = "{HOSTILE}"', 1)
    texts = {"banks": banks, "terms": terms, "list": LIST, "data-security-links": case}
    paths = {name: tmp_path / f"{name}.toml" for name in texts}
    for name, path in paths.items():
        path.write_text(texts[name], encoding="utf-8")
    return paths


def words(command: str, hostile: dict[str, Path]) -> list[str]:
    judged = ["--profile", str(hostile["terms"]), "--list", str(hostile["list"])]
    banks = str(hostile["banks"])
    return {
        **{f"check {form}": ["check", banks, *judged, "--format", form] for form in ("text", "json", "sarif", "junit")},
        "check all": ["check", banks, *judged, "--all"],
        "explain": ["explain", banks, "first-bank", *judged],
        "explain json": ["explain", banks, "first-bank", *judged, "--json"],
        "routes": ["routes", banks, "--flow", "wages", *judged],
        "routes json": ["routes", banks, "--flow", "wages", *judged, "--json"],
        "split": ["split", banks, str(hostile["terms"]), "gdpr-transfers", "--list", str(hostile["list"])],
        "diff": ["diff", banks, *judged, "--to-at", "2026-03-01"],
        "diff json": ["diff", banks, *judged, "--to-at", "2026-03-01", "--json"],
        "test": ["test", str(hostile["data-security-links"])],
        "test json": ["test", str(hostile["data-security-links"]), "--json"],
    }[command]


COMMANDS: Final = (
    *("check text", "check json", "check sarif", "check junit", "check all", "explain", "explain json"),
    *("routes", "routes json", "split", "diff", "diff json", "test", "test json"),
)


IDS_ONLY: Final = ("split", "diff", "diff json")


@pytest.mark.parametrize("command", COMMANDS)
def test_no_text_of_a_file_controls_the_terminal(sycee: Any, hostile: dict[str, Path], command: str) -> None:
    result = sycee("compliance", *words(command, hostile))
    assert result.code in (0, 1, 3), result.err
    assert COMMANDS_TERMINAL.search(result.out) is None
    assert COMMANDS_TERMINAL.search(result.err) is None
    if command not in IDS_ONLY:
        assert "深圳" in result.out or "&#28145;" in result.out


def test_no_error_controls_the_terminal(sycee: Any, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('[network]\nid = "a"  # \x1b[31mRED\x9b31m\n', encoding="utf-8")
    result = sycee("compliance", "check", wrong)
    assert result.code == 2
    assert COMMANDS_TERMINAL.search(result.err) is None


@pytest.mark.parametrize("command", [each for each in COMMANDS if each not in IDS_ONLY])
def test_a_stdout_that_cannot_encode_gets_escapes(
    monkeypatch: pytest.MonkeyPatch, hostile: dict[str, Path], command: str
) -> None:
    content = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(content, encoding="ascii"))
    assert cli.main(["compliance", *words(command, hostile)]) in (0, 1, 3)
    out = content.getvalue().decode("ascii")
    if "json" in command or "sarif" in command:
        assert "深圳" in json.dumps(json.loads(out), ensure_ascii=False)
    elif "junit" in command:
        assert "深圳" in ET.tostring(ET.fromstring(out), encoding="unicode")  # noqa: S314 - our own
    else:
        assert r"\u6df1\u5733" in out


def test_an_ascii_terminal_gets_escapes(hostile: dict[str, Path]) -> None:
    process = start("compliance", *words("check text", hostile), PYTHONIOENCODING="ascii")
    out, err = process.communicate()
    assert (process.returncode, err) == (1, "")
    assert r"\u6df1\u5733" in out


@pytest.mark.parametrize("command", ["check text", "check json", "explain", "routes", "split", "diff", "test"])
def test_a_closed_stdout_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], hostile: dict[str, Path], command: str
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert cli.main(["compliance", *words(command, hostile)]) == 4
    assert capsys.readouterr().err.startswith("error: stdout is closed\nhint: ")


# --- output files ---


def check(sycee: Any, hostile: dict[str, Path], *more: object) -> Any:
    return sycee("compliance", *words("check text", hostile), *more)


@pytest.mark.parametrize("option", ["--output", "--picture"])
def test_an_output_may_be_a_pipe(sycee: Any, hostile: dict[str, Path], tmp_path: Path, option: str) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    assert check(sycee, hostile, option, pipe).code in (0, 1)
    reader.join(timeout=60)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert len(read[0]) > 100


@pytest.mark.parametrize("option", ["--output", "--picture"])
def test_an_output_may_be_a_link(sycee: Any, hostile: dict[str, Path], tmp_path: Path, option: str) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    assert check(sycee, hostile, option, link).code in (0, 1)
    assert link.is_symlink()
    assert len(target.read_text(encoding="utf-8")) > 100


def test_an_output_may_be_a_device(sycee: Any, hostile: dict[str, Path]) -> None:
    assert check(sycee, hostile, "--output", "/dev/null", "--picture", "/dev/null").code in (0, 1)
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_two_outputs_may_not_be_one_file(sycee: Any, hostile: dict[str, Path], tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    result = check(sycee, hostile, "--output", target, "--picture", link)
    assert result.code == 2
    assert "--output and --picture name the same file" in result.err
    assert target.read_text() == "old"


@pytest.mark.parametrize("option", ["--output", "--picture"])
def test_an_output_may_not_be_empty(sycee: Any, hostile: dict[str, Path], option: str) -> None:
    result = check(sycee, hostile, option, "")
    assert result.code == 2
    assert "is empty" in result.err
