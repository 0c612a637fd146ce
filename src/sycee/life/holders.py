"""Holders of wallets, read from the tables of `wallets`."""

from __future__ import annotations

import sqlalchemy
from sqlalchemy.engine import Connection, Engine

from sycee.core import ids
from sycee.core.errors import UsageError
from sycee.database.transactions import reading
from sycee.wallets.tables import OPEN, OPENING, WALLETS


class Holders:
    """The holders of a bank's wallets."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def holder_of(self, account: int) -> int:
        """Return the person who holds a wallet. Raises UsageError if the account is no wallet."""
        with reading(self._engine) as connection:
            holder = connection.scalar(sqlalchemy.select(WALLETS.c.holder).where(WALLETS.c.account == account))
        if holder is None:
            raise UsageError(f"there is no wallet {ids.format(account)}", hint="name the account of a wallet")
        return int(holder)

    def accounts_of(self, person: int) -> list[int]:
        """Return the open wallets of a person, in order."""
        chosen = (WALLETS.c.holder == person) & (WALLETS.c.state == OPEN)
        query = sqlalchemy.select(WALLETS.c.account).where(chosen).order_by(WALLETS.c.account)
        with reading(self._engine) as connection:
            return list(connection.scalars(query))

    def is_customer(self, connection: Connection, person: int) -> bool:
        """Return whether a person has a wallet that is open or being opened."""
        chosen = (WALLETS.c.holder == person) & WALLETS.c.state.in_((OPEN, OPENING))
        return connection.scalar(sqlalchemy.select(WALLETS.c.account).where(chosen).limit(1)) is not None
