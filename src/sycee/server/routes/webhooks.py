"""Webhooks of programs: registered, listed, enabled and removed, and their dead letters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.timestamps import exact_text
from sycee.server import access
from sycee.server.auth.caller import Caller, CallerKind
from sycee.server.events.delivery import Delivery
from sycee.server.events.feed import Cursor
from sycee.server.events.kinds import NAMES
from sycee.server.events.sender import URL_CHARACTERS_MAX
from sycee.server.events.webhooks import Webhook, Webhooks, public_key_text
from sycee.server.operations import PUBLIC, SIGNED_IN, operation
from sycee.server.problems import Problem, not_found
from sycee.server.routes.common import REPEATED, PathId, TheCaller, TheRuntime, number
from sycee.server.signing import ActionBody, Body, Id, Nanoseconds, Signatures

router = APIRouter(prefix="/v1", tags=["webhooks"])
documented = APIRouter()  # the requests that the server sends, for the OpenAPI document

EventNumber = Annotated[str, Field(pattern=r"^[0-9]{1,18}(\.[0-9]{1,4})?$", examples=["12.3"])]


class WebhookBody(ActionBody):
    """A webhook. Without `types`, all events that the program may see; `after`: where it begins, now if empty."""

    url: Annotated[str, Field(max_length=URL_CHARACTERS_MAX, examples=["https://shop.example/sycee"])]
    types: Annotated[tuple[str, ...], Field(max_length=len(NAMES), examples=[["payment.made"]])] = ()
    after: Annotated[str, Field(max_length=60, examples=["0.0.0"])] = ""


class ResendBody(ActionBody):
    """Dead letters to send again by the numbers of their events; all if it is empty."""

    events: Annotated[tuple[EventNumber, ...], Field(max_length=100)] = ()


class Registered(Body):
    """A webhook that was registered, enabled or has dead letters to send again."""

    id: Id


class WebhookState(Body):
    """A webhook. `after`: position of the last event that was taken. `reason`: of the last failure."""

    id: Id
    url: str
    types: tuple[str, ...]
    after: str
    state: str
    failures: int
    retry_at: str | None
    reason: str


class WebhookList(Body):
    """Webhooks, oldest first."""

    rows: tuple[WebhookState, ...]


class Letter(Body):
    """An event that was not taken by the last attempt."""

    event: EventNumber
    type: str
    state: str
    reason: str
    attempts: int
    at: str


class Letters(Body):
    """Dead letters, oldest first, at most 1,000."""

    rows: tuple[Letter, ...]


class PublicKey(Body):
    """The key that verifies webhooks, as Standard Webhooks writes it."""

    public_key: Annotated[str, Field(examples=["whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="])]


class OperationEvent(BaseModel):
    """An operation of the ledger. Further members may be added."""

    id: EventNumber
    type: str
    at: str
    at_ns: Nanoseconds
    operation: Id
    accounts: tuple[Id, ...]
    amount: str | None = None
    currency: str | None = None
    about: Id | None = None


class RegisterEvent(BaseModel):
    """A change of a register. Further members may be added."""

    id: EventNumber
    type: str
    at: str
    at_ns: Nanoseconds
    subject: str
    data: dict[str, Any]
    operator: int | None = None


class WebhookMessage(BaseModel):
    """The body of a request to a webhook, signed in the headers webhook-id, webhook-timestamp, webhook-signature."""

    type: Annotated[str, Field(examples=["payment.made"])]
    timestamp: str
    data: OperationEvent | RegisterEvent


@documented.post("event", summary="An event", responses={"2XX": {"description": "The receiver took the event."}})
async def event(body: WebhookMessage) -> None:
    """Answer 2xx within 15 s. Everything else is a failure, and the event is sent again; redirects are not followed.

    Verify the signature before you use the body, and remember `webhook-id`: an event may arrive twice.
    """


def _webhooks(request: Request) -> Webhooks:
    found: Webhooks = request.app.state.webhooks
    return found


def _delivery(request: Request) -> Delivery:
    found: Delivery = request.app.state.delivery
    return found


def _visible(bank: Bank, caller: Caller, webhook: Webhook | None) -> Webhook:
    if webhook is not None and (_is_own(caller, webhook) or access.may_audit(bank, caller)):
        return webhook
    raise not_found("webhook")


def _own(caller: Caller, webhook: Webhook | None) -> Webhook:
    if webhook is not None and _is_own(caller, webhook):
        return webhook
    raise not_found("webhook")


def _is_own(caller: Caller, webhook: Webhook) -> bool:
    """Return whether a webhook is the program's, or of a program of the person."""
    if caller.kind is CallerKind.MACHINE:
        return caller.client == webhook.client
    return caller.kind is CallerKind.PERSON and caller.person == webhook.person


def _state(webhook: Webhook) -> WebhookState:
    return WebhookState(
        id=ids.format(webhook.id),
        url=webhook.url,
        types=tuple(sorted(webhook.types)),
        after=str(webhook.cursor),
        state=webhook.state,
        failures=webhook.failures,
        retry_at=exact_text(webhook.retry_ns) if webhook.retry_ns else None,
        reason=webhook.reason,
    )


_KEY_SUMMARY: Final = "The key that verifies webhooks"


@operation(router, "GET", "/webhook-key", access=PUBLIC, response_model=PublicKey, summary=_KEY_SUMMARY)
async def webhook_key(request: Request) -> PublicKey:
    """Return the server's public key: all webhooks are signed with it."""
    return PublicKey(public_key=public_key_text(_delivery(request).public_key))


@operation(
    router, "POST", "/webhooks", access=SIGNED_IN, status_code=201, response_model=Registered, responses=REPEATED,
    summary="Register a webhook",
)  # fmt: skip
async def register_webhook(request: Request, runtime: TheRuntime, caller: TheCaller, body: WebhookBody) -> JSONResponse:
    """Send the program's events to a URL, later ones or those after a position. For programs only.

    The URL is https, and its host has addresses of the public internet only.
    """
    if caller.kind is not CallerKind.MACHINE:
        raise Problem("not-permitted", "a webhook belongs to a program", hint="use the program's access token")
    hub, webhooks = request.app.state.hub, _webhooks(request)
    asked = Cursor.parse(body.after) if body.after else None
    cursor = await hub.run(hub.feed.newest) if asked is None else await hub.run(hub.feed.reached, asked)

    def work(bank: Bank, signatures: Signatures) -> Mapping[str, Any]:
        webhooks.register(body.number, caller, body.url, body.types, cursor)
        return {"id": body.id}

    answer = await runtime.perform("register_webhook", caller.person, body, work)
    _delivery(request).restart(body.number)
    return answer


@operation(router, "GET", "/webhooks", access=SIGNED_IN, response_model=WebhookList, summary="List webhooks")
async def list_webhooks(request: Request, runtime: TheRuntime, caller: TheCaller) -> WebhookList:
    """Return the webhooks of the program, of all programs of the person, or for officers and auditors all."""

    def work() -> WebhookList:
        sees_all = access.may_audit(runtime.bank, caller) and caller.operator is None
        found = [each for each in _webhooks(request).all() if sees_all or _is_own(caller, each)]
        return WebhookList(rows=tuple(map(_state, found)))

    return await runtime.run(work)


@operation(
    router, "GET", "/webhooks/{webhook}", access=SIGNED_IN, response_model=WebhookState, summary="Show a webhook"
)
async def show_webhook(request: Request, runtime: TheRuntime, caller: TheCaller, webhook: PathId) -> WebhookState:
    """Return a webhook with its position and its last failure."""

    def work() -> WebhookState:
        return _state(_visible(runtime.bank, caller, _webhooks(request).find(number(webhook))))

    return await runtime.run(work)


@operation(
    router, "DELETE", "/webhooks/{webhook}", access=SIGNED_IN, status_code=204, response_class=Response,
    summary="Remove a webhook",
)  # fmt: skip
async def remove_webhook(request: Request, runtime: TheRuntime, caller: TheCaller, webhook: PathId) -> Response:
    """Remove a webhook and its dead letters."""

    def work() -> None:
        _webhooks(request).remove(_own(caller, _webhooks(request).find(number(webhook))).id)

    await runtime.run(work)
    _delivery(request).restart(number(webhook))
    return Response(status_code=204)


@operation(
    router, "POST", "/webhooks/{webhook}/enable", access=SIGNED_IN, status_code=201, response_model=Registered,
    responses=REPEATED, summary="Enable a webhook",
)  # fmt: skip
async def enable_webhook(
    request: Request, runtime: TheRuntime, caller: TheCaller, webhook: PathId, body: ActionBody
) -> JSONResponse:
    """Continue after the last event that was taken, now: also a webhook that waits for its next attempt."""

    def work(bank: Bank, signatures: Signatures) -> Mapping[str, Any]:
        _webhooks(request).enable(_own(caller, _webhooks(request).find(number(webhook))).id)
        return {"id": webhook}

    place = {"webhook": webhook}
    answer = await runtime.perform("enable_webhook", caller.person, body, work, place=place)
    _delivery(request).restart(number(webhook))
    return answer


@operation(
    router, "GET", "/webhooks/{webhook}/dead-letters", access=SIGNED_IN, response_model=Letters,
    summary="List dead letters",
)  # fmt: skip
async def list_dead_letters(request: Request, runtime: TheRuntime, caller: TheCaller, webhook: PathId) -> Letters:
    """Return the events that the receiver did not take by the last attempt."""

    def work() -> Letters:
        found = _visible(runtime.bank, caller, _webhooks(request).find(number(webhook)))
        return Letters(
            rows=tuple(
                Letter(
                    event=each.event,
                    type=each.type,
                    state=each.state,
                    reason=each.reason,
                    attempts=each.attempts,
                    at=exact_text(each.at_ns),
                )
                for each in _webhooks(request).dead_letters(found.id)
            )
        )

    return await runtime.run(work)


@operation(
    router, "POST", "/webhooks/{webhook}/dead-letters/resend", access=SIGNED_IN, status_code=201,
    response_model=Registered, responses=REPEATED, summary="Send dead letters again",
)  # fmt: skip
async def resend_dead_letters(
    request: Request, runtime: TheRuntime, caller: TheCaller, webhook: PathId, body: ResendBody
) -> JSONResponse:
    """Send dead letters again, once each, before further events. A dead letter that the receiver refuses stays one."""

    def work(bank: Bank, signatures: Signatures) -> Mapping[str, Any]:
        _webhooks(request).resend(_own(caller, _webhooks(request).find(number(webhook))).id, body.events)
        return {"id": webhook}

    place = {"webhook": webhook}
    answer = await runtime.perform("resend_dead_letters", caller.person, body, work, place=place)
    _delivery(request).restart(number(webhook))
    return answer
