"""`sycee compliance members` and `what-if`: who belongs to a regime, and what would change if that changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from cyclopts import Parameter

from sycee.cli.compliance_options import (
    DEFAULT_INPUTS,
    STOPPED,
    At,
    Inputs,
    NetworkPath,
    columns,
    parse_day,
    parse_states,
    print_json,
)
from sycee.cli.parameters import AsJson
from sycee.cli.terminal import note, progress
from sycee.core import output_files, typos
from sycee.core.errors import IntegrityError, UsageError

if TYPE_CHECKING:
    from sycee.compliance.facts import Network
    from sycee.compliance.reports.membership_page import Adopted

PageFormat: TypeAlias = Annotated[
    Literal["text", "json", "html"] | None, Parameter(name="--format", help="The output format [default: text].")
]
Output: TypeAlias = Annotated[Path | None, Parameter(help="Write the report to this file.")]


def members(
    lists: Annotated[
        list[str] | None,
        Parameter(help="Lists of members: shipped ones by the profile, or files [default: all shipped]."),
    ] = None,
    /,
    *,
    at: At = None,
    state: Annotated[list[str] | None, Parameter(help="Only rows of this state. May be repeated.")] = None,
    relation: Annotated[
        list[str] | None, Parameter(help="Only rows of this relation, such as member. May be repeated.")
    ] = None,
    network: Annotated[
        Path | None, Parameter(help="Declarations: the page also shows what this network would lose or gain.")
    ] = None,
    format_: PageFormat = None,
    output: Output = None,
    json_: AsJson = False,
) -> int:
    """Show which parties belong to a regime or support it, since which day, and who said so. Nobody is bound by it.

    Without --at, rows of all days are shown.
    """
    from sycee.compliance import memberships
    from sycee.compliance.reports import membership_page

    form = _form(format_, output, json_=json_)
    if network is not None and form != "html":
        raise UsageError("--network is for the page", hint="give --format html --output FILE, or use what-if")
    for each in relation or ():
        typos.require(each, memberships.RELATIONS, f"there is no relation {each}", "name a relation")
    found = memberships.load_all(lists or ())
    day, states = parse_day(at, "--at"), parse_states(state or [])
    selected = memberships.selected(found, day=day, states=states, relations=relation or ())
    if form == "json":
        print_json(membership_page.members(selected, day))
    elif form == "text":
        print(membership_page.render_text(selected, columns()), end="")
    else:
        inputs = Inputs(profile=[each.profile for each in found], at=at)
        declared: Network | None = None
        effects: tuple[Adopted, ...] = ()
        if network is not None:
            inputs.check_outputs({"--output": output}, [network])
            judged = inputs.judge([network])
            declared = judged.network
            effects = membership_page.adopted(declared, judged.library, judged.report, found)
        _write(output, membership_page.render_html(selected, declared, effects))
    return 0


def what_if(
    network: NetworkPath,
    /,
    *,
    join: Annotated[
        list[str] | None,
        Parameter(help="STATE=PROFILE: the state adopts the pledge. STATE is a code, members, supporters or all."),
    ] = None,
    leave: Annotated[
        list[str] | None, Parameter(help="STATE=PROFILE: the pledge no longer binds the state. May be repeated.")
    ] = None,
    list_add: Annotated[list[str] | None, Parameter(help="LIST=PARTY: the party is listed. May be repeated.")] = None,
    list_remove: Annotated[
        list[str] | None, Parameter(help="LIST=PARTY: the party is not listed. May be repeated.")
    ] = None,
    inputs: Inputs = DEFAULT_INPUTS,
    format_: PageFormat = None,
    output: Output = None,
    json_: AsJson = False,
) -> int:
    """Show which participants, flows and payments would change, and why, if states joined or left, or a list changed.

    No file is changed. Exit code 1 if a finding newly stops something.
    """
    from sycee.compliance import memberships
    from sycee.compliance.judging import what_if as question
    from sycee.compliance.reports import membership_page
    from sycee.compliance.reports import what_if as report
    from sycee.compliance.reports.routes import NEW_STOP, changes

    form = _form(format_, output, json_=json_)
    given = {question.JOIN: join, question.LEAVE: leave, question.LIST_ADD: list_add, question.LIST_REMOVE: list_remove}
    steps = [question.parse_step(kind, each, f"--{kind}") for kind, texts in given.items() for each in texts or ()]
    inputs.check_outputs({"--output": output}, [network])
    declared, library, day = inputs.load([network])
    with progress("judging") as advance:
        answer = question.ask(declared, library, day, steps, progress=advance)
    if form == "json":
        print_json(report.members(answer))
    elif form == "text":
        print(report.render_text(answer, columns()), end="")
    else:
        lists = memberships.load_all()
        effects = membership_page.adopted(declared, library, answer.before, lists)
        _write(output, report.render_html(answer, lists, effects))
    return STOPPED if any(each.stops == NEW_STOP for each in changes(answer.before, answer.after)) else 0


def _form(format_: Literal["text", "json", "html"] | None, output: Path | None, *, json_: bool) -> str:
    if json_ and format_ not in (None, "json"):
        raise UsageError(f"--json and --format {format_} are two formats", hint="give one of them")
    form = "json" if json_ else format_ or "text"
    if (form == "html") != (output is not None):
        raise UsageError("--format html and --output belong together", hint="give --format html --output page.html")
    if output is not None:
        output_files.require_place(output)
    return form


def _write(output: Path | None, text: str) -> None:
    if output is None:
        raise IntegrityError("a page needs a file")
    output_files.write_file(output, text.encode())
    note(f"Written to {output}")
