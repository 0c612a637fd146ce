"""Write docs/validity.md from scored predictions: python -m tools.validity_page.

`--compute leave-one-out`, `--compute prior` and `--compute fits` make the files that the page is written from again,
on all cores; the page says which of them, and whether the shipped posterior, are of an earlier state of the code.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np

from sycee import data
from sycee.core.arrays import Array
from sycee.report import chart
from sycee.report.bands import Band, bands
from sycee.report.chart import Drawing
from sycee.sandbox.behaviour import variants
from sycee.sandbox.inference import fitting, posterior
from sycee.sandbox.inference.fitting import FITTED
from sycee.sandbox.pilots import description
from sycee.sandbox.pilots.description import OUTCOMES
from sycee.sandbox.validity import calibration, leaving_out
from sycee.sandbox.validity.calibration import Coverage
from sycee.sandbox.validity.pages import SCALE_LIMIT, height, row_name
from sycee.sandbox.validity.predicting import code_digest
from sycee.sandbox.validity.scoring import Score

COMMAND: Final = "python -m tools.validity_page"
DOCS: Final = Path(__file__).resolve().parent.parent / "docs"
PAGE: Final = DOCS / "validity.md"
FOLDER: Final = DOCS / "validity"
IMAGES: Final = DOCS / "images"
LEAVE_ONE_OUT: Final = "leave-one-out"
PRIOR: Final = "prior"
FITS: Final = "fits"

SEED: Final = 1
OF_LEAVE_ONE_OUT: Final = {
    "particles": 300,
    "generations": 1,
    "people": 1_200,
    "draws": 100,
    "people_of_prediction": 8_000,
    "seed": SEED,
}
OF_PRIOR: Final = {"draws": 200, "synthetic": 200, "people": 4_000, "seed": SEED}
OF_FITS: Final = {"particles": 120, "people": 400, "seed": SEED}
FIT_COUNT: Final = 30
FIT_PILOTS: Final = ("jersey-2020", "luohu-2020", "malta-2021")
FIT_BINS: Final = 5
WIDTH: Final = 900

# Likely reasons of misses, found after the results were known; a test requires one for each miss.
_SMALL_CARD_PAYMENTS: Final = (
    "the card paid many small purchases, as any bank card does; no other pilot of the set has card payments by number "
    "and size. Number and size are one error, because their product is the money spent"
)
REASONS: Final = {
    ("jersey-2020", "payments_per_claimer"): _SMALL_CARD_PAYMENTS,
    ("jersey-2020", "payment_mean"): _SMALL_CARD_PAYMENTS,
    ("jersey-2020", "spent_of_issued"): "a larger share was spent than in any other pilot of the set",
    ("suzhou-2020", "spent_of_issued"): (
        "one online platform took about 45 % of the value; the description has only a number of merchants, from which "
        "fewer places to spend follow"
    ),
    ("luohu-2020", "payment_mean"): (
        "most packets were used in one or two payments; without this pilot, no result of the set shows how many people "
        "spend a packet at once"
    ),
}

# Of the light page: an image of a Markdown page has no style sheet.
LIGHT: Final = {
    "ink": "#1b2730",
    "soft": "#55636d",
    "quiet": "#6b7780",
    "line": "#d5dbde",
    "grid": "#e8ecee",
    "surface": "#ffffff",
    "first": "#0072b2",
    "second": "#e69f00",
    "warning": "#b84a00",
    "first-soft": "#9cc8e4",
}

HEAD: Final = f"""# How well predictions of pilots hold

`{COMMAND}` makes this page from scored predictions. Misses come first. [How predictions are made and
scored](reference/sandbox-predict.md); [files of pilots](reference/pilot-files.md).

**What this page cannot say.**

- The pilots are few, and pilots that published figures did well. Coverage here is no promise for the next pilot.
- Several results of one pilot are not independent: one wrong parameter can miss all of them.
- The structure of the model, the priors and the width of differences between pilots were chosen by people who had seen
  these results. Only pilots that nobody here has seen are a clean test: predict one before its results are published,
  and score it afterwards.
- Hits of money spent say nothing about effects. Results about new consumption are from one trial of cards.
"""


def main(arguments: Sequence[str]) -> None:
    """Compute what is named after `--compute`, and write the page."""
    if arguments and arguments[0] == "--compute":
        for name in arguments[1:]:
            COMPUTED[name]()
    for path, text in written().items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(DOCS.parent))


def written() -> dict[Path, str]:
    """Return the texts of the page and of its images by their paths."""
    left, prior, fits = _read(LEAVE_ONE_OUT), _read(PRIOR), _read(FITS)
    rows = scored(left)
    values = [row for row in rows if row["low"] == row["high"]]
    ranks = np.histogram([row["pit"] for row in values], bins=10, range=(0, 1))[0].tolist()
    return {
        PAGE: "\n".join(_page(left, prior, fits, rows)),
        IMAGES / "validity-scores.svg": _svg("validity-scores", _scaled(rows), height(len(rows))),
        IMAGES / "validity-pit.svg": _svg("validity-pit", _ranks(ranks, "PIT of published results"), 260),
        IMAGES / "validity-prior.svg": _svg("validity-prior", _ranks(prior["ranks"], "rank of synthetic results"), 260),
    }


def scored(left: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the scored results of all pilots with the pilot's name, misses first."""
    rows = [row | {"pilot": each["pilot"]} for each in left["pilots"] for row in each["scored"]["scores"]]
    return sorted(rows, key=lambda row: (row["in_90"], row["in_50"], -abs(row["pit"] - 0.5)))


# --- the page ---


def _page(
    left: dict[str, Any], prior: dict[str, Any], fits: dict[str, Any], rows: list[dict[str, Any]]
) -> Iterable[str]:
    misses = [row for row in rows if not row["in_90"]]
    yield HEAD
    yield "## Misses\n"
    yield (
        f"{len(left['pilots'])} pilots of the fitting set were predicted, each by a fit without its programme (groups "
        f"of one trial are left out together). Of {len(rows)} published results, {len(misses)} are outside of the "
        "band of 90 %:\n"
    )
    yield from _results(misses)
    yield "What may explain them, with the results in view; nothing here was tested:\n"
    yield from sorted({f"- {row['pilot']}, {row['name'].replace('_', ' ')}: {_reason(row)}.\n" for row in misses})
    yield _sizes(left)
    yield "## Coverage\n"
    yield from _coverage(rows)
    yield "![Published results in the predicted bands](images/validity-scores.svg)\n"
    yield "Each row is scaled to its own band of 90 %, with the median at 0.\n"
    yield "![PIT of published results](images/validity-pit.svg)\n"
    yield (
        "PIT is the share of the predicted sample below the result. Calibrated predictions have equal bars; high bars "
        "at both ends are bands that are too narrow, a high middle is bands that are too wide.\n"
    )
    yield "## How far each pilot is from those that were fitted\n"
    yield from _distances(left)
    yield "## Hits\n"
    yield from _results([row for row in rows if row["in_90"]])
    yield "## Synthetic pilots\n"
    yield from _synthetic(prior)
    yield "## Fits of drawn parameters\n"
    yield from _fits(fits)
    yield "## Record\n"
    yield from record_rows(left, prior, fits)


def _reason(row: dict[str, Any]) -> str:
    return REASONS.get((row["pilot"], row["name"]), "no reason is known")


def _sizes(left: dict[str, Any]) -> str:
    fit, shipped = left["arguments"], posterior.load().record["arguments"]
    return (
        f"These fits have {fit['particles']} particles of each structure and {fit['people']:,} persons of each run; "
        f"the predictions have {fit['draws']} draws and {fit['people_of_prediction']:,} persons. The shipped posterior "
        f"has {shipped['particles']} particles and {shipped['people']:,} persons: a fit of that size was not scored.\n"
    )


def _results(rows: list[dict[str, Any]]) -> Iterable[str]:
    if not rows:
        yield "None.\n"
        return
    yield "| pilot | result | published | median | 5 to 95 % | in 50 % | PIT | CRPS | source |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for row in rows:
        bounds = row["quantiles"]
        inside = "yes" if row["in_50"] else "no"
        yield (
            f"| {row['pilot']} | {row_name(row)} | {_published(row)} | {bounds['50']:.3g} | {bounds['5']:.3g} to "
            f"{bounds['95']:.3g} | {inside} | {row['pit']:.2f} | {row['crps']:.2g} | {row['source']} [{row['mark']}] |"
        )
    yield ""


def _published(row: dict[str, Any]) -> str:
    return f"{row['low']:.3g}" if row["low"] == row["high"] else f"{row['low']:.3g} to {row['high']:.3g}"


def _coverage(rows: list[dict[str, Any]]) -> Iterable[str]:
    yield "| outcome | results | in the band of 50 % | in the band of 90 % | mean absolute error | mean CRPS |"
    yield "|---|---|---|---|---|---|"
    values = [row for row in rows if row["low"] == row["high"]]
    intervals = [row for row in rows if row["low"] != row["high"]]
    for name in OUTCOMES:
        yield from _coverage_row(
            name.replace("_", " "), [row for row in values if row["name"] == name], with_error=True
        )
    yield from _coverage_row("all values", values, with_error=False)
    yield from _coverage_row("intervals, by overlap", intervals, with_error=False)
    yield ""


def _coverage_row(name: str, rows: list[dict[str, Any]], *, with_error: bool) -> Iterable[str]:
    if not rows:
        return
    in_50, in_90 = sum(row["in_50"] for row in rows), sum(row["in_90"] for row in rows)
    error = crps = ""
    if with_error:
        error = f"{np.mean([abs(row['error']) for row in rows]):.3g}"
        crps = f"{np.mean([row['crps'] for row in rows]):.3g}"
    shares = [f"{count} ({count / len(rows):.0%})" for count in (in_50, in_90)]
    yield f"| {name} | {len(rows)} | {shares[0]} | {shares[1]} | {error} | {crps} |"


def _distances(left: dict[str, Any]) -> Iterable[str]:
    yield (
        "0 is in the range of the fitted pilots; 0.69 is twice its nearer end, or half of it; 1 is a kind that was not "
        "fitted.\n"
    )
    yield "| pilot | features outside of the range | facts that its description omits |"
    yield "|---|---|---|"
    for each in left["pilots"]:
        far = [f"{row['feature']} ({row['distance']:.2f})" for row in each["distance"] if row["distance"] > 0]
        yield f"| {each['pilot']} | {'; '.join(far) or 'none'} | {', '.join(each['absent']) or 'none'} |"
    yield ""


def _synthetic(prior: dict[str, Any]) -> Iterable[str]:
    yield (
        f"For each of {len(prior['pilots'])} designs, {prior['synthetic']} pilots were drawn from the prior "
        "(structure, parameters, absent facts, seed), simulated, and predicted with the prior. This tests the "
        "commands, not the world. Tests require that the band of 90 % holds 85 to 95 % of all results, and of those of "
        f"each outcome with more than {calibration.RESULTS_MIN:,}; 80 to 100 % of an outcome with fewer, which "
        "vary more by chance. Each row outside of 85 to 95 % is marked.\n"
    )
    yield "| outcome | results | in the band of 50 % | in the band of 90 % | outside of 85 to 95 % |"
    yield "|---|---|---|---|---|"
    for name, row in prior["outcomes"].items():
        yield _shares(name.replace("_", " "), row)
    yield _shares("all", prior)
    yield ""
    yield "![Ranks of synthetic results](images/validity-prior.svg)\n"


def _shares(name: str, row: dict[str, Any]) -> str:
    share = row["in_90"] / row["results"]
    mark = "" if 0.85 <= share <= 0.95 else "**outside**"
    return f"| {name} | {row['results']:,} | {row['in_50'] / row['results']:.1%} | {share:.1%} | {mark} |"


def _fits(fits: dict[str, Any]) -> Iterable[str]:
    count = fits["fits"]
    yield (
        f"{count} times, parameters were drawn from the prior, results of {', '.join(fits['pilots'])} simulated with "
        f"them and with errors of the model, and the variant `{fits['structure']}` fitted to these "
        f"({fits['arguments']['particles']} particles). The rank of the drawn value is "
        "(particles × share of the weight below it + u) / (particles + 1), with a number u between 0 and 1 drawn for "
        "each: so it is uniform from 0 to 1 if the fit is right. The columns count ranks in fifths; χ² with 4 degrees "
        "of freedom is above 9.5 for about 5 % of parameters with uniform ranks. The last column counts ranks from "
        "0.05 to 0.95. High ends are posteriors that are too certain.\n"
    )
    yield "| parameter | 0 to 0.2 | to 0.4 | to 0.6 | to 0.8 | to 1 | χ² | in the band of 90 % |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, row in fits["parameters"].items():
        counts = row["ranks"]
        chi = sum((each - count / FIT_BINS) ** 2 for each in counts) / (count / FIT_BINS)
        yield f"| `{name}` | {' | '.join(map(str, counts))} | {chi:.1f} | {row['in_90'] / count:.0%} |"
    yield ""


def record_rows(left: dict[str, Any], prior: dict[str, Any], fits: dict[str, Any]) -> Iterable[str]:
    """Return the table of the parts, with the state of the code that each was computed with."""
    yield "| part | arguments | code, BLAKE3 | state of the code |"
    yield "|---|---|---|---|"
    now = code_digest()
    shipped = posterior.load().record
    parts = [
        (f"[{name}](validity/{name}.json)", each) for name, each in zip(COMPUTED, (left, prior, fits), strict=True)
    ]
    for name, each in (*parts, ("shipped posterior", shipped)):
        arguments = ", ".join(f"{key} {value}" for key, value in each["arguments"].items() if isinstance(value, int))
        state = "this one" if each["code"] == now else "**an earlier one**"
        yield f"| {name} | {arguments} | `{each['code'][:16]}…` | {state} |"
    yield ""
    yield (
        f"`{COMMAND} --compute {LEAVE_ONE_OUT} {PRIOR} {FITS}` computes the parts again, `sycee sandbox fit` the "
        "posterior."
    )
    yield ""


# --- images ---


def _scaled(rows: Iterable[dict[str, Any]]) -> Drawing:
    made = []
    for row in rows:
        low, lower, middle, upper, high = row["quantiles"].values()
        name = f"{row['pilot']}: {row_name(row)}"
        made.append(Band(name, (low, lower, middle, upper, high), (row["low"], row["high"]), row["in_90"]).scaled())
    return bands(made, label="widths of the 90 % band from the median", limit=SCALE_LIMIT)


def _ranks(counts: Sequence[int], label: str) -> Drawing:
    def draw(figure: Any, narrow: bool) -> None:
        axes = figure.subplots()
        width = 1 / len(counts)
        axes.bar((np.arange(len(counts)) + 0.5) * width, counts, width=width * 0.94, color=chart.colour("first"))
        axes.axhline(sum(counts) / len(counts), color=chart.colour("warning"), linewidth=1.5)
        axes.set_xlim(0, 1)
        axes.set_xlabel(f"{label}; the line is the uniform count")
        axes.grid(axis="y")

    return draw


def _svg(name: str, drawing: Drawing, tall: int) -> str:
    text = chart.svg(drawing, name=name, width=WIDTH, height=tall)
    text = re.sub(r"var\(--([a-z-]+)\)", lambda match: LIGHT[match[1]], text)
    begin = text.index(">") + 1
    head = re.sub(r'(\d)pt"', r'\1"', text[:begin])
    lines = (head + "<style>svg{background:#fff;font-family:sans-serif}</style>" + text[begin:]).splitlines()
    return " ".join(line.strip() for line in lines if line.strip()) + "\n"


# --- the files ---


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found


def _store(name: str, found: dict[str, Any]) -> None:
    (FOLDER / f"{name}.json").write_text(json.dumps(found, ensure_ascii=False) + "\n", encoding="utf-8")


def _say(*parts: object) -> None:
    print(*parts, file=sys.stderr, flush=True)


def leave_one_out() -> None:
    """Compute and store predictions of each pilot of the fitting set by fits without its programme."""
    names = leaving_out.programmes(fitting.cases((), (), SEED))
    with ProcessPoolExecutor() as pool:
        rows = [row for rows in pool.map(_left_out, names) for row in rows]
    _store(LEAVE_ONE_OUT, leaving_out.together(rows, OF_LEAVE_ONE_OUT))


def _left_out(programme: str) -> list[dict[str, Any]]:
    cases = fitting.cases((), (), SEED)
    rows = leaving_out.without(programme, cases, variants.SHIPPED, **OF_LEAVE_ONE_OUT, progress=lambda *_: None)
    _say("left out:", *(row["pilot"] for row in rows))
    return rows


def prior() -> None:
    """Compute and store coverage of synthetic pilots of the prior."""
    names = data.names(description.FOLDER)
    with ProcessPoolExecutor() as pool:
        scores = [each for found in pool.map(_of_design, names) for each in found]
    by_outcome = {name: [each for each in scores if each.result.outcome == name] for name in OUTCOMES}
    _store(
        PRIOR,
        {
            "code": code_digest(),
            "arguments": OF_PRIOR,
            "pilots": list(names),
            "synthetic": OF_PRIOR["synthetic"],
        }
        | Coverage.of(scores).as_json()
        | {"outcomes": {name: Coverage.of(each).as_json() for name, each in by_outcome.items() if each}},
    )


def _of_design(name: str) -> list[Score]:
    scores = calibration.of_prior([description.load(name)], **OF_PRIOR, progress=lambda *_: None)
    _say("design:", name)
    return scores


def fits() -> None:
    """Compute and store ranks of drawn parameters in fits to their own synthetic results."""
    with ProcessPoolExecutor() as pool:
        ranks = np.array(list(pool.map(_fit_ranks, range(FIT_COUNT))))
    _store(
        FITS,
        {
            "code": code_digest(),
            "arguments": OF_FITS,
            "fits": FIT_COUNT,
            "structure": variants.SHIPPED[0],
            "pilots": list(FIT_PILOTS),
            "parameters": {
                name: {
                    "ranks": np.histogram(ranks[:, at], bins=FIT_BINS, range=(0, 1))[0].tolist(),
                    "in_90": int(((ranks[:, at] >= 0.05) & (ranks[:, at] <= 0.95)).sum()),
                }
                for at, name in enumerate(FITTED)
            },
        },
    )


def _fit_ranks(number: int) -> Array:
    cases = fitting.cases(FIT_PILOTS, (), SEED)
    found = calibration.of_fit(cases, variants.SHIPPED[0], fits=[number], **OF_FITS, progress=lambda *_: None)
    _say("fit:", number)
    row: Array = found[0]
    return row


COMPUTED: Final = {LEAVE_ONE_OUT: leave_one_out, PRIOR: prior, FITS: fits}

if __name__ == "__main__":
    main(sys.argv[1:])
