"""Registration, freeze, publication, beacon and draw of an occurrence: the second part of the service `Programmes`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.core import ids
from sycee.core.clock import read_ns
from sycee.core.documents import shown_moment
from sycee.core.errors import BusyError, UsageError
from sycee.core.sha256 import Progress
from sycee.database.events import EventKind
from sycee.database.states import PENDING
from sycee.database.tables import INTENTS
from sycee.database.transactions import reading, write
from sycee.programmes import cohort, draw, draw_files, states
from sycee.programmes.definition import EQUAL, FIRST_COME, DrawRule, Programme
from sycee.programmes.drafts import Drafts
from sycee.programmes.draw import Entries
from sycee.programmes.draw_files import BEACON_BYTES, Announcement, Beacon
from sycee.programmes.registration_tables import HOLDERS, LISTS
from sycee.programmes.repeating import add_begin_job, stop_repeating
from sycee.programmes.stored import (
    Occurrence,
    StoredProgramme,
    occurrence_in,
    record_programme_event,
    set_occurrence,
)
from sycee.programmes.tables import BEACONS, PROGRAMMES

REGISTRATION: Final = "programme.registration"
DRAW: Final = "programme.draw"
BEACON: Final = "programme.beacon"
CLOSE: Final = "programme.close"
BEACON_PERSONS_MIN: Final = 2  # persons who must enter the same value of the beacon


class Drawing(Drafts):
    """Draws the winners of occurrences."""

    def open_registration(self, name: str, occurrence: int = 0, *, who: int) -> Occurrence:
        """Open the registration of a draft. Repeating the call changes nothing.

        Raises UsageError once the registration's time is over, while the programme is halted, and while an earlier
        occurrence is not finished.
        """
        programme, current = self._programme_and_occurrence(name, occurrence)
        self._people.require(who, REGISTRATION, operator=programme.operator)
        if states.is_at_least(current.state, states.REGISTRATION):
            return current
        programme.require_running()
        definition = programme.on(current)
        if read_ns(self._stores.clock) >= definition.registration.until_ns:
            raise UsageError(
                f"the registration of {name} ended {shown_moment(definition.registration.until_ns, definition.zone)}",
                hint="store a file with later windows",
            )
        if definition.schedule is None or not definition.schedule.overlap:
            self._check_earlier(current)
        chosen = (PROGRAMMES.c.name == name) & (PROGRAMMES.c.state == states.DRAFT)

        def run(connection: Connection) -> None:
            connection.execute(PROGRAMMES.update().where(chosen).values(state=states.RUNNING))
            add_begin_job(connection, self._stores, programme.definition, after=date.fromisoformat(current.date))

        write(self._stores.engine, run)
        return self._change(current, states.REGISTRATION, {})

    def freeze(
        self, name: str, occurrence: int = 0, *,
        who: int, entries: Entries | None = None, progress: Progress | None = None,
    ) -> Occurrence:  # fmt: skip
        """Freeze the list after registration closed: write announcement and entries, and return the occurrence.

        `entries`: None for those that the registrations accepted. Repeating the call with the same entries changes
        nothing. Raises UsageError before the end of registration, once the beacon is due, and for another list.
        """
        programme, current = self._programme_and_occurrence(name, occurrence)
        self._people.require(who, DRAW, operator=programme.operator)
        definition, folder = programme.on(current), self.files_of(current)
        now_ns = read_ns(self._stores.clock)
        is_frozen = states.is_at_least(current.state, states.FROZEN)
        if is_frozen and entries is None:
            return current
        if not is_frozen:
            programme.require_running()
            states.require_change(current.title, current.state, states.FROZEN)
            if now_ns < definition.registration.until_ns:
                raise UsageError(
                    f"the registration of {name} closes "
                    f"{shown_moment(definition.registration.until_ns, definition.zone)}",
                    hint="freeze afterwards",
                )
            # An interrupted call may have left files here; none of them was published.
            shutil.rmtree(folder, ignore_errors=True)
        else:
            now_ns = draw_files.read_announcement(folder).frozen_at_ns
        accepted = self._accepted(current) if entries is None else entries
        rule, listed = definition.draw, accepted
        if not rule.is_drawn:
            rule, listed = strata_by_packet_class(definition, accepted)
        frozen = draw.freeze_list(
            folder,
            name,
            rule,
            listed,
            frozen_at_ns=now_ns,
            progress=progress,
        )
        announcement = frozen.announcement
        digest = announcement.digest().hex()
        if is_frozen:
            return current
        data = {"announcement": digest, "entries": announcement.entries}
        return self._change(current, states.FROZEN, data, announcement=digest, entries=announcement.entries)

    def publish(self, name: str, occurrence: int = 0, *, who: int) -> Occurrence:
        """Publish announcement and list, and return the occurrence. Repeating the call changes nothing.

        Raises UsageError once the beacon is due, because a list published later proves nothing.
        """
        programme, current = self._programme_and_occurrence(name, occurrence)
        self._people.require(who, DRAW, operator=programme.operator)
        if current.published_ns is not None:
            return current
        _require(current, states.FROZEN, "publish")
        self._announcement(current)
        now_ns, definition = read_ns(self._stores.clock), programme.on(current)
        if definition.draw.is_drawn and now_ns >= definition.draw.beacon_due_ns:
            raise UsageError(
                f"the beacon was due {shown_moment(definition.draw.beacon_due_ns, definition.zone)}, and may be known",
                hint="cancel the occurrence, and store a file with a later round",
            )

        def store(connection: Connection) -> Occurrence:
            latest = occurrence_in(connection, name, occurrence)
            if latest.published_ns is None:
                _require(latest, states.FROZEN, "publish")
                set_occurrence(connection, self._stores.clock, latest, published_ns=now_ns)
                record_programme_event(
                    connection, self._stores.clock, EventKind.PROGRAMME_PUBLISHED, name, occurrence,
                    {"announcement": latest.announcement},
                )  # fmt: skip
            return occurrence_in(connection, name, occurrence)

        return write(self._stores.engine, store)

    def bring_beacon(self, name: str, occurrence: int = 0, *, value: bytes, who: int) -> Mapping[int, str]:
        """Store the beacon's value that one person read at its source; return all values, hexadecimal, by person.

        The bank does not fetch the value itself. A person may replace their own value until the draw. Raises UsageError
        before the beacon is due, before the publication, and for a value that has not 32 bytes.
        """
        programme, current = self._programme_and_occurrence(name, occurrence)
        self._people.require(who, BEACON, operator=programme.operator)
        if len(value) != BEACON_BYTES:
            raise UsageError(
                f"a beacon's value has {BEACON_BYTES} bytes, not {len(value)}",
                hint="copy all 64 hexadecimal digits; docs/reference/draw.md explains other lengths",
            )
        definition = programme.on(current)
        if not definition.draw.is_drawn:
            raise UsageError(f"nothing is drawn in {current.title}", hint="everybody on the list gets a packet")
        if read_ns(self._stores.clock) < definition.draw.beacon_due_ns:
            raise UsageError(
                f"the beacon is due {shown_moment(definition.draw.beacon_due_ns, definition.zone)}",
                hint="nobody can know its value before",
            )

        def store(connection: Connection) -> None:
            latest = occurrence_in(connection, name, occurrence)
            if latest.state == states.DRAWN and self._values(connection, latest).get(who) == value.hex():
                return
            _require(latest, states.FROZEN, "bring the beacon")
            if latest.published_ns is None:
                raise UsageError(f"the list of {latest.title} is not published", hint="publish it first")
            key = {"programme": name, "occurrence": occurrence, "person": who}
            chosen = sqlalchemy.and_(*(BEACONS.c[column] == wanted for column, wanted in key.items()))
            connection.execute(BEACONS.delete().where(chosen))
            connection.execute(BEACONS.insert().values(**key, value=value.hex(), at_ns=read_ns(self._stores.clock)))

        write(self._stores.engine, store)
        return self.beacons(name, occurrence)

    def beacons(self, name: str, occurrence: int = 0) -> Mapping[int, str]:
        """Return the values of the beacon that persons entered, hexadecimal, by person."""
        with reading(self._stores.engine) as connection:
            return self._values(connection, occurrence_in(connection, name, occurrence))

    def draw(self, name: str, occurrence: int = 0, *, who: int, progress: Progress | None = None) -> Occurrence:
        """Draw the winners of a published list, and return the occurrence. Repeating the call changes nothing.

        In modes without a draw, every person on the list has won. Raises UsageError unless at least two persons entered
        the beacon's value and all values are equal.
        """
        programme, current = self._programme_and_occurrence(name, occurrence)
        self._people.require(who, DRAW, operator=programme.operator)
        if states.is_at_least(current.state, states.DRAWN):
            return current
        programme.require_running()
        states.require_change(current.title, current.state, states.DRAWN)
        announcement = self._announcement(current)
        if not announcement.is_drawn:
            if current.published_ns is None:
                raise UsageError(f"the list of {current.title} is not published", hint="publish it first")
            return self._store_members(programme, current)
        values = self.beacons(name, occurrence)
        if len(set(values.values())) > 1:
            shown = ", ".join(f"{ids.format(person)}: {value}" for person, value in sorted(values.items()))
            raise UsageError(
                f"the persons brought different values of the beacon: {shown}",
                hint="compare with the source; whoever was wrong brings the value again",
            )
        if len(values) < BEACON_PERSONS_MIN:
            raise UsageError(
                f"{len(values)} of {BEACON_PERSONS_MIN} persons brought the beacon's value",
                hint="another person reads it at its source, and brings it",
            )
        beacon = Beacon(
            announcement.beacon_source,
            announcement.beacon_round,
            bytes.fromhex(next(iter(values.values()))),
            announcement.synthetic,
        )
        with self._draw_files_lock:
            folder = self.files_of(current)
            _delete_draw_files(folder, beacon)
            draw.draw_winners(folder, beacon, progress=progress)

            def check(connection: Connection, latest: Occurrence) -> None:
                if dict(self._values(connection, latest)) != dict(values):
                    raise BusyError(f"the beacon's value of {latest.title} was corrected meanwhile", hint="draw again")

            return self._store_members(programme, current, check)

    def _store_members(
        self, programme: StoredProgramme, occurrence: Occurrence,
        check: Callable[[Connection, Occurrence], None] | None = None,
    ) -> Occurrence:  # fmt: skip
        """Store the number of members and the amount, and set the state to DRAWN. `check` runs in the transaction."""
        made = cohort.allotment_of(self.files_of(occurrence), programme.definition)
        members = len(made.members)
        return self._change(occurrence, states.DRAWN, {"members": members}, check, members=members, minor=made.minor)

    def cancel(self, name: str, occurrence: int = 0, *, who: int) -> Occurrence:
        """Cancel an occurrence before its drop, and return it. Its published files stay. It cannot be begun again."""
        programme, current = self._programme_and_occurrence(name, occurrence)
        self._people.require(who, CLOSE, operator=programme.operator)
        if current.state == states.DRAWN and current.proposal is not None:
            raise UsageError(
                f"the terms of {current.title} are proposed: {ids.format(current.proposal)}",
                hint="`sycee proposal withdraw` ends the proposal; then cancel",
            )

        def check(connection: Connection, latest: Occurrence) -> None:
            _require_no_drop(connection, latest)
            # No packet is paid out, so the longer retention of the holders' data ends.
            lists = sqlalchemy.select(LISTS.c.list).where(LISTS.c.programme == name, LISTS.c.occurrence == occurrence)
            connection.execute(HOLDERS.delete().where(HOLDERS.c.list.in_(lists)))

        return self._change(current, states.CANCELLED, {}, check=check)

    def stop_repeating(self, name: str, *, who: int) -> StoredProgramme:
        """Let no further occurrence of a programme begin; those that began continue. Repeating it changes nothing."""
        stored = self.get(name)
        self._people.require(who, CLOSE, operator=stored.operator)

        def stop(connection: Connection) -> None:
            stop_repeating(connection, self._stores, stored)
            self._finish(connection, stored, states.CLOSED)

        write(self._stores.engine, stop)
        return self.get(name)

    # --- helpers ---

    def _check_earlier(self, occurrence: Occurrence) -> None:
        """Raise UsageError while an earlier occurrence is not finished."""
        for each in self.occurrences(occurrence.programme)[: occurrence.occurrence]:
            if each.state not in states.FINISHED:
                raise UsageError(
                    f"{each.title} is {each.state}: {occurrence.title} does not begin on an unfinished one",
                    hint=f"the next step of the earlier one: {states.NEXT_STEPS[each.state]}",
                )

    def _accepted(self, occurrence: Occurrence) -> Entries:
        if self.registered is None:
            raise UsageError("this bank has no registrations", hint="give the entries")
        return self.registered.accepted(occurrence.programme, occurrence.occurrence)

    def _announcement(self, occurrence: Occurrence) -> Announcement:
        """Return the announcement. Raises UsageError unless the file is the one that was frozen."""
        announcement = draw_files.read_announcement(self.files_of(occurrence))
        if announcement.digest().hex() != occurrence.announcement:
            raise UsageError(
                f"{draw_files.ANNOUNCEMENT} of {occurrence.title} is not the one that was frozen",
                hint=f"the SHA-256 of the frozen one is {occurrence.announcement}; bring the file back from a copy",
            )
        return announcement

    def _values(self, connection: Connection, occurrence: Occurrence) -> Mapping[int, str]:
        chosen = (BEACONS.c.programme == occurrence.programme) & (BEACONS.c.occurrence == occurrence.occurrence)
        query = sqlalchemy.select(BEACONS.c.person, BEACONS.c.value).where(chosen)
        return {row.person: row.value for row in connection.execute(query)}


def _require_no_drop(connection: Connection, occurrence: Occurrence) -> None:
    """Raise BusyError while the ledger has not answered a drop of this occurrence, UsageError after a part of it."""
    if occurrence.is_dropped_in_part:
        raise UsageError(
            f"some packets of {occurrence.title} are filled", hint="drop again: it fills those that are left"
        )
    chosen = (INTENTS.c.action == "programme.drop") & (INTENTS.c.state == PENDING)
    for (payload,) in connection.execute(sqlalchemy.select(INTENTS.c.payload).where(chosen)):
        values = json.loads(payload)
        if (values["programme"], values["occurrence"]) == (occurrence.programme, occurrence.occurrence):
            raise BusyError(f"{occurrence.title} is being dropped", hint="look at its state in a moment")


def strata_by_packet_class(definition: Programme, entries: Entries) -> tuple[DrawRule, Entries]:
    """Return the rule and the entries of a list that is not drawn, with one stratum per packet class that has entries.

    In the mode FIRST_COME the entries are in the order of registration: the first packet class goes to the first
    entries, and entries after the last packet are omitted. Raises UsageError if a class has more entries than packets,
    and if the entries of several classes do not name theirs.
    """
    rule, names = definition.draw, [each.name for each in definition.draw.strata]
    if definition.mode == EQUAL:
        return rule, replace(entries, strata=None)
    counts = [each.winners for each in rule.strata]
    if definition.mode == FIRST_COME:
        listed_max = min(sum(counts), len(entries))
        classes = np.repeat(np.arange(len(counts), dtype=np.uint8), counts)[:listed_max]
        entries = Entries(entries.documents[:listed_max], entries.phones[:listed_max], entries.salts[:listed_max])
    elif entries.strata is not None:
        classes = entries.strata
    elif len(names) == 1:
        classes = np.zeros(len(entries), np.uint8)
    else:
        raise UsageError("the entries do not name their packets", hint="give each entry the name of its packet class")
    listed = np.bincount(classes, minlength=len(names))
    if len(listed) > len(names) or (listed > counts).any():
        wrong = next((place for place, count in enumerate(counts) if listed[place] > count), 0)
        raise UsageError(
            f"{listed[wrong]} entries for {counts[wrong]} packets of the class {names[wrong]}",
            hint="correct the list, or the count in the programme file",
        )
    used = np.flatnonzero(listed)
    strata = tuple(rule.strata[place] for place in used)
    return replace(rule, strata=strata), replace(entries, strata=np.searchsorted(used, classes).astype(np.uint8))


def _delete_draw_files(folder: Path, beacon: Beacon) -> None:
    """Delete the files of an interrupted draw if it used another value of the beacon.

    Its winners were never stored or published, and the persons have corrected the value since.
    """
    path = folder / draw_files.BEACON
    if path.exists() and path.read_bytes() != beacon.content():
        for name in (draw_files.TICKETS, draw_files.WINNERS, draw_files.BEACON):
            (folder / name).unlink(missing_ok=True)


def _require(occurrence: Occurrence, state: str, step: str) -> None:
    if occurrence.state != state:
        raise UsageError(
            f"{occurrence.title} is {occurrence.state}: {step} needs {state}",
            hint=f"the next step: {states.NEXT_STEPS[occurrence.state]}",
        )
