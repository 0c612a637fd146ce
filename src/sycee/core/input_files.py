"""Bounded reading of the files that a user names."""

from __future__ import annotations

import codecs
from pathlib import Path

from sycee.core.errors import SyceeError, UnavailableError, UsageError


def read_bytes(path: Path, bytes_max: int, what: str) -> bytes:
    """Return the content of the file at `path`; `what` names its role in errors, such as "programme file".

    Links and pipes are followed and read like files. At most `bytes_max` + 1 bytes are read, so a file without an end
    is refused like a large one. Raises UsageError where there is no such file or it is too large, UnavailableError
    where the user may not read it or the disk fails.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(bytes_max + 1)
    except (OSError, ValueError) as error:
        raise unreadable(f"the {what} {path}", error) from error
    if len(content) > bytes_max:
        raise UsageError(
            f"the {what} {path} is larger than {bytes_max:,} bytes, the most that is read",
            hint=f"check that this is the {what} you mean",
        )
    return content


def unreadable(file: str, error: OSError | ValueError) -> SyceeError:
    """Return the error to raise for a file that cannot be opened or read; `file` is its name in the message.

    A UsageError if there is no such file, an UnavailableError if the user may not read it or the disk fails.
    """
    if isinstance(error, PermissionError):
        return UnavailableError(
            f"{file} cannot be read: permission denied",
            hint="check the permissions of the file and of the folders above it, or run as a user who may read it",
        )
    if isinstance(error, IsADirectoryError):
        return UsageError(f"{file} cannot be read: it is a folder", hint="name a file inside the folder")
    if isinstance(error, (FileNotFoundError, NotADirectoryError, ValueError)):  # ValueError: a NUL in the path
        return UsageError(
            f"{file} cannot be read: there is no such file", hint="check the path, which is case-sensitive"
        )
    return UnavailableError(
        f"{file} cannot be read: {error.strerror or error}", hint="check the path and the disk it is on"
    )


def read_text(path: Path, bytes_max: int, what: str) -> str:
    """Return the text of a UTF-8 file without byte order mark. Raise like `read_bytes`; UsageError for other bytes."""
    content = read_bytes(path, bytes_max, what).removeprefix(codecs.BOM_UTF8)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"the {what} {path} is not UTF-8 text: line {line} has the byte 0x{content[error.start]:02x}",
            hint="save the file as UTF-8",
        ) from error
