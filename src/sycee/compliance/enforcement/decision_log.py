"""Every decision as it is kept: who stands where, what was permitted or refused, who appealed. Only added to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import Row, func, insert, select
from sqlalchemy.engine import Connection

from sycee.compliance.enforcement.admission import Admission
from sycee.compliance.enforcement.decisions import record_text
from sycee.compliance.enforcement.screening import STORED_OUTCOMES, AdmissionStatus, ComplianceRecord, Refusal
from sycee.compliance.enforcement.tables import ADMISSIONS, APPEAL_DECISIONS, APPEALS, ROUNDS, SCREENINGS
from sycee.compliance.enforcement.versions import CurrentVersions, Stamp
from sycee.core.errors import UsageError

CAUSE_REQUEST: Final = "asked"
CAUSE_REJUDGED: Final = "judged-again"
CAUSE_APPEAL: Final = "appeal"

_OUTCOMES: Final = {word: outcome for outcome, word in STORED_OUTCOMES.items()}


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """One decision as it was kept. `about` is the participant, or the caller's reference of the payment."""

    number: int
    about: str
    cause: str  # of an admission: "asked", "judged-again" or "appeal"
    outcome: str
    digest: str
    record: Mapping[str, Any]
    who: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Round:
    """One time that everybody was judged again: on what, how many, and for how many something changed."""

    network: str
    library: str
    day: date
    judged: int
    changed: int
    who: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Appeal:
    """Somebody asks a person to look at a decision. `granted` is None until that is answered."""

    number: int
    decision: str
    reason: str
    who: str
    at_ns: int
    granted: bool | None = None


# --- admissions ---


def add_admissions(connection: Connection, made: Iterable[Admission], cause: str, stamp: Stamp) -> None:
    """Keep decisions about participants. The newest of each is where it stands."""
    rows = [{"participant": each.participant, "cause": cause, **stamp.row, **_decision_row(each)} for each in made]
    if rows:
        connection.execute(insert(ADMISSIONS), rows)


def admission_status(connection: Connection, participant: str) -> AdmissionStatus:
    """Where a participant stands."""
    newest = (
        select(ADMISSIONS.c.outcome, ADMISSIONS.c.digest)
        .where(ADMISSIONS.c.participant == participant)
        .order_by(ADMISSIONS.c.number.desc())
        .limit(1)
    )
    row = connection.execute(newest).first()
    return AdmissionStatus(participant, row.outcome, row.digest) if row else AdmissionStatus(participant)


def applicants(connection: Connection) -> list[str]:
    """Every participant about which anything was decided, whatever became of it."""
    return sorted(connection.scalars(select(ADMISSIONS.c.participant).distinct()))


def newest_records(connection: Connection) -> dict[str, str]:
    """The newest record of each participant, as text."""
    newest = select(func.max(ADMISSIONS.c.number)).group_by(ADMISSIONS.c.participant)
    query = select(ADMISSIONS.c.participant, ADMISSIONS.c.record).where(ADMISSIONS.c.number.in_(newest))
    return {row.participant: row.record for row in connection.execute(query)}


def admissions(connection: Connection, participant: str) -> list[StoredDecision]:
    """All decisions about a participant, the first one first."""
    query = select(ADMISSIONS).where(ADMISSIONS.c.participant == participant).order_by(ADMISSIONS.c.number)
    return [_stored_decision(row, row.participant, row.cause) for row in connection.execute(query)]


def add_round(
    connection: Connection, basis: CurrentVersions, day: date, judged: int, changed: int, stamp: Stamp
) -> None:
    """Keep that everybody was judged again."""
    connection.execute(
        insert(ROUNDS).values(
            network=basis.network.digest,
            library=basis.library.digest,
            day=day.isoformat(),
            judged=judged,
            changed=changed,
            **stamp.row,
        )
    )


def last_round(connection: Connection) -> Round | None:
    """The last time that everybody was judged again."""
    row = connection.execute(select(ROUNDS).order_by(ROUNDS.c.number.desc()).limit(1)).first()
    if row is None:
        return None
    return Round(row.network, row.library, date.fromisoformat(row.day), row.judged, row.changed, row.who, row.at_ns)


# --- crossings ---


def add_screening(connection: Connection, made: ComplianceRecord | Refusal, stamp: Stamp) -> None:
    """Keep an answer, given or refused."""
    row = {"payment": made.payment, "flow": made.result.flow["digest"], **stamp.row, **_decision_row(made)}
    connection.execute(insert(SCREENINGS).values(row))


def screenings(connection: Connection, payment: str) -> list[StoredDecision]:
    """All answers for a payment, the first one first."""
    query = select(SCREENINGS).where(SCREENINGS.c.payment == payment).order_by(SCREENINGS.c.number)
    return [_stored_decision(row, row.payment, "") for row in connection.execute(query)]


# --- both ---


def of_digest(connection: Connection, digest: str) -> StoredDecision:
    """The first decision whose record has this digest. UsageError if none has."""
    for table, about in ((ADMISSIONS, "participant"), (SCREENINGS, "payment")):
        query = select(table).where(table.c.digest == digest).order_by(table.c.number).limit(1)
        row = connection.execute(query).first()
        if row is not None:
            return _stored_decision(row, getattr(row, about), getattr(row, "cause", ""))
    raise UsageError(f"no decision has the digest {digest}", hint="it is in the record, 64 hexadecimal digits")


# --- appeals ---


def add_appeal(connection: Connection, decision: str, reason: str, stamp: Stamp) -> int:
    """Keep an appeal; its number."""
    row = insert(APPEALS).values(decision=decision, reason=reason, **stamp.row)
    return int(connection.execute(row.returning(APPEALS.c.number)).scalar_one())


def appeal(connection: Connection, number: int) -> Appeal:
    """An appeal, with what was answered. UsageError if there is none of this number."""
    found = [each for each in appeals(connection) if each.number == number]
    if not found:
        raise UsageError(f"there is no appeal {number}", hint="appeal() gave its number")
    return found[0]


def appeals(connection: Connection) -> list[Appeal]:
    """All appeals, the first one first."""
    query = (
        select(APPEALS, APPEAL_DECISIONS.c.granted)
        .join_from(APPEALS, APPEAL_DECISIONS, APPEALS.c.number == APPEAL_DECISIONS.c.appeal, isouter=True)
        .order_by(APPEALS.c.number)
    )
    return [
        Appeal(row.number, row.decision, row.reason, row.who, row.at_ns, row.granted)
        for row in connection.execute(query)
    ]


def add_appeal_decision(
    connection: Connection, number: int, *, granted: bool, role: str, reason: str, until: date | None, stamp: Stamp
) -> None:
    """Keep what a person answered."""
    connection.execute(
        insert(APPEAL_DECISIONS).values(
            appeal=number,
            granted=granted,
            role=role,
            reason=reason,
            until_day=until.isoformat() if until else None,
            **stamp.row,
        )
    )


def _decision_row(made: Admission | ComplianceRecord | Refusal) -> dict[str, str]:
    record = made.record
    inputs = {name: record["inputs"][name] for name in ("network", "library", "day")}
    own = {name: record[name] for name in ("outcome", "reason_code", "digest")}
    return {**inputs, **own, "record": record_text(record)}


def _stored_decision(row: Row[Any], about: str, cause: str) -> StoredDecision:
    outcome = _OUTCOMES.get(row.outcome, row.outcome)
    return StoredDecision(row.number, about, cause, outcome, row.digest, json.loads(row.record), row.who, row.at_ns)
