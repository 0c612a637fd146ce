"""Appeals before the freeze: of a duplicate, and of an entry that was excluded or lapsed.

Families share phones, and a late check is no fault of the registrant. The staff of an operator files an appeal. One
caseworker decides, who neither registered the entry nor filed the appeal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import sqlalchemy
from sqlalchemy.engine import Connection, Row

from sycee.core import ids
from sycee.core.errors import NotFound, UsageError
from sycee.database.transactions import reading, write
from sycee.identity.people import People
from sycee.programmes.registration_lists import Entry, Found, Lists, entry_of
from sycee.programmes.registration_tables import (
    ALLOWED,
    APPEALS,
    CHECKED,
    DUPLICATE,
    EXCLUDED,
    LAPSED,
    LISTS,
    OPEN,
    REFUSED,
    REGISTERED,
)

APPEAL: Final = "programme.appeal"
DECIDE: Final = "programme.decide"
TEXT_CHARACTERS_MAX: Final = 2_000
ARGUABLE: Final = (DUPLICATE, EXCLUDED, LAPSED)

_PLACE: Final = "appeal"
_ANSWER_PLACE: Final = "answer to appeal"


@dataclass(frozen=True, slots=True)
class Appeal:
    """An appeal without its texts. `against`: state and reason that it is about."""

    id: int
    programme: str
    occurrence: int
    entry: int
    against: str
    state: str
    who: int
    at_ns: int
    decided_by: int | None
    decided_ns: int | None


class Appeals:
    """The appeals of registrants."""

    def __init__(self, lists: Lists, people: People) -> None:
        self._lists, self._people = lists, people
        self._stores = lists.stores

    def file(self, programme: str, occurrence: int, entry: int, text: str, *, who: int, id: int = 0) -> Appeal:
        """File the appeal of a registrant, and return it. `id`: the same id again returns the same appeal.

        Raises UsageError without the duty, after the freeze, for an entry that participates or has an open appeal, and
        for a text of more than TEXT_CHARACTERS_MAX characters.
        """
        self._people.require(who, APPEAL)
        if not 0 < len(text.strip()) <= TEXT_CHARACTERS_MAX:
            raise UsageError(f"an appeal has 1 to {TEXT_CHARACTERS_MAX:,} characters; got {len(text.strip()):,}")
        found = self._lists.find(programme, occurrence)
        sealed = self._lists.vault(found.list).seal_text(_PLACE, text.strip())
        number, now_ns = id or ids.new(self._lists.now_ns() // 1_000_000), self._lists.now_ns()

        def work(connection: Connection) -> Appeal:
            current = self._lists.found_in(connection, programme, occurrence)
            stored = connection.execute(sqlalchemy.select(APPEALS).where(APPEALS.c.id == number)).one_or_none()
            if stored is not None:
                if (stored.list, stored.entry) != (current.list.list, entry):
                    raise UsageError(f"the id {ids.format(number)} is of another appeal", hint="choose a fresh id")
                return _appeal(stored, current)
            current.require_registering()
            self._lists.lapse(connection, current.list)
            about = entry_of(self._lists.entry_in(connection, current.list, entry))
            if about.state not in ARGUABLE:
                raise UsageError(
                    f"entry {entry} is {about.state}: there is nothing to appeal against",
                    hint=f"an appeal is about an entry that is {', '.join(ARGUABLE)}",
                )
            chosen = (APPEALS.c.list == current.list.list) & (APPEALS.c.entry == entry) & (APPEALS.c.state == OPEN)
            if connection.execute(sqlalchemy.select(APPEALS.c.id).where(chosen)).first() is not None:
                raise UsageError(f"entry {entry} has an open appeal", hint="wait for its decision")
            row = {
                "id": number, "list": current.list.list, "entry": entry, "against": f"{about.state}: {about.reason}",
                "sealed": sealed, "who": who, "at_ns": now_ns, "state": OPEN,
            }  # fmt: skip
            connection.execute(APPEALS.insert().values(row))
            return _appeal(self._row(connection, number), current)

        return write(self._stores.engine, work)

    def decide(self, appeal: int, *, is_allowed: bool, answer: str, who: int) -> Entry:
        """Decide an appeal; return the entry. The same decision by the same person again changes nothing.

        An allowed appeal of a duplicate ends the shared keys for this entry: it participates besides the other person.
        An entry that was excluded or lapsed continues where it stopped, with a new deadline and a new code. Raises
        UsageError without the duty, for the person who registered the entry or filed the appeal, for a decided appeal,
        and after the freeze.
        """
        self._people.require(who, DECIDE)
        if not 0 < len(answer.strip()) <= TEXT_CHARACTERS_MAX:
            raise UsageError(f"an answer has 1 to {TEXT_CHARACTERS_MAX:,} characters; got {len(answer.strip()):,}")
        with reading(self._stores.engine) as connection:
            found = self._found(connection, self._row(connection, appeal).list)
        sealed = self._lists.vault(found.list).seal_text(_ANSWER_PLACE, answer.strip())
        wanted, now_ns = ALLOWED if is_allowed else REFUSED, self._lists.now_ns()

        def work(connection: Connection) -> Entry:
            stored = self._row(connection, appeal)
            current = self._found(connection, stored.list)
            if stored.state == OPEN:
                current.require_registering()
                self._require_other_person(connection, current, stored, who)
                values = {"state": wanted, "answer": sealed, "decided_by": who, "decided_ns": now_ns}
                connection.execute(APPEALS.update().where(APPEALS.c.id == appeal).values(values))
                if is_allowed:
                    self._restore(connection, current, stored.entry)
            elif (stored.state, stored.decided_by) != (wanted, who):
                raise UsageError(f"the appeal was {stored.state} before", hint="file another appeal to decide again")
            return entry_of(self._lists.entry_in(connection, current.list, stored.entry))

        return write(self._stores.engine, work)

    def list(self, programme: str, occurrence: int = 0, *, state: str = "") -> list[Appeal]:
        """Return the appeals of an occurrence, in a state or in any, oldest first, without their texts."""
        with reading(self._stores.engine) as connection:
            found = self._lists.found_in(connection, programme, occurrence)
            if found.row is None:
                return []
            query = sqlalchemy.select(APPEALS).where(APPEALS.c.list == found.row.list)
            query = query.where(APPEALS.c.state == state) if state else query
            rows = connection.execute(query.order_by(APPEALS.c.at_ns, APPEALS.c.id)).all()
        return [_appeal(row, found) for row in rows]

    def get(self, appeal: int) -> Appeal:
        """Return an appeal without its texts. Raises NotFound for an unknown id."""
        with reading(self._stores.engine) as connection:
            row = self._row(connection, appeal)
            return _appeal(row, self._found(connection, row.list))

    def texts(self, appeal: int, *, who: int) -> tuple[str, str]:
        """Return the texts of an appeal and of its answer to a person who may decide it; "" for no answer."""
        self._people.require(who, DECIDE)
        with reading(self._stores.engine) as connection:
            stored = self._row(connection, appeal)
            found = self._found(connection, stored.list)
        found.require_readable()
        vault = self._lists.vault(found.list)
        answer = vault.unseal_text(_ANSWER_PLACE, stored.answer) if stored.answer else ""
        return vault.unseal_text(_PLACE, stored.sealed), answer

    # --- helpers ---

    def _restore(self, connection: Connection, found: Found, entry: int) -> None:
        """Let an entry continue where it stopped."""
        row, now_ns = self._lists.entry_in(connection, found.list, entry), self._lists.now_ns()
        about, rules = entry_of(row), found.definition.registration_rules
        values: dict[str, object] = {"accepted": None, "through": None, "shared": 0, "attempts": 0}
        if about.state == DUPLICATE:
            values |= {"ignored": row.ignored | row.shared}
        else:
            values |= {"state": row.earlier, "reason": "", "earlier": "", "cleared": 1}
            if row.earlier == REGISTERED:
                values |= {"due_ns": now_ns + rules.check_ns}
            elif row.earlier == CHECKED:
                values |= {"checked_ns": now_ns, "due_ns": now_ns + rules.code_ns}
        self._lists.change(connection, found.list, entry, **values)

    def _require_other_person(
        self, connection: Connection, found: Found, stored: Row[tuple[object, ...]], who: int
    ) -> None:
        if who in (stored.who, self._lists.registered_by(connection, found.list, stored.entry)):
            raise UsageError(
                "the person who registered the entry or filed the appeal may not decide it",
                hint="another caseworker decides",
            )

    @staticmethod
    def _row(connection: Connection, appeal: int) -> Row[tuple[object, ...]]:
        row = connection.execute(sqlalchemy.select(APPEALS).where(APPEALS.c.id == appeal)).one_or_none()
        if row is None:
            raise NotFound(f"there is no appeal {ids.format(appeal)}", hint="`sycee drop appeals` lists the appeals")
        return row

    def _found(self, connection: Connection, number: int) -> Found:
        row = connection.execute(sqlalchemy.select(LISTS).where(LISTS.c.list == number)).one()
        return self._lists.found_in(connection, row.programme, row.occurrence)


def _appeal(row: Row[tuple[object, ...]], found: Found) -> Appeal:
    return Appeal(
        row.id, found.stored.name, found.occurrence.occurrence, row.entry, row.against, row.state, row.who, row.at_ns,
        row.decided_by, row.decided_ns,
    )  # fmt: skip
