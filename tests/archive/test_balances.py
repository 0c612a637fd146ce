"""Balances as of any frame and moment equal those recorded then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from tests.archive.sample_ledgers import Town, accounts_of, replayed_by_frame, sample_ledger

from sycee.archive import history_copy
from sycee.archive.balances import balance_at, balances_at
from sycee.core import ids
from sycee.core.errors import IntegrityError, UsageError
from sycee.testing.histories import histories, random_history


def balances_now(state: Any) -> tuple[dict[int, int], dict[int, int]]:
    """Return the balances of accounts by id and of purses by row, to be recorded after each frame."""
    accounts = state.accounts
    own = (accounts["credits_posted"] - accounts["debits_posted"]).tolist()
    purses = state.all_purses
    left = (purses["dropped"] - purses["spent"] + purses["refunded"] - purses["returned"]).tolist()
    return {state.account_id(row): balance for row, balance in enumerate(own)}, dict(enumerate(left))


def check_all_frames(history: Any, *, every: int = 1) -> None:
    recorded = []
    for source in replayed_by_frame(history):
        recorded.append(balances_now(source.state))
    state = source.state
    purse_currencies = state.tables.programmes["currency"][state.all_purses["programme"]]
    for frame in range(1, len(recorded) + 1, every):
        accounts, purses = recorded[frame - 1]
        time_ns = int(state.frame_times[frame])
        for number in state.zones:
            found = balances_at(source, number, frame=frame)
            assert (found.frame, found.time_ns) == (frame, time_ns)
            for account, balance in zip(found.accounts, found.balances.tolist(), strict=True):
                assert balance == accounts.get(ids.to_int(account), 0)
            rows = [row for row, currency in enumerate(purse_currencies.tolist()) if currency == number]
            assert found.purses.tolist() == [purses.get(row, 0) for row in rows]
            assert balances_at(source, number, time_ns=time_ns).balances.tolist() == found.balances.tolist()
        for account in accounts:
            assert balance_at(source, account, frame=frame) == accounts[account]
            assert balance_at(source, account, time_ns=time_ns) == accounts[account]


@settings(max_examples=5)
@given(histories(50))
def test_balances_at_every_frame_equal_those_recorded_then(history: Any) -> None:
    check_all_frames(history, every=3)


def test_balances_do_not_depend_on_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_copy, "SLICE_ROWS", 3)
    check_all_frames(random_history(7, 200), every=7)


def test_balances_before_the_first_frame_are_zero() -> None:
    source = sample_ledger()
    number = next(iter(source.state.zones))
    found = balances_at(source, number, frame=0)
    assert (found.frame, found.time_ns, set(found.balances.tolist())) == (0, 0, {0})
    assert balance_at(source, accounts_of(source)[0], time_ns=-5) == 0


def test_balances_of_an_open_ledger(tmp_path: Path) -> None:
    town = Town(tmp_path / "ledger")
    with town.ledger as ledger:
        town.at("2026-03-05T00:00")
        ledger.transfer(town.ann, town.bob, 1_000)
        at_ns = ledger.statement(town.bob)[-1].time_ns
        town.at("2026-03-06T00:00")
        ledger.transfer(town.bob, town.shop, 400)
        found = balances_at(ledger, "EUR", time_ns=at_ns)
        assert (found.balance(town.ann), found.balance(town.bob), found.balance(town.shop)) == (99_000, 1_000, 0)
        assert balance_at(ledger, town.bob, time_ns=at_ns - 1) == 0
        with pytest.raises(UsageError, match="of EUR"):
            found.balance(5)


@pytest.mark.parametrize(
    ("moment", "says"),
    [({}, "give either frame or time_ns"), ({"frame": 1, "time_ns": 1}, "give either frame or time_ns"),
     ({"frame": 10**6}, r"frame must .*; got 1000000"), ({"frame": -1}, r"frame must .*; got -1"),
     ({"time_ns": "now"}, "time_ns")],
)  # fmt: skip
def test_invalid_frames_and_times_are_refused(moment: dict[str, Any], says: str) -> None:
    source = sample_ledger()
    for ask in (
        lambda: balance_at(source, accounts_of(source)[0], **moment),
        lambda: balances_at(source, 156, **moment),
    ):
        with pytest.raises(UsageError, match=says):
            ask()


def test_unknown_currencies_and_accounts_are_refused() -> None:
    source = sample_ledger()
    with pytest.raises(UsageError, match="no currency USD") as caught:
        balances_at(source, "USD", frame=0)
    assert "its currencies are: CNY" in str(caught.value.hint)
    with pytest.raises(UsageError, match="no account"):
        balance_at(source, 1234, frame=0)


def test_a_sum_that_is_not_zero_is_damage() -> None:
    source = sample_ledger()
    source.state.accounts["credits_posted"][0] += 1  # as if memory had been overwritten
    with pytest.raises(IntegrityError, match="sum to 1, not to zero"):
        balances_at(source, int(source.state.accounts["currency"][0]), frame=source.state.sequence)
