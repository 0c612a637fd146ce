"""Random choices of a replay, derived from its seed by integer arithmetic.

One seed must give one digest on every machine. NumPy does not guarantee equal streams across versions, so the bits are
from BLAKE3, and every distribution is computed with integers.
"""

from __future__ import annotations

from typing import Final

import blake3
import numpy as np

from sycee.core.arrays import Array
from sycee.core.limits import I64_MAX

_CONTEXT: Final = "sycee 2026-11-25 sandbox: choices of a replay"


class Stream:
    """Named streams of integers under one seed. Equal seed, purpose and count give equal integers."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def bits(self, purpose: str, count: int) -> Array:
        """Return uniform bits: (count,) uint64."""
        name = purpose.encode()
        material = len(name).to_bytes(8, "little") + name + self.seed.to_bytes(8, "little")
        raw = blake3.blake3(material, derive_key_context=_CONTEXT).digest(8 * count)
        return np.frombuffer(raw, "<u8")

    def below(self, purpose: str, count: int, end: int) -> Array:
        """Return (count,) int64 in [0, end), end ≤ 2**32; the probability of each is 1 / end ± 2**-32."""
        if not 0 < end <= 1 << 32:
            raise ValueError(f"{purpose}: {end} is not from 1 to 2**32")
        high = self.bits(purpose, count) >> np.uint64(32)
        return (high * np.uint64(end) >> np.uint64(32)).astype(np.int64)

    def order(self, purpose: str, count: int) -> Array:
        """Return a permutation of range(count): (count,) int64."""
        return np.argsort(self.bits(purpose, count), kind="stable")

    def choose(self, purpose: str, count: int, weights: Array) -> Array:
        """Return indices into `weights` (positive integers, sum < 2**32) with their probabilities: (count,) int64."""
        ends = np.cumsum(weights.astype(np.int64))
        chosen: Array = np.searchsorted(ends, self.below(purpose, count, int(ends[-1])), side="right")
        return chosen

    def parts(self, purpose: str, total: int, low: Array, high: Array, *, draws: int = 1) -> Array:
        """Return integers x with low <= x <= high, element by element, and sum(x) == total.

        Each starts as the largest of `draws` uniform integers; then all move in proportion to their distance from the
        bound. Raises ValueError if no such x exists or a product would exceed 64 bits.
        """
        if not int(low.sum()) <= total <= int(high.sum()):
            raise ValueError(f"{purpose}: {total} is outside {int(low.sum())} to {int(high.sum())}")
        bits = (self.bits(purpose, low.size * draws) >> np.uint64(1)).astype(np.int64).reshape(draws, low.size)
        x: Array = low + (bits % (high - low + 1)).max(axis=0)
        missing = total - int(x.sum())
        headroom = high - x if missing > 0 else x - low
        step = 1 if missing > 0 else -1
        missing = abs(missing)
        if missing:
            # The remainder of the integer division goes to the first ones with headroom.
            _require_product(purpose, int(headroom.max()), missing)
            moved = headroom * missing // int(headroom.sum())
            rest = missing - int(moved.sum())
            moved[np.flatnonzero(headroom > moved)[:rest]] += 1
            x = x + step * moved
        return x


def split_evenly(totals: Array, counts: Array, weights: Array, low: int) -> Array:
    """Split each total into `counts` parts of at least `low`, in proportion to `weights` (one per part, positive).

    totals, counts: (n,), each count ≥ 1; weights: (sum(counts),), grouped. Returns (sum(counts),) int64, grouped; the
    parts of a group sum to its total.
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
    parts[starts] += totals - given  # the remainder of the integer division
    return parts


def _require_product(purpose: str, one: int, other: int) -> None:
    """Raise ValueError for a product that would overflow int64, which NumPy does silently."""
    if one * other > I64_MAX:
        raise ValueError(f"{purpose}: {one} times {other} does not fit 64 bits")
