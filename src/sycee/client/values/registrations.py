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
    """An entry without its identity. `accepted`: of a duplicate, the accepted entry of the same person."""

    entry: int
    state: str
    reason: str
    bank: str
    registered: str
    due: str | None
    accepted: int | None


@dataclass(frozen=True, slots=True)
class RemovedEntry:
    """An entry that left by hand, or waits for its second person. `kind`: withdrawn, lapsed or excluded."""

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
