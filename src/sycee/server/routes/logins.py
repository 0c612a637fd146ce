"""Administration of programs and logins: registering and ending programs, invitations of customers, ends of logins.

An officer's key signs the registration of a program, and staff are invited with that key on the bank's machine (`sycee
invite`): a login alone gives no further access to another person with a duty.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse
from pydantic import Field
from sqlalchemy.engine import Connection

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.keys import PublicKey
from sycee.core.timestamps import utc_text
from sycee.identity.people import DutyMissing
from sycee.server import paging
from sycee.server.access import READ_EVERYTHING
from sycee.server.auth.clients import REGISTER, REVOKE, Client
from sycee.server.auth.dependencies import KnownCaller, authentication_of, visitor_of
from sycee.server.auth.invitations import END, HOURS_MAX, INVITE, Invitation
from sycee.server.auth.jwks import jwk_of, thumbprint
from sycee.server.auth.logins import Visitor
from sycee.server.auth.places import FirstUse
from sycee.server.auth.recoveries import REASON_CHARACTERS_MAX, RECOVER
from sycee.server.auth.service import Authentication
from sycee.server.operations import SIGNED_IN, operation
from sycee.server.problems import not_found
from sycee.server.routes.common import MESSAGE_SIGNED, Proposed, hidden, number, own_key, proposed
from sycee.server.runtime import Runtime, runtime_of
from sycee.server.signing import ID_PATTERN, ActionBody, Body, Id, MessageBody, Signatures

router = APIRouter(prefix="/v1", tags=["authentication"])
TheRuntime = Annotated[Runtime, Depends(runtime_of)]
TheAuthentication = Annotated[Authentication, Depends(authentication_of)]
TheVisitor = Annotated[Visitor, Depends(visitor_of)]
PathId = Annotated[str, Path(pattern=ID_PATTERN)]
READS_MAX: Final = 10  # reads of ROWS invitations for one page
REPEATED: Final[dict[int | str, dict[str, Any]]] = {200: {"description": "The same request was done before."}}


class InvitationRequest(ActionBody):
    """An invitation of a customer, or of a merchant's person."""

    person: Id
    hours: Annotated[int, Field(ge=1, le=HOURS_MAX)] = 24


class Program(Body):
    """A registered program. `operator` is null for duties without one."""

    client: Id
    name: str
    person: Id
    operator: int | None
    scopes: tuple[str, ...]
    thumbprint: str
    registered: str
    revoked: str | None


class Programs(Body):
    """The programs that the caller may revoke, oldest first."""

    clients: tuple[Program, ...]


class RegistrationRequest(MessageBody):
    """A program of a person who has a duty. `key`: the caller's key that signs; without it the first one."""

    person: Id
    name: Annotated[str, Field(min_length=1, max_length=80, examples=["core banking"])]
    public_key: Annotated[str, Field(max_length=80, description="Of the program, as `sycee key new` prints it")]
    operator: Annotated[int | None, Field(ge=1, le=65_535, description="Number, for a duty of an operator")] = None
    scopes: Annotated[tuple[Literal["read", "write"], ...], Field(min_length=1, max_length=2)] = ("read", "write")
    key: Annotated[str, Field(max_length=80)] = ""


class Registered(Body):
    """The id of a registered program, and the thumbprint of its key (RFC 7638)."""

    client: Id
    thumbprint: str


class Issued(Body):
    """An invitation, valid from `from` until `until`.

    `first_half`: of the code, in the first answer only: it is stored nowhere. The second half goes to the phone.
    """

    invitation: Id
    from_: Annotated[str, Field(alias="from")]
    until: str
    first_half: str | None = None


class InvitationRow(Body):
    """An invitation, without its code. `by`: who made it.

    `state`: waiting, open, used, revoked or expired. `recovery`: the proposal that permits another login, or null.
    """

    invitation: Id
    person: Id
    by: Id
    from_: Annotated[str, Field(alias="from")]
    until: str
    state: str
    recovery: Id | None


class RecoveryRequest(ActionBody):
    """Another login for a person. `reason`: how the identity was proved; no name, number or address."""

    reason: Annotated[str, Field(min_length=1, max_length=REASON_CHARACTERS_MAX)]
    letter: Annotated[bool, Field(description="Print the second half of the code, for a person without a phone")] = (
        False
    )


class FirstUseRow(Body):
    """The first use of a login. `invitation`, `inviter`: null for a login without staff.

    `near`: a person of the staff whose session had the same address or browser within a day, by `near_by`.
    """

    login: Id
    person: Id
    method: Literal["passkey", "oidc"]
    time: str
    invitation: Id | None
    inviter: Id | None
    near: Id | None
    near_by: Literal["address", "browser"] | None


class FirstUsePage(Body):
    """First uses of logins, by the id of the login."""

    rows: tuple[FirstUseRow, ...]
    next: str | None


class InvitationPage(Body):
    """Invitations, oldest first."""

    rows: tuple[InvitationRow, ...]
    next: str | None


class Done(Body):
    """The id of what was ended."""

    id: Id


@operation(router, "GET", "/clients", access=REVOKE, response_model=Programs, summary="List programs")
async def list_clients(caller: KnownCaller, runtime: TheRuntime, authentication: TheAuthentication) -> Programs:
    """Return the programs that the caller may revoke: officers all, operators their own."""

    def work() -> Programs:
        runtime.bank.people.require(caller.person, REVOKE)
        found = [
            each
            for each in authentication.clients.list()
            if caller.operator in (None, each.operator) and authentication.clients.may_revoke(each, caller.person)
        ]
        return Programs(clients=tuple(map(_program, found)))

    return await runtime.run(work)


@operation(
    router, "POST", "/clients", access=REGISTER, status_code=201, response_model=Registered, responses=MESSAGE_SIGNED,
    summary="Register a program",
)  # fmt: skip
async def register_client(
    body: RegistrationRequest, caller: KnownCaller, runtime: TheRuntime, authentication: TheAuthentication
) -> JSONResponse:
    """Register a program, which can then request access tokens. An officer's own key signs the registration.

    A login alone registers nothing: the answer 202 has the message, and in `document` what it covers.
    """

    def work(bank: Bank, request: Signatures) -> dict[str, Any]:
        public = PublicKey.parse(body.public_key)
        answer = {"client": body.id, "thumbprint": thumbprint(jwk_of(public))}
        authentication.clients.register(
            number(body.person),
            public,
            by=caller.person,
            name=body.name,
            operator=body.operator,
            scopes=body.scopes,
            key=own_key(bank, caller, body.key, body.signature_bytes),
            id=body.number,
            also=request.answered(answer),
        )
        return answer

    return await runtime.perform(REGISTER, caller.person, body, work)


@operation(
    router, "POST", "/clients/{client}/revocation", access=REVOKE, status_code=201, response_model=Done,
    responses=REPEATED, summary="Revoke a program",
)  # fmt: skip
async def revoke_client(
    client: PathId, body: ActionBody, caller: KnownCaller, runtime: TheRuntime, authentication: TheAuthentication
) -> JSONResponse:
    """End a program and its tokens immediately. Its key cannot be registered again."""
    clients = authentication.clients

    def work(bank: Bank, _: object) -> dict[str, Any]:
        bank.people.require(caller.person, REVOKE)
        found = clients.get(ids.parse(client))
        if caller.operator not in (None, found.operator) or not clients.may_revoke(found, caller.person):
            raise not_found("client")
        clients.revoke(found.id, by=caller.person)
        return {"id": client}

    with hidden("client"):
        return await runtime.perform(REVOKE, caller.person, body, work, place={"client": client})


@operation(
    router, "POST", "/invitations", access=INVITE, status_code=201, response_model=Issued, responses=REPEATED,
    errors=("not-found",), summary="Invite a customer",
)  # fmt: skip
async def invite(
    body: InvitationRequest, caller: KnownCaller, visitor: TheVisitor, runtime: TheRuntime,
    authentication: TheAuthentication,
) -> JSONResponse:  # fmt: skip
    """Return the first half of a code with which the person creates a login, once; the phone gets the second half.

    A person who has, or had, a login needs a recovery first. An answer to a repeated request has no half: issue
    another invitation.
    """
    halves: list[str] = []

    def work(bank: Bank, request: Signatures) -> dict[str, Any]:
        runtime.bank.people.require(caller.person, INVITE)
        noted = authentication.places.noted(caller.person, visitor)
        answering = request.answering(_issued)

        def also(connection: Connection, made: Invitation) -> None:
            noted(connection)
            answering(connection, made)

        try:
            issued = authentication.invitations.issue(
                ids.parse(body.person), by=caller.person, hours=body.hours, operator=caller.operator, staff=False,
                also=also,
            )  # fmt: skip
        except DutyMissing as error:  # another operator's customer is answered like nobody
            raise not_found("person") from error
        halves.append(issued.first)
        return _issued(issued.invitation)

    with hidden("person"):
        answer: JSONResponse = await runtime.perform(INVITE, caller.person, body, work)
    if not halves:
        return answer
    # Added after the answer was stored: a stored half could be read in a backup.
    return JSONResponse({**json.loads(bytes(answer.body)), "first_half": halves[0]}, answer.status_code)


@operation(
    router, "GET", "/invitations", access=END, response_model=InvitationPage, summary="List invitations",
)  # fmt: skip
async def list_invitations(
    caller: KnownCaller, runtime: TheRuntime, authentication: TheAuthentication, limit: paging.Limit = paging.ROWS,
    cursor: paging.Cursor = "",
) -> dict[str, Any]:  # fmt: skip
    """Return the invitations of persons whose logins the caller may end, without their codes.

    A page may have fewer rows than `limit` before the last page.
    """
    invitations = authentication.invitations

    def work() -> dict[str, Any]:
        after, rows = paging.after_id(cursor), list[dict[str, Any]]()
        for _ in range(READS_MAX):
            part = invitations.list(after=after, most=paging.ROWS)
            for each in part:
                after = each.id
                if invitations.may_end(each, caller.person, operator=caller.operator):
                    rows.append(_invited(each))
                if len(rows) == limit:
                    return paging.page(rows, (ids.format(after),))
            if len(part) < paging.ROWS:
                return paging.page(rows, None)
        return paging.page(rows, (ids.format(after),))

    return await runtime.run(work)


@operation(
    router, "POST", "/invitations/{invitation}/revocation", access=END, status_code=201, response_model=Done,
    responses=REPEATED, summary="Revoke an invitation",
)  # fmt: skip
async def revoke_invitation(
    invitation: PathId, body: ActionBody, caller: KnownCaller, runtime: TheRuntime, authentication: TheAuthentication
) -> JSONResponse:
    """End a code that was not used yet."""

    def work(bank: Bank, _: object) -> dict[str, Any]:
        runtime.bank.people.require(caller.person, END)
        try:
            authentication.invitations.revoke(ids.parse(invitation), by=caller.person, operator=caller.operator)
        except DutyMissing as error:
            raise not_found("invitation") from error
        return {"id": invitation}

    place = {"invitation": invitation}
    with hidden("invitation"):
        return await runtime.perform(END, caller.person, body, work, place=place)


@operation(
    router, "POST", "/persons/{person}/logins/end", access=SIGNED_IN, status_code=201, response_model=Done,
    responses=REPEATED, summary="End the logins of a person",
)  # fmt: skip
async def end_logins(
    person: PathId, body: ActionBody, caller: KnownCaller, runtime: TheRuntime, authentication: TheAuthentication
) -> JSONResponse:
    """End all sessions, passkeys, links and open invitations of a person. Everybody may end their own."""
    number = ids.parse(person)

    def work(bank: Bank, _: object) -> dict[str, Any]:
        if number != caller.person:
            runtime.bank.people.require(caller.person, END)
        try:
            authentication.invitations.end_logins(number, by=caller.person, operator=caller.operator)
        except DutyMissing as error:
            raise not_found("person") from error
        return {"id": person}

    with hidden("person"):
        return await runtime.perform(END, caller.person, body, work, place={"person": person})


@operation(
    router, "POST", "/persons/{person}/logins/recovery", access=RECOVER, status_code=201, response_model=Proposed,
    responses=REPEATED, summary="Propose another login for a person",
)  # fmt: skip
async def recover_login(
    person: PathId, body: RecoveryRequest, caller: KnownCaller, runtime: TheRuntime, authentication: TheAuthentication
) -> JSONResponse:
    """Propose that a person who lost every login, or has no phone, is invited again. Another person signs.

    The person is told at once. After the approval a waiting time runs, in which the person can object.
    """

    def work(bank: Bank, _: object) -> dict[str, Any]:
        runtime.bank.people.require(caller.person, RECOVER)
        try:
            made = authentication.recoveries.request(
                ids.parse(person), body.reason, maker=caller.person, letter=body.letter, operator=caller.operator,
                id=body.number,
            )  # fmt: skip
        except DutyMissing as error:
            raise not_found("person") from error
        return proposed(bank, made)

    with hidden("person"):
        return await runtime.perform(RECOVER, caller.person, body, work, place={"person": person})


@operation(
    router, "GET", "/logins", access=READ_EVERYTHING, response_model=FirstUsePage, summary="List first uses of logins",
)  # fmt: skip
async def list_logins(
    runtime: TheRuntime, authentication: TheAuthentication, limit: paging.Limit = paging.ROWS,
    cursor: paging.Cursor = "",
) -> dict[str, Any]:  # fmt: skip
    """Return who first used which login, who invited it, and whether the staff was near.

    A mark is a reason to ask: a session of the staff had the address or the browser within a day.
    """

    def work() -> dict[str, Any]:
        found = authentication.places.list(after=paging.after_id(cursor), most=limit)
        return paging.page(
            list(map(_first_use, found)), (ids.format(found[-1].login),) if len(found) == limit else None
        )

    return await runtime.run(work)


def _first_use(found: FirstUse) -> dict[str, Any]:
    return {
        "login": ids.format(found.login),
        "person": ids.format(found.person),
        "method": found.method,
        "time": utc_text(found.at_ns),
        "invitation": ids.format(found.invitation) if found.invitation else None,
        "inviter": ids.format(found.inviter) if found.inviter else None,
        "near": ids.format(found.near) if found.near else None,
        "near_by": found.near_by or None,
    }


def _invited(found: Invitation) -> dict[str, Any]:
    return {
        "invitation": ids.format(found.id),
        "person": ids.format(found.person),
        "by": ids.format(found.made_by),
        "from": utc_text(found.from_ns),
        "until": utc_text(found.until_ns),
        "state": found.state,
        "recovery": ids.format(found.recovery) if found.recovery else None,
    }


def _issued(made: Invitation) -> dict[str, Any]:
    return {"invitation": ids.format(made.id), "from": utc_text(made.from_ns), "until": utc_text(made.until_ns)}


def _program(client: Client) -> Program:
    return Program(
        client=ids.format(client.id),
        name=client.name,
        person=ids.format(client.person),
        operator=client.operator,
        scopes=tuple(sorted(client.scopes)),
        thumbprint=client.thumbprint,
        registered=utc_text(client.made_ns),
        revoked=None if client.revoked_ns is None else utc_text(client.revoked_ns),
    )
