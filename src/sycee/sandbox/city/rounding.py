"""Rounding to integers that keep an exact sum: Hamilton's method in exact integers, equal on every machine."""

from __future__ import annotations

from typing import Final

import numpy as np

from sycee.core.arrays import Array

GRID: Final = 1 << 20  # floats are rounded to multiples of 1 / GRID before they become weights


def largest_remainder(weights: Array, total: int) -> Array:
    """Return integers in proportion to `weights` whose sum is `total`: int64, with the shape of `weights`.

    Each is its exact share rounded down or up. Of equal remainders the first cells are rounded up. Weights are not
    negative; floats are rounded to multiples of 1 / GRID first. Raises ValueError if all weights are zero and the total
    is not.
    """
    flat = weights.ravel()
    if flat.dtype.kind == "f":
        flat = np.rint(flat * GRID)
    whole = flat.astype(np.int64).astype(object)  # Python's integers: products exceed 64 bits
    scale = int(whole.sum()) if whole.size else 0
    if not scale:
        if total:
            raise ValueError(f"{total} cannot be divided by weights that are all zero")
        return np.zeros(weights.shape, np.int64)
    products = whole * total
    parts: Array = (products // scale).astype(np.int64)
    missing = total - int(parts.sum())
    if missing:
        remainders = products % scale
        order = np.argsort(-remainders, kind="stable")
        parts[order[:missing]] += 1
    return parts.reshape(weights.shape)
