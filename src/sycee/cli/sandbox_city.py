"""`sycee sandbox city`: build a synthetic city from published marginals."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sycee.cli.parameters import AsJson, Between
from sycee.cli.terminal import note, print_table, progress, show, show_json, table

if TYPE_CHECKING:
    from rich.table import Table

    from sycee.sandbox.city.model import City, Comparison


def city(
    definition: Annotated[str, Parameter(name="CITY", help="City file, or the name of a shipped city.")],
    /,
    *,
    out: Annotated[Path, Parameter(help="Folder for the city. A city that it holds is replaced.")],
    seed: Annotated[
        int, Parameter(help="Seed of all choices.", validator=Between("--seed", 0, 2**63 - 1, 2020))
    ] = 2020,
    one_in: Annotated[
        int,
        Parameter(
            help="Make one synthetic person for this number of persons.", validator=Between("--one-in", 1, 100_000, 10)
        ),
    ] = 1,
    json_: AsJson = False,
) -> None:
    """Build a synthetic city from published sums, and compare it with them.

    Writes persons.parquet, merchants.parquet, zones.parquet, manifest.json and city.html. Equal file, seed and scale
    give the same digest.
    """
    from sycee.core.extras import extra

    with extra("research"):  # the page is drawn at the end
        import matplotlib as mpl  # noqa: F401

    from sycee.sandbox.city import definition as city_files
    from sycee.sandbox.city import files, page
    from sycee.sandbox.city.build import build

    file = city_files.load(definition)
    files.require_place(out)
    begin = time.perf_counter()
    with progress(f"building {file.name}", "persons") as report:
        made = build(file, seed=seed, one_in=one_in, progress=report)
        digest = files.write(made, out)
        page.write(made, digest, out / files.PAGE)
    seconds = time.perf_counter() - begin
    if json_:
        show_json(files.manifest(made, digest))
    else:
        show(f"{made.title}: {len(made.persons):,} persons, {len(made.merchants):,} shops", style="bold")
        print_table(comparisons(made))
        show(f"digest {digest}")
    note(f"built in {seconds:.1f} s; city stored in {out}, its page is {out / files.PAGE}")


def comparisons(made: City) -> Table:
    """Return the table of published and synthetic figures."""
    shown = table(
        "marginal", "cell", "published", "synthetic", "error %", "mark", numbers=("published", "synthetic", "error %")
    )
    for row in made.comparisons:
        shown.add_row(
            row.marginal, row.cell, _value(made, row, row.published), _value(made, row, row.synthetic),
            "–" if row.error_ppm is None else f"{row.error_ppm / 10_000:+.2f}", row.mark,
        )  # fmt: skip
    return shown


def _value(made: City, row: Comparison, value: int) -> str:
    from sycee.core import money

    if row.unit == "minor":
        return money.format(value, money.currency(made.currency))
    return f"{value * 100 / 1_000_000:.2f} %" if row.unit == "ppm" else f"{value:,}"
