"""`sycee compliance`: judge what was declared under several regimes at once, and say why.

Routes, differences and blocs are in `compliance_ways`; both files share what stands here.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from cyclopts import App, Parameter

from sycee.cli import console
from sycee.core.errors import UsageError
from sycee.core.terminal_text import printable

if TYPE_CHECKING:
    from sycee.compliance.facts import Network
    from sycee.compliance.judging.cases import Case, ExpectationResult
    from sycee.compliance.profiles import Library
    from sycee.compliance.reports.summary import JudgedNetwork
    from sycee.compliance.verdicts import Finding

app = App(name="compliance", help="Judge declared facts under several regimes at once.")
# Imported only when they are called; the help is repeated here for the same reason.
app.command(
    "sycee.cli.compliance_routes:routes",
    name="routes",
    help="Find a way for a flow under all regimes, or the nearest miss.\n\n"
    "What is not said of a flow is unknown. Exit code 1 where there is no route.",
)
app.command(
    "sycee.cli.compliance_routes:split",
    name="split",
    help="See the network in two blocs: who can still pay whom, at what cost.",
)
app.command(
    "sycee.cli.compliance_routes:diff",
    name="diff",
    help="Tell what is judged otherwise when something changes.\n\n"
    "What is not given afterwards stays as it was before. Exit code 1 where something stops now that did not.",
)

STOPPED = 1  # the exit code where something stops that is enforced

Profiles: TypeAlias = Annotated[
    list[str] | None,
    Parameter(
        name="--profile", negative="", help="A profile that judges: one shipped, or a TOML file. May be repeated."
    ),
]
Lists: TypeAlias = Annotated[
    list[Path] | None,
    Parameter(name="--list", negative="", help="A list of one's own, or in place of a shipped one. May be repeated."),
]
At: TypeAlias = Annotated[str | None, Parameter(help="The day judged, as in 2020-12-01; the network's own without it.")]
AsJson: TypeAlias = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object to stdout.")]
NetworkPath: TypeAlias = Annotated[Path, Parameter(help="A folder of declarations, or one file.")]
Form: TypeAlias = Literal["text", "json", "sarif", "junit", "html"]


@app.command
def check(
    networks: Annotated[list[Path], Parameter(help="Folders of declarations, or files: they are put together.")],
    /,
    *,
    profile: Profiles = None,
    list_: Lists = None,
    at: At = None,
    format_: Annotated[Form | None, Parameter(name="--format", help="What to write; text without it.")] = None,
    everything: Annotated[bool, Parameter(name="--all", negative="", help="Tell what holds, too, as text.")] = False,
    output: Annotated[Path | None, Parameter(help="Write it to this file.")] = None,
    picture: Annotated[Path | None, Parameter(help="Write a picture of the network, as SVG, to this file.")] = None,
    json_: AsJson = False,
) -> int:
    """Judge all that was declared, and say what stops. Exit code 1 where something stops that is enforced.

    Without --profile, every profile that is shipped judges.
    """
    if json_ and format_ not in (None, "json"):
        raise UsageError(f"--json and --format {format_} ask for two forms", hint="leave one of them out")
    form: Form = "json" if json_ else format_ or "text"
    if form == "html" and output is None:
        raise UsageError("a page is for a file", hint="name it with --output report.html")
    # Judging may take long, and what was printed already cannot be taken back: places are looked at first.
    check_places({"--output": output, "--picture": picture}, networks, profile, list_)
    told = judged(networks, profile, list_, at)
    said = _said(told, form, everything, None if output else columns())
    if output is None:
        print(said, end="")
    else:
        write(output, said)
    if picture is not None:
        from sycee.compliance.reports import picture as drawing

        write(picture, drawing.svg(told))
    if output is not None:
        console(stderr=True).print(f"{told.headline} Written to {output}", markup=False, soft_wrap=True)
    return STOPPED if told.report.stops else 0


@app.command
def explain(
    network: NetworkPath,
    subject: Annotated[str, Parameter(help='What is judged: the id of something declared, or "FLOW @ ID".')],
    rule: Annotated[str | None, Parameter(help="One rule, as PROFILE/RULE, or RULE alone.")] = None,
    /,
    *,
    profile: Profiles = None,
    list_: Lists = None,
    at: At = None,
    json_: AsJson = False,
) -> int:
    """Tell all that was found of one subject: the evidence, who controls whom, the list's row, what would change it."""
    from sycee.compliance.reports import json_report, text
    from sycee.compliance.reports.summary import quantity

    declared, library, day = loaded([network], profile, list_, at)
    of_subject = _of_subject(declared, library, day, subject)
    findings = [each for each in of_subject if rule is None or _names(rule, each)]
    if not findings:
        raise _no_such_rule(library, subject, rule) if rule else _nothing_judged(declared, library, day, subject)
    if json_:
        _print_json({"subject": subject, "at": day.isoformat(), "findings": [json_report.finding(x) for x in findings]})
    else:
        entity = declared.entities.get(subject.rpartition(" @ ")[2])
        place = f", declared at {entity.place}" if entity else ""
        lines = [printable(f"{subject}{place}, judged as of {day}")]
        told, rest = (findings, []) if rule else _split_applying(findings)
        for each in told:
            lines += [*text.finding(each), *text.origin(library, each)]
        if rest:
            lines.append(f"{quantity(len(rest), 'rule')} not about it: {', '.join(each.rule for each in rest)}")
        print(text.wrapped(lines, columns()), end="")
    return STOPPED if any(each.stops for each in findings) else 0


@app.command
def test(
    files: Annotated[list[str] | None, Parameter(help="Cases: files, folders, or names of shipped ones.")] = None,
    /,
    *,
    json_: AsJson = False,
) -> int:
    """Judge golden cases and compare: those given, or all that are shipped. Exit code 3 where one differs."""
    from sycee.compliance.judging import cases
    from sycee.core.errors import require

    with progress("judging cases") as report:
        found = []
        all_cases = cases.load_all(files or [])
        for number, case in enumerate(all_cases):
            found.append((case, case.run()))
            report(number + 1, len(all_cases))
    expectations = sum(len(outcomes) for _, outcomes in found)
    wrong = sum(not outcome.passed for _, outcomes in found for outcome in outcomes)
    if json_:
        _print_json({"ok": not wrong, "expectations": expectations, "cases": [_case(*each) for each in found]})
    else:
        for case, outcomes in found:
            _print_case(case, outcomes)
        print(f"{expectations - wrong:,} of {expectations:,} expectations in {len(found):,} cases hold")
    require(not wrong, f"{wrong:,} of {expectations:,} expectations come out otherwise")
    return 0


@app.command
def attest(
    network: NetworkPath,
    subject: Annotated[str, Parameter(help="What is vouched for: the id of something declared.")],
    /,
    *,
    by: Annotated[str, Parameter(help="Who vouches: the id of an organisation that declares its key.")],
    key: Annotated[Path, Parameter(help="The file of its private key, as `sycee key new` made it.")],
    topic: Annotated[list[str] | None, Parameter(negative="", help="What is vouched for. May be repeated.")] = None,
    fact: Annotated[
        list[str] | None, Parameter(negative="", help="A declared fact that is vouched for. May be repeated.")
    ] = None,
    assurance: Annotated[
        Literal["self-signed", "third-party", "observed"],
        Parameter(help="Whether it vouches for itself, for another, or measured at another."),
    ] = "third-party",
    as_of: Annotated[str | None, Parameter(help="Since when; the network's own day without it.")] = None,
    expires: Annotated[str | None, Parameter(help="The day from which on it says nothing any more.")] = None,
    json_: AsJson = False,
) -> int:
    """Sign an attestation, and print it as TOML, to be put into the declarations."""
    from sycee.compliance import attestations, declarations
    from sycee.compliance.facts import Assurance
    from sycee.core.keys import SigningKey

    declared = declarations.load([network])
    signed = attestations.sign(
        declared,
        subject,
        topic or [],
        fact or [],
        Assurance[assurance.replace("-", "_").upper()],
        by,
        day_of(as_of, "--as-of") or declared.as_of,
        day_of(expires, "--expires"),
        SigningKey.load(key),
    )
    if json_:
        _print_json({"subject": subject, "by": by, "toml": signed})
    else:
        print(signed, end="")
    return 0


# --- what the commands share ---


def loaded(
    networks: Sequence[Path], profiles: Sequence[str] | None, lists: Sequence[Path] | None, at: str | None
) -> tuple[Network, Library, date]:
    """The network, what judges it, and the day. UsageError or DocumentError say what cannot be read."""
    from sycee import data
    from sycee.compliance import declarations, library

    network = declarations.load(networks)
    return network, library.load(profiles or data.names("profiles"), lists or []), day_of(at, "--at") or network.as_of


def judged(
    networks: Sequence[Path], profiles: Sequence[str] | None, lists: Sequence[Path] | None, at: str | None
) -> JudgedNetwork:
    """All findings, with what they were made from."""
    from sycee.compliance.judging.judge import Judge
    from sycee.compliance.reports.summary import JudgedNetwork
    from sycee.compliance.verdicts import Report
    from sycee.compliance.vocabulary import FLOW

    network, library, day = loaded(networks, profiles, lists, at)
    judge = Judge(network, library, day)
    findings: list[Finding] = []
    with progress("judging") as report:
        for number, entity in enumerate(network.entities.values(), 1):
            findings += judge.flow(entity.id) if entity.kind == FLOW else judge.findings(entity.id)
            report(number, len(network.entities))
    return JudgedNetwork(network, library, Report(network.digest, library.digest, day, tuple(findings)))


def day_of(text: str | None, option: str) -> date | None:
    """Return the date in an option; None without one. UsageError unless it is written as in declarations."""
    from sycee.compliance import common_fields

    return None if text is None else common_fields.parse_day(text, option)


def columns() -> int:
    """Characters of a line on stdout: those of the terminal; 80 where it is none."""
    return shutil.get_terminal_size().columns


def check_places(
    places: Mapping[str, Path | None],
    networks: Sequence[Path],
    profiles: Sequence[str] | None,
    lists: Sequence[Path] | None,
) -> None:
    """UsageError where a file that was asked for, by its option, cannot be put, or would overwrite what is read."""
    asked = {option: path for option, path in places.items() if path is not None}
    read = [*networks, *(lists or []), *(Path(each) for each in profiles or [])]
    for option, path in asked.items():
        check_place(path)
        # A folder is read whole: a TOML file put there would be a declaration the next time.
        folders = [each for each in read if path.suffix == ".toml" and each.is_dir() and _same(each, path.parent)]
        files = [file for each in read for file in (each.glob("*.toml") if each.is_dir() else [each])]
        over = [each for each in files if _same(each, path)] + folders
        if over:
            raise UsageError(f"{option} {path} would overwrite what is read: {over[0]}", hint="name another file")
    if len(asked) == 2 and _same(*asked.values()):
        raise UsageError(f"{' and '.join(asked)} name the same file", hint="name two files")


def check_place(path: Path) -> None:
    """UsageError where a file cannot be put."""
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"{path} is no place for a file", hint="name a file in a folder that is there")


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve() or (one.exists() and other.exists() and one.samefile(other))


def write(path: Path, content: str) -> None:
    """Put a text into a file, whole or not at all."""
    from sycee.core.output_files import write_file

    check_place(path)
    write_file(path, content.encode())


@contextmanager
def progress(what: str) -> Iterator[Any]:
    """A bar on stderr with the time left, gone when the work is done; tell it how many of how many are."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    terminal = console(stderr=True)
    parts = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*parts, console=terminal, transient=True, disable=not terminal.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _said(told: JudgedNetwork, form: Form, everything: bool, width: int | None) -> str:
    from sycee.compliance.reports import json_report, junit, sarif, text

    if form == "text":
        return text.render(told, everything=everything, width=width or text.WIDTH)
    if form == "html":
        from sycee.compliance.reports import html

        return html.render(told)
    return {"json": json_report.render, "sarif": sarif.render, "junit": junit.render}[form](told)


def _of_subject(network: Network, library: Library, day: date, subject: str) -> Sequence[Finding]:
    from sycee.compliance.judging.judge import Judge
    from sycee.compliance.vocabulary import FLOW

    judge = Judge(network, library, day)
    whole, on_path, _ = subject.partition(" @ ")
    entity = network.entities.get(whole)
    if not on_path and (entity is None or entity.kind != FLOW):
        return judge.findings(subject)
    return [each for each in judge.flow(whole) if each.subject == subject]


def _names(rule: str, finding: Finding) -> bool:
    return rule in (finding.rule, finding.rule.partition("/")[2])


def _nothing_judged(network: Network, library: Library, day: date, subject: str) -> UsageError:
    """Why nothing was: it does not lie on the path, lies on paths only, or no rule is about such things."""
    from sycee.compliance.judging.judge import Judge
    from sycee.compliance.vocabulary import LEVELS
    from sycee.core import typos

    flow, on_path, place = subject.partition(" @ ")
    if on_path:
        judged_there = [each.subject for each in Judge(network, library, day).flow(flow)]
        there = list(dict.fromkeys(each.partition(" @ ")[2] for each in judged_there if " @ " in each))
        near = typos.nearest(place, there)
        right = f'did you mean "{flow} @ {near}"?' if near else f"there: {', '.join(there) or 'nothing that is judged'}"
        return UsageError(f"nothing was judged of {place} on the path of {flow}", hint=right)
    kind = network.entities[subject].kind
    rules = [rule for profile in library.profiles for rule in profile.rules]
    if any(kind in LEVELS[rule.level] for rule in rules):
        right = f'name a flow whose path it lies on, too: "FLOW @ {subject}"'
        return UsageError(f"{subject} is judged only on the path of a flow", hint=right)
    kinds = dict.fromkeys(rule.level for rule in rules)
    return UsageError(
        f"no rule is about {subject}: none of these profiles judges a {kind}", hint=f"they judge: {', '.join(kinds)}"
    )


def _no_such_rule(library: Library, subject: str, rule: str) -> UsageError:
    from sycee.core import typos

    names = [*library.rules, *(each.partition("/")[2] for each in library.rules)]
    if rule in names:
        return UsageError(f"the rule {rule} is about something else than {subject}", hint="leave it out to see all")
    return UsageError(f"there is no rule {rule}", hint=typos.hint(rule, names, "leave it out to see all"))


def _split_applying(findings: Sequence[Finding]) -> tuple[list[Finding], list[Finding]]:
    """Those that apply, the worst first, and the rest."""
    from sycee.compliance.reports.summary import worst_first
    from sycee.compliance.verdicts import Verdict

    applying = [each for each in findings if each.verdict is not Verdict.NOT_APPLICABLE]
    return worst_first(applying), [each for each in findings if each.verdict is Verdict.NOT_APPLICABLE]


def _case(case: Case, outcomes: Sequence[ExpectationResult]) -> dict[str, Any]:
    return {
        "id": case.id,
        "title": case.title,
        "source": case.source,
        "at_hand": case.at_hand,
        "expectations": [
            {
                "subject": each.expectation.subject,
                "rule": each.expectation.rule,
                "at": each.expectation.at.isoformat(),
                "expected": each.expectation.verdict.word,
                "found": each.found.verdict.word if each.found else None,
                "problems": list(each.problems),
            }
            for each in outcomes
        ],
    }


def _print_case(case: Case, outcomes: Sequence[ExpectationResult]) -> None:
    from sycee.compliance.reports.text import wrapped

    wrong = [each for each in outcomes if not each.passed]
    mark = "FAILED" if wrong else "ok"
    hand = " (re-typed: the source was not at hand)" if case.at_hand is False else ""
    lines = [f"{mark:<7}{case.id}: {len(outcomes)} expectations{hand}"]
    for each in wrong:
        expectation = each.expectation
        what = f"{expectation.place}: {expectation.rule} on {expectation.subject}: {'; '.join(each.problems)}"
        lines.append(f"       {what}")
    print(wrapped(lines, columns()), end="")


def _print_json(members: dict[str, Any]) -> None:
    print(json.dumps(members, indent=2, ensure_ascii=False))
