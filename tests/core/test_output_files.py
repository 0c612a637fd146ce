"""Atomic writing of output files; links stay links, pipes stay pipes, and two outputs must be two files."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sycee.core import output_files
from sycee.core.errors import UnavailableError, UsageError

pytestmark = pytest.mark.fast


def test_a_file_is_created_or_replaced_and_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    output_files.write_file(path, b"one")
    assert path.read_bytes() == b"one"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    path.chmod(0o600)
    output_files.write_file(path, memoryview(b"two"))
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.csv"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnavailableError, match="No space left on device") as caught:
        output_files.write_file(path, b"new")
    assert caught.value.hint
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_symbolic_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    for name in ("there", "not_yet"):
        target, link = tmp_path / "elsewhere" / name, tmp_path / name
        link.symlink_to(Path("elsewhere") / name)
        if name == "there":
            target.write_bytes(b"old")
        output_files.write_file(link, b"new")
        assert link.is_symlink()
        assert target.read_bytes() == b"new"
        assert not target.is_symlink()


def test_a_pipe_is_written_and_stays_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    output_files.write_file(path, b"x" * 200_000)
    reader.join()
    assert read == [b"x" * 200_000]
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_a_device_is_written_and_stays_a_device(tmp_path: Path) -> None:
    link = tmp_path / "null"
    link.symlink_to("/dev/null")
    before = Path("/dev/null").stat()
    output_files.write_file(link, b"gone")
    output_files.write_file(Path("/dev/null"), b"gone")
    assert Path("/dev/null").stat().st_ino == before.st_ino
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    with pytest.raises(UnavailableError, match="No space left"):
        output_files.write_file(Path("/dev/full"), b"too much")


@pytest.mark.parametrize("through_pipe", [True, False])
def test_dev_stdout_is_written_after_earlier_output(tmp_path: Path, through_pipe: bool) -> None:
    code = (
        "from pathlib import Path; from sycee.core import output_files; print('first'); "
        "output_files.write_file(Path('/dev/stdout'), b'second\\n'); print('third')"
    )
    with (tmp_path / "out").open("wb") as file:
        stdout = subprocess.PIPE if through_pipe else file
        done = subprocess.run([sys.executable, "-c", code], stdout=stdout, check=True)
    assert (done.stdout or (tmp_path / "out").read_bytes()).split() == [b"first", b"second", b"third"]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (" ", "empty"),
        ("", "is a folder"),
        (".", "is a folder"),
        ("/", "is a folder"),
        ("no/such/out.csv", "its folder does not exist"),
    ],
)
def test_a_path_where_no_file_can_be_is_refused(path: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        output_files.write_file(Path(path), b"")
    assert caught.value.hint


@pytest.fixture
def another_user() -> Iterator[None]:
    """Run as a user who owns no file, if the tests run as root, who may write everywhere."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65_534)
    yield
    os.seteuid(user)


@pytest.fixture
def folder_of_another_user() -> Iterator[Path]:
    """A folder that other users may read, with a file that every user may write, and one that they may not enter."""
    with tempfile.TemporaryDirectory() as name:  # not pytest's own, which other users may not enter
        folder = Path(name)
        (folder / "out.csv").write_bytes(b"old")
        (folder / "out.csv").chmod(0o666)
        (folder / "closed").mkdir()
        (folder / "closed").chmod(0)
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("out.csv", "this user may not write to {folder}"),
        ("new.csv", "this user may not write to {folder}"),
        ("closed/out.csv", "{folder}/closed/out.csv cannot be reached: Permission denied"),
    ],
)
def test_missing_permissions_are_found_before_writing(
    folder_of_another_user: Path, another_user: None, name: str, says: str
) -> None:
    for call in (output_files.require_place, lambda path: output_files.write_file(path, b"new")):
        with pytest.raises(UnavailableError, match=says.format(folder=folder_of_another_user)) as caught:
            call(folder_of_another_user / name)
        assert caught.value.hint
    assert (folder_of_another_user / "out.csv").read_bytes() == b"old"


def test_a_link_that_leads_to_itself_is_refused_and_stays(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UnavailableError, match="cannot be reached"):
        output_files.write_file(tmp_path / "loop", b"")
    assert (tmp_path / "loop").is_symlink()


def test_one_file_for_two_outputs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "there").write_bytes(b"")
    (tmp_path / "link").symlink_to("there")
    (tmp_path / "dangling").symlink_to("new")
    os.link(tmp_path / "there", tmp_path / "hard")
    for one, other in (
        ("new", "new"),
        ("new", "folder/../new"),
        ("new", "dangling"),
        ("there", "link"),
        ("there", "hard"),
    ):
        with pytest.raises(UsageError, match="--csv and --pdf name the same file"):
            output_files.require_distinct({"--csv": tmp_path / one, "--pdf": tmp_path / other})
    output_files.require_distinct({"--csv": tmp_path / "new", "--pdf": tmp_path / "there", "--report": None})
    output_files.require_distinct({"--csv": Path("/dev/null"), "--pdf": Path("/dev/null")})
    with pytest.raises(UsageError, match=r"--csv .*link would overwrite an input file, .*there"):
        output_files.require_distinct({"--csv": tmp_path / "link"}, inputs=[tmp_path / "there"])


def test_an_output_inside_the_ledgers_folder_is_refused(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    ledger.mkdir()
    (tmp_path / "link").symlink_to(ledger)
    for path in (
        ledger,
        ledger / "report.html",
        ledger / "deep" / "x",
        tmp_path / "link" / "x",
        ledger / ".." / "ledger",
    ):
        with pytest.raises(UsageError, match=r"--report .* is inside the ledger's folder"):
            output_files.refuse_inside(path, ledger, "--report")
    output_files.refuse_inside(tmp_path / "report.html", ledger, "--report")
    output_files.refuse_inside(tmp_path / "ledger-report.html", ledger, "--report")
