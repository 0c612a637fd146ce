"""Commands of duties, proposals and keys: what they refuse, and with which words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.bank import world

from sycee import cli
from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.keys import SigningKey
from sycee.database.transactions import write

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bank, and the key files of Ann, Bob and a stranger."""
    folder = tmp_path_factory.mktemp("identity")
    world.founded("").copy(folder)
    for name, key in (("ann", world.ANN), ("bob", world.BOB), ("carol", world.NORTH), ("stranger", world.SOUTH)):
        key.save(folder / f"{name}.pem")
        (folder / f"{name}.pub").write_text(f"{key.public}\n")
    return folder


@pytest.fixture
def said(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    monkeypatch.chdir(place)

    def call(*words: str) -> tuple[int, str, str]:
        code = cli.main(list(words))
        out, err = capsys.readouterr()
        return code, out, err

    return call


def proposed(said: Said, duty: str = "closer", key: str = "ann.pem") -> str:
    """Propose a duty for Carol under one key, and return the proposal's id."""
    code, out, _ = said(
        *("officer", "add", "bank", "--public-key", "carol.pub", "--duty", duty, "--until", "2027-01-01"),
        *("--key", key),
    )
    assert code == 0
    return out.split("proposal ")[1][:36]


def test_a_proposal_goes_round_by_files(said: Said, place: Path) -> None:
    id = proposed(said, "witness")
    assert said("proposal", "export", "bank", id, "--out", "one.json")[0] == 0
    document = json.loads((place / "one.json").read_text())
    assert set(document["signers"]) >= {str(world.ANN.public), str(world.BOB.public)}
    code, out, _ = said("proposal", "show", "one.json")
    assert code == 0
    assert "1  GRANT_ROLE  WITNESS for person " in out
    code, out, _ = said("proposal", "show", "one.json", "--json")
    digest = json.loads(out)["digest"]
    code, out, _ = said("proposal", "sign", "one.json", "--key", "bob.pem", "--out", "bob.json", "--digest", digest)
    assert code == 0
    assert f"digest {digest}" in out
    code, out, _ = said("proposal", "import", "bank", "bob.json")
    assert (code, out.split(":")[0]) == (0, "duty.appoint done")
    code, out, _ = said("proposal", "show", "bank", id, "--json")
    shown = json.loads(out)
    assert (shown["state"], shown["missing"], len(shown["signers"])) == ("done", [], 2)
    assert said("officer", "end", "bank", "witness", "--key", "ann.pem", "--key", "bob.pem")[0] == 2  # two witnesses
    duties = json.loads(said("officer", "list", "bank", "--json")[1])["duties"]
    (mine,) = [each for each in duties if str(world.NORTH.public) in each["keys"]]
    assert said("officer", "end", "bank", mine["id"], "--key", "ann.pem", "--key", "bob.pem")[0] == 0


def test_who_may_not_sign_a_file(said: Said) -> None:
    id = proposed(said)
    said("proposal", "export", "bank", id, "--out", "two.json")
    code, _, err = said("proposal", "sign", "two.json", "--key", "stranger.pem", "--out", "stranger.json")
    assert code == 2
    assert "does not name the key" in err
    own = ids.format(5)
    code, _, _ = said("proposal", "sign", "two.json", "--key", "stranger.pem", "--out", "s.json", "--signer", own)
    assert code == 0
    code, _, err = said("proposal", "import", "bank", "s.json")
    assert code == 2
    assert "no person has the key" in err
    assert said("proposal", "withdraw", "bank", id, "--key", "stranger.pem")[0] == 2
    assert said("proposal", "withdraw", "bank", id, "--key", "ann.pem")[0] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["proposal", "list", "bank", "--state", "shut"], "'shut' is not a state of a proposal"),
        (["proposal", "show", "bank"], "bank is a folder"),
        (["proposal", "show", "absent.json"], "there is no such file"),
        (["proposal", "show", "bank", "5"], "'5' is not an id"),
        (["proposal", "show", "bank", ids.format(5)], "there is no proposal"),
        (["proposal", "sign", "ann.pub", "--key", "ann.pem", "--out", "x"], "not JSON"),
        (["officer", "end", "bank", "auditor", "--key", "ann.pem"], "nobody has the duty 'auditor' now"),
        (["officer", "end", "bank", "officer", "--key", "ann.pem"], "2 persons have the duty 'officer'"),
        (["officer", "end", "bank", "officer"], "no key signs"),
        (["key", "prove", "ann.pem", "--ledger", "x", "--account", "y", "--epoch", "1"], "is not the id of a ledger"),
        (["key", "prove", "ann.pem", "--ledger", "00", "--account", "y", "--epoch", "0"], "'0' is not a key epoch"),
    ],
)
def test_wrong_words(said: Said, words: list[str], message: str) -> None:
    code, out, err = said(*words)
    assert (code, out) == (2, "")
    assert message in err
    assert "hint: " in err


@pytest.mark.parametrize(
    ("duty", "others", "message"),
    [
        ("boss", [], "'boss' is not a duty"),
        ("clerk", [], "the duty clerk is of an institution"),
        ("clerk", ["--institution", "1"], "clerk is no duty of the issuer's operator 1"),
        ("clerk", ["--institution", "North"], "there is no operator 'North'"),
        ("closer", ["--person", "x"], "'x' is not an id"),
    ],
)
def test_who_cannot_be_appointed(said: Said, duty: str, others: list[str], message: str) -> None:
    code, _, err = said(
        *("officer", "add", "bank", "--public-key", "stranger.pub", "--duty", duty, "--until", "2027-01-01"),
        *("--key", "ann.pem", *others),
    )
    assert code == 2
    assert message in err


def test_a_key_that_should_not_be_here(said: Said, place: Path) -> None:
    code, out, err = said("key", "list", "bank", "--json")
    (mine,) = json.loads(out)["keys"]
    assert (code, err) == (0, "")
    assert (mine["signs"], mine["expected"]) == (["operator of operator 0"], True)
    stray = place / "bank" / "keys" / f"{ids.format(6)}.pem"
    SigningKey.derive(bytes([40]) * 32).save(stray)
    code, out, err = said("key", "list", "bank")
    assert "nothing now" in out
    assert "note: 1 of these keys should not be here" in err
    stray.rename(stray.with_name("spare.pem"))
    code, _, err = said("key", "list", "bank")
    assert code == 2
    assert "is not named by an id" in err
    stray.with_name("spare.pem").unlink()


@pytest.mark.parametrize("share", ["150", "0"])
def test_a_share_outside_the_whole_is_refused_in_percent(said: Said, share: str) -> None:
    words = ("institution", "add", "bank", "East Bank", "--kind", "operator", "--owner", f"new={share}")
    code, _, err = said(*words, "--key", "ann.pem")
    assert (code, "at most 100 %" in err, "in percent" in err, "parts per million" in err) == (2, True, True, False)


def test_institutions(said: Said, place: Path) -> None:
    account = "XX68 5390 0754 7034"
    code, out, err = said(
        *("institution", "add", "bank", "West Bank", "--kind", "operator", "--owner", "new=33.3333"),
        *("--settlement", account, "--key", "ann.pem"),
    )
    assert (code, err) == (0, "")
    assert "33.3333 %" in out
    assert account not in out
    person = ids.parse(out.split("owner ")[1][:36])
    code, out, _ = said("institution", "show", "bank", "West Bank", "--json")
    shown = json.loads(out)
    assert (shown["state"], shown["settlement"], shown["checks"]) == ("applied", "stated", {})
    assert shown["owners"] == {ids.format(person): "33.3333 %"}
    code, out, _ = said("institution", "verify", "bank", shown["id"], "--check", "papers", "--key", "ann.pem")
    assert code == 0
    assert "missing: a person other than the maker, with the duty compliance or officer" in out
    code, out, _ = said(
        *("institution", "verify", "bank", "West Bank", "--check", "papers", "--failed"),
        *("--key", "ann.pem", "--key", "bob.pem"),
    )
    assert out.endswith("West Bank is refused\n")
    # The account is in no file in plain text, with or without blanks.
    for file in (place / "bank").rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert account.encode() not in content
            assert account.replace(" ", "").encode() not in content, file


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show", "bank", "Nort Bank"], "there is no institution 'Nort Bank'"),
        (["add", "bank", "X", "--kind", "bank", "--key", "ann.pem"], "'bank' is not a kind of institution"),
        (["add", "bank", "X", "--kind", "merchant", "--key", "ann.pem"], "a merchant needs an operator"),
        (["add", "bank", "X", "--kind", "operator", "--owner", "5", "--key", "ann.pem"], "'5' is not an owner"),
        (["add", "bank", "X", "--kind", "operator", "--owner", "new=0", "--key", "ann.pem"], "above 0 and at most 100"),
        (["add", "bank", "X", "--kind", "operator", "--owner", "new=101", "--key", "ann.pem"], "at most 100 %"),
        (["add", "bank", "X", "--kind", "operator", "--settlement", "?", "--key", "ann.pem"], "account is not valid"),
        (["add", "bank", "X", "--kind", "operator"], "no key signs"),
        (["add", "bank", "X", "--kind", "operator", "--key", "carol.pem"], "no person has the key"),
    ],
)  # fmt: skip
def test_institutions_that_cannot_be_entered(said: Said, words: list[str], message: str) -> None:
    code, out, err = said("institution", *words)
    assert (code, out) == (2, "")
    assert message in err


def test_outlets_and_tills_of_a_merchant(said: Said, place: Path) -> None:
    """The desk, who is operator 1, serves a shop."""
    for name, key in (("desk", world.DESK), ("till", world.OTHERS[0])):
        key.save(place / f"{name}.pem")
    operator = ("institution", "add", "bank", "Desk", "--kind", "operator", "--owner", "new=100", "--key", "ann.pem")
    assert said(*operator)[0] == 0
    with Bank.open(place / "bank") as bank:
        found = bank.institutions.find("operator", "Desk")
        write(bank.stores.engine, lambda connection: bank.institutions.set_operator(connection, found.id, 1))
    shop = ("institution", "add", "bank", "Tea house", "--kind", "merchant", "--operator", "1", "--key", "desk.pem")
    assert said(*shop)[0] == 0
    desk = ("--key", "desk.pem")
    assert said("institution", "account", "bank", "Tea house", "XX00 1234 5678", *desk)[:2] == (
        0, "settlement account of Tea house: stated\n",
    )  # fmt: skip
    assert json.loads(said("institution", "show", "bank", "Tea house", "--json")[1])["settlement"] == "stated"
    assert said("institution", "outlet", "bank", "Tea house", "west", *desk)[:2] == (
        0, "outlet west of Tea house open\n",
    )  # fmt: skip
    till = ("institution", "till", "bank", "Tea house")
    assert said(*till, "west/T1", "--public-key", "till.pem", *desk)[0] == 0
    assert json.loads(said("institution", "show", "bank", "Tea house", "--json")[1])["tills"] == ["west/T1"]
    code, _, err = said(*till, "east/T1", *desk)
    assert code == 2
    assert "Tea house has no open outlet 'east'" in err
    assert "'T1' names no till" in said(*till, "T1", *desk)[2]
    assert "may not request merchant.outlet" in said(*till, "west/T2", "--key", "ann.pem")[2]
    assert said(*till, "west/T1", "--close", *desk)[1] == "till west/T1 of Tea house closed\n"
    assert said("institution", "outlet", "bank", "Tea house", "west", "--close", *desk)[0] == 0
    assert "has no open outlet 'west'" in said(*till, "west/T1", *desk)[2]


def test_the_key_of_an_account(said: Said, place: Path) -> None:
    """The owner proves the new key; the desk, whose account it is here, sets it, and later revokes it."""
    for name, key in (("owner", world.OTHERS[1]), ("desk2", world.DESK)):
        key.save(place / f"{name}.pem")
    with Bank.open(place / "bank") as bank:
        account = ids.format(world.record(bank).accounts()["converted"])
    shown = json.loads(said("key", "show", "bank", account, "--json")[1])
    assert (shown["custodial"], shown["operator"], shown["next_epoch"]) == (True, 1, 1)
    assert "custodial, its operator signs" in said("key", "show", "bank", account)[1]
    proof = ("key", "prove", "owner.pem", "--ledger", shown["ledger"], "--account", account)
    wrong, right = (said(*proof, "--epoch", epoch)[1].strip() for epoch in ("2", "1"))
    call = ("key", "set", "bank", account, "--public-key", "owner.pem", "--key", "desk2.pem", "--proof")
    assert "the proof is not a signature of" in said(*call, wrong)[2]
    assert "--proof is not hexadecimal" in said(*call, "x")[2]
    assert "'it was lost' is not a reason" in said(*call, right, "--reason", "it was lost")[2]
    assert "may not request key.set" in said(*call[:-3], "--key", "ann.pem", "--proof", right)[2]
    code, out, _ = said(*call, right)
    assert (code, out.split(" from ")[0]) == (0, f"account {account}: key epoch 1")
    assert json.loads(said("key", "show", "bank", account, "--json")[1])["key"] == str(world.OTHERS[1].public)
    code, out, _ = said("key", "revoke", "bank", account, "--reason", "stolen", "--key", "desk2.pem")
    assert (code, out.split(" from ")[0]) == (0, f"account {account}: key epoch 2")
    code, out, _ = said("key", "show", "bank", account)
    assert "no key (stolen)" in out
    assert "no key: it was revoked, and nobody signs until" in out
    assert json.loads(said("key", "show", "bank", account, "--json")[1])["custodial"] is False
    with Bank.open(place / "bank") as bank:
        assert bank.check() == []
