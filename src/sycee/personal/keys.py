"""Per-person secrets in the key file `people.keys`, and in its backup on another disk.

A person's key is computed from the master key and the person's secret: neither is enough alone. A rotation of the
master key replaces each secret, so that the new ones give the same key. Shredding deletes the secret from the file and
from its backup, and enters the person in `shredded` of both. Opening compares the two files and deletes what one of
them still has, so that an old copy of one file restores no shredded person.

SQLite overwrites deleted bytes with zeros (`secure_delete`), and the write-ahead log is emptied after each shredding
and each rotation.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np
import sqlalchemy
from sqlalchemy.engine import Connection, Engine, Row

from sycee.core import ids
from sycee.core.arrays import Bytes
from sycee.core.clock import Clock
from sycee.core.errors import NotFound, SyceeError, UnavailableError, UsageError
from sycee.database.bulk import any_of, insert_columns
from sycee.database.columns import id_bytes
from sycee.database.engines import engine
from sycee.database.migrations import upgrade
from sycee.database.transactions import reading, write
from sycee.personal import sealing
from sycee.personal.key_tables import MASTERS, SCHEMA, SECRET_BYTES, SECRETS, SHREDDED

FILE_NAME: Final = "people.keys"
FIRST_MASTER: Final = 1  # number of the master key of the founding, which derives the keys of persons
_HASH_NAME: Final = bytes(16)  # no person has the id 0

_INSERT: Final = (
    "INSERT OR IGNORE INTO personal_keys_secrets SELECT ?, ?, ?, ? "
    "WHERE NOT EXISTS (SELECT * FROM personal_keys_shredded WHERE person = ?)"
)
_COPY: Final = "INSERT OR IGNORE INTO personal_keys_secrets (person, secret, master, made_ns) VALUES (?, ?, ?, ?)"
_PART: Final = "SELECT person, secret FROM personal_keys_secrets WHERE person > ? ORDER BY person LIMIT 10000"
_REPLACE: Final = "UPDATE personal_keys_secrets SET secret = ?, master = ? WHERE person = ?"
_READ_MAX: Final = 500  # persons of one query


class Keyring:
    """The keys that a master key gives. `number`: of the master key; `wrapped`: its wrapped key of search hashes."""

    def __init__(self, master: bytes, row: Row[Any]) -> None:
        self.number = int(row.number)
        self._wrapping = sealing.wrapping_key(master)
        self._derived = sealing.person_master(master) if self.number == FIRST_MASTER else b""
        self.hash_key = sealing.hash_key(master)
        if row.hash_key is not None:
            self.hash_key = sealing.wrap(self._wrapping, bytes(row.hash_key), _HASH_NAME)

    def key_of(self, secret: bytes, name: bytes) -> bytes:
        """Return a person's key. `name`: 16 bytes of the id, big-endian."""
        if self._derived:
            return sealing.person_key(self._derived, secret, name)
        return sealing.wrap(self._wrapping, secret, name)

    def keys_of(self, secrets: Bytes, names: Bytes) -> list[bytes]:
        """Return the keys of n persons: (n, 32) and (n, 16) uint8."""
        if self._derived:
            return sealing.person_keys(self._derived, secrets, names)
        return [
            sealing.wrap(self._wrapping, secret.tobytes(), name.tobytes())
            for secret, name in zip(secrets, names, strict=True)
        ]


class PersonalKeys:
    """The keys of all persons, and of merchants for their side of payment references."""

    def __init__(self, file: Path, backup: Path, master: bytes, clock: Clock) -> None:
        """Open an existing key file. `backup` is the folder of its backup, which need not be reachable now.

        Raises UnavailableError if the file is missing, UsageError if `master` is another master key than that of the
        file.
        """
        if not file.is_file():
            raise UnavailableError(
                f"the key file {file} is missing: without it no personal data can be read",
                hint=f"restore it from its backup, {backup / FILE_NAME}",
            )
        self._open(file, backup, master, clock)
        _empty_log(self._engine)

    def _open(self, file: Path, backup: Path, master: bytes, clock: Clock, like: Row[Any] | None = None) -> None:
        if len(master) != sealing.KEY_BYTES:
            raise UsageError(f"the master key has {sealing.KEY_BYTES} bytes, not {len(master)}")
        self.file, self.backup_file = file, backup / FILE_NAME
        self._clock = clock
        self._master = master
        self._engine, row = _opened(file, master, like)
        self._keyring = Keyring(master, row)
        self.hash_key = self._keyring.hash_key
        self._backup_engine: Engine | None = None

    @classmethod
    def new(cls, file: Path, backup: Path, master: bytes, clock: Clock) -> PersonalKeys:
        """Create the key file and its backup, or open those that an interrupted call created.

        Raises UsageError if the folder of the backup is that of the file, or the backup is of another master key.
        """
        if backup.resolve() == file.parent.resolve():
            raise UsageError(
                f"the backup of the key file would be in the folder of the key file, {backup}",
                hint="name a folder on another disk: a disk that fails takes all its files with it",
            )
        for path in (file, backup / FILE_NAME):
            _create(path)
        made = cls.__new__(cls)
        backup_engine, row = _opened(backup / FILE_NAME, master)
        try:
            made._open(file, backup, master, clock, row)
        except BaseException:
            backup_engine.dispose()
            raise
        made._backup_engine = backup_engine
        return made

    @classmethod
    def restore(
        cls, file: Path, backup: Path, master: bytes, clock: Clock, *, shredded: Collection[int]
    ) -> PersonalKeys:
        """Create a key file from its backup, without the persons shredded there or in `shredded`.

        Raises UsageError if `file` exists, UnavailableError if there is no backup.
        """
        if file.exists():
            raise UsageError(f"{file} already exists", hint="restore into a new folder")
        if not (backup / FILE_NAME).is_file():
            raise UnavailableError(
                f"there is no backup of the key file at {backup / FILE_NAME}",
                hint="name the folder that holds the backup: without it no personal data can be read",
            )
        made = cls.new(file, backup, master, clock)
        made.reconcile(shredded)
        with reading(made._backup()) as connection:
            rows = connection.execute(sqlalchemy.select(SECRETS).order_by(SECRETS.c.person)).all()
        copied = [(id_bytes(row.person), row.secret, row.master, row.made_ns) for row in rows]
        if copied:
            write(made._engine, lambda connection: connection.exec_driver_sql(_COPY, copied))
        return made

    def close(self) -> None:
        """Close both files."""
        self._engine.dispose()
        if self._backup_engine is not None:
            self._backup_engine.dispose()

    # --- secrets ---

    def create(self, persons: Sequence[int]) -> list[bytes]:
        """Give each person a secret, in the file and its backup, and return the keys in the order of `persons`.

        A person who has a secret keeps it. Write secrets before the rows sealed under them: a secret without a person
        is harmless, the reverse is data that nobody can read. Raises UnavailableError if the backup is not reachable,
        or a person was shredded.
        """
        if not persons:
            return []
        self._backup()  # fail before the first file is changed
        now = self._clock.now_ns()
        entropy = os.urandom(SECRET_BYTES * len(persons))
        secrets = [entropy[at : at + SECRET_BYTES] for at in range(0, len(entropy), SECRET_BYTES)]
        names = [id_bytes(person) for person in persons]
        rows = [(name, secret, self._keyring.number, now) for name, secret in zip(names, secrets, strict=True)]

        def insert(connection: Connection) -> int:
            among = SHREDDED.c.person.between(min(persons), max(persons))
            if connection.scalar(sqlalchemy.select(SHREDDED.c.person).where(among).limit(1)) is None:
                return connection.exec_driver_sql(_COPY, rows).rowcount
            return connection.exec_driver_sql(_INSERT, [(*row, row[0]) for row in rows]).rowcount

        if write(self._engine, insert) == len(rows):
            copied = rows
        else:
            secrets = self._secrets_of(persons)
            copied = [(name, secret, self._keyring.number, now) for name, secret in zip(names, secrets, strict=True)]
        write(self._backup(), lambda connection: connection.exec_driver_sql(_COPY, copied))
        return [self._keyring.key_of(secret, name) for name, secret in zip(names, secrets, strict=True)]

    def draw(self, persons: Bytes) -> tuple[Bytes, list[bytes]]:
        """Return new secrets, (n, 32), and keys of n persons, (n, 16). Writes nothing: `store` does."""
        secrets = np.frombuffer(os.urandom(SECRET_BYTES * len(persons)), np.uint8).reshape(-1, SECRET_BYTES)
        return secrets, self._keyring.keys_of(secrets, persons)

    def store(self, persons: Bytes, secrets: Bytes) -> None:
        """Write the secrets of `draw` for persons with new ids, in the file and its backup, as `create` does.

        Raises IntegrityError if a person has a secret, with nothing written; UnavailableError as `create`.
        """
        self._backup()  # fail before the first file is changed
        columns = {
            "person": persons,
            "secret": secrets,
            "master": self._keyring.number,
            "made_ns": self._clock.now_ns(),
        }

        def insert(connection: Connection) -> None:
            condition, parameters = any_of(connection, "person", persons)
            query = f"SELECT person FROM personal_keys_shredded WHERE {condition} LIMIT 1"  # noqa: S608 - places only
            found = connection.exec_driver_sql(query, parameters).first()
            if found is not None:
                raise self._no_secret(connection, int.from_bytes(found[0], "big"))
            insert_columns(connection, SECRETS, columns)

        for each in (self._engine, self._backup()):
            write(each, insert)

    def key_of(self, person: int) -> bytes:
        """Return a person's key. Raises NotFound if the person was shredded, UnavailableError without a secret here."""
        return self.keys_of([person])[0]

    def keys_of(self, persons: Sequence[int]) -> list[bytes]:
        """Return the keys of persons, in their order. Errors as `key_of`."""
        secrets = self._secrets_of(persons)
        return [self._keyring.key_of(secret, id_bytes(person)) for person, secret in zip(persons, secrets, strict=True)]

    def has(self, person: int) -> bool:
        """Return whether a person has a secret."""
        with reading(self._engine) as connection:
            return connection.scalar(sqlalchemy.select(SECRETS.c.person).where(SECRETS.c.person == person)) is not None

    def persons(self) -> list[int]:
        """Return everyone who has a secret, in order."""
        with reading(self._engine) as connection:
            return list(connection.scalars(sqlalchemy.select(SECRETS.c.person).order_by(SECRETS.c.person)))

    def _secrets_of(self, persons: Sequence[int]) -> list[bytes]:
        found: dict[int, bytes] = {}
        with reading(self._engine) as connection:
            for at in range(0, len(persons), _READ_MAX):
                part = persons[at : at + _READ_MAX]
                query = sqlalchemy.select(SECRETS.c.person, SECRETS.c.secret).where(SECRETS.c.person.in_(part))
                found.update((row.person, row.secret) for row in connection.execute(query))
            missing = [person for person in persons if person not in found]
            if missing:
                raise self._no_secret(connection, missing[0])
        return [found[person] for person in persons]

    def _no_secret(self, connection: Connection, person: int) -> SyceeError:
        name = ids.format(person)
        if connection.scalar(sqlalchemy.select(SHREDDED.c.person).where(SHREDDED.c.person == person)) is not None:
            return NotFound(
                f"the personal data of {name} was shredded",
                hint="the secret was deleted from the key file and from its backup; nothing can restore it",
            )
        return UnavailableError(
            f"{self.file} has no secret of {name}",
            hint=f"check the id; a secret that only its backup has is copied from {self.backup_file} by a restore",
        )

    # --- shredding ---

    def shred(self, person: int) -> None:
        """Delete a person's secret from the file and from its backup. A second call changes nothing.

        Raises UnavailableError if the backup is not reachable; the file has no secret any more by then. Call again
        later, as `reconcile` does.
        """
        self._shred(self._engine, [person])
        self._shred(self._backup(), [person])

    def reconcile(self, shredded: Iterable[int]) -> int:
        """Shred in both files everyone whom one of them, or `shredded`, lists; return the number of secrets deleted.

        For each opening: it finishes an interrupted shredding, and undoes an old copy of one file. Raises
        UnavailableError if the backup is not reachable.
        """
        stores = (self._engine, self._backup())
        own: dict[Engine, set[int]] = {}
        kept: dict[Engine, set[int]] = {}
        for store in stores:
            with reading(store) as connection:
                own[store] = set(connection.scalars(sqlalchemy.select(SHREDDED.c.person)))
                both = SECRETS.join(SHREDDED, SECRETS.c.person == SHREDDED.c.person)
                kept[store] = set(connection.scalars(sqlalchemy.select(SECRETS.c.person).select_from(both)))
        listed = set(shredded).union(*own.values())
        return sum(self._shred(store, sorted(listed - own[store] | kept[store])) for store in stores)

    def shredded(self) -> list[int]:
        """Return everyone whom the key file lists as shredded, in order."""
        with reading(self._engine) as connection:
            return list(connection.scalars(sqlalchemy.select(SHREDDED.c.person).order_by(SHREDDED.c.person)))

    def missing_in_backup(self) -> list[int]:
        """Return the persons whose secret the backup does not have."""
        if self._count(self._engine) == self._count(self._backup()):
            # Every secret of the backup was copied from the file, and both delete the same ones.
            return []
        known = set(self.persons())
        with reading(self._backup()) as connection:
            return sorted(known.difference(connection.scalars(sqlalchemy.select(SECRETS.c.person))))

    def complete_backup(self) -> int:
        """Copy the secrets to the backup that an interrupted `create` omitted; return their number."""
        missing = self.missing_in_backup()
        now = self._clock.now_ns()
        secrets = self._secrets_of(missing)
        copied = [
            (id_bytes(person), secret, self._keyring.number, now)
            for person, secret in zip(missing, secrets, strict=True)
        ]
        if copied:
            write(self._backup(), lambda connection: connection.exec_driver_sql(_COPY, copied))
        return len(copied)

    @staticmethod
    def _count(store: Engine) -> int:
        with reading(store) as connection:
            return connection.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(SECRETS)) or 0

    def _shred(self, store: Engine, persons: Sequence[int]) -> int:
        now = self._clock.now_ns()

        def work(connection: Connection) -> int:
            deleted = 0
            for person in persons:
                deleted += connection.execute(SECRETS.delete().where(SECRETS.c.person == person)).rowcount
                connection.exec_driver_sql(
                    "INSERT OR IGNORE INTO personal_keys_shredded (person, at_ns) VALUES (?, ?)",
                    (id_bytes(person), now),
                )
            return deleted

        if not persons:
            return 0
        deleted = write(store, work)
        _empty_log(store)
        return deleted

    def _backup(self) -> Engine:
        if self._backup_engine is None:
            if not self.backup_file.is_file():
                raise UnavailableError(
                    f"the backup of the key file, {self.backup_file}, is not reachable",
                    hint="mount its disk, or name its folder in the setting key_backup",
                )
            self._backup_engine, _ = _opened(self.backup_file, self._master)
        return self._backup_engine


def _create(path: Path) -> None:
    """Create an empty file that only its owner can read: SQLite gives the files beside it the same mode."""
    if not path.parent.is_dir():
        raise UnavailableError(
            f"{path}: the folder {path.parent} does not exist", hint=f"create it first: mkdir -p {path.parent}"
        )
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def require_reachable(file: Path, backup: Path) -> None:
    """Raise UnavailableError unless the key file and its backup in the folder `backup` are there."""
    for path in (file, backup / FILE_NAME):
        if not path.is_file():
            raise UnavailableError(f"{path} is not reachable", hint="mount its disk: both files get the new master key")


def rotate(file: Path, backup: Path, old: bytes, new: bytes) -> int:
    """Replace the master key of the key file and its backup; return the number of persons. One process may call it.

    The keys of persons and of search hashes stay the same: everything sealed stays readable. Each of the two files
    changes in one transaction; after a kill the same call completes the other one. Raises UsageError for two equal
    keys, and for a file of another master key, with nothing changed; UnavailableError if a file is not reachable.
    """
    require_reachable(file, backup)
    if old == new:
        raise UsageError("the new master key is the present one", hint="name a new file: it is created")
    with ExitStack() as stack:
        stores = []
        for path in (file, backup / FILE_NAME):
            store = _connected(path)
            stack.callback(store.dispose)
            with reading(store) as connection:
                found = connection.scalar(sqlalchemy.select(MASTERS.c.check))
            if found not in (sealing.master_check(old), sealing.master_check(new)):
                raise _wrong_master(path)
            stores.append(store)
        for store in stores:
            write(store, lambda connection: _wrap_anew(connection, old, new))
        for store in stores:
            _empty_log(store)
        with reading(stores[0]) as connection:
            return connection.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(SECRETS)) or 0


def _wrap_anew(connection: Connection, old: bytes, new: bytes) -> None:
    """Replace the secrets and the master key of one file, unless this was done."""
    row = connection.execute(sqlalchemy.select(MASTERS)).one()
    if row.check == sealing.master_check(new):
        return
    before, wrapping = Keyring(old, row), sealing.wrapping_key(new)
    last = b""
    while True:
        part = connection.exec_driver_sql(_PART, (last,)).all()
        if not part:
            break
        wrapped = [
            (sealing.wrap(wrapping, before.key_of(secret, person), person), before.number + 1, person)
            for person, secret in part
        ]
        connection.exec_driver_sql(_REPLACE, wrapped)
        last = part[-1][0]
    connection.execute(MASTERS.delete())
    values = {
        "number": before.number + 1,
        "check": sealing.master_check(new),
        "hash_key": sealing.wrap(wrapping, before.hash_key, _HASH_NAME),
    }
    connection.execute(MASTERS.insert().values(values))


def hash_key_in(file: Path, master: bytes) -> bytes:
    """Return the key of search hashes of a key file that another process may have open, and which is only read.

    Raises UsageError if `master` is another master key than that of the file.
    """
    store = engine(file, read_only=True)
    try:
        with reading(store) as connection:
            found = connection.execute(sqlalchemy.select(MASTERS.c.number, MASTERS.c.check)).one_or_none()
            if found is None or found.check != sealing.master_check(master):
                raise _wrong_master(file)
            if found.number == FIRST_MASTER:
                return sealing.hash_key(master)
            return Keyring(master, connection.execute(sqlalchemy.select(MASTERS)).one()).hash_key
    finally:
        store.dispose()


def _connected(file: Path) -> Engine:
    made = engine(file, secure_delete=True)
    upgrade(made, SCHEMA)
    return made


def _opened(file: Path, master: bytes, like: Row[Any] | None = None) -> tuple[Engine, Row[Any]]:
    """Return a key file with the row of its master key. A new file gets that of its backup, `like`, or a first one."""
    made = _connected(file)
    check = sealing.master_check(master)
    first = {"number": FIRST_MASTER, "check": check, "hash_key": None} if like is None else dict(like._mapping)

    def stored_or_first(connection: Connection) -> Row[Any]:
        query = sqlalchemy.select(MASTERS)
        found = connection.execute(query).one_or_none()
        if found is None:
            connection.execute(MASTERS.insert().values(first))
        return found or connection.execute(query).one()

    row = write(made, stored_or_first)
    if row.check != check:
        made.dispose()
        raise _wrong_master(file)
    return made, row


def _wrong_master(file: Path) -> UsageError:
    return UsageError(
        f"the master key is not the one of {file}",
        hint="name the present master key in the setting master_key; "
        "if `sycee key rotate-master` was interrupted, repeat it with the same new file",
    )


def _empty_log(store: Engine) -> None:
    """Copy the write-ahead log into the file and truncate it: it holds pages from before the deletion."""
    with store.connect() as connection:
        busy = connection.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]  # type: ignore[union-attr]
    if busy:
        raise UnavailableError(
            f"{store.url.database} is being read, so the log behind it still holds deleted secrets",
            hint="close the other processes that read it and repeat the command",
        )
