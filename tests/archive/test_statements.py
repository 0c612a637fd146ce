"""Statements between two moments, and their totals."""

from __future__ import annotations

import base64
import csv
import io
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from tests.archive.sample_ledgers import DAY_NS, Town, accounts_of, moment, replayed, sample_ledger, whole_statement

from sycee.archive import history_copy, statement_csv, statement_pdf
from sycee.archive.history_source import ReplayedLedger
from sycee.archive.packets import Packet
from sycee.archive.statements import Statement, statement
from sycee.core import timestamps
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.ledger.state import LedgerState
from sycee.sequencer.time_zones import calendar_entry
from sycee.testing.histories import histories


def check_against_the_ledger(source: ReplayedLedger, from_ns: int, until_ns: int) -> int:
    """Compare the statement of a period with the whole one, for every account; return the number of lines."""
    seen = 0
    for account in accounts_of(source):
        whole = whole_statement(source, account)
        found = statement(source, account, from_=from_ns, until=until_ns)
        assert found.lines == [line for line in whole if from_ns <= line.time_ns < until_ns]
        before = [line for line in whole if line.time_ns < from_ns]
        assert found.opening == (before[-1].balance if before else 0)
        assert found.closing == found.opening + sum(line.amount for line in found.lines)
        assert found.opening + found.total.received - found.total.paid_out == found.closing
        for totals in (found.by_purpose, found.by_month):
            assert sum(each.lines for each in totals) == len(found.lines)
            assert sum(each.received - each.paid_out for each in totals) == found.closing - found.opening
        seen += len(found.lines)
    return seen


@settings(max_examples=10)
@given(histories(60))
def test_statements_agree_with_those_of_the_ledger(history: Any) -> None:
    source = replayed(history)
    times = source.state.frame_times[1:].tolist()
    middle, late = times[len(times) // 2], times[-1]
    assert check_against_the_ledger(source, times[0], late + 1) == sum(
        len(whole_statement(source, account)) for account in accounts_of(source)
    )
    check_against_the_ledger(source, middle, late)
    check_against_the_ledger(source, 0, middle)


def test_statements_do_not_depend_on_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    source = sample_ledger()
    whole = {account: statement(source, account).lines for account in accounts_of(source)}
    assert max(map(len, whole.values())) > 12
    for rows in (1, 2, 5):
        monkeypatch.setattr(history_copy, "SLICE_ROWS", rows)
        assert {account: statement(source, account).lines for account in whole} == whole
        check_against_the_ledger(source, 1_050, 1_100)


def test_a_statement_copies_the_lines_of_its_period_only(monkeypatch: pytest.MonkeyPatch) -> None:
    source = sample_ledger()
    copied: list[int] = []
    copy = history_copy.movement_rows

    def counted(state: LedgerState, numbers: Array) -> Array:
        copied.append(numbers.size)
        return copy(state, numbers)

    monkeypatch.setattr(history_copy, "movement_rows", counted)
    account = max(accounts_of(source), key=lambda account: len(whole_statement(source, account)))
    half = whole_statement(source, account)[6].time_ns
    lines = statement(source, account, until=half).lines
    assert 0 < len(lines) < len(whole_statement(source, account))
    assert sum(copied) == len(lines)


def test_days_begin_at_midnight_in_the_zone_of_the_currency(tmp_path: Path) -> None:
    town = Town(tmp_path / "ledger")
    with town.ledger as ledger:
        # Paris: one hour ahead of UTC, from 29 March 2026 on two.
        for text in ("2026-03-28T22:59", "2026-03-28T23:00", "2026-03-29T21:59", "2026-03-29T22:00"):
            town.at(text)
            ledger.transfer(town.ann, town.bob, 100)
        for first, last, lines in (("28", "29", 1), ("29", "30", 2), ("30", "31", 1)):
            found = statement(ledger, town.bob, from_=f"2026-03-{first}", until=f"2026-03-{last}")
            assert len(found.lines) == lines
            assert found.closing - found.opening == 100 * lines
        assert [each.name for each in statement(ledger, town.bob).by_month] == ["2026-03"]
        assert statement(ledger, town.bob, until="2026-03-28").lines == []
        assert statement(ledger, town.bob, from_=moment("2026-03-29T22:00")).opening == 300


def test_a_statement_of_a_year(tmp_path: Path) -> None:
    town = Town(tmp_path / "ledger", "2025-12-31T12:00", zone="Asia/Shanghai")
    with town.ledger as ledger:
        for _ in range(3):
            town.wait(DAY_NS // 3)
            ledger.transfer(town.ann, town.bob, 100)
        year_before, year = (statement(ledger, town.bob, year=number) for number in (2025, 2026))
        assert (len(year_before.lines), len(year.lines)) == (0, 3)  # midnight in Shanghai is at 16:00 UTC
        assert (year.opening, year.closing) == (0, 300)
        found = statement(ledger, town.bob, year=2026, with_state_digest=True)
        assert found.basis.state_digest == ledger.digest()
        assert found.basis.frame == ledger.sequencer.durable_sequence
        assert found.basis.ledger_id == ledger.ledger_id


def test_a_statement_without_lines(tmp_path: Path) -> None:
    town = Town(tmp_path / "ledger")
    with town.ledger as ledger:
        found = statement(ledger, town.shop, year=2026)
        assert (found.opening, found.closing, found.lines, found.by_month, found.by_purpose) == (0, 0, [], [], [])
        assert "no line in this period" in " ".join(pdf_texts(statement_pdf.pdf(found)))


@pytest.mark.parametrize(
    ("period", "says"),
    [
        ({"from_": "yesterday"}, "is not a date"),
        ({"from_": "2026-02-30"}, "is not a date"),
        ({"from_": "2026-03-02", "until": "2026-03-01"}, "ends before it begins"),
        ({"from_": "1500-01-01"}, "does not fit"),
        ({"until": 2**63}, "must be an integer from"),
        ({"until": 1.5}, "must be an integer from"),
    ],
)
def test_invalid_periods_are_refused(period: dict[str, Any], says: str) -> None:
    source = sample_ledger()
    with pytest.raises(UsageError, match=says):
        statement(source, accounts_of(source)[0], **period)


def test_unknown_accounts_and_years_are_refused() -> None:
    source = sample_ledger()
    with pytest.raises(UsageError, match="no account 00000000-0000-0000-0000-0000000004d2"):
        statement(source, 1234)
    with pytest.raises(UsageError, match=r"year must .*; got 1500"):
        statement(source, accounts_of(source)[0], year=1500)


def test_midnights_that_are_skipped_or_repeated() -> None:
    # In Havana clocks go from midnight to one o'clock, and in autumn from one o'clock back to midnight.
    assert timestamps.moment_ns("2026-03-08", "America/Havana") == moment("2026-03-08T05:00")
    assert timestamps.moment_ns("2026-11-01", "America/Havana") == moment("2026-11-01T04:00")


def test_local_days_are_those_of_the_sequencer() -> None:
    times = np.arange(moment("2025-12-31T00:00"), moment("2026-12-31T00:00"), 7_777 * 10**9)[::9]
    for zone in ("Asia/Shanghai", "America/Havana", "Pacific/Apia", "Australia/Lord_Howe"):
        expected = [calendar_entry(978, zone, time_ns).day for time_ns in times.tolist()]
        assert timestamps.local_days(times, zone).tolist() == expected


# --- packets ---


@settings(max_examples=8)
@given(histories(60))
def test_packets_are_the_purses_that_a_wallet_claimed(history: Any) -> None:
    source = replayed(history)
    state, seen = source.state, 0
    for row, account in enumerate(accounts_of(source)):
        packets = statement(source, account, with_packets=True).packets
        mine = state.all_purses[state.all_purses["wallet"] == row + 1]
        assert sorted((each.programme, each.dropped, each.spent, each.refunded, each.returned) for each in packets) == (
            sorted(mine[["programme", "dropped", "spent", "refunded", "returned"]].tolist())
        )
        for each in packets:
            assert each.balance == each.dropped - each.spent + each.refunded - each.returned
        seen += len(packets)
        # The sums of two halves are the sums of the whole period.
        middle = int(state.frame_times[state.sequence // 2 + 1])
        early = statement(source, account, until=middle, with_packets=True).packets
        late = statement(source, account, from_=middle, with_packets=True).packets
        assert sum(each.spent for each in (*early, *late)) == sum(each.spent for each in packets)
        assert sum(each.dropped for each in (*early, *late)) == sum(each.dropped for each in packets)
    assert seen == np.count_nonzero(state.all_purses["wallet"])


def test_packets_of_a_wallet(tmp_path: Path) -> None:
    town = Town(tmp_path / "ledger")
    with town.ledger as ledger:
        town.drop()
        found = statement(ledger, town.ann, with_packets=True)
        assert found.packets == (Packet(1, 0, dropped=2_000, spent=1_000, refunded=0, returned=0, balance=1_000),)
        assert statement(ledger, town.bob, with_packets=True).packets == ()
        assert statement(ledger, town.ann, until="2026-03-01", with_packets=True).packets == ()
        later = statement(ledger, town.ann, from_="2026-03-02", with_packets=True)
        assert later.packets == (Packet(1, 0, dropped=0, spent=0, refunded=0, returned=0, balance=1_000),)
    assert pdf_texts(statement_pdf.pdf(found)).count("0 of programme 1") == 1


# --- CSV and PDF ---


def a_statement(folder: Path) -> Statement:
    """Return ann's statement: money received, the rest of a packet and own money spent, and a refund."""
    town = Town(folder)
    with town.ledger as ledger:
        town.drop()
        payment = ledger.new_id()
        for amount in (1_500, 250):
            town.wait(20 * DAY_NS)
            ledger.pay(town.ann, town.shop, amount, id=payment if amount == 250 else None)
        ledger.refund(payment, 50)
        return statement(ledger, town.ann)


def pdf_texts(content: bytes) -> list[str]:
    """Return every text of a PDF file, in order."""
    found: list[str] = []
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", content, re.DOTALL):
        page = zlib.decompress(base64.a85decode(b"<~" + stream.strip(), adobe=True))
        found += [text.decode("latin-1") for text in re.findall(rb"\((.*?)\) Tj", page)]
    return found


def test_csv_has_every_amount_as_integer_and_as_decimal(tmp_path: Path) -> None:
    found = a_statement(tmp_path / "ledger")
    written = list(csv.DictReader(io.StringIO(statement_csv.text(found))))
    assert tuple(written[0]) == statement_csv.HEADINGS
    assert [row["purpose"] for row in written] == [
        "OPENING_BALANCE", "TRANSFER", "PAY_OWN", "PAY_OWN", "REFUND_OWN", "CLOSING_BALANCE",
    ]  # fmt: skip
    assert [row["amount_minor"] for row in written[1:-1]] == [str(line.amount) for line in found.lines]
    assert [(row["amount"], row["balance"]) for row in written] == [
        ("", "0.00"), ("1000.00", "1000.00"), ("-5.00", "995.00"), ("-2.50", "992.50"), ("0.50", "993.00"),
        ("", "993.00"),
    ]  # fmt: skip
    assert sum(int(row["amount_minor"] or 0) for row in written) == found.closing - found.opening == 99_300
    assert written[1]["time"] == "2026-03-01T12:00:00.000000008Z"
    assert written[1]["local_date"] == "2026-03-01"
    assert {row["currency"] for row in written} == {"EUR"}


def test_pdf_names_its_account_and_the_frame_it_is_computed_from(tmp_path: Path) -> None:
    found = a_statement(tmp_path / "ledger")
    made = statement_pdf.pdf(found)
    assert made.startswith(b"%PDF-")
    assert statement_pdf.pdf(found) == made
    texts = pdf_texts(made)
    for text in (
        "Account statement", "EUR \\(Euro\\), days of Europe/Paris", "all movements", "993.00", "-7.50",
        "2026-04", "refund own", "page 1 of 1",
    ):  # fmt: skip
        assert text in texts, text
    assert f"Digest of all movements {found.basis.movement_digest.hex()}" in texts
    assert f"Computed from frame {found.basis.frame} of ledger {found.basis.ledger_id.hex()}" in " ".join(texts)


def test_pdf_repeats_the_heading_on_every_page(tmp_path: Path) -> None:
    town = Town(tmp_path / "ledger")
    with town.ledger as ledger:
        for _ in range(120):
            ledger.transfer(town.ann, town.bob, 1)
        found = statement(ledger, town.bob, from_="2026-03-01", until="2026-04-01")
    texts = pdf_texts(statement_pdf.pdf(found))
    assert [text for text in texts if text.startswith("page ")] == [f"page {number} of 3" for number in (1, 2, 3)]
    assert texts.count("counterparty") == 3
    assert texts.count("0.01") == 120 + 1  # and the first balance
    assert "from 2026-03-01, before 2026-04-01" in texts


def test_pdf_has_a_title_in_chinese(tmp_path: Path) -> None:
    made = statement_pdf.pdf(a_statement(tmp_path / "ledger"), title="年度账单")
    assert b"/STSong-Light" in made
    assert b"FontFile" not in made
