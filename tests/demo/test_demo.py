"""`sycee demo`: a seeded economy that serves, stops clean, and starts again in the same folder."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
from tests.cli.calling import Command, start
from tests.docs.pages import ROOT, commands, page, shows
from tests.server.auth.authenticator import Authenticator

from sycee.bank.bank import Bank
from sycee.core.errors import UnavailableError, UsageError
from sycee.core.keys import SigningKey
from sycee.core.worker_thread import processors
from sycee.demo.folder import Demo
from sycee.demo.people import CITIZENS, OWN_KEYS, SHOPS, People
from sycee.demo.running import LOGINS, run_demo
from sycee.server.tables import SCHEMA

PATIENCE_S = 120
LAST = "Ctrl-C stops."


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(folder: Path, port: int) -> Iterator[tuple[Command, str]]:
    """A demo that serves, and what it printed."""
    process = start("demo", str(folder), "--seed", "7", "--port", str(port), COLUMNS="200")
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.strip() == LAST:
                break
        assert lines, process.communicate(timeout=PATIENCE_S)[1]
        yield process, "".join(lines)
    finally:
        process.kill()
        process.wait(PATIENCE_S)


def stopped(process: Command, sent: signal.Signals) -> tuple[int, str]:
    process.send_signal(sent)
    _, said = process.communicate(timeout=PATIENCE_S)
    return process.returncode, said


def printed_calls_work(screen: str) -> None:
    """Run every call that the demo prints, as if it was pasted."""
    calls = [line.strip() for line in screen.splitlines() if line.startswith(("  curl ", "  sycee ", "  python "))]
    assert len(calls) >= 5
    for call in calls:
        if call.startswith("python examples/"):  # tests/examples runs the programs
            assert (ROOT / call.split()[1]).exists()
            continue
        first, *words = shlex.split(call.replace("--seconds 3", "--seconds 1"))
        if first == "sycee":
            command = start(*words, before=partial(os.chdir, ROOT))
            out, err = command.communicate(timeout=PATIENCE_S)
            code = command.returncode
        else:
            done = subprocess.run([first, "--fail", *words], cwd=ROOT, capture_output=True, text=True, check=False)
            out, err, code = done.stdout, done.stderr, done.returncode
        assert code == 0, f"{call}\n{out}{err}"
        assert out


def codes_of(screen: str) -> dict[str, str]:
    """The codes for logins on a screen, by the names of their persons."""
    found = re.findall(r"^  (\S+(?: \S+)*) {2,}.*?((?:[A-Z2-7]{4}-){7}[A-Z2-7]{4})$", screen, re.MULTILINE)
    return dict(found)


def set_up(origin: str, code: str) -> None:
    """Set up a passkey with a code, as a browser does."""
    device = Authenticator(origin, "localhost")
    with httpx.Client(base_url=origin, headers={"Origin": origin}, timeout=PATIENCE_S) as http:
        begun = http.post("/auth/passkeys/registration/options", json={"invitation": code})
        assert begun.status_code == 200, begun.text
        credential = device.create(begun.json()["publicKey"])
        assert http.post("/auth/passkeys/registration", json={"credential": credential}).status_code == 204


def test_a_demo_serves_stops_and_starts_again(tmp_path: Path) -> None:
    folder, port = tmp_path / "town", free_port()
    with running(folder, port) as (process, screen):
        assert "synthetic keys" in screen.splitlines()[0]
        assert f"http://localhost:{port}" in screen
        supply = httpx.get(f"http://127.0.0.1:{port}/v1/supply", timeout=PATIENCE_S).json()
        assert (supply["supply"], supply["equal"]) == ("400000000", True)
        printed_calls_work(screen)
        codes = codes_of(screen)
        citizen = People(7).citizens()[0].name
        assert codes.keys() == {*LOGINS, citizen}
        assert any(codes[citizen].endswith(json.loads(each.read_text()).get("secret", "none"))
                   for each in (folder / "outbox").glob("*.json"))  # fmt: skip
        for name in ("ann", citizen):
            set_up(f"http://localhost:{port}", codes[name])
        text = screen.replace(str(folder), "demo").replace(str(port), "8420").replace("seed 7", "seed 0")
        (shown,) = [block.content for block in page("README.md").blocks() if block.content.startswith("$ sycee demo")]
        assert shows(dict(commands(shown))["sycee demo demo"] or "", text)
        assert stopped(process, signal.SIGINT) == (0, f"{folder} is closed; `sycee demo {folder}` starts it again\n")
    demo = Demo.load(folder)
    assert demo is not None
    with running(folder, port) as (process, again):
        assert all(each.client in again for each in demo.roles)
        assert codes_of(again).keys() == {*LOGINS} - {"ann"}  # Ann and the citizen have a login
        assert httpx.get(f"http://127.0.0.1:{port}/v1/supply", timeout=PATIENCE_S).json()["supply"] == supply["supply"]
        assert (
            httpx.get(f"http://127.0.0.1:{port}/", timeout=PATIENCE_S).text.count("synthetic keys, no real money") == 1
        )
        assert stopped(process, signal.SIGTERM)[0] == 0
    assert Demo.load(folder) == demo

    people = People(7)
    assert len(demo.wallets) == OWN_KEYS
    assert [(each.name, each.phone) for each in demo.wallets] == [
        (each.name, each.phone) for each in people.citizens()[:OWN_KEYS]
    ]
    assert SigningKey.load(folder / "keys" / demo.role("ann").key).public == people.key("ann").public
    with Bank.open(folder / "bank", schemas=(SCHEMA,)) as bank:
        assert bank.check() == []
        assert bank.delivers_messages
        assert stat.S_IMODE((folder / "outbox").stat().st_mode) == 0o700
        assert bank.config.text("signature_workers") == ("1" if processors() > 1 else "0")
        (proposal,) = bank.proposals.list("open")
        assert proposal.proposal.action == "mint"
        assert {each.name for each in bank.institutions.list("merchant")} == set(SHOPS)
    with pytest.raises(UsageError, match="has the demo of seed 7, not 8"):
        demo.require_seed(folder, 8)


@pytest.mark.fast
def test_a_seed_gives_the_same_people() -> None:
    one, again, other = People(1), People(1), People(2)
    assert one.citizens() == again.citizens()
    assert len({each.phone for each in one.citizens()}) == CITIZENS
    assert one.key("ann").public == again.key("ann").public
    assert one.key("ann").public != other.key("ann").public
    assert one.key("ann").public != one.key("bob").public
    assert one.citizens() != other.citizens()


@pytest.mark.fast
def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    assert Demo.load(tmp_path / "absent") is None
    (tmp_path / "letter").write_text("dear")
    with pytest.raises(UsageError, match="is not an empty folder"):
        Demo.load(tmp_path)
    (tmp_path / "bank").mkdir()
    with pytest.raises(UsageError, match="interrupted"):
        Demo.load(tmp_path)


def test_a_port_in_use_is_named_before_anything_is_founded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UnavailableError, match=f"another process listens on port {port}"):
            run_demo(tmp_path / "town", seed=0, port=port, show=print)
    assert not (tmp_path / "town").exists()
