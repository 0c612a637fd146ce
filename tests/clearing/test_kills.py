"""The house is killed between any two steps of a payment: SQL and ledger agree, and each payment is booked once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from unittest.mock import patch

import pytest
from tests.bank.killing import POSTGRESQL_IN_SOAK, check_kills
from tests.bank.world import Copies
from tests.clearing import declared
from tests.clearing.test_gateway import deliver, transfer
from tests.clearing.test_inbox import customers, forwarded, resolution
from tests.clearing.test_member_messages import cancel, east_side, north_side, pay_out, take
from tests.clearing.world import (
    CNY,
    CODES,
    EAST_BANK,
    HKD,
    HOUSE_OPERATOR,
    NORTH_BANK,
    PREFUNDED,
    SOUTH_BANK,
    Place,
    Sent,
    cleared_bank,
    message_key,
    uetr,
)
from tests.database.places import maintenance, temporary_folder

from sycee.bank.bank import Bank
from sycee.clearing import instructions, intake, sets
from sycee.core import ids
from sycee.core.records.layout import Reason
from sycee.iso20022.messages import read
from sycee.netting.optimise import optimise

PREFUNDING = 71


def book(bank: Bank) -> None:
    """Prefund, deliver three payments and both sides of a pair, and book what is covered."""
    place = Place(bank)
    place.prefund(NORTH_BANK, 5_00, id=PREFUNDING)
    place.send(NORTH_BANK, Sent(1, SOUTH_BANK, 30_00), Sent(2, EAST_BANK, 500_00), Sent(3, 99, 1))
    place.send(SOUTH_BANK, Sent(4, EAST_BANK, 120_00))
    place.send(EAST_BANK, Sent(5, NORTH_BANK, 10_00, back=(HKD, 5)))
    place.send(NORTH_BANK, Sent(5, EAST_BANK, 5, currency=HKD, back=(CNY, 10_00)), business_id="BACK")
    place.release()
    place.bank.clearing.payments.mark_answered([each.number for each in bank.clearing.payments.unanswered()])


def booked(bank: Bank) -> None:
    place = Place(bank)
    assert place.states(1, 2, 3, 4, 5) == ["booked", "queued", "refused", "booked", "queued"]
    left = [place.funds(each).minor for each in (NORTH_BANK, SOUTH_BANK, EAST_BANK)]
    assert left == [PREFUNDED + 5_00 - 30_00, PREFUNDED + 30_00 - 120_00, PREFUNDED + 120_00]
    assert bank.clearing.payments.unanswered() == []
    assert len(bank.clearing.payments.page()) == 5


def test_killed_bookings(tmp_path: Path) -> None:
    assert check_kills("", tmp_path, cleared_bank(), book, expect=booked) >= 20


@pytest.mark.soak
def test_bookings_killed_at_every_boundary(tmp_path: Path) -> None:
    assert check_kills("", tmp_path, cleared_bank(), book, expect=booked, every=True) >= 20


def send_ring(bank: Bank) -> None:
    place = Place(bank)
    place.send(NORTH_BANK, Sent(1, SOUTH_BANK, 10**9), Sent(4, EAST_BANK, 7))
    place.send(SOUTH_BANK, Sent(2, EAST_BANK, 10**9))
    place.send(EAST_BANK, Sent(3, NORTH_BANK, 10**9))


def settle(bank: Bank) -> None:
    """Deliver a ring of payments and one more, and settle them as a set of several intents."""
    send_ring(bank)
    with patch.object(sets, "RECORDS_MAX", 2):
        Place(bank).settle(seconds=0.05)


def settled(bank: Bank) -> None:
    place = Place(bank)
    assert place.states(1, 2, 3, 4) == ["booked"] * 4
    assert place.balances() == [PREFUNDED - 7, PREFUNDED, PREFUNDED + 7]
    # A file that was being written at the kill begins with a point.
    written = [each for each in bank.folder.clearing.iterdir() if not each.name.startswith(".")]
    assert sorted(each.suffix for each in written) == [".json", ".rows"]


def settle_again(bank: Bank) -> None:
    """Continue with a set of several intents that the ledger refuses, and decide anew."""
    with patch.object(sets, "RECORDS_MAX", 2):
        Place(bank).settle(seconds=0.05)


def settled_without_south(bank: Bank) -> None:
    place = Place(bank)
    assert place.states(1, 2, 3, 4) == ["queued", "queued", "queued", "booked"]
    assert place.balances() == [PREFUNDED - 7, PREFUNDED, PREFUNDED + 7]
    with bank.stores.ledger.sequencer.reading() as state:
        assert not state.tables.batches["number"].any()


@cache
def blocked_bank() -> Copies:
    """A closed bank with a decided set, one of whose senders was blocked afterwards."""
    folder = temporary_folder()
    cleared_bank().copy(folder)
    with Bank.open(folder / "bank") as bank:
        send_ring(bank)
        place = Place(bank)
        assert bank.clearing.sets.decide(optimise, who=place.person(HOUSE_OPERATOR))
        assert bank.clearing.positions.block(SOUTH_BANK, reason=Reason.OPERATOR, **place.signing).created
    return Copies(folder, "")


@POSTGRESQL_IN_SOAK
def test_killed_sets(server: str, tmp_path: Path) -> None:
    copies = cleared_bank(maintenance(server) if "://" in server else "")
    assert check_kills(server, tmp_path, copies, settle, expect=settled) >= 20


def test_killed_refusal_of_a_set(tmp_path: Path) -> None:
    assert check_kills("", tmp_path, blocked_bank(), settle_again, expect=settled_without_south) >= 20


@cache
def screening_bank() -> Copies:
    """A closed bank whose payments across a border need a permit, and whose banks are declared and admitted."""
    folder = temporary_folder()
    cleared_bank().copy(folder)
    config = folder / "bank" / "sycee.toml"
    text = config.read_text()
    assert "compliance = false" in text
    config.write_text(text.replace("compliance = false", "compliance = true"))
    with Bank.open(folder / "bank") as bank:
        declared.admit_all(bank, folder)
    return Copies(folder, "")


def send_across(bank: Bank) -> None:
    """Deliver a message whose payment crosses a border, and one that compliance refuses."""
    place = Place(bank)
    deliver(place, transfer(1, receiver=CODES[EAST_BANK]))
    deliver(place, transfer(2, receiver=CODES[EAST_BANK], debtor_agent=declared.OUTSIDER))
    bank.clearing.permits.renew()


def screened(bank: Bank) -> None:
    place = Place(bank)
    assert place.states(1, 2) == ["queued", "refused"]
    compliance = declared.compliance_of(bank)
    for number in (1, 2):
        stored = [each.digest for each in compliance.screenings(uetr(number))]
        kept = bank.clearing.permits.digests(bank.clearing.payments.get(uetr(number)).number)
        # A kill between screening and queueing leaves the same records twice.
        assert list(kept) == stored[: len(kept)] == stored[-len(kept) :]


def test_killed_screening(tmp_path: Path) -> None:
    assert check_kills("", tmp_path, screening_bank(), send_across, expect=screened) >= 8


def ask_for_money(bank: Bank) -> None:
    """Deliver a request to pay out, both sides of a payment against payment, and a transfer of a customer.

    Let the house act; its receiver refuses to return the transfer.
    """
    place = Place(bank)
    take(place, pay_out("P1", 5_00))
    take(place, north_side(1, 2, "HKD0.05"))
    take(place, east_side(2, 1, minor=5), participant=EAST_BANK)
    take(place, customers((3, CODES[SOUTH_BANK])))
    place.release()
    take(place, cancel("C3", 3))
    take(place, resolution("N3", 3, status="RJCR"), participant=SOUTH_BANK)
    bank.clearing.pay_outs.perform(**place.signing)  # type: ignore[arg-type]
    for paid, _ in bank.clearing.requests("House").receipts(at_ns=1):
        bank.clearing.pay_outs.mark_answered(paid.message)


def paid_out(bank: Bank) -> None:
    place = Place(bank)
    assert place.balances() == [PREFUNDED - 5_00 - 1_00, PREFUNDED + 1_00, PREFUNDED]
    waiting, _ = bank.clearing.payments.page()
    assert (waiting.state, waiting.back_minor, waiting.back_message > 0) == ("queued", 5, True)
    assert bank.clearing.payments.partners([waiting.number]) == {waiting.number: uetr(2)}
    assert bank.clearing.pay_outs.waiting() == bank.clearing.pay_outs.unanswered() == []
    assert [each.name for each in forwarded(place, SOUTH_BANK)] == ["pacs.008.001.08", "camt.056.001.08"]
    assert [each.name for each in forwarded(place, NORTH_BANK)] == ["camt.029.001.09"]


def test_killed_requests(tmp_path: Path) -> None:
    assert check_kills("", tmp_path, cleared_bank(), ask_for_money, expect=paid_out) >= 20


def send_packed(bank: Bank) -> None:
    """Deliver a payment, and six messages in one delivery; if they may be there, in another order with one more.

    Two answers are stored together.
    """
    place = Place(bank)
    is_first = bank.clearing.messages.page(NORTH_BANK)[0] == []
    take(place, transfer(1, sender=SOUTH_BANK, receiver=CODES[NORTH_BANK], minor=10**9), participant=SOUTH_BANK)
    take(place, transfer(2, minor=10**9))
    sent = (transfer(3, 1, minor=10**9), customers((4, CODES[SOUTH_BANK]), minor=10**9), cancel("C2", 2))
    more = tuple(transfer(number, minor=10**9) for number in (6, 7, 8))
    with patch.object(intake, "ANSWERS_MAX", 2):
        take(place, *sent, *more) if is_first else take(place, *reversed((*sent, *more)), transfer(5, minor=10**9))


def answered_once(bank: Bank) -> None:
    place = Place(bank)
    assert place.states(1, 2, 3, 4, 6, 7, 8) == ["queued", "cancelled", *["queued"] * 5]
    assert bank.clearing.intake("House").finish() == (0, [])
    found, _ = bank.clearing.messages.page(NORTH_BANK)
    answers = {each.business_id: read(each.answer or b"").value for each in found}
    assert answers["B-C2"].status == "CNCL"
    ids = ("M3", "B-M4", "M6", "M7", "M8")
    rows = [(each.uetr, each.status) for id in ids for each in answers[id].payments]
    waits = [(uetr(number), "PDNG") for number in (4, 6, 7, 8)]
    assert rows == [(uetr(3), "PDNG"), (uetr(1), "RJCT"), *waits]
    assert [each.reasons[0].code for each in answers["M3"].payments[1:]] == ["DU03"]


@POSTGRESQL_IN_SOAK
def test_killed_deliveries(server: str, tmp_path: Path) -> None:
    copies = cleared_bank(maintenance(server) if "://" in server else "")
    assert check_kills(server, tmp_path, copies, send_packed, expect=answered_once) >= 20


def settle_on_arrival(bank: Bank) -> None:
    """Deliver three payments, each of which the house settles on arrival: alone, not at all, with an opposite one."""
    place = Place(bank)
    bank.clearing.settle_on_arrival(**place.signing)
    taking = bank.clearing.intake("House")
    for number, sender, receiver, minor in (
        (1, NORTH_BANK, SOUTH_BANK, 30_00), (2, SOUTH_BANK, NORTH_BANK, 10**9), (3, NORTH_BANK, SOUTH_BANK, 10**9 + 7),
    ):  # fmt: skip
        content = transfer(number, sender=sender, receiver=CODES[receiver], minor=minor)
        ledger_id = bank.stores.ledger.ledger_id
        signature = instructions.sign(content, message_key(sender), ledger_id=ledger_id, participant=sender)
        taking.take(sender, content, signature, who=place.person(sender))


def settled_on_arrival(bank: Bank) -> None:
    place = Place(bank)
    assert place.states(1, 2, 3) == ["booked"] * 3
    assert place.balances() == [PREFUNDED - 30_07, PREFUNDED + 30_07, PREFUNDED]
    done = [each for each in bank.folder.clearing.iterdir() if each.suffix == ".json" and each.name[0] != "."]
    assert [bank.clearing.sets.verify(ids.parse(each.stem))["chosen"] for each in done] == [2]
    answers = [each.answer for sender in (NORTH_BANK, SOUTH_BANK) for each in bank.clearing.messages.page(sender)[0]]
    statuses = [read(each or b"").value.payments[0].status for each in answers]
    assert statuses == ["ACSC", "ACSC", "PDNG"]


@POSTGRESQL_IN_SOAK
def test_killed_arrivals(server: str, tmp_path: Path) -> None:
    copies = cleared_bank(maintenance(server) if "://" in server else "")
    assert check_kills(server, tmp_path, copies, settle_on_arrival, expect=settled_on_arrival) >= 20


@pytest.mark.soak
def test_arrivals_killed_at_every_boundary(tmp_path: Path) -> None:
    copies, expect = cleared_bank(), settled_on_arrival
    assert check_kills("", tmp_path, copies, settle_on_arrival, expect=expect, every=True) >= 20


@pytest.mark.soak
def test_deliveries_killed_at_every_boundary(tmp_path: Path) -> None:
    assert check_kills("", tmp_path, cleared_bank(), send_packed, expect=answered_once, every=True) >= 20


@pytest.mark.soak
def test_requests_killed_at_every_boundary(tmp_path: Path) -> None:
    assert check_kills("", tmp_path, cleared_bank(), ask_for_money, expect=paid_out, every=True) >= 20


@pytest.mark.soak
def test_screening_killed_at_every_boundary(tmp_path: Path) -> None:
    assert check_kills("", tmp_path, screening_bank(), send_across, expect=screened, every=True) >= 8


@pytest.mark.soak
def test_sets_killed_at_every_boundary(tmp_path: Path) -> None:
    assert check_kills("", tmp_path, cleared_bank(), settle, expect=settled, every=True) >= 20


@pytest.mark.soak
def test_refusals_killed_at_every_boundary(tmp_path: Path) -> None:
    copies, expect = blocked_bank(), settled_without_south
    assert check_kills("", tmp_path, copies, settle_again, expect=expect, every=True) >= 20
