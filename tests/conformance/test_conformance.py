"""An integration that is right passes every check; each error of an integration is found."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.client.world import PROGRAM, Place, place
from tests.wallets.world import LEO_KEY, MIA_KEY

from sycee import cli
from sycee.client import Signer, WebhookRefused, webhooks
from sycee.conformance.checks import CHECKS, Integration
from sycee.conformance.running import FAILED, OK, SKIPPED, run
from sycee.conformance.webhooks import signature
from sycee.core import ids
from sycee.core.errors import UsageError
from sycee.core.keys import SigningKey

HOOK_KEY = SigningKey.derive(bytes([112]) * 32)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("conformance")) as made:
        yield made


@pytest.fixture(scope="module")
def right(town: Place) -> Integration:
    leo, mia = Signer(town.town.leo, LEO_KEY), Signer(town.town.mia, MIA_KEY)
    return Integration(town.address, town.desk, leo, mia, town.origin)


@contextmanager
def receiving(*, careless: bool = False) -> Iterator[str]:
    """A receiver of webhooks. `careless`: takes everything, but each event once."""
    seen: set[str] = set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = 204
            if careless:
                number = json.loads(body)["data"]["id"]
                status = 500 if number in seen else 204
                seen.add(number)
            else:
                try:
                    webhooks.received(dict(self.headers.items()), body, HOOK_KEY.public)
                except WebhookRefused:
                    status = 400
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def results(tested: Integration) -> dict[str, str]:
    return {f"{each.check.group} {each.check.name}": each.result for each in run(tested)}


def test_a_right_integration_passes_and_moves_no_money_in_the_end(town: Place, right: Integration) -> None:
    before = [town.town.balance(each.id) for each in (right.payer, right.payee)]
    with receiving() as address:
        findings = run(replace(right, receiver=address, webhook_key=HOOK_KEY))
    assert [f"{each.check.name}: {each.found}" for each in findings if each.result != OK] == []
    assert len(findings) == len(CHECKS) >= 25
    assert [town.town.balance(each.id) for each in (right.payer, right.payee)] == before


def test_errors_of_an_integration_are_found(right: Integration) -> None:
    found = results(replace(right, payer=Signer(right.payer.id, MIA_KEY)))
    assert found["access wallets"] == found["signatures good"] == FAILED
    assert found["access program"] == OK
    found = results(replace(right, credentials=replace(right.credentials, key=SigningKey.generate())))
    assert found["access program"] == found["clock slow"] == found["signatures good"] == FAILED
    assert found["webhooks repeated"] == SKIPPED
    with receiving(careless=True) as address:
        found = results(replace(right, receiver=address, webhook_key=HOOK_KEY))
    wrong = {name for name, result in found.items() if result == FAILED}
    names = ("repeated", "stale", "wrong-key", "changed", "unsigned")
    assert wrong == {f"webhooks {name}" for name in names}


def test_the_command_reports_as_table_and_json(
    town: Place, right: Integration, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, key in (("program", PROGRAM), ("leo", LEO_KEY), ("mia", MIA_KEY)):
        key.save(tmp_path / f"{name}.pem")
    words = [
        *("conformance", right.url, "--origin", right.origin, "--client", right.credentials.client),
        *("--client-key", str(tmp_path / "program.pem")),
        *("--payer", ids.format(right.payer.id), "--payer-key", str(tmp_path / "leo.pem")),
        *("--payee", ids.format(right.payee.id), "--payee-key", str(tmp_path / "mia.pem")),
    ]
    assert cli.main(words) == 0
    out = capsys.readouterr().out
    assert "checks passed, 0 failed, 10 skipped" in out
    assert "422 SIGNATURE_INVALID" in out
    words[words.index(str(tmp_path / "leo.pem"))] = str(tmp_path / "mia.pem")
    assert cli.main([*words, "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    assert {each["check"] for each in report["checks"] if each["result"] == "failed"} >= {"good", "same-id"}
    assert cli.main([*words, "--receiver", "http://localhost/"]) == 2
    assert "--receiver and --webhook-key belong together" in capsys.readouterr().err


def test_webhooks_are_checked_as_the_standard_says() -> None:
    body = b'{"type":"a","timestamp":"","data":{"id":"1.0","type":"a"}}'
    at_s = 1_793_577_600
    headers = {
        "Webhook-Id": "1.0",
        "Webhook-Timestamp": str(at_s),
        "Webhook-Signature": f"v1,AAAA v1a,!! {signature(HOOK_KEY, '1.0', at_s, body)}",
    }
    assert webhooks.received(headers, body, HOOK_KEY.public, now_s=at_s + 299)["id"] == "1.0"
    for changes, message in (
        ({"Webhook-Id": "2.0"}, "signature"),
        ({"Webhook-Timestamp": str(at_s - 400)}, "time"),
        ({"Webhook-Timestamp": "soon"}, "no time"),
        ({"Webhook-Signature": ""}, "signature"),
    ):
        with pytest.raises(WebhookRefused, match=message):
            webhooks.received(headers | changes, body, HOOK_KEY.public, now_s=at_s)
    with pytest.raises(UsageError, match="no key of webhooks"):
        webhooks.public_key("whpk_AAAA")
