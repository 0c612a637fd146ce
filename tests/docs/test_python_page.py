"""The page of the Python API, and `help`, show every public method of the classes that programs use."""

from __future__ import annotations

import inspect
import pydoc

import pytest

from sycee.sequencer.embedded import AsyncLedger, Chain, Ledger
from sycee.sequencer.money_operations import MoneyOperations
from tools import pages

PAGE = pages.REFERENCE / "python.md"
CLASSES: tuple[type, ...] = (Ledger, AsyncLedger, Chain)


def public_names(cls: type) -> list[str]:
    return [name for name, _ in inspect.getmembers(cls) if not name.startswith("_")]


@pytest.mark.parametrize("cls", CLASSES)
def test_every_public_name_is_on_the_page(cls: type) -> None:
    text = PAGE.read_text(encoding="utf-8")
    tables = "".join(
        text.partition(f"<!-- {each.__name__}: begin")[2].partition(f"<!-- {each.__name__}: end")[0]
        for each in (MoneyOperations, cls)
    )
    assert [name for name in public_names(cls) if f"| `{name}(" not in tables and f"| `{name}`" not in tables] == []


@pytest.mark.parametrize("cls", CLASSES)
def test_help_shows_every_public_name_with_its_docstring(cls: type) -> None:
    text = " ".join(pydoc.plaintext.document(cls).replace("|", " ").split())
    for name in public_names(cls):
        documentation = inspect.getdoc(inspect.getattr_static(cls, name))
        assert documentation, name
        assert name in text
        assert " ".join(documentation.splitlines()[0].split()) in text


def test_the_classes_have_one_base() -> None:
    """Methods are on the class itself, or on the one base that all three share."""
    for cls in CLASSES:
        homes = {base for base in cls.__mro__ for name in public_names(cls) if name in vars(base)}
        assert homes <= {cls, MoneyOperations}
