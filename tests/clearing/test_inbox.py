"""What the house forwards: transfers of customers, requests to return a booked payment, and their answers."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import sqlalchemy
from tests.clearing.test_gateway import CREATED, TODAY, transfer
from tests.clearing.test_member_messages import (
    EAST,
    HOUSE,
    NORTH,
    SOUTH,
    cancel,
    east_side,
    headed,
    interrupted,
    north_side,
    refusal,
    returned,
    status_rows,
    take,
    value_of,
)
from tests.clearing.world import CODES, EAST_BANK, NORTH_BANK, SOUTH_BANK, Place, place, uetr

from sycee.clearing import gateway, inbox, investigations, member_messages, receiving, set_payments
from sycee.clearing.tables import DELIVERIES, INBOX, MEMBERS, MESSAGES, PAYMENTS
from sycee.core.errors import IntegrityError
from sycee.database.events import EventKind, events_after
from sycee.iso20022.cancellations import CancellationAnswer, Resolution
from sycee.iso20022.credit_transfer_messages import CustomerTransfer, CustomerTransfers, PaymentIds, Settlement, Words
from sycee.iso20022.elements import Amount
from sycee.iso20022.institutions import Account, Actor, Address, Customer, Institution, StatusReason
from sycee.iso20022.messages import Message, read
from sycee.testing import postgresql

ANN = Customer(name="Ann", address=Address(town="Town", country="CN"))
STATUS = "pacs.002.001.10"
BEA = Customer(name="Bea", residence="CN")


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.soak)])
def town(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    where = "" if request.param == "sqlite" else postgresql.url(request.getfixturevalue("sockets"))
    with place(tmp_path_factory.mktemp("inbox"), where) as made:
        yield made
        assert made.bank.check() == []


def customers(*sent: tuple[int, str], minor: int = 1_00, for_next_agent: tuple[Words, ...] = (), **named: Any) -> bytes:
    """A pacs.008 of North Bank: from Ann, to Bea at the bank with this code, for each number."""
    made = tuple(
        CustomerTransfer(
            ids=PaymentIds(end_to_end=f"E{number}", uetr=uetr(number)), amount=Amount("CNY", minor),
            charge_bearer="SHAR", debtor=ANN, debtor_agent=NORTH, creditor_agent=Institution(bic=code), creditor=BEA,
            creditor_account=Account(number=f"A{number}"), receiver=Institution(bic=code),
            remittance=(f"Invoice {number}",), for_next_agent=for_next_agent,
        )
        for number, code in sent
    )  # fmt: skip
    values: dict[str, Any] = {
        "id": f"M{sent[0][0]}", "created": CREATED, "day": TODAY, "sender": NORTH, "transactions": made,
        "settlement": Settlement(method="CLRG", system_own="HOUSE"), "total": Amount("CNY", minor * len(sent)),
    }  # fmt: skip
    return headed(inbox.CUSTOMER_TRANSFER, CustomerTransfers(**(values | named)))


def forwarded(town: Place, participant: int) -> list[Message]:
    """The messages to a participant, in order."""
    forwarding = town.bank.clearing.forwarding(HOUSE)
    return [read(forwarding.content(each)) for each in town.bank.clearing.inbox.page(participant)]


def test_a_transfer_of_a_customer_is_booked_and_forwarded(town: Place) -> None:
    before = town.balances()
    sent = customers((1, CODES[SOUTH_BANK]), (2, CODES[EAST_BANK]), (3, "NOBDCNB1XXX"))
    first = take(town, sent)
    assert status_rows(first) == [(uetr(1), "PDNG", ""), (uetr(2), "PDNG", ""), (uetr(3), "RJCT", "RC04")]
    assert read(first.answer).value.payments[0].original.name == inbox.CUSTOMER_TRANSFER
    assert [forwarded(town, each) for each in (SOUTH_BANK, EAST_BANK)] == [[], []]
    assert town.release()[0] == 2
    assert town.balances() == [before[0] - 2_00, before[1] + 1_00, before[2] + 1_00]
    ((own,), (of_east,)) = (forwarded(town, each) for each in (SOUTH_BANK, EAST_BANK))
    assert (own.name, own.header.receiver.institution.bic, own.value.id) == ("pacs.008.001.08", SOUTH.bic, "M1")
    (paid,) = own.value.transactions
    assert (paid.debtor, paid.creditor, paid.creditor_account.number) == (ANN, BEA, "A1")
    assert (paid.amount, paid.remittance, own.value.sender) == (Amount("CNY", 1_00), ("Invoice 1",), NORTH)
    assert paid.ids.clearing == str(town.bank.clearing.payments.get(uetr(1)).number)
    assert [each.ids.uetr for each in of_east.value.transactions] == [uetr(2)]
    assert take(town, sent).answer == first.answer
    assert town.release()[0] == 0
    assert len(forwarded(town, SOUTH_BANK)) == 1


def test_a_message_with_several_transfers_is_read_once_for_all_of_them(town: Place) -> None:
    sent = customers(*((number, SOUTH.bic) for number in range(60, 64)))
    take(town, sent)
    assert town.release()[0] == 4
    forwarding = town.bank.clearing.forwarding(HOUSE)
    last = town.bank.clearing.inbox.page(SOUTH_BANK)[-4:]
    found = [read(forwarding.content(each)).value.transactions[0].ids.uetr for each in last]
    assert (found, forwarding.bytes_read) == ([uetr(number) for number in range(60, 64)], len(sent))


def test_a_transfer_that_another_message_settles_moves_no_money(town: Place) -> None:
    name, words = refusal(take(town, customers((5, SOUTH.bic), settlement=Settlement(method="COVE"))))
    assert (name, "FIToFICstmrCdtTrf/GrpHdr/SttlmInf/SttlmMtd: is COVE" in words) == (STATUS, True), words
    paired = customers((6, SOUTH.bic), for_next_agent=(Words(words=f"/PVP/{uetr(7)}/HKD1.00"),))
    name, words = refusal(take(town, paired))
    assert (name, "InstrInf: begins with /PVP/: a transfer of a customer is no payment" in words) == (STATUS, True)
    other = take(town, customers((6, NORTH.bic), sender=SOUTH))
    assert "AppHdr/Fr: SOUTCNB1XXX sends it, and NORTCNB1XXX signed it" in refusal(other)[1]


def test_a_cancelled_transfer_is_not_forwarded(town: Place) -> None:
    count = len(forwarded(town, SOUTH_BANK))
    take(town, customers((7, SOUTH.bic), minor=10**9))
    waits = sqlalchemy.select(INBOX.c.payment).where(INBOX.c.number == 0)
    with town.bank.stores.engine.connect() as connection:
        assert connection.scalars(waits).all() == [town.bank.clearing.payments.get(uetr(7)).number]
    assert value_of(take(town, cancel("C1", 7))).status == "CNCL"
    with town.bank.stores.engine.connect() as connection:
        assert connection.scalars(waits).all() == []
    take(town, transfer(8))
    assert town.release()[0] == 1
    assert len(forwarded(town, SOUTH_BANK)) == count


def test_a_transfer_that_a_restored_ledger_does_not_have_is_forwarded_again_under_a_new_number(town: Place) -> None:
    take(town, customers((66, SOUTH.bic)))
    assert town.release()[0] == 1
    number = town.bank.clearing.payments.get(uetr(66)).number
    before = town.bank.clearing.inbox.page(SOUTH_BANK)[-1]
    assert before.payment == number
    with town.bank.stores.engine.connect() as connection, connection.begin() as undone:
        set_id = connection.scalar(sqlalchemy.select(MEMBERS.c.set_id).where(MEMBERS.c.payment == number))
        given = sqlalchemy.select(INBOX.c.number).where(INBOX.c.payment == number)
        set_payments.free_members(connection, set_id, np.array([number]))
        assert connection.scalar(given) == 0
        set_payments.book_members(connection, set_id, np.array([number]), 1)
        assert connection.scalar(given) == before.number + 1
        set_payments.decide_again(connection, set_id)
        set_payments.book_members(connection, set_id, None, 1)
        assert connection.scalar(given) == before.number + 2
        undone.rollback()


# --- requests to return a payment ---


def resolution(id: str, *numbers: int, status: str = "ACCR", sender: Institution = SOUTH) -> bytes:
    """A camt.029 of the receiver."""
    reasons = (StatusReason(code="CUST", information=("the customer refuses",)),) if status == "RJCR" else ()
    value = Resolution(
        id=id, sender=Actor(institution=sender), receiver=Actor(institution=Institution(name=HOUSE)), created=CREATED,
        status={"ACCR": "CNCL", "RJCR": "RJCR"}.get(status, "PDCR"),
        transactions=tuple(CancellationAnswer(uetr=uetr(each), status=status, reasons=reasons) for each in numbers),
    )  # fmt: skip
    return headed(member_messages.RESOLUTION, value, sender)


def test_a_request_to_return_a_booked_payment_is_answered_by_its_receiver(town: Place) -> None:
    clearing = town.bank.clearing
    take(town, transfer(10), transfer(11))
    assert town.release()[0] == 2
    number = clearing.payments.get(uetr(10)).number
    asked = value_of(take(town, cancel("C10", 10)))
    assert (asked.status, asked.transactions[0].status) == ("PDCR", "PDCR")
    assert "its receiver is asked to return it" in " ".join(asked.transactions[0].reasons[0].information)
    request = forwarded(town, SOUTH_BANK)[-1]
    assert (request.name, [each.uetr for each in request.value.transactions]) == ("camt.056.001.08", [uetr(10)])
    assert (request.value.case.id, request.value.case.by.institution) == ("C10", NORTH)
    count = len(forwarded(town, SOUTH_BANK))
    assert value_of(take(town, cancel("C11", 10))).status == "PDCR"
    assert len(forwarded(town, SOUTH_BANK)) == count

    refused = resolution("N10", 10, status="RJCR")
    first = take(town, refused, participant=SOUTH_BANK)
    (acknowledged,) = value_of(first).reports
    assert (read(first.answer).name, acknowledged.original, acknowledged.status) == ("admi.007.001.01", "B-N10", "RCVD")
    assert take(town, refused, participant=SOUTH_BANK).answer == first.answer
    answer = forwarded(town, NORTH_BANK)[-1]
    (mine,) = answer.value.transactions
    assert (answer.name, answer.value.status, answer.value.case.id) == ("camt.029.001.09", "RJCR", "C10")
    assert (mine.uetr, mine.status, mine.reasons[0].code) == (uetr(10), "RJCR", "CUST")
    assert [each.state for each in clearing.investigations.of_payment(number)] == ["rejected"]

    assert value_of(take(town, cancel("C12", 10))).status == "PDCR"
    take(town, resolution("N11", 10), returned("T10", 10), participant=SOUTH_BANK)
    assert forwarded(town, NORTH_BANK)[-1].value.status == "CNCL"
    found = clearing.investigations.of_payment(number)[-1]
    back = clearing.payments.of_numbers([found.returned])[found.returned]
    assert (found.state, back.original, back.sender, back.state) == ("accepted", number, SOUTH_BANK, "queued")
    assert town.release()[0] == 1
    last = value_of(take(town, cancel("C13", 10)))
    assert (town.states(10), last.status) == (["returned"], "RJCR")
    assert "was returned" in " ".join(last.transactions[0].reasons[0].information)
    told = [
        (each.operator, each.data["kind"]) for each in events_after(town.bank.stores.engine, 0, most=1_000)
        if each.kind is EventKind.CLEARING_MESSAGE and each.data["uetr"] == uetr(10)
    ]  # fmt: skip
    assert told == [(SOUTH_BANK, "camt.056.001.08"), (NORTH_BANK, "camt.029.001.09")] * 2


def test_only_the_receiver_answers_a_request_and_once(town: Place) -> None:
    take(town, transfer(20), transfer(21))
    assert town.release()[0] == 2
    take(town, cancel("C20", 20))
    for content, participant, words in (
        (resolution("N20", 20, sender=EAST), EAST_BANK, "is no payment that EASTHKH1XXX is asked to return"),
        (resolution("N21", 21), SOUTH_BANK, f"TxInfAndSts[1]/OrgnlUETR: {uetr(21)} is no payment"),
        (resolution("N22", 20, status="PDCR"), SOUTH_BANK, "TxCxlSts: is PDCR"),
        (resolution("N23", 20, 20), SOUTH_BANK, "is named twice"),
        (resolution("N24"), SOUTH_BANK, "CxlDtls/TxInfAndSts: is missing"),
        (resolution("N25", 20, sender=EAST), SOUTH_BANK, "AppHdr/Fr: EASTHKH1XXX sends it"),
    ):
        name, found = refusal(take(town, content, participant=participant))
        assert (name, words in found) == ("admi.002.001.01", True), found
    number = town.bank.clearing.payments.get(uetr(20)).number
    assert [each.state for each in town.bank.clearing.investigations.of_payment(number)] == ["open"]
    take(town, resolution("N26", 20, status="RJCR"), participant=SOUTH_BANK)
    assert "is no payment" in refusal(take(town, resolution("N27", 20), participant=SOUTH_BANK))[1]


def test_a_return_and_a_payment_against_payment_are_not_asked_back(town: Place) -> None:
    take(town, transfer(30))
    take(town, north_side(31, 32))
    take(town, east_side(32, 31), participant=EAST_BANK)
    town.bank.clearing.payments.cancel(NORTH_BANK, [uetr(31)])
    town.release()
    assert value_of(take(town, cancel("C30", 31))).status == "CNCL"
    take(town, returned("T30", 30), participant=SOUTH_BANK)
    town.release()
    assert value_of(take(town, cancel("C31", 30))).status == "RJCR"


def test_a_crash_before_the_answer_to_a_resolution_loses_nothing(town: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    take(town, transfer(40))
    assert town.release()[0] == 1
    take(town, cancel("C40", 40))
    content = resolution("N40", 40, status="RJCR")
    with monkeypatch.context() as crash:
        crash.setattr(receiving.Receiving, "answer", interrupted)
        with pytest.raises(InterruptedError):
            take(town, content, participant=SOUTH_BANK)
    count = len(forwarded(town, NORTH_BANK))
    assert read(take(town, content, participant=SOUTH_BANK).answer).name == "admi.007.001.01"
    assert len(forwarded(town, NORTH_BANK)) == count


# --- deliveries in which refused messages have the id of a good one ---


@pytest.mark.parametrize("refused", ["other method", "other kind"])
def test_the_booked_message_is_forwarded_and_not_a_refused_one_of_the_same_id(town: Place, refused: str) -> None:
    number = {"other method": 50, "other kind": 52}[refused]
    if refused == "other method":
        bad = customers((number, SOUTH.bic), minor=1_000_000_00, settlement=Settlement(method="COVE"))
    else:
        bad = customers((number + 1, SOUTH.bic), id=f"M{number}", sender=SOUTH)
    answered = take(town, bad, customers((number, SOUTH.bic)))
    assert (answered.stored, answered.refused) == (1, 1)
    assert town.release()[0] == 1
    (paid,) = forwarded(town, SOUTH_BANK)[-1].value.transactions
    assert (paid.ids.uetr, paid.amount) == (uetr(number), Amount("CNY", 1_00))


def test_a_request_that_was_refused_is_not_forwarded_for_one_of_the_same_id(town: Place) -> None:
    take(town, transfer(54))
    assert town.release()[0] == 1
    answered = take(town, cancel("C54", 54, 54), cancel("C54", 54))
    assert answered.refused == 1
    request = forwarded(town, SOUTH_BANK)[-1]
    assert (request.name, [each.uetr for each in request.value.transactions]) == ("camt.056.001.08", [uetr(54)])


def test_a_stored_message_that_is_not_of_the_payment_is_not_forwarded(town: Place) -> None:
    for each in (57, 56):
        take(town, customers((each, SOUTH.bic)))
        assert town.release()[0] == 1
    waits = town.bank.clearing.inbox.page(SOUTH_BANK)[-1]
    forwarding = town.bank.clearing.forwarding(HOUSE)
    number = town.bank.clearing.payments.get(uetr(57)).number
    with pytest.raises(IntegrityError, match=f"has no transfer that is payment {number}"):
        forwarding.content(waits._replace(payment=number))


def change(table: sqlalchemy.Table, **where: Any) -> sqlalchemy.Update:
    return sqlalchemy.update(table).where(*(table.c[name] == value for name, value in where.items()))


@pytest.mark.parametrize("damage", ["content", "mark", "part", "message", "delivery", "payment"])
def test_a_damaged_message_is_named(town: Place, damage: str) -> None:
    """Its stored rows are changed, as a broken disk or a wrong repair leaves them."""
    number = 90 + ["content", "mark", "part", "message", "delivery", "payment"].index(damage)
    take(town, customers((number, SOUTH.bic)))
    assert town.release()[0] == 1
    last = town.bank.clearing.inbox.page(SOUTH_BANK)[-1]
    kept = town.bank.clearing.receiving.place(last.source)
    of_delivery, of_message = {"id": kept.delivery}, {"message": last.source}
    statement, words = {
        "content": (change(DELIVERIES, **of_delivery).values(content=b"?"), "the content of delivery .* is damaged"),
        "mark": (
            change(DELIVERIES, **of_delivery).values(content=zlib.compress(gateway.pack([b"<a/>"])[:-1])),
            "is damaged: the delivery ends within a message",
        ),
        "part": (change(MESSAGES, **of_message).values(part=7), f"the delivery has no pacs.008.* B-M{number}"),
        "message": (sqlalchemy.delete(MESSAGES).where(MESSAGES.c.message == last.source), "message .* is not stored"),
        "delivery": (change(MESSAGES, **of_message).values(delivery=1), "delivery .* is not stored"),
        "payment": (change(PAYMENTS, number=last.payment).values(number=10**9), "payment .* is not stored"),
    }[damage]
    before = town.bank.clearing.forwarding(HOUSE).content(last)
    with town.bank.stores.engine.begin() as connection:
        rows = [
            (table, connection.execute(sqlalchemy.select(table).where(table.c[name] == value)).one()._mapping)
            for table, name, value in (
                (DELIVERIES, "id", kept.delivery), (MESSAGES, "message", last.source),
                (PAYMENTS, "number", last.payment),
            )
        ]  # fmt: skip
        connection.execute(statement)
    with pytest.raises(IntegrityError, match=words):
        town.bank.clearing.forwarding(HOUSE).content(last)
    with town.bank.stores.engine.begin() as connection:
        connection.execute(sqlalchemy.delete(PAYMENTS).where(PAYMENTS.c.number == 10**9))
        for table, row in rows:
            key = next(iter(table.primary_key.columns))
            connection.execute(sqlalchemy.delete(table).where(key == row[key.name]))
            connection.execute(sqlalchemy.insert(table).values(**row))
    assert town.bank.clearing.forwarding(HOUSE).content(last) == before


# --- races and limits ---


@pytest.mark.parametrize("crashes", [False, True])
def test_a_payment_that_is_booked_while_its_cancellation_is_read_is_requested_back(
    town: Place, monkeypatch: pytest.MonkeyPatch, crashes: bool
) -> None:
    number = 70 + crashes
    take(town, transfer(number))
    keep = receiving.Receiving.keep

    def keep_and_release(*args: Any, **named: Any) -> Any:
        kept = keep(*args, **named)
        assert town.release()[0] == 1
        return kept

    asked = cancel(f"C{number}", number)
    with monkeypatch.context() as race:
        race.setattr(receiving.Receiving, "keep", keep_and_release)
        if crashes:
            race.setattr(investigations.Investigations, "ask", interrupted)
            with pytest.raises(InterruptedError):
                take(town, asked)
        else:
            assert value_of(take(town, asked)).status == "PDCR"
    assert value_of(take(town, asked)).status == "PDCR"
    requests = [each for each in forwarded(town, SOUTH_BANK) if each.name == "camt.056.001.08"]
    assert [each.uetr for one in requests for each in one.value.transactions].count(uetr(number)) == 1


def test_an_answer_that_comes_after_another_one_is_refused(town: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    take(town, transfer(74))
    assert town.release()[0] == 1
    take(town, cancel("C74", 74))
    number = town.bank.clearing.payments.get(uetr(74)).number
    take(town, resolution("N74", 74, status="RJCR"), participant=SOUTH_BANK)
    count = len(forwarded(town, NORTH_BANK))
    with monkeypatch.context() as race:  # both messages were checked before one of them was kept
        race.setattr(investigations.Investigations, "find", lambda *_: number)
        name, words = refusal(take(town, resolution("N75", 74), participant=SOUTH_BANK))
    assert (name, "was answered by another message" in words) == ("admi.002.001.01", True), words
    assert [each.state for each in town.bank.clearing.investigations.of_payment(number)] == ["rejected"]
    assert len(forwarded(town, NORTH_BANK)) == count
    assert "is no payment" in refusal(take(town, resolution("N75", 74), participant=SOUTH_BANK))[1]


def test_requests_and_answers_name_a_limited_number_of_payments(town: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member_messages, "ASKED_MAX", 1)
    for content, sender in ((cancel("C76", 76, 77), NORTH_BANK), (resolution("N76", 76, 77), SOUTH_BANK)):
        assert "names 2 payments, more than 1" in refusal(take(town, content, participant=sender))[1]
