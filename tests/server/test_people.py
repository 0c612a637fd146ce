"""Duties, personal data and life events over HTTP: read for a case, logged, and held or ended by two."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.bank.world import DAY_NS, START_NS
from tests.server.office import ANN, BOB, KEYS, NORTH, UNTIL_NS, Office, office
from tests.server.world import new_id, signed

from sycee.core import ids
from sycee.core.keys import SigningKey
from sycee.core.records.signed_messages import proof_message

NEW_KEY = SigningKey.derive(bytes([120]) * 32)
NEW_PHONE = SigningKey.derive(bytes([121]) * 32, "p256")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder: Path = tmp_path_factory.mktemp("people")
    with office(folder) as town:
        yield town


@pytest.fixture(scope="module")
def case(made: Office) -> int:
    """An open case about Leo."""
    person = ids.format(made.person("citizen"))
    return int(made.done("caseworker", "cases", kind="complaint", person=person, text="slow")["case"])


def test_a_person_is_appointed_by_two_officers_and_dismissed(made: Office) -> None:
    body = {"duty": "auditor", "key": str(NEW_KEY.public), "until_ns": str(UNTIL_NS)}
    assert made.post("operator", "appointments", **body).status_code == 403
    proposal = made.done("officer", "appointments", **body)["proposal"]
    assert made.sign(proposal, ANN, BOB)["state"] == "done"
    me = made.of_key(NEW_KEY).get("/v1/me").json()
    assert ([each["duty"] for each in me["duties"]], me["keys"]) == (["auditor"], [str(NEW_KEY.public)])
    rows = made.of("auditor").get("/v1/duties").json()["rows"]
    (duty,) = [each["duty_id"] for each in rows if each["person"] == me["person"]]
    assert made.of("operator").get("/v1/duties").status_code == 403
    assert made.post("officer", f"duties/{new_id()}/dismissal").status_code == 404
    ended = made.done("officer", f"duties/{duty}/dismissal")["proposal"]
    assert made.sign(ended, ANN, BOB)["state"] == "done"
    assert made.client(ids.parse(me["person"])).get("/v1/me").json()["duties"] == []


def test_personal_data_is_read_for_a_case_and_the_person_sees_it(made: Office, case: int) -> None:
    leo = ids.format(made.person("citizen"))
    path, asked = f"/v1/persons/{leo}", {"fields": ["name", "phone"], "reason": "complaint", "case": case}
    read = made.of("clerk").get(path, params=asked)
    assert (read.status_code, read.json()["fields"]["phone"]) == (200, "+8613800000001"), read.text
    assert made.of("caseworker").get(path, params=asked).json() == read.json()
    # Another bank's persons get the answer for nobody; without a case nobody reads.
    foreign, nobody = (made.of("other bank").get(f"/v1/persons/{each}", params=asked) for each in (leo, new_id()))
    assert foreign.status_code == nobody.status_code == 404
    assert {**foreign.json(), "request_id": ""} == {**nobody.json(), "request_id": ""}
    assert made.of("clerk").get(path, params={**asked, "case": 999}).status_code == 400
    for role in ("auditor", "officer", "privacy", "merchant", "citizen"):
        assert made.of(role).get(path, params=asked).status_code == 403, role
    search = {"by": "phone", "text": "+86 138 0000 0001", "reason": "complaint", "case": case}
    found = {role: made.of(role).post("/v1/persons/searches", json=search).json() for role in ("clerk", "other bank")}
    assert found == {"clerk": {"persons": [leo]}, "other bank": {"persons": []}}
    rows = made.of("citizen").get("/v1/me/access-log").json()["rows"]
    assert [each["who"] for each in rows[:2]] == [ids.format(made.person(role)) for role in ("clerk", "caseworker")]
    assert rows[0]["fields"] == ["name", "phone"]
    assert made.of("privacy").get(f"{path}/access-log").json()["rows"] == rows
    assert made.of("clerk").get(f"{path}/access-log").status_code == 403
    own = made.of("citizen").get("/v1/me/data", params={"fields": ["name"]}).json()
    assert own["fields"] == {"name": "Leo Marked-Name"}
    assert made.of("officer").get("/v1/me/data", params={"fields": ["name"]}).status_code == 404


def test_two_persons_delay_the_log_and_hold_data(made: Office, case: int) -> None:
    leo = ids.format(made.person("citizen"))
    privacy = KEYS["privacy"]
    delay = made.done("privacy", f"persons/{leo}/log-delays", case=case, until_ns=str(START_NS + 9 * DAY_NS))
    assert made.sign(delay["proposal"], privacy, ANN)["state"] == "done"
    assert all(each["case"] != case for each in made.of("citizen").get("/v1/me/access-log").json()["rows"])
    assert made.of("auditor").get(f"/v1/persons/{leo}/access-log").json()["rows"]
    held = made.done("privacy", f"persons/{leo}/legal-holds", case=case)["proposal"]
    assert made.sign(held, privacy, ANN)["state"] == "done"
    (hold,) = made.of("officer").get(f"/v1/persons/{leo}/legal-holds").json()["rows"]
    assert (hold["case"], hold["until_ns"]) == (case, None)
    refused = made.post("privacy", f"persons/{leo}/shredding", basis="asked")
    assert (refused.status_code, "legal hold" in refused.json()["detail"]) == (400, True)
    release = made.done("officer", f"legal-holds/{hold['hold']}/release")["proposal"]
    assert made.sign(release, ANN, privacy)["state"] == "done"
    assert made.post("officer", f"legal-holds/{hold['hold']}/release").status_code == 404
    assert made.of("privacy").get("/v1/retention/due").json()["persons"] == []
    assert made.post("caseworker", f"persons/{leo}/shredding", basis="x").status_code == 403


def test_a_guardian_reads_the_log_of_a_ward(made: Office) -> None:
    leo, mia = (made.town.holder(each) for each in (made.town.leo, made.town.mia))
    path = f"/v1/me/wards/{ids.format(leo)}/access-log"
    assert made.client(mia).get(path).status_code == 404
    proposal = made.done("caseworker", f"persons/{ids.format(leo)}/guardian", guardian=ids.format(mia))["proposal"]
    assert made.sign(proposal, KEYS["caseworker"], KEYS["compliance"])["state"] == "done"
    assert made.client(mia).get(path).json() == made.of("citizen").get("/v1/me/access-log").json()
    assert made.post("other bank", f"persons/{ids.format(leo)}/guardian", guardian=ids.format(mia)).status_code == 404


def test_a_lost_wallet_gets_a_new_key_by_three_signatures(made: Office, case: int) -> None:
    town, leo = made.town, ids.format(made.person("citizen"))
    place = f"/v1/wallets/{ids.format(town.leo)}"
    proof = NEW_PHONE.sign(proof_message(made.bank.stores.ledger.ledger_id, town.leo, 2, NEW_PHONE.public))
    body = {"id": new_id(), "case": case, "key": str(NEW_PHONE.public), "proof": proof.hex()}
    # A case of another kind proves nothing, and neither does one that the same person opened.
    for number in (case, made.done("operator", "cases", kind="recovery", person=leo)["case"]):
        alone = signed(made.of("operator"), f"{place}/recovery", {**body, "case": number}, NORTH)
        assert (alone.status_code, "two persons" in alone.json()["detail"]) == (400, True)
    body["case"] = made.done("caseworker", "cases", kind="recovery", person=leo)["case"]
    assert made.of("other bank").post(f"{place}/recovery", json=body).status_code == 404
    done = signed(made.of("operator"), f"{place}/recovery", body, NORTH)
    assert done.status_code == 201, done.text
    assert done.json()["accounts"] == [ids.format(town.leo)]
    assert made.bank.stores.ledger.account(town.leo).key == NEW_PHONE.public.key
    (row,) = made.of("citizen").get(f"{place}/restrictions").json()["rows"]
    assert (row["kind"], row["state"]) == ("phone-lost", "active")
    made.bank.set_clock(START_NS + 2 * DAY_NS)
    assert made.of("citizen").get(f"{place}/restrictions").json()["rows"] == []
    ended = signed(made.of("operator"), f"{place}/recovery/end", {"id": new_id()}, NORTH)
    assert (ended.status_code, ended.json()["accounts"]) == (201, [])


def test_wallets_are_blocked_and_released(made: Office, case: int) -> None:
    town = made.town
    place = f"/v1/wallets/{ids.format(town.leo)}"
    operator = made.of("operator")

    def act(path: str, **members: object) -> None:
        answer = signed(operator, path, {"id": new_id(), **members}, NORTH)
        assert answer.status_code == 201, answer.text

    def blocks() -> list[str]:
        return [each["kind"] for each in operator.get(f"{place}/restrictions").json()["rows"]]

    act(f"{place}/dormancy")
    act(f"{place}/court-order", case=case)
    assert blocks() == ["court-order", "dormant"]
    assert made.of("other bank").get(f"{place}/restrictions").status_code == 404
    act(f"{place}/dormancy/end")
    assert made.post("operator", f"wallets/{ids.format(town.leo)}/court-order/end").status_code == 403
    lifted = made.done("officer", f"wallets/{ids.format(town.leo)}/court-order/end", case=case)["proposal"]
    assert made.sign(lifted, ANN, BOB)["state"] == "done"
    assert blocks() == []
    # A shop is blocked, too, without a notice: it has no record of a person.
    shop = f"/v1/wallets/{ids.format(town.shop)}/dormancy"
    act(shop)
    act(f"{shop}/end")
    death = {"id": new_id(), "operator": 2, "case": case, "signer": ids.format(made.person("operator"))}
    person = f"/v1/persons/{ids.format(made.person('citizen'))}/death"
    dead = signed(made.of("caseworker"), person, death, NORTH)
    assert (dead.status_code, dead.json()["accounts"]) == (201, [ids.format(town.leo)]), dead.text
    act(f"{place}/estate", case=case)
    assert "Leo" not in json.dumps(dead.json())
