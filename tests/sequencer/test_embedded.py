"""The embedded ledger: text arguments, results and reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.sequencer.small import START_NS, UNTIL_NS

from sycee.core import ids
from sycee.core.clock import SimulatedClock
from sycee.core.errors import Refused, UsageError
from sycee.core.ids import ID
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind, Block, Purpose, PurseState
from sycee.core.result_codes import Result
from sycee.sequencer.embedded import Ledger, Line

SECOND_NS = 10**9


class Town:
    """A currency, its issuance account and two wallets."""

    def __init__(self, folder: Path) -> None:
        self.clock = SimulatedClock(START_NS)
        self.ledger = Ledger.open(folder, clock=self.clock)
        self.ledger.define_currency("CNY", zone="Asia/Shanghai")
        self.mint = self.ledger.open_account("CNY", AccountKind.ISSUANCE)
        self.ann = self.ledger.open_account("CNY", AccountKind.WALLET)
        self.bob = self.ledger.open_account("CNY", AccountKind.WALLET)


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


def test_mint_transfer_read_close_and_read_again(town: Town, tmp_path: Path) -> None:
    ledger = town.ledger
    assert ledger.transfer(town.mint, town.ann, "100.00") is Result.CREATED
    town.clock.advance(SECOND_NS)
    lunch = ledger.new_id()
    assert ledger.transfer(town.ann, town.bob, "12.5", id=lunch) is Result.CREATED
    assert ledger.transfer(town.ann, town.bob, "12.5", id=lunch) is Result.EXISTS
    assert ledger.transfer(town.ann, town.bob, "12.51", id=lunch) is Result.EXISTS_WITH_DIFFERENT_CONTENT
    assert ledger.transfer(town.ann, town.bob, "87.51") is Result.EXCEEDS_BALANCE
    assert (ledger.balance(town.ann), ledger.balance(town.bob)) == (8_750, 1_250)
    assert ledger.supply("CNY") == 10_000
    statement = ledger.statement(town.ann)
    assert [(line.purpose, line.amount, line.balance, line.counterparty) for line in statement] == [
        (Purpose.TRANSFER, 10_000, 10_000, town.mint),
        (Purpose.TRANSFER, -1_250, 8_750, town.bob),
    ]
    assert statement[1].operation == lunch
    assert START_NS <= statement[0].time_ns < statement[1].time_ns == START_NS + SECOND_NS
    assert ledger.statement(town.ann, newest=1) == statement[1:]
    assert ledger.statement(town.ann, newest=0) == []
    assert sum(line.amount for line in statement) == ledger.balance(town.ann)
    ledger.check()
    digest = ledger.digest()
    ledger.close()
    with Ledger.open(tmp_path) as reopened:
        assert reopened.digest() == digest
        assert reopened.statement(town.ann) == statement
        assert reopened.transfer(town.ann, town.bob, "12.5", id=lunch) is Result.EXISTS


def test_amounts_are_numbers_of_minor_units_or_exact_texts(town: Town) -> None:
    ledger = town.ledger
    ledger.transfer(town.mint, town.ann, 5)
    assert ledger.balance(town.ann) == 5
    for wrong in ("1.234", "1,5", "five", "", "1e3", "92233720368547758.08"):
        with pytest.raises(UsageError, match="CNY"):
            ledger.transfer(town.mint, town.ann, wrong)
    for malformed in (0, -5, "0.00", "-1"):
        assert ledger.transfer(town.mint, town.ann, malformed) is Result.AMOUNT_MUST_BE_POSITIVE
    with pytest.raises(UsageError, match=r"amount must .*; got 9223372036854775808"):
        ledger.transfer(town.mint, town.ann, 2**63)
    with pytest.raises(UsageError, match=r"id must .*; got -1"):
        ledger.transfer(town.mint, town.ann, 1, id=-1)
    assert ledger.transfer(town.mint, town.ann, 1, id=0) is Result.ID_MUST_NOT_BE_ZERO
    assert ledger.balance(town.ann) == 5
    yen = Ledger.open(Path(ledger.sequencer._log._disk.folder).parent / "yen")  # type: ignore[attr-defined]
    yen.define_currency("JPY", zone="Asia/Tokyo")
    mint, wallet = yen.open_account("JPY", AccountKind.ISSUANCE), yen.open_account("JPY", AccountKind.WALLET)
    yen.transfer(mint, wallet, "1,500")
    assert yen.balance(wallet) == 1_500
    with pytest.raises(UsageError, match="has 2 decimals"):
        yen.transfer(mint, wallet, "1.50")


def test_a_currency_is_defined_once(town: Town) -> None:
    ledger = town.ledger
    frames = ledger.sequencer.durable_sequence
    assert ledger.define_currency("CNY", zone="Asia/Shanghai") is Result.EXISTS
    assert ledger.sequencer.durable_sequence == frames
    assert ledger.define_currency("CNY", zone="UTC") is Result.CURRENCY_EXISTS
    assert ledger.define_currency("EUR", zone="Europe/Paris") is Result.CREATED
    with pytest.raises(UsageError, match="there is no time zone 'Europe/Pari'"):
        ledger.define_currency("USD", zone="Europe/Pari")
    with pytest.raises(UsageError, match="ISO 4217"):
        ledger.define_currency("YUAN", zone="UTC")
    with pytest.raises(UsageError, match="1 to 48 characters"):
        ledger.define_currency("USD", zone="")
    with pytest.raises(UsageError, match="currency USD is not defined in this ledger; defined are: CNY, EUR"):
        ledger.supply("USD")


def test_accounts_are_found_or_named_as_unknown(town: Town) -> None:
    ledger = town.ledger
    account = ledger.account(town.ann)
    assert (account.id, account.currency, account.kind) == (town.ann, 156, AccountKind.WALLET)
    assert (account.balance, account.available, account.blocks) == (0, 0, Block(0))
    assert ledger.account(account.suspense).kind is AccountKind.SUSPENSE
    assert ledger.account(town.bob).suspense == account.suspense, "one suspense account is enough"
    assert ledger.account(town.mint).suspense == town.mint
    for read in (ledger.account, ledger.balance, ledger.statement):
        with pytest.raises(UsageError, match=f"no account {ids.format(12345)}") as error:
            read(12345)
        assert error.value.hint
    with pytest.raises(UsageError, match="no account"):
        ledger.transfer(12345, town.ann, "1.00")
    assert ledger.transfer(12345, town.ann, 1) is Result.DEBIT_ACCOUNT_NOT_FOUND
    assert ledger.transfer(town.mint, 12345, 1) is Result.CREDIT_ACCOUNT_NOT_FOUND
    with pytest.raises(Refused, match="ISSUANCE account in CNY not opened: ISSUANCE_EXISTS") as refused:
        ledger.open_account("CNY", AccountKind.ISSUANCE)
    assert refused.value.result is Result.ISSUANCE_EXISTS
    message = "WALLET account in USD, and the SUSPENSE account that it needs, not opened: CURRENCY_NOT_FOUND"
    with pytest.raises(Refused, match=message) as refused:
        ledger.open_account("USD", AccountKind.WALLET)
    assert refused.value.hint == "call define_currency first"


def test_a_folder_is_opened_by_open(tmp_path: Path) -> None:
    for folder in ("money", tmp_path):
        with pytest.raises(UsageError, match=r"Ledger\(\.\.\.\) takes a sequencer; got") as refused:
            Ledger(folder)  # type: ignore[arg-type]
        assert str(refused.value.hint).startswith("use Ledger.open(")


def test_pay_and_refund_with_a_purse(town: Town) -> None:
    ledger = town.ledger
    ledger.transfer(town.mint, town.ann, "1.00")
    shop = ledger.open_account("CNY", AccountKind.MERCHANT)
    members = np.array([(777, 0)], ID)
    for record in (
        operations.define_rule_set(1, rule_set=1, from_ns=0, until_ns=UNTIL_NS, return_account=town.mint),
        operations.open_programme(
            2, programme=1, funder=town.mint, rule_set=1, members=1, claim_from_ns=0, claim_until_ns=UNTIL_NS
        ),
        operations.add_members(3, programme=1, members=members),
        operations.seal_cohort(4, programme=1, digest=operations.cohort_digest(members)),
        operations.drop(5, programme=1, first=0, count=1, amount=200, seal=4),
        operations.claim(6, programme=1, member=0, member_id=777, wallet=town.ann),
    ):
        assert ledger.submit(record)["code"][0] == Result.CREATED
    assert ledger.purse(1, 1) is ledger.purse(2, 0) is ledger.purse(0, 0) is ledger.purse(1, -1) is None
    lunch = ledger.new_id()
    assert ledger.pay(town.ann, shop, "2.50", id=lunch) is Result.CREATED
    purse = ledger.purse(1, 0)
    assert purse is not None
    assert (purse.left, purse.spent, purse.state, purse.wallet) == (0, 200, PurseState.CLAIMED, town.ann)
    assert ledger.refund(lunch, 70) is Result.CREATED
    assert ledger.refund(lunch, 181) is Result.EXCEEDS_REFUNDABLE
    lines = ledger.statement(shop)
    assert [(line.purpose, line.amount, line.balance, line.counterparty) for line in lines] == [
        (Purpose.PAY_PURSE, 200, 200, 0),
        (Purpose.PAY_OWN, 50, 250, town.ann),
        (Purpose.REFUND_OWN, -50, 200, town.ann),
        (Purpose.REFUND_PURSE, -20, 180, 0),
    ]
    assert [line.operation == lunch for line in lines] == [True, True, False, False]
    # 3.00 of supply: 1.00 minted for Ann, 2.00 dropped.
    assert ledger.supply("CNY") == 300
    ledger.check()


def test_a_suspense_accounts_statement_adds_up_even_where_it_refunds_itself(town: Town) -> None:
    ledger = town.ledger
    suspense = ledger.account(town.ann).suspense
    ledger.transfer(town.mint, town.ann, 100)
    odd = ledger.new_id()
    ledger.pay(town.ann, suspense, 100, id=odd)
    ledger.submit(operations.close_account(ledger.new_id(), account=town.ann))
    assert ledger.refund(odd, 40) is Result.CREATED
    lines = ledger.statement(suspense)
    assert [(line.purpose, line.amount, line.balance) for line in lines] == [
        (Purpose.PAY_OWN, 100, 100),
        (Purpose.REFUND_SUSPENSE, 0, 100),
    ]
    assert sum(line.amount for line in lines) == ledger.balance(suspense)


def test_statements_name_the_right_operation_and_time_among_many(town: Town) -> None:
    ledger = town.ledger
    sent: list[tuple[int, int]] = []
    for number in range(1, 60):
        town.clock.advance(SECOND_NS)
        id = ledger.new_id()
        ledger.submit(
            # In between are refused, malformed and repeated operations, bound or not.
            np.concatenate(
                [
                    operations.transfer(ledger.new_id(), debit=town.bob, credit=town.ann, amount=10**9),
                    operations.transfer(id, debit=town.mint, credit=town.ann, amount=0),
                    operations.transfer(id, debit=town.mint, credit=town.ann, amount=number),
                    operations.transfer(id, debit=town.mint, credit=town.ann, amount=number),
                ]
            )
        )
        sent.append((id, START_NS + number * SECOND_NS))
    lines = ledger.statement(town.ann)
    assert [(line.operation, line.time_ns) for line in lines] == sent
    assert [line.amount for line in lines] == list(range(1, 60))
    assert all(isinstance(line, Line) for line in lines)
