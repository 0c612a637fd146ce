"""Data classes read from tables by their annotations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated

import pytest

from sycee.compliance import document_fields
from sycee.compliance.document_fields import Name, end_of, number, one_of, some_of
from sycee.compliance.verdicts import Force
from sycee.core import documents
from sycee.core.documents import DocumentError

pytestmark = pytest.mark.fast


@dataclass(frozen=True, slots=True)
class Thing:
    """A data class with a key of each type."""

    id: Name
    size: Annotated[int, number(1, 9)]
    colour: Annotated[str, one_of(("red", "blue"), "red")]
    force: Force | None
    parts: Annotated[tuple[str, ...], some_of(("wheel", "door"))]
    names: tuple[str, ...]
    from_date: date
    until_date: Annotated[date | None, end_of("from_date")]
    owner: frozenset[str]
    weight: Annotated[int, number(required=True)] = 0
    new: bool = True
    place: str = ""


LEAST = 'id = "thing"\nsize = 1\nfrom = 2026-01-01\nweight = 5\n'
MORE = (
    'colour = "blue"\nforce = "advised"\nparts = ["door", "own/part"]\nnames = ["a"]\nuntil = 2027-01-01\nnew = false\n'
)


def read(text: str) -> Thing:
    table = documents.parse(text, "thing.toml")
    found = document_fields.read(Thing, table, owner=frozenset({"ann"}))
    table.finish()
    return found


def test_optional_keys_have_defaults() -> None:
    owner, day = frozenset({"ann"}), date(2026, 1, 1)
    assert read(LEAST) == Thing("thing", 1, "red", None, (), (), day, None, owner, 5, True, "thing.toml:1")


def test_every_key_is_read() -> None:
    found = read(LEAST + MORE)
    assert (found.colour, found.force, found.parts, found.names) == (
        "blue",
        Force.ADVISED,
        ("door", "own/part"),
        ("a",),
    )
    assert (found.until_date, found.new) == (date(2027, 1, 1), False)


def test_with_only_other_keys_are_not_read() -> None:
    table = documents.parse(LEAST, "thing.toml")
    given = {
        "id": "x",
        "size": 2,
        "colour": "red",
        "force": None,
        "parts": (),
        "names": (),
        "from_date": date(2026, 1, 1),
    }
    found = document_fields.read(Thing, table, only=("new",), **given, until_date=None, owner=frozenset())
    assert (found.weight, found.new) == (0, True)
    with pytest.raises(DocumentError, match="unknown key"):
        table.finish()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("weight = 5", "", "weight: missing in the document"),
        ('id = "thing"', 'id = "A thing"', 'id: found "A thing"'),
        ("size = 1", "size = 10", "size: found 10"),
        ('"blue"', '"bleu"', 'colour: found "bleu"'),
        ('"advised"', '"advisd"', 'force: found "advisd"'),
        ('"door"', '"dor"', 'parts: found "dor"'),
        ('["a"]', "[]", "names: found []"),
        ("2027-01-01", "2026-01-01", "until: found 2026-01-01"),
        ("until", "untill", "untill: unknown key"),
    ],
)
def test_invalid_values_are_errors(old: str, new: str, says: str) -> None:
    with pytest.raises(DocumentError) as raised:
        read((LEAST + MORE).replace(old, new))
    assert says in raised.value.message
    assert raised.value.hint
