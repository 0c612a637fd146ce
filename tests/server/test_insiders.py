"""Insiders, over HTTP: staff who want to log in as their customer, and what each role reaches alone."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.bank.world import BOB, OTHERS
from tests.server import insiders
from tests.server.auth.authenticator import Authenticator
from tests.server.office import ANN, KEYS, NORTH, Office, office, staffed
from tests.server.samples import KEY, samples_of
from tests.server.world import new_id, signed, signed_message
from tests.wallets import world

from sycee import cli
from sycee.bank.bank import Bank
from sycee.bank.phone_messages import Delivery, OutboxFolder
from sycee.client import Client, Credentials, api
from sycee.client.calls import read
from sycee.client.errors import NotPermitted
from sycee.core import ids
from sycee.core.keys import SigningKey
from sycee.core.records.signed_messages import proof_message
from sycee.database.tables import REQUESTS
from sycee.database.transactions import reading, write
from sycee.server.auth.registers import Registers
from sycee.server.auth.tables import INVITATIONS, SESSIONS
from tools import operations_page

OPTIONS, REGISTRATION = "/auth/passkeys/registration/options", "/auth/passkeys/registration"
ATTACKERS = ("clerk", "operator", "officer")  # each may invite a customer of operator 2
DEVICE = "D" * 22  # the cookie by which the browser of the staff is recognised
SECOND_OF_NORTH = OTHERS[0]
SEED, SAMPLE = 7, 0.25  # of the cells of the table
_numbers = count(1)


@dataclass
class Building:
    """The office, with a folder in which messages to phones arrive."""

    made: Office
    outbox: Path
    phones: dict[int, str] = field(default_factory=dict)

    def customer(self) -> int:
        """A new customer of operator 2, with a wallet whose key is the person's own."""
        number = next(_numbers)
        fields = {"name": f"Cora Marked-{number}", "phone": f"+8613700{number:06}", "paper": f"E-{number}"}
        key = SigningKey.derive(number.to_bytes(2, "big") * 16, "p256")
        account = world.open_with_key(self.made.bank, {**fields, "paper_kind": "passport"}, key)
        person = self.made.town.holder(account)
        self.phones[person] = fields["phone"]
        return person

    def arrived(self, person: int) -> list[dict[str, str]]:
        """What arrived at the phone of a customer, oldest first."""
        Delivery(self.made.bank, OutboxFolder(self.outbox)).notices()
        messages = [json.loads(each.read_text()) for each in sorted(self.outbox.glob("*.json"))]
        return [each for each in messages if each["phone"] == self.phones[person]]

    def second_half(self, person: int) -> str:
        """The newest second half at the phone of a customer."""
        return [each["secret"] for each in self.arrived(person) if "secret" in each][-1]

    def browser(self, address: str, **cookies: str) -> httpx.Client:
        """A browser at an address of loopback."""
        origin = self.made.bank.config.text("http_origin")
        headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin", "User-Agent": "Browser 1"}
        transport = httpx.HTTPTransport(local_address=address)
        made = httpx.Client(base_url=self.made.address, headers=headers, transport=transport, cookies=cookies)
        return self.made.stack.enter_context(made)

    def invited(self, role: str, person: int) -> httpx.Response:
        return self.made.post(role, "invitations", person=ids.format(person))

    def login(self, browser: httpx.Client, code: str) -> httpx.Response:
        """Register a passkey with a code, as far as the server lets it."""
        begun = browser.post(OPTIONS, json={"invitation": code})
        if begun.status_code != 200:
            return begun
        origin = self.made.bank.config.text("http_origin")
        device = Authenticator(origin, httpx.URL(origin).host)
        return browser.post(REGISTRATION, json={"credential": device.create(begun.json()["publicKey"])})

    def with_login(self, role: str = "clerk") -> tuple[int, httpx.Client]:
        """A customer who has a login, by an invitation and the phone, and the browser."""
        person = self.customer()
        first = self.invited(role, person).json()["first_half"]
        browser = self.browser("127.0.0.60")
        assert self.login(browser, f"{first}-{self.second_half(person)}").status_code == 204
        return person, browser

    def notices(self, browser: httpx.Client) -> list[tuple[str, str | None]]:
        """The notices that a customer finds at the next login, oldest first."""
        rows = browser.get("/v1/me/login-notices").json()["rows"]
        return [(each["text"], each["by"]) for each in reversed(rows)]

    def role(self, role: str) -> str:
        return ids.format(self.made.person(role))


@pytest.fixture(scope="module")
def building(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Building]:
    folder: Path = tmp_path_factory.mktemp("insiders")
    with office(folder, message_folder=str(folder / "outbox")) as made:
        yield Building(made, folder / "outbox")


# --- the attack ---


@pytest.mark.parametrize("role", ATTACKERS)
def test_who_invites_a_customer_does_not_become_the_customer(building: Building, role: str) -> None:
    made, person = building.made, building.customer()
    mine = {"person": ids.format(person), "id": new_id()}
    answer = made.of(role).post("/v1/invitations", json=mine)
    assert (answer.status_code, set(answer.json())) == (201, {"invitation", "from", "until", "first_half"})
    first, second = answer.json()["first_half"], building.second_half(person)
    # Neither an answer, nor a repeated one, nor a list, nor the stored request, nor the database has the second half.
    seen = [answer.text, made.of(role).post("/v1/invitations", json=mine).text]
    seen += [made.of(each).get("/v1/invitations").text for each in ("clerk", "operator", "officer")]
    with reading(made.bank.stores.engine) as connection:
        seen += [str(list(connection.execute(table.select()))) for table in (REQUESTS, INVITATIONS)]
    assert all(half not in text for text in seen for half in (second, second.replace("-", "")))
    browser = building.browser("127.0.0.61")
    guesses = [each for each in answer.json().values() if len(each) <= 64]
    for guess in (*guesses, f"{first}-{first}", f"{first}-{second[:-1]}A", first + "A" * 16, second):
        assert building.login(browser, guess).status_code == 401, guess
    assert browser.get("/v1/me/data", params={"fields": ["name"]}).status_code == 401
    own = made.of(role).get("/v1/me/data", params={"fields": ["name"]})
    assert "Cora" not in own.text
    # The customer is told, and alone can put the code together.
    assert [each["text"] for each in building.arrived(person)] == ["LOGIN_CODE"]
    assert building.login(browser, f"{first}-{second}").status_code == 204
    assert building.notices(browser) == [("LOGIN_INVITED", building.role(role)), ("LOGIN_CREATED", None)]
    assert [each["text"] for each in building.arrived(person)] == ["LOGIN_CODE", "LOGIN_CREATED"]
    assert building.login(building.browser("127.0.0.61"), f"{first}-{second}").status_code == 401


def test_another_operator_invites_nobody(building: Building) -> None:
    person = building.customer()
    nobody = building.made.post("other bank", "invitations", person=new_id())
    foreign = building.invited("other bank", person)
    assert foreign.status_code == nobody.status_code == 404
    assert {**foreign.json(), "request_id": ""} == {**nobody.json(), "request_id": ""}
    assert building.arrived(person) == []


def test_a_new_login_reads_masked_texts_and_the_log_names_its_inviter(building: Building) -> None:
    person, browser = building.with_login("operator")
    fields = {"fields": ["name", "phone"]}
    masked = browser.get("/v1/me/data", params=fields).json()["fields"]
    assert "Cora" not in masked["name"]
    assert building.phones[person] not in masked["phone"]
    for path in ("/v1/me/access-log", f"/v1/persons/{ids.format(person)}/access-log"):
        client = browser if "/me/" in path else building.made.of("auditor")
        (entry,) = client.get(path).json()["rows"]
        assert (entry["who"], entry["inviter"]) == (ids.format(person), building.role("operator"))
        assert entry["invitation"] is not None
    shown = browser.get("/v1/me/sessions").json()["rows"]
    assert [each["masked_until"] is not None for each in shown] == [True]
    over = SESSIONS.update().where(SESSIONS.c.person == person).values(masked_until_ns=1)
    write(building.made.bank.stores.engine, lambda connection: connection.execute(over))
    assert browser.get("/v1/me/data", params=fields).json()["fields"]["phone"] == building.phones[person]


def test_a_login_that_begins_where_the_staff_is_is_marked(building: Building) -> None:
    """By address or by the browser's cookie: who took the customer's phone for a minute."""
    cookie = "sycee-device"
    building.made.of("clerk").cookies.set(cookie, DEVICE)
    found, rows = dict[str, str | None](), dict[str, dict[str, Any]]()
    for where, address, cookies in (
        ("address", "127.0.0.1", {}), ("browser", "127.0.0.62", {cookie: DEVICE}), (None, "127.0.0.63", {}),
    ):  # fmt: skip
        person = building.customer()
        first = building.invited("clerk", person).json()["first_half"]
        browser = building.browser(address, **cookies)
        assert building.login(browser, f"{first}-{building.second_half(person)}").status_code == 204
        found[ids.format(person)] = where
        # At once: a later use of the staff's session would mark the login too.
        shown = building.made.of("auditor").get("/v1/logins").json()["rows"]
        rows |= {each["person"]: each for each in shown if each["person"] == ids.format(person)}
    assert building.made.of("clerk").get("/v1/logins").status_code == 403
    assert {each: rows[each]["near_by"] for each in found} == found
    assert {rows[each]["inviter"] for each in found} == {building.role("clerk")}
    near = {rows[each]["near"] for each, where in found.items() if where == "browser"}
    assert near == {building.role("clerk")}


# --- ways around ---


@pytest.mark.parametrize("role", ATTACKERS)
def test_ending_logins_and_inviting_again_opens_nothing(building: Building, role: str) -> None:
    person, browser = building.with_login()
    refused = building.invited(role, person)
    assert (refused.status_code, "has, or had, a login" in refused.json()["detail"]) == (400, True)
    building.made.done(role, f"persons/{ids.format(person)}/logins/end")
    assert browser.get("/v1/me/sessions").status_code == 401
    again = building.invited(role, person)
    assert (again.status_code, again.json()["detail"]) == (400, refused.json()["detail"])


def recovery_of(building: Building, person: int, role: str, **members: Any) -> str:
    made = building.made.done(
        role, f"persons/{ids.format(person)}/logins/recovery", reason="seen at the desk", **members
    )
    assert (made["state"], len(made["needs"])) == ("open", 2)
    return str(made["proposal"])


def test_two_of_the_staff_recover_a_login_and_the_customer_objects(building: Building) -> None:
    """Two who act together get no second half and no code that works before the customer could object."""
    made = building.made
    person, browser = building.with_login()
    proposal = recovery_of(building, person, "clerk")
    # The customer is told at the proposal already, by the phone and in the session.
    told = ("LOGIN_RECOVERY", building.role("clerk"))
    assert building.arrived(person)[-1]["text"] == told[0]
    assert told in building.notices(browser)
    assert building.invited("clerk", person).status_code == 400  # one person alone
    assert made.sign(proposal, KEYS["clerk"])["state"] == "open"
    assert building.invited("operator", person).status_code == 400
    assert made.sign(proposal, NORTH)["state"] == "done"
    answer = building.invited("operator", person)
    assert answer.status_code == 201
    first, second = answer.json()["first_half"], building.second_half(person)
    listed = {each["invitation"]: each for each in made.of("clerk").get("/v1/invitations").json()["rows"]}
    assert listed[answer.json()["invitation"]]["state"] == "waiting"
    assert second not in answer.text
    stranger = building.browser("127.0.0.64")
    assert building.login(stranger, f"{first}-{second}").status_code == 401  # the waiting time
    assert browser.get("/v1/me/sessions").status_code == 200
    notice = next(
        each for each in browser.get("/v1/me/login-notices").json()["rows"] if each["text"] == "LOGIN_RECOVERY"
    )
    path = f"/v1/me/login-notices/{notice['notice']}/answer"
    objection = browser.post(path, json={"id": new_id(), "was_me": False})
    assert objection.status_code == 201
    case = made.of("caseworker").get(f"/v1/cases/{objection.json()['case']}").json()
    assert (case["kind"], case["person"]) == ("foreign-login", ids.format(person))
    ended = INVITATIONS.update().where(INVITATIONS.c.person == person).values(from_ns=1)  # the waiting time is over
    write(made.bank.stores.engine, lambda connection: connection.execute(ended))
    assert building.login(stranger, f"{first}-{second}").status_code == 401
    assert building.invited("operator", person).status_code == 400


def test_a_recovery_that_nobody_objects_to_opens_after_its_waiting_time(building: Building) -> None:
    made = building.made
    person, earlier = building.with_login()
    made.sign(recovery_of(building, person, "operator"), NORTH, SECOND_OF_NORTH)
    first = building.invited("clerk", person).json()["first_half"]
    code = f"{first}-{building.second_half(person)}"
    browser = building.browser("127.0.0.65")
    assert building.login(browser, code).status_code == 401
    over = INVITATIONS.update().where(INVITATIONS.c.person == person).values(from_ns=1)
    write(made.bank.stores.engine, lambda connection: connection.execute(over))
    assert building.login(browser, code).status_code == 204
    assert earlier.get("/v1/me/sessions").status_code == 401  # the earlier logins end
    assert building.invited("clerk", person).status_code == 400  # a recovery is used once
    assert [text for text, _ in building.notices(browser)][-2:] == ["LOGIN_INVITED", "LOGIN_CREATED"]


@pytest.mark.parametrize("role", ["clerk", "operator", "officer"])
def test_who_proposes_a_recovery_does_not_approve_it(building: Building, role: str) -> None:
    person, _ = building.with_login()
    proposal = recovery_of(building, person, role)
    key = {"clerk": KEYS["clerk"], "operator": NORTH, "officer": ANN}[role]
    assert building.made.sign(proposal, key)["state"] == "open"
    assert building.invited(role, person).status_code == 400
    foreign = building.made.post("other bank", f"persons/{ids.format(person)}/logins/recovery", reason="x")
    assert foreign.status_code == 404


def test_a_letter_waits_like_any_recovery(building: Building) -> None:
    """Two who act together would otherwise print the second half of a first login, and read at once."""
    person = building.customer()
    made = building.made
    assert made.sign(recovery_of(building, person, "clerk", letter=True), KEYS["clerk"], NORTH)["state"] == "done"
    assert building.arrived(person)[-1]["text"] == "LOGIN_RECOVERY"
    issued = Registers(made.bank).invitations.issue(person, by=made.person("operator"), letter=True)
    assert issued.second
    assert issued.invitation.state == "waiting"
    assert building.login(building.browser("127.0.0.66"), issued.code).status_code == 401


def test_no_program_is_registered_for_a_customer(building: Building) -> None:
    """Nor does one for a merchant's person read the person's data or logins."""
    person = ids.format(building.customer())
    key = SigningKey.derive(bytes([140]) * 32)
    body = {"name": "mine", "public_key": str(key.public), "id": new_id()}
    for role in ("clerk", "operator", "other bank"):
        assert building.made.of(role).post("/v1/clients", json={**body, "person": person}).status_code == 403
    refused = signed_message(building.made.of("officer"), "/v1/clients", {**body, "person": person}, ANN)
    assert (refused.status_code, "does not have a duty" in refused.json()["detail"]) == (400, True)


def test_a_program_of_a_merchants_person_does_not_act_on_logins(building: Building) -> None:
    """An officer alone registers it: it reads neither the person's data nor logins, and the person is told."""
    made, key = building.made, SigningKey.derive(bytes([142]) * 32)
    person = made.person("merchant")
    body = {"id": new_id(), "name": "till", "public_key": str(key.public), "person": ids.format(person), "operator": 2}
    done = signed_message(made.of("officer"), "/v1/clients", body, ANN)
    assert done.status_code == 201, done.text
    assert ("PROGRAM_REGISTERED", building.role("officer")) in building.notices(made.of("merchant"))
    origin = made.bank.config.text("http_origin")
    with Client(made.address, Credentials(done.json()["client"], key), origin=origin) as program:
        assert program.do(api.me()).person == ids.format(person)
        for path in ("sessions", "passkeys", "login-notices", "data?fields=name"):
            with pytest.raises(NotPermitted, match="programs do not act on the logins"):
                program.do(read(f"/v1/me/{path}", lambda found: found))


def test_a_new_key_of_the_wallet_is_no_login_and_the_holder_is_told(building: Building) -> None:
    made = building.made
    person, browser = building.with_login()
    (wallet,) = (each.account for each in made.bank.directory.of_holder(person))
    place = f"/v1/wallets/{ids.format(wallet)}"
    proof = KEY.sign(proof_message(made.bank.stores.ledger.ledger_id, wallet, 2, KEY.public)).hex()
    body: dict[str, Any] = {"key": str(KEY.public), "proof": proof}
    own = made.done("operator", "cases", kind="recovery", person=ids.format(person))["case"]
    for path, more in (("keys", {}), ("keys", {"consent": proof}), ("recovery", {"case": own})):
        alone = signed(made.of("operator"), f"{place}/{path}", {**body, **more, "id": new_id()}, NORTH)
        assert alone.status_code == 400, path
    case = made.done("clerk", "cases", kind="recovery", person=ids.format(person))["case"]
    done = signed(made.of("operator"), f"{place}/recovery", {**body, "case": case, "id": new_id()}, NORTH)
    assert done.status_code == 201, done.text
    assert building.arrived(person)[-1]["text"] == "KEY_REPLACED"
    assert building.notices(browser)[-1] == ("KEY_REPLACED", building.role("operator"))
    assert building.invited("operator", person).status_code == 400
    later = signed(made.of("operator"), f"{place}/keys", {**body, "id": new_id()}, NORTH)
    assert later.status_code == 400


def test_the_command_line_gives_no_second_half(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sycee invite issue` without a delivery, and with a letter that two persons did not approve."""
    for name, setting in staffed().copy(tmp_path).items():
        monkeypatch.setenv(f"SYCEE_{name.upper()}", setting)
    NORTH.save(tmp_path / "north.pem")
    with Bank.open(tmp_path / "bank") as bank:
        leo = ids.format(world.town(bank).holder(world.town(bank).leo))
    for options, why in ((), "no delivery of messages is set"), (("--letter", "letter.txt"), "no letter to"):
        words = ["invite", "issue", str(tmp_path / "bank"), leo, "--key", str(tmp_path / "north.pem")]
        monkeypatch.chdir(tmp_path)
        assert cli.main([*words, *options]) == 2
        said = capsys.readouterr()
        assert (said.out, why in said.err) == ("", True), said.err
    assert not (tmp_path / "letter.txt").exists()


# --- a customer's own logins ---


def test_a_session_that_is_left_alone_changes_no_login(building: Building) -> None:
    person, browser = building.with_login()
    (passkey,) = browser.get("/v1/me/passkeys").json()["rows"]
    code = browser.post("/v1/me/login-codes", json={"id": new_id()})
    assert (code.status_code, "code" in code.json()) == (201, True)
    only = browser.post(f"/v1/me/passkeys/{passkey['passkey']}/removal", json={"id": new_id()})
    assert (only.status_code, "your only login" in only.json()["detail"]) == (400, True)
    earlier = SESSIONS.c.made_ns - 11 * 60 * 10**9
    old = SESSIONS.update().where(SESSIONS.c.person == person).values(made_ns=earlier)
    write(building.made.bank.stores.engine, lambda connection: connection.execute(old))
    for path in ("login-codes", f"passkeys/{passkey['passkey']}/removal"):
        refused = browser.post(f"/v1/me/{path}", json={"id": new_id()})
        assert (refused.status_code, "too old" in refused.json()["detail"]) == (403, True)
    assert browser.post(OPTIONS, json={"invitation": ""}).status_code == 403


def test_a_login_ends_the_session_that_it_replaces_in_the_browser(building: Building) -> None:
    person = building.customer()
    first = building.invited("clerk", person).json()["first_half"]
    origin, browser = building.made.bank.config.text("http_origin"), building.browser("127.0.0.68")
    device = Authenticator(origin, httpx.URL(origin).host)
    begun = browser.post(OPTIONS, json={"invitation": f"{first}-{building.second_half(person)}"}).json()["publicKey"]
    assert browser.post(REGISTRATION, json={"credential": device.create(begun)}).status_code == 204
    earlier = browser.cookies["sycee"]
    device.count += 1
    begun = browser.post("/auth/passkeys/login/options").json()["publicKey"]
    assert browser.post("/auth/passkeys/login", json={"credential": device.get(begun)}).status_code == 204
    assert len(browser.get("/v1/me/sessions").json()["rows"]) == 1
    assert building.browser("127.0.0.68", sycee=earlier).get("/v1/me/sessions").status_code == 401


def test_a_login_does_not_confirm_itself(building: Building) -> None:
    """Whoever adds a login on a phone that was left alone cannot hide it."""
    _, browser = building.with_login()
    code = browser.post("/v1/me/login-codes", json={"id": new_id()}).json()["code"]
    added = building.browser("127.0.0.67")
    assert building.login(added, code).status_code == 204
    (notice,) = (each for each in added.get("/v1/me/login-notices").json()["rows"] if each["is_about_this"])
    path = f"/v1/me/login-notices/{notice['notice']}/answer"
    refused = added.post(path, json={"id": new_id(), "was_me": True})
    assert (refused.status_code, "does not confirm itself" in refused.json()["detail"]) == (400, True)
    assert browser.post(path, json={"id": new_id(), "was_me": True}).status_code == 201


# --- each role, each operation ---


@pytest.mark.parametrize("table", ["leo", "bob"])
@pytest.mark.parametrize("is_sample", [True, pytest.param(False, marks=pytest.mark.soak)], ids=["sample", "all"])
def test_each_role_reaches_what_the_table_states(building: Building, table: str, is_sample: bool) -> None:
    made, drawn = building.made, random.Random(SEED)
    samples = samples_of(made)
    building.phones[made.person("citizen")] = world.LEO["phone"].replace(" ", "")
    if table == "bob":
        samples.values |= dict.fromkeys(
            ("person", "holder", "owner"), ids.format(made.bank.people.person_of_key(BOB.public))
        )
    more = insiders.members(made, samples)
    operations = {name: (method, path) for _, name, method, path, _ in operations_page.operations()}
    wrong, untold = [], []
    for name, role, expected in insiders.rows(insiders.ABOUT_LEO if table == "leo" else insiders.ABOUT_BOB):
        if is_sample and name not in insiders.TOLD and drawn.random() > SAMPLE:
            continue
        method, template = operations[insiders.operation_of(name)]
        body, query = samples.body(method, template), samples.query(method, template)
        if body is None:
            query |= more.get(name, {})
        else:
            body |= more.get(name, {}) | {"id": new_id()}
        told = len(building.arrived(made.person("citizen"))) if name in insiders.TOLD else 0
        answer = made.of(role).request(method, samples.path(template), params=query, json=body)
        is_json = answer.headers["content-type"].endswith("json")
        found = insiders.cell_of(answer.status_code, answer.json() if is_json else None)
        if found != expected:
            wrong.append(f"{role}: {name} is {found}, and the table states {expected}: {answer.text[:200]}")
        if table == "leo" and name in insiders.TOLD and found in ("does", insiders.TWO):
            untold += [name] if len(building.arrived(made.person("citizen"))) == told else []
    assert wrong == [], "\n".join(wrong)
    assert untold == []


def test_every_operation_about_a_person_or_a_wallet_is_in_the_table(building: Building) -> None:
    document = building.made.nobody.get("/openapi.json", timeout=60).json()
    naming = {
        name for _, name, method, path, _ in operations_page.operations() if insiders.named(document, method, path)
    }
    in_table = {insiders.operation_of(name) for name, _, _ in insiders.rows(insiders.ABOUT_LEO)}
    assert naming - in_table == insiders.NOT_IN_THE_TABLE.keys()
    assert in_table <= naming
