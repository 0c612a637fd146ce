"""The situation of an occurrence as an HTML page, for a screen in the team's room."""

from __future__ import annotations

from typing import Any

from sycee.core import ids, money
from sycee.core.money import Currency
from sycee.programmes.closing_report import share
from sycee.programmes.definition import Programme
from sycee.programmes.occurrence_figures import Row
from sycee.programmes.situation import Flag, Situation
from sycee.report.page import Page, Paragraph, Section, Table, Tile, Tiles, columns


def document(found: Situation) -> dict[str, Any]:
    """Return a situation as JSON. Amounts are minor units."""
    results = found.results
    return {
        "frame": results.frame, "members": results.members, "claimed": results.claimed, "payments": results.payments,
        "dropped_minor": results.dropped_minor, "spent_gross_minor": results.spent_minor,
        "refunded_minor": results.refunded_minor, "own_gross_minor": results.own_minor,
        "operators": [_row_json(each) for each in results.operators],
        "parts": [_row_json(each) for each in results.parts],
        "claims_refused": found.claims_refused, "payments_refused": found.payments_refused,
        "flags": [_flag_json(each) for each in found.flags],
    }  # fmt: skip


def situation_page(programme: Programme, found: Situation, mark: str = "") -> Page:
    """Return the page, with its first line `mark`. Show it to the team only, because it has rows about few people."""
    results, currency = found.results, programme.currency
    tiles = Tiles(
        (
            Tile("claimed", f"{results.claimed:,}", "", share(results.claimed, results.members, "of the packets")),
            Tile(
                "spent, gross", money.format(results.spent_minor, currency), currency.code,
                share(results.spent_minor, results.dropped_minor, "of what was dropped"),
            ),
            Tile("payments", f"{results.payments:,}", "", "from packets"),
            Tile("refused claims", f"{sum(found.claims_refused.values()):,}", "", "by the ledger"),
        )
    )  # fmt: skip
    rows = [("operator", results.operators), ("part", results.parts)]
    sections = [
        Section(f"{first}s", f"By {first}", first.capitalize(), (_rows(first, of, currency),))
        for first, of in rows
        if of
    ]
    sections += [_refusals(found), _flags(found, currency)]
    return Page(
        mark=mark,
        kicker="Sycee programme, situation",
        title=programme.title,
        summary="For the team: figures of this moment, before refunds and expiry.",
        facts=(("as of frame", f"{results.frame:,}"),),
        opening=(tiles,),
        sections=tuple(sections),
        footer=f"Programme {programme.name}. This page is one file and needs no network.",
    )


def _rows(first: str, rows: tuple[Row, ...], currency: Currency) -> Table:
    heading = columns(first, ">packets", ">claimed", f">spent, gross, {currency.code}")
    cells = tuple(
        (each.name, f"{each.people:,}", f"{each.claimed:,}", money.format(each.spent_minor, currency)) for each in rows
    )
    return Table(f"By {first}", heading, cells)


def _refusals(found: Situation) -> Section:
    cells = [("claim", code, f"{count:,}") for code, count in found.claims_refused.items()]
    cells += [("payment", code, f"{count:,}") for code, count in found.payments_refused.items()]
    text = "Refused payments are those of the whole bank since the first claim."
    table = Table("Refused by the ledger, by code", columns("what", "code", ">number"), tuple(cells))
    return Section("refused", "Refusals by cause", "Refused", (Paragraph(text), table))


def _flags(found: Situation, currency: Currency) -> Section:
    cells = tuple(
        (each.kind, ids.format(each.shop), ids.format(each.wallet) if each.wallet else "–",
         f"{each.count:,}", f"{each.of:,}", each.threshold)
        for each in found.flags
    )  # fmt: skip
    text = (
        "Unusual payments that a person should examine. A flag is no proof: popular shops receive whole packets. "
        f"Counts of refunds are minor units of {currency.code}."
    )
    heading = columns("flag", "shop", "wallet", ">count", ">of", "threshold")
    return Section("flags", "Flags", "Flags", (Paragraph(text), Table("Flags", heading, cells)))


def _row_json(row: Row) -> dict[str, Any]:
    return {"name": row.name, "packets": row.people, "claimed": row.claimed, "spent_gross_minor": row.spent_minor}


def _flag_json(flag: Flag) -> dict[str, Any]:
    return {
        "kind": flag.kind, "shop": ids.format(flag.shop), "wallet": ids.format(flag.wallet) if flag.wallet else "",
        "count": flag.count, "of": flag.of, "threshold": flag.threshold,
    }  # fmt: skip
