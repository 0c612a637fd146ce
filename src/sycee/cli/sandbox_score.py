"""`sycee sandbox score`: score predictions against published results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from sycee.cli.parameters import AsJson
from sycee.cli.terminal import note, print_table, show, show_json, table

SHARES: Final = ("claim_rate", "spent_of_claimed", "spent_of_issued", "sector_share", "size_share")  # at most 1


def score(
    files: Annotated[
        list[str], Parameter(name="FILES", help="Predictions and their published results in turn: P.json R.toml …")
    ],
    /,
    *,
    out: Annotated[Path | None, Parameter(help="JSON file for the record of the scores.")] = None,
    page: Annotated[Path | None, Parameter(help="HTML file for a page with plots.")] = None,
    json_: AsJson = False,
) -> None:
    """Score predictions against published results: coverage, PIT, CRPS, absolute errors; misses first.

    Results are read from files, or are shipped ones by name.
    """
    from sycee.core.errors import UsageError
    from sycee.core.output_files import require_outputs, write_file
    from sycee.core.words import quantity
    from sycee.sandbox.records import making, record
    from sycee.sandbox.records.inputs import Inputs
    from sycee.sandbox.validity import pages

    if not files or len(files) % 2:
        raise UsageError(
            f"{len(files)} files are no pairs of prediction and results", hint="sycee sandbox score P.json RESULTS.toml"
        )
    require_outputs({"--out": out, "--page": page}, inputs=[Path(each) for each in files])
    made, found, predictions = making.scores({"files": files}, Inputs())
    if out is not None:
        write_file(out, record.content(made))
    if page is not None:
        pages.write_scores(found, predictions, page)
    if json_:
        show_json(made)
        return
    shown = table(
        "result",
        "published",
        "median",
        "5 to 95 %",
        "90 %",
        "50 %",
        "PIT",
        "CRPS",
        numbers=("published", "median", "PIT"),
    )
    for each in found.scores:
        result = each.result
        shown.add_row(
            pages.result_name(result, found),
            f"{result.low:.4g} to {result.high:.4g}" if result.is_interval else f"{result.low:.4g}",
            f"{each.quantiles['50']:.4g}",
            f"{each.quantiles['5']:.4g} to {each.quantiles['95']:.4g}",
            "hit" if each.in_90 else "miss",
            "hit" if each.in_50 else "miss",
            f"{each.pit:.2f}",
            f"{each.crps:.3g}",
        )
    print_table(shown)
    for what, is_interval in (("value", False), ("interval", True)):
        count, in_50, in_90 = found.coverage(intervals=is_interval)
        if count:
            show(f"{quantity(count, what)}: {in_90} in the band of 90 %, {in_50} in the band of 50 %")
    for each in found.scores:
        if each.result.outcome in SHARES and each.result.high > 1:
            note(f"{each.result.outcome} is {each.result.high:g}, and a share is from 0 to 1: write 71 % as 0.71")
    for missing in found.missing:
        show(f"not predicted: {pages.result_name(missing.result, found)}: {missing.why}")
    if out is not None:
        note(f"scores stored in {out}")
    if page is not None:
        note(f"page stored in {page}")
