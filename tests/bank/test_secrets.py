"""A bank whose database needs a password, and the modes of the files that a founding and a restore make."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.bank import world
from tests.cli import calling
from tests.cli.calling import CommandResult
from tests.cli.test_streams import BANK_KEYS, found_bank
from tests.database import places

from sycee.bank import backup, restoring
from sycee.bank.bank import Bank
from sycee.core.errors import UsageError
from sycee.core.secret_files import SecretKey

PASSWORD = "hunter2-of-the-database"  # noqa: S105 - of a server of this test
OWN_FILES = 0o600
OWN_FOLDERS = 0o700


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Let new files have all permissions but those of a mask."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def modes(folder: Path, *names: str) -> dict[str, int]:
    return {name: stat.S_IMODE((folder / name).stat().st_mode) for name in names}


def test_a_founding_makes_files_for_their_owner_alone(tmp_path: Path) -> None:
    """Also with the weakest mask, in a folder that was there before and that everybody could write."""
    with umask(0):
        (tmp_path / "bank").mkdir(mode=0o777)
        Bank.create(tmp_path / "bank", world.founding(tmp_path)).close()
    assert modes(tmp_path, "bank", "bank/keys", "bank/packs", "people-backup") == dict.fromkeys(
        ("bank", "bank/keys", "bank/packs", "people-backup"), OWN_FOLDERS
    )
    keys = [str(each.relative_to(tmp_path)) for each in (tmp_path / "bank" / "keys").iterdir()]
    files = (
        *("master.key", "people-backup/people.keys", *keys),
        *(f"bank/{name}" for name in ("sycee.toml", "founding.json", "clock", "sycee.db", "people.keys")),
    )
    assert modes(tmp_path, *files) == dict.fromkeys(files, OWN_FILES)
    Bank.open(tmp_path / "bank").close()


def test_a_restore_makes_files_for_their_owner_alone(tmp_path: Path) -> None:
    key = SecretKey.generate()
    with world.bank("", tmp_path / "old") as bank:
        backup.write_backup(bank, tmp_path / "file", key)
    with umask(0):
        restoring.restore_bank(
            tmp_path / "file",
            tmp_path / "new",
            key,
            master_key=tmp_path / "old" / "master.key",
            key_backup=tmp_path / "old" / "people-backup",
        )
    assert modes(tmp_path, "new", "new/keys") == {"new": OWN_FOLDERS, "new/keys": OWN_FOLDERS}
    files = tuple(f"new/{name}" for name in ("sycee.toml", "sycee.db", "people.keys"))
    assert modes(tmp_path, *files) == dict.fromkeys(files, OWN_FILES)


@pytest.mark.parametrize(
    ("name", "mode"), [("bank/sycee.toml", 0o666), ("bank/people.keys", 0o604), ("master.key", 0o640), ("bank", 0o770)]
)
def test_a_bank_whose_files_others_can_use_does_not_start(tmp_path: Path, name: str, mode: int) -> None:
    options = world.founded("").copy(tmp_path)
    before = (tmp_path / name).stat().st_mode
    (tmp_path / name).chmod(mode)
    with pytest.raises(UsageError, match=f"other users .*mode {mode:o}") as caught:
        Bank.open(tmp_path / "bank", options=options)
    assert (caught.value.hint or "").startswith("chmod ")
    assert str(tmp_path / name) in (caught.value.hint or "")
    (tmp_path / name).chmod(stat.S_IMODE(before))
    Bank.open(tmp_path / "bank", options=options).close()


def sycee(*words: str, **environment: str) -> CommandResult:
    """Run a command in a process of its own."""
    command = calling.start(*words, **environment)
    out, err = command.communicate(timeout=120)
    return CommandResult(command.wait(), out, err)


def test_a_password_is_in_its_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found a bank on PostgreSQL and open it again; then search every file and output for the password."""
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))  # not that of whoever runs the tests
    bank, file = tmp_path / "bank", tmp_path / "password"
    with places.guarded("locked", PASSWORD) as url:
        found = [*found_bank(tmp_path), "--database"]
        with_password = url.replace("locked@", f"locked:{PASSWORD}@")
        for name in BANK_KEYS:
            assert sycee("key", "new", str(tmp_path / f"{name}.pem")).code == 0
        refused = [
            sycee(*found, with_password),
            sycee(*found[:-1], "--databse", with_password),  # an unknown option is repeated in the error
            sycee(*found, url),
        ]
        assert [each.code for each in refused] == [2, 2, 4]
        file.write_text(f"{PASSWORD}\n")
        file.chmod(0o644)
        found += [url, "--database-password-file", str(file)]
        refused.append(sycee(*found))
        assert (refused[-1].code, f"(mode 644)\nhint: chmod 600 {file};" in refused[-1].err) == (2, True)
        file.chmod(0o600)
        done = [
            sycee(*found),
            sycee("config", "show", str(bank), "--json"),
            sycee("officer", "list", str(bank)),
        ]
        assert [(each.code, each.err) for each in done] == [(0, "")] * len(done)
        assert done[1].json()["database_password_file"]["value"] == "../password"
        refused.append(sycee("config", "show", str(bank), SYCEE_DATABASE=with_password))
        text = (bank / "sycee.toml").read_text()
        for wrong in (f'database = "{with_password}"', f"database = {with_password}"):
            (bank / "sycee.toml").write_text(re.sub(r"(?m)^database = .*$", wrong, text))
            refused.append(sycee("config", "show", str(bank)))
        (bank / "sycee.toml").write_text(text)
    assert [each.code for each in refused[4:]] == [2, 2, 2]
    assert all("hint: " in each.err for each in refused)
    assert PASSWORD not in "".join(each.out + each.err for each in (*refused, *done))
    files = [each for each in tmp_path.rglob("*") if each.is_file()]
    assert [each for each in files if PASSWORD.encode() in each.read_bytes()] == [file]
