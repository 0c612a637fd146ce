"""Schemas of messages: the text of an XML Schema for a layout, and the compiled schema.

A schema contains the elements that this package uses, and no others: what it accepts, the schema of ISO 20022 of the
same name accepts too.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Final
from xml.sax.saxutils import quoteattr

from sycee.core.extras import extra
from sycee.iso20022.elements import Part, layout
from sycee.iso20022.forms import Form

with extra("compliance"):
    from lxml import etree

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:"


def schema_text(name: str, root: str, of: type) -> str:
    """Return the schema of message `name`, whose `root` element has the layout of class `of`."""
    forms: dict[str, Form] = {}
    classes: dict[type, None] = {}
    body = list(_content(layout(of), forms, classes, 2))
    types = [*_classes(forms, classes), *(line for each in forms.values() for line in _form(each))]
    target = quoteattr(NAMESPACE + name)
    head = f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns={target} targetNamespace={target}'
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'{head} elementFormDefault="qualified">',
        f'  <xs:element name="{root}"><xs:complexType>',
        *body,
        "  </xs:complexType></xs:element>",
        *types,
        "</xs:schema>",
    ]
    return "\n".join(lines) + "\n"


@cache
def compiled(name: str, root: str, of: type) -> Any:
    """Return the compiled schema of a message, an `lxml.etree.XMLSchema`."""
    return etree.XMLSchema(etree.fromstring(schema_text(name, root, of).encode()))


def _classes(forms: dict[str, Form], classes: dict[type, None]) -> Iterator[str]:
    """Yield the types of all value classes; a class may name others, which are added on the way."""
    done: set[type] = set()
    while waiting := [each for each in classes if each not in done]:
        for each in waiting:
            done.add(each)
            yield f'  <xs:complexType name="{each.__name__}">'
            yield from _content(layout(each), forms, classes, 2)
            yield "  </xs:complexType>"


def _content(of: Part, forms: dict[str, Form], classes: dict[type, None], depth: int) -> Iterator[str]:
    margin = "  " * depth
    model = "choice" if of.is_choice else "sequence"
    yield f"{margin}<xs:{model}>"
    for part in of.parts.values():
        least = "" if part.least == 1 else f' minOccurs="{part.least}"'
        most = "" if part.most == 1 else f' maxOccurs="{part.most or "unbounded"}"'
        opening = f'{margin}  <xs:element name="{part.name}"'
        if part.form:
            forms[part.form.name] = part.form
            yield f'{opening} type="{part.form.name}Text"{least}{most}/>'
        elif part.of:
            classes[part.of] = None
            yield f'{opening} type="{part.of.__name__}"{least}{most}/>'
        else:
            yield f"{opening}{least}{most}><xs:complexType>"
            yield from _content(part, forms, classes, depth + 2)
            yield f"{margin}  </xs:complexType></xs:element>"
    yield f"{margin}</xs:{model}>"


def _form(form: Form) -> Iterator[str]:
    name = f"{form.name}Number" if form.is_amount else f"{form.name}Text"
    yield f'  <xs:simpleType name="{name}"><xs:restriction base="xs:{form.base}">'
    if form.base == "decimal":
        yield '    <xs:totalDigits value="18"/>'
    if form.length:
        yield f'    <xs:maxLength value="{form.length}"/>'
    if form.codes and form.base == "string":
        yield from (f"    <xs:enumeration value={quoteattr(each)}/>" for each in form.codes)
    else:
        yield f"    <xs:pattern value={quoteattr(form.pattern or '|'.join(form.codes))}/>"
    yield "  </xs:restriction></xs:simpleType>"
    if form.is_amount:
        yield f'  <xs:complexType name="{form.name}Text"><xs:simpleContent><xs:extension base="{name}">'
        yield '    <xs:attribute name="Ccy" type="CurrencyCode" use="required"/>'
        yield "  </xs:extension></xs:simpleContent></xs:complexType>"
        yield '  <xs:simpleType name="CurrencyCode"><xs:restriction base="xs:string">'
        yield '    <xs:pattern value="[A-Z]{3}"/>'
        yield "  </xs:restriction></xs:simpleType>"
