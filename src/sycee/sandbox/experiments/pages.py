"""Page of a comparison: what it cannot say first, then bands, grid, keys, pairs, regret, uncertainties and digests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from sycee.report import page
from sycee.report.bands import BANDS_MAX, Band, bands, not_drawn
from sycee.report.heat import heat
from sycee.report.page import Block, Facts, Notice, Page, Paragraph, Plot, Points, Section, Table
from sycee.report.page import columns as headings
from sycee.sandbox.experiments.comparing import ATTRIBUTED, OUTCOMES
from sycee.sandbox.validity import predicting

SYNTHETIC: Final = "synthetic data"
ROW_HEIGHT: Final = 24
AXIS_HEIGHT: Final = 90
FACTORS_SHOWN: Final = 12
FACTORS_IN_TABLE: Final = 5
EFFECTS: Final = ("new", "cost_per_new", "new_of_spent", "substituted", "forward")
PURSES: Final = tuple(name for name in OUTCOMES if name not in EFFECTS)
PAIRS_MAX: Final = 60  # with more, only pairs with the base are shown
DESIGNS_MAX: Final = 20  # of the plot of all pairs
MAPS_MAX: Final = 8  # of a grid
SOBOL_MAX: Final = 6  # plots of indices
MILLION: Final = 1_000_000
SHOWN: Final = ("claimed", "spent", "new", "cost_per_new")


def write(comparison: dict[str, Any], path: Path) -> None:
    """Write the page of a comparison. Raises like `core.output_files.write_file`."""
    page.write(comparison_page(comparison), path)


def comparison_page(comparison: dict[str, Any]) -> Page:
    """Return the page of a comparison, as `comparing.compare` returns it."""
    designs, currency = comparison["designs"], comparison["currency"]
    runs = comparison["draws"] * comparison["seeds"] * len(comparison["structures"])
    return Page(
        kicker="Sycee sandbox: comparison",
        title=f"Designs of {comparison['base']} on {comparison['city']['name']}",
        summary=f"{len(designs)} designs, each with {runs:,} runs of the same persons, parameters and draws.",
        facts=(
            ("designs", str(len(designs))),
            ("persons of a run", f"{comparison['city']['people']:,}"),
            ("seed", str(comparison["seed"])),
        ),
        opening=(
            Notice("Read first what this comparison cannot say."),
            Points(tuple((f"{at}", text) for at, text in enumerate(comparison["cannot_say"], 1))),
        ),
        sections=(
            Section("designs", "What each design does", "Designs", _designs(designs, currency)),
            *_grid(comparison),
            *_attribution(comparison),
            Section("pairs", "Which design does more in the same run", "Pairs", _pairs(comparison)),
            Section("regret", "What a choice can lose", "Regret", _regret(designs, currency)),
            Section("uncertainty", "Where the uncertainty is from", "Uncertainty", _uncertainty(comparison)),
            *_sobol(comparison),
            Section("record", "From what it follows", "Record", (_record(comparison), _files(designs))),
        ),
        footer="This page is one file and needs no network.",
    )


def band_text(quantiles: dict[str, float] | None) -> str:
    """Return median and band of 90 % in words."""
    if quantiles is None:
        return "–"
    return f"{_figure(quantiles['50'])} [{_figure(quantiles['5'])}, {_figure(quantiles['95'])}]"


def _cell(quantiles: dict[str, float] | None) -> str:
    """Return `band_text` in two lines, for a column of a table."""
    return band_text(quantiles).replace(" [", "\n[")


def _designs(designs: list[dict[str, Any]], currency: str) -> tuple[Block, ...]:
    tables = [
        Table(
            f"{caption}: median [5 %, 95 %] over all runs, in {currency} of the whole city; m is a million.",
            headings("design", *(f">{name.replace('_', ' ')}" for name in names)),
            tuple((each["name"], *(_cell(each["outcomes"][name]["quantiles"]) for name in names)) for each in designs),
            stacked=True,
        )
        for caption, names in (("What it does to consumption", EFFECTS), ("Money of the purses", PURSES))
    ]
    meaning = Table("Columns", headings("outcome", "meaning"), tuple(OUTCOMES.items()), folded="What the columns mean")
    return (
        _plot("new", "New consumption", currency, designs, lambda each: each["outcomes"]["new"]["quantiles"]),
        _plot(
            "new-of-spent",
            "New consumption for each unit spent",
            "ratio",
            designs,
            lambda each: each["outcomes"]["new_of_spent"]["quantiles"],
        ),
        *tables,
        meaning,
    )


def _plot(
    name: str,
    title: str,
    label: str,
    rows: list[dict[str, Any]],
    quantiles: Callable[[dict[str, Any]], dict[str, float] | None],
    sentence: str = "Thin lines hold 90 % of the runs, thick ones 50 %; the mark is the median.",
) -> Plot:
    found = [Band(each["name"], _five(known), None) for each in rows if (known := quantiles(each))]
    return Plot(
        name,
        title,
        sentence + not_drawn(len(found)),
        bands(found, label=label),
        height=AXIS_HEIGHT + ROW_HEIGHT * min(len(found), BANDS_MAX),
        badge=SYNTHETIC,
    )


def _five(quantiles: dict[str, float]) -> tuple[float, float, float, float, float]:
    low, lower, middle, upper, high = quantiles.values()
    return low, lower, middle, upper, high


def _pairs(comparison: dict[str, Any]) -> tuple[Block, ...]:
    pairs, structures = comparison["pairs"], comparison["structures"]
    against = [{"name": each["a"]} | each for each in pairs if each["b"] == comparison["base"]]
    title = f"New consumption for each unit spent, less that of {comparison['base']} in the same run"
    table = Table(
        "Share of runs in which the first design has more new consumption, and more for each unit spent; the latter "
        "by structure, too. Differences: median [5 %, 95 %].",
        headings(
            "first",
            "second",
            ">more new",
            ">difference",
            ">more per unit",
            ">difference",
            *(f">{n}" for n in structures),
        ),
        tuple(
            (
                each["a"],
                each["b"],
                share_text(each["new"]["a_beats_b"]),
                _cell(each["new"]["difference"]["quantiles"]),
                share_text(each["new_of_spent"]["a_beats_b"]),
                _cell(each["new_of_spent"]["difference"]["quantiles"]),
                *(share_text(each["new_of_spent"]["by_structure"][name]) for name in structures),
            )
            for each in (pairs if len(pairs) <= PAIRS_MAX else against)
        ),
        stacked=True,
    )
    if not against:
        return (table,)
    plot = _plot("differences", title, "ratio", against, lambda each: each["new_of_spent"]["difference"]["quantiles"])
    return (plot, *_beats(comparison), table)


def _beats(comparison: dict[str, Any]) -> tuple[Plot, ...]:
    """Return the plot of how often each design is better than each other; none for very many designs."""
    names = [each["name"] for each in comparison["designs"]]
    if len(names) > DESIGNS_MAX:
        return ()
    place = {name: at for at, name in enumerate(names)}
    shares: list[list[float | None]] = [[None] * len(names) for _ in names]
    for each in comparison["pairs"]:
        share = each["new_of_spent"]["a_beats_b"]
        if share is not None:
            a, b = place[each["a"]], place[each["b"]]
            shares[a][b], shares[b][a] = share, 1 - share
    return (
        Plot(
            "beats",
            "Share of runs in which the row is better than the column",
            "Better is more new consumption for each unit spent, with the same persons, parameters and draws. 50 % "
            "says nothing.",
            heat(
                names,
                names,
                shares,
                middle=0.5,
                span=0.5,
                text=share_text,
                across="than this design",
                down="this design",
            ),
            height=AXIS_HEIGHT + 70 + 34 * len(names),
            badge=SYNTHETIC,
        ),
    )


def _attribution(comparison: dict[str, Any]) -> tuple[Section, ...]:
    if not comparison["attribution"]:
        return ()
    rows = [{"name": ", ".join(each["keys"])} | each for each in comparison["attribution"]]
    several = len({each["design"] for each in rows}) > 1
    if several:
        rows = [each | {"name": f"{each['design']}: {each['name']}"} for each in rows]
    plot = _plot(
        "keys",
        "What each key changes in new consumption",
        comparison["currency"],
        rows,
        lambda each: each["new"]["quantiles"],
    )
    table = Table(
        f"What each key changes after those above it, median [5 %, 95 %]; money in {comparison['currency']}. The order "
        "is that of the file: another order gives other figures.",
        headings("design", "keys", *(f">{name.replace('_', ' ')}" for name in ATTRIBUTED)),
        tuple(
            (row["design"], ", ".join(row["keys"]), *(_cell(row[name]["quantiles"]) for name in ATTRIBUTED))
            for row in comparison["attribution"]
        ),
        stacked=True,
    )
    return (Section("attribution", "What each key does", "Keys", (plot, table)),)


def _grid(comparison: dict[str, Any]) -> tuple[Section, ...]:
    """Return maps of the first two axes of a grid, one for each combination of the other axes."""
    designs = [each for each in comparison["designs"] if each["axes"]]
    if not designs:
        return ()
    down, *rest = designs[0]["axes"]
    across = rest[0] if rest else ""
    others = list(dict.fromkeys(tuple(each["axes"][name] for name in rest[1:]) for each in designs))
    rows = list(dict.fromkeys(each["axes"][down] for each in designs))
    columns = list(dict.fromkeys(each["axes"].get(across, "") for each in designs))
    base = _middle(comparison["designs"][0])
    blocks: list[Block] = [
        Paragraph(
            "Each cell is the median of new consumption for each unit spent. Blue is more than the base has, orange "
            "less. Medians hide how sure a difference is: see the pairs."
        )
    ]
    for number, other in enumerate(others[:MAPS_MAX]):
        found = {
            (each["axes"][down], each["axes"].get(across, "")): _middle(each)
            for each in designs
            if tuple(each["axes"][name] for name in rest[1:]) == other
        }
        values = [[found.get((row, column)) for column in columns] for row in rows]
        at = ", ".join(f"{name} {value}" for name, value in zip(rest[1:], other, strict=True))
        known = {key: value for key, value in found.items() if value is not None}
        best = max(known, key=lambda key: known[key], default=None)
        sentence = f"The base has {_figure(base)}." if base is not None else "The base has no figure."
        if best is not None:
            named = f"{down} {best[0]}" + (f", {across} {best[1]}" if across else "")
            sentence = f"Most: {named} with {_figure(known[best])}. {sentence}"
        blocks.append(
            Plot(
                f"grid-{number}",
                f"New consumption for each unit spent{f', {at}' if at else ''}",
                sentence,
                heat(rows, columns, values, middle=base or 0.0, text=_figure, across=across, down=down),
                height=AXIS_HEIGHT + 50 + 44 * len(rows),
                badge=SYNTHETIC,
            )
        )
    if len(others) > MAPS_MAX:
        blocks.append(Paragraph(f"{len(others) - MAPS_MAX} more combinations of the other axes are in the tables."))
    return (Section("grid", "What the values of the grid do", "Grid", tuple(blocks)),)


def _middle(design: dict[str, Any]) -> float | None:
    quantiles = design["outcomes"]["new_of_spent"]["quantiles"]
    return None if quantiles is None else float(quantiles["50"])


def _regret(designs: list[dict[str, Any]], currency: str) -> tuple[Block, ...]:
    def cells(regret: dict[str, Any]) -> tuple[str, str, str]:
        if regret["mean"] is None:
            return "–", "–", "–"
        return share_text(regret["best"]), _figure(regret["mean"]), _figure(regret["quantiles"]["95"])

    plot = _plot(
        "regret",
        "Regret: new consumption for each unit spent, less than the best design of the same run",
        "ratio",
        designs,
        lambda each: each["regret"]["new_of_spent"]["quantiles"],
    )
    table = Table(
        "Best: share of runs in which the design is the best of all. Regret: what it has less than the best of the "
        f"same run, mean and 95 %, in {currency} of new consumption, and for each unit spent.",
        headings(
            "design", ">best, new", ">mean, new", ">95 %, new", ">best, per unit", ">mean, per unit", ">95 %, per unit"
        ),
        tuple(
            (each["name"], *cells(each["regret"]["new"]), *cells(each["regret"]["new_of_spent"])) for each in designs
        ),
        stacked=True,
    )
    return (plot, table)


def _uncertainty(comparison: dict[str, Any]) -> tuple[Block, ...]:
    designs, structures = comparison["designs"], comparison["structures"]
    rows = [
        {"name": f"{each['name']}, {name}", "quantiles": each["outcomes"]["new_of_spent"]["by_structure"][name]}
        for each in designs
        for name in structures
    ]
    plot = _plot(
        "structures",
        "New consumption for each unit spent, by structure",
        "ratio",
        rows,
        lambda each: each["quantiles"],
    )
    table = Table(
        "New consumption for each unit spent. Structures: medians. Parameters: band of 90 % around the median of a "
        "structure. Sampling: band of 90 % of single runs around the mean over seeds.",
        headings("design", *(f">{name}" for name in structures), ">parameters", ">sampling"),
        tuple(
            (
                each["name"],
                *(
                    _figure(quantiles["50"]) if (quantiles := found["by_structure"][name]) else "–"
                    for name in structures
                ),
                _width(found["parameters"]),
                _width(found["sampling"]),
            )
            for each in designs
            for found in [each["outcomes"]["new_of_spent"]]
        ),
        stacked=True,
    )
    return (_three_uncertainties(comparison), plot, table)


def _three_uncertainties(comparison: dict[str, Any]) -> Plot:
    """Return the plot of the three uncertainties of each design, each around 0."""
    rows = []
    for each in comparison["designs"]:
        found = each["outcomes"]["new_of_spent"]
        medians = [known["50"] for known in found["by_structure"].values() if known]
        middle = sorted(medians)[len(medians) // 2] if medians else 0.0
        parts = {
            "structure": predicting.quantiles([median - middle for median in medians]),
            "parameters": found["parameters"],
            "sampling": found["sampling"],
        }
        rows += [{"name": f"{each['name']}, {name}", "quantiles": known} for name, known in parts.items()]
    return _plot(
        "three",
        "Three uncertainties of each design",
        "new consumption for each unit spent, from its middle",
        rows,
        lambda each: each["quantiles"],
        "Structure: medians of the structures. Parameters: within a structure, of means over seeds. Sampling: "
        "runs that differ in their seed alone. Only the last becomes smaller with more persons.",
    )


def _sobol(comparison: dict[str, Any]) -> tuple[Section, ...]:
    if comparison["sobol"] is None:
        return ()
    rows = [each for each in comparison["sobol"]["rows"] if each["factors"]]
    blocks: list[Block] = []
    for number, row in enumerate(rows[:SOBOL_MAX]):
        found = [Band(each["factor"], _around(each)) for each in row["factors"][:FACTORS_SHOWN]]
        of = f"{row['design']} less {row['against']}" if row["against"] else row["design"]
        blocks.append(
            Plot(
                f"sobol-{number}",
                f"Total indices of new consumption for each unit spent: {of}",
                "The mark is the index, thin lines hold 90 %. A total index has all interactions of its factor.",
                bands(found, label="share of variance"),
                height=AXIS_HEIGHT + ROW_HEIGHT * len(found),
                badge=SYNTHETIC,
            )
        )
    table = Table(
        "Sobol indices of new consumption for each unit spent, over the priors: the largest factors. Against another "
        "design: of the difference in the same run.",
        headings("design", "against", "factor", ">first", ">total"),
        tuple(
            (
                row["design"],
                row["against"] or "–",
                each["factor"],
                f"{each['first']:.2f} ± {each['first_width']:.2f}",
                f"{each['total']:.2f} ± {each['total_width']:.2f}",
            )
            for row in rows
            for each in row["factors"][:FACTORS_IN_TABLE]
        ),
    )
    return (Section("sobol", "Which parameters decide", "Sensitivity", (*blocks, table)),)


def _around(each: dict[str, Any]) -> tuple[float, float, float, float, float]:
    """Return a total index with its bands of 90 % and, as a normal distribution has it, of 50 %."""
    middle, width = each["total"], each["total_width"]
    return middle - width, middle - 0.41 * width, middle, middle + 0.41 * width, middle + width


def _record(comparison: dict[str, Any]) -> Facts:
    city, posterior = comparison["city"], comparison["posterior"]
    return Facts(
        (
            ("release", comparison["release"]),
            ("city, BLAKE3", f"{city['name']} {city['digest']}"),
            ("parameters", f"{posterior['source']} {posterior['digest']}"),
            ("code, BLAKE3", comparison["code"]),
            ("totals of all runs, BLAKE3", comparison["runs"]),
            ("draws, seeds, seed, days", ", ".join(str(comparison[k]) for k in ("draws", "seeds", "seed", "days"))),
        ),
        is_code=True,
    )


def _files(designs: list[dict[str, Any]]) -> Table:
    return Table(
        "Files of the designs",
        headings("design", ">recipients in a run", "changed keys", "file, BLAKE3"),
        tuple((each["name"], _recipients(each), ", ".join(each["keys"]) or "–", each["file"]) for each in designs),
        stacked=True,
    )


def _recipients(design: dict[str, Any]) -> str:
    return "all who register" if design["recipients"] is None else f"{design['recipients']:,}"


def _figure(value: float) -> str:
    if abs(value) >= MILLION:
        return f"{value / MILLION:,.3f} m"
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"


def _width(quantiles: dict[str, float] | None) -> str:
    return "–" if quantiles is None else f"{quantiles['5']:+.3g} to {quantiles['95']:+.3g}"


def share_text(value: float | None) -> str:
    """Return a share as a percentage without decimals, "–" for None."""
    return "–" if value is None else f"{value:.0%}"
