"""Pages of a prediction and of scores: what they cannot say first, then bands, tables and digests."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from sycee.report import page
from sycee.report.bands import BANDS_MAX, Band, bands, not_drawn
from sycee.report.page import Block, Facts, Notice, Page, Paragraph, Plot, Points, Section, Table, Tile, Tiles, YesNo
from sycee.report.page import columns as headings
from sycee.sandbox.pilots.description import OUTCOMES, PAYMENT_MEAN, PAYMENTS_PER_CLAIMER
from sycee.sandbox.pilots.published import Result
from sycee.sandbox.validity.scoring import Score, Scores

SYNTHETIC: Final = "synthetic data"
ROW_HEIGHT: Final = 24
AXIS_HEIGHT: Final = 90
SCALE_LIMIT: Final = 3.0  # widths of a 90 % band
NO_RATIOS: Final = frozenset({PAYMENT_MEAN, PAYMENTS_PER_CLAIMER})  # would make the axis of shares too long


def write_prediction(prediction: dict[str, Any], path: Path) -> None:
    """Write the page of a prediction. Raises like `core.output_files.write_file`."""
    page.write(prediction_page(prediction), path)


def write_scores(scores: Scores, predictions: list[dict[str, Any]], path: Path) -> None:
    """Write the page of scores. Raises like `core.output_files.write_file`."""
    page.write(scores_page(scores, predictions), path)


def prediction_page(prediction: dict[str, Any]) -> Page:
    """Return the page of a prediction, as `predicting.predict` returns it."""
    rows = [row for row in prediction["outcomes"] if row["quantiles"]]
    return Page(
        kicker="Sycee sandbox: prediction",
        title=prediction["title"],
        summary="Predicted from facts of the design alone. No result of this pilot was read.",
        facts=(("pilot", prediction["pilot"]), ("draws", str(prediction["draws"])), ("seed", str(prediction["seed"]))),
        opening=(
            Notice("Read first what this prediction cannot say."),
            Points(tuple((f"{at}", text) for at, text in enumerate(prediction["cannot_say"], 1))),
            *_gaps(prediction),
        ),
        sections=(
            Section("bands", "What is predicted", "Bands", (*_ratios(rows), _table(rows))),
            Section("structures", "What depends on the structure of the model", "Structures", (_structures(rows),)),
            Section("distance", "How far the design is from the fitted pilots", "Distance", (_distances(prediction),)),
            Section("record", "From what it follows", "Record", (_record(prediction),)),
        ),
        footer="This page is one file and needs no network.",
    )


def scores_page(scores: Scores, predictions: list[dict[str, Any]]) -> Page:
    """Return the page of scores of one or several predictions."""
    count, in_50, in_90 = scores.coverage(intervals=False)
    intervals, _, intervals_90 = scores.coverage(intervals=True)
    found = (scaled_bands("scores", "Published results in the predicted bands", scores), scores_table(scores))
    return Page(
        kicker="Sycee sandbox: scores",
        title="Predictions against published results",
        summary="Misses first. A band of 90 % should hold nine of ten results, and a band of 50 % half of them.",
        facts=(("predictions", str(len(predictions))), ("results", str(len(scores.scores)))),
        opening=(
            Notice("A few results of a few pilots cannot show that predictions of other pilots are right."),
            Tiles(
                (
                    Tile("in the band of 90 %", f"{in_90} of {count}", note="values"),
                    Tile("in the band of 50 %", f"{in_50} of {count}", note="values"),
                    Tile("intervals hit", f"{intervals_90} of {intervals}", note="that overlap the band of 90 %"),
                    Tile("not predicted", str(len(scores.missing)), note="results without a prediction"),
                )
            ),
        ),
        sections=(
            Section("scores", "Where results fell", "Scores", (*(found if scores.scores else ()), *_missing(scores))),
            Section("record", "Which predictions", "Record", tuple(_record(each) for each in predictions)),
        ),
        footer="This page is one file and needs no network.",
    )


def scaled_bands(name: str, title: str, scores: Scores) -> Plot:
    """Return the plot of results in their bands, each scaled to its own."""
    rows = [_band(each, scores).scaled() for each in scores.scores]
    return Plot(
        name,
        title,
        "Each row is scaled to its own 90 % band, with the median at 0. A result outside of the line is a miss."
        + not_drawn(len(rows)),
        bands(rows, label="widths of the 90 % band from the median", limit=SCALE_LIMIT),
        height=height(len(rows)),
        badge=SYNTHETIC,
    )


def height(rows: int) -> int:
    """Return the height of a plot with a row for each band, in CSS pixels."""
    return AXIS_HEIGHT + ROW_HEIGHT * min(rows, BANDS_MAX)


def row_name(row: dict[str, Any]) -> str:
    """Return outcome, sector and date of a row in words."""
    name = row["name"].replace("_", " ")
    return " ".join(part for part in (name, row["sector"], row["date"]) if part)


def result_name(result: Result, scores: Scores) -> str:
    """Return a result in words, with its pilot if the scores are of several."""
    date = result.date.isoformat() if result.date else None
    name = row_name({"name": result.outcome, "sector": result.sector, "date": date})
    pilots = {each.result.pilot for each in scores.scores} | {each.result.pilot for each in scores.missing}
    return f"{result.pilot}: {name}" if len(pilots) > 1 else name


def _band(each: Score, scores: Scores) -> Band:
    result = each.result
    return Band(result_name(result, scores), _of(each.quantiles), (result.low, result.high), each.in_90)


def _quantiles(row: dict[str, Any]) -> tuple[float, float, float, float, float]:
    return _of(row["quantiles"])


def _of(values: dict[str, float]) -> tuple[float, float, float, float, float]:
    return (values["5"], values["25"], values["50"], values["75"], values["95"])


def _gaps(prediction: dict[str, Any]) -> list[Block]:
    found = [(key, f"not in the file; assumed: {assumed}") for key, assumed in prediction["absent"].items()]
    found += [(key, text) for key, _, text in (each.partition(": ") for each in prediction["not_used"])]
    return [Points(tuple(found))] if found else [Paragraph("The file gives every fact that a rule of behaviour reads.")]


def _ratios(rows: list[dict[str, Any]]) -> tuple[Plot, ...]:
    """Return the plot of outcomes that are ratios; nothing without one."""
    ratios = [row for row in rows if row["name"] not in NO_RATIOS]
    if not ratios:
        return ()
    sentence = "Thin lines hold 90 % of the predicted values, thick ones 50 %; the mark is the median."
    if len(ratios) < len(rows):
        sentence += " Amounts and numbers of payments are in the table."
    return (
        Plot(
            "bands",
            "Outcomes that are ratios",
            sentence + not_drawn(len(ratios)),
            bands([Band(row_name(row), _quantiles(row)) for row in ratios], label="ratio"),
            height=height(len(ratios)),
            badge=SYNTHETIC,
        ),
    )


def _table(rows: list[dict[str, Any]]) -> Table:
    return Table(
        "Quantiles over parameters, absent facts and structures together.",
        headings("outcome", ">5 %", ">25 %", ">median", ">75 %", ">95 %", "meaning"),
        tuple((row_name(row), *(f"{value:.4g}" for value in _quantiles(row)), OUTCOMES[row["name"]]) for row in rows),
    )


def _structures(rows: list[dict[str, Any]]) -> Table:
    names = list(rows[0]["by_structure"]) if rows else []
    return Table(
        "Medians of each structure of behaviour, and the band of seeds alone at central parameters.",
        headings("outcome", *(f">{name}" for name in names), ">seeds, 5 to 95 %"),
        tuple(
            (
                row_name(row),
                *(f"{row['by_structure'][name]['50']:.4g}" if row["by_structure"][name] else "–" for name in names),
                f"{row['by_seed']['5']:.4g} to {row['by_seed']['95']:.4g}" if row["by_seed"] else "–",
            )
            for row in rows
        ),
    )


def _distances(prediction: dict[str, Any]) -> Table:
    def shown(value: object) -> str:
        return f"{value:.3g}" if isinstance(value, float) else str(value)

    return Table(
        "0 is in the fitted range; 0.69 is twice its nearer end, or half of it; 1 is a kind that was not fitted.",
        headings("feature", "this design", "fitted", ">distance"),
        tuple(
            (
                each["feature"],
                shown(each["value"]),
                shown(each["low"]) + (f" to {shown(each['high'])}" if each["high"] != "" else ""),
                f"{each['distance']:.2f}",
            )
            for each in prediction["distance"]
        ),
    )


def _record(prediction: dict[str, Any]) -> Facts:
    return Facts(
        (
            ("pilot", prediction["pilot"]),
            ("release", prediction["release"]),
            ("description, BLAKE3", prediction["file"]),
            ("parameters", f"{prediction['posterior']['source']} {prediction['posterior']['digest']}"),
            *(("older", text) for text in prediction["posterior"].get("older", ())),
            ("code, BLAKE3", prediction["code"]),
            ("draws, seed, persons", f"{prediction['draws']}, {prediction['seed']}, {prediction['people']}"),
        ),
        is_code=True,
    )


def scores_table(scores: Scores) -> Table:
    """Return the table of results, misses first."""
    return Table(
        "Published results, misses first. PIT: share of the predicted sample below the result. CRPS: 0 is best.",
        headings("result", ">published", ">median", ">5 to 95 %", "=in 90 %", "=in 50 %", ">PIT", ">CRPS", "source"),
        tuple(
            (
                result_name(each.result, scores),
                _published(each.result),
                f"{each.quantiles['50']:.4g}",
                f"{each.quantiles['5']:.4g} to {each.quantiles['95']:.4g}",
                YesNo(each.in_90, "hit" if each.in_90 else "miss"),
                YesNo(each.in_50, "hit" if each.in_50 else "miss"),
                f"{each.pit:.2f}",
                f"{each.crps:.3g}",
                f"{each.result.source} [{each.result.mark}]",
            )
            for each in scores.scores
        ),
        stacked=True,
    )


def _missing(scores: Scores) -> tuple[Table, ...]:
    """Return the table of results that were not predicted; nothing if all were."""
    rows = tuple((result_name(each.result, scores), _published(each.result), each.why) for each in scores.missing)
    columns = headings("result", ">published", "why")
    return (Table("Published results that were not predicted.", columns, rows, stacked=True),) if rows else ()


def _published(result: Result) -> str:
    return f"{result.low:.4g} to {result.high:.4g}" if result.is_interval else f"{result.low:.4g}"
