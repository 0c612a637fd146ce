"""Report of a replayed pilot: one HTML page that compares the ledger with the published figures.

`write_report` is called once, at the end. Names of places, banks and currencies are from the programme and the outcome.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from sycee.core import money
from sycee.core.arrays import Array
from sycee.core.words import quantity
from sycee.report import chart, page, plots, sankey
from sycee.report.chart import Drawing, Level, Series
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
from sycee.sandbox.outcome import Comparison, PilotOutcome, Role

HALF_WIDTH = 500  # CSS pixels of a plot beside another one

# `programmes.file_values.MARKS` in words.
_MARKS = (
    "[2]: read in two or more sources that seem independent. [1]: read in one. Assumed: not published, chosen for this "
    "replay. Derived: not published, computed from figures that were."
)
_OPERATOR_COLUMNS = {
    "issued_minor": "issued to it, against reserves",
    "topped_up_minor": "topped up from it",
    "spent_packets_minor": "packet money spent",
    "spent_own_minor": "own money spent",
    "received_minor": "received by its merchants",
}


def write_report(outcome: PilotOutcome, path: Path) -> None:
    """Write the report to `path`, whole or not at all. Raises like `core.output_files.write_file`."""
    page.write(report_page(outcome), path)


def report_page(outcome: PilotOutcome) -> Page:
    """Return the page of the report."""
    return _Report(outcome).page()


class _Report:
    """The sections of the page, and the formats that they share."""

    def __init__(self, outcome: PilotOutcome) -> None:
        self.outcome = outcome
        self.programme = outcome.programme
        self.zone, self.currency = self.programme.zone, self.programme.currency
        self.code = self.currency.code
        self.smallest = "cent" if self.currency.digits else "unit"

    def page(self) -> Page:
        outcome, window = self.outcome, self.programme.spending
        return Page(
            kicker="Sycee pilot replay",
            title=self.programme.title,
            summary=(
                "The programme replayed on a real ledger, from the mint to the return of unspent money, and compared "
                f"with the published figures to the {self.smallest}."
            ),
            facts=(
                (
                    f"spending window, {self.zone.key} time",
                    f"{chart.moment_text(window.from_ns, self.zone)} to {chart.end_text(window.until_ns, self.zone)}",
                ),
                ("funded by", self.programme.funder.name),
                ("scale", "full size" if outcome.scale == 1 else f"{outcome.scale:g} of the published size"),
                ("seed", str(outcome.seed)),
            ),
            opening=(self.verdict(), *self.notices(), self.tiles()),
            sections=(
                self.figures(),
                self.hours(),
                self.packets(),
                self.flow(),
                self.operators(),
                self.merchants(),
                report_appendix.proof(outcome),
                report_appendix.run(outcome),
                report_appendix.reading(outcome),
            ),
            footer=f"Programme {self.programme.name}, seed {outcome.seed}. This page is one file and needs no network.",
        )

    # --- formats --------------------------------------------------------------------------------------------------

    def money(self, minor: int) -> str:
        """Return minor units with the currency, such as "CNY 1,234.50"."""
        return money.format(int(minor), self.currency, code=True)

    def amount(self, minor: int) -> str:
        return money.format(int(minor), self.currency)

    def value(self, comparison: Comparison, value: int) -> str:
        return self.money(value) if comparison.is_money else f"{value:,}"

    def moment(self, moment_ns: int) -> str:
        return chart.moment_text(int(moment_ns), self.zone)

    def plot(self, name: str, title: str, sentence: str, drawing: Drawing, **sizes: int) -> Plot:
        badge = "synthetic data" if self.outcome.synthetic else ""
        return Plot(name, title, sentence, drawing, badge=badge, **sizes)

    @cached_property
    def by_name(self) -> dict[str, Comparison]:
        return {comparison.name.removesuffix("_minor"): comparison for comparison in self.outcome.comparisons}

    @property
    def budget_minor(self) -> int:
        """Return the money that was dropped: the budget of the programme file, unless the run has another size."""
        return self.by_name["budget"].ledger if "budget" in self.by_name else self.programme.budget_minor

    # --- opening --------------------------------------------------------------------------------------------------

    def verdict(self) -> Verdict:
        compared = [comparison for comparison in self.outcome.comparisons if comparison.expected is not None]
        wrong = [comparison for comparison in compared if not comparison.agrees]
        if not compared:
            return Verdict(True, "Nothing was published to compare with; the figures of the ledger follow.")
        if wrong:
            names = ", ".join(comparison.title for comparison in wrong)
            return Verdict(
                False,
                f"{len(wrong)} of {len(compared)} figures differ from what was published or follows from it: {names}.",
            )
        given, follow, computed = (sum(comparison.role is role for comparison in compared) for role in Role)
        return Verdict(
            True,
            f"All {len(compared)} figures agree with what was published or follows from it, to the {self.smallest}. "
            f"Inputs of the replay: {given}; following from inputs: {follow}; computed by the ledger: {computed}.",
        )

    def notices(self) -> tuple[Notice, ...]:
        if not self.outcome.synthetic:
            return ()
        return (
            Notice(
                f"The people, salts and beacon are synthetic, derived from seed {self.outcome.seed}. "
                "The rules, amounts and totals are the published ones; the individual payments are invented to match."
            ),
        )

    def tiles(self) -> Tiles:
        """Return the five main figures. A figure that the outcome lacks is omitted."""
        figures = {name: comparison.ledger for name, comparison in self.by_name.items()}
        own = figures.get("spent_own", 0)
        notes = {
            "registered": f"after removing {quantity(self.outcome.duplicates, 'second entry', 'second entries')}",
            "winners": _percent(figures.get("winners", 0), figures.get("registered", 0), "of the registered"),
            "claimed": _percent(figures.get("claimed", 0), figures.get("winners", 0), "of the winners"),
            "spent_from_packets": _percent(figures.get("spent_from_packets", 0), self.budget_minor, "of the budget")
            + (f"; plus {self.money(own)} of own money" if own else ""),
            "returned": _percent(figures.get("returned", 0), self.budget_minor, "of the budget, back at the funder"),
        }
        return Tiles(
            tuple(
                Tile(
                    name.replace("_", " "),
                    self.amount(each.ledger) if each.is_money else f"{each.ledger:,}",
                    self.code if each.is_money else "",
                    note,
                )
                for name, note in notes.items()
                if (each := self.by_name.get(name)) is not None
            )
        )

    # --- sections -------------------------------------------------------------------------------------------------

    def figures(self) -> Section:
        rows = tuple(
            (
                each.title,
                "–" if each.expected is None else self.value(each, each.expected),
                self.value(each, each.ledger),
                self.agreement(each),
                each.role.value,
                each.source or "–",
            )
            for each in self.outcome.comparisons
        )
        published = "published" if self.outcome.scale == 1 else "published, scaled"
        blocks: list[Block] = [
            Paragraph(
                "The replay was built to reproduce a figure marked “input”; the ledger still had to execute and count "
                "it. One marked “follows” is arithmetic over such inputs. One marked “computed” was computed by the "
                "ledger, by its own rules."
            ),
            Table(
                "Published figures, and those of the ledger at the end",
                columns("figure", f">{published}", ">ledger", "agrees", "role", "source"),
                rows,
                stacked=True,
            ),
            Paragraph(f"Marks of the sources. {_MARKS}"),
        ]
        if self.programme.sources:
            pages = tuple((source.name, Link(source.address, source.address)) for source in self.programme.sources)
            heading = columns("source", "address")
            blocks.append(Table("Sources of the published figures", heading, pages, folded="Addresses of the sources"))
        title = f"Published and ledger, to the {self.smallest}"
        return Section("figures", title, "Figures", tuple(blocks))

    def agreement(self, comparison: Comparison) -> YesNo:
        if comparison.expected is None:
            return YesNo(None, "not published")
        if comparison.agrees:
            return YesNo(True, "yes")
        off = comparison.ledger - comparison.expected
        words = ("too much", "too little") if comparison.is_money else ("too many", "too few")
        return YesNo(False, f"{self.value(comparison, abs(off))} {words[off < 0]}")

    def hours(self) -> Section:
        hours = self.outcome.hours
        claimed_minor = hours.claims * self.outcome.packet_minor
        drawing = plots.hours(
            hours.start_ns,
            (Series("packet money", hours.packets_minor, "first"), Series("own money", hours.own_minor, "second")),
            (
                Series("spent from packets", hours.packets_minor, "first"),
                Series("claimed, at face value", claimed_minor, "fourth"),
            ),
            level=Level("budget", self.budget_minor),
            deadline_ns=self.programme.expires_ns,
            currency=self.currency,
            zone=self.zone,
        )
        packets, own = int(hours.packets_minor.sum()), int(hours.own_minor.sum())
        both = hours.packets_minor + hours.own_minor
        busiest = ""
        if packets + own:
            place = int(both.argmax())
            share = _percent(int(both[-24:].sum()), packets + own, "of all spending")
            busiest = (
                f" The busiest hour began {self.moment(hours.start_ns[place])} with {self.money(both[place])}; "
                f"the last {min(len(both), 24)} hours had {share}."
            )
        sentence = (
            f"{self.money(packets)} of packet money and {self.money(own)} of own money were spent in "
            f"{int(hours.payments.sum()):,} payments before {chart.end_text(self.programme.expires_ns, self.zone)}."
            f"{busiest} {int(hours.claims.sum()):,} packets were claimed, worth {self.money(claimed_minor.sum())}."
        )
        title = f"Spent by hour, {self.zone.key} time"
        blocks = (self.plot("hours", title, sentence, drawing, height=430), self.by_hour())
        return Section("hours", "Spending by hour, until the deadline", "Hours", blocks)

    def by_hour(self) -> Table:
        hours = self.outcome.hours
        counts = (hours.claims, hours.payments)
        amounts = (hours.packets_minor, hours.own_minor)
        rows = tuple(
            (self.moment(start), *(f"{each[at]:,}" for each in counts), *(self.amount(each[at]) for each in amounts))
            for at, start in enumerate(hours.start_ns)
        )
        return Table(
            "By hour, as counted by the ledger",
            columns("hour from", ">claims", ">payments", f">packet money, {self.code}", f">own money, {self.code}"),
            rows,
            ("all hours", *(f"{each.sum():,}" for each in counts), *(self.amount(each.sum()) for each in amounts)),
            folded=f"The numbers of this plot, {len(rows):,} hours",
        )

    def packets(self) -> Section:
        left, whole = self.outcome.left_minor, self.outcome.packet_minor
        emptied, untouched = int((left == 0).sum()), int((left == whole).sum())
        in_part = len(left) - emptied - untouched
        left_in_part = int(left[(left > 0) & (left < whole)].sum())
        unclaimed = self.outcome.unclaimed
        every = len(left) + unclaimed

        def share(label: str, count: int, left_minor: int, colour: str) -> Share:
            note = f"{_percent(count, every, 'of all packets')}, {self.money(left_minor)} left"
            return Share(label, f"{count:,}", count / every if every else 0.0, note, colour)

        average = f", {self.money(round(left_in_part / in_part))} each on average" if in_part else ""
        sentence = (
            f"Of {len(left):,} claimed packets {emptied:,} were emptied, {in_part:,} used in part and {untouched:,} "
            f"not at all. {self.money(left_in_part)} were left in those used in part{average}. "
            f"{unclaimed:,} more were never claimed."
        )
        shares = (
            share("emptied", emptied, 0, "first"),
            share("used in part", in_part, left_in_part, "second"),
            share("claimed, not touched", untouched, untouched * whole, "third"),
            share("never claimed", unclaimed, unclaimed * whole, "neutral"),
        )
        drawing = plots.left_over(left, whole, currency=self.currency, emptied="emptied", untouched="not touched")
        plot = self.plot("left", "Claimed packets by amount left", sentence, drawing, width=HALF_WIDTH, height=330)
        blocks = (
            Paragraph(
                f"{quantity(every, 'packet')} of {self.money(whole)} each, just before expiry. The rest, "
                f"{self.money(left.sum() + unclaimed * whole)} in all, returned to the funder."
            ),
            SideBySide((Shares("Every packet", shares), plot)),
            self.by_amount_left(),
        )
        return Section("packets", "Amounts left in the packets", "Packets", blocks)

    def by_amount_left(self) -> Table:
        counts, edges = plots.bins(self.outcome.left_minor, self.outcome.packet_minor)
        return Table(
            "Claimed packets used in part, by amount left",
            columns(f">left, {self.code}, from", f">to, {self.code}", ">packets"),
            tuple(
                (self.amount(round(low)), self.amount(round(high)), f"{count:,}")
                for low, high, count in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
            ),
            folded="The numbers of this plot",
        )

    def flow(self) -> Section:
        flows = [(source, target, minor) for source, target, minor in self.outcome.flows if minor > 0]
        text = "; ".join(f"{self.money(minor)} from {source} to {target}" for source, target, minor in flows)
        sentence = f"{text[:1].upper()}{text[1:]}." if flows else "No money moved."
        drawing = sankey.flow(flows, currency=self.currency, back="{} (returned)")
        blocks = (
            self.plot("flow", "From mint to return", sentence, drawing, height=sankey.HEIGHT, width_min=820),
            Table(
                "Each stream, as counted by the ledger",
                columns("from", "to", f">amount, {self.code}"),
                tuple((source, target, self.amount(minor)) for source, target, minor in flows),
                folded="The numbers of this plot",
            ),
        )
        return Section("flow", "The path of the money, from mint to return", "Flow", blocks)

    def operators(self) -> Section:
        operators = self.outcome.operators
        amounts = {name: [int(getattr(each, name)) for each in operators] for name in _OPERATOR_COLUMNS}
        rows = tuple(
            (each.title, f"{each.wallets:,}", *(self.amount(column[at]) for column in amounts.values()))
            for at, each in enumerate(operators)
        )
        spent = sum(amounts["spent_packets_minor"]) + sum(amounts["spent_own_minor"])
        parts = ", ".join(
            f"{each.name} {self.money(each.spent_packets_minor + each.spent_own_minor)} spent and "
            f"{self.money(each.received_minor)} received"
            for each in operators
        )
        sentence = (
            f"{parts}. {self.money(spent)} spent and {self.money(sum(amounts['received_minor']))} received in all."
        )

        def series(name: str, field: str, colour: str) -> Series:
            return Series(name, np.array(amounts[field], np.int64), colour)

        drawing = plots.grouped_bars(
            [operator.name for operator in operators],
            (
                (
                    series("packet money spent", "spent_packets_minor", "first"),
                    series("own money spent", "spent_own_minor", "second"),
                ),
                (series("received by merchants", "received_minor", "third"),),
            ),
            currency=self.currency,
            label="in all",
        )
        title = "Spent by each bank's wallets, received by its merchants"
        blocks = (
            self.plot("operators", title, sentence, drawing, height=320),
            Table(
                f"Wallets, and money in {self.code}, by bank",
                columns("bank", ">wallets", *(f">{title}" for title in _OPERATOR_COLUMNS.values())),
                rows,
                (
                    "all banks",
                    f"{sum(operator.wallets for operator in operators):,}",
                    *(self.amount(sum(column)) for column in amounts.values()),
                ),
                stacked=True,
            ),
        )
        return Section("operators", "By bank", "Banks", blocks)

    def merchants(self) -> Section:
        received = self.outcome.merchant_received_minor
        count, total = len(received), int(received.sum())
        middle = self.money(received[count // 2]) if count else "nothing"
        rank_sentence = (
            f"{int((received > 0).sum()):,} of {quantity(count, 'merchant')} received something, "
            f"{self.money(total)} in {int(self.outcome.merchant_payments.sum()):,} payments. The largest received "
            f"{self.money(received[0] if count else 0)}, the one in the middle {middle}."
        )
        lorenz_sentence = (
            f"The top 1% of merchants received {_top(received, 0.01)} of the money, the top 10% {_top(received, 0.1)}, "
            f"the lower half {_percent(int(received[count - count // 2 :].sum()), total, '')}. "
            f"Gini coefficient {plots.gini(received):.2f}, where 0 is equal and 1 is all in one hand."
        )
        lorenz = plots.lorenz(received, receivers="merchants")
        ranks = plots.ranks(received, currency=self.currency, receiver="merchant")
        sizes = {"width": HALF_WIDTH, "height": 340}
        lorenz_title = "Share of the money against share of the merchants"
        blocks = (
            SideBySide(
                (
                    self.plot("lorenz", lorenz_title, lorenz_sentence, lorenz, **sizes),
                    self.plot("ranks", "Received by each merchant, largest first", rank_sentence, ranks, **sizes),
                )
            ),
            self.by_rank(),
        )
        return Section("merchants", "By merchant: concentration", "Merchants", blocks)

    def by_rank(self) -> Table:
        """Return the amounts of both curves, at ranks of about equal distance on a logarithmic axis."""
        received = self.outcome.merchant_received_minor
        total, running = int(received.sum()), np.cumsum(received, dtype=np.int64)
        ranks: Sequence[int] = sorted({round(rank) for rank in np.geomspace(1, len(received) or 1, 30)})
        return Table(
            "Received by rank",
            columns("rank", f">received, {self.code}", ">all ranks up to it", ">share of the money"),
            tuple(
                (
                    f"{rank:,}",
                    self.amount(received[rank - 1]),
                    self.amount(running[rank - 1]),
                    _percent(int(running[rank - 1]), total, ""),
                )
                for rank in ranks
                if rank <= len(received)
            ),
            folded="The numbers of these plots",
        )


def _percent(part: int, whole: int, of: str) -> str:
    """Return a share with one decimal of a percent, below 10 % with two."""
    if whole == 0:
        return f"– {of}".rstrip()
    share = 100 * part / whole
    return f"{share:.{2 if 0 < share < 10 else 1}f}% {of}".rstrip()


def _top(descending_minor: Array, share: float) -> str:
    top = math.ceil(len(descending_minor) * share)
    return _percent(int(descending_minor[:top].sum()), int(descending_minor.sum()), "")
