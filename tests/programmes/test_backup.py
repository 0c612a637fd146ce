"""A backup has the published files of programmes: a restored bank goes on where the backup was."""

from __future__ import annotations

from pathlib import Path

from tests.programmes import world
from tests.programmes.world import Register, advance

from sycee.bank.backup import write_backup
from sycee.bank.bank import Bank
from sycee.bank.restoring import restore_bank
from sycee.core.secret_files import SecretKey
from sycee.programmes import draw, states

NAME = "autumn-2026"


def test_a_restored_bank_goes_on_with_its_programme(tmp_path: Path) -> None:
    world.at("drawn").copy(tmp_path)
    key = SecretKey(bytes(32))
    with world.opened(tmp_path, {}) as bank:
        write_backup(bank, tmp_path / "one.backup", key)
        advance(bank, "approved")  # later than the backup: two officers sign again
        files = {
            each.name: each.read_bytes()
            for each in bank.programmes.files_of(bank.programmes.occurrence(NAME)).iterdir()
        }
    assert len(files) == 5
    result = restore_bank(
        tmp_path / "one.backup", tmp_path / "again", key, master_key=tmp_path / "master.key",
        key_backup=tmp_path / "people-backup",
    )  # fmt: skip
    assert result.findings == ()
    with Bank.open(tmp_path / "again") as bank:
        bank.programmes.registered = Register(bank)
        found = bank.programmes.occurrence(NAME)
        place = bank.programmes.files_of(found)
        assert {each.name: each.read_bytes() for each in place.iterdir()} == files
        assert draw.verify(place).ok
        assert found.state == states.DRAWN
        for stage in ("approved", "allotted"):
            advance(bank, stage)
        assert bank.check() == []
