"""Why a message is wrong: the first element that breaks its layout, with a reason and the correct form.

A schema only decides that a message is wrong. This module finds the same mistakes in Python, in the order of the
message, so that errors are the same everywhere and have a reason code.
"""

from __future__ import annotations

from typing import Any, Final

from sycee.core import documents, typos
from sycee.core.extras import extra
from sycee.iso20022 import forms
from sycee.iso20022.elements import Part
from sycee.iso20022.forms import Form
from sycee.iso20022.reading import Element, MessageError, local_name

with extra("compliance"):
    from lxml import etree

_BLANKS: Final = " \n\r\t"  # of XML; Python knows more
_INSTANCE: Final = "http://www.w3.org/2001/XMLSchema-instance"
_HINTS: Final = (f"{{{_INSTANCE}}}schemaLocation", f"{{{_INSTANCE}}}noNamespaceSchemaLocation")
_WITH_INSTANCE: Final = etree.XPath(f"//*[@*[namespace-uri() = '{_INSTANCE}']]")


def instance_problem(root: Any, file: str) -> MessageError | None:
    """Return an error about an attribute by which a message names a type for itself; None if there is none."""
    for node in _WITH_INSTANCE(root):
        if strange := _attribute(node, Element(node, file), _plain_attributes(node)):
            return strange
    return None


def _plain_attributes(node: Any) -> tuple[str, ...]:
    return tuple(name for name in node.attrib if not name.startswith(f"{{{_INSTANCE}}}"))


def first_problem(node: Any, layout: Part, file: str) -> MessageError | None:
    """Return an error about the first part of `node` that breaks its layout; None if there is none."""
    namespace = node.tag.rpartition("}")[0]
    return _inside(node, layout, file, namespace)


def stray_content(node: Any, file: str) -> MessageError | None:
    """Return an error about an attribute, or a text between the elements, of a node that has elements only."""
    return _attribute(node, Element(node, file), ()) or text_problem(node, file)


def text_problem(node: Any, file: str) -> MessageError | None:
    """Return an error about a text between the elements of a node."""
    for each in (node, *node):
        text = each.text if each is node else each.tail
        if text and text.strip(_BLANKS):
            shown = documents.found(text.strip(_BLANKS))
            return Element(node, file).error(f"has the text {shown} between its elements", "elements only")
    return None


def _inside(node: Any, layout: Part, file: str, namespace: str) -> MessageError | None:
    if wrong := stray_content(node, file):
        return wrong
    names = [local_name(each) if each.tag.rpartition("}")[0] == namespace else "" for each in node]
    of = layout.body
    found = _choice(node, names, of, file) if of.is_choice else _sequence(node, names, of, file)
    # What is wrong inside of an element before the first wrong place is nearer to the beginning.
    for child, name in zip(node, names, strict=True):
        if found and found[0] is child:
            break
        part = of.parts.get(name)
        if part is None:
            continue
        wrong = _leaf(child, part.form, file) if part.form else _inside(child, part, file, namespace)
        if wrong:
            return wrong
    return found[1] if found else None


def _sequence(node: Any, names: list[str], of: Part, file: str) -> tuple[Any, MessageError] | None:
    """Return the first child that does not fit a sequence, or None for the end, with its error."""
    at = 0
    for part in of.parts.values():
        count = 0
        while at < len(names) and names[at] == part.name and (part.most is None or count < part.most):
            at, count = at + 1, count + 1
        if count >= part.least:
            continue
        if at < len(names) and (names[at] not in of.parts or _is_too_often(names, at, of) or part.name in names[at:]):
            break
        return node[at] if at < len(names) else None, _missing(node, part, file)
    if at == len(names):
        return None
    place, name = node[at], names[at]
    if name not in of.parts:
        return place, _unknown(place, list(of.parts), file)
    if _is_too_often(names, at, of):
        most = of.parts[name].most
        right = f"{name} {'once' if most == 1 else f'at most {most} times'}"
        return place, Element(place, file).error("occurs too often", right, reason=forms.NOT_ADMITTED)
    right = "the order " + ", ".join(of.parts)
    return place, Element(place, file).error("is at the wrong place", right)


def _is_too_often(names: list[str], at: int, of: Part) -> bool:
    most = of.parts[names[at]].most
    return most is not None and names[: at + 1].count(names[at]) > most


def _choice(node: Any, names: list[str], of: Part, file: str) -> tuple[Any, MessageError] | None:
    known = list(of.parts)
    if not names:
        right = "one of " + ", ".join(known)
        return None, Element(node, file).error("is empty", right, reason=forms.MISSING)
    if names[0] not in known:
        return node[0], _unknown(node[0], known, file)
    if len(names) > 1:
        right = "only one of " + ", ".join(known)
        return node[1], Element(node[1], file).error("is a second alternative", right, reason=forms.NOT_ADMITTED)
    return None


def _unknown(node: Any, known: list[str], file: str) -> MessageError:
    name = local_name(node)
    if name in known:
        right = f"the namespace of the message: xmlns={documents.found(node.getparent().tag[1:].partition('}')[0])}"
        return Element(node, file).error("is of another namespace", right, reason=forms.NOT_ADMITTED)
    right = typos.hint(name, known, "leave it out; used here: " + ", ".join(known))
    return Element(node, file).error("is not used here", right, reason=forms.NOT_ADMITTED)


def _missing(node: Any, part: Part, file: str) -> MessageError:
    right = f"give {part.name}"
    if part.form:
        right += f": {part.form.right}"
    return Element(node, file).error("is missing", right, below=part.name, reason=forms.MISSING)


def _leaf(node: Any, form: Form, file: str) -> MessageError | None:
    at = Element(node, file)
    allowed = ("Ccy",) if form.is_amount else ()
    if strange := _attribute(node, at, allowed):
        return strange
    if len(node):
        return at.error(f"has the element {local_name(node[0])} where a text belongs", form.right)
    text = form.value(node.text or "")
    if wrong := form.problem(text):
        reason, problem = wrong
        shown = documents.found(text)
        return at.error(f"{shown} {problem}" if problem and text else problem or f"found {shown}", form.right,
                        reason=reason)  # fmt: skip
    if form.is_amount:
        currency = node.get("Ccy")
        right = forms.CURRENCY_CODE.right
        if currency is None:
            return at.error("has no Ccy", right, reason=forms.CURRENCY)
        if forms.CURRENCY_CODE.problem(currency):
            return at.error(f"Ccy is {documents.found(currency)}", right, reason=forms.CURRENCY)
    return None


def _attribute(node: Any, at: Element, allowed: tuple[str, ...]) -> MessageError | None:
    """Return an error about the first attribute that is not allowed. xsi:schemaLocation is ignored."""
    for name in node.attrib:
        if name not in allowed and name not in _HINTS:
            right = "leave it out"
            return at.error(f"has the attribute {name.rpartition('}')[2]}", right, reason=forms.NOT_ADMITTED)
    return None
