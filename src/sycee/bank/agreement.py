"""Agreement of SQL and ledger: every service compares its rows with the ledger, while payments continue."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol, runtime_checkable

AGAIN_S: Final = 0.2  # most steps are shorter; of longer ones the intent is known to be in work


@runtime_checkable
class Compared(Protocol):
    """A service that compares its rows with the ledger."""

    def disagreements(self) -> Iterator[str]:
        """Yield one sentence for each row that the ledger does not agree with. Stops no frame for long."""
        ...


def disagreements(services: Sequence[Any]) -> list[str]:
    """Return the disagreements of all services.

    A step that is being done is in one store before the other. So a disagreement counts only if it is still there in a
    second comparison.
    """
    found: list[str] = []
    for service in services:
        if isinstance(service, Compared) and (first := [*service.disagreements()]):
            time.sleep(AGAIN_S)
            again = set(service.disagreements())
            found += [sentence for sentence in first if sentence in again]
    return found
