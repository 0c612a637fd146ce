"""The files in deploy/, and the steps of the guide that need a server of their own."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.bank import world
from tests.docs.pages import commands, page, shows

from sycee import cli
from sycee.server.service_manager import READY, notify

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy" / "sycee.service"
GUIDE = page("docs/guides/run-a-server.md")
PATIENCE_S = 120


def unit() -> configparser.ConfigParser:
    made = configparser.ConfigParser(strict=False, interpolation=None)
    made.optionxform = str  # type: ignore[assignment, method-assign]
    made.read(UNIT)
    return made


def test_the_unit_starts_a_command_and_is_hardened(tmp_path: Path) -> None:
    service = unit()["Service"]
    program, command, folder = service["ExecStart"].split()
    assert program.endswith("/sycee")
    assert command in cli.COMMANDS
    assert folder.startswith("/var/lib/sycee/")
    wanted = {
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "PrivateTmp": "yes",
        "User": "sycee",
        "CapabilityBoundingSet": "",
    }
    assert {name: service[name] for name in wanted} == wanted
    if not shutil.which("systemd-analyze"):
        pytest.skip("NOT RUN: systemd is not installed, so its own check of the unit is left out")
    # The check looks for the program of ExecStart.
    checked = tmp_path / "sycee.service"
    checked.write_text(UNIT.read_text().replace(program, sys.executable))
    found = subprocess.run(["systemd-analyze", "verify", checked], capture_output=True, text=True, check=False)
    assert "sycee.service" not in found.stderr, found.stderr
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", checked],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert rated.returncode == 0, rated.stdout


def test_memory_of_kernels_must_be_made_executable() -> None:
    """The reason for MemoryDenyWriteExecute=no."""
    assert unit()["Service"]["MemoryDenyWriteExecute"] == "no"
    script = "import ctypes; print(ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)); import sycee.ledger.kernels"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    if not done.stdout.startswith("0"):
        pytest.skip("NOT RUN: this kernel has no PR_SET_MDWE (Linux 6.3)")
    assert done.returncode != 0
    assert "executable" in done.stderr


def test_a_service_manager_hears_that_the_server_is_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        notify(READY)
        assert manager.recv(100) == b"READY=1"
    notify(READY)  # nobody listens
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify(READY)


def test_the_guide_serves_and_stops(tmp_path: Path) -> None:
    (block,) = [block for block in GUIDE.blocks() if block.not_run and block.language == "console"]
    pairs = commands(block.content)
    with world.bank("sqlite", tmp_path) as bank:
        assert bank.folder.path == tmp_path / "bank"
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    script = "set -m\n" + "\n".join(f"{command}\necho ---" for command, _ in pairs).replace("8420", port)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "SYCEE_HTTP_ADDRESS": f"127.0.0.1:{port}",
        "SYCEE_SIGNATURE_WORKERS": "0",
        "NO_COLOR": "1",
    }
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        timeout=PATIENCE_S,
    )  # fmt: skip
    outputs = done.stdout.split("---\n")
    for (command, expected), said in zip(pairs, outputs, strict=False):
        if expected is not None:
            said = said if said.endswith("\n") else said + "\n"  # the server's JSON has no line end
            assert shows(expected, said), f"{command}\n--- shown\n{expected}--- said\n{said}{done.stderr}"
    assert len(outputs) == len(pairs) + 1


def test_the_guide_names_every_alert() -> None:
    rules = (ROOT / "deploy" / "alerts.yml").read_text()
    alerts = set(re.findall(r"alert: (\w+)", rules))
    assert set(re.findall(r"`(Sycee\w+)`", GUIDE.text)) == alerts


def test_the_proxy_replaces_the_forwarded_address_at_every_place() -> None:
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    places = re.findall(r"location [^{]+\{[^}]+\}", text)
    assert len(places) == text.count("proxy_pass") == 2
    assert all("proxy_set_header X-Forwarded-For $remote_addr;" in place for place in places)
    assert "/run/sycee/http.sock" in text
    assert unit()["Service"]["RuntimeDirectory"] == "sycee"
