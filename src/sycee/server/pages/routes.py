"""The pages `/`, `/supply` and `/login`, and the files that they load.

After a login a browser loads `/login/done`, which leads to `/login` while notices wait for an answer, else to `/`.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sycee.core import ids
from sycee.core.timestamps import utc_text
from sycee.issuance.supply_page import Supply
from sycee.server.auth.caller import Caller
from sycee.server.auth.dependencies import visitor_of
from sycee.server.auth.invitations import HALF_LETTERS
from sycee.server.auth.passkeys import NAME_CHARACTERS_MAX
from sycee.server.auth.refusals import NotAuthenticated
from sycee.server.auth.service import Authentication
from sycee.server.pages.own_login import bank_of, masked_name, own_login
from sycee.server.runtime import Runtime

FOLDER: Final = Path(__file__).parent
FILES: Final = "/pages"
_HEADERS: Final = {
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), "
    "publickey-credentials-create=(self), publickey-credentials-get=(self)"
}
_PPM: Final = 1_000_000


def add_pages(app: FastAPI, runtime: Runtime, authentication: Authentication) -> None:
    """Serve the pages of a bank."""
    app.mount(FILES, StaticFiles(directory=FOLDER / "files"), name="page-files")
    pages = _Pages(runtime, authentication)
    for path, page in (("/", pages.start), ("/supply", pages.supply), ("/login", pages.login)):
        app.add_api_route(path, page, methods=["GET"], include_in_schema=False, response_class=HTMLResponse)
    app.add_api_route("/login/done", pages.login_done, methods=["GET"], include_in_schema=False)


class _Pages:
    def __init__(self, runtime: Runtime, authentication: Authentication) -> None:
        self._runtime = runtime
        self._authentication = authentication
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER / "templates"), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        self._templates.filters |= {"time": utc_text, "id": ids.format}
        config = runtime.bank.config
        self._always = {"notice": config.notice, "version": version("sycee")}

    async def start(self, request: Request) -> HTMLResponse:
        """Return the start page, which leads to the others."""
        bank, caller = self._runtime.bank, await self._caller(request)
        code = bank.config.currency.code

        def of_person(person: int) -> dict[str, Any]:
            waiting = len(self._authentication.told.waiting(person))
            return {"name": masked_name(bank, person), "bank": bank_of(bank, person), "waiting": waiting}

        own = None if caller is None else await self._runtime.run(of_person, caller.person)
        return self._page("start", request, title=code, currency=code, own=own)

    async def login(self, request: Request) -> HTMLResponse:
        """Return the page on which persons log in or create a login, and that of their own logins after a login."""
        caller = await self._caller(request)
        if caller is None:
            providers = [each.name for each in self._authentication.settings.providers]
            return self._page("login", request, title="Log in", providers=providers, half_letters=HALF_LETTERS)
        own = await self._runtime.run(own_login, self._runtime.bank, self._authentication, caller)
        return self._page("own-login", request, title="Your login", own=own, name_characters_max=NAME_CHARACTERS_MAX)

    async def login_done(self, request: Request) -> RedirectResponse:
        """Lead a person who has just logged in to the notices that wait, or to the start page."""
        caller = await self._caller(request)
        waiting = [] if caller is None else await self._runtime.run(self._authentication.told.waiting, caller.person)
        return RedirectResponse("/login" if caller is None or waiting else "/", 303)

    async def supply(self, request: Request) -> HTMLResponse:
        """Return the supply, for everybody."""
        found = await self._runtime.run(self._runtime.supply)
        return self._page("supply", request, title="Supply", **_members(found))

    def _page(self, name: str, request: Request, **members: Any) -> HTMLResponse:
        template = self._templates.get_template(f"{name}.html.jinja")
        return HTMLResponse(template.render(here=request.url.path, **self._always, **members), headers=_HEADERS)

    async def _caller(self, request: Request) -> Caller | None:
        """Return the person who is logged in, None for nobody."""
        sessions, visitor = self._authentication.sessions, visitor_of(request)
        token = sessions.token_in(request.cookies)
        if not token:
            return None
        try:
            session = await self._runtime.run(sessions.find, token, visitor)
        except NotAuthenticated:
            return None
        return self._authentication.caller_in(session, visitor.address)


def _members(supply: Supply) -> dict[str, Any]:
    """Return what the template of the supply shows."""
    text = supply.text
    checkpoint = "none: no day is closed yet"
    if supply.checkpoint is not None:
        at = supply.checkpoint.position
        checkpoint = f"frame {at.sequence:,}, {utc_text(at.time_ns)}, state digest {at.state_digest.hex()}"
    return {
        "code": supply.currency.code,
        "backed": supply.is_backed,
        "rehearsal": supply.is_rehearsal,
        "tiles": (
            ("In circulation", text(supply.supply_minor)),
            ("Converted reserves", text(supply.converted_minor)),
            ("In wallets", text(sum(each.money_minor for each in supply.classes))),
            ("In packets that are not spent yet", text(supply.purses_minor)),
            ("In vaults and in transit", text(supply.elsewhere_minor)),
            ("Reserves that the rules require", text(supply.required_minor)),
        ),
        "classes": [
            {
                "name": each.wallet_class,
                "wallets": f"{each.wallets:,}",
                "money": text(each.money_minor),
                "required": text(each.required_minor),
                "share": f"{each.share_ppm / _PPM:.1%}",
                "holder": each.holder,
            }
            for each in supply.classes
        ],
        "operators": [
            {
                "number": each.number,
                "state": each.state,
                "vault": text(each.vault_minor),
                "reserve": text(each.reserve_minor),
            }
            for each in supply.operators
        ],
        "facts": (
            ("Frame", f"{supply.frame.sequence:,}"),
            ("Time", utc_text(supply.frame.time_ns)),
            ("Ledger", f"{supply.ledger_id.hex()}, epoch {supply.epoch}"),
            ("Frame digest", supply.frame.digest.hex()),
            ("Newest checkpoint", checkpoint),
        ),
    }
