"""`sycee sandbox predict`: predict a pilot from the facts of its design."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sycee.cli.parameters import AsJson, Between
from sycee.cli.terminal import note, print_table, progress, show, show_json, table


def predict(
    pilot: Annotated[str, Parameter(name="PILOT", help="Description of a pilot, or the name of a shipped one.")],
    /,
    *,
    out: Annotated[Path, Parameter(help="JSON file for the prediction, which `sycee sandbox score` reads.")],
    posterior: Annotated[
        Path | None, Parameter(help="Parquet file of `sycee sandbox fit`. The shipped posterior without it.")
    ] = None,
    prior: Annotated[bool, Parameter(help="Draw parameters from their priors, without a fit.")] = False,
    page: Annotated[Path | None, Parameter(help="HTML file for a page with plots.")] = None,
    draws: Annotated[int, Parameter(help="Draws of parameters.", validator=Between("--draws", 2, 100_000, 200))] = 200,
    people: Annotated[
        int, Parameter(help="Persons of each run.", validator=Between("--people", 100, 10_000_000, 40_000))
    ] = 40_000,
    seed: Annotated[int, Parameter(help="Seed of all choices.", validator=Between("--seed", 0, 2**63 - 1, 1))] = 1,
    json_: AsJson = False,
) -> None:
    """Predict the outcomes of a pilot from the facts of its design.

    The description has no results: a file with one is refused. Equal arguments give an equal prediction.
    """
    from sycee.core.errors import UsageError
    from sycee.core.output_files import require_outputs, write_file
    from sycee.sandbox.records import making, record
    from sycee.sandbox.records.inputs import Inputs
    from sycee.sandbox.validity import pages

    if prior and posterior:
        raise UsageError("--posterior and --prior exclude each other", hint="leave one of them out")
    require_outputs({"--out": out, "--page": page}, inputs=[Path(pilot), *([posterior] if posterior else [])])
    arguments = {
        "pilot": pilot,
        "posterior": str(posterior) if posterior else None,
        "prior": prior,
        "draws": draws,
        "people": people,
        "seed": seed,
    }
    found = making.prediction(arguments, Inputs(), progress)
    write_file(out, record.content(found))
    if page is not None:
        pages.write_prediction(found, page)
    if json_:
        show_json(found)
        return
    show(found["title"], style="bold")
    for text in found["cannot_say"]:
        show(f"  {text}")
    shown = table("outcome", "5 %", "25 %", "median", "75 %", "95 %", numbers=("5 %", "25 %", "median", "75 %", "95 %"))
    for row in found["outcomes"]:
        values = row["quantiles"]
        shown.add_row(pages.row_name(row), *([f"{value:.4g}" for value in values.values()] if values else ["–"] * 5))
    print_table(shown)
    for key, assumed in found["absent"].items():
        show(f"{key} is not in the file; assumed: {assumed}")
    for text in (*found["not_used"], *found["posterior"]["older"]):
        show(text)
    furthest = found["distance"][0]
    if furthest["distance"] > 0:
        show(f"furthest from the fitted pilots: {furthest['feature']} ({furthest['distance']:.2f})")
    note(f"prediction stored in {out}" + (f", its page is {page}" if page else ""))
