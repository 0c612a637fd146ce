"""`sycee clearing` on the folder of a bank with a house: messages in, answers out, sets and their certificates."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks import declarations
from tests.bank.world import ANN, BOB, NORTH, SOUTH
from tests.clearing import declared
from tests.clearing.test_gateway import TODAY, transfer
from tests.clearing.test_inbox import customers
from tests.clearing.test_member_messages import cancel, interrupted, pay_out, report, take
from tests.clearing.world import (
    CODES,
    EAST,
    EAST_BANK,
    HOUSE,
    NORTH_BANK,
    SOUTH_BANK,
    Place,
    cleared_bank,
    message_key,
    uetr,
)

from sycee.bank.bank import Bank
from sycee.clearing import member_messages
from sycee.clearing.tables import MESSAGES
from sycee.core.keys import SigningKey
from sycee.database.transactions import write as store
from sycee.iso20022.messages import read

CHECKER = Path(__file__).parents[2] / "tools" / "clearing_checker.py"
NAMES = {NORTH_BANK: "north", SOUTH_BANK: "south", EAST_BANK: "east"}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    people = {"ann": ANN, "bob": BOB, "north": NORTH, "south": SOUTH, "east": EAST, "house": HOUSE}
    for name, key in (people | {f"{NAMES[each]}-messages": message_key(each) for each in NAMES}).items():
        key.save(folder / f"{name}.pem")
    return folder


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    cleared_bank().copy(tmp_path / "place")
    return tmp_path / "place" / "bank"


def write(sycee: Any, bank: Path, keys: Path, folder: Path, sender: int, **files: bytes) -> Path:
    """Write and sign the messages of a participant."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{name}.xml" for name in files]
    for path, content in zip(paths, files.values(), strict=True):
        path.write_bytes(content)
    with Bank.open(bank) as opened:
        ledger = opened.stores.ledger.ledger_id.hex()
    key = keys / f"{NAMES[sender]}-messages.pem"
    assert sycee("clearing", "sign", *paths, "--ledger", ledger, "--participant", sender, "--key", key).code == 0
    return folder


def statuses(path: Path) -> list[tuple[str, str, str]]:
    return [
        (each.uetr, each.status, each.reasons[0].code if each.reasons else "")
        for each in read(path.read_bytes()).value.payments
    ]


def test_a_ring_is_delivered_settled_and_proved(sycee: Any, bank: Path, keys: Path, tmp_path: Path) -> None:
    ring = {NORTH_BANK: SOUTH_BANK, SOUTH_BANK: EAST_BANK, EAST_BANK: NORTH_BANK}
    for number, (sender, receiver) in enumerate(ring.items(), 1):
        content = transfer(number, sender=sender, receiver=CODES[receiver], minor=10**8)
        folder = write(sycee, bank, keys, tmp_path / NAMES[sender], sender, one=content)
        done = sycee("clearing", "deliver", bank, sender, folder, "--key", keys / f"{NAMES[sender]}.pem")
        assert (done.code, done.out) == (0, "1 file: 1 payment stored, 0 there before, 0 refused\n"), done.err
        assert statuses(folder / "one.answer.xml") == [(uetr(number), "PDNG", "")]
    assert len(sycee("clearing", "queue", bank, "--json").json()["payments"]) == 3
    released = sycee("clearing", "release", bank, "--key", keys / "house.pem")
    assert (released.code, released.out) == (0, "0 payments booked\n")
    settled = sycee("clearing", "settle", bank, "--seconds", "0.05", "--key", keys / "house.pem")
    found = re.fullmatch(r"set (\S+): 3 payments booked, 100.00 % of the bound\n", settled.out)
    assert found, settled.err
    assert sycee("clearing", "settle", bank, "--key", keys / "house.pem").out == "nothing can be settled\n"

    made = sycee("clearing", "certificate", bank, found.group(1), tmp_path / "proof")
    header = Path(made.out.splitlines()[0])
    own = sycee("clearing", "proof", bank, found.group(1), uetr(2))
    (tmp_path / "own.json").write_text(own.out)
    shutil.copy(header, tmp_path / "header.json")
    checker = [sys.executable, "-I", CHECKER, tmp_path / "header.json", "--proof", tmp_path / "own.json"]
    answer = subprocess.run(checker, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout.endswith("from SOUTCNB1XXX to EASTHKH1XXX, chosen\n")) == (0, True)
    assert sycee("clearing", "proof", bank, found.group(1), uetr(9)).code == 2
    assert sycee("clearing", "proof", bank, found.group(1), "payment 2").code == 2
    assert sycee("clearing", "verify", header).out.endswith("\nverification passed\n")
    assert sycee("clearing", "verify", header, "--json").json()["chosen"] == 3
    booked = sycee("clearing", "verify", header, "--bank", bank)
    assert "\nthe ledger booked this set, and had these positions\nverification passed\n" in booked.out, booked.err
    journal = sycee("clearing", "verify", header, "--journal", bank)
    end = "no payment is booked twice; 0 sets of these positions without a certificate here\nverification passed\n"
    assert journal.out.endswith(end), journal.err
    relabelled = re.sub(rb'"method":"[^"]*"', b'"method":"guess"', header.read_bytes())
    (tmp_path / "other").mkdir()
    shutil.copy(header.with_suffix(".rows"), tmp_path / "other")
    other = tmp_path / "other" / header.name
    other.write_bytes(relabelled)
    assert sycee("clearing", "verify", other).code == 0
    assert "certificate of set" in (wrong := sycee("clearing", "verify", other, "--bank", bank)).err
    assert wrong.code == 3
    header.write_bytes(header.read_bytes().replace(b'"value":300000000', b'"value":300000001'))
    forged = sycee("clearing", "verify", header)
    assert forged.code == 3
    assert "another" in forged.err

    for content, words in ((b"<a/>", "it is no JSON"), (b"[]", 'its "format" is not'), (b'{"format":1}', "format")):
        other.write_bytes(content)
        refused = sycee("clearing", "verify", other)
        assert (refused.code, words in refused.err, "SET.rows of the same set" in refused.err) == (2, True, True)
    shutil.copy(header, tmp_path / "alone.json")
    alone = sycee("clearing", "verify", tmp_path / "alone.json")
    assert alone.code == 2
    assert "alone.rows, the rows of the certificate" in alone.err.replace("\n", " ")
    assert sycee("clearing", "verify", tmp_path / "none.json").code == 2

    told = sycee("clearing", "reports", bank, tmp_path / "out")
    assert told.out == "3 payments reported in 3 files\n"
    (report,) = (tmp_path / "out" / CODES[NORTH_BANK]).iterdir()
    assert statuses(report) == [(uetr(1), "ACSC", "")]
    assert sycee("clearing", "reports", bank, tmp_path / "out").out == "0 payments reported in 0 files\n"


def test_opposite_payments_settle_on_arrival_and_at_a_release(
    sycee: Any, bank: Path, keys: Path, tmp_path: Path
) -> None:
    for number, sender, receiver in ((1, NORTH_BANK, SOUTH_BANK), (2, SOUTH_BANK, NORTH_BANK)):
        content = transfer(number, sender=sender, receiver=CODES[receiver], minor=10**9)
        folder = write(sycee, bank, keys, tmp_path / NAMES[sender], sender, one=content)
        deliver = ("clearing", "deliver", bank, sender, folder, "--key", keys / f"{NAMES[sender]}.pem")
        wrong = sycee(*deliver, "--house-key", keys / "north.pem")
        assert (wrong.code, "may not request clearing.settle" in wrong.err) == (2, True), wrong.err
        assert sycee(*deliver, "--house-key", tmp_path / "none.pem").code == 2
        done = sycee(*deliver, "--house-key", keys / "house.pem")
        assert done.code == 0, done.err
    assert statuses(tmp_path / "north" / "one.answer.xml") == [(uetr(1), "PDNG", "")]
    assert statuses(tmp_path / "south" / "one.answer.xml") == [(uetr(2), "ACSC", "")]
    north = write(sycee, bank, keys, tmp_path / "north", NORTH_BANK, two=transfer(3, minor=10**9 + 50_00))
    south = write(
        sycee, bank, keys, tmp_path / "south", SOUTH_BANK,
        two=transfer(4, sender=SOUTH_BANK, receiver=CODES[NORTH_BANK], minor=10**9),
        three=transfer(5, sender=SOUTH_BANK, receiver=CODES[EAST_BANK], minor=120_00),
    )  # fmt: skip
    for number, folder in ((NORTH_BANK, north), (SOUTH_BANK, south)):
        assert sycee("clearing", "deliver", bank, number, folder, "--key", keys / f"{NAMES[number]}.pem").code == 0
    released = sycee("clearing", "release", bank, "--key", keys / "house.pem")
    assert released.out == "1 payment booked\n1 set of two participants: 2 payments booked\n", released.err


@pytest.mark.parametrize("command", ["release", "settle"])
def test_a_payment_is_not_booked_after_its_end(
    sycee: Any, bank: Path, keys: Path, tmp_path: Path, command: str
) -> None:
    folder = write(sycee, bank, keys, tmp_path / "in", NORTH_BANK, one=transfer(1, until="12:00:00"))
    assert sycee("clearing", "deliver", bank, NORTH_BANK, folder, "--key", keys / "north.pem").code == 0
    assert sycee("clock", "set", bank, "2026-11-02T15:00").code == 0
    done = sycee("clearing", command, bank, "--key", keys / "house.pem")
    assert done.out in ("0 payments booked\n", "nothing can be settled\n"), done.err
    (row,) = sycee("clearing", "queue", bank, "--state", "cancelled", "--json").json()["payments"]
    assert (row["uetr"], row["reason"]) == (uetr(1), "TM01")


@pytest.mark.parametrize("command", ["release", "settle", "deliver"])
def test_a_cancellation_that_a_crash_interrupted_is_done_before_a_booking(
    sycee: Any, bank: Path, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    with Bank.open(bank) as opened:
        take(Place(opened), transfer(1))
        with monkeypatch.context() as crash:
            crash.setattr(member_messages.MemberMessages, "_cancel", interrupted)
            with pytest.raises(InterruptedError):
                take(Place(opened), cancel("C1", 1))
    if command == "deliver":
        folder = write(sycee, bank, keys, tmp_path / "in", NORTH_BANK, one=transfer(2))
        done = sycee("clearing", command, bank, NORTH_BANK, folder, "--key", keys / "north.pem")
    else:
        done = sycee("clearing", command, bank, "--key", keys / "house.pem")
    assert (done.code, "answered 1 message that came before an interruption" in done.err) == (0, True), done.err
    (row,) = sycee("clearing", "queue", bank, "--state", "cancelled", "--json").json()["payments"]
    assert (row["uetr"], row["reason"]) == (uetr(1), "DS02")
    again = sycee("clearing", "release", bank, "--key", keys / "house.pem")
    assert "interruption" not in again.err


def test_duplicates_get_the_first_answer(sycee: Any, bank: Path, keys: Path, tmp_path: Path) -> None:
    content = transfer(1, 2)
    folder = write(sycee, bank, keys, tmp_path / "in", NORTH_BANK, one=content)
    deliver = ("clearing", "deliver", bank, "North Bank", folder, "--key", keys / "north.pem")
    assert sycee(*deliver).code == 0
    first = (folder / "one.answer.xml").read_bytes()
    assert sycee(*deliver).out == "0 files: 0 payments stored, 0 there before, 0 refused\n"
    assert sycee("clearing", "release", bank, "--key", keys / "house.pem").out == "2 payments booked\n"
    shutil.copy(folder / "one.xml", folder / "again.xml")
    shutil.copy(folder / "one.xml.sig", folder / "again.xml.sig")
    assert sycee(*deliver).out == "1 file: 0 payments stored, 2 there before, 0 refused\n"
    assert (folder / "again.answer.xml").read_bytes() == first
    # Other bytes with the same UETRs and a new id of the message.
    other = content.replace(b">M1<", b">M9<")
    write(sycee, bank, keys, folder, NORTH_BANK, other=other)
    assert sycee(*deliver).code == 0
    assert (folder / "other.answer.xml").read_bytes() == first


def test_what_is_refused_is_answered_with_its_reason(sycee: Any, bank: Path, keys: Path, tmp_path: Path) -> None:
    files = {
        "a": transfer(1, receiver="NOBDCNB1XXX"),
        "b": transfer(2).replace(b"<UETR>", b"<UETR>x"),
        "c": transfer(3, sender=SOUTH_BANK, receiver=CODES[NORTH_BANK]),
        "d": transfer(4),
        "e": transfer(1, minor=7).replace(b">M1<", b">M5<"),
    }
    folder = write(sycee, bank, keys, tmp_path / "in", NORTH_BANK, **files)
    (folder / "d.xml").write_bytes(transfer(5))  # the signature is of other bytes
    (folder / "f.xml").write_bytes(transfer(6))  # none
    done = sycee("clearing", "deliver", bank, NORTH_BANK, folder, "--key", keys / "north.pem")
    assert (done.code, done.out) == (1, "6 files: 1 payment stored, 1 there before, 6 refused\n")
    assert re.search(r"^d\.xml is refused: the signature is not operator 2's", done.err, re.MULTILINE)
    assert re.search(r"^f\.xml is refused: .* cannot be read", done.err, re.MULTILINE)
    assert statuses(folder / "a.answer.xml") == [(uetr(1), "RJCT", "RC04")]
    assert statuses(folder / "e.answer.xml") == [(uetr(1), "RJCT", "DU03")]
    for name, words in (("b", "UETR"), ("c", "SOUTCNB1XXX sends it")):
        (group,) = read((folder / f"{name}.answer.xml").read_bytes()).value.groups
        assert group.status == "RJCT"
        assert words in " ".join(group.reasons[0].information)
    assert not (folder / "d.answer.xml").exists()
    rows = sycee("clearing", "queue", bank, "--state", "refused", "--json").json()["payments"]
    assert [(each["uetr"], each["receiver"], each["reason"]) for each in rows] == [(uetr(1), "-", "RC04")]
    assert sycee("clearing", "queue", bank, "--state", "lost").code == 2


def test_other_messages_are_answered_and_pay_outs_made(sycee: Any, bank: Path, keys: Path, tmp_path: Path) -> None:
    files = {"cancel": cancel("C1", 1), "money": pay_out("P1", 20_00), "pay": transfer(1, minor=10**9)}
    files["person"] = customers((2, CODES[SOUTH_BANK]))
    folder = write(sycee, bank, keys, tmp_path / "in", NORTH_BANK, **files)
    deliver = ("clearing", "deliver", bank, NORTH_BANK, folder, "--key", keys / "north.pem")
    done = sycee(*deliver)
    assert (done.code, done.out) == (0, "4 files: 2 payments stored, 0 there before, 0 refused, 2 requests answered\n")
    assert read((folder / "cancel.answer.xml").read_bytes()).value.status == "RJCR"  # the payment came later
    released = sycee("clearing", "release", bank, "--key", keys / "house.pem")
    assert released.out == "1 payment booked, 1 pay-out made, 0 refused\n"
    place_transfer(bank, 9)  # as damage would: the delivery has one message
    told = sycee("clearing", "reports", bank, tmp_path / "out")
    assert (told.code, told.out) == (3, "1 payment reported in 1 file, 1 pay-out in as many\n")
    assert "inbox message 1 of SOUTCNB1XXX is not written: the delivery has no pacs.008.001.08" in told.err
    place_transfer(bank, 0)
    told = sycee("clearing", "reports", bank, tmp_path / "out")
    assert (told.code, told.out) == (0, "0 payments reported in 0 files, 1 message forwarded\n")
    (receipt,) = (tmp_path / "out" / CODES[NORTH_BANK]).glob("pay-out-*.xml")
    (forwarded,) = (tmp_path / "out" / CODES[SOUTH_BANK]).iterdir()
    assert (forwarded.name, read(forwarded.read_bytes()).name) == ("inbox-1.xml", "pacs.008.001.08")
    (details,) = read(receipt.read_bytes()).value.details
    assert (details.original, details.handling[0].status) == ("P1", "COMP")
    assert sycee("clearing", "reports", bank, tmp_path / "out").out == "0 payments reported in 0 files\n"


def place_transfer(bank: Path, part: int) -> None:
    """Store that the transfer of a customer is this message of its delivery."""
    change = MESSAGES.update().where(MESSAGES.c.kind == "pacs.008.001.08").values(part=part)
    with Bank.open(bank) as opened:
        store(opened.stores.engine, lambda connection: connection.execute(change))


def test_money_moves_in_and_out_of_positions(sycee: Any, bank: Path, keys: Path) -> None:
    board, house = ("--key", keys / "ann.pem", "--key", keys / "bob.pem"), ("--key", keys / "house.pem")
    assert sycee("clearing", "prefund", bank, NORTH_BANK, "50.00", "--key", keys / "north.pem").code == 0
    assert sycee("clearing", "pay-out", bank, NORTH_BANK, "20.00", *house).code == 0
    assert sycee("clearing", "pay-out", bank, NORTH_BANK, "1,000,000.00", *house).code == 1
    assert sycee("clearing", "issue", bank, SOUTH_BANK, "7.00", "--currency", "HKD", *board).code == 0
    assert sycee("reserves", "credit", bank, "North Bank", "9.00", *board).code == 0
    assert sycee("clearing", "line", bank, NORTH_BANK, "9.00", *board, "--key", keys / "north.pem").code == 0
    assert sycee("clearing", "line", bank, EAST_BANK, "3.00", "--currency", "HKD", *board).code == 0
    assert sycee("clearing", "line", bank, EAST_BANK, "3.00", "--currency", "HKD", "--take", *board).code == 2
    assert sycee("clearing", "block", bank, SOUTH_BANK, *house).out == "the positions of 3 pay nothing more\n"
    rows = sycee("clearing", "positions", bank, "--json").json()["positions"]
    found = {(each["code"], each["currency"]): (each["position"], each["line"], each["state"]) for each in rows}
    assert found[CODES[NORTH_BANK], "CNY"] == ("130.00", "9.00", "open")
    assert found[CODES[SOUTH_BANK], "HKD"] == ("7.00", "0.00", "blocked")
    assert found[CODES[EAST_BANK], "HKD"] == ("0.00", "3.00", "open")
    assert rows[0]["may_pay"] == "139.00"


def test_officers_change_a_floor(sycee: Any, bank: Path, keys: Path) -> None:
    board = ("--key", keys / "ann.pem", "--key", keys / "bob.pem")
    floor = ("clearing", "floor", bank, NORTH_BANK)
    late = sycee(*floor, "20.00", "--from", "2020-11-02T09:00", *board)
    assert (late.code, "is not in the future" in late.err, "hint: " in late.err) == (2, True, True), late.err
    assert sycee(*floor, "-1", "--from", "2026-11-02T09:00", *board).code == 2
    assert sycee(*floor, "20.00", "--from", "soon", *board).code == 2
    below = sycee(*floor, "20.00", "--most", "10.00", "--from", "2026-11-02T09:00", *board)
    assert (below.code, "the largest balance is above it" in below.err) == (2, True), below.err
    assert sycee(*floor, "20.00", "--from", "2026-11-02T09:00", "--key", keys / "house.pem").code == 2
    made = sycee(*floor, "20.00", "--most", "500.00", "--from", "2026-11-02T09:00", *board)
    assert (made.code, made.out.startswith("clearing.floor done: 1 operation created in frame ")) == (0, True), made.err
    for time, shown in (("08:59", "0.00"), ("09:00", "20.00"), ("10:00", "25.00")):
        assert sycee("clock", "set", bank, f"2026-11-02T{time}").code == 0
        assert sycee("clearing", "prefund", bank, NORTH_BANK, "1.00", "--key", keys / "north.pem").code == 0
        (row, *_) = sycee("clearing", "positions", bank, "--json").json()["positions"]
        assert (row["code"], row["currency"], row["floor"]) == (CODES[NORTH_BANK], "CNY", shown)
        if time == "09:00":
            again = sycee(*floor, "25.00", "--from", "2026-11-02T10:00", *board)  # the largest balance stays
            assert again.code == 0, again.err
    refused = sycee("clearing", "prefund", bank, NORTH_BANK, "400.00", "--key", keys / "north.pem")
    assert (refused.code, "EXCEEDS_BALANCE_LIMIT" in refused.err) == (1, True), refused.err


def test_a_participant_replaces_its_key_for_messages(sycee: Any, bank: Path, keys: Path, tmp_path: Path) -> None:
    replace = ("clearing", "message-key", bank, NORTH_BANK)
    new = SigningKey.derive(bytes([99]) * 32)
    new.save(tmp_path / "new.pem")
    for who in ("south", "house", "ann"):
        refused = sycee(*replace, str(new.public), "--key", keys / f"{who}.pem")
        assert (refused.code, "may not request clearing.key" in refused.err) == (2, True), refused.err
    assert sycee(*replace, "key", "--key", keys / "north.pem").code == 2
    assert (
        sycee("clearing", "message-key", bank, "Clearing House", str(new.public), "--key", keys / "house.pem").code == 2
    )
    done = sycee(*replace, tmp_path / "new.pem", "--key", keys / "north.pem")
    assert (done.code, done.out) == (0, f"{NORTH_BANK} signs messages by {new.public}\n"), done.err
    folder = write(sycee, bank, keys, tmp_path / "in", NORTH_BANK, one=transfer(1))
    deliver = ("clearing", "deliver", bank, NORTH_BANK, folder, "--key", keys / "north.pem")
    assert "one.xml is refused: the signature is not operator 2's" in sycee(*deliver).err
    shutil.copy(tmp_path / "new.pem", keys / "new.pem")
    with Bank.open(bank) as opened:
        ledger = opened.stores.ledger.ledger_id.hex()
    sign = ("clearing", "sign", folder / "one.xml", "--ledger", ledger, "--participant", NORTH_BANK)
    assert sycee(*sign, "--key", keys / "new.pem").code == 0
    assert sycee(*deliver).out == "1 file: 1 payment stored, 0 there before, 0 refused\n"


def test_a_participant_limits_itself(sycee: Any, bank: Path, keys: Path, tmp_path: Path) -> None:
    key, house = ("--key", keys / "north.pem"), ("--key", keys / "house.pem")
    limit = ("clearing", "limit", bank, NORTH_BANK)
    made = sycee(*limit, "bilateral", "10.00", "--other", SOUTH_BANK, *key)
    assert (made.code, made.out) == (0, "2: bilateral: 10.00 CNY, from now\n"), made.err
    assert sycee(*limit, "reservation", "95.00", "--from", "2026-11-02T09:00", *key).code == 0
    assert sycee(*limit, "multilateral", "1.00", "--key", keys / "south.pem").code == 2
    assert "there is no limit bilatral" in sycee(*limit, "bilatral", "1.00", *key).err
    found = sycee("clearing", "limits", bank, "--json").json()["limits"]
    assert [(each["participant"], each["kind"], each["other"], each["amount"]) for each in found] == [
        (CODES[NORTH_BANK], "bilateral", CODES[SOUTH_BANK], "10.00")
    ]
    content = transfer(1, 2, minor=7_00)
    folder = write(sycee, bank, keys, tmp_path / "in", NORTH_BANK, one=content)
    assert sycee("clearing", "deliver", bank, NORTH_BANK, folder, *key).code == 0
    assert sycee("clearing", "release", bank, *house).out == "1 payment booked\n"
    assert sycee("clock", "set", bank, "2026-11-02T09:00").code == 0
    assert sycee(*limit, "bilateral", "none", "--other", SOUTH_BANK, *key).code == 0
    assert [each["kind"] for each in sycee("clearing", "limits", bank, "--json").json()["limits"]] == ["reservation"]
    assert sycee("clearing", "release", bank, *house).out == "0 payments booked\n"  # 93.00 left, all reserved
    assert sycee(*limit, "reservation", "none", *key).code == 0
    assert sycee("clearing", "release", bank, *house).out == "1 payment booked\n"


def test_a_statement_is_compared_with_the_position(sycee: Any, bank: Path, keys: Path, tmp_path: Path) -> None:
    key = ("--key", keys / "north.pem")
    folder = write(sycee, bank, keys, tmp_path / "in", NORTH_BANK, one=transfer(1, minor=7_00), two=transfer(2))
    assert sycee("clearing", "deliver", bank, NORTH_BANK, folder, *key).code == 0
    assert sycee("clearing", "release", bank, "--key", keys / "house.pem").out == "2 payments booked\n"
    asked = report("R1", "camt.053.001.08", first_day=TODAY)
    folder = write(sycee, bank, keys, tmp_path / "ask", NORTH_BANK, ask=asked)
    assert sycee("clearing", "deliver", bank, NORTH_BANK, folder, *key).code == 0
    content = (folder / "ask.answer.xml").read_bytes()
    file = tmp_path / "statement.xml"
    file.write_bytes(content)
    same = sycee("clearing", "reconcile", bank, NORTH_BANK, file)
    assert (same.code, same.out) == (0, "3 entries agree, 0 not booked there yet, 0 breaks\n"), same.err
    file.write_bytes(content.replace(b">7.00<", b">7.50<").replace(b">92.00<", b">91.50<"))
    wrong = sycee("clearing", "reconcile", bank, NORTH_BANK, file, "--json")
    (found,) = wrong.json()["breaks"]
    assert wrong.code == 1
    assert (found["cause"], found["reference"], found["stated"], found["booked"], found["difference"]) == (
        "amount differs", uetr(1), "-7.50", "-7.00", "-0.50",
    )  # fmt: skip
    assert "amount differs" in sycee("clearing", "reconcile", bank, NORTH_BANK, file).out
    file.write_bytes(transfer(3))
    assert "the message is a pacs.009.001.08" in sycee("clearing", "reconcile", bank, NORTH_BANK, file).err
    file.write_bytes(b"<a/>")
    assert sycee("clearing", "reconcile", bank, NORTH_BANK, file).code == 2


def test_a_day_opens_runs_and_ends(sycee: Any, bank: Path, keys: Path, tmp_path: Path) -> None:
    house = ("--key", keys / "house.pem")
    folder = write(sycee, bank, keys, tmp_path / "in", NORTH_BANK, one=transfer(1, minor=150_00))
    assert sycee("clearing", "deliver", bank, NORTH_BANK, folder, "--key", keys / "north.pem").code == 0
    times = ("--round", "2026-11-02T12:00", "--close", "2026-11-02T17:00", "--funding", "2026-11-02T17:30")
    opened = sycee("clearing", "open", bank, "2026-11-02", *times, *house)
    assert opened.out == "2026-11-02 is open: close 2026-11-02 17:00\n"
    assert sycee("clearing", "open", bank, "tomorrow", *times, *house).code == 2
    assert sycee("clock", "set", bank, "2026-11-02T17:00").code == 0
    run = ("clearing", "run", bank, "--seconds", "0.05", *house)
    called = sycee(*run).out
    assert re.search(r"is called: 1 of 1 rounds.*NORTCNB1XXX +CNY +50.00 +50.00", called, re.DOTALL), called
    assert sycee("clearing", "prefund", bank, NORTH_BANK, "20.00", "--key", keys / "north.pem").code == 0
    assert sycee("clock", "set", bank, "2026-11-02T17:30").code == 0
    done = sycee(*run).out
    assert re.search(r"50.00 +30.00\npays nothing more: NORTCNB1XXX\n1 payment cancelled\n", done), done
    assert sycee("clearing", "status", bank, "--json").json()["defaults"] == ["NORTCNB1XXX"]
    assert sycee("clearing", "status", bank, "2026-11-02").out == done


def test_a_quote_is_given_accepted_and_booked(sycee: Any, bank: Path, keys: Path, tmp_path: Path) -> None:
    board, house = ("--key", keys / "ann.pem", "--key", keys / "bob.pem"), ("--key", keys / "house.pem")
    SigningKey.derive(bytes([181]) * 32).save(tmp_path / "hong-kong.pem")
    officer = sycee(
        "officer", "add", bank, "--public-key", tmp_path / "hong-kong.pem", "--duty", "currency-officer",
        "--currency", "HKD", "--until", "2027-11-02", *board,
    )  # fmt: skip
    assert (officer.code, "duty.appoint done: 1 operation created" in officer.out) == (0, True), officer.err
    assert "currency-officer of HKD" in sycee("officer", "list", bank).out
    signers = ("--key", tmp_path / "hong-kong.pem", "--key", keys / "ann.pem")
    assert sycee("clearing", "issue", bank, EAST_BANK, "50.00", "--currency", "HKD", *signers).code == 0
    foreign = sycee("clearing", "currency", bank, "MOP", "--zone", "Asia/Macau", *signers)
    assert (foreign.code, "this person has: currency-officer of HKD" in foreign.err) == (2, True)

    opened = sycee("clearing", "corridor", bank, EAST_BANK, "CNY", "HKD", "--most", "500.00", *signers)
    assert (opened.code, opened.out) == (0, "clearing.corridor done\n"), opened.err
    east = ("--message-key", keys / "east-messages.pem", "--key", keys / "east.pem")
    given = sycee("clearing", "quote", bank, EAST_BANK, "CNY", "HKD", "1.0912", "--most", "300.00", *east)
    found = re.fullmatch(r"quote (\S+): 682/625 HKD for 1 CNY, until 2026-11-02 .*\n", given.out)
    assert found, given.err
    (row,) = sycee("clearing", "quotes", bank, "--json").json()["quotes"]
    assert (row["quote"], row["provider"], row["left"]) == (found.group(1), CODES[EAST_BANK], "300.00")
    north = ("--message-key", keys / "north-messages.pem", "--key", keys / "north.pem")
    done = sycee("clearing", "accept", bank, NORTH_BANK, found.group(1), "33.33", *north)
    assert re.fullmatch(r"payment 1, \S+: pays 33.33 CNY, gets 36.36 HKD\n", done.out), done.err
    assert sycee("clearing", "accept", bank, NORTH_BANK, found.group(1), "300.00", *north).code == 2
    assert sycee("clearing", "release", bank, *house).out == "1 payment booked\n"


@pytest.fixture
def law(tmp_path: Path) -> list[Any]:
    """Files of declarations of all banks, of a law and of its list, as arguments."""
    (tmp_path / "bay.toml").write_text(declared.network())
    (tmp_path / "law.toml").write_text(declared.LAW)
    (tmp_path / "excluded.toml").write_text(declarations.list_of("somebody-else"))
    return [tmp_path / "bay.toml", "--profile", tmp_path / "law.toml", "--list", tmp_path / "excluded.toml"]


def test_a_payment_across_a_border_waits_until_a_bank_declares_and_admits(
    sycee: Any,
    bank: Path,
    keys: Path,
    law: list[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SYCEE_COMPLIANCE", "true")
    content = transfer(1, receiver=CODES[EAST_BANK])
    folder = write(sycee, bank, keys, tmp_path / "north", NORTH_BANK, one=content)
    done = sycee("clearing", "deliver", bank, NORTH_BANK, folder, "--key", keys / "north.pem")
    assert (done.code, statuses(folder / "one.answer.xml")) == (0, [(uetr(1), "PDNG", "")]), done.err
    assert sycee("clearing", "queue", bank, "--json").json()["payments"] == []

    refused = sycee("compliance", "declare", bank, *law, "--key", keys / "north.pem")
    assert refused.code == 2
    assert "compliance.declare" in refused.err
    done = sycee("compliance", "declare", bank, *law, "--key", keys / "ann.pem")
    assert (done.code, done.out) == (0, "network version 1, library version 2; 0 admissions changed\n"), done.err
    for each in declared.BICS:
        done = sycee("compliance", "admit", bank, each, "--key", keys / "ann.pem")
        assert (done.code, done.out.startswith(f"{each}: admit")) == (0, True), done.err
    done = sycee("compliance", "admit", bank, "nroth", "--key", keys / "ann.pem")
    assert (done.code, "north" in done.err) == (2, True)

    released = sycee("clearing", "release", bank, "--key", keys / "house.pem")
    assert (released.code, released.out) == (0, "1 payment booked\n"), released.err


def test_a_participant_with_an_excluded_owner_is_refused(sycee: Any, bank: Path, keys: Path, law: list[Any]) -> None:
    law[-1].write_text(declarations.list_of("owner-of-south"))
    done = sycee("compliance", "declare", bank, *law, "--key", keys / "ann.pem")
    assert (done.code, "`compliance` of this bank is false" in done.err) == (0, True), done.err
    refused = sycee("compliance", "admit", bank, "south", "--key", keys / "ann.pem")
    assert refused.code == 1
    assert refused.out.startswith("south: refuse, reason ")
    assert "  law-of-the-bay/owner v1 on south: fail\n" in refused.out
