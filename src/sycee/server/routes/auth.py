"""Access tokens of programs, and logins of persons."""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from sycee.core import ids
from sycee.server import problems
from sycee.server.auth.dependencies import KnownCaller, address_of, authentication_of, login_visitor
from sycee.server.auth.jwks import TOKEN_CHARACTERS_MAX
from sycee.server.auth.logins import Session, Visitor
from sycee.server.auth.one_time import LIFE_NS
from sycee.server.auth.refusals import NotAuthenticated
from sycee.server.auth.service import Authentication
from sycee.server.auth.sessions import set_cookie
from sycee.server.auth.tokens import ASSERTION_TYPE
from sycee.server.operations import PUBLIC, SIGNED_IN, operation
from sycee.server.payments.senders import network_of
from sycee.server.runtime import Runtime, runtime_of

FORM: Final = "application/x-www-form-urlencoded"
FORM_BYTES_MAX: Final = 16 << 10
CODE_CHARACTERS_MAX: Final = 80
ERRORS: Final = (
    "invalid_request", "invalid_client", "invalid_scope", "unauthorized_client", "unsupported_grant_type",
    "invalid_dpop_proof", "use_dpop_nonce",
)  # fmt: skip

router = APIRouter(tags=["authentication"])
TheRuntime = Annotated[Runtime, Depends(runtime_of)]
TheAuthentication = Annotated[Authentication, Depends(authentication_of)]
Address = Annotated[str, Depends(address_of)]
Provider = Annotated[str, Path(pattern="^[a-z0-9-]{1,40}$", description="Name of the provider in the settings")]
Code = Annotated[str, Field(max_length=CODE_CHARACTERS_MAX, description="Both halves of the code of an invitation")]
TheVisitor = Annotated[Visitor, Depends(login_visitor)]


class Strict(BaseModel):
    """A body without unknown members."""

    model_config = ConfigDict(extra="forbid")


class InvitationBody(Strict):
    """A body with the code of an invitation; "" in a session that began in the last 10 minutes."""

    invitation: Code


class ProviderBody(Strict):
    """The begin of a login with a provider; with an invitation, the login is set up."""

    invitation: Code = ""


class CredentialBody(Strict):
    """What `navigator.credentials` returned, as `PublicKeyCredential.toJSON()` makes it."""

    credential: dict[str, Any]


def own_origin(request: Request, authentication: TheAuthentication) -> None:
    """Refuse a request of another site's page: it could log its visitor in as somebody else."""
    authentication.sessions.require_own_origin(request.method, request.headers)


# --- programs ---

_TOKEN_REQUEST: Final = {
    "required": True,
    "content": {
        FORM: {
            "schema": {
                "type": "object",
                "required": ["grant_type", "client_assertion_type", "client_assertion"],
                "properties": {
                    "grant_type": {"type": "string", "enum": ["client_credentials"]},
                    "client_assertion_type": {"type": "string", "enum": [ASSERTION_TYPE]},
                    "client_assertion": {"type": "string", "maxLength": TOKEN_CHARACTERS_MAX},
                    "client_id": {"type": "string"},
                    "scope": {"type": "string", "enum": ["read", "read write", "write"]},
                },
                "additionalProperties": False,
            },
            "example": {
                "grant_type": "client_credentials",
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": "eyJhbGciOiJFUzI1NiJ9...",
            },
        }
    },
}
_PROOF: Final = {
    "name": "DPoP", "in": "header", "required": True, "description": "Proof of the client's key (RFC 9449)",
    "schema": {"type": "string", "maxLength": TOKEN_CHARACTERS_MAX},
}  # fmt: skip
_OAUTH_ERROR: Final = {
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["error"],
                "properties": {"error": {"type": "string", "enum": list(ERRORS)}},
            },
            "example": {"error": "invalid_client"},
        },
        problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}},
    }
}


@operation(
    router, "POST", "/oauth/token", access=PUBLIC, summary="Request an access token",
    openapi_extra={"requestBody": _TOKEN_REQUEST, "parameters": [_PROOF]},
    responses={
        400: {"description": "The request is wrong, or needs a nonce: RFC 6749, RFC 9449", **_OAUTH_ERROR},
        401: {"description": "The client is not authenticated: RFC 6749", **_OAUTH_ERROR},
    },
)  # fmt: skip
async def request_token(
    request: Request, runtime: TheRuntime, authentication: TheAuthentication, address: Address
) -> JSONResponse:
    """Return an access token that is bound to the client's key (RFC 6749, RFC 7523, RFC 9449).

    Errors have the form of RFC 6749, except 415, 429 and 503.
    """
    headers = {"Cache-Control": "no-store"}
    try:
        with authentication.counting(address):
            proofs = request.headers.getlist("dpop")
            form = await _form(request)
            if len(proofs) > 1:
                raise NotAuthenticated("invalid_dpop_proof", status=400)
            answer = await runtime.run(authentication.tokens.issue, form, proofs[0] if proofs else "")
    except NotAuthenticated as error:
        return JSONResponse({"error": error.code}, error.status, headers=dict(error.headers))
    return JSONResponse(answer, headers=headers)


@operation(router, "GET", "/oauth/jwks", access=PUBLIC, summary="Public keys of the access tokens")
async def token_keys(authentication: TheAuthentication) -> dict[str, Any]:
    """Return the keys with which this process signs access tokens (RFC 7517). They change at each start."""
    return authentication.tokens.jwks()


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a form. Raises NotAuthenticated with "invalid_request" for a body that is none."""
    wrong = NotAuthenticated("invalid_request", status=400)
    body = await request.body()
    if len(body) > FORM_BYTES_MAX:
        raise wrong
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=20)
    except ValueError as error:
        raise wrong from error
    if len(dict(pairs)) < len(pairs):  # RFC 6749, section 3.2: no parameter twice
        raise wrong
    return dict(pairs)


# --- passkeys ---


@operation(
    router, "POST", "/auth/passkeys/registration/options", access=PUBLIC, summary="Begin to set up a passkey",
    errors=("not-authenticated", "not-permitted"), dependencies=[Depends(own_origin)],
)  # fmt: skip
async def begin_passkey(
    body: InvitationBody, request: Request, runtime: TheRuntime, authentication: TheAuthentication, address: Address
) -> dict[str, Any]:
    """Return the options of `navigator.credentials.create` for the person of an invitation, or of a fresh session."""
    with authentication.counting(address):
        session = None if body.invitation else await _session_of(request, runtime, authentication)
        if session is not None:
            authentication.require_fresh(session)
        options = await runtime.run(
            authentication.passkeys.registration_options, body.invitation, network_of(address), session
        )
        return {"publicKey": options}


@operation(
    router, "POST", "/auth/passkeys/registration", access=PUBLIC, summary="Set up a passkey",
    errors=("not-authenticated", "not-permitted"), dependencies=[Depends(own_origin)], status_code=204,
)  # fmt: skip
async def register_passkey(
    body: CredentialBody, request: Request, runtime: TheRuntime, authentication: TheAuthentication,
    visitor: TheVisitor,
) -> Response:  # fmt: skip
    """Store the passkey that the authenticator made, use the invitation up, and begin a session."""
    with authentication.counting(visitor.address):
        session = await _session_of(request, runtime, authentication)
        begin = authentication.begin(visitor, authentication.sessions.token_in(request.cookies))
        token = await runtime.run(authentication.passkeys.register, body.credential, begin, session)
    return _session(authentication, token, visitor)


@operation(
    router, "POST", "/auth/passkeys/login/options", access=PUBLIC, summary="Begin a login with a passkey",
    errors=("not-permitted",), dependencies=[Depends(own_origin)],
)  # fmt: skip
async def begin_login(authentication: TheAuthentication, address: Address) -> dict[str, Any]:
    """Return the options of `navigator.credentials.get`, which are the same for everybody."""
    return {"publicKey": authentication.passkeys.login_options(network_of(address))}


@operation(
    router, "POST", "/auth/passkeys/login", access=PUBLIC, summary="Log in with a passkey",
    errors=("not-authenticated", "not-permitted"), dependencies=[Depends(own_origin)], status_code=204,
)  # fmt: skip
async def log_in(
    body: CredentialBody, request: Request, runtime: TheRuntime, authentication: TheAuthentication,
    visitor: TheVisitor,
) -> Response:  # fmt: skip
    """Begin a session of the person whose passkey signed the challenge. It replaces the browser's earlier one."""
    with authentication.counting(visitor.address):
        begin = authentication.begin(visitor, authentication.sessions.token_in(request.cookies))
        token = await runtime.run(authentication.passkeys.login, body.credential, begin)
    return _session(authentication, token, visitor)


# --- providers ---


@operation(
    router, "POST", "/auth/oidc/{provider}/login", access=PUBLIC, summary="Begin a login with an OpenID provider",
    errors=("not-authenticated", "not-permitted"), dependencies=[Depends(own_origin)],
)  # fmt: skip
async def begin_provider_login(
    provider: Provider, body: ProviderBody, authentication: TheAuthentication, address: Address
) -> JSONResponse:
    """Return the provider's address, to which the page sends the browser."""
    with authentication.counting(address):
        location, browser = await authentication.openid.begin(provider, body.invitation, network_of(address))
    answer = JSONResponse({"location": location})
    _set_browser(authentication, answer, browser)
    return answer


@operation(
    router, "GET", "/auth/oidc/{provider}/callback", access=PUBLIC, summary="End a login with an OpenID provider",
    errors=("not-authenticated",), response_class=HTMLResponse,
)  # fmt: skip
async def end_provider_login(
    provider: Provider, request: Request, runtime: TheRuntime, authentication: TheAuthentication, visitor: TheVisitor
) -> Response:
    """Begin a session of the person who is linked to the provider's subject, and show a page that leads on.

    A page, and no redirect: browsers send the session's cookie only if a page of this server leads to the next one.
    """
    with authentication.counting(visitor.address):
        browser = request.cookies.get(_browser_name(authentication), "")
        query = dict(request.query_params)
        issuer, subject, code = await authentication.openid.finish(provider, query, browser)
        begin = authentication.begin(visitor, authentication.sessions.token_in(request.cookies))
        token = await runtime.run(authentication.openid.login, issuer, subject, code, begin)
    page = HTMLResponse(
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=/login/done">'
        '<title>Sycee</title><p>You are logged in. <a href="/login/done">Continue</a></p></html>'
    )
    authentication.sessions.set_cookie(page, token)
    authentication.sessions.set_device(page, visitor.device)
    _set_browser(authentication, page, "")
    return page


# --- sessions ---


@operation(router, "GET", "/auth/session", access=SIGNED_IN, summary="Who is logged in")
async def session(caller: KnownCaller) -> dict[str, Any]:
    """Return the person and the scopes of a token or a session."""
    return {
        "kind": caller.kind,
        "person": ids.format(caller.person),
        "client": ids.format(caller.client) if caller.client else None,
        "operator": caller.operator,
        "scopes": sorted(caller.scopes),
    }


@operation(
    router, "POST", "/auth/logout", access=PUBLIC, summary="End a session", status_code=204,
    errors=("not-permitted",), dependencies=[Depends(own_origin)],
)  # fmt: skip
async def log_out(request: Request, runtime: TheRuntime, authentication: TheAuthentication) -> Response:
    """End the session of the cookie, if there is one."""
    if token := authentication.sessions.token_in(request.cookies):
        await runtime.run(authentication.sessions.end, token)
    return _session(authentication, "")


async def _session_of(request: Request, runtime: Runtime, authentication: Authentication) -> Session | None:
    """Return the session of a request's cookie, None without one or after its end."""
    token = authentication.sessions.token_in(request.cookies)
    try:
        return await runtime.run(authentication.sessions.find, token)
    except NotAuthenticated:
        return None


def _session(authentication: Authentication, token: str, visitor: Visitor | None = None) -> Response:
    """Return an empty answer that begins a session in a browser, or ends it for ""."""
    response = Response(status_code=204)
    authentication.sessions.set_cookie(response, token)
    if visitor is not None:
        authentication.sessions.set_device(response, visitor.device)
    return response


def _browser_name(authentication: Authentication) -> str:
    return f"{authentication.sessions.cookie_name}-login"


def _set_browser(authentication: Authentication, response: Response, browser: str) -> None:
    """Add the cookie of a begun login. It is Lax, because the provider's redirect comes from another site."""
    age_s = LIFE_NS // 10**9 if browser else 0
    name, secure = _browser_name(authentication), authentication.settings.secure
    set_cookie(response, name, browser, age_s=age_s, secure=secure, samesite="lax")
