"""A copy of the package whose kernel of SHA-256 is a small one: how kernels are compiled does not depend on it."""

from __future__ import annotations

import shutil
from pathlib import Path

from sycee.core.kernel_folder import PACKAGE

SOURCE = '''"""A kernel that compiles in a fraction of a second."""

from collections.abc import Callable
from typing import Any, TypeAlias

from numba import int64

from sycee.core import jit, kernel_build

DIGEST_BYTES = 32
Progress: TypeAlias = Callable[[int, int], None]
kernel_build.ensure(__name__)
_kernel: Any = jit.entry(int64(int64))


@_kernel
def _compress(number: int) -> int:
    return number + 1
'''


def replace(package: Path) -> None:
    """Replace the kernel of SHA-256 in a copy of the package."""
    (package / "core" / "sha256.py").write_text(SOURCE, encoding="utf-8")


def copy(folder: Path) -> Path:
    """Copy the package into a folder, with the small kernel; return the folder, for PYTHONPATH."""
    shutil.copytree(PACKAGE, folder / "sycee", ignore=shutil.ignore_patterns("__pycache__"))
    replace(folder / "sycee")
    return folder
