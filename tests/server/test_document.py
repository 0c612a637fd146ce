"""The API's document is true: random requests in several roles get documented answers, and never 5xx.

`schemathesis` makes the requests from /openapi.json, right and wrong ones, and compares each answer's status, type and
fields with the document.
"""

from __future__ import annotations

import random
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks
from tests.server.office import ROLES, Office, office
from tests.server.samples import Samples
from tests.server.world import new_id
from tools.operations_page import NO, cell

from sycee.server.operations import ACCESS

CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
# A stream has no end; the others end the sessions of the roles.
SKIPPED = {"follow_events", "log_out", "end_logins"}
SEED = 15
WAIT_S = 60
EXAMPLES, EXAMPLES_LONG = 1, 100  # of each operation
EVERY = 2  # one of two operations: a strategy takes longer to make than its request


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder: Path = tmp_path_factory.mktemp("document")
    with office(folder) as town:
        yield town


@pytest.fixture(scope="module")
def operations(made: Office) -> list[APIOperation]:
    document = made.nobody.get("/openapi.json", timeout=60).json()
    for each in document["paths"].values():
        for operation in each.values():
            operation.pop("security", None)  # roles have sessions: a random token would hide what comes after it
    schema = schemathesis.openapi.from_dict(document)
    found = [each.ok() for each in schema.get_all_operations()]
    return [each for each in found if each.definition.raw["operationId"] not in SKIPPED]


@pytest.fixture(scope="module")
def samples(made: Office) -> Samples:
    return Samples(made)


class Run:
    """Requests to all operations, and the findings: one line for each operation and kind."""

    def __init__(self, made: Office, samples: Samples) -> None:
        self.made, self.samples = made, samples
        self.session = requests.Session()
        self.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # roles share the connection alone
        self.findings: dict[str, str] = {}
        self.statuses: Counter[int] = Counter()

    def examine(self, operation: APIOperation, examples: int, number: int) -> None:
        """Send `examples` requests, of which half name things that exist."""
        known = {name: value for name, value in self.samples.values.items() if f"{{{name}}}" in operation.path}
        kinds: list[dict[str, Any]] = [
            {},
            {"path_parameters": known},
            {"generation_mode": GenerationMode.NEGATIVE},
        ]
        if examples < len(kinds):  # making a strategy takes longer than a request
            # An operation without parameters has no wrong request: the first kind is always possible.
            kinds = [kinds[0], kinds[2]] if number // EVERY % 4 == 0 else [kinds[number % 2]]
        strategy = st.one_of(*(operation.as_strategy(**kind) for kind in kinds))

        @seed(number)
        @settings(
            max_examples=examples, database=None, deadline=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=strategy, role=st.sampled_from(_roles(operation)))
        def check(case: Case, role: str) -> None:
            self.send(case, role)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check()

    def examine_sample(self, operation: APIOperation, role: str) -> None:
        """Send the request that names existing things, as a role that may."""
        method, path = operation.method, operation.path
        described = {part: self.samples.values.get(part, new_id()) for part in re.findall(r"{(.+?)}", path)}
        query, body = self.samples.query(method, path), self.samples.body(method, path)
        given = {} if body is None else {"body": body, "media_type": "application/json"}
        self.send(operation.Case(path_parameters=described, query=query, **given), role)

    def send(self, case: Case, role: str) -> None:
        client = self.made.of(role)
        answer = case.call(
            base_url=self.made.address,
            session=self.session,
            timeout=WAIT_S,
            headers={
                "Origin": client.headers["Origin"],
                "Sec-Fetch-Site": "same-origin",
                "Cookie": "; ".join(f"{each.name}={each.value}" for each in client.cookies.jar),
            },
        )
        self.statuses[answer.status_code] += 1
        what = f"{case.method} {case.path}"
        if answer.status_code >= 500:
            self.findings.setdefault(f"{what} {answer.status_code}", f"{role} {case.body!r} {answer.text[:500]}")
            return
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as group:
            for each in group.exceptions:
                self.findings.setdefault(f"{what} {type(each).__name__}", f"{role} {answer.status_code}: {each}"[:900])


def _roles(operation: APIOperation) -> list[str]:
    """All roles; those that may call the operation more often."""
    access = operation.definition.raw[ACCESS]
    allowed = [role for role in ROLES if cell(access, "operator" if role == "other bank" else role) != NO]
    return [*(allowed * 3), *reversed(ROLES)]  # the generator prefers the first ones


def test_random_requests_get_documented_answers(made: Office, operations: list[APIOperation], samples: Samples) -> None:
    run = Run(made, samples)
    for number, operation in enumerate(operations):
        if number % EVERY == 0:
            run.examine(operation, EXAMPLES, SEED * 1_000 + number)
    # Which operations are sampled changes with their number: one is certainly forbidden.
    forbidden = next(each for each in operations if cell(each.definition.raw[ACCESS], "citizen") == NO)
    run.examine_sample(forbidden, "citizen")
    assert run.findings == {}, "\n".join(f"{name}: {text}" for name, text in run.findings.items())
    assert {200, 400, 401, 403, 404} <= run.statuses.keys()
    assert not run.statuses[429]


def test_requests_about_existing_things_get_documented_answers(
    made: Office, operations: list[APIOperation], samples: Samples
) -> None:
    run = Run(made, samples)
    for operation in operations:
        for role in ("officer", "operator", "citizen"):
            if cell(operation.definition.raw[ACCESS], role) != NO:
                run.examine_sample(operation, role)
    assert run.findings == {}, "\n".join(f"{name}: {text}" for name, text in run.findings.items())
    assert run.statuses[200] + run.statuses[201] + run.statuses[202] >= 100, run.statuses


@pytest.mark.soak
def test_many_random_requests_get_documented_answers(
    made: Office, operations: list[APIOperation], samples: Samples
) -> None:
    base = random.randrange(10**6)
    print(f"seed {base}")
    run = Run(made, samples)
    for number, operation in enumerate(operations):
        run.examine(operation, EXAMPLES_LONG, base + number)
    print(sorted(run.statuses.items()))
    assert run.findings == {}, "\n".join(f"{name}: {text}" for name, text in run.findings.items())
