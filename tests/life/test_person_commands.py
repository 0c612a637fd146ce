"""`sycee person` on a founded bank, as people call it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy.engine import Connection
from tests.bank import world
from tests.bank.world import ANN, BOB, NORTH

from sycee import cli
from sycee.bank.bank import Bank
from sycee.cases.tables import CASES
from sycee.core import ids
from sycee.core.keys import SigningKey
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind, Role
from sycee.core.records.signed_messages import proof_message
from sycee.core.result_codes import Result
from sycee.database.transactions import write
from sycee.identity.duties import Duty
from sycee.identity.people import HeldDuty
from sycee.wallets.tables import WALLETS

PERSON, PRIVACY_PERSON, NORTH_PERSON, WALLET, SUSPENSE, GRANT, DUTY = (
    ids.to_int(each) for each in ids.derive(b"person", "commands", 7, time_ms=world.START_NS // 10**6)
)
P, W = ids.format(PERSON), ids.format(WALLET)
WALLET_KEY, PRIVACY_KEY = SigningKey.derive(b"\x70" * 32), SigningKey.derive(b"\x71" * 32)
CLOSER_KEY, NEW_KEY = SigningKey.derive(b"\x73" * 32), SigningKey.derive(b"\x74" * 32, "p256")
KEYS = {"ann": ANN, "bob": BOB, "north": NORTH, "wallet": WALLET_KEY, "privacy": PRIVACY_KEY, "new": NEW_KEY}
YEARS = 5 * 365 * world.DAY_NS


def populate(bank: Bank) -> None:
    """Grant operator 2, open a wallet of a person there, and appoint a privacy person."""
    stores = bank.stores
    until = world.START_NS + YEARS
    grant = operations.grant_role(
        GRANT, person=NORTH_PERSON, role=Role.OPERATOR, key=NORTH.public.key, flags=NORTH.public.flags, from_ns=0,
        until_ns=until, operator=2,
    )  # fmt: skip
    opened = [
        operations.open_account(
            stores.ledger.new_id(), account=account, currency=156, kind=kind, suspense=suspense, operator=2
        )
        for account, kind, suspense in ((SUSPENSE, AccountKind.SUSPENSE, 0), (WALLET, AccountKind.WALLET, SUSPENSE))
    ]
    key = operations.set_key(
        stores.ledger.new_id(), account=WALLET, key=WALLET_KEY.public.key, flags=WALLET_KEY.public.flags
    )
    answers = stores.ledger.signed_by(*world.officers(bank)).submit(np.concatenate([grant, *opened, key]))
    assert {Result(code) for code in answers["code"].tolist()} == {Result.CREATED}
    prepared = bank.personal.prepare_one(PERSON, {"name": "Wang Li", "phone": "+8613800138000"})

    def rows(connection: Connection) -> None:
        bank.people.add(connection, person=PERSON)
        bank.personal.store_many(connection, prepared)
        row = {"account": WALLET, "holder": PERSON, "operator": 2, "class": "class-4", "rule_set": 0}
        connection.execute(
            WALLETS.insert().values(**row, is_custodial=False, state="open", intent=1, opened_ns=world.START_NS)
        )
        bank.keys.record(connection, WALLET, WALLET_KEY.public, epoch=1, reason="opening", intent=1)
        held = HeldDuty(DUTY, PRIVACY_PERSON, Duty.PRIVACY, 0, None, 0, until)
        bank.people.record(connection, held, PRIVACY_KEY.public)
        closes = HeldDuty(DUTY + 1, PRIVACY_PERSON + 1, Duty.CLOSER, 0, None, 0, until)
        bank.people.record(connection, closes, CLOSER_KEY.public)

    write(stores.engine, rows)
    assert bank.check() == []


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("person")
    with world.bank("", folder) as bank:
        populate(bank)
    for name, key in KEYS.items():
        key.save(folder / f"{name}.pem")
    return folder


@pytest.fixture
def place(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the prepared folder, in which the commands run."""
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def call(place: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(command: str, *words: str) -> tuple[int, str, str]:
        """Call `sycee person COMMAND bank …`; return exit code, stdout and stderr."""
        code = cli.main(["person", command, "bank", *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


Call = Callable[..., tuple[int, str, str]]


def as_json(said: tuple[int, str, str]) -> Any:
    assert said[0] == 0, said[2]
    return json.loads(said[1])


def test_persons_read_their_own_data_and_see_it_in_the_log(call: Call) -> None:
    own = ("--reason", "own-request", "--key", "wallet.pem")
    assert as_json(call("show", P, "--field", "name", *own, "--json")) == {"person": P, "fields": {"name": "Wang Li"}}
    code, out, _ = call("show", P, "--field", "name", "--field", "phone", *own)
    assert code == 0
    assert "+8613800138000" in out
    entries = as_json(call("log", P, "--key", "wallet.pem", "--json"))["entries"]
    assert [(each["who"], each["fields"], each["reason"]) for each in entries] == [
        (P, ["name"], "own-request"),
        (P, ["name", "phone"], "own-request"),
    ]
    assert "own-request" in call("log", P, "--key", "privacy.pem")[1]
    said = as_json(call("verify", "--json"))
    assert (said["entries"], said["secrets"], said["missing_in_backup"], said["disagreements"]) == (2, 1, 0, [])
    assert call("verify", "--head", f"2:{said['digest']}")[0] == 0


REFUSALS = [
    ("show", ("--field", "name", "--reason", "complaint", "--key", "north.pem"), "needs an open case: no case"),
    (
        "show",
        ("--field", "name", "--reason", "complaint", "--case", "7", "--key", "north.pem"),
        "case 7 is not open",
    ),
    ("show", ("--field", "name", "--reason", "complaint", "--case", "7", "--key", "ann.pem"), "may not request"),
    ("show", ("--field", "name", "--reason", "fun", "--key", "north.pem"), "is not a reason"),
    ("show", ("--field", "shoe", "--reason", "own-request", "--key", "wallet.pem"), "named that persons do not have"),
    ("show", ("--field", "name", "--reason", "own-request", "--key", "north.pem"), "for the own data only"),
    ("show", ("--field", "name", "--reason", "own-request"), "one key is needed, and 0 were given"),
    ("show", ("--field", "name", "--reason", "recovery", "--case", "x", "--key", "north.pem"), "number of a case"),
    ("log", ("--key", "north.pem"), "may not request person.log"),
    ("shred", ("--key", "north.pem"), "may not request person.shred"),
    ("shred", ("--key", "privacy.pem"), "has not ended"),
    ("hold", ("--case", "7", "--key", "ann.pem"), "case 7 is not open"),
    ("delay", ("--case", "7", "--until", "2026-11-09", "--key", "ann.pem"), "case 7 is not open"),
    ("deceased", ("--operator", "2", "--case", "7", "--key", "north.pem"), "case 7 is not open"),
    ("deceased", ("--operator", "two", "--case", "7", "--key", "north.pem"), "is not a number"),
]


def test_refusals_print_no_personal_data(call: Call) -> None:
    for command, words, message in REFUSALS:
        code, out, err = call(command, P, *words)
        assert (code, out) == (2, ""), words
        assert message in err
        assert "hint: " in err
        assert "Wang" not in err
    assert as_json(call("verify", "--json"))["entries"] == 0


def test_a_search_needs_a_case_and_repeats_nothing(call: Call) -> None:
    for text, by in (("+8613800138000", "phone"), ("passport:E77", "paper"), ("1990-12-31 Wang Li", "birth")):
        code, out, err = call("find", text, "--by", by, "--reason", "dispute", "--key", "north.pem")
        assert (code, out) == (2, "")
        assert "no case was given" in err
        assert not any(word in err for word in (text, "1380013", "E77", "Wang"))
    code, _, err = call("find", "Secret", "--by", "phone", "--reason", "dispute", "--case", "7", "--key", "north.pem")
    assert code == 2
    assert "Secret" not in err
    assert "--by 'shoe' is not" in call("find", "x", "--by", "shoe", "--reason", "dispute", "--key", "north.pem")[2]


def test_a_person_is_shredded_once_retention_is_over(call: Call, place: Path) -> None:
    assert call("due")[:2] == (0, "")
    with Bank.open(place / "bank") as bank:

        def closed(connection: Connection) -> None:
            connection.execute(WALLETS.update().values(state="closed"))
            bank.retention.begin(connection, PERSON, "relation-ended", date(2021, 11, 2))

        write(bank.stores.engine, closed)
    assert as_json(call("due", "--json")) == {"persons": [P]}
    code, out, err = call("shred", ids.format(4_711), "--key", "privacy.pem")
    assert (code, out) == (2, "")
    assert f"nothing is stored about {ids.format(4_711)}\nhint: `sycee person due` lists" in err
    assert call("shred", P, "--key", "privacy.pem")[:2] == (0, f"{P} is shredded\n")
    code, out, err = call("show", P, "--field", "name", "--reason", "own-request", "--key", "wallet.pem")
    assert (code, out) == (2, "")
    assert "was shredded" in err
    assert call("due")[1] == ""
    assert as_json(call("verify", "--json"))["secrets"] == 0


def test_a_changed_log_is_found_with_its_number(call: Call, place: Path) -> None:
    for _ in range(3):
        call("show", P, "--field", "name", "--reason", "own-request", "--key", "wallet.pem")
    with sqlite3.connect(place / "bank" / "sycee.db") as connection:
        connection.execute("DROP TRIGGER personal_accesses_no_update")
        connection.execute("UPDATE personal_accesses SET fields = 'phone' WHERE number = 2")
    connection.close()
    code, _, err = call("verify")
    assert code == 3
    assert "entry 2 of the access log was changed" in err
    assert "--head 'x' is not NUMBER:HEX" in call("verify", "--head", "x")[2]


def test_the_pack_of_a_day_proves_the_newest_entry(call: Call, place: Path) -> None:
    call("show", P, "--field", "name", "--reason", "own-request", "--key", "wallet.pem")
    with Bank.open(place / "bank") as bank:
        bank.set_clock(world.START_NS + world.DAY_NS)
        bank.day.close(date(2026, 11, 2), CLOSER_KEY)
        path = bank.day.path(date(2026, 11, 2))
    assert call("verify", "--pack", str(path))[0] == 0
    with sqlite3.connect(place / "bank" / "sycee.db") as connection:
        connection.execute("DROP TRIGGER personal_accesses_no_delete")
        connection.execute("DELETE FROM personal_accesses")
    connection.close()
    assert call("verify")[0] == 0  # a chain without its newest entries is a chain
    code, _, err = call("verify", "--pack", str(path))
    assert code == 3
    assert "entry 1 of the access log is missing: a signed pack names entry 1" in err
    document = json.loads(path.read_text())
    document["access_log"]["entry"] = "0"
    path.write_text(json.dumps(document))
    code, _, err = call("verify", "--pack", str(path))
    assert code == 3
    assert "signature does not belong to its content" in err


def check_deliver(call: Call, place: Path) -> None:
    code, _, err = call("notices", "--deliver")
    assert (code, "no setting says how messages are delivered" in err) == (2, True)
    with (place / "bank" / "sycee.toml").open("a") as settings:
        settings.write('message_folder = "../outbox"\n')
    assert call("notices", "--deliver")[:2] == (0, "0 messages sent\n")
    assert call("block", W, "--kind", "dormant", "--key", "north.pem")[0] == 0
    assert call("notices", "--deliver")[:2] == (0, "1 message sent\n")
    (file,) = (place / "outbox").iterdir()
    assert json.loads(file.read_text())["text"] == "WALLET_BLOCKED"
    assert call("unblock", W, "--kind", "dormant", "--key", "north.pem")[0] == 0
    for words, said in (
        (("--again", file.stem), "is sent, not dead"),
        (("--again", W), "there is no message"),
        (("--again", W, "--deliver"), "are three calls"),
    ):
        code, _, err = call("notices", *words)
        assert (code, said in err) == (2, True)


def test_a_dormant_wallet_is_blocked_and_unblocked(call: Call, place: Path) -> None:
    assert call("block", W, "--kind", "dormant", "--key", "north.pem")[:2] == (0, f"wallet {W} is blocked: dormant\n")
    code, _, err = call("unblock", W, "--kind", "court-order", "--key", "ann.pem")
    assert code == 2
    assert "has no block by court-order\nhint: restrictions of this wallet: dormant\n" in err
    assert call("unblock", W, "--kind", "dormant", "--key", "north.pem")[0] == 0
    (notice,) = as_json(call("notices", "--json"))["notices"]
    assert (notice["person"], notice["text"]) == (P, "WALLET_BLOCKED")
    assert notice["notice"] in call("notices")[1]
    program = place / "send.sh"
    for body, code in (("exit 3", 4), ("cat > sent.json", 0)):
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
        said = call("notices", "--send", "send.sh")
        assert said[0] == code
        assert "1380013" not in said[1] + said[2]
    sent = json.loads((place / "sent.json").read_text())
    assert sent == {"notice": notice["notice"], "phone": "+8613800138000", "text": "WALLET_BLOCKED"}
    assert as_json(call("notices", "--json")) == {"notices": []}
    assert call("notices", "--send", "nowhere.sh")[:2] == (0, "0 notices sent\n")
    check_deliver(call, place)
    for command, words, message in (
        ("block", ("--kind", "court-order", "--case", "7"), "case 7 is not open"),
        ("block", ("--kind", "sleep"), "is not a kind of block"),
        ("unblock", ("--kind", "sleep"), "is not a kind of block"),
        ("lost", ("--new-key", "bob.pem", "--case", "7"), "case 7 is not open"),
        ("lost", ("--new-key", str(BOB.public), "--case", "7"), "there is no --proof"),
        ("lost", ("--new-key", str(BOB.public), "--proof", "xy", "--case", "7"), "is not hexadecimal"),
    ):
        code, _, err = call(command, W, *words, "--key", "north.pem")
        assert code == 2
        assert message in err
    assert call("recovered", W, "--key", "north.pem")[1] == f"wallet {W} is under no recovery\n"
    with Bank.open(place / "bank") as bank:
        assert bank.check() == []


def test_a_guardian_is_proposed_and_reads_the_log(call: Call) -> None:
    other = ids.format(PRIVACY_PERSON)
    code, out, _ = call("guardian", P, other, "--until", "2027-01-01", "--key", "north.pem")
    assert code == 0
    assert "life.guardian; missing: " in out
    code, out, _ = call("guardian", P, other, "--key", "north.pem", "--key", "ann.pem")
    assert (code, out) == (0, "life.guardian done\n")
    assert "no key signs" in call("guardian", P, other)[2]
    assert "no key signs" in call("hold", P, "--case", "7")[2]
    assert call("hold", P)[:2] == (0, "")
    assert "there is no legal hold" in call("release", other, "--key", "ann.pem")[2]


@pytest.fixture
def case(place: Path) -> str:
    """The number of an open case about the person."""
    with Bank.open(place / "bank") as bank:
        return str(bank.cases.open("complaint", by=NORTH_PERSON, person=PERSON))


@pytest.fixture
def lost_case(place: Path) -> str:
    """The number of an open case that the person opened about a lost phone."""
    with Bank.open(place / "bank") as bank:
        return str(bank.cases.open("recovery", by=PERSON, person=PERSON))


def test_staff_read_for_an_open_case_until_it_is_closed(call: Call, place: Path, case: str) -> None:
    why = ("--reason", "complaint", "--case", case, "--key", "north.pem")
    assert call("find", "+86 138 0013 8000", *why)[1] == f"{P}\n"
    assert as_json(call("show", P, "--field", "name", *why, "--json"))["fields"] == {"name": "Wang Li"}
    seen = as_json(call("log", P, "--key", "wallet.pem", "--json"))["entries"]
    assert [(each["who"], each["fields"], each["case"]) for each in seen] == [
        (ids.format(NORTH_PERSON), ["found-by-phone"], int(case)),
        (ids.format(NORTH_PERSON), ["name"], int(case)),
    ]
    signed = ("--key", "ann.pem", "--key", "bob.pem")
    assert call("delay", P, "--case", case, "--until", "2026-11-09", *signed)[:2] == (0, "log.delay done\n")
    assert as_json(call("log", P, "--key", "wallet.pem", "--json"))["entries"] == []
    assert len(as_json(call("log", P, "--key", "privacy.pem", "--json"))["entries"]) == 2
    assert call("hold", P, "--case", case, *signed)[:2] == (0, "person.hold done\n")
    held = call("hold", P)[1]
    assert f"case {case}, from 2026-11-02 08:00 until ended" in held
    assert "under a legal hold" in call("shred", P, "--key", "privacy.pem")[2]
    assert call("release", held.split()[0], *signed)[:2] == (0, "person.hold done\n")
    with Bank.open(place / "bank") as bank:
        write(bank.stores.engine, lambda connection: connection.execute(CASES.update().values(open=0)))
    assert f"case {case} is not open" in call("show", P, "--field", "name", *why)[2]


def test_a_lost_phone_is_recovered_in_a_day(call: Call, place: Path, case: str, lost_case: str) -> None:
    alone = call("lost", W, "--new-key", "new.pem", "--case", case, "--key", "north.pem")
    assert (alone[0], "two persons of the staff are needed" in alone[2]) == (2, True)
    case = lost_case
    code, out, err = call("lost", W, "--new-key", "new.pem", "--case", case, "--key", "north.pem")
    assert code == 0, err
    assert out == f"wallet {W} has the key {NEW_KEY.public}; packets only until 2026-11-03 08:00\n"
    assert "1 notice not delivered yet" in err
    assert "is not over yet" in call("recovered", W, "--key", "north.pem")[2]
    own = ("--field", "name", "--reason", "own-request", "--key", "new.pem")
    for command, words in (("show", own), ("log", ("--key", "new.pem"))):
        code, out, err = call(command, P, *words)
        assert (code, out) == (2, "")
        assert "is under recovery" in err
    with Bank.open(place / "bank") as bank:
        assert bank.check() == []
        bank.set_clock(world.START_NS + world.DAY_NS)
        assert bank.life.restrictions() == []
        assert bank.check() == []
    assert "Wang Li" in call("show", P, *own)[1]
    epoch, account = 3, WALLET
    with Bank.open(place / "bank") as bank:
        message = proof_message(bank.stores.ledger.ledger_id, account, epoch, WALLET_KEY.public)
    proof = WALLET_KEY.sign(message).hex()
    new = ("--new-key", str(WALLET_KEY.public), "--proof", proof)
    assert call("lost", W, *new, "--case", case, "--key", "north.pem")[0] == 0


def test_court_orders_and_deaths(call: Call, place: Path, case: str) -> None:
    order = ("--kind", "court-order", "--case", case)
    assert call("block", W, *order, "--key", "north.pem")[0] == 0
    assert "may not request life.lift-order" in call("unblock", W, *order, "--key", "north.pem")[2]
    code, out, _ = call("unblock", W, *order, "--key", "ann.pem")
    assert (code, "missing: " in out) == (0, True)
    code, out, _ = call("unblock", W, *order, "--key", "ann.pem", "--key", "bob.pem")
    assert (code, out.startswith("life.lift-order done: 1 operation created")) == (0, True)
    died = call("deceased", P, "--operator", "2", "--case", case, "--key", "north.pem")
    assert died[:2] == (0, f"1 wallet of {P} blocked\n")
    assert call("unblock", W, "--kind", "deceased", "--case", case, "--key", "north.pem")[0] == 0
    with Bank.open(place / "bank") as bank:
        assert bank.check() == []
        assert str(bank.retention.until(PERSON)) == "2031-11-02"
