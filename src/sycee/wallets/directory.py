"""The wallets of a bank as stored: holder, class and operator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection, Row

from sycee.core import ids
from sycee.core.errors import NotFound, UsageError
from sycee.core.keys import PublicKey
from sycee.core.records.layout import Block
from sycee.database.stores import Stores
from sycee.database.transactions import reading
from sycee.identity.tables import KEYS
from sycee.ledger import queries
from sycee.wallets.tables import CLOSED, OPEN, OPENING, WALLETS

READ_MAX: Final = 8_000  # rows of one query of `disagreements`


@dataclass(frozen=True, slots=True)
class Wallet:
    """One wallet. `holder`: a person or a merchant; `wallet_class`: of the preset, "" for a merchant without limits."""

    account: int
    holder: int
    operator: int
    wallet_class: str
    rule_set: int
    is_custodial: bool
    state: str
    intent: int
    opened_ns: int


class Directory:
    """The wallets of one bank, for reading."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def get(self, account: int) -> Wallet:
        """Return a wallet. Raises UsageError if there is none of this account."""
        found = self.find(account)
        if found is None:
            raise NotFound(
                f"there is no wallet {ids.format(account)}", hint="`sycee wallet list` shows the wallets of a holder"
            )
        return found

    def require_open(self, account: int) -> Wallet:
        """Return an open wallet. Raises UsageError otherwise."""
        found = self.get(account)
        if found.state != OPEN:
            raise UsageError(f"wallet {ids.format(account)} is {found.state}", hint="name an open wallet")
        return found

    def find(self, account: int) -> Wallet | None:
        """Return a wallet, or None."""
        with reading(self._stores.engine) as connection:
            return wallet_in(connection, account)

    def of_holder(self, holder: int) -> Sequence[Wallet]:
        """Return the wallets of a person or merchant, the oldest first."""
        with reading(self._stores.engine) as connection:
            return self.of_holder_in(connection, holder)

    def of_holder_in(self, connection: Connection, holder: int) -> Sequence[Wallet]:
        """Return the wallets of a holder as a transaction sees them."""
        query = sqlalchemy.select(WALLETS).where(WALLETS.c.holder == holder).order_by(WALLETS.c.account)
        return [_wallet(row) for row in connection.execute(query)]

    def open_of(self, holder: int) -> Wallet:
        """Return the oldest open wallet of a holder. Raises UsageError if the holder has none."""
        for each in self.of_holder(holder):
            if each.state == OPEN:
                return each
        raise UsageError(f"{ids.format(holder)} has no open wallet", hint="open one with `sycee wallet open`")

    def of_key(self, key: PublicKey) -> Wallet | None:
        """Return the open wallet that has this key now, or None."""
        joined = WALLETS.join(KEYS, WALLETS.c.account == KEYS.c.subject)
        chosen = (KEYS.c.public_key == str(key)) & KEYS.c.until_ns.is_(None) & (WALLETS.c.state == OPEN)
        query = sqlalchemy.select(WALLETS).select_from(joined).where(chosen).order_by(WALLETS.c.account)
        with reading(self._stores.engine) as connection:
            row = connection.execute(query).first()
        return None if row is None else _wallet(row)

    def accounts_of(self, person: int) -> list[int]:
        """Return the accounts of the open wallets of a holder, in order."""
        return [each.account for each in self.of_holder(person) if each.state == OPEN]

    def holder_of(self, account: int) -> int:
        """Return the person or merchant whose wallet an account is. Raises UsageError for another account."""
        return self.get(account).holder

    def is_customer(self, connection: Connection, person: int) -> bool:
        """Return whether a person has a wallet that is not closed."""
        chosen = (WALLETS.c.holder == person) & WALLETS.c.state.in_((OPENING, OPEN))
        return connection.scalar(sqlalchemy.select(WALLETS.c.account).where(chosen).limit(1)) is not None

    def wallet_at(self, operator: int) -> int | None:
        """Return a wallet of an operator that is open or being opened; None if there is none.

        The query ends at the first wallet. For an operator without wallets, which leaves, it reads the whole register.
        """
        chosen = (WALLETS.c.operator == operator) & WALLETS.c.state.in_((OPENING, OPEN))
        with reading(self._stores.engine) as connection:
            found = connection.scalar(sqlalchemy.select(WALLETS.c.account).where(chosen).limit(1))
        return None if found is None else int(found)

    def disagreements(self) -> Iterator[str]:
        """Yield one sentence for each state and each operator of a wallet that differs from the ledger's account."""
        columns = (WALLETS.c.account, WALLETS.c.state, WALLETS.c.operator)
        query, last = sqlalchemy.select(*columns).order_by(WALLETS.c.account).limit(READ_MAX), -1
        while True:
            with reading(self._stores.engine) as connection:
                rows = connection.execute(query.where(WALLETS.c.account > last) if last >= 0 else query).all()
            if rows:
                yield from self._differences(rows)
            if len(rows) < READ_MAX:
                return
            last = rows[-1][0]

    def _differences(self, rows: Sequence[Sequence[Any]]) -> Iterator[str]:
        """Yield one sentence for each wallet that the ledger has otherwise. `rows`: account, state, operator."""
        accounts, stated, operators = zip(*rows, strict=True)
        answers = self._stores.ledger.sequencer.read(queries.accounts(accounts))
        at = answers.found["at"]  # -1: no such account, and then the next two are of another one
        closed = (answers.accounts["blocks"][at] & Block.CLOSED) != 0
        found_operators = answers.accounts["operator"][at]
        found = zip((at >= 0).tolist(), closed.tolist(), found_operators.tolist(), strict=True)
        for account, state, operator, (has, is_closed, found_operator) in zip(
            accounts, stated, operators, found, strict=True
        ):
            if has and state == OPEN and not is_closed and operator == found_operator:
                continue
            name = f"wallet {ids.format(account)} is"
            if state not in (OPEN, CLOSED):
                if has and state != OPENING:
                    yield f"{name} {state} in the database, and the ledger has its account"
            elif not has:
                yield f"{name} {state} in the database, and the ledger has no such account"
            else:
                if is_closed is not (state == CLOSED):
                    yield f"{name} {state} in the database, and not so in the ledger"
                if operator != found_operator:
                    yield f"{name} of operator {operator} in the database, and of {found_operator} in the ledger"


def wallet_in(connection: Connection, account: int) -> Wallet | None:
    """Return a wallet as a transaction sees it, or None."""
    row = connection.execute(sqlalchemy.select(WALLETS).where(WALLETS.c.account == account)).one_or_none()
    return None if row is None else _wallet(row)


def _wallet(row: Row[Any]) -> Wallet:
    values = row._mapping
    return Wallet(
        values["account"],
        values["holder"],
        values["operator"],
        values["class"],
        values["rule_set"],
        bool(values["is_custodial"]),
        values["state"],
        values["intent"],
        values["opened_ns"],
    )
