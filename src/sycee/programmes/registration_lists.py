"""Lists of registrations: their keys, their entries as values, and the deadlines that services share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import sqlalchemy
from sqlalchemy.engine import Connection, Row

from sycee.core import documents, ids
from sycee.core.arrays import Array
from sycee.core.clock import read_ns
from sycee.core.errors import NotFound, UsageError
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write
from sycee.personal.keys import PersonalKeys
from sycee.programmes import states
from sycee.programmes.definition import Programme
from sycee.programmes.duplicates import BY_DOCUMENT, BY_PHONE
from sycee.programmes.registration_store import ENTRY, KeptVault, ListRow, Vault, list_in
from sycee.programmes.registration_tables import (
    CHECKED,
    DUPLICATE,
    ENTRIES,
    HOLDERS,
    LAPSED,
    LISTS,
    LIVE,
    PARTS,
    REGISTERED,
)
from sycee.programmes.stored import Occurrence, StoredProgramme, occurrence_in, programme_in

# The jobs of a list.
LAPSE: Final = "registration.lapse"
SCREEN: Final = "registration.screen"
SHRED: Final = "registration.shred"

# Reasons of entries that lapsed.
NOT_CHECKED: Final = "not-checked"
NO_CODE: Final = "no-code"
WRONG_CODES: Final = "wrong-codes"
NO_ANSWER: Final = "no-answer"
# Reasons of duplicates, by the shared keys.
SHARED: Final = {
    BY_DOCUMENT: "same-document",
    BY_PHONE: "same-phone",
    BY_DOCUMENT | BY_PHONE: "same-document-and-phone",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One registration without its identity. Numbers are from 0 in the list.

    - `state`: of `ENTRY_STATES`, or `duplicate`. `reason`: why it is a duplicate, excluded or lapsed; "" otherwise.
    - `accepted`, `through`: of a duplicate, the accepted entry of the same person, and the entry that connects the two.
    - `due_ns`: when it lapses without its next step; None if no step is missing.
    """

    entry: int
    state: str
    reason: str
    bank: int
    stratum: int
    registered_ns: int
    checked_ns: int | None
    confirmed_ns: int | None
    due_ns: int | None
    accepted: int | None
    through: int | None


@dataclass(frozen=True, slots=True)
class Found:
    """An occurrence with its programme and, once somebody registered, its list."""

    stored: StoredProgramme
    occurrence: Occurrence
    row: ListRow | None

    @property
    def definition(self) -> Programme:
        """Return the programme with the moments of this occurrence."""
        return self.stored.definition.on(date.fromisoformat(self.occurrence.date))

    @property
    def list(self) -> ListRow:
        """Return the list. Raises UsageError before the first registration."""
        if self.row is None:
            definition = self.definition
            until = documents.shown_moment(definition.registration.until_ns, definition.zone)
            raise UsageError(
                f"nobody has registered for {self.occurrence.title}",
                hint=f"`sycee drop register` registers a person, until {until}",
            )
        return self.row

    def require_registering(self) -> None:
        """Raise UsageError unless the occurrence is in registration: only then may its list change."""
        if self.occurrence.state != states.REGISTRATION:
            raise UsageError(
                f"{self.occurrence.title} is {self.occurrence.state}: its list does not change now",
                hint=f"the next step: {states.NEXT_STEPS[self.occurrence.state]}",
            )

    def require_changeable(self) -> None:
        """Raise UsageError once the terms are proposed, whose signers sign who has a packet."""
        state, proposal = self.occurrence.state, self.occurrence.proposal
        if state in (states.REGISTRATION, states.FROZEN) or (state == states.DRAWN and proposal is None):
            return
        hint = "a winner who does not want a packet does not claim it; it returns to the funder"
        if state == states.DRAWN:
            hint = "`sycee proposal withdraw` ends the proposal of the terms; then it can change"
        raise UsageError(f"the packets of {self.occurrence.title} are assigned: its entries do not change", hint=hint)

    def require_removable(self) -> None:
        """Raise UsageError if an entry cannot lose its place: without a draw, nobody follows it after the freeze."""
        self.require_changeable()
        if self.occurrence.state != states.REGISTRATION and not self.definition.draw.is_drawn:
            raise UsageError(
                f"the list of {self.occurrence.title} is frozen, and nobody follows an entry of it",
                hint="a person who does not want a packet does not claim it; it returns to the funder",
            )

    def require_readable(self) -> None:
        """Raise UsageError after the shredding."""
        if self.list.shredded_ns is not None:
            raise UsageError(
                f"{self.list.title} were shredded",
                hint="the published list and its winners stay; nothing can restore documents, phones and salts",
            )


class Lists:
    """The lists of a bank."""

    def __init__(self, stores: Stores, keys: PersonalKeys) -> None:
        self.stores = stores
        self.keys = keys

    def now_ns(self) -> int:
        """Return the time of the bank's clock."""
        return read_ns(self.stores.clock)

    def find(self, programme: str, occurrence: int) -> Found:
        """Return an occurrence and its list. Raises NotFound for an unknown occurrence."""
        with reading(self.stores.engine) as connection:
            return self.found_in(connection, programme, occurrence)

    @staticmethod
    def found_in(connection: Connection, programme: str, occurrence: int) -> Found:
        """Return an occurrence and its list as a transaction sees them."""
        stored, found = programme_in(connection, programme), occurrence_in(connection, programme, occurrence)
        return Found(stored, found, list_in(connection, programme, occurrence))

    def ensure(self, programme: str, occurrence: int) -> Found:
        """Return an occurrence with a list, which is made before its first registration.

        Raises UsageError unless the occurrence is in registration, UnavailableError if the backup of the key file is
        not reachable.
        """
        found = self.find(programme, occurrence)
        found.require_registering()
        if found.row is not None:
            return found
        secret, kept = (ids.new(self.now_ns() // 1_000_000) for _ in range(2))
        self.keys.create([secret, kept])  # before the row: a secret without a list is harmless

        def store(connection: Connection) -> None:
            if list_in(connection, programme, occurrence) is None:
                row = {"programme": programme, "occurrence": occurrence, "secret": secret, "kept_secret": kept}
                connection.execute(LISTS.insert().values(**row, following=0, indexed=0))

        write(self.stores.engine, store)
        return self.find(programme, occurrence)

    def vault(self, row: ListRow) -> Vault:
        """Return the vault of a list. Raises UnavailableError after the shredding."""
        return Vault(row, self.keys.key_of(row.secret))

    def kept_vault(self, row: ListRow) -> KeptVault:
        """Return the vault of the persons with a packet."""
        return KeptVault(row, self.keys.key_of(row.kept_secret))

    def held(self, programme: str) -> Array:
        """Return the entries of everyone who has a packet of a programme, of all its occurrences: (n,) ENTRY."""
        found = [np.zeros(0, ENTRY)]
        with reading(self.stores.engine) as connection:
            rows = connection.execute(sqlalchemy.select(LISTS).where(LISTS.c.programme == programme)).all()
            for row in (ListRow(**each._mapping) for each in rows):
                query = sqlalchemy.select(HOLDERS.c.entry, HOLDERS.c.sealed).where(HOLDERS.c.list == row.list)
                held = connection.execute(query).all()
                vault = self.kept_vault(row) if held else None
                found += [vault.unseal(each.entry, each.sealed) for each in held if vault is not None]
        return np.concatenate(found)

    def lapse(self, connection: Connection, row: ListRow) -> int:
        """Let the entries lapse whose next step is due, in the caller's transaction; return their number."""
        now_ns = self.now_ns()
        lapsed = 0
        for state, reason in ((REGISTERED, NOT_CHECKED), (CHECKED, NO_CODE)):
            due = (
                (ENTRIES.c.list == row.list)
                & (ENTRIES.c.due_ns > 0)
                & (ENTRIES.c.due_ns <= now_ns)
                & (ENTRIES.c.state == state)
            )
            values = {"state": LAPSED, "reason": reason, "earlier": state, "due_ns": 0}
            lapsed += connection.execute(ENTRIES.update().where(due).values(values)).rowcount
        return lapsed

    @staticmethod
    def entry_in(connection: Connection, row: ListRow, entry: int) -> Row[tuple[object, ...]]:
        """Return the row of an entry. Raises NotFound for an unknown number."""
        chosen = (ENTRIES.c.list == row.list) & (ENTRIES.c.entry == entry)
        found = connection.execute(sqlalchemy.select(ENTRIES).where(chosen)).one_or_none()
        if found is None:
            raise NotFound(f"{row.title} have no entry {entry}", hint="the receipt has the number of the entry")
        return found

    @staticmethod
    def registered_by(connection: Connection, row: ListRow, entry: int) -> int | None:
        """Return the person who registered an entry; None after the shredding."""
        chosen = (PARTS.c.list == row.list) & (PARTS.c.first <= entry)
        query = sqlalchemy.select(PARTS.c.who).where(chosen).order_by(PARTS.c.first.desc()).limit(1)
        return connection.scalar(query)

    @staticmethod
    def change(connection: Connection, row: ListRow, entry: int, **values: object) -> None:
        """Write columns of an entry."""
        chosen = (ENTRIES.c.list == row.list) & (ENTRIES.c.entry == entry)
        connection.execute(ENTRIES.update().where(chosen).values(values))


def entry_of(row: Row[tuple[object, ...]]) -> Entry:
    """Return a row as a value."""
    is_duplicate = row.accepted is not None and row.state in LIVE
    return Entry(
        entry=row.entry,
        state=DUPLICATE if is_duplicate else row.state,
        reason=SHARED[row.shared] if is_duplicate else row.reason,
        bank=row.bank,
        stratum=row.stratum,
        registered_ns=row.registered_ns,
        checked_ns=row.checked_ns or None,
        confirmed_ns=row.confirmed_ns or None,
        due_ns=row.due_ns or None,
        accepted=row.accepted if is_duplicate else None,
        through=row.through if is_duplicate else None,
    )
