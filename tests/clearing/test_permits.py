"""Payments across a border: none is queued without a permit of compliance, and a stale permit is asked for again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import pytest
import sqlalchemy
from tests.bank.world import DAY_NS
from tests.clearing.world import NORTH_BANK, SOUTH_BANK, Place, Sent, instructions_of, place, uetr
from tests.compliance.service.world import Desk

from sycee.clearing.instructions import Instructions
from sycee.clearing.tables import PERMITS
from sycee.compliance.enforcement.screening import PaymentRequest
from sycee.core.errors import UsageError

ENDS = 'exit_terms = {}\n\n[[participants]]\nid = "bank-c"'  # of bank-b


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Desk]]:
    folder = tmp_path_factory.mktemp("permits")
    with place(folder) as town:
        made = Desk(town.bank.stores.engine, "", folder, town.bank.stores.clock)  # type: ignore[arg-type]
        made.declare()
        made.use()
        for each in "ab":
            made.compliance.admit(f"bank-{each}", by="desk")
        yield town, made


def permit(town: Place, number: int) -> sqlalchemy.Row:
    found = town.bank.clearing.payments.get(uetr(number)).number
    with town.bank.stores.engine.connect() as connection:
        return connection.execute(sqlalchemy.select(PERMITS).where(PERMITS.c.payment == found)).one()


def test_a_payment_waits_for_its_permit_and_keeps_the_digest(desk: tuple[Place, Desk]) -> None:
    town, made = desk
    permits = town.bank.clearing.permits
    town.send(NORTH_BANK, Sent(1, SOUTH_BANK, 1_00, flow="retail"), Sent(2, SOUTH_BANK, 1_00, flow="to-nowhere"))
    assert town.states(1, 2) == ["valid", "valid"]
    assert (permits.ask(), permits.ask()) == ((1, 1), (0, 0))
    assert town.states(1, 2) == ["queued", "refused"]
    (stored,) = made.compliance.screenings(uetr(1))
    assert (permit(town, 1).digest, permit(town, 1).until_day) == (stored.digest, "2027-01-01")
    refused = town.bank.clearing.payments.get(uetr(2))
    assert refused.reason == made.compliance.screenings(uetr(2))[0].record["reason_code"] != ""
    assert town.release() == (1, 1_00, 0)
    assert town.bank.check() == []


def test_a_permit_is_asked_for_again_when_declarations_change(desk: tuple[Place, Desk]) -> None:
    town, made = desk
    permits = town.bank.clearing.permits
    town.send(NORTH_BANK, Sent(10, SOUTH_BANK, 1_00, flow="retail"), Sent(11, SOUTH_BANK, 10**12, flow="retail"))
    assert (permits.ask(), permits.withdraw_stale()) == ((2, 0), 0)
    assert town.release() == (1, 1_00, 0)
    first = permit(town, 11).digest
    made.declare((ENDS.format("true"), ENDS.format("false")))
    assert (permits.withdraw_stale(), town.states(10, 11)) == (1, ["booked", "valid"])
    assert (permits.ask(), town.states(11)) == ((0, 1), ["refused"])
    assert permit(town, 11).digest != first
    made.declare()


@pytest.mark.parametrize("as_set", [False, True])
def test_permits_are_renewed_before_each_booking(desk: tuple[Place, Desk], as_set: bool) -> None:
    town, made = desk
    number = 30 + as_set
    town.send(NORTH_BANK, Sent(number, SOUTH_BANK, 1_00, flow="retail"))
    assert town.bank.clearing.permits.ask() == (1, 0)
    made.declare((ENDS.format("true"), ENDS.format("false")))
    assert (town.settle(seconds=0.05).payments if as_set else town.release()[0]) == 0
    assert town.states(number) == ["refused"]
    made.declare()


def test_a_permit_ends_with_its_day(desk: tuple[Place, Desk]) -> None:
    town, _ = desk
    permits = town.bank.clearing.permits
    town.send(NORTH_BANK, Sent(20, SOUTH_BANK, 10**12, flow="retail"))
    assert permits.ask() == (1, 0)
    end = date.fromisoformat(permit(town, 20).until_day)
    town.bank.set_clock((end - timedelta(days=1) - date(1970, 1, 1)).days * DAY_NS)
    assert permits.withdraw_stale() == 0
    town.bank.set_clock((end - date(1970, 1, 1)).days * DAY_NS)
    assert (permits.withdraw_stale(), town.states(20)) == (1, ["valid"])
    assert permits.ask() == (0, 1)  # the list of those excluded has ended, so nothing is known


def test_a_payment_may_not_narrow_its_flow() -> None:
    made = instructions_of([Sent(1, SOUTH_BANK, 1)], "A")
    with pytest.raises(UsageError, match="may not narrow"):
        Instructions(
            made.uetrs, ["A"], made.messages, made.receivers, made.currencies, made.amounts,
            requests={0: PaymentRequest(flow="retail", role="officer", reason="because")},
        )  # fmt: skip
