"""The closing report of an occurrence: one HTML page, and its tables as CSV and Parquet.

Rows about fewer than ten people are hidden. If a table has one hidden row, a second row is hidden, because the first
could be computed from the sum otherwise. Amounts named gross include payments that were refunded later.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from sycee.core import money
from sycee.core.extras import extra
from sycee.core.marks import marked_csv
from sycee.core.output_files import write_file
from sycee.core.timestamps import utc_text
from sycee.programmes.definition import Programme
from sycee.programmes.estimators import LEVEL, Estimate
from sycee.programmes.occurrence_figures import SMALL, OccurrenceFigures, Row
from sycee.report import chart, page, plots, sankey
from sycee.report.chart import Level, Series
from sycee.report.page import (
    Block,
    Notice,
    Page,
    Paragraph,
    Plot,
    Section,
    SideBySide,
    Table,
    Tile,
    Tiles,
    columns,
)

REPORT = "report.html"
NOT_SHOWN = "not shown"
HALF_WIDTH = 500  # CSS pixels of a plot beside another one


@dataclass(frozen=True, slots=True)
class Effect:
    """Payments of winners at shops in the spending window, against other registrants, in minor units per person.

    `plain`: the difference of means; `adjusted`: Lin's estimate with payments before the draw; None without them.
    """

    plain: Estimate
    adjusted: Estimate | None


def shown_rows(rows: Sequence[Row]) -> list[Row | None]:
    """Return the rows, with None for each hidden row: all small ones, and with one small row the smallest other."""
    shown: list[Row | None] = [None if each.is_small else each for each in rows]
    hidden = sum(each is None for each in shown)
    others = [place for place, each in enumerate(shown) if each is not None and each.people]
    if hidden == 1 and others:
        shown[min(others, key=lambda place: rows[place].people)] = None
    return shown


def tables(results: OccurrenceFigures) -> dict[str, list[dict[str, Any]]]:
    """Return the tables of the files by name, each a list of rows. Amounts are minor units, times are UTC."""
    hours = results.hours
    summary = {
        "frame": results.frame, "members": results.members, "claimed": results.claimed, "payments": results.payments,
        "dropped_minor": results.dropped_minor, "spent_gross_minor": results.spent_minor,
        "own_gross_minor": results.own_minor, "refunded_minor": results.refunded_minor,
        "spent_net_minor": results.net_minor, "returned_minor": results.returned_minor,
        "held_minor": results.pending_minor,
    }  # fmt: skip
    by_hour = [
        {
            "from": utc_text(int(start)), "claims": int(claims), "payments": int(payments),
            "packets_gross_minor": int(packets), "own_gross_minor": int(own), "refunded_minor": int(refunded),
        }
        for start, claims, payments, packets, own, refunded in zip(
            hours.start_ns, hours.claims, hours.payments, hours.packets_minor, hours.own_minor, hours.refunded_minor,
            strict=True,
        )
    ]  # fmt: skip
    found = {"summary": [{"figure": name, "value": value} for name, value in summary.items()], "hours": by_hour}
    for name, rows in (("operators", results.operators), ("parts", results.parts), ("groups", results.groups)):
        found[name] = [
            {
                "name": row.name, "people": each.people if each else None, "claimed": each.claimed if each else None,
                "spent_gross_minor": each.spent_minor if each else None,
                "own_gross_minor": each.own_minor if each else None,
                "refunded_minor": each.refunded_minor if each else None,
            }
            for row, each in zip(rows, shown_rows(rows), strict=True)
        ]  # fmt: skip
    return found


def write(
    folder: Path, programme: Programme, results: OccurrenceFigures, effect: Effect | None = None, *, mark: str = ""
) -> list[Path]:
    """Write the page and its tables into a folder; return the files. mark: the first line of each.

    Raises MissingExtraError without the extra "bank", and like `core.output_files.write_file`.
    """
    made = files(programme, results, effect, mark=mark)
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in made.items():
        write_file(folder / name, make())
    return [folder / name for name in made]


def files(
    programme: Programme, results: OccurrenceFigures, effect: Effect | None = None, *, mark: str = ""
) -> dict[str, Callable[[], bytes]]:
    """Return functions that compute the page and each table file, by file name, the page first.

    mark: the first line of the page and of CSV, and `mark` in the metadata of Parquet; "" for none.
    """

    def report() -> bytes:
        return page.render(replace(report_page(programme, results, effect), mark=mark)).encode()

    made: dict[str, Callable[[], bytes]] = {REPORT: report}
    for name, rows in tables(results).items():
        if rows:
            made |= {f"{name}.csv": partial(_csv, rows, mark), f"{name}.parquet": partial(_parquet, rows, mark)}
    return made


def _csv(rows: Sequence[Mapping[str, Any]], mark: str) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return marked_csv(text.getvalue(), mark).encode()


def _parquet(rows: Sequence[Mapping[str, Any]], mark: str) -> bytes:
    with extra("bank"):
        import pyarrow as pa
        from pyarrow import parquet

    content = io.BytesIO()
    table = pa.Table.from_pylist(list(rows))
    parquet.write_table(table.replace_schema_metadata({"mark": mark} if mark else None), content)
    return content.getvalue()


def report_page(programme: Programme, results: OccurrenceFigures, effect: Effect | None = None) -> Page:
    """Return the page."""
    return _Report(programme, results, effect).page()


class _Report:
    """The sections of the page."""

    def __init__(self, programme: Programme, results: OccurrenceFigures, effect: Effect | None) -> None:
        self.programme, self.results, self.effect = programme, results, effect
        self.zone, self.currency = programme.zone, programme.currency
        self.code = programme.currency.code

    def money(self, minor: int) -> str:
        return money.format(int(minor), self.currency, code=True)

    def amount(self, minor: int) -> str:
        return money.format(int(minor), self.currency)

    def page(self) -> Page:
        programme, results = self.programme, self.results
        window = programme.spending
        sections = [self.hours(), self.flow(), self.packets()]
        sections += [
            self.rows(name, title, first, rows)
            for name, title, first, rows in (
                ("operators", "By operator", "operator", results.operators),
                ("parts", "By part of the list", "part", results.parts),
                ("groups", "By merchant group", "group", results.groups),
            )
            if rows
        ]
        # A plot of few shops would show what each one received.
        sections += [self.shops()] if results.shop_minor.size >= SMALL else []
        sections += [self.compared(self.effect)] if self.effect is not None else []
        return Page(
            kicker="Sycee programme, closing report",
            title=programme.title,
            summary="The money of the programme from its drop to the return of unspent money, as recorded by the "
            "ledger.",
            facts=(
                (
                    f"spending window, {self.zone.key} time",
                    f"{chart.moment_text(window.from_ns, self.zone)} to {chart.end_text(window.until_ns, self.zone)}",
                ),
                ("funded by", programme.funder.name),
                ("as of frame", f"{results.frame:,}"),
            ),
            opening=(*self.notices(), self.tiles()),
            sections=tuple(sections),
            footer=f"Programme {programme.name}. This page is one file and needs no network.",
        )

    def notices(self) -> tuple[Block, ...]:
        if not self.results.pending_minor:
            return ()
        text = f"{self.money(self.results.pending_minor)} of packets are held for payees: the figures may still change."
        return (Notice(text),)

    def tiles(self) -> Tiles:
        results = self.results
        net, dropped = results.net_minor, results.dropped_minor
        return Tiles(
            (
                Tile("dropped", self.amount(dropped), self.code, f"{results.members:,} packets"),
                Tile("claimed", f"{results.claimed:,}", "", share(results.claimed, results.members, "of the packets")),
                Tile("spent, net", self.amount(net), self.code, share(net, dropped, "of what was dropped")),
                Tile("own money besides, gross", self.amount(results.own_minor), self.code, "in the same payments"),
                Tile(
                    "returned", self.amount(results.returned_minor), self.code,
                    share(results.returned_minor, dropped, "of what was dropped"),
                ),
            )
        )  # fmt: skip

    def hours(self) -> Section:
        hours, results = self.results.hours, self.results
        mean = results.dropped_minor // max(results.members, 1)
        drawing = plots.hours(
            hours.start_ns,
            (
                Series("packet money, gross", hours.packets_minor, "first"),
                Series("own money, gross", hours.own_minor, "second"),
            ),
            (
                Series("spent from packets, gross", hours.packets_minor, "first"),
                Series("claimed, at the mean amount", hours.claims * mean, "fourth"),
            ),
            level=Level("dropped", results.dropped_minor),
            deadline_ns=self.programme.expires_ns,
            currency=self.currency,
            zone=self.zone,
        )
        sentence = (
            f"{results.claimed:,} packets were claimed and {self.money(results.spent_minor)} spent from them in "
            f"{results.payments:,} payments, gross; {self.money(results.refunded_minor)} of it was refunded to packets."
        )
        rows = tuple(
            (
                chart.moment_text(int(start), self.zone), f"{int(hours.claims[at]):,}", f"{int(hours.payments[at]):,}",
                self.amount(hours.packets_minor[at]), self.amount(hours.own_minor[at]),
                self.amount(hours.refunded_minor[at]),
            )
            for at, start in enumerate(hours.start_ns)
        )  # fmt: skip
        heading = columns(
            "hour from", ">claims", ">payments", f">packet money, gross, {self.code}",
            f">own money, gross, {self.code}", f">refunded to packets, {self.code}",
        )  # fmt: skip
        numbers = Table("By hour", heading, rows, folded=f"The numbers of this plot, {len(rows):,} hours")
        title = "Claims and spending, until the deadline"
        plot = Plot("hours", f"By hour, {self.zone.key} time", sentence, drawing, height=430)
        return Section("hours", title, "Hours", (plot, numbers))

    def flow(self) -> Section:
        results = self.results
        spent, back = results.spent_minor, results.refunded_minor
        left = results.dropped_minor - results.net_minor - results.returned_minor
        flows = [
            (source, target, minor)
            for source, target, minor in (
                ("issuance", self.programme.funder.name, results.dropped_minor),
                (self.programme.funder.name, "packets", results.dropped_minor),
                ("packets", "shops", spent - back),
                ("own money", "shops", results.own_minor),
                ("packets", f"{self.programme.funder.name} (returned)", results.returned_minor),
                ("packets", "still in packets", left),
            )
            if minor > 0
        ]
        text = "; ".join(f"{self.money(minor)} from {source} to {target}" for source, target, minor in flows)
        sentence = f"{text[:1].upper()}{text[1:]}. Spent from packets without what was refunded to them."
        drawing = sankey.flow(flows, currency=self.currency, back="{} (returned)")
        numbers = Table(
            "Each stream", columns("from", "to", f">amount, {self.code}"),
            tuple((source, target, self.amount(minor)) for source, target, minor in flows),
            folded="The numbers of this plot",
        )  # fmt: skip
        plot = Plot("flow", "From mint to return", sentence, drawing, height=sankey.HEIGHT, width_min=820)
        return Section("flow", "The path of the money, from mint to return", "Flow", (plot, numbers))

    def packets(self) -> Section:
        left, whole = self.results.left_minor, self.results.packet_minor
        emptied, untouched = int((left == 0).sum()), int((left == whole).sum())
        unclaimed = self.results.members - self.results.claimed
        rows = (
            ("emptied", f"{emptied:,}", share(emptied, self.results.members)),
            ("used in part", f"{len(left) - emptied - untouched:,}",
             share(len(left) - emptied - untouched, self.results.members)),
            ("claimed, not used", f"{untouched:,}", share(untouched, self.results.members)),
            ("never claimed", f"{unclaimed:,}", share(unclaimed, self.results.members)),
        )  # fmt: skip
        table = Table("Packets by use", columns("packets", ">number", ">share"), rows)
        return Section("packets", "Use of the packets", "Packets", (table,))

    def rows(self, name: str, title: str, first: str, rows: Sequence[Row]) -> Section:
        shown = shown_rows(rows)
        people = ">shops" if name == "groups" else ">packets"
        claimed = ">paid from packets" if name == "groups" else ">claimed"
        heading = columns(
            first, people, claimed, f">spent from packets, gross, {self.code}",
            f">own money besides, gross, {self.code}", f">refunded to packets, {self.code}",
        )  # fmt: skip
        cells = tuple(
            (row.name, f"{each.people:,}", f"{each.claimed:,}",
             *(self.amount(value) for value in (each.spent_minor, each.own_minor, each.refunded_minor)))
            if each is not None
            else (row.name, *(NOT_SHOWN,) * 5)
            for row, each in zip(rows, shown, strict=True)
        )  # fmt: skip
        blocks: list[Block] = [Table(title, heading, cells, stacked=True)]
        if None in shown:
            blocks.append(
                Paragraph(f"Rows about fewer than {SMALL}, and one from which such a row follows, are not shown.")
            )
        if name == "operators":
            blocks.append(Paragraph("A packet that nobody claimed has no operator, and is in no row."))
        return Section(name, title, title.removeprefix("By ").capitalize(), tuple(blocks))

    def shops(self) -> Section:
        received = self.results.shop_minor
        sentence = (
            f"{received.size:,} shops received {self.money(received.sum())}, from packets and own money beside them, "
            f"gross. Gini coefficient {plots.gini(received):.2f}, where 0 is equal and 1 is all in one hand."
        )
        lorenz = plots.lorenz(received, receivers="shops")
        ranks = plots.ranks(received, currency=self.currency, receiver="shop")
        pair = SideBySide(
            (
                Plot(
                    "lorenz",
                    "Share of the money against share of the shops",
                    sentence,
                    lorenz,
                    width=HALF_WIDTH,
                    height=340,
                ),
                Plot("ranks", "Received by each shop, largest first", sentence, ranks, width=HALF_WIDTH, height=340),
            )
        )
        return Section("shops", "By shop: concentration", "Shops", (pair,))

    def compared(self, effect: Effect) -> Section:
        def row(name: str, found: Estimate) -> tuple[str, ...]:
            values = (found.effect, found.low, found.high)
            return (name, *(self.amount(round(value)) for value in values), f"{found.winners:,}", f"{found.others:,}")

        rows = [row("difference of means", effect.plain)]
        rows += [row("Lin's estimate, with payments before the draw", effect.adjusted)] if effect.adjusted else []
        heading = columns(
            "estimate", f">paid more, {self.code} per person", ">from", ">to", ">winners", ">others",
        )  # fmt: skip
        text = (
            "What winners paid at shops in the spending window, from packets and own money, less what registrants paid "
            "who did not win. Chance decided who won, so the difference is the effect of winning, also for winners who "
            f"did not claim (intention to treat). From and to: the interval of {LEVEL:.0%}. Only payments from "
            "wallets of this bank are known, so money that would have been spent in cash counts as an effect."
        )
        table = Table("Paid by winners, compared with other registrants", heading, tuple(rows))
        return Section("effect", "Winners and other registrants", "Effect", (Paragraph(text), table))


def share(part: int, whole: int, of: str = "") -> str:
    """Return a share in percent with one decimal."""
    text = f"{100 * part / whole:.1f}%" if whole else "–"
    return f"{text} {of}".rstrip()
