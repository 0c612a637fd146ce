"""Draws of parameters: from a posterior that a fit stored, or from the priors.

A posterior is a Parquet file: a column for each fitted parameter in the units of its file (0.23 for a share), `weight`,
and `variant`, the structural variant that the row was fitted with. Parameters without a column are drawn from their
priors. docs/reference/sandbox-predict.md is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from blake3 import blake3

from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.extras import extra
from sycee.core.input_files import read_bytes
from sycee.core.output_files import write_file
from sycee.sandbox.behaviour.parameters import NAMES, Parameters, ParameterSet

PRIOR: Final = "prior"
WEIGHT: Final = "weight"
VARIANT: Final = "variant"
FILE_BYTES_MAX: Final = 1 << 30


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """Weighted values of some parameters: rows are particles. Without rows, every draw is from the priors."""

    source: str
    digest: str  # of the file, BLAKE3-256; of nothing for the priors
    names: tuple[str, ...]
    values: Array  # [particles, names] float64, in units of the parameters' file
    weights: Array  # [particles] float64, not negative, of a sum above 0
    variants: tuple[str, ...]  # [particles]

    def draws(self, standard: ParameterSet, count: int, seed: int, variant: str = "") -> list[Parameters]:
        """Return `count` draws for a structural variant, or for all together. Equal seeds give equal draws.

        A variant that the posterior does not have is drawn from the particles of all variants.
        """
        numbers = Numbers(seed)
        rows = self._rows(variant, count, numbers)
        found = []
        for at in range(count):
            known = {} if rows is None else dict(zip(self.names, self.values[rows[at]].tolist(), strict=True))
            drawn = {
                name: standard[name].prior.quantile(numbers.of(at, place))
                for place, name in enumerate(NAMES)
                if name not in known
            }
            found.append(standard.of(drawn | known))
        return found

    def _rows(self, variant: str, count: int, numbers: Numbers) -> Array | None:
        """Return particles in proportion to their weights, in an order that does not depend on them."""
        if not self.weights.size:
            return None
        chosen = np.array([each == variant for each in self.variants])
        weights = self.weights * (chosen if (self.weights * chosen).any() else 1)
        running = np.cumsum(weights) / weights.sum()
        order = np.argsort([numbers.of(at, len(NAMES)) for at in range(count)], kind="stable")
        points = (np.arange(count) + numbers.of(count, len(NAMES))) / count
        last = int(np.flatnonzero(weights)[-1])
        found: Array = np.minimum(np.searchsorted(running, points, side="right"), last)[order]
        return found


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers in (0, 1) that follow from a seed and two positions by BLAKE3."""

    seed: int

    def of(self, row: int, column: int) -> float:
        """Return the number at a position."""
        raw = blake3(f"sycee sandbox draw {self.seed} {row} {column}".encode()).digest(8)
        return (int.from_bytes(raw, "little") + 0.5) / 2**64


def prior() -> Posterior:
    """Return draws of the priors."""
    return Posterior(PRIOR, blake3(b"").hexdigest(), (), np.zeros((0, 0)), np.zeros(0), ())


def load(path: Path) -> Posterior:
    """Return the posterior in a Parquet file. Raises UsageError for a file without weights or with other columns."""
    content = read_bytes(path, FILE_BYTES_MAX, "posterior")
    with extra("archive"):
        import pyarrow as pa
        import pyarrow.parquet as parquet
    try:
        table = parquet.read_table(pa.BufferReader(content))
    except pa.ArrowInvalid as error:
        raise UsageError(f"{path} is no Parquet file: {error}", hint="a file of `sycee sandbox fit`") from error
    names = tuple(name for name in table.column_names if name in NAMES)
    unknown = [name for name in table.column_names if name not in (*NAMES, WEIGHT, VARIANT)]
    missing = [name for name in (WEIGHT, VARIANT) if name not in table.column_names]
    if unknown or missing or not names or not table.num_rows:
        wrong = f"has the column {unknown[0]!r}" if unknown else f"has no {', '.join(missing) or 'parameter'}"
        raise UsageError(f"{path} is no posterior: it {wrong}", hint="a file of `sycee sandbox fit`")
    values = np.column_stack([table[name].to_numpy() for name in names]).astype(np.float64)
    weights = table[WEIGHT].to_numpy().astype(np.float64)
    if not (np.isfinite(values).all() and np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
        raise UsageError(f"{path} has values that are no numbers", hint="a file of `sycee sandbox fit`")
    variants = tuple(str(each) for each in table[VARIANT].to_pylist())
    return Posterior(path.name, blake3(content).hexdigest(), names, values, weights, variants)


def store(path: Path, names: tuple[str, ...], values: Array, weights: Array, variants: Sequence[str]) -> None:
    """Write a posterior: values (particles, names) in units of the parameters' file; the others (particles,)."""
    with extra("archive"):
        import pyarrow as pa
        import pyarrow.parquet as parquet
    columns = {name: pa.array(values[:, at]) for at, name in enumerate(names)} | {
        WEIGHT: pa.array(weights),
        VARIANT: pa.array(list(variants)),
    }
    buffer = pa.BufferOutputStream()
    parquet.write_table(pa.table(columns), buffer)
    write_file(path, buffer.getvalue().to_pybytes())
