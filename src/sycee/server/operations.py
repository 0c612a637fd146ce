"""The operations of the API: each with its access, which the table in docs/reference/http-operations.md repeats.

An access that is an action of `sycee.identity.duties` is checked before the request's fields are: the caller needs a
duty that may request the action. The service checks it again, for the operator concerned. Other accesses are checked by
handlers with `sycee.server.access`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute

from sycee.identity import duties
from sycee.identity.duties import Duty
from sycee.identity.people import People
from sycee.server import problems
from sycee.server.auth.dependencies import KnownCaller, current_caller, session_of
from sycee.server.bodies import BodyRoute, require_media_type
from sycee.server.runtime import Runtime, runtime_of

Handler = TypeVar("Handler", bound=Callable[..., Any])
TheRuntime = Annotated[Runtime, Depends(runtime_of)]

PUBLIC: Final = "public"  # everybody, without a login
SIGNED_IN: Final = "signed-in"  # everybody with a token or a session
SESSION: Final = "session"  # every person in a session; no program
OWN: Final = "own"  # the owner of the wallet or merchant concerned, and the staff of its operator
ENVELOPE: Final = "envelope"  # everybody: the signature of the record is the authority
ACCESS: Final = "x-sycee-access"

# A connection also refuses headers that are too long, and requests that arrive too slowly.
_ALWAYS: Final = ("invalid-request", "request-timeout", "too-large", "too-many-requests", "unavailable")
_KNOWN_CALLERS: Final = ("not-authenticated", "not-permitted")
_ACTIONS: Final = ("conflict", "refused")


def operation(
    router: APIRouter,
    method: str,
    path: str,
    *,
    access: str,
    errors: tuple[str, ...] = (),
    **route: Any,
) -> Callable[[Handler], Handler]:
    """Register a handler as an operation of the API.

    `access`: PUBLIC, SIGNED_IN, SESSION, OWN, ENVELOPE, or the name of an action in `sycee.identity.duties`.
    `errors`: names of problems besides those that follow from access and method. `route`: further arguments of
    `add_api_route`.
    """
    gates: list[Any] = [] if access in (PUBLIC, ENVELOPE) else [Depends(current_caller)]
    if access == SESSION:
        gates.append(Depends(session_of))
    elif access not in (PUBLIC, SIGNED_IN, OWN, ENVELOPE):
        duties.rule(access)
        gates.append(Depends(_gate(access)))
    gates.append(Depends(require_media_type))  # after the caller: strangers hear 401 about every body
    names = {*_ALWAYS, *errors}
    if access not in (PUBLIC, ENVELOPE):
        names |= {*_KNOWN_CALLERS}
    if "{" in path:
        names |= {"not-found"}
    if method != "GET":
        names |= {"unsupported-media-type", *_ACTIONS}

    def register(handler: Handler) -> Handler:
        router.add_api_route(
            path,
            handler,
            methods=[method],
            operation_id=handler.__name__,
            responses={**_documented(names), **route.pop("responses", {})},
            openapi_extra={ACCESS: access, **route.pop("openapi_extra", {})},
            dependencies=[*gates, *route.pop("dependencies", ())],
            route_class_override=BodyRoute,
            **route,
        )
        return handler

    return register


def operations(app: FastAPI) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, method, path and access of each operation, in the order of their paths."""
    found = [route for route in app.routes if isinstance(route, APIRoute) and route.openapi_extra]
    for route in sorted(found, key=lambda each: (each.path, sorted(each.methods or ()))):
        extra = route.openapi_extra or {}
        if ACCESS in extra:
            (method,) = route.methods or ("GET",)
            yield route.operation_id or route.name, method, route.path, extra[ACCESS]


def _gate(action: str) -> Callable[..., Any]:
    of_currency = Duty.CURRENCY_OFFICER in duties.rule(action).makers

    def check(person: int, operator: int | None, people: People) -> None:
        # The service compares the currency that the request names.
        held = [each.currency for each in people.duties_of(person) if each.currency] if of_currency else []
        people.require(person, action, operator=operator, currencies=held)

    async def permitted(caller: KnownCaller, runtime: TheRuntime) -> None:
        await runtime.run(check, caller.person, caller.operator, runtime.bank.people)

    return permitted


def _documented(names: set[str]) -> Mapping[int | str, dict[str, Any]]:
    """Return the responses of the OpenAPI document for problems, one per status with an example."""
    return {
        kind.status: {
            "description": f"{kind.title}. {kind.meaning}",
            "content": {
                problems.MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "example": problems.Problem(kind.name, kind.title).document("01930e2c5a007abc"),
                }
            },
        }
        for kind in map(problems.TYPES.__getitem__, sorted(names))
    }
