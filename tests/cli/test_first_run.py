"""The first start compiles kernels in worker processes. Draws need a single kernel, which compiles in seconds.

Most tests compile a small kernel in its place. Those that interrupt a compilation need the real one.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests import small_kernel

from sycee.core import kernel_build, kernel_folder

KERNEL = "import sycee.core.sha256"
DRAW = "import sys; from sycee import cli; sys.exit(cli.main(['draw', 'verify', sys.argv[1]]))"
LINE = "compiling kernels, once per version on this machine: usually in half a minute, longer on a busy one\n"


def started(script: str, cache: Path, *arguments: str, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        env=os.environ | {"NUMBA_CACHE_DIR": str(cache)} | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which the kernel of SHA-256 is a small one."""
    return {"PYTHONPATH": str(small_kernel.copy(tmp_path_factory.mktemp("small")))}


def compiled_files(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.rglob("*.nbc"))


@dataclass(frozen=True)
class First:
    """A first start that compiled the small kernel, and its cache. Tests that write use `copy`."""

    cache: Path
    code: int
    said: tuple[str, str]

    def copy(self, folder: Path) -> Path:
        return shutil.copytree(self.cache, folder / "compiled")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, small: dict[str, str]) -> First:
    cache = tmp_path_factory.mktemp("first")
    process = started(KERNEL, cache, **small)
    said = process.communicate()
    return First(cache, process.returncode, said)


def test_without_a_terminal_one_line_goes_to_stderr(first: First, small: dict[str, str]) -> None:
    assert (first.code, first.said) == (0, ("", LINE))
    assert len(compiled_files(first.cache)) == 1
    again = started(KERNEL, first.cache, **small)
    assert again.communicate() == ("", "")


def test_a_terminal_shows_a_bar(tmp_path: Path, small: dict[str, str]) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, **small, "NUMBA_CACHE_DIR": str(tmp_path), "TERM": "xterm", "COLUMNS": "80"}
    process = subprocess.Popen([sys.executable, "-c", KERNEL], env=environment, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    shown = b""
    while part := read(ours):
        shown += part
    os.close(ours)
    assert process.wait() == 0
    assert process.stdout is not None
    assert process.stdout.read() == b""
    process.stdout.close()
    text = shown.decode()
    assert kernel_build.TITLE in text
    assert re.search(r" 0 .*0:00 elapsed  -:-- left", text)
    assert re.search(r" 1 .*0:[0-9]{2} elapsed", text)


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # the other end is closed
        return b""


def test_two_processes_compile_a_kernel_once(tmp_path: Path, small: dict[str, str]) -> None:
    processes = [started(KERNEL, tmp_path, **small) for _ in range(2)]
    outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert sorted(error for _, error in outputs)[0] == LINE
    assert {error for _, error in outputs} <= {LINE, "waiting for another process that compiles kernels\n", ""}
    assert len(compiled_files(tmp_path)) == 1


def test_ctrl_c_ends_the_workers_and_the_command(tmp_path: Path) -> None:
    process = started(DRAW, tmp_path, str(tmp_path))
    assert process.stderr is not None
    assert process.stderr.readline() == LINE
    workers = children(process.pid)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err == "\ninterrupted; the next start compiles the kernels that are missing\n"
    assert workers
    assert not [worker for worker in workers if Path(f"/proc/{worker}").exists()]
    assert compiled_files(tmp_path) == []


def test_ctrl_c_in_a_program_that_imports_sycee_gives_a_readable_error(tmp_path: Path) -> None:
    process = started(KERNEL, tmp_path)
    assert process.stderr is not None
    assert process.stderr.readline() == LINE
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert err.splitlines()[-1] == "KeyboardInterrupt: the next start compiles the kernels that are missing"


INTERRUPTED_IMPORT = """
import importlib.abc, os, signal, sys

class Interrupt(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == sys.argv[1]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
from sycee.cli import main
sys.exit(main(["pilot", "--help"]))
"""


@pytest.mark.parametrize(
    "module",
    [
        "cyclopts",
        "sycee.cli.pilot",
        *(pytest.param(each, marks=pytest.mark.soak) for each in ("sycee.core.errors", "difflib")),
    ],
)
def test_ctrl_c_while_modules_are_imported_ends_the_command(tmp_path: Path, module: str) -> None:
    process = started(INTERRUPTED_IMPORT, tmp_path, module)
    _, err = process.communicate()
    assert process.returncode == 130
    assert err.startswith("\ninterrupted")
    assert len(err.splitlines()) == 2


def test_after_the_import_ctrl_c_raises_keyboard_interrupt(tmp_path: Path) -> None:
    script = (
        "import os, signal, sycee.cli\n"
        "try: os.kill(os.getpid(), signal.SIGINT)\nexcept KeyboardInterrupt: print('raised')"
    )
    assert started(script, tmp_path).communicate() == ("raised\n", "")


def children(parent: int) -> list[int]:
    """The workers of a process, as soon as there is one."""
    file = Path(f"/proc/{parent}/task/{parent}/children")
    if not file.exists():
        pytest.skip("NOT RUN: this system does not list the children of a process")
    for _ in range(1000):
        if found := file.read_text().split():
            return [int(each) for each in found]
        time.sleep(0.01)
    raise AssertionError("no worker was started")


def test_without_any_folder_kernels_are_compiled_in_the_process(tmp_path: Path, small: dict[str, str]) -> None:
    denied = (
        "import tempfile\n"
        "def deny(*_, **__): raise PermissionError('denied')\n"
        "tempfile.gettempdir = tempfile.mkdtemp = deny\n"
    )
    call = "from sycee.core import sha256; print(sha256._compress(1))"
    nowhere = {"HOME": "/proc/nonexistent", "XDG_CACHE_HOME": "/proc/nonexistent", "NUMBA_CACHE_DIR": ""}
    found, err = started(denied + call, tmp_path, **nowhere, **small).communicate()
    assert found == "2\n"
    assert err == "no folder can store kernels, so each start compiles them; NUMBA_CACHE_DIR can name one\n"


def test_a_chosen_folder_that_cannot_be_written_is_reported(small: dict[str, str]) -> None:
    process = started("import sys; sys.executable = '/usr/sbin/server'\n" + KERNEL, Path("/proc/nonexistent"), **small)
    _, err = process.communicate()
    assert process.returncode == 0
    assert err == (
        "NUMBA_CACHE_DIR names /proc/nonexistent, which cannot be written, so each start compiles the kernels\n"
    )


def test_ctrl_c_ends_a_compilation_in_the_process_of_the_command(tmp_path: Path) -> None:
    process = started("import sys; sys.executable = '/usr/sbin/server'\n" + DRAW, tmp_path, str(tmp_path))
    assert process.stderr is not None
    assert process.stderr.readline() == "compiling kernels in this process, for up to a minute\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err == "\ninterrupted; the next start compiles the kernels that are missing\n"
    assert compiled_files(tmp_path) == []


def test_ctrl_c_ends_the_wait_for_a_kernel_of_another_process(
    tmp_path: Path, first: First, small: dict[str, str]
) -> None:
    embedded = "import sys; sys.executable = '/usr/sbin/server'\n"
    cache = first.copy(tmp_path)
    (lock,) = cache.rglob("sha256.*.lock")
    for path in cache.rglob("*.nb?"):
        path.unlink()
    with lock.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        process = started(embedded + DRAW, cache, str(tmp_path), **small)
        assert process.stderr is not None
        assert process.stderr.readline() == "waiting for another process that compiles kernels\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err == "\ninterrupted; nothing was changed\n"


@pytest.mark.soak  # no library has optimised bytecode yet, so all of them are compiled
def test_optimised_bytecode_has_its_own_kernels_and_its_own_workers(
    tmp_path: Path, first: First, small: dict[str, str]
) -> None:
    cache = first.copy(tmp_path)
    process = subprocess.run(
        [sys.executable, "-O", "-c", KERNEL],
        env=os.environ | small | {"NUMBA_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stderr == LINE
    assert len(compiled_files(cache)) == len(list((cache / "sycee").iterdir())) == 2


def test_a_worker_that_fails_leaves_the_work_to_the_process(tmp_path: Path, small: dict[str, str]) -> None:
    fail = "from sycee.core import kernel_build\nkernel_build.START = 'raise SystemExit(\"no memory\")'\n"
    process = started(fail + KERNEL, tmp_path, **small)
    _, err = process.communicate()
    assert process.returncode == 0
    assert err.splitlines() == [
        LINE.strip(),
        "a process that compiles kernels failed: no memory",
        "compiling kernels in this process, for up to a minute",
    ]
    assert len(compiled_files(tmp_path)) == 1


def test_a_copy_of_the_sources_uses_the_kernels_of_the_first(tmp_path: Path) -> None:
    from sycee.ledger import kernels  # compiled by now

    folder = kernel_folder.folder()
    assert folder is not None
    assert kernels.apply is not None
    before = set(folder.glob("frames.*"))  # tests that run at the same time may compile other modules
    shutil.copytree(kernel_folder.PACKAGE, tmp_path / "sycee")
    script = "import sycee.ledger.kernels, sycee; print(sycee.__file__)"
    process = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout == f"{tmp_path}/sycee/__init__.py\n"
    assert process.stderr == ""
    assert set(folder.glob("frames.*")) == before


def test_apply_calls_the_part_that_another_worker_compiled() -> None:
    from sycee.ledger import kernels

    folder = kernel_folder.folder()
    assert folder is not None
    assert kernels.apply is not None
    # A second file would mean that a process compiled the part for other types.
    assert len(list(folder.glob("frames._apply_rare-*.nbc"))) == 1
