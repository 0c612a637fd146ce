"""The pages for browsers: their headers, their content, and the login with a passkey in a real browser."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.bank import world
from tests.report.browser import ARGUMENTS, CHROMIUM, PATIENCE_MS, REFUSALS, need_chromium
from tests.server.world import served

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.server.auth.registers import Registers
from sycee.server.middleware import CONTENT_SECURITY_POLICY
from sycee.server.tables import SCHEMA

PAGES = ("/", "/supply", "/login")
NOTICE = "This is a <pilot> & no real money."
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def open_bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    folder: Path = tmp_path_factory.mktemp("pages")
    world.two_tiers("").copy(folder)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = {"http_notice": NOTICE, "http_origin": f"http://localhost:{port}"}
    with Bank.open(folder / "bank", options=options, schemas=(SCHEMA,)) as bank:
        yield bank


@pytest.fixture(scope="module")
def address(open_bank: Bank) -> Iterator[str]:
    with served(open_bank, port=int(open_bank.config.text("http_origin").rpartition(":")[2])) as found:
        yield found


def test_every_page_has_the_strict_policy_and_nothing_inline(address: str) -> None:
    for path in PAGES:
        answer = httpx.get(address + path)
        assert answer.status_code == 200
        assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert "'unsafe" not in CONTENT_SECURITY_POLICY
        assert "frame-ancestors 'none'" in CONTENT_SECURITY_POLICY
        assert "publickey-credentials-get=(self)" in answer.headers["permissions-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert "This is a &lt;pilot&gt; &amp; no real money." in answer.text
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|https?://", answer.text)
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", answer.text))
        for name in re.findall(r'(?:href|src)="(/pages/[^"]+)"', answer.text):
            assert httpx.get(address + name).status_code == 200


def test_the_supply_page_shows_the_money_and_its_proof(address: str) -> None:
    supply = httpx.get(f"{address}/v1/supply").json()
    text = httpx.get(f"{address}/supply").text
    assert "equals the reserves that were converted" in text
    assert "2,000,000.00 <span>CNY</span>" in text
    assert supply["frame_digest"] in text
    assert supply["state_digest"] is None
    assert "none: no day is closed yet" in text
    assert "A rehearsal with a clock of its own" in text


def test_the_reference_shows_the_notice(address: str) -> None:
    assert httpx.get(f"{address}/openapi.json").json()["info"]["description"].startswith(f"**{NOTICE}**")


def overflow(page: Any) -> bool:
    """Whether the page is wider than the screen."""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def test_a_person_sets_up_a_passkey_and_logs_in_with_a_browser(open_bank: Bank, address: str, tmp_path: Path) -> None:
    need_chromium()
    from playwright.sync_api import sync_playwright

    officer = open_bank.people.person_of_key(world.ANN.public)
    invitations = Registers(open_bank).invitations
    code = invitations.issue_to_holder(officer).code
    origin = open_bank.config.text("http_origin")
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
        context = browser.new_context(viewport=PHONE, service_workers="block")
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.add_init_script(REFUSALS)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        devtools = context.new_cdp_session(page)
        devtools.send("WebAuthn.enable")
        devtools.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
        for path in PAGES:
            page.goto(origin + path)
            assert not overflow(page), path
            page.screenshot(path=str(tmp_path / f"{path.strip('/') or 'start'}.png"), full_page=True)
        assert complaints == []

        page.goto(f"{origin}/login")
        page.fill("#code", "WRONG-CODE")
        page.click("text=Set up a passkey")
        page.wait_for_selector("#outcome:not(:empty)")
        assert complaints.pop().startswith("Failed to load resource: the server responded with a status of 401")
        page.fill("#code", code)
        page.click("text=Set up a passkey")
        page.wait_for_url(f"{origin}/")
        assert ids.format(officer) in page.inner_text("main")

        page.goto(f"{origin}/login")
        page.click("#logout")
        page.wait_for_url(f"{origin}/")
        assert "Everybody can check the supply" in page.inner_text("main")
        page.goto(f"{origin}/login")
        page.click("#login")
        page.wait_for_url(f"{origin}/")
        assert ids.format(officer) in page.inner_text("main")
        (cookie,) = context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        assert complaints == []
        browser.close()
