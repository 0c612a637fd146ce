"""The report of a comparison: one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

import numpy as np

from sycee.core import money
from sycee.days.compare import OURS, Comparison, Level, Spread
from sycee.days.measures import DECILES, POINTS
from sycee.days.policies import Policy
from sycee.report import chart, page
from sycee.report.chart import Drawing
from sycee.report.page import (
    Block,
    Notice,
    Page,
    Paragraph,
    Plot,
    Points,
    Section,
    SideBySide,
    Table,
    Tile,
    Tiles,
    columns,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Of all policies but ours: one more policy needs one more colour.
COLOURS: Final = ("neutral", "fourth", "second", "sixth", "fifth", "third")
HALF_WIDTH: Final = 500  # CSS pixels of a plot beside another one

RATIO: Final = (
    "The funding ratio, value settled over prefund and closing funding, cannot rank policies. After the closing net "
    "settlement each bank's position is its prefund minus its net outflow of the day, in whatever order payments "
    "settled, so the ratio is the same for every policy on this page. What a policy changes is how much settles "
    "before the close, and how long it waits: compare these at the same prefund."
)
LIMITS: Final = (
    ("Synthetic", "No data of real payments between banks are public. Every assumed value is in the data file."),
    ("A sample", "A day has far fewer payments than the real system, so each is larger against the prefund."),
    ("Banks react", "Real banks time their payments by the policy. The banks of a synthetic day do not."),
    ("Bounds", "The bounds know the whole day and split payments. How near a policy could come is not known."),
)  # fmt: skip


def write(comparison: Comparison, path: Path) -> None:
    """Write the page. Raises like `report.page.write`."""
    page.write(report(comparison), path)


def report(comparison: Comparison) -> Page:
    """Return the page of a comparison."""
    day = comparison.assumptions
    first = comparison.levels[0]
    return Page(
        kicker="Clearing: synthetic days",
        title="Policies of settlement, side by side",
        summary=(
            f"{len(comparison.seeds)} synthetic days of {day.payments:,} payments between {day.count} banks, "
            f"each settled under {len(comparison.policies)} policies."
        ),
        facts=(
            ("assumptions", day.name),
            ("seeds", f"{comparison.seeds[0]} to {comparison.seeds[-1]}"),
            ("session", f"{len(day.arrivals)} hours from {day.opens}"),
            ("value of a day", f"{money.format(int(median(first.values)), day.currency)} (median)"),
        ),
        opening=(Notice(RATIO), Tiles(_tiles(comparison))),
        sections=(
            Section("levels", "Share and delay", "Share and delay", tuple(_levels(comparison))),
            Section("sizes", "By size of payment", "By size", tuple(_sizes(comparison))),
            Section("liquidity", "Liquidity", "Liquidity", (_liquidity(comparison),)),
            Section("policies", "The policies", "Policies", (_policies(comparison.policies),)),
            Section("limits", "What this page cannot show", "Limits", (Points(LIMITS),)),
        ),
        footer="Every figure follows from the seeds and the data file: sycee clearing days --report PAGE.",
    )


def _tiles(comparison: Comparison) -> tuple[Tile, ...]:
    name = _ours(comparison).name
    return tuple(
        Tile(
            f"delay at 1/{level.value_per_prefund}",
            _percent(level.spread(name, "delay").median),
            note=f"{_percent(level.spread(name, 'value_share').median)} of the value before the close",
        )
        for level in comparison.levels
    )


def _levels(comparison: Comparison) -> list[Block]:
    blocks: list[Block] = [
        Paragraph(
            "Medians over the days, with the 5th and 95th percentile. Delay is weighted by value and is a part of the "
            "day; what waits for the closing net settlement waits until the close. Right and low is better."
        )
    ]
    blocks += [
        SideBySide(
            tuple(
                Plot(
                    name=f"{kind}-{level.value_per_prefund}",
                    title=f"{title}, prefund 1/{level.value_per_prefund}",
                    sentence=_sentence(comparison, level),
                    drawing=drawing(comparison, level),
                    width=HALF_WIDTH,
                    height=360,
                    badge="synthetic data",
                )
                for kind, title, drawing in (
                    ("frontier", "Share against delay", _frontier),
                    ("waiting", "What waits during the day", _waiting),
                )
            )
        )
        for level in comparison.levels
    ]
    for level in comparison.levels:
        blocks += [_table(comparison, level), *_paired(comparison, level)]
    return blocks


def _sentence(comparison: Comparison, level: Level) -> str:
    parts = [
        f"{policy.title}: {_percent(level.spread(policy.name, 'value_share').median)} settled, "
        f"delay {_percent(level.spread(policy.name, 'delay').median)}"
        for policy in comparison.policies
    ]
    return "; ".join(parts) + "."


def _table(comparison: Comparison, level: Level) -> Table:
    names = ("value_share", "count_share", "delay", "delay_large", "delay_urgent")
    rows = [
        (policy.title, *(level.spread(policy.name, name).per_cent_text() for name in names))
        for policy in comparison.policies
    ]
    share, delay = bound_spreads(comparison, level)
    return Table(
        f"Prefund 1/{level.value_per_prefund} of the day's value, %",
        columns("policy", ">value before the close", ">count", ">delay", ">of the largest tenth",
                ">of urgent"),
        tuple(rows),
        total=("no policy exceeds", share.per_cent_text(), "", delay.per_cent_text(), "", ""),
    )  # fmt: skip


def _paired(comparison: Comparison, level: Level) -> list[Table]:
    """Return the differences day by day between our policy, or the last one without it, and each other policy."""
    ours = _ours(comparison)
    others = [policy for policy in comparison.policies if policy is not ours]
    if not others:
        return []
    rows = []
    for other in others:
        share = level.difference("value_share", ours.name, other.name)
        delay = level.difference("delay", ours.name, other.name)
        ahead = level.ahead(ours.name, other.name)
        rows.append((other.title, share.per_cent_text(), delay.per_cent_text(), f"{ahead} of {len(comparison.seeds)}"))
    return [
        Table(
            f"{ours.title} minus each other policy on the same day, prefund 1/{level.value_per_prefund}, points",
            columns("other policy", ">value before the close", ">delay", ">days ahead in both"),
            tuple(rows),
        )
    ]


def _sizes(comparison: Comparison) -> list[Block]:
    blocks: list[Block] = [
        Paragraph(
            "Payments of a day in ten groups of equal count, by amount. The largest tenth carries most of the value: "
            "a policy that releases what fits settles the small ones and strands the large ones."
        )
    ]
    for level in comparison.levels:
        blocks.append(
            SideBySide(
                tuple(
                    Plot(
                        name=f"{field.replace('_', '-')}-{level.value_per_prefund}",
                        title=f"{title}, prefund 1/{level.value_per_prefund}",
                        sentence=f"{title} by group of size, for each policy: medians over the days.",
                        drawing=_deciles(comparison, level, field),
                        width=HALF_WIDTH,
                        height=320,
                        badge="synthetic data",
                    )
                    for field, title in (
                        ("decile_shares", "Settled before the close"),
                        ("decile_delays", "Delay"),
                    )
                )
            )
        )
    return blocks


def _liquidity(comparison: Comparison) -> Table:
    rows = []
    for level in comparison.levels:
        values = np.array(level.values, float)
        least = np.array([each.liquidity_least for each in level.bounds]) / values
        gross = np.array([each.liquidity_gross for each in level.bounds]) / values
        any_policy = level.measures[comparison.policies[0].name]
        funding = np.array([each.funding for each in any_policy]) / values
        rows.append(
            (
                f"1/{level.value_per_prefund}",
                Spread.of(list(least)).per_cent_text(),
                Spread.of(list(gross)).per_cent_text(),
                Spread.of(list(funding)).per_cent_text(),
                _number(Spread.of([each.funding_ratio for each in any_policy])),
            )
        )
    return Table(
        "Liquidity as a part of the day's value, %, and the funding ratio of every policy",
        columns("prefund", ">least: sum of net outflows", ">gross, without delay", ">asked at the close",
                ">funding ratio"),
        tuple(rows),
    )  # fmt: skip


def _policies(policies: tuple[Policy, ...]) -> Points:
    return Points(tuple((policy.title, policy.text) for policy in policies))


def _frontier(comparison: Comparison, level: Level) -> Drawing:
    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        for policy in comparison.policies:
            shade = chart.colour(_shade(comparison, policy))
            days = level.measures[policy.name]
            share, delay = [100 * each.value_share for each in days], [100 * each.delay for each in days]
            axes.scatter(share, delay, s=9, color=shade, alpha=0.35, linewidths=0)
            axes.scatter([median(share)], [median(delay)], s=70, color=shade, label=policy.title, linewidths=0)
        share_most, delay_least = bound_spreads(comparison, level)
        axes.axvline(
            100 * share_most.median,
            color=chart.colour("warning"),
            linewidth=1.5,
            linestyle=":",
            label="no policy exceeds",
        )
        axes.axhline(100 * delay_least.median, color=chart.colour("warning"), linewidth=1.5, linestyle=":")
        axes.set_xlabel("value settled before the close, %")
        axes.set_ylabel("delay, % of the day")
        axes.set_ylim(bottom=0)
        axes.grid()
        figure.legend(loc="outside upper left", ncols=1 if narrow else 2)

    return draw


def _waiting(comparison: Comparison, level: Level) -> Drawing:
    hours = np.arange(1, POINTS + 1) * len(comparison.assumptions.arrivals) / POINTS

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        for policy in comparison.policies:
            curves = np.array([each.waiting for each in level.measures[policy.name]])
            axes.plot(
                hours, 100 * np.median(curves, axis=0), color=chart.colour(_shade(comparison, policy)), linewidth=2,
                label=policy.title,
            )  # fmt: skip
        axes.set_xlabel("hours after the opening")
        axes.set_ylabel("waits, % of the day's value")
        axes.set_ylim(bottom=0)
        axes.grid()
        figure.legend(loc="outside upper left", ncols=1 if narrow else 2)

    return draw


def _deciles(comparison: Comparison, level: Level, field: str) -> Drawing:
    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        for policy in comparison.policies:
            rows = np.array([getattr(each, field) for each in level.measures[policy.name]])
            axes.plot(
                range(1, DECILES + 1), 100 * np.median(rows, axis=0), marker="o", markersize=4, linewidth=2,
                color=chart.colour(_shade(comparison, policy)), label=policy.title,
            )  # fmt: skip
        axes.set_xlabel("tenth of the payments by size, the smallest first")
        axes.set_ylabel("% of the value" if field == "decile_shares" else "% of the day")
        axes.set_xticks(range(1, DECILES + 1))
        if field == "decile_delays":
            axes.set_ylim(bottom=0)
        axes.grid()
        figure.legend(loc="outside upper left", ncols=1 if narrow else 2)

    return draw


def bound_spreads(comparison: Comparison, level: Level) -> tuple[Spread, Spread]:
    """Return the spreads of the share that no policy exceeds, and of the delay that none goes below."""
    seconds = comparison.assumptions.seconds
    pairs = list(zip(level.bounds, level.values, strict=True))
    return (
        Spread.of([each.value_most / value for each, value in pairs]),
        Spread.of([each.delay_least / value / seconds for each, value in pairs]),
    )


def _ours(comparison: Comparison) -> Policy:
    """Return our policy, or the last one if it was not chosen."""
    return next((policy for policy in comparison.policies if policy.name == OURS), comparison.policies[-1])


def _shade(comparison: Comparison, policy: Policy) -> str:
    if policy is _ours(comparison):
        return "first"
    others = [each for each in comparison.policies if each is not _ours(comparison)]
    return COLOURS[others.index(policy)]


def _percent(part: float) -> str:
    return f"{100 * part:.2f} %"


def _number(spread: Spread) -> str:
    return f"{spread.median:.1f} [{spread.low:.1f}, {spread.high:.1f}]"
