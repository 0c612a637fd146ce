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
KERNEL_ROOMS = ("core", "ledger", "programmes")


def prepare() -> Path:
    """Point numba at a private cache folder and return it. Leaves an explicit NUMBA_CACHE_DIR alone."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or (Path.home() / ".cache")
    folder = Path(base) / "sycee" / "kernels" / _sources_digest()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not _is_private(folder):
            folder = Path(tempfile.mkdtemp(prefix="sycee-kernels-"))
    except OSError:
        # A home that cannot be written costs a compilation at each start, not the start itself.
        folder = Path(tempfile.mkdtemp(prefix="sycee-kernels-"))
    os.environ[CACHE_VARIABLE] = str(folder)
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = str(folder)
    return folder


def _is_private(folder: Path) -> bool:
    status = folder.stat()
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _sources_digest() -> str:
    package = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256(sys.version.encode())
    for room in KERNEL_ROOMS:
        for source in sorted((package / room).rglob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()[:32]


prepare()
