"""Registration, packets and vouchers of programmes with --server: people and appeals, winners and claims, shops."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.cli.test_remote_drop import called, register_programs
from tests.programmes.registering import ANN, BOB, CASEWORKER, NAME, NORTH, drawn, person, prepared
from tests.programmes.world import ACCOUNTS, PEOPLE, moment
from tests.vouchers.town import GROUP, town

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.records import operations
from sycee.core.words import quantity

Done = Callable[..., str]
OWN = ["--key", "north.pem"]


@contextmanager
def desk(
    bank: Bank, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, group: str = "drop"
) -> Iterator[Done]:
    """Yield what runs a command of a group, expects an exit code, and returns what was printed."""
    monkeypatch.setattr("sycee.cli.remote_options.DEADLINE_S", 300.0)  # also on a machine that does other work
    with called(bank, capsys, group) as call:

        def done(*words: object, by: str = "north", code: int = 0) -> str:
            found, text = call(*map(str, words), by=by)
            assert found == code, text
            return text

        yield done


@pytest.fixture
def registering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bank]:
    """A bank whose programme registers people, in whose folder are the keys of three programs."""
    prepared("").copy(tmp_path)
    monkeypatch.chdir(tmp_path)
    with Bank.open(tmp_path / "bank") as bank:
        register_programs(bank, tmp_path, worker=CASEWORKER)
        yield bank


def test_registration_over_a_server(
    registering: Bank, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with desk(registering, capsys, monkeypatch) as drop:
        register = ["register", NAME, "--document", "1001", "--bank", "north", "--receipt", "receipt.json"]
        assert drop(*register).splitlines()[0] == "entry 0 is registered"
        receipt = Path("receipt.json")
        assert (set(json.loads(receipt.read_text())), receipt.stat().st_mode & 0o077) == (
            {"document", "phone", "salt"}, 0,
        )  # fmt: skip
        assert "10x1" not in drop("register", NAME, "--document", "10x1", "--bank", "north", code=2)

        # A file is read in parts; the same file again registers nobody twice.
        monkeypatch.setattr("sycee.cli.remote_drop_people.IMPORT_ROWS_MAX", 2)
        Path("people.csv").write_text("document,phone,bank\n1002,,south\n1\n1001,,north\n12y,,north\n")
        shown = drop("import", NAME, "people.csv", "--confirmed")
        assert "2 of 4 rows registered" in shown
        assert "row 4, document: the document is not a number" in shown.replace("\n", " ")
        again = json.loads(drop("import", NAME, "people.csv", "--confirmed", "--json"))
        assert (again["registered"], again["refused"]) == (2, {"INVALID_DOCUMENT": 1, "WRONG_CELLS": 1})
        assert [each["row"] for each in again["faults"]] == [2, 4]

        assert "1 duplicate found, 0 excluded now" in drop("screen", NAME)
        counted = json.loads(drop("entries", NAME, "--json"))["entries"]
        assert {(each["state"], each["entries"]) for each in counted} == {
            ("registered", 1), ("confirmed", 1), ("duplicate", 1),
        }  # fmt: skip
        (duplicate,) = json.loads(drop("entries", NAME, "--state", "duplicate", "--json"))["entries"]
        assert (duplicate["entry"], duplicate["reason"], duplicate["accepted"]) == (2, "same-document", 0)
        assert json.loads(drop("entries", NAME, "--state", "duplicate", "--after", 2, "--json"))["entries"] == []

        assert "1 entry checked" in drop("check-entries", NAME, "--codes", "codes.csv")
        (row,) = csv.DictReader(Path("codes.csv").read_text().splitlines())
        assert f"entry 0: code {row['code']}" in drop("check-entries", NAME, "--entry", 0)
        wrong = f"{(int(row['code']) + 1) % 10**6:06}"
        assert "another one of 6 digits" in drop("code", NAME, 0, wrong, code=2)
        assert drop("code", NAME, 0, row["code"]) == "entry 0 is confirmed\n"

        Path("text").write_text("It is another card.")
        assert "of entry 2 against duplicate: same-document" in drop("appeal", NAME, 2, "text")
        (appeal,) = json.loads(drop("appeals", NAME, "--state", "open", "--json"))["appeals"]
        assert drop("appeals", NAME, "--show", appeal["appeal"], by="worker") == "It is another card.\n"
        drop("appeals", NAME, "--show", appeal["appeal"], code=2)  # a clerk decides nothing
        decide = ["decide", appeal["appeal"], "--answer", "text", "--refuse"]
        assert drop(*decide, by="worker") == "entry 2 is duplicate: same-document\n"
        assert "entry 1 is excluded: other" in drop("exclude", NAME, 1, "--reason", "other")
        assert drop("withdraw", NAME, 0) == "entry 0 is withdrawn\n"
        removals = json.loads(drop("removals", NAME, "--json", by="worker"))["removals"]
        assert [(each["entry"], each["kind"]) for each in removals] == [(1, "excluded"), (0, "withdrawn")]
        assert "was decided before" in drop("decide-removal", removals[0]["removal"], "--allow", by="worker", code=2)

        assert "registration {entry} was withdrawn" in drop("messages", NAME, "--state", "withdrawn")
        Path("texts.toml").write_text('languages = ["en"]\n[en]\nwithdrawn = "{entry} is gone."\n')
        assert drop("messages", NAME, "--replace", "texts.toml") == "stored: texts in en\n"
        assert '"{entry} is gone."' in drop("messages", NAME, "--state", "withdrawn", "--json")
        assert "there is no state" in drop("messages", NAME, "--state", "gone", code=2)

        customer = registering.directory.get(ids.to_int(ACCOUNTS[0])).holder
        case = registering.cases.open("complaint", by=person(registering, CASEWORKER), person=customer)
        reading = ["--reason", "complaint", "--case", case]
        looked = json.loads(drop("lookup", NAME, "--document", "1001", "--json", *reading, by="worker"))["entries"]
        assert [(each["entry"], each["state"]) for each in looked] == [(0, "withdrawn"), (2, "duplicate")]
        answer = drop("lookup", NAME, "--entry", 1, *reading, by="worker")
        assert "entry 1: your registration is excluded: other" in answer
        drop("receipt", NAME, 0, "again.json", *reading, by="worker")
        assert Path("again.json").read_text() == receipt.read_text()


def test_winners_claim_and_the_rest_returns_over_a_server(
    registering: Bank, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bank, signers, north = registering, registering.signers(NORTH), person(registering, NORTH)
    rows = [
        f"{10**16 + n},+861390000{n:04},{('north', 'south')[n % 2]},{ids.format(ACCOUNTS[n])}" for n in range(PEOPLE)
    ]
    Path("people.csv").write_text("\n".join(["document,phone,bank,wallet", *rows]) + "\n")
    with desk(bank, capsys, monkeypatch) as drop:
        assert f"{PEOPLE} of {PEOPLE} rows registered" in drop("import", NAME, "people.csv", "--confirmed")
        assert "packets are assigned after its draw" in drop("winners", NAME, code=2)
        drawn(bank)
        terms = bank.programmes.propose_terms(NAME, maker=person(bank, ANN))
        assert bank.proposals.sign(terms.id, ANN, BOB).needs == ()
        bank.programmes.allot(NAME, signers=signers, who=north)
        bank.programmes.drop(NAME, signers=signers, who=north)
        bank.set_clock(moment(7, 9))
        own = [each for each in bank.registration_results.winners(NAME) if each.bank == "north"]
        found = json.loads(drop("winners", NAME, "--json"))["winners"]
        assert [(each["member"], each["bank"]) for each in found] == [
            (ids.format(each.member), "north") for each in own
        ]
        packets = quantity(len(own), "packet")
        assert f"{packets} in winners.csv" in drop("winners", NAME, "--output", "winners.csv")
        assert drop("claims", NAME, "winners.csv", *OWN) == f"{packets} claimed, 0 refused\n"
        again = drop("claims", NAME, "winners.csv", *OWN)
        assert again.startswith(f"0 packets claimed, {len(own)} refused: {len(own)} ")
        assert bank.programmes.figures(NAME, 0).claimed == len(own)

        bank.stores.jobs.wait()
        hour, *_ = drop("situations", NAME).splitlines()
        drop("situations", NAME, "--hour", hour, "--output", "page.html")
        assert "<html" in Path("page.html").read_text()
        drop("situations", NAME, "--hour", hour, code=2)
        bank.set_clock(moment(15))
        assert "160.00 CNY returned" in drop("expire", NAME)
        drop("report", NAME, "report")
        assert {"summary.csv", "summary.parquet"} <= {each.name for each in Path("report").iterdir()}
        assert bank.check() == []


def test_vouchers_over_a_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with town(tmp_path) as place:
        register_programs(place.bank, tmp_path)
        with desk(place.bank, capsys, monkeypatch, "voucher") as voucher:
            until = ["--until", "2026-11-14T00:00+08:00"]
            proposal = voucher("propose", "winter", NAME, "10.00", *until, by="ann").split()[1]
            assert place.bank.proposals.sign(ids.parse(proposal), ANN, BOB).needs == ()
            groups = json.loads(voucher("groups", "--json"))["groups"]
            assert {(each["group"], each["state"]) for each in groups} == {(GROUP, "open"), ("winter", "open")}
            made = voucher("new", GROUP, "10.00", "--count", 2, *OWN)
            assert "2 of 2 vouchers of 10.00 CNY reserved" in made
            batch = made.split()[1].rstrip(":")
            voucher("numbers", batch, "--output", "numbers.csv")
            first, second = csv.DictReader(Path("numbers.csv").read_text().splitlines())
            assert Path("numbers.csv").stat().st_mode & 0o077 == 0
            Path("rows.csv").write_text(f"serial,beneficiary\n{first['serial']},CHILD-0001\n77,CHILD-0002\n")
            shown = voucher("activate", GROUP, "rows.csv", "--output", "results.csv", code=1)
            assert "1 of 2 vouchers activated" in shown
            assert "VOUCHER_NOT_FOUND" in shown
            assert [each["outcome"] for each in csv.DictReader(Path("results.csv").read_text().splitlines())] == [
                "done", "refused",
            ]  # fmt: skip
            redeem = ["redeem", first["number"], ids.format(place.tea), "4.00", *OWN]
            paid = voucher(*redeem, "--beneficiary", "CHILD-0001")
            assert "has 6.00 left" in paid
            assert voucher(*redeem[:3], "6.01", *OWN, code=1).count("EXCEEDS_VOUCHER") == 1
            steps = json.loads(voucher("show", first["serial"], "--json"))["steps"]
            assert [each["step"] for each in steps] == ["reserve", "print", "activate", "redeem"]
            assert "is activated: 10.00 CNY, redeemed 4.00" in voucher("show", first["serial"])

            payment = ids.parse(paid.partition("operation ")[2].split()[0])
            refund = operations.refund(place.bank.stores.ledger.new_id(), original=payment, amount=1_00)
            place.bank.stores.ledger.signed_by(*place.bank.signers(NORTH)).submit(refund)
            assert voucher("return", GROUP, *OWN) == "returned 1.00 CNY to the funder\n"
            assert "has no money" in voucher("return", GROUP, *OWN, code=2)
            assert "2 of 2 vouchers cancelled" in voucher("cancel", GROUP, first["serial"], second["serial"], *OWN)
            states = [each["state"] for each in csv.DictReader(voucher("batch", batch).splitlines())]
            assert states == ["cancelled", "cancelled"]
            assert "there is no group of vouchers 'none'" in voucher("new", "none", "1.00", *OWN, code=2)
