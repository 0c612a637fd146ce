"""Public data, and the identity of this client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sycee.client.calls import Call, action, read, rows, value
from sycee.client.operations.arguments import id_member, name_of
from sycee.client.values import Bound, Caller, HeldDuty, LogEntry, Me, Proposed
from sycee.core.keys import PublicKey


def ready() -> Call[int]:
    """Return the newest durable frame. Raises NotTaken while the server starts or stops."""
    return read("/readyz", lambda members: int(members["frame"]))


def supply() -> Call[Mapping[str, Any]]:
    """Return the supply page as its JSON: the money in circulation, the reserves behind it, and digests."""
    return read("/v1/supply", dict)


def session() -> Call[Caller]:
    """Return who the server takes this client for."""
    return read(
        "/auth/session",
        lambda members: Caller(members["kind"], members["person"], members["operator"], frozenset(members["scopes"])),
    )


def me() -> Call[Me]:
    """Return the person of this client, with duties and public keys."""
    return read("/v1/me", value(Me))


def duties() -> Call[Sequence[HeldDuty]]:
    """Return all duties that count now, for officers and auditors."""
    return rows("/v1/duties", value(HeldDuty))


def appoint(
    duty: str,
    key: PublicKey,
    *,
    until_ns: int,
    person: int | str = "",
    institution: int | str = "",
    operator: int | None = None,
    currency: str = "",
    id: int = 0,
) -> Call[Proposed]:
    """Propose that a person has a duty until a time, and signs with a key. Two officers sign.

    - `person`: a new one by default. `institution`: of an operator, a clerk or a merchant's person.
    - `operator`: of the issuer's own operators, 0 or 1. `currency`: of a currency-officer.
    """
    body: dict[str, object] = {"duty": duty, "key": str(key), "until_ns": str(until_ns)}
    body |= id_member("person", person) | id_member("institution", institution)
    if operator is not None:
        body["operator"] = operator
    if currency:
        body["currency"] = currency
    return action("/v1/appointments", body, value(Proposed), id=id)


def dismiss(duty: int | str, *, id: int = 0) -> Call[Proposed]:
    """Propose the end of a duty, by its `duty_id`. Two officers sign."""
    return action(f"/v1/duties/{name_of(duty)}/dismissal", {}, value(Proposed), id=id)


def own_access_log() -> Call[Sequence[LogEntry]]:
    """Return who read the caller's own data; an order of two persons may delay entries of a case."""
    return rows("/v1/me/access-log", value(LogEntry))


def ward_access_log(person: int | str) -> Call[Sequence[LogEntry]]:
    """Return who read the data of a person whose guardian the caller is."""
    return rows(f"/v1/me/wards/{name_of(person)}/access-log", value(LogEntry))


def result_of(id: int | str) -> Call[Bound]:
    """Return the first result under an id. Raises NotFound if the ledger has none."""
    name = name_of(id)
    return read(f"/v1/operations/{name}", value(Bound, id=name))
