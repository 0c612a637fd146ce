"""Metrics and logs: every alert has its figure, and nothing in either is personal data."""

from __future__ import annotations

import io
import json
import logging
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
import yaml
from prometheus_client.parser import text_string_to_metric_families
from tests.bank import world
from tests.server.world import new_id, served, session_of

from sycee.bank.bank import Bank
from sycee.bank.config import Value
from sycee.core import ids
from sycee.core.secret_files import SecretKey
from sycee.database.transactions import write
from sycee.server import observing
from sycee.server.app import create_server
from sycee.server.backup_tables import BACKUPS, DONE
from sycee.server.observing import SECONDS, Durations, json_logs

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "alerts.yml"
MARKS = ("Zenobia", "13912345678", "needle", "haystack")


@pytest.fixture(scope="module")
def open_bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    folder = tmp_path_factory.mktemp("metrics")
    (folder / "backups").mkdir()
    SecretKey(b"K" * 32).save(folder / "backup.key")
    with world.bank("sqlite", folder, operators=True) as bank:
        for name, path in (("backup_folder", folder / "backups"), ("backup_key", folder / "backup.key")):
            bank.config.values[name] = Value(str(path), "test")
        yield bank


@pytest.fixture(scope="module")
def address(open_bank: Bank) -> Iterator[str]:
    with served(open_bank) as found:
        yield found


def metrics(address: str) -> dict[str, list[Any]]:
    answer = httpx.get(f"{address}/metrics")
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.text)
    found: dict[str, list[Any]] = {}
    for family in families:
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample)
    return found


def test_requests_are_counted_by_operation_and_status(address: str) -> None:
    for path in ("/healthz", "/healthz", "/nothing", "/supply"):
        httpx.get(address + path)
    httpx.post(f"{address}/v1/payments", content=b"x")
    found = metrics(address)
    counts = {(each.labels["operation"], each.labels["status"]): each.value for each in found["sycee_requests_total"]}
    assert counts["health", "200"] >= 2
    assert counts["none", "404"] >= 1
    assert counts["supply", "200"] == 1
    assert counts["pay_signed", "415"] == 1
    buckets = [each for each in found["sycee_request_seconds_bucket"] if each.labels["operation"] == "health"]
    assert buckets[-1].labels["le"] == "+Inf"
    assert buckets[-1].value == counts["health", "200"]
    (frames,) = found["sycee_frames_total"]
    assert frames.value == httpx.get(f"{address}/readyz").json()["frame"]


def test_the_bank_has_its_figures(address: str, open_bank: Bank) -> None:
    before = metrics(address)
    assert before["sycee_ledger_stopped"][0].value == 0
    assert before["sycee_transits"][0].value == before["sycee_breaks"][0].value == 0
    assert before["sycee_suspense_minor"][0].value == before["sycee_day_overdue_seconds"][0].value == 0
    assert before["sycee_disk_free_bytes"][0].value > 0
    open_bank.set_clock(world.START_NS + 2 * world.DAY_NS)  # the cut-off of the first day is 39 hours before
    after = metrics(address)
    assert after["sycee_day_overdue_seconds"][0].value == pytest.approx(33 * 3_600)
    assert after["sycee_metrics_unreadable"][0].value == 0


def test_a_backup_has_an_age(address: str, open_bank: Bank) -> None:
    (before,) = metrics(address)["sycee_backup_age_seconds"]
    assert before.value == float("inf")
    now_ns = open_bank.stores.clock.now_ns()
    row = {"id": 1, "who": 1, "state": DONE, "reason": "", "at_ns": now_ns - 90 * 10**9}
    write(open_bank.stores.engine, lambda connection: connection.execute(BACKUPS.insert().values(row)))
    (after,) = metrics(address)["sycee_backup_age_seconds"]
    assert after.value == 90


def test_every_alert_has_its_figure(address: str) -> None:
    rules = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    names = {rule["alert"] for rule in rules}
    assert len(names) == len(rules)
    assert all(rule["labels"]["severity"] in ("page", "ticket") and rule["annotations"]["summary"] for rule in rules)
    used = set(re.findall(r"sycee_\w+", " ".join(rule["expr"] for rule in rules)))
    found = set(metrics(address))
    assert used - found == set()
    waited_for = {
        name for name in found if re.search(r"_(age|overdue)_|stopped|free|suspense|waiting|unreadable", name)
    }
    assert waited_for - used == set()


def test_labels_have_no_ids_and_no_content(address: str) -> None:
    wallet = new_id()
    httpx.get(f"{address}/v1/wallets/{wallet}", params={"name": MARKS[0]})
    text = httpx.get(f"{address}/metrics").text
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}|" + "|".join(MARKS), text)


def test_only_the_networks_of_the_setting_may_read(open_bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(open_bank.config.values, "http_metrics", Value("", "test"))
    with served(open_bank) as address:
        refused = httpx.get(f"{address}/metrics")
        assert (refused.status_code, refused.json()["type"]) == (404, "/problems/not-found")


def test_behind_a_proxy_the_address_counts_that_it_added(
    open_bank: Bank, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = str(tmp_path / "http.sock")
    monkeypatch.setitem(open_bank.config.values, "http_address", Value(f"unix:{path}", "test"))
    server = uvicorn.Server(uvicorn.Config(create_server(open_bank), uds=path, ws="none", log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        with httpx.Client(transport=httpx.HTTPTransport(uds=path), base_url="http://localhost") as client:

            def status(forwarded: str) -> int:
                headers = {"x-forwarded-for": forwarded} if forwarded else {}
                return client.get("/metrics", headers=headers).status_code

            assert status("127.0.0.1") == 200
            assert status("127.0.0.1, 192.0.2.1") == 404  # the sender wrote the first one
            assert status("192.0.2.1, 127.0.0.1") == 200
            assert status("") == 404
    finally:
        server.should_exit = True
        thread.join(20)
    assert not thread.is_alive()


def test_logs_have_no_personal_data(open_bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    officer = open_bank.people.person_of_key(world.ANN.public)
    with json_logs(logging.INFO, written), served(open_bank) as address:
        cookies = session_of(open_bank, officer)
        httpx.get(f"{address}/auth/session?phone={MARKS[1]}", cookies=cookies)
        httpx.get(f"{address}/v1/wallets/{MARKS[2]}?name={MARKS[0]}", headers={"user-agent": MARKS[3]})
        own = {"origin": open_bank.config.text("http_origin")}
        body = {"invitation": MARKS[0], "name": MARKS[1]}
        httpx.post(f"{address}/auth/passkeys/registration/options", json=body, headers=own)
        httpx.post(f"{address}/v1/payments", content=MARKS[2].encode())

        def broken(*_: object, **__: object) -> None:
            raise RuntimeError(f"the parameter is {MARKS[0]}")

        monkeypatch.setattr(type(open_bank.supply), "current", broken)
        failed = httpx.get(f"{address}/v1/supply?q={MARKS[3]}")
        logging.getLogger("other.library").warning("phone %s", MARKS[1])
    assert (failed.status_code, failed.json()["type"]) == (500, "/problems/failed")
    assert failed.headers["x-content-type-options"] == "nosniff"
    assert not any(mark in failed.text for mark in MARKS)
    text = written.getvalue()
    assert not any(mark in text for mark in (*MARKS, ids.format(officer), "127.0.0.1"))
    lines = [json.loads(line) for line in text.splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    assert [(line["operation"], line["status"], line["caller"]) for line in requests] == [
        ("session", 200, "person"),
        ("show_wallet", 401, "anonymous"),
        ("begin_passkey", 400, "unknown"),
        ("supply", 500, "unknown"),
    ]
    (failure,) = [line for line in lines if line["event"] == "request failed"]
    assert failure["request_id"] == failed.json()["request_id"]
    assert failure["exception"] == "RuntimeError"
    assert any(place.startswith("server/current_supply.py:") for place in failure["places"])
    (foreign,) = [line for line in lines if line.get("logger") == "other.library"]
    assert foreign["event"] == "phone %s"


@pytest.mark.fast
def test_durations_are_counted_up_to_their_bounds() -> None:
    found = Durations()
    for seconds in (0.0005, 0.001, 0.02, 99.0):
        found.add(seconds)
    buckets = dict(found.buckets())
    assert (buckets["0.001"], buckets["0.01"], buckets["0.025"], buckets["10.0"], buckets["+Inf"]) == (2, 2, 3, 3, 4)
    assert found.total_s == pytest.approx(99.0215)
    assert len(buckets) == len(SECONDS) + 1


@pytest.mark.fast
def test_an_operation_without_a_route_has_one_name() -> None:
    assert observing.operation_of({"type": "http"}) == observing.NO_OPERATION
