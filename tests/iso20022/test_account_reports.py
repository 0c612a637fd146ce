"""Reports of an account: balances that follow from the entries, and a statement that reconciles with them."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

import pytest
from tests.iso20022.messages import UETR
from tests.iso20022.valid_messages import ALDER, HOLLY, OTHER_UETR, header

from sycee.iso20022.account_reports import NOTIFICATION, REPORT, STATEMENT, AccountDay, AccountEntry, account_report
from sycee.iso20022.institutions import Institution
from sycee.iso20022.messages import MessageError, read, write
from sycee.iso20022.reconciliation import Booked, Reconciliation, reconcile
from sycee.iso20022.statements import OwnedAccount, Query

pytestmark = pytest.mark.fast
DAY = date(2026, 11, 26)
AT_NS = 1_795_700_000_000_000_000
HOUSE = Institution(bic="CLEACCCC")
PAID = AccountDay(
    OwnedAccount(number="17", currency="USD"),
    "USD",
    DAY,
    -500,
    (
        AccountEntry(1_000, DAY, "P-1", UETR, "I-1", "E-1", ALDER, HOLLY),
        AccountEntry(-2_000, DAY, "P-2", OTHER_UETR, "I-2", "E-2", HOLLY, ALDER),
    ),
    sequence=7,
)


def test_a_statement_has_balances_that_follow_from_its_entries_and_reconciles() -> None:
    made = account_report(STATEMENT, [PAID], id="S-1", at_ns=AT_NS, house=HOUSE)
    (statement,) = read(write(made)).value.statements
    assert [(each.type, each.minor) for each in statement.balances] == [("OPBD", -500), ("CLBD", -1_500)]
    assert (statement.sequence, statement.summary.credit_sum, statement.summary.debit_sum) == ("7", "10.00", "20.00")
    assert (statement.summary.count, statement.summary.sum) == ("2", "30.00")
    booked = [Booked(each.reference, (each.uetr,), each.minor, each.day) for each in PAID.entries]
    assert reconcile(statement, booked) == Reconciliation(2, (), 0)


def test_blanks_around_numbers_and_flags_are_no_part_of_them() -> None:
    # A schema ignores them. The currency has four decimals.
    paid = replace(PAID, currency="CLF", account=OwnedAccount(number="17", currency="CLF"))
    content = write(account_report(STATEMENT, [paid], id="S-1", at_ns=AT_NS, house=HOUSE))
    content = content.replace(b"</CdtDbtInd><Sts>", b"</CdtDbtInd><RvslInd>true</RvslInd><Sts>")
    spaced = content
    for name in ("Amt", "RvslInd", "Sum", "TtlNtryAmt"):
        spaced = re.sub(rf"(<{name}(?: [^>]*)?>)([^<]+)<".encode(), rb"\1\n \2\t <", spaced)
    assert len(spaced) > len(content) + 40
    assert read(spaced) == read(content)
    assert read(spaced).value.statements[0].entries[0].is_reversal
    # The validator of ISO's schemas refuses a moment with a blank at its end, so the reader does too.
    moment = re.sub(rb"<CreDtTm>[^<]+<", b"<CreDtTm>2026-09-07T22:58:50 <", content, count=1)
    assert moment != content
    with pytest.raises(MessageError, match="CreDtTm"):
        read(moment)


def test_a_report_within_a_day_answers_its_request() -> None:
    query = Query(id="Q-1", name="camt.060.001.05")
    made = account_report(REPORT, [PAID], id="R-1", at_ns=AT_NS, house=HOUSE, to=header("camt.060.001.05"), query=query)
    found = read(write(made))
    (report,) = found.value.reports
    assert [(each.type, each.minor) for each in report.balances] == [("OPBD", -500), ("ITBD", -1_500)]
    assert found.value.query == query
    assert found.header is not None
    assert (found.header.receiver.bic, found.header.related[0].message) == ("BANKAAAA", "camt.060.001.05")


def test_a_notification_has_entries_only() -> None:
    made = account_report(NOTIFICATION, [PAID, PAID], id="N-1", at_ns=AT_NS, house=HOUSE)
    first, second = read(write(made)).value.notifications
    assert (first.id, second.id) == ("N-1-1", "N-1-2")
    assert [each.minor for each in first.entries] == [1_000, -2_000]
    entry = first.entries[1]
    assert (entry.domain, entry.family, entry.sub_family) == ("PMNT", "ICDT", "FICT")
    (detail,) = entry.details[0].transactions
    assert (detail.uetr, detail.sender, detail.receiver) == (OTHER_UETR, HOLLY, ALDER)


def test_a_day_without_entries() -> None:
    empty = AccountDay(PAID.account, "JPY", DAY, 0, ())
    (statement,) = read(write(account_report(STATEMENT, [empty], id="S-1", at_ns=AT_NS, house=HOUSE))).value.statements
    assert [each.minor for each in statement.balances] == [0, 0]
    assert statement.summary.sum == "0"
