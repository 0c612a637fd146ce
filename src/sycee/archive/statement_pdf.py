"""Statement as PDF: account and period, totals, every line, and on each page the ledger position it was read from.

The same statement gives the same bytes. No font is embedded: the standard fonts of PDF are used, and for a title in
Chinese a standard CJK font.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sycee.archive.statements import Statement, Total
from sycee.core import ids, money
from sycee.core.extras import extra
from sycee.core.money import currency_of
from sycee.core.timestamps import local_time, utc_text

with extra("bank"):
    from reportlab.lib.pagesizes import A4
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfgen.canvas import Canvas

WIDTH, HEIGHT = A4  # in points, as are all lengths below
MARGIN: Final = 45.0
TOP, BOTTOM = HEIGHT - 52.0, 74.0
LINE: Final = 12.0
PLAIN, BOLD, CHINESE = "Helvetica", "Helvetica-Bold", "STSong-Light"
RIGHT: Final = WIDTH - MARGIN
TITLE: Final = "Account statement"


class _Cell(NamedTuple):
    """Text at a position on a line; `x` is its right end if `is_right`."""

    x: float
    text: str
    is_right: bool = False


class _Row(NamedTuple):
    """One line of text on a page."""

    y: float
    font: str
    size: float
    grey: float  # 0 is black
    cells: tuple[_Cell, ...]
    ruled: bool = False  # a thin line below


@dataclass(slots=True)
class _Layout:
    """Rows on pages, from the top. A table that continues on the next page repeats its heading there."""

    pages: list[list[_Row]] = field(default_factory=lambda: [[]])
    y: float = TOP
    heading: tuple[_Cell, ...] = ()

    def row(self, cells: tuple[_Cell, ...], *, font: str = PLAIN, size: float = 8.0, grey: float = 0.0) -> None:
        """Add a line of text."""
        if self.y < BOTTOM:
            self.pages.append([])
            self.y = TOP
            self._head()
        self.pages[-1].append(_Row(self.y, font, size, grey, cells))
        self.y -= LINE

    def table(self, heading: tuple[_Cell, ...], rows: Iterable[tuple[_Cell, ...]]) -> None:
        """Add a heading and the rows of a table."""
        self.heading = heading
        if self.y < BOTTOM + 4 * LINE:
            self.pages.append([])
            self.y = TOP
        self._head()
        for cells in rows:
            self.row(cells)
        self.heading = ()
        self.y -= LINE

    def space(self, points: float) -> None:
        """Leave vertical space."""
        self.y -= points

    def _head(self) -> None:
        if self.heading:
            self.pages[-1].append(_Row(self.y, BOLD, 8.0, 0.0, self.heading, ruled=True))
            self.y -= LINE + 3


def pdf(statement: Statement, *, title: str = TITLE) -> bytes:
    """Return the statement as the bytes of a PDF file, A4. `title` may be in a Western language or in Chinese."""
    layout = _Layout()
    _summary(layout, statement, title)
    layout.table(_cells(_LINE_X, "time", "purpose", "counterparty", "amount", "balance", left=3), _lines(statement))
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, pageCompression=1, invariant=1)
    canvas.setTitle(f"{title} {_id(statement.account)}")
    canvas.setCreator("Sycee")
    for number, page in enumerate(layout.pages, 1):
        for row in page:
            _draw(canvas, row)
        for row in _foot(statement, number, len(layout.pages)):
            _draw(canvas, row)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def _summary(layout: _Layout, statement: Statement, title: str) -> None:
    currency, total = currency_of(statement.currency), statement.total
    layout.row((_Cell(MARGIN, title),), font=_font_of(title, BOLD), size=17)
    layout.space(10)
    named = "" if currency.name.startswith("book ") else f" ({currency.name})"
    for name, value in (
        ("account", f"{_id(statement.account)}, {statement.kind.name.lower().replace('_', ' ')}"),
        ("currency", f"{currency.code}{named}, days of {statement.zone}"),
        ("period", _period(statement)),
    ):
        layout.row((_Cell(MARGIN, name), _Cell(MARGIN + 70, value)), size=9)
    layout.space(6)
    for name, minor, font in (
        ("opening balance", statement.opening, PLAIN),
        ("received", total.received, PLAIN),
        ("paid out", -total.paid_out, PLAIN),
        ("closing balance", statement.closing, BOLD),
    ):
        cells = (_Cell(MARGIN, name), _Cell(MARGIN + 210, _money(statement, minor), is_right=True))
        layout.row(cells, font=font, size=9)
    layout.space(LINE)
    if statement.rows.size:
        totals = ("lines", "received", "paid out")
        layout.table(_cells(_TOTAL_X, "month", *totals, "balance after"), _totals(statement, statement.by_month))
        layout.table(_cells(_TOTAL_X, "purpose", *totals), _totals(statement, statement.by_purpose))
    if statement.packets:
        amounts = ("dropped", "spent", "refunded", "returned", "left")
        layout.table(_cells(_PACKET_X, "packets", *amounts), _packets(statement))


# Horizontal positions of columns.
_TOTAL_X: Final = (MARGIN, MARGIN + 150, MARGIN + 265, MARGIN + 380, RIGHT)
_PACKET_X: Final = (MARGIN, MARGIN + 185, MARGIN + 265, MARGIN + 345, MARGIN + 425, RIGHT)
_LINE_X: Final = (MARGIN, MARGIN + 92, MARGIN + 190, RIGHT - 85, RIGHT)


def _cells(positions: tuple[float, ...], *texts: str, left: int = 1) -> tuple[_Cell, ...]:
    """Place texts in columns; the first `left` are aligned left, the others right."""
    return tuple(_Cell(x, text, at >= left) for at, (x, text) in enumerate(zip(positions, texts, strict=False)))


def _totals(statement: Statement, totals: Sequence[Total]) -> Iterator[tuple[_Cell, ...]]:
    for total in totals:
        texts = [
            _words(total.name),
            f"{total.lines:,}",
            _money(statement, total.received),
            _money(statement, -total.paid_out),
            *([] if total.balance is None else [_money(statement, total.balance)]),
        ]
        yield _cells(_TOTAL_X, *texts)


def _packets(statement: Statement) -> Iterator[tuple[_Cell, ...]]:
    for packet in statement.packets:
        amounts = (packet.dropped, -packet.spent, packet.refunded, -packet.returned, packet.balance)
        name = f"{packet.member:,} of programme {packet.programme}"
        yield _cells(_PACKET_X, name, *(_money(statement, each) for each in amounts))


def _lines(statement: Statement) -> Iterator[tuple[_Cell, ...]]:
    if not statement.rows.size:
        yield (_Cell(MARGIN, "no line in this period"),)
    for at, line in enumerate(statement.lines):
        other = _id(line.counterparty) if line.counterparty else ""
        if not line.counterparty and statement.rows["programme"][at]:
            other = f"packet {statement.rows['member'][at]:,} of programme {statement.rows['programme'][at]}"
        yield _cells(
            _LINE_X,
            f"{local_time(line.time_ns, statement.zone):%Y-%m-%d %H:%M:%S}",
            _words(line.purpose.name),
            other,
            _money(statement, line.amount),
            _money(statement, line.balance),
            left=3,
        )


def _foot(statement: Statement, number: int, pages: int) -> Iterator[_Row]:
    basis = statement.basis
    source = f"Computed from frame {basis.frame:,} of ledger {basis.ledger_id.hex()}, {utc_text(basis.time_ns)}."
    digest = f"State digest {basis.state_digest.hex()}" if basis.state_digest else ""
    movements = f"Digest of all movements {basis.movement_digest.hex()}"
    yield _Row(46, PLAIN, 6.5, 0.35, (_Cell(MARGIN, source), _Cell(RIGHT, f"page {number} of {pages}", is_right=True)))
    yield _Row(36, PLAIN, 6.5, 0.35, (_Cell(MARGIN, digest or movements),))
    if digest:
        yield _Row(26, PLAIN, 6.5, 0.35, (_Cell(MARGIN, movements),))


def _draw(canvas: Any, row: _Row) -> None:
    canvas.setFont(row.font, row.size)
    canvas.setFillGray(row.grey)
    for cell in row.cells:
        (canvas.drawRightString if cell.is_right else canvas.drawString)(cell.x, row.y, cell.text)
    if row.ruled:
        canvas.setLineWidth(0.4)
        canvas.line(MARGIN, row.y - 3.5, RIGHT, row.y - 3.5)


def _period(statement: Statement) -> str:
    """Return the period in local dates if both ends are midnights, otherwise with times."""
    period = statement.period
    if period.from_ns is None and period.until_ns is None:
        return "all movements"
    shown = [
        None if end_ns is None else f"{local_time(end_ns, statement.zone):%Y-%m-%d %H:%M:%S}".removesuffix(" 00:00:00")
        for end_ns in (period.from_ns, period.until_ns)
    ]
    return ", ".join(
        f"{word} {moment}" for word, moment in zip(("from", "before"), shown, strict=True) if moment is not None
    )


def _font_of(text: str, font: str) -> str:
    """Return `font`, or a font for Chinese if `font` lacks a character of the text."""
    try:
        text.encode("cp1252")
    except UnicodeEncodeError:
        if CHINESE not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(UnicodeCIDFont(CHINESE))
        return CHINESE
    return font


def _money(statement: Statement, minor: int) -> str:
    return money.format(minor, currency_of(statement.currency))


def _words(name: str) -> str:
    return name.lower().replace("_", " ")


def _id(number: int) -> str:
    return ids.format(number)
