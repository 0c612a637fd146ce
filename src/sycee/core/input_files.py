"""Bounded reading of the files that a user names."""

from __future__ import annotations

import codecs
from pathlib import Path

from sycee.core.errors import UnavailableError, UsageError


def read_bytes(path: Path, bytes_max: int, what: str) -> bytes:
    """Return the content of the file at `path`; `what` names its role in errors, such as "programme file".

    Links and pipes are followed and read like files. At most `bytes_max` + 1 bytes are read, so a file without an end
    is refused like a large one. Raises UsageError where there is no such file or it is too large, UnavailableError
    where the user may not read it or the disk fails.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(bytes_max + 1)
    except PermissionError as error:
        raise UnavailableError(
            f"the {what} {path} cannot be read: permission denied",
            hint="check the permissions of the file and of the folders above it, or run as a user who may read it",
        ) from error
    except IsADirectoryError as error:
        raise UsageError(
            f"the {what} {path} cannot be read: it is a folder", hint="name a file inside the folder"
        ) from error
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # ValueError: a NUL character in the path
        raise UsageError(
            f"the {what} {path} cannot be read: there is no such file", hint="check the path, which is case-sensitive"
        ) from error
    except OSError as error:
        raise UnavailableError(
            f"the {what} {path} cannot be read: {error.strerror or error}", hint="check the path and the disk it is on"
        ) from error
    if len(content) > bytes_max:
        raise UsageError(
            f"the {what} {path} is larger than {bytes_max:,} bytes, the most that is read",
            hint=f"check that this is the {what} you mean",
        )
    return content


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
