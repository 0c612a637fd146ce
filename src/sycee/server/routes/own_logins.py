"""A person's own logins: sessions, passkeys, codes for another device, and notices about what others did.

Each operation needs a session of a browser: no program acts on the logins of a person.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.timestamps import utc_text
from sycee.server.auth.dependencies import KnownSession, authentication_of
from sycee.server.auth.logins import Origin, Session
from sycee.server.auth.passkeys import NAME_CHARACTERS_MAX, Passkey
from sycee.server.auth.service import Authentication
from sycee.server.auth.told import LoginNotice
from sycee.server.operations import SESSION, operation
from sycee.server.routes.common import REPEATED, Moment, PathId, TheRuntime, hidden, number
from sycee.server.signing import ActionBody, Body, Id, Signatures

router = APIRouter(prefix="/v1/me", tags=["own logins"])
TheAuthentication = Annotated[Authentication, Depends(authentication_of)]
CHANGE = "login.own"  # the name under which requests of this module are stored


class ShownSession(Body):
    """A session. `address` and `browser`: at the login. `is_this`: whether it is the caller's.

    `masked_until`: until then it shows personal data masked, since staff invited the login; else null.
    """

    session: Id
    method: Literal["passkey", "oidc"]
    address: str
    browser: str
    created: Moment
    last_used: Moment
    ends: Moment
    masked_until: Moment | None
    is_this: bool


class OwnSessions(Body):
    """The caller's sessions, newest first."""

    rows: tuple[ShownSession, ...]


class ShownPasskey(Body):
    """A passkey. `inviter`: who of the staff invited the login, null for nobody. `is_this`: of this session."""

    passkey: Id
    name: str
    created: Moment
    last_used: Moment | None
    inviter: Id | None
    is_this: bool


class OwnPasskeys(Body):
    """The caller's passkeys, oldest first."""

    rows: tuple[ShownPasskey, ...]


class NameBody(ActionBody):
    """The name of a passkey, such as that of the device."""

    name: Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS_MAX)]


class OwnCode(Body):
    """A code for a login on another device. `code` is in the first answer only: it is stored nowhere."""

    invitation: Id
    until: Moment
    code: str | None = None


class ShownLoginNotice(Body):
    """What happened to the caller's logins. `by`: who of the staff acted, null for nobody.

    `text`: LOGIN_INVITED, LOGIN_CREATED, LOGIN_PASSKEY_ADDED, LOGIN_RECOVERY, PROGRAM_REGISTERED or KEY_REPLACED.
    """

    notice: Id
    text: str
    time: Moment
    by: Id | None
    is_about_this: bool


class LoginNotices(Body):
    """Notices that wait for an answer, newest first."""

    rows: tuple[ShownLoginNotice, ...]


class AnswerBody(ActionBody):
    """The answer to a notice. "This was not me" (`was_me` false) ends all logins, codes and programs."""

    was_me: bool


class Answered(Body):
    """An answered notice. `case`: the number of the case that "this was not me" opened, else null."""

    notice: Id
    case: int | None


class Ended(Body):
    """The id of what was ended or changed."""

    id: Id


class EndedOthers(Body):
    """How many sessions were ended."""

    ended: int


@operation(router, "GET", "/sessions", access=SESSION, response_model=OwnSessions, summary="List one's own sessions")
async def list_sessions(session: KnownSession, runtime: TheRuntime, authentication: TheAuthentication) -> Any:
    """Return the caller's sessions: when, where and in which browser each began."""
    found = await runtime.run(authentication.sessions.of_person, session.login.person)
    return {"rows": [_session(each, session) for each in found]}


@operation(
    router, "POST", "/sessions/end", access=SESSION, status_code=201, response_model=EndedOthers, responses=REPEATED,
    summary="End all other sessions",
)  # fmt: skip
async def end_other_sessions(
    body: ActionBody, session: KnownSession, runtime: TheRuntime, authentication: TheAuthentication
) -> JSONResponse:
    """End all sessions of the caller but this one."""

    def work(bank: Bank, request: Signatures) -> dict[str, Any]:
        also = request.answering(lambda count: {"ended": count})
        return {"ended": authentication.sessions.end_others(session.login.person, session.id, also=also)}

    return await runtime.perform(CHANGE, session.login.person, body, work, place={"sessions": "others"})


@operation(
    router, "POST", "/sessions/{session}/end", access=SESSION, status_code=201, response_model=Ended,
    responses=REPEATED, summary="End a session of one's own",
)  # fmt: skip
async def end_session(
    session: PathId, body: ActionBody, own: KnownSession, runtime: TheRuntime, authentication: TheAuthentication
) -> JSONResponse:
    """End one session of the caller, by its id; this one too."""

    def work(bank: Bank, request: Signatures) -> dict[str, Any]:
        answer = {"id": session}
        authentication.sessions.end_one(own.login.person, number(session), also=request.answered(answer))
        return answer

    with hidden("session"):
        return await runtime.perform(CHANGE, own.login.person, body, work, place={"session": session})


@operation(router, "GET", "/passkeys", access=SESSION, response_model=OwnPasskeys, summary="List one's own passkeys")
async def list_passkeys(session: KnownSession, runtime: TheRuntime, authentication: TheAuthentication) -> Any:
    """Return the caller's passkeys. To add one, begin a registration without a code."""
    found = await runtime.run(authentication.passkeys.of_person, session.login.person)
    return {"rows": [_passkey(each, session) for each in found]}


@operation(
    router, "POST", "/passkeys/{passkey}/name", access=SESSION, status_code=201, response_model=Ended,
    responses=REPEATED, summary="Name a passkey of one's own",
)  # fmt: skip
async def name_passkey(
    passkey: PathId, body: NameBody, session: KnownSession, runtime: TheRuntime, authentication: TheAuthentication
) -> JSONResponse:
    """Give a passkey of the caller a name."""

    def work(bank: Bank, _: object) -> dict[str, Any]:
        authentication.passkeys.rename(session.login.person, number(passkey), body.name)
        return {"id": passkey}

    with hidden("passkey"):
        return await runtime.perform(CHANGE, session.login.person, body, work, place={"passkey": passkey})


@operation(
    router, "POST", "/passkeys/{passkey}/removal", access=SESSION, status_code=201, response_model=Ended,
    responses=REPEATED, summary="Remove a passkey of one's own",
)  # fmt: skip
async def remove_passkey(
    passkey: PathId, body: ActionBody, session: KnownSession, runtime: TheRuntime, authentication: TheAuthentication
) -> JSONResponse:
    """Remove a passkey of the caller and end its sessions; never the only login. Needs a session of 10 minutes."""
    authentication.require_fresh(session)

    def work(bank: Bank, request: Signatures) -> dict[str, Any]:
        answer = {"id": passkey}
        authentication.passkeys.remove(session.login.person, number(passkey), also=request.answered(answer))
        return answer

    with hidden("passkey"):
        return await runtime.perform(CHANGE, session.login.person, body, work, place={"removal": passkey})


@operation(
    router, "POST", "/login-codes", access=SESSION, status_code=201, response_model=OwnCode, responses=REPEATED,
    summary="Get a code for a login on another device",
)  # fmt: skip
async def issue_login_code(
    body: ActionBody, session: KnownSession, runtime: TheRuntime, authentication: TheAuthentication
) -> JSONResponse:
    """Return a code, whole, with which the caller sets up a login on another device within 10 minutes.

    Needs a session that began in the last 10 minutes. An answer to a repeated request has no code.
    """
    authentication.require_fresh(session)
    codes: list[str] = []

    def work(bank: Bank, request: Signatures) -> dict[str, Any]:
        issued = authentication.invitations.issue_to_owner(
            session.login,
            also=request.answering(lambda made: {"invitation": ids.format(made.id), "until": utc_text(made.until_ns)}),
        )
        codes.append(issued.code)
        return {"invitation": ids.format(issued.invitation.id), "until": utc_text(issued.invitation.until_ns)}

    answer: JSONResponse = await runtime.perform(CHANGE, session.login.person, body, work, place={"code": "own"})
    if not codes:
        return answer
    # Added after the answer was stored: a stored code could be read in a backup.
    return JSONResponse({**json.loads(bytes(answer.body)), "code": codes[0]}, answer.status_code)


@operation(
    router, "GET", "/login-notices", access=SESSION, response_model=LoginNotices,
    summary="List notices about one's own logins",
)  # fmt: skip
async def list_login_notices(session: KnownSession, runtime: TheRuntime, authentication: TheAuthentication) -> Any:
    """Return what happened to the caller's logins and waits for an answer."""
    found = await runtime.run(authentication.told.waiting, session.login.person)
    return {"rows": [_notice(each, session) for each in found]}


@operation(
    router, "POST", "/login-notices/{notice}/answer", access=SESSION, status_code=201, response_model=Answered,
    responses=REPEATED, summary="Answer a notice about one's own logins",
)  # fmt: skip
async def answer_login_notice(
    notice: PathId, body: AnswerBody, session: KnownSession, runtime: TheRuntime, authentication: TheAuthentication
) -> JSONResponse:
    """Confirm a notice, or state "this was not me": that ends every login, code and program, and opens a case."""

    def work(bank: Bank, request: Signatures) -> dict[str, Any]:
        also = request.answering(lambda case: {"notice": notice, "case": case or None})
        case = authentication.answer(number(notice), session, was_me=body.was_me, also=also)
        return {"notice": notice, "case": case or None}

    with hidden("notice"):
        return await runtime.perform(CHANGE, session.login.person, body, work, place={"notice": notice})


def _session(found: Session, own: Session) -> dict[str, Any]:
    until_ns = found.login.origin.masked_until_ns
    return {
        "session": ids.format(found.id),
        "method": found.login.method,
        "address": found.address,
        "browser": found.browser,
        "created": utc_text(found.made_ns),
        "last_used": utc_text(found.used_ns),
        "ends": utc_text(found.until_ns),
        "masked_until": utc_text(until_ns) if until_ns else None,
        "is_this": found.id == own.id,
    }


def _passkey(found: Passkey, own: Session) -> dict[str, Any]:
    return {
        "passkey": ids.format(found.id),
        "name": found.name,
        "created": utc_text(found.made_ns),
        "last_used": utc_text(found.used_ns) if found.used_ns else None,
        "inviter": _inviter(found.origin),
        "is_this": found.id == own.login.id,
    }


def _notice(found: LoginNotice, own: Session) -> dict[str, Any]:
    return {
        "notice": ids.format(found.id),
        "text": found.text,
        "time": utc_text(found.at_ns),
        "by": ids.format(found.by) if found.by else None,
        "is_about_this": found.login == own.login.id,
    }


def _inviter(origin: Origin) -> str | None:
    return ids.format(origin.inviter) if origin.inviter else None
