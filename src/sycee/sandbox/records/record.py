"""The record of a result: what it follows from, as digests, and a digest of the record itself.

A record is one JSON object. Beside the keys of its kind, it has `code`, `inputs`, `arguments` and `record`;
docs/reference/sandbox-records.md is exact.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from blake3 import blake3

RECORD: Final = "record"
_ABSENT: Final = "absent"


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that differs between two records: `key` is its path, such as `designs[2].recipients`."""

    key: str
    recorded: Any
    again: Any


def finished(
    found: Mapping[str, Any], arguments: Mapping[str, Any], inputs: Sequence[Mapping[str, str]]
) -> dict[str, Any]:
    """Return the record of a result: its keys as JSON has them, arguments, inputs and the digest of all of them."""
    made: dict[str, Any] = json.loads(json.dumps({**found, "arguments": arguments, "inputs": inputs}))
    return made | {RECORD: digest(made)}


def digest(record: Mapping[str, Any]) -> str:
    """Return the BLAKE3-256 of a record without its key `record`: of JSON with sorted keys and without blanks."""
    rest = {key: value for key, value in record.items() if key != RECORD}
    return blake3(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def content(record: Mapping[str, Any]) -> bytes:
    """Return a record as the bytes of its file."""
    return json.dumps(record, indent=1).encode() + b"\n"


def differences(recorded: Any, again: Any, but: Collection[str] = (), key: str = "") -> Iterator[Difference]:
    """Yield each value that differs between two values of JSON. but: paths of keys that are not compared."""
    if key in but:
        return
    if isinstance(recorded, dict) and isinstance(again, dict):
        for name in dict.fromkeys((*recorded, *again)):
            path = f"{key}.{name}" if key else name
            yield from differences(recorded.get(name, _ABSENT), again.get(name, _ABSENT), but, path)
    elif isinstance(recorded, list) and isinstance(again, list):
        if len(recorded) != len(again):
            yield Difference(f"{key}, number of values", len(recorded), len(again))
        for at, (one, other) in enumerate(zip(recorded, again, strict=False)):
            yield from differences(one, other, but, f"{key}[{at}]")
    elif type(recorded) is not type(again) or recorded != again:
        yield Difference(key, recorded, again)
