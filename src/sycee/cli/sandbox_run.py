"""`sycee sandbox run`: a programme on a synthetic city, by the engine alone or on a ledger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from sycee.cli.parameters import AsJson, Between
from sycee.cli.terminal import note, print_table, progress, show, show_json, table

if TYPE_CHECKING:
    from rich.table import Table

_MONEY = frozenset(
    {
        "issued", "claimed", "spent", "refunded", "top_up", "returned",
        "own", "substituted", "forward", "new", "lifted", "paid_back",
    }
)  # fmt: skip


def run(
    programme: Annotated[str, Parameter(name="PROGRAMME", help="Programme file, or the name of a shipped pilot.")],
    /,
    *,
    city: Annotated[Path, Parameter(help="Folder of a city, from `sycee sandbox city`.")],
    ledger: Annotated[
        Path | None,
        Parameter(help="Folder, new or of this run when interrupted: run it on a bank's ledger, and compare."),
    ] = None,
    ordinary: Annotated[
        bool, Parameter(negative="", help="On the ledger, pay all purchases: every person has a wallet.")
    ] = False,
    out: Annotated[Path | None, Parameter(help="JSON file for the record of the run.")] = None,
    page: Annotated[Path | None, Parameter(help="HTML file for a page with plots.")] = None,
    structure: Annotated[str, Parameter(help="Structure of behaviour.")] = "liquid-wealth",
    seed: Annotated[int, Parameter(help="Seed of all choices.", validator=Between("--seed", 0, 2**63 - 1, 1))] = 1,
    days: Annotated[int | None, Parameter(help="Number of days.")] = None,
    refunds: Annotated[
        float | None,
        Parameter(
            help="Share of payments of a purse that are taken back on the same day. That of the parameters without.",
            validator=Between("--refunds", 0, 1, 0.02),
        ),
    ] = None,
    json_: AsJson = False,
) -> None:
    """Run a programme on a synthetic city, by the engine alone or on a ledger too.

    With --ledger, every purse and every shop of the ledger is compared with the engine's. Exit code 3 if one differs.
    """
    from sycee.core.errors import IntegrityError, UsageError
    from sycee.core.output_files import require_distinct, require_outputs, write_file
    from sycee.sandbox.ledger_run import page as pages
    from sycee.sandbox.ledger_run.folder import BANK, RECORD
    from sycee.sandbox.records import making, record
    from sycee.sandbox.records.inputs import Inputs

    require_distinct({"--ledger": ledger, "--out": out, "--page": page}, [Path(programme), city])
    require_outputs({"--out": out, "--page": page})
    if ordinary and ledger is None:
        raise UsageError("--ordinary pays purchases on a ledger, and there is none", hint="name a folder for --ledger")
    arguments = {
        "programme": programme,
        "city": str(city),
        "variant": structure,
        "seed": seed,
        "days": days,
        "refunds": refunds,
        "ordinary": ordinary,
        "ledger": ledger is not None,
    }
    ran = making.run(arguments, Inputs(), progress, ledger)
    made = ran.record
    if ledger is not None:
        write_file(ledger / RECORD, record.content(made))
    if out is not None:
        write_file(out, record.content(made))
    if page is not None:
        pages.write(made, ran.outcome, ran.city, page)
    if json_:
        show_json(made)
    else:
        _show(made)
    if page is not None:
        note(f"page stored in {page}")
    if ledger is not None:
        bank = ledger / BANK
        note(f"bank and ledger stored in {bank}; check it: sycee verify {bank} --authority")
    answer = made["ledger"]
    if answer is not None and not answer["equal"]:
        raise IntegrityError(
            f"ledger and engine differ: {answer['differences']:,} sums, "
            f"{sum(answer['refused'].values()):,} refused operations",
            hint="--out FILE stores the first differences and every refusal",
        )


def _show(made: dict[str, Any]) -> None:
    place = made["city"]["name"]
    show(f"{made['programme']} in {place}: {made['people']:,} persons, {made['days']} days", style="bold")
    for text in made["cannot_say"]:
        show(f"  {text}")
    print_table(_totals(made))
    show(f"digest {made['digest']}")
    answer = made["ledger"]
    if answer is None:
        return
    paid = f"{answer['payments']:,} payments"
    if answer["refunds"]:
        paid += f", {answer['refunds']:,} refunds"
    if answer["purchases"]:
        paid += f" and {answer['purchases']:,} ordinary purchases"
    show(f"ledger: {paid} in {answer['operations']:,} operations, digest {answer['digest']}")
    for reason, count in answer["refused"].items():
        show(f"refused: {count:,} × {reason}")
    if answer["equal"]:
        show("every purse and every shop is equal on the ledger and in the engine")


def _totals(made: dict[str, Any]) -> Table:
    from sycee.core import money

    shown = table("total", "value", numbers=("value",))
    currency = money.currency(made["currency"])
    for name, value in made["totals"].items():
        shown.add_row(name.replace("_", " "), money.format(value, currency) if name in _MONEY else f"{value:,}")
    return shown
