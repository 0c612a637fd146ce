"""Rows of decisions and appeals: admissions, screenings, rejudge rounds. Rows are only added."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, func, insert, literal, select
from sqlalchemy.engine import Connection

from sycee.compliance import canonical
from sycee.compliance.enforcement.admission import Admission
from sycee.compliance.enforcement.decisions import Decision
from sycee.compliance.enforcement.screening import STORED_OUTCOMES, AdmissionStatus, Screened, UnreadableFlow
from sycee.compliance.enforcement.tables import ADMISSIONS, APPEAL_DECISIONS, APPEALS, ROUNDS, SCREENINGS
from sycee.compliance.enforcement.versions import CurrentVersions, Stamp
from sycee.core.errors import UsageError

CAUSE_REQUEST: Final = "asked"
CAUSE_REJUDGED: Final = "judged-again"
CAUSE_APPEAL: Final = "appeal"

_OUTCOMES: Final = {word: outcome for outcome, word in STORED_OUTCOMES.items()}


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """One stored decision. `about` is the participant, or the caller's reference of the payment."""

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
    """One call of `rejudge`: digests of its inputs, the day, and the numbers of participants judged and changed."""

    network: str
    library: str
    day: date
    judged: int
    changed: int
    who: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Appeal:
    """A request that a person reviews a decision. `granted` is None until it is decided."""

    number: int
    decision: str
    reason: str
    who: str
    at_ns: int
    granted: bool | None = None


def add_admissions(connection: Connection, decisions: Iterable[Admission], cause: str, stamp: Stamp) -> None:
    """Store decisions about participants. The newest of each gives its status."""
    own = {"cause": cause, **asdict(stamp)}
    if rows := [{"participant": each.participant, **own, **_decision_row(each)} for each in decisions]:
        connection.execute(insert(ADMISSIONS), rows)


def admission_status(connection: Connection, participant: str) -> AdmissionStatus:
    """Return a participant's status."""
    of_participant = select(ADMISSIONS.c.outcome, ADMISSIONS.c.digest).where(ADMISSIONS.c.participant == participant)
    newest = connection.execute(of_participant.order_by(ADMISSIONS.c.number.desc()).limit(1)).first()
    return AdmissionStatus(participant, *(newest or ()))


def applicants(connection: Connection) -> list[str]:
    """Return every participant with a decision, sorted."""
    return sorted(connection.scalars(select(ADMISSIONS.c.participant).distinct()))


def newest_records(connection: Connection) -> dict[str, str]:
    """Return the newest record of each applicant, as text."""
    newest = select(func.max(ADMISSIONS.c.number)).group_by(ADMISSIONS.c.participant)
    query = select(ADMISSIONS.c.participant, ADMISSIONS.c.record).where(ADMISSIONS.c.number.in_(newest))
    return {row.participant: row.record for row in connection.execute(query)}


def admissions(connection: Connection, participant: str) -> list[StoredDecision]:
    """Return all decisions about a participant, the oldest first."""
    return _decisions(connection, ADMISSIONS, ADMISSIONS.c.participant == participant)


def add_round(
    connection: Connection, versions: CurrentVersions, day: date, judged: int, changed: int, stamp: Stamp
) -> None:
    """Store that all applicants were judged again."""
    inputs = {"network": versions.network.digest, "library": versions.library.digest, "day": day.isoformat()}
    connection.execute(insert(ROUNDS).values(judged=judged, changed=changed, **inputs, **asdict(stamp)))


def last_round(connection: Connection) -> Round | None:
    """Return the newest rejudge round."""
    row = connection.execute(select(ROUNDS).order_by(ROUNDS.c.number.desc()).limit(1)).first()
    if row is None:
        return None
    _, network, library, day, *rest = row
    return Round(network, library, date.fromisoformat(day), *rest)


def add_screenings(connection: Connection, decided: Iterable[tuple[Screened, str]], stamp: Stamp) -> None:
    """Store decisions about payments, each with its record as JSON."""
    own = asdict(stamp)
    rows = []
    for decision, record in decided:
        if isinstance(decision, UnreadableFlow):
            flow, network, library, day = (
                canonical.digest(decision.given),
                decision.network,
                decision.library,
                decision.day,
            )
        else:
            inputs = decision.result.inputs
            flow, network, library, day = decision.result.flow["digest"], inputs.network, inputs.library, inputs.day
        rows.append(
            {
                "payment": decision.payment,
                "flow": flow,
                "outcome": STORED_OUTCOMES[decision.outcome],
                "network": network,
                "library": library,
                "day": day.isoformat(),
                "reason_code": decision.reason_code,
                "digest": decision.digest,
                "record": record,
                **own,
            }
        )
    if rows:
        connection.execute(insert(SCREENINGS), rows)


def screenings(connection: Connection, payment: str) -> list[StoredDecision]:
    """Return all decisions about a payment, the oldest first."""
    return _decisions(connection, SCREENINGS, SCREENINGS.c.payment == payment)


def of_digest(connection: Connection, digest: str) -> StoredDecision:
    """Return the oldest decision with this digest. Raise UsageError if there is none."""
    for table in (ADMISSIONS, SCREENINGS):
        if found := _decisions(connection, table, table.c.digest == digest, limit=1):
            return found[0]
    raise UsageError(f"no decision has the digest {digest}", hint='it is "digest" of a record, 64 hexadecimal digits')


def add_appeal(connection: Connection, decision: str, reason: str, stamp: Stamp) -> int:
    """Store an appeal and return its number."""
    row = insert(APPEALS).values(decision=decision, reason=reason, **asdict(stamp))
    return int(connection.execute(row.returning(APPEALS.c.number)).scalar_one())


def appeals(connection: Connection) -> list[Appeal]:
    """Return all appeals, the oldest first."""
    query = (
        select(APPEALS, APPEAL_DECISIONS.c.granted)
        .join_from(APPEALS, APPEAL_DECISIONS, APPEALS.c.number == APPEAL_DECISIONS.c.appeal, isouter=True)
        .order_by(APPEALS.c.number)
    )
    return [Appeal(*row) for row in connection.execute(query)]


def open_appeal(connection: Connection, number: int) -> Appeal:
    """Return an appeal that is not decided. Raise UsageError if there is none with this number."""
    found = next((each for each in appeals(connection) if each.number == number), None)
    if found is None:
        raise UsageError(f"there is no appeal {number}", hint="appeals() lists them")
    if found.granted is not None:
        raise UsageError(f"appeal {number} is already decided", hint="make a new appeal")
    return found


def add_appeal_decision(
    connection: Connection, number: int, *, granted: bool, role: str, reason: str, until: date | None, stamp: Stamp
) -> None:
    """Store a person's decision about an appeal."""
    row = {"appeal": number, "granted": granted, "role": role, "reason": reason}
    until_day = until.isoformat() if until else None
    connection.execute(insert(APPEAL_DECISIONS).values(until_day=until_day, **row, **asdict(stamp)))


def _decision_row(decision: Decision) -> dict[str, str]:
    record = decision.record
    row = {name: record["inputs"][name] for name in ("network", "library", "day")}
    return row | {name: record[name] for name in ("outcome", "reason_code", "digest")} | {"record": decision.json()}


def _decisions(
    connection: Connection, table: Table, where: ColumnElement[bool], limit: int | None = None
) -> list[StoredDecision]:
    about, cause = (table.c.participant, table.c.cause) if table is ADMISSIONS else (table.c.payment, literal(""))
    columns = (
        table.c.number,
        about,
        cause,
        *(table.c[each] for each in ("outcome", "digest", "record", "who", "at_ns")),
    )
    query = select(*columns).where(where).order_by(table.c.number).limit(limit)
    return [
        StoredDecision(number, name, cause, _OUTCOMES.get(outcome, outcome), digest, json.loads(record), *stamp)
        for number, name, cause, outcome, digest, record, *stamp in connection.execute(query)
    ]
