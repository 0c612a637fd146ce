"""Checks of arguments that callers pass to public functions."""

from __future__ import annotations

from typing import Final

import numpy as np

from sycee.core.errors import UsageError

ID_MAX: Final = 2**128 - 1
_REPR_CHARACTERS_MAX: Final = 60


def check_integer(name: str, value: object, low: int = 0, high: int = ID_MAX) -> int:
    """Return the argument `name` as an int from `low` to `high`, by default an id.

    Raise UsageError for anything else, including bools, floats and NumPy time spans.
    """
    # np.timedelta64 is a np.integer to Python, and its unit would be lost.
    if not isinstance(value, (int, np.integer)) or isinstance(value, (bool, np.timedelta64)):
        raise UsageError(
            f"{name} = {short_repr(value)} is no integer from {low} to {high}",
            hint="give an int: minor units for money, nanoseconds for a time, the number itself for an id",
        )
    if not low <= value <= high:
        raise UsageError(
            f"{name} = {short_repr(value)} does not fit its field, which takes {low} to {high}",
            hint="give one in that range: check the unit, and that no two arguments are swapped",
        )
    return int(value)


def short_repr(value: object) -> str:
    """Return a value of any type as one short line for an error message."""
    if isinstance(value, int) and value.bit_length() > 256:
        return f"a number of {value.bit_length():,} bits"  # Python refuses to format a number of > 4,300 digits
    if not isinstance(value, (int, float, str, bytes, np.generic, type(None))):
        return f"a {type(value).__name__}"
    text = str(value) if isinstance(value, (int, np.integer)) else repr(value)
    return text if len(text) <= _REPR_CHARACTERS_MAX else f"{text[:_REPR_CHARACTERS_MAX]}…"
