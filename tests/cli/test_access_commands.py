"""Commands of clients and invitations: what they print, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.bank import world

from sycee import cli
from sycee.core import ids

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bank, and the key files of Ann and a program."""
    folder = tmp_path_factory.mktemp("access")
    world.founded("").copy(folder)
    for name, key in (("ann", world.ANN), ("desk", world.DESK), ("program", world.NORTH)):
        key.save(folder / f"{name}.pem")
    return folder


@pytest.fixture
def said(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    monkeypatch.chdir(place)

    def call(*words: str) -> tuple[int, str, str]:
        code = cli.main(list(words))
        out, err = capsys.readouterr()
        return code, out, err

    return call


def person(said: Said, duty: str) -> str:
    rows = json.loads(said("officer", "list", "bank", "--json")[1])["duties"]
    return next(str(each["person"]) for each in rows if each["duty"] == duty)


def test_a_client_is_registered_listed_and_revoked(said: Said) -> None:
    desk = person(said, "operator of operator 1")
    words = ["client", "register", "bank", "cash desk", "--person", desk, "--public-key", "program.pem"]
    code, _, err = said(*words, "--operator", "1", "--key", "desk.pem")
    assert (code, "may not request client.register" in err) == (2, True)
    code, out, _ = said(*words, "--operator", "1", "--read-only", "--key", "ann.pem")
    assert code == 0
    client = out.split()[1].rstrip(",")
    (row,) = json.loads(said("client", "list", "bank", "--json")[1])["clients"]
    assert (row["client"], row["operator"], row["scopes"], row["revoked"]) == (client, 1, ["read"], None)
    assert row["key"] == str(world.NORTH.public)
    assert said("client", "revoke", "bank", client, "--key", "desk.pem")[0] == 0
    assert "cash desk" in said("client", "list", "bank")[1]
    (row,) = json.loads(said("client", "list", "bank", "--json")[1])["clients"]
    assert row["revoked"] is not None


def test_an_invitation_is_issued_listed_and_ended(said: Said) -> None:
    desk = person(said, "operator of operator 1")
    code, _, err = said("invite", "issue", "bank", desk, "--key", "desk.pem")
    assert (code, "may not request login.invite-staff" in err) == (2, True)
    code, out, _ = said("invite", "issue", "bank", desk, "--hours", "1", "--key", "ann.pem")
    assert code == 0
    invitation, secret = out.split()[1].rstrip(","), out.split()[-1]
    assert len(secret.replace("-", "")) == 32
    assert said("invite", "revoke", "bank", invitation, "--key", "ann.pem")[0] == 0
    assert said("invite", "issue", "bank", desk, "--key", "ann.pem")[0] == 0
    assert said("invite", "end-logins", "bank", desk, "--key", "desk.pem")[0] == 0
    listed = said("invite", "list", "bank", "--json")[1]
    assert secret not in listed
    assert [row["state"] for row in json.loads(listed)["invitations"]] == ["revoked", "revoked"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["client", "revoke", "bank", ids.format(5), "--key", "ann.pem"], "there is no client"),
        (["client", "revoke", "bank", "five", "--key", "ann.pem"], "is not an id"),
        (["client", "revoke", "bank", ids.format(5)], "no key signs"),
        (["invite", "issue", "bank", ids.format(5), "--key", "ann.pem"], "there is no person"),
        (["invite", "issue", "bank", ids.format(5), "--hours", "0", "--key", "ann.pem"], "1 to 336 hours"),
        (["invite", "revoke", "bank", ids.format(5), "--key", "ann.pem"], "there is no invitation"),
    ],
)
def test_wrong_words(said: Said, words: list[str], message: str) -> None:
    code, out, err = said(*words)
    assert (code, out) == (2, "")
    assert message in err
    assert "hint: " in err
