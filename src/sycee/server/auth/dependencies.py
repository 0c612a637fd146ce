"""Dependencies of FastAPI: who sends a request.

from sycee.server.auth.dependencies import AnyCaller, KnownCaller

async def handler(caller: KnownCaller) -> ...:   # 401 without a login
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, TypeAlias

from fastapi import Depends, Request

from sycee.server.auth.caller import Caller
from sycee.server.auth.logins import Session, Visitor
from sycee.server.auth.refusals import NotAuthenticated, SessionNeeded
from sycee.server.auth.service import Authentication
from sycee.server.observing import KIND
from sycee.server.payments import senders
from sycee.server.runtime import runtime_of


def authentication_of(request: Request) -> Authentication:
    """Return the authentication of a request's application."""
    found: Any = request.app.state.authentication
    assert isinstance(found, Authentication)
    return found


def address_of(request: Request) -> str:
    """Return the network address of the sender; behind a Unix socket, the one that the proxy states."""
    return senders.address_of(request.scope, forwarded=authentication_of(request).settings.behind_proxy)


def visitor_of(request: Request) -> Visitor:
    """Return the browser of a request."""
    device = authentication_of(request).sessions.device_in(request.cookies)
    return Visitor(address_of(request), request.headers.get("user-agent", ""), device)


def login_visitor(request: Request) -> Visitor:
    """Return the browser of a login, which is recognised from now on."""
    found = visitor_of(request)
    return replace(found, device=found.device or authentication_of(request).sessions.new_device())


def path_of(request: Request) -> str:
    """Return the path as the sender wrote it, percent-encoded: a proof names it so."""
    raw = request.scope.get("raw_path") or request.scope["path"].encode()
    return bytes(raw).partition(b"?")[0].decode("ascii", "replace")


async def admit(request: Request) -> None:
    """Apply the limits of the sender's address, before any check of a signature. For the whole application."""
    authentication_of(request).admit(address_of(request))


async def caller(request: Request) -> Caller:
    """Return the caller of a request: a program, a person, or an anonymous one.

    Raises the errors of `Authentication.caller`, which `problems` answers with 401, 403 and 429.
    """
    found = await authentication_of(request).caller(
        method=request.method,
        path=path_of(request),
        authorization=request.headers.getlist("authorization"),
        proofs=request.headers.getlist("dpop"),
        cookies=request.cookies,
        headers=request.headers,
        visitor=visitor_of(request),
        run=runtime_of(request).run,
    )
    request.scope[KIND] = found.kind.value
    return found


async def current_caller(found: Annotated[Caller, Depends(caller)]) -> Caller:
    """Return the caller of a request that needs a login. Raises NotAuthenticated for an anonymous one."""
    if not found.signed_in:
        raise NotAuthenticated("")
    return found


async def session_of(found: Annotated[Caller, Depends(current_caller)]) -> Session:
    """Return the session of a person in a browser. Raises SessionNeeded for a program."""
    if found.session is None:
        raise SessionNeeded
    return found.session


KnownCaller: TypeAlias = Annotated[Caller, Depends(current_caller)]
KnownSession: TypeAlias = Annotated[Session, Depends(session_of)]
