"""The cache of compiled kernels: one private folder per version of their sources, of Python, numba and the processor.

numba's own cache misses an edit in another file, and is keyed by the path of the source. Here the folder's name is a
digest of every source that contains or feeds a kernel, so checkouts with equal sources share one folder. It holds
pickles, so it must belong to the user, and no other user may write to it. Folders that no process has used for
UNUSED_DAYS_MAX days are deleted when kernels are compiled.
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Final

import numba
from numba.core.registry import cpu_target

from sycee.core.clock import RealClock

CACHE_VARIABLE = "NUMBA_CACHE_DIR"
UNUSED_DAYS_MAX: Final = 30  # a folder has 14 to 20 MB
PACKAGE: Final = Path(__file__).resolve().parent.parent
# Sources that contain kernels, or feed constants and record types to them. A test checks that none is missing.
KERNEL_SOURCES: Final = (
    "compliance/routing/route_kernel.py",
    "core/arrays.py",
    "core/jit.py",
    "core/limits.py",
    "core/records/layout.py",
    "core/records/operation_table.py",
    "core/result_codes.py",
    "core/sha256.py",
    "days/kernels.py",
    "ledger/kernels",
    "netting/ejection_kernel.py",
    "netting/kernels.py",
    "sandbox/behaviour/kernel.py",
    "sandbox/behaviour/layout.py",
    "sandbox/engine/columns.py",
    "sandbox/engine/kernel.py",
)

_NAME: Final = re.compile("[0-9a-f]{32}")

of_parent: Path | None = None  # in a worker: the folder of the process that started it


@cache
def folder() -> Path | None:
    """Return the folder for this version's kernels, created if necessary; None where none can be written.

    The base is NUMBA_CACHE_DIR, else the user's cache folder, else the folder for temporary files. Where others may
    write to both of the latter, a new temporary folder serves this process alone.
    """
    if of_parent is not None:
        return of_parent
    key = sources_digest()
    if base := os.environ.get(CACHE_VARIABLE):
        found = _created(Path(base) / "sycee" / key)
        if found is None:
            print_once(f"{CACHE_VARIABLE} names {base}, which cannot be written, so each start compiles the kernels")
    else:
        found = _in_cache_of_user(key) or _in_temporary_folder(key)
        if found is None:
            print_once(f"no folder can store kernels, so each start compiles them; {CACHE_VARIABLE} can name one")
            return _for_this_process()
    if found is not None:
        with suppress(OSError):
            os.utime(found)  # the time of the last use, for `remove_unused`
    return found


def kernel_sources() -> list[Path]:
    """Return every file whose edit invalidates compiled kernels."""
    files: list[Path] = []
    for name in KERNEL_SOURCES:
        path = PACKAGE / name
        files += sorted(path.glob("*.py")) if path.is_dir() else [path]
    return files


def sources_digest() -> str:
    """Return 32 hexadecimal digits for the sources, Python, numba, the processor and the compiler's settings."""
    versions = (sys.version, numba.__version__, cpu_target.target_context.codegen().magic_tuple())
    settings = (numba.config.BOUNDSCHECK, int(numba.config.OPT), sys.flags.optimize)
    digest = hashlib.sha256(repr((versions, settings)).encode())
    for source in kernel_sources():
        digest.update(source.read_bytes())
    return digest.hexdigest()[:32]


def remove_unused(current: Path) -> None:
    """Delete the folders of other versions next to `current` that were not used for UNUSED_DAYS_MAX days."""
    if not _NAME.fullmatch(current.name):  # a folder for this process alone, next to other users' files
        return
    oldest_ns = RealClock().now_ns() - UNUSED_DAYS_MAX * 86_400 * 10**9
    with suppress(OSError):
        for path in current.parent.iterdir():
            is_version = _NAME.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
            if is_version and path != current and path.stat().st_mtime_ns < oldest_ns:
                shutil.rmtree(path, ignore_errors=True)


@contextmanager
def locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a lock that only one process can have; call `waiting` once if another process has it now."""
    file = lock(path, waiting)
    try:
        yield
    finally:
        file.close()


def lock(path: Path, waiting: Callable[[], None]) -> IO[bytes]:
    """Return an open file with the lock on it, as `locked`. Closing the file or ending the process releases it."""
    file = path.open("ab")
    with suppress(OSError):  # a file system without locks: two processes may compile the same kernel, which is harmless
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
    return file


def print_waiting() -> None:
    """Write to stderr that another process compiles."""
    print_once("waiting for another process that compiles kernels")


@cache
def print_once(line: str) -> None:
    """Write one line to stderr, if the process has one, at the first call. Never to stdout, which is data."""
    if sys.stderr is not None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def _in_cache_of_user(key: str) -> Path | None:
    try:
        base = os.environ.get("XDG_CACHE_HOME") or (Path.home() / ".cache")
    except RuntimeError:  # no HOME, and no line for this user in the table of users
        return None
    created = _created(Path(base) / "sycee" / "kernels" / key)
    return created if created and _is_private(created) else None


def _in_temporary_folder(key: str) -> Path | None:
    """Return one folder per user, the same at the next start. Its owner is checked: anyone can create it."""
    try:
        own = _created(Path(tempfile.gettempdir()) / f"sycee-kernels-{os.getuid()}")
    except OSError:  # there is no folder for temporary files
        return None
    if own is None or not _is_private(own):
        return None
    created = _created(own / key)
    return created if created and _is_private(created) else None


def _for_this_process() -> Path | None:
    """Return a folder that is removed when the process ends: workers pass their code on through it."""
    try:
        created = Path(tempfile.mkdtemp(prefix="sycee-kernels-"))
    except OSError:
        return None
    atexit.register(shutil.rmtree, created, ignore_errors=True)
    return created


def _created(path: Path) -> Path | None:
    """Return the folder, created if necessary; None where it cannot be written."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return None
    return path if os.access(path, os.W_OK | os.X_OK) else None


def _is_private(path: Path) -> bool:
    """Return whether this is a folder of this user, not a link, and no other user may write to it."""
    status = path.lstat()
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    return is_ours and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
