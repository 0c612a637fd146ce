"""Commands of clients and invitations: what they print, and what they refuse."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.bank import world

from sycee import cli
from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.database.transactions import write
from sycee.server.auth.logins import Login, Origin, Visitor
from sycee.server.auth.refusals import NotAuthenticated
from sycee.server.auth.registers import Registers
from sycee.server.tables import SCHEMA

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bank, and key files."""
    folder = tmp_path_factory.mktemp("access")
    world.founded("").copy(folder)
    for name, key in (("ann", world.ANN), ("bob", world.BOB), ("desk", world.DESK), ("program", world.NORTH)):
        key.save(folder / f"{name}.pem")
    return folder


@pytest.fixture(scope="module")
def ann(place: Path) -> str:
    """The id of the officer with the key ann.pem."""
    with Bank.open(place / "bank", schemas=(SCHEMA,)) as bank:
        return ids.format(bank.people.person_of_key(world.ANN.public))


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


def test_the_holder_of_a_key_gets_a_whole_code(said: Said) -> None:
    desk = person(said, "operator of operator 1")
    code, out, _ = said("invite", "issue", "bank", desk, "--hours", "1", "--key", "desk.pem")
    assert code == 0
    invitation, secret = out.split()[1].rstrip(","), out.split()[-1]
    assert len(secret.replace("-", "")) == 32
    assert opened(secret) == ids.parse(desk)
    assert said("invite", "revoke", "bank", invitation, "--key", "ann.pem")[0] == 0
    assert said("invite", "issue", "bank", desk, "--key", "desk.pem")[0] == 0
    assert said("invite", "end-logins", "bank", desk, "--key", "desk.pem")[0] == 0
    listed = said("invite", "list", "bank", "--json")[1]
    assert secret not in listed
    rows = [row for row in json.loads(listed)["invitations"] if row["person"] == desk]
    assert [(row["by"], row["state"], row["recovery"]) for row in rows] == [(desk, "revoked", None)] * 2
    assert rows[0]["from"] < rows[0]["until"]


def test_without_a_phone_two_persons_sign_a_letter(said: Said, monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    wu = person(said, "witness")
    issue = ["invite", "issue", "bank", wu, "--key", "ann.pem"]
    code, out, err = said(*issue)
    assert (code, out) == (2, "")
    assert "no delivery of messages is set" in err
    monkeypatch.setenv("SYCEE_MESSAGE_FOLDER", str(place / "outbox"))
    code, out, err = said(*issue)
    assert (code, out) == (2, "")
    assert "there is no phone of the person" in err
    letter = [*issue, "--letter", "half.txt"]
    code, out, err = said(*letter)
    assert (code, out) == (2, "")
    assert "no letter to" in err
    assert "two persons sign, and the reason is stored" in err
    monkeypatch.setenv("SYCEE_LOGIN_RECOVERY_HOURS", "0")
    recover = ["invite", "recover", "bank", wu, "--reason", "passport seen", "--letter"]
    code, out, _ = said(*recover, "--key", "ann.pem")
    assert (code, "login.recover-staff; missing: " in out) == (0, True)
    assert said(*letter)[0] == 2  # one person signed
    assert not Path("half.txt").exists()
    code, out, _ = said(*recover, "--key", "ann.pem", "--key", "bob.pem")
    assert (code, out) == (0, "login.recover-staff done\n")
    code, out, err = said(*letter)
    assert code == 0
    first = re.search(r"^first half (\S+)$", out, re.MULTILINE)
    second = re.search(r"^ {4}(\S+)$", Path("half.txt").read_text(), re.MULTILINE)
    assert first is not None
    assert second is not None
    assert second[1] not in out + err
    assert Path("half.txt").stat().st_mode & 0o777 == 0o600
    assert opened(f"{first[1]}-{second[1]}") == ids.parse(wu)
    for half in (first[1], second[1]):
        with pytest.raises(NotAuthenticated):
            opened(half)
    code, out, err = said(*letter)
    assert (code, out) == (2, "")
    assert "half.txt exists already" in err
    (row,) = (
        each for each in json.loads(said("invite", "list", "bank", "--json")[1])["invitations"] if each["recovery"]
    )
    assert (row["person"], row["state"]) == (wu, "open")


def test_first_uses_of_logins_are_listed(said: Said, ann: str) -> None:
    desk = person(said, "operator of operator 1")
    assert said("invite", "logins", "bank") == (0, "", "there are no logins\n")
    with Bank.open("bank", schemas=(SCHEMA,)) as bank:
        login = Login(7, ids.parse(desk), "passkey", Origin(8, ids.parse(ann), 0))
        places = Registers(bank).places
        write(bank.stores.engine, lambda connection: places.first_use(connection, login, Visitor("192.0.2.1", "", "")))
        write(bank.stores.engine, places.noted(ids.parse(ann), Visitor("192.0.2.1", "", "")))
    (row,) = json.loads(said("invite", "logins", "bank", "--json")[1])["logins"]
    assert (row["person"], row["inviter"], row["near"], row["near_by"]) == (desk, ann, ann, "address")
    assert re.search(f"passkey .* {ann} +{ann} +address", said("invite", "logins", "bank")[1])
    code, _, err = said("invite", "issue", "bank", desk, "--key", "desk.pem")
    assert (code, "has, or had, a login" in err) == (2, True)


def opened(code: str) -> int:
    """Return the person whom a code lets in."""
    with Bank.open("bank", schemas=(SCHEMA,)) as bank:
        return Registers(bank).invitations.open(code).person


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["client", "revoke", "bank", ids.format(5), "--key", "ann.pem"], "there is no client"),
        (["client", "revoke", "bank", "five", "--key", "ann.pem"], "is not an id"),
        (["client", "revoke", "bank", ids.format(5)], "no key signs"),
        (["invite", "issue", "bank", ids.format(5), "--key", "ann.pem"], "there is no person"),
        (["invite", "issue", "bank", ids.format(5), "--hours", "0", "--key", "ann.pem"], "1 to 336 hours"),
        (["invite", "revoke", "bank", ids.format(5), "--key", "ann.pem"], "there is no invitation"),
        (["invite", "recover", "bank", ids.format(5), "--reason", "papers", "--key", "ann.pem"], "there is no person"),
        (["invite", "recover", "bank", ids.format(5), "--reason", " ", "--key", "ann.pem"], "1 to 200 printable"),
    ],
)
def test_wrong_words(said: Said, words: list[str], message: str) -> None:
    code, out, err = said(*words)
    assert (code, out) == (2, "")
    assert message in err
    assert "hint: " in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["issue", "--key", "desk.pem"], "may not request login.invite-staff"),
        (["issue", "--letter", "a.txt", "--key", "ann.pem"], "your own key gives you the whole code"),
        (["recover", "--reason", "papers", "--key", "ann.pem"], "nobody recovers their own login"),
        (["recover", "--reason", "papers", "--key", "desk.pem"], "may not request login.recover-staff"),
        (["recover", "--reason", "papers"], "no key signs"),
    ],
)
def test_what_is_refused_about_the_officer_ann(said: Said, ann: str, words: list[str], message: str) -> None:
    code, out, err = said("invite", words[0], "bank", ann, *words[1:])
    assert (code, out) == (2, "")
    assert message in err
    assert "hint: " in err
