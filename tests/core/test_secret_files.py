"""Files of secrets, which only their owner can read."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from sycee.core.errors import UsageError
from sycee.core.secret_files import SecretKey, read_secret, require_own, write_secret

pytestmark = pytest.mark.fast


def test_a_key_is_saved_and_loaded(tmp_path: Path) -> None:
    key = SecretKey.generate()
    key.save(tmp_path / "a.key")
    assert stat.S_IMODE((tmp_path / "a.key").stat().st_mode) == 0o600
    assert SecretKey.load(tmp_path / "a.key") == key
    assert SecretKey.generate() != key


def test_the_text_of_a_key(tmp_path: Path) -> None:
    SecretKey(bytes(range(32))).save(tmp_path / "a.key")
    assert (tmp_path / "a.key").read_text() == f"sycee-key-v1:{bytes(range(32)).hex()}\n"


def test_no_error_and_no_repr_shows_the_secret(tmp_path: Path) -> None:
    key = SecretKey(b"S" * 32)
    assert key.secret.hex() not in repr(key)
    write_secret(tmp_path / "a.key", f"sycee-key-v2:{key.secret.hex()}".encode())
    with pytest.raises(UsageError, match="contains no secret key") as caught:
        SecretKey.load(tmp_path / "a.key")
    assert key.secret.hex() not in str(caught.value)
    with pytest.raises(UsageError, match="32 bytes, not 31"):
        SecretKey(b"S" * 31)


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    write_secret(tmp_path / "a.key", b"first")
    with pytest.raises(UsageError, match="already exists"):
        write_secret(tmp_path / "a.key", b"second")
    assert read_secret(tmp_path / "a.key", hint="") == b"first"


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    write_secret(tmp_path / "a.key", b"first")
    (tmp_path / "a.key").chmod(0o640)
    with pytest.raises(UsageError, match=r"the backup key .* is accessible to other users \(mode 640\)"):
        read_secret(tmp_path / "a.key", what="backup key", hint="")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(UsageError, match="is not a regular file"):
        read_secret(tmp_path / "pipe", hint="name a file")
    with pytest.raises(UsageError, match="cannot be read") as caught:
        read_secret(tmp_path / "none", hint="name a file")
    assert caught.value.hint == "name a file"


@pytest.mark.parametrize(
    ("mode", "as_setting", "as_secret"),
    [
        (0o600, "", ""),
        (0o400, "", ""),
        (0o644, "", "accessible to other users (mode 644)"),
        (0o640, "", "accessible to other users (mode 640)"),
        (0o601, "", "accessible to other users (mode 601)"),
        (0o660, "can be changed by other users (mode 660)", "accessible to other users (mode 660)"),
        (0o602, "can be changed by other users (mode 602)", "accessible to other users (mode 602)"),
    ],
)
def test_modes_of_settings_and_secrets(tmp_path: Path, mode: int, as_setting: str, as_secret: str) -> None:
    file = tmp_path / "a"
    file.touch()
    file.chmod(mode)
    for is_secret, message in ((False, as_setting), (True, as_secret)):
        hint = "chmod 600" if is_secret else "chmod go-w"
        assert_refused(file, message and f"the file {file} .*{re.escape(message)}", hint, is_secret=is_secret)


def assert_refused(file: Path, message: str, hint: str, *, is_secret: bool = False) -> None:
    """Assert that a file is refused with this message and hint, or not at all if there is no message."""
    if not message:
        require_own(file, what="file", is_secret=is_secret)
        return
    with pytest.raises(UsageError, match=message.replace(" .*", " (is )?")) as caught:
        require_own(file, what="file", is_secret=is_secret)
    assert (caught.value.hint or "").startswith(hint)


@pytest.mark.parametrize(("mode", "refused"), [(0o755, False), (0o1777, False), (0o775, True), (0o777, True)])
def test_a_folder_whose_files_others_can_replace_is_refused(tmp_path: Path, mode: int, refused: bool) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    write_secret(folder / "a", b"secret")
    folder.chmod(mode)
    (tmp_path / "link").symlink_to(folder / "a")
    for path in (folder / "a", tmp_path / "link"):
        message = f"the folder {folder} of the file {path.name} can be changed by other users" if refused else ""
        assert_refused(path, message, f"chmod go-w {folder}", is_secret=True)
    if refused:
        with pytest.raises(UsageError, match="can be changed by other users"):
            read_secret(folder / "a", hint="")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to another user")
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    write_secret(folder / "a", b"secret")
    os.chown(folder / "a", 65534, -1)
    assert_refused(folder / "a", "belongs to another user", "run as that user")
    os.chown(folder / "a", 0, -1)
    require_own(folder / "a", what="file", is_secret=True)
    os.chown(folder, 65534, -1)
    assert_refused(folder / "a", f"the folder {folder} of the file a belongs to another user", "run as that user")


def test_a_missing_file_is_left_to_its_reader(tmp_path: Path) -> None:
    require_own(tmp_path / "none", what="file", is_secret=True)
    require_own(tmp_path / "none" / "none", what="file", is_secret=True)
