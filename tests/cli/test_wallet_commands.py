"""Commands of wallets and payments: what they print, what they refuse, and what no stream contains."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image
from tests.wallets import world

from sycee import cli
from sycee.bank.bank import Bank
from sycee.core import ids

Said = Callable[..., tuple[int, str, str]]
LEO, MIA, NED = world.LEO["phone"], world.MIA["phone"], world.NED["phone"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the town's bank, and the key files of its people."""
    return _town(tmp_path_factory.mktemp("wallets"))


def _town(folder: Path) -> Path:
    world.settled("").copy(folder)
    keys = {"north": world.NORTH, "leo": world.LEO_KEY, "mia": world.MIA_KEY, "stranger": world.STRANGER}
    for name, key in keys.items():
        key.save(folder / f"{name}.pem")
    settings = folder / "bank" / "sycee.toml"
    settings.write_text(settings.read_text() + 'country = "CN"\ncity = "Suzhou"\nphone_prefix = "+86"\n')
    return folder


@pytest.fixture
def said(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    monkeypatch.chdir(place)

    def call(*words: str) -> tuple[int, str, str]:
        code = cli.main(list(words))
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_a_list_of_citizens_is_opened(said: Said, place: Path) -> None:
    rows = [
        "name,phone",
        "Ada Marked,139 0000 0001",
        "Bo Marked,no phone",
        f"Cy Marked,{LEO}",
        "Di Marked,139 0000 0004",
    ]
    (place / "citizens.csv").write_text("\n".join(rows) + "\n")
    code, out, err = said(
        *("wallet", "open", "bank", "--operator", "North Bank", "--tier", "class-4", "--from", "citizens.csv"),
        *("--accounts", "opened.csv", "--key", "north.pem"),
    )
    assert (code, out) == (
        0,
        "2 wallets opened, 2 refused: 1 INVALID_PHONE, 1 DUPLICATE_PHONE (rows in citizens.refused.csv)\n",
    )
    assert (place / "citizens.refused.csv").read_text() == "row,code\n3,INVALID_PHONE\n4,DUPLICATE_PHONE\n"
    opened = (place / "opened.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in opened] == ["row", "2", "5"]
    account = opened[1].split(",")[1]
    code, out, _ = said("wallet", "show", "bank", account, "--json")
    shown = json.loads(out)
    assert (shown["class"], shown["signs"], shown["aliases"]) == ("class-4", "its operator (custodial)", ["phone"])
    assert "Marked" not in out + err


def test_one_wallet_is_opened_with_a_key_of_its_own(said: Said, place: Path) -> None:
    (place / "zoe.csv").write_text("name,phone\nZoe,139 0000 0100\n")
    call = ("wallet", "open", "bank", "--operator", "2", "--from", "zoe.csv", "--key", "north.pem")
    code, _, err = said(*call, "--tier", "class-9", "--wallet-key", "stranger.pem")
    assert (code, "has no class" in err) == (2, True)
    code, out, _ = said(*call, "--tier", "class-2", "--wallet-key", "stranger.pem")
    assert code == 0
    assert "open: class class-2, operator 2, own key; holder " in out
    person = out.strip().rpartition(" ")[2]
    code, out, _ = said("wallet", "list", "bank", person, "--json")
    assert [each["signs"] for each in json.loads(out)["wallets"]] == ["its key"]
    code, out, _ = said(
        *("wallet", "open", "bank", "--operator", "2", "--tier", "class-4", "--person", person, "--key", "north.pem")
    )
    assert (code, "custodial" in out) == (0, True)


def test_a_payment_shows_a_masked_name_before_it(said: Said) -> None:
    code, out, err = said("pay", "bank", LEO, MIA, "12.50", "--reference", "for the tickets", "--key", "leo.pem")
    assert code == 0
    assert out.startswith("paid 12.50 CNY: operation 0")
    assert "paying 12.50 CNY to M** W*\n" in err
    assert "tickets" not in out + err
    code, _, err = said("pay", "bank", LEO, MIA, "12.50", "--key", "mia.pem")
    assert (code, "no --key is the key of wallet" in err) == (2, True)
    code, _, err = said("pay", "bank", LEO, MIA, "9999.00", "--key", "leo.pem")
    assert (code, err.splitlines()[-1]) == (1, "error: nothing was paid: EXCEEDS_BALANCE")
    code, _, err = said("pay", "bank", LEO, "+86 138 7777 7777", "1.00", "--key", "leo.pem")
    assert (code, "7777" in err) == (2, False)


def test_an_order_at_a_till(said: Said) -> None:
    order = ("--till", "T1", "--order", "A-17")
    assert said("pay", "bank", LEO, "Tea house", "20.00", *order, "--key", "leo.pem")[0] == 0
    code, out, _ = said("merchant", "paid", "bank", "Tea house", "A-17")
    assert (code, out) == (0, "order A-17 is paid: 20.00 CNY at 2026-11-02 08:00, refunded 0.00\n")
    code, _, err = said("pay", "bank", LEO, "Tea house", "20.00", *order, "--key", "leo.pem")
    assert (code, "order A-17 is paid already" in err) == (2, True)
    refund = ("refund", "bank", "Tea house", "A-17")
    assert said(*refund, "3.00", "--till", "MAIN/T2", "--key", "north.pem")[0] == 0
    code, _, err = said(*refund, "17.01", "--key", "north.pem")
    assert (code, err.splitlines()[-1]) == (1, "error: nothing was refunded: EXCEEDS_REFUNDABLE")
    assert said("merchant", "paid", "bank", "Tea house", "A-18")[1] == "order A-18 is unknown\n"
    code, out, _ = said("merchant", "report", "bank", "Tea house", "--day", "2026-11-02")
    assert code == 0
    assert out.splitlines()[-1].startswith(
        "Tea house, 2026-11-02: opening 0.00 + gross 20.00 - refunds 3.00 - swept 0.00 + other 0.00 = closing 17.00 CNY"
    )
    report = json.loads(said("merchant", "report", "bank", "Tea house", "--day", "2026-11-02", "--json")[1])
    assert [(row["till"], row["gross_minor"], row["refunded_own_minor"]) for row in report["tills"]] == [
        ("T1", 20_00, 0),
        ("T2", 0, 3_00),
    ]
    code, out, _ = said("merchant", "sweep", "bank", "Tea house", "--key", "north.pem")
    assert (code, out.startswith("swept 17.00 CNY: bank reference SW-")) == (0, True)
    reference = out.split()[-1]
    assert said("merchant", "reject", "bank", reference, "--key", "north.pem")[1] == f"{reference} is rejected\n"
    swept = said("merchant", "sweep", "bank", "Tea house", "--key", "north.pem")[1].split()[-1]
    assert said("merchant", "confirm", "bank", swept, "--key", "north.pem")[1] == f"{swept} is confirmed\n"
    listed = json.loads(said("merchant", "sweeps", "bank", "Tea house", "--json")[1])["sweeps"]
    assert [each["state"] for each in listed] == ["rejected", "confirmed"]


def test_a_code_is_scanned_and_paid(said: Said, place: Path) -> None:
    code, out, _ = said(
        *("merchant", "qr", "bank", "Tea house", "--amount", "4.00", "--order", "B-1", "--till", "T1"),
        *("--png", "tea.png", "--svg", "tea.svg"),
    )
    assert code == 0
    (found,) = zxingcpp.read_barcodes(Image.open(place / "tea.png").convert("L"), formats=zxingcpp.BarcodeFormat.QRCode)
    assert found.text == out.strip()
    assert (place / "tea.svg").read_bytes().startswith(b"<?xml")
    code, _, err = said("pay", "bank", LEO, found.text, "5.00", "--key", "leo.pem")
    assert (code, "the QR code has another amount" in err) == (2, True)
    code, _, err = said("pay", "bank", LEO, found.text, "--key", "leo.pem")
    assert (code, "to Tea house" in err) == (0, True)
    assert "is paid: 4.00" in said("merchant", "paid", "bank", "Tea house", "B-1")[1]


def test_a_request_goes_round(said: Said, place: Path) -> None:
    new = ("request", "new", "bank", MIA, "6.00", "--until", "2026-11-02T18:00", "--payer", LEO)
    code, out, _ = said(*new, "--reference", "the tickets", "--png", "mia.png", "--key", "mia.pem")
    assert code == 0
    request = out.split()[1].rstrip(":")
    (listed,) = json.loads(said("request", "list", "bank", LEO, "--key", "leo.pem", "--json")[1])["requests"]
    assert (listed["request"], listed["payee"], listed["amount"], listed["text"]) == (
        request, "M** W*", "6.00", "the tickets",
    )  # fmt: skip
    text = said("request", "qr", "bank", request)[1].strip()
    (found,) = zxingcpp.read_barcodes(Image.open(place / "mia.png").convert("L"), formats=zxingcpp.BarcodeFormat.QRCode)
    assert found.text == text
    assert "Mia" not in text
    assert said("request", "pay", "bank", request, LEO, "--key", "leo.pem")[1].startswith("paid 6.00 CNY")
    code, _, err = said("request", "pay", "bank", request, LEO, "--key", "leo.pem")
    assert (code, "is paid" in err) == (2, True)
    declined, withdrawn = (said(*new, "--key", "mia.pem")[1].split()[1].rstrip(":") for _ in range(2))
    assert said("request", "decline", "bank", declined, "--key", "leo.pem")[0] == 0
    assert said("request", "withdraw", "bank", withdrawn, "--key", "mia.pem")[0] == 0
    asked = json.loads(said("request", "list", "bank", MIA, "--asked", "--key", "mia.pem", "--json")[1])["requests"]
    assert {each["request"]: each["state"] for each in asked} == {
        request: "paid", declined: "declined", withdrawn: "withdrawn",
    }  # fmt: skip


def test_the_excess_of_a_waterfall_is_paid_to_the_bank(
    said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = _town(tmp_path)
    monkeypatch.chdir(place)
    with Bank.open(place / "bank") as bank:
        town = world.town(bank)
        balance, ned, holder = town.balance(town.ned), ids.format(town.ned), ids.format(town.holder(town.ned))
        town.fund(town.ned, 10_000_00 - balance, "W-1")
    assert said("wallet", "waterfall", "bank", ned, "--bank-account", "CN990000", "--key", "north.pem")[0] == 0
    assert said("pay", "bank", LEO, ned, "3.00", "--key", "leo.pem")[0] == 0
    listed = ("funding", "waterfalls", "bank", "2", "--json", "--key", "north.pem")
    (row,) = json.loads(said(*listed)[1])["waterfalls"]
    assert (row["wallet"], row["amount"], row["bank_account"]) == (ned, "3.00", None)
    shown = said(*listed, "--reason", "payment")
    assert json.loads(shown[1])["waterfalls"][0]["bank_account"] == "CN990000"
    code, _, err = said(*listed, "--reason", "due-diligence")
    assert (code, "needs an open case" in err) == (2, True)
    assert said("case", "open", "bank", "complaint", "--person", holder, "--key", "north.pem")[0] == 0
    shown = said(*listed, "--reason", "due-diligence", "--case", "1")
    assert json.loads(shown[1])["waterfalls"][0]["bank_account"] == "CN990000"
    with Bank.open(place / "bank") as bank:
        assert bank.access.entries()[-1].fields == ("bank",)
    code, out, _ = said("funding", "confirm", "bank", "2", row["reference"], "--key", "north.pem")
    assert (code, out) == (0, f"{row['reference']} is confirmed\n")
    assert json.loads(said(*listed)[1]) == {"waterfalls": []}
    code, _, err = said("funding", "reject", "bank", "2", row["reference"], "--key", "north.pem")
    assert (code, "no payment under the reference" in err) == (2, True)


def test_aliases_and_classes(said: Said) -> None:
    assert said("wallet", "alias", "bank", LEO, "@leo", "--key", "leo.pem") == (
        0,
        "@leo is an alias of the wallet\n",
        "",
    )
    assert said("wallet", "resolve", "bank", "@LEO", "--key", "mia.pem")[1].endswith("  L** M**********\n")
    code, _, err = said("wallet", "alias", "bank", MIA, "@leo", "--key", "mia.pem")
    assert (code, "another wallet has this handle" in err) == (2, True)
    assert said("wallet", "alias", "bank", "@leo", "@leo", "--end", "--key", "leo.pem")[0] == 0
    assert "class class-3" in said("wallet", "class", "bank", LEO, "class-3", "--key", "north.pem")[1]
    code, _, err = said("wallet", "close", "bank", LEO, "--key", "north.pem")
    assert (code, "ACCOUNT_NOT_EMPTY" in err) == (1, True)
    assert "closed" in said("wallet", "close", "bank", NED, "--key", "north.pem")[1]


def test_a_phone_confirms_its_code(said: Said, place: Path) -> None:
    program = place / "send.sh"
    program.write_text("#!/bin/sh\ncat > code.json\n")
    program.chmod(0o755)
    code, out, err = said("wallet", "alias", "bank", LEO, "138 6666 0001", "--key", "leo.pem")
    assert (code, out.split(":")[1]) == (0, " a code waits for the phone\n")
    assert said("wallet", "codes", "bank", "--send", "absent.sh")[0] == 4
    assert said("wallet", "codes", "bank", "--send", "send.sh") == (0, "1 code sent\n", "")
    sent = json.loads((place / "code.json").read_text())
    assert (sent["phone"], sent["challenge"]) == ("+8613866660001", out.split()[1].rstrip(":"))
    assert sent["code"] not in out + err
    code, out, _ = said("wallet", "confirm", "bank", sent["challenge"], sent["code"])
    assert (code, out) == (0, "the phone is an alias of the wallet\n")
    assert said("wallet", "resolve", "bank", "+86 138 6666 0001", "--key", "mia.pem")[1].endswith("  L** M**********\n")
    code, _, err = said("wallet", "confirm", "bank", sent["challenge"], sent["code"])
    assert (code, "no longer valid" in err) == (2, True)


def test_a_statement_of_an_alias_is_read_without_a_lock(said: Said, place: Path) -> None:
    by_phone = json.loads(said("statement", "bank", MIA, "--json")[1])
    with Bank.open(place / "bank") as bank:  # the folder is locked by another program
        code, out, _ = said("statement", "bank", by_phone["account"], "--json")
        assert (code, json.loads(out)) == (0, by_phone)
        assert said("statement", "bank", MIA, "--json")[1] == out
        assert bank.check() == []
    code, _, err = said("statement", "bank", "+86 138 7777 7777")
    assert (code, "no wallet with this alias" in err, "7777" in err) == (2, True, False)
    code, _, err = said("statement", "nowhere", "@leo")
    assert code == 2


@pytest.mark.parametrize("amount", ["0", "-5.00"])
def test_an_amount_is_above_zero(said: Said, place: Path, amount: str) -> None:
    with Bank.open(place / "bank") as bank:
        before = len(bank.proposals.list()), len(bank.issuance.fundings())
    for words in (
        ("mint", "bank", "2", amount),
        ("redeem", "bank", "2", amount),
        ("reserves", "credit", "bank", "2", amount),
        ("funding", "to-wallet", "bank", "2", MIA, amount, "Z-1"),
        ("funding", "to-bank", "bank", LEO, amount, "Z-1"),
        ("pay", "bank", LEO, MIA, amount),
        ("request", "new", "bank", LEO, amount, "--until", "2026-11-02T18:00"),
        ("refund", "bank", world.TEA, "17", amount),
        ("hold", "new", "bank", LEO, MIA, amount, "--until", "2026-11-02T18:00"),
        ("case", "act", "bank", "1", "hold", "--amount", amount),
        ("merchant", "qr", "bank", world.TEA, "--amount", amount),
    ):
        signed = (
            () if words[1] == "qr" else ("--key", "leo.pem" if words[0] in ("pay", "request", "hold") else "north.pem")
        )
        code, _, err = said(*words, *signed)
        assert (code, f"the amount {amount} is not above 0" in err) == (2, True), (words, err)
    with Bank.open(place / "bank") as bank:
        assert (len(bank.proposals.list()), len(bank.issuance.fundings())) == before


def test_what_operators_read(said: Said) -> None:
    assert said("wallet", "renew", "bank", "--key", "north.pem")[1] == "0 wallets opened\n"
    assert said("wallet", "dormant", "bank", "--since", "2026-11-02", "--json")[1] == '{"wallets": []}\n'
    assert said("wallet", "refusals", "bank", "2", "--key", "north.pem", "--json")[1] == '{"refusals": []}\n'
    code, _, err = said("wallet", "refusals", "bank", "2", "--key", "leo.pem")
    assert (code, "no person has the key" in err) == (2, True)


def test_the_town_is_whole(place: Path) -> None:
    with Bank.open(place / "bank") as bank:
        assert bank.check() == []
        assert ids.format(bank.directory.open_of(bank.institutions.find("merchant", world.TEA).id).account)


def test_a_deposit_is_held_taken_and_released(said: Said) -> None:
    new = ("hold", "new", "bank", LEO, MIA, "9.00", "--until", "2026-11-05T12:00", "--key", "leo.pem")
    code, out, err = said(*new, "--reference", "the bicycle")
    assert (code, err) == (0, "holding 9.00 CNY for M** W*\n")
    hold = out.split()[1].rstrip(":")
    assert out == f"hold {hold}: 9.00 CNY until 2026-11-05T12:00\n"
    code, _, err = said("hold", "post", "bank", hold, "9.01", "--key", "mia.pem")
    assert (code, "nothing was paid: EXCEEDS_HELD" in err) == (1, True)
    code, _, err = said("hold", "post", "bank", hold, "--key", "leo.pem")
    assert (code, "no --key is the key of wallet" in err) == (2, True)
    assert said("hold", "extend", "bank", hold, "--until", "2026-11-06T12:00", "--key", "leo.pem") == (
        0, "the hold ends at 2026-11-06T12:00\n", "",
    )  # fmt: skip
    assert said("hold", "post", "bank", hold, "2.50", "--key", "mia.pem")[1].startswith("paid 2.50 CNY: operation ")
    other = said(*new)[1].split()[1].rstrip(":")
    assert said("hold", "void", "bank", other, "--key", "mia.pem") == (0, "the hold is released\n", "")
    code, _, err = said("hold", "void", "bank", other, "--key", "mia.pem")
    assert (code, "HOLD_DONE" in err) == (1, True)
    code, _, err = said("hold", "post", "bank", "0193-no-id", "--key", "mia.pem")
    assert code == 2
    code, _, err = said(*(word if word != "9.00" else "9999.00" for word in new))
    assert (code, "nothing is held: EXCEEDS_BALANCE" in err) == (1, True)
    listed = json.loads(said("hold", "list", "bank", MIA, "--key", "mia.pem", "--json")[1])["holds"]
    shown = {each["hold"]: (each["state"], each["held"], each["paid"], each["text"]) for each in listed}
    assert shown == {hold: ("posted", "0.00", "2.50", "the bicycle"), other: ("voided", "0.00", "0.00", "")}
    assert hold in said("hold", "list", "bank", MIA, "--key", "mia.pem")[1]


def test_what_a_hold_paid_is_refunded_at_a_till(said: Said) -> None:
    new = ("hold", "new", "bank", LEO, "Tea house", "9.00", "--until", "2026-11-05T12:00", "--key", "leo.pem")
    by_order, without = (
        said(*new, *more)[1].split()[1].rstrip(":") for more in (("--order", "R-1"), ("--reference", "room 2"))
    )
    refund = ("refund", "bank", "Tea house")
    at_till = ("--till", "T2", "--key", "north.pem")
    assert said("merchant", "paid", "bank", "Tea house", "R-1")[1] == (
        "order R-1 is held: 9.00 CNY since 2026-11-02 08:00\n"
    )
    code, _, err = said(*refund, without, "1.00", *at_till)
    assert (code, f"hold {without} paid nothing" in err) == (2, True)
    posts = [said("hold", "post", "bank", hold, "--key", "north.pem")[1].split()[-1] for hold in (by_order, without)]
    for named, amount in (("R-1", "2.00"), (by_order, "3.00"), (posts[0], "4.00"), (without, "9.00")):
        code, out, _ = said(*refund, named, amount, *at_till)
        assert (code, out.startswith(f"refunded {amount} CNY: operation ")) == (0, True), named
    code, _, err = said(*refund, "R-1", "0.01", *at_till)
    assert (code, err.splitlines()[-1]) == (1, "error: nothing was refunded: EXCEEDS_REFUNDABLE")
    assert said("merchant", "paid", "bank", "Tea house", "R-1")[1] == (
        "order R-1 is paid: 9.00 CNY at 2026-11-02 08:00, refunded 9.00\n"
    )
    to_mia = said("pay", "bank", LEO, MIA, "1.00", "--reference", "x", "--key", "leo.pem")[1].split()[-1]
    code, _, err = said(*refund, to_mia, "1.00", *at_till)
    assert (code, "was not paid to this merchant" in err) == (2, True)
    plain = said("pay", "bank", LEO, "Tea house", "1.00", "--key", "leo.pem")[1].split()[-1]
    code, _, err = said(*refund, plain, "1.00", *at_till)
    assert (code, "was made at no till" in err, "hint: refund it without a till" in err) == (2, True, True)
    code, out, _ = said(*refund, plain, "1.00", "--key", "north.pem")
    assert (code, out.startswith("refunded 1.00 CNY: operation ")) == (0, True)
    code, _, err = said(*refund, ids.format(1), "1.00", "--key", "north.pem")
    assert (code, "there is no payment" in err, "sycee hold post" in err) == (2, True, True)


def test_missing_money_comes_from_the_bank_account(said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = _town(tmp_path)
    monkeypatch.chdir(place)
    pay = ("pay", "bank", MIA, "Tea house", "510.00", "--from-bank", "--key", "mia.pem")
    code, _, err = said(*pay)
    assert (code, "has no bank account" in err) == (2, True)
    assert said("wallet", "waterfall", "bank", MIA, "--bank-account", "CN990000", "--key", "north.pem")[0] == 0
    mandate = ("wallet", "mandate", "bank", MIA)
    assert said(*mandate, "--day-max", "15.00", "--key", "mia.pem")[1] == (
        "payments may take up to 15.00 CNY a day from the bank account\n"
    )
    code, out, _ = said(*pay, "--order", "B-7")
    assert (code, out.startswith("the bank is asked for 10.00 CNY: reference RW-")) == (0, True)
    reference = out.split()[8].rstrip(";")
    code, _, err = said(*pay)
    assert (code, "lacks 1000 minor units, and the mandate permits 500 today" in err) == (2, True)
    (row,) = json.loads(said("funding", "shortfalls", "bank", "2", "--json", "--key", "north.pem")[1])["shortfalls"]
    assert (row["reference"], row["missing"], row["until"]) == (reference, "10.00", "2026-11-02 09:00")
    assert "CN990000" in said("funding", "shortfalls", "bank", "2", "--reason", "payment", "--key", "north.pem")[1]
    assert said("funding", "reject", "bank", "2", reference, "--key", "north.pem")[1] == f"{reference} is rejected\n"
    again = said(*pay, "--order", "B-7")[1].split()[8].rstrip(";")
    done = said("funding", "confirm", "bank", "2", again, "--key", "north.pem")
    assert done == (0, f"{again} is confirmed and paid\n", "")
    assert said("merchant", "paid", "bank", "Tea house", "B-7")[1].startswith("order B-7 is paid: 510.00 CNY")
    assert said("pay", "bank", LEO, "Tea house", "1.00", "--from-bank", "--key", "leo.pem")[0] == 0  # lacks nothing
    assert said(*mandate, "--key", "north.pem")[1] == "the mandate has ended\n"
    code, _, err = said(*mandate, "--key", "north.pem")
    assert (code, "has no mandate" in err) == (2, True)
