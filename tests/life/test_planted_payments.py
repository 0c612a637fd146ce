"""Payments, aliases, requests and refused rows leave no planted value in a file, a row, an error or a backup."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.bank import planting
from tests.bank import world as banks
from tests.bank.killing import POSTGRESQL_IN_SOAK
from tests.bank.planting import ADDRESS, BIRTH, CHINESE_NAME, CHINESE_REFERENCE, NAME, PAPER, PHONE, REFERENCE
from tests.wallets import world
from tests.wallets.world import LEO_KEY, MIA_KEY, NORTH, Town

from sycee.bank.backup import write_backup
from sycee.core.errors import SyceeError
from sycee.core.secret_files import SecretKey

ROWS = {
    "name": [NAME, CHINESE_NAME, NAME, NAME, f"{NAME} the second"],
    "phone": [PHONE, "+8613987654322", PHONE, f"{PHONE}9999", ""],
    "paper": [PAPER, "", "", "", PAPER],
    "paper_kind": ["passport", "", "", "", ""],
    "birth": [BIRTH, "", "", "", BIRTH],
    "address": [ADDRESS] * 5,
}


def use(town: Town) -> list[str]:
    """Open wallets and move money with planted texts; return what is shown of it."""
    bank, leo = town.bank, town.signer(town.leo, LEO_KEY)
    opened = bank.wallets.open_many(ROWS, operator=2, tier="class-4", signers=town.operator, who=town.north)
    assert len(opened.refused) >= 3
    found = bank.aliases.resolve(PHONE, by=town.holder(town.leo))
    assert found.account == opened.accounts[0]
    handle = bank.aliases.message(town.leo, "@leo")
    bank.aliases.register_handle(town.leo, "@leo", proof=LEO_KEY.sign(handle), by=town.holder(town.leo))
    for text in (REFERENCE, CHINESE_REFERENCE):
        paid = bank.payments.pay(town.leo, found.account, 12_00, text=text, signers=leo, who=town.holder(town.leo))
        assert paid.is_paid
    asked = bank.requests.ask(
        town.mia, 5_00, key=MIA_KEY, expires_ns=banks.START_NS + banks.DAY_NS, payer=town.leo, text=REFERENCE
    )
    assert bank.requests.pay(asked.id, town.leo, signers=leo, who=town.holder(town.leo)).is_paid
    return [repr(opened), str(found)]


def fail(town: Town) -> list[str]:
    """Provoke errors with planted values; return everything that they say."""
    bank, holder = town.bank, town.holder(town.leo)
    leo = town.signer(town.leo, LEO_KEY)
    calls: list[Callable[[], object]] = [
        lambda: bank.aliases.resolve(f"{PHONE}9999", by=holder),
        lambda: bank.aliases.resolve("+8613987654329", by=holder),
        lambda: bank.aliases.resolve(f"@{NAME}", by=holder),
        lambda: bank.aliases.register_handle(town.leo, f"@{NAME}", by=holder),
        lambda: bank.payments.pay(town.leo, town.mia, 1, text=REFERENCE * 2, signers=leo, who=holder),
        lambda: bank.payments.pay(town.leo, town.mia, 1, text=f"{CHINESE_REFERENCE}\n", signers=leo, who=holder),
        lambda: bank.requests.ask(town.mia, 0, key=MIA_KEY, expires_ns=0, text=REFERENCE),
        lambda: bank.requests.ask(town.mia, 1, key=MIA_KEY, expires_ns=banks.START_NS + 9, text=REFERENCE * 2),
        lambda: bank.wallets.open_person(
            {"name": NAME, "phone": PHONE}, operator=2, tier="class-4", signers=town.operator, who=town.north
        ),
    ]
    said = []
    for call in calls:
        with pytest.raises(SyceeError) as raised:
            call()
        said += ["".join(traceback.format_exception(raised.value)), str(raised.value.hint)]
    return said


@POSTGRESQL_IN_SOAK
def test_planted_values_are_nowhere(server: str, tmp_path: Path) -> None:
    with world.bank(server, tmp_path) as town:
        said = use(town) + fail(town)
        write_backup(town.bank, tmp_path / "one.backup", SecretKey.generate())
        found = planting.found_in_files(tmp_path) + planting.found_in_tables(town.bank.stores.engine)
        assert town.bank.check() == []
        assert town.signers(NORTH)
    assert found == []
    assert [line for text in said for line in planting.found_in(text, text)] == []
    assert planting.found_in_files(tmp_path) == []
