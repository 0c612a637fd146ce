"""What one reads from an embedded ledger: accounts, statements, holds, and what became of an operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sycee.core import money
from sycee.core.codes import Result
from sycee.core.errors import UsageError
from sycee.core.limits import I64_MAX, PLACE_INDEX_BITS
from sycee.ledger import layout, reading
from sycee.ledger.layout import AccountKind, Kind, Purpose
from sycee.ledger.operations import integer, shown
from sycee.ledger.reading import Answers, Page
from sycee.ledger.state import LedgerState
from sycee.ledger.values import Account, Hold, Purse, Transit
from sycee.sequencer.sequencer import Sequencer

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a statement. Amounts in minor units: positive came in, negative went out."""

    time_ns: int
    purpose: Purpose
    amount: int
    balance: int  # after it
    counterparty: int  # account id; 0 where the other side is a purse
    operation: int  # id of the operation that made it


@dataclass(frozen=True, slots=True)
class Bound:
    """What an operation's id is bound to, for the life of the ledger."""

    id: int
    kind: Kind
    result: Result  # the first, however often it was asked again
    time_ns: int  # of the frame in which it was judged


class Readers:
    """Every reader answers from the newest durable frame, and from one frame alone.

    Raises UsageError for what is no id, no currency code or a currency that the ledger does not keep, and
    UnavailableError once the ledger is closed or has stopped itself.
    """

    sequencer: Sequencer

    # --- accounts ---

    def account(self, account: int) -> Account:
        """The account as it stands. Raises UsageError where there is none."""
        number = integer("account", account)
        found = self.sequencer.read(reading.accounts([number])).account(0)
        if found is None:
            raise no_account(number)
        return found

    def balance(self, account: int) -> int:
        """Balance in minor units."""
        return self.account(account).balance

    def read(self, requests: Array, *, at_least: int = 0) -> Answers:
        """Answer many reads at once, (n,) sycee.ledger.reading.READ, from one committed frame, which the answers name.

        `at_least`: wait until this frame is committed. Reads of all callers that wait share one pass between two
        frames. Raises UsageError for more than one pass answers.
        """
        return self.sequencer.read(requests, at_least=at_least)

    def statement_page(self, account: int, *, lines: int = 100, cursor: int = 0) -> Page:
        """Return one page of an account's statement, newest line first, and the cursor of the next page.

        `cursor`: of the page before, 0 for the first. Pages stay the same whatever comes meanwhile. Raises UsageError
        where there is no such account, for a cursor that is not of its statement, and for too many lines.
        """
        number = integer("account", account)
        page = self.sequencer.read(reading.statement(number, lines=lines, cursor=cursor)).page(0)
        if page is None:
            raise no_account(number)
        return page

    def accounts(
        self, *, currency: str | None = None, kind: AccountKind | None = None, operator: int | None = None
    ) -> list[Account]:
        """The accounts of a currency, a kind, an operator, or of all that is given, in order of opening.

        O(accounts), and nothing else is done meanwhile: of a million, ask for a part.
        """
        wanted = {
            "currency": None if currency is None else currency_number(currency),
            "kind": None if kind is None else account_kind(kind),
            "operator": None if operator is None else integer("operator", operator, high=2**32 - 1),
        }
        with self.sequencer.reading() as state:
            if currency is not None:
                _check_defined(state, currency)
            rows = state.accounts
            chosen = np.ones(rows.size, np.bool_)
            for field, value in wanted.items():
                if value is not None:
                    chosen &= rows[field] == value
            return [_account(state, state.account_id(row)) for row in np.flatnonzero(chosen).tolist()]

    def issuance(self, currency: str) -> int:
        """Id of the currency's one issuance account. Raises UsageError where none is open."""
        number = currency_number(currency)
        with self.sequencer.reading() as state:
            _check_defined(state, currency)
            row = int(state.tables.issuance[number]) - 1
            if row < 0:
                raise UsageError(
                    f"{currency} has no issuance account", hint="open_account opens one of kind AccountKind.ISSUANCE"
                )
            return state.account_id(row)

    def supply(self, currency: str) -> int:
        """Money in circulation, in minor units: the debit balance of the issuance account, 0 before it is open."""
        number = currency_number(currency)
        with self.sequencer.reading() as state:
            _check_defined(state, currency)
            return state.supply(number)

    def statement(self, account: int, *, newest: int | None = None) -> list[Line]:
        """An account's movements, oldest first; `newest` keeps only that many of the latest. O(lines)."""
        number = integer("account", account)
        if newest is not None:
            newest = integer("newest", newest, high=I64_MAX)
        with self.sequencer.reading() as state:
            _account(state, number)
            row = state.row(number)
            return [_line(state, row, movement) for movement in reversed(state.movement_numbers(row, newest=newest))]

    # --- operations ---

    def result_of(self, id: int) -> Bound | None:
        """What was answered first under this id, however often it was asked again; None where nothing is bound to it.

        None means that it never came, was malformed, or was not taken for want of a signature or a whole chain: ask.
        """
        number = integer("id", id)
        found = self.sequencer.read(reading.operations([number])).operation(0)
        return found and Bound(id=number, kind=found.kind, result=found.result, time_ns=found.time_ns)

    def missing_of(self, reversal: int) -> int:
        """The claim that the reverse of this id left: what it asked for and did not find, in minor units.

        It stays on record as it was then. Whoever collects it asks for it by another `reverse` of the same original.
        Raises UsageError where no reverse of this id was done.
        """
        number = integer("reversal", reversal)
        with self.sequencer.reading() as state:
            bound = state.bound_of(number)
            if bound is None or bound["kind"] != Kind.REVERSE or bound["result"] != Result.CREATED:
                raise UsageError(
                    f"no reverse was done under the id {number:#034x}",
                    hint="name the reverse's own id, not its original's; result_of says what became of an id",
                )
            return int(bound["detail"])

    def find_hold(self, hold: int) -> Hold | None:
        """What an operation holds, or None."""
        number = integer("hold", hold)
        with self.sequencer.reading() as state:
            return state.hold(number)

    def find_transit(self, sent: int) -> Transit | None:
        """What an operation sent on its way, or None."""
        number = integer("sent", sent)
        with self.sequencer.reading() as state:
            return state.transit_of(number)

    def purse(self, programme: int, member: int) -> Purse | None:
        """What a member holds of a programme, or None."""
        programme, member = (
            integer(name, value, -I64_MAX, I64_MAX) for name, value in (("programme", programme), ("member", member))
        )
        if not (0 <= programme < 1 << 32 and member >= 0):
            return None
        return self.sequencer.read(reading.purses([(programme, member)])).purse(0)

    # --- the whole ---

    @property
    def findings(self) -> tuple[str, ...]:
        """What opening the ledger cut, repaired or passed over, and a snapshot that closing it could not write.

        One sentence each; none where all was well. It can be read after closing, too.
        """
        return self.sequencer.findings

    @property
    def ledger_id(self) -> bytes:
        """The ledger's 16 bytes, which every signature names."""
        return self.sequencer.ledger_id

    @property
    def authority_on(self) -> bool:
        """Whether operations need signatures: from the moment on at which two persons are officers."""
        with self.sequencer.reading() as state:
            return state.authority_on

    def digest(self) -> bytes:
        """The 32-byte state digest: equal for equal histories, however they were framed."""
        with self.sequencer.reading() as state:
            return state.digest()

    def check(self) -> None:
        """Recompute every balance and purse from the movements. Raises IntegrityError with what does not hold."""
        with self.sequencer.reading() as state:
            state.check()

    # --- helpers ---

    def _currency_of(self, account: int) -> int:
        return self.account(account).currency

    def _currency_of_operation(self, id: int) -> int:
        number = integer("id", id)
        with self.sequencer.reading() as state:
            hold, bound = state.hold(number), state.bound_of(number)
            if hold is not None:
                return int(state.accounts["currency"][state.row(hold.payer)])
            if bound is not None and bound["first_movement"]:
                movement = state.movements[int(bound["first_movement"]) - 1]
                # One side may be a purse, but never both.
                row = int(min(movement["debit_row"], movement["credit_row"]))
                return int(state.accounts["currency"][row])
        raise UsageError(
            f"no operation {number:#034x} moved or held money, so that a text is no amount of it",
            hint="give the amount as an integer of minor units, or the id of the payment or hold",
        )


def currency_number(currency: str) -> int:
    """The ISO 4217 number of a currency's code. Raises UsageError where there is no such code."""
    if not isinstance(currency, str):
        raise UsageError(
            f"{shown(currency)} is no currency code", hint='codes are three letters, such as "CNY" or "EUR"'
        )
    return money.currency(currency).numeric


def account_kind(kind: AccountKind) -> AccountKind:
    """The same, or UsageError where it is none."""
    if not isinstance(kind, AccountKind):
        raise UsageError(
            f"{shown(kind)} is no AccountKind",
            hint=f"use {', '.join(f'AccountKind.{each.name}' for each in AccountKind)}",
        )
    return kind


def _check_defined(state: LedgerState, currency: str) -> None:
    if currency_number(currency) not in state.zones:
        kept = ", ".join(money.currency(number).code for number in state.zones) or "none"
        raise UsageError(
            f"this ledger does not keep {currency}; its currencies: {kept}",
            hint=f'define_currency("{currency}", zone=...) comes first',
        )


def no_account(account: int) -> UsageError:
    """Return the error for an account that is not there."""
    return UsageError(f"no account {account:#034x}", hint="ids come from open_account")


def _account(state: LedgerState, account: int) -> Account:
    found = state.account(account)
    if found is None:
        raise no_account(account)
    return found


def _line(state: LedgerState, row: int, number: int) -> Line:
    movement = state.movements[number - 1]
    amount = int(movement["amount"])
    went_out = int(movement["debit_row"]) == row
    other = int(movement["credit_row" if went_out else "debit_row"])
    place = int(movement["place"])
    # Bound operations stand in order of place, so a movement finds its own by bisection.
    bound = state.bound[int(np.searchsorted(state.bound["place"], movement["place"]))]
    return Line(
        time_ns=int(state.frame_times[place >> PLACE_INDEX_BITS]),
        purpose=Purpose(int(movement["purpose"])),
        # A suspense account that gives back what a closed payer cannot take keeps it: in and out, so nothing.
        amount=0 if other == row else -amount if went_out else amount,
        balance=int(movement["debit_balance" if went_out else "credit_balance"]),
        counterparty=0 if other & layout.PURSE_BIT else state.account_id(other),
        operation=int(bound["id_high"]) << 64 | int(bound["id_low"]),
    )
