"""A synthetic city built from a city file, and its figures compared with the published ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from sycee.core.arrays import Array
from sycee.sandbox.city import compare, people, places
from sycee.sandbox.city.definition import CityFile
from sycee.sandbox.city.model import City, Sector, Zones
from sycee.sandbox.seeded_choices import Stream

SEED_MAX: Final = 2**63 - 1
ONE_IN_MAX: Final = 100_000


def build(
    file: CityFile, *, seed: int, one_in: int = 1, progress: Callable[[int, int], None] = lambda done, total: None
) -> City:
    """Build a city. Equal file, seed and `one_in` give equal columns.

    one_in: 10 makes one synthetic person for ten, and one shop for ten. `progress` is called with the persons that have
    a household and their total. Raises UsageError where the file's figures contradict each other.
    """
    stream = Stream(seed)
    fitted = people.counts(file, one_in)
    total = int(fitted.persons.sum())
    persons = people.persons(file, fitted, places.commuters(file), stream, lambda done: progress(done, total))
    city = City(
        name=file.name,
        title=file.title,
        currency=file.currency.code,
        file_digest=file.digest,
        seed=seed,
        one_in=one_in,
        consumption_ppm=file.consumption_ppm,
        sectors=tuple(Sector(each.name, each.basket_ppm, each.distance_m) for each in file.sectors),
        persons=persons,
        merchants=places.merchants(file, persons, one_in, stream),
        zones=Zones(
            zone=np.arange(len(file.zones), dtype=np.uint16),
            name=tuple(each.name for each in file.zones),
            population=np.bincount(persons.zone, minlength=len(file.zones)).astype(np.int64),
            area_m2=_column(file, "area_m2", np.int64),
            x_m=_column(file, "x_m", np.int32),
            y_m=_column(file, "y_m", np.int32),
        ),
    )
    city.check()
    return compare.compared(city, file)


def _column(file: CityFile, name: str, kind: type) -> Array:
    return np.array([getattr(each, name) for each in file.zones], kind)
