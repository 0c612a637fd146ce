"""Agreement of SQL and ledger: every service compares its rows with the ledger, while payments continue."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol, runtime_checkable

from sycee.database.intents import Intents

AGAIN_S: Final = 0.2
SETTLE_S: Final = 30.0  # the longest wait for a transaction of another thread


@runtime_checkable
class Compared(Protocol):
    """A service that compares its rows with the ledger."""

    def disagreements(self) -> Iterator[str]:
        """Yield one sentence for each row that the ledger does not agree with. Stops no frame for long.

        The sentence of a row must be the same at the next call: it contains no number that grows by itself.
        """
        ...


def disagreements(intents: Intents, services: Sequence[Any]) -> list[str]:
    """Return the disagreements of the intents and of all services.

    A step that is in progress is in one store before the other. So a disagreement counts only if a second comparison
    finds it again, after the intents in progress have ended.
    """
    found: list[str] = []
    for service in (intents, *services):
        if isinstance(service, Compared) and (first := [*service.disagreements()]):
            intents.settle(SETTLE_S)
            time.sleep(AGAIN_S)
            again = set(service.disagreements())
            found += [sentence for sentence in first if sentence in again]
    return found
