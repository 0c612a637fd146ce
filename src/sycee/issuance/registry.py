"""The live bank's operators: their numbers, accounts and states, as stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from threading import Lock

import sqlalchemy
from sqlalchemy.engine import Connection, Row

from sycee.core.errors import NotFound, UsageError
from sycee.core.records.layout import Block
from sycee.database.comparing import differences
from sycee.database.stores import Stores
from sycee.database.transactions import reading
from sycee.issuance.records import Issuer, OperatorAccounts
from sycee.issuance.tables import ACTIVE, JOINING, LEAVING, OPERATORS, REFUSED
from sycee.ledger.state import LedgerState

_ISSUER_ACCOUNTS = ("issuance", "suspense", "reserve_issuance", "reserve_suspense", "converted")
_ACCOUNTS = ("suspense", "reserve_suspense", "transit_suspense", "vault", "reserve", "transit")


@dataclass(frozen=True, slots=True)
class OperatorRow:
    """An operator. `joined_ns`, `left_ns`: None before it joined, or left."""

    number: int
    institution: int
    accounts: OperatorAccounts
    quota_rule_set: int
    state: str
    proposal: int
    joined_ns: int | None
    left_ns: int | None


class Registry:
    """The accounts of one bank: the issuer's own, and those of its operators."""

    def __init__(self, stores: Stores, issuer: Issuer) -> None:
        self._stores = stores
        self.issuer = issuer
        self._own: frozenset[int] | None = None
        self._adding = Lock()

    def operators(self, *states: str) -> list[OperatorRow]:
        """Return the operators in one of the states, or all, by number."""
        query = sqlalchemy.select(OPERATORS).order_by(OPERATORS.c.number)
        with reading(self._stores.engine) as connection:
            rows = connection.execute(query.where(OPERATORS.c.state.in_(states)) if states else query)
            return [_operator(row) for row in rows]

    def operator(self, number: int) -> OperatorRow:
        """Return the operator with this number. Raises UsageError if there is none."""
        with reading(self._stores.engine) as connection:
            return self.operator_in(connection, number)

    def operator_in(self, connection: Connection, number: int) -> OperatorRow:
        """Return an operator as a transaction sees it. Raises UsageError if there is none."""
        row = connection.execute(sqlalchemy.select(OPERATORS).where(OPERATORS.c.number == number)).one_or_none()
        if row is None:
            raise NotFound(f"there is no operator {number}", hint="`sycee operator list` shows the operators")
        return _operator(row)

    def own_accounts(self) -> frozenset[int]:
        """Return the accounts of the issuer, of all operators and of funders: those that no customer pays to.

        They are in memory, and complete at any time: a service adds an account before the ledger opens it.
        """
        if self._own is None:
            found = {getattr(self.issuer, name) for name in _ISSUER_ACCOUNTS}
            for each in self.operators():
                found |= {getattr(each.accounts, name) for name in _ACCOUNTS}
            self._own = frozenset(found)
        return self._own

    def add_own(self, accounts: Iterable[int]) -> None:
        """Add accounts to those of `own_accounts`."""
        with self._adding:
            self._own = self.own_accounts() | frozenset(accounts)

    def require_active(self, number: int) -> OperatorRow:
        """Return an operator that has joined and is not leaving. Raises UsageError otherwise."""
        found = self.operator(number)
        if found.state != ACTIVE:
            raise UsageError(f"operator {number} is {found.state}", hint="only an active operator can do this")
        return found

    def disagreements(self) -> Iterator[str]:
        """Yield one sentence for each operator whose state the ledger's accounts do not agree with."""

        def compared(state: LedgerState, each: OperatorRow) -> Iterator[str]:
            vault = state.account(each.accounts.vault)
            if each.state in (JOINING, REFUSED):
                return  # some of the records of a refused operator may have been created
            blocks = Block.CLOSED if vault is None else vault.blocks
            expected = {ACTIVE: Block(0), LEAVING: Block.CREDIT}.get(each.state, Block.CLOSED)
            if vault is None or blocks & (Block.CREDIT | Block.CLOSED) not in (expected, expected | Block.CREDIT):
                yield f"operator {each.number} is {each.state}, and its vault is blocked for {blocks!r}"

        return differences(self._stores.ledger, self.operators(), compared)


def _operator(row: Row[object]) -> OperatorRow:
    values = row._mapping
    accounts = OperatorAccounts(**{name: values[name] for name in _ACCOUNTS})
    return OperatorRow(
        values["number"],
        values["institution"],
        accounts,
        values["quota_rule_set"],
        values["state"],
        values["proposal"],
        values["joined_ns"],
        values["left_ns"],
    )
