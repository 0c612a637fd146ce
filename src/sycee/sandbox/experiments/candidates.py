"""Designs to compare, made of a programme file and its variants, and the city that they are tried on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from blake3 import blake3

from sycee import data
from sycee.core import documents
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.programmes import definition, variants
from sycee.programmes.definition import Programme
from sycee.sandbox.behaviour import draws
from sycee.sandbox.behaviour.design import Design
from sycee.sandbox.city import groups
from sycee.sandbox.city.model import PERSON_COLUMNS, City
from sycee.sandbox.engine.run import Place, prepare
from sycee.sandbox.ledger_run.recipients import first_design

SAMPLE_SEED: Final = 0x486F7573  # of the choice of households, which is the same for all comparisons


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One design. `keys`: the dotted keys that it changes; `digest`: of its file, BLAKE3-256; `values`: of a grid.

    `design`: without zones and shares of a budget, which `granting` finds for each run. `recipients`: packets in a run,
    after its number of persons; None if all who register share the budget.
    """

    name: str
    keys: tuple[str, ...]
    digest: str
    programme: Programme
    design: Design
    place: Place
    recipients: int | None
    values: tuple[tuple[str, str], ...] = ()  # of each axis of a grid

    def design_digest(self) -> str:
        """Return 32 hexadecimal digits of SHA-256 over all that decides who gets what, where and when."""
        programme = self.programme
        of = (self.design, programme.mode, programme.budget_minor, programme.split, programme.zones)
        return hashlib.sha256(repr(of).encode()).hexdigest()[:32]


@dataclass(slots=True, eq=False)
class Trial:
    """A city with a number of persons, on which programmes are compared."""

    city: City
    people: int
    population: int  # persons that the city represents
    _places: dict[bytes, Place]

    @staticmethod
    def of(city: City, people: int) -> Trial:
        """Return the trial on about `people` persons of a city, with all its shops."""
        made = sampled(city, people)
        return Trial(made, len(made.persons), len(city.persons) * city.one_in, {})

    def candidates(self, base: Path | str, files: Sequence[Path], grid: Path | None = None) -> list[Candidate]:
        """Return the candidates of a base, of variants, and of a grid's combinations, the base first.

        Raises DocumentError for an error in a file, UsageError for a programme that does not fit the city, and for
        two candidates of one name.
        """
        programme = definition.load(base)
        _, content = data.file("pilots", base, "programme")
        found = [self.candidate(programme.name, (), content, programme)]
        for path in files:
            changes = documents.content(path)
            variant = variants.over(base, changes, str(path))
            found.append(self.candidate(variant.name, variant.keys, changes, variant.programme))
        if grid is not None:
            axes = documents.content(grid)
            for each in variants.grid(base, axes, str(grid)):
                made = self.candidate(each.name, each.keys, axes, each.programme)
                found.append(replace(made, values=each.values))
        names = [each.name for each in found]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UsageError(f'two designs have the name "{twice}"', hint="rename the file of one of them")
        return found

    def steps(self, base: Path | str, files: Sequence[Path]) -> dict[str, list[Candidate]]:
        """Return the steps of each variant by its name, key by key in the order of its file. Errors as `candidates`."""
        found = {}
        for path in files:
            changes = documents.content(path)
            found[path.stem] = [
                self.candidate(each.name, each.keys, changes, each.programme)
                for each in variants.steps(base, changes, str(path))
            ]
        return found

    def candidate(self, name: str, keys: tuple[str, ...], content: bytes, programme: Programme) -> Candidate:
        """Return the candidate of a programme. Errors as `candidates`."""
        if programme.currency.code != self.city.currency:
            raise UsageError(
                f"{name} pays {programme.currency.code}, and {self.city.name} has {self.city.currency}",
                hint="try a programme on a city with its currency",
            )
        design = first_design(programme, self.population)
        recipients = None
        if programme.mode != definition.EQUAL:
            recipients = sum(round(count * self.people / self.population) for count, _ in design.classes)
        if recipients == 0:
            raise UsageError(
                f"{name} has no recipient among {self.people:,} of {self.population:,} persons",
                hint="a larger --people; for the folder of a city, also build it with a smaller --one-in",
            )
        shops: Array = np.any(groups.members(self.city, programme), axis=0)
        return Candidate(name, keys, blake3(content).hexdigest(), programme, design, self._of(shops), recipients)

    def _of(self, shops: Array) -> Place:
        """Return the city prepared for these shops; candidates with the same shops share it."""
        key = shops.tobytes()
        if key not in self._places:
            self._places[key] = prepare(self.city, shops)
        return self._places[key]


def check_files(base: Path | str, files: Sequence[Path], grid: Path | None) -> None:
    """Raise DocumentError for an error in a file that does not depend on the city, or a variant equal to its base."""
    definition.load(base)
    for path in files:
        variants.check(base, path)
    if grid is not None:
        variants.grid(base, documents.content(grid), str(grid))


def sampled(city: City, people: int) -> City:
    """Return a city with a sample of whole households, about `people` persons; the same shops and zones.

    Equal arguments give an equal sample. A city with no more persons is returned as it is.
    """
    persons = city.persons
    if people >= len(persons):
        return city
    households = int(persons.household[-1]) + 1
    order = np.argsort(draws.mixed(np.arange(households, dtype=np.uint64) + np.uint64(SAMPLE_SEED)), kind="stable")
    chosen = np.zeros(households, np.bool_)
    chosen[order[: max(households * people // len(persons), 1)]] = True
    kept = chosen[persons.household]
    columns = {name: getattr(persons, name)[kept] for name in PERSON_COLUMNS}
    columns["person"] = np.arange(int(kept.sum()), dtype=np.uint32)
    columns["household"] = np.unique(columns["household"], return_inverse=True)[1].astype(np.uint32)
    population = np.bincount(columns["zone"], minlength=len(city.zones)).astype(np.int64)
    return replace(
        city,
        persons=type(persons)(**columns),
        zones=replace(city.zones, population=population),
        comparisons=(),
    )
