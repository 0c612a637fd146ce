"""The report of a replayed pilot: one HTML page that says whether every cent is accounted for, and shows how.

`write_report` is called once, at the end. Names of places, banks and money come from the programme and the outcome.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from sycee.core import money
from sycee.core.arrays import Array
from sycee.report import chart, page, plots, sankey
from sycee.report.chart import Level, Series
from sycee.report.page import (
    Block,
    Link,
    Notice,
    Page,
    Paragraph,
    Plot,
    Section,
    Share,
    Shares,
    SideBySide,
    Table,
    Tile,
    Tiles,
    Verdict,
    YesNo,
    columns,
)
from sycee.sandbox import report_appendix
from sycee.sandbox.outcome import Comparison, Outcome, Role


def write_report(outcome: Outcome, path: Path) -> None:
    """Write the report to `path`, whole or not at all. UsageError or UnavailableError where that cannot be done."""
    page.write(report_page(outcome), path)


def report_page(outcome: Outcome) -> Page:
    """The report as a value: what it says, before it becomes HTML."""
    programme = outcome.programme
    window, zone = programme.spending, programme.zone
    opening: tuple[Block, ...] = (_verdict(outcome), *_synthetic(outcome), _tiles(outcome))
    return Page(
        kicker="Sycee pilot replay",
        title=programme.title,
        summary=(
            f"Every {_smallest(outcome)} of the programme, from the mint to the return of what was left, "
            "paid out again on a real ledger and set beside what was published."
        ),
        facts=(
            (
                f"spending window, {zone.key} time",
                f"{chart.moment_text(window.from_ns, zone)} to {chart.end_text(window.until_ns, zone)}",
            ),
            ("funded by", programme.funder.name),
            ("scale", "full size" if outcome.scale == 1 else f"{outcome.scale:g} of the published size"),
            ("seed", str(outcome.seed)),
        ),
        opening=opening,
        sections=(
            _figures(outcome),
            _hours(outcome),
            _packets(outcome),
            _flow(outcome),
            _operators(outcome),
            _merchants(outcome),
            report_appendix.proof(outcome),
            report_appendix.run(outcome),
            report_appendix.reading(outcome),
        ),
        footer=f"Programme {programme.name}, seed {outcome.seed}. This page is one file and needs no network.",
    )


# Of programmes.definition.MARKS, in words.
_MARKS = (
    "[2]: read in two or more sources that look independent. [1]: read in one. Assumed: not published, chosen for this "
    "replay. Derived: not published, computed from figures that were."
)


def _smallest(outcome: Outcome) -> str:
    return "cent" if outcome.programme.currency.digits else "unit"


def _money(outcome: Outcome, minor: int) -> str:
    return money.format(minor, outcome.programme.currency, code=True)


def _amount(outcome: Outcome, minor: int) -> str:
    return money.format(minor, outcome.programme.currency)


def _verdict(outcome: Outcome) -> Verdict:
    compared = [comparison for comparison in outcome.comparisons if comparison.expected is not None]
    wrong = [comparison for comparison in compared if not comparison.agrees]
    if not compared:
        return Verdict(True, "Nothing was published to compare with; the ledger's own figures follow.")
    if wrong:
        names = ", ".join(comparison.title for comparison in wrong)
        return Verdict(
            False,
            f"{len(wrong)} of {len(compared)} figures differ from what was published or follows from it: {names}.",
        )
    given, follow, computed = (sum(comparison.role is role for comparison in compared) for role in Role)
    return Verdict(
        True,
        f"All {len(compared)} figures agree with what was published or follows from it, to the {_smallest(outcome)}. "
        f"Given to the replay: {given}; following from what it was given: {follow}; "
        f"computed by the ledger: {computed}.",
    )


def _synthetic(outcome: Outcome) -> tuple[Notice, ...]:
    if not outcome.synthetic:
        return ()
    return (
        Notice(
            f"The people, salts and beacon are synthetic, derived from seed {outcome.seed}. "
            "The rules, amounts and totals are the published ones; the payments in between were made up to meet them."
        ),
    )


def _badge(outcome: Outcome) -> str:
    """The note beside the title of each plot."""
    return "synthetic data" if outcome.synthetic else ""


def _by_name(outcome: Outcome) -> dict[str, Comparison]:
    return {comparison.name.removesuffix("_minor"): comparison for comparison in outcome.comparisons}


def _tiles(outcome: Outcome) -> Tiles:
    """The five figures of a drop; one that the outcome does not hold is left out."""
    figures = {name: comparison.ledger for name, comparison in _by_name(outcome).items()}
    budget = figures.get("budget", outcome.programme.budget_minor)
    own = figures.get("spent_own", 0)
    notes = {
        "registered": f"after {_count(outcome.duplicates, 'second entry', 'second entries')} set aside",
        "winners": _percent(figures.get("winners", 0), figures.get("registered", 0), "of the registered"),
        "claimed": _percent(figures.get("claimed", 0), figures.get("winners", 0), "of the winners"),
        "spent_from_packets": _percent(figures.get("spent_from_packets", 0), budget, "of the budget")
        + (f"; {_money(outcome, own)} of own money besides" if own else ""),
        "returned": _percent(figures.get("returned", 0), budget, "of the budget, back at the funder"),
    }
    tiles = []
    for name, note in notes.items():
        comparison = _by_name(outcome).get(name)
        if comparison is not None:
            value = _amount(outcome, comparison.ledger) if comparison.is_money else f"{comparison.ledger:,}"
            unit = outcome.programme.currency.code if comparison.is_money else ""
            tiles.append(Tile(name.replace("_", " "), value, unit, note))
    return Tiles(tuple(tiles))


def _figures(outcome: Outcome) -> Section:
    rows = []
    for comparison in outcome.comparisons:
        agrees = (
            YesNo(None, "not published")
            if comparison.expected is None
            else YesNo(comparison.agrees, "yes" if comparison.agrees else _difference(outcome, comparison))
        )
        rows.append(
            (
                comparison.title,
                "–" if comparison.expected is None else _value(outcome, comparison, comparison.expected),
                _value(outcome, comparison, comparison.ledger),
                agrees,
                comparison.role.value,
                comparison.source or "–",
            )
        )
    published = "published" if outcome.scale == 1 else "published, scaled"
    return Section(
        "figures",
        f"Published and ledger, to the {_smallest(outcome)}",
        "Figures",
        (
            Paragraph(
                "A figure marked “input” was known to the replay, which was made so that it comes out; the ledger "
                "still had to carry it out and count it. One marked “follows” follows from such inputs, which the "
                "replay passed on. One marked “computed” was computed by the ledger, by its own rules."
            ),
            Table(
                "What was published, and what the ledger holds at the end",
                columns("figure", f">{published}", ">ledger", "agrees", "role", "source"),
                tuple(rows),
                stacked=True,
            ),
            Paragraph(f"Marks of the sources. {_MARKS}"),
            *_sources(outcome),
        ),
    )


def _sources(outcome: Outcome) -> tuple[Table, ...]:
    if not outcome.programme.sources:
        return ()
    rows = tuple((source.name, Link(source.address, source.address)) for source in outcome.programme.sources)
    return (Table("Where the published figures were read", columns("source", "address"), rows, stacked=True),)


def _value(outcome: Outcome, comparison: Comparison, value: int) -> str:
    return _money(outcome, value) if comparison.is_money else f"{value:,}"


def _difference(outcome: Outcome, comparison: Comparison) -> str:
    off = comparison.ledger - (comparison.expected or 0)
    words = ("too much", "too little") if comparison.is_money else ("too many", "too few")
    return f"{_value(outcome, comparison, abs(off))} {words[off < 0]}"


def _hours(outcome: Outcome) -> Section:
    programme, hours = outcome.programme, outcome.hours
    claimed_minor = hours.claims * outcome.packet_minor
    figure = plots.hours(
        hours.start_ns,
        (Series("packet money", hours.packets_minor, "first"), Series("own money", hours.own_minor, "second")),
        (
            Series("spent from packets", hours.packets_minor, "first"),
            Series("claimed, at face value", claimed_minor, "fourth"),
        ),
        level=Level("budget", programme.budget_minor),
        deadline_ns=programme.expires_ns,
        currency=programme.currency,
        zone=programme.zone,
    )
    packets, own = int(hours.packets_minor.sum()), int(hours.own_minor.sum())
    both = hours.packets_minor + hours.own_minor
    busiest = ""
    if packets + own:
        place = int(both.argmax())
        busiest = (
            f" The busiest hour began {chart.moment_text(int(hours.start_ns[place]), programme.zone)} "
            f"with {_money(outcome, int(both[place]))}; "
            f"the last {min(len(both), 24)} hours brought "
            f"{_percent(int(both[-24:].sum()), packets + own, 'of all spending')}."
        )
    return Section(
        "hours",
        "Spending by hour, against the deadline",
        "Hours",
        (
            Plot(
                "hours",
                f"Spent by hour, {programme.zone.key} time",
                f"{_money(outcome, packets)} of packet money and {_money(outcome, own)} of own money were spent in "
                f"{int(hours.payments.sum()):,} payments before "
                f"{chart.end_text(programme.expires_ns, programme.zone)}.{busiest} "
                f"{int(hours.claims.sum()):,} packets were claimed, worth {_money(outcome, int(claimed_minor.sum()))}.",
                figure,
                height=430,
                badge=_badge(outcome),
            ),
            _by_hour(outcome),
        ),
    )


def _by_hour(outcome: Outcome) -> Table:
    hours, zone, code = outcome.hours, outcome.programme.zone, outcome.programme.currency.code
    starts = [chart.moment_text(int(start), zone) for start in hours.start_ns]
    rows = tuple(
        (start, f"{claims:,}", f"{payments:,}", _amount(outcome, packet), _amount(outcome, own))
        for start, claims, payments, packet, own in zip(
            starts, hours.claims, hours.payments, hours.packets_minor, hours.own_minor, strict=True
        )
    )
    return Table(
        "By hour, as the ledger counts it",
        columns("hour from", ">claims", ">payments", f">packet money, {code}", f">own money, {code}"),
        rows,
        (
            "all hours",
            f"{int(hours.claims.sum()):,}",
            f"{int(hours.payments.sum()):,}",
            _amount(outcome, int(hours.packets_minor.sum())),
            _amount(outcome, int(hours.own_minor.sum())),
        ),
        folded=f"The numbers behind this plot, {len(rows):,} hours",
    )


def _packets(outcome: Outcome) -> Section:
    left, whole, currency = outcome.left_minor, outcome.packet_minor, outcome.programme.currency
    emptied, untouched = int((left == 0).sum()), int((left == whole).sum())
    in_part = len(left) - emptied - untouched
    left_in_part = int(left[(left > 0) & (left < whole)].sum())
    every = len(left) + outcome.unclaimed
    unclaimed_minor = outcome.unclaimed * whole

    def share(label: str, count: int, left_minor: int, colour: str) -> Share:
        note = f"{_percent(count, every, 'of all packets')}, {_money(outcome, left_minor)} left"
        return Share(label, f"{count:,}", count / every if every else 0.0, note, colour)

    average = f", {_money(outcome, round(left_in_part / in_part))} each on average" if in_part else ""
    sentence = (
        f"Of {len(left):,} claimed packets {emptied:,} were emptied, {in_part:,} used in part and {untouched:,} not at "
        f"all. {_money(outcome, left_in_part)} were left in those used in part{average}. "
        f"{outcome.unclaimed:,} more were never claimed."
    )
    return Section(
        "packets",
        "What was left in each packet",
        "Packets",
        (
            Paragraph(
                f"{_count(every, 'packet', 'packets')} of {_money(outcome, whole)} each, just before expiry. What was "
                f"left, {_money(outcome, int(left.sum()) + unclaimed_minor)} in all, went back to the funder."
            ),
            SideBySide(
                (
                    Shares(
                        "Every packet",
                        (
                            share("emptied", emptied, 0, "first"),
                            share("used in part", in_part, left_in_part, "second"),
                            share("claimed, not touched", untouched, untouched * whole, "third"),
                            share("never claimed", outcome.unclaimed, unclaimed_minor, "neutral"),
                        ),
                    ),
                    Plot(
                        "left",
                        "Claimed packets by what was left",
                        sentence,
                        plots.left_over(left, whole, currency=currency, emptied="emptied", untouched="not touched"),
                        width=500,
                        height=330,
                        badge=_badge(outcome),
                    ),
                )
            ),
            _by_amount_left(outcome),
        ),
    )


def _by_amount_left(outcome: Outcome) -> Table:
    counts, edges = plots.bins(outcome.left_minor, outcome.packet_minor)
    code = outcome.programme.currency.code
    return Table(
        "Claimed packets used in part, by what was left",
        columns(f">left, {code}, from", f">to, {code}", ">packets"),
        tuple(
            (_amount(outcome, round(low)), _amount(outcome, round(high)), f"{count:,}")
            for low, high, count in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
        ),
        folded="The numbers behind this plot",
    )


def _flow(outcome: Outcome) -> Section:
    currency = outcome.programme.currency
    flows = [(source, target, minor) for source, target, minor in outcome.flows if minor > 0]
    sentence = "; ".join(f"{_money(outcome, minor)} from {source} to {target}" for source, target, minor in flows)
    return Section(
        "flow",
        "The way of the money, from mint to return",
        "Flow",
        (
            Plot(
                "flow",
                "From mint to return",
                f"{sentence[:1].upper()}{sentence[1:]}." if flows else "No money moved.",
                sankey.flow(flows, currency=currency, back="{} (returned)"),
                height=sankey.HEIGHT,
                width_min=820,
                badge=_badge(outcome),
            ),
            Table(
                "Each stream, as the ledger counts it",
                columns("from", "to", f">amount, {currency.code}"),
                tuple((source, target, _amount(outcome, minor)) for source, target, minor in flows),
                folded="The numbers behind this plot",
            ),
        ),
    )


def _operators(outcome: Outcome) -> Section:
    operators = outcome.operators
    code = outcome.programme.currency.code

    def amounts(name: str) -> list[int]:
        return [int(getattr(operator, name)) for operator in operators]

    money_columns = {
        "issued_minor": "issued to it, against reserves",
        "topped_up_minor": "topped up from it",
        "spent_packets_minor": "packet money spent",
        "spent_own_minor": "own money spent",
        "received_minor": "received by its merchants",
    }
    rows = tuple(
        (
            operator.title,
            f"{operator.wallets:,}",
            *(_amount(outcome, int(getattr(operator, name))) for name in money_columns),
        )
        for operator in operators
    )
    spent = sum(amounts("spent_packets_minor")) + sum(amounts("spent_own_minor"))
    received = sum(amounts("received_minor"))
    parts = ", ".join(
        f"{operator.name} {_money(outcome, operator.spent_packets_minor + operator.spent_own_minor)} spent and "
        f"{_money(outcome, operator.received_minor)} received"
        for operator in operators
    )

    def series(name: str, field: str, colour: str) -> Series:
        return Series(name, np.array(amounts(field), np.int64), colour)

    figure = plots.grouped_bars(
        [operator.name for operator in operators],
        (
            (
                series("packet money spent", "spent_packets_minor", "first"),
                series("own money spent", "spent_own_minor", "second"),
            ),
            (series("received by merchants", "received_minor", "third"),),
        ),
        currency=outcome.programme.currency,
        label="in all",
    )
    return Section(
        "operators",
        "By bank",
        "Banks",
        (
            Plot(
                "operators",
                "Spent by each bank's wallets, received by its merchants",
                f"{parts}. {_money(outcome, spent)} spent and {_money(outcome, received)} received in all.",
                figure,
                height=320,
                badge=_badge(outcome),
            ),
            Table(
                f"Wallets, and money in {code}, by bank",
                columns("bank", ">wallets", *(f">{title}" for title in money_columns.values())),
                rows,
                (
                    "all banks",
                    f"{sum(operator.wallets for operator in operators):,}",
                    *(_amount(outcome, sum(amounts(name))) for name in money_columns),
                ),
                stacked=True,
            ),
        ),
    )


def _merchants(outcome: Outcome) -> Section:
    received, payments = outcome.merchant_received_minor, outcome.merchant_payments
    count, total = len(received), int(received.sum())
    paid = int((received > 0).sum())
    middle = _money(outcome, int(received[count // 2])) if count else "nothing"
    rank_sentence = (
        f"{paid:,} of {_count(count, 'merchant', 'merchants')} received something, {_money(outcome, total)} in "
        f"{int(payments.sum()):,} payments. The largest received {_money(outcome, int(received[0]) if count else 0)}, "
        f"the one in the middle {middle}."
    )
    lorenz_sentence = (
        f"The top 1% of merchants received {_top(received, 0.01)} of the money, the top 10% {_top(received, 0.1)}, "
        f"the lower half {_percent(int(received[count - count // 2 :].sum()), total, '')}. "
        f"Gini coefficient {plots.gini(received):.2f}, where 0 is equal and 1 is all in one hand."
    )
    return Section(
        "merchants",
        "By merchant: how concentrated",
        "Merchants",
        (
            SideBySide(
                (
                    Plot(
                        "lorenz",
                        "Share of the money against share of the merchants",
                        lorenz_sentence,
                        plots.lorenz(received, receivers="merchants"),
                        width=500,
                        height=340,
                        badge=_badge(outcome),
                    ),
                    Plot(
                        "ranks",
                        "Received by each merchant, largest first",
                        rank_sentence,
                        plots.ranks(received, currency=outcome.programme.currency, receiver="merchant"),
                        width=500,
                        height=340,
                        badge=_badge(outcome),
                    ),
                )
            ),
            _by_rank(outcome),
        ),
    )


def _by_rank(outcome: Outcome) -> Table:
    """The amounts behind the curves, at ranks of about equal distance on a logarithmic axis."""
    received, code = outcome.merchant_received_minor, outcome.programme.currency.code
    total = int(received.sum())
    running = np.cumsum(received, dtype=np.int64)
    places = sorted({round(place) for place in np.geomspace(1, len(received), 30)}) if len(received) else []
    return Table(
        "Received by rank",
        columns("rank", f">received, {code}", ">all ranks up to it", ">share of the money"),
        tuple(
            (
                f"{place:,}",
                _amount(outcome, int(received[place - 1])),
                _amount(outcome, int(running[place - 1])),
                _percent(int(running[place - 1]), total, ""),
            )
            for place in places
        ),
        folded="The numbers behind these plots",
    )


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _percent(part: int, whole: int, of: str) -> str:
    """A share to a tenth of a percent, small ones to a hundredth."""
    if whole == 0:
        return f"– {of}".rstrip()
    share = 100 * part / whole
    return f"{share:.{2 if 0 < share < 10 else 1}f}% {of}".rstrip()


def _top(descending_minor: Array, share: float) -> str:
    top = math.ceil(len(descending_minor) * share)
    return _percent(int(descending_minor[:top].sum()), int(descending_minor.sum()), "")
