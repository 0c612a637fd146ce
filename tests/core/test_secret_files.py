"""Files of secrets, which only their owner can read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from sycee.core.errors import UsageError
from sycee.core.secret_files import SecretKey, read_secret, write_secret

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
