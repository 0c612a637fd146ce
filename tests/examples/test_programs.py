"""The programs in examples run against a server, and find what they must find."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.bank.world import DAY_NS, START_NS
from tests.demo.test_demo import free_port
from tests.server.world import served
from tests.wallets import world
from tests.wallets.world import ANN, BOB, NORTH

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.errors import IntegrityError
from sycee.core.keys import SigningKey
from sycee.demo.folder import Demo, Role, Shop
from sycee.identity.duties import Duty
from sycee.server.auth.registers import Registers
from sycee.server.tables import SCHEMA

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PROGRAMS = sorted(
    set(EXAMPLES.glob("*.py")) - {EXAMPLES / "first_ledger.py"}
)  # which uses no server; tests/docs runs it
# Role, duty, operator. The first one has its duty already.
PEOPLE = (
    ("north", Duty.OPERATOR, 2),
    ("tea-house", Duty.MERCHANT, 2),
    ("audrey", Duty.AUDITOR, None),
    ("carol", Duty.CLOSER, None),
    ("dora", Duty.COUNTERSIGNER, None),
)
KEYS = {name: SigningKey.derive(bytes([number]) * 32) for number, (name, *_) in enumerate(PEOPLE, 120)} | {
    "north": NORTH
}


@dataclass(frozen=True)
class Place:
    """A served bank, and a folder that describes it as a demo's does."""

    bank: Bank
    url: str
    folder: Path

    def run(self, name: str, *words: str) -> None:
        run: Callable[..., None] = runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]
        run(self.url, str(self.folder), *words)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder, port = tmp_path_factory.mktemp("examples"), free_port()
    url = f"http://127.0.0.1:{port}"
    options = {**world.settled("").copy(folder), "country": "CN", "city": "Suzhou", "http_origin": url}
    with Bank.open(folder / "bank", options=options) as bank:
        bank.add_schema(SCHEMA)
        describe(bank, folder)
        with served(bank, port=port):
            yield Place(bank, url, folder)


def describe(bank: Bank, folder: Path) -> None:
    """Register the programs, and write demo.json and the keys as a demo does."""
    (folder / "keys").mkdir()
    clients = Registers(bank).clients
    officer, roles, town = world.person(bank, ANN), [], world.town(bank)
    for number, (name, duty, operator) in enumerate(PEOPLE, 130):
        program, key = SigningKey.derive(bytes([number]) * 32), KEYS[name]
        if duty is not Duty.OPERATOR:
            institution = town.tea if duty is Duty.MERCHANT else 0
            appointed = bank.appointments.appoint(
                duty, key.public, until_ns=START_NS + world.YEAR_NS, maker=officer, institution=institution
            )
            assert bank.proposals.sign(appointed.id, ANN, BOB).needs == ()
        person = world.person(bank, key)
        made = clients.register(person, program.public, by=officer, name=name, operator=operator)
        key.save(folder / "keys" / f"{name}.pem")
        program.save(folder / "keys" / f"{name}-program.pem")
        texts = ids.format(person), ids.format(made.id)
        roles.append(Role(name, "", "", *texts, f"{name}.pem", f"{name}-program.pem"))
    shop = Shop(world.TEA, ids.format(town.tea), ids.format(town.shop), ids.format(town.till_1), "")
    ledger_id = bank.stores.ledger.ledger_id.hex()
    Demo(0, ledger_id, "CNY", tuple(roles), (shop,), (), "", "").store(folder)


def test_an_operator_funds_a_wallet_and_a_shop_sells(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.run("funding_operator")
    out = capsys.readouterr().out
    assert "sent: the money waits" in out
    wallet = re.search(r"wallet (\S+) has 50\.00 CNY", out)
    assert wallet is not None
    before = place.bank.stores.ledger.balance(world.town(place.bank).shop)
    place.run("shop_with_qr", wallet[1])
    out = capsys.readouterr().out
    assert "the till shows 000201" in out
    assert "is paid: operation" in out
    assert "another payment was refused: EXCEEDS_BALANCE" in out
    assert place.bank.stores.ledger.balance(world.town(place.bank).shop) == before + 12_50


def test_an_auditor_verifies_a_day(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place.run("day_auditor")
    assert capsys.readouterr().out == "no day is closed yet\n"
    bank = place.bank
    bank.set_clock(START_NS + DAY_NS)
    bank.day.close(bank.day.next_day(), KEYS["carol"])
    bank.day.countersign(bank.day.days()[0].day, KEYS["dora"])
    place.run("day_auditor")
    out = capsys.readouterr().out
    assert "proved: packs in one chain, each signed with the given keys: 1" in out
    assert "not proved" not in out
    place.run("day_auditor", str(bank.folder.path))
    out = capsys.readouterr().out
    assert "proved: 1 pack in one chain" in out
    assert "proved: every signature was made with one of the given keys" in out
    assert "all figures of 1 day agree with the ledger" in out
    # A server that changes a figure is found.
    from sycee.client import Client

    whole = Client.do

    def lying(self: Client, call: Any) -> Any:
        answer = whole(self, call)
        return re.sub(rb'"supply": ?"\d+"', b'"supply": "1"', answer) if isinstance(answer, bytes) else answer

    monkeypatch.setattr(Client, "do", lying)
    with pytest.raises(IntegrityError):
        place.run("day_auditor")


def test_the_examples_are_short_and_explained() -> None:
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert len(PROGRAMS) == 3
    for file in PROGRAMS:
        assert file.read_text(encoding="utf-8").count("\n") <= 80, file.name
        assert f"[{file.name}]({file.name})" in readme


@pytest.mark.parametrize("file", PROGRAMS, ids=lambda file: file.stem)
def test_an_example_with_too_few_arguments_says_how_it_is_called(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", [str(file), "http://localhost:8420"])
    with pytest.raises(SystemExit, match=f"python examples/{file.name} http"):
        runpy.run_path(str(file), run_name="__main__")
