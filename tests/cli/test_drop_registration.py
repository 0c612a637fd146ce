"""Registration for a programme by commands: a person, a file, check and code, appeals, receipt and look-up."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from tests.programmes.registering import CASEWORKER, NAME, NORTH, prepared
from tests.programmes.world import ACCOUNTS

from sycee.bank.bank import Bank
from sycee.core import ids


def test_registration_by_commands(sycee: Any, tmp_path: Path) -> None:
    prepared("").copy(tmp_path)
    bank, north, caseworker = tmp_path / "bank", tmp_path / "north.key", tmp_path / "caseworker.key"
    for path, key in ((north, NORTH), (caseworker, CASEWORKER)):
        key.save(path)

    def drop(command: str, *words: object) -> Any:
        return sycee("drop", command, bank, *words)

    desk = ("--key", north)
    receipt = tmp_path / "receipt.json"
    made = drop("register", NAME, "--document", "1001", "--bank", "north", "--receipt", receipt, *desk)
    assert (made.code, made.out.splitlines()[0]) == (0, "entry 0 is registered"), made.err
    assert set(json.loads(receipt.read_text())) == {"document", "phone", "salt"}
    assert receipt.stat().st_mode & 0o077 == 0
    refused = drop("register", NAME, "--document", "10x1", "--bank", "north", *desk)
    assert (refused.code, "10x1" in refused.err) == (2, False)

    people, salts = tmp_path / "people.csv", tmp_path / "salts.csv"
    people.write_text("document,phone,bank\n1002,,south\n1001,,north\n12y,,north\n")
    read = drop("import", NAME, people, "--confirmed", "--receipts", salts, *desk)
    assert (read.code, read.out) == (0, "2 of 3 rows registered\nrefused: 1 INVALID_DOCUMENT\n"), read.err
    assert "note: row 3, document: the document is not a number" in read.err.replace("\n", " ")
    assert [row["entry"] for row in csv.DictReader(salts.read_text().splitlines())] == ["1", "2"]
    again = drop("import", NAME, people, "--confirmed", "--json", *desk).json()
    assert (again["registered"], again["refused"]) == (2, {"INVALID_DOCUMENT": 1})

    assert "1 duplicate found, 0 excluded now" in drop("screen", NAME).out
    counted = drop("entries", NAME, "--json").json()["entries"]
    assert {(each["state"], each["entries"]) for each in counted} == {
        ("registered", 1), ("confirmed", 1), ("duplicate", 1),
    }  # fmt: skip
    (duplicate,) = drop("entries", NAME, "--state", "duplicate", "--json").json()["entries"]
    assert (duplicate["entry"], duplicate["reason"], duplicate["accepted"]) == (2, "same-document", 0)
    assert "confirmed" in drop("entries", NAME).out
    without = drop("entries", NAME, "--after", 1)
    assert (without.code, without.out, "--after needs --state" in without.err) == (2, "", True)

    codes = tmp_path / "codes.csv"
    assert "1 entry checked" in drop("check-entries", NAME, "--codes", codes, *desk).out
    (row,) = csv.DictReader(codes.read_text().splitlines())
    shown = drop("check-entries", NAME, "--entry", 0, *desk)
    assert f"entry 0: code {row['code']}" in shown.out
    wrong = drop("code", NAME, 0, f"{(int(row['code']) + 1) % 10**6:06}", *desk)
    assert (wrong.code, "another one of 6 digits" in wrong.err) == (2, True)
    assert drop("code", NAME, 0, row["code"], *desk).out == "entry 0 is confirmed\n"

    none = drop("appeals", NAME)
    assert (none.code, none.out, none.err) == (0, "", "there are no appeals\n")
    text = tmp_path / "text"
    text.write_text("It is another card.")
    filed = drop("appeal", NAME, 2, text, *desk)
    assert "of entry 2 against duplicate: same-document" in filed.out, filed.err
    (appeal,) = drop("appeals", NAME, "--json").json()["appeals"]
    worker = ("--key", caseworker)
    assert drop("appeals", NAME, "--show", appeal["appeal"], *worker).out == "It is another card.\n"
    decided = drop("decide", appeal["appeal"], "--refuse", "--answer", text, *worker)
    assert (decided.code, decided.out) == (0, "entry 2 is duplicate: same-document\n"), decided.err
    assert "entry 1 is excluded: other" in drop("exclude", NAME, 1, "--reason", "other", *desk).out
    assert drop("withdraw", NAME, 0, *desk).out == "entry 0 is withdrawn\n"
    told = drop("messages", NAME, "--state", "withdrawn").out
    assert told == "withdrawn: Autumn packets: registration {entry} was withdrawn, as you wished.\n"
    assert drop("messages", NAME, "--state", "gone").code == 2
    texts = tmp_path / "texts.toml"
    texts.write_text('languages = ["en"]\n[en]\nwithdrawn = "{entry} is gone."\n')
    assert drop("messages", NAME, "--replace", texts, *desk).out == "stored: texts in en\n"
    (row,) = drop("messages", NAME, "--state", "withdrawn", "--json").json()["messages"]
    assert row == {"state": "withdrawn", "text": "{entry} is gone.", "open": ["entry"]}
    removals = drop("removals", NAME, "--json").json()["removals"]
    assert [(each["entry"], each["kind"], each["state"]) for each in removals] == [
        (1, "excluded", "left"), (0, "withdrawn", "left"),
    ]  # fmt: skip
    decided = drop("decide-removal", 1, "--allow", *worker)
    assert (decided.code, "the exclusion was decided before: left" in decided.err) == (2, True), decided.err

    with Bank.open(bank) as opened:
        customer = opened.directory.get(ids.to_int(ACCOUNTS[0])).holder
        who = opened.people.person_of_key(CASEWORKER.public)
        case = opened.cases.open("complaint", by=who, person=customer)
    reading = ("--reason", "complaint", "--case", case, *worker)
    looked = drop("lookup", NAME, "--document", "1001", "--json", *reading).json()["entries"]
    assert [(each["entry"], each["state"]) for each in looked] == [(0, "withdrawn"), (2, "duplicate")]
    answer = drop("lookup", NAME, "--entry", 1, *reading)
    assert "entry 1: your registration is excluded: other" in answer.out, answer.err
    assert "nobody registered with it" in drop("lookup", NAME, "--phone", "+8613911112222", *reading).out
    written = drop("receipt", NAME, 0, tmp_path / "again.json", *reading)
    assert (written.code, (tmp_path / "again.json").read_text()) == (0, receipt.read_text()), written.err
