"""Variants of a programme: a TOML file of dotted keys whose values replace those of a base.

    rules.payment_min = "40.00"
    packets.small.amount = "25.00"
    budget.amount = "25000.00"

The result is checked as a whole, as a programme file is. It has no published results, which are those of the base.
Nothing here reads a clock or writes a file.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from sycee import data
from sycee.core import documents
from sycee.core.documents import DocumentError, Table
from sycee.programmes import definition
from sycee.programmes.definition import Programme


@dataclass(frozen=True, slots=True)
class Variant:
    """A programme with changes. `name`: of the variant's file; `keys`: the dotted keys that the file changes."""

    name: str
    keys: tuple[str, ...]
    programme: Programme


def load(base: Path | str, variant: Path) -> Variant:
    """Return the variant in a file over a base, which is a programme file or a shipped pilot.

    Raises DocumentError for an unknown key, with the nearest one, and for values that do not fit together.
    """
    return over(base, documents.content(variant), str(variant))


def over(base: Path | str, content: bytes | str, file: str, *, only: Container[str] | None = None) -> Variant:
    """Return the variant in a TOML text; `file` is the name for errors. `only`: the keys to use, all without it.

    With `only`, an effect can be attributed key by key. Errors as `load`.
    """
    changes = documents.parse(content, file)
    keys = tuple(each for each in documents.leaves(changes) if only is None or each in only)
    return Variant(Path(file).stem, keys, _define(base, changes, keys))


def _define(base: Path | str, changes: Table, keys: tuple[str, ...]) -> Programme:
    if not keys:
        return definition.load(base)
    table = documents.overlaid(
        data.document("pilots", base, "programme"), changes, only=frozenset(keys), without=("published",)
    )
    try:
        return definition.define(table)
    except DocumentError as error:
        if error.file != changes.file:  # a value of the base that does not fit to a changed one
            error.hint = f"{error.hint}; {changes.file} changes {', '.join(keys)}"
        raise
