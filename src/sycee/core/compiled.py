"""Where compiled kernels are cached. Import this before numba.

numba's cache on disk does not see an edit in another file, so its folder is keyed by the digest of every source
that holds or feeds a kernel. It is pickle, so the folder must belong to us and be writable by nobody else.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
from pathlib import Path

CACHE_VARIABLE = "NUMBA_CACHE_DIR"
# What is compiled, and what feeds constants and record types to it: a test sees that nothing is missing.
KERNEL_SOURCES = (
    "compliance/routing/route_kernel.py",
    "core/codes.py",
    "core/compiled.py",
    "core/limits.py",
    "ledger/kernels",
    "ledger/layout.py",
    "ledger/operation_table.py",
    "programmes/sha256.py",
)


def prepare() -> Path:
    """Point numba at a private cache folder and return it. Leaves an explicit NUMBA_CACHE_DIR alone."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen)
    key = _sources_digest()
    # Only where both are denied us are kernels compiled at each start.
    folder = _in_cache_of_user(key) or _in_temporary_folder(key) or Path(tempfile.mkdtemp(prefix="sycee-kernels-"))
    os.environ[CACHE_VARIABLE] = str(folder)
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = str(folder)
    return folder


def announce() -> None:
    """Say on a terminal that kernels will be compiled, when they are not in the cache: it takes a minute, silently."""
    folder = Path(os.environ[CACHE_VARIABLE])
    is_interpreted = os.environ.get("NUMBA_DISABLE_JIT", "0") != "0"
    if sys.stderr is not None and sys.stderr.isatty() and not is_interpreted and not any(folder.rglob("frames.*.nbi")):
        sys.stderr.write("compiling the ledger's kernels, once for this version on this machine: about a minute\n")


def _in_cache_of_user(key: str) -> Path | None:
    try:
        base = os.environ.get("XDG_CACHE_HOME") or (Path.home() / ".cache")
        folder = Path(base) / "sycee" / "kernels" / key
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder if _is_private(folder) else None
    except (OSError, RuntimeError):  # RuntimeError: no HOME, and no line for us in the table of users
        return None


def _in_temporary_folder(key: str) -> Path | None:
    """One folder for each user, the same at the next start. Anybody may have made it before us: it is looked at."""
    try:
        own = Path(tempfile.gettempdir()) / f"sycee-kernels-{os.getuid()}"
        own.mkdir(exist_ok=True, mode=0o700)
        if not _is_private(own):
            return None
        folder = own / key
        folder.mkdir(exist_ok=True, mode=0o700)
        return folder if _is_private(folder) else None
    except OSError:
        return None


def _is_private(folder: Path) -> bool:
    """Whether it is a folder of ours, no link to one, that we may write to and nobody else."""
    status = folder.lstat()
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    is_closed = not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return is_ours and is_closed and os.access(folder, os.W_OK | os.X_OK)


def kernel_sources(package: Path) -> list[Path]:
    """Every file whose edit makes compiled kernels stale."""
    files: list[Path] = []
    for name in KERNEL_SOURCES:
        place = package / name
        files += sorted(place.glob("*.py")) if place.is_dir() else [place]
    return files


def _sources_digest() -> str:
    package = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256(sys.version.encode())
    for source in kernel_sources(package):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:32]


prepare()
