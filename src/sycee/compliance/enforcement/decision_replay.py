"""Judging again, from what was kept: the same inputs must come to the same decision, on any machine."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy.engine import Connection

from sycee.compliance.enforcement import admission, cross_border, decision_log, decisions
from sycee.compliance.enforcement.admission import Admission
from sycee.compliance.enforcement.cross_border import ComplianceRecord, Refusal, Standing
from sycee.compliance.enforcement.judge_cache import Prepared, Shelf
from sycee.compliance.verdicts import ENGINE
from sycee.core.errors import IntegrityError, UnavailableError, UsageError, require


def again(shelf: Shelf, record: str | bytes | Mapping[str, Any]) -> Admission | ComplianceRecord | Refusal:
    """Judge what a record says on what it names. Raises as `Compliance.verify_record`."""
    content = decisions.opened(record, (admission.FORMAT, cross_border.FORMAT))
    try:
        made = _made(shelf, content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"what was given is no record: it lacks or misspells {error}"
        raise UsageError(message, hint="give it as it came") from error
    if made.digest != content["digest"]:
        raise IntegrityError(f"judged again, the record is otherwise in: {', '.join(_otherwise(content, made.record))}")
    return made


def _made(shelf: Shelf, content: Mapping[str, Any]) -> Admission | ComplianceRecord | Refusal:
    inputs = content["inputs"]
    if inputs["engine"] != ENGINE:
        message = f"the record was made by the engine {inputs['engine']}, and this one is {ENGINE}"
        raise UnavailableError(message, hint="judge it again with the release that made it")
    network, library = (decisions.text(name, inputs[name]) for name in ("network", "library"))
    prepared = shelf.prepared(network, library, date.fromisoformat(inputs["day"]))
    return _admission(prepared, content) if content["format"] == admission.FORMAT else _crossing(prepared, content)


def require_standings(connection: Connection, record: Mapping[str, Any]) -> None:
    """IntegrityError if a record rests on an admission that was not kept."""
    for each in record.get("standings", ()):
        if each["digest"]:
            kept = decision_log.of_digest(connection, each["digest"])
            same = (kept.about, kept.outcome) == (each["participant"], each["outcome"])
            require(same, f"{each['participant']} was not admitted as the record says")


def _admission(prepared: Prepared, content: Mapping[str, Any]) -> Admission:
    participant = content["participant"]
    found = prepared.findings_if_declared(participant)
    return prepared.gone(participant) if found is None else prepared.admission(participant, found)


def _crossing(prepared: Prepared, content: Mapping[str, Any]) -> ComplianceRecord | Refusal:
    question = prepared.question(content["flow"]["id"], content["flow"]["facts"])
    found = prepared.answer(question)
    stood = {each["participant"]: Standing(**each) for each in content["standings"]}
    return cross_border.decide(content["payment"], found, [stood[each] for each in found.parties])


def _otherwise(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    names = (before.keys() | after.keys()) - {"digest", "messages"}
    return sorted(name for name in names if before.get(name) != after.get(name))
