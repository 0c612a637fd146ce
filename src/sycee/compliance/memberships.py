"""Memberships: which parties belong to a regime or support it, as dated data with sources.

A row binds nobody. A pledge is enforced only while an adoption is in force (`profiles.Profile.force`); a question may
assume one (`judging.what_if`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Annotated, Final

from sycee import data
from sycee.compliance.document_fields import Name, end_of, one_of, read, read_tables
from sycee.compliance.facts import Dated
from sycee.compliance.profiles import Source
from sycee.compliance.vocabulary import Field, Type
from sycee.core import documents
from sycee.core.documents import Table
from sycee.core.errors import UsageError

STATE: Final = "state"  # a state, or a territory with its own code
ORGANISATION: Final = "organisation"  # of states, which are its members
COMPANY: Final = "company"
KINDS: Final = (STATE, ORGANISATION, COMPANY)

# The first four participate; the others are statements about the regime, or of its initiator about the party.
TAKES_PART: Final = ("initiator", "member", "signed", "joint-initiative")
RELATIONS: Final[Mapping[str, str]] = {
    "initiator": "it proposed the regime",
    "member": "the source calls it a member",
    "signed": "it signed a declaration or a memorandum",
    "joint-initiative": "it issued an initiative of the same content together with the initiator",
    "supports": "it supports the regime in a statement",
    "welcomed": "it welcomed the regime in a statement",
    "acknowledged": "it acknowledged the regime in a statement",
    "named": "the initiator or a third party names it as belonging",
}

_CODES: Final = Field("", Type.STATES, "codes of states", least=1, required=True)


@dataclass(frozen=True, slots=True)
class Membership(Dated):
    """One relation of one party to a regime, from a day on, and who said so.

    `states` is the code of a state, the members of an organisation of states, or the state of a company's business.
    """

    party: str
    kind: Annotated[str, one_of(KINDS)]
    states: Annotated[tuple[str, ...], _CODES]
    relation: Annotated[str, one_of(tuple(RELATIONS))]
    from_date: date
    until_date: Annotated[date | None, end_of("from_date")]
    said_by: str
    source: Name
    note: str = ""
    place: str = ""

    @property
    def takes_part(self) -> bool:
        """Whether the party participates in the regime, and does not only speak or is spoken about."""
        return self.relation in TAKES_PART


@dataclass(frozen=True)
class MemberList:
    """The memberships of one regime, in the order of the file. `profile` is the id of the regime's profile."""

    profile: Name
    title: str
    as_of: date
    sources: tuple[Source, ...]
    rows: tuple[Membership, ...]
    note: str = ""

    def on(self, day: date) -> tuple[Membership, ...]:
        """Return the rows in force on a day."""
        return tuple(row for row in self.rows if row.in_force(day))

    def states_on(self, day: date, *, taking_part: bool) -> frozenset[str]:
        """Return the states with a row in force on a day, by themselves or through an organisation of states.

        `taking_part` omits statements.
        """
        rows = (row for row in self.on(day) if row.kind != COMPANY and (row.takes_part or not taking_part))
        return frozenset(state for row in rows for state in row.states)


def shipped() -> tuple[str, ...]:
    """Return the names of the shipped lists of members: the ids of their profiles."""
    return data.names("memberships")


def load(source: str | Path) -> MemberList:
    """Return the list in a file, or the shipped one of this name. UsageError or DocumentError for an invalid one."""
    return parse(data.document("memberships", source, "list of members"))


def load_all(sources: Sequence[str | Path] = ()) -> tuple[MemberList, ...]:
    """Return several lists; without any, the shipped ones. UsageError if two are of the same profile."""
    found = tuple(load(each) for each in sources or shipped())
    profiles = [each.profile for each in found]
    for index, profile in enumerate(profiles):
        if profile in profiles[:index]:
            raise UsageError(f"the members of {profile} were given twice", hint="name each list of members once")
    return found


def parse(table: Table) -> MemberList:
    """Return the list in a document. DocumentError for an invalid value."""
    sources = read_tables(table, "sources", partial(read, Source), required=True)
    rows = read_tables(table, "rows", partial(_row, [each.id for each in sources]), required=True)
    found = read(MemberList, table, sources=sources, rows=rows)
    table.finish()
    for index, each in enumerate(table.tables("rows")):
        row = rows[index]
        for other in rows[:index]:
            if _repeats(row, other):
                problem = f"{documents.found(row.party)} is already {documents.found(row.relation)} at that time"
                right = f"the end of the row at {other.place}, or another relation"
                raise each.error("party", problem, right=right)
    return found


def selected(
    lists: Iterable[MemberList],
    *,
    day: date | None = None,
    states: Sequence[str] = (),
    relations: Sequence[str] = (),
) -> tuple[tuple[MemberList, tuple[Membership, ...]], ...]:
    """Return the rows of each list: in force on the day, of one of the states, in one of the relations."""
    return tuple(
        (
            each,
            tuple(
                row
                for row in (each.rows if day is None else each.on(day))
                if (not states or not set(states).isdisjoint(row.states))
                and (not relations or row.relation in relations)
            ),
        )
        for each in lists
    )


def _row(sources: Sequence[str], table: Table) -> Membership:
    row = read(Membership, table, source=table.choice("source", sources))
    if row.kind != ORGANISATION and len(row.states) > 1:
        right = f'one code, or kind = "{ORGANISATION}" for an organisation of these states'
        raise table.error("states", f"found {len(row.states)} codes for a {row.kind}", right=right)
    return row


def _repeats(row: Membership, other: Membership) -> bool:
    """Return whether two rows have the same party and relation on some day."""
    same = (row.party, row.kind, row.relation) == (other.party, other.kind, other.relation)
    return same and (other.in_force(row.from_date) or row.in_force(other.from_date))
