"""Parties of the tests of authentication: a client that signs its own assertions and proofs, and a clock."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from joserfc.jwk import ECKey, OKPKey
from tests.identity.world import ANN, NORTH, World, small_world, world
from tests.server.auth.phones import told

from sycee.core import ids
from sycee.core.clock import SimulatedClock
from sycee.core.keys import ED25519, P256, Y_ODD, PublicKey
from sycee.database.migrations import upgrade
from sycee.server.auth import jwks
from sycee.server.auth.clients import Client, Clients
from sycee.server.auth.dpop import Proofs, token_hash
from sycee.server.auth.tokens import ASSERTION_TYPE, Tokens
from sycee.server.tables import SCHEMA

ISSUER: Final = "https://bank.example"
TOKEN_URL: Final = f"{ISSUER}/oauth/token"
URL: Final = f"{ISSUER}/v1/wallets"
START_S: Final = 1_793_580_000
ADDRESS: Final = "192.0.2.1"
_NUMBERS: Final = itertools.count()


def public_of(key: jwks.Key) -> PublicKey:
    """Return the public key as the register stores it."""
    raw = key.public_key
    if isinstance(raw, ed25519.Ed25519PublicKey):
        return PublicKey(ED25519, raw.public_bytes_raw())
    assert isinstance(raw, ec.EllipticCurvePublicKey)
    point = raw.public_numbers()
    return PublicKey(P256 | Y_ODD if point.y & 1 else P256, point.x.to_bytes(32, "big"))


def new_key(algorithm: str) -> jwks.Key:
    """Return a new private key for an algorithm."""
    return ECKey.generate_key("P-256") if algorithm == "ES256" else OKPKey.generate_key("Ed25519")


@dataclass
class Machine:
    """A client's program: its id, its key, and the clock that it reads."""

    client: str
    key: jwks.Key
    clock: SimulatedClock
    algorithm: str = "ES256"
    issuer: str = ISSUER
    headers: dict[str, Any] = field(default_factory=dict)

    def now_s(self) -> int:
        return self.clock.now_ns() // 10**9

    def assertion(self, **changes: Any) -> str:
        claims = {
            "iss": self.client,
            "sub": self.client,
            "aud": f"{self.issuer}/oauth/token",
            "iat": self.now_s(),
            "exp": self.now_s() + 60,
            "jti": f"assertion-{next(_NUMBERS)}",
        }
        return jwks.encode({"alg": self.algorithm, "typ": "JWT"}, merged(claims, changes), self.key)

    def proof(self, *, method: str = "POST", url: str = "", token: str = "", **changes: Any) -> str:
        claims = {
            "htm": method,
            "htu": url or f"{self.issuer}/oauth/token",
            "iat": self.now_s(),
            "jti": f"proof-{next(_NUMBERS)}",
        }
        if token:
            claims["ath"] = token_hash(token)
        header = {"typ": "dpop+jwt", "alg": self.algorithm, "jwk": self.key.as_dict(private=False)}
        return jwks.encode(merged(header, self.headers), merged(claims, changes), self.key)

    def form(self, **changes: Any) -> dict[str, str]:
        fields = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.assertion(),
        }
        return merged(fields, changes)


def merged(first: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a dictionary with changes; None removes a member."""
    return {name: value for name, value in {**first, **changes}.items() if value is not None}


@dataclass
class Office:
    """The register of clients and the tokens of a server, on a world of identity."""

    bank: World
    clock: SimulatedClock
    clients: Clients
    proofs: Proofs
    tokens: Tokens

    def machine(
        self, algorithm: str = "ES256", *, person: int = NORTH, operator: int | None = 2, **others: Any
    ) -> Machine:
        key = new_key(algorithm)
        client = self.register(key, person=person, operator=operator, **others)
        return Machine(ids.format(client.id), key, self.clock, algorithm)

    def register(
        self, key: jwks.Key, *, person: int = NORTH, operator: int | None = 2, by: int = ANN, **others: Any
    ) -> Client:
        return self.clients.register(person, public_of(key), by=by, name="cash desk", operator=operator, **others)

    def token(self, machine: Machine, **changes: Any) -> str:
        answer = self.tokens.issue(machine.form(**changes), machine.proof())
        return str(answer["access_token"])

    def advance(self, seconds: int) -> None:
        self.clock.advance(seconds * 10**9)


@contextmanager
def office(folder: Path, where: str = "", *, nonce: bool = False) -> Iterator[Office]:
    """Yield an office on a new world."""
    with world(folder, where) if where else small_world(folder) as bank:
        upgrade(bank.engine, SCHEMA)
        clock = SimulatedClock(START_S * 10**9)
        clients = Clients(bank.stores, bank.people, told(bank, clock), clock)
        proofs = Proofs(clock, nonce_required=nonce)
        yield Office(bank, clock, clients, proofs, Tokens(clients, proofs, ISSUER, clock))
