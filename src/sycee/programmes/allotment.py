"""Allotment: who gets how much, and from which packet class. Pure: the published files and the definition decide.

A cohort is in the order in which packets are handed out, so each class is a range of members, and one DROP fills it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sycee.core.arrays import Array, Bytes
from sycee.core.records import operations
from sycee.programmes.definition import Programme
from sycee.programmes.occurrence_ids import member_ids


@dataclass(frozen=True, slots=True)
class Share:
    """`count` members from number `first` on, who get `minor` units each, as the packet class `name`."""

    name: str
    first: int
    count: int
    minor: int


@dataclass(frozen=True, slots=True, eq=False)
class Allotment:
    """The members of a cohort in order, (k,) ID, and their shares, which cover them without a gap."""

    members: Array
    shares: tuple[Share, ...]

    @property
    def minor(self) -> int:
        """Return the sum of all packets."""
        return sum(each.count * each.minor for each in self.shares)

    @property
    def digest(self) -> bytes:
        """Return the digest of the members, which the seal has."""
        return operations.cohort_digest(self.members)

    def share_of(self, member: int) -> Share:
        """Return the share of a member, by number from 0."""
        return next(each for each in self.shares if each.first <= member < each.first + each.count)


def allot(programme: Programme, holders: Bytes) -> Allotment:
    """Return the allotment of a programme. `holders`: commitments in packet order, uint8 [k, 32].

    With fewer people than packets the last packets are not handed out.
    """
    return Allotment(member_ids(holders), shares_of(programme, len(holders)))


def shares_of(programme: Programme, members: int) -> tuple[Share, ...]:
    """Return the shares of this number of members: class after class, until members or packets run out."""
    shares, first = [], 0
    for packet in programme.packets:
        count = min(packet.count, members - first)
        if count > 0:
            shares.append(Share(packet.name, first, count, packet.amount_minor))
        first += max(count, 0)
    return tuple(shares)
