"""The key file and its backup: every secret in both, and after shredding in neither."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy

from sycee.core import ids
from sycee.core.clock import FixedClock
from sycee.core.errors import IntegrityError, NotFound, UnavailableError, UsageError
from sycee.database.columns import id_bytes
from sycee.database.engines import engine
from sycee.database.transactions import reading, write
from sycee.personal.key_tables import SECRETS
from sycee.personal.keys import FILE_NAME, PersonalKeys

MASTER = bytes(range(32))
CLOCK = FixedClock(1_800_000_000 * 10**9)


def persons(count: int) -> list[int]:
    return [ids.to_int(each) for each in ids.derive(b"keys", "persons", count, time_ms=1_800_000_000_000)]


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "bank").mkdir()
    (tmp_path / "backup").mkdir()
    return tmp_path / "bank" / FILE_NAME, tmp_path / "backup"


@pytest.fixture
def keys(folders: tuple[Path, Path]) -> Iterator[PersonalKeys]:
    made = PersonalKeys.new(*folders, MASTER, CLOCK)
    yield made
    made.close()


def secret_of(file: Path, person: int) -> bytes | None:
    opened = engine(file)
    try:
        with reading(opened) as connection:
            return connection.scalar(sqlalchemy.select(SECRETS.c.secret).where(SECRETS.c.person == person))
    finally:
        opened.dispose()


def bytes_of(*folders: Path) -> bytes:
    return b"".join(path.read_bytes() for folder in folders for path in sorted(folder.iterdir()))


def test_keys_are_the_same_after_a_restart(keys: PersonalKeys, folders: tuple[Path, Path]) -> None:
    people = persons(600)
    made = keys.create(people)
    assert len(set(made)) == 600
    again = PersonalKeys(*folders, MASTER, CLOCK)
    assert again.keys_of(people) == made
    assert again.key_of(people[7]) == made[7]
    assert again.persons() == people
    assert again.create(people) == made  # a secret is kept
    again.close()


def test_drawn_secrets_are_stored_once(keys: PersonalKeys, folders: tuple[Path, Path]) -> None:
    people = persons(300)
    names = np.frombuffer(b"".join(map(id_bytes, people)), np.uint8).reshape(-1, 16)
    secrets, made = keys.draw(names)
    assert keys.persons() == []
    keys.store(names[:299], secrets[:299])
    assert keys.keys_of(people[:299]) == made[:299]
    assert secret_of(folders[1] / FILE_NAME, people[7]) == secrets[7].tobytes()
    with pytest.raises(IntegrityError, match="UNIQUE"):
        keys.store(names[298:], secrets[298:])
    assert keys.persons() == people[:299]
    keys.shred(people[5])
    with pytest.raises(NotFound, match="was shredded"):
        keys.store(names[[5, 299]], secrets[[5, 299]])
    assert (people[5] in keys.persons(), people[299] in keys.persons()) == (False, False)


def test_both_files_have_the_secret_and_only_their_owner_reads_them(
    keys: PersonalKeys, folders: tuple[Path, Path]
) -> None:
    (person,) = persons(1)
    keys.create([person])
    file, backup = folders
    assert secret_of(file, person) == secret_of(backup / FILE_NAME, person) is not None
    for path in (*file.parent.iterdir(), *backup.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_a_wrong_master_key_is_found_at_once(keys: PersonalKeys, folders: tuple[Path, Path]) -> None:
    with pytest.raises(UsageError, match="the master key is not the one of"):
        PersonalKeys(*folders, bytes(32), CLOCK)
    with pytest.raises(UsageError, match="has 32 bytes, not 31"):
        PersonalKeys(*folders, bytes(31), CLOCK)


def test_a_backup_of_another_master_key_is_refused(tmp_path: Path) -> None:
    for name in ("one", "two", "backup"):
        (tmp_path / name).mkdir()
    PersonalKeys.new(tmp_path / "one" / FILE_NAME, tmp_path / "backup", MASTER, CLOCK).close()
    with pytest.raises(UsageError, match=r"the master key is not the one of .*backup"):
        PersonalKeys.new(tmp_path / "two" / FILE_NAME, tmp_path / "backup", bytes(32), CLOCK)


def test_a_missing_file_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="is missing"):
        PersonalKeys(tmp_path / FILE_NAME, tmp_path, MASTER, CLOCK)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match="in the folder of the key file"):
        PersonalKeys.new(tmp_path / FILE_NAME, tmp_path, MASTER, CLOCK)


def test_shredding_leaves_no_byte_of_the_secret(keys: PersonalKeys, folders: tuple[Path, Path]) -> None:
    file, backup = folders
    people = persons(2_000)
    keys.create(people)
    chosen = people[3], people[999], people[-1]
    secrets = [secret_of(file, person) for person in chosen]
    before = bytes_of(file.parent, backup)
    assert all(secret is not None and before.count(secret) >= 2 for secret in secrets)
    for person in chosen:
        keys.shred(person)
    after = bytes_of(file.parent, backup)
    assert [secret for secret in secrets if secret is None or secret in after] == []
    for person in chosen:
        with pytest.raises(NotFound, match="was shredded"):
            keys.key_of(person)
        with pytest.raises(NotFound, match="was shredded"):
            keys.create([person])
    assert keys.key_of(people[4])
    keys.shred(chosen[0])  # again


def test_an_old_copy_of_either_file_brings_nobody_back(
    keys: PersonalKeys, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    file, backup = folders
    person, other = persons(2)
    keys.create([person, other])
    keys.close()
    old = {path: tmp_path / f"old-{number}" for number, path in enumerate((file, backup / FILE_NAME))}
    for path, copy in old.items():
        shutil.copy(path, copy)
    keys.shred(person)
    keys.close()
    for path, copy in old.items():
        for log in path.parent.glob(f"{FILE_NAME}-*"):
            log.unlink()
        shutil.copy(copy, path)
        assert secret_of(path, person) is not None
        again = PersonalKeys(*folders, MASTER, CLOCK)
        assert again.reconcile([]) == 1
        with pytest.raises(NotFound, match="was shredded"):
            again.key_of(person)
        assert again.key_of(other)
        again.close()
        assert secret_of(path, person) is None


def test_old_copies_of_both_files_obey_the_list_of_the_database(keys: PersonalKeys) -> None:
    person, other = persons(2)
    keys.create([person, other])
    assert keys.reconcile([person]) == 2
    with pytest.raises(NotFound, match="was shredded"):
        keys.key_of(person)
    assert keys.key_of(other)


def test_a_restore_takes_nobody_who_was_shredded(
    keys: PersonalKeys, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    one, two, three = persons(3)
    made = keys.create([one, two, three])
    keys.shred(one)
    (tmp_path / "elsewhere").mkdir()
    restored = PersonalKeys.restore(tmp_path / "elsewhere" / FILE_NAME, folders[1], MASTER, CLOCK, shredded=[two])
    assert restored.persons() == [three]
    assert restored.key_of(three) == made[2]
    for person in (one, two):
        with pytest.raises(NotFound, match="was shredded"):
            restored.key_of(person)
    with pytest.raises(UsageError, match="already exists"):
        PersonalKeys.restore(restored.file, folders[1], MASTER, CLOCK, shredded=[])
    restored.close()


def test_without_its_backup_no_secret_is_created_or_wholly_shredded(
    keys: PersonalKeys, folders: tuple[Path, Path]
) -> None:
    backup = folders[1]
    one, two = persons(2)
    keys.create([one])
    keys.close()
    backup.rename(backup.with_name("unmounted"))
    again = PersonalKeys(*folders, MASTER, CLOCK)
    assert again.key_of(one)
    with pytest.raises(UnavailableError, match="not reachable"):
        again.create([two])
    assert again.persons() == [one]
    with pytest.raises(UnavailableError, match="not reachable"):
        again.shred(one)
    assert again.persons() == []
    backup.with_name("unmounted").rename(backup)
    assert again.reconcile([]) == 1
    again.close()
    assert secret_of(backup / FILE_NAME, one) is None


def test_an_interrupted_creation_is_completed(keys: PersonalKeys, folders: tuple[Path, Path]) -> None:
    one, two = persons(2)
    keys.create([one, two])
    opened = engine(folders[1] / FILE_NAME)
    write(opened, lambda connection: connection.execute(SECRETS.delete().where(SECRETS.c.person == two)))
    opened.dispose()
    assert keys.missing_in_backup() == [two]
    assert keys.complete_backup() == 1
    assert keys.missing_in_backup() == []
    assert secret_of(folders[0], two) == secret_of(folders[1] / FILE_NAME, two)


def test_an_unknown_person_has_no_key(keys: PersonalKeys) -> None:
    (person,) = persons(1)
    with pytest.raises(UnavailableError, match=f"has no secret of {ids.format(person)}"):
        keys.key_of(person)
    assert keys.create([]) == []
