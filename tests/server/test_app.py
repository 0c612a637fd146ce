"""What applies to every operation: health, problems, limits, headers, and the reference."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastapi.routing
import httpx
import pytest
from jsonschema import Draft202012Validator
from tests.bank import world
from tests.server.world import anonymous

from sycee.server import problems
from sycee.server.bulk.app import ARROW


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder: Path = tmp_path_factory.mktemp("server")
    with world.bank("sqlite", folder, operators=True) as bank, anonymous(bank) as made:
        yield made


def test_the_server_is_alive_and_ready(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["frame"] > 0


def test_the_first_request_resolves_no_dependencies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FastAPI resolves those of every route that a request is compared with; the server does it before it is ready."""
    with world.bank("sqlite", tmp_path, operators=True) as bank, anonymous(bank) as first:
        monkeypatch.delattr(fastapi.routing, "_populate_api_route_state")
        assert first.get("/nothing").status_code == 404


def test_everybody_can_read_the_supply(client: httpx.Client) -> None:
    supply = client.get("/v1/supply")
    assert supply.status_code == 200
    assert int(supply.json()["supply"]) == 2 * world.MINTED


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [("GET", "/nothing", "not-found"), ("POST", "/healthz", "method-not-allowed"), ("GET", "/problems/x", "not-found")],
)
def test_errors_are_problems_with_a_page(client: httpx.Client, method: str, path: str, name: str) -> None:
    answer = client.request(method, path)
    kind = problems.TYPES[name]
    assert answer.status_code == kind.status
    assert answer.headers["content-type"] == problems.MEDIA_TYPE
    members = answer.json()
    assert members["type"] == f"/problems/{name}"
    assert members["request_id"] == answer.headers["x-request-id"]
    assert kind.title in client.get(members["type"]).text


def test_a_large_body_is_refused_before_it_is_read(client: httpx.Client) -> None:
    answer = client.post("/v1/supply", content=b"x" * 2_000_000)
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too-large")


def test_every_operation_documents_what_a_connection_refuses(client: httpx.Client) -> None:
    """The connection of a GET refuses a long header, and any request that takes too long."""
    refused = client.get("/v1/supply", headers={"x-long": "x" * (1 << 17)})
    assert (refused.status_code, refused.json()["type"]) == (413, "/problems/too-large")
    paths = client.get("/openapi.json").json()["paths"]
    operations = [operation for path in paths.values() for operation in path.values()]
    assert len(operations) > 100
    assert all({"408", "413"} <= operation["responses"].keys() for operation in operations)


def test_every_answer_has_the_security_headers(client: httpx.Client) -> None:
    for path in ("/healthz", "/nothing", "/reference"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_the_reference_page_loads_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/reference").text
    assert "https://" not in page
    assert client.get("/reference/files/swagger-ui-bundle.js").status_code == 200
    document = client.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    assert "/v1/supply" in document["paths"]


def test_every_body_has_an_example_that_fits_its_schema_or_is_described(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    missing: list[str] = []
    wrong: set[str] = set()

    def examples(schema: Any, at: tuple[str, ...] = ()) -> int:
        """Return the number of examples of a schema and its parts; compare each with its schema."""
        if isinstance(schema, list):
            return sum(examples(each, at) for each in schema)
        if not isinstance(schema, dict):
            return 0
        if (reference := schema.get("$ref")) is not None:
            name = reference.rpartition("/")[2]
            return 0 if name in at else examples(document["components"]["schemas"][name], (*at, name))
        own = schema.get("examples")
        found = own if isinstance(own, list) else []
        for each in found:
            check(schema, each, "/".join(at))
        return len(found) + sum(examples(each, at) for each in schema.values())

    def check(schema: dict[str, Any], example: object, where: str) -> None:
        validator = Draft202012Validator({**schema, "components": document["components"]})
        wrong.update(f"{where}: {error.message}" for error in validator.iter_errors(example))

    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
            for name, body in bodies.items():
                for kind, content in body.get("content", {}).items():
                    where = f"{method} {path} {name}"
                    if "example" in content:
                        check(content["schema"], content["example"], where)
                    elif "json" in kind and examples(content["schema"]):
                        continue
                    elif "json" in kind or kind in ("application/xml", "text/csv"):
                        missing.append(f"{where} {kind}")
                    elif kind == ARROW:
                        assert "docs/reference/" in content["schema"]["description"], where
    assert missing == []
    assert sorted(wrong) == []


def test_the_server_answers_while_its_document_is_made_once(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end = threading.Event(), threading.Event()
    made = []

    def slow(app: object) -> dict[str, str]:
        made.append(app)
        begun.set()
        assert may_end.wait(20)
        return {"openapi": "3.1.0"}

    monkeypatch.setattr("sycee.server.app._document", slow)
    folder: Path = tmp_path_factory.mktemp("document")
    with world.bank("sqlite", folder, operators=True) as bank, anonymous(bank) as client:
        answers: list[httpx.Response] = []
        asking = threading.Thread(target=lambda: answers.append(client.get("/openapi.json", timeout=30)))
        asking.start()
        assert begun.wait(20)
        assert client.get("/healthz", timeout=15).status_code == 200
        may_end.set()
        asking.join(20)
        answers.append(client.get("/openapi.json", timeout=30))
        assert [each.json() for each in answers] == [{"openapi": "3.1.0"}] * 2
        assert len(made) == 1
