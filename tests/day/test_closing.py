"""The close of a business day: cut-off, figures, chain, signatures, and payments that go on meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from tests.bank import world
from tests.bank.killing import check_kills
from tests.day import town

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.errors import IntegrityError, UsageError
from sycee.core.keys import SigningKey
from sycee.core.records import operations
from sycee.core.result_codes import Result
from sycee.database.events import events_after
from sycee.database.transactions import write
from sycee.day.tables import CLOSED, DAYS, SIGNED
from sycee.day.verify import verify_packs

MONDAY = town.MONDAY
A, B, C, D = town.WALLETS


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    with town.bank(tmp_path) as made:
        yield made


def test_a_day_is_closed_countersigned_and_verified(bank: Bank) -> None:
    town.pay(bank, A, C, 30_00)
    town.pay(bank, D, A, 5_00)
    town.after(bank, MONDAY)
    town.pay(bank, A, B, 1_00)  # after the cut-off: tomorrow's
    pack = bank.day.close(MONDAY, town.CAROL)
    assert pack.body["positions"]["2"] == {
        "opening": "0",
        "received": "120500",
        "paid": "23000",
        "closing": "97500",
        "parts": {"vaults": "80000", "wallets": "17500"},
    }
    assert (pack.body["supply"], pack.body["reserves"]["1"]) == ("200000", "200000")
    assert pack.body["operations"]["PAY"] == 2
    assert pack.body["quotas"] == {"2": "500000", "3": "500000"}
    assert pack.body["breaks"] == []
    assert pack.body["rehearsal"] is True
    assert [each.state for each in bank.day.days()] == [CLOSED]
    signed = bank.day.countersign(MONDAY, town.DAVE)
    assert [each.state for each in bank.day.days()] == [SIGNED]
    assert signed.digest == pack.digest
    assert bank.day.path(MONDAY).read_text() == signed.text()
    (event,) = (each for each in events_after(bank.stores.engine, 0, most=1_000) if each.kind == "day.closed")
    assert event.subject == MONDAY.isoformat()
    assert event.data == {"frame": pack.frame, "pack": pack.digest.hex(), "breaks": 0}
    assert bank.check() == []
    report = verify_packs([bank.day.path(MONDAY)], ledger=bank.folder.path, keys=[town.CAROL.public, town.DAVE.public])
    assert "1 checkpoint and all figures of 1 day agree with the ledger" in report.proved
    assert report.findings == (
        "the packs are of a rehearsal",
        "1 checkpoint without a witness: the closer's signature alone covers them",
    )


def test_seven_days_form_a_chain_without_the_weekend(bank: Bank, tmp_path: Path) -> None:
    days = [date(2026, 11, day) for day in (2, 3, 4, 5, 6, 9, 10)]
    for number, day in enumerate(days, 1):
        assert bank.day.next_day() == day
        town.pay(bank, A, C, number)
        town.after(bank, day)
        pack = bank.day.close(day, town.CAROL, witness=world.WITNESS)
        assert pack.number == number
        bank.day.countersign(day, town.DAVE)
    paths = sorted((tmp_path / "bank" / "packs").glob("*.json"))
    report = verify_packs(paths, ledger=tmp_path / "bank", keys=[town.CAROL.public, town.DAVE.public])
    assert (report.packs, report.first, report.last) == (7, "2026-11-02", "2026-11-10")
    assert sum("signed by witness" in each for each in report.proved) == 7
    assert report.findings == ("the packs are of a rehearsal",)
    assert [pack.body["operations"]["PAY"] for pack in bank.day.packs()] == [1] * 7
    assert bank.check() == []


@pytest.mark.parametrize(
    ("day", "message"),
    [
        (date(2026, 11, 7), "2026-11-07 is no business day in the calendar weekends: Saturday"),
        (date(2026, 11, 3), "2026-11-03 follows 2026-11-02, which is not closed"),
        (date(2026, 10, 30), "2026-10-30 is closed or was before the bank"),
        (MONDAY, "2026-11-02 is not over: it ends at 23:00 Asia/Shanghai"),
    ],
)
def test_a_day_that_cannot_be_closed_is_refused(bank: Bank, day: date, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        bank.day.close(day, town.CAROL)
    assert bank.day.days() == []


def test_only_the_right_persons_sign(bank: Bank) -> None:
    town.after(bank, MONDAY)
    with pytest.raises(UsageError, match=r"may not request day\.close"):
        bank.day.close(MONDAY, town.DAVE)
    bank.day.close(MONDAY, town.CAROL)
    with pytest.raises(UsageError, match=r"may not request day\.countersign"):
        bank.day.countersign(MONDAY, town.CAROL)
    with pytest.raises(UsageError, match="no person has the key"):
        bank.day.countersign(MONDAY, SigningKey.derive(b"x" * 32))
    with pytest.raises(UsageError, match="is not closed"):
        bank.day.countersign(date(2026, 11, 3), town.DAVE)
    signed = bank.day.countersign(MONDAY, town.DAVE)
    assert bank.day.countersign(MONDAY, town.DAVE) == signed
    assert bank.day.close(MONDAY, town.CAROL) == signed


def test_payments_go_on_while_a_day_closes(bank: Bank) -> None:
    town.after(bank, MONDAY)
    bank.day.close(MONDAY, town.CAROL)
    bank.day.countersign(MONDAY, town.DAVE)
    tuesday = date(2026, 11, 3)
    bank.set_clock(world.START_NS + world.DAY_NS)
    stop, paid = threading.Event(), [0, 0]
    errors: list[BaseException] = []

    def pay(at: int, payer: int, payee: int) -> None:
        try:
            while not stop.is_set():
                answer = town.tried(bank, payer, payee, 1)
                assert answer in (Result.CREATED, Result.SIGNATURE_EXPIRED)  # expired: the clock was set meanwhile
                paid[at] += answer is Result.CREATED
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=pay, args=each) for each in ((0, A, C), (1, D, B))]
    for thread in threads:
        thread.start()
    while min(paid) < 5:
        assert not errors
    town.after(bank, tuesday)
    pack = bank.day.close(tuesday, town.CAROL)
    before = list(paid)
    while any(now < then + 3 for now, then in zip(paid, before, strict=True)):
        assert not errors
    stop.set()
    for thread in threads:
        thread.join()
    assert errors == []
    signed = bank.day.countersign(tuesday, town.DAVE)
    assert int(pack.body["operations"]["PAY"]) >= 10
    moved = int(pack.body["positions"]["3"]["received"]), int(pack.body["positions"]["3"]["paid"])
    assert sum(moved) == pack.body["operations"]["PAY"]
    report = verify_packs(sorted(bank.folder.packs.glob("*.json")), ledger=bank.folder.path)
    assert report.packs == 2
    assert signed.digest == pack.digest


def test_a_pack_of_another_history_is_found(bank: Bank, tmp_path: Path) -> None:
    with town.bank(tmp_path / "other") as other:
        town.pay(other, A, C, 7)
        town.after(other, MONDAY)
        other.day.close(MONDAY, town.CAROL)
        foreign = other.day.path(MONDAY)
        town.pay(bank, A, C, 8)
        town.after(bank, MONDAY)
        bank.day.close(MONDAY, town.CAROL)
        with pytest.raises(IntegrityError, match="frame 23 differs from the signed one"):
            verify_packs([foreign], ledger=bank.folder.path)


def test_a_day_that_the_ledger_does_not_have_is_named(bank: Bank) -> None:
    town.pay(bank, A, C, 8)
    town.after(bank, MONDAY)
    bank.day.close(MONDAY, town.CAROL)
    write(bank.stores.engine, lambda connection: connection.execute(DAYS.update().values(checkpoint_frame=1_000)))
    assert bank.check() == ["2026-11-02 was closed at frame 1,000, which the ledger does not have"]


def test_money_without_reserves_is_a_break_until_they_are_back(bank: Bank) -> None:
    converted, reserve = bank.registry.issuer.converted, bank.registry.operator(2).accounts.reserve
    back = date(2026, 11, 3)
    for day, debit, credit, key in (
        (MONDAY, converted, reserve, world.DESK),
        (back, reserve, converted, world.NORTH),
    ):
        record = operations.transfer(ids.new(1), debit=debit, credit=credit, amount=50_00)
        answers = bank.stores.ledger.signed_by(*bank.signers(key)).submit(record)
        assert [Result(code).name for code in answers["code"]] == ["CREATED"]
        town.after(bank, day)
        pack = bank.day.close(day, town.CAROL)
        found = [(each["kind"], each["minor"], each["age_days"]) for each in pack.body["breaks"]]
        assert found == ([("reserves", "5000", 0)] if day == MONDAY else [])
    (one,) = bank.day.breaks.list(open_only=False)
    assert (one.closed_as, one.closed_day) == ("no longer found", back)
    (event,) = (each for each in events_after(bank.stores.engine, 0, most=1_000) if each.kind == "break.opened")
    assert (event.subject, event.data) == (str(one.number), {"kind": "reserves", "day": MONDAY.isoformat()})


# --- kills ---


def _prepare(bank: Bank) -> None:
    town.prepare(bank)
    town.pay(bank, A, C, 3)
    town.after(bank, MONDAY)


def _close_and_countersign(bank: Bank) -> None:
    bank.day.close(MONDAY, town.CAROL)
    bank.day.countersign(MONDAY, town.DAVE)


def _closed(bank: Bank) -> None:
    (day,) = bank.day.days()
    assert day.state == SIGNED
    pack = bank.day.pack(MONDAY)
    assert [each.duty for each in pack.signatures] == ["closer", "countersigner"]
    assert bank.day.path(MONDAY).read_text() == pack.text()
    assert pack.body["operations"]["PAY"] == 1


def test_a_killed_close_is_finished_by_the_same_call(server: str, tmp_path: Path) -> None:
    assert check_kills(server, tmp_path, _prepare, _close_and_countersign, expect=_closed) >= 6


@pytest.mark.soak
def test_a_close_killed_at_every_boundary_is_finished(server: str, tmp_path: Path) -> None:
    assert check_kills(server, tmp_path, _prepare, _close_and_countersign, expect=_closed, every=True) >= 6
