"""Paths of facts: `stored.at.operator.state`, through lists of tables and through references.

A path starts at the element at hand, or at the subject where a rule has none; `subject.` and `flow.` name those. What
a path can reach follows from the vocabulary, so that a slip in a profile is found when the profile is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sycee.compliance.vocabulary import FLOW, KINDS, LEVELS, PATH_LEVELS, Field, Type
from sycee.core import documents, typos
from sycee.core.documents import Table

_REFERENCES = (Type.REFERENCE, Type.REFERENCES)


@dataclass(frozen=True, slots=True)
class Roots:
    """What paths of a rule can start at: the level's subject, and the elements of its list `each`, if it has one."""

    level: str
    each: str = ""


def check(table: Table, key: str, path: str, roots: Roots) -> str:
    """The path itself, if there can be such facts. DocumentError at `key` names the step that cannot be."""
    _follow(table, key, path, roots)
    return path


def check_each(table: Table, key: str, path: str, roots: Roots) -> None:
    """The same for the path of a list of tables, or of references that stand for their entities."""
    for last in _follow(table, key, path, roots):
        if last.type is not Type.ELEMENTS and last.type not in _REFERENCES:
            right = "a list of tables, such as owners or licences, or a reference"
            raise table.error(key, f"{documents.found(path)} is no list of tables", right=right)


def fields(table: Table, key: str, path: str, roots: Roots) -> list[Field]:
    """What the last step of a path may mean: a field for each kind of entities that it may be of."""
    return _follow(table, key, path, roots)


def split(path: str, roots: Roots) -> tuple[str, list[str]]:
    """Where a path starts (`element`, `subject` or `flow`) and its steps."""
    steps = path.split(".")
    if steps[0] == "subject" and len(steps) > 1:
        return "subject", steps[1:]
    if steps[0] == "flow" and len(steps) > 1 and roots.level in PATH_LEVELS:
        return "flow", steps[1:]
    return ("element" if roots.each else "subject"), steps


def _follow(table: Table, key: str, path: str, roots: Roots) -> list[Field]:
    """The fields that the last step may mean: one for each kind that it may be of."""
    start, steps = split(path, roots)
    if start == "flow":
        fields = _fields_of([FLOW])
    elif start == "subject":
        fields = _fields_of(LEVELS[roots.level])
    else:
        fields = _below(_follow(table, key, roots.each, Roots(roots.level)))
    found: list[Field] = []
    for position, step in enumerate(steps):
        found = [each for each in fields if each.name == step]
        if not found:
            known = sorted({each.name for each in fields})
            right = typos.hint(step, known, f"known here: {', '.join(known) or 'nothing'}")
            where = ".".join(steps[:position]) or start
            raise table.error(key, f"{documents.found(path)}: {where} has no {documents.found(step)}", right=right)
        fields = _below(found)
    return found


def _below(fields: Iterable[Field]) -> list[Field]:
    """What there is one step further: the fields of elements, and of the entities that references name."""
    below: list[Field] = []
    for field in fields:
        below += field.fields if field.type is Type.ELEMENTS else _fields_of(field.kinds)
    return below


def _fields_of(kinds: Iterable[str]) -> list[Field]:
    return [field for kind in kinds for field in KINDS[kind].fields]
