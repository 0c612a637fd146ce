"""Paths of facts, such as `stored.at.operator.state`, through lists of tables and through references.

A path starts at the element, or at the subject of a rule without elements; `subject.` and `flow.` name other starts.
The vocabulary defines which paths exist, so that a mistyped path is found when a profile is read.
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
    """Starts of the paths of a rule: the subjects of its level, and the elements of its list `each` if it has one."""

    level: str
    each: str = ""


def check(table: Table, key: str, path: str, roots: Roots) -> str:
    """Return the path. Raise DocumentError at `key`, naming the step, if it does not exist."""
    fields(table, key, path, roots)
    return path


def check_each(table: Table, key: str, path: str, roots: Roots) -> None:
    """Raise DocumentError at `key` unless the path leads to a list of tables or to references."""
    for last in fields(table, key, path, roots):
        if last.type is not Type.ELEMENTS and last.type not in _REFERENCES:
            right = "a list of tables, such as owners or licences, or a reference"
            raise table.error(key, f"{documents.found(path)} is not a list of tables", right=right)


def fields(table: Table, key: str, path: str, roots: Roots) -> list[Field]:
    """Return the fields that the last step may name: one for each possible kind of its entity."""
    start, steps = split(path, roots)
    if start == "flow":
        allowed = _fields_of([FLOW])
    elif start == "subject":
        allowed = _fields_of(LEVELS[roots.level])
    else:
        allowed = _below(fields(table, key, roots.each, Roots(roots.level)))
    named: list[Field] = []
    for index, step in enumerate(steps):
        named = [each for each in allowed if each.name == step]
        if not named:
            names = sorted({each.name for each in allowed})
            right = typos.hint(step, names, f"fields: {', '.join(names) or 'none'}")
            where = ".".join(steps[:index]) or start
            raise table.error(key, f"{documents.found(path)}: {where} has no {documents.found(step)}", right=right)
        allowed = _below(named)
    return named


def split(path: str, roots: Roots) -> tuple[str, list[str]]:
    """Return the start of a path (`element`, `subject` or `flow`) and its steps."""
    steps = path.split(".")
    if len(steps) > 1 and (steps[0] == "subject" or (steps[0] == "flow" and roots.level in PATH_LEVELS)):
        return steps[0], steps[1:]
    return ("element" if roots.each else "subject"), steps


def below(path: str, roots: Roots) -> Roots:
    """Return the starts of paths in conditions on the elements, or the entities, that a path leads to."""
    start, steps = split(path, roots)
    return Roots(roots.level, ".".join([roots.each, *steps]) if start == "element" else path)


def fields_of_flow(paths: Iterable[tuple[str, Roots]], *, as_subject: bool = False) -> frozenset[str]:
    """Return the fields of the passing flow that paths read; `as_subject` adds those of a flow that is the subject."""
    starts = ((*split(path, roots), as_subject and roots.level == FLOW) for path, roots in paths)
    return frozenset(steps[0] for start, steps, is_own in starts if start == "flow" or (is_own and start == "subject"))


def _below(named: Iterable[Field]) -> list[Field]:
    """Return the fields of the elements, or of the entities, that some fields lead to."""
    below: list[Field] = []
    for field in named:
        below += field.fields if field.type is Type.ELEMENTS else _fields_of(field.kinds)
    return below


def _fields_of(kinds: Iterable[str]) -> list[Field]:
    return [field for kind in kinds for field in KINDS[kind].fields]
