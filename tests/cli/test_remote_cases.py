"""`sycee case act --server` with money that is held, and dormant wallets: the operator's person signs and looks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.client.world import PROGRAM, Place, place
from tests.wallets.world import LEO_KEY, NORTH

from sycee import cli
from sycee.core import ids

Done = Callable[..., str]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("cases")) as made:
        yield made


@pytest.fixture
def done(town: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Done:
    """Runs a command of North Bank's desk, expects an exit code, and returns what was printed."""
    monkeypatch.chdir(tmp_path)
    for name, key in (("program", PROGRAM), ("north", NORTH), ("leo", LEO_KEY)):
        key.save(tmp_path / f"{name}.pem")
    login = ["--client", town.desk.client, "--client-key", "program.pem", "--origin", town.origin]

    def run(*words: str, code: int = 0, is_logged_in: bool = True) -> str:
        found = cli.main([*words, "--server", town.address, *(login if is_logged_in else ())])
        streams = capsys.readouterr()
        assert found == code, streams.err
        return streams.out + streams.err

    return run


def test_a_desk_holds_disputed_money_and_returns_it(town: Place, done: Done) -> None:
    leo, shop, ned = (ids.format(each) for each in (town.town.leo, town.town.shop, town.town.ned))
    payment = done("pay", leo, shop, "2.00", "--key", "leo.pem", is_logged_in=False).split()[-1]
    before = town.town.balance(town.town.leo)
    number = done("case", "open", "unauthorised", "--payment", payment, "--note", "not me").split()[1]
    hold = ["case", "act", number, "hold", "--amount", "1.50", "--key", "north.pem"]
    assert "a payee, a payer and an amount" in done(*hold, "--payee", shop, code=2)
    assert "--key signs a step about held money" in done(*hold, code=2)
    assert "another operation" in done(*hold, "--payee", shop, "--payer", ned, code=3)
    assert "moves held money" in done("case", "act", number, "hold", code=2)
    held = done(*hold, "--payee", shop, "--payer", leo).partition("hold ")[2].strip()
    assert f"hold {held}: 1.50 CNY" in done("case", "show", number)
    assert "not me" in done("case", "show", number, "--notes")
    decide = ["case", "act", number, "uphold", "--hold", held, "--key", "north.pem"]
    assert "another operation" in done(*decide, code=3)  # without --amount, all is released
    assert "is upheld" in done(*decide, "--amount", "1.50")
    assert town.town.balance(town.town.leo) == before + 1_50


def test_a_desk_lists_dormant_wallets(town: Place, done: Done) -> None:
    later, earlier = ["--since", "2030-01-01T00:00+08:00"], ["--since", "2020-01-01T00:00+08:00"]
    found = {ids.parse(each) for each in json.loads(done("wallet", "dormant", "2", *later, "--json"))["wallets"]}
    assert town.town.ned in found
    assert {town.town.bank.directory.get(each).operator for each in found} == {2}
    assert "0 wallets without a movement" in done("wallet", "dormant", "2", *earlier)
    done("wallet", "dormant", "3", *later, code=2)
