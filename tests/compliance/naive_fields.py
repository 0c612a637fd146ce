"""The kinds that fields refer to, wholes of branches, fields of clouds by their places, and ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sycee.compliance.vocabulary import KINDS, Field

if TYPE_CHECKING:
    from tests.compliance.naive import Naive


def kinds_by_field(fields: tuple[Field, ...]) -> dict[str, tuple[str, ...]]:
    """Return the kinds that fields of this name refer to."""
    found = {each.name: each.kinds for each in fields if each.kinds}
    for each in fields:
        found |= kinds_by_field(each.fields)
    return found


REFERS_TO = {name: kinds for kind in KINDS.values() for name, kinds in kinds_by_field(kind.fields).items()}
OF_PLACES = {"owner": ("owner", "operator"), "equipment": ("equipment",)}


def joined(way: list[list[object]]) -> bool:
    """Return whether the edges, in order, join the two gateways."""
    (*edges, last) = way[1:]
    here = way[0]
    for ends in edges:
        if len(ends) != 2 or not here or here[0] not in ends:
            return False
        rest = list(ends)
        rest.remove(here[0])
        here = rest
    return bool(here) and here == last


def whole_of(judge: Naive, value: object) -> object:
    """Return the organisation that a branch is a part of, any other value itself; None if it is unknown."""
    for _ in range(100):
        here = judge.resolved(value, "owner") if isinstance(value, str) else ""
        parent = [] if isinstance(here, str) else judge.values(here, ["branch_of"])[0]
        if not parent:
            return None if "branch_of" in getattr(here, "facts", {}) else value
        value = parent[0]
    return None
