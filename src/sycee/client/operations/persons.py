"""Personal data of others: read for a reason and a case, with its log; legal holds, and the end of data."""

from __future__ import annotations

from collections.abc import Sequence

from sycee.client.calls import Call, action, made, post, read, rows, value
from sycee.client.exchange import Conversation, Session
from sycee.client.operations.arguments import name_of
from sycee.client.values import LegalHold, LogEntry, PersonData, Proposed


def read_person(person: int | str, fields: Sequence[str], *, reason: str, case: int) -> Call[PersonData]:
    """Return fields of a person after an entry in the access log, which the person reads.

    `fields`: "name", "phone", "paper", "paper_kind", "birth", "address". `case`: open, and about the person.
    """
    query = {"fields": tuple(fields), "reason": reason, "case": str(case)}
    return read(f"/v1/persons/{name_of(person)}", value(PersonData), query=query)


def find_persons(by: str, text: str, *, reason: str, case: int) -> Call[Sequence[str]]:
    """Return ids of persons, each after an entry in the access log. `by`: "phone", "paper" or "name-and-birth"."""

    def converse(_: Session) -> Conversation[Sequence[str]]:
        response = yield post("/v1/persons/searches", {"by": by, "text": text, "reason": reason, "case": case})
        return made(response, lambda members: tuple(str(each) for each in members["persons"]))

    return Call(converse)


def access_log(person: int | str) -> Call[Sequence[LogEntry]]:
    """Return all accesses to the data of a person, also delayed ones, for auditors and privacy officers."""
    return rows(f"/v1/persons/{name_of(person)}/access-log", value(LogEntry))


def delay_log(person: int | str, *, case: int, until_ns: int, id: int = 0) -> Call[Proposed]:
    """Propose that a person does not see the accesses for a case until a time. Another person signs."""
    body = {"case": case, "until_ns": str(until_ns)}
    return action(f"/v1/persons/{name_of(person)}/log-delays", body, value(Proposed), id=id)


def hold_data(person: int | str, *, case: int, until_ns: int | None = None, id: int = 0) -> Call[Proposed]:
    """Propose that a person's data is not shredded while a case lasts. Another person signs."""
    body = {"case": case} | ({"until_ns": str(until_ns)} if until_ns is not None else {})
    return action(f"/v1/persons/{name_of(person)}/legal-holds", body, value(Proposed), id=id)


def legal_holds(person: int | str) -> Call[Sequence[LegalHold]]:
    """Return the legal holds of a person, ended ones too."""
    return rows(f"/v1/persons/{name_of(person)}/legal-holds", value(LegalHold))


def release_data(hold: int | str, *, id: int = 0) -> Call[Proposed]:
    """Propose the end of a legal hold. Another person signs."""
    return action(f"/v1/legal-holds/{name_of(hold)}/release", {}, value(Proposed), id=id)


def due_for_shredding() -> Call[Sequence[str]]:
    """Return persons whose retention periods are all over, and who are under no legal hold."""
    return read("/v1/retention/due", lambda members: tuple(str(each) for each in members["persons"]))


def shred_person(person: int | str, *, basis: str, id: int = 0) -> Call[str]:
    """Make a person's data unreadable, and return the person. Refused while retention or a legal hold lasts."""
    path = f"/v1/persons/{name_of(person)}/shredding"
    return action(path, {"basis": basis}, lambda members: str(members["person"]), id=id)
