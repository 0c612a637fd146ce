"""Writing of pacs.002: the elements in the order of the schema, whatever texts they have."""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree as ET

import pytest

from sycee.iso20022.credit_transfers import Agent
from sycee.iso20022.payment_status import OriginalMessage, TransactionStatus, status_report

pytestmark = pytest.mark.fast

NOON: Final = 1_795_608_000 * 10**9
ORIGINAL: Final = OriginalMessage("MSG-1", "pacs.008.001.08", "2026-11-25T09:30:00+01:00")


def leaves(content: bytes) -> list[tuple[str, str]]:
    """Return the names and texts of all elements without children, without their namespace."""
    root = ET.fromstring(content)  # noqa: S314 - our own
    assert {each.tag.partition("}")[0] for each in root.iter()} == {"{urn:iso:std:iso:20022:tech:xsd:pacs.002.001.10"}
    return [(each.tag.partition("}")[2], each.text or "") for each in root.iter() if not len(each)]


def test_a_report() -> None:
    refused = TransactionStatus(
        "RJCT",
        "RR04",
        ("record 12", "why"),
        ORIGINAL,
        "INSTR-1",
        "E2E-1",
        "TX-1",
        "8a562c67-ca16-48ba-b074-65581be6f001",
    )
    agents = {"sender": Agent(bic="BANKBBBB"), "receiver": Agent(lei="5493001KJTIIGC8Y1R12", clearing="0210")}
    assert leaves(status_report("S-1", NOON, [refused, TransactionStatus("ACCP")], **agents)) == [
        ("MsgId", "S-1"),
        ("CreDtTm", "2026-11-25T12:00:00Z"),
        ("BICFI", "BANKBBBB"),
        ("MmbId", "0210"),
        ("LEI", "5493001KJTIIGC8Y1R12"),
        ("OrgnlMsgId", "MSG-1"),
        ("OrgnlMsgNmId", "pacs.008.001.08"),
        ("OrgnlCreDtTm", "2026-11-25T09:30:00+01:00"),
        ("OrgnlInstrId", "INSTR-1"),
        ("OrgnlEndToEndId", "E2E-1"),
        ("OrgnlTxId", "TX-1"),
        ("OrgnlUETR", "8a562c67-ca16-48ba-b074-65581be6f001"),
        ("TxSts", "RJCT"),
        ("Cd", "RR04"),
        ("AddtlInf", "record 12"),
        ("AddtlInf", "why"),
        ("TxSts", "ACCP"),
    ]


def test_texts_are_cut_and_printable() -> None:
    found = leaves(status_report("S" * 40, NOON, [TransactionStatus("RJCT", "RR04", ("<&\0\x1b" + "x" * 200,))]))
    assert dict(found)["MsgId"] == "S" * 35
    information = dict(found)["AddtlInf"]
    assert information.startswith(r"<&\x00\x1bxxx")
    assert len(information) == 105
