"""A served town in which every duty has a person, and a client for each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from tests.bank.world import ANN, BOB, DAY_NS, NORTH, SOUTH, START_NS, WITNESS, Copies
from tests.server.world import logged_in, new_id, sent_after_a_crash, served
from tests.wallets import world
from tests.wallets.world import LEO_KEY, MIA_KEY, Town

from sycee.bank.bank import Bank
from sycee.core.keys import SigningKey
from sycee.core.records import proposal_format
from sycee.core.records.proposal_format import Proposal
from sycee.identity.duties import Duty

CURRENCY = 156  # of the currency-officer
UNTIL_NS = START_NS + 365 * DAY_NS
STAFF: dict[Duty, SigningKey] = {
    duty: SigningKey.derive(bytes([number]) * 32)
    for number, duty in enumerate(
        (
            Duty.CLERK, Duty.MERCHANT, Duty.COMPLIANCE, Duty.PRIVACY, Duty.CASEWORKER, Duty.CLOSER,
            Duty.COUNTERSIGNER, Duty.AUDITOR, Duty.CURRENCY_OFFICER,
        ),
        101,
    )
}  # fmt: skip
# All roles send from one address.
NO_LIMITS = dict.fromkeys(
    ("http_requests_per_minute", "http_payments_per_minute", "http_failures_per_minute"), "100000000"
)
# The roles that the table of operations has, by name.
ROLES = (
    "anonymous", "citizen", "merchant", "clerk", "operator", "other bank", "officer", "currency-officer", "compliance",
    "privacy", "caseworker", "closer", "countersigner", "auditor", "witness",
)  # fmt: skip
KEYS: dict[str, SigningKey] = {
    "operator": NORTH,
    "other bank": SOUTH,
    "officer": ANN,
    "witness": WITNESS,
    **{duty.value: key for duty, key in STAFF.items()},
}


@dataclass
class Office:
    """The open bank of the town, and the clients of its persons."""

    town: Town
    address: str
    nobody: httpx.Client
    stack: ExitStack
    clients: dict[int, httpx.Client] = field(default_factory=dict)

    @property
    def bank(self) -> Bank:
        return self.town.bank

    def person(self, role: str) -> int:
        """The person of a role; 0 for "anonymous"."""
        if role == "anonymous":
            return 0
        if role == "citizen":
            return self.town.holder(self.town.leo)
        return self.bank.people.person_of_key(KEYS[role].public)

    def of(self, role: str) -> httpx.Client:
        """The client of a role."""
        return self.client(self.person(role))

    def of_key(self, key: SigningKey) -> httpx.Client:
        """The client of the person with a key."""
        return self.client(self.bank.people.person_of_key(key.public))

    def client(self, person: int) -> httpx.Client:
        """The client of a person; 0: without a login."""
        if not person:
            return self.nobody
        if person not in self.clients:
            self.clients[person] = self.stack.enter_context(logged_in(self.bank, self.address, person))
        return self.clients[person]

    def post(self, role: str, path: str, **members: object) -> httpx.Response:
        """Send an action under a fresh id."""
        return self.of(role).post(f"/v1/{path}", json={"id": new_id(), **members})

    def done(self, role: str, path: str, **members: object) -> dict[str, Any]:
        """Send an action that succeeds, and return its answer."""
        answer = self.post(role, path, **members)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def repeated(self, role: str, path: str, **members: object) -> dict[str, Any]:
        """Send an action that succeeds, whose answer a crash loses, and return the answer to the same request."""
        body = {"id": new_id(), **members}
        made: dict[str, Any] = sent_after_a_crash(lambda: self.of(role).post(f"/v1/{path}", json=body)).json()
        return made

    def sign(self, proposal: str, *keys: SigningKey) -> dict[str, Any]:
        """Sign a proposal with keys, as their persons would: from what the server shows, checked against its digest."""
        for key in keys:
            client = self.of_key(key)
            shown = client.get(f"/v1/proposals/{proposal}").json()
            found = Proposal.parse(json.dumps(shown["document"]))
            assert found.digest.hex() == shown["digest"]
            made = proposal_format.sign(found, self.bank.people.person_of_key(key.public), key)
            answer = client.post(f"/v1/proposals/{proposal}/signatures", json=json.loads(made.text()))
            assert answer.status_code == 201, answer.text
        done: dict[str, Any] = answer.json()
        return done


def staff(bank: Bank) -> None:
    """Let South Bank join, and appoint a person to each duty."""
    world.join(bank, "South Bank", SOUTH)
    north = bank.institutions.of_operator(2)
    assert north is not None
    tea = bank.institutions.find("merchant", world.TEA)
    of = {Duty.CLERK: north.id, Duty.MERCHANT: tea.id}
    for duty, key in STAFF.items():
        made = bank.appointments.appoint(
            duty, key.public, until_ns=UNTIL_NS, maker=world.person(bank, ANN), institution=of.get(duty, 0),
            currency=CURRENCY if duty is Duty.CURRENCY_OFFICER else 0,
        )  # fmt: skip
        assert bank.proposals.sign(made.id, ANN, BOB).needs == (), duty


@cache
def staffed() -> Copies:
    """A closed copy of the town with its staff."""
    return world.further("", world.world.temporary_folder(), staff)


@contextmanager
def office(folder: Path, **settings: str) -> Iterator[Office]:
    """A fresh office in `folder`, with a server, under further settings."""
    options = {**staffed().copy(folder), **NO_LIMITS, "message_folder": str(folder / "outbox"), **settings}
    with Bank.open(folder / "bank", options=options) as bank, served(bank) as address, ExitStack() as stack:
        headers = {"Origin": bank.config.text("http_origin"), "Sec-Fetch-Site": "same-origin"}
        nobody = stack.enter_context(httpx.Client(base_url=address, headers=headers))
        yield Office(world.town(bank), address, nobody, stack)


__all__ = ["ANN", "BOB", "KEYS", "LEO_KEY", "MIA_KEY", "NORTH", "ROLES", "SOUTH", "STAFF", "Office", "office"]
