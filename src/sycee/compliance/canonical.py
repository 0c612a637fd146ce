"""Canonical form of values, of which digests are taken."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum
from typing import Any, Final

from blake3 import blake3

_LEFT_OUT: Final = ("place",)  # the line in a file does not affect any verdict
_PLAIN: Final = (str, int, bool, type(None))
_FIELDS: Final[dict[type, tuple[str, ...]]] = {}  # of data classes, because a network has a million values of a few


def digest(value: object) -> str:
    """Return the BLAKE3 digest of the canonical form, 64 hexadecimal digits."""
    return blake3(canonical(value)).hexdigest()


def canonical(value: object) -> bytes:
    """Return JSON in UTF-8 with sorted keys and without spaces."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def plain(value: Any) -> Any:
    """Convert to types of JSON: data classes to objects, dates to ISO 8601, enumerations to their names."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    names = _FIELDS.get(kind)
    if names is None and dataclasses.is_dataclass(kind):
        names = tuple(field.name for field in dataclasses.fields(kind) if field.name not in _LEFT_OUT)
        _FIELDS[kind] = names
    if names is not None:
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Enum):
        return value.name.lower().replace("_", "-")
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(plain(each) for each in value)
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    return value.isoformat() if isinstance(value, date | datetime) else value
