"""Codes of refusals by payees' accounts, in a database."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy.engine import Engine

from sycee.core.errors import UnavailableError
from sycee.core.result_codes import Result
from sycee.database.engines import engine
from sycee.database.transactions import reading, write
from sycee.server.payments.refusals import PayeeRefusal, Refusals
from sycee.wallets.tables import METADATA, REFUSALS, WALLETS

NED, NORTH = 5, 2


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Engine]:
    made = engine(tmp_path / "bank.sqlite")
    METADATA.create_all(made)
    row = {column.name: 0 for column in WALLETS.c if not column.nullable}
    row |= {name: "open" for name in row if isinstance(WALLETS.c[name].type, sqlalchemy.String)}
    write(made, lambda each: each.execute(WALLETS.insert().values({**row, "account": NED, "operator": NORTH})))
    yield made
    made.dispose()


def stored(database: Engine) -> dict[int, tuple[int, int, int, int]]:
    with reading(database) as connection:
        rows = connection.execute(sqlalchemy.select(REFUSALS))
        return {row.operation: (row.payee, row.operator, row.code, row.at_ns) for row in rows}


def test_refusals_that_arrive_together_share_a_transaction(database: Engine) -> None:
    some = [PayeeRefusal(9_000 + at, NED, Result.EXCEEDS_BALANCE_LIMIT, at) for at in range(20)]
    unknown = PayeeRefusal(9_100, 77, Result.CREDIT_ACCOUNT_NOT_FOUND, 1)
    commits = []
    sqlalchemy.event.listen(database, "commit", commits.append)

    async def main() -> None:
        refusals = Refusals(database)
        await asyncio.gather(*(refusals.store(each) for each in (*some, unknown, some[0])))
        await refusals.aclose()

    asyncio.run(main())
    assert len(commits) == 1
    code = int(Result.EXCEEDS_BALANCE_LIMIT)
    assert stored(database) == {each.operation: (NED, NORTH, code, each.time_ns) for each in some}


def test_every_caller_hears_of_a_database_that_refuses(database: Engine) -> None:
    wrong = PayeeRefusal(-1 << 200, NED, Result.EXCEEDS_BALANCE_LIMIT, 1)

    async def main() -> None:
        refusals = Refusals(database)
        outcomes = await asyncio.gather(refusals.store(wrong), refusals.store(wrong), return_exceptions=True)
        assert [type(each) for each in outcomes] == [UnavailableError] * 2
        await refusals.store(PayeeRefusal(9_200, NED, Result.EXCEEDS_BALANCE_LIMIT, 1))
        await refusals.aclose()

    asyncio.run(main())
    assert list(stored(database)) == [9_200]
