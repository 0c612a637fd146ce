"""Money that waterfalls sent on: each excess waits in transit until the bank paid it to the wallet's holder.

The transit has the id of the payment that exceeded the limit. All is read from the ledger: no row of SQL is written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import sqlalchemy
from sqlalchemy.engine import Engine

from sycee.core import ids
from sycee.core.errors import UsageError
from sycee.core.limits import PLACE_INDEX_BITS
from sycee.core.records import operations
from sycee.core.records.layout import Kind, TransitState
from sycee.database.actions import Draft, IntentOutcome, LedgerOnly
from sycee.database.stores import Stores
from sycee.database.transactions import reading
from sycee.identity.people import People
from sycee.issuance.registry import Registry
from sycee.personal.access import Access, Reason
from sycee.personal.register import Register
from sycee.sequencer.signer import Signer
from sycee.wallets.directory import Directory
from sycee.wallets.sweeps import BANK
from sycee.wallets.tables import LINKS

CONFIRM: Final = "waterfall.confirm"
REJECT: Final = "waterfall.reject"
LIST: Final = "transit.confirm"  # the duty that lists waterfalls: who reports the bank's leg

_REFERENCE: Final = re.compile(r"WF-([0-9A-F]{32})")


def payment_of(bank_reference: str) -> int:
    """Return the id of the payment that a waterfall's bank reference names, 0 for another reference."""
    match = _REFERENCE.fullmatch(bank_reference)
    return int(match[1], 16) if match else 0


@dataclass(frozen=True, slots=True)
class Excess:
    """The excess of one wallet. `id`: of the payment that exceeded the limit."""

    id: int
    operator: int
    wallet: int
    minor: int
    at_ns: int

    @property
    def bank_reference(self) -> str:
        """Return the reference for the bank's payment: 35 characters, as ISO 20022 permits."""
        return f"WF-{self.id:032X}"


class Waterfalls:
    """The money that waterfalls of one bank sent on."""

    def __init__(
        self, stores: Stores, people: People, directory: Directory, registry: Registry, register: Register
    ) -> None:
        self._stores, self._people, self._directory = stores, people, directory
        self._registry, self._register = registry, register
        stores.actions.register(LedgerOnly(CONFIRM), LedgerOnly(REJECT))

    def open(self, operator: int, *, by: int) -> list[Excess]:
        """Return what an operator's bank has to pay, in the order of payments. `by`: a person with the duty."""
        self._people.require(by, LIST, operator=operator)
        through = self._registry.operator(operator).accounts.transit
        found = []
        with self._stores.ledger.sequencer.reading() as state:
            transits = state.transits
            chosen = (transits["state"] == TransitState.OPEN) & (transits["through"] == state.row(through))
            for record in transits[np.flatnonzero(chosen)]:
                bound = state.bound[int(record["bound"])]
                if int(bound["kind"]) != Kind.SEND:
                    at_ns = int(state.frame_times[int(bound["place"]) >> PLACE_INDEX_BITS])
                    wallet = state.account_id(int(record["source"]))
                    found.append(Excess(ids.of_record(bound, "id"), operator, wallet, int(record["amount"]), at_ns))
        return found

    def find(self, operator: int, bank_reference: str, *, by: int) -> Excess | None:
        """Return the open excess with this bank reference; None if it is none of the operator's."""
        payment = payment_of(bank_reference)
        if not payment:
            return None
        return next((each for each in self.open(operator, by=by) if each.id == payment), None)

    def bank_account(self, excess: Excess, *, access: Access) -> str:
        """Return the bank account of the wallet's holder, after an entry in the access log.

        For the reason PAYMENT the excess must be open, and the reader have the duty at its operator.
        """
        if access.reason is Reason.PAYMENT and excess not in self.open(excess.operator, by=access.who):
            raise UsageError(f"{excess.bank_reference} is decided: the bank has nothing to pay")
        holder = self._directory.holder_of(excess.wallet)
        return bank_account_of(self._stores.engine, self._register, excess.wallet, holder, access)

    def confirm(self, excess: Excess, *, signers: Sequence[Signer], who: int, id: int = 0) -> IntentOutcome:
        """Report that the bank paid an excess to the holder: the money is in the operator's vault. Operator 0 signs.

        `id`: of the intent; the same id again returns the first outcome.
        """
        return self._decide(CONFIRM, excess, signers, who, id)

    def reject(self, excess: Excess, *, signers: Sequence[Signer], who: int, id: int = 0) -> IntentOutcome:
        """Report that the bank refused it: the money returns to the wallet, above its limit. As `confirm`."""
        return self._decide(REJECT, excess, signers, who, id)

    def _decide(self, action: str, excess: Excess, signers: Sequence[Signer], who: int, id: int) -> IntentOutcome:
        is_confirmed = action == CONFIRM
        duty = "transit.confirm" if is_confirmed else "transit.reject"
        self._people.require(who, duty, operator=excess.operator)
        make = operations.confirm if is_confirmed else operations.reject
        record = make(self._stores.new_id(), sent=excess.id)
        payload = {"operation": ids.format(excess.id)}
        return self._stores.intents.perform(Draft(action, record, payload, who=who, signers=signers, id=id))


def bank_account_of(engine: Engine, register: Register, wallet: int, holder: int, access: Access) -> str:
    """Return the bank account to which a wallet is linked, after an entry in the access log. UsageError without one."""
    with reading(engine) as connection:
        sealed = connection.scalar(sqlalchemy.select(LINKS.c.bank_sealed).where(LINKS.c.account == wallet))
    if sealed is None:
        raise UsageError(
            f"wallet {ids.format(wallet)} has no bank account",
            hint="`sycee wallet waterfall --bank-account` stores one; or reject the payment",
        )
    return register.open(holder, BANK, sealed, access=access)
