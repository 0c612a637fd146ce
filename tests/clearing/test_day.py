"""A day of the house on both databases: the queries and the rows that are copied are other ones on each."""

from __future__ import annotations

from pathlib import Path

from tests.bank.killing import POSTGRESQL_IN_SOAK
from tests.clearing.world import CNY, EAST_BANK, HKD, NORTH_BANK, SOUTH_BANK, Place, Sent, place, uetr
from tests.compliance.service.world import Desk


@POSTGRESQL_IN_SOAK
def test_a_day(server: str, tmp_path: Path) -> None:
    with place(tmp_path, server) as town:
        made = Desk(town.bank.stores.engine, "", tmp_path, town.bank.stores.clock)  # type: ignore[arg-type]
        made.declare()
        made.use()
        for each in "ab":
            made.compliance.admit(f"bank-{each}", by="desk")
        _act(town)
        assert town.bank.check() == []


def _act(town: Place) -> None:
    clearing = town.bank.clearing
    who = town.person(NORTH_BANK)
    clearing.limits.set(NORTH_BANK, "CNY", "bilateral", 50_00, other=SOUTH_BANK, who=who)
    sent = (Sent(1, SOUTH_BANK, 30_00, flow="retail"), Sent(2, SOUTH_BANK, 30_00), Sent(3, 77, 1))
    first = town.send(NORTH_BANK, *sent)
    assert town.send(NORTH_BANK, *sent).numbers.tolist() == first.numbers.tolist()
    assert town.send(NORTH_BANK, sent[1], business_id="B").numbers.tolist() == [first.numbers[1]]
    assert town.send(EAST_BANK, Sent(2, SOUTH_BANK, 1)).reasons == {0: "DU03"}
    town.send(EAST_BANK, Sent(5, NORTH_BANK, 10_00, back=(HKD, 5)))
    town.send(NORTH_BANK, Sent(5, EAST_BANK, 5, currency=HKD, back=(CNY, 10_00)), business_id="BACK")
    assert town.release() == (1, 30_00, 0)
    town.send(SOUTH_BANK, Sent(6, EAST_BANK, 10**9))
    town.send(EAST_BANK, Sent(7, SOUTH_BANK, 10**9), Sent(8, NORTH_BANK, 1, priority=0))
    settled = town.settle(seconds=0.05)
    assert (settled.payments, settled.reason) == (3, "")
    assert town.states(1, 2, 3, 5, 6, 7, 8) == ["booked", "queued", "refused", "queued", *["booked"] * 3]
    returned = int(first.numbers[0])
    town.send(SOUTH_BANK, Sent(9, NORTH_BANK, 30_00, original=returned))
    assert clearing.sets.settle_in_order(**town.signing).payments == 2  # with the return the limit is free again
    assert town.states(1, 2, 9) == ["returned", "booked", "booked"]
    assert clearing.payments.cancel(EAST_BANK, [uetr(5)])[0].state == "cancelled"
    ended = clearing.payments.unanswered()
    assert len(ended) == 8
    clearing.payments.mark_answered([each.number for each in ended])
    assert (clearing.payments.unanswered(), clearing.payments.counts()["booked"]) == ([], (5, 0))
