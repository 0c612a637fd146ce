"""Where compiled kernels are cached, and how the first start compiles them."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sycee.core import kernel_build, kernel_folder

NOBODY = "import pwd; pwd.getpwuid = lambda _: {}[0]; "  # as in a container whose user has no line in /etc/passwd
IN_NO_FOLDER = "/proc/nonexistent"  # not even root can create a folder here


def environment_without_folders(temporary: Path, **environment: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR")}
    return {**kept, "TMPDIR": str(temporary), **environment}


def prepared(temporary: Path, script: str = "", **environment: str) -> Path:
    """Return the folder that a new process chooses."""
    look = "from sycee.core import kernel_folder as k; print(k.folder()); print(k.folder().stat().st_mode & 0o777)"
    done = subprocess.run(
        [sys.executable, "-c", f"{script}{look}"],
        env=environment_without_folders(temporary, **environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    folder, mode = done.stdout.split()
    assert int(mode) == 0o700
    return Path(folder)


@pytest.mark.parametrize(("script", "environment"), [(NOBODY, {}), ("", {"HOME": IN_NO_FOLDER})])
def test_without_a_home_one_private_folder_is_used_again(
    tmp_path: Path, script: str, environment: dict[str, str]
) -> None:
    first = prepared(tmp_path, script, **environment)
    assert first.parent == tmp_path / f"sycee-kernels-{os.getuid()}"
    assert first.parent.stat().st_mode & 0o777 == 0o700
    assert prepared(tmp_path, script, **environment) == first


def test_a_folder_that_others_may_write_to_is_not_used(tmp_path: Path) -> None:
    own = tmp_path / f"sycee-kernels-{os.getuid()}"
    own.mkdir()
    own.chmod(0o777)
    chosen = prepared(tmp_path, HOME=IN_NO_FOLDER)
    assert chosen.parent == tmp_path
    assert chosen != own
    assert not chosen.exists()  # a folder for one process is removed with it


def test_a_link_to_a_folder_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / f"sycee-kernels-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    prepared(tmp_path, HOME=IN_NO_FOLDER)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_cache_folder_of_the_user_is_preferred(tmp_path: Path) -> None:
    folder = prepared(tmp_path, HOME=IN_NO_FOLDER, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert folder.parent == tmp_path / "cache" / "sycee" / "kernels"
    assert folder.name == kernel_folder.sources_digest()


def test_every_source_of_a_kernel_is_in_the_key() -> None:
    package = kernel_folder.PACKAGE
    sources = kernel_folder.kernel_sources()
    for source in package.rglob("*.py"):
        text = source.read_text(encoding="utf-8")
        if "njit(" in text or "@njit" in text or "jit.entry(" in text:
            assert source in sources, f"{source.name} holds a kernel"
    for source in sources:
        for module in imported(source):
            place = package.parent / module.replace(".", "/")
            # These choose the folder and the process that compiles; no kernel uses them.
            if place.with_suffix(".py").exists() and place.name not in ("kernel_build", "kernel_folder"):
                assert place.with_suffix(".py") in sources, f"{module} feeds {source.name}"


def test_functions_that_only_kernels_call_have_no_wrappers() -> None:
    kernels = kernel_folder.PACKAGE / "ledger" / "kernels"
    for source in kernels.glob("*.py"):
        text = source.read_text(encoding="utf-8")
        assert "@numba.njit" not in text, f"{source.name}: sycee.ledger.kernels.inline.njit compiles in half the time"
        assert "cache=True" not in text, f"{source.name}: sycee.core.jit.entry has the cache that is shared"
        assert not re.search(r"from numba import .*\bnjit\b", text), f"{source.name}: likewise"


def test_the_bar_counts_every_function_that_is_compiled() -> None:
    for name in ("frames", "queries", "lookup"):
        text = (kernel_folder.PACKAGE / "ledger" / "kernels" / f"{name}.py").read_text(encoding="utf-8")
        wrapped = len(re.findall(r"^\w+ = (?:jit\.|_)entry\(", text, re.MULTILINE))
        decorated = len(re.findall(r"^@(?!intrinsic)", text, re.MULTILINE))
        assert len(kernel_build.COMPILED_FUNCTION.findall(text)) == wrapped + decorated, name


def test_equal_sources_elsewhere_share_the_folder(tmp_path: Path) -> None:
    shutil.copytree(kernel_folder.PACKAGE, tmp_path / "sycee")
    assert prepared(tmp_path, PYTHONPATH=str(tmp_path), HOME=str(tmp_path)).name == kernel_folder.sources_digest()


def test_folders_of_other_versions_are_deleted_after_30_days_without_use(tmp_path: Path) -> None:
    current, old, recent = (tmp_path / (digit * 32) for digit in "abc")
    others = [tmp_path / "own files of the user", tmp_path / ("e" * 40)]
    for path in (current, old, recent, *others):
        path.mkdir()
        (path / "frames._apply-1.py311.1.nbc").touch()
        days = 29 if path == recent else 31
        os.utime(path, ns=(0, time.time_ns() - days * 86_400 * 10**9))
    (tmp_path / ("f" * 32)).symlink_to(others[0])
    kernel_folder.remove_unused(current)
    assert not old.exists()
    assert current.exists()
    assert recent.exists()
    assert all((path / "frames._apply-1.py311.1.nbc").exists() for path in others)


def test_nothing_is_deleted_next_to_a_folder_of_this_process_alone(tmp_path: Path) -> None:
    old = tmp_path / ("a" * 32)
    old.mkdir()
    os.utime(old, ns=(0, 0))
    kernel_folder.remove_unused(tmp_path / "sycee-kernels-x7")
    assert old.exists()


def test_each_start_notes_that_the_folder_is_used(tmp_path: Path) -> None:
    folder = prepared(tmp_path, HOME=IN_NO_FOLDER, XDG_CACHE_HOME=str(tmp_path / "cache"))
    os.utime(folder, ns=(0, 0))
    assert prepared(tmp_path, HOME=IN_NO_FOLDER, XDG_CACHE_HOME=str(tmp_path / "cache")) == folder
    assert time.time_ns() - folder.stat().st_mtime_ns < 3600 * 10**9


def imported(source: Path) -> list[str]:
    """Return the dotted name of every module of Sycee, or name in one, that a file imports."""
    found = []
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sycee"):
            found += [str(node.module), *(f"{node.module}.{name.name}" for name in node.names)]
    return found
