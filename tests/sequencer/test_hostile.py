"""Malicious or mistaken callers and clocks: the ledger stays correct, fast and openable."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from sycee import AccountKind, Ledger, Result, verify
from sycee.core.clock import SimulatedClock
from sycee.core.errors import UnavailableError, UsageError
from sycee.core.ids import ID
from sycee.core.limits import CLOCK_AHEAD_NS_MAX, FRAME_RECORDS_MAX, FRAME_TIME_NS_MAX
from sycee.core.records import operations
from sycee.ledger.state import LedgerState

NOW_NS = 1_600_000_000 * 10**9
MIX_3 = 0x9E3779B97F4A7C15


def funded(folder: Path) -> tuple[Ledger, int, int]:
    ledger = Ledger.open(folder)
    ledger.define_currency("CNY", zone="Asia/Shanghai")
    issuance = ledger.open_account("CNY", AccountKind.ISSUANCE)
    return ledger, issuance, ledger.open_account("CNY", AccountKind.WALLET)


def test_a_later_change_of_the_callers_array_has_no_effect(tmp_path: Path) -> None:
    ledger, issuance, wallet = funded(tmp_path)
    records = operations.transfer(
        np.array([(n, 1) for n in range(1, 5_001)], ID), debit=issuance, credit=wallet, amount=1
    )
    done = threading.Event()

    def change() -> None:
        amount = 1
        while not done.is_set():
            amount = amount % 1_000 + 1
            records["amount"] = amount

    changer = threading.Thread(target=change)
    changer.start()
    try:
        for _ in range(30):
            records["id_high"] += 1
            ledger.submit(records)
    finally:
        done.set()
        changer.join()
    digest = ledger.digest()
    ledger.close()
    assert verify(tmp_path).digest == digest.hex()


def test_ids_chosen_to_collide_do_not() -> None:
    """Without a random key, low = x ^ high * MIX_3 gave every id the same hash, and each lookup visited all of them."""
    high = np.arange(1, 100_001, dtype=np.uint64)
    crafted = np.empty(high.size, ID)
    crafted["high"] = high
    crafted["low"] = np.uint64(7) ^ (high * np.uint64(MIX_3))
    state = LedgerState()
    base = np.concatenate(
        [
            operations.define_currency(1, currency=156, zone="Asia/Shanghai"),
            operations.open_account(2, account=11, currency=156, kind=AccountKind.ISSUANCE),
            operations.open_account(3, account=12, currency=156, kind=AccountKind.SUSPENSE),
        ]
    )
    state.reserve(base)
    state.apply(1, 1, base)
    records = operations.transfer(crafted, debit=11, credit=12, amount=1)
    state.reserve(records)
    begin = time.process_time()
    answers = state.apply(2, 2, records)
    assert not answers["code"].any()
    # 100,000 random ids need some 0.03 s; the attack needed minutes. The limit is far from both.
    assert time.process_time() - begin < 5


def test_groups_are_reckoned_before_they_are_journaled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, _, wallet = funded(tmp_path)
    with ledger:
        ledger.submit(operations.define_group(50, group=4_096))
        with ledger.sequencer.reading() as state:
            assert state.tables.group_bits.shape[0] <= 2  # rows depend on the number of groups, not on their numbers
        ledger.submit(operations.join_group(51, group=4_096, account=wallet))
        monkeypatch.setattr("sycee.ledger.capacity.GROWTH_CHECKED_BYTES", 0)
        monkeypatch.setattr("sycee.sequencer.writer.available_bytes", lambda: 1 << 20)
        frames = ledger.sequencer.durable_sequence
        many = np.array([(n, 9) for n in range(1, FRAME_RECORDS_MAX + 1)], ID)
        with pytest.raises(UnavailableError, match="memory cannot hold"):
            ledger.submit(operations.define_group(many, group=np.arange(FRAME_RECORDS_MAX) % 4_096 + 1))
        assert ledger.sequencer.durable_sequence == frames


def test_a_journaled_frame_is_applied_whatever_the_free_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, _, wallet = funded(tmp_path)
    with ledger:
        ledger.submit(operations.define_rule_set(7, rule_set=1, from_ns=0, until_ns=2**62, return_account=wallet))
        large = operations.open_programme(
            8, programme=1, funder=wallet, rule_set=1, members=500_000, claim_from_ns=0, claim_until_ns=1
        )
        ledger.submit(large)
        digest = ledger.digest()
    monkeypatch.setattr("sycee.sequencer.writer.available_bytes", lambda: 0)
    with Ledger.open(tmp_path) as ledger:
        assert ledger.digest() == digest


def test_an_error_names_the_written_part_of_a_long_submit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, issuance, wallet = funded(tmp_path)
    with ledger:
        ledger.submit(operations.define_rule_set(7, rule_set=1, from_ns=0, until_ns=2**62, return_account=wallet))
        monkeypatch.setattr("sycee.sequencer.writer.available_bytes", lambda: 1 << 20)
        many = np.array([(n, 9) for n in range(1, FRAME_RECORDS_MAX + 1)], ID)
        records = np.concatenate(
            [
                operations.transfer(many, debit=issuance, credit=wallet, amount=1),
                operations.open_programme(
                    8, programme=1, funder=wallet, rule_set=1, members=2**30, claim_from_ns=0, claim_until_ns=1
                ),
            ]
        )
        with pytest.raises(UnavailableError, match="the first 8,064 of 8,065 operations were written"):
            ledger.submit(records)
        assert ledger.balance(wallet) == FRAME_RECORDS_MAX


@pytest.mark.parametrize("ahead_ns", [CLOCK_AHEAD_NS_MAX + 2, FRAME_TIME_NS_MAX - NOW_NS + 1, 2**63 - 1 - NOW_NS])
def test_a_wrong_clock_is_refused_and_the_ledger_continues(tmp_path: Path, ahead_ns: int) -> None:
    clock = SimulatedClock(NOW_NS)
    with Ledger.open(tmp_path, clock=clock) as ledger:
        ledger.submit(operations.define_group(1, group=1))
        clock.set(NOW_NS + ahead_ns)
        with pytest.raises(UnavailableError, match="years ahead of the ledger"):
            ledger.submit(operations.define_group(2, group=2))
        clock.set(NOW_NS + 1_000)
        assert ledger.submit(operations.define_group(2, group=2))["code"].tolist() == [Result.CREATED]
    with Ledger.open(tmp_path, clock=clock) as ledger:
        assert ledger.submit(operations.define_group(3, group=3))["code"].tolist() == [Result.CREATED]


@pytest.mark.parametrize("what", ["submit", "reading", "close"])
def test_calls_that_would_deadlock_inside_reading_are_refused(tmp_path: Path, what: str) -> None:
    with Ledger.open(tmp_path) as ledger:
        call = {
            "submit": lambda: ledger.submit(operations.define_group(1, group=1)),
            "reading": lambda: ledger.supply("CNY"),
            "close": ledger.close,
        }[what]
        with ledger.sequencer.reading(), pytest.raises(UsageError, match=f"{what} inside `with reading"):
            call()
