"""The repository is tidy: what a reader or a reviewer would otherwise have to check by eye."""

from __future__ import annotations

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LINES_MAX = 600  # a longer file is a smell: split it, or give its reason here

LONG_FILES = {
    "docs/reference/message-elements.md": "made by `python -m tools.pages`",
    "docs/reference/schemas/declarations.schema.json": "made by `python -m tools.pages`",
    "docs/reference/schemas/profile.schema.json": "made by `python -m tools.pages`",
    "tools/seeded_faults.toml": "a list: an entry for each fault",
    "examples/two-regimes/organisations.toml": "a list: an entry for each organisation",
    "tools/checker.py": "one file, to be read and carried by itself; a test of its own bounds it",
    "requirements/dev.txt": "made by `make lock`",
    "requirements/runtime.txt": "made by `make lock`",
}
TARGETS = ("bench", "check", "clean", "format", "help", "lock", "pilot", "services", "setup", "soak", "test")
MAY_BE_EMPTY = {"py.typed"}
BINARY_SUFFIXES = {
    *(".bin", ".frames", ".gif", ".gz", ".ico", ".jpg", ".journal", ".npy", ".npz", ".parquet", ".png", ".woff2")
}
MAY_HOLD_TABS = {"Makefile"}

# Spelled in pieces, so that this file does not find itself.
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")
# Three times X is also ISO 4217's code for "no currency".
CURRENCY_FILES = {"src/sycee/data/currencies.toml", "tests/core/test_money.py", "src/sycee/core/money.py"}
MACHINE_PATHS = re.compile(r"(?<![\w.\-])/(?:wo" + r"rk|ro" + r"ot|opt/whe" + r"els|home/\w+)/|\.\./sha" + r"red\b")
ADDRESS = re.compile(r"\w+://|--(?:extra-)?index-url|--find-links|--trusted-host")


@cache
def tracked() -> tuple[str, ...]:
    """Every file git knows or would add, as it lies in the working tree."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return tuple(name for name in sorted(set(listed.stdout.split("\0"))) if name and (ROOT / name).is_file())


@cache
def texts() -> dict[str, str]:
    return {
        name: (ROOT / name).read_text(encoding="utf-8")
        for name in tracked()
        if Path(name).suffix not in BINARY_SUFFIXES
    }


def places(pattern: re.Pattern[str], names: list[str]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name in names
        for number, line in enumerate(texts()[name].splitlines(), 1)
        if pattern.search(line)
    ]


def test_there_is_something_to_check() -> None:
    assert "pyproject.toml" in tracked()


def test_files_are_short_or_have_a_reason() -> None:
    long = {name: text.count("\n") for name, text in texts().items() if text.count("\n") > LINES_MAX}
    assert {name: lines for name, lines in long.items() if name not in LONG_FILES} == {}


def test_reasons_for_long_files_are_still_needed() -> None:
    assert [name for name in LONG_FILES if name not in texts()] == []


def test_no_file_is_empty() -> None:
    assert [name for name, text in texts().items() if not text.strip() and Path(name).name not in MAY_BE_EMPTY] == []


def test_nothing_is_left_unfinished() -> None:
    assert places(UNFINISHED, [name for name in texts() if name not in CURRENCY_FILES]) == []


def test_no_path_of_one_machine() -> None:
    assert places(MACHINE_PATHS, list(texts())) == []


def test_locks_name_no_address() -> None:
    locks = [name for name in texts() if name.startswith("requirements/")]
    assert len(locks) == 5
    assert places(ADDRESS, locks) == []
    assert not {"uv.lock", "package-lock.json", "poetry.lock"} & {Path(name).name for name in tracked()}


@pytest.mark.parametrize("lock", ["runtime", "dev", "schemas", "peers", "uv"])
def test_every_locked_release_is_exact_and_hashed(lock: str) -> None:
    logical = (ROOT / "requirements" / f"{lock}.txt").read_text().replace("\\\n", " ").splitlines()
    releases = [line for line in logical if line.strip() and not line.lstrip().startswith("#")]
    assert releases
    assert [line for line in releases if not re.match(r"[a-z0-9.-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line)] == []


def test_text_is_clean() -> None:
    untidy = []
    for name, text in texts().items():
        if text and not text.endswith("\n"):
            untidy.append(f"{name}: no newline at the end")
        if text.endswith("\n\n"):
            untidy.append(f"{name}: empty lines at the end")
        if "\r" in text:
            untidy.append(f"{name}: carriage return")
        for number, line in enumerate(text.split("\n"), 1):
            if line != line.rstrip():
                untidy.append(f"{name}:{number}: trailing blank")
            if "\t" in line and Path(name).name not in MAY_HOLD_TABS:
                untidy.append(f"{name}:{number}: tab")
    assert untidy == []


def test_every_package_says_what_it_is_for() -> None:
    folders = {(ROOT / name).parent for name in tracked() if name.startswith("src/sycee/") and name.endswith(".py")}
    silent = []
    for folder in sorted(folders):
        front = folder / "__init__.py"
        if not front.is_file() or not ast.get_docstring(ast.parse(front.read_text(encoding="utf-8"))):
            silent.append(str(folder.relative_to(ROOT)))
    assert silent == []


def test_every_package_is_on_the_map() -> None:
    packages = {name.split("/")[2] for name in tracked() if re.fullmatch(r"src/sycee/\w+/__init__\.py", name)}
    present = texts()["docs/internals/ARCHITECTURE.md"].partition("## 3. ")[2].partition("Planned packages")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", present, re.MULTILINE)) == sorted(packages)


def test_every_make_target_is_explained() -> None:
    makefile = texts()["Makefile"]
    explained = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert explained >= set(TARGETS)


def test_ci_runs_what_a_person_runs() -> None:
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
    assert re.findall(r"^make (\w+)$", texts()[".ci/run"], re.MULTILINE) == ["check", "services", "test"]
