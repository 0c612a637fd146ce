"""Choices of a replay that follow from its seed by integers alone, equal on every machine and version of NumPy.

NumPy promises no fixed streams across versions, and one seed must give one digest; so the bits come from BLAKE3 and
every distribution is made of integer arithmetic.
"""

from __future__ import annotations

from typing import Final

import blake3
import numpy as np

from sycee.core.arrays import Array
from sycee.core.limits import I64_MAX

_CONTEXT: Final = "sycee 2026-11-25 sandbox: choices of a replay"


class Stream:
    """Named streams of integers under one seed. The same seed, purpose and count give the same integers."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def bits(self, purpose: str, count: int) -> Array:
        """(count,) uint64, uniform."""
        name = purpose.encode()
        material = len(name).to_bytes(8, "little") + name + self.seed.to_bytes(8, "little")
        raw = blake3.blake3(material, derive_key_context=_CONTEXT).digest(8 * count)
        return np.frombuffer(raw, "<u8")

    def below(self, purpose: str, count: int, end: int) -> Array:
        """(count,) int64 in [0, end), end at most 2**32; the odds of each are 1 / end, off by less than 2**-32."""
        if not 0 < end <= 1 << 32:
            raise ValueError(f"{purpose}: {end} is not from 1 to 2**32")
        high = self.bits(purpose, count) >> np.uint64(32)
        return (high * np.uint64(end) >> np.uint64(32)).astype(np.int64)

    def order(self, purpose: str, count: int) -> Array:
        """(count,) int64: a permutation of range(count)."""
        return np.argsort(self.bits(purpose, count), kind="stable")

    def choose(self, purpose: str, count: int, weights: Array) -> Array:
        """(count,) int64: indices into `weights` (positive integers whose sum is below 2**32), with their odds."""
        ends = np.cumsum(weights.astype(np.int64))
        chosen: Array = np.searchsorted(ends, self.below(purpose, count, int(ends[-1])), side="right")
        return chosen

    def parts(self, purpose: str, total: int, low: Array, high: Array, *, draws: int = 1) -> Array:
        """Integers x with low <= x <= high, element by element, and sum(x) == total.

        Each begins as the largest of `draws` uniform ones; then all are moved in proportion to their room.
        Raises ValueError where no such x exists, or the numbers are too large for it.
        """
        if not int(low.sum()) <= total <= int(high.sum()):
            raise ValueError(f"{purpose}: {total} is outside {int(low.sum())} to {int(high.sum())}")
        bits = (self.bits(purpose, low.size * draws) >> np.uint64(1)).astype(np.int64).reshape(draws, low.size)
        x: Array = low + (bits % (high - low + 1)).max(axis=0)
        missing = total - int(x.sum())
        room = high - x if missing > 0 else x - low
        step = 1 if missing > 0 else -1
        missing = abs(missing)
        if missing:
            # Proportional to each one's room; what integer division leaves goes to the first that have room.
            _require_product(purpose, int(room.max()), missing)
            moved = room * missing // int(room.sum())
            rest = missing - int(moved.sum())
            moved[np.flatnonzero(room > moved)[:rest]] += 1
            x = x + step * moved
        return x


def split_evenly(totals: Array, counts: Array, weights: Array, low: int) -> Array:
    """Cut each total into `counts` parts of at least `low`, in proportion to `weights` (one per part, positive).

    totals, counts: (n,), each count at least 1; weights: (sum(counts),), grouped. Returns (sum(counts),) int64,
    grouped, exact per group.
    """
    starts = np.cumsum(counts) - counts
    group = np.repeat(np.arange(totals.size), counts)
    free = totals - low * counts
    if free.size and int(free.min()) < 0:
        raise ValueError(f"a total is too small for its parts of at least {low}")
    if free.size:
        _require_product("a split", int(free.max()), int(weights.max()))
    sums = np.add.reduceat(weights, starts) if weights.size else weights
    parts: Array = low + free[group] * weights // sums[group]
    given = np.add.reduceat(parts, starts) if parts.size else parts
    parts[starts] += totals - given  # what integer division left
    return parts


def _require_product(purpose: str, one: int, other: int) -> None:
    """NumPy's int64 wraps silently."""
    if one * other > I64_MAX:
        raise ValueError(f"{purpose}: {one} times {other} does not fit 64 bits")
