"""Operations that need too much memory are refused before they are journaled, so that every later start succeeds."""

from __future__ import annotations

from pathlib import Path

import pytest

from sycee import AccountKind, Ledger
from sycee.core import memory
from sycee.core.errors import UnavailableError, UsageError
from sycee.core.records import operations

CLAIM = {"claim_from_ns": 0, "claim_until_ns": 1}


def test_a_programme_larger_than_memory_is_not_journaled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sycee.sequencer.writer.available_bytes", lambda: 256 << 20)
    with Ledger.open(tmp_path) as ledger:
        ledger.define_currency("CNY", zone="Asia/Shanghai")
        funder = ledger.open_account("CNY", AccountKind.FUNDER)
        ledger.submit(operations.define_rule_set(7, rule_set=1, from_ns=0, until_ns=2**62, return_account=funder))
        before = ledger.digest()
        large = operations.open_programme(8, programme=1, funder=funder, rule_set=1, members=10_000_000, **CLAIM)
        with pytest.raises(UnavailableError, match="1,440,000,064 bytes are needed, 268,435,456 are free"):
            ledger.submit(large)
        assert ledger.digest() == before
        small = operations.open_programme(8, programme=1, funder=funder, rule_set=1, members=3, **CLAIM)
        assert ledger.submit(small)["code"].tolist() == [0]  # the refused request bound nothing
        digest = ledger.digest()
    with Ledger.open(tmp_path) as ledger:
        assert ledger.digest() == digest


def test_the_movements_of_a_drop_are_reckoned_before_it_is_journaled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = 2_000_000
    with Ledger.open(tmp_path) as ledger:
        ledger.define_currency("CNY", zone="Asia/Shanghai")
        funder = ledger.open_account("CNY", AccountKind.FUNDER)
        ledger.submit(operations.define_rule_set(7, rule_set=1, from_ns=0, until_ns=2**62, return_account=funder))
        ledger.submit(operations.open_programme(8, programme=1, funder=funder, rule_set=1, members=members, **CLAIM))
        monkeypatch.setattr("sycee.sequencer.writer.available_bytes", lambda: 64 << 20)
        frames = ledger.sequencer.durable_sequence
        with pytest.raises(UnavailableError, match="memory cannot hold"):
            ledger.submit(operations.drop(9, programme=1, first=0, count=members, amount=1, seal=8))
        assert ledger.sequencer.durable_sequence == frames


def test_memory_figures_come_from_the_system() -> None:
    assert 1 << 20 < memory.available_bytes() < memory.total_bytes() < 1 << 60


def test_available_memory_of_a_container_excludes_file_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit, used, parts = (tmp_path / name for name in ("memory.max", "memory.current", "memory.stat"))
    monkeypatch.setattr(memory, "_CONTAINER", ((limit, used, parts),))
    machine = memory.total_bytes()
    limit.write_text(f"{32 << 20}\n")
    used.write_text(f"{24 << 20}\n")
    assert (memory.available_bytes(), memory.total_bytes()) == (8 << 20, 32 << 20)
    parts.write_text(f"anon {4 << 20}\nfile {21 << 20}\ninactive_file {15 << 20}\nactive_file {5 << 20}\nshmem 1\n")
    assert memory.available_bytes() == 28 << 20
    limit.write_text("max\n")
    assert memory.available_bytes() > 32 << 20
    assert memory.total_bytes() == machine


def test_submit_inside_reading_raises_instead_of_blocking(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        with ledger.sequencer.reading(), pytest.raises(UsageError, match="would wait for itself"):
            ledger.submit(operations.define_group(1, group=1))
        assert ledger.submit(operations.define_group(1, group=1))["code"].tolist() == [0]


@pytest.mark.parametrize("name", ["localtime", "posixrules", "Asia/Shangai", "../etc/passwd"])
def test_a_zone_of_this_machine_alone_is_refused(tmp_path: Path, name: str) -> None:
    with Ledger.open(tmp_path) as ledger, pytest.raises(UsageError, match="there is no time zone"):
        ledger.define_currency("CNY", zone=name)
