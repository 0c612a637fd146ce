"""Plant faults in a copy of the code, one at a time, and require that the named test catches each.

tools/seeded_faults.toml lists the faults by file: title, test that must fail, and diff (lines with - and +). Kernels
are interpreted in the copy (NUMBA_DISABLE_JIT=1), so that a fault takes seconds and no compilation.

    .venv/bin/python tools/seeded_faults.py               all faults
    .venv/bin/python tools/seeded_faults.py 3 17          these faults
    .venv/bin/python tools/seeded_faults.py --list        check that each fault can be planted, run nothing
    .venv/bin/python tools/seeded_faults.py --page        write docs/internals/seeded-faults.md
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "tools" / "seeded_faults.toml"
PAGE = ROOT / "docs" / "internals" / "seeded-faults.md"
COPIED = ("src", "tests", "docs", "tools", "pyproject.toml", "INVARIANTS.md", "README.md")
TEST_SECONDS_MAX = 300
PAGE_HEAD = """# Seeded faults

Would the tests notice an error? Each fault below is a realistic change that makes the code wrong, with the test that
must fail. `tools/seeded_faults.py` plants the faults one at a time in a copy of the code and runs the test, with
kernels interpreted:

```
make setup
.venv/bin/python tools/seeded_faults.py               all faults, about ten minutes on two cores
.venv/bin/python tools/seeded_faults.py 3 17          these faults
.venv/bin/python tools/seeded_faults.py --list        check that each fault can be planted
.venv/bin/python tools/seeded_faults.py --page        write this page
```

`make test` checks that each fault can be planted and that a few are caught; `make soak` runs all. After fixing a
defect, add it to `tools/seeded_faults.toml`, next to other faults of the same file, unless a similar fault exists.

| no. | fault | file | caught by |
|---|---|---|---|
"""


@dataclass(frozen=True)
class Fault:
    """One change that makes the code wrong, and the test that must fail."""

    number: int
    title: str
    file: str
    test: str
    before: str
    after: str

    def planted(self) -> str:
        """Return the file with the fault. Raises ValueError unless its lines occur exactly once."""
        text = (ROOT / self.file).read_text(encoding="utf-8")
        if text.count(self.before) != 1:
            raise ValueError(
                f"fault {self.number} ({self.title}): its lines occur {text.count(self.before)} times in {self.file}, "
                f"not once; bring {LIST.relative_to(ROOT)} up to date"
            )
        return text.replace(self.before, self.after)


def read_faults(path: Path = LIST) -> list[Fault]:
    """Return the faults, numbered from 1 in the order of the file. Raises ValueError for an entry without a change."""
    faults: list[Fault] = []
    by_file = tomllib.loads(path.read_text(encoding="utf-8"))
    entries = [(file, entry) for file, found in by_file.items() for entry in found]
    for number, (file, entry) in enumerate(entries, 1):
        lines = entry["diff"].splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] in "- ")
        after = "".join(line[1:] for line in lines if line[0] in "+ ")
        if not before or before == after or any(line[0] not in "-+ " for line in lines):
            raise ValueError(f"{path}: the diff of fault {number} must change lines; each begins with -, + or a blank")
        faults.append(Fault(number, entry["title"], file, entry["test"], before, after))
    return faults


def page() -> str:
    """Return docs/internals/seeded-faults.md."""
    rows = (f"| {one.number} | {one.title} | `{one.file}` | `{one.test}` |\n" for one in read_faults())
    return PAGE_HEAD + "".join(rows)


def copy_of_the_code(folder: Path) -> None:
    """Copy the files that the tests need, without environments and caches."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.nb?"))
        else:
            shutil.copy2(source, folder / name)


def run_test(folder: Path, test: str) -> tuple[bool, str]:
    """Run a test on the code of `folder` with interpreted kernels; return whether it passed, and its last output."""
    environment = {
        **os.environ,
        "NUMBA_DISABLE_JIT": "1",
        "PYTHONPATH": str(folder / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    options = ["-x", "-q", "-p", "no:cacheprovider", "-W", "ignore::RuntimeWarning"]
    command = [sys.executable, "-m", "pytest", *options, test]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TEST_SECONDS_MAX, check=False
        )
    except subprocess.TimeoutExpired:
        return False, f"the test took more than {TEST_SECONDS_MAX} s"
    if done.returncode not in (0, 1):  # ≥ 2: the test was not found, or pytest failed
        raise RuntimeError(f"{test} could not be run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode == 0, done.stdout[-600:]


def is_caught(fault: Fault) -> bool:
    """Plant one fault in a copy, run its test, and return whether it failed."""
    with tempfile.TemporaryDirectory(prefix="sycee-fault-") as name:
        folder = Path(name)
        copy_of_the_code(folder)
        (folder / fault.file).write_text(fault.planted(), encoding="utf-8")
        passed, _ = run_test(folder, fault.test)
        return not passed


def failure_without_faults(tests: list[str]) -> str:
    """Run the tests on an unchanged copy; return the output of the first failure, or ""."""
    with tempfile.TemporaryDirectory(prefix="sycee-fault-") as name:
        copy_of_the_code(Path(name))
        for test in tests:
            passed, output = run_test(Path(name), test)
            if not passed:
                return f"{test} fails without a fault:\n{output}"
    return ""


def main(arguments: list[str] | None = None) -> int:
    """Return 0 if every fault was caught, 3 if one was not, 2 if no test can be run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("numbers", nargs="*", type=int, help="only these faults")
    parser.add_argument("--list", action="store_true", help="check that each fault can be planted, run nothing")
    parser.add_argument("--page", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="concurrent faults")
    options = parser.parse_args(arguments)
    faults = [fault for fault in read_faults() if not options.numbers or fault.number in options.numbers]
    for fault in faults:
        fault.planted()
    if options.page:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if options.list:
        for fault in faults:
            print(f"{fault.number:3}  {fault.title}")
        return 0
    if importlib.util.find_spec("pytest") is None:
        print("pytest is not installed here: run `make setup`, then .venv/bin/python tools/seeded_faults.py")
        return 2
    if failure := failure_without_faults(sorted({fault.test for fault in faults})):
        print(failure)
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
