"""Deduplication of registrations by the identity keys that entries share.

Two entries are one person if they share a document or a phone, or if other entries connect them: the relation is
transitive. The earliest entry of a person is accepted. Families share phones, so a programme decides appeals before the
list is frozen; the report gives for every duplicate the entry and the key that connected it.
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

# Positions of the duplicate, of the accepted entry of the same person and of the entry that connected the two (often
# the accepted one), and the shared keys: BY_DOCUMENT, BY_PHONE or both.
DUPLICATE_DTYPE: Final = np.dtype([("entry", "<i8"), ("accepted", "<i8"), ("through", "<i8"), ("key", "u1")])


@dataclass(frozen=True, slots=True)
class Registrations:
    """Registrations, one row each; positions count from 0. A key of 0 is absent and connects nothing."""

    documents: NDArray[np.uint64]  # identity document as a number: see docs/reference/draw.md, §2
    phones: NDArray[np.uint64]  # E.164 without the plus sign
    banks: NDArray[np.uint8]  # index of the chosen operator in the programme
    registered_at_ns: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.documents)


@dataclass(frozen=True, slots=True)
class Deduplication:
    """Positions of accepted entries, ascending, and the duplicates (DUPLICATE_DTYPE), ascending by entry."""

    accepted: NDArray[np.int64]
    duplicates: NDArray[np.void]


def deduplicate(registrations: Registrations, *, identity: Collection[str] = IDENTITY_KEYS) -> Deduplication:
    """Accept one entry per person and report the others as duplicates.

    `identity` names the keys that distinguish people: "document", "phone" or both, as in the programme's definition.
    The earliest entry of a person is accepted; of two at the same moment, the one at the lower position. Raises
    UsageError for columns of different lengths or an entry without any key.
    """
    count = _checked_count(registrations, identity)
    documents, phones = _linking_keys(registrations, identity)
    # Nearly everyone registers once, so only entries with a repeated key are grouped.
    repeated = np.flatnonzero(_is_repeated(documents) | _is_repeated(phones))
    if not len(repeated):
        return Deduplication(np.arange(count, dtype=np.int64), np.empty(0, DUPLICATE_DTYPE))
    # From here an entry is its rank by time among the repeated ones: the earliest is the smallest.
    by_time = repeated[np.argsort(registrations.registered_at_ns[repeated], kind="stable")]
    groups = [_groups(documents[by_time]), _groups(phones[by_time])]
    person = _smallest_connected(len(by_time), groups)

    ranks = np.flatnonzero(person != np.arange(len(by_time)))
    through, key = _links(len(by_time), groups)
    duplicates = np.empty(len(ranks), DUPLICATE_DTYPE)
    duplicates["entry"] = by_time[ranks]
    duplicates["accepted"] = by_time[person[ranks]]
    duplicates["through"] = by_time[through[ranks]]
    duplicates["key"] = key[ranks]
    duplicates = duplicates[np.argsort(duplicates["entry"])]
    is_accepted = np.ones(count, dtype=np.bool_)
    is_accepted[duplicates["entry"]] = False
    return Deduplication(np.flatnonzero(is_accepted), duplicates)


def _linking_keys(registrations: Registrations, identity: Collection[str]) -> list[NDArray[np.uint64]]:
    """Return documents and phones; a column that is no identity key is all 0, which connects nothing."""
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
    keyless = np.flatnonzero((documents == 0) & (phones == 0))
    if len(keyless):
        raise UsageError(
            f"entry {keyless[0]} has no {' and no '.join(identity)} ({len(keyless)} such entries)",
            hint="an entry needs one identity key at least; leave it out",
        )
    return count


def _is_repeated(keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return for each entry whether its key occurs more than once; a key of 0 does not count."""
    ordered = np.sort(keys)
    twice = np.unique(ordered[1:][(ordered[1:] == ordered[:-1]) & (ordered[1:] != 0)])
    if not len(twice):
        return np.zeros(len(keys), dtype=np.bool_)
    place = np.minimum(np.searchsorted(twice, keys), len(twice) - 1)
    repeated: NDArray[np.bool_] = twice[place] == keys
    return repeated


@dataclass(frozen=True, slots=True)
class _Groups:
    """Groups of entries that share a key. Group g is `members` from `starts[g]` on, ascending."""

    members: NDArray[np.int64]
    starts: NDArray[np.int64]
    group: NDArray[np.int64]  # the group of each of `members`


def _groups(keys: NDArray[np.uint64]) -> _Groups:
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    is_first = np.ones(len(keys), dtype=np.bool_)
    is_first[1:] = (ordered[1:] != ordered[:-1]) | (ordered[1:] == 0)  # an entry without the key is a group
    starts = np.flatnonzero(is_first)
    return _Groups(order, starts, np.cumsum(is_first) - 1)


def _smallest_connected(count: int, groups: list[_Groups]) -> NDArray[np.int64]:
    """Return for each entry the smallest one that it is connected with, itself included.

    Every entry points to a smaller one or itself. An iteration offers each entry the smallest pointer in its groups,
    offers it to the previous target of the entry too, and shortens all paths. The second step reduces the iterations
    for a chain of n entries from n to about log n (FastSV: Zhang, Azad, Hu, "FastSV: a distributed-memory connected
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
    """Return for each entry the earliest other entry that shares a key with it (`count` if none), and the keys."""
    peers = []
    for each in groups:
        first = each.members[each.starts]
        # The earliest entry of a group is connected with the second, if there is one.
        sizes = np.diff(np.append(each.starts, count))
        second = np.where(sizes > 1, each.members[np.minimum(each.starts + 1, count - 1)], count)
        peer = np.empty(count, dtype=np.int64)
        peer[each.members] = np.where(each.members == first[each.group], second[each.group], first[each.group])
        peers.append(peer)
    through = np.minimum(peers[0], peers[1])
    key = (peers[0] == through) * np.uint8(BY_DOCUMENT) + (peers[1] == through) * np.uint8(BY_PHONE)
    return through, key.astype(np.uint8)


def duplicates_csv(duplicates: NDArray[np.void]) -> bytes:
    """Return the report of duplicates: duplicate, accepted entry of the person, entry that connected them, shared key.

    Entries are counted from 0 in order of arrival. The report contains neither keys nor persons.
    """
    keys = {BY_DOCUMENT: "document", BY_PHONE: "phone", BY_DOCUMENT | BY_PHONE: "document and phone"}
    lines = [f"{row['entry']},{row['accepted']},{row['through']},{keys[int(row['key'])]}\n" for row in duplicates]
    return ("entry,accepted,through,key\n" + "".join(lines)).encode()
