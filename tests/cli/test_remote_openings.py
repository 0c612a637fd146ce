"""`sycee wallet open` and `sycee wallet renew` with `--server`: sizes of batches, and openings that expired."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.client.world import PROGRAM, place
from tests.wallets.world import DESK, LEO_KEY, NORTH

from sycee import cli
from sycee.cli import remote_wallets
from sycee.core import ids
from sycee.core.errors import Refused
from sycee.core.records.signed_messages import proof_message
from sycee.wallets.batch_opening import NewWallet


def test_batches_are_limited_by_rows_and_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_wallets, "OPENINGS_MAX", 2)
    monkeypatch.setattr(remote_wallets, "BATCH_BYTES", 10)
    batches = remote_wallets._batches([{"name": "x" * size} for size in (11, 5, 5, 1, 1, 1)])
    assert batches == [range(1), range(1, 3), range(3, 5), range(5, 6)]


def test_lapsed_openings_are_signed_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    PROGRAM.save(tmp_path / "program.pem")
    NORTH.save(tmp_path / "north.pem")
    with place(tmp_path / "bank") as made:
        wallets, ledger_id = made.town.bank.wallets, made.town.bank.stores.ledger.ledger_id
        login = ["--client", made.desk.client, "--client-key", str(tmp_path / "program.pem"), "--origin", made.origin]
        renew = ["wallet", "renew", "2", "--key", str(tmp_path / "north.pem"), "--server", made.address, *login]
        wrong: dict[str, Any] = {
            "operator": 2, "tier": "class-4", "signers": made.town.signers(DESK), "who": made.town.north
        }  # fmt: skip
        rows = [
            NewWallet(each, LEO_KEY.public, LEO_KEY.sign(proof_message(ledger_id, each, 1, LEO_KEY.public)))
            for each in (ids.new(1), ids.new(2))
        ]
        batch = {"phone": ["+86 139 0000 0303", "+86 139 0000 0304"]}
        with pytest.raises(Refused):
            wallets.open_batch(batch, rows, **wrong, id=ids.new(1))
        wallets.open_many({"phone": ["+86 139 0000 0301", "+86 139 0000 0302"]}, **wrong)
        # A batch with keys of its own does not stop the openings after it.
        for opened in ("2 wallets opened\n", "0 wallets opened\n"):
            assert cli.main(renew) == 1
            printed = capsys.readouterr()
            assert (printed.out, "repeat the request that opened it" in printed.err) == (opened, True)
        [lapsed] = wallets.lapsed(2)
        right = {**wrong, "signers": made.town.operator, "id": lapsed.id}
        assert [each.code for each in wallets.open_batch(batch, rows, **right)] == ["", ""]
        assert cli.main(renew) == 0
