"""The kinds that fields refer to, fields of clouds by their places, and ways over edges, for the plain judge."""

from __future__ import annotations

from sycee.compliance.vocabulary import KINDS, Field


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
