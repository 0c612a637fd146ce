"""The cohort of an occurrence, read from its published files: the winners, with successors in the places of others.

The files are checked while they are read, so a cohort never follows from a changed list.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from sycee.core.arrays import Bytes
from sycee.core.errors import IntegrityError, UsageError
from sycee.programmes import draw, draw_files, draw_rule, successions
from sycee.programmes.allotment import Allotment, allot, allot_list, allot_split, allot_zones
from sycee.programmes.definition import RANDOM_SPLIT, Programme
from sycee.programmes.draw_files import Announcement
from sycee.programmes.successions import Succession


def allotment_of(folder: Path, programme: Programme) -> Allotment:
    """Return the allotment that the published files of an occurrence lead to.

    Raises UsageError before the draw, IntegrityError for files that do not agree with each other.
    """
    announcement = draw_files.read_announcement(folder)
    if not announcement.is_drawn:
        commitments = draw.read_frozen(folder).commitments
        return allot_list(programme, commitments, {each.name: each.entries for each in announcement.strata})
    holders = _holders(folder, announcement, 1 if programme.zones else len(programme.packets))
    if programme.zones:
        nobody = Counter(
            each.stratum for each in successions_of(folder, announcement) if each.successor == successions.NOBODY
        )
        counts = {each.name: each.winners - nobody[place] for place, each in enumerate(announcement.strata)}
        return allot_zones(programme, holders, [counts.get(each.name, 0) for each in programme.zones])
    if programme.mode == RANDOM_SPLIT:
        value = draw_files.read_beacon(folder / draw_files.BEACON).value
        return allot_split(programme, holders, value, announcement.root)
    return allot(programme, holders)


def successions_of(folder: Path, announcement: Announcement) -> tuple[Succession, ...]:
    """Return who follows whom, from the published file, after checking it; () where nobody left."""
    published = draw_files.read_successions(folder, announcement) if announcement.is_drawn else None
    if published is None:
        return ()
    tickets = draw_files.read_digests(folder / draw_files.TICKETS, announcement.entries)
    commitments = draw_files.read_digests(folder / draw_files.ENTRIES, announcement.entries)
    return successions.check(announcement, tickets, commitments, published)


def _holders(folder: Path, announcement: Announcement, classes: int) -> Bytes:
    """Return the commitments of the packets' holders in packet order: uint8 [k, 32]."""
    if not (folder / draw_files.WINNERS).exists():
        raise UsageError(f"{announcement.programme} is not drawn yet", hint="draw first")
    winners = draw_files.read_winners(folder, announcement)
    if len(winners) != announcement.winners:
        raise IntegrityError(f"{draw_files.WINNERS} has {len(winners)} winners, {announcement.winners} were announced")
    value = draw_files.read_beacon(folder / draw_files.BEACON).value
    order = np.arange(len(winners))
    if classes > 1 and len(announcement.strata) > 1:
        order = draw_rule.packet_order(value, announcement.root, winners)
    passed_on = successions_of(folder, announcement)
    if not passed_on:
        ordered: Bytes = winners[order]
        return ordered
    commitments = draw_files.read_digests(folder / draw_files.ENTRIES, announcement.entries)
    places = draw_rule.positions(commitments, [each.tobytes() for each in winners])
    final = successions.holders(np.array(places, np.int64), passed_on)[order]
    held: Bytes = commitments[final[final != successions.NOBODY]]
    return held
