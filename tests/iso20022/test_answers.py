"""Answers to messages: correct messages, with the references of what they answer."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.iso20022 import valid_messages
from tests.iso20022.messages import UETR
from tests.iso20022.test_bad_messages import BAD
from tests.iso20022.valid_messages import OTHER_UETR

from sycee.core.errors import UsageError
from sycee.iso20022 import answers
from sycee.iso20022.answers import Origin, ProcessingStatus
from sycee.iso20022.bulk_credit_transfers import TransferMessage, read_credit_transfers
from sycee.iso20022.institutions import Institution
from sycee.iso20022.messages import Message, read, write
from sycee.iso20022.reading import MessageError

HOUSE = Institution(bic="CLEACCCC")
AT_NS = 1_795_000_000_123_000_000
BANKS = "pacs.009.001.08"
SETTLED = ProcessingStatus("ACSC", settled_ns=AT_NS)
QUEUED = ProcessingStatus("PDNG", words="in the queue")


def message(name: str) -> Message:
    return read(valid_messages.content(name).encode())


def test_a_status_for_each_payment_with_an_outcome() -> None:
    refused = ProcessingStatus("RJCT", "AM04", "a position of 5.00 USD\n" + "and more words " * 12)
    made = answers.statuses(message(BANKS), {UETR: SETTLED, OTHER_UETR: refused}, id="ST-1", at_ns=AT_NS, house=HOUSE)
    found = read(write(made))
    first, second = found.value.payments
    assert (first.uetr, first.status, first.settled) == (UETR, "ACSC", "2026-11-18T11:06:40.123Z")
    assert (first.instruction, first.end_to_end, first.original.id) == ("I-1", "E-1", "MSG-1")
    (reason,) = second.reasons
    assert reason.code == "AM04"
    assert len(reason.information) > 1
    assert max(map(len, reason.information)) <= 105
    header = found.header
    assert (header.sender.bic, header.receiver.bic, header.message) == ("CLEACCCC", "BANKAAAA", "pacs.002.001.10")
    assert [each.id for each in header.related] == ["BIZ-1"]


def test_an_answer_has_the_version_of_header_of_its_message() -> None:
    content = valid_messages.content(BANKS).replace("head.001.001.02", "head.001.001.03")
    original = read(content.encode())
    made = write(answers.statuses(original, {UETR: SETTLED}, id="ST-1", at_ns=AT_NS, house=HOUSE))
    assert b"head.001.001.03" in made
    assert read(made).header_name == "head.001.001.03"
    with pytest.raises(UsageError, match="is no header"):
        write(replace(original, header_name="head.001.001.01"))


@pytest.mark.parametrize("name", ["pacs.004.001.09", "pacs.008.001.08"])
def test_other_payments_are_answered_too(name: str) -> None:
    made = answers.statuses(message(name), {UETR: QUEUED}, id="ST-1", at_ns=AT_NS, house=HOUSE)
    (one,) = read(write(made)).value.payments
    assert (one.uetr, one.status, one.original.name) == (UETR, "PDNG", name)


def test_information_is_printable_lines() -> None:
    found = answers.information("  <&\0\x1b" + "x" * 200)
    assert found[0].startswith(r"<&\x00\x1bxxx")
    assert [len(each) for each in found] == [105, 105]
    assert answers.information(" ") == ()


def test_what_has_no_status_is_refused() -> None:
    with pytest.raises(UsageError, match="no transaction"):
        answers.statuses(message(BANKS), {}, id="ST-1", at_ns=AT_NS, house=HOUSE)
    with pytest.raises(UsageError, match=r"camt\.050\.001\.07 is not answered"):
        answers.statuses(message("camt.050.001.07"), {}, id="ST-1", at_ns=AT_NS, house=HOUSE)


def test_statuses_of_rows_are_the_same_bytes() -> None:
    text = valid_messages.content(BANKS).replace("<EndToEndId>E-1", "<EndToEndId>E&amp;1")
    (rows,) = read_credit_transfers([text.encode()])
    assert isinstance(rows, TransferMessage)
    whole = replace(read(text.encode()), header=None)
    for first, second in (
        (SETTLED, QUEUED),
        (ProcessingStatus("RJCT", "AM04", "a < b"), ProcessingStatus("CANC", clearing="H-1")),
    ):
        made = answers.statuses(whole, {UETR: first, OTHER_UETR: second}, id="ST-1", at_ns=AT_NS, house=HOUSE)
        fast = answers.statuses_of_rows(rows, [first, second], id="ST-1", at_ns=AT_NS, house=HOUSE)
        assert fast == write(made)


@pytest.mark.parametrize(("name", "old", "new", "path", "reason", "words"), BAD)
def test_every_bad_message_has_a_correct_answer(
    name: str, old: str, new: str, path: str, reason: str, words: str
) -> None:
    content = valid_messages.content(name).replace(old, new, 1).encode()
    with pytest.raises(MessageError) as caught:
        read(content)
    made = answers.refusal(content, caught.value, id="ST-1", at_ns=AT_NS, house=HOUSE)
    found = read(write(made))
    assert reason in write(made).decode()
    if found.name == answers.STATUS:
        (group,) = found.value.groups
        assert (group.id, group.status) == ("MSG-1", "RJCT")
    elif found.name == answers.REJECTION:
        assert found.value.original in ("BIZ-1", "MSG-1", "NOTPROVIDED")
        assert found.value.place.startswith("line ")
    else:
        assert (name, found.name) == ("camt.050.001.07", answers.RECEIPT)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", Origin()),
        (b"\xff<BizMsgIdr>B-1</BizMsgIdr><MsgId>M-1</MsgId><MsgId>M-2</MsgId>", Origin("", "M-1", "B-1")),
        (b"<MsgId>M\0</MsgId>", Origin()),
        (b"<a><MsgId>M-1</MsgId></a>", Origin()),
        (b"<Document><MsgId>M-1</MsgId></Document>", Origin("", "M-1")),
        (b"<Document><MsgId>" + b"M" * 36 + b"</MsgId></Document>", Origin()),
    ],
)
def test_what_can_be_known_of_other_content(content: bytes, expected: Origin) -> None:
    assert answers.origin_of(content) == expected


def test_a_refusal_answers_the_header_that_could_be_read() -> None:
    content = valid_messages.content(BANKS).replace("<NbOfTxs>2", "<NbOfTxs>3").encode()
    with pytest.raises(MessageError) as caught:
        read(content)
    made = answers.refusal(content, caught.value, id="ST-1", at_ns=AT_NS, house=HOUSE)
    assert made.header is not None
    assert made.header.receiver.bic == "BANKAAAA"
    assert made.value.groups[0].reasons[0].code == "AM18"


def test_a_receipt_for_a_liquidity_transfer() -> None:
    outcome = ProcessingStatus("REJT", "AM04", "a position of 0.50 HKD")
    made = answers.receipt(message("camt.050.001.07"), outcome, id="R-1", at_ns=AT_NS, house=HOUSE)
    (details,) = read(write(made)).value.details
    (handling,) = details.handling
    assert (details.original, handling.status, handling.reason.code) == ("MSG-1", "REJT", "AM04")
    done = answers.receipt(message("camt.050.001.07"), ProcessingStatus("COMP"), id="R-2", at_ns=AT_NS, house=HOUSE)
    assert read(write(done)).value.details[0].handling[0].reason is None
    with pytest.raises(UsageError, match="not answered by a camt"):
        answers.receipt(message(BANKS), outcome, id="R-1", at_ns=AT_NS, house=HOUSE)


@pytest.mark.parametrize(("status", "expected"), [("ACCR", "CNCL"), ("RJCR", "RJCR"), ("PDCR", "PDCR")])
def test_a_resolution_of_a_cancellation(status: str, expected: str) -> None:
    outcomes = {UETR: ProcessingStatus(status, "ARDT" if status == "RJCR" else "")}
    made = answers.resolution(message("camt.056.001.08"), outcomes, id="R-1", at_ns=AT_NS, house=HOUSE)
    value = read(write(made)).value
    assert (value.status, value.transactions[0].status, value.transactions[0].uetr) == (expected, status, UETR)
    assert value.receiver.institution.bic == "BANKAAAA"
    with pytest.raises(UsageError, match="not answered by a camt"):
        answers.resolution(message(BANKS), outcomes, id="R-1", at_ns=AT_NS, house=HOUSE)


def test_an_acknowledgement_names_the_business_message() -> None:
    made = answers.acknowledgement(message(BANKS), "RCVD", id="A-1", at_ns=AT_NS, house=HOUSE, words="kept")
    (report,) = read(write(made)).value.reports
    assert (report.original, report.original_name, report.status, report.description) == (
        "BIZ-1",
        BANKS,
        "RCVD",
        "kept",
    )
