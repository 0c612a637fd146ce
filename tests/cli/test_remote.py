"""Commands over a server, and their page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.client.world import BOBS, PROGRAM, Place, place
from tests.docs.pages import page
from tests.docs.test_docs import every_command
from tests.wallets import world
from tests.wallets.world import LEO_KEY, NORTH

from sycee import cli
from sycee.cli import remote
from sycee.core import ids

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "cli-remote.md"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("remote")) as made:
        yield made


@pytest.fixture(scope="module")
def login(town: Place, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    file = tmp_path_factory.mktemp("keys") / "program.pem"
    PROGRAM.save(file)
    return ["--client", town.desk.client, "--client-key", str(file), "--origin", town.origin]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    NORTH.save(folder / "north.pem")
    LEO_KEY.save(folder / "leo.pem")
    return folder


def call(town: Place, *words: str) -> int:
    return cli.main([*words, "--server", town.address])


def test_the_supply_needs_no_login(town: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(town, "supply") == 0
    assert "supply: 1,000,000.00 CNY" in capsys.readouterr().out
    assert call(town, "supply", "--json") == 0
    assert json.loads(capsys.readouterr().out)["equal"] is True


def test_a_wallet_pays_with_its_key_alone(town: Place, keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leo, shop = (ids.format(each) for each in (town.town.leo, town.town.shop))
    before = town.town.balance(town.town.shop)
    words = ["pay", leo, shop, "1.50", "--key", str(keys / "leo.pem")]
    assert call(town, *words) == 0
    operation = re.search(r"paid 1\.50 CNY: operation (\S+)", capsys.readouterr().out)
    assert operation is not None
    assert call(town, *words, "--id", operation[1]) == 0  # a repetition pays once
    assert town.town.balance(town.town.shop) == before + 150
    assert call(town, *words, "--order", "A-1") == 2
    assert "needs a login" in capsys.readouterr().err
    assert call(town, *words, "--key-epoch", "2") == 1
    assert "KEY_EPOCH_DIFFERS" in capsys.readouterr().err


def test_a_desk_pays_refunds_and_reads(
    town: Place, keys: Path, login: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    ned, shop, till = (ids.format(each) for each in (town.town.ned, town.town.shop, town.town.till_1))
    signed = [*login, "--key", str(keys / "north.pem")]
    assert call(town, "pay", ned, shop, "2.00", *signed, "--order", "R-1", "--till", till, "--reference", "tea") == 0
    assert call(town, "refund", shop, "R-1", "0.50", *signed, "--till", till) == 0
    assert call(town, "merchant", "paid", shop, "R-1", *login, "--json") == 0
    shown = capsys.readouterr().out
    assert "refunded 0.50 CNY" in shown
    order = json.loads(shown[shown.index("{") :])
    assert (order["state"], order["minor"], order["refunded_minor"]) == ("paid", 200, 50)
    assert call(town, "merchant", "paid", shop, "R-1", *login) == 0
    assert f"order R-1: paid, payment {order['payment']}" in capsys.readouterr().out
    assert call(town, "refund", shop, "none", "1", *signed) == 2
    assert "order none is unknown, not paid" in capsys.readouterr().err
    assert call(town, "wallet", "show", ned, *login) == 0
    assert re.search(r"signs +operator", capsys.readouterr().out)
    assert call(town, "wallet", "show", ned, *login, "--json") == 0
    assert json.loads(capsys.readouterr().out)["balance_minor"] == town.town.balance(town.town.ned)
    assert call(town, "statement", ned, *login, "--lines", "1") == 0
    assert "0.50" in capsys.readouterr().out
    assert call(town, "statement", ned, *login, "--json") == 0
    lines = json.loads(capsys.readouterr().out)["lines"]
    assert [each["amount_minor"] for each in lines[:2]] == [50, -200]


def test_an_alias_is_paid_by_its_masked_name(
    town: Place, keys: Path, login: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    ned, before = ids.format(town.town.ned), town.town.balance(town.town.leo)
    words = ["pay", ned, "+86 138 0000 0001", "0.10", *login, "--key", str(keys / "north.pem")]
    assert call(town, *words) == 0
    assert "paying 0.10 CNY to L** M**********" in capsys.readouterr().err
    assert town.town.balance(town.town.leo) == before + 10


def test_an_officer_reads_and_signs_a_proposal(town: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bank = town.town.bank
    made = bank.issuance.mint(2, 5_00, maker=world.person(bank, world.ANN))
    name, file = ids.format(made.id), tmp_path / "bob.pem"
    world.BOB.save(file)
    BOBS.save(tmp_path / "program.pem")
    officer = ["--client", town.bob.client, "--client-key", str(tmp_path / "program.pem"), "--origin", town.origin]
    assert call(town, "proposal", "list", "--state", "open", *officer) == 0
    assert re.search(f"{name}  +mint  +open", capsys.readouterr().out)
    assert call(town, "proposal", "show", name, *officer) == 0
    shown = capsys.readouterr().out
    assert "TRANSFER  500 minor units from" in shown
    assert f"digest {made.digest.hex()}" in shown
    sign = ["proposal", "sign", name, *officer, "--key", str(file)]
    assert call(town, *sign, "--digest", "00") == 2
    assert "sign nothing" in capsys.readouterr().err
    assert call(town, *sign, "--digest", made.digest.hex()) == 0
    assert "signed: the proposal is open" in capsys.readouterr().out
    assert bank.proposals.get(made.id).signers == (world.person(bank, world.BOB),)
    assert call(town, "proposal", "list", *officer, "--json") == 0
    assert name in [each["proposal"] for each in json.loads(capsys.readouterr().out)["proposals"]]


def test_wrong_words_get_a_hint(town: Place, capsys: pytest.CaptureFixture[str]) -> None:
    leo = ids.format(town.town.leo)
    for words, message in (
        (["wallet", "show", leo, "--client", leo], "--client and --client-key belong together"),
        (["wallet", "show", leo], "the credentials of this request are not valid"),
        (["pay", leo, leo, "1"], "no key signs"),
        (["statement", leo, "--lines", "0"], "--lines must be 1 or more"),
        (["mint", leo], 'there is no command "mint"'),
    ):
        assert call(town, *words) == 2, words
        assert message in capsys.readouterr().err


def test_a_lost_server_names_the_id_of_the_attempt(
    town: Place, keys: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sycee.client import Client, LostConnection

    whole = Client.do

    def lost(self: Client, made: object) -> object:
        if getattr(made, "id", ""):
            raise LostConnection("the server gave no answer")
        return whole(self, made)  # type: ignore[arg-type]

    monkeypatch.setattr(Client, "do", lost)
    leo, shop = (ids.format(each) for each in (town.town.leo, town.town.shop))
    assert call(town, "pay", leo, shop, "1", "--key", str(keys / "leo.pem")) == 4
    assert re.search(r"the same command with --id [0-9a-f-]{36} repeats this attempt", capsys.readouterr().err)


def test_the_page_has_every_command_and_option() -> None:
    text = page(PAGE.relative_to(PAGE.parents[2]).as_posix()).text
    common = text.partition("## ")[0]
    missing = []
    for words, command in every_command(remote.app):
        if not command.default_command:
            continue
        name = " ".join(words)
        section = text.partition(f"\n## sycee {name} --server\n")[2].partition("\n## ")[0]
        if not command.help.partition(".")[0] or command.help.partition(".")[0] not in section:
            missing.append(name)
        with remote.app.app_stack(words):
            for argument in command.assemble_argument_collection():
                option = argument.names[0]
                if option.startswith("--") and f"| `{option}" not in common + section:
                    missing.append(f"{name} {option}")
    assert missing == []
