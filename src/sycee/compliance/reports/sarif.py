"""A report as SARIF 2.1.0, which code hosts and editors show next to the declaring lines.

By the standard (OASIS, SARIF 2.1.0, 3.27.9 and 3.27.10) only a result of kind `fail` has a level. A finding that stops
is one, also an enforced unknown. Otherwise an unknown is `open`, a conflict is for `review`, and an attested finding is
`informational`. A waiver is a suppression. Findings that are not applicable are omitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import quote

from blake3 import blake3

import sycee
from sycee.compliance.profiles import Profile, Rule
from sycee.compliance.reports import text
from sycee.compliance.reports.json_report import json_text
from sycee.compliance.reports.summary import LOOKS, JudgedNetwork
from sycee.compliance.verdicts import Finding

VERSION: Final = "2.1.0"
SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def render(judged: JudgedNetwork) -> str:
    """Return the report as one SARIF log with one run."""
    return json_text(log(judged))


def log(judged: JudgedNetwork) -> dict[str, Any]:
    """Return the log as JSON values."""
    rules = [(profile, rule) for profile in judged.library.profiles for rule in profile.rules]
    index = {rule.id: position for position, (_, rule) in enumerate(rules)}
    report = judged.report
    run = {
        "tool": {
            "driver": {
                "name": "sycee",
                "fullName": "sycee compliance",
                "semanticVersion": sycee.__version__,
                "rules": [_rule(profile, rule) for profile, rule in rules],
            }
        },
        "automationDetails": {"id": f"sycee-compliance/{judged.network.id}/{report.at}"},
        "invocations": [{"executionSuccessful": True}],
        "columnKind": "unicodeCodePoints",
        "results": [_result(judged, finding, index) for finding in report.findings if finding.applies],
        "properties": {
            "at": report.at.isoformat(),
            "engine": report.engine,
            "digest": report.digest,
            "network": report.network,
            "library": report.library,
            "says": [summary.sentence for summary in judged.profiles],
            "contradictions": [each._asdict() | {"facts": list(each.facts)} for each in report.contradictions],
            "limits": {summary.profile.id: summary.profile.limits for summary in judged.profiles},
        },
    }
    return {"$schema": SCHEMA, "version": VERSION, "runs": [run]}


def _rule(profile: Profile, rule: Rule) -> dict[str, Any]:
    named = f"profile {profile.id} version {profile.version}"
    source = next((each for each in profile.sources if each.id == rule.source), None)
    sentences = [f"{rule.title} ({named}, {rule.clause or rule.source})."]
    if source:
        sentences.append(f"Source: {source.title}, {source.publisher}, {source.date}.")
    if rule.interpretation:
        sentences.append(f"Interpretation: {rule.interpretation}")
    return {
        "id": rule.id,
        "name": "".join(part.capitalize() for part in rule.id.rpartition("/")[2].split("-")),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": " ".join(sentences)},
        "help": {"text": f"Remedy: {rule.remedy}"},
        "defaultConfiguration": {"level": "error"},
        "properties": {
            "tags": [profile.id, rule.level, rule.kind],
            "addressee": rule.addressee,
            "status": profile.status,
            "clause": rule.clause,
        },
    }


def _result(judged: JudgedNetwork, finding: Finding, index: Mapping[str, int]) -> dict[str, Any]:
    kind = "fail" if finding.stops else LOOKS[finding.verdict].kind
    details = text.finding_lines(finding)[2 if finding.message else 1 :]
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "kind": kind,
        "level": "error" if finding.stops else "warning" if kind == "fail" else "none",
        "message": {"text": "\n".join([finding.message or finding.title, *details])},
        "locations": [_location(judged, finding)],
        "partialFingerprints": {"finding/v1": blake3(f"{finding.rule}\0{finding.subject}".encode()).hexdigest()},
        "properties": {
            "verdict": finding.verdict.word,
            "force": finding.force.word,
            "version": finding.version,
            "assurance": finding.assurance.word if finding.assurance is not None else None,
            "missing": list(finding.missing),
            "remedy": finding.remedy,
            "conflictsWith": list(finding.conflicts_with),
        },
    }
    if finding.rule in index:
        result["ruleIndex"] = index[finding.rule]
    if finding.waiver:
        waiver = finding.waiver
        justification = f"{waiver.reason} ({waiver.role}, until {waiver.until_date})"
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": justification}]
    return result


def _location(judged: JudgedNetwork, finding: Finding) -> dict[str, Any]:
    entity = judged.entity(finding.subject)
    name, kind = (entity.id, entity.kind) if entity else (finding.subject, finding.level)
    location: dict[str, Any] = {
        "logicalLocations": [{"name": name, "fullyQualifiedName": finding.subject, "kind": kind}]
    }
    file, line = judged.place(finding.subject)
    if file and int(line):
        path = PurePath(file)
        uri = f"{'file://' if path.is_absolute() else ''}{quote(path.as_posix())}"
        location["physicalLocation"] = {"artifactLocation": {"uri": uri}, "region": {"startLine": int(line)}}
    return location
