"""`sycee sandbox compare`: compare designs of a programme on a synthetic city."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from sycee.cli.parameters import AsJson, Between
from sycee.cli.terminal import note, print_table, progress, show, show_json, table

if TYPE_CHECKING:
    from rich.table import Table


def compare(
    base: Annotated[str, Parameter(name="BASE", help="Programme file, or the name of a shipped pilot.")],
    variants: Annotated[
        tuple[Path, ...], Parameter(name="VARIANT", help="TOML files of dotted keys, which change the base.")
    ] = (),
    /,
    *,
    grid: Annotated[
        Path | None, Parameter(help="TOML file of axes, of which every combination of values is a design.")
    ] = None,
    city: Annotated[str, Parameter(help="Folder of `sycee sandbox city`, or the name of a shipped city.")],
    out: Annotated[Path, Parameter(help="JSON file for the comparison.")],
    attribution: Annotated[
        bool, Parameter(help="Attribute the differences of each variant to its keys, in the order of its file.")
    ] = False,
    sobol: Annotated[
        int,
        Parameter(
            help="Samples for Sobol indices of the parameters, a power of two; 0 for none.",
            validator=Between("--sobol", 0, 1 << 16, 64),
        ),
    ] = 0,
    page: Annotated[Path | None, Parameter(help="HTML file for a page with plots.")] = None,
    posterior: Annotated[
        Path | None, Parameter(help="Parquet file of `sycee sandbox fit`. The shipped posterior without it.")
    ] = None,
    prior: Annotated[bool, Parameter(help="Draw parameters from their priors, without a fit.")] = False,
    draws: Annotated[int, Parameter(help="Draws of parameters.", validator=Between("--draws", 2, 100_000, 200))] = 200,
    seeds: Annotated[
        int, Parameter(help="Seeds of each draw of parameters.", validator=Between("--seeds", 1, 1_000, 2))
    ] = 2,
    people: Annotated[
        int, Parameter(help="Persons of each run.", validator=Between("--people", 100, 100_000_000, 100_000))
    ] = 100_000,
    seed: Annotated[int, Parameter(help="Seed of all choices.", validator=Between("--seed", 0, 2**63 - 1, 1))] = 1,
    json_: AsJson = False,
) -> None:
    """Compare designs of a programme on a synthetic city.

    All designs have the same persons, draws of parameters and seeds. Equal arguments give an equal comparison.
    """
    from sycee.core.errors import UsageError
    from sycee.core.output_files import require_outputs, write_file
    from sycee.sandbox.experiments import pages
    from sycee.sandbox.records import making, record
    from sycee.sandbox.records.inputs import Inputs

    if not variants and grid is None:
        raise UsageError("there is no design to compare with the base", hint="name variants, or --grid GRID.toml")
    if prior and posterior:
        raise UsageError("--posterior and --prior exclude each other", hint="leave one of them out")
    inputs = [Path(base), *variants, *(each for each in (grid, posterior) if each)]
    require_outputs({"--out": out, "--page": page}, inputs=inputs)
    arguments = {
        "base": base,
        "variants": [str(each) for each in variants],
        "grid": str(grid) if grid else None,
        "city": city,
        "attribution": attribution,
        "sobol": sobol,
        "posterior": str(posterior) if posterior else None,
        "prior": prior,
        "draws": draws,
        "seeds": seeds,
        "people": people,
        "seed": seed,
    }
    found = making.comparison(arguments, Inputs(), progress)
    write_file(out, record.content(found))
    if page is not None:
        pages.write(found, page)
    if json_:
        show_json(found)
        return
    for text in (*found["cannot_say"], *found["posterior"]["older"]):
        show(f"  {text}")
    print_table(_designs(found))
    for pair in found["pairs"]:
        if pair["b"] == found["base"]:
            more, more_of_spent = (pages.share_text(pair[key]["a_beats_b"]) for key in ("new", "new_of_spent"))
            show(
                f"{pair['a']} against {pair['b']}: more new consumption in {more} of runs, "
                f"more for each unit spent in {more_of_spent}"
            )
    for row in found["attribution"]:
        show(f"{row['design']}: {', '.join(row['keys'])} changes new by {pages.band_text(row['new']['quantiles'])}")
    for row in found["sobol"]["rows"] if found["sobol"] else ():
        of = row["design"] + (f" against {row['against']}" if row["against"] else "")
        largest = ", ".join(f"{each['factor']} {each['total']:.2f}" for each in (row["factors"] or ())[:3])
        show(f"{of}: largest total Sobol indices: {largest or 'the outcome does not vary'}")
    note(f"comparison stored in {out}" + (f", its page is {page}" if page else ""))


def _designs(found: dict[str, Any]) -> Table:
    """Return the table of medians and bands."""
    from sycee.sandbox.experiments.pages import SHOWN, band_text

    names = [name.replace("_", " ") for name in SHOWN]
    shown = table("design", *names, "regret", numbers=(*names, "regret"))
    for each in found["designs"]:
        regret = each["regret"]["new_of_spent"]["mean"]
        cells = [band_text(each["outcomes"][name]["quantiles"]) for name in SHOWN]
        shown.add_row(each["name"], *cells, "–" if regret is None else f"{regret:.3g}")
    return shown
