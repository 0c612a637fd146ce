"""Shops, incomes and attempts of a rehearsal, without a bank; with one in each mode of a programme as soak tests."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tests.programmes.test_modes import EQUAL, FIRST_COME, LIST, SPLIT
from tests.programmes.test_zones import TEXT as ZONES
from tests.programmes.world import FILE

from sycee.core import documents
from sycee.programmes import definition
from sycee.programmes.definition import Programme
from sycee.report import page
from sycee.sandbox.behaviour import layout as c
from sycee.sandbox.inference import posterior
from sycee.sandbox.pilots import description
from sycee.sandbox.rehearsal import attempts, shops, town
from sycee.sandbox.rehearsal.attempts import Chooser
from sycee.sandbox.rehearsal.page import rehearsal_page
from sycee.sandbox.rehearsal.trial import run_trial

PERSONS = np.arange(200_000)


def programme(text: str = FILE) -> Programme:
    return definition.define(documents.parse(text, "autumn.toml"))


def test_invented_shops_have_several_sectors_and_sizes_and_the_sectors_of_their_group() -> None:
    group = '\n[[merchants]]\nname = "tables"\ncount = 9\ndistrict = "Old town"\nsectors = ["restaurants"]\n'
    made = shops.invented(programme(FILE.replace("[[operators]]", f"{group}\n[[operators]]", 1)), town.plain_city())
    by_group = Counter(each.group for each in made)
    assert by_group == {"city-shops": 12, "tables": 12, "": shops.OUTSIDE}
    assert {each.sector for each in made if each.group == "tables"} == {"eating-out"}
    assert len({each.sector for each in made if each.group == "city-shops"}) == 8
    assert len({each.name.split(", ")[2] for each in made if each.group}) == 3
    assert {each.operator for each in made} == {"north", "south"}
    assert len({each.name for each in made}) == len(made)


def test_a_shop_of_the_town_gives_its_size() -> None:
    known = town.described(programme(), 32_00)
    wanted = [shops.Shop(str(rank), "leisure", "city-shops", "north", rank) for rank in (0.05, 0.5, 0.95)]
    made = town.town_of(known, wanted)
    made.city.check()
    sizes = made.city.merchants.turnover_year[made.shop].tolist()
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 3
    (same,) = town.town_of(known, [shops.Shop("x", "leisure", "city-shops", "north", turnover_minor=sizes[1])]).shop
    assert made.city.merchants.turnover_year[made.shop[1]] == sizes[1]
    assert int(same) == len(made.city.merchants) - len(wanted)
    case = town.case_of(programme(), made, wanted, posterior.load(), people=130_000, recipients=5, seed=1)
    assert len(case.place.people) == 130_000  # more than the town has
    assert case.place.people.has_wallet.all()
    assert int(case.place.market.accepting.sum()) == 3


def test_a_packet_is_the_same_part_of_consumption_in_any_currency() -> None:
    luohu = description.load(town.REFERENCE)
    euro = town.described(programme(FILE.replace('"CNY"', '"EUR"')), 20_00)
    assert euro.currency.code == "EUR"
    assert euro.consumption_month == pytest.approx(luohu.consumption_month / 10, rel=1e-3)
    assert town.described(definition.load("suzhou-2020"), 1).digest == description.load("suzhou-2020").digest


@pytest.mark.parametrize("reason", attempts.REASONS)
def test_attempts_have_their_shares_and_are_independent(reason: str) -> None:
    chooser = Chooser(1)
    found = chooser.happens(reason, 3, PERSONS)
    share = attempts.SHARES[reason] / c.PPM
    assert found.mean() == pytest.approx(share, rel=0.1)
    assert np.array_equal(found, chooser.happens(reason, 3, PERSONS))
    for other in (chooser.happens(reason, 4, PERSONS), Chooser(2).happens(reason, 3, PERSONS)):
        assert (found & other).mean() == pytest.approx(share**2, rel=0.5, abs=1e-4)
    moments = chooser.moments(reason, 3, PERSONS, (10, 20, 30))
    assert np.bincount(moments)[[10, 20, 30]] == pytest.approx(len(PERSONS) / 3, rel=0.02)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("text", "strata"),
    [
        (FIRST_COME, ()),
        (EQUAL, ()),
        (SPLIT, ()),
        (LIST, ("large", "large", "small", "small", "small")),
        (ZONES, ("old-town", "new-town")),
    ],
    ids=["first-come", "equal", "random-split", "list", "zones"],
)
def test_each_mode_is_rehearsed(tmp_path: Path, text: str, strata: tuple[str, ...]) -> None:
    file, people, made = (tmp_path / name for name in ("autumn.toml", "people.csv", "shops.csv"))
    file.write_text(text.replace("2026-11-14 24", "2026-11-13 24"))
    rows = ["document,phone,bank" + ",stratum" * bool(strata)]
    for number in range(len(strata) if len(strata) > 2 else 12):
        row = [f"4403000000{number:04}", f"+8613900{number:06}", ("north", "south")[number % 2]]
        rows.append(",".join([*row, *([strata[number % len(strata)]] if strata else [])]))
    people.write_text("\n".join(rows) + "\n")
    made.write_text("name,sector\nTea house,eating-out\n")

    def nothing(*_: object) -> None:
        pass

    found = run_trial(str(file), people, tmp_path / "trial", seed=1, tell=nothing, step=nothing, shops=made)
    figures = found.figures
    assert found.problems == ()
    assert 0 < figures.claimed <= figures.members
    assert figures.spent_minor + figures.returned_minor == figures.dropped_minor
    assert "Claims and payments by hour" in page.render(rehearsal_page(found))
