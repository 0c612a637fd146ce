"""Reports of a programme over a server: the situation, those of each hour, and the closing report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, TypeAlias

from cyclopts import Parameter

from sycee.cli.lazy import api
from sycee.cli.parameters import AsJson
from sycee.cli.remote_options import Login, connected
from sycee.cli.terminal import show, show_json
from sycee.core.errors import UsageError
from sycee.core.output_files import require_outputs, write_file

REPORT_DEADLINE_S: Final = 120.0  # the server reads all payments of the programme, and draws them

Name: TypeAlias = Annotated[str, Parameter(help="Name of the programme.")]
Number: TypeAlias = Annotated[int, Parameter(name="--occurrence", help="Number of the occurrence.")]


def situation(name: Name, /, *, login: Login, occurrence: Number = 0) -> int:
    """Print what was claimed, spent and refused so far, and payments to examine, as one JSON object."""
    with connected(login) as bank:
        found = bank.do(api.drop_situation(name, occurrence))
    show_json(dict(found))
    return 0


def situations(
    name: Name, /, *, login: Login,
    hour: Annotated[str, Parameter(help="Local hour of a stored situation, such as 2026-11-07T08.")] = "",
    output: Annotated[Path | None, Parameter(help="Write the page of --hour to this file.")] = None,
    occurrence: Number = 0, json_: AsJson = False,
) -> int:  # fmt: skip
    """List the situations that a job stored each hour from the drop to the expiry, or write the page of one."""
    if (output is None) is not (not hour):
        raise UsageError("--hour and --output belong together", hint="--hour 2026-11-07T08 --output page.html")
    require_outputs({"--output": output})
    with connected(login) as bank:
        if output is not None:
            write_file(output, bank.do(api.situation_page(name, occurrence, hour)))
            show(f"wrote {output}")
            return 0
        hours = [each.hour for each in bank.do(api.situations(name, occurrence))]
    if json_:
        show_json({"hours": hours})
    else:
        show(*hours)
    return 0


def report(
    name: Name, output: Annotated[Path, Parameter(help="Folder for the files.")], /, *, login: Login,
    occurrence: Number = 0,
) -> int:  # fmt: skip
    """Write the closing report of an occurrence: one HTML page, and its tables as CSV and Parquet."""
    with connected(login, deadline_s=REPORT_DEADLINE_S) as bank:
        files = bank.do(api.report_files(name, occurrence))
        output.mkdir(parents=True, exist_ok=True)
        for file in files:
            path = output / Path(file).name
            write_file(path, bank.do(api.report_file(name, occurrence, file)))
            show(f"wrote {path}")
    return 0


COMMANDS: Final = (situation, situations, report)
