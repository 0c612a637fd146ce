"""The time of the next frame, and which times of a clock are refused."""

from __future__ import annotations

from datetime import timedelta

from sycee.core import limits
from sycee.core.clock import Clock
from sycee.core.errors import UnavailableError
from sycee.sequencer.zones import EPOCH


def next_time_ns(clock: Clock, last_ns: int) -> int:
    """Return the time of the frame after one of `last_ns`, 0 for none: the clock's, or 1 ns later where it went back.

    Raises UnavailableError for a clock gone wild: no later frame could ever have an earlier time.
    """
    clock_ns = clock.now_ns()
    ahead_max = last_ns + limits.CLOCK_AHEAD_NS_MAX if last_ns else limits.FRAME_TIME_NS_MAX
    if clock_ns > min(ahead_max, limits.FRAME_TIME_NS_MAX):
        raise UnavailableError(
            f"the clock says {EPOCH + timedelta(microseconds=clock_ns // 1000):%F}, years ahead of the ledger",
            hint="set the machine's clock; nothing was written",
        )
    return max(clock_ns, last_ns + 1)
