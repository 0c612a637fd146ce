"""`sycee sandbox fit`: fit behaviour to published results of pilots."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sycee.cli.parameters import AsJson, Between
from sycee.cli.terminal import note, print_table, progress, show, show_json, table


def fit(
    pilots: Annotated[
        list[str] | None,
        Parameter(
            name="PILOTS",
            help="Descriptions and their results in turn, or names of shipped pilots. All shipped without.",
        ),
    ] = None,
    /,
    *,
    out: Annotated[Path, Parameter(help="Parquet file for the posterior, which `sycee sandbox predict` reads.")],
    page: Annotated[Path | None, Parameter(help="HTML file for a page with plots.")] = None,
    leave_out: Annotated[list[str], Parameter(help="Names of shipped pilots to leave out.", negative="")] = [],  # noqa: B006
    structure: Annotated[
        list[str], Parameter(help="Structures of behaviour to fit. All shipped without.", negative="")
    ] = [],  # noqa: B006
    particles: Annotated[
        int, Parameter(help="Particles of each variant.", validator=Between("--particles", 10, 100_000, 600))
    ] = 600,
    generations: Annotated[
        int, Parameter(help="Generations at most.", validator=Between("--generations", 1, 50, 1))
    ] = 1,
    people: Annotated[
        int, Parameter(help="Persons of each run.", validator=Between("--people", 100, 10_000_000, 4_000))
    ] = 4_000,
    seed: Annotated[int, Parameter(help="Seed of all choices.", validator=Between("--seed", 0, 2**31 - 1, 1))] = 1,
    json_: AsJson = False,
) -> None:
    """Fit behaviour to published results of pilots, for each structure of behaviour.

    Prints the prior and the posterior of each fitted parameter, and whether the results inform it. Equal arguments give
    an equal posterior.
    """
    from sycee.core.output_files import require_outputs
    from sycee.sandbox.inference import fitting, summary
    from sycee.sandbox.records import making
    from sycee.sandbox.records.inputs import Inputs
    from sycee.sandbox.validity import fit_page

    require_outputs({"--out": out, "--page": page}, inputs=[Path(each) for each in pilots or ()])
    arguments = {
        "pilots": pilots or [],
        "leave_out": leave_out,
        "structures": structure,
        "particles": particles,
        "generations": generations,
        "people": people,
        "seed": seed,
    }
    made = making.fit(arguments, Inputs(), progress)
    cases, found, record = made.cases, made.found, made.record
    fitting.store(found, out, record)
    if page is not None:
        with progress("predicting the fitted pilots", "pilots") as report:
            scores = fit_page.predictive(cases, found, record, seed=seed, progress=report)
        fit_page.write(found, record, scores, page)
    rows = summary.rows(found)
    if json_:
        show_json(summary.as_json(found, cases))
        return
    shown = table("parameter", "prior 5 to 95 %", "posterior 5 to 95 %", "median", "informed", numbers=("median",))
    for row in rows:
        shown.add_row(
            row.name,
            f"{row.prior[0]:.3g} to {row.prior[2]:.3g}",
            f"{row.posterior[0]:.3g} to {row.posterior[2]:.3g}",
            f"{row.posterior[1]:.3g}",
            "yes" if row.is_informed else "no",
        )
    print_table(shown)
    for each in found:
        show(
            f"{each.variant}: {each.simulations:,} simulations, largest distance {each.distance:.2f}, "
            f"{each.effective:.1f} effective particles"
        )
    count = sum(each.weights.size for each in found)
    note(f"posterior of {count:,} particles stored in {out}" + (f", its page is {page}" if page else ""))
