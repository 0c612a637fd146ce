"""Recipients of a programme in a synthetic city: by a draw, by the engine's tickets, or all who register."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np

from sycee.core import ids
from sycee.core.arrays import Array, Bytes
from sycee.core.errors import IntegrityError, UsageError, require
from sycee.programmes import draw, draw_rule
from sycee.programmes.allotment import Allotment, Share, allot, allot_list, allot_split, allot_zones
from sycee.programmes.definition import EQUAL, Programme
from sycee.programmes.occurrence_ids import member_ids
from sycee.sandbox.behaviour import layout as c
from sycee.sandbox.behaviour import of_programme
from sycee.sandbox.behaviour.design import Design
from sycee.sandbox.behaviour.setting import Setting
from sycee.sandbox.engine import kernel
from sycee.sandbox.engine import run as engine
from sycee.sandbox.engine.run import Place
from sycee.sandbox.ledger_run import hours, programme_text
from sycee.sandbox.plan import DOCUMENT_FIRST, PHONE_FIRST

SPARE_STREAM: Final = c.STREAMS - 1  # which no decision reads: of a person's stratum, or share of a split


@dataclass(frozen=True, slots=True, eq=False)
class Recipients:
    """Persons with a packet, in the order of the cohort: equal amounts are neighbours."""

    person: Array  # (k,) int64
    minor: Array  # (k,) int64
    member: Array  # (k,) ID
    registered: int
    since: Array  # (k,) int64: the first day on which the packet can be claimed, later than 0 in a later zone

    def grants(self, people: int) -> Array:
        """Return the amount of each person in minor units, 0 without a packet: (people,) int64."""
        made = np.zeros(people, np.int64)
        made[self.person] = self.minor
        return made

    def from_days(self, people: int) -> Array:
        """Return the first day of a claim of each person: (people,) int64."""
        made = np.zeros(people, np.int64)
        made[self.person] = self.since
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
    """Who registers for the programme of a run, with public salts: the entries of its draw or list.

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
    """Return who registers for a draw or for equal shares; for other modes the persons with the engine's tickets.

    Raises UsageError for a programme whose numbers are too small for the city.
    """
    one_in = place.city.one_in
    if programme.draw.is_drawn or programme.mode == EQUAL:
        counts = _scaled(setting, len(place.people))
        person = registering(place, setting)
        amounts = [amount for _, amount in setting.design.classes]
        made = programme_text.for_city(programme, list(zip(counts, amounts, strict=True)), one_in)
        strata = _strata(made, person, seed) if made.draw.is_drawn else None
        return Registered(made, person, draw.replay_salts(seed, person.size), strata)
    chosen = _by_ticket(place, setting, seed)
    shares = [(each.count, each.minor) for each in chosen.shares()]
    strata = np.repeat(np.arange(len(shares), dtype=np.uint8), [count for count, _ in shares])
    made = programme_text.for_city(programme, shares, one_in)
    return Registered(made, chosen.person, draw.replay_salts(seed, chosen.person.size), strata)


def first_design(programme: Programme, population: int) -> Design:
    """Return the design by which people register. That of equal shares has an amount that nobody gets.

    population: to which the counts of the programme refer.
    """
    # Who shares a budget does not depend on its amount.
    first = replace(programme, budget_minor=1) if programme.mode == EQUAL else programme
    return of_programme.design(first, population=population, recipients=1)


def equal_design(programme: Programme, place: Place, setting: Setting) -> Design:
    """Return the design in which all who register share the budget of the city.

    Raises UsageError if nobody registers, and for a budget that is too small for them.
    """
    sharing = registering(place, setting).size
    if not sharing:
        raise UsageError(f"none of {len(place.people):,} persons registers", hint="build a larger city")
    budget_minor = programme.budget_minor // place.city.one_in
    return of_programme.design(replace(programme, budget_minor=budget_minor), recipients=sharing)


def choose(programme: Programme, place: Place, setting: Setting, seed: int) -> Recipients:
    """Return the recipients without a bank: those of its draw, with the same seed, are the same persons.

    A programme that is drawn is drawn by its rule, with the beacon of a replay. Equal shares are for all who register.
    Others use the engine's tickets. Raises as `registered`.
    """
    if not (programme.draw.is_drawn or programme.mode == EQUAL):
        return _by_ticket(place, setting, seed)
    made = registered(programme, place, setting, seed)
    frozen_at_ns = programme.registration.until_ns
    frozen = draw.freeze_list(None, programme.name, made.programme.draw, made.entries, frozen_at_ns=frozen_at_ns)
    return of_cohort(made, _allotted(made.programme, frozen, seed))


def _allotted(programme: Programme, frozen: draw.FrozenList, seed: int) -> Allotment:
    """Return the cohort of a frozen list, as the published files of a bank lead to it."""
    announcement, commitments = frozen.announcement, frozen.commitments
    if not announcement.is_drawn:
        return allot_list(programme, commitments, {each.name: each.entries for each in announcement.strata})
    beacon = draw.replay_beacon(seed, announcement)
    winners = draw.draw_winners(frozen, beacon)
    if programme.zones:
        return allot_zones(programme, commitments[winners.index], [each.winners for each in announcement.strata])
    if programme.split is not None:
        return allot_split(programme, commitments[winners.index], beacon.value, announcement.root)
    order = winners.packet_order(commitments, len(programme.packets))
    return allot(programme, commitments[winners.index[order]])


def of_cohort(made: Registered, cohort: Allotment) -> Recipients:
    """Return the recipients of a cohort. Raises IntegrityError for a member who did not register."""
    entries = made.entries
    listed = member_ids(draw_rule.commitments(entries.documents, entries.phones, entries.salts))
    return among(made.programme, made.person, listed, cohort)


def among(programme: Programme, person: Array, listed: Array, cohort: Allotment) -> Recipients:
    """Return the recipients of a cohort among persons. listed: (n,) ID, as which each would be a member.

    Raises IntegrityError for a member who is none of them.
    """
    wanted = cohort.members
    # Members are hashes: the low half alone orders and finds them.
    by_low = np.argsort(listed["low"], kind="stable")
    at = by_low[np.minimum(np.searchsorted(listed["low"][by_low], wanted["low"]), by_low.size - 1)]
    require(bool((listed[at] == wanted).all()), "the cohort has a member who did not register")
    counts = [each.count for each in cohort.shares]
    opens = first_days(programme)
    return Recipients(
        person=person[at],
        minor=np.repeat(np.array([each.minor for each in cohort.shares], np.int64), counts),
        member=wanted,
        registered=int(person.size),
        since=np.repeat(np.array([opens[each.zone] for each in cohort.shares], np.int64), counts),
    )


def first_days(programme: Programme) -> dict[str, int]:
    """Return the first day of claims in each zone, of which "" is a programme without any.

    A zone is dropped at its time, but not before the first one, nor before an earlier one that cannot be skipped.
    """
    found, after_ns = {"": 0}, 0
    for place, zone in enumerate(programme.zones):
        filled_ns = max(after_ns, zone.from_ns or 0)
        found[zone.name] = hours.first_day(programme, filled_ns)
        if place == 0 or not zone.skippable:
            after_ns = filled_ns
    return found


def registering(place: Place, setting: Setting) -> Array:
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
    place = (hours.bits(seed, person, c.STATIC, SPARE_STREAM) >> np.uint64(32)) * np.uint64(sum(winners)) >> np.uint64(
        32
    )
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
    registered = outcome.total("registered") or registering(place, setting).size
    return Recipients(person, granted[person], member, registered, np.zeros(person.size, np.int64))
