"""Drafts of programmes, and reading of what is stored: the first part of the service `Programmes`."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import read_ns
from sycee.core.errors import NotFound, UsageError
from sycee.core.records.layout import AccountKind
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write
from sycee.identity import tables as identity
from sycee.identity.institutions import Institutions
from sycee.identity.people import People
from sycee.identity.proposals import Proposals
from sycee.issuance.registry import Registry
from sycee.programmes import states
from sycee.programmes.definition import Programme
from sycee.programmes.occurrence_ids import OccurrenceIds
from sycee.programmes.registered import Registered
from sycee.programmes.repeating import follows
from sycee.programmes.stored import (
    Occurrence,
    StoredProgramme,
    change_state,
    defined,
    new_occurrence,
    occurrence_in,
    occurrences_in,
    programme_in,
    programmes_in,
    record_programme_event,
)
from sycee.programmes.tables import OCCURRENCES, OPERATORS, PROGRAMMES
from sycee.sequencer.signer import Signer
from sycee.wallets.directory import Directory

DRAFT: Final = "programme.draft"


class Drafts:
    """Stores files as drafts.

    - `folder`: of the published files, one folder for each occurrence.
    - `technical`: returns the signers of operator 0, whose key the machine has.
    - `exposure_max_minor`: of the unspent packets and vouchers of all programmes together, 0 for no maximum.
    """

    def __init__(
        self, stores: Stores, people: People, institutions: Institutions, proposals: Proposals, registry: Registry,
        directory: Directory, *, folder: Path, technical: Callable[[], Sequence[Signer]], exposure_max_minor: int = 0,
    ) -> None:  # fmt: skip
        self._stores = stores
        self._people = people
        self._institutions = institutions
        self._proposals = proposals
        self._registry = registry
        self._directory = directory
        self._technical = technical
        self._draw_files_lock = threading.Lock()  # of the files of draws
        self._members: dict[int, tuple[Array, Array, Array]] = {}  # by programme on the ledger: see `Dropping`
        self.folder = folder
        self.exposure_max_minor = exposure_max_minor
        self.unspent_vouchers: Callable[[], int] = lambda: 0  # of groups of vouchers, which are made after it
        self.registered: Registered | None = None  # the registrations of this bank, which are made after it

    # --- drafts, and reading ---

    def draft(
        self, text: str, *, funder: int, maker: int, operators: Mapping[str, int] | None = None
    ) -> StoredProgramme:
        """Store a programme's file, or replace it before it runs, and return it. The same file again changes nothing.

        - `funder`: the account that pays, of the kind FUNDER.
        - `operators`: the number of each operator that the file names; without it an operator is found by its title or
          its name.

        Raises DocumentError for an impossible file; UsageError for another currency, an account that is no funder's, an
        operator that is not active, and a programme of this name that runs already.
        """
        found = defined("the file", text)
        operator = self._check_funder(found, funder)
        self._people.require(maker, DRAFT, operator=operator)
        numbers = self._numbers_of(found, operators or {})
        now_ns = read_ns(self._stores.clock)
        digest = hashlib.sha256(text.encode()).hexdigest()
        row = {
            "name": found.name, "text": text, "digest": digest, "maker": maker, "funder": funder, "operator": operator,
            "state": states.DRAFT, "halt_reason": "", "made_ns": now_ns, "changed_ns": now_ns,
        }  # fmt: skip

        def store(connection: Connection) -> None:
            chosen = sqlalchemy.select(PROGRAMMES).where(PROGRAMMES.c.name == found.name)
            earlier = connection.execute(chosen).one_or_none()
            if earlier is not None:
                programme = programme_in(connection, found.name)
                if (programme.digest, programme.funder, programme.operators) == (digest, funder, numbers):
                    return
                if programme.state != states.DRAFT:
                    raise UsageError(
                        f"the programme {found.name} is {programme.state}, with another file",
                        hint="a file is replaced only before its registration opens; give a new programme a new name",
                    )
                connection.execute(PROGRAMMES.delete().where(PROGRAMMES.c.name == found.name))
                connection.execute(OPERATORS.delete().where(OPERATORS.c.programme == found.name))
                connection.execute(OCCURRENCES.delete().where(OCCURRENCES.c.programme == found.name))
            connection.execute(PROGRAMMES.insert().values(row))
            connection.execute(
                OPERATORS.insert(),
                [{"programme": found.name, "name": name, "operator": number} for name, number in numbers.items()],
            )
            connection.execute(OCCURRENCES.insert().values(new_occurrence(found, 0, _first_day(found), now_ns)))
            kind = states.EVENTS[states.DRAFT]
            record_programme_event(connection, self._stores.clock, kind, found.name, 0, {})

        write(self._stores.engine, store)
        return self.get(found.name)

    def get(self, name: str) -> StoredProgramme:
        """Return a programme. Raises NotFound if there is none."""
        with reading(self._stores.engine) as connection:
            return programme_in(connection, name)

    def list(self, *, after: str = "", most: int | None = None) -> list[StoredProgramme]:
        """Return the programmes whose names follow `after`, by name; at most `most`."""
        with reading(self._stores.engine) as connection:
            return programmes_in(connection, after=after, most=most)

    def occurrence(self, name: str, occurrence: int = 0) -> Occurrence:
        """Return an occurrence. Raises NotFound if there is none."""
        with reading(self._stores.engine) as connection:
            return occurrence_in(connection, name, occurrence)

    def occurrences(self, name: str) -> tuple[Occurrence, ...]:
        """Return the occurrences of a programme, by number. Raises NotFound if there is no such programme."""
        with reading(self._stores.engine) as connection:
            programme_in(connection, name)
            return tuple(occurrences_in(connection, name))

    def files_of(self, occurrence: Occurrence) -> Path:
        """Return the folder with the published files of an occurrence; it exists from the freeze on."""
        return self.folder / occurrence.programme / occurrence.date

    def ids_of(self, occurrence: Occurrence) -> OccurrenceIds:
        """Return the ids of the operations of an occurrence."""
        return OccurrenceIds(self._stores.ledger.ledger_id, occurrence.programme, occurrence.date)

    def _programme_and_occurrence(self, name: str, occurrence: int) -> tuple[StoredProgramme, Occurrence]:
        """Return a programme and one of its occurrences. Raises NotFound if there is none."""
        with reading(self._stores.engine) as connection:
            return programme_in(connection, name), occurrence_in(connection, name, occurrence)

    def _change(
        self, occurrence: Occurrence, state: str, data: Mapping[str, Any],
        check: Callable[[Connection, Occurrence], None] | None = None, **values: Any,
    ) -> Occurrence:  # fmt: skip
        """Change the state of an occurrence in a separate transaction, and return it.

        `check` runs in the transaction and raises an error to prevent the change. Raises UsageError if the stored state
        does not permit the new one. An occurrence that already has the new state is not changed.
        """

        def change(connection: Connection) -> Occurrence:
            latest = occurrence_in(connection, occurrence.programme, occurrence.occurrence)
            if latest.state != state:
                if check is not None:
                    check(connection, latest)
                states.require_change(latest.title, latest.state, state)
                change_state(connection, self._stores.clock, latest, state, data, **values)
                if state in states.FINISHED:
                    self._finish(connection, programme_in(connection, occurrence.programme), state)
            return occurrence_in(connection, occurrence.programme, occurrence.occurrence)

        return write(self._stores.engine, change)

    def _finish(self, connection: Connection, programme: StoredProgramme, state: str) -> None:
        """Give a programme its last state if all of its occurrences ended, and none follows."""
        found = occurrences_in(connection, programme.name)
        if all(each.state in states.FINISHED for each in found) and not follows(connection, self._stores, programme):
            values = {"state": state, "changed_ns": read_ns(self._stores.clock)}
            connection.execute(PROGRAMMES.update().where(PROGRAMMES.c.name == programme.name).values(values))

    # --- checks ---

    def _check_funder(self, found: Programme, funder: int) -> int:
        """Return the operator of a funder's account. Raises UsageError for another account or currency."""
        with self._stores.ledger.sequencer.reading() as state:
            account = state.account(funder)
        if account is None:
            raise NotFound(f"there is no account {ids.format(funder)}", hint="open a funder's account first")
        if account.kind is not AccountKind.FUNDER:
            raise UsageError(
                f"{ids.format(funder)} is a {account.kind.name} account, not a funder's",
                hint="`sycee drop funder` opens an account that pays programmes",
            )
        if account.currency != found.currency.numeric or account.currency != self._registry.issuer.currency:
            raise UsageError(
                f"the programme is in {found.currency.code}, and this bank's money is another currency",
                hint="write the file in the currency of the bank",
            )
        return account.operator

    def _numbers_of(self, found: Programme, given: Mapping[str, int]) -> dict[str, int]:
        """Return the number of each operator of a programme. Raises UsageError for one that is not active."""
        names = {each.name for each in found.operators}
        if unknown := sorted(set(given) - names):
            raise UsageError(f"the file names no operator {unknown[0]!r}", hint=f"it names {', '.join(sorted(names))}")
        numbers = {}
        for each in found.operators:
            number = given.get(each.name)
            if number is None:
                number = self._number_of_name(each.title, each.name)
            numbers[each.name] = self._registry.require_active(number).number
        return numbers

    def _number_of_name(self, *names: str) -> int:
        for each in self._institutions.list(identity.OPERATOR):
            if each.name in names and each.operator is not None:
                return each.operator
        raise UsageError(
            f"no operator of this bank is named {' or '.join(repr(name) for name in names)}",
            hint="name its number: --operator NAME=NUMBER",
        )


def _first_day(found: Programme) -> str:
    """Return the local day on which registration opens."""
    return datetime.fromtimestamp(found.registration.from_ns // 10**9, UTC).astimezone(found.zone).date().isoformat()
