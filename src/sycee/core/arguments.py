"""Checks of arguments that callers pass to public functions."""

from __future__ import annotations

from decimal import Decimal
from typing import Final
from uuid import UUID

import numpy as np

from sycee.core import ids
from sycee.core.errors import UsageError
from sycee.core.limits import I64_MAX

ID_MAX: Final = 2**128 - 1
_REPR_CHARACTERS_MAX: Final = 60


def check_id(name: str, value: object) -> int:
    """Return the id in the argument `name`: an int, a uuid.UUID or the text of one. Raise UsageError for others."""
    if type(value) is int and 0 <= value <= ID_MAX:
        return value
    if isinstance(value, UUID):
        return value.int
    if isinstance(value, str):
        try:
            return ids.parse(value)
        except UsageError as error:
            raise UsageError(f"{name} must be an integer or a UUID; got {short_repr(value)}", hint=error.hint) from None
    return check_integer(name, value, 0, ID_MAX)


def check_integer(name: str, value: object, low: int = 0, high: int = I64_MAX) -> int:
    """Return the argument `name` as an int from `low` to `high`.

    Raise UsageError for anything else, including bools, floats and NumPy time spans.
    """
    # np.timedelta64 is a np.integer to Python, and its unit would be lost.
    if not isinstance(value, (int, np.integer)) or isinstance(value, (bool, np.timedelta64)):
        hint = _hint(name, value)
    elif not low <= value <= high:
        hint = "check the unit and the order of the arguments"
    else:
        return int(value)
    raise UsageError(f"{name} must be an integer from {low} to {high}; got {short_repr(value)}", hint=hint)


def _hint(name: str, value: object) -> str:
    if name == "amount" or isinstance(value, (float, Decimal)):
        return 'give an int of minor units; methods of a ledger also accept text such as "200.00"'
    return "give an int: minor units for money, nanoseconds for a time, the number itself (or a UUID) for an id"


def short_repr(value: object) -> str:
    """Return a value of any type as one short line for an error message."""
    if isinstance(value, int) and value.bit_length() > 256:
        return f"a number of {value.bit_length():,} bits"  # Python refuses to format a number of > 4,300 digits
    if not isinstance(value, (int, float, Decimal, str, bytes, np.generic, type(None))):
        return f"a {type(value).__name__}"
    text = str(value) if isinstance(value, (int, np.integer)) else repr(value)
    return text if len(text) <= _REPR_CHARACTERS_MAX else f"{text[:_REPR_CHARACTERS_MAX]}…"
