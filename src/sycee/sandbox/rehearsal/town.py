"""The town of a rehearsal: the neutral town of the sandbox, with the shops of the rehearsal added, and its people.

The shops that the town has anyway do not take part. Incomes and prices follow from the description of the pilot with
the programme's name. A programme without one gets those of REFERENCE, in its own currency, scaled so that the mean
packet is the same part of a month's consumption.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np

from sycee import data
from sycee.core.arrays import Array
from sycee.programmes.definition import Programme
from sycee.sandbox.behaviour import layout as c
from sycee.sandbox.behaviour import parameters as behaviour
from sycee.sandbox.behaviour import setting as settings
from sycee.sandbox.behaviour import variants
from sycee.sandbox.behaviour.of_programme import design
from sycee.sandbox.behaviour.people import People
from sycee.sandbox.city.model import City, Merchants
from sycee.sandbox.engine.run import prepare
from sycee.sandbox.inference.posterior import Posterior
from sycee.sandbox.ledger_run.run import Case
from sycee.sandbox.pilots import description, town
from sycee.sandbox.pilots.description import Description
from sycee.sandbox.rehearsal.shops import Shop

REFERENCE: Final = "luohu-2020"  # the public drop with the most published figures
ADULT: Final = 18
MIDDLE: Final = (0.5, 0.5, 0.5, 0.5)  # of facts that a description omits


@dataclass(frozen=True, slots=True, eq=False)
class Town:
    """A town. `shop`: row of each shop of the rehearsal among the merchants of the city."""

    city: City
    shop: Array  # (shops,) int64
    bounds: tuple[int, ...]  # of sizes of shops, in minor units


def described(programme: Programme, packet_minor: int) -> Description:
    """Return the facts about incomes and prices. packet_minor: the mean packet, for a programme without own facts."""
    if programme.name in data.names(description.FOLDER):
        return description.load(programme.name)
    known = description.load(REFERENCE)
    usual = sum(count * minor for count, minor in known.design.classes) // max(known.design.recipients, 1)
    usual = usual or known.design.amount

    def scaled(minor: int) -> int:
        return max(minor * packet_minor // usual, 1)

    return replace(
        known,
        name=programme.name,
        title=programme.title,
        currency=programme.currency,
        income_month=scaled(known.income_month),
        consumption_month=scaled(known.consumption_month),
    )


def plain_city() -> City:
    """Return the neutral town at full size, whose sectors a file of shops names."""
    return town.neutral(1)


def town_of(known: Description, shops: Sequence[Shop]) -> Town:
    """Return the town with these shops added."""
    city = town.city(known, town.facts(known, MIDDLE), plain_city())
    merchants, kinds = city.merchants, [each.name for each in city.sectors]
    chosen = np.array([_like(merchants, kinds.index(each.sector), each) for each in shops], np.int64)
    columns = {
        each.name: np.concatenate([getattr(merchants, each.name), getattr(merchants, each.name)[chosen]])
        for each in fields(Merchants)
    }
    columns["merchant"] = np.arange(columns["merchant"].size, dtype=np.uint32)
    columns["online"][len(merchants) :] = False
    added = len(merchants) + np.arange(chosen.size)
    return Town(replace(city, merchants=Merchants(**columns)), added, town.size_bounds(known))


def _like(merchants: Merchants, sector: int, shop: Shop) -> int:
    """Return the row of the town's merchant whose size a shop has."""
    rows = np.flatnonzero(merchants.sector == sector)
    turnover = merchants.turnover_year[rows]
    if shop.turnover_minor:
        return int(rows[np.argmin(np.abs(turnover - shop.turnover_minor))])
    return int(rows[np.argsort(-turnover, kind="stable")[int(shop.rank * rows.size)]])


def case_of(
    programme: Programme,
    made: Town,
    shops: Sequence[Shop],
    known: Posterior,
    *,
    people: int,
    recipients: int,
    seed: int,
) -> Case:
    """Return the case of a rehearsal: persons of the town who could register, and one draw of a posterior."""
    names = [each.name for each in programme.merchants]
    members = np.zeros((len(names), len(made.city.merchants)), np.bool_)
    for row, shop in zip(made.shop.tolist(), shops, strict=True):
        if shop.group:
            members[names.index(shop.group), row] = True
    place = prepare(made.city, np.asarray(members.any(axis=0)), made.bounds)
    place = replace(place, people=_persons(place.people, people, seed))
    (parameters,) = known.draws(behaviour.standard(), 1, seed, variants.LIQUID_WEALTH.name)
    drawn = design(programme, population=people, recipients=recipients)
    setting = settings.make(drawn, parameters, variants.LIQUID_WEALTH, place.market, drawn.last_day + 1)
    setting.rules[c.R_SEED] = seed
    return Case(programme, place, members, setting, seed)


def _persons(people: People, count: int, seed: int) -> People:
    """Return this number of adults with a wallet on a phone; those of a larger file are repeated, with own draws."""
    rows = np.flatnonzero(people.has_wallet & (people.age >= ADULT))
    order = np.random.default_rng(seed).permutation(rows)
    chosen = order[np.arange(count) % order.size]
    return People(**{each.name: getattr(people, each.name)[chosen] for each in fields(People)})
