"""The README: short, and every line of its table works in an environment that has nothing but what the line installs.

How words are counted: a command in backquotes is one word, a link is the words of its text, and punctuation is none.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.demo.test_demo import free_port
from tests.docs.pages import ROOT, page

README = page("README.md")
LINES_MAX, SENTENCE_MAX, CELL_MAX = 120, 25, 20  # lines, words, words
FIRST_SCREEN = 30  # lines
EMPTY = "nothing"  # what a reader installs who needs no package
PATIENCE_S = 1_800  # an installation of the largest extra on a busy machine

_CODE = re.compile(r"`([^`]+)`")
_WORD = re.compile(r"\w[\w'’.,/-]*")
_EXIT_CODE = re.compile(r"exit code (\d+)")


def words(text: str) -> int:
    linked = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", _CODE.sub("code", text))
    return len(_WORD.findall(linked))


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def table_lines() -> list[str]:
    lines = [line for line in README.prose().splitlines() if line.startswith("|")]
    return [line for line in lines if not set(line) <= set("|-")]


def sentences() -> list[str]:
    prose = [line for line in README.prose().splitlines() if not line.startswith(("|", "#"))]
    return [each for line in prose for each in re.split(r"(?<=[.!?])\s+", line.replace("*", "")) if each]


@dataclass(frozen=True)
class Reader:
    """A row of the table: what is installed, and the commands that follow."""

    name: str
    install: str
    commands: list[str]
    code: int
    served: bool  # the last command serves until Ctrl-C


def readers() -> list[Reader]:
    after = README.text.partition("| you are |")[2].splitlines()[2:]
    found = []
    for line in after[: after.index("")]:
        name, install, start, _ = cells(line)
        code = _EXIT_CODE.search(start)
        shown = _CODE.search(install)
        found.append(
            Reader(
                name,
                shown[1] if shown else install,
                _CODE.findall(start),
                int(code[1]) if code else 0,
                "Ctrl-C" in start,
            )
        )
    return found


# --- short ---


@pytest.mark.fast
def test_the_first_screen_has_both_commands_and_the_picture() -> None:
    lines = README.text.splitlines()
    assert len(lines) <= LINES_MAX
    first = lines[:FIRST_SCREEN]
    (block,) = (each for each in README.blocks() if each.content.startswith("$ make pilot"))
    assert re.findall(r"^\$ (make \w+)", block.content, re.MULTILINE) == ["make pilot", "make test"]
    assert block.line <= FIRST_SCREEN
    assert sum(line.startswith("![") for line in first) == 1
    named = "\n".join(each.name for each in readers())
    for reader in ("engineer", "programme", "journalist", "compliance officer", "researcher", "every day", "payment"):
        assert reader in named
    assert lines.index("EXCEEDS_BALANCE") < 60


@pytest.mark.fast
def test_sentences_and_cells_are_short() -> None:
    assert words("**Two** `make test x` and [the three words](a/b.md#c-d), 1,913,847.") == 7
    assert [each for each in sentences() if words(each) > SENTENCE_MAX] == []
    assert [each for line in table_lines() for each in cells(line) if words(each) > CELL_MAX] == []
    assert len(sentences()) > 20
    assert len(table_lines()) > 12


@pytest.mark.fast
def test_each_row_starts_with_a_command() -> None:
    for line, reader in zip(table_lines()[1:], readers(), strict=False):
        _, install, start, _ = cells(line)
        assert start.startswith("`"), line
        assert install == EMPTY or install.startswith("`pip install "), line
        assert reader.commands


@pytest.mark.fast
def test_the_program_shown_is_that_of_the_examples() -> None:
    (block,) = (each for each in README.blocks() if each.language == "python")
    _, _, program = (ROOT / "examples" / "first_ledger.py").read_text(encoding="utf-8").partition("\n\n")
    assert block.content == program


@pytest.mark.fast
def test_figures_are_those_of_the_newest_measurement() -> None:
    measured = page("docs/reference/performance.md").text
    rows = re.findall(r"^\| (`[\w-]+`) \| [^|]+ \| ([\d,]+/s) \|$", README.text, re.MULTILINE)
    assert len(rows) == 4
    for name, median in rows:
        newest = re.findall(rf"^\| {name} \| [^|]* \| [^|]* \| ([^|]*) \|", measured, re.MULTILINE)[0]
        assert (name, median) == (name, newest)


# --- every row in an empty environment ---


class Clone:
    """The files of the repository in a folder of their own, and one environment for each install line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "sycee"
        self._environments = folder / "environments"
        listed = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
        for name in subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0"):
            if name and (ROOT / name).is_file():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, self.folder / name)

    def environment(self, install: str) -> Path:
        """Return the `bin` folder of an environment that has what a line installs."""
        made = self._environments / re.sub(r"\W+", "-", install)
        if not made.exists():
            subprocess.run([sys.executable, "-m", "venv", made], check=True)
            if install != EMPTY:
                done = self.run(made / "bin", install)
                assert done.returncode == 0, done.stderr
        return made / "bin"

    def variables(self, programs: Path) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        return kept | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PYTHONUNBUFFERED": "1"}

    def run(self, programs: Path, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line in a shell, in the clone and an environment, as a reader pastes it."""
        return subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=self.variables(programs),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )

    def serve(self, programs: Path, line: str) -> int:
        """Start a server, press Ctrl-C once it says its address, and return the exit code."""
        port = free_port()
        with subprocess.Popen(
            ["bash", "-c", f"exec {line} --port {port}"],
            cwd=self.folder,
            env=self.variables(programs),
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout
            said = next((each for each in process.stdout if f"http://localhost:{port}" in each), "")
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE_S)
            assert said
            return process.returncode


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return Clone(tmp_path_factory.mktemp("readme"))


@pytest.mark.soak
@pytest.mark.parametrize("reader", readers(), ids=lambda reader: reader.name)
def test_each_row_works_after_its_install_line(reader: Reader, clone: Clone) -> None:
    programs = clone.environment(reader.install)
    *earlier, last = reader.commands
    for line in earlier:
        done = clone.run(programs, line)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    if reader.served:
        code, said = clone.serve(programs, last), ""
    else:
        done = clone.run(programs, last)
        code, said = done.returncode, f"{done.stdout}{done.stderr}"
    print(f"{reader.name}: {reader.install}; {'; '.join(reader.commands)}: exit code {code}")
    assert code == reader.code, said


@pytest.mark.soak
def test_the_line_of_a_missing_extra_installs_it(clone: Clone) -> None:
    (officer,) = (each for each in readers() if each.name == "a compliance officer")
    programs = clone.environment("pip install .")
    (command,) = officer.commands
    lacking = clone.run(programs, command)
    assert lacking.returncode == 4
    (hint,) = re.findall(r"^hint: (.*)$", lacking.stderr, re.MULTILINE)
    assert hint == officer.install
    assert clone.run(programs, hint).returncode == 0
    assert clone.run(programs, command).returncode == officer.code
