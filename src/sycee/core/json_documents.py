"""Reading of JSON documents from outside, with limits and errors that name the file and the line."""

from __future__ import annotations

import codecs
import json
import math
from pathlib import Path
from typing import Any, Final, NoReturn

from sycee.core.errors import UsageError
from sycee.core.input_files import read_bytes
from sycee.core.limits import I64_MAX
from sycee.core.nesting import DEPTH_MAX, TOO_DEEP_HINT, is_too_deep, line_of_excess

BYTES_MAX: Final = 64 << 20


def read(path: Path, what: str, bytes_max: int = BYTES_MAX) -> Any:
    """Return the value in the JSON file at `path`; `what` names the file's role in errors.

    Raises UsageError as `parse` does, and the errors of `input_files.read_bytes`.
    """
    return parse(read_bytes(path, bytes_max, what), str(path))


def parse(content: bytes | str, file: str) -> Any:
    """Return the value in a JSON text (RFC 8259), with or without byte order mark; `file` is the name for errors.

    Raises UsageError unless the content is UTF-8 and one JSON value with unique keys in each object, with at most
    DEPTH_MAX levels of arrays and objects. Every text can be encoded and stored: it has no lone surrogate and no NUL,
    which PostgreSQL refuses. Every number is finite, and every integer has at most 64 bits.
    """
    raw = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        text = raw.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        if is_too_deep(value):
            raise _too_deep(file, raw)
        _require_storable(value)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{file}:{line}: byte 0x{raw[error.start]:02x} is not UTF-8", hint="encode it as UTF-8"
        ) from error
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{file}:{error.lineno}: not JSON: {error.msg}, at column {error.colno}",
            hint="correct it: JSON is expected here",
        ) from error
    except ValueError as error:  # from the functions below, or a number of more digits than Python reads
        raise UsageError(f"{file}: not JSON that can be read: {error}", hint="correct it") from error
    except RecursionError as error:
        raise _too_deep(file, raw) from error
    return value


def is_storable(text: str) -> bool:
    """Return whether a text can be encoded as UTF-8 and stored in every database: no lone surrogate, no NUL."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _require_storable(value: Any) -> None:
    """Raise ValueError for a text or number within `value` that cannot be stored. Uses no recursion."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            waiting += each
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
        elif isinstance(each, str):
            if not is_storable(each):
                raise ValueError("a text has a NUL or a lone surrogate")
        elif isinstance(each, float):
            if not math.isfinite(each):
                raise ValueError("a number is too large")
        elif each is not None and not -I64_MAX - 1 <= each <= I64_MAX:
            raise ValueError("an integer has more than 64 bits")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {repeated!a} is twice in one object")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _too_deep(file: str, raw: bytes) -> UsageError:
    line = line_of_excess(raw)
    return UsageError(f"{file}:{line}: more than {DEPTH_MAX} levels of arrays and objects", hint=TOO_DEEP_HINT)
