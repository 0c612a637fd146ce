"""The example of nginx in front of a served bank: TLS with certificates of clients, addresses, limits, streams."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.server.world import new_id, session_of, signed
from tests.wallets import world
from tests.wallets.world import LEO_KEY

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.server.tables import SCHEMA

pytestmark = pytest.mark.soak

EXAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "nginx.conf"
WAIT_S = 120
FAILURES = 5


def program() -> str:
    """The path of nginx. Debian's package `nginx-light` has it."""
    found = shutil.which("nginx", path=os.pathsep.join([os.environ["PATH"], "/usr/sbin"]))
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("nginx is not installed: make services")
        pytest.skip("NOT RUN: nginx is not installed (apt-get install nginx-light)")
    return found


@dataclass(frozen=True)
class Authority:
    """A certificate authority in a folder."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    name: x509.Name

    @classmethod
    def made(cls, folder: Path) -> Authority:
        made = cls(folder, ec.generate_private_key(ec.SECP256R1()), _name("authority"))
        made._store("authority", made._signed(made.name, made.key, is_authority=True), made.key)
        return made

    def issue(self, name: str) -> Path:
        """Write a certificate and its key, and return the certificate's path."""
        key = ec.generate_private_key(ec.SECP256R1())
        return self._store(name, self._signed(_name(name), key), key)

    def _signed(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, *, is_authority: bool = False) -> bytes:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )

    def _store(self, name: str, certificate: bytes, key: ec.EllipticCurvePrivateKey) -> Path:
        path = self.folder / f"{name}.pem"
        path.write_bytes(certificate)
        private = self.folder / f"{name}.key"
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return path


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def example(folder: Path, port: int) -> str:
    """The example with the places of this test, and with the lines for certificates of clients."""
    text = EXAMPLE.read_text()
    for old, new in (
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("    listen [::]:443 ssl;\n", ""),
        ("server_name bank.example;", "server_name localhost;"),
        ("/run/sycee/http.sock", str(folder / "http.sock")),
        ("/etc/ssl/bank.example/fullchain.pem", str(folder / "server.pem")),
        ("/etc/ssl/bank.example/key.pem", str(folder / "server.key")),
        ("/etc/ssl/bank.example/clients.pem", str(folder / "authority.pem")),
        ("# ssl_client_certificate", "ssl_client_certificate"),
        ("# ssl_verify_client", "ssl_verify_client"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    places = "\n".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    head = f"daemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log warn;\n"
    user = "user root;\n" if os.geteuid() == 0 else ""  # the socket is for this user and its group
    return f"{user}{head}events {{ }}\nhttp {{\n{places}\n{text}\n}}\n"


@contextmanager
def running(*words: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        words, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(WAIT_S)


@dataclass(frozen=True)
class Proxied:
    """A bank behind nginx. `tls`: with the certificate of a client; `origin`: the address of both."""

    origin: str
    tls: ssl.SSLContext
    cookies: httpx.Cookies
    leo: int
    shop: int
    folder: Path

    def client(self, address: str = "127.0.0.1") -> httpx.Client:
        """A client that sends from an address of this machine."""
        transport = httpx.HTTPTransport(verify=self.tls, local_address=address)
        headers = {"Origin": self.origin, "Sec-Fetch-Site": "same-origin"}
        return httpx.Client(
            base_url=self.origin, transport=transport, cookies=self.cookies, headers=headers, timeout=WAIT_S
        )


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    nginx, folder = program(), tmp_path_factory.mktemp("proxied")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    origin, authority = f"https://localhost:{port}", Authority.made(folder)
    authority.issue("server")
    tls = ssl.create_default_context(cafile=str(folder / "authority.pem"))
    tls.load_cert_chain(authority.issue("client"), folder / "client.key")
    options = {**world.settled("").copy(folder), "http_origin": origin}
    with Bank.open(folder / "bank", options=options, schemas=(SCHEMA,)) as bank:
        town = world.town(bank)
        cookies, leo, shop = session_of(bank, town.holder(town.leo)), town.leo, town.shop
    (folder / "nginx.conf").write_text(example(folder, port))
    settings = {
        "SYCEE_HTTP_ADDRESS": f"unix:{folder}/http.sock",
        "SYCEE_HTTP_ORIGIN": origin,
        "SYCEE_HTTP_FAILURES_PER_MINUTE": str(FAILURES),
        "SYCEE_SIGNATURE_WORKERS": "0",
    }
    made = Proxied(origin, tls, cookies, leo, shop, folder)
    with (
        running(sys.executable, "-m", "sycee", "serve", str(folder / "bank"), **settings) as server,
        running(nginx, "-p", str(folder), "-c", str(folder / "nginx.conf")) as proxy,
        made.client() as client,
    ):
        wait_until_ready(client, server, proxy, folder)
        yield made


def wait_until_ready(
    client: httpx.Client, server: subprocess.Popen[bytes], proxy: subprocess.Popen[bytes], folder: Path
) -> None:
    pause = threading.Event()
    for _ in range(WAIT_S * 10):
        assert server.poll() is None, "the server has ended"
        assert proxy.poll() is None, (folder / "error.log").read_text()
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        pause.wait(0.1)
    raise AssertionError("the server is not ready")


def test_only_clients_with_a_certificate_reach_the_server(proxied: Proxied) -> None:
    with proxied.client() as client:
        assert client.get("/v1/supply").json()["supply"] == "100000000"
    without = ssl.create_default_context(cafile=str(proxied.folder / "authority.pem"))
    with httpx.Client(base_url=proxied.origin, verify=without) as stranger:
        answer = stranger.get("/v1/supply")
    assert (answer.status_code, "certificate" in answer.text) == (400, True)
    assert "supply" not in answer.text
    foreign = proxied.folder / "foreign"
    foreign.mkdir()
    certificate = Authority.made(foreign).issue("client")
    without.load_cert_chain(certificate, foreign / "client.key")
    with httpx.Client(base_url=proxied.origin, verify=without) as stranger:
        assert stranger.get("/v1/supply").status_code == 400


def test_a_session_pays_and_follows_its_events(proxied: Proxied) -> None:
    path = f"/v1/wallets/{ids.format(proxied.leo)}/payments"
    with proxied.client() as client, client.stream("GET", "/v1/events") as stream:
        body = {"id": new_id(), "payee": ids.format(proxied.shop), "minor": "125", "text": "tea"}
        done = signed(client, path, body, LEO_KEY)
        assert (done.status_code, done.json()) == (201, {"id": body["id"], "state": "paid"})
        assert any(body["id"] in line for line in stream.iter_lines())  # at once: nothing is buffered


def test_the_address_of_the_sender_counts_and_no_header_of_it(proxied: Proxied) -> None:
    """Invalid tokens of one address are limited, whatever it pretends; another address is not."""
    wrong = {"Authorization": "DPoP x", "DPoP": "x", "Cookie": ""}
    with proxied.client("127.0.0.2") as sender, proxied.client("127.0.0.3") as other:
        answers = [
            sender.get("/auth/session", headers={**wrong, "X-Forwarded-For": f"198.51.100.{at}"}).status_code
            for at in range(FAILURES + 1)
        ]
        assert answers == [401] * FAILURES + [429]
        assert other.get("/auth/session", headers={**wrong, "X-Forwarded-For": "127.0.0.2"}).status_code == 401


def test_metrics_are_for_this_machine_and_bodies_are_limited(proxied: Proxied) -> None:
    with proxied.client() as client:
        assert "sycee_frames_total" in client.get("/metrics").text
        large = client.post("/v1/payments", content=b"x" * ((1 << 20) + 1))
        assert large.status_code == 413
        assert re.search(r"nginx|too-large", large.text)
