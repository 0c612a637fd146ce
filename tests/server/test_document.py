"""The API's document is true for requests about things that exist. tests/demo/test_fuzz.py sends random ones."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.documented import differences, new_session, operations_of
from tests.server.office import Office, office
from tests.server.samples import samples_of
from tests.server.world import new_id
from tools.operations_page import NO, cell

from sycee.server.operations import ACCESS

# A stream has no end; the others end the sessions of the roles.
SKIPPED = {"follow_events", "log_out", "end_logins"}
WAIT_S = 60


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path) as town:
        yield town


def test_requests_about_existing_things_get_documented_answers(made: Office) -> None:
    samples, session = samples_of(made), new_session()
    statuses, findings = Counter[int](), dict[str, str]()
    for operation in operations_of(made.nobody.get("/openapi.json").json(), SKIPPED):
        method, path = operation.method, operation.path
        for role in ("officer", "operator", "citizen"):
            # One role that may not is enough.
            if cell(operation.definition.raw[ACCESS], role) == NO and (role != "citizen" or statuses[403]):
                continue
            described = {part: samples.values.get(part, new_id()) for part in re.findall(r"{(.+?)}", path)}
            query, body = samples.query(method, path), samples.body(method, path)
            given = {} if body is None else {"body": body, "media_type": "application/json"}
            case, client = operation.Case(path_parameters=described, query=query, **given), made.of(role)
            cookie = "; ".join(f"{each.name}={each.value}" for each in client.cookies.jar)
            headers = {"Origin": client.headers["Origin"], "Sec-Fetch-Site": "same-origin", "Cookie": cookie}
            answer = case.call(base_url=made.address, session=session, timeout=WAIT_S, headers=headers)
            statuses[answer.status_code] += 1
            findings |= {name: f"{role} {body}: {text}" for name, text in differences(case, answer)}
    assert findings == {}, "\n".join(f"{name}: {text}" for name, text in findings.items())
    assert statuses[200] + statuses[201] + statuses[202] >= 100, statuses
    assert statuses[403], statuses
    assert not statuses[429]
