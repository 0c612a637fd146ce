"""Messages as stored, with the house's answers: what a participant reads after a message number that it has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import sqlalchemy

from sycee.clearing.tables import DELIVERIES, MESSAGES
from sycee.database.stores import Stores
from sycee.database.transactions import reading

ANSWER_BYTES_MAX: Final = 4 << 20  # of the answers in one page, but for its first message


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

    def page(
        self, participant: int, *, after: int = 0, most: int = 1_000, answer_bytes_max: int = ANSWER_BYTES_MAX
    ) -> tuple[Sequence[Message], bool]:
        """Return messages of a participant with numbers above `after`, in order, and whether there are further ones.

        Up to `most` messages, whose answers have up to `answer_bytes_max` bytes; the first one may have more.
        """
        number, answer = MESSAGES.c.message, MESSAGES.c.answer
        chosen = (MESSAGES.c.participant == participant) & (number > after)
        sizes = sqlalchemy.select(number, sqlalchemy.func.length(answer)).where(chosen).order_by(number).limit(most + 1)
        with reading(self._stores.engine) as connection:
            found = connection.execute(sizes).all()
            last, size = after, 0
            for at, (each, length) in enumerate(found[:most]):  # sizes first: an answer may have megabytes
                size += length or 0
                if at and size > answer_bytes_max:
                    break
                last = each
            query = (
                sqlalchemy.select(number, MESSAGES.c.business_id, MESSAGES.c.kind, DELIVERIES.c.at_ns, answer)
                .join(DELIVERIES, DELIVERIES.c.id == MESSAGES.c.delivery)
                .where(chosen, number <= last)
                .order_by(number)
            )
            rows = connection.execute(query)
            messages = [Message(*row[:4], None if row.answer is None else bytes(row.answer)) for row in rows]
        return messages, len(found) > len(messages)
