"""Parameters and steps that the compliance commands share: inputs, the judge and output files."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from cyclopts import Parameter

from sycee.cli.terminal import progress
from sycee.core import output_files
from sycee.core.errors import UsageError

if TYPE_CHECKING:
    from sycee.compliance.facts import Network
    from sycee.compliance.profiles import Library
    from sycee.compliance.reports.summary import JudgedNetwork

STOPPED: Final = 1  # exit code if an enforced finding stops something

Lists: TypeAlias = Annotated[
    list[Path] | None,
    Parameter(name="--list", help="A list file; it replaces a shipped list with the same id. May be repeated."),
]
At: TypeAlias = Annotated[str | None, Parameter(help="The day judged, such as 2020-12-01 [default: the network's].")]
Trust: TypeAlias = Annotated[
    Path | None, Parameter(help="An authority file: which keys may declare, attest, waive and adopt.")
]
NetworkPath: TypeAlias = Annotated[Path, Parameter(help="A folder of declarations, or one file.")]


@Parameter(name="*")
@dataclass(frozen=True)
class Inputs:
    """The options of a command that judges: profiles, lists and the day."""

    profile: Annotated[
        list[str] | None, Parameter(help="A shipped profile, or a TOML file [default: all shipped]. May be repeated.")
    ] = None
    list_: Lists = None
    at: At = None
    trust: Trust = None

    def load(self, networks: Sequence[Path]) -> tuple[Network, Library, date]:
        """Return the network, the library and the day. Raise UsageError or DocumentError for an invalid input."""
        from sycee import data
        from sycee.compliance import authority, declarations, library

        network = declarations.load(networks, None if self.trust is None else authority.load(self.trust))
        profiles = self.profile or data.names("profiles")
        return network, library.load(profiles, self.list_ or []), parse_day(self.at, "--at") or network.as_of

    def judge(self, networks: Sequence[Path]) -> JudgedNetwork:
        """Judge everything that is declared, with a progress bar."""
        from sycee.compliance.judging.judge import Judge
        from sycee.compliance.reports.summary import JudgedNetwork

        network, library, day = self.load(networks)
        judge = Judge(network, library, day)
        with progress("judging") as advance:
            return JudgedNetwork(network, library, judge.report(advance))

    def check_outputs(self, outputs: Mapping[str, Path | None], networks: Sequence[Path]) -> None:
        """Raise UsageError if an output file, named by its option, cannot be written or would replace an input."""
        inputs = [*networks, *(self.list_ or []), *(Path(each) for each in self.profile or [])]
        inputs += [] if self.trust is None else [self.trust]
        files = [file for each in inputs for file in (each.glob("*.toml") if each.is_dir() else [each])]
        for option, path in outputs.items():
            if path is None:
                continue
            output_files.require_place(path)
            # A folder is read as a whole, so a TOML file in it would be a declaration the next time.
            for folder in inputs:
                if path.suffix == ".toml" and folder.is_dir() and output_files.is_same_file(folder, path.parent):
                    problem = f"{option} {path} would overwrite or add to the input folder {folder}"
                    raise UsageError(problem, hint="name a file in another folder")
        output_files.require_distinct(outputs, files)


DEFAULT_INPUTS: Final = Inputs()


def parse_day(text: str | None, option: str) -> date | None:
    """Return the day in an option, None for None. Raise UsageError unless it is written as in declarations."""
    from sycee.compliance import document_fields

    return None if text is None else document_fields.parse_day(text, option)


def parse_states(codes: list[str]) -> list[str]:
    """Return the codes. Raise UsageError if one is not the code of a state."""
    from sycee.compliance import territories

    for code in codes:
        if code not in territories.codes():
            near = territories.nearest(code)
            hint = f'did you mean "{near}"?' if near else "give two capital letters, as in declarations"
            raise UsageError(f"{code} is not the code of a state", hint=hint)
    return codes


def columns() -> int:
    """Return the width of a line on stdout in characters: 80 if stdout is not a terminal."""
    return shutil.get_terminal_size().columns


def print_json(members: Mapping[str, Any]) -> None:
    """Print one JSON object."""
    from sycee.compliance.reports.json_report import json_text

    print(json_text(members), end="")
