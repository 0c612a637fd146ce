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

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.keys import PublicKey
from sycee.core.timestamps import utc_text
from sycee.identity.people import DutyMissing
from sycee.server import paging
from sycee.server.auth.clients import REGISTER, REVOKE, Client
from sycee.server.auth.dependencies import KnownCaller, authentication_of
from sycee.server.auth.invitations import END, HOURS_MAX, INVITE, Invitation
from sycee.server.auth.jwks import jwk_of, thumbprint
from sycee.server.auth.service import Authentication
from sycee.server.operations import SIGNED_IN, operation
from sycee.server.problems import not_found
from sycee.server.routes.common import MESSAGE_SIGNED, hidden, number, own_key
from sycee.server.runtime import Runtime, runtime_of
from sycee.server.signing import ID_PATTERN, ActionBody, Body, Id, MessageBody, Signatures

router = APIRouter(prefix="/v1", tags=["authentication"])
TheRuntime = Annotated[Runtime, Depends(runtime_of)]
TheAuthentication = Annotated[Authentication, Depends(authentication_of)]
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
    """An invitation. `code` is in the first answer only: it is stored nowhere."""

    invitation: Id
    until: str
    code: str | None = None


class InvitationRow(Body):
    """An invitation, without its code. `by`: who made it. `state`: open, used, revoked or expired."""

    invitation: Id
    person: Id
    by: Id
    until: str
    state: str


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
    body: InvitationRequest, caller: KnownCaller, runtime: TheRuntime, authentication: TheAuthentication
) -> JSONResponse:
    """Return a code with which the person creates a login, once. Give it to the person outside of this system.

    An answer to a repeated request has no code: issue another invitation.
    """
    codes: list[str] = []

    def work(bank: Bank, request: Signatures) -> dict[str, Any]:
        runtime.bank.people.require(caller.person, INVITE)
        try:
            made, code = authentication.invitations.issue(
                ids.parse(body.person), by=caller.person, hours=body.hours, operator=caller.operator, staff=False,
                also=request.answering(_issued),
            )  # fmt: skip
        except DutyMissing as error:  # another operator's customer is answered like nobody
            raise not_found("person") from error
        codes.append(code)
        return _issued(made)

    with hidden("person"):
        answer: JSONResponse = await runtime.perform(INVITE, caller.person, body, work)
    if not codes:
        return answer
    # Added after the answer was stored: a stored code could be read in a backup.
    return JSONResponse({**json.loads(bytes(answer.body)), "code": codes[0]}, answer.status_code)


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


def _invited(found: Invitation) -> dict[str, Any]:
    return {
        "invitation": ids.format(found.id),
        "person": ids.format(found.person),
        "by": ids.format(found.made_by),
        "until": utc_text(found.until_ns),
        "state": found.state,
    }


def _issued(made: Invitation) -> dict[str, Any]:
    return {"invitation": ids.format(made.id), "until": utc_text(made.until_ns)}


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
