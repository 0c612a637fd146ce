"""The list of conditions before a programme's money is dropped or spent: go, or no go.

The system computes what it knows. What happened elsewhere, an operator's run of `sycee conformance` and a backup that
was restored, is filed as evidence by a person: the run's own JSON, of which the digest is stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy

from sycee.core import json_documents, money
from sycee.core.clock import read_ns
from sycee.core.errors import UsageError
from sycee.core.input_files import read_bytes
from sycee.core.records.layout import Block
from sycee.core.time_zones import zone_info
from sycee.core.words import quantity
from sycee.database.transactions import reading, write
from sycee.programmes import states
from sycee.programmes.schedule import local_time
from sycee.programmes.stored import Occurrence, StoredProgramme
from sycee.programmes.tables import ACCEPTED, APPLIED, CONFORMANCE, EVIDENCE, JOINED, RESTORE

if TYPE_CHECKING:
    from sycee.bank.bank import Bank
    from sycee.programmes.widening import ZoneState

FILE: Final = "programme.evidence"
EVIDENCE_BYTES_MAX: Final = 1 << 20
RESTORE_DAYS: Final = 7  # a restored backup counts for this long
KINDS: Final = (CONFORMANCE, RESTORE)
_DAY_NS: Final = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition. `is_met`: None if the system cannot know it."""

    name: str
    is_met: bool | None
    detail: str


def file_evidence(bank: Bank, name: str, kind: str, content: bytes, *, who: int, operator: int = 0) -> bool:
    """Store the result of a run elsewhere as evidence for a programme; return whether the run passed.

    `content`: JSON with the member `ok`, as `sycee conformance --json` prints it. `operator`: whose integration was
    tested; 0 for a restored backup. The newest evidence counts. Raises UsageError for another kind or content.
    """
    if kind not in KINDS:
        raise UsageError(f"there is no evidence of the kind {kind!r}", hint=f"kinds: {', '.join(KINDS)}")
    stored = bank.programmes.get(name)
    if (kind == CONFORMANCE) is not (operator in stored.operators.values()):
        raise UsageError(f"operator {operator} does not fit {kind}", hint="name an operator of the programme's file")
    bank.people.require(who, FILE, operator=operator or stored.operator)
    members: Any = json_documents.parse(content, "the evidence")
    if not isinstance(members, dict) or not isinstance(members.get("ok"), bool):
        raise UsageError("the evidence has no member `ok`", hint="file what the command printed with --json")
    row = {
        "programme": name, "kind": kind, "operator": operator, "digest": hashlib.sha256(content).hexdigest(),
        "passed": int(members["ok"]), "by": who, "at_ns": read_ns(bank.stores.clock),
    }  # fmt: skip
    chosen = (EVIDENCE.c.programme == name) & (EVIDENCE.c.kind == kind) & (EVIDENCE.c.operator == operator)

    def store(connection: sqlalchemy.Connection) -> None:
        connection.execute(EVIDENCE.delete().where(chosen))
        connection.execute(EVIDENCE.insert().values(row))

    write(bank.stores.engine, store)
    return bool(members["ok"])


def read_evidence(path: Path) -> bytes:
    """Return the content of a file with evidence. Errors as `core.input_files.read_bytes`."""
    return read_bytes(path, EVIDENCE_BYTES_MAX, "evidence")


def conditions(bank: Bank, name: str, occurrence: int = 0, zone: str = "") -> tuple[Condition, ...]:
    """Return the conditions of an occurrence, in the order of a team's list.

    `zone`: the zone that is to be dropped, "" for the next one of a file with zones. Raises UsageError for a zone that
    the file does not name.
    """
    stored, found = bank.programmes.get(name), bank.programmes.occurrence(name, occurrence)
    names = [each.name for each in stored.definition.zones]
    if zone and zone not in names:
        raise UsageError(f"there is no zone {zone[:40]!r}", hint=f"zones of the file: {', '.join(names) or 'none'}")
    return tuple(_conditions(bank, stored, found, _zone(bank, found, zone)))


def _zone(bank: Bank, occurrence: Occurrence, zone: str) -> ZoneState | None:
    """Return a zone, or the next one; None before the draw, without zones, and once all were dropped."""
    if not states.is_at_least(occurrence.state, states.DRAWN):
        return None
    zones = bank.programmes.zones(occurrence.programme, occurrence.occurrence)
    return next((each for each in zones if (each.name == zone if zone else each.is_next)), None)


def _zone_conditions(bank: Bank, zone: ZoneState) -> Iterator[Condition]:
    dropped = "it was dropped" if zone.frame is not None else f"{zone.members:,} members"
    yield Condition(f"zone {zone.name} is next", zone.is_next, dropped)
    if zone.from_ns is not None:
        has_begun = read_ns(bank.stores.clock) >= zone.from_ns
        shown = local_time(zone.from_ns, zone_info(bank.config.text("zone"))).isoformat(" ")
        yield Condition(f"zone {zone.name} has begun", has_begun, f"from {shown}")


def _conditions(
    bank: Bank, programme: StoredProgramme, occurrence: Occurrence, zone: ZoneState | None
) -> Iterator[Condition]:
    sealed = states.is_at_least(occurrence.state, states.ALLOTTED)
    yield Condition(
        "terms signed", states.is_at_least(occurrence.state, states.APPROVED), f"the occurrence is {occurrence.state}"
    )
    yield Condition("cohort sealed", sealed, f"{occurrence.members:,} members")
    if zone is not None:
        yield from _zone_conditions(bank, zone)
    yield _funded(bank, programme, occurrence, zone)
    yield Condition("not halted", not programme.is_halted, programme.halt_reason or "no halt")
    yield from _shops(bank, programme)
    yield from _evidence(bank, programme)
    yield _day_closed(bank)
    problems = bank.check()
    yield Condition("books agree", not problems, problems[0] if problems else "database and ledger agree")
    failing = bank.stores.jobs.failing()
    yield Condition("jobs run", not failing, f"{failing[0].name}: {failing[0].error}" if failing else "no job fails")


def _funded(bank: Bank, programme: StoredProgramme, occurrence: Occurrence, zone: ZoneState | None) -> Condition:
    account = bank.stores.ledger.account(programme.funder)
    currency = bank.config.currency
    is_filled = states.is_at_least(occurrence.state, states.DROPPED) if zone is None else zone.frame is not None
    if is_filled:
        return Condition("funder covered", True, "the money is in the packets")
    needed = zone.minor if zone is not None else occurrence.minor or programme.definition.budget_minor
    detail = f"{money.format(account.balance, currency)} of {money.with_code(needed, currency)}"
    is_blocked = bool(account.blocks & Block.DEBIT)
    return Condition("funder covered", account.balance >= needed and not is_blocked, detail + ", blocked" * is_blocked)


def _shops(bank: Bank, programme: StoredProgramme) -> Iterator[Condition]:
    shops = bank.shops.list(programme.name)
    joined, waiting = (sum(each.state in chosen for each in shops) for chosen in ((JOINED,), (APPLIED, ACCEPTED)))
    yield Condition("shops joined", joined > 0 and not waiting, f"{joined:,} joined, {waiting:,} wait")
    untested = len(bank.shops.untested(programme.name))
    detail = f"{quantity(untested, 'outlet')} took no payment yet" if joined else "no shop has joined"
    yield Condition("outlets tested", joined > 0 and not untested, detail)


def _evidence(bank: Bank, programme: StoredProgramme) -> Iterator[Condition]:
    with reading(bank.stores.engine) as connection:
        rows = connection.execute(sqlalchemy.select(EVIDENCE).where(EVIDENCE.c.programme == programme.name)).all()
    found = {(row.kind, row.operator): row for row in rows}
    for title, number in programme.operators.items():
        row = found.get((CONFORMANCE, number))
        detail = "no run is filed" if row is None else f"SHA-256 {row.digest[:16]}…"
        yield Condition(f"conformance of {title}", None if row is None else bool(row.passed), detail)
    row = found.get((RESTORE, 0))
    if row is None:
        yield Condition("backup restored", None, "no restored backup is filed")
        return
    days = (read_ns(bank.stores.clock) - row.at_ns) // _DAY_NS
    yield Condition("backup restored", bool(row.passed) and days < RESTORE_DAYS, f"filed {days} days ago")


def _day_closed(bank: Bank) -> Condition:
    days = bank.day.days()
    today = local_time(read_ns(bank.stores.clock), zone_info(bank.config.text("zone"))).date()
    newest = days[-1].day if days else None
    is_met = newest is not None and bank.day.calendar.following(newest) >= today
    return Condition("day closed", is_met, f"newest closed day: {newest or 'none'}")
