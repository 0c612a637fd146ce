"""Allotment: who gets how much, and from which packet class. Pure: the published files and the definition decide.

A cohort is in the order in which packets are allotted, so each share is a range of members, which DROPs fill.
docs/reference/draw.md specifies the order and the amounts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sycee.core import sha256
from sycee.core.arrays import Array, Bytes
from sycee.core.errors import UsageError
from sycee.core.records import operations, parts
from sycee.programmes import draw_rule
from sycee.programmes.definition import EQUAL, EVERYBODY, RANDOM_SPLIT, Programme
from sycee.programmes.occurrence_ids import member_ids

SHARE_TAG: Final = b"sycee.draw.share.v1"
DROPS_MAX: Final = 8_000  # records of one drop: one intent has them all


@dataclass(frozen=True, slots=True)
class Share:
    """`count` members from number `first` on, who get `minor` units each, as the packet class `name`.

    `zone`: of a file with zones, "" otherwise.
    """

    name: str
    first: int
    count: int
    minor: int
    zone: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Allotment:
    """The members of a cohort in order, (k,) ID, and their shares, which cover them without a gap."""

    members: Array
    shares: tuple[Share, ...]

    @property
    def minor(self) -> int:
        """Return the sum of all packets."""
        return minor_of(self.shares)

    @property
    def digest(self) -> bytes:
        """Return the digest of the members, which the seal has."""
        return operations.cohort_digest(self.members)


def minor_of(shares: Iterable[Share]) -> int:
    """Return the sum of the packets of shares."""
    return sum(each.count * each.minor for each in shares)


def drops_of(shares: Sequence[Share]) -> tuple[Share, ...]:
    """Return the shares as DROPs fill them, one record each: a share of very many members is divided."""
    most = parts.purses_max(sum(each.count for each in shares))
    return tuple(
        replace(each, first=first, count=min(most, each.first + each.count - first))
        for each in shares
        for first in range(each.first, each.first + each.count, most)
    )


def allot_zones(programme: Programme, holders: Bytes, counts: Sequence[int]) -> Allotment:
    """Return the allotment of a file with zones.

    `holders`: commitments by zone, and by rank in each, uint8 [k, 32]; `counts`: holders of each zone.
    """
    return Allotment(member_ids(holders), _zone_shares(programme, counts))


def _zone_shares(programme: Programme, counts: Sequence[int]) -> tuple[Share, ...]:
    """Return the shares of zones with these numbers of members: class after class in each zone."""
    shares, first = [], 0
    for zone, members in zip(programme.zones, counts, strict=True):
        left = members
        for packet, most in zip(programme.packets, zone.packets, strict=True):
            count = min(most, left)
            if count:
                shares.append(Share(packet.name, first, count, packet.amount_minor, zone.name))
            first, left = first + count, left - count
    return tuple(shares)


def allot(programme: Programme, holders: Bytes) -> Allotment:
    """Return the allotment of packets of fixed amounts. `holders`: commitments in packet order, uint8 [k, 32].

    With fewer people than packets the last packets are not allotted.
    """
    return Allotment(member_ids(holders), shares_of(programme, len(holders)))


def allot_list(programme: Programme, entries: Bytes, parts: Mapping[str, int]) -> Allotment:
    """Return the allotment of a list whose every entry gets a packet.

    `entries`: commitments in list order, uint8 [n, 32]; `parts`: entries of each stratum, in the order of the list. The
    strata are the packet classes, or the one of an equal division.
    """
    return Allotment(member_ids(entries), list_shares(programme, parts))


def list_shares(programme: Programme, parts: Mapping[str, int]) -> tuple[Share, ...]:
    """Return the shares of a list whose every entry gets a packet. `parts`: entries of each stratum, in order."""
    if programme.mode == EQUAL:
        return shares_of(programme, sum(parts.values()))
    amounts = {each.name: each.amount_minor for each in programme.packets}
    shares, first = [], 0
    for name, count in parts.items():
        shares.append(Share(name, first, count, amounts[name]))
        first += count
    return tuple(shares)


def allot_split(programme: Programme, holders: Bytes, beacon: bytes, root: bytes) -> Allotment:
    """Return the allotment of a random split: members by amount, and by commitment where amounts are equal.

    `holders`: commitments of the winners in any order, uint8 [k, 32].
    """
    split = programme.split
    assert split is not None, "the file of a random split has a step"
    holders = holders[draw_rule.digest_order(holders)]
    steps = (programme.budget_minor - split.least_minor * len(holders)) // split.step_minor
    amounts = split.least_minor + split.step_minor * _shared_steps(steps, beacon, root, holders)
    order = np.argsort(amounts, kind="stable")
    ordered = amounts[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    counts = np.diff(np.append(starts, len(ordered)))
    shares = tuple(
        Share("split", first, count, minor)
        for first, count, minor in zip(starts.tolist(), counts.tolist(), ordered[starts].tolist(), strict=True)
    )
    if len(shares) > DROPS_MAX:
        raise UsageError(
            f"the split has {len(shares)} different amounts, and a drop at most {DROPS_MAX}",
            hint="a file with a larger step",
        )
    return Allotment(member_ids(holders[order]), shares)


def _shared_steps(steps: int, beacon: bytes, root: bytes, holders: Bytes) -> NDArray[np.int64]:
    """Divide a number of steps in proportion to weights that the beacon decides: int64 [k], with the sum `steps`.

    The weight is one more than the first four bytes of the SHA-256 of tag, beacon, root and commitment. Steps that are
    left by rounding down go, one each, to the largest remainders; equal remainders in the order of the holders.
    """
    digests = sha256.digests((SHARE_TAG, beacon, root, holders))
    weights = [each + 1 for each in np.ascontiguousarray(digests[:, :4]).view(">u4")[:, 0].tolist()]
    total = sum(weights)
    quotients = [divmod(steps * weight, total) for weight in weights]  # more than 64 bits
    shared = [whole for whole, _ in quotients]
    by_remainder = sorted(range(len(weights)), key=lambda place: -quotients[place][1])
    for place in by_remainder[: steps - sum(shared)]:
        shared[place] += 1
    return np.array(shared, np.int64)


def planned_shares(programme: Programme) -> tuple[Share, ...]:
    """Return the shares that a programme has if all of its packets are allotted, before anybody is known.

    A budget that is divided is one share of one member, or of the mean for the winners of a random split.
    """
    if programme.mode == EQUAL:
        return shares_of(programme, 1)
    if programme.mode == RANDOM_SPLIT:
        winners = programme.draw.winners
        return (Share("split", 0, winners, programme.budget_minor // winners),)
    if programme.zones:
        return _zone_shares(programme, [sum(each.packets) for each in programme.zones])
    return shares_of(programme, sum(each.count for each in programme.packets))


def shares_of(programme: Programme, members: int) -> tuple[Share, ...]:
    """Return the shares of this number of members: class after class, until members or packets run out.

    An equal division gives each the budget divided by their number, rounded down. Raises UsageError if that is nothing.
    """
    if programme.mode == EQUAL:
        minor = programme.budget_minor // max(members, 1)
        if not minor:
            raise UsageError(
                f"{members} people cannot share {programme.budget_minor} minor units equally",
                hint="a larger budget, or fewer people",
            )
        return (Share(EVERYBODY, 0, members, minor),)
    shares, first = [], 0
    for packet in programme.packets:
        count = min(packet.count, members - first)
        if count > 0:
            shares.append(Share(packet.name, first, count, packet.amount_minor))
        first += max(count, 0)
    return tuple(shares)
