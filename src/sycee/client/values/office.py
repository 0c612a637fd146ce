"""The bank's own work: persons, programs, proposals, operators, days and cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Caller:
    """Who the server takes this client for."""

    kind: str
    person: str
    operator: int | None
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Me:
    """The person of this client, with duties and the public keys with which the person signs."""

    person: str
    kind: str
    operator: int | None
    duties: tuple[HeldDuty, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HeldDuty:
    """A duty of a person. `operator`: number of the operator that it is for. `currency`: of a currency-officer."""

    duty_id: str
    person: str
    duty: str
    institution: str | None
    operator: int | None
    until_ns: int
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class PersonData:
    """Fields of a person. A field that the person does not have is missing."""

    person: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An access to the data of a person. `case` is 0 where the reason needs none.

    `invitation`, `inviter`: by which staff let the reader's login be made; None for a login without staff.
    """

    number: int
    time: str
    who: str
    fields: tuple[str, ...]
    reason: str
    case: int
    invitation: str | None
    inviter: str | None


@dataclass(frozen=True, slots=True)
class LegalHold:
    """A legal hold of a person's data, for a case. `until_ns`: its end, None for none."""

    hold: str
    case: int
    from_ns: int
    until_ns: int | None


@dataclass(frozen=True, slots=True)
class DormantWallet:
    """An open wallet of a person that was not used for a time."""

    wallet: str
    holder: str


@dataclass(frozen=True, slots=True)
class LifeEvent:
    """An event of a person's life that was recorded, and the wallets that it changed."""

    id: str
    accounts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """A registered program. `revoked`: None while it may act."""

    client: str
    name: str
    person: str
    operator: int | None
    scopes: tuple[str, ...]
    thumbprint: str
    registered: str
    revoked: str | None


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation of a customer, valid from `from_` until `until`.

    `first_half`: of the code, in the first answer only, since it is stored nowhere. The phone gets the second half.
    """

    invitation: str
    from_: str
    until: str
    first_half: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class InvitationRow:
    """An invitation in a list. `by`: who made it. `state`: waiting (for `from_`), open, used, revoked or expired.

    `recovery`: the proposal that permits another login, None for a first one.
    """

    invitation: str
    person: str
    by: str
    from_: str
    until: str
    state: str
    recovery: str | None


@dataclass(frozen=True, slots=True)
class FirstUse:
    """The first use of a login. `invitation`, `inviter`: None for a login without staff.

    `near`: a person of the staff whose session had the same address or browser within a day, and `near_by` which of
    the two; None for nobody.
    """

    login: str
    person: str
    method: str
    time: str
    invitation: str | None
    inviter: str | None
    near: str | None
    near_by: str | None


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook. `after`: position of the last event that was taken. `reason`: of the last failure."""

    id: str
    url: str
    types: tuple[str, ...]
    after: str
    state: str
    failures: int
    retry_at: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that the receiver did not take by the last attempt."""

    event: str
    type: str
    state: str
    reason: str
    attempts: int
    at: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A proposal. `code`: why it was refused or lapsed, "" otherwise."""

    proposal: str
    action: str
    state: str
    code: str
    maker: str


@dataclass(frozen=True, slots=True)
class Proposed:
    """A proposal that was made or withdrawn. Nothing is done until the persons of `needs` have signed it."""

    proposal: str
    state: str
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SignedProposal:
    """A proposal after a signature. `code`: why it was refused, "" otherwise. `needs`: the missing signatures."""

    proposal: str
    state: str
    code: str
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator. `money`: None for callers who do not work for it and do not audit."""

    number: int
    institution: str
    name: str
    state: str
    joined: str | None
    left: str | None
    money: OperatorMoney | None


@dataclass(frozen=True, slots=True)
class OperatorMoney:
    """The money of an operator in minor units: in its vault, in its reserves, and the maximum of its vault."""

    vault: int
    reserves: int
    quota: int


@dataclass(frozen=True, slots=True)
class ReserveRule:
    """Who owes the money of a class of wallets, "issuer" or "operator", and the reserves per million of it."""

    wallet_class: str
    from_day: str
    holder: str
    share_ppm: int
    source: str


@dataclass(frozen=True, slots=True)
class InstitutionRow:
    """An institution in a list. Its name is public."""

    institution: str
    kind: str
    name: str
    operator: int | None
    state: str


@dataclass(frozen=True, slots=True)
class Institution:
    """An institution with the newest outcome of each check. `settlement`: "none", "stated" or "verified"."""

    institution: str
    kind: str
    name: str
    operator: int | None
    state: str
    participant: str
    made: str
    checks: Mapping[str, str]
    checks_needed: tuple[str, ...]
    settlement: str


@dataclass(frozen=True, slots=True)
class Owner:
    """A person who owns a part of an institution, in parts per million."""

    person: str
    share_ppm: int


@dataclass(frozen=True, slots=True)
class Day:
    """A closed business day: "closed", or "signed" by a second person; its last frame; the digest of its pack."""

    day: str
    state: str
    frame: int
    pack: str
    cutoff_ns: int = 0
    closed_by: str = ""
    countersigned_by: str | None = None


@dataclass(frozen=True, slots=True)
class DayDone:
    """A day that was closed or countersigned: the digest of its pack, and the open breaks in it."""

    day: str
    pack: str
    breaks: int


@dataclass(frozen=True, slots=True)
class Break:
    """A difference that a close found. `minor` may be negative; `closed` is None for an open one."""

    number: int
    kind: str
    party: str
    account: str | None
    operation: str | None
    minor: int
    cause: str
    owner: str | None
    opened: str
    closed: str | None
    closed_as: str
    case: int


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A case in a list. `deadline`: of its state. `held`: money that waits, in minor units; `hold`: the newest hold."""

    case: int
    kind: str
    state: str
    open: bool
    opened: str
    deadline: str | None
    person: str
    payment: str | None
    owner: str
    held: int
    steps: tuple[str, ...]
    hold: str | None = None


@dataclass(frozen=True, slots=True)
class CaseEvent:
    """An event of a case. `has_text`: a text is stored, which a caseworker reads."""

    number: int
    what: str
    time: str
    who: str
    detail: Mapping[str, Any]
    has_text: bool


@dataclass(frozen=True, slots=True)
class Case:
    """A case with its events."""

    case: int
    kind: str
    state: str
    open: bool
    opened: str
    deadline: str | None
    person: str
    payment: str | None
    owner: str
    held: int
    steps: tuple[str, ...]
    events: tuple[CaseEvent, ...]
    hold: str | None = None


@dataclass(frozen=True, slots=True)
class CaseText:
    """The free text of an event. `number`: of the event."""

    number: int
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CaseStep:
    """A case after a step. `proposal`: of a return that the persons of `needs` must sign before the step is taken."""

    case: int
    state: str
    proposal: str | None
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """Money that a return did not find. `left`: the amount that can still be collected. Amounts in minor units."""

    claim: str
    case: int
    payment: str
    minor: int
    collected: int
    left: int
    state: str


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that the server writes: "running", "done", or "failed" for a reason.

    `file`: its name in the server's folder. `frame`, `state_digest` and `supply_minor`: None unless it is done.
    """

    id: str
    state: str
    reason: str
    file: str
    written_bytes: int
    frame: int | None
    state_digest: str | None
    supply_minor: int | None


@dataclass(frozen=True, slots=True)
class UndeliveredMessage:
    """A message to a person's phone that waits, is a dead letter ("dead"), or expired. `reason`: of the last failure.

    `until`: the end after which it is not sent; `retry_at`: of the next attempt.
    """

    message: str
    person: str
    text: str
    state: str
    attempts: int
    reason: str
    at: str
    until: str | None
    retry_at: str | None
