"""The rule of decisions, compiled. `decide.py` is the same rule in plain Python, with the reasons; tests compare both.

A caller passes a setting's arrays: `rules` (R_*), `days` [days, DAY_*], `start` [days], `propensity` [100] by decile of
income and of liquid wealth, `baskets` [BASKETS], `sectors` and `open_sectors` (alias tables), and a market's `offsets`
(M_*) and `entries`. All are int64 except for alias tables and entries, which are uint64.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import int64, njit, uint64, void

from sycee.core import jit, kernel_build
from sycee.sandbox.behaviour import layout as c

kernel_build.ensure(__name__)
plain: Any = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False)

MIX_A: Final = np.uint64(c.MIX_A)
MIX_B: Final = np.uint64(c.MIX_B)
GOLDEN: Final = np.uint64(c.GOLDEN)
ODD: Final = np.uint64(c.ODD)
HALF: Final = np.uint64(32)
LOW: Final = np.uint64(0xFFFFFFFF)
MILLION: Final = np.uint64(c.PPM)


@plain
def mix(bits):
    """Return `draws.mix`."""
    bits = (bits ^ (bits >> uint64(30))) * MIX_A
    bits = (bits ^ (bits >> uint64(27))) * MIX_B
    return bits ^ (bits >> uint64(31))


@plain
def person_key(seed, person):
    """Return `draws.person_key`."""
    return mix(mix(uint64(seed) + GOLDEN) + uint64(person + 1) * GOLDEN)


@plain
def draw(key, day, stream):
    """Return the bits of a stream of a day; of STATIC, of a stream that a person has once."""
    return mix(key ^ (uint64((day + 1) * c.STREAMS + stream + 1) * ODD))


@plain
def share_of(bits):
    """Return `draws.share_of`."""
    return int64(((bits >> HALF) * MILLION) >> HALF)


@plain
def pick(entries, first, count, half):
    """Return an index of an alias table for 32 bits."""
    scaled = half * uint64(count)
    index = int64(scaled >> HALF)
    entry = entries[first + index]
    if (scaled & LOW) < (entry >> HALF):
        return index
    return int64(entry & LOW)


@plain
def pick_shop(entries, cells, shops, cell, bits):
    """Return the position of a shop of a cell, or OUTSIDE if the cell has none."""
    place = entries[cells + cell]
    count = int64(place & LOW)
    if count == 0:
        return int64(c.OUTSIDE)
    first = int64(place >> HALF)
    index = int64(((bits >> HALF) * uint64(count)) >> HALF)
    entry = entries[shops + first + index]
    if (bits & LOW) < (entry >> HALF):
        return first + index
    return first + int64(entry & LOW)


@plain
def basket(month, baskets, key, day):
    """Return the usual purchase of a day."""
    return (month * baskets[int64(draw(key, day, c.BASKET) >> uint64(54))]) >> int64(c.BASKET_BITS)


@plain
def place(rules, day_works, sectors, offsets, entries, key, day, zone, works):
    """Return cell and position of the shop of a planned purchase; (last cell, OUTSIDE) outside of the city."""
    origin = zone
    if day_works and works != zone and share_of(draw(key, day, c.FROM_WORK)) < rules[c.R_FROM_WORK]:
        origin = works
    where, which = draw(key, day, c.PLACE), draw(key, day, c.SHOP)
    return shop_of(rules[c.R_ZONES], rules[c.R_SECTORS], sectors, offsets, entries, origin, where, which)


@plain
def shop_of(zones, kinds, sectors, offsets, entries, origin, where, which):
    """Return cell and position of a shop for the bits that choose sector and zone, and the bits that choose a shop."""
    sector = pick(sectors, 0, kinds + 1, where >> HALF)
    if sector == kinds:
        return (zones + 1) * kinds, int64(c.OUTSIDE)
    row = offsets[c.M_ZONES] + (origin * kinds + sector) * (zones + 1)
    cell = pick(entries, row, zones + 1, where & LOW) * kinds + sector
    return cell, pick_shop(entries, offsets[c.M_CELLS], offsets[c.M_SHOPS], cell, which)


@plain
def accepting(rules, open_sectors, offsets, entries, key, day, zone, planned_cell):
    """Return cell and position of an accepting shop for a special trip, of the planned sector where it has one."""
    zones, kinds = rules[c.R_ZONES], rules[c.R_SECTORS]
    if open_sectors.size == 0:
        return int64(0), int64(c.OUTSIDE)
    sector = int64(-1)
    bits = draw(key, day, c.OTHER_ZONE)
    if planned_cell >= 0 and planned_cell < (zones + 1) * kinds:
        sector = planned_cell % kinds
        if open_sectors[kinds + sector] == 0:
            sector = int64(-1)
    if sector < 0:
        sector = pick(open_sectors, 0, kinds, draw(key, day, c.ANY_SECTOR) >> HALF)
    row = offsets[c.M_OPEN_ZONES] + (zone * kinds + sector) * (zones + 1)
    cell = pick(entries, row, zones + 1, bits & LOW) * kinds + sector
    return cell, pick_shop(
        entries, offsets[c.M_OPEN_CELLS], offsets[c.M_OPEN_SHOPS], cell, draw(key, day, c.OTHER_SHOP)
    )


@plain
def registers(rules, key, flags):
    """Return `decide.registers`."""
    if flags & c.ELIGIBLE == 0:
        return False
    if rules[c.R_MUST_REGISTER] == 0:
        return True
    share = rules[c.R_REGISTER]
    if flags & c.OLD:
        share = share * rules[c.R_REGISTER_OLD] // c.PPM
    return share_of(draw(key, c.STATIC, c.REGISTER)) < share


@plain
def _claims(rules, days, key, day, flags):
    share = rules[c.R_CLAIM]
    if flags & (c.OLD | c.DISABLED):
        share = share * rules[c.R_CLAIM_OLD] // c.PPM
    return (
        days[day, c.DAY_CLAIMS] != 0
        and share_of(draw(key, c.STATIC, c.WILLING)) < share
        and share_of(draw(key, c.STATIC, c.DELIVERY)) < days[day, c.DAY_DELIVERED]
        and share_of(draw(key, day, c.CLAIM)) < days[day, c.DAY_CLAIM_HAZARD]
    )


@plain
def _propensity(rules, propensity, key, person):
    share = propensity[person[c.INCOME_DECILE] * c.DECILES + person[c.LIQUID_DECILE]]
    if share == 0:
        return share
    centred = 2 * share_of(draw(key, c.STATIC, c.SPREAD)) - (c.PPM - 1)
    return min(max(share + rules[c.R_SPREAD] * centred // c.PPM, 0), int64(c.MPC_MAX))


@plain
def decide(
    rules, days, start, propensity, baskets, sectors, open_sectors, offsets, entries, person, key, day, purse, out
):
    """Write one decision to `out` and the purse after it to `purse`."""
    for field in range(c.DECISION_FIELDS):
        out[field] = 0
    out[c.D_ORDINARY_SHOP] = c.OUTSIDE
    out[c.D_SHOP] = c.OUTSIDE
    out[c.D_ORDINARY_CELL] = -1
    out[c.D_CELL] = -1
    zone, month = person[c.ZONE], person[c.MONTH]
    if purse[c.STAGE] == c.NO_PURSE and day == 0:
        out[c.D_REGISTERS] = int64(registers(rules, key, person[c.FLAGS]))
    planned = int64(0)
    if share_of(draw(key, day, c.OUT)) < days[day, c.DAY_OUT]:
        planned = basket(month, baskets, key, day)
    if planned > 0:
        cell, shop = place(rules, days[day, c.DAY_WORKS], sectors, offsets, entries, key, day, zone, person[c.WORKS_IN])
        out[c.D_GOES_OUT] = 1
        out[c.D_ORDINARY_CELL] = cell
        out[c.D_ORDINARY_SHOP] = shop
        out[c.D_PLANNED] = planned
    if purse[c.STAGE] == c.MEMBER and day >= purse[c.CLAIM_DAY] and _claims(rules, days, key, day, person[c.FLAGS]):
        out[c.D_CLAIMS] = 1
        purse[c.STAGE] = c.CLAIMED
        purse[c.BALANCE] = purse[c.GRANT]
        purse[c.CLAIM_DAY] = day
    if purse[c.STAGE] == c.CLAIMED and rules[c.R_DECAY_WEEK] > 0:
        age = day - purse[c.CLAIM_DAY]
        if age > 0 and age % c.DAYS_OF_A_WEEK == 0:
            out[c.D_DECAYED] = purse[c.BALANCE] * rules[c.R_DECAY_WEEK] // c.PPM
            purse[c.BALANCE] -= out[c.D_DECAYED]
            purse[c.RETURNED] += out[c.D_DECAYED]
    if purse[c.DEBT] > 0 and planned > 0:
        back = min(purse[c.DEBT], planned * rules[c.R_PAYBACK] // c.PPM)
        planned -= back
        purse[c.DEBT] -= back
        out[c.D_PAID_BACK] = back
    if purse[c.STAGE] == c.CLAIMED and purse[c.BALANCE] > 0 and days[day, c.DAY_OPEN] != 0:
        _use(
            rules, days, start, propensity, baskets, open_sectors, offsets, entries,
            person, key, day, planned, purse, out,
        )  # fmt: skip
    if days[day, c.DAY_ENDS] != 0 and (purse[c.STAGE] == c.MEMBER or purse[c.STAGE] == c.CLAIMED):
        out[c.D_RETURNED] = purse[c.BALANCE] if purse[c.STAGE] == c.CLAIMED else purse[c.GRANT]
        purse[c.RETURNED] += out[c.D_RETURNED]
        purse[c.BALANCE] = 0
        purse[c.STAGE] = c.OVER


@plain
def _use(
    rules, days, start, propensity, baskets, open_sectors, offsets, entries, person, key, day, planned, purse, out
):  # fmt: skip
    """Decide whether the purse pays, where and how much."""
    if share_of(draw(key, c.STATIC, c.NEVER)) < rules[c.R_NEVER]:
        return
    shop, cell, is_planned = int64(c.OUTSIDE), int64(-1), False
    if planned > 0:
        there = out[c.D_ORDINARY_SHOP]
        accepts = rules[c.R_ANYWHERE] != 0
        if there >= 0 and not accepts:
            accepts = (entries[offsets[c.M_SHOP_DATA] + there] >> uint64(c.ACCEPTS_SHIFT)) & uint64(1) != 0
        if accepts:
            is_planned = True
            share = days[day, c.DAY_USE]
            if purse[c.PAYMENTS] > 0:
                share += rules[c.R_HABIT]
            if rules[c.R_AUTOMATIC] == 0 and share_of(draw(key, day, c.USE)) >= share:
                return
            shop, cell = there, out[c.D_ORDINARY_CELL]
    if not is_planned:
        if rules[c.R_ANYWHERE] != 0:
            return
        hazard = start[day - purse[c.CLAIM_DAY]] + days[day, c.DAY_HAZARD]
        if share_of(draw(key, day, c.SPECIAL)) >= hazard:
            return
        planned_cell = out[c.D_ORDINARY_CELL] if planned > 0 else int64(-1)
        cell, shop = accepting(rules, open_sectors, offsets, entries, key, day, person[c.ZONE], planned_cell)
        if shop < 0:
            return
    available = purse[c.BALANCE]
    piece = rules[c.R_PIECE]
    if piece > 0 and rules[c.R_STACKING] == 0:
        available = min(available, piece)
    if rules[c.R_PAYMENT_MAX] > 0:
        available = min(available, rules[c.R_PAYMENT_MAX])
    adds = rules[c.R_ANYWHERE] != 0 or piece > 0 or share_of(draw(key, day, c.BESIDE)) < rules[c.R_BESIDE]
    own_max = int64(0)
    if adds and rules[c.R_OWN_MONEY] != 0:
        own_max = max(person[c.LIQUID], planned)
    target = planned if planned > 0 else basket(person[c.MONTH], baskets, key, day)
    if rules[c.R_ANYWHERE] == 0 and piece == 0 and share_of(draw(key, day, c.CLEAR)) < rules[c.R_CLEAR]:
        target = available
        if own_max > 0:
            size = 2 * share_of(draw(key, day, c.BESIDE_SIZE))
            target += available * rules[c.R_BESIDE_SIZE] // c.PPM * size // c.PPM
    target = max(target, planned)
    new = min(available, target) * _propensity(rules, propensity, key, person) // c.PPM
    payment = min(max(target, planned + new), available + own_max)
    lifted = int64(0)
    least = rules[c.R_PAYMENT_MIN]
    if payment < least:
        distance = (least - payment) * c.PPM // least
        reach = rules[c.R_LIFT_REACH]
        if distance >= reach or least > available + own_max:
            return
        if share_of(draw(key, day, c.LIFT)) >= rules[c.R_LIFT] * (reach - distance) // reach:
            return
        lifted = least - payment
        payment = least
    if piece > 0 and rules[c.R_STACKING] != 0 and least > 0:
        available = min(available, payment // least * piece)
    label = min(payment, available)
    if label <= 0:
        return
    if rules[c.R_ANYWHERE] == 0 and share_of(draw(key, day, c.REFUND)) < rules[c.R_REFUND]:
        out[c.D_SHOP] = shop
        out[c.D_CELL] = cell
        out[c.D_REFUNDED] = label
        out[c.D_REFUNDED_OWN] = payment - label
        out[c.D_TOP_UP] = payment - label
        return
    new = min(new, payment) * (c.PPM - rules[c.R_FORWARD]) // c.PPM + lifted * rules[c.R_LIFT_NEW] // c.PPM
    new = min(new, payment)
    substituted = min(planned, payment - new)
    purse[c.BALANCE] -= label
    unused = int64(0)
    if piece > 0:
        unused = min((piece - label % piece) % piece, purse[c.BALANCE])
    elif rules[c.R_DIVISIBLE] == 0:
        unused = purse[c.BALANCE]
    purse[c.BALANCE] -= unused
    purse[c.RETURNED] += unused
    out[c.D_DECAYED] += unused
    purse[c.DEBT] += payment - new - substituted
    purse[c.PAYMENTS] += 1
    purse[c.SPENT] += label
    out[c.D_USES] = 1
    out[c.D_SHOP] = shop
    out[c.D_CELL] = cell
    out[c.D_LABEL] = label
    out[c.D_OWN] = payment - label
    out[c.D_SUBSTITUTED] = substituted
    out[c.D_FORWARD] = payment - new - substituted
    out[c.D_NEW] = new
    out[c.D_LIFTED] = lifted
    out[c.D_TOP_UP] = payment - label if rules[c.R_ANYWHERE] == 0 else int64(0)


def _alias_rows(weights, entries):
    """Write the alias table (Vose 1991) of each row of `weights` to the same row of `entries`. A row may be empty."""
    count = weights.shape[1]
    scaled = np.empty(count, np.int64)
    small = np.empty(count, np.int64)
    large = np.empty(count, np.int64)
    for row in range(weights.shape[0]):
        _alias(weights[row], entries[row], count, scaled, small, large)


@plain
def _alias(weights, entries, count, scaled, small, large):
    """Build one table: the threshold of an index in the upper 32 bits, the other index in the lower."""
    total = int64(0)
    for index in range(count):
        total += weights[index]
    smalls, larges = 0, 0
    for index in range(count):
        scaled[index] = weights[index] * count
        entries[index] = uint64(0xFFFFFFFF) << HALF | uint64(index)
        if total > 0:
            if scaled[index] < total:
                small[smalls] = index
                smalls += 1
            else:
                large[larges] = index
                larges += 1
    while smalls > 0 and larges > 0:
        smalls -= 1
        poor, rich = small[smalls], large[larges - 1]
        entries[poor] = (uint64(scaled[poor]) << HALF) // uint64(total) << HALF | uint64(rich)
        scaled[rich] -= total - scaled[poor]
        if scaled[rich] < total:
            larges -= 1
            small[smalls] = rich
            smalls += 1


def _alias_groups(weights, starts, entries):
    """Write an alias table for each group of `weights`, which begins at `starts` [groups + 1]. Indices are in it."""
    longest = 0
    for group in range(starts.size - 1):
        longest = max(longest, starts[group + 1] - starts[group])
    scaled = np.empty(longest, np.int64)
    small = np.empty(longest, np.int64)
    large = np.empty(longest, np.int64)
    for group in range(starts.size - 1):
        first, end = starts[group], starts[group + 1]
        _alias(weights[first:end], entries[first:end], end - first, scaled, small, large)


alias_rows: Any = jit.entry(void(int64[:, ::1], uint64[:, ::1]), error_model="numpy")(_alias_rows)
alias_groups: Any = jit.entry(void(int64[::1], int64[::1], uint64[::1]), error_model="numpy")(_alias_groups)
