"""Aliases over HTTP: found by POST, limited for a person and an address, and changed by the wallet's owner alone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx
import pytest
from sqlalchemy import select
from tests.server.world import logged_in, new_id, served, signed_message
from tests.wallets import world
from tests.wallets.codes import taken
from tests.wallets.world import LEO, LEO_KEY, MIA, MIA_KEY, NED, Town

from sycee.bank import phone_messages
from sycee.bank.bank import Bank
from sycee.core import ids, retries
from sycee.database.transactions import reading, write
from sycee.server.auth.settings import AuthSettings, RateLimit
from sycee.wallets.aliases import CODES_TO_PHONE_MAX, LOOKUPS_MAX, Code
from sycee.wallets.tables import CHALLENGES, LOOKUPS

NOWHERE = ids.format(int.from_bytes(b"x" * 16, "big"))
FIND = "/v1/aliases/resolution"


@dataclass(frozen=True)
class Book:
    town: Town
    address: str
    leo: httpx.Client
    mia: httpx.Client
    ned: httpx.Client
    north: httpx.Client
    nobody: httpx.Client

    def path(self, account: int, rest: str = "") -> str:
        return f"/v1/wallets/{ids.format(account)}/aliases{rest}"

    def forget_lookups(self) -> None:
        write(self.town.bank.stores.engine, lambda connection: connection.execute(LOOKUPS.delete()))


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Book]:
    folder: Path = tmp_path_factory.mktemp("server")
    with world.bank("sqlite", folder) as town, served(town.bank) as address, httpx.Client(base_url=address) as nobody:
        people = (*map(town.holder, (town.leo, town.mia, town.ned)), town.north)
        leo, mia, ned, north = (logged_in(town.bank, address, each) for each in people)
        with leo, mia, ned, north:
            yield Book(town, address, leo, mia, ned, north, nobody)


def shown(answer: httpx.Response) -> dict[str, object]:
    return {name: value for name, value in answer.json().items() if name != "request_id"}


def test_an_alias_is_found_by_post_and_not_repeated(book: Book) -> None:
    found = book.leo.post(FIND, json={"alias": MIA["phone"]})
    assert (found.status_code, found.json()) == (200, {"wallet": ids.format(book.town.mia), "name": "M** W*"})
    unknown = [book.leo.post(FIND, json={"alias": each}) for each in ("+86 138 9999 9999", "@nobody")]
    assert {each.status_code for each in unknown} == {404}
    assert shown(unknown[0]) == shown(unknown[1])
    assert "9999" not in unknown[0].text
    assert book.nobody.post(FIND, json={"alias": MIA["phone"]}).status_code == 401
    assert book.leo.get(FIND).status_code == 405
    for wrong in ("@x y", "no phone", "+", "", "@" + "a" * 50):
        bad = book.leo.post(FIND, json={"alias": wrong})
        assert bad.status_code == 400
        assert not wrong or wrong not in bad.text


def test_a_handle_is_registered_kept_unique_and_ended(book: Book) -> None:
    body = {"id": new_id(), "alias": "@leo.tea"}
    forged = signed_message(book.leo, book.path(book.town.leo), body, MIA_KEY)
    assert forged.status_code == 400
    done = signed_message(book.leo, book.path(book.town.leo), body, LEO_KEY)
    assert (done.status_code, done.json()) == (201, {"wallet": ids.format(book.town.leo)})
    assert signed_message(book.leo, book.path(book.town.leo), body, LEO_KEY).status_code == 200
    assert signed_message(book.leo, book.path(book.town.leo), {**body, "alias": "@other"}, LEO_KEY).status_code == 409
    assert book.mia.post(FIND, json={"alias": "@LEO.tea"}).json()["wallet"] == ids.format(book.town.leo)
    taken = signed_message(book.mia, book.path(book.town.mia), {"id": new_id(), "alias": "@leo.tea"}, MIA_KEY)
    assert (taken.status_code, "another wallet" in taken.json()["detail"]) == (400, True)
    ended = signed_message(book.leo, book.path(book.town.leo, "/end"), {**body, "id": new_id()}, LEO_KEY)
    assert ended.status_code == 201
    assert book.mia.post(FIND, json={"alias": "@leo.tea"}).status_code == 404


def test_staff_register_for_a_custodial_wallet(book: Book) -> None:
    path = book.path(book.town.shop)
    assert book.north.post(path, json={"id": new_id(), "alias": "@tea.house"}).status_code == 201
    found = book.leo.post(FIND, json={"alias": "@tea.house"}).json()
    assert found == {"wallet": ids.format(book.town.shop), "name": world.TEA}


@pytest.mark.parametrize("rest", ["", "/end", "/keep", "/challenges"])
def test_nobody_changes_the_aliases_of_others(book: Book, rest: str) -> None:
    body = {"id": new_id(), "alias": "@leo.x"}
    foreign = book.mia.post(book.path(book.town.leo, rest), json=body)
    missing = book.mia.post(f"/v1/wallets/{NOWHERE}/aliases{rest}", json=body)
    assert (foreign.status_code, shown(foreign)) == (404, shown(missing))


def sent(book: Book) -> list[Code]:
    return taken(book.town.bank.aliases)


def test_a_phone_is_confirmed_by_its_code(book: Book) -> None:
    body = {"id": new_id(), "alias": "+86 138 0000 0055"}
    asked = signed_message(book.leo, book.path(book.town.leo, "/challenges"), body, LEO_KEY)
    assert asked.status_code == 201
    assert signed_message(book.leo, book.path(book.town.leo, "/challenges"), body, LEO_KEY).status_code == 200
    (code,) = sent(book)
    assert (ids.format(code.challenge), code.code in asked.text) == (asked.json()["challenge"], False)
    path = f"/v1/challenges/{asked.json()['challenge']}/confirmation"
    foreign = book.mia.post(path, json={"id": new_id(), "code": code.code})
    missing = book.mia.post(f"/v1/challenges/{NOWHERE}/confirmation", json={"id": new_id(), "code": code.code})
    assert (foreign.status_code, shown(foreign)) == (404, shown(missing))
    other = f"{(int(code.code) + 1) % 10**6:06}"
    wrong = book.leo.post(path, json={"id": new_id(), "code": other})
    assert (wrong.status_code, "wrong" in wrong.json()["detail"]) == (400, True)
    entered = {"id": new_id(), "code": code.code}
    assert book.leo.post(path, json=entered).json() == {"active": True}
    assert book.leo.post(path, json=entered).status_code == 200
    assert book.mia.post(FIND, json={"alias": body["alias"]}).json()["wallet"] == ids.format(book.town.leo)


def test_the_owner_keeps_a_phone_that_would_move(book: Book) -> None:
    body = {"id": new_id(), "alias": MIA["phone"]}
    asked = signed_message(book.leo, book.path(book.town.leo, "/challenges"), body, LEO_KEY)
    (code,) = sent(book)
    path = f"/v1/challenges/{asked.json()['challenge']}/confirmation"
    assert book.leo.post(path, json={"id": new_id(), "code": code.code}).json() == {"active": False}
    keep = {"id": new_id(), "alias": MIA["phone"]}
    assert signed_message(book.mia, book.path(book.town.mia, "/keep"), keep, MIA_KEY).status_code == 201
    assert signed_message(book.mia, book.path(book.town.mia, "/keep"), keep, MIA_KEY).status_code == 200


def test_old_ids_do_not_evade_the_limit_of_codes(book: Book) -> None:
    """The client chooses the time in an id; the limit counts by the server's time."""
    phone, path = "+86 138 0000 0056", book.path(book.town.leo, "/challenges")
    for at in range(CODES_TO_PHONE_MAX + 1):
        body = {"id": ids.format(ids.new(1_000 + at)), "alias": phone}
        answer = signed_message(book.leo, path, body, LEO_KEY)
        assert answer.status_code == (201 if at < CODES_TO_PHONE_MAX else 400), answer.json()
    with reading(book.town.bank.stores.engine) as connection:
        assert min(each >> 80 for each in connection.scalars(select(CHALLENGES.c.id))) > 1_700_000_000_000


def test_lookups_of_a_person_are_limited_also_by_registering(book: Book) -> None:
    book.forget_lookups()
    row = {"who": book.town.holder(book.town.ned), "count": LOOKUPS_MAX - 1}
    assert book.ned.post(FIND, json={"alias": "@none"}).status_code == 404
    write(
        book.town.bank.stores.engine,
        lambda connection: connection.execute(
            LOOKUPS.update().where(LOOKUPS.c.who == row["who"]).values(count=row["count"])
        ),
    )
    assert book.ned.post(FIND, json={"alias": LEO["phone"]}).status_code == 200
    for alias in (LEO["phone"], "+86 138 9999 9999"):
        full = book.ned.post(FIND, json={"alias": alias})
        assert (full.status_code, full.json()["type"]) == (429, "/problems/too-many-requests")
        assert full.headers["retry-after"] == "3600"
    holder = book.town.holder(book.town.leo)
    assert book.leo.post(FIND, json={"alias": "@none"}).status_code == 404
    chosen = LOOKUPS.c.who == holder
    write(
        book.town.bank.stores.engine,
        lambda connection: connection.execute(LOOKUPS.update().where(chosen).values(count=LOOKUPS_MAX)),
    )
    tried = signed_message(book.leo, book.path(book.town.leo), {"id": new_id(), "alias": "@tea.house"}, LEO_KEY)
    assert tried.status_code == 429
    book.forget_lookups()


@pytest.mark.soak
def test_the_time_of_a_lookup_tells_nothing(book: Book) -> None:
    """The median times of known and unknown phones differ by less than their spread."""
    times: dict[str, list[float]] = {"known": [], "unknown": []}
    book.forget_lookups()
    for at in range(40):
        for name, phone in (("known", NED["phone"]), ("unknown", f"+86 138 7777 {at:04}")):
            start = time.perf_counter()
            book.mia.post(FIND, json={"alias": phone})
            times[name].append(time.perf_counter() - start)
    spread = sorted(times["known"])[-8] - sorted(times["known"])[8]
    assert abs(median(times["known"]) - median(times["unknown"])) < max(spread, 0.002)
    book.forget_lookups()


def test_lookups_of_an_address_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AuthSettings, "of", classmethod(_few_lookups(AuthSettings.of)))
    with world.bank("sqlite", tmp_path) as town, served(town.bank) as address:
        people = (town.holder(town.leo), town.holder(town.mia))
        with logged_in(town.bank, address, people[0]) as leo, logged_in(town.bank, address, people[1]) as mia:
            answers = [each.post(FIND, json={"alias": "@nobody"}) for each in (leo, mia, leo, mia)]
    assert [each.status_code for each in answers] == [404, 404, 404, 429]


def _few_lookups(of):
    from dataclasses import replace

    def made(cls, config) -> AuthSettings:
        return replace(of(config), lookups_per_address=RateLimit(3, 3_600))

    return made


def test_a_running_server_passes_codes_to_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phone_messages, "EVERY_S", 0.05)
    monkeypatch.setattr(retries, "RETRY_S", (0.05,) * 99)
    folder, program = tmp_path / "town", tmp_path / "send.sh"
    program.write_text(f"#!/bin/sh\ntest -e {tmp_path}/up || exit 1\ncat >> {tmp_path}/sent.json\n")
    program.chmod(0o700)
    options = {**world.settled("").copy(folder), "message_program": str(program)}
    with Bank.open(folder / "bank", options=options) as bank:
        town = world.town(bank)
        with served(bank) as address, logged_in(bank, address, town.holder(town.leo)) as leo:
            path, body = f"/v1/wallets/{ids.format(town.leo)}/aliases/challenges", {"alias": "+86 138 0000 0057"}
            asked = signed_message(leo, path, {"id": new_id(), **body}, LEO_KEY).json()["challenge"]
            time.sleep(0.3)  # the program fails until the file exists; the code waits
            (tmp_path / "up").touch()
            sent = tmp_path / "sent.json"
            until_s = time.monotonic() + 120
            while not (sent.exists() and sent.read_text().endswith("\n")) and time.monotonic() < until_s:
                time.sleep(0.05)
            message = json.loads(sent.read_text())
            assert (message["challenge"], message["phone"]) == (asked, "+8613800000057")
            entered = leo.post(f"/v1/challenges/{asked}/confirmation", json={"id": new_id(), "code": message["code"]})
            assert entered.json() == {"active": True}


def test_ids_of_beneficiaries_are_for_staff_alone(book: Book) -> None:
    town, text = book.town, "id:CASE-0017"
    body = {"id": new_id(), "alias": text}
    assert book.leo.post(book.path(town.leo), json=body).status_code == 404
    made = book.north.post(book.path(town.leo), json={**body, "id": new_id()})  # a wallet with a key of its own
    assert (made.status_code, made.json()) == (201, {"wallet": ids.format(town.leo)})
    found = book.north.post(FIND, json={"alias": "ID:case-0017"})
    assert (found.status_code, found.json()["wallet"]) == (200, ids.format(town.leo))
    refused = book.mia.post(FIND, json={"alias": text})
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/not-permitted")
    taken = book.north.post(book.path(town.mia), json={"id": new_id(), "alias": text})
    assert (taken.status_code, "another wallet" in taken.json()["detail"]) == (400, True)
    for wrong in ("id:", "id:x y z", "id:" + "a" * 37):
        bad = book.north.post(FIND, json={"alias": wrong})
        assert (bad.status_code, wrong[3:] in bad.text) == (400, wrong == "id:")
    ended = book.north.post(book.path(town.leo, "/end"), json={"id": new_id(), "alias": text})
    assert ended.status_code == 201
    assert book.north.post(FIND, json={"alias": text}).status_code == 404
    book.forget_lookups()
