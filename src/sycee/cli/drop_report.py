"""Commands of `sycee drop` that report: the situation during a programme, and the closing report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, TypeAlias

from cyclopts import Parameter

from sycee.cli.bank_options import BankFolder, open_bank
from sycee.cli.parameters import AsJson
from sycee.cli.terminal import show, show_json
from sycee.core import money
from sycee.core.errors import UsageError
from sycee.core.output_files import refuse_inside, require_outputs, write_file
from sycee.core.words import quantity

Name: TypeAlias = Annotated[str, Parameter(help="Name of the programme.")]
Number: TypeAlias = Annotated[int, Parameter(help="Number of the occurrence.")]


def situation(
    folder: BankFolder, name: Name, /, *,
    occurrence: Number = 0,
    output: Annotated[Path | None, Parameter(help="Write an HTML page to this file.")] = None,
    json_: AsJson = False,
) -> int:  # fmt: skip
    """Show what was claimed, spent and refused so far, and payments to examine."""
    from sycee.programmes.situation_page import document, situation_page
    from sycee.report import page

    require_outputs({"--output": output}, outside=folder)
    with open_bank(folder) as bank:
        found = bank.situations.read(name, occurrence)
        if output is not None:
            definition = bank.programmes.get(name).definition
            page.write(situation_page(definition, found, bank.config.mark), output)
        if json_:
            show_json(document(found))
            return 0
        results, currency = found.results, bank.config.currency
        show(
            f"claimed: {results.claimed:,} of {quantity(results.members, 'packet')}, "
            f"{money.with_code(results.spent_minor, currency)} spent in "
            f"{quantity(results.payments, 'payment')}"
        )
        show(*(f"claims refused: {count:,} {code}" for code, count in found.claims_refused.items()))
        show(*(f"payments refused: {count:,} {code}" for code, count in found.payments_refused.items()))
        show(
            *(f"flag: {each.kind}, {each.count:,} of {each.of:,} (threshold {each.threshold})" for each in found.flags)
        )
    return 0


def situations(
    folder: BankFolder, name: Name, /, *,
    hour: Annotated[str, Parameter(help="Local hour of a stored situation, such as 2026-11-07T08.")] = "",
    output: Annotated[Path | None, Parameter(help="Write the page of --hour to this file.")] = None,
    occurrence: Number = 0, json_: AsJson = False,
) -> int:  # fmt: skip
    """List the situations that a job stored each hour from the drop to the expiry, or show one of them."""
    if output is not None and not hour:
        raise UsageError("--output needs the hour of a situation", hint="--hour 2026-11-07T08")
    require_outputs({"--output": output}, outside=folder)
    with open_bank(folder) as bank:
        history = bank.situation_history
        if output is not None:
            write_file(output, history.page(name, occurrence, hour))
            show(f"wrote {output}")
        elif hour:
            show_json(history.document(name, occurrence, hour))
        else:
            hours = [each.hour for each in history.list(name, occurrence)]
            if json_:
                show_json({"hours": hours})
            else:
                show(*hours)
    return 0


def report(
    folder: BankFolder, name: Name, output: Annotated[Path, Parameter(help="Folder for the files.")], /, *,
    occurrence: Number = 0,
) -> int:  # fmt: skip
    """Write the closing report of an occurrence: one HTML page, and its tables as CSV and Parquet."""
    refuse_inside(output, folder, "OUTPUT")
    with open_bank(folder) as bank:
        for path in bank.closing_reports.write(name, occurrence, output):
            show(f"wrote {path}")
    return 0


COMMANDS: Final = (situation, situations, report)
