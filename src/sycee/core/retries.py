"""Answers of receivers, and the time of the next attempt: for webhooks, and for messages to phones."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# Seconds after each failed attempt, as Standard Webhooks recommends; after the last one there is a dead letter.
RETRY_S: Final = (5, 300, 1_800, 7_200, 18_000, 36_000, 36_000)
RETRY_AFTER_S_MAX: Final = 3_600
JITTER: Final = 0.1  # so that not all retry a returned receiver together
_S: Final = 10**9


@dataclass(frozen=True, slots=True)
class Answer:
    """A receiver's answer, or why there is none. `status` 0: no answer."""

    status: int
    reason: str
    retry_after_s: int = 0

    @property
    def is_taken(self) -> bool:
        """Whether the receiver took what was sent."""
        return 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants it at no later time."""
        return self.status == 410


def next_ns(now_ns: int, failures: int, answer: Answer, retry_s: Sequence[float] | None = None) -> int | None:
    """Return the time of the attempt after `failures` failed ones, 1 or more; None after the last one.

    `retry_s`: the delays, RETRY_S by default.
    """
    retry_s = RETRY_S if retry_s is None else retry_s
    if failures > len(retry_s):
        return None
    delay_s = retry_s[failures - 1] * random.uniform(1 - JITTER, 1 + JITTER)
    return now_ns + int(max(delay_s, min(answer.retry_after_s, RETRY_AFTER_S_MAX)) * _S)
