"""A day of the house on both databases, whose queries and copied rows differ; and what a restore does again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.bank.killing import POSTGRESQL_IN_SOAK
from tests.bank.world import HOUR_NS, START_NS
from tests.clearing import declared
from tests.clearing.test_member_messages import pay_out, take
from tests.clearing.world import (
    CNY,
    CODES,
    EAST,
    EAST_BANK,
    HKD,
    HOUSE_OPERATOR,
    NORTH_BANK,
    SOUTH_BANK,
    Place,
    Sent,
    agree,
    place,
    uetr,
)
from tests.day.town import CAROL, MONDAY, appoint

from sycee.bank import restoring
from sycee.bank.backup import write_backup
from sycee.bank.bank import Bank
from sycee.core.secret_files import SecretKey
from sycee.day.calendar import cutoff_ns
from sycee.day.figures import compute
from sycee.identity.duties import Duty
from sycee.sequencer import online_copy

KEY = SecretKey(b"K" * 32)


@POSTGRESQL_IN_SOAK
def test_a_day(server: str, tmp_path: Path) -> None:
    with place(tmp_path, server, compliance="true") as town:
        declared.admit_all(town.bank, tmp_path)
        _act(town)
        assert town.bank.check() == []


def _act(town: Place) -> None:
    clearing = town.bank.clearing
    who = town.person(NORTH_BANK)
    clearing.limits.set(NORTH_BANK, "CNY", "bilateral", 50_00, other=SOUTH_BANK, who=who)
    chain = (CODES[NORTH_BANK], declared.MIDDLE, CODES[SOUTH_BANK])
    sent = (Sent(1, SOUTH_BANK, 30_00, passes=chain), Sent(2, SOUTH_BANK, 30_00), Sent(3, 77, 1))
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


def test_a_business_day_with_a_house_is_closed(tmp_path: Path) -> None:
    """Positions and lines count as vaults of the house's operator; money of another currency is not the bank's."""
    with place(tmp_path) as town:
        bank = town.bank
        appoint(bank, Duty.CLOSER, CAROL)
        agree(bank, bank.issuance.credit_reserves(EAST_BANK, 70_00, maker=town.maker))
        agree(bank, bank.clearing.register.pledge(EAST_BANK, 70_00, maker=town.maker), EAST)
        agree(bank, bank.clearing.register.issue(SOUTH_BANK, "HKD", 5_00, maker=town.maker))
        town.send(NORTH_BANK, Sent(1, EAST_BANK, 10_00))
        town.send(EAST_BANK, Sent(2, NORTH_BANK, 175_00))
        assert town.settle(seconds=0.05).payments == 2
        bank.set_clock(cutoff_ns(MONDAY, bank.config.text("cutoff"), bank.config.text("zone")) + 1)
        bank.day.close(MONDAY, CAROL)
        figures = compute(bank.stores.ledger, CNY, after=0, frame=bank.stores.ledger.sequencer.durable_sequence)
        house = figures.positions[str(HOUSE_OPERATOR)]
        positions = sum(town.balances()) + town.funds(EAST_BANK).line_minor
        assert house.parts["vaults"] == town.vault(HOUSE_OPERATOR) + positions
        assert figures.supply == figures.converted
        assert bank.check() == []


@pytest.mark.parametrize("late", [False, True])
def test_a_restore_books_again_what_was_booked_after_the_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    """The backup's frame is before a payment by itself and a set; its database has both, with their records.

    `late`: the restored bank's clock is after the end of all signatures, so the house signs again.
    """
    with place(tmp_path) as town:
        town.send(NORTH_BANK, Sent(1, SOUTH_BANK, 10**9))
        town.send(SOUTH_BANK, Sent(2, NORTH_BANK, 10**9), Sent(3, EAST_BANK, 7))
        take(town, pay_out("P1", 5))
        copied = online_copy.parts_up_to

        def meanwhile(*arguments: Any) -> Any:
            parts = copied(*arguments)
            assert (town.release(), town.settle(seconds=0.05).payments) == ((1, 7, 0), 2)
            assert town.bank.clearing.pay_outs.perform(**town.signing) == (1, 0)
            return parts

        monkeypatch.setattr(online_copy, "parts_up_to", meanwhile)
        write_backup(town.bank, tmp_path / "one.backup", KEY)
        left = town.balances()
    if late:
        monkeypatch.setattr(restoring.RehearsalClock, "now_ns", lambda _: START_NS + 9 * HOUR_NS)
    result = restoring.restore_bank(
        tmp_path / "one.backup", tmp_path / "again", KEY, master_key=tmp_path / "master.key",
        key_backup=tmp_path / "people-backup", database="",
    )  # fmt: skip
    assert (result.done, result.lapsed) == ((0, 3) if late else (3, 0))
    monkeypatch.undo()
    with Bank.open(tmp_path / "again") as bank:
        again = Place(bank)
        assert bank.check() == []
        if late:
            assert again.states(1, 2, 3) == ["decided", "decided", "queued"]
            assert bank.clearing.sets.finish(**again.signing) == 1
            assert again.release() == (1, 7, 0)
            assert bank.clearing.pay_outs.perform(**again.signing) == (1, 0)
        assert (again.states(1, 2, 3), again.balances()) == (["booked"] * 3, left)
        assert bank.clearing.pay_outs.waiting() == []
        assert bank.check() == []
