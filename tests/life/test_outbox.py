"""Messages of the outbox: sealed, sent once, tried again, given up, over."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy
from tests.life.world import World
from tests.personal.world import ANN, BOB, CLERK, NOON

from sycee.core.clock import SimulatedClock
from sycee.core.errors import NotFound, UsageError
from sycee.database.transactions import reading, write
from sycee.life.notices import LOGIN_CODE, LOGIN_CREATED, Notice, Outbox
from sycee.life.tables import OUTBOX

CODE = "half-of-a-code"
PLAIN, SECRET = 7, 8
UNTIL_NS = NOON + 600 * 10**9


@pytest.fixture
def outbox(bank: World) -> Outbox:
    """The outbox with a message without a secret, and one with a secret and an end."""
    outbox = bank.life.outbox
    outbox.machine = SimulatedClock(NOON)
    plain = bank.life.addressed(ANN, LOGIN_CREATED)
    secret = bank.life.addressed(BOB, LOGIN_CODE, secret=CODE, until_ns=UNTIL_NS)
    assert plain is not None
    assert secret is not None
    for _ in range(2):  # the same id again changes nothing
        write(bank.personal.engine, lambda connection: outbox.send(connection, PLAIN, plain))
        write(bank.personal.engine, lambda connection: outbox.send(connection, SECRET, secret))
    return outbox


def later(outbox: Outbox, ns: int) -> None:
    assert isinstance(outbox.machine, SimulatedClock)
    outbox.machine.set(ns)


def found(bank: World, id: int) -> sqlalchemy.Row:
    with reading(bank.personal.engine) as connection:
        return connection.execute(sqlalchemy.select(OUTBOX).where(OUTBOX.c.id == id)).one()


def test_a_person_without_phone_or_record_gets_no_message(bank: World) -> None:
    assert bank.life.addressed(CLERK, LOGIN_CREATED) is None
    bank.personal.store(CLERK, {"name": "Cleo", "paper": "E7654321", "paper_kind": "passport"})
    assert bank.life.addressed(CLERK, LOGIN_CREATED) is None


@pytest.mark.parametrize(("text", "secret"), [(LOGIN_CODE, ""), (LOGIN_CREATED, CODE)])
def test_a_secret_belongs_to_the_text(bank: World, text: str, secret: str) -> None:
    with pytest.raises(AssertionError, match="a secret is missing, or is too much"):
        bank.life.addressed(ANN, text, secret=secret)


def test_phone_and_secret_are_sealed_at_different_places(bank: World, outbox: Outbox, tmp_path: Path) -> None:
    plain, secret = outbox.waiting()
    assert bank.life.opened(plain) == ("+8613800138000", "")
    assert bank.life.opened(secret) == ("+8613900139000", CODE)
    shown = repr((plain, secret, bank.life.addressed(BOB, LOGIN_CODE, secret=CODE)))
    assert "sealed" not in shown
    written = b"".join(each.read_bytes() for each in tmp_path.rglob("kept.db*"))
    assert b"13900139000" not in written
    assert CODE.encode() not in written


def test_a_message_with_an_end_is_first(outbox: Outbox) -> None:
    assert outbox.due() == outbox.waiting()[1]


def test_a_failed_message_waits_for_its_next_attempt(bank: World, outbox: Outbox) -> None:
    outbox.failed(SECRET, "status 500", NOON + 5)
    assert [each.id for each in (outbox.due(),) if each] == [PLAIN]
    later(outbox, NOON + 5)
    due = outbox.due()
    assert isinstance(due, Notice)
    assert (due.id, due.attempts, due.reason) == (SECRET, 1, "status 500")
    outbox.failed(PLAIN, "status 500", NOON + 9)
    outbox.hurry()
    outbox.sent(SECRET)
    assert [each.id for each in (outbox.due(),) if each] == [PLAIN]


@pytest.mark.parametrize("end", ["sent", "bury", "expire"])
def test_a_secret_is_removed_when_its_message_waits_no_more(bank: World, outbox: Outbox, end: str) -> None:
    if end == "sent":
        outbox.sent(SECRET)
    elif end == "bury":
        outbox.bury(SECRET, "gone")
    else:
        later(outbox, UNTIL_NS - 1)
        assert found(bank, SECRET).secret_sealed is not None
        assert outbox.due() is not None
        later(outbox, UNTIL_NS)
        due = outbox.due()
        assert due is not None
        assert due.id == PLAIN
    row = found(bank, SECRET)
    assert (row.secret_sealed, row.state) == (None, {"sent": "sent", "bury": "dead", "expire": "expired"}[end])
    outbox.failed(SECRET, "late", 0)  # of an attempt that was in progress: nothing changes
    assert found(bank, SECRET) == row
    assert [each.id for each in outbox.undelivered()] == ([PLAIN] if end == "sent" else [PLAIN, SECRET])
    with pytest.raises(UsageError, match="had a secret"):
        outbox.again(SECRET)


def test_a_dead_letter_without_a_secret_waits_again_with_all_attempts(bank: World, outbox: Outbox) -> None:
    outbox.sent(SECRET)
    outbox.bury(PLAIN, "status 500")
    assert outbox.due() is None
    for _ in range(2):
        outbox.again(PLAIN)
        (waiting,) = outbox.waiting()
        assert (waiting.id, waiting.attempts, waiting.retry_ns, waiting.reason) == (PLAIN, 0, 0, "status 500")
    outbox.sent(PLAIN)
    with pytest.raises(UsageError, match="is sent, not dead"):
        outbox.again(PLAIN)
    with pytest.raises(NotFound, match="there is no message"):
        outbox.again(99)


def test_what_was_sent_is_not_recalled(bank: World, outbox: Outbox) -> None:
    outbox.sent(PLAIN)
    outbox.bury(SECRET, "gone")
    for id in (PLAIN, SECRET):
        write(bank.personal.engine, lambda connection, each=id: outbox.recall(connection, each))
    with reading(bank.personal.engine) as connection:
        assert list(connection.scalars(sqlalchemy.select(OUTBOX.c.id))) == [PLAIN]


def test_undelivered_messages_are_read_in_pages(outbox: Outbox) -> None:
    assert [each.id for each in outbox.undelivered(most=1)] == [PLAIN]
    assert [each.id for each in outbox.undelivered(after=PLAIN, most=1)] == [SECRET]
