"""Variants of a programme: a TOML file of dotted keys whose values replace those of a base.

    rules.payment_min = "40.00"
    packets.small.amount = "25.00"
    budget.amount = "25000.00"

A grid is a TOML file of axes: a table for each axis, and in it a table of dotted keys for each of its values. Every
combination of values is a variant.

The result is checked as a whole, as a programme file is. It has no published results, which are those of the base.
Nothing here reads a clock or writes a file.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from pathlib import Path
from typing import Final

from sycee import data
from sycee.core import documents, money
from sycee.core.documents import DocumentError, Table
from sycee.programmes import definition
from sycee.programmes.definition import Programme
from sycee.programmes.published_results import Published

COMBINATIONS_MAX: Final = 64
_BUDGET: Final = "budget.amount"


@dataclass(frozen=True, slots=True)
class Variant:
    """A programme with changes.

    `name`: of the variant's file; `keys`: the dotted keys that the file changes; `values`: of a grid's combination, the
    value of each axis by name.
    """

    name: str
    keys: tuple[str, ...]
    programme: Programme
    values: tuple[tuple[str, str], ...] = ()


def load(base: Path | str, variant: Path) -> Variant:
    """Return the variant in a file over a base, which is a programme file or a shipped pilot.

    Raises DocumentError for an unknown key, with the nearest one, and for values that do not fit together.
    """
    return over(base, documents.content(variant), str(variant))


def check(base: Path | str, variant: Path) -> None:
    """Raise DocumentError for a variant that changes nothing, and as `load`."""
    content = documents.content(variant)
    changes = documents.parse(content, str(variant))
    found = over(base, content, str(variant))
    if not found.keys:
        right = 'a key and its value, such as rules.payment_min = "40.00"'
        raise changes.error(None, "the variant has no key", right=right)
    if replace(found.programme, published=Published()) == replace(definition.load(base), published=Published()):
        right = "change a value, or leave the file out, because the base is always compared"
        raise changes.error(None, f"no value differs from the base: {', '.join(found.keys)}", right=right)


def over(base: Path | str, content: bytes | str, file: str, *, only: Container[str] | None = None) -> Variant:
    """Return the variant in a TOML text; `file` is the name for errors. `only`: the keys to use, all without it.

    With `only`, an effect can be attributed key by key. Errors as `load`.
    """
    changes = documents.parse(content, file)
    keys = tuple(each for each in documents.leaves(changes) if only is None or each in only)
    return Variant(Path(file).stem, keys, _define(base, changes, keys))


def steps(base: Path | str, content: bytes | str, file: str) -> tuple[Variant, ...]:
    """Return a variant key by key, in the order of its file: each step has the keys of those before it, too.

    `keys`: those that a step adds. Keys that are wrong without a later one, such as the budget without the amount of
    its packets, are one step with it. Name and errors as `over`.
    """
    keys = documents.leaves(documents.parse(content, file))
    found: list[Variant] = []
    done = 0
    for end in range(1, len(keys) + 1):
        try:
            step = over(base, content, file, only=frozenset(keys[:end]))
        except DocumentError:
            if end == len(keys):
                raise
            continue
        found.append(Variant(step.name, keys[done:end], step.programme))
        done = end
    return tuple(found)


def grid(base: Path | str, content: bytes | str, file: str) -> tuple[Variant, ...]:
    """Return the variants of all combinations of a grid's values, the values of the last axis one after the other.

    The name of a variant has axis and value: "amount 100, threshold none". Unless a value has `budget.amount`, the
    budget of each variant is the total of its packets. Raises DocumentError for a value that is no table, a key that
    two axes have, more than COMBINATIONS_MAX combinations, and as `load`.
    """
    document = documents.parse(content, file)
    axes = []
    for name in document.names():
        axis = document.table(name)
        values = [axis.table(each) for each in axis.names()]
        if not values:
            raise axis.error(
                None, "the axis has no value", right='a value, such as "40" = { rules.payment_min = "40" }'
            )
        axes.append([(name, each) for each in values])
    count = prod(len(each) for each in axes)
    if not axes or count > COMBINATIONS_MAX:
        raise document.error(
            None, f"the grid has {count if axes else 0} combinations", right=f"1 to {COMBINATIONS_MAX}"
        )
    return tuple(_combined(base, values) for values in product(*axes))


def _combined(base: Path | str, values: tuple[tuple[str, Table], ...]) -> Variant:
    """Return the variant of one value of each axis."""
    table = _document(base)
    keys: list[str] = []
    for _, changes in values:
        prefix = documents.dotted(changes.keys) + "."
        own = [each.removeprefix(prefix) for each in documents.leaves(changes)]
        twice = next((each for each in own if each in keys), None)
        if twice is not None:
            raise changes.error(None, f"{twice} is a key of another axis, too", right="each key in one axis")
        keys += own
        table = documents.overlaid(table, changes, without=("published",))
    if _BUDGET not in keys and "packets" in table:
        currency = table.currency("currency")
        total = sum(each.integer("count") * each.money("amount", currency) for each in table.tables("packets"))
        amount = money.format(total, currency).replace(",", "")
        table = documents.overlaid(table, documents.parse(f'{_BUDGET} = "{amount}"', table.file))
    chosen = tuple((name, str(changes.keys[-1])) for name, changes in values)
    return Variant(", ".join(f"{name} {each}" for name, each in chosen), tuple(keys), definition.define(table), chosen)


def _document(base: Path | str) -> Table:
    return data.document("pilots", base, "programme")


def _define(base: Path | str, changes: Table, keys: tuple[str, ...]) -> Programme:
    if not keys:
        return definition.load(base)
    table = documents.overlaid(_document(base), changes, only=frozenset(keys), without=("published",))
    try:
        return definition.define(table)
    except DocumentError as error:
        if error.file != changes.file:  # a value of the base that does not fit to a changed one
            error.hint = f"{error.hint}; {changes.file} changes {', '.join(keys)}"
        raise
