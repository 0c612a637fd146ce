"""A ledger in a folder, in this process, without a server: the shortest way in from Python.

It wraps the sequencer with ids, texts and results; whoever moves many records a second builds them with
`sycee.ledger.operations` and calls `submit`.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from sycee.core import ids, money
from sycee.core.clock import Clock, RealClock
from sycee.core.codes import Result
from sycee.core.errors import Refused, UsageError
from sycee.core.limits import PLACE_INDEX_BITS
from sycee.journal.journal import Journal
from sycee.ledger import layout, operations
from sycee.ledger.layout import AccountKind, Purpose
from sycee.ledger.state import Account, LedgerState, Purse
from sycee.sequencer.sequencer import Sequencer, journal_disk

Array = np.ndarray[Any, Any]
Amount = int | str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a statement. Amounts in minor units: positive came in, negative went out."""

    time_ns: int
    purpose: Purpose
    amount: int
    balance: int  # after it
    counterparty: int  # account id; 0 where the other side is a purse
    operation: int  # id of the operation that made it


class Ledger:
    """An embedded ledger. It is opened with `Ledger.open`, used by any number of threads, and closed."""

    def __init__(self, sequencer: Sequencer, *, clock: Clock | None = None) -> None:
        self.sequencer = sequencer
        self._clock = clock or RealClock()
        self._suspense: dict[int, int] = {}  # each currency's first suspense account, once looked up

    @classmethod
    def open(cls, folder: str | Path, *, clock: Clock | None = None, cut_tail: bool = False) -> Self:
        """Open the ledger in `folder`, made if absent, and bring its state up to its last frame.

        Raises UnavailableError where another process has it open or the disk refuses, JournalDamaged where
        acknowledged bytes are damaged, TailInDoubt where only a person can decide about the last group:
        `cut_tail` is that decision.
        """
        disk = journal_disk(folder)
        journal = Journal.open(disk, cut_tail=cut_tail) if Journal.exists(disk) else Journal.create(disk)
        return cls(Sequencer(journal, clock=clock), clock=clock)

    def submit(self, records: Array) -> Array:
        """Ask for operations: (n,) layout.OPERATION to (n,) layout.ANSWER, durable when it returns."""
        return self.sequencer.submit(records)

    # --- opening things ---

    def define_currency(self, code: str, *, zone: str) -> Result:
        """Keep this ISO 4217 currency, whose day ends at midnight in `zone`. Repeating it is harmless."""
        number = money.currency(code).numeric
        with self.sequencer.reading() as state:
            if state.zones.get(number) == zone:
                return Result.EXISTS
        return self._one(operations.define_currency(self.new_id(), currency=number, zone=zone))

    def open_account(self, currency: str, kind: AccountKind, *, suspense: int = 0) -> int:
        """Open an account and return its id.

        `suspense` is the account that takes what this one cannot; without it, the currency's first suspense account
        does, opened now if there is none. Raises Refused where the ledger says no.
        """
        number = money.currency(currency).numeric
        if not suspense and kind not in (AccountKind.ISSUANCE, AccountKind.SUSPENSE):
            suspense = self._first_suspense(number) or self.open_account(currency, AccountKind.SUSPENSE)
        account = self.new_id()
        record = operations.open_account(self.new_id(), account=account, currency=number, kind=kind, suspense=suspense)
        result = self._one(record)
        if result is not Result.CREATED:
            hint = (
                "a currency has one issuance account; a new folder is a new ledger"
                if result.name == "ISSUANCE_EXISTS"
                else None
            )
            raise Refused(f"{kind.name} account in {currency} not opened", result, hint=hint)
        return account

    # --- moving money ---

    def transfer(self, debit: int, credit: int, amount: Amount, *, id: int | None = None) -> Result:
        """Move `amount` (minor units, or a text such as "12.50" in the debit account's currency).

        The same `id` again is answered EXISTS and moves nothing.
        """
        record = operations.transfer(self._id(id), debit=debit, credit=credit, amount=self._minor(debit, amount))
        return self._one(record)

    def pay(self, payer: int, payee: int, amount: Amount, *, id: int | None = None) -> Result:
        """Pay from the payer's purses that may pay this payee, earliest expiry first, and then from its own money."""
        record = operations.pay(self._id(id), payer=payer, payee=payee, amount=self._minor(payer, amount))
        return self._one(record)

    def refund(self, original: int, amount: int, *, id: int | None = None) -> Result:
        """Give back `amount` minor units of the pay `original`: the payer's own money first, then purse money."""
        return self._one(operations.refund(self._id(id), original=original, amount=amount))

    # --- reading ---

    def account(self, account: int) -> Account:
        """The account as it stands in the newest durable frame. Raises UsageError where there is none."""
        with self.sequencer.reading() as state:
            found = state.account(account)
        if found is None:
            raise UsageError(f"no account {account:#034x}", hint="ids come from open_account")
        return found

    def balance(self, account: int) -> int:
        """Balance in minor units."""
        return self.account(account).balance

    def purse(self, programme: int, member: int) -> Purse | None:
        """What a member holds of a programme, or None."""
        with self.sequencer.reading() as state:
            return state.purse(programme, member)

    def statement(self, account: int, *, newest: int | None = None) -> list[Line]:
        """An account's movements, oldest first; `newest` keeps only that many of the latest. O(lines)."""
        with self.sequencer.reading() as state:
            row = state.row(account)
            if row < 0:
                raise UsageError(f"no account {account:#034x}", hint="ids come from open_account")
            return [self._line(state, row, number) for number in reversed(state.movement_numbers(row, newest=newest))]

    def supply(self, currency: str) -> int:
        """Money in circulation, in minor units: the debit balance of the issuance account."""
        with self.sequencer.reading() as state:
            return state.supply(money.currency(currency).numeric)

    def digest(self) -> bytes:
        """The 32-byte state digest: equal for equal histories, however they were framed."""
        with self.sequencer.reading() as state:
            return state.digest()

    def check(self) -> None:
        """Recompute every balance and purse from the movements. Raises IntegrityError with what does not hold."""
        with self.sequencer.reading() as state:
            state.check()

    def new_id(self) -> int:
        """A fresh id, for an operation that may have to be sent again."""
        return ids.to_int(ids.generate(1, time_ms=self._clock.now_ns() // 1_000_000)[0])

    def close(self) -> None:
        """Close the journal and let the folder go."""
        self.sequencer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- helpers ---

    def _one(self, record: Array) -> Result:
        return Result(int(self.submit(record)["code"][0]))

    def _id(self, id: int | None) -> int:
        return self.new_id() if id is None else id

    def _minor(self, account: int, amount: Amount) -> int:
        if not isinstance(amount, str):
            return operator.index(amount)
        return money.parse(amount, money.currency(self.account(account).currency))

    def _first_suspense(self, currency: int) -> int:
        if currency not in self._suspense:
            with self.sequencer.reading() as state:
                accounts = state.accounts
                rows = np.flatnonzero((accounts["kind"] == AccountKind.SUSPENSE) & (accounts["currency"] == currency))
                if not rows.size:
                    return 0
                self._suspense[currency] = state.account_id(int(rows[0]))
        return self._suspense[currency]

    def _line(self, state: LedgerState, row: int, number: int) -> Line:
        movement = state.movements[number - 1]
        amount = int(movement["amount"])
        went_out = int(movement["debit_row"]) == row
        other = int(movement["credit_row" if went_out else "debit_row"])
        place = int(movement["place"])
        # Bound operations stand in order of place, so a movement finds its own by bisection.
        bound = state.bound[int(np.searchsorted(state.bound["place"], movement["place"]))]
        return Line(
            time_ns=self.sequencer.frame_times[place >> PLACE_INDEX_BITS],
            purpose=Purpose(int(movement["purpose"])),
            # A suspense account that gives back what a closed payer cannot take keeps it: in and out, so nothing.
            amount=0 if other == row else -amount if went_out else amount,
            balance=int(movement["debit_balance" if went_out else "credit_balance"]),
            counterparty=0 if other & layout.PURSE_BIT else state.account_id(other),
            operation=int(bound["id_high"]) << 64 | int(bound["id_low"]),
        )
