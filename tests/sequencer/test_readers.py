"""Reads of an embedded ledger: accounts, supply, first results, claims, findings."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from tests.sequencer.small import START_NS
from tests.sequencer.test_embedded import SECOND_NS, Town
from tests.sequencer.test_ledger_methods import END_NS, Market

from sycee.core.clock import SimulatedClock
from sycee.core.errors import UsageError
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind, Kind
from sycee.core.result_codes import Result
from sycee.sequencer.embedded import Bound, Ledger

SECRET = b"\7" * 32


@pytest.fixture
def town(tmp_path: Path) -> Market:
    return Market(tmp_path)


# --- accounts ---


def test_accounts_by_currency_kind_and_operator(town: Market) -> None:
    ledger = town.ledger
    ledger.define_currency("EUR", zone="Europe/Paris")
    euro = ledger.open_account("EUR", AccountKind.WALLET, operator=3)
    everything = ledger.accounts()
    assert [account.id for account in everything[:2]] == [town.mint, ledger.account(town.ann).suspense]
    assert all(account == ledger.account(account.id) for account in everything)
    wallets = [account.id for account in ledger.accounts(kind=AccountKind.WALLET)]
    assert wallets == [town.ann, town.bob, euro]
    assert [account.id for account in ledger.accounts(currency="CNY", kind=AccountKind.WALLET)] == wallets[:2]
    assert [account.id for account in ledger.accounts(operator=3)] == [ledger.account(euro).suspense, euro]
    assert ledger.accounts(currency="EUR", kind=AccountKind.VAULT, operator=0) == []
    assert sum(account.balance for account in ledger.accounts(currency="CNY")) == 0


def test_the_issuance_account_is_found_again(town: Market, tmp_path: Path) -> None:
    ledger = town.ledger
    ledger.define_currency("EUR", zone="Europe/Paris")
    with pytest.raises(UsageError, match="EUR has no issuance account") as error:
        ledger.issuance("EUR")
    assert error.value.hint
    assert ledger.supply("EUR") == 0
    euros = ledger.open_account("EUR", AccountKind.ISSUANCE)
    ledger.close()
    with Ledger.open(tmp_path) as again:
        assert (again.issuance("CNY"), again.issuance("EUR")) == (town.mint, euros)


@pytest.mark.parametrize("ask", ["supply", "issuance", "accounts"])
def test_an_undefined_currency_raises(town: Market, ask: str) -> None:
    with pytest.raises(UsageError, match="currency USD is not defined in this ledger; defined are: CNY") as error:
        town.ledger.accounts(currency="USD") if ask == "accounts" else getattr(town.ledger, ask)("USD")
    assert error.value.hint == 'call define_currency("USD", zone=...) first'
    with pytest.raises(UsageError, match="'YUAN' is no currency code"):
        town.ledger.accounts(currency="YUAN") if ask == "accounts" else getattr(town.ledger, ask)("YUAN")


# --- operations ---


def test_the_first_result_of_an_id_stays(town: Market, tmp_path: Path) -> None:
    ledger = town.ledger
    done, refused, malformed, never = (ledger.new_id() for _ in range(4))
    town.clock.set(START_NS + 100 * SECOND_NS)
    assert ledger.transfer(town.ann, town.bob, "60.00", id=done) is Result.CREATED
    town.clock.advance(SECOND_NS)
    assert ledger.pay(town.ann, town.shop, "60.00", id=refused) is Result.EXCEEDS_BALANCE
    assert ledger.transfer(town.ann, town.bob, 0, id=malformed) is Result.AMOUNT_MUST_BE_POSITIVE
    town.clock.advance(SECOND_NS)
    assert ledger.transfer(town.mint, town.ann, "60.00") is Result.CREATED
    for _ in range(2):
        assert ledger.transfer(town.ann, town.bob, "60.00", id=done) is Result.EXISTS
        assert ledger.pay(town.ann, town.shop, "60.00", id=refused) is Result.EXISTS
    expected = [
        Bound(done, Kind.TRANSFER, Result.CREATED, START_NS + 100 * SECOND_NS),
        Bound(refused, Kind.PAY, Result.EXCEEDS_BALANCE, START_NS + 101 * SECOND_NS),
        None,
        None,
    ]
    assert [ledger.result_of(id) for id in (done, refused, malformed, never)] == expected
    ledger.close()
    with Ledger.open(tmp_path) as again:
        assert [again.result_of(id) for id in (done, refused, malformed, never)] == expected


def test_a_failed_chain_is_the_result_of_each_id(town: Market) -> None:
    ledger = town.ledger
    first, second = ledger.new_id(), ledger.new_id()
    with ledger.chain() as chain:
        chain.transfer(town.ann, town.bob, 1, id=first)
        chain.transfer(town.bob, town.shop, 2, id=second)
    assert [found.result for id in (first, second) if (found := ledger.result_of(id))] == chain.results
    assert chain.results == [Result.LINKED_FAILED, Result.EXCEEDS_BALANCE]


def test_the_claim_that_a_reverse_left(town: Market) -> None:
    ledger = town.ledger
    wrong, nothing, rest, whole = (ledger.new_id() for _ in range(4))
    assert ledger.transfer(town.ann, town.bob, "10.00", id=wrong) is Result.CREATED
    assert ledger.transfer(town.bob, town.shop, "10.00") is Result.CREATED
    before = ledger.balance(town.ann)
    # Done, though Bob has nothing: no money moves, and the whole amount is a claim.
    assert ledger.reverse(wrong, "10.00", id=nothing) is Result.CREATED
    assert ledger.unrecovered_of(nothing) == 1_000
    assert (ledger.balance(town.ann), ledger.balance(town.bob)) == (before, 0)
    assert ledger.transfer(town.shop, town.bob, "4.00") is Result.CREATED
    assert ledger.reverse(wrong, "10.00", id=rest) is Result.CREATED
    assert (ledger.unrecovered_of(rest), ledger.balance(town.ann)) == (600, before + 400)
    assert ledger.transfer(town.shop, town.bob, "6.00") is Result.CREATED
    assert ledger.reverse(wrong, ledger.unrecovered_of(rest), id=whole) is Result.CREATED
    assert (ledger.unrecovered_of(whole), ledger.balance(town.ann)) == (0, before + 1_000)
    assert ledger.unrecovered_of(nothing) == 1_000, "a claim stays on record as it was"
    refused = ledger.new_id()
    assert ledger.reverse(wrong, 1, id=refused) is Result.EXCEEDS_REFUNDABLE
    for other in (wrong, refused, 12345):
        with pytest.raises(UsageError, match="is not bound to a reverse that was CREATED") as error:
            ledger.unrecovered_of(other)
        assert error.value.hint
    ledger.check()


def test_accounts_that_may_post_void_and_extend_a_hold(town: Market) -> None:
    """The table of the guide, cell by cell; any other account is refused."""
    ledger = town.ledger
    who = {"payer": town.ann, "payee": town.shop, "third": town.bob, "stranger": town.bank}
    kinds = {
        "two-party": ({}, {"post": {"payer", "payee"}, "void": {"payee"}, "extend": {"payer"}}),
        "three-party": ({"third": town.bob}, {"post": {"third"}, "void": {"third", "payee"}, "extend": {"payer"}}),
        "hash-locked": (
            {"hash_lock": hashlib.sha256(SECRET).digest()},
            {"post": {"payee"}, "void": {"payee"}, "extend": {"payer"}},
        ),
    }
    for kind, (made, may) in kinds.items():
        for verb, allowed in may.items():
            for role, account in who.items():
                hold = ledger.new_id()
                assert ledger.hold(town.ann, town.shop, 1, until_ns=END_NS, id=hold, **made) is Result.CREATED  # type: ignore[arg-type]
                if verb == "post":
                    result = ledger.post(hold, 1, by=account, secret=SECRET if kind == "hash-locked" else None)
                elif verb == "void":
                    result = ledger.void(hold, by=account)
                else:
                    result = ledger.extend(hold, by=account, until_ns=END_NS + 1)
                expected = Result.CREATED if role in allowed else Result.NOT_A_PARTY_TO_HOLD
                assert result is expected, (kind, verb, role)


# --- findings ---


def test_findings_list_what_opening_skipped(tmp_path: Path) -> None:
    town = Town(tmp_path)
    name = town.ledger.snapshot()
    assert town.ledger.findings == ()
    town.ledger.close()
    assert town.ledger.findings == ()
    (tmp_path / "snapshots" / name).write_bytes(b"no snapshot")
    with Ledger.open(tmp_path, clock=SimulatedClock(START_NS)) as again:
        (finding,) = again.findings
        assert name in finding
        assert "skipped, because the journal has everything" in finding
        assert again.signed_by().findings == again.findings
        assert again.submit(operations.define_group(1, group=1))["code"].tolist() == [Result.CREATED]
