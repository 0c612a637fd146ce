"""No name, phone, paper or text of a person is in any file, row, error or file name that a bank writes."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from tests.bank import planting, world
from tests.bank.planting import ADDRESS, BIRTH, CHINESE_NAME, CHINESE_REFERENCE, NAME, PAPER, PHONE, REFERENCE
from tests.life import test_person_commands as commands
from tests.life.test_person_commands import NORTH_PERSON, PERSON, PRIVACY_PERSON, WALLET

from sycee import cli
from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.errors import SyceeError
from sycee.core.keys import SigningKey
from sycee.core.records.signed_messages import proof_message
from sycee.database.transactions import write
from sycee.life.rules import LifeEventKind
from sycee.personal.access import Access, Reason
from sycee.personal.sealing import SearchKind

FIELDS = {
    "name": NAME, "phone": PHONE, "paper": PAPER, "paper_kind": "passport", "birth": BIRTH, "address": ADDRESS,
}  # fmt: skip
SECOND = PERSON + 1
CASE = 1
NEW_KEY = SigningKey.derive(b"\x72" * 32)
ACCESS = Access(NORTH_PERSON, Reason.RECOVERY, CASE)


def use(bank: Bank) -> None:
    """Do everything with personal data that this room can do."""
    register, life, engine = bank.personal, bank.life, bank.stores.engine
    prepared = register.prepare_one(SECOND, {"name": CHINESE_NAME, "phone": "+86 139 8765 4321", "address": ADDRESS})
    write(engine, lambda connection: register.store_many(connection, prepared))
    register.change(PERSON, FIELDS, access=ACCESS)
    assert register.read(PERSON, list(FIELDS), access=ACCESS) == FIELDS
    assert register.find(SearchKind.PHONE, "0086-139-8765-4321", access=ACCESS) == [PERSON, SECOND]
    assert register.find(SearchKind.NAME_AND_BIRTH, f"{BIRTH} {NAME}", access=ACCESS) == [PERSON]
    for text in (REFERENCE, CHINESE_REFERENCE):
        sealed = register.seal(PERSON, "reference", text)
        assert register.open(PERSON, "reference", sealed, access=ACCESS) == text
    north = bank.signers(world.NORTH)
    epoch = bank.stores.ledger.account(WALLET).key_epoch + 1
    proof = NEW_KEY.sign(proof_message(bank.stores.ledger.ledger_id, WALLET, epoch, NEW_KEY.public))
    life.phone_lost(WALLET, NEW_KEY.public, proof, evidence=ACCESS, signers=north)
    assert len(life.outbox.waiting()) == 1
    life.dormant(WALLET, who=NORTH_PERSON, signers=north)
    life.release(WALLET, LifeEventKind.DORMANT, who=NORTH_PERSON, signers=north)
    life.deceased(PERSON, operator=2, evidence=ACCESS, signers=north)
    order = bank.orders.hold(PERSON, CASE, maker=bank.people.person_of_key(world.ANN.public))
    bank.proposals.sign(order.id, world.ANN, world.BOB)


def fail(bank: Bank) -> list[str]:
    """Provoke errors with planted values; return everything that they say."""
    register, engine = bank.personal, bank.stores.engine
    prepared = register.prepare_one(SECOND + 1, FIELDS)
    write(engine, lambda connection: register.store_many(connection, prepared))
    wrong = {
        "name": [NAME, NAME * 40, NAME, NAME], "phone": [f"{PHONE}x", PHONE, PHONE, ""],
        "birth": ["", "", f"on {BIRTH}", ""], "address": [ADDRESS] * 4,
    }  # fmt: skip
    examined = register.examine(wrong)
    assert set(examined.faults) == {0, 1, 2, 3}
    calls: list[Callable[[], object]] = [
        lambda: write(engine, lambda connection: register.store_many(connection, prepared)),  # the same rows again
        lambda: register.prepare([SECOND + 2, SECOND + 3, SECOND + 4, SECOND + 5], examined),
        lambda: register.prepare_one(SECOND + 2, {"name": NAME, "phone": f"{PHONE}x"}),
        lambda: register.find(SearchKind.PHONE, f"{PHONE}x", access=ACCESS),
        lambda: register.find(SearchKind.PAPER, PAPER, access=ACCESS),
        lambda: register.find(SearchKind.NAME_AND_BIRTH, f"{NAME} {BIRTH}", access=ACCESS),
        lambda: register.find(SearchKind.PHONE, PHONE, access=Access(PRIVACY_PERSON, Reason.RECOVERY, CASE)),
        lambda: register.change(PERSON, {"birth": f"on {BIRTH}"}, access=ACCESS),
        lambda: register.shred(PERSON, who=PRIVACY_PERSON, basis="relation-ended"),
        lambda: register.open_own(PERSON, "reference", register.seal(SECOND, "reference", REFERENCE)),
    ]
    said = [repr(examined), repr(prepared)]
    for call in calls:
        with pytest.raises(SyceeError) as raised:
            call()
        said += ["".join(traceback.format_exception(raised.value)), str(raised.value.hint)]
    return said


def test_planted_values_are_nowhere(
    where: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with world.bank(where, tmp_path) as bank:
        commands.populate(bank)
        assert bank.cases.open("recovery", by=PERSON, person=PERSON, text=CHINESE_REFERENCE) == CASE
        use(bank)
        said = fail(bank)
        found = planting.found_in_files(tmp_path) + planting.found_in_tables(bank.stores.engine)
        assert bank.check() == []
        sealed_bytes = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
        write(bank.stores.engine, lambda c: bank.retention.begin(c, SECOND, "relation-ended", date(2020, 1, 1)))
        assert bank.access.verify() == 8
    assert found == []
    assert sealed_bytes > 1_000_000  # the search had something to search
    assert [line for text in said for line in planting.found_in(text, text)] == []
    if "://" not in where:
        for name, key in commands.KEYS.items():
            key.save(tmp_path / f"{name}.pem")
        monkeypatch.chdir(tmp_path)
        for words in (
            ("find", PHONE, "--reason", "dispute", "--key", "north.pem"),
            ("find", f"{BIRTH} {NAME}", "--by", "birth", "--reason", "dispute", "--key", "north.pem"),
            ("show", ids.format(PERSON), "--field", NAME, "--reason", "dispute", "--key", "north.pem"),
            ("log", ids.format(PERSON), "--key", "privacy.pem"),
            ("verify", "--json"),
            ("hold", ids.format(SECOND)),
        ):
            cli.main(["person", words[0], "bank", *words[1:]])
        out = capfd.readouterr()
        said = [out.out, out.err]
        assert [line for text in said for line in planting.found_in(text, text)] == []
    assert planting.found_in_files(tmp_path) == []


def test_the_search_finds_what_is_planted(tmp_path: Path) -> None:
    for number, form in enumerate(planting.forms(CHINESE_NAME)):
        (tmp_path / f"{number}.txt").write_bytes(b"..." + form + b"...")
    (tmp_path / f"{NAME}.txt").write_bytes(b"")
    found = planting.found_in_files(tmp_path)
    assert len([each for each in found if each.startswith(CHINESE_NAME)]) == 5
    assert [each for each in found if "the name of" in each]
