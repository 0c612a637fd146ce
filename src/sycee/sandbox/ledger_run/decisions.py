"""Decisions of one day, as rows of the persons who claim or pay."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sycee.core.arrays import Array
from sycee.core.worker_thread import processors
from sycee.sandbox.behaviour import layout as c
from sycee.sandbox.engine import kernel

CHUNK: Final = 1 << 15  # persons that a thread decides at once: their decisions fit a processor's cache


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """Decisions of the persons who claim or pay on a day."""

    person: Array  # (k,) int64, ascending
    fields: Array  # [DECISION_FIELDS, k]: a field of all persons is one block of memory
    ordinary: Array  # (k,) int64: what each person pays at the ordinary shop in own money

    def of(self, field: int) -> Array:
        """Return a field of all decisions: (k,) int64."""
        found: Array = self.fields[field]
        return found

    def payment(self, row: Array) -> Array:
        """Return what these persons pay with the purse, own money beside it included, also if it is taken back."""
        found: Array = self.fields[[[c.D_LABEL], [c.D_OWN], [c.D_REFUNDED], [c.D_REFUNDED_OWN]], row].sum(axis=0)
        return found


def ordinary_of(made: Array) -> Array:
    """Return the part of each planned purchase that the purse does not replace: (n,) int64."""
    found: Array = made[:, c.D_PLANNED] - made[:, c.D_PAID_BACK] - made[:, c.D_SUBSTITUTED]
    return found


def decide(given: tuple[Any, ...], steps: int, day: int, purses: Array, *, with_ordinary: bool) -> Decisions:
    """Decide a day of all persons, and change `purses`, [people, PURSE_FIELDS], as the decisions assume.

    given: arguments of the kernel. with_ordinary: also return persons who only buy in own money.
    """
    people = len(purses)

    def part(first: int) -> tuple[Array, Array, Array]:
        last = min(first + CHUNK, people)
        made = np.empty((last - first, c.DECISION_FIELDS), np.int64)
        kernel.decide_many(*given, first, last, steps, day, purses[first:last], made)
        acts, ordinary = (made[:, c.D_CLAIMS] | made[:, c.D_USES] | made[:, c.D_REFUNDED]) != 0, ordinary_of(made)
        if with_ordinary:
            acts |= ordinary > 0
        chosen = np.flatnonzero(acts)
        return first + chosen, made[chosen].T, ordinary[chosen]

    starts = range(0, people, CHUNK)
    if len(starts) == 1:
        found = [part(0)]
    else:
        with ThreadPoolExecutor(processors()) as pool:
            found = list(pool.map(part, starts))
    persons, fields, ordinary = zip(*found, strict=True)
    return Decisions(np.concatenate(persons), np.concatenate(fields, axis=1), np.concatenate(ordinary))
