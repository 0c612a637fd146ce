"""Compiled loop over persons, then over days. Tables are sums of integers, so the order of persons does not matter.

Arguments that a setting or a market gives are described in `behaviour/kernel.py`. Person `p` has the columns of row
`p % rows` of the city, and its own draws.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import int64, njit, uint8, uint16, uint64, void

from sycee.core import jit, kernel_build
from sycee.sandbox.behaviour import kernel as b
from sycee.sandbox.behaviour import layout as c
from sycee.sandbox.engine import columns as e

kernel_build.ensure(__name__)
_plain: Any = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False)

SIZE_MASK: Final = np.uint64(0xFF)
_I, _U = int64[::1], uint64[::1]
_SETTING: Final = (_I, int64[:, ::1], _I, _I, _I, _U, _U, _I, _U)
_PEOPLE: Final = (uint16[::1], uint16[::1], _I, _I, uint8[::1], uint8[::1])


@_plain
def _size(entries, offsets, shop, outside):
    """Return the size class of a shop."""
    if shop < 0:
        return outside
    return int64((entries[offsets[c.M_SHOP_DATA] + shop] >> uint64(c.SIZE_SHIFT)) & SIZE_MASK)


@_plain
def _load(person, zone, works, month, liquid, deciles, flags, row, step):
    person[c.ZONE] = zone[row]
    person[c.WORKS_IN] = works[row]
    person[c.MONTH] = month[row] // step
    person[c.LIQUID] = liquid[row] // step
    person[c.INCOME_DECILE] = deciles[row] >> 4
    person[c.LIQUID_DECILE] = deciles[row] & 15
    person[c.FLAGS] = flags[row]


@_plain
def _grant(rules, flags, key, thresholds, grants, chosen, index, row, step):
    """Return the amount that a person is granted, in price steps; 0 for none."""
    if chosen.size > 0:
        return chosen[index] // step
    if thresholds.size == 0 or not b.registers(rules, key, flags[row]):
        return int64(0)
    ticket = b.draw(key, c.STATIC, c.TICKET)
    for kind in range(thresholds.size):
        if ticket <= thresholds[kind]:
            return grants[row % grants.size] // step if grants.size > thresholds.size else grants[kind] // step
    return int64(0)


def _run(
    rules, days, start, propensity, baskets, sectors, open_sectors, offsets, entries,
    zone, works, month, liquid, deciles, flags, first, last, step, with_baseline, thresholds, grants, chosen, since,
    cell_base, group_base, shop_base, cell_effect, group_effect, shop_change, shop_paid, flows, purses,
):  # fmt: skip
    """Add the persons from `first` to `last` (excluded) to the tables.

    `chosen`, `since` (the first day of a claim) and `purses` begin at `first`.
    """
    rows, day_count, classes = zone.size, days.shape[0], group_base.shape[1] // c.DECILES
    person = np.zeros(c.PERSON_COLUMNS, np.int64)
    purse = np.zeros(c.PURSE_FIELDS, np.int64)
    out = np.zeros(c.DECISION_FIELDS, np.int64)
    out_days = np.zeros(day_count, np.int64)
    bits = np.zeros((4, day_count), np.uint64)
    seed = rules[c.R_SEED]
    keep = purses.shape[0] > 0
    ends = int64(-1)
    for day in range(day_count):
        if days[day, c.DAY_ENDS] != 0:
            ends = day
    for p in range(first, last):
        row = p % rows
        key = b.person_key(seed, p)
        _load(person, zone, works, month, liquid, deciles, flags, row, step)
        granted = _grant(rules, flags, key, thresholds, grants, chosen, p - first, row, step)
        if rules[c.R_MUST_REGISTER] and b.registers(rules, key, person[c.FLAGS]):
            flows[0, e.F_REGISTERED] += 1
        if granted == 0:
            if with_baseline:
                _ordinary(
                    rules, days, baskets, sectors, offsets, entries, person, key, 0, classes, out_days, bits,
                    cell_base, group_base, shop_base,
                )  # fmt: skip
            continue
        purse[:] = 0
        purse[c.STAGE] = c.MEMBER
        purse[c.GRANT] = granted
        if since.size > 0:
            purse[c.CLAIM_DAY] = since[p - first]
        flows[0, e.F_RECIPIENTS] += 1
        flows[0, e.F_ISSUED] += granted
        for day in range(day_count):
            b.decide(
                rules, days, start, propensity, baskets, sectors, open_sectors, offsets, entries,
                person, key, day, purse, out,
            )  # fmt: skip
            _add(
                rules, offsets, entries, person, day, purse, out, classes, with_baseline,
                cell_base, group_base, shop_base, cell_effect, group_effect, shop_change, shop_paid, flows,
            )  # fmt: skip
            is_empty = purse[c.STAGE] == c.OVER or (purse[c.STAGE] == c.CLAIMED and purse[c.BALANCE] == 0)
            if is_empty and purse[c.DEBT] == 0:  # all later days are as without a programme
                if ends > day:
                    purse[c.STAGE] = c.OVER
                if with_baseline:
                    _ordinary(
                        rules, days, baskets, sectors, offsets, entries, person, key, day + 1, classes, out_days, bits,
                        cell_base, group_base, shop_base,
                    )  # fmt: skip
                break
        if keep:
            purses[p - first, :] = purse


@_plain
def _ordinary(
    rules, days, baskets, sectors, offsets, entries, person, key, from_day, classes, out_days, bits,
    cell_base, group_base, shop_base,
):  # fmt: skip
    """Add the purchases of a person whom the programme does not change from a day on.

    The days on which the person goes out are listed first and hashed together: no branch depends on a draw there, and
    hashes of several days are computed at once.
    """
    month, zone, works, decile = person[c.MONTH], person[c.ZONE], person[c.WORKS_IN], person[c.INCOME_DECILE]
    zones, kinds, from_work = rules[c.R_ZONES], rules[c.R_SECTORS], rules[c.R_FROM_WORK]
    count = 0
    for day in range(from_day, days.shape[0]):
        out_days[count] = day
        count += int64(b.share_of(b.draw(key, day, c.OUT)) < days[day, c.DAY_OUT])
    for stream in range(4):
        for index in range(count):
            bits[stream, index] = b.draw(key, out_days[index], c.BASKET + stream)
    for index in range(count):
        day = out_days[index]
        planned = (month * baskets[int64(bits[0, index] >> uint64(54))]) >> int64(c.BASKET_BITS)
        is_from_work = int64(b.share_of(bits[1, index]) < from_work) * days[day, c.DAY_WORKS]
        origin = zone + (works - zone) * is_from_work
        cell, shop = b.shop_of(zones, kinds, sectors, offsets, entries, origin, bits[2, index], bits[3, index])
        size = _size(entries, offsets, shop, classes - 1)
        cell_base[day, cell] += planned
        group_base[day, size * c.DECILES + decile] += planned
        if shop >= 0:
            shop_base[shop] += planned


@_plain
def _add(
    rules, offsets, entries, person, day, purse, out, classes, with_baseline,
    cell_base, group_base, shop_base, cell_effect, group_effect, shop_change, shop_paid, flows,
):  # fmt: skip
    """Add one decision of a recipient."""
    decile, outside = person[c.INCOME_DECILE], classes - 1
    group = int64(0)
    cell = out[c.D_ORDINARY_CELL]
    shop = out[c.D_ORDINARY_SHOP]
    if cell >= 0:
        group = _size(entries, offsets, shop, outside) * c.DECILES + decile
        if with_baseline:
            cell_base[day, cell] += out[c.D_PLANNED]
            group_base[day, group] += out[c.D_PLANNED]
            if shop >= 0:
                shop_base[shop] += out[c.D_PLANNED]
        back = out[c.D_PAID_BACK]
        if back > 0:
            cell_effect[day, cell, e.PAID_BACK] += back
            group_effect[day, group, e.PAID_BACK] += back
            if shop >= 0:
                shop_change[shop] -= back
    if out[c.D_CLAIMS]:
        flows[day, e.F_CLAIMS] += 1
        flows[day, e.F_CLAIMED] += purse[c.GRANT]
    flows[day, e.F_RETURNED] += out[c.D_RETURNED] + out[c.D_DECAYED]
    flows[day, e.F_REFUNDED] += out[c.D_REFUNDED]
    flows[day, e.F_TOP_UP] += out[c.D_TOP_UP]
    if not out[c.D_USES]:
        return
    flows[day, e.F_SPENT] += out[c.D_LABEL]
    if purse[c.PAYMENTS] == 1:
        flows[day, e.F_USERS] += 1
    there = out[c.D_CELL]
    other = out[c.D_SHOP]
    place = _size(entries, offsets, other, outside) * c.DECILES + decile
    for column in range(5):  # label, own, substituted, forward, new, lifted are in one order in both
        cell_effect[day, there, column] += out[c.D_LABEL + column]
        group_effect[day, place, column] += out[c.D_LABEL + column]
    cell_effect[day, there, e.LIFTED] += out[c.D_LIFTED]
    group_effect[day, place, e.LIFTED] += out[c.D_LIFTED]
    cell_effect[day, there, e.PAYMENTS] += 1
    group_effect[day, place, e.PAYMENTS] += 1
    moved = out[c.D_SUBSTITUTED]
    if other >= 0:
        shop_change[other] += out[c.D_LABEL] + out[c.D_OWN]
        shop_paid[other, 0] += out[c.D_LABEL]
        shop_paid[other, 1] += out[c.D_OWN]
    if moved > 0:
        if shop >= 0:
            shop_change[shop] -= moved
        cell_effect[day, there, e.MOVED] += moved
        group_effect[day, place, e.MOVED] += moved
        cell_effect[day, cell, e.MOVED] -= moved
        group_effect[day, group, e.MOVED] -= moved


def _tickets(rules, flags, first, last, prefix, shift, counts):
    """Count the tickets of persons who may be drawn, by 16 bits from `shift` up, whose upper bits are `prefix`."""
    rows = flags.size
    seed = rules[c.R_SEED]
    for p in range(first, last):
        key = b.person_key(seed, p)
        if b.registers(rules, key, flags[p % rows]):
            ticket = b.draw(key, c.STATIC, c.TICKET)
            if shift == 48 or ticket >> uint64(shift + 16) == prefix:
                counts[int64(ticket >> uint64(shift)) & (e.BUCKETS - 1)] += 1


def _decide_many(
    rules, days, start, propensity, baskets, sectors, open_sectors, offsets, entries,
    zone, works, month, liquid, deciles, flags, first, last, step, day, purses, decisions,
):  # fmt: skip
    """Decide one day of persons `first` to `last`; row i of `purses` and `decisions` is person first + i."""
    rows = zone.size
    person = np.zeros(c.PERSON_COLUMNS, np.int64)
    for p in range(first, last):
        _load(person, zone, works, month, liquid, deciles, flags, p % rows, step)
        b.decide(
            rules, days, start, propensity, baskets, sectors, open_sectors, offsets, entries,
            person, b.person_key(rules[c.R_SEED], p), day, purses[p - first], decisions[p - first],
        )  # fmt: skip


_TABLES: Final = (
    int64[:, ::1],
    int64[:, ::1],
    _I,
    int64[:, :, ::1],
    int64[:, :, ::1],
    _I,
    int64[:, ::1],
    int64[:, ::1],
    int64[:, ::1],
)
run: Any = jit.entry(
    void(*_SETTING, *_PEOPLE, int64, int64, int64, int64, _U, _I, _I, _I, *_TABLES), error_model="numpy"
)(_run)
tickets: Any = jit.entry(void(_I, uint8[::1], int64, int64, uint64, int64, _I), error_model="numpy")(_tickets)
decide_many: Any = jit.entry(
    void(*_SETTING, *_PEOPLE, int64, int64, int64, int64, int64[:, ::1], int64[:, ::1]), error_model="numpy"
)(_decide_many)
