"""`sycee compliance`: judge what was declared under several regimes at once, and say why.

Routes, differences and blocs are in `compliance_ways`; both files share what stands here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from cyclopts import App, Parameter

from sycee.cli import console
from sycee.core.errors import UsageError

if TYPE_CHECKING:
    from sycee.compliance.facts import Network
    from sycee.compliance.judging.cases import Case, Outcome
    from sycee.compliance.pages.standing import Told
    from sycee.compliance.profiles import Library
    from sycee.compliance.verdicts import Finding

app = App(name="compliance", help="Judge declared facts under several regimes at once.")
app.command("sycee.cli.compliance_ways:routes", name="routes")
app.command("sycee.cli.compliance_ways:split", name="split")
app.command("sycee.cli.compliance_ways:diff", name="diff")

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
    format_: Annotated[Form, Parameter(name="--format", help="What to write.")] = "text",
    everything: Annotated[bool, Parameter(name="--all", negative="", help="Tell what holds, too, as text.")] = False,
    output: Annotated[Path | None, Parameter(help="Write it to this file.")] = None,
    picture: Annotated[Path | None, Parameter(help="Write a picture of the network, as SVG, to this file.")] = None,
    json_: AsJson = False,
) -> int:
    """Judge all that was declared, and say what stops. Exit code 1 where something stops that is enforced.

    Without --profile, every profile that is shipped judges.
    """
    told = judged(networks, profile, list_, at)
    form: Form = "json" if json_ else format_
    if form == "html":
        if output is None:
            raise UsageError("a page is for a file", hint="name it with --output report.html")
        from sycee.compliance.pages import html

        html.write(told, output)
    else:
        said = _said(told, form, everything)
        if output is None:
            print(said, end="")
        else:
            write(output, said)
    if picture is not None:
        from sycee.compliance.pages import picture as drawing

        write(picture, drawing.svg(told))
    if output is not None:
        console(stderr=True).print(f"{told.stopped} Written to {output}", markup=False, soft_wrap=True)
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
    from sycee.compliance.pages import json_form, text
    from sycee.compliance.pages.standing import counted

    declared, library, day = loaded([network], profile, list_, at)
    findings = [each for each in _of_subject(declared, library, day, subject) if rule is None or _names(rule, each)]
    if not findings:
        raise _no_such_rule(library, subject, rule)
    if json_:
        _print_json({"subject": subject, "at": day.isoformat(), "findings": [json_form.finding(x) for x in findings]})
    else:
        terminal = console()
        entity = declared.entities.get(subject.rpartition(" @ ")[2])
        place = f", declared at {entity.place}" if entity else ""
        terminal.print(f"{subject}{place}, judged as of {day}", markup=False, soft_wrap=True)
        told, rest = (findings, []) if rule else _split_applying(findings)
        for each in told:
            lines = [*text.finding(each), *text.origin(library, each)]
            print("\n".join(lines))
        if rest:
            print(f"{counted(len(rest), 'rule')} not about it: {', '.join(each.rule for each in rest)}")
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
        Literal["self-signed", "third-party"], Parameter(help="Whether it vouches for itself or for another.")
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
) -> Told:
    """All findings, with what they were made from."""
    from sycee.compliance.judging.judge import Judge
    from sycee.compliance.pages.standing import Told
    from sycee.compliance.verdicts import Report
    from sycee.compliance.vocabulary import FLOW

    network, library, day = loaded(networks, profiles, lists, at)
    judge = Judge(network, library, day)
    findings: list[Finding] = []
    with progress("judging") as report:
        for number, entity in enumerate(network.entities.values(), 1):
            findings += judge.flow(entity.id) if entity.kind == FLOW else judge.findings(entity.id)
            report(number, len(network.entities))
    return Told(network, library, Report(network.digest, library.digest, day, tuple(findings)))


def day_of(text: str | None, option: str) -> date | None:
    """A day as people write it; None where none was given."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f'{option} is "{text}"', hint="give a day such as 2020-12-01") from error


def write(path: Path, content: str) -> None:
    """Put a text into a file, whole or not at all."""
    from sycee.core.files import write_whole

    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"{path} is no place for a file", hint="name a file in a folder that is there")
    write_whole(path, content.encode())


@contextmanager
def progress(what: str) -> Iterator[Any]:
    """A bar on stderr with the time left, gone when the work is done; tell it how many of how many are."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    terminal = console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _said(told: Told, form: Form, everything: bool) -> str:
    from sycee.compliance.pages import json_form, junit, sarif, text

    if form == "text":
        return text.text(told, everything=everything)
    return {"json": json_form.dumps, "sarif": sarif.dumps, "junit": junit.xml}[form](told)


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


def _no_such_rule(library: Library, subject: str, rule: str | None) -> UsageError:
    from sycee.core.documents import nearest

    if rule is None:
        return UsageError(f"nothing was judged of {subject}", hint="name what lies on the path of the flow")
    names = [*library.rules, *(each.partition("/")[2] for each in library.rules)]
    if rule in names:
        return UsageError(f"the rule {rule} is about something else than {subject}", hint="leave it out to see all")
    near = nearest(rule, names)
    return UsageError(f"there is no rule {rule}", hint=f"did you mean {near}?" if near else "leave it out to see all")


def _split_applying(findings: Sequence[Finding]) -> tuple[list[Finding], list[Finding]]:
    """Those that apply, the worst first, and the rest."""
    from sycee.compliance.pages.standing import worst_first
    from sycee.compliance.verdicts import Verdict

    applying = [each for each in findings if each.verdict is not Verdict.NOT_APPLICABLE]
    return worst_first(applying), [each for each in findings if each.verdict is Verdict.NOT_APPLICABLE]


def _case(case: Case, outcomes: Sequence[Outcome]) -> dict[str, Any]:
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


def _print_case(case: Case, outcomes: Sequence[Outcome]) -> None:
    wrong = [each for each in outcomes if not each.passed]
    mark = "FAILED" if wrong else "ok"
    hand = " (re-typed: the source was not at hand)" if case.at_hand is False else ""
    print(f"{mark:<7}{case.id}: {len(outcomes)} expectations{hand}")
    for each in wrong:
        expectation = each.expectation
        print(f"       {expectation.place}: {expectation.rule} on {expectation.subject}: {'; '.join(each.problems)}")


def _print_json(members: dict[str, Any]) -> None:
    print(json.dumps(members, indent=2, ensure_ascii=False))
