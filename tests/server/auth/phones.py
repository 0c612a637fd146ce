"""What arrives at the phones of persons: at once in a world without a register of persons, or in a bank's folder."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from sqlalchemy.engine import Connection
from tests.identity.world import World

from sycee.bank.bank import Bank
from sycee.bank.phone_messages import Delivery, OutboxFolder
from sycee.core.clock import Clock
from sycee.identity.people import People
from sycee.life.notices import Addressed
from sycee.server.auth.invitations import Issued
from sycee.server.auth.places import Places
from sycee.server.auth.told import Told

HASH_KEY = bytes(32)


@dataclass
class Phones:
    """Messages that arrive at once. `without`: persons who have no phone."""

    are_delivered: bool = True
    without: set[int] = field(default_factory=set)
    arrived: list[tuple[int, str, str]] = field(default_factory=list)  # person, text, secret

    def addressed(self, person: int, text: str, *, secret: str = "", until_ns: int = 0) -> Addressed | None:
        return None if person in self.without else Addressed(person, text, b"", secret.encode() or None, until_ns)

    def send(self, connection: Connection, id: int, message: Addressed) -> None:
        self.arrived.append((message.person, message.text, (message.secret_sealed or b"").decode()))

    def code(self, issued: Issued) -> str:
        """The whole code of the newest invitation, as its person puts it together."""
        secret = next(secret for person, _, secret in reversed(self.arrived) if secret)
        return f"{issued.first}-{secret}"


def told(bank: World, clock: Clock, phones: Phones | None = None) -> Told:
    """Notices to phones that are all there."""
    return Told(bank.engine, clock, phones or Phones())


def places(bank: World, people: People, clock: Clock) -> Places:
    """Places of logins under a fixed key."""
    return Places(bank.engine, people, clock, HASH_KEY)


def newest_secret(bank: Bank) -> str:
    """The newest secret that was delivered to the folder of a bank: the second half of a code."""
    folder = bank.config.path("message_folder")
    Delivery(bank, OutboxFolder(folder)).notices()
    messages = [json.loads(each.read_text()) for each in sorted(folder.glob("*.json"))]
    return str([each["secret"] for each in messages if "secret" in each][-1])
