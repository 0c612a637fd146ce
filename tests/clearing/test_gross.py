"""Payments by themselves: kept, checked, queued, booked from what the sender has, and answered once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy
from tests.bank.world import ANN
from tests.clearing.world import (
    CNY,
    EAST_BANK,
    HKD,
    NORTH_BANK,
    SOUTH_BANK,
    Place,
    Sent,
    agree,
    message_key,
    place,
    uetr,
)

from sycee.clearing import gross
from sycee.clearing.tables import FLOWS, PAYMENTS
from sycee.clearing.waiting import Nodes, Waiting, waiting
from sycee.core import ids
from sycee.core.errors import BusyError, UsageError
from sycee.core.records import layout
from sycee.core.records.layout import Reason
from sycee.database.tables import INTENT_RECORDS, INTENTS
from sycee.database.transactions import write


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("gross")) as made:
        yield made


@pytest.fixture
def town(shared: Place) -> Iterator[Place]:
    """Each test begins with an empty queue; it looks at what changes on the positions."""
    yield shared
    shared.bank.clearing.payments.cancel_waiting()
    assert shared.bank.check() == []


def test_a_payment_is_booked_once_with_its_uetr_on_the_ledger(town: Place) -> None:
    before = [town.funds(each).minor for each in (NORTH_BANK, SOUTH_BANK)]
    receipt = town.send(NORTH_BANK, Sent(1, SOUTH_BANK, 30_00))
    assert receipt.is_new.tolist() == [True]
    assert town.states(1) == ["queued"]
    assert town.release() == (1, 30_00, 0)
    assert [town.funds(each).minor for each in (NORTH_BANK, SOUTH_BANK)] == [before[0] - 30_00, before[1] + 30_00]
    assert town.release() == (0, 0, 0)
    found = town.bank.clearing.payments.get(uetr(1))
    assert (found.state, found.number, found.reason) == ("booked", receipt.numbers[0], "")
    assert noted(town) == [uetr(1)]
    with pytest.raises(UsageError, match="signature is not operator 2's"):
        town.send(NORTH_BANK, Sent(90, SOUTH_BANK, 1), key=message_key(SOUTH_BANK))


def test_a_repeated_delivery_message_or_uetr_gets_the_first_answer(town: Place) -> None:
    first = town.send(NORTH_BANK, Sent(2, SOUTH_BANK, 1), business_id="A")
    for again in (
        town.send(NORTH_BANK, Sent(2, SOUTH_BANK, 1), business_id="A"),
        town.send(NORTH_BANK, Sent(2, SOUTH_BANK, 1), business_id="B"),
        town.send(NORTH_BANK, Sent(2, SOUTH_BANK, 1, priority=3), business_id="A"),
    ):
        assert (again.numbers.tolist(), again.is_new.tolist()) == (first.numbers.tolist(), [False])
        assert again.reasons == {}
    other = town.send(NORTH_BANK, Sent(3, SOUTH_BANK, 1), business_id="A")
    assert (other.numbers.tolist(), other.reasons) == ([0], {0: "DU01"})
    for sender, sent in ((EAST_BANK, Sent(2, SOUTH_BANK, 1)), (NORTH_BANK, Sent(2, SOUTH_BANK, 2))):
        stranger = town.send(sender, sent, business_id="C")
        assert (stranger.numbers.tolist(), stranger.reasons) == ([0], {0: "DU03"})
    assert town.bank.clearing.receiving.content(first.delivery).startswith(b"(['A']")


def test_what_cannot_be_booked_is_refused_with_its_reason(town: Place) -> None:
    now_ns = town.bank.stores.clock.now_ns()
    wrong = (
        (Sent(10, 77, 1), "RC04"),
        (Sent(11, NORTH_BANK, 1), "RC04"),
        (Sent(12, SOUTH_BANK, 0), "AM01"),
        (Sent(16, SOUTH_BANK, 2**56 + 1), "AM02"),
        (Sent(13, SOUTH_BANK, 1, currency=840), "AM03"),
        (Sent(14, SOUTH_BANK, 1, until_ns=now_ns), "TM01"),
        (Sent(15, SOUTH_BANK, 1, back=(840, 5)), "AM03"),
    )
    receipt = town.send(NORTH_BANK, *(each for each, _ in wrong))
    assert receipt.is_new.all()
    for (sent, reason), number in zip(wrong, receipt.numbers.tolist(), strict=True):
        found = town.bank.clearing.payments.get(uetr(sent.number))
        assert (found.state, found.reason, found.number) == ("refused", reason, number)


def test_a_payment_waits_for_money_and_three_of_ten_settle_one_by_one(town: Place) -> None:
    """Balance 10 and three payments of 10: one is booked, whatever arrives at the same time."""
    own = town.funds(EAST_BANK).minor
    town.send(EAST_BANK, *(Sent(20 + each, NORTH_BANK, own) for each in range(3)))
    assert town.release() == (1, own, 0)
    assert town.states(20, 21, 22) == ["booked", "queued", "queued"]
    assert town.funds(EAST_BANK).minor == 0
    town.send(NORTH_BANK, Sent(23, EAST_BANK, own))
    assert town.release() == (2, 2 * own, 0)  # what comes in is paid out in the same pass
    assert town.states(20, 21, 22, 23) == ["booked", "booked", "queued", "booked"]
    town.send(NORTH_BANK, Sent(24, EAST_BANK, own))
    assert town.release(priority_max=3) == (0, 0, 0)
    town.bank.clearing.payments.cancel(EAST_BANK, [uetr(22)])
    assert town.release() == (1, own, 0)


def test_urgent_payments_are_first(town: Place) -> None:
    own = town.funds(NORTH_BANK).minor
    town.send(NORTH_BANK, Sent(30, SOUTH_BANK, own), Sent(31, SOUTH_BANK, own, priority=0))
    assert town.release() == (1, own, 0)
    assert town.states(30, 31) == ["queued", "booked"]
    town.send(SOUTH_BANK, Sent(32, NORTH_BANK, own))
    assert town.release() == (2, 2 * own, 0)
    town.send(SOUTH_BANK, Sent(33, NORTH_BANK, own))
    assert town.release() == (1, own, 0)


def test_payment_against_payment_is_one_chain(town: Place) -> None:
    agree(town.bank, town.bank.clearing.register.issue(EAST_BANK, "HKD", 500_00, maker=town.maker))
    cny, hkd = town.funds(NORTH_BANK).minor, town.funds(EAST_BANK, HKD).minor
    receipt = town.send(NORTH_BANK, Sent(40, EAST_BANK, 10_00, back=(HKD, 11_00)))
    assert (town.states(40), town.release()) == (["unmatched"], (0, 0, 0))
    wrong = town.send(EAST_BANK, Sent(40, NORTH_BANK, 12_00, currency=HKD, back=(CNY, 10_00)))
    assert wrong.reasons == {0: "AM09"}
    other = town.send(EAST_BANK, Sent(40, NORTH_BANK, 11_00, currency=HKD, back=(CNY, 10_00)), business_id="HK")
    assert other.numbers.tolist() == receipt.numbers.tolist()
    assert (town.states(40), town.release()) == (["queued"], (1, 10_00, 0))
    assert (town.funds(NORTH_BANK).minor, town.funds(EAST_BANK, HKD).minor) == (cny - 10_00, hkd - 11_00)
    assert town.funds(NORTH_BANK, HKD).minor == 11_00
    again = town.send(EAST_BANK, Sent(40, NORTH_BANK, 11_00, currency=HKD, back=(CNY, 10_00)), business_id="HK2")
    assert again.numbers.tolist() == receipt.numbers.tolist()
    query = sqlalchemy.select(FLOWS.c.sender, FLOWS.c.receiver, FLOWS.c.currency, FLOWS.c.minor)
    with town.bank.stores.engine.connect() as connection:
        flows = {tuple(row) for row in connection.execute(query)}
    assert {(NORTH_BANK, EAST_BANK, CNY, 10_00), (EAST_BANK, NORTH_BANK, HKD, 11_00)} <= flows


def test_the_terms_of_both_sides_hold(town: Place) -> None:
    now_ns = town.bank.stores.clock.now_ns()
    due, end, later = (now_ns + each * 10**9 for each in (60, 600, 900))
    town.send(NORTH_BANK, Sent(47, EAST_BANK, 2, back=(HKD, 1), until_ns=later))
    over = Sent(47, NORTH_BANK, 1, HKD, (CNY, 2), until_ns=now_ns)
    assert town.send(EAST_BANK, over, business_id="OVER").reasons == {0: "TM01"}
    assert town.states(47) == ["unmatched"]
    mine = Sent(47, NORTH_BANK, 1, HKD, (CNY, 2), priority=0, from_ns=due, until_ns=end)
    assert town.send(EAST_BANK, mine, business_id="P47").reasons == {}
    found = town.bank.clearing.payments.get(uetr(47))
    assert (found.state, found.priority, found.from_ns, found.until_ns) == ("cleared", 0, due, end)


def test_no_leg_of_a_pair_is_booked_alone(town: Place) -> None:
    """The second leg has no money: the chain moves neither."""
    own = town.funds(SOUTH_BANK, HKD).minor
    before = town.funds(NORTH_BANK).minor
    town.send(NORTH_BANK, Sent(45, SOUTH_BANK, 1_00, back=(HKD, own + 1)))
    town.send(SOUTH_BANK, Sent(45, NORTH_BANK, own + 1, currency=HKD, back=(CNY, 1_00)))
    assert town.release() == (0, 0, 0)
    assert town.funds(NORTH_BANK).minor == before


def test_a_pair_is_refused_as_a_whole(town: Place) -> None:
    """East is blocked after the decision: the ledger refuses its leg, and with it the leg of North."""
    cny = town.funds(NORTH_BANK).minor
    town.send(NORTH_BANK, Sent(46, EAST_BANK, 2, back=(HKD, 1)))
    town.send(EAST_BANK, Sent(46, NORTH_BANK, 1, currency=HKD, back=(CNY, 2)), business_id="P46")
    found = _read(town)
    positions = town.bank.clearing.positions
    assert positions.block(EAST_BANK, reason=Reason.OPERATOR, **town.signing).created
    booked = town.bank.clearing.gross.book(*found, **town.signing)
    assert (booked.payments, booked.refused, town.states(46)) == (0, 1, ["queued"])
    assert town.funds(NORTH_BANK).minor == cny
    lift = {"signers": town.bank.signers(ANN), "who": town.maker}
    assert positions.block(EAST_BANK, reason=Reason.OPERATOR, lift=True, **lift).created


def test_times_of_payments(town: Place) -> None:
    clock, payments = town.bank.stores.clock, town.bank.clearing.payments
    later = clock.now_ns() + 10**9
    town.send(NORTH_BANK, Sent(50, SOUTH_BANK, 1, from_ns=later), Sent(51, SOUTH_BANK, 1, until_ns=later))
    assert (town.states(50, 51), payments.queue_due()) == (["cleared", "queued"], 0)
    found = _read(town)
    town.bank.set_clock(later)
    assert (town.release(), town.settle(seconds=0.05).payments) == ((0, 0, 0), 0)  # it ended, and no one cancelled it
    with pytest.raises(BusyError, match="1 of 1 payments are not queued any more, or ended"):
        town.bank.clearing.gross.book(*found, **town.signing)
    assert (payments.queue_due(), payments.end_overdue()) == (1, 1)
    assert town.states(50, 51) == ["queued", "cancelled"]
    assert payments.get(uetr(51)).reason == "TM01"
    assert town.release() == (1, 1, 0)


def test_a_blocked_position_pays_nothing_and_the_ledger_has_the_last_word(town: Place) -> None:
    positions = town.bank.clearing.positions
    town.send(SOUTH_BANK, Sent(60, NORTH_BANK, 1), Sent(61, EAST_BANK, 1))
    assert positions.block(SOUTH_BANK, reason=Reason.OPERATOR, **town.signing).created
    assert town.release() == (0, 0, 0)
    # A decision from before the block: the ledger refuses both, and they are queued again.
    found = town.bank.clearing.gross.book(*_read(town), **town.signing)
    assert (found.payments, found.refused) == (0, 2)
    assert town.states(60, 61) == ["queued", "queued"]
    lift = {"signers": town.bank.signers(ANN), "who": town.maker}
    assert positions.block(SOUTH_BANK, reason=Reason.OPERATOR, lift=True, **lift).created
    assert town.release() == (2, 2, 0)


def test_two_deciders_do_not_book_one_payment_twice(town: Place) -> None:
    town.send(NORTH_BANK, Sent(70, SOUTH_BANK, 1))
    found = _read(town)
    assert town.release() == (1, 1, 0)
    before = town.funds(NORTH_BANK).minor
    with pytest.raises(BusyError, match="1 of 1 payments are not queued any more"):
        town.bank.clearing.gross.book(*found, **town.signing)
    assert town.funds(NORTH_BANK).minor == before


def test_a_payment_that_ends_while_others_are_booked_does_not_stop_them(
    town: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.send(NORTH_BANK, *(Sent(number, SOUTH_BANK, 1) for number in (75, 76, 77)))
    draft, drafted = gross.Gross._draft, []

    def cancel_and_draft(*args: Any) -> Any:
        drafted.append(args[1].numbers.tolist())
        if len(drafted) == 2:
            town.bank.clearing.payments.cancel(NORTH_BANK, [uetr(76)])
        return draft(*args)

    monkeypatch.setattr(gross, "RECORDS_MAX", 1)  # each payment is a part
    monkeypatch.setattr(gross.Gross, "_draft", cancel_and_draft)
    assert town.release() == (2, 2, 0)
    assert (len(drafted), town.states(75, 76, 77)) == (3, ["booked", "cancelled", "booked"])


def test_each_ended_payment_is_answered_once(town: Place) -> None:
    payments = town.bank.clearing.payments
    payments.mark_answered([each.number for each in payments.unanswered()])
    town.send(NORTH_BANK, Sent(80, SOUTH_BANK, 1), Sent(81, 77, 1), Sent(82, SOUTH_BANK, 10**12))
    assert town.release() == (1, 1, 0)
    answers = payments.unanswered()
    assert [(each.uetr, each.state) for each in answers] == [(uetr(80), "booked"), (uetr(81), "refused")]
    payments.mark_answered([each.number for each in answers])
    first = payments.get(uetr(80)).answered_ns
    payments.mark_answered([answers[0].number])
    assert (payments.unanswered(), payments.get(uetr(80)).answered_ns) == ([], first)
    payments.mark_answered([payments.get(uetr(82)).number])  # which is open
    assert payments.get(uetr(82)).answered_ns == 0
    assert [each.state for each in payments.cancel(NORTH_BANK, [uetr(80), uetr(82)])] == ["booked", "cancelled"]
    assert payments.counts()["cancelled"][1] == 1
    assert [each.uetr for each in payments.page(state="refused", participant=NORTH_BANK)][-1] == uetr(81)


def test_large_payments_do_not_stop_the_others(town: Place) -> None:
    """Their sum would overflow what is weighed at once: the largest wait."""
    town.send(NORTH_BANK, *(Sent(700 + each, SOUTH_BANK, 2**56) for each in range(9)), Sent(710, SOUTH_BANK, 1))
    assert town.release() == (1, 1, 0)


def test_a_payment_without_its_set_is_named(town: Place, tmp_path: Path) -> None:
    town.send(NORTH_BANK, Sent(85, SOUTH_BANK, 1))
    chosen = PAYMENTS.c.state == "queued"
    engine = town.bank.stores.engine
    write(engine, lambda connection: connection.execute(PAYMENTS.update().where(chosen).values(state="booked")))
    assert town.bank.check() == ["1 payments are booked, and their sets are not those of this state"]
    booked = (PAYMENTS.c.state == "booked") & (PAYMENTS.c.booked_ns == 0)
    write(engine, lambda connection: connection.execute(PAYMENTS.update().where(booked).values(state="queued")))


def noted(town: Place) -> list[str]:
    """The notes of the records of the newest booking, as they went to the ledger."""
    booked = sqlalchemy.select(INTENTS.c.id).where(INTENTS.c.action == "clearing.book")
    query = sqlalchemy.select(INTENT_RECORDS.c.records).where(INTENT_RECORDS.c.id.in_(booked))
    query = query.order_by(INTENT_RECORDS.c.id)
    with town.bank.stores.engine.connect() as connection:
        records = np.frombuffer(list(connection.scalars(query))[-1], layout.OPERATION)
    return [ids.format(each) for each in ids.of_records(records, "note")]


def _read(town: Place) -> tuple[Waiting, Nodes]:
    with town.bank.stores.engine.connect() as connection:
        found = waiting(connection, "queued", town.bank.stores.clock.now_ns())
    return found, Nodes.of(town.bank.clearing.positions.funds())
