"""Where compiled kernels are cached: one private folder per version of their sources, of numba and of the processor.

numba's own cache does not notice an edit in another file and is keyed by the path of the source. The folder is keyed by
the digest of every source that holds or feeds a kernel instead, so two checkouts with equal sources share one. It holds
pickles, so it must belong to the user and be writable by nobody else.
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import os
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

CACHE_VARIABLE = "NUMBA_CACHE_DIR"
PACKAGE: Final = Path(__file__).resolve().parent.parent
# What is compiled, and what feeds constants and record types to it: a test checks that nothing is missing.
KERNEL_SOURCES: Final = (
    "compliance/routing/route_kernel.py",
    "core/result_codes.py",
    "core/jit.py",
    "core/limits.py",
    "ledger/kernels",
    "ledger/layout.py",
    "ledger/operation_table.py",
    "programmes/sha256.py",
)

handed_over: Path | None = None  # to a worker, by the process that started it


@cache
def folder() -> Path | None:
    """Return the folder for this version's kernels, made if need be; None where no folder can be written.

    NUMBA_CACHE_DIR names the place; otherwise the user's cache folder does, then the folder for temporary files. If
    anybody else may write to both, a new temporary folder serves this process alone.
    """
    if handed_over is not None:
        return handed_over
    key = sources_digest()
    if chosen := os.environ.get(CACHE_VARIABLE):
        return _made(Path(chosen) / "sycee" / key)
    kept = _in_cache_of_user(key) or _in_temporary_folder(key)
    if kept is None:
        say_once(f"no folder can keep compiled kernels, so each start compiles them; {CACHE_VARIABLE} can name one")
    return kept or _for_this_process()


def kernel_sources() -> list[Path]:
    """Every file whose edit makes compiled kernels stale."""
    files: list[Path] = []
    for name in KERNEL_SOURCES:
        place = PACKAGE / name
        files += sorted(place.glob("*.py")) if place.is_dir() else [place]
    return files


def sources_digest() -> str:
    """Return 32 hexadecimal digits: sources, Python, numba, processor and what else decides about the code."""
    versions = (sys.version, numba.__version__, cpu_target.target_context.codegen().magic_tuple())
    settings = (numba.config.BOUNDSCHECK, int(numba.config.OPT))
    digest = hashlib.sha256(repr((versions, settings)).encode())
    for source in kernel_sources():
        digest.update(source.read_bytes())
    return digest.hexdigest()[:32]


@contextmanager
def locked(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a lock that one process has at a time; call `waiting` once before waiting for another process' end."""
    file = lock(path, waiting)
    try:
        yield
    finally:
        file.close()


def lock(path: Path, waiting: Callable[[], None] = lambda: None) -> IO[bytes]:
    """Return an open file with the lock on it. Closing the file, or the end of the process, frees the lock."""
    file = path.open("ab")
    with suppress(OSError):  # a file system without locks: two processes may compile the same kernel, which is harmless
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
    return file


def _in_cache_of_user(key: str) -> Path | None:
    try:
        base = os.environ.get("XDG_CACHE_HOME") or (Path.home() / ".cache")
    except RuntimeError:  # no HOME, and no line for this user in the table of users
        return None
    made = _made(Path(base) / "sycee" / "kernels" / key)
    return made if made and _is_private(made) else None


def _in_temporary_folder(key: str) -> Path | None:
    """One folder for each user, the same at the next start. Anybody may have made it, so its owner is checked."""
    try:
        own = _made(Path(tempfile.gettempdir()) / f"sycee-kernels-{os.getuid()}")
    except OSError:  # there is no folder for temporary files
        return None
    if own is None or not _is_private(own):
        return None
    made = _made(own / key)
    return made if made and _is_private(made) else None


def _for_this_process() -> Path | None:
    """A folder that is removed when the process ends: workers hand their code over through it."""
    try:
        made = Path(tempfile.mkdtemp(prefix="sycee-kernels-"))
    except OSError:
        return None
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def _made(path: Path) -> Path | None:
    """The folder, made if need be; None where it cannot be written to."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return None
    return path if os.access(path, os.W_OK | os.X_OK) else None


def _is_private(path: Path) -> bool:
    """Whether it is a folder of this user, no link to one, and nobody else may write to it."""
    status = path.lstat()
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    return is_ours and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


@cache
def say_once(line: str) -> None:
    """Write one line to stderr, if the process has one, at the first call. Never to stdout, which is data."""
    if sys.stderr is not None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
