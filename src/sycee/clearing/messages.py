"""Messages as stored, with the house's answers: what a participant reads after a message number that it has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy

from sycee.clearing.tables import DELIVERIES, MESSAGES
from sycee.database.stores import Stores
from sycee.database.transactions import reading


class Message(NamedTuple):
    """A stored message. `answer`: the first one, None if the house has not answered yet."""

    number: int
    business_id: str
    kind: str
    at_ns: int
    answer: bytes | None


class Messages:
    """The messages of participants of one house."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def page(self, participant: int, *, after: int = 0, most: int = 1_000) -> Sequence[Message]:
        """Return up to `most` messages of a participant with numbers above `after`, in order."""
        query = (
            sqlalchemy.select(
                MESSAGES.c.message, MESSAGES.c.business_id, MESSAGES.c.kind, DELIVERIES.c.at_ns, MESSAGES.c.answer
            )
            .join(DELIVERIES, DELIVERIES.c.id == MESSAGES.c.delivery)
            .where(MESSAGES.c.participant == participant, MESSAGES.c.message > after)
            .order_by(MESSAGES.c.message)
            .limit(most)
        )
        with reading(self._stores.engine) as connection:
            rows = connection.execute(query)
            return [Message(*row[:4], None if row.answer is None else bytes(row.answer)) for row in rows]
