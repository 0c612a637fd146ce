"""Addresses and browsers of the staff, beside the first uses of logins: who may have used an invitation themselves.

A login is marked if a session of the staff had its address or its browser within a day. A mark is a reason to ask, no
proof: a customer may set up a login in the bank's own building. Only keyed hashes are stored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy
from blake3 import blake3
from sqlalchemy.engine import Connection, Engine, Row

from sycee.core.clock import Clock, read_ns
from sycee.database.transactions import reading
from sycee.identity.duties import STAFF
from sycee.identity.people import People
from sycee.server.auth.logins import Login, Visitor
from sycee.server.auth.tables import FIRST_USES, STAFF_PLACES

DAY_NS: Final = 86_400 * 10**9
ADDRESS: Final = "address"
BROWSER: Final = "browser"
_CONTEXT: Final = "sycee 2026-12-07 server: hashes of the places of logins"


@dataclass(frozen=True, slots=True)
class FirstUse:
    """The first use of a login. `near`: a person of the staff who was near it, 0 for none; `near_by`: in what."""

    login: int
    person: int
    method: str
    invitation: int
    inviter: int
    at_ns: int
    near: int
    near_by: str


class Places:
    """The places of logins. `hash_key`: 32 bytes."""

    def __init__(self, engine: Engine, people: People, clock: Clock, hash_key: bytes) -> None:
        self._engine = engine
        self._people = people
        self._clock = clock
        self._key = blake3(hash_key, derive_key_context=_CONTEXT).digest()

    def is_known(self, connection: Connection, login: int) -> bool:
        """Return whether the first use of a login is stored."""
        chosen = sqlalchemy.select(FIRST_USES.c.login).where(FIRST_USES.c.login == login)
        return connection.scalar(chosen) is not None

    def first_use(self, connection: Connection, login: Login, visitor: Visitor) -> None:
        """Store the first use of a login in the caller's transaction, with a mark if the staff was there before."""
        now_ns = read_ns(self._clock)
        address, device = self._hashes(visitor)
        row = {
            "login": login.id,
            "person": login.person,
            "method": login.method,
            "invitation": login.origin.invitation,
            "inviter": login.origin.inviter,
            "at_ns": now_ns,
            "address": address,
            "device": device,
        }
        earlier = connection.execute(
            sqlalchemy.select(STAFF_PLACES).where(
                STAFF_PLACES.c.place.in_(_present(address, device)),
                STAFF_PLACES.c.person != login.person,
                STAFF_PLACES.c.at_ns >= now_ns - DAY_NS,
            )
        ).all()
        if earlier:
            found = max(earlier, key=lambda each: (each.place == device, each.at_ns))
            row |= {"near": found.person, "near_by": BROWSER if found.place == device else ADDRESS}
        connection.execute(FIRST_USES.insert().values(row))

    def noted(self, person: int, visitor: Visitor) -> Callable[[Connection], None]:
        """Return a write that stores where a person of the staff is, and marks logins that began there within a day.

        It writes nothing for other persons. Read before the transaction: whether the person is staff.
        """
        places = _present(*self._hashes(visitor))
        if not places or not any(held.duty in STAFF for held in self._people.duties_of(person)):
            return lambda connection: None
        now_ns = read_ns(self._clock)

        def work(connection: Connection) -> None:
            connection.execute(STAFF_PLACES.delete().where(STAFF_PLACES.c.at_ns < now_ns - 2 * DAY_NS))
            mine = STAFF_PLACES.c.place.in_(places) & (STAFF_PLACES.c.person == person)
            connection.execute(STAFF_PLACES.delete().where(mine))
            rows = [{"place": each, "person": person, "at_ns": now_ns} for each in places]
            connection.execute(STAFF_PLACES.insert(), rows)
            for column, name in ((FIRST_USES.c.device, BROWSER), (FIRST_USES.c.address, ADDRESS)):
                began = FIRST_USES.c.at_ns >= now_ns - DAY_NS
                chosen = began & column.in_(places) & (FIRST_USES.c.person != person) & FIRST_USES.c.near.is_(None)
                connection.execute(FIRST_USES.update().where(chosen).values(near=person, near_by=name))

        return work

    def list(self, *, after: int = 0, most: int | None = None) -> list[FirstUse]:
        """Return up to `most` first uses with logins above `after`, by login."""
        query = sqlalchemy.select(FIRST_USES).where(FIRST_USES.c.login > after)
        with reading(self._engine) as connection:
            return [_first_use(row) for row in connection.execute(query.order_by(FIRST_USES.c.login).limit(most))]

    def forget(self, connection: Connection, person: int) -> None:
        """Remove the first uses of a person whose data is shredded, in the caller's transaction."""
        connection.execute(FIRST_USES.delete().where(FIRST_USES.c.person == person))

    def _hashes(self, visitor: Visitor) -> tuple[str, str]:
        """Return the hashes of address and device; "" for one that is missing."""
        return tuple(  # type: ignore[return-value]
            blake3(f"{kind} {text}".encode(), key=self._key).hexdigest() if text else ""
            for kind, text in ((ADDRESS, visitor.address), (BROWSER, visitor.device))
        )


def _present(*hashes: str) -> list[str]:
    return [each for each in hashes if each]


def _first_use(row: Row[Any]) -> FirstUse:
    return FirstUse(
        row.login, row.person, row.method, row.invitation, row.inviter, row.at_ns, row.near or 0, row.near_by or ""
    )
