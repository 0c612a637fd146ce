"""Messages of ISO 20022 as values, and values as messages: `read` and `write`.

`read` checks a message against the schema of its layout and the rules that a schema cannot state. `KINDS` names all
messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from sycee.core import typos
from sycee.core.errors import UsageError
from sycee.iso20022 import forms, schemas
from sycee.iso20022.administration import Acknowledgements, Rejection, SystemEvent
from sycee.iso20022.business_header import Header
from sycee.iso20022.cancellations import CancellationRequest, Resolution
from sycee.iso20022.codec import text_of, value_of
from sycee.iso20022.credit_transfer_messages import CustomerTransfers, InstitutionTransfers
from sycee.iso20022.elements import Problem, layout
from sycee.iso20022.explain import first_problem, instance_problem, stray_content, text_problem
from sycee.iso20022.initiation import Initiation
from sycee.iso20022.liquidity import LiquidityTransfer, Receipt
from sycee.iso20022.reading import Element, MessageError, local_name, message_name, tree
from sycee.iso20022.returns import Returns
from sycee.iso20022.schemas import NAMESPACE, compiled
from sycee.iso20022.statements import Notifications, ReportRequest, Reports, Statements
from sycee.iso20022.statuses import StatusReport, StatusRequest

ENVELOPE: Final = "BusMsg"


class Addresses(Enum):
    """Which postal addresses pass. Sources differ about the end of unstructured ones, so that a house decides.

    `ANY`: all. `HYBRID`: town and country, and up to two lines. `STRUCTURED`: town and country, and no lines.
    """

    ANY = "any"
    HYBRID = "hybrid"
    STRUCTURED = "structured"


@dataclass(frozen=True, slots=True)
class MessageKind:
    """A message: its name with version, its root element, and the class of its values."""

    name: str
    root: str
    of: type


@dataclass(frozen=True, slots=True)
class Message:
    """A message: its name with version, such as pacs.009.001.08, its value, and its header if it has one.

    `header_name` is the name of the header with its version, one of `HEADERS`.
    """

    name: str
    value: Any
    header: Header | None = None
    header_name: str = "head.001.001.02"


HEADERS: Final = ("head.001.001.02", "head.001.001.03")
KINDS: Final = {
    each.name: each
    for each in (
        MessageKind("pain.001.001.09", "CstmrCdtTrfInitn", Initiation),
        MessageKind("pacs.002.001.10", "FIToFIPmtStsRpt", StatusReport),
        MessageKind("pacs.004.001.09", "PmtRtr", Returns),
        MessageKind("pacs.004.001.10", "PmtRtr", Returns),
        MessageKind("pacs.008.001.08", "FIToFICstmrCdtTrf", CustomerTransfers),
        MessageKind("pacs.009.001.08", "FICdtTrf", InstitutionTransfers),
        MessageKind("pacs.028.001.03", "FIToFIPmtStsReq", StatusRequest),
        MessageKind("camt.025.001.08", "Rct", Receipt),
        MessageKind("camt.029.001.09", "RsltnOfInvstgtn", Resolution),
        MessageKind("camt.050.001.07", "LqdtyCdtTrf", LiquidityTransfer),
        MessageKind("camt.052.001.08", "BkToCstmrAcctRpt", Reports),
        MessageKind("camt.053.001.08", "BkToCstmrStmt", Statements),
        MessageKind("camt.054.001.08", "BkToCstmrDbtCdtNtfctn", Notifications),
        MessageKind("camt.056.001.08", "FIToFIPmtCxlReq", CancellationRequest),
        MessageKind("camt.060.001.05", "AcctRptgReq", ReportRequest),
        MessageKind("admi.002.001.01", "admi.002.001.01", Rejection),
        MessageKind("admi.004.001.02", "SysEvtNtfctn", SystemEvent),
        MessageKind("admi.007.001.01", "RctAck", Acknowledgements),
    )
}
_LINES_MAX: Final = 2  # of a hybrid address


def read(content: bytes, file: str = "the message", *, addresses: Addresses = Addresses.ANY) -> Message:
    """Return a message: a document alone, or an envelope with a header and a document; `file` is the name for errors.

    Raise MessageError for everything else, with path, reason, value and the correction.
    """
    root = tree(content, file)
    # A schema obeys these attributes: a message could choose the type of an element.
    if wrong := instance_problem(root, file):
        raise wrong
    header_node, document = _parts(root, file)
    name = message_name(document, file)
    kind = KINDS.get(name)
    if kind is None:
        right = typos.hint(name, KINDS, "one of " + ", ".join(KINDS))
        raise MessageError(file, document.sourceline, "", f"the message is a {name}", right=right)
    if wrong := stray_content(document, file):
        raise wrong
    if len(document) != 1:
        raise Element(document, file).error(f"has {len(document)} elements", f"one element {kind.root}")
    header = None if header_node is None else header_in(header_node, file)
    if header and header.message != name:
        problem = f"MsgDefIdr is {header.message}, and the document a {name}"
        raise Element(header_node, file).error(problem, f"MsgDefIdr {name}", below="MsgDefIdr")
    (body,) = document
    value = _checked(body, kind.name, kind.root, kind.of, file)
    if addresses is not Addresses.ANY:
        _check_addresses(body, addresses, file)
    return Message(name, value, header, HEADERS[0] if header is None else message_name(header_node, file))


def write(message: Message, *, check: bool = True) -> bytes:
    """Return the bytes of a message, in UTF-8: its document, within an envelope if it has a header.

    `check` reads the bytes again: raise MessageError for a value that makes no correct message. Leave it out only for
    values that were checked.
    """
    kind = KINDS.get(message.name)
    if kind is None:
        right = typos.hint(message.name, KINDS, "one of " + ", ".join(KINDS))
        raise UsageError(f"{message.name} is no message that is written", hint=right)
    if not isinstance(message.value, kind.of):
        raise UsageError(f"the value of a {message.name} is a {type(message.value).__name__}", hint=kind.of.__name__)
    document = (
        f'<Document xmlns="{NAMESPACE}{kind.name}"><{kind.root}>{text_of(message.value)}</{kind.root}></Document>'
    )
    if message.header:
        if message.header_name not in HEADERS:
            raise UsageError(f"{message.header_name} is no header that is written", hint=" or ".join(HEADERS))
        header = f'<AppHdr xmlns="{NAMESPACE}{message.header_name}">{text_of(message.header)}</AppHdr>'
        document = f"<{ENVELOPE}>{header}{document}</{ENVELOPE}>"
    content = f'<?xml version="1.0" encoding="UTF-8"?>\n{document}\n'.encode()
    if check:
        read(content, "the new message")
    return content


def schema_text(name: str) -> str:
    """Return the schema of the body of a message, or of a header, as the text of an XML Schema."""
    if name in HEADERS:
        return schemas.schema_text(name, "AppHdr", Header)
    if name not in KINDS:
        raise UsageError(f"there is no schema of {name}", hint=typos.hint(name, KINDS, "one of " + ", ".join(KINDS)))
    return schemas.schema_text(name, KINDS[name].root, KINDS[name].of)


def _parts(root: Any, file: str) -> tuple[Any, Any]:
    """Return header and document; None for no header."""
    if local_name(root) == "Document":
        return None, root
    names = [local_name(each) for each in root]
    if wrong := text_problem(root, file):
        raise wrong
    if names == ["AppHdr", "Document"]:
        return root[0], root[1]
    found = " and ".join(names[:3]) or "nothing"
    problem = f"{local_name(root)} contains {found}"
    raise MessageError(file, root.sourceline, "", problem, right="a Document, or AppHdr and Document in one envelope")


def header_in(node: Any, file: str) -> Header:
    """Return the header of an element AppHdr; raise MessageError for a wrong one."""
    name = message_name(node, file)
    if name not in HEADERS:
        raise Element(node, file).error(f"is a {name}", " or ".join(HEADERS))
    made: Header = _checked(node, name, "AppHdr", Header, file)
    return made


def _checked(node: Any, name: str, root: str, of: type, file: str) -> Any:
    """Return the value of an element that its schema accepts."""
    schema = compiled(name, root, of)
    if local_name(node) != root:
        raise Element(node, file).error("is not used here", root, reason=forms.NOT_ADMITTED)
    if not schema.validate(node):
        if wrong := first_problem(node, layout(of), file):
            raise wrong
        first = schema.error_log[0]
        raise MessageError(file, first.line, "", first.message, right="an element of the schema", reason=forms.CONTENT)
    value = value_of(node, of, file)
    if hasattr(value, "problems"):
        for each in value.problems():
            raise _error(node, each, file)
    return value


def _error(node: Any, problem: Problem, file: str) -> MessageError:
    """Return an error at the element of a path, or at the nearest one above it that is there."""
    namespace = node.tag.rpartition("}")[0]
    steps = problem.path.split("/")
    missing: list[str] = []
    while steps:
        found = node.find("/".join(f"{namespace}}}{each}" for each in steps))
        if found is not None:
            break
        missing.insert(0, steps.pop())
    else:
        found = node
    return Element(found, file).error(problem.problem, problem.right, below="/".join(missing), reason=problem.reason)


def _check_addresses(body: Any, addresses: Addresses, file: str) -> None:
    namespace = body.tag.rpartition("}")[0]
    for each in body.iter(f"{namespace}}}PstlAdr"):
        lines = each.findall(f"{namespace}}}AdrLine")
        most = _LINES_MAX if addresses is Addresses.HYBRID else 0
        if len(lines) > most:
            right = f"a structured address with at most {most} lines" if most else "a structured address, no lines"
            problem = f"is line {most + 1} of an address"
            raise Element(lines[most], file).error(problem, right, reason=forms.NOT_ADMITTED)
        for name in ("TwnNm", "Ctry"):
            if each.find(f"{namespace}}}{name}") is None:
                right = f"give {name}: the house takes structured addresses only"
                raise Element(each, file).error("is missing", right, below=name, reason=forms.MISSING)
