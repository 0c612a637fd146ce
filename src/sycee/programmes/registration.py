"""One entry per person: who registered twice, found by the identity keys that entries share.

Two entries are the same person if they share a document or a phone, and so are two that a third connects: sameness is
transitive. Of one person's entries the earliest stands. Families share phones, so a programme hears appeals before the
list is frozen; the report says for every duplicate through which entry and which key it was found.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sycee.core.errors import UsageError
from sycee.programmes.definition import IDENTITY_KEYS

BY_DOCUMENT: Final = 1
BY_PHONE: Final = 2

# One duplicate: positions of the entry, of the entry that stands for the person and of the entry it was found through
# (often the same), and by which key it was: BY_DOCUMENT, BY_PHONE or both together.
DUPLICATE_DTYPE: Final = np.dtype([("entry", "<i8"), ("stands", "<i8"), ("through", "<i8"), ("key", "u1")])


@dataclass(frozen=True, slots=True)
class Registrations:
    """What registrants handed in, one row each; positions count from 0. A key of 0 means "none" and links nobody."""

    documents: NDArray[np.uint64]  # identity document as a number; docs/reference/draw.md says how
    phones: NDArray[np.uint64]  # E.164 without the plus sign
    banks: NDArray[np.uint8]  # the operator chosen: its place in the programme's list
    registered_at_ns: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.documents)


@dataclass(frozen=True, slots=True)
class Deduplication:
    """The entries that stand (positions, ascending) and the duplicates (DUPLICATE_DTYPE, ascending by entry)."""

    standing: NDArray[np.int64]
    duplicates: NDArray[np.void]


def deduplicate(registrations: Registrations, *, identity: Collection[str] = IDENTITY_KEYS) -> Deduplication:
    """Find the entries that stand, one per person, and say which the others duplicate.

    `identity` names the keys that tell people apart: "document", "phone" or both, as the programme's definition has
    them. The earliest entry of a person stands; of two at the same moment the one at the lower position. UsageError for
    columns of different lengths or an entry without any key.
    """
    count = _checked_count(registrations, identity)
    documents, phones = _linking_keys(registrations, identity)
    # Nearly everyone registers once, so only entries with a repeated key go on.
    repeated = np.flatnonzero(_is_repeated(documents) | _is_repeated(phones))
    if not len(repeated):
        return Deduplication(np.arange(count, dtype=np.int64), np.empty(0, DUPLICATE_DTYPE))
    # From here an entry is its rank among the repeated ones by time, so that "earliest" is "smallest".
    by_time = repeated[np.argsort(registrations.registered_at_ns[repeated], kind="stable")]
    groups = [_groups(documents[by_time]), _groups(phones[by_time])]
    person = _smallest_connected(len(by_time), groups)

    ranks = np.flatnonzero(person != np.arange(len(by_time)))
    through, key = _links(len(by_time), groups)
    duplicates = np.empty(len(ranks), DUPLICATE_DTYPE)
    duplicates["entry"] = by_time[ranks]
    duplicates["stands"] = by_time[person[ranks]]
    duplicates["through"] = by_time[through[ranks]]
    duplicates["key"] = key[ranks]
    duplicates = duplicates[np.argsort(duplicates["entry"])]
    stands = np.ones(count, dtype=np.bool_)
    stands[duplicates["entry"]] = False
    return Deduplication(np.flatnonzero(stands), duplicates)


def _linking_keys(registrations: Registrations, identity: Collection[str]) -> list[NDArray[np.uint64]]:
    """Documents and phones; a column that is no identity key becomes all 0, which links nobody."""
    columns = {"document": registrations.documents, "phone": registrations.phones}
    return [column if key in identity else np.zeros_like(column) for key, column in columns.items()]


def _checked_count(registrations: Registrations, identity: Collection[str]) -> int:
    if not identity or not set(identity) <= set(IDENTITY_KEYS):
        raise UsageError(f"identity keys {list(identity)}", hint=f"one or more of {', '.join(IDENTITY_KEYS)}")
    columns = (registrations.phones, registrations.banks, registrations.registered_at_ns)
    count = len(registrations.documents)
    if any(len(column) != count for column in columns):
        raise UsageError(
            f"registrations with columns of {count}, " + ", ".join(str(len(column)) for column in columns) + " entries",
            hint="give every column one value for each entry",
        )
    documents, phones = _linking_keys(registrations, identity)
    nameless = np.flatnonzero((documents == 0) & (phones == 0))
    if len(nameless):
        raise UsageError(
            f"entry {nameless[0]} has no {' and no '.join(identity)} ({len(nameless)} such entries)",
            hint="an entry needs one identity key at least; leave it out",
        )
    return count


def _is_repeated(keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether each entry's key occurs more than once; 0 never does."""
    ordered = np.sort(keys)
    twice = np.unique(ordered[1:][(ordered[1:] == ordered[:-1]) & (ordered[1:] != 0)])
    if not len(twice):
        return np.zeros(len(keys), dtype=np.bool_)
    place = np.minimum(np.searchsorted(twice, keys), len(twice) - 1)
    repeated: NDArray[np.bool_] = twice[place] == keys
    return repeated


@dataclass(frozen=True, slots=True)
class _Groups:
    """Entries that share a key: `members` group by group, ascending in each, group g from starts[g] on."""

    members: NDArray[np.int64]
    starts: NDArray[np.int64]
    group: NDArray[np.int64]  # the group of each of `members`


def _groups(keys: NDArray[np.uint64]) -> _Groups:
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    is_first = np.ones(len(keys), dtype=np.bool_)
    is_first[1:] = (ordered[1:] != ordered[:-1]) | (ordered[1:] == 0)  # entries without the key stand alone
    starts = np.flatnonzero(is_first)
    return _Groups(order, starts, np.cumsum(is_first) - 1)


def _smallest_connected(count: int, groups: list[_Groups]) -> NDArray[np.int64]:
    """For each entry the smallest that it is connected with, itself included.

    Every entry points at a smaller one or itself. A round offers each entry the smallest pointer in its groups, hangs
    that below the entry's old target too, and shortens all paths; without the hanging a chain of n entries would take
    n rounds, with it about log n (the idea of FastSV: Zhang, Azad, Hu, "FastSV: a distributed-memory connected
    component algorithm with fast convergence", 2020).
    """
    parent = np.arange(count, dtype=np.int64)
    while True:
        before = parent.copy()
        for each in groups:
            offered = np.empty(count, dtype=np.int64)
            offered[each.members] = np.minimum.reduceat(parent[each.members], each.starts)[each.group]
            np.minimum.at(parent, before, offered)
            np.minimum(parent, offered, out=parent)
        parent = np.minimum(parent, parent[parent])
        if np.array_equal(parent, before):
            return parent


def _links(count: int, groups: list[_Groups]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """For each entry the earliest other entry that it shares a key with (`count` if none), and by which keys."""
    peers = []
    for each in groups:
        first = each.members[each.starts]
        # The earliest of a group was found through the second, if there is one.
        sizes = np.diff(np.append(each.starts, count))
        second = np.where(sizes > 1, each.members[np.minimum(each.starts + 1, count - 1)], count)
        peer = np.empty(count, dtype=np.int64)
        peer[each.members] = np.where(each.members == first[each.group], second[each.group], first[each.group])
        peers.append(peer)
    through = np.minimum(peers[0], peers[1])
    key = (peers[0] == through) * np.uint8(BY_DOCUMENT) + (peers[1] == through) * np.uint8(BY_PHONE)
    return through, key.astype(np.uint8)


def duplicates_csv(duplicates: NDArray[np.void]) -> bytes:
    """The report of duplicates: entry set aside, entry that stands for the person, entry it was found through, key.

    Entries are counted from 0 in order of arrival; keys and persons are not named.
    """
    keys = {BY_DOCUMENT: "document", BY_PHONE: "phone", BY_DOCUMENT | BY_PHONE: "document and phone"}
    lines = [f"{row['entry']},{row['stands']},{row['through']},{keys[int(row['key'])]}\n" for row in duplicates]
    return ("entry,stands,through,key\n" + "".join(lines)).encode()
