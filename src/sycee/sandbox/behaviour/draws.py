"""Random numbers without a state: 64 bits from a hash of seed, person, day and stream.

A draw depends on nothing else, so the numbers of a person are equal for any order of persons, on any thread, with or
without a programme. Reading a result changes no draw. The finaliser is that of splitmix64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sycee.core.arrays import Array
from sycee.sandbox.behaviour.layout import GOLDEN, MIX_A, MIX_B, ODD, PPM, STATIC, STREAMS

_MASK: Final = (1 << 64) - 1


def mix(bits: int) -> int:
    """Return a bijective hash of 64 bits."""
    bits = (bits ^ (bits >> 30)) * MIX_A & _MASK
    bits = (bits ^ (bits >> 27)) * MIX_B & _MASK
    return bits ^ (bits >> 31)


def mixed(bits: Array) -> Array:
    """Return `mix` of each element: (n,) uint64."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(MIX_A)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(MIX_B)
    found: Array = bits ^ (bits >> np.uint64(31))
    return found


def seed_key(seed: int) -> int:
    """Return the key of a seed, which may be any integer of 64 bits."""
    return mix(seed + GOLDEN & _MASK)


def person_key(seed: int, person: int) -> int:
    """Return the key of one person's draws under a seed. Two persons never have the same key."""
    return mix(seed_key(seed) + (person + 1) * GOLDEN & _MASK)


@dataclass(frozen=True, slots=True)
class Draws:
    """The draws of one person on one day."""

    key: int  # from `person_key`
    day: int

    def bits(self, stream: int) -> int:
        """Return the 64 bits of a stream of this day."""
        return mix(self.key ^ ((self.day + 1) * STREAMS + stream + 1) * ODD & _MASK)

    def once(self, stream: int) -> int:
        """Return the 64 bits of a stream that the person has once, the same on every day."""
        return mix(self.key ^ ((STATIC + 1) * STREAMS + stream + 1) * ODD & _MASK)


def happens(bits: int, share: int) -> bool:
    """Return whether an event of probability `share` (parts per million) happens under these bits."""
    return share_of(bits) < share


def share_of(bits: int) -> int:
    """Return the bits as a number from 0 to 999,999."""
    return (bits >> 32) * PPM >> 32
