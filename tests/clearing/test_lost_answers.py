"""Messages whose answers a crash lost: each gets its first answer, however it comes again, and what it asks is done."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
import sqlalchemy
from tests.clearing.test_gateway import deliver, transfer
from tests.clearing.test_member_messages import (
    HOUSE,
    answer_of,
    cancel,
    crashed,
    interrupted,
    report,
    status_rows_of,
    take,
    value_of,
)
from tests.clearing.world import CODES, NORTH_BANK, SOUTH_BANK, Place, place, uetr

from sycee.clearing import account_days, gateway, intake, member_messages, receiving
from sycee.clearing.tables import DELIVERIES, MESSAGES
from sycee.core import ids
from sycee.core.errors import IntegrityError
from sycee.iso20022.messages import read
from sycee.server.routes import clearing as routes


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("answers")) as made:
        yield made
        assert made.bank.check() == []


@pytest.mark.parametrize("packed", ["in another delivery", "under another id", "by a restart"])
def test_a_message_whose_answer_a_crash_lost_gets_its_first_answer(
    town: Place, monkeypatch: pytest.MonkeyPatch, packed: str
) -> None:
    """One of its payments is not stored, for a reason of its own; its sender packs it in another way."""
    first = 800 + 10 * ["in another delivery", "under another id", "by a restart"].index(packed)
    take(town, transfer(first, sender=SOUTH_BANK, receiver=CODES[NORTH_BANK], minor=10**9), participant=SOUTH_BANK)
    content = transfer(first + 1, first, minor=10**9)
    crashed(town, monkeypatch, content)
    expected = [(uetr(first + 1), "PDNG", ""), (uetr(first), "RJCT", "DU03")]
    if packed == "by a restart":
        assert town.bank.clearing.intake(HOUSE).finish() == (1, [])
        assert town.bank.clearing.intake(HOUSE).finish() == (0, [])
    elif packed == "under another id":  # with the payment that was stored
        other = take(town, transfer(first + 1, minor=10**9).replace(b">M8", b">N8"))
        assert {each.original.id for each in value_of(other).payments} == {f"M{first + 1}"}
    else:
        other = take(town, transfer(first + 2, minor=10**9), content)
        assert status_rows_of(gateway.unpack(other.answer)[1]) == expected
    answer = answer_of(town, NORTH_BANK, f"M{first + 1}")
    assert answer is not None
    assert status_rows_of(answer) == expected
    assert take(town, content).answer == answer
    for bank, number in ((NORTH_BANK, first + 1), (SOUTH_BANK, first)):
        town.bank.clearing.payments.cancel(bank, [uetr(number)])


def test_a_cancellation_whose_answer_a_crash_lost_is_done(town: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if another request has its id meanwhile."""
    take(town, transfer(840, minor=10**9))
    take(town, transfer(841, minor=10**9))
    asked = cancel("C840", 840)
    with monkeypatch.context() as crash:
        crash.setattr(member_messages.MemberMessages, "_cancel", interrupted)
        with pytest.raises(InterruptedError):
            take(town, asked)
    assert town.states(840, 841) == ["queued", "queued"]
    other = take(town, cancel("C840", 841), transfer(842))
    assert town.states(840, 841) == ["cancelled", "queued"]
    answer = answer_of(town, NORTH_BANK, "B-C840")
    assert [gateway.unpack(other.answer)[0], take(town, asked).answer] == [answer, answer]
    assert read(answer or b"").value.status == "CNCL"
    town.bank.clearing.payments.cancel(NORTH_BANK, [uetr(841)])


@pytest.mark.parametrize("damage", ["content", "mark", "part", "message", "sender"])
def test_a_message_that_is_damaged_leaves_others_answered(
    town: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    """The start of the server logs it, and continues."""
    first = 850 + 2 * ["content", "mark", "part", "message", "sender"].index(damage)
    for number in (first, first + 1):
        crashed(town, monkeypatch, transfer(number, minor=10**9))
    delivery = delivery_of(town, first)
    of_delivery = DELIVERIES.update().where(DELIVERIES.c.id == delivery)
    of_message = MESSAGES.update().where(MESSAGES.c.delivery == delivery)
    name = f"delivery {ids.format(delivery)} is damaged: "
    change, words = {
        "content": (of_delivery.values(content=b"damaged"), f"the content of {name}"),
        "mark": (
            of_delivery.values(content=zlib.compress(gateway.pack([b"<a/>"])[:-1])),
            f"{name}the delivery ends within a message",
        ),
        "part": (of_message.values(part=7), f"the delivery has no pacs.009.001.08 with the id M{first}"),
        "message": (
            of_delivery.values(content=zlib.compress(transfer(first + 1))),
            f"the delivery has no pacs.009.001.08 with the id M{first}",
        ),
        "sender": (of_delivery.values(participant=99), f"{name}operator 99 is no participant"),
    }[damage]
    with changed(town, delivery, change):
        monkeypatch.setattr(routes, "_house_name", lambda _: HOUSE)
        routes.finish_messages(town.bank)
        assert [record.message for record in caplog.records] == ["messages are not answered"]
        assert answer_of(town, NORTH_BANK, f"M{first + 1}") is not None
        count, (error,) = town.bank.clearing.intake(HOUSE).finish()
        assert (count, error.message.startswith(words)) == (0, True), error.message
    assert town.bank.clearing.intake(HOUSE).finish() == (1, [])
    town.bank.clearing.payments.cancel(NORTH_BANK, [uetr(first), uetr(first + 1)])


def test_a_damaged_message_does_not_keep_others_of_a_delivery_from_what_they_ask(
    town: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one has the payment of a message whose delivery is damaged."""
    take(town, transfer(870, minor=10**9))
    crashed(town, monkeypatch, transfer(871, minor=10**9))
    delivery = delivery_of(town, 871)
    same = transfer(871, minor=10**9).replace(b">M8", b">N8")
    with changed(town, delivery, DELIVERIES.update().where(DELIVERIES.c.id == delivery).values(content=b"damaged")):
        with pytest.raises(IntegrityError, match=f"the content of delivery {ids.format(delivery)} is damaged"):
            take(town, same, cancel("C870", 870), transfer(872, minor=10**9))
        assert town.states(870, 872) == ["cancelled", "queued"]
        assert answer_of(town, NORTH_BANK, "B-C870") is not None
        assert answer_of(town, NORTH_BANK, "M872") is not None
    assert town.bank.clearing.intake(HOUSE).finish() == (2, [])
    town.bank.clearing.payments.cancel(NORTH_BANK, [uetr(871), uetr(872)])


def test_a_kept_message_that_cannot_be_answered_any_more_has_its_refusal_as_its_only_answer(
    town: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its report has become too long."""
    take(town, transfer(880, minor=1))
    town.release()
    assert town.states(880) == ["booked"]
    asked = report("R880", "camt.052.001.08")
    crashed(town, monkeypatch, asked)
    with monkeypatch.context() as limit:
        limit.setattr(account_days, "ENTRIES_MAX", 0)
        assert town.bank.clearing.intake(HOUSE).finish() == (1, [])
    answer = answer_of(town, NORTH_BANK, "B-R880")
    assert answer is not None
    assert (read(answer).name, take(town, asked).answer) == ("admi.002.001.01", answer)
    assert town.bank.clearing.intake(HOUSE).finish() == (0, [])


def test_a_restart_stores_many_answers_in_one_transaction(town: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three deliveries. A crash between two transactions leaves what is not answered to the next start."""
    monkeypatch.setattr(intake, "ANSWERS_MAX", 2)
    for numbers in ((900, 901, 902), (903,), (904,)):
        crashed(town, monkeypatch, gateway.pack([transfer(number, minor=10**9) for number in numbers]))
    store, sizes = receiving.Receiving.store_answers, []

    def stored(self: receiving.Receiving, answers: Mapping[int, bytes]) -> Mapping[int, bytes]:
        sizes.append(len(answers))
        if len(sizes) == 2:
            raise InterruptedError("the process ends")
        return store(self, answers)

    monkeypatch.setattr(receiving.Receiving, "store_answers", stored)
    with pytest.raises(InterruptedError):
        town.bank.clearing.intake(HOUSE).finish()
    answers = [answer_of(town, NORTH_BANK, f"M{number}") for number in range(900, 905)]
    assert [answer is not None for answer in answers] == [True, True, False, False, False]
    assert town.bank.clearing.intake(HOUSE).finish() == (3, [])
    assert sizes == [2, 2, 2, 1]
    found = [answer_of(town, NORTH_BANK, f"M{number}") for number in range(900, 905)]
    assert found[:2] == answers[:2]
    expected = [[(uetr(number), "PDNG", "")] for number in range(900, 905)]
    assert [status_rows_of(answer or b"") for answer in found] == expected
    town.bank.clearing.payments.cancel(NORTH_BANK, [uetr(number) for number in range(900, 905)])


def test_answers_of_many_bytes_are_stored_before_there_are_many(town: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "BYTES_MAX", 1)
    sizes, store = [], receiving.Receiving.store_answers
    monkeypatch.setattr(
        receiving.Receiving, "store_answers", lambda self, answers: sizes.append(len(answers)) or store(self, answers)
    )
    take(town, transfer(910, minor=10**9), transfer(911, minor=10**9))
    assert sizes == [1, 1]
    town.bank.clearing.payments.cancel(NORTH_BANK, [uetr(910), uetr(911)])


def test_a_message_that_the_caller_answers_is_left_to_it(town: Place) -> None:
    deliver(town, transfer(890, minor=10**9))
    assert town.bank.clearing.intake(HOUSE).finish() == (0, [])
    assert answer_of(town, NORTH_BANK, "M890") is None
    town.bank.clearing.payments.cancel(NORTH_BANK, [uetr(890)])


def delivery_of(town: Place, number: int) -> int:
    """The delivery of the message with a payment."""
    return town.bank.clearing.receiving.place(town.bank.clearing.payments.get(uetr(number)).message).delivery


@contextmanager
def changed(town: Place, delivery: int, change: sqlalchemy.Update) -> Iterator[None]:
    """Change rows of a delivery within the block, as a broken disk or a wrong repair leaves them."""
    tables = ((DELIVERIES, DELIVERIES.c.id), (MESSAGES, MESSAGES.c.delivery))
    with town.bank.stores.engine.begin() as connection:
        kept = [
            connection.execute(sqlalchemy.select(table).where(column == delivery)).one()._mapping
            for table, column in tables
        ]
        connection.execute(change)
    yield
    with town.bank.stores.engine.begin() as connection:
        for (table, column), row in zip(tables, kept, strict=True):
            values = {name: row[name] for name in ("participant", "content", "part") if name in row}
            connection.execute(table.update().where(column == delivery).values(values))
