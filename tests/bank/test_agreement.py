"""SQL and ledger are compared, and every disagreement is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import sqlalchemy
from tests.bank import world
from tests.bank.killing import POSTGRESQL_IN_SOAK

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.result_codes import Result
from sycee.database.states import DONE, PENDING
from sycee.database.tables import INTENTS
from sycee.database.transactions import write
from sycee.identity.tables import DUTIES


def test_an_intent_without_an_outcome_is_named_and_finished_at_the_next_start(server: str, tmp_path: Path) -> None:
    with world.bank(server, tmp_path) as bank:
        options = {"database": bank.config.database} if "://" in server else {}
        assert bank.check() == []
        write(bank.stores.engine, lambda connection: connection.execute(INTENTS.update().values(state=PENDING)))
        id = world.record(bank).id("founding")
        expected = f"intent {ids.format(id)} of bank.found has no outcome: open the bank again to finish it"
        assert bank.check() == [expected]
    with Bank.open(tmp_path / "bank", options=options) as bank:
        assert bank.findings == ["1 interrupted actions were finished: 1 done, 0 lapsed"]
        assert bank.check() == []
        assert len(bank.people.holders()) == 5
        stored = bank.stores.intents.find(world.record(bank).id("founding"))
        assert stored is not None
        assert stored.state == DONE


@POSTGRESQL_IN_SOAK
def test_results_that_the_ledger_does_not_have_are_named(server: str, tmp_path: Path) -> None:
    with world.bank(server, tmp_path) as bank:
        stored = bank.stores.intents.find(world.record(bank).id("founding"))
        assert stored is not None
        other = np.array([Result.ACCOUNT_NOT_FOUND, *stored.results[1:]], "<u2").tobytes()
        write(bank.stores.engine, lambda connection: connection.execute(INTENTS.update().values(results=other)))
        (found,) = bank.check()
        assert found.endswith("of bank.found has other results in the ledger than in the database")


@POSTGRESQL_IN_SOAK
def test_a_duty_that_the_ledger_does_not_have_is_named(server: str, tmp_path: Path) -> None:
    with world.bank(server, tmp_path) as bank:
        write(bank.stores.engine, lambda connection: connection.execute(DUTIES.update().values(grant_id=77)))
        found = bank.check()
        assert len(found) == 5
        assert all("has no grant 00000000-0000-0000-0000-00000000004d in the ledger" in each for each in found)


@POSTGRESQL_IN_SOAK
def test_a_person_has_a_duty_in_sql_only_by_a_grant(server: str, tmp_path: Path) -> None:
    with world.bank(server, tmp_path) as bank:
        write(bank.stores.engine, lambda connection: connection.execute(sqlalchemy.delete(DUTIES)))
        assert bank.check() == []  # a grant of the ledger is a duty without a row
        assert len(bank.people.holders()) == 5


def test_a_bank_with_two_operators(server: str, tmp_path: Path) -> None:
    with world.bank(server, tmp_path, operators=True) as bank:
        assert bank.check() == []
        assert [each.number for each in bank.registry.operators()] == [2, 3]
        assert bank.stores.ledger.supply("CNY") == 2 * world.MINTED
        for each in bank.registry.operators():
            assert bank.stores.ledger.balance(each.accounts.vault) == world.MINTED
