"""Rotation of the master key: everything stays readable with the new key alone, also after a kill between two steps."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest
from tests.bank import world
from tests.bank.killing import Steps
from tests.processes import PROCESSES

from sycee.bank.bank import Bank
from sycee.bank.config import Config
from sycee.bank.folder import DataFolder
from sycee.bank.master_rotation import rotate_master_key
from sycee.core.errors import UnavailableError, UsageError
from sycee.core.secret_files import SecretKey
from sycee.database.transactions import write
from sycee.personal.keys import FILE_NAME, PersonalKeys, hash_key_in

LI, NEW = 77, 78
FIELDS = {"name": "Li Marked", "phone": "+8613900001111"}


def master(folder: Path, name: str) -> bytes:
    return SecretKey.load(folder / name).secret


def prepared(folder: Path) -> None:
    with world.bank("", folder) as bank:
        people = bank.personal
        records = people.prepare_one(LI, FIELDS)
        write(bank.stores.engine, lambda connection: people.store_many(connection, records))
        sealed = people.seal(LI, "reference", "for the tickets")
        (folder / "sealed").write_bytes(sealed)


def check_rotated(folder: Path) -> None:
    """Everything is readable with the new master key, and new persons get secrets that are in both files."""
    with Bank.open(folder / "bank") as bank:
        assert bank.config.path("master_key") == folder / "new.key"
        assert bank.personal.open_own(LI, "reference", (folder / "sealed").read_bytes()) == "for the tickets"
        assert bank.personal.mask_of(LI) == "L* M*****"
        assert bank.personal.phone_hash(FIELDS["phone"]) == (folder / "hash").read_bytes()
        key = bank.personal_keys.create([NEW])[0]
        assert bank.personal_keys.key_of(NEW) == key
        assert bank.check() == []
    for name in ("bank", "people-backup"):
        with pytest.raises(UsageError, match="the master key is not the one of"):
            hash_key_in(folder / name / FILE_NAME, master(folder, "master.key"))


def rotated(folder: Path) -> None:
    rotate_master_key(folder / "bank", folder / "new.key")


def rotate_and_die(folder: Path, at: int) -> None:
    steps = Steps(at)
    steps.watch()
    rotated(folder)
    (folder / "steps").write_text(str(steps.count))


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rotation")
    prepared(folder)
    with Bank.open(folder / "bank") as bank:
        (folder / "hash").write_bytes(bank.personal.phone_hash(FIELDS["phone"]))
    return folder


def test_a_rotation_changes_no_key_of_a_person(before: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(before, tmp_path / "bank")
    old = [(folder / name / FILE_NAME).read_bytes() for name in ("bank", "people-backup")]
    rotation = rotate_master_key(folder / "bank", folder / "new.key")
    assert rotation.source == str(folder / "bank" / "sycee.toml")
    check_rotated(folder)
    with pytest.raises(UsageError, match="the new master key is the present one"):
        rotated(folder)
    rotate_master_key(folder / "bank", folder / "third.key")  # and once more
    (folder / "new.key").rename(folder / "second.key")
    (folder / "third.key").rename(folder / "new.key")
    settings = folder / "bank" / "sycee.toml"
    settings.write_text(settings.read_text().replace("third.key", "new.key"))
    check_rotated(folder)
    with Bank.open(folder / "bank") as bank:
        restored = PersonalKeys.restore(
            folder / "restored.keys", folder / "people-backup", master(folder, "new.key"), bank.stores.clock,
            shredded=[],
        )  # fmt: skip
        assert restored.key_of(LI) == bank.personal_keys.key_of(LI)
        assert restored.hash_key == bank.personal_keys.hash_key
        restored.close()
    copy = tmp_path / "copy"  # of the key file before the rotation: the old master key reads it, no other does
    copy.mkdir()
    (copy / FILE_NAME).write_bytes(old[0])
    assert hash_key_in(copy / FILE_NAME, master(folder, "master.key"))
    with pytest.raises(UsageError, match="the master key is not the one of"):
        hash_key_in(copy / FILE_NAME, master(folder, "new.key"))


def test_a_rotation_needs_both_files_and_a_closed_bank(before: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(before, tmp_path / "bank")
    (folder / "people-backup").rename(folder / "unmounted")
    with pytest.raises(UnavailableError, match="is not reachable"):
        rotated(folder)
    assert not (folder / "new.key").exists()
    (folder / "unmounted").rename(folder / "people-backup")
    with Bank.open(folder / "bank"), pytest.raises(UnavailableError, match="is in use by"):
        rotated(folder)
    assert Config.load(DataFolder(folder / "bank")).path("master_key") == folder / "master.key"


def has_new(folder: Path, name: str) -> bool:
    """Return whether a key file has the new master key."""
    try:
        return bool(hash_key_in(folder / name / FILE_NAME, master(folder, "new.key")))
    except UsageError:
        return False


def check_kill(before: Path, folder: Path, at: int) -> bool:
    """Kill a rotation before a step, and repeat it; return whether it was killed."""
    shutil.copytree(before, folder)
    process = PROCESSES.Process(target=rotate_and_die, args=(folder, at))
    process.start()
    process.join(timeout=120)
    assert process.exitcode in (0, -signal.SIGKILL)
    (folder / "state").write_text(" ".join(str(has_new(folder, name)) for name in ("bank", "people-backup")))
    if Config.load(DataFolder(folder / "bank")).path("master_key") != folder / "new.key":
        rotated(folder)
    check_rotated(folder)
    return process.exitcode != 0


def test_kills_between_the_steps_of_a_rotation(before: Path, tmp_path: Path) -> None:
    """Two steps: one where only one of the files has the new key, and the last, before the settings name it."""
    assert not check_kill(before, tmp_path / "counted", 0)
    count = int((tmp_path / "counted" / "steps").read_text())
    for at, state in ((count - 5, "True False"), (count - 1, "True True")):
        assert check_kill(before, tmp_path / str(at), at)
        assert (tmp_path / str(at) / "state").read_text() == state


@pytest.mark.soak
def test_kills_between_all_steps_of_a_rotation(before: Path, tmp_path: Path) -> None:
    at = 1
    while check_kill(before, tmp_path / str(at), at):
        at += 1
    assert at > 6
