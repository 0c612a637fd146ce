"""Canonical JSON: one text for one value, so that a digest of it can be compared and signed.

Keys are sorted, there are no blanks, and every character outside ASCII is escaped. Numbers are integers: a float has
no single text. `json.loads` reads the result in any language.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from blake3 import blake3

from sycee.core.errors import UsageError


def canonical(value: Any) -> bytes:
    """Return the canonical text of a value of dicts, lists, tuples, texts, integers, booleans and None.

    Raises UsageError for a value of another type and for a key that is not a text.
    """
    _check(value, "the value")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def digest(value: Any) -> bytes:
    """Return the BLAKE3 digest, 32 bytes, of the canonical text. Errors as `canonical`."""
    return blake3(canonical(value)).digest()


def _check(value: Any, where: str) -> None:
    if isinstance(value, Mapping):
        for key, each in value.items():
            if not isinstance(key, str):
                raise UsageError(f"a key of {where} is of type {type(key).__name__}", hint="use texts as keys")
            _check(each, f"{where}[{key!r}]")
    elif isinstance(value, list | tuple):
        for at, each in enumerate(value):
            _check(each, f"{where}[{at}]")
    elif value is not None and type(value) not in (str, int, bool):
        # The value itself may be personal data, so the message names its type only.
        raise UsageError(
            f"{where} is of type {type(value).__name__}",
            hint="use texts, integers, booleans, None, lists and dicts: floats and bytes have no single JSON text",
        )
