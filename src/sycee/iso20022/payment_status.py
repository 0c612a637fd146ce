"""Payment status reports, pacs.002: the status of transactions and the reasons of refusals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sycee.core.extras import extra
from sycee.core.terminal_text import printable
from sycee.iso20022.credit_transfers import Agent

with extra("iso20022"):
    from lxml import etree

VERSION: Final = "pacs.002.001.10"
REFERENCE_MAX: Final = 35  # characters of a reference
INFORMATION_MAX: Final = 105  # characters of one line of additional information

_NAMESPACE: Final = f"urn:iso:std:iso:20022:tech:xsd:{VERSION}"


@dataclass(frozen=True, slots=True)
class OriginalMessage:
    """The message that a status is about: its id, its name with version, and its time as it was written."""

    id: str
    name: str
    created: str


@dataclass(frozen=True, slots=True)
class TransactionStatus:
    """Status of one transaction. References are empty if not known.

    `status` is of ExternalPaymentTransactionStatus1Code, `reason` of ExternalStatusReason1Code or empty. A line of
    `information` is cut to `INFORMATION_MAX` characters.
    """

    status: str
    reason: str = ""
    information: Sequence[str] = ()
    original: OriginalMessage | None = None
    instruction_id: str = ""
    end_to_end_id: str = ""
    transaction_id: str = ""
    uetr: str = ""


def status_report(
    id: str,
    at_ns: int,
    statuses: Sequence[TransactionStatus],
    *,
    sender: Agent | None = None,
    receiver: Agent | None = None,
) -> bytes:
    """Return a pacs.002 message in UTF-8. `id` has at most `REFERENCE_MAX` characters, `at_ns` is its time in UTC."""
    document = etree.Element(f"{{{_NAMESPACE}}}Document", nsmap={None: _NAMESPACE})
    report = _below(document, "FIToFIPmtStsRpt")
    header = _below(report, "GrpHdr")
    _text(header, "MsgId", id[:REFERENCE_MAX])
    _text(header, "CreDtTm", f"{datetime.fromtimestamp(at_ns // 1_000_000_000, UTC):%Y-%m-%dT%H:%M:%S}Z")
    _agent(header, "InstgAgt", sender)
    _agent(header, "InstdAgt", receiver)
    for each in statuses:
        _transaction(report, each)
    return bytes(etree.tostring(document, xml_declaration=True, encoding="UTF-8", pretty_print=True))


def _transaction(report: Any, status: TransactionStatus) -> None:
    """Add one transaction. The schema fixes the order of its elements."""
    added = _below(report, "TxInfAndSts")
    if status.original:
        original = _below(added, "OrgnlGrpInf")
        _text(original, "OrgnlMsgId", status.original.id)
        _text(original, "OrgnlMsgNmId", status.original.name)
        _text(original, "OrgnlCreDtTm", status.original.created)
    _text(added, "OrgnlInstrId", status.instruction_id)
    _text(added, "OrgnlEndToEndId", status.end_to_end_id)
    _text(added, "OrgnlTxId", status.transaction_id)
    _text(added, "OrgnlUETR", status.uetr)
    _text(added, "TxSts", status.status)
    if status.reason or status.information:
        why = _below(added, "StsRsnInf")
        if status.reason:
            _text(_below(why, "Rsn"), "Cd", status.reason)
        for line in status.information:
            _text(why, "AddtlInf", printable(line)[:INFORMATION_MAX])


def _agent(parent: Any, name: str, agent: Agent | None) -> None:
    if agent and (agent.bic or agent.clearing or agent.lei):
        codes = _below(_below(parent, name), "FinInstnId")
        _text(codes, "BICFI", agent.bic)
        if agent.clearing:
            _text(_below(codes, "ClrSysMmbId"), "MmbId", agent.clearing)
        _text(codes, "LEI", agent.lei)


def _below(parent: Any, name: str) -> Any:
    return etree.SubElement(parent, f"{{{_NAMESPACE}}}{name}")


def _text(parent: Any, name: str, text: str) -> None:
    """Add an element with a text; none without one."""
    if text:
        _below(parent, name).text = text
