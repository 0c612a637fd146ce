"""Page of a fit: what it cannot say first, then parameters, and published results in the bands of the fitted model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from sycee.report import page
from sycee.report.bands import Band, bands
from sycee.report.page import Block, Facts, Notice, Page, Plot, Points, Section, Table, YesNo
from sycee.report.page import columns as headings
from sycee.sandbox.behaviour import parameters as behaviour
from sycee.sandbox.inference import fitting, summary
from sycee.sandbox.inference.fitting import FITTED, Case, Fitted
from sycee.sandbox.validity import pages, scoring
from sycee.sandbox.validity.predicting import predict
from sycee.sandbox.validity.scoring import Scores

DRAWS: Final = 50
PEOPLE: Final = 8_000
QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)

Progress = Callable[[int, int], None]


def predictive(
    cases: Sequence[Case],
    found: Sequence[Fitted],
    record: dict[str, Any],
    *,
    seed: int,
    progress: Progress = lambda done, total: None,
) -> Scores:
    """Return the published results of each pilot beside what the fitted model simulates for it.

    The results were used in the fit, so this shows whether the model can produce them, and not how well it predicts.
    """
    posterior = fitting.together(found, record)
    scores = []
    for at, case in enumerate(cases):
        prediction = predict(case.description, posterior, draws=DRAWS, seed=seed, people=PEOPLE)
        scores.append(scoring.score(prediction, case.published))
        progress(at + 1, len(cases))
    return scoring.together(scores)


def write(found: Sequence[Fitted], record: dict[str, Any], scores: Scores, path: Path) -> None:
    """Write the page of a fit. Raises like `core.output_files.write_file`."""
    page.write(fit_page(found, record, scores), path)


def fit_page(found: Sequence[Fitted], record: dict[str, Any], scores: Scores) -> Page:
    """Return the page of a fit. record: of `provenance.record`; scores: of `predictive`."""
    rows = summary.rows(found)
    kept = [row.name for row in rows if not row.is_informed]
    count, in_50, in_90 = scores.coverage(intervals=False)
    return Page(
        kicker="Sycee sandbox: fit",
        title="Behaviour fitted to published results",
        summary="Each structure of behaviour separately, by approximate Bayesian computation (ABC-SMC).",
        facts=(("pilots", str(len(record["pilots"]))), ("particles", str(sum(each.weights.size for each in found)))),
        opening=(
            Notice("Read first what this fit cannot say."),
            Points(
                (
                    ("1", "A few pilots published results, and those that did well. The next may differ from all."),
                    ("2", "Results of pilots say what was spent. They do not say what would have been spent anyway."),
                    (
                        "3",
                        "Results below were used in the fit: their bands do not show how new pilots are predicted.",
                    ),
                    ("4", f"Not informed by the results, so still the prior: {', '.join(kept) or 'none'}."),
                    ("5", f"Not fitted at all, so always the prior: {', '.join(_unfitted())}."),
                )
            ),
        ),
        sections=(
            Section("parameters", "What the results say about each parameter", "Parameters", _parameters(found, rows)),
            Section(
                "predictive",
                "Published results in the bands of the fitted model",
                "Predictive",
                (
                    pages.scaled_bands(
                        "predictive",
                        f"{in_90} of {count} values in the band of 90 %, {in_50} in the band of 50 %",
                        scores,
                    ),
                    pages.scores_table(scores),
                ),
            ),
            Section("record", "From what it follows", "Record", (_variants(found), _pilots(record), _record(record))),
        ),
        footer="This page is one file and needs no network.",
    )


def _unfitted() -> list[str]:
    return [name for name in behaviour.NAMES if name not in FITTED]


def _parameters(found: Sequence[Fitted], rows: Sequence[summary.Row]) -> tuple[Block, ...]:
    standard = behaviour.standard()
    weights = np.concatenate([each.weights / each.weights.sum() for each in found])
    drawn = []
    for at, name in enumerate(FITTED):
        values = np.concatenate([each.values[:, at] for each in found])
        low, lower, middle, upper, high = (
            standard[name].prior.probability(value) for value in summary.weighted_quantiles(values, weights, QUANTILES)
        )
        drawn.append(Band(name, (low, lower, middle, upper, high)))
    plot = Plot(
        "parameters",
        "Posterior on the scale of the prior",
        "The prior's thin line would reach from 0.05 to 0.95, and its thick one from 0.25 to 0.75.",
        bands(drawn, label="share of the prior below"),
        height=pages.height(len(drawn)),
    )
    table = Table(
        f"Bands from 5 to 95 %, over all variants. Informed: the band is less than {summary.INFORMED_BELOW:g} of the "
        "prior's.",
        headings("parameter", ">prior", ">posterior", ">median", "=informed", "meaning"),
        tuple(
            (
                row.name,
                f"{row.prior[0]:.3g} to {row.prior[2]:.3g}",
                f"{row.posterior[0]:.3g} to {row.posterior[2]:.3g}",
                f"{row.posterior[1]:.3g}",
                YesNo(row.is_informed, "yes" if row.is_informed else "no"),
                standard[row.name].title,
            )
            for row in rows
        ),
    )
    medians = Table(
        "Medians of each structure of behaviour.",
        headings("parameter", ">prior", *(f">{each.variant}" for each in found)),
        tuple(
            (
                row.name,
                f"{row.prior[1]:.3g}",
                *(f"{summary.weighted_quantiles(each.values[:, at], each.weights)[1]:.3g}" for each in found),
            )
            for at, row in enumerate(rows)
        ),
    )
    return plot, table, medians


def _variants(found: Sequence[Fitted]) -> Table:
    return Table(
        "The largest distance of a particle from the results, in units of their tolerance.",
        headings("variant", ">particles", ">effective", ">simulations", ">distance"),
        tuple(
            (
                each.variant,
                str(each.weights.size),
                f"{each.effective:.1f}",
                f"{each.simulations:,}",
                f"{each.distance:.2f}",
            )
            for each in found
        ),
    )


def _pilots(record: dict[str, Any]) -> Table:
    return Table(
        "Files, by their BLAKE3-256.",
        headings("pilot", "description", "results"),
        tuple((each["name"], each["file"], each["results"]) for each in record["pilots"]),
    )


def _record(record: dict[str, Any]) -> Facts:
    arguments = ", ".join(f"{name} {value}" for name, value in record["arguments"].items())
    return Facts(
        (
            ("release", record["release"]),
            ("code, BLAKE3", record["code"]),
            ("priors, BLAKE3", record["priors"]),
            ("arguments", arguments),
        ),
        is_code=True,
    )
