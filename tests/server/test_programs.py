"""Programs over HTTP: an officer's key signs a registration, and the program logs in at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from tests.server.office import ANN, BOB, NORTH, Office, office
from tests.server.world import new_id, sent_after_a_crash, signed_message

from sycee.client import Client, Credentials, api
from sycee.core import ids
from sycee.core.canonical_json import canonical
from sycee.core.keys import SigningKey

PATH = "/v1/clients"
PROGRAM, OTHER = (SigningKey.derive(bytes([number]) * 32) for number in (140, 141))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder: Path = tmp_path_factory.mktemp("office")
    with office(folder) as town:
        yield town


def body(made: Office, key: SigningKey, **more: Any) -> dict[str, Any]:
    """A registration of a program of North Bank."""
    person = ids.format(made.person("operator"))
    return {
        "id": new_id(), "person": person, "name": "core banking", "public_key": str(key.public), "operator": 2,
    } | more  # fmt: skip


def test_a_program_is_registered_and_logs_in(made: Office) -> None:
    officer, sent = made.of("officer"), body(made, PROGRAM)
    asked = officer.post(PATH, json=sent)
    message = asked.json()["message_to_sign"]
    assert (asked.status_code, message["key"]) == (202, str(ANN.public))
    covered = {name: sent[name] for name in ("person", "name", "public_key", "operator")}
    assert message["document"] == covered | {
        "message": "sycee.client.v1",
        "ledger": made.bank.stores.ledger.ledger_id.hex(),
        "client": sent["id"],
        "by": ids.format(made.person("officer")),
        "scopes": ["read", "write"],
    }
    assert message["message"] == blake3(canonical(message["document"])).hexdigest()
    done = sent_after_a_crash(lambda: signed_message(officer, PATH, sent, ANN))
    assert done.json().keys() == {"client", "thumbprint"}
    origin = made.bank.config.text("http_origin")
    with Client(made.address, Credentials(done.json()["client"], PROGRAM), origin=origin) as program:
        found = program.do(api.session())
        assert (found.person, found.operator, found.kind) == (sent["person"], 2, "machine")
    (shown,) = [each for each in officer.get(PATH).json()["clients"] if each["client"] == sent["id"]]
    assert (shown["thumbprint"], shown["scopes"]) == (done.json()["thumbprint"], ["read", "write"])
    again = signed_message(officer, PATH, body(made, PROGRAM), ANN)
    assert (again.status_code, "was registered before" in again.json()["detail"]) == (400, True)


def test_a_login_alone_registers_no_program(made: Office) -> None:
    officer, sent = made.of("officer"), body(made, OTHER)
    for signer in (BOB, NORTH, OTHER):  # another officer's key is not the caller's
        forged = signed_message(officer, PATH, sent, signer)
        assert (forged.status_code, "signature" in forged.json()["detail"]) == (400, True)
    foreign = officer.post(PATH, json={**sent, "key": str(BOB.public)})
    assert (foreign.status_code, "no key of yours" in foreign.json()["detail"]) == (400, True)
    # A signature covers every field: it registers nothing else.
    message = officer.post(PATH, json=sent).json()["message_to_sign"]["message"]
    signature = ANN.sign(bytes.fromhex(message)).hex()
    others: tuple[dict[str, Any], ...] = (
        {"name": "other"},
        {"public_key": str(PROGRAM.public)},
        {"scopes": ["read"]},
        {"id": new_id()},
        {"person": ids.format(made.person("officer")), "operator": None},
    )
    for other in others:
        assert officer.post(PATH, json={**sent, **other, "signature": signature}).status_code == 400, other
    for role in ("operator", "clerk", "auditor", "citizen"):
        assert made.post(role, "clients", **body(made, OTHER)).status_code == 403
    assert str(OTHER.public) not in json.dumps(officer.get(PATH).json())
    assert signed_message(officer, PATH, sent, ANN).status_code == 201


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"public_key": "x"}, "key"),
        ({"operator": 3}, "does not have"),
        ({"operator": None}, "does not have"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["admin"]}, "scopes"),
        ({"name": "a\nb"}, "printable"),
    ],
)
def test_what_is_no_registration(made: Office, change: dict[str, Any], message: str) -> None:
    key = SigningKey.derive(bytes([142]) * 32)
    answer = made.of("officer").post(PATH, json=body(made, key, **change))
    assert (answer.status_code, message in answer.json()["detail"]) == (400, True), answer.text
