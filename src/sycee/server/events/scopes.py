"""Which events a caller sees: those of own accounts, of the accounts of its operator, by duty, or all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.money import currency_code
from sycee.database.events import EventKind, RegisterEvent
from sycee.identity import duties
from sycee.identity.duties import OPERATOR_STAFF, Duty
from sycee.identity.people import HeldDuty
from sycee.server.auth.caller import Caller
from sycee.server.events.feed import Page

EVERYTHING: Final = frozenset({Duty.OFFICER, Duty.AUDITOR})

# Every operator serves the people of a programme, so its events are no secret of the funder's operator.
PROGRAMMES: Final = frozenset(kind for kind in EventKind if kind.value.startswith("programme."))

CLEARING: Final = frozenset(kind for kind in EventKind if kind.value.startswith("clearing."))

# Duties that see the events of a register. Those of proposals follow from the action.
SEEN_BY: Final[Mapping[EventKind, frozenset[Duty]]] = {
    EventKind.DAY_CLOSED: frozenset({Duty.CLOSER, Duty.COUNTERSIGNER, Duty.OPERATOR}),
    EventKind.BREAK_OPENED: frozenset({Duty.CLOSER, Duty.COUNTERSIGNER, *OPERATOR_STAFF}),
    EventKind.CASE_OPENED: frozenset({Duty.CASEWORKER}),
    EventKind.BULK_ENDED: frozenset(OPERATOR_STAFF),
    EventKind.WEBHOOK_DISABLED: frozenset(OPERATOR_STAFF),
    **dict.fromkeys(CLEARING, frozenset(OPERATOR_STAFF)),
    **dict.fromkeys(PROGRAMMES, frozenset({*OPERATOR_STAFF, Duty.CASEWORKER})),
}
_OF_ALL_OPERATORS: Final = PROGRAMMES | {EventKind.DAY_CLOSED}
# Their signers see them: `data` names the action.
_OF_PROPOSALS: Final = frozenset({EventKind.PROPOSAL_WAITING, EventKind.PROPOSAL_ENDED})
assert SEEN_BY.keys() | _OF_PROPOSALS == set(EventKind), "an event without readers would be hidden from operators"


@dataclass(frozen=True, slots=True)
class Scope:
    """The events that a caller may see.

    `accounts`: own accounts, and `rows` theirs in the ledger; `operators`: the caller's. Callers with equal scopes see
    equal events.
    """

    everything: bool
    accounts: frozenset[int]
    rows: frozenset[int]
    operators: frozenset[int]
    held: tuple[HeldDuty, ...]

    def seen(self, page: Page) -> Array | None:
        """Return which of a page's accounts the caller may see, (accounts,) bool; None for all."""
        if self.everything:
            return None
        ledger = page.ledger
        found: Array = np.isin(ledger.rows, list(self.rows)) | np.isin(ledger.operators, list(self.operators))
        return found

    def visible(self, page: Page, seen: Array | None) -> list[int]:
        """Return the positions of a page's events that the caller sees, in order. `seen`: as above."""
        if seen is None:
            return list(range(page.size))
        ledger = page.ledger
        of_ledger = np.unique(ledger.pair_at[seen[ledger.pair_account]]).tolist()
        registers = [page.operations + at for at, event in enumerate(page.registers) if self._sees(event)]
        return [*of_ledger, *registers]

    def _sees(self, event: RegisterEvent) -> bool:
        if event.kind is EventKind.BULK_ENDED and ids.parse(event.data["payer"]) in self.accounts:
            return True
        wanted = SEEN_BY.get(event.kind)
        if wanted is None:
            try:
                wanted = duties.rule(str(event.data.get("action"))).signers
            except UsageError:  # the action of a proposal that another release stored
                return False
        for each in self.held:
            if each.duty not in wanted:
                continue
            if each.duty is Duty.CURRENCY_OFFICER:
                if currency_code(each.currency) in event.data.get("currencies", ()):
                    return True
                continue
            if each.duty not in duties.OF_INSTITUTION or event.kind in _OF_ALL_OPERATORS:
                return True
            if each.operator is not None and each.operator == event.operator and each.operator in self.operators:
                return True
        return False


def scope_of(bank: Bank, caller: Caller) -> Scope:
    """Return what a caller sees now. A program of an operator sees what the operator's staff sees, and no more."""
    held = tuple(
        each
        for each in (bank.people.duties_of(caller.person) if caller.person else ())
        if caller.operator in (None, each.operator)
    )
    operators = frozenset(each.operator for each in held if each.duty in OPERATOR_STAFF and each.operator is not None)
    holders = [caller.person] if caller.operator is None and caller.person else []
    holders += [each.institution for each in held if each.duty is Duty.MERCHANT and each.institution]
    accounts = [wallet.account for holder in holders for wallet in bank.directory.of_holder(holder)]
    wanted = np.array([ids.split(each) for each in accounts], ids.ID)
    with bank.stores.ledger.sequencer.reading() as state:
        rows = state.rows(wanted)
    return Scope(
        everything=any(each.duty in EVERYTHING for each in held),
        accounts=frozenset(accounts),
        rows=frozenset(rows[rows >= 0].tolist()),
        operators=operators,
        held=held,
    )
