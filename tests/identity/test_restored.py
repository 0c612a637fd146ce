"""After a restore, an intent that was done can be done again with another result, or lapse: SQL follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sqlalchemy
from tests.identity.test_keys import NEW, rotate
from tests.identity.world import ANN, BOB, EVE, KEYS, START_NS, WALLET, YEAR_NS, World

from sycee.core.keys import SigningKey
from sycee.core.records.envelopes import ENVELOPE
from sycee.core.records.layout import OPERATION
from sycee.core.result_codes import Result
from sycee.database.actions import Intent
from sycee.database.tables import INTENTS
from sycee.database.transactions import write
from sycee.identity.duties import Duty
from sycee.identity.tables import DUTIES
from sycee.identity.tables import KEYS as KEY_ROWS

NEWCOMER = SigningKey.derive(bytes([51]) * 32)

Outcome = Callable[[Any, Any, Intent], None]


def lapsed(action: Any, connection: Any, intent: Intent) -> None:
    action.lapsed(connection, intent)


def refused(action: Any, connection: Any, intent: Intent) -> None:
    action.done(connection, intent, [Result.KEY_IS_ANOTHERS])


def replay(bank: World, action: str, outcome: Outcome) -> None:
    """Give the action of its newest intent another outcome, as `resume` does after `reopen_after`."""
    with bank.engine.connect() as connection:
        chosen = sqlalchemy.select(INTENTS.c.id).where(INTENTS.c.action == action).order_by(INTENTS.c.id.desc())
        id = connection.scalar(chosen.limit(1))
    stored = bank.stores.intents.find(id)
    assert stored is not None
    records = np.zeros(0, OPERATION)  # an action reads payload and results alone
    intent = Intent(id, action, stored.payload, records, np.zeros(0, ENVELOPE), stored.valid_until_ns, stored.who)
    write(bank.engine, lambda connection: outcome(bank.stores.actions.get(action), connection, intent))


@pytest.mark.parametrize("outcome", [lapsed, refused])
def test_an_appointment(small: World, outcome: Outcome) -> None:
    one = small.appointments.appoint(Duty.OFFICER, NEWCOMER.public, until_ns=START_NS + YEAR_NS, maker=ANN)
    small.proposals.sign(one.id, KEYS[ANN], KEYS[BOB])
    count = sqlalchemy.select(sqlalchemy.func.count()).select_from(DUTIES).where(DUTIES.c.proposal == one.id)
    with small.engine.connect() as connection:
        assert connection.scalar(count) == 1
    for _ in range(2):  # and once more: a final state is set, not added to
        replay(small, "duty.appoint", outcome)
        with small.engine.connect() as connection:
            assert connection.scalar(count) == 0


@pytest.mark.parametrize("outcome", [lapsed, refused])
def test_a_dismissal(small: World, outcome: Outcome) -> None:
    (duty,) = small.people.duties_of(EVE)
    one = small.appointments.dismiss(duty.id, maker=ANN)
    small.proposals.sign(one.id, KEYS[ANN], KEYS[BOB])
    replay(small, "duty.dismiss", outcome)
    with small.engine.connect() as connection:
        row = connection.execute(sqlalchemy.select(DUTIES).where(DUTIES.c.id == duty.id)).one()
    assert row.ended_ns is None


@pytest.mark.parametrize("outcome", [lapsed, refused])
def test_a_key(small: World, outcome: Outcome) -> None:
    assert rotate(small, NEW).created
    replay(small, "key.lift", outcome)
    assert [row.state for row in small.keys.history(WALLET)] == ["setting"]
    replay(small, "key.set", outcome)
    assert small.keys.history(WALLET) == []


def test_a_duty_with_a_key_of_its_own(small: World) -> None:
    one = small.appointments.appoint(Duty.CLOSER, NEWCOMER.public, until_ns=START_NS + YEAR_NS, maker=ANN)
    small.proposals.sign(one.id, KEYS[ANN], KEYS[BOB])
    (held,) = small.people.duties_of(small.people.person_of_key(NEWCOMER.public))
    write(small.engine, lambda connection: small.people.forget(connection, held.id))
    with small.engine.connect() as connection:
        assert connection.execute(sqlalchemy.select(KEY_ROWS).where(KEY_ROWS.c.subject == held.person)).first() is None
    assert small.people.duties_of(held.person) == []
    assert small.check() == []
