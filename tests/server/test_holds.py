"""Holds over HTTP: the payer reserves and extends, the payee takes and releases, others see nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tests.server.world import logged_in, new_id, served, signed
from tests.wallets import world
from tests.wallets.world import LEO_KEY, MIA_KEY, NORTH, Town

from sycee.core import ids
from sycee.core.clock import read_ns

NOWHERE = ids.format(int.from_bytes(b"x" * 16, "big"))
HOUR_NS = 3_600 * 10**9


@dataclass(frozen=True)
class Desk:
    town: Town
    leo: httpx.Client
    mia: httpx.Client
    ned: httpx.Client
    north: httpx.Client

    def body(self, payee: int, minor: int, **more: str) -> dict[str, str]:
        until_ns = read_ns(self.town.bank.stores.clock) + HOUR_NS
        return {"id": new_id(), "payee": ids.format(payee), "minor": str(minor), "until_ns": str(until_ns), **more}

    def held(self, payee: int, minor: int, **more: str) -> str:
        done = signed(self.leo, self.path, self.body(payee, minor, **more), LEO_KEY)
        assert done.status_code == 201, done.json()
        return done.json()["hold"]

    @property
    def path(self) -> str:
        return f"/v1/wallets/{ids.format(self.town.leo)}/holds"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder: Path = tmp_path_factory.mktemp("server")
    with world.bank("sqlite", folder) as town, served(town.bank) as address:
        people = (town.holder(town.leo), town.holder(town.mia), town.holder(town.ned), town.north)
        leo, mia, ned, north = (logged_in(town.bank, address, each) for each in people)
        with leo, mia, ned, north:
            yield Desk(town, leo, mia, ned, north)


def shown(answer: httpx.Response) -> dict[str, object]:
    return {name: value for name, value in answer.json().items() if name != "request_id"}


def test_a_hold_is_made_once_and_taken_in_part(desk: Desk) -> None:
    town = desk.town
    body, before = desk.body(town.shop, 1_000, text="deposit", order="H-1"), town.balance(town.shop)
    asked = desk.leo.post(desk.path, json=body)
    assert asked.status_code == 202
    done = signed(desk.leo, desk.path, body, LEO_KEY)
    assert (done.status_code, done.json()) == (201, {"hold": body["id"], "state": "open", "payment": None})
    assert signed(desk.leo, desk.path, body, LEO_KEY).status_code == 200
    assert signed(desk.leo, desk.path, {**body, "minor": "2"}, LEO_KEY).status_code == 409
    found = desk.leo.get(f"/v1/holds/{body['id']}").json()
    assert (found["held_minor"], found["text"], found["order"], found["state"]) == ("1000", "deposit", "H-1", "open")
    taken = {"id": new_id(), "minor": "300"}
    post = signed(desk.north, f"/v1/holds/{body['id']}/post", taken, NORTH)
    assert (post.status_code, post.json()["payment"]) == (201, taken["id"])
    assert signed(desk.north, f"/v1/holds/{body['id']}/post", taken, NORTH).status_code == 200
    assert town.balance(town.shop) == before + 300
    again = signed(desk.north, f"/v1/holds/{body['id']}/post", {"id": new_id()}, NORTH)
    assert (again.status_code, again.json()["code"]) == (422, "HOLD_DONE")
    staff = desk.north.get(f"/v1/holds/{body['id']}").json()
    assert (staff["text"], staff["posted_minor"], staff["held_minor"]) == ("", "300", "0")


def test_a_hold_is_extended_and_released(desk: Desk) -> None:
    hold = desk.held(desk.town.mia, 500)
    later = {"id": new_id(), "until_ns": str(read_ns(desk.town.bank.stores.clock) + 2 * HOUR_NS)}
    extended = signed(desk.leo, f"/v1/holds/{hold}/extension", later, LEO_KEY)
    assert extended.status_code == 201
    assert desk.mia.get(f"/v1/holds/{hold}").json()["until_ns"] == later["until_ns"]
    earlier = signed(desk.leo, f"/v1/holds/{hold}/extension", {"id": new_id(), "until_ns": "1"}, LEO_KEY)
    assert earlier.status_code == 422
    released = {"id": new_id()}
    assert signed(desk.mia, f"/v1/holds/{hold}/void", released, MIA_KEY).status_code == 201
    assert signed(desk.mia, f"/v1/holds/{hold}/void", released, MIA_KEY).status_code == 200
    assert desk.leo.get(f"/v1/holds/{hold}").json()["state"] == "voided"


def test_holds_are_listed_in_pages(desk: Desk) -> None:
    made = {desk.held(desk.town.mia, 10 + at, text=f"part {at}") for at in range(3)}
    path, seen, cursor = f"/v1/wallets/{ids.format(desk.town.mia)}/holds", [], ""
    while cursor is not None:
        page = desk.mia.get(path, params={"limit": 2, "cursor": cursor}).json()
        assert len(page["rows"]) <= 2
        seen += page["rows"]
        cursor = page["next"]
    assert made <= {each["hold"] for each in seen}
    assert len({each["hold"] for each in seen}) == len(seen)
    assert {each["text"] for each in seen if each["hold"] in made} == {"part 0", "part 1", "part 2"}
    assert {each["text"] for each in desk.north.get(path).json()["rows"]} == {""}


@pytest.mark.parametrize(("path", "more"), [("post", {}), ("void", {}), ("extension", {"until_ns": "9"})])
def test_others_neither_see_nor_end_a_hold(desk: Desk, path: str, more: dict[str, str]) -> None:
    hold = desk.held(desk.town.mia, 20)
    body = {"id": new_id(), **more}
    foreign, missing = (desk.ned.post(f"/v1/holds/{each}/{path}", json=body) for each in (hold, NOWHERE))
    assert (foreign.status_code, shown(foreign)) == (404, shown(missing))
    other_side = desk.leo if path != "extension" else desk.mia
    assert shown(other_side.post(f"/v1/holds/{hold}/{path}", json=body)) == shown(missing)
    foreign, missing = (desk.ned.get(f"/v1/holds/{each}") for each in (hold, NOWHERE))
    assert (foreign.status_code, shown(foreign)) == (404, shown(missing))
    assert desk.ned.get(desk.path).status_code == 404


@pytest.mark.parametrize("kind", ["holds", "payments"])
def test_nothing_tells_whether_a_payee_exists(desk: Desk, kind: str) -> None:
    path = f"/v1/wallets/{ids.format(desk.town.leo)}/{kind}"
    answers = []
    for payee in (desk.town.mia, ids.parse(NOWHERE)):
        body = desk.body(payee, 7, text="x")
        if kind == "payments":
            del body["until_ns"]
        answer = desk.leo.post(path, json=body)
        asked = answer.json()["to_sign"]
        lines = [line.replace(body["payee"], "").replace(body["id"], "") for line in asked["lines"]]
        answers.append(
            (answer.status_code, [line.split("note")[0].split("until")[0] for line in lines], asked["signers"])
        )
        if payee == ids.parse(NOWHERE):
            done = signed(desk.leo, path, body, LEO_KEY)
            assert (done.status_code, done.json()["code"]) == (422, "PAYEE_CANNOT_RECEIVE")
    assert answers[0] == answers[1]


def test_bad_bodies_are_refused(desk: Desk) -> None:
    for more in ({"until_ns": "soon"}, {"minor": "0"}, {"text": "x" * 36}, {"till": "T1"}):
        wrong = desk.leo.post(desk.path, json={**desk.body(desk.town.shop, 5), **more})
        assert (wrong.status_code, next(iter(more)) in wrong.json()["detail"]) == (400, True)
