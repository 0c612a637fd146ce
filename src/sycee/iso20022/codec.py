"""Values from elements, and text from values, by the layout of their class."""

from __future__ import annotations

from datetime import date
from typing import Any, Final
from xml.sax.saxutils import escape

from sycee.core import documents
from sycee.core.errors import UsageError
from sycee.iso20022 import forms
from sycee.iso20022.amounts import AmountError, amount_text, minor_units
from sycee.iso20022.elements import Amount, Part, layout
from sycee.iso20022.reading import Element

_ZERO_RIGHT: Final = "an amount above zero"


def value_of(node: Any, of: type, file: str) -> Any:
    """Return the value of an element, which the schema has accepted, as class `of`.

    Raise MessageError for an amount that does not fit its currency, wrong check digits, and days that do not exist.
    """
    return _value(node, of, file, len(node.tag.rpartition("}")[0]) + 1)


def text_of(value: Any) -> str:
    """Return the elements of a value as text, without the element around them."""
    of: type = type(value)
    out: list[str] = []
    _write(layout(of), value, out)
    return "".join(out)


def _value(node: Any, of: type, file: str, prefix: int) -> Any:
    values: dict[str, Any] = {}
    late: list[tuple[Any, Part]] = []
    _collect(node, layout(of), values, late, file, prefix)
    made = of(**{name: tuple(each) if isinstance(each, list) else each for name, each in values.items()})
    for child, part in late:
        assert part.expected and part.form
        right, found = part.expected(made), part.form.value(child.text)
        if right and not _is_same(found, right):
            problem = f"{found} is not {right}, which follows from the other elements"
            raise Element(child, file).error(problem, f"{part.name} {right}, if nothing was lost",
                                             reason=part.form.reason)  # fmt: skip
    return made


def _collect(node: Any, of: Part, values: dict[str, Any], late: list[tuple[Any, Part]], file: str, prefix: int) -> None:
    for child in node:
        part = of.parts[child.tag[prefix:]]
        if part.expected is not None:
            late.append((child, part))
        elif not part.field:
            _collect(child, part, values, late, file, prefix)
        else:
            value = _value(child, part.of, file, prefix) if part.of else _leaf(child, part, file)
            if part.is_many:
                values.setdefault(part.field, []).append(value)
            else:
                values[part.field] = value


def _leaf(node: Any, part: Part, file: str) -> Any:
    form = part.form
    assert form
    text = form.value(node.text or "")
    if form.is_amount:
        currency = node.get("Ccy")
        try:
            minor = minor_units(currency, text)
        except AmountError as error:
            raise Element(node, file).error(error.message, error.hint or "", reason=error.reason) from error
        if not minor and not form.may_be_zero:
            raise Element(node, file).error(f"{text} is zero", _ZERO_RIGHT, reason=forms.ZERO)
        return Amount(currency, minor)
    if form.check and (problem := form.check(text)):
        raise Element(node, file).error(f"{documents.found(text)} {problem}", form.right, reason=form.reason)
    if form is forms.DAY:
        return date.fromisoformat(text)
    return text == "true" if form is forms.FLAG else text


def _is_same(text: str, right: str) -> bool:
    """Compare two numbers as text: zeros at the end of decimals have no meaning."""
    return _plain(text) == _plain(right)


def _plain(text: str) -> str:
    whole, _, part = text.partition(".")
    return f"{whole.lstrip('0') or '0'}.{part.rstrip('0')}"


def _write(of: Part, value: Any, out: list[str]) -> bool:
    """Add the elements of a value; return false if it gave none but empty parents, which may be omitted."""
    has_content = False
    for part in of.parts.values():
        if not part.field:
            begin = len(out)
            out.append(f"<{part.name}>")
            if _write(part, value, out):
                has_content = True
            elif part.least == 0 or of.is_choice:
                del out[begin:]
                continue
            out.append(f"</{part.name}>")
            continue
        if part.expected is not None:
            if part.least:
                out.append(f"<{part.name}>{part.expected(value)}</{part.name}>")
                has_content = True
            continue
        found = getattr(value, part.field)
        for each in found if part.is_many else (found,):
            if each is not None and each != "":
                _write_one(part, each, out)
                has_content = True
    return has_content


def _write_one(part: Part, value: Any, out: list[str]) -> None:
    name = part.name
    if part.of:
        out.append(f"<{name}>")
        _write(layout(part.of), value, out)
        out.append(f"</{name}>")
    elif isinstance(value, Amount):
        if value.minor < 0:
            raise UsageError(f"{name}: {value.minor} is below zero", hint="an amount of a message has no sign")
        out.append(f'<{name} Ccy="{escape(value.currency)}">{amount_text(value)}</{name}>')
    elif isinstance(value, date):
        out.append(f"<{name}>{value.isoformat()}</{name}>")
    elif isinstance(value, bool):
        out.append(f"<{name}>{'true' if value else 'false'}</{name}>")
    else:
        out.append(f"<{name}>{escape(value)}</{name}>")
