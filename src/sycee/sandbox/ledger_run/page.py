"""Page of a run: what it cannot say first, then money by day, shops, persons, ledger against engine, and digests."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np

from sycee.core import money
from sycee.core.arrays import Array
from sycee.core.money import Currency
from sycee.report import daily, distributions, page
from sycee.report.chart import Series
from sycee.report.page import Block, Facts, Notice, Page, Paragraph, Plot, Points, Section, Table, Tile, Tiles, Verdict
from sycee.report.page import columns as headings
from sycee.sandbox.city.model import City
from sycee.sandbox.engine.outcome import EFFECT_NAMES, RunOutcome

SYNTHETIC: Final = "synthetic data"
ROW_HEIGHT: Final = 26
AXIS_HEIGHT: Final = 100
ZONES_MAX: Final = 24  # zones of a plot, those with the largest changes
MEANING: Final = (
    ("substituted", "purchases that would have been made on the same day anyway"),
    ("brought forward", "purchases that would have been made later; later purchases shrink by them"),
    ("new", "purchases that would not have been made"),
    ("paid back", "planned purchases that shrank, because they were brought forward before"),
    ("own money", "own money in payments of a purse; it is gross, not an effect"),
    ("gain of shops", "purchases with the programme less without: new, brought forward and moved, less paid back"),
)


def write(record: dict[str, Any], outcome: RunOutcome, city: City, path: Path) -> None:
    """Write the page of a run. Raises like `core.output_files.write_file`."""
    page.write(run_page(record, outcome, city), path)


def run_page(record: dict[str, Any], outcome: RunOutcome, city: City) -> Page:
    """Return the page of a run, from its record and the outcome of the engine."""
    currency = money.currency(record["currency"])
    return Page(
        kicker="Sycee sandbox: run",
        title=f"{record['programme']} on {city.title}",
        summary=f"{record['people']:,} synthetic persons, each one of {city.one_in:,}, on {record['days']} days from "
        f"{record['first_day']}.",
        facts=(("structure", record["variant"]), ("seed", str(record["seed"])), ("digest", record["digest"][:16])),
        opening=(
            Notice("Read first what this run cannot say."),
            Points(tuple((f"{at}", text) for at, text in enumerate(record["cannot_say"], 1))),
            _tiles(record, currency),
        ),
        sections=(
            Section("days", "Money by day", "Days", _days(outcome, date.fromisoformat(record["first_day"]), currency)),
            Section("shops", "Which shops gain and lose", "Shops", _shops(outcome, city, currency)),
            Section("persons", "Whose money it is", "Persons", _persons(outcome, currency)),
            Section("ledger", "Ledger against engine", "Ledger", _ledger(record)),
            Section("record", "From what it follows", "Record", (_record(record),)),
        ),
        footer="This page is one file and needs no network.",
    )


def _tiles(record: dict[str, Any], currency: Currency) -> Tiles:
    totals = record["totals"]

    def tile(label: str, name: str, note: str) -> Tile:
        return Tile(label, money.format(totals[name], currency), currency.code, note)

    per_unit = f"{totals['new'] / totals['spent']:.2f} for each unit spent" if totals["spent"] else "nothing was spent"
    return Tiles(
        (
            Tile("packets claimed", f"{totals['claims']:,}", note=f"of {totals['recipients']:,}"),
            tile("spent from purses", "spent", f"in {totals['payments']:,} payments"),
            tile("new consumption", "new", per_unit),
            tile("own money beside it", "own", "gross: not an effect"),
            tile("returned", "returned", "to the funder, unspent"),
        )
    )


def _days(outcome: RunOutcome, first: date, currency: Currency) -> tuple[Block, ...]:
    parts = (("substituted", "third"), ("forward", "second"), ("new", "first"))
    names = {"forward": "brought forward"}
    uses = [Series(names.get(name, name), outcome.effect(name), colour) for name, colour in parts]
    total = {each.name: int(each.values.sum()) for each in uses}
    words = ", ".join(f"{name} {money.format(value, currency, code=True)}" for name, value in total.items())
    purses = [
        Series("spent", np.cumsum(outcome.flow("spent")), "first"),
        Series("outstanding", outcome.outstanding(), "second"),
        Series("returned", np.cumsum(outcome.flow("returned")), "third"),
    ]
    change = int(outcome.consumption_change().sum())
    return (
        Plot(
            "uses",
            "Payments of purses, with own money in them",
            f"In all: {words}. Consumption of all days changed by {money.format(change, currency, code=True)}, since "
            "what was brought forward is missing later.",
            daily.stacked(uses, first=first, currency=currency, label="by day"),
            badge=SYNTHETIC,
        ),
        Plot(
            "purses",
            "Money of the purses",
            "Issued is spent, returned and outstanding together, at the end of each day.",
            daily.lines(purses, first=first, currency=currency, label="in all"),
            badge=SYNTHETIC,
        ),
        Table("What the parts mean", headings("part", "meaning"), MEANING, folded="What the parts mean"),
    )


def _shops(outcome: RunOutcome, city: City, currency: Currency) -> tuple[Block, ...]:
    sectors = _gain(outcome.by_sector())
    zones = _gain(outcome.by_zone())
    names = [*city.zones.name, "online", "outside of the city"]
    order = np.argsort(-np.abs(zones), kind="stable")[:ZONES_MAX]
    shops = outcome.shops_change
    sentence = (
        f"{int((shops > 0).sum()):,} shops gain and {int((shops < 0).sum()):,} lose; "
        f"together they gain {money.format(int(shops.sum()), currency, code=True)}."
    )
    of_sectors, of_zones = [*(each.name for each in city.sectors), "outside of the city"], [names[at] for at in order]
    return (
        Plot(
            "sectors",
            "Change by sector",
            sentence,
            daily.changes(of_sectors, sectors.tolist(), currency=currency, label="gain of shops"),
            height=AXIS_HEIGHT + ROW_HEIGHT * len(of_sectors),
            badge=SYNTHETIC,
        ),
        Plot(
            "zones",
            "Change by zone of the shop",
            "Shops outside of the programme lose what moves to shops that accept its purses.",
            daily.changes(of_zones, zones[order].tolist(), currency=currency, label="gain of shops"),
            height=AXIS_HEIGHT + ROW_HEIGHT * len(of_zones),
            badge=SYNTHETIC,
        ),
    )


def _gain(effects: Array) -> Array:
    """Return the change of shops' sales by group, for effects by day and group: (groups,) int64."""
    total = effects.sum(axis=0)
    new, forward, moved, paid_back = (
        total[:, EFFECT_NAMES.index(name)] for name in ("new", "forward", "moved", "paid_back")
    )
    gain: Array = new + forward + moved - paid_back
    return gain


def _persons(outcome: RunOutcome, currency: Currency) -> tuple[Block, ...]:
    total = outcome.by_decile().sum(axis=0)
    names = [f"{at + 1}" for at in range(len(total))]
    series = [
        Series(label, total[:, EFFECT_NAMES.index(name)] // 10**currency.digits, colour)
        for name, label, colour in (("label", "spent from purses", "second"), ("new", "new consumption", "first"))
    ]
    return (
        Plot(
            "deciles",
            "By decile of income, before the programme",
            "Decile 1 has the smallest incomes. Persons of equal income are in one decile.",
            distributions.bars(names, series, label=currency.code),
            height=AXIS_HEIGHT + 34 * len(names),
            badge=SYNTHETIC,
        ),
    )


def _ledger(record: dict[str, Any]) -> tuple[Block, ...]:
    answer = record["ledger"]
    if answer is None:
        return (Paragraph("The engine computed this run alone. With --ledger, a ledger books the same decisions."),)
    sentence = "Every purse and every shop is equal on the ledger and in the engine, to the minor unit."
    if not answer["equal"]:
        sentence = f"{answer['differences']:,} sums differ, and {sum(answer['refused'].values()):,} were refused."
    blocks: list[Block] = [
        Verdict(answer["equal"], sentence),
        Paragraph(f"{answer['payments']:,} payments in {answer['operations']:,} operations."),
    ]
    if answer["refused"]:
        rows = tuple((reason, f"{count:,}") for reason, count in answer["refused"].items())
        blocks.append(Table("Refused operations", headings("step and result", ">operations"), rows))
    for key, row in (("purses_that_differ", "person"), ("shops_that_differ", "merchant")):
        if answer[key]:
            cells = tuple(
                (f"{each[row]}", each["of"], f"{each['ledger']}", f"{each['engine']}") for each in answer[key]
            )
            blocks.append(Table(key.replace("_", " "), headings(row, "of", ">ledger", ">engine"), cells))
    return tuple(blocks)


def _record(record: dict[str, Any]) -> Facts:
    city = record["city"]
    facts = [
        ("release", record["release"]),
        ("city, BLAKE3", f"{city['name']} {city['digest']}"),
        ("parameters", record["parameters"]),
        ("outcome of the engine, BLAKE3", record["digest"]),
    ]
    if record["ledger"] is not None:
        facts.append(("state of the ledger, BLAKE3", record["ledger"]["digest"]))
    facts += [(f"{each['role']} {each['name']}", each["digest"]) for each in record.get("inputs", ())]
    if "code" in record:
        facts.append(("code, BLAKE3", record["code"]))
    return Facts(tuple(facts), is_code=True)
