"""`sycee clearing days`: policies of settlement side by side on synthetic days."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from sycee.cli.parameters import AsJson, Between
from sycee.cli.terminal import note, print_table, progress, show, show_json, table
from sycee.core.extras import extra

if TYPE_CHECKING:
    from sycee.days.compare import Comparison

SEEDS_MAX = 1_000
PREFUNDS = (29, 60, 150)


def days(
    *,
    assumptions: Annotated[str, Parameter(help="A shipped synthetic day, or a TOML file.")] = "chips-like",
    seeds: Annotated[int, Parameter(help="Number of days.", validator=Between("--seeds", 1, SEEDS_MAX, 20))] = 5,
    first_seed: Annotated[
        int, Parameter(help="Seed of the first day.", validator=Between("--first-seed", 0, 2**62, 0))
    ] = 0,
    prefund: Annotated[
        list[int] | None, Parameter(help="The day's value over the prefund; may be given several times.")
    ] = None,
    policy: Annotated[list[str] | None, Parameter(help="A policy; may be given several times.")] = None,
    report: Annotated[Path | None, Parameter(help="Write the page with plots to this file.")] = None,
    json_: AsJson = False,
) -> int:
    """Settle synthetic days of payments between banks under several policies, and compare share and delay.

    The same seeds give the same days and figures on every machine.
    """
    from sycee.core.output_files import require_place
    from sycee.days import assumptions as assumed
    from sycee.days import policies
    from sycee.days.compare import compare

    if report is not None:
        with extra("clearing"):
            import matplotlib as mpl  # noqa: F401
        require_place(report)
    loaded = assumed.load(assumptions)
    chosen = [policies.named(name) for name in policy] if policy else list(policies.POLICIES)
    with progress("settling days", "runs") as advance:
        found = compare(
            loaded,
            list(dict.fromkeys(chosen)),
            seeds=range(first_seed, first_seed + seeds),
            values_per_prefund=list(dict.fromkeys(prefund or PREFUNDS)),
            progress=advance,
        )
    if report is not None:
        from sycee.days import page

        page.write(found, report)
    if json_:
        show_json(_as_json(found))
    else:
        _print(found)
    if report is not None:
        note(f"report written to {report}")
    return 0


def _print(found: Comparison) -> None:
    day = found.assumptions
    show(f"{day.name}: {day.count} banks, {day.payments:,} payments, {len(found.seeds)} days", style="bold")
    numbers = ("value", "count", "delay", "delay of large", "delay of urgent")
    made = table("prefund", "policy", *numbers, numbers=numbers)
    for level in found.levels:
        for policy in found.policies:
            spreads = [
                level.spread(policy.name, name)
                for name in ("value_share", "count_share", "delay", "delay_large", "delay_urgent")
            ]
            made.add_row(f"1/{level.value_per_prefund}", policy.title, *(each.per_cent_text() for each in spreads))
        shares = [each.value_most / value for each, value in zip(level.bounds, level.values, strict=True)]
        delays = [
            each.delay_least / value / day.seconds for each, value in zip(level.bounds, level.values, strict=True)
        ]
        from sycee.days.compare import Spread

        made.add_row(
            f"1/{level.value_per_prefund}", "No policy exceeds", Spread.of(shares).per_cent_text(), "-",
            Spread.of(delays).per_cent_text(), "-", "-",
        )  # fmt: skip
    print_table(made)
    show("value, count: settled before the close, %; delay: by value, % of the day; medians [5th, 95th percentile]")


def _as_json(found: Comparison) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "assumptions": found.assumptions.name,
        "seeds": list(found.seeds),
        "levels": [
            {
                "value_per_prefund": level.value_per_prefund,
                "values_minor": list(level.values),
                "prefunds_minor": list(level.prefunds),
                "bounds": [asdict(each) for each in level.bounds],
                "policies": {name: [asdict(each) for each in days] for name, days in level.measures.items()},
            }
            for level in found.levels
        ],
    }
