"""`sycee compliance`: check declared facts under several regimes, and explain the verdicts.

`compliance_routes` has the commands about routes, blocs and differences, `compliance_members` those about memberships,
`compliance_payments` those about payments, `compliance_authority` those about signatures, and `compliance_bank` those
that store in a bank what it judges by.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from cyclopts import App, Parameter

from sycee.cli import (
    compliance_authority,
    compliance_bank,
    compliance_members,
    compliance_payments,
    compliance_routes,
)
from sycee.cli.compliance_options import DEFAULT_INPUTS, STOPPED, Inputs, NetworkPath, columns, parse_day, print_json
from sycee.cli.parameters import AsJson
from sycee.cli.terminal import note, progress
from sycee.core import typos
from sycee.core.errors import UsageError

if TYPE_CHECKING:
    from sycee.compliance.judging.cases import Case, ExpectationResult
    from sycee.compliance.judging.judge import Judge
    from sycee.compliance.profiles import Library
    from sycee.compliance.reports.summary import JudgedNetwork

app = App(
    name="compliance",
    help="Check declared facts under several regimes.",
    default_parameter=Parameter(negative=""),
)
app.command(compliance_routes.routes)
app.command(compliance_routes.split)
app.command(compliance_routes.diff)
app.command(compliance_authority.trust)
app.command(compliance_authority.sign)
app.command(compliance_members.what_if)
app.command(compliance_members.members)
app.command(compliance_payments.screen)
app.command(compliance_payments.verify_record)
app.command(compliance_bank.declare)
app.command(compliance_bank.admit)

Format: TypeAlias = Literal["text", "json", "sarif", "junit", "html"]


@app.command
def check(
    networks: Annotated[list[Path], Parameter(help="Folders of declarations, or files; they form one network.")],
    /,
    *,
    inputs: Inputs = DEFAULT_INPUTS,
    format_: Annotated[Format | None, Parameter(name="--format", help="The output format [default: text].")] = None,
    everything: Annotated[bool, Parameter(name="--all", help="As text, show findings that hold, too.")] = False,
    output: Annotated[Path | None, Parameter(help="Write the report to this file.")] = None,
    picture: Annotated[Path | None, Parameter(help="Write a picture of the network, as SVG, to this file.")] = None,
    json_: AsJson = False,
) -> int:
    """Judge all declarations, and show contradictions and the findings that stop. Exit code 1 if one of either exists.

    Without --profile, all shipped profiles are used.
    """
    from sycee.core.output_files import write_file

    if json_ and format_ not in (None, "json"):
        raise UsageError(f"--json and --format {format_} are two formats", hint="give one of them")
    form: Format = "json" if json_ else format_ or "text"
    if form == "html" and output is None:
        raise UsageError("--format html needs --output", hint="give --output report.html")
    # Judging may be slow, so outputs are checked first.
    inputs.check_outputs({"--output": output, "--picture": picture}, networks)
    judged = inputs.judge(networks)
    report = _render(judged, form, everything, columns() if output is None else None)
    if picture is not None:
        from sycee.compliance.reports.picture import svg

        write_file(picture, svg(judged).encode())
    if output is None:
        print(report, end="")
    else:
        write_file(output, report.encode())
        note(f"{judged.headline} Written to {output}")
    return STOPPED if judged.is_stopped else 0


@app.command
def explain(
    network: NetworkPath,
    subject: Annotated[str, Parameter(help='The id of a declared entity, or "FLOW @ ID".')],
    rule: Annotated[str | None, Parameter(help="One rule, as PROFILE/RULE, or RULE alone.")] = None,
    /,
    *,
    inputs: Inputs = DEFAULT_INPUTS,
    json_: AsJson = False,
) -> int:
    """Show all findings on one subject: evidence, chain of control, row of a list, missing facts and remedy."""
    from sycee.compliance.judging.judge import Judge
    from sycee.compliance.reports import json_report, text
    from sycee.compliance.reports.summary import worst_first
    from sycee.compliance.verdicts import ON_PATH
    from sycee.core.words import quantity

    judge = Judge(*inputs.load([network]))
    of_subject = judge.findings_with_path(subject.partition(ON_PATH)[0])
    of_rule = [each for each in of_subject if rule in (None, each.rule, each.rule.partition("/")[2])]
    findings = [each for each in of_rule if each.subject == subject]
    if not findings:
        raise _no_such_rule(judge.library, subject, rule) if rule else _nothing_judged(judge, subject)
    if json_:
        members = [json_report.finding_members(each) for each in findings]
        print_json({"subject": subject, "at": judge.at.isoformat(), "findings": members})
    else:
        entity = judge.network.entities.get(subject.rpartition(ON_PATH)[2])
        place = f", declared at {entity.place}" if entity else ""
        lines = [f"{subject}{place}, judged as of {judge.at}"]
        applying = [each for each in findings if rule or each.applies]
        for each in applying if rule else worst_first(applying):
            lines += [*text.finding_lines(each), *text.source_lines(judge.library, each)]
        rest = [each.rule for each in findings if each not in applying]
        if rest:
            lines += [f"{quantity(len(rest), 'rule')} not about it: {', '.join(rest)}"]
        print(text.wrapped(lines, columns()), end="")
    return STOPPED if any(each.stops for each in findings) else 0


@app.command
def test(
    files: Annotated[
        list[str] | None, Parameter(help="Cases: files, folders, or names of shipped ones [default: all shipped].")
    ] = None,
    /,
    *,
    json_: AsJson = False,
) -> int:
    """Judge golden cases and compare the verdicts with the expected ones. Exit code 3 if one differs."""
    from sycee.compliance.judging import cases
    from sycee.core.errors import require

    with progress("judging cases") as report:
        results: list[tuple[Case, tuple[ExpectationResult, ...]]] = []
        all_cases = cases.load_all(files or [])
        for number, case in enumerate(all_cases, 1):
            results.append((case, case.run()))
            report(number, len(all_cases))
    expectations = sum(len(outcomes) for _, outcomes in results)
    wrong = sum(not outcome.passed for _, outcomes in results for outcome in outcomes)
    by_text = sum(bool(outcome.expectation.article) for _, outcomes in results for outcome in outcomes)
    if json_:
        of_cases = [_case(*each) for each in results]
        print_json({"ok": not wrong, "expectations": expectations, "by_text": by_text, "cases": of_cases})
    else:
        for case, outcomes in results:
            _print_case(case, outcomes)
        print(f"{expectations - wrong:,} of {expectations:,} expectations in {len(results):,} cases hold")
        if by_text:
            print(f"{by_text:,} of them follow from the text of an article alone")
    require(not wrong, f"{wrong:,} of {expectations:,} expectations do not hold")
    return 0


@app.command
def attest(
    network: NetworkPath,
    subject: Annotated[str, Parameter(help="The id of the declared entity that the attestation is about.")],
    /,
    *,
    by: Annotated[str, Parameter(help="The id of the attesting organisation, which declares its key.")],
    key: Annotated[Path, Parameter(help="The file of its private key, from `sycee key new`.")],
    topic: Annotated[list[str] | None, Parameter(help="A topic to attest. May be repeated.")] = None,
    fact: Annotated[list[str] | None, Parameter(help="A fact to attest. May be repeated.")] = None,
    assurance: Annotated[
        Literal["self-signed", "third-party", "observed"],
        Parameter(help="Whether the organisation attests itself or another one, or measured at another one."),
    ] = "third-party",
    as_of: Annotated[str | None, Parameter(help="The first day of validity [default: the network's day].")] = None,
    expires: Annotated[str | None, Parameter(help="The first day on which the attestation is no longer valid.")] = None,
    json_: AsJson = False,
) -> int:
    """Sign an attestation, and print it as TOML for the declarations."""
    from sycee.compliance import attestations, declarations
    from sycee.compliance.facts import Assurance
    from sycee.core.keys import SigningKey

    declared = declarations.load([network])
    signed = attestations.sign(
        declared,
        subject,
        topic or [],
        fact or [],
        Assurance.of(assurance),
        by,
        parse_day(as_of, "--as-of") or declared.as_of,
        parse_day(expires, "--expires"),
        SigningKey.load(key),
    )
    if json_:
        print_json({"subject": subject, "by": by, "toml": signed})
    else:
        print(signed, end="")
    return 0


def _render(judged: JudgedNetwork, form: Format, everything: bool, width: int | None) -> str:
    from sycee.compliance.reports import json_report, junit, sarif, text

    if form == "text":
        return text.render(judged, everything=everything, width=width or text.WIDTH)
    if form == "html":
        from sycee.compliance.reports import html

        return html.render(judged)
    return {"json": json_report.render, "sarif": sarif.render, "junit": junit.render}[form](judged)


def _nothing_judged(judge: Judge, subject: str) -> UsageError:
    """Return why no rule judged a subject: it is not on the path, is on paths only, or no rule is about its kind."""
    from sycee.compliance.verdicts import ON_PATH
    from sycee.compliance.vocabulary import LEVELS

    flow, on_path, place = subject.partition(ON_PATH)
    if on_path:
        subjects = (each.subject.partition(ON_PATH)[2] for each in judge.flow(flow))
        places = list(dict.fromkeys(each for each in subjects if each))
        near = typos.nearest(place, places)
        listed = f"judged on this path: {', '.join(places) or 'nothing'}"
        hint = f'did you mean "{flow}{ON_PATH}{near}"?' if near else listed
        return UsageError(f"no rule judged {place} on the path of {flow}", hint=hint)
    kind = judge.network.entities[subject].kind
    levels = dict.fromkeys(rule.level for profile in judge.library.profiles for rule in profile.rules)
    if any(kind in LEVELS[level] for level in levels):
        hint = f'name a flow whose path it is on, too: "FLOW{ON_PATH}{subject}"'
        return UsageError(f"{subject} is judged only on the path of a flow", hint=hint)
    problem = f"no rule is about {subject}: none of these profiles judges a {kind}"
    return UsageError(problem, hint=f"they judge: {', '.join(levels)}")


def _no_such_rule(library: Library, subject: str, rule: str) -> UsageError:
    names = [*library.rules, *(each.partition("/")[2] for each in library.rules)]
    otherwise = "leave out the rule to see all"
    if rule in names:
        return UsageError(f"the rule {rule} is not about {subject}", hint=otherwise)
    return UsageError(f"there is no rule {rule}", hint=typos.hint(rule, names, otherwise))


def _case(case: Case, outcomes: Sequence[ExpectationResult]) -> dict[str, Any]:
    return {
        **{name: getattr(case, name) for name in ("id", "title", "source", "at_hand")},
        "expectations": [
            {
                "subject": each.expectation.subject,
                "rule": each.expectation.rule,
                "at": each.expectation.at.isoformat(),
                "expected": each.expectation.verdict.word,
                "article": each.expectation.article,
                "found": each.found.verdict.word if each.found else None,
                "problems": list(each.problems),
            }
            for each in outcomes
        ],
    }


def _print_case(case: Case, outcomes: Sequence[ExpectationResult]) -> None:
    from sycee.compliance.reports.text import wrapped

    wrong = [each for each in outcomes if not each.passed]
    second_hand = " (source read second-hand)" if case.at_hand is False else ""
    lines = [f"{'FAILED' if wrong else 'ok':<7}{case.id}: {len(outcomes)} expectations{second_hand}"]
    for each in wrong:
        expectation, problems = each.expectation, "; ".join(each.problems)
        lines.append(f"       {expectation.place}: {expectation.rule} on {expectation.subject}: {problems}")
    print(wrapped(lines, columns()), end="")
