"""What our schemas accept and our writers write, ISO's schemas accept too; and every value survives its message."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import pytest
from lxml import etree
from tests.iso20022 import iso_schemas, mutants, samples

from sycee.core.errors import UsageError
from sycee.iso20022.business_header import Header
from sycee.iso20022.credit_transfers import parse
from sycee.iso20022.messages import HEADERS, KINDS, Message, read, schema_text, write
from sycee.iso20022.reading import MessageError, tree
from sycee.iso20022.schemas import NAMESPACE

BANKS = "pacs.009.001.08"
SHARES = [0.0, 1.0, 0.5, 0.3]
ROUNDS = 50  # of the soak test


@cache
def schemas(name: str) -> list[Any]:
    """Return ISO's schemas of a message, from all sources that have it."""
    found = [iso_schemas.of_classes(name)]
    if name in iso_schemas.FILES:
        package, file = iso_schemas.FILES[name]
        found.append(iso_schemas.shipped(package, file.format(name=name)))
    return found


def valid(schema: Any, node: Any) -> None:
    schema.validate(node)
    assert [each.message for each in schema.error_log] == []


@pytest.mark.parametrize("name", KINDS)
def test_iso_accepts_what_is_written_and_the_value_comes_back(name: str) -> None:
    compare(name, SHARES)


@pytest.mark.soak
@pytest.mark.parametrize("name", KINDS)
def test_iso_accepts_many_messages(name: str) -> None:
    compare(name, SHARES * ROUNDS)


def compare(name: str, shares: list[float]) -> None:
    for seed, share in enumerate(shares):
        value = samples.value(KINDS[name].of, seed, share)
        content = write(Message(name, value))
        assert read(content) == Message(name, value)
        document = etree.fromstring(content)
        for schema in schemas(name):
            valid(schema, document)


@pytest.mark.parametrize("name", KINDS)
def test_iso_accepts_every_changed_message_that_is_accepted(name: str) -> None:
    changed_messages(name, range(12))


@pytest.mark.soak
@pytest.mark.parametrize("name", KINDS)
def test_iso_accepts_every_one_of_many_changed_messages(name: str) -> None:
    changed_messages(name, range(1_000))


def changed_messages(name: str, seeds: range) -> None:
    for seed in seeds:
        chance = random.Random(seed)
        text = write(Message(name, samples.value(KINDS[name].of, seed, (0.0, 0.1, 0.3)[seed % 3])))
        for _ in range(20):
            try:
                mutant = (mutants.bytes_changed if chance.random() < 0.5 else mutants.element_changed)(text, chance)
                read(mutant)
            except MessageError:
                continue
            for schema in schemas(name):
                valid(schema, tree(mutant, "m"))


@pytest.mark.parametrize("name", sorted(iso_schemas.LATER_FILES))
def test_a_later_version_accepts_the_same_elements(name: str) -> None:
    package, later = iso_schemas.LATER_FILES[name]
    schema = iso_schemas.shipped(package, f"templates/{later}/{later}.xsd")
    for seed, share in enumerate(SHARES):
        content = write(Message(name, samples.value(KINDS[name].of, seed, share)))
        valid(schema, etree.fromstring(content.replace(name.encode(), later.encode())))


@pytest.mark.soak
@pytest.mark.parametrize(("name", "last"), [("pacs.008.001.08", 12), ("pacs.009.001.08", 12)])
def test_credit_transfers_have_the_same_elements_in_later_versions(name: str, last: int) -> None:
    # Compliance reads these versions; pacs.008.001.13 moved AccptncDtTm, which compliance does not read.
    for version in range(8, last + 1):
        later = f"{name[:-2]}{version:02}"
        for seed, share in enumerate(SHARES):
            content = write(Message(name, samples.value(KINDS[name].of, seed, share)))
            content = content.replace(name.encode(), later.encode())
            valid(iso_schemas.of_classes(later), etree.fromstring(content))
            assert parse(content).name == later


@pytest.mark.parametrize("name", HEADERS)
def test_iso_accepts_headers(name: str) -> None:
    kind = "admi.007.001.01"
    answer = samples.value(KINDS[kind].of, 1, 0)
    for seed, share in enumerate(SHARES):
        made = samples.value(Header, seed, share)
        header = Header(**{each: getattr(made, each) for each in made.__slots__} | {"message": kind})
        content = write(Message(kind, answer, header)).replace(HEADERS[0].encode(), name.encode())
        assert read(content).header == header
        node = etree.fromstring(content)[0]
        assert node.tag == f"{{{NAMESPACE}{name}}}AppHdr"
        for schema in schemas(name):
            valid(schema, etree.fromstring(etree.tostring(node)))


@pytest.mark.parametrize("name", [*HEADERS, BANKS])
def test_a_schema_can_be_given_to_others(name: str) -> None:
    text = schema_text(name)
    etree.XMLSchema(etree.fromstring(text.encode()))
    assert f'targetNamespace="{NAMESPACE}{name}"' in text
    with pytest.raises(UsageError, match=r"no schema of pacs\.009\.001\.07") as caught:
        schema_text("pacs.009.001.07")
    assert BANKS in str(caught.value.hint)
