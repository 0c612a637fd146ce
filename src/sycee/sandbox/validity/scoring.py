"""Scores of a prediction against published results: coverage, PIT, CRPS and absolute errors, the misses first.

PIT (probability integral transform): the share of the predicted sample below the result; uniform if predictions are
calibrated. CRPS (continuous ranked probability score, Matheson and Winkler 1976): in the unit of the outcome, 0 best;
the absolute error of a prediction that is one number. An interval is a hit where it overlaps the band, and is counted
apart from values.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from sycee.core.errors import UsageError
from sycee.core.extras import extra
from sycee.core.input_files import read_bytes
from sycee.sandbox.pilots.published import Published, Result
from sycee.sandbox.validity.predicting import FORMAT

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
class Scores:
    """The scores of one or several predictions, misses first, and results that were not predicted."""

    scores: tuple[Score, ...]
    missing: tuple[Result, ...]

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
            "not_predicted": [_result(each) for each in self.missing],
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
    rows = {(row["name"], row["date"], row["sector"]): row for row in prediction["outcomes"]}
    scores, missing = [], []
    for result in published.results:
        row = rows.get(_key(result)) or rows.get((result.outcome, None, result.sector))
        if row is None or row["quantiles"] is None:
            missing.append(result)
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


def _key(result: Result) -> tuple[str, str | None, str | None]:
    return (result.outcome, result.date.isoformat() if result.date else None, result.sector)


def _score(result: Result, row: dict[str, Any]) -> Score:
    with extra("sandbox"):
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
