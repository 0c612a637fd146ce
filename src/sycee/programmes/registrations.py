"""Registration for a programme: one person or a file, check and code, duplicates and exclusions, up to the freeze.

An entry is `registered`, `checked` and then `confirmed`, or it lapses. Nothing is removed: a duplicate, an excluded or
a withdrawn entry stays with its reason, and each person gets one accepted entry. docs/reference/registration.md has
the rules. Documents, phones and salts are stored sealed (`registration_store`), and shown after an entry in the access
log (`registration_results`).
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import sqlalchemy
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from sycee.core import documents
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.database.jobs import Run
from sycee.database.transactions import reading, write
from sycee.identity import duties
from sycee.identity import tables as identity
from sycee.identity.people import People
from sycee.personal.register import Register
from sycee.programmes import draw, duplicates, states
from sycee.programmes.definition import FIRST_COME, Programme
from sycee.programmes.duplicates import BY_DOCUMENT, BY_PHONE
from sycee.programmes.registration_entering import REGISTER
from sycee.programmes.registration_lists import (
    LAPSE,
    SCREEN,
    SHARED,
    WRONG_CODES,
    Entry,
    Found,
    Lists,
    entry_of,
)
from sycee.programmes.registration_removals import HAS_WON, OWNER, STAFF, Removals, exclude_in, require_state
from sycee.programmes.registration_rows import PHONE, Reader, has_strata
from sycee.programmes.registration_store import CODE_DIGITS, ListRow, Vault, numbers_of
from sycee.programmes.registration_tables import (
    APPEALS,
    CHECKED,
    CONFIRMED,
    DUPLICATE,
    ENTRIES,
    EXCLUDED,
    IMPORTS,
    LAPSED,
    LISTS,
    LIVE,
    LOADING,
    OPEN,
    REGISTERED,
)

if TYPE_CHECKING:
    from sycee.identity.institutions import Institutions

ATTEMPTS_MAX: Final = 5  # wrong codes before an entry lapses
NAMED_MAX: Final = 5  # entries that an error names for each reason
_WRONG_CODE_HINT: Final = "the code is in the message to the registrant's phone; the fifth wrong one ends the entry"
_APPEAL_HINT: Final = "an appeal can restore it: `sycee drop appeal`"
# By state of an entry that takes no code.
_CODE_HINTS: Final = {
    REGISTERED: "it has no code before it is checked: `sycee drop check-entries`",
    **dict.fromkeys((DUPLICATE, EXCLUDED, LAPSED), _APPEAL_HINT),
}

assert ATTEMPTS_MAX == 5  # `_WRONG_CODE_HINT` names it


@dataclass(frozen=True, slots=True)
class Screened:
    """The result of a screening: entries that are duplicates now, and entries that it excluded."""

    duplicates: int
    excluded: int


class Registrations(Removals):
    """The registrations of a bank's programmes."""

    def __init__(self, lists: Lists, people: People, institutions: Institutions, register: Register) -> None:
        super().__init__(lists, people, register)
        self._institutions = institutions
        self._stores.jobs.register(LAPSE, self._run_lapse, catch_up="last")
        self._stores.jobs.register(SCREEN, self._run_screen)

    # --- check and code ---

    def check(
        self, programme: str, occurrence: int = 0, *, who: int, entries: Sequence[int] | None = None
    ) -> list[tuple[int, str]]:
        """Report that registrations were checked, all that wait or those of numbers; return the code of each.

        The codes are for delivery to the registrants' phones; they are not stored. An entry that was checked before
        gets the same code again. Raises UsageError for an entry in another state, with nothing changed.
        """
        self._people.require(who, REGISTER)
        found = self._lists.find(programme, occurrence)
        found.require_registering()
        vault, now_ns = self._lists.vault(found.list), self._lists.now_ns()
        due_ns = now_ns + found.definition.registration_rules.code_ns

        def work(connection: Connection) -> list[tuple[int, int]]:
            self._lists.found_in(connection, programme, occurrence).require_registering()
            row = found.list
            self._lists.lapse(connection, row)
            values = {"state": CHECKED, "checked_ns": now_ns, "due_ns": due_ns}
            waiting = (ENTRIES.c.list == row.list) & (ENTRIES.c.state == REGISTERED)
            if entries is None:
                numbers = numbers_of(connection, row.list, ENTRIES.c.state == REGISTERED)
                connection.execute(ENTRIES.update().where(waiting).values(values))
                return [(entry, now_ns) for entry in numbers.tolist()]
            checked = []
            for entry in entries:
                if not connection.execute(
                    ENTRIES.update().where(waiting, ENTRIES.c.entry == entry).values(values)
                ).rowcount:
                    state = self._lists.entry_in(connection, row, entry)
                    require_state(state, entry, CHECKED)
                    checked.append((entry, state.checked_ns))
                else:
                    checked.append((entry, now_ns))
            return checked

        checked = write(self._stores.engine, work)
        numbers, times = (np.array([pair[at] for pair in checked], np.int64) for at in (0, 1))
        codes = vault.codes(numbers, times) if checked else []
        return list(zip(numbers.tolist(), codes, strict=True))

    def confirm(
        self, programme: str, occurrence: int, codes: Iterable[tuple[int, str]], *, who: int
    ) -> dict[int, UsageError]:
        """Enter codes of registrants: entry and code. Return the error of each refused one, by entry.

        After ATTEMPTS_MAX wrong codes, and at the deadline, an entry lapses. A right code again changes nothing.
        """
        self._people.require(who, REGISTER)
        found = self._lists.find(programme, occurrence)
        found.require_registering()
        vault, now_ns = self._lists.vault(found.list), self._lists.now_ns()
        given = list(codes)

        def work(connection: Connection) -> dict[int, UsageError]:
            self._lists.found_in(connection, programme, occurrence).require_registering()
            self._lists.lapse(connection, found.list)
            refused = {}
            for entry, code in given:
                if (problem := self._confirm_one(connection, found.list, vault, entry, code, now_ns)) is not None:
                    refused[entry] = problem
            return refused

        return write(self._stores.engine, work)

    def _confirm_one(
        self, connection: Connection, row: ListRow, vault: Vault, entry: int, code: str, now_ns: int
    ) -> UsageError | None:
        stored = self._lists.entry_in(connection, row, entry)
        if stored.state not in (CHECKED, CONFIRMED) or stored.checked_ns == 0:
            reason = f": {stored.reason}" if stored.reason else ""
            return UsageError(f"entry {entry} is {stored.state}{reason}", hint=_CODE_HINTS.get(stored.state))
        (right,) = vault.codes(np.array([entry], np.int64), np.array([stored.checked_ns], np.int64))
        if hmac.compare_digest(code.strip().encode(), right.encode()):
            if stored.state == CHECKED:
                values = {"state": CONFIRMED, "confirmed_ns": now_ns, "due_ns": 0}
                self._lists.change(connection, row, entry, **values)
            return None
        wrong = UsageError(f"the code of entry {entry} is another one of {CODE_DIGITS} digits", hint=_WRONG_CODE_HINT)
        if stored.state == CONFIRMED:
            return wrong
        attempts = stored.attempts + 1
        if attempts >= ATTEMPTS_MAX:
            lapsed = {"state": LAPSED, "reason": WRONG_CODES, "earlier": CHECKED, "due_ns": 0}
            self._lists.change(connection, row, entry, attempts=attempts, **lapsed)
            lapse = f"the code of entry {entry} was wrong {attempts} times: the entry lapsed"
            return UsageError(lapse, hint=_CODE_HINTS[LAPSED])
        self._lists.change(connection, row, entry, attempts=attempts)
        return wrong

    # --- one chance for each person ---

    def screen(self, programme: str, occurrence: int = 0) -> Screened:
        """Find duplicates and exclude staff, owners of merchants and earlier winners; report before the freeze.

        Repeat it as often as wanted: duplicates are decided anew, for example when the accepted entry of a person was
        withdrawn. It runs automatically when registration closes, and at the freeze.
        """
        found = self._lists.find(programme, occurrence)
        found.require_registering()
        self._index(found)
        excluded_numbers = self._people_to_exclude(found)
        vault = self._lists.vault(found.list)

        def work(connection: Connection) -> Screened:
            current = self._lists.found_in(connection, programme, occurrence)
            current.require_registering()
            row = current.list
            self._lists.lapse(connection, row)
            excluded = 0
            for reason, kind, numbers in excluded_numbers:
                excluded += exclude_in(connection, row, vault.having(connection, kind, numbers), reason)
            count = self._screen_duplicates(
                connection, row, vault.some(connection, 0, row.following), current.definition
            )
            changed = {"screened_ns": self._lists.now_ns()}
            connection.execute(LISTS.update().where(LISTS.c.list == row.list).values(changed))
            return Screened(count, excluded)

        return write(self._stores.engine, work)

    def _screen_duplicates(self, connection: Connection, row: ListRow, entries: Array, definition: Programme) -> int:
        """Decide anew which live entries are duplicates; return their number."""
        live = np.ones(len(entries), np.bool_)
        live[numbers_of(connection, row.list, ENTRIES.c.state.not_in(LIVE))] = False
        document, phone = entries["document"].copy(), entries["phone"].copy()
        chosen = (ENTRIES.c.list == row.list) & (ENTRIES.c.ignored != 0)
        for entry, ignored in connection.execute(sqlalchemy.select(ENTRIES.c.entry, ENTRIES.c.ignored).where(chosen)):
            if ignored & BY_DOCUMENT:
                document[entry] = 0
            if ignored & BY_PHONE:
                phone[entry] = 0
        # An entry whose keys an appeal ended shares nothing.
        live &= sum((document, phone)[name == PHONE] != 0 for name in definition.identity) > 0
        numbers = np.flatnonzero(live)
        registrations = duplicates.Registrations(
            document[numbers], phone[numbers], entries["bank"][numbers], entries["registered_ns"][numbers]
        )
        found = duplicates.deduplicate(registrations, identity=definition.identity).duplicates
        cleared = {"accepted": None, "through": None, "shared": 0}
        earlier = (ENTRIES.c.list == row.list) & ENTRIES.c.accepted.is_not(None)
        connection.execute(ENTRIES.update().where(earlier).values(cleared))
        if len(found):
            bound = sqlalchemy.bindparam
            statement = ENTRIES.update().where(ENTRIES.c.list == row.list, ENTRIES.c.entry == bound("of"))
            statement = statement.values(accepted=bound("first"), through=bound("via"), shared=bound("keys"))
            columns = zip(*(numbers[found[name]].tolist() for name in ("entry", "accepted", "through")), strict=True)
            rows = [
                {"of": entry, "first": accepted, "via": through, "keys": key}
                for (entry, accepted, through), key in zip(columns, found["key"].tolist(), strict=True)
            ]
            connection.execute(statement, rows)
        return len(found)

    def _people_to_exclude(self, found: Found) -> list[tuple[str, int, NDArray[np.uint64]]]:
        """Return the documents and phones of staff and owners of merchants: reason, kind and numbers."""
        persons: dict[int, str] = {}
        for held in self._people.holders():
            if held.duty in duties.STAFF:
                persons[held.person] = STAFF
        for each in self._institutions.list(identity.MERCHANT):
            for owner in self._institutions.owners_of(each.id):
                persons.setdefault(owner, OWNER)
        reader = Reader(found.definition, self._register.phone, 0)
        keys: dict[tuple[str, int], list[int]] = {}
        for person, (phone, paper) in self._register.identity_keys(list(persons)).items():
            for kind, number in ((BY_PHONE, reader.phone_number(phone)), (BY_DOCUMENT, reader.document_number(paper))):
                if number:
                    keys.setdefault((persons[person], kind), []).append(number)
        made = [(reason, kind, np.array(numbers, np.uint64)) for (reason, kind), numbers in keys.items()]
        for programme in found.definition.registration_rules.excludes_holders_of:
            winners = self._lists.held(programme)
            made += [(HAS_WON, BY_DOCUMENT, winners["document"]), (HAS_WON, BY_PHONE, winners["phone"])]
        return [(reason, kind, numbers[numbers != 0]) for reason, kind, numbers in made]

    # --- the freeze ---

    def accepted(self, programme: str, occurrence: int = 0) -> draw.Entries:
        """Return the entries that participate, by number or, first come, by time of registration, after a screening.

        Raises UsageError while the window is open, a file is not complete, an appeal is open, or an entry still has
        time for its check or code; and before the freeze, if none of a stratum participates.
        """
        found = self._lists.find(programme, occurrence)
        if found.occurrence.state == states.REGISTRATION:
            self._require_over(found)
            self.screen(programme, occurrence)
            found = self._lists.find(programme, occurrence)
        found.require_readable()
        with reading(self._stores.engine) as connection:
            row = found.list
            self._require_decided(connection, found)
            entries = self._lists.vault(row).some(connection, 0, row.following)
            taking_part = np.ones(len(entries), np.bool_)
            others = (ENTRIES.c.state != CONFIRMED) | ENTRIES.c.accepted.is_not(None)
            taking_part[numbers_of(connection, row.list, others)] = False
            if found.occurrence.state == states.REGISTRATION:
                self._require_entries(connection, found, entries["stratum"], taking_part)
        chosen = entries if taking_part.all() else entries[taking_part]
        if found.definition.mode == FIRST_COME:
            chosen = chosen[np.argsort(chosen["registered_ns"], kind="stable")]
        strata = np.ascontiguousarray(chosen["stratum"]) if has_strata(found.definition) else None
        document, phone, salt = (np.ascontiguousarray(chosen[name]) for name in ("document", "phone", "salt"))
        return draw.Entries(document, phone, salt, strata)

    def _require_over(self, found: Found) -> None:
        window = found.definition.registration
        if self._lists.now_ns() < window.until_ns:
            raise UsageError(
                f"registration for {found.occurrence.title} is open until {_shown(window.until_ns, found)}",
                hint="freeze the list after that time",
            )

    def _require_decided(self, connection: Connection, found: Found) -> None:
        """Raise UsageError while the list may still change by rule."""
        row = found.list
        of_list = IMPORTS.c.list == row.list
        loading = connection.execute(sqlalchemy.select(IMPORTS).where(of_list, IMPORTS.c.state == LOADING)).first()
        if loading is not None:
            raise UsageError(
                f"a file with registrations was read up to row {loading.rows:,} only",
                hint="register the same file again: it continues there",
            )
        if found.occurrence.state != states.REGISTRATION:
            return
        opened = sqlalchemy.select(sqlalchemy.func.count()).select_from(APPEALS)
        count = connection.scalar(opened.where(APPEALS.c.list == row.list, APPEALS.c.state == OPEN))
        if count:
            raise UsageError(f"{count} appeals are not decided", hint="`sycee drop decide` decides an appeal")
        due = sqlalchemy.select(sqlalchemy.func.count(), sqlalchemy.func.max(ENTRIES.c.due_ns))
        number, last = connection.execute(due.where(ENTRIES.c.list == row.list, ENTRIES.c.due_ns > 0)).one()
        if number:
            raise UsageError(
                f"{number:,} registrations still have time for check or code, the last until {_shown(last, found)}",
                hint="freeze the list after that time",
            )

    def _require_entries(
        self, connection: Connection, found: Found, strata: NDArray[np.uint8], taking_part: NDArray[np.bool_]
    ) -> None:
        """Raise UsageError if none of a stratum's entries participates. The message names the others, with reasons."""
        definition, title = found.definition, found.occurrence.title
        names = [each.name for each in definition.draw.strata]
        # Only the strata of a draw need entries: a packet class of a list may stay empty.
        is_parted = has_strata(definition) and definition.draw.is_drawn
        counts = np.bincount(strata[taking_part], minlength=len(names)).tolist() if is_parted else [taking_part.sum()]
        for number, count in enumerate(counts):
            if count:
                continue
            of_list = ENTRIES.c.list == found.list.list
            columns = (ENTRIES.c.entry, ENTRIES.c.state, ENTRIES.c.reason, ENTRIES.c.shared)
            others: dict[str, list[int]] = {}
            for entry, state, reason, shared in connection.execute(
                sqlalchemy.select(*columns).where(of_list).order_by(ENTRIES.c.entry)
            ):
                if not is_parted or strata[entry] == number:
                    why = f"{DUPLICATE}, {SHARED[shared]}" if shared and state in LIVE else f"{state}, {reason}"
                    others.setdefault(why.removesuffix(", "), []).append(entry)
            where = f"stratum {names[number]} of {title}" if is_parted else title
            raise UsageError(
                f"no entry of {where} participates: {'; '.join(map(_named, others.items())) or 'nobody registered'}",
                hint="`sycee drop appeal` restores an entry that lapsed or was excluded; `sycee drop cancel` ends the "
                "occurrence",
            )

    # --- reading ---

    def entry(self, programme: str, occurrence: int, entry: int) -> Entry:
        """Return an entry without its identity. Raises NotFound for an unknown number."""
        row = self._lists.find(programme, occurrence).list
        with reading(self._stores.engine) as connection:
            return entry_of(self._lists.entry_in(connection, row, entry))

    def entries(
        self, programme: str, occurrence: int = 0, *, state: str = "", after: int = -1, most: int = 1_000
    ) -> list[Entry]:
        """Return up to `most` entries that follow entry `after`, in a state or in any, without identities."""
        row = self._lists.find(programme, occurrence).row
        if row is None:
            return []
        query = sqlalchemy.select(ENTRIES).where(ENTRIES.c.list == row.list, ENTRIES.c.entry > after)
        if state == DUPLICATE:
            query = query.where(ENTRIES.c.accepted.is_not(None), ENTRIES.c.state.in_(LIVE))
        elif state:
            query = query.where(ENTRIES.c.state == state)
            query = query.where(ENTRIES.c.accepted.is_(None)) if state in LIVE else query
        with reading(self._stores.engine) as connection:
            return [entry_of(each) for each in connection.execute(query.order_by(ENTRIES.c.entry).limit(most))]

    def counts(self, programme: str, occurrence: int = 0) -> dict[tuple[str, str], int]:
        """Return the number of entries by state and reason."""
        row = self._lists.find(programme, occurrence).row
        if row is None:
            return {}
        columns = (ENTRIES.c.state, ENTRIES.c.reason, ENTRIES.c.shared)
        query = sqlalchemy.select(*columns, sqlalchemy.func.count()).where(ENTRIES.c.list == row.list)
        found: Counter[tuple[str, str]] = Counter()
        with reading(self._stores.engine) as connection:
            for state, reason, shared, count in connection.execute(query.group_by(*columns)):
                is_duplicate = shared and state in LIVE
                found[(DUPLICATE, SHARED[shared]) if is_duplicate else (state, reason)] += count
        return dict(sorted(found.items()))

    # --- jobs ---

    def _run_lapse(self, run: Run) -> None:
        place = (run.payload["programme"], run.payload["occurrence"])

        def work(connection: Connection) -> None:
            found = self._lists.found_in(connection, *place)
            if found.occurrence.state == states.REGISTRATION:
                self._lists.lapse(connection, found.list)
            else:
                self._stores.jobs.stop(connection, LAPSE, f"{place[0]} {place[1]}")

        write(self._stores.engine, work)

    def _run_screen(self, run: Run) -> None:
        place = (run.payload["programme"], run.payload["occurrence"])
        if self._lists.find(*place).occurrence.state == states.REGISTRATION:
            self.screen(*place)


def _named(entries_of: tuple[str, list[int]]) -> str:
    """Return "lapsed, not-checked: entries 0, 1" of a state with its reason and the entries."""
    why, entries = entries_of
    more = f" and {len(entries) - NAMED_MAX:,} more" if len(entries) > NAMED_MAX else ""
    return f"{why}: {'entry' if len(entries) == 1 else 'entries'} {', '.join(map(str, entries[:NAMED_MAX]))}{more}"


def _shown(moment_ns: int, found: Found) -> str:
    return documents.shown_moment(moment_ns, found.definition.zone)
