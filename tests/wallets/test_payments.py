"""Payments with references: the text is sealed, an order is paid once, refunds retrace payments, and refusals hide."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy
from tests.bank.killing import POSTGRESQL_IN_SOAK, check_kills
from tests.wallets import world
from tests.wallets.world import Town

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.errors import NotFound, UsageError
from sycee.core.records.layout import Block, Reason
from sycee.core.result_codes import Result
from sycee.database.transactions import reading
from sycee.personal.access import Access
from sycee.personal.access import Reason as Why
from sycee.wallets import tables
from sycee.wallets.payments import HIDDEN, Paid, PayerAnswer, payer_answer
from sycee.wallets.references import own_texts, rows_of

PAYMENT, REFUND = 0x0193_0000_0000_7000_8000_0000_0000_0001, 0x0193_0000_0000_7000_8000_0000_0000_0002


def pay(town: Town, minor: int, **named: object) -> Paid:
    signers, who = town.signer(town.leo, world.LEO_KEY), town.holder(town.leo)
    return town.bank.payments.pay(town.leo, named.pop("payee", town.shop), minor, signers=signers, who=who, **named)


def refund(town: Town, order: str, minor: int, till: int, **named: object) -> Paid:
    return town.bank.payments.refund(town.tea, order, minor, till=till, signers=town.operator, who=town.north, **named)


@POSTGRESQL_IN_SOAK
def test_both_sides_read_the_text_and_the_ledger_has_its_id(town: Town) -> None:
    paid = pay(town, 12_50, text="龙井 for Anna, table 4", till=town.till_1, order="17")
    assert paid.is_paid
    assert town.balance(town.shop) == 12_50
    for account in (town.leo, town.shop):
        texts = own_texts(town.bank.stores.engine, town.bank.personal, account, town.holder(account), [paid.operation])
        assert texts == {paid.operation: "龙井 for Anna, table 4"}
    with reading(town.bank.stores.engine) as connection:
        (row,) = rows_of(connection, [paid.operation])
    assert (row.till, row.order_number, row.state, row.minor) == (town.till_1, "17", tables.DONE, 12_50)
    assert b"Anna" not in row.payer_sealed + row.payee_sealed
    assert town.bank.check() == []


def test_a_payment_without_words_is_the_ledgers_own(small: Town) -> None:
    paid = pay(small, 1_00, payee=small.mia, operation=PAYMENT)
    assert (paid.answer, paid.operation) == (PayerAnswer.PAID, PAYMENT)
    assert pay(small, 1_00, payee=small.mia, operation=PAYMENT).is_paid  # repeated
    assert small.balance(small.mia) == 501_00
    assert small.bank.stores.intents.find(PAYMENT) is None


@POSTGRESQL_IN_SOAK
def test_an_order_is_paid_once(town: Town) -> None:
    assert town.bank.payments.was_paid(town.tea, "17").state == "unknown"
    assert pay(town, 600_00, order="17").answer == "EXCEEDS_BALANCE"
    assert town.bank.payments.was_paid(town.tea, "17").state == tables.REFUSED
    paid = pay(town, 5_00, order="17")
    state = town.bank.payments.was_paid(town.tea, "17")
    assert (state.is_paid, state.minor, state.operation) == (True, 5_00, paid.operation)
    with pytest.raises(UsageError, match="order 17 is paid already"):
        pay(town, 5_00, order="17")
    assert town.balance(town.shop) == 5_00


def test_the_wrong_key_pays_nothing(small: Town) -> None:
    signers = small.signer(small.mia, world.MIA_KEY)
    paid = small.bank.payments.pay(
        small.leo, small.shop, 5_00, signers=signers, who=small.holder(small.mia), order="17"
    )
    assert paid.answer == "NOT_AUTHORISED"
    assert small.bank.payments.was_paid(small.tea, "17").state == tables.LAPSED
    assert pay(small, 5_00, order="17").is_paid


@pytest.mark.parametrize("named", [{"text": "x" * 36}, {"text": "two\nlines"}, {"order": "17 b"}, {"order": "x" * 36}])
def test_texts_of_a_wrong_form_are_refused_before_anything_is_stored(small: Town, named: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        pay(small, 1_00, **named)
    with reading(small.bank.stores.engine) as connection:
        assert connection.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(tables.REFERENCES)) == 0


def test_a_till_of_another_merchant_is_refused(small: Town) -> None:
    other = world.approved_merchant(small.bank, "Noodles")
    small.bank.wallets.open(other, operator=2, tier="", signers=small.operator, who=small.north)
    outlet = small.bank.institutions.add_outlet(other, "MAIN", by=small.north)
    till = small.bank.institutions.add_till(outlet, "T1", by=small.north)
    with pytest.raises(UsageError, match="another merchant"):
        pay(small, 1_00, till=till)
    pay(small, 5_00, order="17", till=small.till_1)
    with pytest.raises(UsageError, match="another merchant"):
        refund(small, "17", 1_00, till)


def test_refunds_go_back_up_to_what_was_paid(town: Town) -> None:
    pay(town, 10_00, order="17", till=town.till_1)
    assert refund(town, "17", 3_00, town.till_2).is_paid  # another till of the same merchant
    assert refund(town, "17", 7_01, town.till_1).answer == "EXCEEDS_REFUNDABLE"
    assert town.bank.payments.was_paid(town.tea, "17").refunded_minor == 3_00
    assert (town.balance(town.leo), town.balance(town.shop)) == (493_00, 7_00)
    with pytest.raises(UsageError, match="order 18 is unknown"):
        refund(town, "18", 1_00, town.till_1)
    assert town.bank.check() == []


def test_a_payment_without_a_reference_is_refunded_by_its_id(small: Town) -> None:
    paid = pay(small, 10_00)
    named = {"till": 0, "signers": small.operator, "who": small.north}
    assert small.bank.payments.payment_of(small.tea, ids.format(paid.operation)) == paid.operation
    first = small.bank.payments.refund_payment(paid.operation, 3_00, operation=REFUND, **named)
    again = small.bank.payments.refund_payment(paid.operation, 3_00, operation=REFUND, **named)
    assert (first.answer, again) == ("PAID", first)  # repeated
    assert small.balance(small.shop) == 7_00
    assert small.bank.payments.refund_payment(paid.operation, 7_01, **named).answer == "EXCEEDS_REFUNDABLE"
    for wrong in (first.operation, 7):  # no payment
        with pytest.raises(NotFound, match="there is no payment"):
            small.bank.payments.refund_payment(wrong, 1, **named)
    with pytest.raises(UsageError, match="was made at no till"):
        small.bank.payments.refund_payment(paid.operation, 1, **named | {"till": small.till_1})
    assert small.bank.check() == []


def test_a_stranger_refunds_nothing(small: Town) -> None:
    pay(small, 10_00, order="17")
    with pytest.raises(UsageError, match="refund"):
        small.bank.payments.refund(
            small.tea, "17", 1_00, till=0, signers=small.signer(small.leo, world.LEO_KEY), who=small.holder(small.leo)
        )


def test_every_code_of_the_payee_is_one_answer() -> None:
    assert {payer_answer(code) for code in HIDDEN} == {PayerAnswer.PAYEE_CANNOT_RECEIVE}
    assert payer_answer(Result.CREATED) == "PAID"
    assert payer_answer(Result.EXCEEDS_DAY_LIMIT) == "EXCEEDS_DAY_LIMIT"


@pytest.mark.parametrize("text", ["", "thanks"])
def test_the_operator_of_the_payee_reads_the_exact_code(small: Town, text: str) -> None:
    ledger = small.bank.stores.ledger.signed_by(*small.operator)
    ledger.block(small.mia, Reason.REQUEST, sides=Block.CREDIT)
    blocked = pay(small, 1_00, payee=small.mia, text=text)
    small.fund(small.ned, 9_999_00, "N-9")
    full = pay(small, 2_00, payee=small.ned, text=text)
    assert blocked.answer == full.answer == PayerAnswer.PAYEE_CANNOT_RECEIVE
    found = small.bank.payments.refusals(2, by=small.north)
    codes = {each.operation: each.code for each in found}
    assert codes == {
        blocked.operation: Result.CREDIT_ACCOUNT_BLOCKED, full.operation: Result.EXCEEDS_BALANCE_LIMIT,
    }  # fmt: skip
    with pytest.raises(UsageError, match=r"wallet\.open"):
        small.bank.payments.refusals(2, by=small.holder(small.leo))


def test_another_person_needs_a_case_to_read_a_text(small: Town) -> None:
    paid = pay(small, 1_00, text="secret")
    with reading(small.bank.stores.engine) as connection:
        (row,) = rows_of(connection, [paid.operation])
    access = Access(small.north, Why.COMPLAINT, 1)
    with pytest.raises(UsageError, match="case"):
        small.bank.payments.references.text(paid.operation, small.holder(small.leo), row.payer_sealed, access=access)


def act_pay(bank: Bank) -> None:
    """Pay order 17, and refund a part of it, with ids that a second call repeats."""
    town = world.town(bank)
    pay(town, 10_00, text="kept", order="17", till=town.till_1, operation=PAYMENT)
    refund(town, "17", 4_00, town.till_1, operation=REFUND)


def expect_paid(bank: Bank) -> None:
    town = world.town(bank)
    state = bank.payments.was_paid(town.tea, "17")
    assert (state.is_paid, state.refunded_minor) == (True, 4_00)
    assert (town.balance(town.leo), town.balance(town.shop)) == (494_00, 6_00)


@POSTGRESQL_IN_SOAK
def test_a_killed_payment_is_made_once(server: str, tmp_path: Path) -> None:
    assert check_kills(server, tmp_path, world.prepared(server), act_pay, expect=expect_paid) >= 8


@pytest.mark.soak
def test_a_payment_is_killed_at_every_boundary(server: str, tmp_path: Path) -> None:
    assert check_kills(server, tmp_path, world.prepared(server), act_pay, expect=expect_paid, every=True) >= 8
