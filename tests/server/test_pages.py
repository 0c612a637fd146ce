"""The pages for browsers: their headers, their content, and the login with a passkey in a real browser."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.bank import world
from tests.report.browser import PATIENCE_MS, REFUSALS, chromium
from tests.server.auth.phones import newest_secret
from tests.server.world import logged_in, served

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.keys import SigningKey
from sycee.database.transactions import write
from sycee.life.notices import PROGRAM_REGISTERED
from sycee.server.auth.registers import Registers
from sycee.server.auth.service import FRESH_NS
from sycee.server.auth.tables import SESSIONS
from sycee.server.middleware import CONTENT_SECURITY_POLICY
from sycee.server.pages.own_login import shown_program
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
DESKTOP = {"width": 1280, "height": 900}
NAME = "Wang Li"


@pytest.fixture(scope="module")
def open_bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    folder: Path = tmp_path_factory.mktemp("pages")
    world.two_tiers("").copy(folder)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = {
        "http_notice": NOTICE,
        "http_origin": f"http://localhost:{port}",
        "message_folder": str(folder / "outbox"),
    }
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


# --- a person's own login ---


@pytest.fixture(scope="module")
def customer(open_bank: Bank) -> int:
    """A customer of North Bank with a phone."""
    north = open_bank.people.person_of_key(world.NORTH.public)
    fields = {"name": NAME, "phone": "+8613912345678"}
    signers = open_bank.signers(world.NORTH)
    return open_bank.wallets.open_person(fields, operator=2, tier="class-4", signers=signers, who=north).holder


def shown_to(bank: Bank, address: str, person: int, path: str) -> str:
    """A page in a new session of a person, without its tags."""
    with logged_in(bank, address, person) as client:
        answer = client.get(path)
        assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", answer.text)
        return " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())


def test_the_start_page_shows_a_masked_name_without_an_access(open_bank: Bank, address: str, customer: int) -> None:
    before = open_bank.access.head()
    text = shown_to(open_bank, address, customer, "/")
    assert "You are logged in as W*** L* ; your bank is North Bank." in text
    assert NAME not in text
    assert open_bank.access.head() == before


def test_the_login_page_shows_the_whole_name_after_an_entry(open_bank: Bank, address: str, customer: int) -> None:
    before, _ = open_bank.access.head()
    assert f"You are logged in as {NAME} . Your bank is North Bank ." in shown_to(
        open_bank, address, customer, "/login"
    )
    (entry,) = open_bank.access.entries(after=before)
    assert (entry.who, entry.person, entry.fields, entry.reason) == (customer, customer, ("name",), "own-request")


@pytest.mark.parametrize(
    ("key", "bank"), [(world.NORTH, "North Bank"), (world.ANN, "the issuer of CNY"), (world.DESK, "the issuer of CNY")]
)
def test_staff_without_a_record_see_their_id_and_their_bank(
    open_bank: Bank, address: str, key: SigningKey, bank: str
) -> None:
    person = open_bank.people.person_of_key(key.public)
    text = shown_to(open_bank, address, person, "/login")
    assert f"You are logged in as {ids.format(person)} . Your bank is {bank} ." in text


def test_a_login_leads_to_the_notices_that_wait(open_bank: Bank, address: str) -> None:
    ann, bob = (open_bank.people.person_of_key(key.public) for key in (world.ANN, world.BOB))
    told = Registers(open_bank).told
    assert httpx.get(f"{address}/login/done").headers["location"] == "/login"
    with logged_in(open_bank, address, bob) as client:
        assert client.get("/login/done").headers["location"] == "/"
        write(open_bank.stores.engine, partial(told.store, prepared=told.prepare(bob, PROGRAM_REGISTERED, by=ann)))
        assert client.get("/login/done").headers["location"] == "/login"
    assert "1 notice waits for your answer" in shown_to(open_bank, address, bob, "/")
    text = shown_to(open_bank, address, bob, "/login")
    assert "A program was registered that acts for you." in text
    assert "UTC, by an officer" in text
    assert f"Id, for questions to your bank: {ids.format(ann)} This was me This was not me" in text


@pytest.mark.parametrize(
    ("agent", "shown"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Some/140.0", "Gecko 20100101, Some 140 on X11"),
        ("Mozilla/5.0 (Phone) Kit/537.36 (KHTML, like Gecko) One/140.0.0.0 Two/5", "One 140, Two 5 on Phone"),
        ("curl/8.5.0", "curl/8.5.0"),
        ("", "unknown browser"),
    ],
)
def test_the_program_of_a_session_is_shortened(agent: str, shown: str) -> None:
    assert shown_program(agent).startswith(shown)


class Device:
    """A browser of a person, with an authenticator. `complaints`: what it wrote to its console as errors."""

    def __init__(self, browser: Any, origin: str, folder: Path, viewport: dict[str, int]) -> None:
        self.origin, self._folder, self._width = origin, folder, viewport["width"]
        self.complaints: list[str] = []
        self.context = browser.new_context(viewport=viewport, service_workers="block")
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.add_init_script(REFUSALS)
        self.page.on(
            "console", lambda message: self.complaints.append(message.text) if message.type == "error" else None
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self._devtools = self.context.new_cdp_session(self.page)
        self._devtools.send("WebAuthn.enable")
        self.authenticator = ""
        self.get_authenticator()

    def get_authenticator(self) -> None:
        """Replace the authenticator by one without passkeys."""
        if self.authenticator:
            self._devtools.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": self.authenticator})
        made = self._devtools.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
        self.authenticator = made["authenticatorId"]

    def open(self, path: str) -> None:
        """Open a page, which fits the screen."""
        self.page.goto(self.origin + path)
        self.require_fit(path.strip("/") or "start")

    def require_fit(self, name: str) -> None:
        """Take a picture, and require that the page is no wider than the screen."""
        self.page.screenshot(path=str(self._folder / f"{name}-{self._width}.png"), full_page=True)
        size = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert self.page.evaluate(size) <= 0, name

    def set_up(self, first: str, second: str = "") -> None:
        """Fill the form for a code, and send it."""
        self.page.fill("#first", first)
        self.page.fill("#second", second)
        self.page.click("text=Set up a passkey")

    def click(self, what: str, choice: str = "") -> None:
        """Click a button; `choice`: what is chosen in the dialog that asks for confirmation."""
        self.page.click(what)
        if choice:
            self.page.click(f"dialog [data-choice={choice}]")

    def said(self, text: str, status: int = 0) -> str:
        """Wait for a sentence of the page; return it. `status`: of the answer that the console complains about."""
        self.page.wait_for_selector(f"#outcome:has-text('{text}')")
        if status:
            assert f"the server responded with a status of {status}" in self.complaints.pop()
        return str(self.page.inner_text("#outcome"))

    def until_shown(self, selector: str, state: str = "visible") -> None:
        """Wait until something is shown, or hidden."""
        self.page.wait_for_selector(selector, state=state)

    def until_listed(self, selector: str, count: int) -> None:
        """Wait until a list has so many rows."""
        from playwright.sync_api import expect

        expect(self.page.locator(selector)).to_have_count(count, timeout=PATIENCE_MS)

    def until_at(self, path: str) -> None:
        """Wait until a page is loaded."""
        self.page.wait_for_url(self.origin + path)

    @property
    def text(self) -> str:
        """What the page says."""
        return " ".join(self.page.inner_text("main").split())


@pytest.fixture
def devices(open_bank: Bank, address: str, tmp_path: Path) -> Iterator[tuple[Device, Device]]:
    """A phone and a larger screen, which complain about nothing but what a test expects."""
    with chromium() as browser:
        origin = open_bank.config.text("http_origin")
        made = Device(browser, origin, tmp_path, PHONE), Device(browser, origin, tmp_path, DESKTOP)
        try:
            yield made
            assert [each.complaints for each in made] == [[], []]
        finally:
            for each in made:
                each.context.close()


def test_a_person_uses_and_ends_logins_with_browsers(
    open_bank: Bank, customer: int, devices: tuple[Device, Device]
) -> None:
    phone, desktop = devices
    of_other_tests = SESSIONS.delete().where(SESSIONS.c.person == customer)
    write(open_bank.stores.engine, lambda connection: connection.execute(of_other_tests))
    for path in PAGES:
        phone.open(path)
        desktop.open(path)

    # Two halves, each with the right number of letters.
    invitations, north = Registers(open_bank).invitations, open_bank.people.person_of_key(world.NORTH.public)
    first = invitations.issue(customer, by=north, operator=2, staff=False).first
    second = newest_secret(open_bank)
    phone.open("/login")
    for one, two, answer in (
        (first, "", "The second half is missing"),
        ("ABCD", second, "The first half has 16 letters and digits; you typed 4"),
        (first, second[:-1], "The second half has 16 letters and digits; you typed 15"),
    ):
        phone.set_up(one, two)
        phone.said(answer)
    phone.set_up(first, first)
    phone.said("The code is not valid", 401)
    phone.require_fit("refused")
    phone.set_up(first.lower(), f" {second} ")

    # The notices stand first; the name is masked.
    phone.until_shown("article >> nth=1")
    phone.require_fit("invited")
    assert re.match("Your login Was this you[?] .* logins. A login was set up with a code. ", phone.text)
    assert all((each["httpOnly"], each["sameSite"]) == (True, "Strict") for each in phone.context.cookies())
    staff = "a signer of North Bank"
    assert f"under an invitation by {staff}. You use this login now." in phone.text
    assert f", by {staff}. Id, for questions to your bank: {ids.format(north)}" in phone.text
    assert "You are logged in as W*** L*. Your bank is North Bank." in phone.text
    assert f"was invited by {staff}" in phone.page.inner_text("#masked")
    for left in (1, 0):
        phone.click("article >> nth=0 >> text=This was me")
        phone.said("Your answer is stored.")
        assert phone.page.locator("article").count() == left
    assert Registers(open_bank).told.waiting(customer) == []

    # Name the passkey; it is the only one.
    phone.page.fill("#name-1", "My phone")
    phone.click("text=Save the name")
    phone.said("The name is stored.")
    phone.click("text=Remove this passkey", "yes")
    phone.said("This passkey is your only login: add another one first", 400)

    # A code for another device, in a session that is fresh.
    set_back = SESSIONS.update().values(made_ns=SESSIONS.c.made_ns - FRESH_NS)
    write(open_bank.stores.engine, lambda connection: connection.execute(set_back))
    phone.click("text=Get a code for another device")
    phone.said("This session is too old for a change of your logins: log in again", 403)
    phone.click("text=Log in again with a passkey")
    phone.until_shown("#again", "hidden")
    phone.until_listed("#sessions li", 1)
    phone.click("text=Get a code for another device")
    phone.until_shown("output:visible")
    phone.require_fit("code")
    desktop.open("/login")
    desktop.set_up(phone.page.inner_text("output"))
    desktop.until_shown("article")
    desktop.require_fit("second")
    desktop.click("text=This was me")
    desktop.said("This login does not confirm itself", 400)
    assert desktop.page.locator("#sessions li").count() == 2
    desktop.click("text=End this session >> nth=0")
    desktop.said("The session has ended.")

    # The phone logs in again, adds a passkey and removes its first one.
    phone.open("/login")
    phone.page.click("#login")
    phone.until_shown("article")
    assert "It is in use: HeadlessChrome" in phone.text
    phone.get_authenticator()
    phone.click("text=Add a passkey in this browser")
    phone.until_listed("#passkeys li", 3)
    phone.click("#passkeys li:has-text('My phone') >> text=Remove this passkey", "no")
    phone.click("#passkeys li:has-text('My phone') >> text=Remove this passkey", "yes")
    phone.until_listed("#passkeys li", 2)
    phone.require_fit("passkeys")
    desktop.open("/login")
    desktop.until_shown("article >> nth=1")
    desktop.require_fit("notices")
    desktop.click("text=Log out")
    desktop.until_at("/")
    assert "Everybody can check the supply" in desktop.text
    desktop.open("/login")
    desktop.page.click("#login")
    desktop.until_shown("article >> nth=1")
    desktop.click("text=End all other sessions")
    desktop.said("Other sessions that have ended: 1.")
    phone.open("/login")
    phone.page.click("#login")
    phone.until_shown("article >> nth=1")

    # This was not me: the sessions of both end.
    phone.click("article >> nth=0 >> text=This was not me", "no")
    assert phone.page.locator("article").count() == 2
    phone.click("article >> nth=0 >> text=This was not me")
    phone.require_fit("confirm")
    phone.page.click("dialog [data-choice=yes]")
    phone.until_shown("text=All your logins have ended")
    phone.require_fit("ended")
    (number,) = re.findall(r"Case (\d+) was opened", phone.text)
    case = open_bank.cases.get(int(number))
    assert (case.person, case.kind) == (customer, open_bank.cases.rules.foreign_login)
    for each in (phone, desktop):
        each.open("/login")
        assert each.text.startswith("Log in With a passkey")
    phone.page.click("#login")
    phone.said("This passkey is not known here", 401)

    # The access log names who invited the login.
    accesses = open_bank.access.of_person(customer, by=customer)
    assert accesses[-1].inviter == north
