"""Fitting of tables to published sums by iterative proportional fitting (Deming and Stephan 1940), with ipfn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.extras import extra

with extra("bank"):
    from ipfn import ipfn

CONVERGED: Final = 1e-10  # error of a sum, relative to the total, at which fitting ends
ERROR_MAX: Final = 1e-6  # the same for a table that is accepted after ITERATIONS_MAX
ITERATIONS_MAX: Final = 2_000

_TILT_STEPS: Final = 200


def ipf(seed: Array, sums: Sequence[tuple[Sequence[int], Array]], what: str) -> Array:
    """Return the table nearest to `seed` with given sums: float64, with the shape of `seed`.

    sums: pairs (axes that are kept, sums over all other axes). The first pair gives the total; the others are scaled
    to it. A cell that is zero stays zero. Raises UsageError, about `what`, if no such table exists.
    """
    total = float(sums[0][1].sum())
    wanted = []
    for _, values in sums:
        values = values.astype(np.float64)
        scale = float(values.sum())
        if scale <= 0:
            raise UsageError(f"{what}: a set of sums adds up to zero", hint="give at least one figure above zero")
        wanted.append(values * (total / scale))
    axes_kept = [list(axes) for axes, _ in sums]
    others = [tuple(axis for axis in range(seed.ndim) if axis not in axes) for axes in axes_kept]

    def error(table: Array) -> float:
        return max(
            float(np.abs(table.sum(axis=each) - values).max()) for each, values in zip(others, wanted, strict=True)
        )

    fitted: Array = seed.astype(np.float64)
    # `iteration` of ipfn prints to stdout; its step does not. It divides by sums that are zero.
    fitter = ipfn.ipfn(fitted, wanted, axes_kept)
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(ITERATIONS_MAX):
            fitted, _ = fitter.ipfn_np(fitted, wanted, axes_kept)
            if error(fitted) <= CONVERGED * total:
                break
    missed = error(fitted)
    if not missed <= ERROR_MAX * total:
        raise UsageError(
            f"{what}: no table has these sums; the nearest misses one by {missed:,.1f}",
            hint="give a weight above zero to a cell that the sums need, or correct a sum",
        )
    return fitted


def tilted(shares: Array, mean: float, what: str) -> Array:
    """Return shares of the sizes 1, 2, … in proportion to shares × tⁿ for size n, so that the mean size is `mean`.

    It is the distribution nearest to `shares` with this mean (least Kullback-Leibler divergence). Raises UsageError,
    about `what`, if the mean is not between the smallest and the largest size.
    """
    sizes = np.arange(1, shares.size + 1, dtype=np.float64)
    present = sizes[shares > 0]
    if not present.size or not present[0] < mean < present[-1]:
        raise UsageError(
            f"{what}: no distribution over these sizes has the mean {mean:.3f}",
            hint="correct the number of households, or give more sizes",
        )
    made: Array = shares
    low, high = -50.0, 50.0  # bounds of log t
    for _ in range(_TILT_STEPS):
        middle = (low + high) / 2
        exponents = middle * (sizes - mean)
        made = shares * np.exp(exponents - exponents.max())
        made = made / made.sum()
        if float(made @ sizes) < mean:
            low = middle
        else:
            high = middle
    return made
