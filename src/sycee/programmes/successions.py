"""Successions: who gets the packet of a winner who withdrew, lapsed or was excluded before the seal.

Tickets decide, so nobody draws again: the next published ticket of the same stratum follows. docs/reference/draw.md,
section 6, specifies `successions.csv`. Every function here is pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sycee.core.arrays import Bytes
from sycee.core.errors import IntegrityError, UsageError
from sycee.programmes import draw_files, draw_rule
from sycee.programmes.draw_files import Announcement

WITHDRAWN: Final = "withdrawn"
LAPSED: Final = "lapsed"
EXCLUDED: Final = "excluded"
REASONS: Final = (WITHDRAWN, LAPSED, EXCLUDED)
NOBODY: Final = -1


@dataclass(frozen=True, slots=True)
class Succession:
    """One packet that passed on: from the entry `index` to the next ticket of its stratum, NOBODY if none is left.

    `index` and `successor` are positions in the list; ranks are from 1 in the stratum.
    """

    stratum: int
    rank: int
    index: int
    reason: str
    successor_rank: int
    successor: int


def successions(announcement: Announcement, tickets: Bytes, removed: Mapping[int, str]) -> tuple[Succession, ...]:
    """Return who follows the removed winners.

    `tickets`: all in list order, uint8 [n, 32]. `removed`: position in the list → reason, of winners and of other
    entries; an entry that is never reached has no effect. Winners are replaced in the order of winners.csv. A successor
    who is removed too is replaced immediately. Raises UsageError for a position outside the list, or an unknown reason.
    """
    for index, reason in removed.items():
        if not 0 <= index < announcement.entries or reason not in REASONS:
            raise UsageError(
                f"entry {index} removed as {reason!r}",
                hint=f"positions are from 0 to {announcement.entries - 1}, reasons are {', '.join(REASONS)}",
            )
    found: list[Succession] = []
    for number, (stratum, span) in enumerate(announcement.spans()):
        here = sum(span.start <= index < span.stop for index in removed)
        ranked = draw_rule.smallest(tickets[span], min(stratum.entries, stratum.winners + here)) + span.start
        following = stratum.winners  # the first rank, from 0, that has no packet
        for first in range(stratum.winners):
            rank = first
            while rank < len(ranked) and (index := int(ranked[rank])) in removed:
                is_left = following < stratum.entries
                successor = int(ranked[following]) if is_left else NOBODY
                found.append(
                    Succession(number, rank + 1, index, removed[index], following + 1 if is_left else 0, successor)
                )
                rank, following = following, following + is_left
    return tuple(found)


def holders(index: NDArray[np.int64], passed_on: tuple[Succession, ...]) -> NDArray[np.int64]:
    """Return the final owner of each packet: `index` of the winners with successors in place, NOBODY for a packet left.

    The order stays that of `index`, so `Winners.packet_order` of the draw applies to the result, too.
    """
    final = index.copy()
    place = {int(each): at for at, each in enumerate(index)}
    for each in passed_on:
        at = place.pop(each.index)
        final[at] = each.successor
        if each.successor != NOBODY:
            place[each.successor] = at
    return final


def content(announcement: Announcement, passed_on: tuple[Succession, ...], commitments: Bytes) -> bytes:
    """Return the bytes of successions.csv. `commitments` are those of the list, uint8 [n, 32]."""
    lines = [draw_files.SUCCESSIONS_HEADER]
    for each in passed_on:
        follower = ","
        if each.successor != NOBODY:
            follower = f"{each.successor_rank},{commitments[each.successor].tobytes().hex()}"
        name, own = announcement.strata[each.stratum].name, commitments[each.index].tobytes().hex()
        lines.append(f"{name},{each.rank},{own},{each.reason},{follower}\n")
    return "".join(lines).encode("ascii")


def check(announcement: Announcement, tickets: Bytes, commitments: Bytes, published: bytes) -> tuple[Succession, ...]:
    """Return the successions of a published file after computing the file anew from its removed entries.

    Raises IntegrityError for the first line that differs.
    """
    lines = published.decode("ascii", "replace").splitlines()
    # Only who was removed, and why, is not in the other files.
    found: dict[bytes, str] = {}
    for number, line in enumerate(lines[1:], 2):
        cells = line.split(",")
        if len(cells) != 6 or cells[3] not in REASONS:
            raise IntegrityError(
                f'{draw_files.SUCCESSIONS}: line {number} is "{line}", which has not the required form'
            )
        try:
            found[bytes.fromhex(cells[2])] = cells[3]
        except ValueError as error:
            raise IntegrityError(f"{draw_files.SUCCESSIONS}: line {number} has no commitment") from error
    place = draw_rule.positions(commitments, list(found))
    unknown = [each.hex() for each, at in zip(found, place, strict=True) if at < 0]
    if unknown:
        raise IntegrityError(f"{draw_files.SUCCESSIONS}: {unknown[0]} is not in {draw_files.ENTRIES}")
    passed_on = successions(announcement, tickets, dict(zip(place, found.values(), strict=True)))
    expected = content(announcement, passed_on, commitments)
    if published != expected:
        right = expected.decode().splitlines()
        at = next((at for at, pair in enumerate(zip(lines, right, strict=False)) if pair[0] != pair[1]), -1)
        at = min(len(lines), len(right)) if at < 0 else at
        listed, computed = (each[at] if at < len(each) else "" for each in (lines, right))
        raise IntegrityError(f'{draw_files.SUCCESSIONS}: line {at + 1} is "{listed}", computed "{computed}"')
    return passed_on


def result_of(passed_on: tuple[Succession, ...], index: int, won: bool) -> tuple[bool, str]:
    """Return whether an entry has a packet after all successions, and a sentence about it."""
    detail = "this entry is in no succession"
    for each in passed_on:
        if each.successor == index:
            won, detail = True, f"this entry follows rank {each.rank}, which was {each.reason}"
        if each.index == index:
            follower = f"to rank {each.successor_rank}" if each.successor_rank else "to nobody: no ticket was left"
            won, detail = False, f"this entry was {each.reason}; its packet went {follower}"
    return won, detail
