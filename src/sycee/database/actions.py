"""Actions: changes of SQL after an intent's records have results. An intent stores a name and a JSON payload.

After a crash another process finishes the intent. So it finds the action by name, and the action reads only payload,
records and results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from sqlalchemy.engine import Connection

from sycee.core.arrays import Array
from sycee.core.errors import Refused, UnavailableError, UsageError
from sycee.core.records.envelopes import Envelope
from sycee.core.result_codes import Result
from sycee.database.states import LAPSED
from sycee.ledger.batch import CONSEQUENCES
from sycee.sequencer.signer import Signer


@dataclass(frozen=True, slots=True, eq=False)
class Intent:
    """A stored intent, as an action sees it. `records` is empty once `Intents.prune` has removed them."""

    id: int
    action: str
    payload: Mapping[str, Any]
    records: Array  # (n,) layout.OPERATION
    envelopes: Array  # (m,) envelopes.ENVELOPE
    valid_until_ns: int
    who: int
    parts: Sequence[int] = ()  # as of the draft; () for a stored intent that is finished later


class Action(Protocol):
    """Changes of SQL by an action. Both methods run in the transaction that finishes the intent.

    Both set a final state from any earlier state, and never add to a number: after a restore either may run again.
    """

    name: str  # "wallets.open"

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Write the outcome. `results`: the first result of each record."""
        ...

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Undo the writes of the draft's `before`: no record was, or will be, accepted. At a restore also after
        `done`.
        """
        ...


@runtime_checkable
class RebuildingAction(Action, Protocol):
    """An action whose records follow from files and rows that stay: the database has only their digest.

    For steps of millions of records, which would otherwise be on the disk twice.
    """

    def records(self, payload: Mapping[str, Any]) -> Array:
        """Make the records of an intent again: (n,) layout.OPERATION. Raises IntegrityError if the files changed."""
        ...


class LedgerOnly:
    """An action that writes nothing to SQL: the ledger, or the proposal's row, has the outcome."""

    def __init__(self, name: str) -> None:
        self.name = name

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Write nothing."""

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Undo nothing."""


class Actions:
    """The actions of this process, by name."""

    def __init__(self) -> None:
        self._by_name: dict[str, Action] = {}

    def register(self, *actions: Action) -> None:
        """Add actions. Raises UsageError for a name that another action has."""
        for action in actions:
            if self._by_name.setdefault(action.name, action) is not action:
                raise UsageError(f"two actions are named {action.name!r}", hint="register each action once")

    def get(self, name: str) -> Action:
        """Return an action. Raises UnavailableError if this process has none of that name."""
        try:
            return self._by_name[name]
        except KeyError:
            raise UnavailableError(
                f"this process has no action {name!r}", hint="open the folder with the release that wrote the intent"
            ) from None

    def __contains__(self, name: object) -> bool:
        return name in self._by_name


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """An intent to perform.

    - `envelopes`: signatures over ranges of the records. Without them `signers` sign all records.
    - `before`: writes SQL in the transaction that stores the intent. It may run several times.
    - `id`: 0 for a fresh one. The id of a stored intent returns that intent's outcome.
    - `parts`: how many consecutive records are signed and submitted together, in order; () for all. A part follows the
      result of the part before, so that payments of others are in frames between them. A part may be refused while
      others are accepted.
    """

    action: str
    records: Array
    payload: Mapping[str, Any]
    who: int
    envelopes: Array | Sequence[Envelope] = ()
    signers: Sequence[Signer] = ()
    before: Callable[[Connection], None] | None = None
    id: int = 0
    parts: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class IntentOutcome:
    """The outcome of an intent. `state` is "done" or "lapsed"; `frame` is 0 for a lapsed intent."""

    intent: int
    state: str
    results: tuple[Result, ...]  # the first result of each record; of a lapsed intent, why it lapsed
    frame: int

    @property
    def refusal(self) -> Result | None:
        """The first result with the ledger's reason to refuse; None if it created every operation.

        In a refused chain one operation has the reason; the codes of the others follow from it.
        """
        if self.results.count(Result.CREATED) == len(self.results):  # a tenth of the time of the search
            return None
        refused = [each for each in self.results if each is not Result.CREATED]
        return next((each for each in refused if each not in CONSEQUENCES), refused[0])

    @property
    def created(self) -> bool:
        """Whether the ledger created every operation."""
        return self.state != LAPSED and self.refusal is None

    def require_created(self, message: str) -> None:
        """Raise Refused with `message` and the first refusing code unless the ledger created every operation."""
        refusal = self.refusal
        if refusal is not None:
            raise Refused(message, refusal)
        if self.state == LAPSED:
            raise Refused(message, Result.SIGNATURE_EXPIRED)
