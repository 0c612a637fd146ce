"""The page of a rehearsal: what invented people did by hour and by packet, beside published figures of a pilot."""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np

from sycee import data
from sycee.core import money
from sycee.core.marks import MARK
from sycee.core.words import quantity
from sycee.report import chart, distributions, plots
from sycee.report.chart import Series
from sycee.report.page import Block, Facts, Page, Paragraph, Plot, Points, Section, Table, Tile, Tiles, columns
from sycee.sandbox.pilots import description, published
from sycee.sandbox.pilots import description as outcomes
from sycee.sandbox.rehearsal import attempts
from sycee.sandbox.rehearsal.town import REFERENCE
from sycee.sandbox.rehearsal.trial import Trial

PAYMENTS_SHOWN: Final = 6  # payments of a packet with a bar of their own; the last bar has all larger numbers
ROW_HEIGHT: Final = 34
AXIS_HEIGHT: Final = 110
SHARES: Final = (outcomes.CLAIM_RATE, outcomes.SPENT_OF_CLAIMED, outcomes.OWN_MONEY_OF_SPENT)
WORDS: Final = {
    outcomes.CLAIM_RATE: "packets claimed",
    outcomes.SPENT_OF_CLAIMED: "spent of claimed packets",
    outcomes.OWN_MONEY_OF_SPENT: "own money beside packets",
    outcomes.PAYMENTS_PER_CLAIMER: "payments per claimed packet",
    outcomes.PAYMENT_MEAN: "mean paid from a packet in a payment",
}
CANNOT_SAY: Final = (
    ("people", "Registrants are rows of a file. Their incomes, homes and decisions are invented."),
    ("hours", "Hours from 8 to 21 in the window are equally likely. No pilot published its hours."),
    ("refusals", "What people try by mistake, and how often, is assumed. No pilot published its refusals."),
    ("effect", "Money through the till says nothing about new consumption."),
)


def figures(trial: Trial) -> dict[str, float | None]:
    """Return the outcomes of a rehearsal that pilots publish. Of nothing, a rate is None."""
    results, currency = trial.results, trial.programme.currency
    payments = int(trial.happened.payments_of_packets(trial.rows).sum())
    spent = trial.figures.spent_minor

    def rate(part: float, whole: float) -> float | None:
        return part / whole if whole else None

    return {
        outcomes.CLAIM_RATE: rate(results.claimed, results.members),
        outcomes.SPENT_OF_CLAIMED: rate(spent, int(results.packet_minor.sum())),
        outcomes.OWN_MONEY_OF_SPENT: rate(results.own_minor, results.spent_minor),
        outcomes.PAYMENTS_PER_CLAIMER: rate(payments, results.claimed),
        outcomes.PAYMENT_MEAN: rate(spent, payments * 10**currency.digits),
    }


def rehearsal_page(trial: Trial) -> Page:
    """Return the page. Equal seeds and files give an equal page."""
    return _Rehearsal(trial).page()


class _Rehearsal:
    """The sections of the page."""

    def __init__(self, trial: Trial) -> None:
        self.trial, self.programme, self.happened = trial, trial.programme, trial.happened
        self.currency, self.zone = trial.programme.currency, trial.programme.zone
        name = self.programme.name
        self.pilot = description.load(name if name in data.names(published.FOLDER) else REFERENCE)
        self.known = {each.outcome: each for each in published.load(self.pilot.name).results}
        self.own = figures(trial)
        self.counts = trial.happened.payments_of_packets(trial.rows)[trial.claimed]

    def amount(self, minor: int) -> str:
        return money.with_code(int(minor), self.currency)

    def page(self) -> Page:
        trial, window = self.trial, self.programme.spending
        return Page(
            mark=MARK,
            kicker="Sycee programme, rehearsal",
            title=self.programme.title,
            summary=f"{trial.results.members:,} invented people with a packet, on a bank of their own. They decide as "
            "the sandbox's people do.",
            facts=(
                (
                    f"spending window, {self.zone.key} time",
                    f"{chart.moment_text(window.from_ns, self.zone)} to {chart.end_text(window.until_ns, self.zone)}",
                ),
                ("shops", f"{sum(bool(each.group) for each in trial.shops):,}"),
                ("seed", str(trial.seed)),
            ),
            opening=(self.tiles(), Points(CANNOT_SAY)),
            sections=(
                Section("hours", "Claims and payments, by hour", "Hours", self.hours()),
                Section("packets", "Payments of a packet", "Packets", self.packets()),
                Section("published", f"Beside {self.pilot.title}", "Published", self.published()),
                Section("refused", "Refunds and refusals", "Refused", self.refused()),
                Section("shops", "By shop", "Shops", (self.shops(),)),
                Section("record", "From what it follows", "Record", (self.record(),)),
            ),
            footer=f"Programme {self.programme.name}. This page is one file and needs no network.",
        )

    def tiles(self) -> Tiles:
        figures, results = self.trial.figures, self.trial.results
        refunds, refused = self.happened.count("refund"), sum(self.happened.refused().values())

        def of(minor: int) -> str:
            return money.format(minor, self.currency)

        code = self.currency.code
        return Tiles(
            (
                Tile("claimed", f"{results.claimed:,}", "", f"of {quantity(results.members, 'packet')}"),
                Tile("spent, net", of(figures.spent_minor), code, f"{self.happened.count('payment'):,} payments"),
                Tile("topped up", of(self.happened.sum("top-up")), code, "own money"),
                Tile("returned", of(figures.returned_minor), code, "to the funder"),
                Tile("refused", f"{refused:,}", "", f"and {quantity(refunds, 'refund')}"),
            )
        )

    def hours(self) -> tuple[Block, ...]:
        hours = self.trial.results.hours
        drawing = plots.counts_by_hour(
            hours.start_ns,
            (Series("claims", hours.claims, "first"), Series("payments", hours.payments, "second")),
            deadline_ns=self.programme.expires_ns,
            zone=self.zone,
        )
        used = np.flatnonzero(hours.claims + hours.payments)
        sentence = (
            f"{int(hours.claims.sum()):,} claims in {np.count_nonzero(hours.claims):,} hours, and "
            f"{int(hours.payments.sum()):,} payments in {np.count_nonzero(hours.payments):,} hours."
        )
        rows = tuple(
            (chart.moment_text(int(hours.start_ns[at]), self.zone), f"{hours.claims[at]:,}", f"{hours.payments[at]:,}")
            for at in used.tolist()
        )
        numbers = Table(
            "By hour", columns("hour from", ">claims", ">payments"), rows,
            folded=f"The numbers of this plot, {len(rows):,} hours",
        )  # fmt: skip
        title = f"Claims and payments by hour, {self.zone.key} time"
        return (Plot("hours", title, sentence, drawing, height=430, badge=MARK), numbers)

    def packets(self) -> tuple[Block, ...]:
        counted = np.bincount(np.minimum(self.counts, PAYMENTS_SHOWN), minlength=PAYMENTS_SHOWN + 1)
        names = [*(str(at) for at in range(PAYMENTS_SHOWN)), f"{PAYMENTS_SHOWN} or more"]
        mean = self.own[outcomes.PAYMENTS_PER_CLAIMER]
        sentence = f"{quantity(self.counts.size, 'claimed packet')}"
        sentence += f", with {mean:.2f} payments each on average." if mean is not None else "."
        if outcomes.PAYMENTS_PER_CLAIMER in self.known:
            middle = self.known[outcomes.PAYMENTS_PER_CLAIMER].middle
            sentence += f" {self.pilot.title}: {middle:.2f}; how they spread over packets was not published."
        drawing = distributions.bars(names, [Series("packets", counted, "second")], label="claimed packets")
        share = max(self.counts.size, 1)
        rows = tuple(
            (name, f"{count:,}", f"{100 * count / share:.1f}%")
            for name, count in zip(names, counted.tolist(), strict=True)
        )
        numbers = Table(
            "Payments of a packet", columns("payments", ">claimed packets", ">share"), rows,
            folded="The numbers of this plot",
        )  # fmt: skip
        height = AXIS_HEIGHT + ROW_HEIGHT * len(names)
        return (
            Plot("packets", "Packets by number of payments, without those taken back", sentence, drawing, height=height,
                 badge=MARK),
            numbers,
        )  # fmt: skip

    def published(self) -> tuple[Block, ...]:
        shown = [name for name in SHARES if name in self.known and self.own[name] is not None]
        series = [
            Series("this rehearsal", np.array([100 * (self.own[name] or 0) for name in shown]), "second"),
            Series("published", np.array([100 * self.known[name].middle for name in shown]), "first"),
        ]
        sentence = "; ".join(
            f"{WORDS[name]}: {series[0].values[at]:.1f}%, published {series[1].values[at]:.1f}%"
            for at, name in enumerate(shown)
        )
        drawing = distributions.bars([WORDS[name] for name in shown], series, label="percent")
        rows = tuple(
            (word, self._value(name, self.own[name]), self._value(name, known.middle), known.source, known.mark)
            for name, word in WORDS.items()
            if (known := self.known.get(name)) is not None and self._compares(name)
        )
        heading = columns("figure", ">this rehearsal", ">published", "source", "=mark")
        return (
            Plot("published", f"This rehearsal and {self.pilot.title}", f"{sentence[:1].upper()}{sentence[1:]}.",
                 drawing, badge=MARK, height=AXIS_HEIGHT + 2 * ROW_HEIGHT * max(len(shown), 1)),
            Table(f"This rehearsal beside {self.pilot.title}", heading, rows, stacked=True),
            Paragraph(
                "The rehearsal is one draw of the shipped posterior, which was fitted to several pilots: another seed "
                "is another pilot. Own money is gross."
            ),
        )  # fmt: skip

    def _compares(self, name: str) -> bool:
        return name != outcomes.PAYMENT_MEAN or self.pilot.currency == self.currency

    def _value(self, name: str, value: float | None) -> str:
        if value is None:
            return "–"
        return f"{100 * value:.1f}%" if name in SHARES else f"{value:,.2f}"

    def refused(self) -> tuple[Block, ...]:
        refused = self.happened.refused()
        by_reason = Counter({"payment taken back": self.happened.count("refund")})
        for (reason, _), count in refused.items():
            by_reason[reason] += count
        names = ["payment taken back", *(each for each in attempts.REASONS if by_reason[each])]
        drawing = distributions.bars(names, [Series("number", np.array([by_reason[each] for each in names]), "third")],
                                     label="number")  # fmt: skip
        sentence = "; ".join(f"{name}: {by_reason[name]:,}" for name in names)
        amounts: Counter[str] = Counter()
        for row in self.happened.rows:
            amounts[row[1]] += row[4]
        rows = tuple(
            (reason, code, f"{count:,}", self.amount(amounts[reason]) if amounts[reason] else "–")
            for (reason, code), count in refused.items()
        )
        heading = columns("what people tried", "code", ">number", ">amount")
        back = self.happened.count("refund"), self.happened.sum("refund")
        return (
            Plot("refused", "Payments taken back, and attempts that the ledger refused",
                 f"{sentence[:1].upper()}{sentence[1:]}.",
                 drawing, height=AXIS_HEIGHT + ROW_HEIGHT * len(names), badge=MARK),
            Table("Refused by the ledger", heading, rows, stacked=True),
            Paragraph(
                f"{quantity(back[0], 'payment was', 'payments were')} taken back, {self.amount(back[1])} with own "
                f"money. {self.pilot.title} published neither refunds nor refusals."
            ),
        )  # fmt: skip

    def shops(self) -> Table:
        paid, received = Counter[int](), Counter[int]()
        for _, what, _, shop, minor, code in self.happened.rows:
            if code == "CREATED" and what in ("payment", "refund"):
                sign = 1 if what == "payment" else -1
                paid[shop] += sign
                received[shop] += sign * minor
        rows = tuple(
            (each.name, each.sector.replace("-", " "), each.group or "declined", each.operator, f"{paid[at]:,}",
             money.format(received[at], self.currency))
            for at, each in enumerate(self.trial.shops)
        )  # fmt: skip
        heading = columns("shop", "sector", "group", "bank", ">payments", f">received, {self.currency.code}")
        return Table("Shops, without payments that were taken back", heading, rows, stacked=True)

    def record(self) -> Facts:
        setting = self.trial.case.setting
        return Facts(
            (
                ("what happened, BLAKE3", self.happened.digest()),
                ("town, BLAKE3", self.trial.case.place.city.digest()),
                ("parameters", setting.parameters.digest()),
                ("structure of behaviour", setting.variant.name),
                ("seed", str(self.trial.seed)),
            ),
            is_code=True,
        )
