"""Commands of the day: close, countersign, breaks, and packs checked elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.bank import world

from sycee import cli
from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.identity.duties import Duty

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bank whose first day is closed and countersigned by another person."""
    folder = tmp_path_factory.mktemp("day")
    world.founded("").copy(folder)
    for name, key in (("ann", world.ANN), ("wu", world.WITNESS), ("carol", world.NORTH)):
        key.save(folder / f"{name}.pem")
    with Bank.open(folder / "bank") as bank:
        ann = bank.people.person_of_key(world.ANN.public)
        one = bank.appointments.appoint(
            Duty.COUNTERSIGNER, world.NORTH.public, until_ns=world.START_NS + 99 * world.DAY_NS, maker=ann
        )
        bank.proposals.sign(one.id, world.ANN, world.BOB)
        bank.set_clock(world.START_NS + 16 * world.HOUR_NS)
    return folder


@pytest.fixture
def said(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    monkeypatch.chdir(place)

    def call(*words: str) -> tuple[int, str, str]:
        code = cli.main(list(words))
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_a_day(said: Said, place: Path) -> None:
    code, out, _ = said("day", "close", "bank", "2026-11-02", "--key", "ann.pem", "--witness", "wu.pem")
    assert code == 0
    assert "0 payments, 0 open breaks; pack " in out
    assert said("day", "close", "bank", "2026-11-02", "--key", "ann.pem")[1] == out  # as it is
    code, _, err = said("day", "countersign", "bank", "2026-11-02", "--key", "ann.pem")
    assert code == 2
    assert "may not request day.countersign" in err
    code, out, _ = said("day", "countersign", "bank", "2026-11-02", "--key", "carol.pem", "--out", "02.json")
    assert (code, out) == (0, "pack of 2026-11-02 has two signatures: 02.json\n")
    assert (
        "02.json exists already"
        in said("day", "countersign", "bank", "2026-11-02", "--key", "carol.pem", "--out", "02.json")[2]
    )
    assert (place / "02.json").read_bytes() == (place / "bank" / "packs" / "2026-11-02.json").read_bytes()
    shown = json.loads(said("day", "list", "bank", "--json")[1])
    assert ([each["state"] for each in shown["days"]], shown["next"]) == (["signed"], "2026-11-03")
    assert "next: 2026-11-03" in said("day", "list", "bank")[1]
    keys = [word for key in (world.ANN, world.NORTH) for word in ("--key", str(key.public))]
    report = json.loads(said("day", "verify", "02.json", "--ledger", "bank", *keys, "--json")[1])
    assert (report["packs"], report["findings"]) == (1, ["the packs are of a rehearsal"])
    code, _, err = said("day", "verify", "02.json", "--key", str(world.BOB.public))
    assert code == 3
    assert "which is none of the given keys" in err


def test_a_break(said: Said, place: Path) -> None:
    """A statement with a line that the ledger does not have opens a break; a person is named, and closes it."""
    with Bank.open(place / "bank") as bank:
        account = ids.format(world.record(bank).accounts()["suspense"])
        bank.set_clock(world.START_NS + 40 * world.HOUR_NS)
        ann = ids.format(bank.people.person_of_key(world.ANN.public))
    (place / "bank.csv").write_text(f"account,direction,amount,operation,reference\n{account},in,12.50,,N-1\n")
    close = ("day", "close", "bank", "2026-11-03", "--key", "ann.pem")
    code, out, err = said(*close, "--statement", "bank.csv")
    assert code == 0, err
    assert "1 open break; pack " in out
    (found,) = json.loads(said("day", "breaks", "bank", "--json")[1])["breaks"]
    assert (found["minor"], found["owner"]) == ("-1250", "")
    number = str(found["number"])
    assert said("day", "breaks", "bank")[1].count("12.50") == 1
    code, out, _ = said("day", "assign", "bank", number, "--owner", ann, "--key", "carol.pem")
    assert code == 2  # a countersigner may not
    code, out, err = said("day", "assign", "bank", number, "--owner", ann, "--key", "ann.pem")
    assert "may not request day.break" in err  # an officer may not either
    assert "'x' is no number of a break" in said("day", "assign", "bank", "x", "--owner", ann, "--key", "ann.pem")[2]
    with Bank.open(place / "bank") as bank:
        one = bank.appointments.appoint(
            Duty.CLOSER, world.SOUTH.public, until_ns=world.START_NS + 99 * world.DAY_NS,
            maker=bank.people.person_of_key(world.ANN.public),
        )  # fmt: skip
        bank.proposals.sign(one.id, world.ANN, world.BOB)
    world.SOUTH.save(place / "closer.pem")
    code, out, _ = said("day", "assign", "bank", number, "--owner", ann, "--key", "closer.pem", "--case", "7")
    assert (code, out) == (0, f"break {number} is owned by {ann}\n")
    (found,) = json.loads(said("day", "breaks", "bank", "--json")[1])["breaks"]
    assert (found["owner"], found["case"]) == (ann, 7)
    call = ("day", "resolve", "bank", number, "--key", "closer.pem", "--reason")
    assert "36 characters" in said(*call, "x" * 36)[2]
    code, out, _ = said(*call, "booked twice")
    assert (code, out) == (0, f"break {number} is closed\n")
    assert json.loads(said("day", "breaks", "bank", "--json")[1]) == {"breaks": []}
    assert "booked twice" in said("day", "breaks", "bank", "--all")[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["close", "bank", "tomorrow", "--key", "ann.pem"], "'tomorrow' is not a day"),
        (["close", "bank", "2026-11-07", "--key", "ann.pem"], "is no business day in the calendar weekends: Saturday"),
        (["close", "bank", "2026-12-01", "--key", "ann.pem"], "which is not closed"),
        (["countersign", "bank", "2026-12-01", "--key", "carol.pem"], "2026-12-01 is not closed"),
        (["resolve", "bank", "99", "--reason", "x", "--key", "ann.pem"], "day.break"),
        (["verify"], "PACKS is missing: sycee day verify PACKS"),
        (["verify", "absent.json"], "there is no such file"),
    ],
)
def test_wrong_words(said: Said, words: list[str], message: str) -> None:
    code, out, err = said("day", *words)
    assert (code, out) == (2, "")
    assert message in err
