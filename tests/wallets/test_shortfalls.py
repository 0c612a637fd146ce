"""Reverse waterfall: the bank pays what a payment lacks, and then the payment is made; or nothing moves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy
from tests.bank.killing import POSTGRESQL_IN_SOAK, check_kills
from tests.bank.world import DAY_NS, START_NS, technical
from tests.wallets import world
from tests.wallets.world import Town

from sycee.bank.bank import Bank
from sycee.core.errors import UsageError
from sycee.core.records.layout import Block, Reason
from sycee.core.result_codes import Result
from sycee.database.transactions import write
from sycee.personal.access import Access
from sycee.personal.access import Reason as Why
from sycee.wallets.mandates import Mandate
from sycee.wallets.shortfalls import SHORTFALL_VALIDITY_NS, Shortfall
from sycee.wallets.tables import MANDATES

PAYMENT, MANDATE = (0x0193_0000_0000_7000_8000_0000_0000_0020 + number for number in range(2))


def link(town: Town, account: int) -> None:
    town.bank.sweeps.link(account, "CN00 0000", signers=town.operator, who=town.north)


def grant(town: Town, day_max: int, **named: int) -> Mandate:
    return town.bank.mandates.grant(town.leo, day_max, key=world.LEO_KEY, by=town.holder(town.leo), **named)


def ask(town: Town, minor: int, payee: int = 0, **named: object) -> Shortfall:
    signers, who = town.signer(town.leo, world.LEO_KEY), town.holder(town.leo)
    return town.bank.shortfalls.ask(town.leo, payee or town.shop, minor, signers=signers, who=who, **named)


def fund(town: Town, payment: int) -> str:
    signers = [*town.operator, *town.signers(technical(town.bank))]
    return town.bank.shortfalls.fund(payment, signers=signers, who=town.north).answer


def ready(town: Town, day_max: int = 100_00) -> None:
    link(town, town.leo)
    grant(town, day_max)


def test_exactly_what_is_missing_is_funded_and_paid(town: Town) -> None:
    ready(town)
    vault = town.bank.registry.operator(2).accounts.vault
    before = town.balance(vault)
    asked = ask(town, 530_00, text="the bed", order="17", till=town.till_1)
    assert (asked.missing_minor, asked.state, len(asked.bank_reference)) == (30_00, "asked", 35)
    assert (town.balance(town.leo), town.balance(vault)) == (500_00, before)
    assert town.bank.payments.was_paid(town.tea, "17").state == "asked"
    assert town.bank.shortfalls.open(2, by=town.north) == [asked]
    assert town.bank.shortfalls.find(2, asked.bank_reference) == asked
    assert town.bank.check() == []
    to_collect = Access(town.north, Why.PAYMENT, 0)
    assert town.bank.shortfalls.bank_account(asked, access=to_collect) == "CN00 0000"
    assert fund(town, asked.id) == fund(town, asked.id) == "PAID"
    assert (town.balance(town.leo), town.balance(town.shop), town.balance(vault)) == (0, 530_00, before - 30_00)
    assert town.bank.shortfalls.get(asked.id).state == "paid"
    assert town.bank.payments.was_paid(town.tea, "17").operation == asked.id
    funding = town.bank.issuance.funding(2, asked.bank_reference)
    assert (funding.minor, funding.state, funding.wallet) == (30_00, "confirmed", town.leo)
    assert town.bank.shortfalls.open(2, by=town.north) == []
    with pytest.raises(UsageError, match="is decided: the bank has nothing to collect"):
        town.bank.shortfalls.bank_account(asked, access=to_collect)
    refund = town.bank.payments.refund(
        town.tea, "17", 530_00, till=town.till_1, signers=town.operator, who=town.north
    )  # fmt: skip
    assert refund.is_paid
    with pytest.raises(UsageError, match="is paid"):
        town.bank.shortfalls.reject(asked.id, who=town.north)
    assert town.bank.check() == []


@POSTGRESQL_IN_SOAK
def test_a_payment_that_the_bank_rejects_moves_nothing(town: Town) -> None:
    ready(town)
    asked = ask(town, 530_00, order="17")
    for _ in range(2):
        town.bank.shortfalls.reject(asked.id, who=town.north)
    assert (town.balance(town.leo), town.balance(town.shop)) == (500_00, 0)
    assert town.bank.payments.was_paid(town.tea, "17").state == "refused"
    with pytest.raises(UsageError, match="is rejected"):
        fund(town, asked.id)
    assert ask(town, 600_00, order="17").missing_minor == 100_00  # what was rejected does not count in the day
    assert town.bank.check() == []


def test_a_mandate_limits_the_day(small: Town) -> None:
    with pytest.raises(UsageError, match="has no bank account"):
        grant(small, 100_00)
    link(small, small.leo)
    with pytest.raises(UsageError, match="has no mandate"):
        ask(small, 530_00)
    with pytest.raises(UsageError, match="permits nothing"):
        grant(small, 0)
    with pytest.raises(UsageError, match="not that of wallet"):
        small.bank.mandates.grant(small.leo, 1, key=world.MIA_KEY, by=small.holder(small.leo))
    with pytest.raises(UsageError, match="another holder's"):
        small.bank.mandates.grant(small.leo, 1, key=world.MIA_KEY, by=small.holder(small.mia))
    grant(small, 100_00)
    with pytest.raises(UsageError, match="the payment lacks nothing"):
        ask(small, 500_00)
    with pytest.raises(UsageError, match="exceed its maximum balance"):
        ask(small, 500_000_01)
    ask(small, 560_00)
    with pytest.raises(UsageError, match="lacks 4001 minor units, and the mandate permits 4000 today"):
        ask(small, 540_01)
    ask(small, 540_00)
    small.bank.set_clock(START_NS + DAY_NS)
    ask(small, 600_00)
    with pytest.raises(UsageError, match=r"wallet\.class"):
        small.bank.mandates.end(small.leo, by=small.holder(small.mia))
    small.bank.mandates.end(small.leo, by=small.holder(small.leo))
    with pytest.raises(UsageError, match="has no mandate"):
        ask(small, 501_00)
    grant(small, 1_00)
    small.bank.mandates.end(small.leo, by=small.north)


def test_a_changed_mandate_permits_nothing(small: Town) -> None:
    ready(small, 1)
    changed = MANDATES.update().values(day_max_minor=10**9)
    write(small.bank.stores.engine, lambda connection: connection.execute(changed))
    with pytest.raises(UsageError, match="a mandate that its key did not sign"):
        ask(small, 530_00)


def test_a_refusal_after_the_bank_paid_moves_nothing(small: Town) -> None:
    ready(small)
    ledger = small.bank.stores.ledger.signed_by(*small.operator)
    asked, other = ask(small, 510_00, small.mia, text="a"), ask(small, 520_00, order="18")
    ledger.block(small.mia, Reason.REQUEST, sides=Block.CREDIT)
    assert fund(small, asked.id) == "PAYEE_CANNOT_RECEIVE"
    leo = {"signers": small.signer(small.leo, world.LEO_KEY), "who": small.holder(small.leo)}
    assert small.bank.payments.pay(small.leo, small.shop, 1_00, **leo).is_paid  # the rest no longer suffices
    assert fund(small, other.id) == "EXCEEDS_BALANCE"
    found = [small.bank.shortfalls.get(each.id) for each in (asked, other)]
    assert [(each.state, each.answer) for each in found] == [
        ("refused", "PAYEE_CANNOT_RECEIVE"),
        ("refused", "EXCEEDS_BALANCE"),
    ]
    (refusal,) = small.bank.payments.refusals(2, by=small.north)
    assert (refusal.operation, refusal.code) == (asked.id, Result.CREDIT_ACCOUNT_BLOCKED)
    assert (small.balance(small.leo), small.balance(small.shop)) == (499_00, 1_00)
    assert small.bank.payments.was_paid(small.tea, "18").state == "refused"
    assert small.bank.check() == []


def test_the_operator_and_the_bank_must_act_in_time(small: Town) -> None:
    ready(small)
    asked, late = ask(small, 510_00, order="19"), ask(small, 511_00)
    with pytest.raises(UsageError, match=r"pay\.fund"):
        small.bank.shortfalls.fund(asked.id, signers=small.operator, who=small.holder(small.leo))
    with pytest.raises(UsageError, match=r"transit\.reject"):
        small.bank.shortfalls.reject(asked.id, who=small.holder(small.leo))
    with pytest.raises(UsageError, match=r"transit\.confirm"):
        small.bank.shortfalls.open(2, by=small.holder(small.leo))
    assert small.bank.shortfalls.fund(late.id, signers=small.operator, who=small.north).answer != "PAID"
    small.bank.set_clock(START_NS + SHORTFALL_VALIDITY_NS)
    assert small.bank.shortfalls.open(2, by=small.north) == []
    with pytest.raises(UsageError, match="is expired"):
        fund(small, asked.id)
    small.bank.stores.jobs.run_due()
    assert small.bank.shortfalls.get(asked.id).state == "expired"
    assert small.bank.payments.was_paid(small.tea, "19").state == "lapsed"
    assert small.balance(small.leo) == 500_00
    assert small.bank.check() == []
    assert small.bank.shortfalls.find(2, "RW-no") is None
    with pytest.raises(UsageError, match="waits for a bank"):
        small.bank.shortfalls.get(1)


def act_fund(bank: Bank) -> None:
    """Ask for what a payment lacks, fund it and pay, with ids that a second call repeats."""
    town = world.town(bank)
    grant(town, 100_00, id=MANDATE)
    ask(town, 530_00, text="kept", order="17", operation=PAYMENT)
    assert fund(town, PAYMENT) == "PAID"


def expect_funded(bank: Bank) -> None:
    town = world.town(bank)
    assert (town.balance(town.leo), town.balance(town.shop)) == (0, 530_00)
    assert bank.shortfalls.get(PAYMENT).state == "paid"
    assert bank.payments.was_paid(town.tea, "17").is_paid
    with bank.stores.engine.connect() as connection:
        assert connection.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(MANDATES)) == 1


def act_reject(bank: Bank) -> None:
    town = world.town(bank)
    grant(town, 100_00, id=MANDATE)
    ask(town, 530_00, order="17", operation=PAYMENT)
    bank.shortfalls.reject(PAYMENT, who=town.north)


def expect_rejected(bank: Bank) -> None:
    town = world.town(bank)
    assert (town.balance(town.leo), town.balance(town.shop)) == (500_00, 0)
    assert (bank.shortfalls.get(PAYMENT).state, bank.payments.was_paid(town.tea, "17").state) == ("rejected", "refused")


KILLED = [(act_fund, expect_funded), (act_reject, expect_rejected)]


@POSTGRESQL_IN_SOAK
@pytest.mark.parametrize(("act", "expect"), KILLED, ids=["fund", "reject"])
def test_a_killed_shortfall_is_decided_once(
    server: str, tmp_path: Path, act: Callable[[Bank], None], expect: Callable[[Bank], None]
) -> None:
    assert check_kills(server, tmp_path, world.with_link(server), act, expect=expect) >= 6


@pytest.mark.soak
@pytest.mark.parametrize(("act", "expect"), KILLED, ids=["fund", "reject"])
def test_a_shortfall_is_killed_at_every_boundary(
    server: str, tmp_path: Path, act: Callable[[Bank], None], expect: Callable[[Bank], None]
) -> None:
    assert check_kills(server, tmp_path, world.with_link(server), act, expect=expect, every=True) >= 6
