"""Comparison of answers with the API's document, by `schemathesis`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import schemathesis
from schemathesis import Case
from schemathesis.core.failures import FailureGroup
from schemathesis.core.transport import Response
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks

CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
SHOWN_CHARACTERS = 1_500


def operations_of(document: dict[str, Any], skipped: Collection[str]) -> list[APIOperation]:
    """The operations of a document, but for some. They need no login: a random one would hide what is after it."""
    for each in document["paths"].values():
        for operation in each.values():
            operation.pop("security", None)
    found = [each.ok() for each in schemathesis.openapi.from_dict(document).get_all_operations()]
    return [each for each in found if each.definition.raw["operationId"] not in skipped]


def new_session() -> requests.Session:
    """A session without own cookies and settings, which senders can share."""
    session = requests.Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.trust_env = False
    return session


def differences(case: Case, answer: Response) -> Iterator[tuple[str, str]]:
    """Yield name and description of each difference between an answer and the document; every 5xx is one."""
    what = f"{case.method} {case.path}"
    if answer.status_code >= 500:
        yield f"{what} {answer.status_code}", answer.text[:SHOWN_CHARACTERS]
        return
    try:
        case.validate_response(answer, checks=CHECKS)
    except FailureGroup as group:
        for each in group.exceptions:
            yield f"{what} {type(each).__name__}", f"{answer.status_code}: {each}"[:SHOWN_CHARACTERS]
