"""Passwords of PostgreSQL: never in a URL, by its own means or from a file, and in no error."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from tests.database import places

from sycee.core.errors import SyceeError, UnavailableError, UsageError
from sycee.database.engines import engine, shown
from sycee.database.transactions import reading

ROLE, PASSWORD = "locked", "hunter2 @/:"


@pytest.fixture(scope="module")
def locked() -> Iterator[str]:
    with places.guarded(ROLE, PASSWORD) as url:
        yield url


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the passwords of whoever runs the tests."""
    for name in [each for each in os.environ if each.startswith("PG")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def private(path: Path, text: str, mode: int = 0o600) -> Path:
    path.touch(mode)
    path.write_text(text)
    path.chmod(mode)
    return path


def user_of(url: str, password_file: Path | None = None) -> str:
    """Return the user that the server sees."""
    made = engine(url, password_file=password_file)
    try:
        with reading(made) as connection:
            return str(connection.scalar(sqlalchemy.text("SELECT current_user")))
    finally:
        made.dispose()


@pytest.mark.parametrize(
    "where",
    [
        "postgresql://somebody:hunter2@nowhere/db",
        "postgresql://somebody:hun/ter2@nowhere/db",
        "postgresql://somebody:hunter2@nowhere:port/db",
        "postgresql://somebody@nowhere/db?password=hunter2",
        "mysql://somebody:hunter2@nowhere/db",
        "host=nowhere user=somebody password=hunter2",
    ],
)
def test_a_location_with_a_password_is_refused_and_not_repeated(where: str) -> None:
    with pytest.raises(UsageError, match="contains a password") as caught:
        engine(where)
    said = "".join(traceback.format_exception(caught.value, limit=0))
    assert "hunter2" not in said
    assert "ter2" not in said
    assert "PGPASSFILE" in (caught.value.hint or "")


def test_a_database_without_a_password_is_shown_whole() -> None:
    made = engine("postgresql://somebody@nowhere/db")
    assert (shown(made), made.url.drivername) == ("postgresql+psycopg://somebody@nowhere/db", "postgresql+psycopg")


def test_an_sqlite_file_has_no_password(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no password"):
        engine(tmp_path / "a.db", password_file=tmp_path / "password")


@pytest.mark.usefixtures("quiet")
def test_a_file_of_the_password(locked: str, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="no password supplied"):
        user_of(locked)
    password = private(tmp_path / "password", f"{PASSWORD}\n")
    assert user_of(locked, password) == ROLE
    password.chmod(0o640)
    with pytest.raises(UsageError, match=r"the password file .* is accessible to other users \(mode 640\)") as caught:
        user_of(locked, password)
    assert (caught.value.hint or "").startswith(f"chmod 600 {password}")
    password.chmod(0o600)
    for text in ("", "\n", "one\ntwo\n"):
        password.write_text(text)
        with pytest.raises(UsageError, match="does not have one line with a password"):
            user_of(locked, password)
    password.write_text("wrong-hunter3\n")
    with pytest.raises(UnavailableError, match="password authentication failed") as failed:
        user_of(locked, password)
    assert "hunter3" not in _everything(failed.value)


@pytest.mark.usefixtures("quiet")
def test_a_replaced_password_counts_at_the_next_connection(locked: str, tmp_path: Path) -> None:
    password = private(tmp_path / "password", "old\n")
    made = engine(locked, password_file=password)
    with pytest.raises(UnavailableError, match="password authentication failed"), reading(made):
        pass
    password.write_text(PASSWORD)
    with reading(made) as connection:
        assert connection.scalar(sqlalchemy.text("SELECT current_user")) == ROLE
    assert PASSWORD not in f"{made!r} {made.url!r} {shown(made)}"
    made.dispose()


@pytest.mark.usefixtures("quiet")
def test_passwords_by_the_means_of_postgresql(locked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    escaped = PASSWORD.replace(":", r"\:")
    passwords = private(tmp_path / "pgpass", f"*:*:*:{ROLE}:{escaped}\n")
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    assert user_of(locked) == ROLE
    passwords.chmod(0o644)  # which PostgreSQL then ignores
    with pytest.raises(UnavailableError, match="no password supplied"):
        user_of(locked)
    monkeypatch.delenv("PGPASSFILE")
    private(tmp_path / ".pgpass", passwords.read_text())
    assert user_of(locked) == ROLE


@pytest.mark.usefixtures("quiet")
def test_a_service_file(locked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = locked.partition("host=")[2]
    text = f"[bank]\nhost={host}\ndbname=guarded\nuser={ROLE}\n"
    services = private(tmp_path / "services.conf", f"{text}password={PASSWORD}\n")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    url = "postgresql:///?service=bank"
    assert user_of(url) == ROLE
    services.chmod(0o644)
    with pytest.raises(UsageError, match=r"the service file .* is accessible to other users \(mode 644\)"):
        user_of(url)
    services.write_text(text)  # without the password, others may read it
    assert user_of(url, private(tmp_path / "password", PASSWORD)) == ROLE
    services.chmod(0o666)
    with pytest.raises(UsageError, match=r"the service file .* can be changed by other users"):
        user_of(url)


def _everything(error: SyceeError) -> str:
    """All that a traceback shows, with the errors that caused this one."""
    return "".join(traceback.format_exception(error)) + repr(error)
