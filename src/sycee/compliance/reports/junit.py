"""A report as JUnit XML, which build servers read: a suite for each profile, a case for each rule and subject.

What stops is a failure. What a regime only advises, a waiver lets through or a rule is not about is skipped, with the
reason. A case passes that holds, or that somebody vouches for.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from sycee.compliance.reports import text
from sycee.compliance.reports.summary import JudgedNetwork, ProfileSummary
from sycee.compliance.verdicts import Finding, Force, Verdict
from sycee.core.terminal_text import printable


def render(told: JudgedNetwork) -> str:
    """The report as one document with the root `testsuites`."""
    root = ET.Element("testsuites", {"name": printable(f"compliance of {told.network.id}")})
    totals = {"tests": 0, "failures": 0, "skipped": 0}
    for standing in told.profiles:
        suite, counts = _suite(told, standing)
        root.append(suite)
        for name, count in counts.items():
            totals[name] += count
    root.attrib.update({name: str(count) for name, count in totals.items()}, errors="0", time="0")
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(told: JudgedNetwork, standing: ProfileSummary) -> tuple[ET.Element, dict[str, int]]:
    profile, report = standing.profile, told.report
    findings = [finding for finding in report.findings if finding.profile == profile.id]
    cases = [_case(told, finding) for finding in findings]
    counts = {
        "tests": len(cases),
        "failures": sum(case.find("failure") is not None for case in cases),
        "skipped": sum(case.find("skipped") is not None for case in cases),
    }
    suite = ET.Element(
        "testsuite",
        {
            "name": f"{profile.id} version {profile.version}",
            **{name: str(count) for name, count in counts.items()},
            "errors": "0",
            "time": "0",
            "timestamp": f"{report.at}T00:00:00",
        },
    )
    properties = ET.SubElement(suite, "properties")
    told_of = {
        "force": standing.force.word,
        "says": standing.sentence,
        "report": report.digest,
        "network": report.network,
        "library": report.library,
        "engine": report.engine,
    }
    for name, value in told_of.items():
        ET.SubElement(properties, "property", {"name": name, "value": printable(value)})
    suite.extend(cases)
    return suite, counts


def _case(told: JudgedNetwork, finding: Finding) -> ET.Element:
    entity = told.entity(finding.subject)
    file, _, line = (entity.place if entity else "").rpartition(":")
    place = {"file": printable(file), "line": line} if file and line.isdigit() else {}
    names = {"classname": finding.rule.replace("/", "."), "name": printable(finding.subject), "time": "0", **place}
    case = ET.Element("testcase", names)
    message = printable(finding.message or finding.title)
    if finding.stops:
        failure = ET.SubElement(case, "failure", {"message": message, "type": finding.verdict.word})
        failure.text = "\n".join(text.finding(finding))
    elif reason := _skipped(finding, message):
        ET.SubElement(case, "skipped", {"message": reason})
    elif finding.verdict is Verdict.ATTESTED:
        ET.SubElement(case, "system-out").text = f"attested: {message}"
    return case


def _skipped(finding: Finding, message: str) -> str:
    """Why a case neither passes nor fails; empty where it does."""
    if finding.verdict is Verdict.NOT_APPLICABLE:
        return "not applicable"
    if finding.verdict is Verdict.WAIVED:
        waiver = finding.waiver
        return printable(f"waived by {waiver.role} until {waiver.until_date}: {waiver.reason}" if waiver else "waived")
    if finding.verdict.stops:
        force = "advised" if finding.force is Force.ADVISED else "not in effect"
        return f"{finding.verdict.word}, {force}: {message}"
    return ""
