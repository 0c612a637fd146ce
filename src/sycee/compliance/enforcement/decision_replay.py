"""Replay of stored decisions: the same inputs must give the same decision, on any machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any, Protocol

from sycee.compliance.enforcement import decisions, screening
from sycee.compliance.enforcement.admission import Admission
from sycee.compliance.enforcement.judge_cache import JudgeCache
from sycee.compliance.enforcement.screening import AdmissionStatus, PaymentRequest, Screened, Screening, UnreadableFlow
from sycee.compliance.verdicts import ENGINE
from sycee.core.errors import IntegrityError, UnavailableError, UsageError


class Judges(Protocol):
    """A source of judges."""

    def judge_cache(self, network: str, library: str, day: date) -> JudgeCache:
        """Return the judge for the versions with these digests. Raise UnavailableError without them."""


def replay(judges: Judges, record: str | bytes | Mapping[str, Any]) -> Admission | Screened:
    """Judge a record again from the versions that it names. Raise as `Compliance.verify_record`."""
    content = decisions.parse_record(record, (Admission.FORMAT, Screening.FORMAT, UnreadableFlow.FORMAT))
    try:
        decision = _decide(judges, content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"no record: a member is missing or malformed: {error}", hint="give it as it came") from error
    if decision.digest != content["digest"]:
        names = (content.keys() | decision.record.keys()) - {"digest", "messages"}
        different = sorted(name for name in names if content.get(name) != decision.record.get(name))
        raise IntegrityError(f"judging the record again gives different {', '.join(different)}")
    return decision


def _decide(judges: Judges, content: Mapping[str, Any]) -> Admission | Screened:
    inputs = content["inputs"]
    if inputs["engine"] != ENGINE:
        message = f"the record was made by the engine {inputs['engine']}; this one is {ENGINE}"
        raise UnavailableError(message, hint="judge it again with the release that made it")
    network, library = (decisions.storable_text(name, inputs[name]) for name in ("network", "library"))
    cache = judges.judge_cache(network, library, date.fromisoformat(inputs["day"]))
    if content["format"] == Admission.FORMAT:
        return cache.admission_by(content["participant"], cache.findings(content["participant"]))
    if content["format"] == UnreadableFlow.FORMAT:
        if not content["given"]:
            raise UnavailableError("the record lacks the request, which could not be stored", hint="ask the payer")
        result = cache.screening_result(PaymentRequest(content["payment"], **json.loads(content["given"])))
        if isinstance(result, UnreadableFlow):
            return result
        raise IntegrityError("the request can be read, and the record says that it cannot")
    flow = content["flow"]
    result = cache.flow_result(cache.flow_class(flow["id"], flow["facts"], **flow.get("narrowed", {})))
    statuses = {each["participant"]: AdmissionStatus(**each) for each in content["standings"]}
    return screening.decide(content["payment"], result, [statuses[each] for each in result.parties])
