"""Institutions, cases and the day over HTTP: each role does its part, and nobody does another's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.bank.world import DAY_NS, HOUR_NS, OTHERS, START_NS
from tests.server.office import ANN, BOB, KEYS, LEO_KEY, NORTH, Office, office
from tests.server.world import new_id, signed

from sycee.core import ids
from sycee.core.keys import SigningKey
from sycee.core.records.day_packs import check_signatures, message
from sycee.day.pack import Pack


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder: Path = tmp_path_factory.mktemp("office")
    with office(folder) as town:
        yield town


def sign_message(client: httpx.Client, path: str, body: dict[str, object], key: SigningKey) -> httpx.Response:
    """Send an action whose message is signed: first without, then with the signature."""
    asked = client.post(path, json=body)
    assert asked.status_code == 202, asked.text
    shown = asked.json()["message_to_sign"]
    assert shown["key"] == str(key.public)
    return client.post(path, json={**body, "signature": key.sign(bytes.fromhex(shown["message"])).hex()})


def test_a_merchant_is_entered_and_its_checks_are_decided_by_two(made: Office) -> None:
    owner = ids.format(ids.new(START_NS // 1_000_000))
    body = {"id": new_id(), "kind": "merchant", "name": "Book shop", "operator": 2, "settlement": "CN12 3456"}
    body["owners"] = [{"person": owner, "share_ppm": 1_000_000}]
    entered = made.of("clerk").post("/v1/institutions", json=body)
    assert (entered.status_code, entered.json()) == (201, {"institution": body["id"]})
    assert made.of("clerk").post("/v1/institutions", json=body).status_code == 200
    place = f"institutions/{body['id']}"
    for check in ("papers", "owners", "settlement"):
        proposal = made.done("operator", f"merchants/{body['id']}/checks", check=check, outcome="passed")
        assert proposal["needs"]
        assert made.sign(proposal["proposal"], NORTH, OTHERS[0])["state"] == "done"
    shown = made.of("clerk").get(f"/v1/{place}").json()
    assert (shown["state"], shown["settlement"]) == ("approved", "verified")
    assert "3456" not in json.dumps(shown)
    assert made.of("auditor").get(f"/v1/{place}/owners").json()["rows"] == body["owners"]
    # Another account must be verified anew; another bank and a customer see and state nothing.
    assert made.post("other bank", f"{place}/settlement", settlement="CN99").status_code == 404
    assert made.post("citizen", f"{place}/settlement", settlement="CN99").status_code == 403
    assert made.post("clerk", f"{place}/settlement", settlement="?").status_code == 400
    assert made.post("clerk", f"{place}/settlement", settlement="CN99").status_code == 201
    assert made.of("operator").get(f"/v1/{place}").json()["settlement"] == "stated"
    for role in ("other bank", "citizen", "privacy"):
        for path in (place, f"{place}/owners"):
            assert made.of(role).get(f"/v1/{path}").status_code == 404
    wrong = made.post("other bank", "institutions", kind="merchant", name="Theirs", operator=2)
    assert (wrong.status_code, wrong.json()["type"]) == (403, "/problems/not-permitted")


def test_institutions_are_listed_in_pages(made: Office) -> None:
    whole = made.of("citizen").get("/v1/institutions?limit=1000").json()["rows"]
    page = made.of("citizen").get("/v1/institutions?limit=1").json()
    rest = made.of("citizen").get("/v1/institutions", params={"cursor": page["next"]}).json()
    assert page["rows"] + rest["rows"] == whole
    assert rest["next"] is None
    assert {each["kind"] for each in made.of("citizen").get("/v1/institutions?kind=operator").json()["rows"]} == {
        "operator"
    }


def pay(made: Office, minor: int) -> str:
    """Let Leo pay the tea house; return the payment's id."""
    town = made.town
    body = {"id": new_id(), "payee": ids.format(town.shop), "minor": str(minor), "text": "tea"}
    paid = signed(made.of("citizen"), f"/v1/wallets/{ids.format(town.leo)}/payments", body, LEO_KEY)
    assert paid.status_code == 201, paid.text
    return str(body["id"])


def test_a_case_holds_money_and_returns_it(made: Office) -> None:
    town, payment = made.town, pay(made, 100_00)
    opened = made.done("citizen", "cases", kind="unauthorised", payment=payment, text="it was not me")
    case = opened["case"]
    path = f"/v1/cases/{case}"
    shown = made.of("citizen").get(path).json()
    assert shown["steps"] == ["hold", "investigate", "uphold", "dismiss"]
    assert made.post("citizen", f"cases/{case}/steps", step="investigate").status_code == 403
    # The caseworker takes the step, and the payee's operator signs the hold.
    body = {"id": new_id(), "step": "hold", "signer": ids.format(made.person("operator"))}
    before = town.balance(town.leo)
    held = signed(made.of("caseworker"), f"{path}/steps", body, NORTH)
    assert (held.status_code, held.json()["state"]) == (201, "investigating"), held.text
    assert signed(made.of("caseworker"), f"{path}/steps", body, NORTH).json() == held.json()
    assert made.of("operator").get(path).json()["held"] == "10000"
    returned = signed(made.of("operator"), f"{path}/steps", {"id": new_id(), "step": "uphold"}, NORTH)
    assert (returned.status_code, returned.json()["state"]) == (201, "upheld"), returned.text
    assert town.balance(town.leo) == before + 100_00
    # An access needs a case that is open.
    assert made.of("caseworker").get(f"{path}/texts").status_code == 400
    assert [each["what"] for each in made.of("auditor").get(path).json()["events"]][-1] == "uphold done"
    for role in ("other bank", "merchant", "privacy"):
        assert made.of(role).get(path).status_code == 404, role
        assert made.of(role).get("/v1/cases?all=true").json()["rows"] == []


def test_a_return_without_a_hold_is_a_proposal_and_leaves_a_claim(made: Office) -> None:
    town, payment = made.town, pay(made, 50_00)
    made.bank.payments.pay(town.shop, town.mia, town.balance(town.shop) - 20_00, signers=town.operator, who=town.north)
    case = made.done("caseworker", "cases", kind="unauthorised", payment=payment, text="it was not me")["case"]
    texts = made.of("clerk").get(f"/v1/cases/{case}/texts").json()["rows"]
    assert [each["text"] for each in texts] == ["it was not me"]
    assert made.of("other bank").get(f"/v1/cases/{case}/texts").status_code == 404
    step = made.repeated("caseworker", f"cases/{case}/steps", step="uphold")
    assert step["needs"] == ["two officers of the board"]
    assert made.sign(step["proposal"], ANN, BOB)["state"] == "done"
    (claim,) = made.of("officer").get("/v1/claims").json()["rows"]
    assert (claim["minor"], claim["left"], claim["case"]) == ("3000", "3000", case)
    assert made.of("citizen").get("/v1/claims").json()["rows"] == [claim]
    assert made.of("merchant").get("/v1/claims").json()["rows"] == []
    poor = made.post("caseworker", f"claims/{claim['claim']}/collection")
    assert (poor.status_code, "no money" in poor.json()["detail"]) == (400, True)
    assert made.post("operator", f"claims/{claim['claim']}/write-off").status_code == 403
    assert made.post("officer", f"claims/{new_id()}/write-off").status_code == 404
    town.fund(town.shop, 1_00, "N-7")
    proposal = made.repeated("caseworker", f"claims/{claim['claim']}/collection")["proposal"]
    second = made.post("caseworker", f"claims/{claim['claim']}/collection")
    assert (second.status_code, "already" in second.json()["detail"]) == (400, True)
    made.done("officer", f"proposals/{proposal}/withdrawal")
    made.repeated("officer", f"claims/{claim['claim']}/write-off")
    assert made.of("officer").get("/v1/claims").json()["rows"] == []


def test_nobody_opens_a_case_about_the_payment_of_others(made: Office) -> None:
    payment = pay(made, 1_00)
    foreign = made.post("other bank", "cases", kind="unauthorised", payment=payment)
    missing = made.post("other bank", "cases", kind="unauthorised", payment=new_id())
    assert foreign.status_code == missing.status_code == 400
    assert foreign.json()["detail"] == missing.json()["detail"]
    leo = ids.format(made.person("citizen"))
    assert made.post("other bank", "cases", kind="complaint", person=leo).status_code == 400
    assert made.done("citizen", "cases", kind="complaint", person=leo, text="slow")["case"]
    assert made.done("clerk", "cases", kind="complaint", person=leo, text="slow")["case"]
    assert made.done("merchant", "cases", kind="unauthorised", payment=payment)["case"]


def test_a_text_about_a_person_without_a_record_is_refused(made: Office) -> None:
    about = {"kind": "complaint", "person": ids.format(made.person("auditor"))}
    answer = made.post("caseworker", "cases", **about, text="slow")
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/invalid-request")
    assert "nothing is stored about the person" in answer.json()["detail"]
    case = made.done("caseworker", "cases", **about)["case"]
    step = made.post("caseworker", f"cases/{case}/steps", step="answer", text="sorry")
    assert (step.status_code, "leave the text out" in step.json()["hint"]) == (400, True)
    made.done("caseworker", f"cases/{case}/steps", step="answer")


def test_the_day_is_closed_by_one_and_countersigned_by_another(made: Office) -> None:
    day = made.of("closer").get("/v1/days").json()["next"]
    path, closer, other = f"/v1/days/{day}", KEYS["closer"], KEYS["countersigner"]
    early = made.post("closer", f"days/{day}/close")
    assert (early.status_code, "is not over" in early.json()["detail"]) == (400, True)
    made.bank.set_clock(START_NS + DAY_NS)
    body = {"id": new_id()}
    asked = made.of("closer").post(f"{path}/close", json=body).json()["message_to_sign"]
    pay(made, 1_00)  # payments go on while the pack waits for its signature
    unsigned = Pack(asked["document"])
    assert asked["message"] == message(unsigned.digest, "closer", made.person("closer")).hex()
    assert made.of("closer").get(f"{path}/pack").status_code == 404
    wrong = made.of("closer").post(f"{path}/close", json={**body, "signature": other.sign(b"x" * 32).hex()})
    assert wrong.status_code == 400
    closed = made.of("closer").post(
        f"{path}/close", json={**body, "signature": closer.sign(bytes.fromhex(asked["message"])).hex()}
    )
    assert (closed.status_code, closed.json()["pack"]) == (201, unsigned.digest.hex()), closed.text
    again = made.of("closer").post(f"{path}/close", json=body)
    assert (again.status_code, again.json()) == (200, closed.json())
    assert made.post("closer", f"days/{day}/countersignature").status_code == 403
    done = sign_message(made.of("countersigner"), f"{path}/countersignature", {"id": new_id()}, other)
    assert (done.status_code, done.json()) == (201, closed.json()), done.text
    file = made.of("auditor").get(f"{path}/pack")
    pack = Pack.parse(file.content, "the download")
    check_signatures(pack, complete=True)
    assert file.content == made.bank.day.path(pack.day).read_bytes()
    (row,) = made.of("witness").get("/v1/days").json()["rows"]
    assert (row["state"], row["pack"]) == ("signed", pack.digest.hex())
    assert made.of("operator").get(f"{path}/pack").status_code == 403


def test_a_waiting_pack_is_for_its_closer_and_its_statements(made: Office) -> None:
    day = made.of("closer").get("/v1/days").json()["next"]
    made.bank.set_clock(START_NS + 2 * DAY_NS)
    path, id = f"/v1/days/{day}/close", new_id()
    mine = made.of("closer").post(path, json={"id": id}).json()["message_to_sign"]
    again = made.of("closer").post(path, json={"id": id}).json()["message_to_sign"]
    assert again == mine
    theirs = made.of("officer").post(path, json={"id": id}).json()["message_to_sign"]
    assert theirs["document"]["closed_by"] == ids.format(made.person("officer"))
    csv = "account,direction,amount,operation,reference\n"
    other = {"id": id, "statements": [{"name": "empty.csv", "csv": csv}]}
    assert len(made.of("officer").post(path, json=other).json()["message_to_sign"]["document"]["statements"]) == 1
    # The first message is of a pack that waits no more, and a new one has another frame in it.
    pay(made, 1_00)
    late = {"id": id, "signature": KEYS["closer"].sign(bytes.fromhex(mine["message"])).hex()}
    assert made.of("closer").post(path, json=late).status_code == 400
    assert made.of("closer").get("/v1/days").json()["next"] == day


def test_statements_make_breaks_that_their_own_party_follows(made: Office) -> None:
    town, day = made.town, made.of("closer").get("/v1/days").json()["next"]
    made.bank.set_clock(START_NS + 2 * DAY_NS + HOUR_NS)
    line = f"{ids.format(town.ned)},in,12.34,,X-1"
    statements = [{"name": "north.csv", "csv": f"account,direction,amount,operation,reference\n{line}\n"}]
    body = {"id": new_id(), "statements": statements}
    closed = sign_message(made.of("closer"), f"/v1/days/{day}/close", body, KEYS["closer"])
    assert (closed.status_code, closed.json()["breaks"]) == (201, 1), closed.text
    (found,) = made.of("operator").get("/v1/breaks").json()["rows"]
    assert (found["kind"], found["party"], found["minor"]) == ("ledger-lacks", "operator 2", "-1234")
    assert made.of("other bank").get("/v1/breaks").json()["rows"] == []
    place = f"breaks/{found['number']}"
    owner = ids.format(made.person("caseworker"))
    assert made.post("other bank", f"{place}/owner", owner=owner).status_code == 404
    assert made.post("auditor", f"{place}/owner", owner=owner).status_code == 403
    assert made.done("operator", f"{place}/owner", owner=owner)["owner"] == owner
    ended = made.repeated("caseworker", f"{place}/closure", reason="typing error of the bank")
    assert ended["closed_as"] == "typing error of the bank"
    assert made.of("auditor").get("/v1/breaks").json()["rows"] == []
    assert made.of("auditor").get("/v1/breaks?all=true").json()["rows"] == [ended]
