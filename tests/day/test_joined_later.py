"""A bank that joins after a day was closed changes nothing about that day."""

from __future__ import annotations

from pathlib import Path

from tests.bank import world
from tests.day import town

from sycee.day.verify import verify_packs


def test_the_pack_of_an_earlier_day_still_agrees(tmp_path: Path) -> None:
    with town.bank(tmp_path) as bank:
        town.pay(bank, town.WALLETS[0], town.WALLETS[2], 5_00)
        town.after(bank, town.MONDAY)
        pack = bank.day.close(town.MONDAY, town.CAROL)
        world.join(bank, "East Bank", world.OTHERS[8])
        keys = [town.CAROL.public]
        report = verify_packs([bank.day.path(town.MONDAY)], ledger=bank.folder.path, keys=keys)
        assert report.packs == 1
        assert set(pack.body["reserves"]) == {"1"}
        assert "4" not in pack.body["positions"]
