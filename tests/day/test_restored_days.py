"""A bank restored from a backup has its closed days, and continues their chain in another epoch."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from tests.bank import world
from tests.day import town

from sycee.bank.backup import write_backup
from sycee.bank.bank import Bank
from sycee.bank.restoring import restore_bank
from sycee.core.errors import IntegrityError
from sycee.core.secret_files import SecretKey
from sycee.day.verify import verify_packs

KEY = SecretKey(b"K" * 32)
TUESDAY = date(2026, 11, 3)
A, _, C, _ = town.WALLETS


def test_the_chain_continues_after_a_restore(tmp_path: Path) -> None:
    with town.bank(tmp_path) as bank:
        town.pay(bank, A, C, 10)
        town.after(bank, town.MONDAY)
        closed = bank.day.close(town.MONDAY, town.CAROL, witness=world.WITNESS)
        bank.day.countersign(town.MONDAY, town.DAVE)
        write_backup(bank, tmp_path / "monday.backup", KEY)
        town.pay(bank, A, C, 20)
        town.after(bank, TUESDAY)
        lost = bank.day.close(TUESDAY, town.CAROL)
        (tmp_path / "lost.json").write_bytes(bank.day.path(TUESDAY).read_bytes())
    keys = {"master_key": tmp_path / "master.key", "key_backup": tmp_path / "people-backup"}
    restore_bank(tmp_path / "monday.backup", tmp_path / "again", KEY, **keys)
    with Bank.open(tmp_path / "again") as again:
        assert again.check() == []
        assert again.day.pack(town.MONDAY).digest == closed.digest
        town.pay(again, A, C, 30)
        town.after(again, TUESDAY)
        pack = again.day.close(TUESDAY, town.CAROL, witness=world.WITNESS)
        again.day.countersign(TUESDAY, town.DAVE)
        assert pack.body["previous"] == closed.digest.hex()
        assert pack.checkpoint.position.epoch > closed.checkpoint.position.epoch
        assert again.check() == []
    packs = sorted((tmp_path / "again" / "packs").glob("*.json"))
    report = verify_packs(packs, ledger=tmp_path / "again", keys=[town.CAROL.public, town.DAVE.public])
    assert report.packs == 2
    assert pack.digest != lost.digest
    with pytest.raises(IntegrityError, match="a pack is there twice"):
        verify_packs([*packs, tmp_path / "lost.json"])
    with pytest.raises(IntegrityError, match="differs from the signed one"):
        verify_packs([packs[0], tmp_path / "lost.json"], ledger=tmp_path / "again")
