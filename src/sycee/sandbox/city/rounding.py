"""Rounding to integers that keep an exact sum: Hamilton's method in exact integers, equal on every machine."""

from __future__ import annotations

from typing import Final

import numpy as np

from sycee.core.arrays import Array

GRID: Final = 1 << 20  # floats are rounded to multiples of 1 / GRID before they become weights


def largest_remainder(weights: Array, total: int) -> Array:
    """Return integers in proportion to `weights` whose sum is `total`: int64, with the shape of `weights`.

    Each result is the exact share of its weight, rounded down or up. Of equal remainders, the first in row-major order
    are rounded up. Weights must not be negative; floats are rounded to multiples of 1 / GRID first. Raises ValueError
    if all weights are zero and `total` is not.
    """
    flat = weights.ravel()
    if flat.dtype.kind == "f":
        flat = np.rint(flat * GRID)
    integers = flat.astype(np.int64).astype(object)  # Python's integers, because products exceed 64 bits
    weight_sum = int(integers.sum()) if integers.size else 0
    if not weight_sum:
        if total:
            raise ValueError(f"{total} cannot be divided by weights that are all zero")
        return np.zeros(weights.shape, np.int64)
    products = integers * total
    rounded: Array = (products // weight_sum).astype(np.int64)
    missing = total - int(rounded.sum())
    if missing:
        largest_first = np.argsort(-(products % weight_sum), kind="stable")
        rounded[largest_first[:missing]] += 1
    return rounded.reshape(weights.shape)
