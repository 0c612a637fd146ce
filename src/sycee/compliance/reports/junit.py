"""A report as JUnit XML for build servers: a suite for each profile, a case for each rule and subject.

A finding that stops is a failure. A finding that is only advised, waived or not applicable is skipped, with the reason.
A case passes if the rule holds or is attested.
"""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree as ET

from sycee.compliance.reports import text
from sycee.compliance.reports.summary import JudgedNetwork, ProfileSummary, waiver_text
from sycee.compliance.verdicts import Finding, Force, Verdict
from sycee.core.terminal_text import printable


def render(judged: JudgedNetwork) -> str:
    """Return the report as one document with the root `testsuites`, in ASCII with character references."""
    root = ET.Element("testsuites", {"name": printable(f"compliance of {judged.network.id}")})
    if judged.report.contradictions:
        root.append(_contradictions(judged))
    root.extend(_suite(judged, summary) for summary in judged.profiles)
    _set_counts(root)
    ET.indent(root)
    content: bytes = ET.tostring(root, encoding="us-ascii")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{content.decode("ascii")}\n'


def _set_counts(element: ET.Element) -> None:
    counts = Counter(each.tag for each in element.iter())
    names = {"tests": "testcase", "failures": "failure", "skipped": "skipped"}
    element.attrib.update({name: str(counts[tag]) for name, tag in names.items()}, errors="0", time="0")


def _suite(judged: JudgedNetwork, summary: ProfileSummary) -> ET.Element:
    profile, report = summary.profile, judged.report
    names = {"name": f"{profile.id} version {profile.version}", "timestamp": f"{report.at}T00:00:00"}
    suite = ET.Element("testsuite", names)
    properties = ET.SubElement(suite, "properties")
    says = {"force": summary.force.word, "says": summary.sentence, "limits": profile.limits}
    values = {**says, **judged.digests, "engine": report.engine}
    for name, value in values.items():
        ET.SubElement(properties, "property", {"name": name, "value": printable(value)})
    suite.extend(_case(judged, finding) for finding in report.findings if finding.profile == profile.id)
    _set_counts(suite)
    return suite


def _contradictions(judged: JudgedNetwork) -> ET.Element:
    suite = ET.Element("testsuite", {"name": "consistency", "timestamp": f"{judged.report.at}T00:00:00"})
    for each in judged.report.contradictions:
        names = {"classname": f"consistency.{each.check}", "name": printable(each.subject), "time": "0"}
        case = ET.SubElement(suite, "testcase", names)
        failure = ET.SubElement(case, "failure", {"message": printable(each.text), "type": "contradiction"})
        failure.text = printable(", ".join(each.facts))
    _set_counts(suite)
    return suite


def _case(judged: JudgedNetwork, finding: Finding) -> ET.Element:
    file, line = judged.place(finding.subject)
    place = {"file": printable(file), "line": line} if file else {}
    names = {"classname": finding.rule.replace("/", "."), "name": printable(finding.subject), "time": "0", **place}
    case = ET.Element("testcase", names)
    message = printable(finding.message or finding.title)
    if finding.stops:
        failure = ET.SubElement(case, "failure", {"message": message, "type": finding.verdict.word})
        failure.text = "\n".join(text.finding_lines(finding))
    elif reason := _skipped(finding, message):
        ET.SubElement(case, "skipped", {"message": reason})
    elif finding.verdict is Verdict.ATTESTED:
        ET.SubElement(case, "system-out").text = f"attested: {message}"
    return case


def _skipped(finding: Finding, message: str) -> str:
    """Return why a case neither passes nor fails; an empty text if it does."""
    if finding.verdict is Verdict.NOT_APPLICABLE:
        return "not applicable"
    if finding.verdict is Verdict.WAIVED:
        return printable(f"waived {waiver_text(finding)}".rstrip())
    if finding.verdict.stops:
        force = "advised" if finding.force is Force.ADVISED else "not in effect"
        return f"{finding.verdict.word}, {force}: {message}"
    return ""
