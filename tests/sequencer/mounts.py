"""File systems that tests mount: small ones that fill up, thin volumes, and read-only ones."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def _run(*command: str) -> None:
    """Run a system command. Skip the test with a reason if this machine does not allow it."""
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        message = getattr(error, "stderr", "") or str(error)
        pytest.skip(f"{' '.join(command)}: {message.strip()}: a file system cannot be mounted here")


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """Mount a file system on `folder`, created if absent, until the end of the block; `options` go to mount(8)."""
    if not sys.platform.startswith("linux"):
        pytest.skip("mount(8) with these options is Linux's")
    folder.mkdir(exist_ok=True)
    _run("mount", *options, str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False, capture_output=True)


@contextmanager
def read_only(folder: Path, shown: Path) -> Iterator[Path]:
    """Mount a folder read-only at another path."""
    with mounted(shown, "--bind", str(folder)):
        _run("mount", "-o", "remount,ro,bind", str(shown))
        yield shown


def resize(folder: Path, mebibytes: int) -> None:
    """Change the size of a tmpfs."""
    _run("mount", "-o", f"remount,size={mebibytes}m", str(folder))


@contextmanager
def overcommitted(folder: Path, *, size_mebibytes: int, real_mebibytes: int) -> Iterator[tuple[Path, Path]]:
    """Mount an ext4 on a disk that is smaller than it claims, like a thin volume; return also the path of its bytes."""
    with mounted(folder / "bytes", "-t", "tmpfs", "-o", f"size={real_mebibytes}m", "tmpfs") as real:
        image = real / "disk"
        with image.open("wb") as file:
            file.truncate(size_mebibytes << 20)
        _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,nodiscard", str(image))
        with mounted(folder / "disk", "-o", "loop,errors=remount-ro", str(image)) as disk:
            yield disk, real
