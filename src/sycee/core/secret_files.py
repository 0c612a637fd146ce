"""Files that only their owner can read or write, and secret keys of 32 bytes in such files.

A secret file is created with mode 0600, so no other user can open it in between. `require_own` is the one check of
owners and modes: of secrets, which no other user may read, and of settings, which no other user may write.
"""

from __future__ import annotations

import os
import pwd
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sycee.core.errors import UnavailableError, UsageError
from sycee.core.output_files import require_place, sync_folder

SECRET_BYTES: Final = 32

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_FILE_BYTES_MAX: Final = 64 << 10
_PREFIX: Final = "sycee-key-v1:"
_TEXT: Final = re.compile(rf"{_PREFIX}[0-9a-f]{{{2 * SECRET_BYTES}}}")


def read_secret(path: str | Path, *, what: str = "key file", hint: str, bytes_max: int = _FILE_BYTES_MAX) -> bytes:
    """Return the first `bytes_max` bytes of a file that only its owner can use. `what` and `hint` complete the errors.

    Raises UsageError if there is no such regular file or other users have permissions for it; UnavailableError if this
    user may not read it.
    """
    path = Path(path)
    try:
        # Without O_NONBLOCK, opening a pipe would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            # Of the open file, not of its name: the name may refer to another file by now.
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise UsageError(f"the {what} {path} is not a regular file", hint=hint)
            require_own(path, what=what, is_secret=True, status=status)
            return os.read(descriptor, bytes_max)
        finally:
            os.close(descriptor)
    except PermissionError as error:
        raise UnavailableError(
            f"the {what} {path} cannot be read: permission denied", hint="run as the owner of the file"
        ) from error
    except OSError as error:
        raise UsageError(f"the {what} {path} cannot be read: {error.strerror}", hint=hint) from error


def require_own(path: Path, *, what: str, is_secret: bool, status: os.stat_result | None = None) -> None:
    """Raise UsageError if another user than root can write the file at `path`, or can read it if it is a secret.

    Who can write to the folder of a file can replace the file, unless the folder is sticky. A missing file is left to
    the caller. `what` names the file's role in the error; `status`: of the file, if it is open.
    """
    try:
        status = status or path.stat()
        folders = {each: each.stat() for each in (path.absolute().parent, Path(os.path.realpath(path)).parent)}
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise UnavailableError(
            f"the {what} {path} cannot be reached: {error.strerror}", hint="check the permissions of its folder"
        ) from error
    secret = "; make a new one if others may have read it" if is_secret else ""
    for place, found in {path: status, **folders}.items():
        named = f"the {what} {path}" if found is status else f"the folder {place} of the {what} {path.name}"
        if found.st_uid not in (0, os.geteuid()):
            raise UsageError(
                f"{named} belongs to another user, {_user(found.st_uid)}",
                hint=f"run as that user, or: chown {_user(os.geteuid())} {place}{secret}",
            )
        mode = stat.S_IMODE(found.st_mode)
        if found is status and is_secret and mode & _OTHERS:
            raise UsageError(f"{named} is accessible to other users (mode {mode:o})", hint=f"chmod 600 {path}{secret}")
        if mode & _OTHERS_WRITE and not (found is not status and mode & stat.S_ISVTX):
            raise UsageError(f"{named} can be changed by other users (mode {mode:o})", hint=f"chmod go-w {place}")


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def write_secret(path: str | Path, content: bytes, *, what: str = "key file") -> None:
    """Write a new file durably that only its owner can read (mode 0600).

    Raises UsageError if the file exists or its folder does not, UnavailableError if the disk refuses.
    """
    path = Path(path)
    require_place(path)
    try:
        # Created with its mode: before a later chmod, others could open it.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise UsageError(
            f"{path} already exists", hint="choose another name: an overwritten key would be lost"
        ) from error
    except OSError as error:
        raise _not_written(path, what, error) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        sync_folder(path.parent)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise _not_written(path, what, error) from error


@dataclass(frozen=True, slots=True, repr=False)
class SecretKey:
    """A symmetric key of 32 bytes. Its text form is "sycee-key-v1:" and 64 hexadecimal digits."""

    secret: bytes

    def __post_init__(self) -> None:
        if len(self.secret) != SECRET_BYTES:
            raise UsageError(f"a secret key has {SECRET_BYTES} bytes, not {len(self.secret)}")

    def __repr__(self) -> str:
        return "SecretKey(...)"

    @classmethod
    def generate(cls) -> SecretKey:
        """Return a new key from the machine's entropy."""
        return cls(os.urandom(SECRET_BYTES))

    @classmethod
    def load(cls, path: str | Path) -> SecretKey:
        """Return the key in a file. Errors as `read_secret`; UsageError for other content, which is not repeated."""
        hint = f'the file has one line: "{_PREFIX}" and {2 * SECRET_BYTES} hexadecimal digits'
        text = read_secret(path, hint=hint).decode("ascii", "replace").strip()
        if not _TEXT.fullmatch(text):
            raise UsageError(f"the key file {path} contains no secret key", hint=hint)
        return cls(bytes.fromhex(text.removeprefix(_PREFIX)))

    def save(self, path: str | Path) -> None:
        """Write the key to a new file. Errors as `write_secret`."""
        write_secret(path, f"{_PREFIX}{self.secret.hex()}\n".encode())


def _not_written(path: Path, what: str, error: OSError) -> UnavailableError:
    return UnavailableError(
        f"the {what} {path} cannot be written: {error.strerror}",
        hint="check the permissions of the folder and the free space, or name a file elsewhere",
    )
