"""Commands of cases: one command with the keys of an operator and of officers returns held money and the rest."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.bank.world import ANN, BOB
from tests.wallets import world

from sycee import cli
from sycee.core.keys import SigningKey

CLEO = SigningKey.derive(b"\x7c" * 32)


def test_each_key_signs_what_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with world.bank("", tmp_path) as town:
        assert town.balance(town.leo) >= 80_00
    monkeypatch.chdir(tmp_path)
    keys = {"ann": ANN, "bob": BOB, "north": world.NORTH, "leo": world.LEO_KEY, "cleo": CLEO}
    for name, key in keys.items():
        key.save(tmp_path / f"{name}.pem")

    def done(*words: str, by: str) -> str:
        assert cli.main([*words, *(word for name in by.split() for word in ("--key", f"{name}.pem"))]) == 0
        return capsys.readouterr().out

    appoint = ("officer", "add", "bank", "--public-key", str(CLEO.public), "--duty", "caseworker", "--until")
    done(*appoint, "2027-11-02", by="ann bob")
    paid = done("pay", "bank", world.LEO["phone"], world.TEA, "80.00", by="leo")
    payment = re.findall(r"operation (\S+)", paid)[0]
    done("pay", "bank", world.TEA, world.MIA["phone"], "50.00", by="north")
    done("case", "open", "bank", "unauthorised", "--payment", payment, by="cleo")
    assert "30.00 CNY held" in done("case", "act", "bank", "1", "hold", by="cleo north ann bob")
    assert "case.reverse done" in done("case", "act", "bank", "1", "uphold", by="cleo north ann bob")
    assert "upheld" in done("case", "show", "bank", "1", by="")
    assert "50.00" in done("case", "claims", "bank", by="")
