"""Judging again, from what was kept: the same inputs must come to the same decision, on any machine."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy.engine import Connection

from sycee.compliance.enforcement import admission, decision_log, decisions, screening
from sycee.compliance.enforcement.admission import Admission
from sycee.compliance.enforcement.judge_cache import JudgeCache, VersionCache
from sycee.compliance.enforcement.screening import AdmissionStatus, ComplianceRecord, Refusal
from sycee.compliance.verdicts import ENGINE
from sycee.core.errors import IntegrityError, UnavailableError, UsageError, require


def again(
    version_cache: VersionCache, record: str | bytes | Mapping[str, Any]
) -> Admission | ComplianceRecord | Refusal:
    """Judge what a record says on what it names. Raises as `Compliance.verify_record`."""
    content = decisions.parse_record(record, (admission.FORMAT, screening.FORMAT))
    try:
        made = _made(version_cache, content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"what was given is no record: it lacks or misspells {error}"
        raise UsageError(message, hint="give it as it came") from error
    if made.digest != content["digest"]:
        raise IntegrityError(f"judged again, the record is otherwise in: {', '.join(_otherwise(content, made.record))}")
    return made


def _made(version_cache: VersionCache, content: Mapping[str, Any]) -> Admission | ComplianceRecord | Refusal:
    inputs = content["inputs"]
    if inputs["engine"] != ENGINE:
        message = f"the record was made by the engine {inputs['engine']}, and this one is {ENGINE}"
        raise UnavailableError(message, hint="judge it again with the release that made it")
    network, library = (decisions.storable_text(name, inputs[name]) for name in ("network", "library"))
    prepared = version_cache.judge_cache(network, library, date.fromisoformat(inputs["day"]))
    return _admission(prepared, content) if content["format"] == admission.FORMAT else _screening(prepared, content)


def require_admissions(connection: Connection, record: Mapping[str, Any]) -> None:
    """IntegrityError if a record rests on an admission that was not kept."""
    for each in record.get("standings", ()):
        if each["digest"]:
            kept = decision_log.of_digest(connection, each["digest"])
            same = (kept.about, kept.outcome) == (each["participant"], each["outcome"])
            require(same, f"{each['participant']} was not admitted as the record says")


def _admission(prepared: JudgeCache, content: Mapping[str, Any]) -> Admission:
    participant = content["participant"]
    found = prepared.findings_if_declared(participant)
    return prepared.gone(participant) if found is None else prepared.admission(participant, found)


def _screening(prepared: JudgeCache, content: Mapping[str, Any]) -> ComplianceRecord | Refusal:
    question = prepared.flow_class(content["flow"]["id"], content["flow"]["facts"])
    found = prepared.flow_result(question)
    stood = {each["participant"]: AdmissionStatus(**each) for each in content["standings"]}
    return screening.decide(content["payment"], found, [stood[each] for each in found.parties])


def _otherwise(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    names = (before.keys() | after.keys()) - {"digest", "messages"}
    return sorted(name for name in names if before.get(name) != after.get(name))
