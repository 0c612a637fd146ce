"""Parts of a step that has very many records: each is signed separately, and is in its own frame.

Other payments are in the frames between two parts, so a part bounds how long a payment waits. Client and server compute
the same parts from the records: the numbers below are part of the agreement between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sycee.core.arrays import Array
from sycee.core.records.layout import Kind

# Of ADD_MEMBERS: such a frame takes about as long as a payment's fdatasync. The ledger hashes the members of a frame
# of ≥ 512 records at once; of smaller ones, the seal would hash all.
MEMBER_RECORDS_MAX: Final = 512
# Of DROP and EXPIRE: the frame and the digest of its movements take 1 to 2 ms together, and 400 parts still end in 5 s.
PURSES_MAX: Final = 25_000
PARTS_MAX: Final = 4_000  # of one drop: all its envelopes fit one request


def purses_max(members: int) -> int:
    """Return how many purses one DROP or EXPIRE concerns at most, for a cohort of this size."""
    return max(PURSES_MAX, -(-members // PARTS_MAX))


def sizes(kinds: Sequence[int], counts: Sequence[int]) -> tuple[int, ...]:
    """Return how many records each part has, in order. `counts`: the field `count` of each record.

    Records of other kinds are one part: only ADD_MEMBERS, DROP and EXPIRE may be done in part.
    """
    if set(kinds) == {Kind.ADD_MEMBERS}:
        return _member_sizes(len(kinds))
    if set(kinds) in ({Kind.DROP}, {Kind.EXPIRE}):
        return _sizes(counts, purses_max(sum(counts)))
    return (len(kinds),)


def sizes_of(records: Array) -> tuple[int, ...]:
    """Return `sizes` of records, (n,) layout.OPERATION."""
    if records.size and (records["kind"] == Kind.ADD_MEMBERS).all():
        return _member_sizes(records.size)  # of thousands: lists would hold the GIL for a millisecond
    return sizes(records["kind"].tolist(), records["count"].tolist())


def _member_sizes(records: int) -> tuple[int, ...]:
    whole, rest = divmod(records, MEMBER_RECORDS_MAX)
    return (MEMBER_RECORDS_MAX,) * whole + (rest,) * bool(rest)


def _sizes(weights: Sequence[int], most: int) -> tuple[int, ...]:
    """Return how many consecutive records weigh up to `most` together, at least one."""
    found, size, weight = [], 0, 0
    for each in weights:
        if size and weight + each > most:
            found.append(size)
            size, weight = 0, 0
        size, weight = size + 1, weight + each
    return (*found, size) if size else tuple(found)
