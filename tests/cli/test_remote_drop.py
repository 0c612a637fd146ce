"""`sycee drop --server`: the draw is verified on the caller's machine before cohort and drop are signed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.programmes import world
from tests.programmes.shops_town import NAME as TOWN
from tests.programmes.shops_town import open_shop, shop_town
from tests.programmes.world import ANN, BEACON_VALUE, BOB, FILE, NORTH, Register, funder, moment, person
from tests.server.world import served

from sycee import cli
from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.keys import SigningKey
from sycee.core.timestamps import local_time
from sycee.programmes import draw_files
from sycee.server.auth.registers import Registers
from sycee.server.tables import SCHEMA

NAME = "autumn-2026"
Call = Callable[..., tuple[int, str]]


@pytest.fixture
def bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bank]:
    """A bank with a frozen list, in whose folder are the keys of North's and Ann's programs."""
    world.at("frozen").copy(tmp_path)
    monkeypatch.chdir(tmp_path)
    with world.opened(tmp_path, {}) as made:
        register_programs(made, tmp_path)
        yield made


def register_programs(made: Bank, folder: Path, **others: SigningKey) -> None:
    """Register programs of North's person and of Ann, and of the persons with the keys of `others`, by name."""
    made.add_schema(SCHEMA)
    clients, officer = Registers(made).clients, person(made, ANN)
    for name, key in {"north": NORTH, "ann": ANN, **others}.items():
        own = SigningKey.derive(name.encode().ljust(32, b"x"))
        own.save(folder / f"{name}-program.pem")
        key.save(folder / f"{name}.pem")
        operator = 2 if key is NORTH else None
        client = clients.register(person(made, key), own.public, by=officer, name=name, operator=operator)
        (folder / f"{name}.id").write_text(ids.format(client.id))


@pytest.fixture
def drop(bank: Bank, capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    with called(bank, capsys) as call:
        yield call


@contextmanager
def called(bank: Bank, capsys: pytest.CaptureFixture[str], group: str = "drop") -> Iterator[Call]:
    with served(bank) as address:

        def call(*words: str, by: str = "north") -> tuple[int, str]:
            program = ["--client", Path(f"{by}.id").read_text(), "--client-key", f"{by}-program.pem"]
            origin = ["--origin", bank.config.text("http_origin")]
            bank_time = ["--bank-time", local_time(bank.stores.clock.now_ns(), "UTC").isoformat()]
            code = cli.main([group, *words, "--server", address, *program, *origin, *bank_time])
            streams = capsys.readouterr()
            return code, streams.out + streams.err

        yield call


def test_a_life_over_a_server(bank: Bank, drop: Call, tmp_path: Path) -> None:
    (tmp_path / "winter.toml").write_text(FILE.replace(NAME, "winter-2026"))
    for by, named in (("north", "City of Examples"), ("ann", ids.format(funder(bank)))):
        assert drop("draft", "winter.toml", "--funder", named, by=by)[0] == 0
    code, text = drop("dry-run", "winter-2026")
    assert (code, "in the way: the time of registration is over" in text) == (1, True)
    assert drop("open", "winter-2026")[0] == 2
    assert "is cancelled" in drop("cancel", "winter-2026")[1]
    code, text = drop("publish", NAME)
    assert (code, "is published: announcement SHA-256" in text) == (0, True)
    bank.set_clock(moment(6, 13))
    for by in ("north", "ann"):
        shown = drop("beacon", NAME, BEACON_VALUE.hex(), by=by)[1]
    assert shown == f"{BEACON_VALUE.hex()}: 2 persons\n"
    shown = drop("draw", NAME)[1]
    assert ("is drawn" in shown, "5 winners among" in shown) == (True, True)
    code, text = drop("allot", NAME, "--key", "north.pem")
    assert (code, "terms are not signed" in text) == (2, True)
    assert "needs:" in drop("terms", NAME, by="ann")[1]
    proposal = bank.programmes.occurrence(NAME).proposal or 0
    assert bank.proposals.sign(proposal, ANN, BOB).needs == ()
    assert "needs: no further signature" in drop("terms", NAME, by="ann")[1]
    place = bank.programmes.files_of(bank.programmes.occurrence(NAME))
    winners = (place / draw_files.WINNERS).read_bytes()
    lines = winners.splitlines(keepends=True)
    (place / draw_files.WINNERS).write_bytes(b"".join([lines[0], lines[2], lines[1], *lines[3:]]))
    assert drop("allot", NAME, "--key", "north.pem")[0] == 3  # the files do not prove these winners
    (place / draw_files.WINNERS).write_bytes(winners)
    assert "5 members" in drop("allot", NAME, "--key", "north.pem")[1]
    assert "160.00 CNY in 5 packets" in drop("drop", NAME, "--key", "north.pem")[1]
    assert drop("files", NAME, "--out", "published")[0] == 0
    assert cli.main(["draw", "verify", "published"]) == 0
    bank.set_clock(moment(7, 9))
    register = bank.programmes.registered
    assert isinstance(register, Register)
    members = [ids.to_int(each) for each in bank.programmes.cohort_of(NAME).members]
    member = next(each for each in members if register.banks_of(NAME, 0, [each]) == ["north"])
    wallet = ids.format(register.wallet_of(member).account)
    assert "claimed" in drop("claim", NAME, ids.format(member), wallet, "--key", "north.pem")[1]
    assert "halted: a rumour" in drop("halt", NAME, "a rumour")[1]
    assert "needs:" in drop("block", NAME)[1]
    assert "programme.block of this funder is proposed" in drop("resume", NAME, "it was false")[1]
    (block,) = bank.proposals.list("open")
    bank.proposals.withdraw(block.id, by=block.proposal.maker)
    assert "needs:" in drop("resume", NAME, "it was false")[1]
    bank.set_clock(moment(15))
    bank.stores.jobs.wait()
    assert "is closed" in drop("close", NAME)[1]
    shown = drop("show", NAME)[1]
    assert re.search(rf"^0 +{bank.programmes.occurrence(NAME).date} +closed ", shown, re.MULTILINE)
    assert "Autumn packets" in drop("list", "--json")[1]
    assert drop("shops", NAME) == (0, "there are no shops\n")
    assert bank.check() == []


def test_funders_shops_and_conditions_over_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with world.opened(tmp_path, shop_town().copy(tmp_path)) as bank:
        register_programs(bank, tmp_path)
        wallet = ids.format(open_shop(bank, "Tea house"))
        with called(bank, capsys) as drop:

            def done(*words: str, by: str = "north") -> str:
                code, text = drop(*words, by=by)
                assert code == 0, text
                return text

            north = ["--key", "north.pem"]
            assert "funder Spring fund at operator 2: account" in done("funder", "2", "Spring fund", *north)
            assert "Spring fund has 12.50 CNY" in done("fund", "Spring fund", "12.50", *north)
            assert "Spring fund has 2.50 CNY" in done("fund", "Spring fund", "10.00", "--out", *north)
            assert "Spring fund" in done("funders")
            assert drop("fund", "No fund", "1.00", *north)[0] == 2
            assert f"with wallet {wallet}: applied" in done("apply", TOWN, "Tea house")
            assert "is accepted" in done("decide-shop", TOWN, wallet, by="ann")
            assert "1 shop of operator 2 joined" in done("join", TOWN, "2", *north)
            assert "joined" in done("shops", TOWN)
            assert done("shops", TOWN, "--untested", "--json") == '{"rows": []}\n'
            assert "has left" in done("leave", TOWN, wallet, *north)
            Path("run.json").write_text('{"ok": true}')
            assert "conformance passed" in done("evidence", TOWN, "conformance", "run.json", "--operator", "2")
            code, text = drop("ready", TOWN, by="ann")
            assert (code, "no go" in text) == (3, True)
            code, text = drop("ready", TOWN, "--zone", "harbour", by="ann")
            assert (code, "there is no zone 'harbour'" in text) == (2, True)
            assert '"claimed"' in done("situation", TOWN, by="ann")
            Path("run.json").write_text("[")
            assert drop("evidence", TOWN, "restore", "run.json")[0] == 2
