"""Plant faults in the code, one at a time, and see that the named test catches each.

`docs/internals/seeded-faults.md` is the list: per fault a heading, the file, the test that must fail, and the change
as lines that begin with - and +. A copy of the code is changed, never this one. Kernels are interpreted there
(NUMBA_DISABLE_JIT=1), so that a fault costs seconds and no compilation.

    .venv/bin/python tools/seeded_faults.py               all of them
    .venv/bin/python tools/seeded_faults.py 3 17          these
    .venv/bin/python tools/seeded_faults.py --list        only look whether each can be planted
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "docs" / "internals" / "seeded-faults.md"
COPIED = ("src", "tests", "docs", "tools", "pyproject.toml", "INVARIANTS.md", "README.md")
TEST_SECONDS_MAX = 300
_ENTRY = re.compile(
    r"^### (?P<number>\d+)\. (?P<title>.+?)\n+"
    r"In `(?P<file>[^`]+)`\. Caught by `(?P<test>[^`]+)`\.\n+"
    r"```diff\n(?P<diff>.*?)```",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Fault:
    """One change that makes the code wrong, and the test that must notice."""

    number: int
    title: str
    file: str
    test: str
    before: str
    after: str

    def planted(self) -> str:
        """The file with the fault in it. Raises ValueError where the lines are not there exactly once."""
        text = (ROOT / self.file).read_text(encoding="utf-8")
        if text.count(self.before) != 1:
            raise ValueError(
                f"fault {self.number} ({self.title}): its lines stand {text.count(self.before)} times in {self.file}, "
                f"not once; bring {LIST.relative_to(ROOT)} up to date"
            )
        return text.replace(self.before, self.after)


def read_faults(path: Path = LIST) -> list[Fault]:
    """The list, in its order. Raises ValueError where an entry cannot be read."""
    text = path.read_text(encoding="utf-8")
    faults = []
    for entry in _ENTRY.finditer(text):
        lines = entry["diff"].splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] in "- ")
        after = "".join(line[1:] for line in lines if line[0] in "+ ")
        faults.append(Fault(int(entry["number"]), entry["title"], entry["file"], entry["test"], before, after))
    if len(faults) != len(re.findall(r"^### ", text, re.MULTILINE)):
        raise ValueError(f"{path}: an entry cannot be read; each has a heading, a sentence and a diff")
    if [fault.number for fault in faults] != list(range(1, len(faults) + 1)):
        raise ValueError(f"{path}: entries are not numbered 1, 2, 3 …")
    return faults


def copy_of_the_code(folder: Path) -> None:
    """What the tests need, without environments and caches."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.nb?"))
        else:
            shutil.copy2(source, folder / name)


def run_test(folder: Path, test: str) -> tuple[bool, str]:
    """(whether it passed, the end of what it printed), with kernels interpreted and the code of `folder`."""
    environment = {
        **os.environ,
        "NUMBA_DISABLE_JIT": "1",
        "PYTHONPATH": str(folder / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "-W",
        "ignore::RuntimeWarning",
        test,
    ]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TEST_SECONDS_MAX, check=False
        )
    except subprocess.TimeoutExpired:
        return False, "it did not end"
    if done.returncode not in (0, 1):  # 2 and up: the test was not found, or pytest itself failed
        raise RuntimeError(f"{test} could not be run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode == 0, done.stdout[-600:]


def is_caught(fault: Fault) -> bool:
    """Plant one fault in a copy and run its test."""
    with tempfile.TemporaryDirectory(prefix="sycee-fault-") as name:
        folder = Path(name)
        copy_of_the_code(folder)
        (folder / fault.file).write_text(fault.planted(), encoding="utf-8")
        passed, _ = run_test(folder, fault.test)
        return not passed


def tests_pass(tests: list[str]) -> str:
    """Without a fault each named test must pass; "" or what one of them said."""
    with tempfile.TemporaryDirectory(prefix="sycee-fault-") as name:
        copy_of_the_code(Path(name))
        for test in tests:
            passed, said = run_test(Path(name), test)
            if not passed:
                return f"{test} fails without a fault:\n{said}"
    return ""


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 where every fault was caught, 3 where one was not, 2 where no test can be run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("numbers", nargs="*", type=int, help="only these faults")
    parser.add_argument("--list", action="store_true", help="plant nothing, only look whether each can be")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at once")
    options = parser.parse_args(arguments)
    faults = [fault for fault in read_faults() if not options.numbers or fault.number in options.numbers]
    for fault in faults:
        fault.planted()
    if options.list:
        for fault in faults:
            print(f"{fault.number:3}  {fault.title}")
        return 0
    if importlib.util.find_spec("pytest") is None:
        print("pytest is not installed here: `make setup` first, then .venv/bin/python tools/seeded_faults.py")
        return 2
    if said := tests_pass(sorted({fault.test for fault in faults})):
        print(said)
        return 3
    with ThreadPoolExecutor(options.jobs) as pool:
        missed = 0
        for fault, caught in zip(faults, pool.map(is_caught, faults), strict=True):
            missed += not caught
            print(f"{fault.number:3}  {'caught' if caught else 'MISSED'}  {fault.title}", flush=True)
    print(f"{len(faults) - missed} of {len(faults)} faults were caught")
    return 3 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
