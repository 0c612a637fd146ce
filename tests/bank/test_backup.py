"""A backup of an open bank, and its restore into another folder."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.bank import world
from tests.bank.killing import POSTGRESQL_IN_SOAK, Steps, sampled
from tests.database.places import empty_database
from tests.processes import PROCESSES

from sycee.bank import restoring
from sycee.bank.backup import BackedUp, write_backup
from sycee.bank.backup_format import CHUNK_BYTES, TAG_BYTES, Reader
from sycee.bank.bank import Bank
from sycee.bank.restoring import RestoredBank, restore_bank
from sycee.core.errors import IntegrityError, NotFound, UnavailableError, UsageError
from sycee.core.keys import SigningKey
from sycee.core.secret_files import SecretKey
from sycee.database.transactions import write
from sycee.identity.duties import Duty
from sycee.sequencer import online_copy

KEY = SecretKey(b"K" * 32)
CAROL, DAVE = world.OTHERS[:2]


def appoint(bank: Bank, key: SigningKey, duty: Duty = Duty.WITNESS, id: int = 0) -> int:
    """Appoint a person by a proposal that both officers sign; return the proposal's id."""
    until_ns = world.START_NS + 4_000 * world.DAY_NS
    maker = bank.people.person_of_key(world.ANN.public)
    proposal = bank.appointments.appoint(duty, key.public, until_ns=until_ns, maker=maker)
    assert bank.proposals.sign(proposal.id, world.ANN, world.BOB).needs == ()
    return proposal.id


def store_person(bank: Bank, person: int, phone: str) -> None:
    register = bank.personal
    examined = register.examine({"name": ["Wang Lei"], "phone": [phone]})
    prepared = register.prepare([person], examined, [0])

    def store(connection: Any) -> None:
        bank.people.add(connection, person=person)
        register.store_many(connection, prepared)

    write(bank.stores.engine, store)


def restore(tmp_path: Path, file: Path, server: str, *, key: SecretKey = KEY, name: str = "again") -> RestoredBank:
    database = empty_database(server) if "://" in server else ""
    return restore_bank(
        file,
        tmp_path / name,
        key,
        master_key=tmp_path / "master.key",
        key_backup=tmp_path / "people-backup",
        database=database,
    )


@dataclass
class Backup:
    """A closed bank in a folder, its backup, and what was true of it."""

    folder: Path
    file: Path
    done: BackedUp


@pytest.fixture
def backup(server: str, tmp_path: Path) -> Iterator[Backup]:
    """The backup of a bank with an appointed witness and two persons, one of them shredded."""
    with world.bank(server, tmp_path) as bank:
        appoint(bank, CAROL)
        store_person(bank, 1001, "+8613800000001")
        store_person(bank, 1002, "+8613800000002")
        (bank.folder.packs / "2026-11-01.json").write_text("{}")
        done = write_backup(bank, tmp_path / "one.backup", KEY)
        yield Backup(tmp_path, tmp_path / "one.backup", done)


# --- all is well ---


def test_a_restored_bank_is_the_same(server: str, tmp_path: Path, backup: Backup) -> None:
    result = restore(tmp_path, backup.file, server)
    assert (result.frame, result.state_digest, result.supply) == (backup.done.frame, backup.done.state_digest, 0)
    assert (result.done, result.lapsed, result.shredded, result.epoch) == (0, 0, 0, 2)
    assert result.findings == ()
    with Bank.open(tmp_path / "again") as bank:
        assert bank.findings == []
        assert bank.check() == []
        assert bank.stores.ledger.digest() == backup.done.state_digest
        assert bank.people.person_of_key(CAROL.public)
        assert bank.personal.keys.key_of(1001)
        assert bank.stores.clock.now_ns() == world.START_NS
        assert (bank.folder.packs / "2026-11-01.json").read_text() == "{}"
        assert list(bank.folder.keys.iterdir()) == []  # no private key is in a backup
        appoint(bank, DAVE)  # and work goes on
        assert bank.check() == []
    assert not list(tmp_path.glob("again.*"))


def test_a_backup_goes_to_the_other_database(server: str, tmp_path: Path, backup: Backup, sockets: Path) -> None:
    from sycee.testing import postgresql

    other = "" if "://" in server else postgresql.url(sockets)
    result = restore(tmp_path, backup.file, other)
    assert result.findings == ()
    with Bank.open(tmp_path / "again") as bank:
        assert bank.check() == []
        appoint(bank, DAVE)


@POSTGRESQL_IN_SOAK
def test_the_records_that_a_backup_covers_are_pruned(server: str, tmp_path: Path) -> None:
    with world.bank(server, tmp_path) as bank:
        id = appoint(bank, CAROL)
        done = write_backup(bank, tmp_path / "one.backup", KEY)
        with pytest.raises(IntegrityError, match="were pruned"):
            bank.stores.intents.reopen_after(done.frame - 1)
        stored = bank.stores.intents.find(id)
        assert stored is not None
        assert stored.state == "done"
        assert bank.check() == []
    assert restore(tmp_path, tmp_path / "one.backup", server).findings == ()  # the dump has them


@POSTGRESQL_IN_SOAK
@pytest.mark.parametrize("late", [False, True])
def test_what_happened_during_the_backup_is_done_again_or_lapses(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    with world.bank(server, tmp_path) as bank:
        copied = online_copy.parts_up_to

        def meanwhile(*arguments: Any) -> Any:
            parts = copied(*arguments)
            appoint(bank, CAROL)  # after the frame was chosen and before the database is read
            return parts

        monkeypatch.setattr(online_copy, "parts_up_to", meanwhile)
        done = write_backup(bank, tmp_path / "one.backup", KEY)
        assert bank.stores.ledger.sequencer.durable_sequence > done.frame
    if late:  # the restored bank's clock is that of the backup: 9 hours later every signature is over
        monkeypatch.setattr(restoring.RehearsalClock, "now_ns", lambda _: world.START_NS + 9 * world.HOUR_NS)
    result = restore(tmp_path, tmp_path / "one.backup", server)
    assert (result.done, result.lapsed) == ((0, 1) if late else (1, 0))
    monkeypatch.undo()
    with Bank.open(tmp_path / "again") as bank:
        assert bank.check() == []
        found = [each for each in bank.people.holders() if each.duty is Duty.WITNESS]
        assert len(found) == (1 if late else 2)


@POSTGRESQL_IN_SOAK
def test_who_was_shredded_before_or_since_stays_unreadable(server: str, tmp_path: Path) -> None:
    with world.bank(server, tmp_path) as bank:
        appoint(bank, CAROL, Duty.PRIVACY)
        privacy = bank.people.person_of_key(CAROL.public)
        for person in (1001, 1002, 1003):
            store_person(bank, person, f"+861380000{person}")
        for person in (1001, 1002):
            write(
                bank.stores.engine,
                lambda connection, who=person: bank.retention.begin(
                    connection, who, "relation-ended", bank.retention.today()
                ),
            )
        bank.set_clock(world.START_NS + 6 * 365 * world.DAY_NS)
        bank.personal.shred(1001, who=privacy, basis="relation-ended")
        write_backup(bank, tmp_path / "one.backup", KEY)
        bank.personal.shred(1002, who=privacy, basis="relation-ended")
    result = restore(tmp_path, tmp_path / "one.backup", server)
    assert result.shredded == 2
    assert result.findings == ()
    with Bank.open(tmp_path / "again") as bank:
        assert bank.check() == []
        assert bank.personal.keys.key_of(1003)
        for person in (1001, 1002):
            with pytest.raises(NotFound, match="shredded"):
                bank.personal.keys.key_of(person)


# --- a backup that was changed ---


def damaged(file: Path, tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "damaged.backup"
    path.write_bytes(content)
    return path


def header_bytes(content: bytes) -> int:
    return 16 + int.from_bytes(content[12:16], "little")


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a closed bank and its backup."""
    folder = tmp_path_factory.mktemp("closed")
    with world.bank("", folder) as bank:
        write_backup(bank, folder / "one.backup", KEY)
    return folder


@pytest.fixture
def whole(closed: Path, tmp_path: Path) -> bytes:
    """The content of `one.backup`, which is in a copy of the folder."""
    shutil.copytree(closed, tmp_path, dirs_exist_ok=True)
    return (tmp_path / "one.backup").read_bytes()


def test_every_change_is_found_and_leaves_nothing(
    tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = header_bytes(whole)
    chunks = range(start, len(whole), CHUNK_BYTES + TAG_BYTES)
    changed = {f"a byte at {at}": whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in [20, start - 5]}
    changed |= {f"chunk at {at}": whole[: at + 7] + bytes([whole[at + 7] ^ 1]) + whole[at + 8 :] for at in chunks}
    changed |= {f"cut at {at}": whole[:at] for at in (start, start + 100, len(whole) - 1, *chunks)}
    changed["longer"] = whole + b"x" * 100
    assert len(changed) >= 7
    for name, content in changed.items():
        with pytest.raises((IntegrityError, UsageError)):
            restore(tmp_path, damaged(tmp_path, tmp_path, content), "")
        assert not list(tmp_path.glob("again*")), name


def test_chunks_that_are_swapped(tmp_path: Path) -> None:
    from sycee.bank.backup_format import Writer

    with (tmp_path / "large.backup").open("wb") as file:
        writer = Writer(file, KEY.secret, {"format": "sycee.backup.v1"})
        writer.section("a", [bytes(3 * CHUNK_BYTES)])
        writer.finish()
    content = (tmp_path / "large.backup").read_bytes()
    start, size = header_bytes(content), CHUNK_BYTES + TAG_BYTES

    def read(changed: bytes) -> int:
        path = damaged(tmp_path, tmp_path, changed)
        with path.open("rb") as file:
            return sum(len(block) for _, blocks in Reader(file).sections(KEY.secret) for block in blocks)

    assert read(content) == 3 * CHUNK_BYTES
    first, second = content[start : start + size], content[start + size : start + 2 * size]
    rest = content[start + 2 * size :]
    for changed in (second + first + rest, first + first + rest, first + rest, first + second):
        with pytest.raises(IntegrityError, match="cannot be opened"):
            read(content[:start] + changed)


def test_another_key(tmp_path: Path, whole: bytes) -> None:
    with pytest.raises(IntegrityError, match="another key made the backup"):
        restore(tmp_path, damaged(tmp_path, tmp_path, whole), "", key=SecretKey(b"X" * 32))


def test_no_secret_and_no_name_is_in_a_backup(server: str, backup: Backup) -> None:
    content = backup.file.read_bytes()
    for text in ("Wang Lei", "+8613800000001", "PRIVATE KEY"):
        assert text.encode() not in content
    with backup.file.open("rb") as file:
        sections = {name: b"".join(blocks) for name, blocks in Reader(file).sections(KEY.secret)}
    assert {"sycee.toml", "founding.json", "clock", "journal/000000000001.segment", "packs/2026-11-01.json"} <= set(
        sections
    )
    for name, plain in sections.items():
        assert b"Wang Lei" not in plain, name
        assert b"13800000001" not in plain, name
        assert b"PRIVATE KEY" not in plain, name
        assert world.secret_of(backup.folder, 1001) not in plain, name


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda folder: (folder / "again").mkdir(), "again already exists"),
        (lambda folder: (folder / "one.backup").write_bytes(b"PK"), "is no backup of a bank"),
        (lambda folder: (folder / "one.backup").unlink(), "cannot be read"),
    ],
)
def test_what_cannot_be_restored(tmp_path: Path, whole: bytes, prepare: Any, message: str) -> None:
    prepare(tmp_path)
    with pytest.raises(UsageError, match=message):
        restore(tmp_path, tmp_path / "one.backup", "")


def test_without_the_backup_of_the_keys(tmp_path: Path, whole: bytes) -> None:
    shutil.rmtree(tmp_path / "people-backup")
    (tmp_path / "people-backup").mkdir()
    with pytest.raises(UnavailableError, match="no backup of the key file"):
        restore(tmp_path, tmp_path / "one.backup", "")
    assert not list(tmp_path.glob("again*"))


def test_a_backup_of_another_release(tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restoring, "SCHEMAS", restoring.SCHEMAS[:-1])
    with pytest.raises(UsageError, match="with other tables than this release"):
        restore(tmp_path, tmp_path / "one.backup", "")


def test_where_a_backup_may_not_be(tmp_path: Path) -> None:
    with world.bank("", tmp_path) as bank:
        with pytest.raises(UsageError, match="is inside the ledger's folder"):
            write_backup(bank, tmp_path / "bank" / "one.backup", KEY)
        (tmp_path / "one.backup").write_text("older")
        with pytest.raises(UsageError, match="already exists"):
            write_backup(bank, tmp_path / "one.backup", KEY)


# --- kills ---


def back_up(folder: Path, kill_at: int) -> None:
    with Bank.open(folder / "bank") as bank:
        steps = Steps(kill_at)
        steps.watch()
        write_backup(bank, folder / "new.backup", KEY)
    (folder / "steps").write_text(str(steps.count))


def restore_there(folder: Path, kill_at: int) -> None:
    steps = Steps(kill_at)
    steps.watch()
    restore(folder, folder / "one.backup", "")
    (folder / "steps").write_text(str(steps.count))


def run(work: Any, folder: Path, kill_at: int) -> int | None:
    process = PROCESSES.Process(target=work, args=(folder, kill_at))
    process.start()
    process.join(timeout=120)
    return process.exitcode


def kill(tmp_path: Path, work: Any, *, every: bool) -> None:
    assert run(work, shutil.copytree(tmp_path, tmp_path.with_name("counted")), 0) == 0
    count = int((tmp_path.with_name("counted") / "steps").read_text())
    shutil.rmtree(tmp_path.with_name("counted"))
    for number in range(1, count + 1) if every else sampled(count, False):
        folder = shutil.copytree(tmp_path, tmp_path.with_name(f"killed-{number}"))
        assert run(work, folder, number) == -signal.SIGKILL
        if work is back_up:
            with Bank.open(folder / "bank") as bank:
                assert bank.check() == []
            assert not (folder / "new.backup").exists() or restore(folder, folder / "new.backup", "").findings == ()
        elif not (folder / "again").exists():
            assert restore(folder, folder / "one.backup", "").findings == ()
        with Bank.open(folder / ("bank" if work is back_up else "again")) as bank:
            assert bank.check() == []
        shutil.rmtree(folder)


@pytest.mark.parametrize("work", [back_up, restore_there])
def test_a_killed_call(tmp_path: Path, whole: bytes, work: Any) -> None:
    kill(tmp_path, work, every=False)


@pytest.mark.soak
@pytest.mark.parametrize("work", [back_up, restore_there])
def test_a_call_killed_at_every_boundary(tmp_path: Path, whole: bytes, work: Any) -> None:
    kill(tmp_path, work, every=True)
