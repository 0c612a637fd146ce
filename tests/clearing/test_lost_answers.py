"""Messages whose answers a crash lost: each gets its first answer, however it comes again, and what it asks is done."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy
from tests.clearing.test_gateway import transfer
from tests.clearing.test_member_messages import (
    HOUSE,
    answer_of,
    cancel,
    crashed,
    interrupted,
    status_rows_of,
    take,
    value_of,
)
from tests.clearing.world import CODES, NORTH_BANK, SOUTH_BANK, Place, place, uetr

from sycee.clearing import gateway, member_messages
from sycee.clearing.tables import DELIVERIES
from sycee.core import ids
from sycee.iso20022.messages import read


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


def test_a_delivery_that_is_damaged_leaves_others_answered(town: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (850, 851):
        crashed(town, monkeypatch, transfer(number, minor=10**9))
    delivery = town.bank.clearing.receiving.place(town.bank.clearing.payments.get(uetr(850)).message).delivery
    changed = DELIVERIES.update().where(DELIVERIES.c.id == delivery)
    with town.bank.stores.engine.begin() as connection:
        kept = connection.scalar(sqlalchemy.select(DELIVERIES.c.content).where(DELIVERIES.c.id == delivery))
        connection.execute(changed.values(content=b"damaged"))
    count, (error,) = town.bank.clearing.intake(HOUSE).finish()
    assert (count, f"the content of delivery {ids.format(delivery)} is damaged" in error.message) == (1, True)
    assert answer_of(town, NORTH_BANK, "M851") is not None
    with town.bank.stores.engine.begin() as connection:
        connection.execute(changed.values(content=kept))
    assert town.bank.clearing.intake(HOUSE).finish() == (1, [])
    town.bank.clearing.payments.cancel(NORTH_BANK, [uetr(850), uetr(851)])
