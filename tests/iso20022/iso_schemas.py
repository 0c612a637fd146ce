"""The schemas of ISO 20022 for tests: files that packages ship, and schemas made of the classes of pyiso20022."""

from __future__ import annotations

import dataclasses
import importlib
import re
import typing
from decimal import Decimal
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from lxml import etree

PREFIX = "urn:iso:std:iso:20022:tech:xsd:"
# The file of each message in a package; {name} is the message.
FILES = {
    "pain.001.001.09": ("pain001", "templates/{name}/{name}.xsd"),
    "pacs.008.001.08": ("pacs008", "templates/{name}/{name}.xsd"),
    "camt.052.001.08": ("camt053", "xsd/{name}.xsd"),
    "camt.053.001.08": ("camt053", "xsd/{name}.xsd"),
    "camt.054.001.08": ("camt053", "xsd/{name}.xsd"),
    "head.001.001.02": ("openpurse", "schemas/{name}.xsd"),
}
# Later versions, which only add to the elements that we use. The files of pacs.002, .004, .009 and .028 in pacs008 are
# no schemas of ISO but reductions of some 5 kB, which for example demand TxId: they are not compared.
LATER_FILES = {
    "camt.029.001.09": ("camt_exceptions", "camt.029.001.14"),
    "camt.056.001.08": ("camt_exceptions", "camt.056.001.12"),
}
BASES = {Decimal: "decimal", bool: "boolean", str: "string", bytes: "base64Binary"}
TYPES = {"XmlDate": "date", "XmlDateTime": "dateTime", "XmlTime": "time", "XmlPeriod": "gYear"}
FACETS = {
    "min_length": "minLength",
    "max_length": "maxLength",
    "total_digits": "totalDigits",
    "fraction_digits": "fractionDigits",
    "min_inclusive": "minInclusive",
    "pattern": "pattern",
}


def shipped(package: str, file: str) -> Any:
    """Return the compiled schema of a file of a package, which is not imported."""
    spec = find_spec(package)
    assert spec, f"{package} is not installed: requirements/schemas.txt has it"
    assert spec.submodule_search_locations
    return etree.XMLSchema(etree.parse(Path(spec.submodule_search_locations[0]) / file))


def of_classes(name: str) -> Any:
    """Return the compiled schema of a message, made of the classes of pyiso20022 and their facets."""
    module = importlib.import_module(f"pyiso20022.{name[:4]}.{name.replace('.', '_')}")
    root = module.Document if hasattr(module, "Document") else module.AppHdr
    is_header = not hasattr(module, "Document")
    classes: list[type] = [root]
    for each in classes:
        classes += dict.fromkeys(of for of in _classes_of(each) if of not in classes)
    lines = [
        f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="{PREFIX}{name}"',
        f' targetNamespace="{PREFIX}{name}" elementFormDefault="qualified">',
        f'<xs:element name="{"AppHdr" if is_header else "Document"}" type="{root.__name__}"/>',
    ]
    for each in classes:
        lines += _enumeration(each) if issubclass(each, Enum) else _complex(each)
    return etree.XMLSchema(etree.fromstring("\n".join([*lines, "</xs:schema>"]).encode()))


def _kinds(hint: Any) -> tuple[list[Any], bool]:
    """Return the types that a hint names, and whether it is a list."""
    if typing.get_origin(hint) is None:
        return [hint], False
    is_list = typing.get_origin(hint) is list
    found = [_kinds(each) for each in typing.get_args(hint)]
    return [kind for kinds, _ in found for kind in kinds if kind is not type(None)], is_list or any(
        many for _, many in found
    )


def _classes_of(of: type) -> list[type]:
    if issubclass(of, Enum):
        return []
    kinds = [_kinds(hint)[0][0] for hint in typing.get_type_hints(of).values()]
    return [
        each for each in kinds if dataclasses.is_dataclass(each) or (isinstance(each, type) and issubclass(each, Enum))
    ]


def _enumeration(of: type[Enum]) -> list[str]:
    values = [f"<xs:enumeration value={quoteattr(str(each.value))}/>" for each in of]
    return [f'<xs:simpleType name="{of.__name__}"><xs:restriction base="xs:string">', *values,
            "</xs:restriction></xs:simpleType>"]  # fmt: skip


def _simple(kind: type, metadata: typing.Mapping[str, Any]) -> str:
    base = TYPES.get(kind.__name__) or BASES[kind]
    facets = [f"<xs:{FACETS[key]} value={quoteattr(str(value))}/>" for key, value in metadata.items() if key in FACETS]
    return f'<xs:simpleType><xs:restriction base="xs:{base}">{"".join(facets)}</xs:restriction></xs:simpleType>'


def _complex(of: type) -> list[str]:
    hints = typing.get_type_hints(of)
    fields = [each for each in dataclasses.fields(of) if each.metadata.get("type") != "Wildcard"]
    attributes = [each for each in fields if each.metadata.get("type") == "Attribute"]
    if attributes:
        value = next(each for each in fields if each not in attributes)
        name = f"{of.__name__}_value"
        simple = _simple(_kinds(hints[value.name])[0][0], value.metadata)
        (attribute,) = attributes
        return [
            simple.replace("<xs:simpleType>", f'<xs:simpleType name="{name}">'),
            f'<xs:complexType name="{of.__name__}"><xs:simpleContent><xs:extension base="{name}">',
            f'<xs:attribute name="{attribute.metadata["name"]}" use="required">{_simple(str, attribute.metadata)}',
            "</xs:attribute></xs:extension></xs:simpleContent></xs:complexType>",
        ]
    is_choice = re.search("Choice[0-9]*$", of.__name__) is not None
    model = "choice" if is_choice else "sequence"
    lines = [f'<xs:complexType name="{of.__name__}"><xs:{model}>']
    for each in fields:
        (kind, *_), is_list = _kinds(hints[each.name])
        metadata = each.metadata
        least = metadata.get("min_occurs", 0) if is_list else int(bool(metadata.get("required")) or is_choice)
        most = metadata.get("max_occurs", "unbounded") if is_list else 1
        opening = f'<xs:element name="{metadata["name"]}" minOccurs="{least}" maxOccurs="{most}"'
        if dataclasses.is_dataclass(kind) or issubclass(kind, Enum):
            lines.append(f'{opening} type="{kind.__name__}"/>')
        else:
            lines.append(f"{opening}>{_simple(kind, metadata)}</xs:element>")
    return [*lines, f"</xs:{model}></xs:complexType>"]
