"""Plan of one simulated history, made from its seed before the run: a setting and a list of steps.

Each step has its own bytes for choices, so that dropping one step leaves the others unchanged; shrinking relies on
this.
"""

from __future__ import annotations

import random
from typing import Final, NamedTuple

from sycee.testing.histories import STEP_BYTES
from sycee.testing.simulator_actor import SETTING_BYTES

FAULT_BYTES: Final = 16
BEHIND_BYTES: Final = 64  # part of a snapshot written at each of the following steps
ASKS_MIN, ASKS_MAX = 60, 220
ASKS_PER_SUBMISSION: Final = (1, 1, 2, 3, 4, 6, 9)
CUT_SHORT_TIMES: Final = 2
SNAPSHOTS_BEHIND: Final = 3

# Possible events between two submissions; repeated entries are more frequent.
CALM: Final = (*["clock"] * 10, *["tick"] * 3, *["resend"] * 3, *["snapshot"] * 2, *["close"] * 2, "restore")
POWER: Final = (*["cut"] * 8, *["cut now"] * 3, *["kill"] * 3)
REFUSING: Final = (*["sync fails"] * 4, *["full"] * 4, *["read-only"] * 2)
ROT: Final = (*["rot"] * 5, *["sector"] * 2, *["file lost"] * 2)
LIES: Final = ("lie",) * 6
# Settings of a history: its possible events, and one event in this many steps.
MOODS: Final = (
    (CALM, 3),
    ((*CALM, *POWER), 2),
    ((*CALM, *POWER, *REFUSING), 2),
    ((*CALM, *POWER, *ROT), 2),
    ((*CALM, *POWER, *LIES), 4),
    ((*CALM, *POWER, *REFUSING, *ROT), 2),
    ((*CALM, *POWER, *REFUSING, *ROT, *LIES), 3),
)


class Step(NamedTuple):
    """One step: `what` is "ask" for an operation, "submit" to submit the waiting operations, or an event."""

    what: str
    data: bytes


class Plan(NamedTuple):
    """Plan of one history."""

    setting: bytes
    steps: tuple[Step, ...]
    stage: tuple[int, ...] | None = None  # indexes of the setup operations to submit; None for all


def plan_of(seed: int) -> Plan:
    dice = random.Random(f"sycee.simulator {seed}")
    happenings, rarity = dice.choice(MOODS)
    steps: list[Step] = []
    asks = dice.randint(ASKS_MIN, ASKS_MAX)
    while asks > 0:
        if dice.randrange(rarity) == 0:
            steps.append(Step(dice.choice(happenings), dice.randbytes(FAULT_BYTES)))
        count = min(asks, dice.choice(ASKS_PER_SUBMISSION))
        steps += [Step("ask", dice.randbytes(STEP_BYTES)) for _ in range(count)]
        steps.append(Step("submit", dice.randbytes(2 * FAULT_BYTES)))
        asks -= count
    # Drawn separately: it uses a copy of the disk, and other events stay the same without it.
    dice_apart = random.Random(f"sycee.simulator cut short {seed}")
    for _ in range(CUT_SHORT_TIMES):
        steps.insert(dice_apart.randrange(len(steps) + 1), Step("cut short", dice_apart.randbytes(FAULT_BYTES)))
    dice_apart = random.Random(f"sycee.simulator snapshot behind {seed}")
    for _ in range(SNAPSHOTS_BEHIND):
        data = dice_apart.randbytes(BEHIND_BYTES)
        steps.insert(dice_apart.randrange(len(steps) + 1), Step("snapshot behind", data))
    return Plan(dice.randbytes(SETTING_BYTES), tuple(steps))
