"""States of a programme and of its occurrences, and the allowed changes (docs/reference/programmes-live.md).

A programme is one file. An occurrence is one run of it, from 0: a programme without a schedule has occurrence 0 alone.
A halt is no state: a halted programme keeps the state that it had.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sycee.core.errors import UsageError
from sycee.database.events import EventKind

DRAFT: Final = "draft"
REGISTRATION: Final = "registration"
FROZEN: Final = "frozen"
DRAWN: Final = "drawn"
APPROVED: Final = "approved"
ALLOTTED: Final = "allotted"
DROPPED: Final = "dropped"
EXPIRED: Final = "expired"
CLOSED: Final = "closed"
CANCELLED: Final = "cancelled"

RUNNING: Final = "running"  # of a programme: an occurrence has begun
PROGRAMME_STATES: Final = (DRAFT, RUNNING, CLOSED, CANCELLED)
OCCURRENCE_STATES: Final = (
    *(DRAFT, REGISTRATION, FROZEN, DRAWN, APPROVED, ALLOTTED, DROPPED, EXPIRED, CLOSED, CANCELLED),
)
FINISHED: Final = (CLOSED, CANCELLED)
UNSPENT: Final = (APPROVED, ALLOTTED, DROPPED)  # packet money is promised, or may still be spent

# The changes of an occurrence. Until its cohort is sealed it can be cancelled; afterwards money may have moved.
CHANGES: Final[Mapping[str, frozenset[str]]] = {
    DRAFT: frozenset({REGISTRATION, CANCELLED}),
    REGISTRATION: frozenset({FROZEN, CANCELLED}),
    FROZEN: frozenset({DRAWN, CANCELLED}),
    DRAWN: frozenset({APPROVED, CANCELLED}),
    APPROVED: frozenset({ALLOTTED, CANCELLED}),
    ALLOTTED: frozenset({DROPPED, CANCELLED}),
    DROPPED: frozenset({EXPIRED}),
    EXPIRED: frozenset({CLOSED}),
    CLOSED: frozenset(),
    CANCELLED: frozenset(),
}
assert set(CHANGES) == set(OCCURRENCE_STATES)

# The step that follows a state, for the hint of an error.
NEXT_STEPS: Final[Mapping[str, str]] = {
    DRAFT: "open its registration",
    REGISTRATION: "freeze its list",
    FROZEN: "publish the list, bring the beacon's value twice, and draw",
    DRAWN: "propose its terms, which two officers sign",
    APPROVED: "allot: add and seal its cohort",
    ALLOTTED: "drop",
    DROPPED: "wait for its expiry",
    EXPIRED: "close it",
    CLOSED: "nothing, it has ended",
    CANCELLED: "nothing, it has ended",
}

# The event of each change, named by the new state.
EVENTS: Final[Mapping[str, EventKind]] = {
    DRAFT: EventKind.PROGRAMME_DRAFTED,
    REGISTRATION: EventKind.PROGRAMME_REGISTERING,
    FROZEN: EventKind.PROGRAMME_FROZEN,
    DRAWN: EventKind.PROGRAMME_DRAWN,
    APPROVED: EventKind.PROGRAMME_APPROVED,
    ALLOTTED: EventKind.PROGRAMME_ALLOTTED,
    DROPPED: EventKind.PROGRAMME_DROPPED,
    EXPIRED: EventKind.PROGRAMME_EXPIRED,
    CLOSED: EventKind.PROGRAMME_CLOSED,
    CANCELLED: EventKind.PROGRAMME_CANCELLED,
}


def is_at_least(state: str, other: str) -> bool:
    """Return whether a state is `other` or a later one; a cancelled occurrence has no state but that one."""
    return state != CANCELLED and OCCURRENCE_STATES.index(state) >= OCCURRENCE_STATES.index(other)


def require_change(what: str, state: str, new: str) -> None:
    """Raise UsageError unless an occurrence in `state` may become `new`. `what`: the occurrence, for the error."""
    if new not in CHANGES[state]:
        raise UsageError(f"{what} is {state} and cannot become {new}", hint=f"the next step: {NEXT_STEPS[state]}")
