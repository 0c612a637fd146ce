"""Agreement of SQL and ledger: every service compares its rows with the state of the ledger between two frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from sycee.database.stores import Stores
from sycee.ledger.state import LedgerState


@runtime_checkable
class Compared(Protocol):
    """A service that compares its rows with the ledger."""

    def disagreements(self, state: LedgerState) -> Iterator[str]:
        """Yield one sentence for each row that the ledger does not agree with."""
        ...


def disagreements(stores: Stores, services: Sequence[Any]) -> list[str]:
    """Return the disagreements of the intents and of all services. Payments wait meanwhile."""
    found: list[str] = []
    with stores.ledger.sequencer.reading() as state:
        for service in (stores.intents, *services):
            if isinstance(service, Compared):
                found += service.disagreements(state)
    return found
