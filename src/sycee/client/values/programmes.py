"""Programmes: funders, files, occurrences and dry runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Funder:
    """An account that pays programmes. `operator`: the number of the operator that serves it."""

    account: str
    name: str
    operator: int
    state: str
    balance_minor: int


@dataclass(frozen=True, slots=True)
class ProgrammeRow:
    """A programme. `digest`: SHA-256 of its file. `halted`: why it is halted, None while it is not."""

    name: str
    title: str
    state: str
    digest: str
    funder: str
    operator: int
    operators: Mapping[str, int]
    halted: str | None


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One run of a programme, with its packets on the ledger. `number`: of its programme there."""

    programme: str
    occurrence: int
    date: str
    state: str
    next_step: str
    number: int | None
    entries: int
    members: int
    claimed: int
    budget_minor: int
    dropped_minor: int
    spent_minor: int
    pending_minor: int
    returned_minor: int
    left_minor: int
    announcement: str | None
    published: str | None
    cohort: str | None


@dataclass(frozen=True, slots=True)
class Programme:
    """A programme with its file and its occurrences."""

    name: str
    title: str
    state: str
    digest: str
    funder: str
    operator: int
    operators: Mapping[str, int]
    halted: str | None
    text: str
    occurrences: tuple[Occurrence, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """A stored file. `digest`: its SHA-256."""

    name: str
    state: str
    digest: str


@dataclass(frozen=True, slots=True)
class PacketShare:
    """`count` packets of `minor` units each. `zone`: of a file with zones."""

    name: str
    count: int
    minor: int
    zone: str = ""


@dataclass(frozen=True, slots=True)
class ProgrammeZone:
    """A zone of an occurrence. `frame`: of its drop, None before; `is_next`: it can be dropped next."""

    name: str
    members: int
    minor: int
    skippable: bool
    is_next: bool
    begins: str | None = None
    frame: int | None = None


@dataclass(frozen=True, slots=True)
class StoredSituation:
    """A situation that the bank stored. `hour`: local, such as 2026-11-07T08."""

    hour: str
    time: str


@dataclass(frozen=True, slots=True)
class RegistrantMessage:
    """A text for registrants in one state. `open`: placeholders that the operator fills."""

    state: str
    text: str
    open: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DryStep:
    """One step of a dry run. `refused`: number of records by code."""

    name: str
    at: str
    records: int
    refused: Mapping[str, int]
    supply_minor: int
    funder_minor: int


@dataclass(frozen=True, slots=True)
class DryRun:
    """Effects of the next steps on the state after `frame`. `invented`: nobody is drawn yet."""

    ok: bool
    frame: int
    invented: bool
    members: int
    budget_minor: int
    supply_minor: int
    funder_minor: int
    shares: tuple[PacketShare, ...]
    steps: tuple[DryStep, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shop:
    """The application of a merchant's account for a group of a programme."""

    programme: str
    wallet: str
    group: str
    merchant: str
    operator: int
    state: str
    reason: str
    applied: str


@dataclass(frozen=True, slots=True)
class UntestedOutlet:
    """An outlet of a shop that took no payment since the application."""

    merchant: str
    outlet: str
    code: str
    operator: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """The filed result of a run. `operator`: 0 for a restored backup."""

    kind: str
    operator: int
    passed: bool


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition before a drop. `met`: None if the system cannot know it."""

    name: str
    met: bool | None
    detail: str


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions of an occurrence. `go`: all are met."""

    go: bool
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Winner:
    """Who has a packet, without an identity. `bank`: in the file; `wallet`: named at registration, None for none."""

    place: int
    member: str
    packet: str
    minor: int
    bank: str
    wallet: str | None


@dataclass(frozen=True, slots=True)
class ClaimedPacket:
    """The outcome of a claim. `code`: why the ledger refused it, "" for a claimed packet."""

    member: str
    wallet: str
    code: str
