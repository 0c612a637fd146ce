"""A report as JSON, and the check that findings in it give the digest that it names.

docs/reference/compliance-reports.md describes the format. Dates are ISO 8601, verdicts and forces are words, undeclared
facts are null, and a finding that stops has the ISO 20022 status reason of the refusal. No member is ever omitted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from sycee.compliance.canonical import plain
from sycee.compliance.enforcement import reason_codes
from sycee.compliance.facts import Assurance, Waiver
from sycee.compliance.reports.summary import WORST_FIRST, JudgedNetwork, ProfileSummary
from sycee.compliance.verdicts import Contradiction, Evidence, Finding, Force, Report, Verdict
from sycee.core.errors import UsageError, require
from sycee.core.terminal_text import printable_json

FORMAT: Final = "sycee.compliance.report.v1"


def render(judged: JudgedNetwork) -> str:
    """Return the report as one JSON object."""
    report = judged.report
    return json_text(
        {
            "form": FORMAT,
            "engine": report.engine,
            "network": {"id": judged.network.id, "title": judged.network.title, "digest": report.network},
            "library": report.library,
            "at": report.at.isoformat(),
            "digest": report.digest,
            "stops": len(report.stops),
            "contradictions": [plain(each._asdict()) for each in report.contradictions],
            "notes": list(judged.network.notes),
            "profiles": [_profile(each) for each in judged.profiles],
            "findings": [finding_members(each) for each in report.findings],
        }
    )


def json_text(value: Any) -> str:
    """Return JSON values as indented text that is safe to print to a terminal."""
    return printable_json(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)) + "\n"


def finding_members(finding: Finding) -> dict[str, Any]:
    """Return a finding as a JSON object."""
    return {
        **_members(finding),
        "stops": finding.stops,
        "reason_code": reason_codes.code_of(finding.verdict.word) if finding.stops else "",
        "evidence": [_members(each) for each in finding.evidence],
    }


def _members(value: Finding | Evidence) -> dict[str, Any]:
    return {name: plain(each) for name, each in value._asdict().items()}


def _profile(summary: ProfileSummary) -> dict[str, Any]:
    profile = summary.profile
    return {
        **{name: getattr(profile, name) for name in ("id", "version", "title", "status")},
        "force": summary.force.word,
        "stops": summary.stops,
        "counts": {verdict.word: summary.counts[verdict] for verdict in WORST_FIRST},
        "says": summary.sentence,
        "limits": profile.limits,
    }


def parse(text: str) -> Report:
    """Return the report in a text that `render` wrote. Values of evidence stay JSON values.

    Raise UsageError for any other text, IntegrityError if the findings do not give the digest that the text names.
    """
    hint = "give a file that `sycee compliance check --format json` wrote"
    try:
        content = json.loads(text)
        report = Report(
            network=content["network"]["digest"],
            library=content["library"],
            at=date.fromisoformat(content["at"]),
            findings=tuple(_finding(each) for each in content["findings"]),
            engine=content["engine"],
            contradictions=tuple(_contradiction(each) for each in content["contradictions"]),
        )
        found, digest = content["form"], content["digest"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"the text is not a report: {type(error).__name__} {error}", hint=hint) from error
    if found != FORMAT:
        raise UsageError(f'the report has the format "{found}", not "{FORMAT}"', hint=hint)
    require(report.digest == digest, f"the report names the digest {digest}, but its findings give {report.digest}")
    return report


def _finding(members: Mapping[str, Any]) -> Finding:
    content = {name: members[name] for name in Finding._fields}
    assurance, waiver = content["assurance"], content["waiver"]
    for name in ("chain", "missing", "conflicts_with"):
        content[name] = tuple(content[name])
    content["verdict"] = Verdict.of(content["verdict"])
    content["force"] = Force.of(content["force"])
    content["evidence"] = tuple(_evidence(each) for each in content["evidence"])
    content["assurance"] = None if assurance is None else Assurance.of(assurance)
    if waiver is not None:
        days = {name: date.fromisoformat(waiver[name]) for name in ("from_date", "until_date")}
        content["waiver"] = Waiver(**{**waiver, **days})
    return Finding(**content)


def _contradiction(members: Mapping[str, Any]) -> Contradiction:
    return Contradiction(**{**members, "facts": tuple(members["facts"])})


def _evidence(members: Mapping[str, Any]) -> Evidence:
    as_of, value = members["as_of"], members["value"]
    return Evidence(**members)._replace(
        value=tuple(value) if isinstance(value, list) else value,
        as_of=None if as_of is None else date.fromisoformat(as_of),
        assurance=Assurance.of(members["assurance"]),
    )
