"""Registration for a programme."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ReceiptOfEntry:
    """A receipt for the registrant: with document, phone and salt the entry is found in the published list."""

    entry: int
    state: str
    reason: str
    document: str = field(repr=False)
    phone: str = field(repr=False)
    salt: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """Why a row was refused. `row`: from 1; `column`: "" for the row as a whole."""

    row: int
    column: str
    code: str


@dataclass(frozen=True, slots=True)
class Registered:
    """How many rows were registered. `refused`: number of rows by code; `faults`: the first of them."""

    rows: int
    registered: int
    refused: Mapping[str, int]
    faults: tuple[RefusedRow, ...]


@dataclass(frozen=True, slots=True)
class RegisteredEntry:
    """An entry without its identity. `accepted`: of a duplicate, the accepted entry of the same person.

    `waits`: whether an exclusion after the draw waits for its second person.
    """

    entry: int
    state: str
    reason: str
    bank: str
    registered: str
    due: str | None
    accepted: int | None
    waits: bool = False


@dataclass(frozen=True, slots=True)
class RemovedEntry:
    """An entry that was removed manually, or waits for its second person. `kind`: withdrawn, lapsed or excluded."""

    removal: int
    entry: int
    kind: str
    reason: str
    state: str
    by: str
    time: str
    decided_by: str | None = None
    decided: str | None = None


@dataclass(frozen=True, slots=True)
class RegistrationAppeal:
    """An appeal without its texts. `against`: state and reason of the entry."""

    appeal: str
    entry: int
    against: str
    state: str
    time: str


@dataclass(frozen=True, slots=True)
class AppealTexts:
    """The text of a registrant, and the answer; "" before the decision."""

    appeal: str
    text: str = field(repr=False)
    answer: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class EntryCount:
    """The number of entries in a state, for a reason."""

    state: str
    reason: str
    entries: int


@dataclass(frozen=True, slots=True)
class Screened:
    """The duplicates now, and the entries that a screening excluded."""

    duplicates: int
    excluded: int


@dataclass(frozen=True, slots=True)
class LookedEntry:
    """The answer of support about an entry. `answer`: one sentence for the registrant.

    `rank`, `ticket`, `position`: in the published draw. `winners`: the ranks of the stratum that won. `follows`: the
    rank that this entry follows as a successor. `purse`: state of the packet on the ledger, "" before the drop.
    """

    entry: int
    answer: str
    state: str
    reason: str
    occurrence_state: str
    bank: str
    stratum: str
    position: int | None
    rank: int | None
    winners: int | None
    ticket: str | None
    follows: int | None
    packet: str | None
    purse: str | None
    appeals: tuple[str, ...]
    amount_minor: int | None = None
