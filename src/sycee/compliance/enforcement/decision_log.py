"""Rows of decisions and appeals: admissions, screenings, rejudge rounds. Rows are only added."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Final

import numpy as np
from sqlalchemy import ColumnElement, func, insert, select
from sqlalchemy.engine import Connection

from sycee.compliance import declarations
from sycee.compliance.enforcement import screening, versions
from sycee.compliance.enforcement.admission import Admission
from sycee.compliance.enforcement.decisions import Decision
from sycee.compliance.enforcement.screening import STORED_OUTCOMES, AdmissionStatus, ScreenedAlike
from sycee.compliance.enforcement.tables import ADMISSIONS, APPEAL_DECISIONS, APPEALS, CONTENTS, ROUNDS, SCREENINGS
from sycee.compliance.enforcement.versions import CurrentVersions, Stamp
from sycee.core.errors import UsageError, require
from sycee.database.bulk import insert_columns

CAUSE_REQUEST: Final = "asked"
CAUSE_REJUDGED: Final = "judged-again"
CAUSE_APPEAL: Final = "appeal"

_OUTCOMES: Final = {word: outcome for outcome, word in STORED_OUTCOMES.items()}
_DIGEST: Final = re.compile("[0-9a-f]{64}")


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
    return _admissions(connection, ADMISSIONS.c.participant == participant)


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


def add_screenings(connection: Connection, made: Sequence[ScreenedAlike], stamp: Stamp) -> None:
    """Store records about payments, in order. Equal forms are stored once."""
    digests = {form: declarations.text_digest(form.encode()) for form in {each.form for each in made}}
    payments = [payment for each in made for payment in each.payments]
    if not payments:
        return
    versions.add_contents(connection, {digest: form for form, digest in digests.items()})
    columns = {
        "payment": payments,
        "form": [digest for each in made for digest in [digests[each.form]] * len(each.payments)],
        "digest_start": np.array([_start(digest) for each in made for digest in each.digests], np.int64),
        "outcome": [word for each in made for word in [STORED_OUTCOMES[each.outcome]] * len(each.payments)],
        **asdict(stamp),
    }
    insert_columns(connection, SCREENINGS, columns)


def screenings(connection: Connection, payment: str) -> list[StoredDecision]:
    """Return all decisions about a payment, the oldest first."""
    return _screenings(connection, SCREENINGS.c.payment == payment)


def of_digest(connection: Connection, digest: str) -> StoredDecision:
    """Return the oldest decision with this digest. Raise UsageError if there is none."""
    if found := _admissions(connection, ADMISSIONS.c.digest == digest, limit=1):
        return found[0]
    if _DIGEST.fullmatch(digest):
        for each in _screenings(connection, SCREENINGS.c.digest_start == _start(digest)):
            if each.digest == digest:
                return each
    raise UsageError(f"no decision has the digest {digest}", hint='it is "digest" of a record, 64 hexadecimal digits')


def require_admissions(connection: Connection, record: Mapping[str, Any]) -> None:
    """Raise IntegrityError if a record names an admission that is not stored."""
    for each in record.get("standings", ()):
        if each["digest"]:
            stored = of_digest(connection, each["digest"])
            same = (stored.about, stored.outcome) == (each["participant"], each["outcome"])
            require(same, f"the record names an admission of {each['participant']} that is not stored")


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


def _admissions(connection: Connection, where: ColumnElement[bool], limit: int | None = None) -> list[StoredDecision]:
    names = ("number", "participant", "cause", "outcome", "digest", "record", "who", "at_ns")
    query = select(*(ADMISSIONS.c[name] for name in names)).where(where).order_by(ADMISSIONS.c.number).limit(limit)
    return [
        StoredDecision(number, participant, cause, outcome, digest, json.loads(record), *stamp)
        for number, participant, cause, outcome, digest, record, *stamp in connection.execute(query)
    ]


def _screenings(connection: Connection, where: ColumnElement[bool]) -> list[StoredDecision]:
    """Return decisions about payments. Raise IntegrityError for one whose reference or form was changed."""
    table = SCREENINGS.c
    columns = (
        table.number,
        table.payment,
        table.outcome,
        table.digest_start,
        CONTENTS.c.content,
        table.who,
        table.at_ns,
    )
    joined = select(*columns).join_from(SCREENINGS, CONTENTS, table.form == CONTENTS.c.digest)
    found = []
    for number, payment, outcome, start, form, *stamp in connection.execute(joined.where(where).order_by(table.number)):
        record = screening.record_of(form, payment)
        require(_start(record["digest"]) == start, f"the stored decision {number} about {payment} was changed")
        found.append(StoredDecision(number, payment, "", _OUTCOMES[outcome], record["digest"], record, *stamp))
    return found


def _start(digest: str) -> int:
    """Return the first 8 bytes of a digest as an integer of 64 bits."""
    return int(digest[:16], 16) - (1 << 63)
