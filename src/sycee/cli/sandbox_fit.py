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
    leave_out: Annotated[list[str], Parameter(help="Names of shipped pilots to leave out.", negative="")] = [],  # noqa: B006
    particles: Annotated[
        int, Parameter(help="Particles of each variant.", validator=Between("--particles", 10, 100_000, 100))
    ] = 100,
    generations: Annotated[
        int, Parameter(help="Generations at most.", validator=Between("--generations", 1, 50, 6))
    ] = 6,
    people: Annotated[
        int, Parameter(help="Persons of each run.", validator=Between("--people", 100, 10_000_000, 4_000))
    ] = 4_000,
    seed: Annotated[int, Parameter(help="Seed of all choices.", validator=Between("--seed", 0, 2**31 - 1, 1))] = 1,
    json_: AsJson = False,
) -> None:
    """Fit behaviour to published results of pilots, for each structural variant.

    Prints the prior and the posterior of each fitted parameter, and whether the results inform it. Equal arguments give
    an equal posterior.
    """
    from sycee.core.output_files import require_place
    from sycee.sandbox.behaviour import variants
    from sycee.sandbox.inference import fitting, summary

    require_place(out)
    cases = fitting.cases(pilots or (), leave_out, seed)
    with progress("fitting", "simulations") as report:
        found = fitting.fit(
            cases,
            variants.SHIPPED,
            particles=particles,
            generations=generations,
            people=people,
            seed=seed,
            progress=report,
        )
    fitting.store(found, out)
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
        show(f"{each.variant}: {each.simulations:,} simulations, largest distance {each.distance:.2f}")
    note(f"posterior of {sum(each.weights.size for each in found):,} particles stored in {out}")
