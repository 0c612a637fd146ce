"""The application: every operation of the API, the pages, and what applies to all of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import fastapi_offline
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles

from sycee.bank.bank import Bank
from sycee.bank.phone_messages import Messenger
from sycee.core.clock import RealClock
from sycee.database.jobs import Scheduler
from sycee.server import problems
from sycee.server.auth.dependencies import admit
from sycee.server.auth.service import Authentication
from sycee.server.auth.settings import AuthSettings
from sycee.server.backups import Backups
from sycee.server.bulk.app import BulkApp
from sycee.server.document_examples import add_examples
from sycee.server.events.addresses import networks
from sycee.server.events.delivery import Delivery, server_key
from sycee.server.events.hub import Hub
from sycee.server.events.streams import StreamSlots
from sycee.server.events.webhooks import Webhooks
from sycee.server.metrics import add_metrics
from sycee.server.middleware import RequestLimits
from sycee.server.observing import Failures, Observations, Observed
from sycee.server.operations import ACCESS, ENVELOPE, PUBLIC
from sycee.server.pages.routes import add_pages
from sycee.server.payments.app import PaymentsApp
from sycee.server.payments.refusals import Refusals
from sycee.server.payments.settings import PaymentSettings
from sycee.server.phone_gateway import way_of
from sycee.server.routes import (
    aliases,
    appeals,
    auth,
    backups,
    bulk,
    cases,
    clearing,
    corridors,
    day,
    events,
    funding,
    holds,
    institutions,
    issuance,
    keys,
    lapsed_openings,
    life,
    logins,
    merchants,
    messages,
    own_logins,
    packets,
    payments,
    people,
    phone_messages,
    programme_reports,
    programme_steps,
    programmes,
    proposals,
    public,
    registrations,
    removals,
    requests,
    shops,
    signed_payments,
    sweeps,
    vouchers,
    wallet_batches,
    wallets,
    webhooks,
)
from sycee.server.runtime import Runtime
from sycee.server.tables import SCHEMA

if TYPE_CHECKING:
    from sycee.server.tracing import Tracing

TITLE: Final = "Sycee"
DESCRIPTION: Final = (
    "Amounts are texts of minor units, up to 2⁶³ − 1, since some readers of JSON have less precision. An action "
    "has an `id` of the caller's choice: the first answer is 201; the same request sent again is answered 200 with the "
    "first answer; other content under the id is answered 409. Records that need a signature are returned with 202: "
    "check and sign them, and send the request again with the envelopes."
)
# Scripts and styles of the reference page are files of this server; its page has one inline script.
_REFERENCE_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Each module adds its router. Order is that of the reference page.
ROUTERS: Final[tuple[APIRouter, ...]] = (
    public.router,
    auth.router,
    logins.router,
    own_logins.router,
    signed_payments.router,
    payments.router,
    wallets.router,
    wallet_batches.router,
    lapsed_openings.router,
    keys.router,
    aliases.router,
    requests.router,
    holds.router,
    merchants.router,
    messages.router,
    sweeps.router,
    funding.router,
    bulk.router,
    clearing.router,
    corridors.router,
    proposals.router,
    issuance.router,
    programmes.router,
    registrations.router,
    removals.router,
    appeals.router,
    programme_reports.router,
    programme_steps.router,
    packets.router,
    shops.router,
    vouchers.router,
    institutions.router,
    cases.router,
    day.router,
    people.router,
    life.router,
    phone_messages.router,
    events.router,
    webhooks.router,
    backups.router,
)


def create_server(bank: Bank, runtime: Runtime | None = None) -> PaymentsApp:
    """Return the whole server of an open bank: the path for signed payments, and the application for all others.

    It never closes the bank. Its lifespan binds the ledger to the event loop, so use it with one server. `runtime`: of
    the bank; None for a new one.
    """
    runtime, refusals = runtime or Runtime(bank), Refusals(bank.stores.engine)
    payments_per_s = int(bank.config.text("http_payments_per_minute")) / 60
    failures_per_minute = int(bank.config.text("http_failures_per_minute"))
    settings = PaymentSettings(
        rate_per_s=payments_per_s,
        burst=max(1, round(2 * payments_per_s)),
        failures_per_s=failures_per_minute / 60,
        failures_burst=failures_per_minute,
        forwarded=bank.config.text("http_address").startswith("unix:"),
    )

    async def at_stop() -> None:
        await streams.aclose()
        await refusals.aclose()

    app = create_app(runtime, at_stop=at_stop)
    streams = BulkApp(runtime, app.state.authentication, app.state.observations, otherwise=app)
    payments = PaymentsApp(
        lambda: runtime.ledger, settings, otherwise=streams, refusals=refusals, barred_payees=bank.registry.own_accounts
    )
    app.state.payments, app.state.bulk = payments, streams
    runtime.payments_waiting = lambda: payments.waiting

    def before_stop() -> None:
        app.state.hub.stop_streams()
        streams.stop()

    payments.before_stop = before_stop
    return payments


def create_app(runtime: Runtime, *, at_stop: Callable[[], Awaitable[None]]) -> FastAPI:
    """Return the application without the path for signed payments. `at_stop`: called when the server stops."""
    bank = runtime.bank
    notice = bank.config.notice
    tracing = _tracing(bank.config.text("http_traces"))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        _resolve_dependencies(app)
        runtime.start()
        await runtime.run(clearing.finish_messages, bank)
        scheduler = Scheduler(bank.stores.jobs)
        scheduler.start()
        way = way_of(bank.config)
        messenger = Messenger(bank, way) if way is not None else None
        if messenger is not None:
            messenger.start()
        hub = app.state.hub = Hub(bank)
        hub.start()
        delivery = app.state.delivery = Delivery(
            bank,
            hub,
            app.state.webhooks,
            server_key(bank.config.path("http_key")),
            runtime.run,
            RealClock(),
            is_registered=lambda client: app.state.authentication.clients.active(client) is not None,
            permitted=networks(bank.config.text("http_webhook_networks")),
        )
        delivery.start()
        try:
            yield
        finally:
            await asyncio.to_thread(scheduler.close)
            if messenger is not None:
                await asyncio.to_thread(messenger.close)
            await asyncio.to_thread(app.state.backups.close)
            await delivery.close()
            await hub.close()
            await at_stop()
            await runtime.close()
            if tracing is not None:
                await asyncio.to_thread(tracing.close)

    app = FastAPI(
        title=TITLE,
        version=version("sycee"),
        description=f"**{notice}** {DESCRIPTION}" if notice else DESCRIPTION,
        openapi_url=None,  # `_add_reference` serves the document
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        dependencies=[Depends(admit)],
    )
    app.state.runtime = runtime
    app.state.streams = StreamSlots()
    app.state.webhooks = Webhooks(bank.stores, RealClock())
    bank.add_schema(SCHEMA)
    app.state.authentication = Authentication(bank, AuthSettings.of(bank.config))
    app.state.backups = Backups(bank)
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router)
    add_pages(app, runtime, app.state.authentication)
    observations = app.state.observations = Observations()
    add_metrics(app, runtime, observations, lambda: app.state.streams.used)
    _add_reference(app)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    config = bank.config
    app.add_middleware(Failures)
    app.add_middleware(
        RequestLimits,
        body_bytes_max=int(config.text("http_body_bytes")),
        is_tls=config.text("http_origin").startswith("https:"),
        forwarded=config.text("http_address").startswith("unix:"),
    )
    app.add_middleware(Observed, observations=observations)  # outermost: it counts refusals of the limits, too
    if tracing is not None:
        from sycee.server.tracing import Traced

        app.add_middleware(Traced, tracer=tracing.tracer)
    return app


def _resolve_dependencies(app: FastAPI) -> None:
    """Have FastAPI resolve the dependencies of all operations.

    Otherwise the first request that is compared with a route resolves them: 0.3 s for all, in which the event loop
    serves no other request.
    """
    for route in app.routes:
        route.matches({"type": "http", "method": "GET", "path": "/-", "root_path": "", "headers": [], "app": app})


def _tracing(endpoint: str) -> Tracing | None:
    """Return the exporter of traces; None without a collector."""
    if not endpoint:
        return None
    from sycee.server.tracing import Tracing

    return Tracing(endpoint)


def _add_reference(app: FastAPI) -> None:
    """Serve the reference page of the API with files of this server: no browser fetches anything elsewhere."""
    folder = Path(fastapi_offline.__file__).parent / "static"
    app.mount("/reference/files", StaticFiles(directory=folder), name="reference-files")

    lock, made = Lock(), list[bytes]()

    def document() -> bytes:
        with lock:
            if not made:
                made.append(json.dumps(app.openapi(), ensure_ascii=False).encode())
        return made[0]

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        # Made on a thread: describing every operation takes seconds, in which the event loop would answer nobody. Made
        # once: anybody may ask, and 1.5 MB of JSON take 15 ms.
        content = made[0] if made else await asyncio.to_thread(document)
        return Response(content, media_type="application/json")

    @app.get("/reference", include_in_schema=False)
    async def reference(request: Request) -> HTMLResponse:
        page = get_swagger_ui_html(
            openapi_url="/openapi.json",
            title=f"{TITLE}: API",
            swagger_js_url="/reference/files/swagger-ui-bundle.js",
            swagger_css_url="/reference/files/swagger-ui.css",
            swagger_favicon_url="data:,",
        )
        page.headers["content-security-policy"] = _REFERENCE_POLICY
        return page


def _document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document, with the schema of problems."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            webhooks=webhooks.documented.routes,
            openapi_version="3.1.0",
        )
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = {
            "type": "object",
            "description": "RFC 9457",
            "required": ["type", "title", "status", "detail", "request_id"],
            "properties": {
                **{name: {"type": "string"} for name in ("type", "title", "detail", "hint", "code", "request_id")},
                "status": {"type": "integer"},
            },
        }
        document["components"]["securitySchemes"] = _schemes(app.state.authentication)
        # FastAPI documents its own form of validation errors, which `problems` replaces.
        for path in document["paths"].values():
            for operation in path.values():
                if operation.get(ACCESS, PUBLIC) not in (PUBLIC, ENVELOPE):
                    operation["security"] = [{"token": []}, {"session": []}]
                responses = operation.get("responses", {})
                if "HTTPValidationError" in str(responses.get("422", "")):
                    del responses["422"]
        for sent in document["webhooks"].values():
            del sent["post"]["responses"]["422"]
            sent["post"]["responses"].pop("200", None)
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        add_examples(document)
        app.openapi_schema = document
    return app.openapi_schema


def _schemes(authentication: Authentication) -> dict[str, Any]:
    """Return the ways to authenticate, for the OpenAPI document."""
    token = "Access token of POST /oauth/token. Each request has a proof in the header DPoP (RFC 9449)."  # noqa: S105
    session = "Session of a person. Requests that could change something have the header Origin."
    return {
        "token": {"type": "http", "scheme": "DPoP", "description": token},
        "session": {
            "type": "apiKey", "in": "cookie", "name": authentication.sessions.cookie_name, "description": session,
        },
    }  # fmt: skip
