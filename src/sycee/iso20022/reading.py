"""Bounded reading of XML messages: no DTD, no entities, no network, and errors with line, path and value.

`read` returns the `Document` of a message, also from within an envelope. An `Element` is read child by child. It is no
check against a schema: elements that nobody reads are ignored, and one that is read may occur once only.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Any, Final

from sycee.core import documents
from sycee.core.errors import UsageError
from sycee.core.extras import extra
from sycee.iso20022 import forms

with extra("compliance"):
    from lxml import etree

MESSAGE_BYTES_MAX: Final = 64 << 20  # some 30,000 credit transfers; parsing needs ten times as much memory

_NAMESPACE: Final = re.compile(r"urn:iso:std:iso:20022:tech:xsd:([a-z]{4}\.\d{3}\.\d{3}\.\d{2})")
_DECLARATION: Final = re.compile(r"<!(DOCTYPE|ENTITY)")
_ENCODINGS: Final = ("UTF-8", "US-ASCII", "ASCII")


class MessageError(UsageError):
    """A message is not XML, or has a wrong, missing or repeated element.

    For programs: `file`, `line` (from 1; 0 for the file as a whole), `path` (names of elements from the document on),
    `problem` (with the value found), `hint` (a correct value) and `reason`, the code of ExternalStatusReason1Code for
    a status report. The message joins place, path and problem.
    """

    def __init__(
        self, file: str, line: int, path: str, problem: str, *, right: str, reason: str = forms.SYNTAX
    ) -> None:
        place = f"{file}:{line}" if line else file
        super().__init__(f"{place}: {path}: {problem}" if path else f"{place}: {problem}", hint=right)
        self.file = file
        self.line = line
        self.path = path
        self.problem = problem
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a message. Its readers raise MessageError."""

    _node: Any
    _file: str

    @property
    def path(self) -> str:
        """The names of the elements below the document, such as FICdtTrf/CdtTrfTxInf[2]/PmtId, or from a header on."""
        names = []
        for node in (self._node, *self._node.iterancestors()):
            name = local_name(node)
            if name == "Document":
                break
            if name == "AppHdr":
                names.append(name)
                break
            before = sum(1 for _ in node.itersiblings(node.tag, preceding=True))
            several = before or any(True for _ in node.itersiblings(node.tag))
            names.append(f"{name}[{before + 1}]" if several else name)
        return "/".join(reversed(names))

    @property
    def line(self) -> int:
        """The line of the element in its file, from 1."""
        return int(self._node.sourceline or 0)

    def error(self, problem: str, right: str, below: str = "", reason: str = forms.CONTENT) -> MessageError:
        """Return an error about this element, or about an element `below` it."""
        path = "/".join(each for each in (self.path, below) if each)
        return MessageError(self._file, self.line, path, problem, right=right, reason=reason)

    def all(self, name: str) -> list[Element]:
        """Return the children of this name, in order."""
        namespace = self._node.tag.partition("}")[0]
        return [Element(each, self._file) for each in self._node.findall(f"{namespace}}}{name}")]

    def find(self, path: str) -> Element | None:
        """Return the element at a path of names below this one, each at most once; None if there is none."""
        found: Element | None = self
        for name in path.split("/"):
            several = found.all(name) if found else []
            if len(several) > 1:
                raise several[1].error("occurs twice", f"one {name}")
            found = several[0] if several else None
        return found

    def need(self, path: str) -> Element:
        """Return the element at a path; a missing one is an error."""
        found = self.find(path)
        if found is None:
            right = "give it: the message is of no use without"
            raise self.error("is missing", right, below=path, reason=forms.MISSING)
        return found

    def value(self, pattern: re.Pattern[str], right: str) -> str:
        """Return the text of this element, without blanks around it, if all of it matches; `right` says what would."""
        text = (self._node.text or "").strip()
        if len(self._node):
            raise self.error(f"has the element {local_name(self._node[0])} where a text belongs", right)
        if not pattern.fullmatch(text):
            raise self.error(f"found {documents.found(text)}", right)
        return text

    def text(self, path: str, pattern: re.Pattern[str], right: str) -> str:
        """Return the text at a path, empty if there is no such element."""
        found = self.find(path)
        return found.value(pattern, right) if found else ""

    def attribute(self, name: str, pattern: re.Pattern[str], right: str) -> str:
        """Return an attribute, which must be there and match."""
        value = self._node.get(name, "")
        if not pattern.fullmatch(value):
            raise self.error(f"{name} is {documents.found(value)}" if value else f"has no {name}", right)
        return str(value)


def read(content: bytes, file: str) -> tuple[str, Element]:
    """Return the name of a message, such as pacs.008.001.08, and its document; `file` is the name for errors.

    Raise MessageError for content that is too long, not UTF-8, not XML, with a DTD, or without one document.
    """
    root = tree(content, file)
    found_documents = [root] if local_name(root) == "Document" else list(root.iter("{*}Document"))
    if len(found_documents) != 1:
        problem = f"has {len(found_documents) or 'no'} elements Document below {local_name(root)}"
        raise MessageError(file, 1, "", problem, right="one Document, alone or in one envelope")
    (document,) = found_documents
    return message_name(document, file), Element(document, file)


def tree(content: bytes, file: str) -> Any:
    """Return the root element of content, an `lxml` element without comments, instructions and entities.

    Raise MessageError for content that is too long, not UTF-8, not XML, or with a DTD.
    """
    if len(content) > MESSAGE_BYTES_MAX:
        problem = f"is longer than {MESSAGE_BYTES_MAX:,} bytes"
        raise MessageError(file, 0, "", problem, right="send its transactions in several messages")
    text = utf8(content, file)
    if found := _DECLARATION.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise MessageError(file, line, "", f"has a {found[0]}", right="leave it out: no message of ISO 20022 has a DTD")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(content.removeprefix(codecs.BOM_UTF8), parser)
    except etree.XMLSyntaxError as error:
        problem = f"is not XML: {error.msg or 'it has no element'}"
        raise MessageError(file, error.lineno or 0, "", problem, right="send well-formed XML") from error
    encoding = (root.getroottree().docinfo.encoding or "UTF-8").upper()
    if encoding not in _ENCODINGS:
        raise MessageError(file, 1, "", f"declares the encoding {encoding}", right='encoding="UTF-8"')
    return root


def message_name(node: Any, file: str) -> str:
    """Return the name of the message of a document or header, such as pacs.008.001.08, from its namespace."""
    namespace = etree.QName(node).namespace or ""
    match = _NAMESPACE.fullmatch(namespace)
    if match is None:
        problem = f"has the namespace {documents.found(namespace)}"
        right = "a namespace such as urn:iso:std:iso:20022:tech:xsd:pacs.008.001.08"
        raise MessageError(file, node.sourceline, local_name(node), problem, right=right)
    return match[1]


def utf8(content: bytes, file: str) -> str:
    """Return the text of content; raise MessageError for bytes that are not UTF-8."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = f"byte 0x{content[error.start]:02x} is not UTF-8"
        raise MessageError(file, line, "", problem, right="send the message as UTF-8") from error


def local_name(node: Any) -> str:
    """Return the name of an element without its namespace."""
    return str(etree.QName(node).localname)
