"""Who gets how much in one run of a design, and from which day: by tickets, by zones, by shares of a budget.

All designs of a comparison give their packets in the order of the same tickets, so a person whose ticket is low has one
in each of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sycee.core.arrays import Array
from sycee.programmes.definition import EQUAL, SHARED_MODES, Programme
from sycee.sandbox.behaviour import layout as c
from sycee.sandbox.behaviour import of_programme, variants
from sycee.sandbox.behaviour import setting as settings
from sycee.sandbox.behaviour.design import Design
from sycee.sandbox.behaviour.parameters import Parameters
from sycee.sandbox.city.rounding import largest_remainder
from sycee.sandbox.engine.run import Place
from sycee.sandbox.ledger_run import hours
from sycee.sandbox.ledger_run.recipients import SPARE_STREAM, first_days, registering


@dataclass(frozen=True, slots=True, eq=False)
class Granted:
    """Arguments of `engine.run`: its design, and the amount and the first day of a claim of each person."""

    design: Design
    grants: Array | None = None  # (people,) int64, minor units; None: as the engine's tickets decide
    from_days: Array | None = None  # (people,) int64; None: day 0


def granted(
    programme: Programme, design: Design, place: Place, parameters: Parameters, structure: str, seed: int
) -> Granted:
    """Return who gets what in a run with these parameters, this structure and this seed.

    Programmes without zones whose packets the file has are left to the engine. `equal`: all who register share the
    budget of the run's persons. `random-split`: as on a ledger, except that the weights follow from the seed.
    """
    if not (programme.zones or programme.mode in SHARED_MODES):
        return Granted(design)
    setting = settings.make(design, parameters, variants.named(structure), place.market, 1)
    setting.rules[c.R_SEED] = seed
    person, people = registering(place, setting), len(place.people)
    if programme.mode == EQUAL:
        return _equal(programme, design, person, people)
    person = person[np.argsort(hours.bits(seed, person, c.STATIC, c.TICKET), kind="stable")]
    counts = [round(count * people / design.population) for count, _ in design.classes]
    person = person[: sum(counts)]
    if programme.zones:
        minor, since = _of_zones(programme, counts, person.size)
    else:
        minor, since = _split(programme, sum(counts), person, seed), np.zeros(person.size, np.int64)
    return Granted(design, _column(people, person, minor), _column(people, person, since))


def _equal(programme: Programme, design: Design, person: Array, people: int) -> Granted:
    budget_minor = programme.budget_minor * people // design.population
    if person.size:
        design = of_programme.design(replace(programme, budget_minor=budget_minor), recipients=person.size)
    amount = budget_minor // max(person.size, 1)
    return Granted(design, _column(people, person, np.full(person.size, amount, np.int64)))


def _of_zones(programme: Programme, counts: list[int], winners: int) -> tuple[Array, Array]:
    """Return the amount and the first day of each packet, class by class, and zone by zone within a class.

    winners: at most the sum of `counts`. If they are fewer, each zone has its share of them, as in a separate draw.
    """
    planned = np.array([zone.packets for zone in programme.zones])
    packets = np.stack([largest_remainder(column, count) for column, count in zip(planned.T, counts, strict=True)], 1)
    of_zones = largest_remainder(packets.sum(axis=1), winners)
    filled = np.diff(np.minimum(packets.cumsum(axis=1), of_zones[:, None]), axis=1, prepend=0)
    # A zone without a packet for these persons does not exist in a run: no later zone waits for it.
    filled_zones = tuple(zone for zone, row in zip(programme.zones, packets, strict=True) if row.any())
    opens = first_days(replace(programme, zones=filled_zones))
    since = np.array([opens.get(zone.name, 0) for zone in programme.zones], np.int64)
    minor = np.array([packet.amount_minor for packet in programme.packets], np.int64)
    return np.repeat(minor, filled.sum(axis=0)), np.concatenate([np.repeat(since, column) for column in filled.T])


def _split(programme: Programme, planned: int, person: Array, seed: int) -> Array:
    """Return the amount of each winner: the budget of the planned ones in whole steps, by weights of chance."""
    split = programme.split
    assert split is not None, "the file of a random split has a step"
    if not person.size:
        return np.zeros(0, np.int64)
    budget_minor = programme.budget_minor * planned // programme.draw.winners // split.step_minor * split.step_minor
    weights = (hours.bits(seed, person, c.STATIC, SPARE_STREAM) >> np.uint64(32)).astype(np.int64) + 1
    steps = (budget_minor - split.least_minor * person.size) // split.step_minor
    return split.least_minor + split.step_minor * largest_remainder(weights, steps)


def _column(people: int, person: Array, values: Array) -> Array:
    """Return a value for each person, 0 for those without one."""
    made = np.zeros(people, np.int64)
    made[person] = values
    return made
