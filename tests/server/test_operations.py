"""Every operation in every role, over HTTP, against the table in docs/reference/http-operations.md."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.server.office import ROLES, Office, office
from tests.server.samples import Samples, samples_of
from tools.operations_page import NO, THEIRS, cell

from sycee.server.operations import OWN
from tools import operations_page

OPERATIONS = [each[1:] for each in operations_page.operations()]
SEED = 7
DENIED = (401, 403)
HIDDEN = (401, 403, 404)
STREAMS = {"follow_events"}
# Logging out ends the session of a caller; a provider that does not exist is answered like a failed login.
LOGINS = {"log_out", "begin_provider_login", "end_provider_login"}
# A wallet's owner, the staff of its operator, and who audits.
SEE_LEO = {"citizen", "clerk", "operator", "officer", "auditor"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder: Path = tmp_path_factory.mktemp("operations")
    with office(folder) as town:
        yield town


@pytest.fixture(scope="module")
def samples(made: Office) -> Samples:
    return samples_of(made)


def duty_of(role: str) -> str:
    return "operator" if role == "other bank" else role


def send(client: httpx.Client, name: str, method: str, path: str, **options: object) -> int:
    if name in STREAMS:
        with client.stream(method, path, **options) as answer:  # type: ignore[arg-type]
            return answer.status_code
    return client.request(method, path, **options).status_code  # type: ignore[arg-type]


def test_the_page_is_as_the_routers_are() -> None:
    page = operations_page.PAGE.read_text(encoding="utf-8")
    assert page == operations_page.made(), f"run: {operations_page.COMMAND}"


def some_roles() -> dict[str, list[str]]:
    """Return roles for each operation: nobody, one that may call it and one that may not.

    Of operations with equal cells for all roles the first one has all roles.
    """
    drawn, rows, chosen = random.Random(SEED), set(), {}
    for name, _, _, access in OPERATIONS:
        row = tuple(cell(access, duty_of(role)) for role in ROLES)
        by_cell = [[role for role, each in zip(ROLES, row, strict=True) if (each == NO) is no] for no in (False, True)]
        some = {ROLES[0], *(drawn.choice(roles) for roles in by_cell if roles)}
        chosen[name] = [role for role in ROLES if role in some or row not in rows]
        rows.add(row)
    return chosen


@pytest.mark.parametrize("is_sample", [True, pytest.param(False, marks=pytest.mark.soak)], ids=["sample", "all"])
def test_every_operation_answers_every_role_as_the_page_states(made: Office, samples: Samples, is_sample: bool) -> None:
    wrong, chosen = [], some_roles()
    for name, method, template, access in OPERATIONS:
        if name in LOGINS:
            continue
        path, query = samples.path(template), samples.query(method, template)
        for role in chosen[name] if is_sample else ROLES:
            allowed = cell(access, duty_of(role))
            # An action without its id changes nothing, and is refused only after the caller's duty was checked.
            body = {} if method == "POST" else None
            status = send(made.of(role), name, method, path, params=query, json=body)
            is_right = (status in DENIED) is (allowed == NO)
            if status >= 500 or not is_right:
                wrong.append(f"{role}: {method} {path} ({name}, {access}) is {status}, and the page states {allowed!r}")
    assert wrong == [], "\n".join(wrong)


def test_what_is_leos_is_shown_to_his_own_people_only(made: Office, samples: Samples) -> None:
    wrong = []
    for name, method, template, access in OPERATIONS:
        if method != "GET" or access != OWN or "{wallet}" not in template:
            continue
        path, query = samples.path(template), samples.query(method, template)
        for role in ROLES[1:]:
            status = send(made.of(role), name, method, path, params=query)
            if (status in HIDDEN) is (role in SEE_LEO) or status >= 500:
                wrong.append(f"{role}: {path} is {status}")
    assert wrong == [], "\n".join(wrong)


def test_lists_of_an_operator_do_not_exist_for_another_bank(made: Office, samples: Samples) -> None:
    answers = {}
    for name, method, template, access in OPERATIONS:
        if method != "GET" or "/operators/{operator}/" not in template or cell(access, "operator") != THEIRS:
            continue
        path, query = samples.path(template), samples.query(method, template)
        answers[name] = send(made.of("other bank"), name, method, path, params=query)
    assert len(answers) >= 6
    assert {name: status for name, status in answers.items() if status != 404} == {}


def test_another_bank_changes_nothing_of_this_bank(made: Office, samples: Samples) -> None:
    """A complete request about things of operator 2, by a person who signs for operator 3."""
    wrong, complete = [], 0
    for name, method, template, access in OPERATIONS:
        if method == "GET" or cell(access, "operator") != THEIRS:
            continue
        path, body = samples.path(template), samples.body(method, template)
        status = send(made.of("other bank"), name, method, path, json=body)
        complete += status in HIDDEN
        if status not in (*HIDDEN, 400):
            wrong.append(f"{method} {path} ({name}) is {status} for {body}")
    assert wrong == [], "\n".join(wrong)
    assert complete >= 25
