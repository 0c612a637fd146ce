"""Scores of a prediction against published results: coverage, PIT, CRPS and absolute errors, the misses first.

PIT (probability integral transform): the share of the predicted sample below the result; uniform if predictions are
calibrated. CRPS (continuous ranked probability score, Matheson and Winkler 1976): in the unit of the outcome, 0 best;
the absolute error of a prediction that is one number. An interval is a hit where it overlaps the band, and is counted
separately from values.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Any, Final

import numpy as np

from sycee.core.errors import UsageError
from sycee.core.extras import extra
from sycee.core.input_files import read_bytes
from sycee.sandbox.pilots import sectors
from sycee.sandbox.pilots.description import SIZE_SHARE
from sycee.sandbox.pilots.published import Published, Result
from sycee.sandbox.pilots.simulation import WITHIN_HORIZON
from sycee.sandbox.validity.predicting import FORMAT, quantiles

FILE_BYTES_MAX: Final = 1 << 28


@dataclass(frozen=True, slots=True)
class Score:
    """One published result beside its prediction."""

    result: Result
    quantiles: dict[str, float]
    in_50: bool
    in_90: bool
    pit: float
    crps: float

    @property
    def error(self) -> float:
        """Median less the result, in the unit of the outcome."""
        return self.quantiles["50"] - self.result.middle


@dataclass(frozen=True, slots=True)
class Missing:
    """A published result without a prediction, and the reason in words."""

    result: Result
    why: str


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of one or several predictions, misses first, and results that were not predicted."""

    scores: tuple[Score, ...]
    missing: tuple[Missing, ...]

    def coverage(self, *, intervals: bool) -> tuple[int, int, int]:
        """Return the number of results, and how many are in the bands of 50 and of 90 %."""
        chosen = [each for each in self.scores if each.result.is_interval == intervals]
        return len(chosen), sum(each.in_50 for each in chosen), sum(each.in_90 for each in chosen)

    def mean_error(self, outcome: str) -> float | None:
        """Return the mean absolute error of an outcome's values; None without any."""
        errors = [abs(each.error) for each in self.scores if each.result.outcome == outcome]
        return sum(errors) / len(errors) if errors else None

    def as_json(self) -> dict[str, Any]:
        """Return the scores as a JSON object."""
        points, points_50, points_90 = self.coverage(intervals=False)
        intervals, intervals_50, intervals_90 = self.coverage(intervals=True)
        outcomes = sorted({each.result.outcome for each in self.scores})
        return {
            "values": {"results": points, "in_50": points_50, "in_90": points_90},
            "intervals": {"results": intervals, "in_50": intervals_50, "in_90": intervals_90},
            "mean_absolute_error": {name: self.mean_error(name) for name in outcomes},
            "scores": [_row(each) for each in self.scores],
            "not_predicted": [_result(each.result) | {"why": each.why} for each in self.missing],
        }


def read(path: Path) -> dict[str, Any]:
    """Return the prediction in a JSON file. Raises UsageError for any other file."""
    content = read_bytes(path, FILE_BYTES_MAX, "prediction")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no JSON: {error}", hint="a file of `sycee sandbox predict`") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise UsageError(f"{path} is no prediction", hint="a file of `sycee sandbox predict`")
    return found


def score(prediction: dict[str, Any], published: Published) -> Scores:
    """Return the scores of a prediction. Raises UsageError if the results are of another pilot."""
    if prediction["pilot"] != published.pilot:
        raise UsageError(
            f'the results are of "{published.pilot}" and the prediction of "{prediction["pilot"]}"',
            hint="`pilot` of the results is `pilot.name` of the description",
        )
    scores, missing = [], []
    for result in published.results:
        row = predicted(prediction, result)
        if row is None or row["quantiles"] is None:
            missing.append(Missing(result, _why(prediction, result)))
        else:
            scores.append(_score(result, row))
    return Scores(_sorted(scores), tuple(missing))


def together(each_scores: Iterable[Scores]) -> Scores:
    """Return the scores of several predictions together."""
    parts = list(each_scores)
    return Scores(
        _sorted(score for part in parts for score in part.scores),
        tuple(each for part in parts for each in part.missing),
    )


def predicted(prediction: dict[str, Any], result: Result) -> dict[str, Any] | None:
    """Return the predicted row of a result, or None.

    A result without a date is compared with the last date. A sector that the town lacks is the sum of the sectors that
    its name means. A result within another horizon than the predicted one has no row.
    """
    if (
        result.horizon not in (None, prediction.get("horizon_days", result.horizon))
        and result.outcome in WITHIN_HORIZON
    ):
        return None
    rows: list[dict[str, Any]] = [row for row in prediction["outcomes"] if row["name"] == result.outcome]
    when = result.date.isoformat() if result.date else max((row["date"] or "" for row in rows), default="")
    rows = [row for row in rows if row["date"] in (when, None)]
    if result.sector is None:
        return next((row for row in rows if row["sector"] is None), None)
    by_sector = {row["sector"]: row for row in rows if row["sector"] is not None}
    if result.outcome == SIZE_SHARE:
        return _by_size(by_sector, result)
    chosen = [by_sector[each] for each in sectors.named(result.sector, by_sector)]
    if len(chosen) < 2:
        return chosen[0] if chosen else None
    sample = np.sum([row["sample"] for row in chosen], axis=0).tolist()
    return chosen[0] | {"sector": result.sector, "quantiles": quantiles(sample), "sample": sample}


def _by_size(rows: dict[str, dict[str, Any]], result: Result) -> dict[str, Any] | None:
    """Return the share of shops below a turnover, between those of the two bounds around it; None outside of both."""
    wanted = sectors.turnover(result.sector or "")
    bounds = sorted((sectors.turnover(name) or 0.0, row) for name, row in rows.items())
    if not wanted or not bounds or not bounds[0][0] <= wanted <= bounds[-1][0]:
        return None
    above = next(at for at, (bound, _) in enumerate(bounds) if wanted <= bound)
    (high, upper), (low, lower) = bounds[above], bounds[max(above - 1, 0)]
    part = log(wanted / low) / log(high / low) if high > low else 1.0
    sample = ((1 - part) * np.array(lower["sample"]) + part * np.array(upper["sample"])).tolist()
    return upper | {"sector": result.sector, "quantiles": quantiles(sample), "sample": sample}


def _why(prediction: dict[str, Any], result: Result) -> str:
    """Return why a result has no predicted row."""
    rows = [row for row in prediction["outcomes"] if row["name"] == result.outcome]
    horizon = prediction.get("horizon_days")
    if not rows:
        return f"the description does not ask for it: add {result.outcome} to `ask.outcomes`"
    if result.outcome in WITHIN_HORIZON and result.horizon not in (None, horizon):
        return f"the prediction is within {horizon} days: set `ask.horizon_days` to {result.horizon}"
    if result.date is not None and result.date.isoformat() not in {row["date"] for row in rows}:
        return f"the description does not ask for this day: add {result.date} to `ask.dates`"
    known = [row["sector"] for row in rows if row["sector"] is not None]
    if result.outcome == SIZE_SHARE and result.sector is not None:
        return f"`sector` is a yearly turnover from {known[0]} to {known[-1]}"
    if result.sector is None and known:
        return f"the result names no sector; predicted: {', '.join(dict.fromkeys(known))}"
    if result.sector is not None and not known:
        return f"{result.outcome} has no sectors"
    if result.sector is not None and not sectors.named(result.sector, known):
        return f'the town has no sector "{result.sector}"; it has {", ".join(dict.fromkeys(known))}'
    return "no run gave a value"


def _score(result: Result, row: dict[str, Any]) -> Score:
    with extra("research"):
        import scoringrules
    sample = np.array(row["sample"], np.float64)
    bands: dict[str, float] = row["quantiles"]
    below = float((sample < result.middle).mean() + (sample == result.middle).mean() / 2)
    return Score(
        result,
        bands,
        result.low <= bands["75"] and result.high >= bands["25"],
        result.low <= bands["95"] and result.high >= bands["5"],
        below,
        float(scoringrules.crps_ensemble(result.middle, sample)),
    )


def _sorted(scores: Iterable[Score]) -> tuple[Score, ...]:
    return tuple(sorted(scores, key=lambda each: (each.in_90, each.in_50, -abs(each.pit - 0.5))))


def _result(each: Result) -> dict[str, Any]:
    return {
        "pilot": each.pilot,
        "name": each.outcome,
        "date": each.date.isoformat() if each.date else None,
        "sector": each.sector,
        "low": each.low,
        "high": each.high,
        "source": each.source,
        "mark": each.mark,
    }


def _row(each: Score) -> dict[str, Any]:
    return _result(each.result) | {
        "quantiles": each.quantiles,
        "in_50": each.in_50,
        "in_90": each.in_90,
        "pit": float(f"{each.pit:.6g}"),
        "crps": float(f"{each.crps:.6g}"),
        "error": float(f"{each.error:.6g}"),
    }
