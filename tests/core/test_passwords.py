"""Passwords in URLs and connection strings are found, and no error repeats them."""

from __future__ import annotations

import traceback

import pytest

from sycee.core import documents
from sycee.core.errors import SyceeError
from sycee.core.passwords import contains_password, without_passwords

pytestmark = pytest.mark.fast

WITH = (
    "postgresql://sycee:hunter2@host/bank",
    "postgresql+psycopg://sycee:hunter2@[::1]:5432/bank",
    "POSTGRES://sycee:hunter2@host",
    "postgresql://sycee:hunter2 /with@blanks@host/bank",
    "postgresql://:hunter2@host/bank",
    "postgresql://sycee@host/bank?password=hunter2",
    "postgresql://sycee@host/bank?sslmode=require&sslpassword=hunter2",
    "host=db user=sycee password=hunter2",
    "password = 'hunter2' dbname=bank",
    "https://collector:hunter2@host/v1/traces",
    'database = "postgresql://sycee:hunter2@host/bank"',
)
WITHOUT = (
    "postgresql://sycee@host:5432/bank",
    "postgresql://[::1]:5432/bank?application_name=a@b",
    "postgresql:///?service=bank",
    "postgresql://sycee@/bank?host=/run/postgresql&passfile=/etc/sycee/pgpass",
    "http://localhost:4318/v1/traces",
    "http://localhost:8420 is the address of ann@example.org",
    "unix:/run/sycee/http.sock",
    "/var/lib/sycee/sycee.db",
    'database_password_file = "secrets/password"',
    "wrong password: ask ann@example.org",
)


@pytest.mark.parametrize("text", WITH)
def test_a_password_is_found_and_masked(text: str) -> None:
    assert contains_password(text)
    masked = without_passwords(text)
    assert "hunter2" not in masked
    assert "with@blanks" not in masked
    assert "***" in masked


@pytest.mark.parametrize("text", WITHOUT)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert not contains_password(text)
    assert without_passwords(text) == text


@pytest.mark.parametrize("text", WITH)
def test_no_error_and_no_traceback_repeats_a_password(text: str) -> None:
    with pytest.raises(SyceeError) as caught:
        raise SyceeError(f"{text!r} is wrong", hint="leave it out")
    shown = "".join(traceback.format_exception(caught.value, limit=0)) + repr(caught.value) + caught.value.message
    assert "hunter2" not in shown


@pytest.mark.parametrize(
    "line", ["database = postgresql://sycee:hunter2@host", 'database = ["postgresql://a:hunter2@h"]']
)
def test_a_wrong_line_of_a_document_is_shown_without_its_password(line: str) -> None:
    with pytest.raises(documents.DocumentError) as caught:
        documents.parse(line, "sycee.toml").text("database")
    assert "hunter2" not in f"{caught.value} {caught.value.problem} {caught.value.hint}"
    assert "sycee.toml:1" in str(caught.value)
