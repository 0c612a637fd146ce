"""Recipients of a programme in a synthetic city: a draw among those who register, or the tickets of the engine."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from sycee.core import ids
from sycee.core.arrays import Array, Bytes
from sycee.core.errors import IntegrityError, UsageError
from sycee.programmes import draw
from sycee.programmes.allotment import Share
from sycee.programmes.definition import Programme
from sycee.programmes.occurrence_ids import member_ids
from sycee.sandbox.behaviour import layout as c
from sycee.sandbox.behaviour.setting import Setting
from sycee.sandbox.engine import kernel
from sycee.sandbox.engine import run as engine
from sycee.sandbox.engine.run import Place
from sycee.sandbox.ledger_run import hours, programme_text
from sycee.sandbox.plan import DOCUMENT_FIRST, PHONE_FIRST

STRATUM: Final = c.STREAMS - 1  # the stream of a person's stratum, which no decision reads


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


@dataclass(frozen=True, slots=True, eq=False)
class Registered:
    """Who registers for the programme of a run, with public salts: what its draw, or its list, is made of.

    `strata`: (n,) uint8, the packet class of each where nothing is drawn; None for a draw with one stratum.
    """

    programme: Programme  # with the numbers of the city
    person: Array  # (n,) int64
    salts: Bytes  # [n, 32]
    strata: Array | None

    @property
    def entries(self) -> draw.Entries:
        """The entries of the list."""
        return draw.Entries(*keys_of(self.person), self.salts, self.strata)


def keys_of(person: Array) -> tuple[Array, Array]:
    """Return the synthetic document and phone of persons: (n,) uint64 each."""
    return (DOCUMENT_FIRST + person).astype(np.uint64), (PHONE_FIRST + person).astype(np.uint64)


def registered(programme: Programme, place: Place, setting: Setting, seed: int) -> Registered:
    """Return who registers: for a draw all who do by themselves; otherwise the persons with the engine's tickets.

    Raises UsageError for a programme of zones, of another mode, or whose numbers are too small for the city.
    """
    if programme.draw.is_drawn:
        counts = _scaled(setting, len(place.people))
        person = _registering(place, setting)
        amounts = [amount for _, amount in setting.design.classes]
        made = programme_text.for_city(programme, list(zip(counts, amounts, strict=True)))
        return Registered(made, person, draw.replay_salts(seed, person.size), _strata(made, person, seed))
    chosen = _by_ticket(place, setting, seed)
    shares = [(each.count, each.minor) for each in chosen.shares()]
    strata = np.repeat(np.arange(len(shares), dtype=np.uint8), [count for count, _ in shares])
    made = programme_text.for_city(programme, shares)
    return Registered(made, chosen.person, draw.replay_salts(seed, chosen.person.size), strata)


def choose(programme: Programme, place: Place, setting: Setting, seed: int) -> Recipients:
    """Return the recipients without a bank: those of its draw, with the same seed, are the same persons.

    A programme that is drawn is drawn by its rule, with the beacon of a replay. Others use the engine's tickets. Raises
    as `registered`.
    """
    if not programme.draw.is_drawn:
        return _by_ticket(place, setting, seed)
    made = registered(programme, place, setting, seed)
    rule, name = made.programme.draw, programme.name
    frozen = draw.freeze(None, name, rule, made.entries, frozen_at_ns=programme.registration.until_ns)
    winners = draw.draw(frozen, draw.replay_beacon(seed, frozen.announcement))
    if winners.entries is None:
        raise IntegrityError("the draw lost the link between its list and its entries")
    order = winners.packet_order(frozen.commitments, len(made.programme.packets))
    amounts = np.repeat(
        np.array([each.amount_minor for each in made.programme.packets], np.int64),
        [each.count for each in made.programme.packets],
    )
    return Recipients(
        person=made.person[winners.entries[order]],
        minor=amounts[: order.size],
        member=member_ids(frozen.commitments[winners.index[order]]),
        registered=made.person.size,
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


def _strata(programme: Programme, person: Array, seed: int) -> Array | None:
    """Return the stratum of each person: by chance, in proportion to the winners. None if there is one."""
    winners = [each.winners for each in programme.draw.strata]
    if len(winners) == 1:
        return None
    place = (hours.bits(seed, person, c.STATIC, STRATUM) >> np.uint64(32)) * np.uint64(sum(winners)) >> np.uint64(32)
    found: Array = np.searchsorted(np.cumsum(winners), place.astype(np.int64), side="right").astype(np.uint8)
    return found


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
