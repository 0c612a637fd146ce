"""Page of a synthetic city: what it cannot say, plots, and every figure beside the published one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from sycee.core import money
from sycee.core.money import Currency
from sycee.core.words import quantity
from sycee.report import distributions, page, plots
from sycee.report.chart import Series
from sycee.report.page import Block, Notice, Page, Paragraph, Plot, Points, Section, Table, Tile, Tiles, columns
from sycee.sandbox.city.compare import NOT_FITTED
from sycee.sandbox.city.definition import AGE_MAX
from sycee.sandbox.city.model import MALE, PPM, City, Comparison

YEARS_OF_A_BAR: Final = 5
SYNTHETIC: Final = "synthetic data"
INCOME_SHOWN_PERCENT: Final = 98  # of persons, in the histogram of incomes

_LIMITS: Final = (
    ("no person is real", "A row is drawn from sums of a whole city. It describes nobody who lives there."),
    (
        "only what was fitted is right",
        "Combinations that no source gives, such as wallets by income, are independent here, unlike in a real city.",
    ),
    (
        "assumed figures stay assumed",
        "The mark of each row says where a figure is from. An error of 0 against an assumed figure proves nothing.",
    ),
    (
        "no behaviour",
        "The city says who lives where and which shops there are. It does not say what anybody buys.",
    ),
)


def write(city: City, digest: str, path: Path) -> None:
    """Write the page of a city. Raises like `core.output_files.write_file`."""
    page.write(city_page(city, digest), path)


def city_page(city: City, digest: str) -> Page:
    """Return the page of a city; `digest` is the digest of its columns."""
    currency = money.currency(city.currency)
    size = "full size" if city.one_in == 1 else f"one synthetic person for {city.one_in}"
    return Page(
        kicker="Sycee sandbox: synthetic city",
        title=city.title,
        summary="Persons, households, zones and shops, fitted to published sums. No row is a real person or shop.",
        facts=(("scale", size), ("seed", str(city.seed)), ("digest", digest[:16])),
        opening=(
            Notice("Read first what this city cannot say."),
            Points(_LIMITS),
            _tiles(city, currency),
        ),
        sections=(_zones(city), _ages(city), _income(city, currency), _shops(city, currency), _figures(city, currency)),
        footer=f"City {city.name}, seed {city.seed}, digest {digest}. This page is one file and needs no network.",
    )


def _tiles(city: City, currency: Currency) -> Tiles:
    persons = city.persons
    households = int(persons.household[-1]) + 1 if len(persons) else 0
    income = int(persons.income_month.mean()) if len(persons) else 0
    fitted = [each for each in city.comparisons if not _is_compared_only(each)]
    worst = max((abs(each.error_ppm or 0) for each in fitted), default=0)
    return Tiles(
        (
            Tile("persons", f"{len(persons):,}", note=f"in {quantity(len(city.zones), 'zone')}"),
            Tile("households", f"{households:,}", note=f"{int(persons.dormitory.sum()):,} persons in dormitories"),
            Tile("shops", f"{len(city.merchants):,}", note=f"in {quantity(len(city.sectors), 'sector')}"),
            Tile("income of a month", money.format(income, currency), currency.code, "mean of all persons"),
            Tile("largest error", f"{worst / 10_000:.2f} %", note=f"of {len(fitted)} fitted figures"),
        )
    )


def _is_compared_only(row: Comparison) -> bool:
    """Return whether a figure is shown for comparison only."""
    return row.marginal.endswith(NOT_FITTED) or ", before " in row.marginal or "before the total" in row.marginal


def _zones(city: City) -> Section:
    order = np.argsort(-city.zones.population, kind="stable")[: distributions.BARS_MAX]
    by_day = np.bincount(city.persons.works_in, minlength=len(city.zones))
    names = [city.zones.name[place] for place in order]
    largest = int(order[0])
    commuting = int((city.persons.works_in != city.persons.zone).sum())
    sentence = (
        f"The largest zone, {names[0]}, has {int(city.zones.population[largest]):,} residents and "
        f"{int(by_day[largest]):,} persons by day. {commuting:,} persons work in another zone than they live in."
    )
    drawing = distributions.bars(
        names,
        (
            Series("residents", city.zones.population[order], "first"),
            Series("persons by day", by_day[order], "second"),
        ),
        label="persons",
    )
    height = max(220, 60 + 34 * len(names))
    plot = Plot("zones", "Persons by zone", sentence, drawing, height=height, badge=SYNTHETIC)
    return Section("zones", "Where persons live and work", "Zones", (plot,))


def _ages(city: City) -> Section:
    persons = city.persons
    bars = int(persons.age.max()) // YEARS_OF_A_BAR + 1 if len(persons) else 0
    bar = persons.age // YEARS_OF_A_BAR
    male = np.bincount(bar[persons.sex == MALE], minlength=bars)
    female = np.bincount(bar[persons.sex != MALE], minlength=bars)
    names = [
        f"{number * YEARS_OF_A_BAR}–{min(number * YEARS_OF_A_BAR + YEARS_OF_A_BAR - 1, AGE_MAX)}"
        for number in range(bars)
    ]
    sentence = (
        f"{int(female.sum()):,} women and girls, {int(male.sum()):,} men and boys; "
        f"{int((persons.age >= 60).sum()):,} persons are 60 or over."
    )
    drawing = distributions.pyramid(
        names, Series("female", female, "second"), Series("male", male, "first"), label="persons"
    )
    plot = Plot("ages", "Ages by sex", sentence, drawing, height=460, badge=SYNTHETIC)
    return Section("ages", "Who lives there", "Ages", (plot,))


def _income(city: City, currency: Currency) -> Section:
    income = np.sort(city.persons.income_month)
    most = int(income[min(len(income) * INCOME_SHOWN_PERCENT // 100, len(income) - 1)]) if len(income) else 0
    median = int(income[len(income) // 2]) if len(income) else 0
    fifth = income[len(income) * 4 // 5 :]
    share = int(fifth.sum()) * 100 / max(int(income.sum()), 1)
    sentence = (
        f"Half of all persons have at most {money.format(median, currency, code=True)} a month; the richest fifth has "
        f"{share:.0f} % of all income. Members of a household have the same income a head. "
        f"The plot shows {INCOME_SHOWN_PERCENT} % of the persons."
    )
    drawing = distributions.histogram(
        income, most_minor=most, currency=currency, label="income of a month, a head", counted="persons"
    )
    plot = Plot("income", "Income of a month", sentence, drawing, badge=SYNTHETIC)
    return Section("income", "What persons have", "Income", (plot,))


def _shops(city: City, currency: Currency) -> Section:
    turnover = np.sort(city.merchants.turnover_year)[::-1]
    total = int(turnover.sum())
    top = int(turnover[: max(1, len(turnover) // 100)].sum())
    sentence = (
        f"{len(turnover):,} shops take {money.format(total, currency, code=True)} a year. The largest hundredth of the "
        f"shops takes {top * 100 / max(total, 1):.0f} % of this."
    )
    plot = Plot(
        "shops",
        "Turnover of a year by rank",
        sentence,
        plots.ranks(turnover, currency=currency, receiver="shop"),
        badge=SYNTHETIC,
    )
    rows = tuple(
        (
            sector.name,
            f"{int((city.merchants.sector == number).sum()):,}",
            f"{sector.basket_ppm * 100 / PPM:.1f} %",
            f"{sector.distance_m / 1000:g} km",
        )
        for number, sector in enumerate(city.sectors)
    )
    heading = columns("sector", ">shops", ">share of consumption", ">median distance")
    return Section("shops", "Where persons can pay", "Shops", (plot, Table("Sectors", heading, rows)))


def _figures(city: City, currency: Currency) -> Section:
    def shown(row: Comparison, value: int) -> str:
        if row.unit == "minor":
            return money.format(value, currency, code=True)
        if row.unit == "ppm":
            return f"{value * 100 / PPM:.2f} %"
        return f"{value:,}"

    def error(row: Comparison) -> str:
        return "–" if row.error_ppm is None else f"{row.error_ppm / 10_000:+.2f} %"

    blocks: list[Block] = [
        Paragraph(
            "Published figures are scaled to the size of this city. Mark [1]: read in one source; [2]: in two or more; "
            "derived: computed from such figures; assumed: chosen, or recalled and not checked."
        )
    ]
    for is_compared, caption in (
        (False, "Figures that the city was fitted to"),
        (True, "Figures to compare with only"),
    ):
        rows = tuple(
            (
                row.marginal,
                row.cell,
                shown(row, row.published),
                shown(row, row.synthetic),
                error(row),
                row.mark,
                row.source,
            )
            for row in city.comparisons
            if _is_compared_only(row) is is_compared
        )
        heading = columns("marginal", "cell", ">published", ">synthetic", ">error", "=mark", "source")
        if rows:
            blocks.append(Table(caption, heading, rows, stacked=True))
    return Section("figures", "Published and synthetic", "Figures", tuple(blocks))
