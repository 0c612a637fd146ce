"""Reading of files that a user names: the limit, and an error for each kind of failure."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from sycee.core.errors import UnavailableError, UsageError
from sycee.core.input_files import read_bytes, read_text

pytestmark = pytest.mark.fast

LIMIT = 1_000


def test_a_file_up_to_the_limit_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * LIMIT)
    assert read_bytes(path, LIMIT, "list") == b"x" * LIMIT
    path.write_bytes(b"x" * (LIMIT + 1))
    with pytest.raises(UsageError, match=r"the list .*file is larger than 1,000 bytes") as caught:
        read_bytes(path, LIMIT, "list")
    assert caught.value.hint


def test_a_sparse_file_of_8_gib_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(8 << 30)
    with pytest.raises(UsageError, match="larger than"):
        read_bytes(path, LIMIT, "list")


def test_a_link_to_a_device_without_an_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "endless").symlink_to("/dev/zero")
    with pytest.raises(UsageError, match="larger than"):
        read_bytes(tmp_path / "endless", LIMIT, "list")


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(b"through a pipe"))
    writer.start()
    assert read_bytes(path, LIMIT, "list") == b"through a pipe"
    writer.join()


@pytest.mark.parametrize(
    ("name", "says"), [("none", "no such file"), ("file/below", "no such file"), (".", "a folder")]
)
def test_a_path_without_a_file_is_a_usage_error(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=f"the list .* cannot be read: .*{says}") as caught:
        read_bytes(tmp_path / name, LIMIT, "list")
    assert caught.value.hint


def test_a_file_that_the_user_may_not_read_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "private"
    path.write_text("secret")
    path.chmod(0)
    user = os.geteuid()
    if user == 0:  # permissions do not bind root
        os.seteuid(65_534)
    try:
        with pytest.raises(UnavailableError, match="permission denied") as caught:
            read_bytes(path, LIMIT, "list")
    finally:
        os.seteuid(user)
    assert "permissions" in (caught.value.hint or "")


def test_text_is_utf_8_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"\xef\xbb\xbf{\xc2\xa5}")
    assert read_text(path, LIMIT, "receipt") == "{¥}"
    path.write_bytes(b"one\ntw\xe9\n")
    with pytest.raises(UsageError, match="not UTF-8 text: line 2 has the byte 0xe9"):
        read_text(path, LIMIT, "receipt")
