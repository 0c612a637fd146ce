"""The registers of access to a bank: programs, invitations, recoveries. The server and the command line share them."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from sycee.bank.bank import Bank
from sycee.core.clock import Clock, RealClock
from sycee.life.notices import Addressed
from sycee.server.auth.clients import Clients
from sycee.server.auth.invitations import Invitations
from sycee.server.auth.places import Places
from sycee.server.auth.recoveries import Recoveries
from sycee.server.auth.settings import AuthSettings
from sycee.server.auth.told import Told


class Registers:
    """Programs, invitations, recoveries, notices and places of logins of a bank.

    `settings`: None for those of the bank. `clock`: None for the machine's.
    """

    def __init__(self, bank: Bank, settings: AuthSettings | None = None, clock: Clock | None = None) -> None:
        settings, clock = settings or AuthSettings.of(bank.config), clock or RealClock()
        stores, people = bank.stores, bank.people
        self.told = Told(stores.engine, clock, BankMessages(bank))
        self.clients = Clients(stores, people, self.told, clock)
        self.invitations = Invitations(stores, people, bank.directory, self.told, clock, masked_ns=settings.masked_ns)
        self.recoveries = Recoveries(people, bank.directory, bank.proposals, self.told, waiting_ns=settings.recovery_ns)
        self.places = Places(stores.engine, people, clock, bank.personal_keys.hash_key)


class BankMessages:
    """The messages of a bank to the phones of its persons."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank

    @property
    def are_delivered(self) -> bool:
        """Whether the settings name a delivery."""
        return self._bank.delivers_messages

    def addressed(self, person: int, text: str, *, secret: str = "", until_ns: int = 0) -> Addressed | None:
        """Return a message, sealed for its person; None without a phone."""
        return self._bank.life.addressed(person, text, secret=secret, until_ns=until_ns)

    def send(self, connection: Connection, id: int, message: Addressed) -> None:
        """Store a message in the caller's transaction."""
        self._bank.life.outbox.send(connection, id, message)
