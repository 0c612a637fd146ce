"""Recipients of a programme in a synthetic city: a draw among those who register, or the tickets of the engine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.errors import IntegrityError, UsageError
from sycee.programmes import draw
from sycee.programmes.allotment import Share
from sycee.programmes.definition import REPLAY_BEACON, Programme
from sycee.programmes.occurrence_ids import member_ids
from sycee.sandbox.behaviour import layout as c
from sycee.sandbox.behaviour.setting import Setting
from sycee.sandbox.engine import kernel
from sycee.sandbox.engine import run as engine
from sycee.sandbox.engine.run import Place
from sycee.sandbox.plan import DOCUMENT_FIRST, PHONE_FIRST


@dataclass(frozen=True, slots=True, eq=False)
class Recipients:
    """Persons with a packet, in the order of the cohort: equal amounts are neighbours."""

    person: Array  # (k,) int64
    minor: Array  # (k,) int64
    member: Array  # (k,) ID
    registered: int

    def grants(self, people: int) -> Array:
        """Return the amount of each person in minor units, 0 without a packet: (people,) int64."""
        made = np.zeros(people, np.int64)
        made[self.person] = self.minor
        return made

    def shares(self) -> list[Share]:
        """Return the ranges of the cohort with equal amounts."""
        starts = np.flatnonzero(np.diff(self.minor, prepend=-1))
        ends = [*starts.tolist(), self.minor.size]
        return [
            Share(f"class {number}", first, end - first, int(self.minor[first]))
            for number, (first, end) in enumerate(pairwise(ends), 1)
        ]


def choose(programme: Programme, place: Place, setting: Setting, seed: int, folder: Path | None) -> Recipients:
    """Return the recipients. A draw is published in `folder`, if there is one.

    A programme that is drawn is drawn by its rule, with the beacon of a replay. Others use the engine's tickets. Raises
    UsageError for a programme of several strata.
    """
    if not programme.draw.is_drawn:
        return _by_ticket(place, setting, seed)
    if len(programme.draw.strata) != 1:
        raise UsageError(
            f"{programme.name} is drawn in {len(programme.draw.strata)} strata, and a synthetic person has none",
            hint="use a programme with one [[draw.strata]]",
        )
    person = _registering(place, setting)
    counts = _scaled(setting, len(place.people))
    entries = draw.Entries(
        (DOCUMENT_FIRST + person).astype(np.uint64),
        (PHONE_FIRST + person).astype(np.uint64),
        draw.replay_salts(seed, person.size),
    )
    (stratum,) = programme.draw.strata
    rule = replace(
        programme.draw,
        strata=(replace(stratum, winners=sum(counts)),),
        beacon_source=REPLAY_BEACON,
        beacon_round=1,
    )
    frozen = draw.freeze(folder, programme.name, rule, entries, frozen_at_ns=programme.registration.until_ns)
    winners = draw.draw(frozen, draw.replay_beacon(seed, frozen.announcement))
    if winners.entries is None:
        raise IntegrityError("the draw lost the link between its list and its entries")
    order = winners.packet_order(frozen.commitments, len(counts))
    amounts = np.repeat([amount for _, amount in setting.design.classes], counts).astype(np.int64)
    return Recipients(
        person=person[winners.entries[order]],
        minor=amounts[: order.size],
        member=member_ids(frozen.commitments[winners.index[order]]),
        registered=person.size,
    )


def _registering(place: Place, setting: Setting) -> Array:
    """Return the persons who register: (n,) int64, ascending."""
    columns, people = engine.Columns.of(place.people, setting.design), len(place.people)
    given, part = engine.arguments(setting), 1 << 16
    found = []
    for first in range(0, people, part):
        last = min(first + part, people)
        purses = np.zeros((last - first, c.PURSE_FIELDS), np.int64)
        decisions = np.zeros((last - first, c.DECISION_FIELDS), np.int64)
        kernel.decide_many(*given, *columns.arrays, first, last, setting.steps, 0, purses, decisions)
        found.append(first + np.flatnonzero(decisions[:, c.D_REGISTERS]))
    return np.concatenate([np.zeros(0, np.int64), *found])


def _scaled(setting: Setting, people: int) -> list[int]:
    """Return the number of packets of each class for this number of persons."""
    design = setting.design
    counts = [round(count * people / (design.population or people)) for count, _ in design.classes]
    if not sum(counts):
        raise UsageError(
            f"none of the packets is left for {people:,} of {design.population:,} persons",
            hint="build a larger city, with a smaller --one-in",
        )
    return counts


def _by_ticket(place: Place, setting: Setting, seed: int) -> Recipients:
    outcome = engine.run(
        place, setting.design, setting.parameters, setting.variant, seed, 1, with_baseline=False, with_purses=True
    )
    if outcome.purses is None:
        raise IntegrityError("the engine kept no purses")
    granted = outcome.purses[:, c.GRANT]
    person = np.flatnonzero(granted)
    person = person[np.argsort(-granted[person], kind="stable")]
    member = ids.derive(seed.to_bytes(8, "little"), "members of the sandbox", person.size, time_ms=0)
    registered = outcome.total("registered") or _registering(place, setting).size
    return Recipients(person, granted[person], member, registered)
