"""The closing report: figures from the ledger, small rows hidden, files that agree with the page."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from tests.programmes import world
from tests.programmes.shops_town import NAME, claim, fund, let_join, open_shop, pay, shop_town
from tests.programmes.world import NORTH, moment, person

from sycee.core.errors import NotFound, UsageError
from sycee.programmes.closing_report import Effect, report_page, shown_rows, tables
from sycee.programmes.estimators import difference_in_means
from sycee.programmes.occurrence_figures import Row
from sycee.report import page


def test_the_figures_of_a_programme(tmp_path: Path) -> None:
    with world.opened(tmp_path, shop_town().copy(tmp_path)) as bank:
        tea, cafe = (open_shop(bank, each) for each in ("Tea house", "Cafe"))
        for each in (tea, cafe):
            let_join(bank, each)
        bank.set_clock(moment(7, 9))
        wallets = claim(bank, range(4))  # packets of 50, 50, 20 and 20
        fund(bank, wallets[0], 30_00)
        whole = pay(bank, wallets[0], tea, 60_00, text="T-1")
        bank.set_clock(moment(8, 9))
        assert pay(bank, wallets[1], cafe, 12_34).is_paid
        assert pay(bank, wallets[2], tea, 20_00).is_paid
        north = {"signers": bank.signers(NORTH), "who": person(bank, NORTH)}
        refund = bank.payments.refund_payment(whole.operation, 15_00, **north)
        assert refund.is_paid
        found = bank.closing_reports.results(NAME)
        assert (found.members, found.claimed, found.payments) == (5, 4, 3)
        assert (found.dropped_minor, found.spent_minor, found.own_minor) == (160_00, 82_34, 10_00)
        assert (found.refunded_minor, found.net_minor, found.returned_minor) == (5_00, 77_34, 0)
        bank.set_clock(moment(15))
        found = bank.closing_reports.results(NAME)
        assert found.returned_minor == 160_00 - 77_34
        assert found.hours.claims.sum() == 4
        assert found.hours.packets_minor.sum() == found.spent_minor
        (at_nine,) = np.flatnonzero(found.hours.start_ns == moment(8, 9))
        assert (found.hours.packets_minor[at_nine], found.hours.refunded_minor[at_nine]) == (32_34, 5_00)
        assert {each.name: each.people for each in found.operators} == {"north": 2, "south": 2}
        assert sum(each.spent_minor for each in found.operators) == found.spent_minor
        (group,) = found.groups
        assert (group.name, group.people, group.spent_minor, group.own_minor) == ("city-shops", 2, 82_34, 10_00)
        assert found.shop_minor.tolist() == [80_00, 12_34]
        assert sorted(found.left_minor.tolist()) == [0, 5_00, 20_00, 37_66]

        others = [each.account for each in world.wallets(bank) if each.account not in wallets]
        effect = bank.closing_reports.effect(NAME, 0, wallets, others)
        assert effect.plain.effect == pytest.approx((60_00 + 12_34 + 20_00) / 4)
        with pytest.raises(NotFound, match="there is no account"):
            bank.closing_reports.effect(NAME, 0, wallets, [5])
        files = bank.closing_reports.write(NAME, 0, tmp_path / "report", effect)
        assert bank.check() == []
    written = {each.name for each in files}
    assert {"report.html", "hours.csv", "hours.parquet", "operators.csv", "groups.parquet", "summary.csv"} <= written
    content = (tmp_path / "report" / "report.html").read_text()
    assert "spent from packets, gross" in content
    assert "not shown" in content  # two wallets of each operator are too few
    assert "Received by each shop" not in content  # there are two: the plot would show the money of each
    assert len(content) < 1_000_000
    with (tmp_path / "report" / "summary.csv").open() as file:
        summary = {row["figure"]: int(row["value"]) for row in csv.DictReader(file)}
    assert summary["spent_net_minor"] == 77_34

    import pyarrow.parquet as parquet

    hours = parquet.read_table(tmp_path / "report" / "hours.parquet").to_pydict()
    assert sum(hours["packets_gross_minor"]) == 82_34


def test_a_programme_that_is_not_dropped_has_no_report(tmp_path: Path) -> None:
    options = world.at("allotted").copy(tmp_path)
    with world.opened(tmp_path, options) as bank, pytest.raises(UsageError, match="a report begins with its drop"):
        bank.closing_reports.results(NAME)


def row(name: str, people: int) -> Row:
    return Row(name, people, people, 100 * people, 0, 0)


@pytest.mark.parametrize(
    ("people", "hidden"),
    [
        ([50, 60, 70], set()),
        ([50, 9, 70], {0, 1}),  # the sum of all would show the small one
        ([3, 4, 70], {0, 1}),
        ([0, 60, 70], set()),
        ([9], {0}),
    ],
)
def test_small_rows_and_one_more_are_hidden(people: list[int], hidden: set[int]) -> None:
    shown = shown_rows([row(str(at), each) for at, each in enumerate(people)])
    assert {at for at, each in enumerate(shown) if each is None} == hidden


def test_nothing_of_a_hidden_row_is_in_page_or_tables(tmp_path: Path) -> None:
    with world.opened(tmp_path, shop_town().copy(tmp_path)) as bank:
        bank.set_clock(moment(7, 9))
        claim(bank, range(5))
        found = bank.closing_reports.results(NAME)
        definition = bank.programmes.get(NAME).definition
    assert all(each["spent_gross_minor"] is None for each in tables(found)["operators"])
    effect = Effect(difference_in_means(np.array([1.0, 2, 3, 5]), np.array([True, True, False, False])), None)
    content = page.render(report_page(definition, found, effect))
    assert "intention to treat" in content
    assert content.count("not shown") >= 10
