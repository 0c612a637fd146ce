"""Backups over HTTP: written while payments continue, into the folder of the settings, and restored."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.client.world import ANNS, Place, place
from tests.server.world import logged_in, new_id
from tests.wallets import world
from tests.wallets.world import LEO_KEY

from sycee import cli
from sycee.bank.bank import Bank
from sycee.bank.restoring import restore_bank
from sycee.core import ids
from sycee.core.errors import UnavailableError, UsageError
from sycee.core.secret_files import SecretKey
from sycee.database.transactions import write
from sycee.server import backups
from sycee.server.backup_tables import BACKUPS, RUNNING
from sycee.server.backups import Backups
from sycee.server.tables import SCHEMA

KEY = SecretKey(b"K" * 32)
WAIT_S = 60
PATH = "/v1/backups"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("town")
    with place(folder, **settings(folder)) as made:
        yield made


@pytest.fixture
def ann(town: Place) -> Iterator[httpx.Client]:
    """The session of an officer."""
    with logged_in(town.town.bank, town.address, world.person(town.town.bank, world.ANN)) as client:
        yield client


def settings(folder: Path) -> dict[str, str]:
    """Make a folder and a key for backups, and return the settings that name them."""
    (folder / "backups").mkdir(mode=0o700)
    KEY.save(folder / "backup.key")
    return {"backup_folder": str(folder / "backups"), "backup_key": str(folder / "backup.key")}


def place_of(town: Place) -> Path:
    return town.town.bank.folder.path.parent


def finished(client: httpx.Client, backup: str) -> dict[str, Any]:
    """What is shown of a backup once it is not running any more."""
    pause = threading.Event()
    for _ in range(WAIT_S * 20):
        shown: dict[str, Any] = client.get(f"{PATH}/{backup}").json()
        if shown["state"] != "running":
            return shown
        pause.wait(0.05)
    raise AssertionError("the backup does not end")


class Held:
    """Holds the backup that is being written at its first chunk until `release`."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.reached, self.released = threading.Event(), threading.Event()
        whole = Backups._progress

        def progress(made: Backups, written_bytes: int) -> None:
            self.reached.set()
            assert self.released.wait(WAIT_S)
            whole(made, written_bytes)

        patch.setattr(Backups, "_progress", progress)


def test_a_backup_is_written_while_payments_continue_and_restored(
    town: Place, ann: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, made = Held(monkeypatch), town.town
    body = {"id": new_id()}
    begun = ann.post(PATH, json=body)
    assert (begun.status_code, begun.json()) == (201, {"backup": body["id"], "state": "running"})
    assert held.reached.wait(WAIT_S)
    leo = {"signers": made.signer(made.leo, LEO_KEY), "who": made.holder(made.leo)}
    assert made.bank.payments.pay(made.leo, made.shop, 1_00, **leo).is_paid
    assert ann.get(f"{PATH}/{body['id']}").json()["state"] == "running"
    other = ann.post(PATH, json={"id": new_id()})
    assert (other.status_code, other.json()["type"], "retry-after" in other.headers) == (
        503, "/problems/unavailable", True,
    )  # fmt: skip
    held.released.set()
    shown = finished(ann, body["id"])
    assert (shown["state"], shown["reason"], shown["file"]) == ("done", "", f"{body['id']}.backup"), shown
    assert (ann.post(PATH, json=body).status_code, ann.get(PATH).json()["rows"]) == (200, [shown])
    file = place_of(town) / "backups" / shown["file"]
    assert (stat.S_IMODE(file.stat().st_mode), file.stat().st_size) == (0o600, shown["written_bytes"])
    assert [each.name for each in file.parent.iterdir()] == [file.name]
    keys = {"master_key": place_of(town) / "master.key", "key_backup": place_of(town) / "people-backup"}
    restored = restore_bank(file, tmp_path / "again", KEY, **keys, schemas=(SCHEMA,))
    assert (restored.frame, restored.state_digest.hex(), str(restored.supply)) == (
        shown["frame"], shown["state_digest"], shown["supply"],
    )  # fmt: skip
    assert restored.supply == 1_000_000_00
    with Bank.open(tmp_path / "again", schemas=(SCHEMA,)) as bank:
        assert bank.check() == []
        assert bank.stores.ledger.digest().hex() == shown["state_digest"]
        assert [each.state for each in Backups(bank).page(after=0, most=9)] == ["failed"]  # it ended after it was read


def test_only_officers_and_closers_begin_and_see_backups(town: Place, ann: httpx.Client) -> None:
    made = town.town
    for person in (made.holder(made.leo), made.north):
        with logged_in(made.bank, town.address, person) as client:
            answers = client.post(PATH, json={"id": new_id()}), client.get(PATH), client.get(f"{PATH}/{new_id()}")
            assert {each.status_code for each in answers} == {403}
    with httpx.Client(base_url=town.address) as nobody:
        assert nobody.post(PATH, json={"id": new_id()}).status_code == 401
    assert ann.get(f"{PATH}/{new_id()}").status_code == 404
    for member in ("folder", "file", "path", "key"):  # nothing of the request names a place
        assert ann.post(PATH, json={"id": new_id(), member: "/tmp/x"}).status_code == 400  # noqa: S108


def test_a_stop_ends_the_backup_without_a_file(town: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held, made = Held(monkeypatch), Backups(town.town.bank)
    number, who = ids.parse(new_id()), world.person(town.town.bank, world.ANN)
    made.begin(number, who=who)
    assert held.reached.wait(WAIT_S)
    closing = threading.Thread(target=made.close)
    closing.start()
    with pytest.raises(UnavailableError, match="another backup"):
        made.begin(ids.parse(new_id()), who=who)
    pause = threading.Event()
    while not made._is_closed:
        pause.wait(0.01)
    held.released.set()
    closing.join(WAIT_S)
    found = made.get(number)
    assert (found.state, found.reason, found.frame) == ("failed", "the server stopped", None)
    assert not list((place_of(town) / "backups").glob(f"*{ids.format(number)}*"))


def test_what_a_killed_server_left_is_failed_and_removed(town: Place, ann: httpx.Client) -> None:
    bank, folder, number = town.town.bank, place_of(town) / "backups", ids.parse(new_id())
    row = {"id": number, "who": 1, "state": RUNNING, "reason": "", "at_ns": bank.stores.clock.now_ns()}
    write(bank.stores.engine, lambda connection: connection.execute(BACKUPS.insert().values(row)))
    left, others = folder / f".{ids.format(number)}.backup-0a1b2c3d", folder / ".of-another-bank.backup-0a1b2c3d"
    for each in (left, others):
        each.write_bytes(b"a part")
    shown = ann.get(f"{PATH}/{ids.format(number)}").json()
    assert (shown["state"], "server stopped" in shown["reason"]) == ("failed", True)
    body = {"id": new_id()}
    assert ann.post(PATH, json=body).status_code == 201
    assert finished(ann, body["id"])["state"] == "done"
    assert (left.exists(), others.exists()) == (False, True)
    others.unlink()


def test_backups_of_a_day_are_limited(town: Place, ann: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backups, "PER_DAY_MAX", len(ann.get(PATH).json()["rows"]))
    answer = ann.post(PATH, json={"id": new_id()})
    assert (answer.status_code, "24 hours" in answer.json()["detail"]) == (400, True)


def test_a_full_disk_is_the_reason_of_a_failed_backup(
    town: Place, ann: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Backups, written_bytes: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Backups, "_progress", full)
    body = {"id": new_id()}
    ann.post(PATH, json=body)
    shown = finished(ann, body["id"])
    assert (shown["state"], "No space left" in shown["reason"], shown["supply"]) == ("failed", True, None)


def test_the_command_waits_for_the_file(
    town: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sycee.cli import remote

    monkeypatch.setattr(remote, "POLL_S", 0.01)
    ANNS.save(tmp_path / "program.pem")
    login = ["--client", town.ann.client, "--client-key", str(tmp_path / "program.pem"), "--origin", town.origin]
    words = ["backup", *login, "--server", town.address]
    assert cli.main([*words, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (place_of(town) / "backups" / shown["file"]).stat().st_size == shown["bytes"]
    assert cli.main([*words, "--id", shown["backup"]]) == 0  # the same backup
    assert f"{shown['file']} has the bank up to frame {shown['frame']:,}" in capsys.readouterr().out
    assert cli.main(["backup", "--server", town.address]) == 2
    assert "credentials" in capsys.readouterr().err


def test_wrong_settings_stop_the_start(tmp_path: Path) -> None:
    options = world.settled("").copy(tmp_path)
    good = settings(tmp_path)
    inside = tmp_path / "bank" / "packs"
    wrong = (
        ({"backup_folder": good["backup_folder"]}, "needs backup_key"),
        ({"backup_key": good["backup_key"]}, "needs backup_folder"),
        ({**good, "backup_folder": str(inside)}, "is inside"),
        ({**good, "backup_folder": str(tmp_path / "none")}, "is no folder"),
    )
    for given, message in wrong:
        with (
            Bank.open(tmp_path / "bank", options={**options, **given}, schemas=(SCHEMA,)) as bank,
            pytest.raises(UsageError, match=message),
        ):
            Backups(bank)
    with (
        Bank.open(tmp_path / "bank", options=options, schemas=(SCHEMA,)) as bank,
        pytest.raises(UsageError, match="writes no backups"),
    ):
        Backups(bank).begin(1, who=world.person(bank, world.ANN))
