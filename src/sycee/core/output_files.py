"""Atomic writing of output files, and checks of the paths that a user names for them."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Final

from sycee.core.errors import UnavailableError, UsageError

_HINT: Final = "check the permissions of the folder and the free space, or name a file elsewhere"


def write_file(path: Path, content: bytes | memoryview, *, mode: int = 0o644) -> None:
    """Write `content` to `path`, and make it durable where `path` is a regular file or new. `mode`: of a new file.

    A regular file has its old content or all of the new one, also after a power cut; it keeps its permissions. A
    symbolic link stays, and the file it leads to is written. A pipe or a device is opened and written as it is, stdout
    and stderr after their earlier output. Raises UsageError where `path` is no place for a file (see
    `require_place`), UnavailableError where the disk or the reader of a pipe refuses.
    """
    require_place(path)
    try:
        status = _status(path)
        if status is not None and not _is_replaced(status):
            _write_in_place(path, content, status)
        else:
            _replace(Path(os.path.realpath(path)), content, stat.S_IMODE(status.st_mode) if status else mode)
    except OSError as error:
        raise UnavailableError(f"{path} cannot be written: {error.strerror or error}", hint=_HINT) from error


def require_place(path: Path) -> None:
    """Raise an error unless `write_file` can write to `path`, where that can be checked in advance.

    UsageError for a folder, and where the folder of the file does not exist; UnavailableError where this user may not
    write.
    """
    if not os.fspath(path).strip():
        raise UsageError("the path of an output file is empty", hint="name a file, such as out.csv")
    status, folder = _status(path), Path(os.path.realpath(path)).parent
    if status is not None and stat.S_ISDIR(status.st_mode):
        raise UsageError(f"{path} is a folder", hint=f"name a file in it, such as {path / 'out.csv'}")
    if status is None and not folder.is_dir():
        raise UsageError(
            f"{path} cannot be written: its folder does not exist",
            hint=f"make the folder first: mkdir -p {path.parent}",
        )
    if status is not None and _standard_stream(status) is not None:
        return  # it is open already, regardless of its permissions
    written = folder if _is_replaced(status) else path
    if not os.access(written, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise UnavailableError(f"{path} cannot be written: this user may not write to {written}", hint=_HINT)


def require_distinct(outputs: Mapping[str, Path | None], inputs: Iterable[Path] = ()) -> None:
    """Raise UsageError where two outputs, each named by its option, are one file, or an output is one of the inputs.

    Links and different spellings of a path are seen through. Devices such as /dev/null may be named twice.
    """
    named = [(option, path) for option, path in outputs.items() if path is not None]
    for (option, path), (other_option, other) in combinations(named, 2):
        if is_same_file(path, other):
            raise UsageError(f"{option} and {other_option} name the same file, {path}", hint="name two different files")
    for option, path in named:
        for read in inputs:
            if is_same_file(path, read):
                raise UsageError(f"{option} {path} would overwrite an input file, {read}", hint="name another file")


def require_outputs(
    outputs: Mapping[str, Path | None], *, outside: Path | None = None, inputs: Iterable[Path] = ()
) -> None:
    """Raise an error unless each output, named by its option, can be written to a file of its own.

    Call it before the work whose results are written: a voucher stays activated when its row cannot be written.
    `outside`: the ledger's folder. Raises like `require_distinct`, `require_place` and `refuse_inside`.
    """
    require_distinct(outputs, inputs)
    for option, path in outputs.items():
        if path is not None:
            require_place(path)
            if outside is not None:
                refuse_inside(path, outside, option)


def require_new(path: Path) -> None:
    """Raise UsageError where there is a file at `path`, and errors like `require_place`."""
    require_place(path)
    if path.exists():
        raise UsageError(f"{path} exists already", hint="choose another name: you may need the older file")


def refuse_inside(path: Path, folder: Path, option: str) -> None:
    """Raise UsageError where `path`, given for `option`, is inside the ledger's folder or is that folder."""
    if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise UsageError(
            f"{option} {path} is inside the ledger's folder, {folder}, where only Sycee writes",
            hint="name a place outside that folder",
        )


def is_same_file(one: Path, other: Path) -> bool:
    """Return whether two paths lead to one file, existing or not. Character devices, such as /dev/null, never are."""
    first, second = _status(one), _status(other)
    if first is None or second is None:
        return os.path.realpath(one) == os.path.realpath(other)
    return os.path.samestat(first, second) and not stat.S_ISCHR(first.st_mode)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _status(path: Path) -> os.stat_result | None:
    """Return the status of the file that a path leads to, None where there is none."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UnavailableError(
            f"{path} cannot be reached: {error.strerror or error}", hint="check the permissions of the folders above it"
        ) from error


def _standard_stream(status: os.stat_result) -> int | None:
    """Return the descriptor of this process's stdout or stderr if it is this file, else None."""
    for descriptor in (1, 2):
        try:
            if os.path.samestat(os.fstat(descriptor), status):
                return descriptor
        except OSError:  # closed
            continue
    return None


def _is_replaced(status: os.stat_result | None) -> bool:
    """Return whether a file with this status, or a new one, is written under another name and renamed."""
    return status is None or (stat.S_ISREG(status.st_mode) and _standard_stream(status) is None)


def _replace(target: Path, content: bytes | memoryview, mode: int) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def _write_in_place(path: Path, content: bytes | memoryview, status: os.stat_result) -> None:
    stream = _standard_stream(status)
    if stream is not None:
        for each in (sys.stdout, sys.stderr):
            if each is not None:
                each.flush()
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY) if stream is None else os.dup(stream)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
