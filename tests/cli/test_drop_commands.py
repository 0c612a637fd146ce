"""`sycee drop` on a data folder: each step with the keys of the persons who take it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.programmes import world
from tests.programmes.world import ANN, BEACON_VALUE, BOB, FILE, NORTH, moment

from sycee.bank.bank import Bank

NAME = "autumn-2026"
VALUE = BEACON_VALUE.hex()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, key in (("ann", ANN), ("bob", BOB), ("north", NORTH)):
        key.save(tmp_path / f"{name}.pem")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def drop(sycee: Any) -> Any:
    """Call a command of the group, and return exit code and stdout."""

    def call(*words: str) -> tuple[int, str]:
        result = sycee("drop", *words)
        return result.code, result.out

    return call


def at(folder: Path, stage: str) -> None:
    world.at(stage).copy(folder)


def set_clock(folder: Path, ns: int) -> None:
    with Bank.open(folder / "bank") as bank:
        bank.set_clock(ns)


def test_a_draft_and_its_dry_run(folder: Path, drop: Any) -> None:
    at(folder, "funded")
    (folder / "autumn.toml").write_text(FILE)
    north = ("--key", "north.pem")
    code, out = drop("draft", "bank", "autumn.toml", "--funder", "City of Examples", *north)
    assert (code, out.splitlines()[1]) == (0, "next: open its registration")
    code, out = drop("funders", "bank")
    assert code == 0
    assert "1,000.00" in out
    code, out = drop("dry-run", "bank", NAME)
    assert code == 0
    assert "5 people who are not drawn yet get 160.00 CNY" in out
    assert out.splitlines()[-1] == "ready"
    assert drop("fund", "bank", "City of Examples", "900.00", "--out", *north)[0] == 0
    code, out = drop("dry-run", "bank", NAME, "--json")
    assert code == 1
    assert json.loads(out)["problems"] == ["the funder has 100.00 CNY, 60.00 CNY less than the packets"]
    set_clock(folder, moment(3, 9))
    assert drop("open", "bank", NAME, *north) == (
        0, f"occurrence 0 of {NAME} is registration\nnext: freeze its list\n",
    )  # fmt: skip
    assert drop("draft", "bank", "autumn.toml", "--funder", "City of Examples", "--operator", "x", *north)[0] == 2
    assert drop("cancel", "bank", NAME, *north)[1].splitlines()[0].endswith("is cancelled")


def test_from_the_frozen_list_to_the_close(folder: Path, drop: Any) -> None:
    at(folder, "frozen")
    north = ("--key", "north.pem")
    assert "is published: announcement SHA-256" in drop("publish", "bank", NAME, *north)[1]
    set_clock(folder, moment(6, 13))
    assert drop("beacon", "bank", NAME, VALUE, *north)[1] == f"{VALUE}: 1 person\n"
    assert drop("beacon", "bank", NAME, "zz", *north)[0] == 2
    assert drop("beacon", "bank", NAME, VALUE, "--key", "ann.pem")[1] == f"{VALUE}: 2 persons\n"
    assert "5 winners among 9 entries" in drop("draw", "bank", NAME, *north)[1]
    code, out = drop("terms", "bank", NAME, "--key", "ann.pem")
    assert code == 0
    assert "missing" in out
    assert drop("terms", "bank", NAME, "--key", "ann.pem")[0] == 2  # one officer alone, twice
    assert "programme.terms done" in drop("terms", "bank", NAME, "--key", "bob.pem")[1]
    assert "5 members, seal" in drop("allot", "bank", NAME, *north)[1]
    assert "160.00 CNY in 5 packets" in drop("drop", "bank", NAME, *north)[1]
    assert drop("halt", "bank", NAME, "a rumour", *north)[1] == f"{NAME} is halted: a rumour\n"
    assert "halted" in drop("list", "bank")[1]
    assert "programme.block done" in drop("block", "bank", NAME, *north, "--key", "ann.pem")[1]
    code, out = drop("resume", "bank", NAME, "it was false", *north, "--key", "ann.pem")
    assert code == 0
    assert "programme.resume done: 1 operation created" in out  # the end of the block
    shown = json.loads(drop("show", "bank", NAME, "--json")[1])
    assert (shown["halted"], shown["occurrences"][0]["dropped_minor"]) == (None, 160_00)
    assert drop("expire", "bank", NAME)[0] == 2  # too early
    set_clock(folder, moment(15))
    assert "returned  160.00 CNY" in drop("expire", "bank", NAME)[1]
    assert "is closed" in drop("close", "bank", NAME, *north)[1]
    assert "is closed" in drop("show", "bank", NAME)[1]
