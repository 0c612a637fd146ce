"""The hour of each claim and payment of a day, by the local clock of a programme.

The decision of a day does not depend on the hour. The hours from 8 to 21 are equally likely where a window has any of
them, otherwise all hours of the window are: an assumption, since no pilot published the hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from sycee.core.arrays import Array
from sycee.core.limits import I64_MAX
from sycee.programmes.definition import Programme, Window
from sycee.sandbox.behaviour import draws, of_programme
from sycee.sandbox.behaviour import layout as c
from sycee.sandbox.plan import HOUR_NS

SHOPS_OPEN: Final = 8  # local hours
SHOPS_CLOSE: Final = 22
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Day:
    """One local day: the moments at which packets are claimed and spent, ascending. () where a window is closed."""

    claims: tuple[int, ...]
    payments: tuple[int, ...]
    purchases: tuple[int, ...]  # in own money, in no window


def day_of(programme: Programme, day: int) -> Day:
    """Return a day, counted as in the programme's design: 0 is the first on which claiming or spending is open."""
    first_ns = min(programme.claim.from_ns, programme.spending.from_ns)
    local = (_EPOCH + timedelta(microseconds=first_ns // 1_000)).astimezone(programme.zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    starts = [midnight + timedelta(days=day), midnight + timedelta(days=day + 1)]
    from_ns, until_ns = (int(each.astimezone(UTC).timestamp()) * 10**9 for each in starts)
    return Day(
        _moments(programme.claim, from_ns, until_ns),
        _moments(programme.spending, from_ns, until_ns),
        _moments(Window(first_ns, I64_MAX), from_ns, until_ns),
    )


def first_day(programme: Programme, filled_ns: int) -> int:
    """Return the first day on which a packet that is filled at a moment is claimed.

    It is that of the moment if claims have not begun on it by then, otherwise the next. Without such a day, the day
    after the last one of claims.
    """
    last = of_programme.design(programme, recipients=1).claim_until
    days = (day for day in range(last + 1) if (day_of(programme, day).claims or (-1,))[0] >= filled_ns)
    return next(days, last + 1)


def _moments(window: Window, from_ns: int, until_ns: int) -> tuple[int, ...]:
    """Return the middle of each hour of a day in a window; its first moment if it contains no middle of an hour."""
    middles = list(range(from_ns + HOUR_NS // 2, until_ns, HOUR_NS))
    usual = [each for each in middles[SHOPS_OPEN:SHOPS_CLOSE] if each in window]
    found = usual or [each for each in middles if each in window]
    if not found and max(window.from_ns, from_ns) < min(window.until_ns, until_ns):
        found = [max(window.from_ns, from_ns)]
    return tuple(found)


def moments(
    day: Day, number: int, seed: int, person: Array, claims: Array, pays: Array
) -> tuple[Array, Array]:  # fmt: skip
    """Return the moments of the claim and of the payment of each person, (n,) int64 each; 0 for none.

    `number`: of the day. `claims`, `pays`: (n,) bool. A person who does both claims first.
    """
    drawn = bits(seed, person, number, c.HOUR)
    claimed = _pick(day.claims, drawn >> np.uint64(32), claims)
    paid = _pick(day.payments, drawn & np.uint64(0xFFFFFFFF), pays)
    both = claims & pays
    if both.any():
        late = both & (claimed > day.payments[-1])
        claimed[late] = day.claims[0]
        paid[both] = np.maximum(paid[both], claimed[both])
    return claimed, paid


def refunds(day: Day, paid: Array, refunded: Array) -> Array:
    """Return the moment of the refund of each payment, (n,) int64: the hour after it, or its own if that is the last.

    paid: moments of payments; refunded: (n,) bool. 0 for none.
    """
    moments = np.array(day.payments, np.int64)
    found = np.zeros(paid.size, np.int64)
    if refunded.any():
        place = np.searchsorted(moments, paid[refunded], side="right")
        found[refunded] = np.maximum(moments[np.minimum(place, moments.size - 1)], paid[refunded])
    return found


def purchases(day: Day, number: int, seed: int, person: Array, buys: Array) -> Array:
    """Return the moment of the purchase in own money of each person, (n,) int64; 0 for none. `buys`: (n,) bool."""
    return _pick(day.purchases, bits(seed, person, number, c.ORDINARY_HOUR) >> np.uint64(32), buys)


def _pick(choices: tuple[int, ...], halves: Array, chosen: Array) -> Array:
    found = np.zeros(halves.size, np.int64)
    if chosen.any():
        index = (halves * np.uint64(len(choices))) >> np.uint64(32)
        found[chosen] = np.array(choices, np.int64)[index[chosen].astype(np.int64)]
    return found


def bits(seed: int, person: Array, day: int, stream: int) -> Array:
    """Return `Draws.bits(stream)` of many persons: (n,) uint64."""
    with np.errstate(over="ignore"):
        key = draws.mixed(np.uint64(draws.seed_key(seed)) + (person.astype(np.uint64) + np.uint64(1)) * _GOLDEN)
        place = np.uint64(((day + 1) * c.STREAMS + stream + 1) * c.ODD & ((1 << 64) - 1))
        return draws.mixed(key ^ place)


_GOLDEN: Final = np.uint64(c.GOLDEN)
