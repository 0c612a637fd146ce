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
from queue import Queue

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "tools" / "seeded_faults.toml"
PAGE = ROOT / "docs" / "internals" / "seeded-faults.md"
COPIED = ("src", "tests", "benchmarks", "docs", "tools", "pyproject.toml", "INVARIANTS.md", "README.md")
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
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # the next fault in this copy needs only its own file compiled
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


class Copies:
    """Copies of the code, one for each concurrent job. A fault is planted in one and removed after its test."""

    def __init__(self, jobs: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="sycee-fault-")
        self._free: Queue[Path] = Queue()
        for job in range(jobs):
            folder = Path(self._folder.name) / str(job)
            folder.mkdir()
            copy_of_the_code(folder)
            self._free.put(folder)

    def __enter__(self) -> Copies:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def failure(self, test: str) -> str:
        """Run a test without a fault; return its output if it failed, else ""."""
        folder = self._free.get()
        try:
            passed, output = run_test(folder, test)
        finally:
            self._free.put(folder)
        return "" if passed else f"{test} fails without a fault:\n{output}"

    def is_caught(self, fault: Fault) -> bool:
        """Plant a fault, run its test, and return whether it failed."""
        folder = self._free.get()
        try:
            (folder / fault.file).write_text(fault.planted(), encoding="utf-8")
            return not run_test(folder, fault.test)[0]
        finally:
            shutil.copy2(ROOT / fault.file, folder / fault.file)
            self._free.put(folder)


def is_caught(fault: Fault) -> bool:
    """Plant one fault in a copy of its own, run its test, and return whether it failed."""
    with Copies(1) as copies:
        return copies.is_caught(fault)


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
    with Copies(options.jobs) as copies, ThreadPoolExecutor(options.jobs) as pool:
        failures = pool.map(copies.failure, sorted({fault.test for fault in faults}))
        if failure := next(filter(None, failures), ""):
            print(failure)
            pool.shutdown(cancel_futures=True)
            return 3
        missed = 0
        for fault, caught in zip(faults, pool.map(copies.is_caught, faults), strict=True):
            missed += not caught
            print(f"{fault.number:3}  {'caught' if caught else 'MISSED'}  {fault.title}", flush=True)
    print(f"{len(faults) - missed} of {len(faults)} faults were caught")
    return 3 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
