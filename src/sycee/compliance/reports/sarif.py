"""A report as SARIF 2.1.0, which code hosts and editors show beside the lines that declared something.

By the standard (OASIS, SARIF 2.1.0, 3.27.9 and 3.27.10) only a result of kind `fail` has a level. What stops is one, an
enforced unknown included, since it may not pass; elsewhere an unknown is `open`, a conflict is for `review`, what is
attested is `informational`. A waiver is a suppression. What does not apply is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import quote

from blake3 import blake3

import sycee
from sycee.compliance.profiles import Profile, Rule
from sycee.compliance.reports import text
from sycee.compliance.reports.summary import JudgedNetwork
from sycee.compliance.verdicts import Finding, Verdict

VERSION: Final = "2.1.0"
SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"

_KINDS: Final[Mapping[Verdict, str]] = {
    Verdict.PASS: "pass",
    Verdict.ATTESTED: "informational",
    Verdict.WAIVED: "fail",
    Verdict.UNKNOWN: "open",
    Verdict.CONFLICT: "review",
    Verdict.FAIL: "fail",
}


def render(told: JudgedNetwork) -> str:
    """The report as one SARIF log with one run."""
    return json.dumps(log(told), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def log(told: JudgedNetwork) -> dict[str, Any]:
    """The report as what JSON has."""
    rules = [(profile, rule) for profile in told.library.profiles for rule in profile.rules]
    index = {rule.id: position for position, (_, rule) in enumerate(rules)}
    report = told.report
    run = {
        "tool": {
            "driver": {
                "name": "sycee",
                "fullName": "sycee compliance",
                "semanticVersion": sycee.__version__,
                "rules": [_rule(profile, rule) for profile, rule in rules],
            }
        },
        "automationDetails": {"id": f"sycee-compliance/{told.network.id}/{report.at}"},
        "invocations": [{"executionSuccessful": True}],
        "columnKind": "unicodeCodePoints",
        "results": [
            _result(told, finding, index)
            for finding in report.findings
            if finding.verdict is not Verdict.NOT_APPLICABLE
        ],
        "properties": {
            "at": report.at.isoformat(),
            "engine": report.engine,
            "digest": report.digest,
            "network": report.network,
            "library": report.library,
            "says": [standing.sentence for standing in told.profiles],
        },
    }
    return {"$schema": SCHEMA, "version": VERSION, "runs": [run]}


def _rule(profile: Profile, rule: Rule) -> dict[str, Any]:
    named = f"profile {profile.id} version {profile.version}"
    source = next((each for each in profile.sources if each.id == rule.source), None)
    said = [f"{rule.title} ({named}, {rule.clause or rule.source})."]
    if source:
        said.append(f"Source: {source.title}, {source.publisher}, {source.date}.")
    if rule.interpretation:
        said.append(f"Interpretation: {rule.interpretation}")
    return {
        "id": rule.id,
        "name": "".join(part.capitalize() for part in rule.id.rpartition("/")[2].split("-")),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": " ".join(said)},
        "help": {"text": f"Remedy: {rule.remedy}"},
        "defaultConfiguration": {"level": "error"},
        "properties": {
            "tags": [profile.id, rule.level, rule.kind],
            "addressee": rule.addressee,
            "status": profile.status,
            "clause": rule.clause,
        },
    }


def _result(told: JudgedNetwork, finding: Finding, index: Mapping[str, int]) -> dict[str, Any]:
    kind = "fail" if finding.stops else _KINDS[finding.verdict]
    level = "error" if finding.stops else "warning" if kind == "fail" else "none"
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "kind": kind,
        "level": level,
        "message": {"text": "\n".join([finding.message or finding.title, *text.finding(finding)[1:]])},
        "locations": [_location(told, finding)],
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


def _location(told: JudgedNetwork, finding: Finding) -> dict[str, Any]:
    entity = told.entity(finding.subject)
    logical = {"name": entity.id if entity else finding.subject, "fullyQualifiedName": finding.subject}
    location: dict[str, Any] = {"logicalLocations": [logical | {"kind": entity.kind if entity else finding.level}]}
    file, _, line = (entity.place if entity else "").rpartition(":")
    if file and line.isdigit() and int(line):
        location["physicalLocation"] = {
            "artifactLocation": {"uri": _uri(file)},
            "region": {"startLine": int(line)},
        }
    return location


def _uri(file: str) -> str:
    """A file as a URI: relative as it was named, absolute with its scheme."""
    path = PurePath(file)
    return f"file://{quote(path.as_posix())}" if path.is_absolute() else quote(path.as_posix())
