"""The page of the Python API, and `help`, show every public method of the classes that programs use."""

from __future__ import annotations

import inspect
import pydoc

import pytest

from sycee.sequencer.embedded import AsyncLedger, Chain, Ledger
from sycee.sequencer.ledger_operations import LedgerOperations
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
        for each in (MoneyOperations, LedgerOperations, cls)
        if issubclass(cls, each)
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


def test_the_classes_have_few_bases() -> None:
    """Methods are on the class itself, or on the base that all three share, or on the base of both ledgers."""
    for cls in CLASSES:
        homes = {base for base in cls.__mro__ for name in public_names(cls) if name in vars(base)}
        assert homes <= {cls, LedgerOperations, MoneyOperations}


def test_both_ledgers_have_the_same_methods_and_arguments() -> None:
    """Each difference is named here: what opens and closes the folder, and what only an event loop needs."""
    only_ledger = {"open", "close", "asynchronous"}
    only_async = {"aclose", "submit_nowait", "submit_signed", "submit_signed_nowait", "frame_time_ns"}
    shared = set(public_names(Ledger)) - only_ledger
    assert shared == set(public_names(AsyncLedger)) - only_async
    for name in sorted(shared):
        one, other = (inspect.getattr_static(cls, name) for cls in (Ledger, AsyncLedger))
        assert isinstance(one, property) is isinstance(other, property), name
        if not isinstance(one, property):
            assert _arguments(one) == _arguments(other), name


def _arguments(method: object) -> list[tuple[str, object, object, object]]:
    assert callable(method)
    # `submit` of an AsyncLedger takes bytes as well.
    return [
        (each.name, each.kind, each.default, str(each.annotation).replace("Array | bytes", "Array"))
        for each in inspect.signature(method).parameters.values()
    ]
