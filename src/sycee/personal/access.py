"""The access log: reader, person, time, fields, reason and case of each access to personal data, and who invited the
reader's login. A hash chain without gaps.

An entry is committed in its own transaction before any data is returned: after a crash an entry without disclosure is
possible, a disclosure without entry is not. The digest of an entry covers the digest of the entry before it, and the
day's pack signs the newest one. So a changed or removed entry is found.

The person reads the entries about them. An order, signed by two persons and with an end, can hide entries of one case
from the person until then (`orders.py`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Protocol

import sqlalchemy
from blake3 import blake3
from sqlalchemy.engine import Connection, Engine, Row

from sycee.core import ids
from sycee.core.canonical_json import canonical
from sycee.core.clock import Clock
from sycee.core.errors import IntegrityError, UsageError
from sycee.database.transactions import reading, write
from sycee.personal.tables import ACCESSES, CHAIN_BYTES, DELAYS

READ: Final = "person.read"
LOG: Final = "person.log"
NOBODY: Final = 0  # the person of a search that found nobody
START: Final = bytes(CHAIN_BYTES)  # the digest before the first entry

_HEAD: Final = struct.Struct("<32s32sqq16s16sq")  # title, previous, number, at_ns, who, person, case
_TITLE: Final = b"sycee.access.v1"
_READ_MAX: Final = 10_000  # entries of one query of `verify`


class Reason(StrEnum):
    """Reason to read personal data."""

    COMPLAINT = "complaint"
    DISPUTE = "dispute"
    RECOVERY = "recovery"
    DECEASED = "deceased"
    COURT_ORDER = "court-order"
    DUE_DILIGENCE = "due-diligence"
    OWN_REQUEST = "own-request"
    PAYMENT = "payment"


@dataclass(frozen=True, slots=True)
class ReasonRule:
    """Who may read what for one reason.

    - `duty`: action that a duty of the reader must allow; "": the person alone reads.
    - `needs_case`: an open case must concern the person. Otherwise no case is named.
    - `fields`: the only fields; empty for all, and for searches.
    """

    what: str
    duty: str = READ
    needs_case: bool = True
    fields: frozenset[str] = frozenset()


REASONS: Final[dict[Reason, ReasonRule]] = {
    Reason.COMPLAINT: ReasonRule("a customer's complaint"),
    Reason.DISPUTE: ReasonRule("a payment that somebody disputes"),
    Reason.RECOVERY: ReasonRule("a lost phone: identity is proved anew"),
    Reason.DECEASED: ReasonRule("the estate of a person"),
    Reason.COURT_ORDER: ReasonRule("a court or an authority asks"),
    Reason.DUE_DILIGENCE: ReasonRule("a check that the law demands"),
    Reason.OWN_REQUEST: ReasonRule("persons who read their own data", duty="", needs_case=False),
    Reason.PAYMENT: ReasonRule(
        "the bank account of an open payment to or from the person's bank",
        duty="transit.confirm", needs_case=False, fields=frozenset({"bank"}),
    ),
}  # fmt: skip
assert REASONS.keys() == set(Reason)


@dataclass(frozen=True, slots=True)
class Access:
    """Reader, reason and case of an access. `case` is 0 for a reason that needs none.

    `invitation`, `inviter`: by which staff let the reader's login be made, 0 for none. `is_masked`: the login is so
    new that it shows masked texts only.
    """

    who: int
    reason: Reason
    case: int
    invitation: int = 0
    inviter: int = 0
    is_masked: bool = False


class OpenCases(Protocol):
    """The part of the cases that the access log uses."""

    def is_open(self, number: int) -> bool:
        """Return whether the case of this number exists and is open."""
        ...

    def opener(self, number: int, person: int) -> int:
        """Return who opened a case that can prove a lost phone of the person; 0 for another case."""
        ...

    def concerns(self, number: int, person: int) -> bool:
        """Return whether the case of this number is about the person, or about a payment of the person."""
        ...


class Duties(Protocol):
    """The duties of persons, as far as personal data needs them."""

    def require(self, person: int, action: str) -> None:
        """Raise UsageError unless a duty of the person allows the action."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the log. `fields` are names of fields, never their content."""

    number: int
    previous: bytes
    digest: bytes
    at_ns: int
    who: int
    person: int
    fields: tuple[str, ...]
    reason: str
    case: int
    invitation: int = 0
    inviter: int = 0


def entry_digest(entry: Entry) -> bytes:
    """Return the digest of an entry: BLAKE3 over the entry before it and everything in this one but its digest.

    32 bytes `sycee.access.v1` zero-padded ‖ previous digest ‖ number i64 ‖ at_ns i64 ‖ who ‖ person (16 bytes each,
    little-endian) ‖ case i64 ‖ canonical JSON of [fields, reason], or for a login that staff invited of [fields,
    reason, invitation, inviter], the last two as id texts.
    """
    who, person = (each.to_bytes(16, "little") for each in (entry.who, entry.person))
    head = _HEAD.pack(_TITLE, entry.previous, entry.number, entry.at_ns, who, person, entry.case)
    login = [ids.format(entry.invitation), ids.format(entry.inviter)] if entry.invitation else []
    return blake3(head + canonical([list(entry.fields), entry.reason, *login])).digest()


class AccessLog:
    """The access log of a bank."""

    def __init__(self, engine: Engine, clock: Clock, cases: OpenCases, duties: Duties) -> None:
        self._engine, self._clock = engine, clock
        self._cases, self._duties = cases, duties

    def enter(
        self, access: Access, persons: Sequence[int], fields: Sequence[str], *, is_search: bool = False
    ) -> list[Entry]:
        """Check an access and commit one entry for each person. Only then may the caller show anything.

        `is_search`: only ids are shown, so the case may be about other persons. Raises UsageError for an unknown
        reason, a case that is not open or does not concern a person, or a reader without the duty.
        """
        self.check(access, persons, fields, is_search=is_search)
        now = self._clock.now_ns()
        names = tuple(fields)

        def work(connection: Connection) -> list[Entry]:
            number, previous = _head(connection)
            made = []
            for person in persons:
                number += 1
                entry = Entry(
                    number, previous, b"", now, access.who, person, names, access.reason.value, access.case,
                    access.invitation, access.inviter,
                )  # fmt: skip
                made.append(replace(entry, digest=entry_digest(entry)))
                previous = made[-1].digest
            connection.execute(ACCESSES.insert(), [_row(entry) for entry in made])
            return made

        return write(self._engine, work)

    def check(
        self, access: Access, persons: Sequence[int], fields: Sequence[str] = (), *, is_search: bool = False
    ) -> None:
        """Raise UsageError unless this access to these persons is permitted. Writes nothing. `is_search`: `enter`."""
        if not isinstance(access.reason, Reason):
            raise UsageError(
                "an access to personal data needs a reason", hint=f"give one of: {', '.join(each for each in Reason)}"
            )
        rule = REASONS[access.reason]
        if rule.fields and (not fields or not rule.fields.issuperset(fields)):
            raise UsageError(
                f"the reason {access.reason} shows nothing but: {', '.join(sorted(rule.fields))}",
                hint="open a case, and give its number and another reason",
            )
        if not rule.duty:
            if any(person != access.who for person in persons):
                raise UsageError(
                    f"{access.reason} is for the own data only",
                    hint="open a case, and give its number and another reason",
                )
            return
        self._duties.require(access.who, rule.duty)
        if rule.needs_case:
            self._check_case(access.case, () if is_search else persons)
        elif access.case:
            raise UsageError(f"the reason {access.reason} needs no case", hint="omit the case, or give another reason")

    def opener(self, case: int, person: int) -> int:
        """Return who opened a case that can prove a lost phone of the person; 0 for another case."""
        return self._cases.opener(case, person)

    def _check_case(self, case: int, persons: Sequence[int]) -> None:
        if case <= 0 or not self._cases.is_open(case):
            what = f"case {case:,} is not open" if case > 0 else "no case was given"
            raise UsageError(
                f"an access to personal data needs an open case: {what}",
                hint="open one with `sycee case open`, and give its number",
            )
        for person in persons:
            if not self._cases.concerns(case, person):
                raise UsageError(
                    f"case {case:,} does not concern {ids.format(person)}",
                    hint="open a case about this person with `sycee case open`, and give its number",
                )

    # --- reading the log ---

    def head(self) -> tuple[int, bytes]:
        """Return number and digest of the newest entry; (0, zeros) of an empty log."""
        with reading(self._engine) as connection:
            return _head(connection)

    def entries(self, *, after: int = 0, most: int = _READ_MAX) -> list[Entry]:
        """Return up to `most` entries, in order, that follow the entry of number `after`."""
        query = sqlalchemy.select(ACCESSES).where(ACCESSES.c.number > after).order_by(ACCESSES.c.number).limit(most)
        with reading(self._engine) as connection:
            return [_entry(row) for row in connection.execute(query)]

    def of_person(self, person: int, *, by: int) -> list[Entry]:
        """Return the entries about a person, in order.

        The person does not see entries of a case for which an order delays the log at this moment. Raises UsageError if
        `by` is another person without the duty to read the log.
        """
        if by != person:
            self._duties.require(by, LOG)
        now = self._clock.now_ns()
        delayed = sqlalchemy.select(DELAYS.c.case).where(
            DELAYS.c.person == person, DELAYS.c.from_ns <= now, DELAYS.c.until_ns > now
        )
        query = sqlalchemy.select(ACCESSES).where(ACCESSES.c.person == person).order_by(ACCESSES.c.number)
        if by == person:
            query = query.where(ACCESSES.c.case.not_in(delayed))
        with reading(self._engine) as connection:
            return [_entry(row) for row in connection.execute(query)]

    def verify(self, heads: Sequence[tuple[int, bytes]] = ()) -> int:
        """Recompute the whole chain and return the number of entries.

        `heads`: numbers and digests that were signed earlier, such as those in the day's packs. Raises IntegrityError
        with the number of the first entry that is wrong or missing.
        """
        signed = dict(heads)
        number, previous = 0, START
        for entry in self._all():
            number += 1
            if entry.number != number:
                raise _tampered(number, f"is missing: entry {entry.number:,} follows entry {number - 1:,}")
            if entry.previous != previous:
                raise _tampered(number, f"does not continue entry {number - 1:,}")
            if entry.digest != entry_digest(entry):
                raise _tampered(number, "was changed: its digest differs from its content")
            if signed.get(number, entry.digest) != entry.digest:
                raise _tampered(number, "is not the one that a signed pack names")
            previous = entry.digest
        if missing := [each for each in signed if each > number]:
            raise _tampered(number + 1, f"is missing: a signed pack names entry {min(missing):,}")
        return number

    def disagreements(self) -> Iterator[str]:
        """Yield one sentence for an error of the log. For the check of the whole bank."""
        try:
            self.verify()
        except IntegrityError as error:
            yield error.message

    def _all(self) -> Iterator[Entry]:
        after = 0
        while part := self.entries(after=after):
            yield from part
            after = part[-1].number


def _head(connection: Connection) -> tuple[int, bytes]:
    query = sqlalchemy.select(ACCESSES.c.number, ACCESSES.c.digest).order_by(ACCESSES.c.number.desc()).limit(1)
    row = connection.execute(query).first()
    return (row.number, row.digest) if row else (0, START)


def _row(entry: Entry) -> dict[str, object]:
    return {
        "number": entry.number,
        "previous": entry.previous,
        "digest": entry.digest,
        "at_ns": entry.at_ns,
        "who": entry.who,
        "person": entry.person,
        "fields": ",".join(entry.fields),
        "reason": entry.reason,
        "case": entry.case,
        "invitation": entry.invitation or None,
        "inviter": entry.inviter or None,
    }


def _entry(row: Row[tuple[object, ...]]) -> Entry:
    fields = tuple(each for each in row.fields.split(",") if each)
    return Entry(
        row.number, row.previous, row.digest, row.at_ns, row.who, row.person, fields, row.reason, row.case,
        row.invitation or 0, row.inviter or 0,
    )  # fmt: skip


def _tampered(number: int, what: str) -> IntegrityError:
    return IntegrityError(
        f"entry {number:,} of the access log {what}",
        hint="restore the database from a backup, and compare the log with the signed packs",
    )


def named(person: int) -> str:
    """Return a person as text: the id, or "nobody" for a search without result."""
    return ids.format(person) if person != NOBODY else "nobody"
