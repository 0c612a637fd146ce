"""Draws of parameters: from a posterior that a fit stored, or from the priors.

A posterior is a Parquet file: a column for each fitted parameter in the units of its file (0.23 for a share), `weight`,
and `variant`, the structure of behaviour that the row was fitted with. Parameters without a column are drawn from their
priors. The file's metadata has the record of the fit (`provenance`). docs/reference/sandbox-predict.md is exact.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from blake3 import blake3

from sycee import data
from sycee.core import typos
from sycee.core.arrays import Array
from sycee.core.errors import IntegrityError, UsageError
from sycee.core.extras import extra
from sycee.core.input_files import read_bytes
from sycee.core.output_files import write_file
from sycee.sandbox.behaviour.parameters import NAMES, PILOT_SPREAD, Parameters, ParameterSet
from sycee.sandbox.inference import variation
from sycee.sandbox.pilots import features

PRIOR: Final = "prior"
FOLDER: Final = "posteriors"
SUFFIX: Final = ".parquet"
STANDARD: Final = "standard"  # fitted to all shipped pilots
METADATA: Final = b"sycee"
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
    record: Mapping[str, Any] = field(default_factory=dict)  # what `provenance.record` returned; empty if not stored

    def draws(
        self, standard: ParameterSet, count: int, seed: int, variant: str = "", *, of_pilots: bool = True
    ) -> list[Parameters]:
        """Return `count` draws for a structure of behaviour, or for all together. Equal seeds give equal draws.

        A variant that the posterior does not have is drawn from the particles of all variants. of_pilots: each draw is
        of another pilot, whose values differ from the fitted ones by `pilot_spread`; otherwise of what pilots share.
        """
        numbers = Numbers(seed)
        rows = self._rows(variant, count, numbers)
        own = len(NAMES) + 1  # the first position of the numbers of a pilot's own values
        found = []
        for at in range(count):
            known = {} if rows is None else dict(zip(self.names, self.values[rows[at]].tolist(), strict=True))
            if of_pilots and known:
                share = standard.varies(PILOT_SPREAD).prior.quantile(numbers.of(at, own))
                known = {
                    name: variation.moved(standard[name].prior, value, share, numbers.of(at, own + 1 + place))
                    for place, (name, value) in enumerate(known.items())
                }
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
        return (self.integer(row, column) + 0.5) / 2**64

    def integer(self, row: int, column: int) -> int:
        """Return 64 bits at a position."""
        raw = blake3(f"sycee sandbox draw {self.seed} {row} {column}".encode()).digest(8)
        return int.from_bytes(raw, "little")


def prior() -> Posterior:
    """Return draws of the priors."""
    return Posterior(PRIOR, blake3(b"").hexdigest(), (), np.zeros((0, 0)), np.zeros(0), ())


def load(source: Path | str = STANDARD) -> Posterior:
    """Return the posterior in a Parquet file, or the shipped one of this name.

    Raises UsageError for an unknown name, and for a file without weights or with other columns; IntegrityError for a
    file whose record of the fit is damaged.
    """
    if isinstance(source, Path) or source.endswith(SUFFIX) or "/" in source:
        return parse(read_bytes(Path(source), FILE_BYTES_MAX, "posterior"), str(source))
    shipped = data.names(FOLDER, SUFFIX)
    hint = f"posteriors shipped: {', '.join(shipped)}; a path ends in {SUFFIX}"
    typos.require(source, shipped, f'there is no posterior "{source}"', hint)
    return parse(data.content(FOLDER, source, SUFFIX), source)


def parse(content: bytes, file: str) -> Posterior:
    """Return the posterior in the bytes of a Parquet file; `file` is the name for errors. Errors as `load`."""
    with extra("research"):
        import pyarrow as pa
        import pyarrow.parquet as parquet
    try:
        table = parquet.read_table(pa.BufferReader(content))
    except pa.ArrowInvalid as error:
        raise UsageError(f"{file} is no Parquet file: {error}", hint="a file of `sycee sandbox fit`") from error
    names = tuple(name for name in table.column_names if name in NAMES)
    unknown = [name for name in table.column_names if name not in (*NAMES, WEIGHT, VARIANT)]
    missing = [name for name in (WEIGHT, VARIANT) if name not in table.column_names]
    if unknown or missing or not names or not table.num_rows:
        wrong = f"has the column {unknown[0]!r}" if unknown else f"has no {', '.join(missing) or 'parameter'}"
        raise UsageError(f"{file} is no posterior: it {wrong}", hint="a file of `sycee sandbox fit`")
    try:
        values = np.column_stack([table[name].to_numpy() for name in names]).astype(np.float64)
        weights = table[WEIGHT].to_numpy().astype(np.float64)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{file} has values that are no numbers", hint="a file of `sycee sandbox fit`") from error
    if not (np.isfinite(values).all() and np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
        raise UsageError(f"{file} has values that are no numbers", hint="a file of `sycee sandbox fit`")
    variants = tuple(str(each) for each in table[VARIANT].to_pylist())
    record = _record((table.schema.metadata or {}).get(METADATA, b"{}"), file)
    return Posterior(Path(file).name, blake3(content).hexdigest(), names, values, weights, variants, record)


def _record(content: bytes, file: str) -> dict[str, Any]:
    """Return the record of a fit from the metadata of its file; without one, it is empty.

    Raises IntegrityError for a record that lacks what predictions read.
    """
    try:
        found = json.loads(content)
        wrong = _wrong(found)
    except (ValueError, RecursionError):
        wrong = "is no JSON"
    if wrong:
        raise IntegrityError(
            f"{file} has a damaged record of its fit, which {wrong}",
            hint="restore the file, or fit again: sycee sandbox fit --out FILE.parquet",
        )
    return dict(found)


def _wrong(found: Any) -> str:
    """Return what is wrong with the record of a fit, as words that follow "which"; "" if nothing is."""
    if not isinstance(found, dict):
        return "is no JSON object"
    if not found:
        return ""
    pilots = found.get("pilots")
    if not isinstance(found.get("priors"), str):
        return "has no text `priors`"
    if not isinstance(pilots, list):
        return "has no list `pilots`"
    for at, pilot in enumerate(pilots):
        each = pilot if isinstance(pilot, dict) else {}
        missing = [key for key in ("name", "file", "results") if not isinstance(each.get(key), str)]
        if missing:
            return f"has no text `pilots[{at}].{missing[0]}`"
        known = each.get("features")
        known = known if isinstance(known, dict) else {}
        missing = [name for name in features.NUMBERS if not _is_positive(known.get(name))]
        missing += [name for name in features.KINDS if not isinstance(known.get(name), str)]
        if missing:
            return f'has no feature "{missing[0]}" in `pilots[{at}]`'
    return ""


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def columns_digest(found: Posterior) -> str:
    """Return the BLAKE3-256 of a posterior's columns: names and variants as JSON, values and weights as float64."""
    made = blake3(json.dumps([list(found.names), list(found.variants)]).encode())
    for each in (found.values, found.weights):
        made.update(np.ascontiguousarray(each, "<f8").tobytes())
    return made.hexdigest()


def store(
    path: Path,
    names: tuple[str, ...],
    values: Array,
    weights: Array,
    variants: Sequence[str],
    record: Mapping[str, Any] | None = None,
) -> None:
    """Write a posterior: values (particles, names) in units of the parameters' file; the others (particles,)."""
    with extra("research"):
        import pyarrow as pa
        import pyarrow.parquet as parquet
    columns = {name: pa.array(values[:, at]) for at, name in enumerate(names)} | {
        WEIGHT: pa.array(weights),
        VARIANT: pa.array(list(variants)),
    }
    table = pa.table(columns).replace_schema_metadata({METADATA: json.dumps(record or {})})
    buffer = pa.BufferOutputStream()
    parquet.write_table(table, buffer)
    write_file(path, buffer.getvalue().to_pybytes())
