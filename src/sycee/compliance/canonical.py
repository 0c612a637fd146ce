"""Canonical form of values, of which digests are taken."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum
from functools import cache
from typing import Any, Final

from blake3 import blake3

# What affects no verdict: the line in a file, the flow that a question replaces, and how a network was read.
_LEFT_OUT: Final = ("place", "replaces", "notes", "signed_only")
_PLAIN: Final = (str, int, bool, type(None))


def digest(value: object) -> str:
    """Return the BLAKE3 digest of the canonical form, 64 hexadecimal digits."""
    return blake3(canonical(value)).hexdigest()


def canonical(value: object) -> bytes:
    """Return JSON in UTF-8 with sorted keys and without spaces."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@cache
def fields_of(kind: type) -> tuple[str, ...]:
    """Return the names of a data class's fields without those that affect no verdict; nothing for other types."""
    names = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
    return tuple(field.name for field in names if field.name not in _LEFT_OUT)


def plain(value: Any) -> Any:
    """Convert to types of JSON: data classes to objects, dates to ISO 8601, enumerations to their names."""
    kind: type = type(value)
    if kind in _PLAIN:
        return value
    if names := fields_of(kind):
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
