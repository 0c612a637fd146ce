"""The operations of the API: each with its access, which the table in docs/reference/http-operations.md repeats.

A handler of an action calls a service with the caller's person, and the service checks the person's duties. A read
without such a check in its service states here who may have it, and its handler checks that with `access`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from sycee.identity import duties
from sycee.server import problems

Handler = TypeVar("Handler", bound=Callable[..., Any])

PUBLIC: Final = "public"  # everybody, without a login
SIGNED_IN: Final = "signed-in"  # everybody with a token or a session
OWN: Final = "own"  # the owner of the wallet or merchant concerned, and the staff of its operator
ENVELOPE: Final = "envelope"  # everybody: the signature of the record is the authority
ACCESS: Final = "x-sycee-access"

_ALWAYS: Final = ("invalid-request", "too-many-requests", "unavailable")
_KNOWN_CALLERS: Final = ("not-authenticated", "not-permitted")
_WITH_BODY: Final = ("too-large", "unsupported-media-type")
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

    `access`: PUBLIC, SIGNED_IN, OWN, ENVELOPE, or the name of an action in `sycee.identity.duties`. `errors`: names of
    problems besides those that follow from access and method. `route`: further arguments of `add_api_route`.
    """
    if access not in (PUBLIC, SIGNED_IN, OWN, ENVELOPE):
        duties.rule(access)
    names = {*_ALWAYS, *errors}
    if access not in (PUBLIC, ENVELOPE):
        names |= {*_KNOWN_CALLERS}
    if "{" in path:
        names |= {"not-found"}
    if method != "GET":
        names |= {*_WITH_BODY, *_ACTIONS}

    def register(handler: Handler) -> Handler:
        router.add_api_route(
            path,
            handler,
            methods=[method],
            operation_id=handler.__name__,
            responses={**_documented(names), **route.pop("responses", {})},
            openapi_extra={ACCESS: access, **route.pop("openapi_extra", {})},
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
