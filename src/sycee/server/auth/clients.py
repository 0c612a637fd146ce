"""Register of machine clients: each has one key, acts for one person, and for at most one operator.

The register is in memory and in SQL. Revoking changes both, so the tokens of a revoked client end immediately.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy
from blake3 import blake3
from sqlalchemy.engine import Connection, Row

from sycee.core import ids
from sycee.core.canonical_json import canonical
from sycee.core.clock import Clock, read_ns
from sycee.core.errors import NotFound, UsageError
from sycee.core.keys import PublicKey
from sycee.database.stores import Stores
from sycee.database.transactions import Also, nothing_else, reading, write
from sycee.identity import duties
from sycee.identity.people import People
from sycee.identity.remote_key import MessageSignatureNeeded, RemoteKey
from sycee.identity.tables import ACTIVE
from sycee.life.notices import PROGRAM_REGISTERED
from sycee.server.auth import jwks
from sycee.server.auth.caller import SCOPES
from sycee.server.auth.tables import CLIENTS
from sycee.server.auth.told import Told

REGISTER: Final = "client.register"  # actions of sycee.identity.duties
REVOKE: Final = "client.revoke"
MESSAGE: Final = "sycee.client.v1"
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,80}")


@dataclass(frozen=True, slots=True)
class Client:
    """A registered client."""

    id: int
    person: int
    operator: int | None
    name: str
    public_key: PublicKey
    thumbprint: str
    scopes: frozenset[str]
    made_ns: int
    revoked_ns: int | None

    @property
    def key(self) -> jwks.Key:
        """Return the public key as a JSON Web Key."""
        return jwks.jwk_of(self.public_key)


class Clients:
    """Registered clients. Threads may share it."""

    def __init__(self, stores: Stores, people: People, told: Told, clock: Clock) -> None:
        self._engine = stores.engine
        self._told = told
        self._ledger_id = stores.ledger.ledger_id
        self._people = people
        self._clock = clock
        self._lock = threading.Lock()
        with reading(self._engine) as connection:
            rows = list(connection.execute(sqlalchemy.select(CLIENTS).where(CLIENTS.c.revoked_ns.is_(None))))
        self._active = {row.id: _client(row) for row in rows}

    def active(self, id: int) -> Client | None:
        """Return a client that is not revoked, None for any other id."""
        return self._active.get(id)

    def list(self) -> list[Client]:
        """Return all clients, revoked ones too, oldest first."""
        with reading(self._engine) as connection:
            return [_client(row) for row in connection.execute(sqlalchemy.select(CLIENTS).order_by(CLIENTS.c.id))]

    def get(self, id: int) -> Client:
        """Return a client, revoked or not. Raises NotFound if there is none."""
        with reading(self._engine) as connection:
            row = connection.execute(sqlalchemy.select(CLIENTS).where(CLIENTS.c.id == id)).one_or_none()
        if row is None:
            raise NotFound(f"there is no client {ids.format(id)}", hint="`sycee client list` shows the clients")
        return _client(row)

    def may_revoke(self, client: Client, by: int) -> bool:
        """Return whether a person may see and revoke a client."""
        rule = duties.rule(REVOKE)
        return self._people.allowed(
            by, rule.makers, rule, operator=client.operator if client.operator is not None else -1
        )

    def holds_a_duty(self, client: Client) -> bool:
        """Return whether the person of a client still has a duty for the client's operator."""
        return self._has_duty(client.person, client.operator)

    def register(
        self,
        person: int,
        public_key: PublicKey,
        *,
        by: int,
        name: str,
        operator: int | None = None,
        scopes: Iterable[str] = SCOPES,
        key: RemoteKey | None = None,
        id: int = 0,
        also: Also = nothing_else,
    ) -> Client:
        """Register a client of a person who has a duty for `operator` (None: a duty without an operator).

        `key`: of `by`, signs the registration; None if the caller has the private key of `by`. `id`: of the client.
        `also` writes in the same transaction. The person is told. Raises UsageError if `by` may not register clients,
        the person has no such duty, the key was registered before, or name or scopes are wrong; MessageSignatureNeeded
        without a signature.
        """
        self._people.require(by, REGISTER, operator=operator)
        chosen = frozenset(scopes)
        if not chosen or not chosen <= set(SCOPES):
            raise UsageError(f"scopes {sorted(chosen)} are not of {', '.join(SCOPES)}", hint="name one scope or more")
        if not _NAME.fullmatch(name):
            raise UsageError("the name of a client has 1 to 80 printable characters", hint="name the program")
        if not self._has_duty(person, operator):
            what = "a duty without an operator" if operator is None else f"a duty for operator {operator}"
            raise UsageError(
                f"the person {ids.format(person)} does not have {what}",
                hint="`sycee officer list` shows persons and their duties",
            )
        now_ns = read_ns(self._clock)
        id, thumbprint = id or ids.new(now_ns // 10**6), jwks.thumbprint(jwks.jwk_of(public_key))
        made = Client(id, person, operator, name, public_key, thumbprint, chosen, now_ns, None)

        if key is not None:
            _require_signature(registration(made, self._ledger_id, by), key)
        notice = self._told.prepare(person, PROGRAM_REGISTERED, by=by)

        def work(connection: Connection) -> None:
            found = sqlalchemy.select(CLIENTS.c.id).where(CLIENTS.c.thumbprint == made.thumbprint)
            if connection.scalar(found) is not None:
                raise UsageError(
                    f"the key {public_key} was registered before", hint="generate a key for each client: sycee key new"
                )
            if connection.scalar(sqlalchemy.select(CLIENTS.c.id).where(CLIENTS.c.id == made.id)) is not None:
                raise UsageError(f"the id {ids.format(made.id)} is another client's", hint="choose a fresh id")
            row = {
                "id": made.id,
                "person": person,
                "operator": operator,
                "name": name,
                "public_key": str(public_key),
                "thumbprint": made.thumbprint,
                "scopes": " ".join(sorted(chosen)),
                "made_ns": now_ns,
                "made_by": by,
            }
            connection.execute(CLIENTS.insert().values(row))
            self._told.store(connection, notice)
            also(connection)

        with self._lock:
            write(self._engine, work)
            self._active[made.id] = made
        return made

    def revoke(self, id: int, *, by: int) -> None:
        """End a client and its tokens. Revoking it again changes nothing.

        Raises UsageError if there is no such client, or `by` may not revoke it.
        """
        operator = self.get(id).operator
        # -1: nobody's, so that an operator cannot revoke the client of an officer.
        self._people.require(by, REVOKE, operator=-1 if operator is None else operator)
        chosen = (CLIENTS.c.id == id) & CLIENTS.c.revoked_ns.is_(None)
        ended = CLIENTS.update().where(chosen).values(revoked_ns=read_ns(self._clock), revoked_by=by)
        with self._lock:
            self._active.pop(id, None)  # first: if the database refuses, the client is ended until the next start
            write(self._engine, lambda connection: connection.execute(ended))

    def forget(self, connection: Connection, person: int) -> None:
        """End the clients of a person whose data is shredded, in the caller's transaction."""
        chosen = (CLIENTS.c.person == person) & CLIENTS.c.revoked_ns.is_(None)
        connection.execute(CLIENTS.update().where(chosen).values(revoked_ns=read_ns(self._clock), revoked_by=0))
        with self._lock:
            self._active = {id: each for id, each in self._active.items() if each.person != person}

    def _has_duty(self, person: int, operator: int | None) -> bool:
        if self._people.state_of(person) != ACTIVE:
            return False
        return any(held.operator == operator for held in self._people.duties_of(person))


def registration(client: Client, ledger_id: bytes, by: int) -> dict[str, Any]:
    """Return the document of a registration: its canonical JSON is what `registration_message` covers."""
    return {
        "message": MESSAGE,
        "ledger": ledger_id.hex(),
        "client": ids.format(client.id),
        "by": ids.format(by),
        "person": ids.format(client.person),
        "operator": client.operator,
        "name": client.name,
        "public_key": str(client.public_key),
        "scopes": sorted(client.scopes),
    }


def registration_message(document: Mapping[str, Any]) -> bytes:
    """Return the 32 bytes that an officer signs to register a client: BLAKE3 of the document's canonical JSON."""
    return blake3(canonical(dict(document))).digest()


def _require_signature(document: Mapping[str, Any], key: RemoteKey) -> None:
    try:
        key.sign(registration_message(document))
    except MessageSignatureNeeded as asked:
        asked.document = document
        raise


def _client(row: Row[Any]) -> Client:
    return Client(
        row.id, row.person, row.operator, row.name, PublicKey.parse(row.public_key), row.thumbprint,
        frozenset(row.scopes.split()), row.made_ns, row.revoked_ns,
    )  # fmt: skip
