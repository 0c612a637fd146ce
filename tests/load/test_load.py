"""`sycee load` against a real server: figures, invalid payments from another address, and errors."""

from __future__ import annotations

import asyncio
import gc
import json
import os
from pathlib import Path

import pytest
from tests.client.world import READER, place
from tests.server.payments.serving import ACCOUNTS, MONEY, WALLETS, curve_of, seed_of, serving
from tests.wallets.world import LEO_KEY

from sycee import cli
from sycee.core import ids
from sycee.core.keys import SigningKey
from sycee.load import processes
from sycee.load.generator import run_sources
from sycee.load.wallets import SyntheticWallet, read_wallets, write_synthetic_wallets
from sycee.sequencer.embedded import Ledger
from sycee.server.payments.settings import PaymentSettings

SETTINGS = PaymentSettings(rate_per_s=1e6, burst=10**6, failures_per_s=0.1, failures_burst=10)


def write_wallets(path: Path, ledger: Ledger) -> None:
    rows = [
        SyntheticWallet(account=ids.format(account), key_epoch=1, curve=curve_of(account), seed=seed_of(account).hex())
        for account in ACCOUNTS
    ]
    write_synthetic_wallets(path, ledger.ledger_id, "CNY", rows)


def test_a_load_is_paid_and_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(tmp_path, SETTINGS) as running:
        write_wallets(tmp_path / "wallets.json", running.ledger)
        words = ["load", running.url, "--keys", str(tmp_path), "--rate", "400", "--seconds", "0.5"]
        assert cli.main([*words, "--connections", "8", "--bad", "100", "--json"]) == 0
        figures = json.loads(capsys.readouterr().out)
        assert figures["answers"] == {"201": 200}
        assert (figures["requests"], figures["wallets"], figures["curve"]) == (200, WALLETS, "Ed25519")
        latency = figures["latency_ms"]
        assert 0 < latency["p50"] <= latency["p99"] <= latency["p99.9"] <= latency["max"]
        assert figures["cpu"]["generator_s"] > 0
        assert figures["cpu"]["server"][0]["process"] == os.getpid()
        bad = figures["bad"]["answers"]
        assert set(bad) == {"422 SIGNATURE_INVALID", "429 too-many-requests"}
        assert sum(bad.values()) == 50
        # P-256, as text.
        assert cli.main([*words, "--connections", "1", "--curve", "P-256"]) == 0
        out = capsys.readouterr().out
        assert out.startswith("200 payments, 400/s offered, ")
        assert "answers: 201: 200\n" in out
        total = sum(running.ledger.balance(account) for account in ACCOUNTS)
        assert total == MONEY * 2 * WALLETS
        assert running.ledger.check() is None


def test_errors_name_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    account = ids.format(7)
    key = SigningKey.derive(bytes(32))
    key.save(tmp_path / "ann.pem")
    row = {"account": account, "key_epoch": 2, "key": "ann.pem"}
    file = tmp_path / "wallets.json"
    for members, message in (
        ([], "is no file of wallets"),
        ({"ledger_id": "00", "currency": "CNY", "wallets": [row] * 2}, "ledger_id in"),
        ({"ledger_id": "00" * 16, "currency": "CNY", "wallets": [row]}, "has 1 wallets with Ed25519 keys"),
        ({"ledger_id": "00" * 16, "currency": "CNY", "wallets": [{**row, "key": "bob.pem"}]}, "bob.pem"),
    ):
        file.unlink(missing_ok=True)
        file.touch(mode=0o600)
        file.write_text(json.dumps(members))
        assert cli.main(["load", "http://127.0.0.1:1", "--keys", str(file)]) == 2
        assert message in capsys.readouterr().err
    file.write_text(json.dumps({"ledger_id": "00" * 16, "currency": "CNY", "wallets": [row, row]}))
    wallets = read_wallets(tmp_path, "Ed25519").wallets
    assert [(each.account, each.key_epoch, each.key.public) for each in wallets] == [(7, 2, key.public)] * 2
    for url, code in (("https://127.0.0.1", 2), ("http://127.0.0.1:x", 2), ("ftp://x", 2), ("http://127.0.0.1:1", 4)):
        assert cli.main(["load", url, "--keys", str(file), "--seconds", "0.1", "--rate", "100"]) == code
        assert "hint: " in capsys.readouterr().err


@pytest.mark.parametrize("is_frozen", [True, False])
def test_objects_that_were_frozen_before_a_load_stay_frozen(is_frozen: bool) -> None:
    before = gc.get_freeze_count()
    gc.unfreeze()
    if is_frozen:
        gc.freeze()
    try:
        asyncio.run(run_sources([], "localhost", 1))
        assert bool(gc.get_freeze_count()) is is_frozen
        assert gc.isenabled()
    finally:
        gc.unfreeze()
        if before:
            gc.freeze()


def test_processes_that_do_not_exist_are_left_out() -> None:
    assert processes.server_processes(1) == []
    (mine,) = processes.cpu_times([os.getpid(), 2**22 + 1])
    assert mine.process == os.getpid()
    assert mine.cpu_s > 0


def test_readers_stream_events_and_page_statements_beside_a_load(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with place(tmp_path) as served:
        leo = served.leo
        other = {"account": ids.format(served.town.shop), "key_epoch": leo.key_epoch, "key": "leo.pem"}
        row = {"account": ids.format(leo.account), "key_epoch": leo.key_epoch, "key": "leo.pem"}
        LEO_KEY.save(tmp_path / "leo.pem")
        READER.save(tmp_path / "reader.pem")
        file = tmp_path / "wallets.json"
        file.write_text(json.dumps({"ledger_id": leo.ledger_id.hex(), "currency": "CNY", "wallets": [row, other]}))
        file.chmod(0o600)
        words = ["load", served.address, "--keys", str(file), "--curve", "P-256", "--rate", "40", "--seconds", "1"]
        words += ["--streams", "2", "--statements", "--origin", served.origin, "--json"]
        assert cli.main(words) == 2
        assert "need a login" in capsys.readouterr().err
        assert cli.main([*words, "--program", f"{served.reader.client}={tmp_path / 'reader.pem'}"]) == 0
        figures = json.loads(capsys.readouterr().out)
    readers = figures["readers"]
    assert readers["streams"] == 2
    assert readers["pages"] > 0
    assert 0 < readers["events"] <= 2 * figures["answers"]["201"]  # those of the last moment may be missing
