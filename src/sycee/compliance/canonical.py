"""One form for one content: what digests are taken of."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum
from typing import Any, Final

from blake3 import blake3

# Where a thing stands in a file, and what people call it, change nothing that is judged.
_LEFT_OUT: Final = ("place",)
_PLAIN: Final = (str, int, bool, type(None))
_FIELDS: Final[dict[type, tuple[str, ...]]] = {}  # of data classes: a network has a million values of a few of them


def digest(value: object) -> str:
    """BLAKE3 of the canonical form of a value made of data classes, mappings, lists, texts, numbers and dates."""
    return blake3(canonical(value)).hexdigest()


def canonical(value: object) -> bytes:
    """JSON with sorted keys and no spaces, in UTF-8."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def plain(value: Any) -> Any:
    """The same in what JSON has: data classes as objects, dates as ISO 8601, enumerations by their names."""
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
