"""Rules of retention as dated data."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from tests.personal.world import ANN, BOB, BOTH, CASE, DAY_NS, NOON, World

from sycee import data
from sycee.core.documents import DocumentError
from sycee.core.errors import UsageError
from sycee.database.transactions import write
from sycee.personal import retention
from sycee.personal.tables import HOLDS


@pytest.mark.parametrize("name", data.names(retention.FOLDER))
def test_shipped_rules_have_sources(name: str) -> None:
    rules = retention.load(name)
    assert rules.name == name
    assert {"relation-ended", "deceased"} <= set(rules.bases)
    assert all(basis.source and basis.begins and basis.mark in retention.MARKS for basis in rules.bases.values())


def test_rules_are_read_from_a_file_and_checked(tmp_path: Path) -> None:
    text = data.content(retention.FOLDER, "eu-2015").decode()
    path = tmp_path / "own.toml"
    path.write_text(text.replace("years = 5", "years = 7", 1))
    assert retention.load(path).bases["relation-ended"].years == 7
    for old, new, match in (
        ("years = 5", "years = 0", r"own\.toml:\d+: bases"),
        ("days_max = 180", "days_max = 0", "days_max"),
        ('mark = "2"', 'mark = "3"', "mark"),
        ('begins = "the death', 'starts = "the death', "begins"),
    ):
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(DocumentError, match=match):
            retention.load(path)
    with pytest.raises(UsageError, match="there is no retention rules"):
        retention.load("eu-2014")


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (date(2020, 1, 31), date(2025, 1, 31)),
        (date(2020, 2, 29), date(2025, 3, 1)),
        (date(2020, 12, 31), date(2025, 12, 31)),
    ],
)
def test_years_later(since: date, until: date) -> None:
    assert retention.years_later(since, 5) == until


@BOTH
def test_the_longest_period_counts(bank: World) -> None:
    def begin(basis: str, since: date) -> date:
        return write(bank.engine, lambda connection: bank.retention.begin(connection, ANN, basis, since))

    assert begin("relation-ended", date(2020, 1, 1)) == date(2025, 1, 1)
    assert begin("deceased", date(2021, 12, 1)) == date(2026, 12, 1)
    assert bank.retention.until(ANN) == date(2026, 12, 1)
    assert bank.retention.due() == []
    begin("deceased", date(2021, 11, 1))
    assert bank.retention.due() == [ANN]
    with pytest.raises(UsageError, match="have no basis 'whim'"):
        begin("whim", date(2021, 1, 1))


@BOTH
def test_a_legal_hold_stops_shredding_until_its_end(bank: World) -> None:
    for person in (ANN, BOB):
        write(
            bank.engine,
            lambda connection, each=person: bank.retention.begin(connection, each, "relation-ended", date(2020, 1, 1)),
        )
    hold = {"id": 1, "person": ANN, "case": CASE, "from_ns": NOON, "until_ns": NOON + DAY_NS, "proposal": 1}
    write(bank.engine, lambda connection: connection.execute(HOLDS.insert().values(**hold)))
    assert bank.retention.held(ANN) == CASE
    assert bank.retention.due() == [BOB]
    with pytest.raises(UsageError, match=f"under a legal hold of case {CASE}"):
        write(bank.engine, lambda connection: bank.retention.require_over(connection, ANN))
    bank.clock.set(NOON + DAY_NS)
    assert bank.retention.held(ANN) is None
    assert bank.retention.due() == [ANN, BOB]
