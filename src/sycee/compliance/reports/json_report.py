"""A report as JSON, and back: whoever gets one can check that its findings make the digest that it names.

The form is described in docs/reference/compliance-reports.md. Dates are ISO 8601, verdicts and forces are words, facts
that were not declared are null, and what stops has the ISO 20022 status reason that a refusal would give. Keys are
never left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from sycee.compliance.canonical import plain
from sycee.compliance.enforcement import reason_codes
from sycee.compliance.facts import Assurance, Value, Waiver
from sycee.compliance.reports.summary import WORST_FIRST, JudgedNetwork, ProfileSummary
from sycee.compliance.verdicts import Evidence, Finding, Force, Report, Verdict
from sycee.core.errors import UsageError, require

FORMAT: Final = "sycee.compliance.report.v1"


def render(told: JudgedNetwork) -> str:
    """The report as one JSON object."""
    return json.dumps(members(told), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def members(told: JudgedNetwork) -> dict[str, Any]:
    """The report as what JSON has."""
    report = told.report
    return {
        "form": FORMAT,
        "engine": report.engine,
        "network": {"id": told.network.id, "title": told.network.title, "digest": report.network},
        "library": report.library,
        "at": report.at.isoformat(),
        "digest": report.digest,
        "stops": len(report.stops),
        "profiles": [_standing(standing) for standing in told.profiles],
        "findings": [finding(each) for each in report.findings],
    }


def finding(found: Finding) -> dict[str, Any]:
    """One finding as what JSON has."""
    return {
        **{name: plain(getattr(found, name)) for name in Finding.__annotations__},
        "stops": found.stops,
        "reason_code": reason_codes.code_of(found.verdict.word) if found.stops else "",
        "evidence": [
            {name: plain(getattr(each, name)) for name in Evidence.__annotations__} for each in found.evidence
        ],
    }


def parse(text: str) -> Report:
    """The report again. Values of evidence stay what JSON has.

    UsageError if it is none of this form; IntegrityError if its findings do not make the digest that it names.
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
        )
        form_found, digest = content["form"], content["digest"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"this is no report: {type(error).__name__} {error}", hint=hint) from error
    if form_found != FORMAT:
        raise UsageError(f'this report has the form "{form_found}", not "{FORMAT}"', hint=hint)
    require(report.digest == digest, f"the report names the digest {digest}, and its findings make {report.digest}")
    return report


def _standing(standing: ProfileSummary) -> dict[str, Any]:
    profile = standing.profile
    return {
        "id": profile.id,
        "version": profile.version,
        "title": profile.title,
        "status": profile.status,
        "force": standing.force.word,
        "stops": standing.stops,
        "counts": {verdict.word: standing.counts[verdict] for verdict in WORST_FIRST},
        "says": standing.sentence,
    }


def _finding(members: Mapping[str, Any]) -> Finding:
    taken = dict(members)
    for follows in ("stops", "reason_code"):
        taken.pop(follows)
    waiver = taken["waiver"]
    return Finding(
        **{
            **taken,
            "verdict": Verdict[_name(taken["verdict"])],
            "force": Force[_name(taken["force"])],
            "evidence": tuple(_evidence(each) for each in taken["evidence"]),
            "chain": tuple(taken["chain"]),
            "missing": tuple(taken["missing"]),
            "conflicts_with": tuple(taken["conflicts_with"]),
            "assurance": None if taken["assurance"] is None else Assurance[_name(taken["assurance"])],
            "waiver": None if waiver is None else _waiver(waiver),
        }
    )


def _evidence(members: Mapping[str, Any]) -> Evidence:
    as_of = members["as_of"]
    return Evidence(
        **{
            **members,
            "value": _value(members["value"]),
            "as_of": None if as_of is None else date.fromisoformat(as_of),
            "assurance": Assurance[_name(members["assurance"])],
        }
    )


def _waiver(members: Mapping[str, Any]) -> Waiver:
    days = {name: date.fromisoformat(members[name]) for name in ("from_date", "until_date")}
    return Waiver(**{**members, **days})


def _value(value: Any) -> Value | None:
    return tuple(value) if isinstance(value, list) else value


def _name(word: str) -> str:
    return word.upper().replace("-", "_")
