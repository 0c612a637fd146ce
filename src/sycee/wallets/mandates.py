"""Mandates: a wallet permits that what its payments lack is debited from its holder's bank account.

A mandate has a maximum a day and is signed by the wallet's own key. Each use verifies the signature, so a changed
maximum is refused, and a new key of the wallet ends its mandate. The wallet signs each payment as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.core import ids
from sycee.core.clock import read_ns
from sycee.core.errors import UsageError
from sycee.core.keys import PublicKey, SigningKey
from sycee.core.limits import I64_MAX
from sycee.core.records.signed_messages import mandate_message
from sycee.database.stores import Stores
from sycee.database.transactions import Also, nothing_else, reading, write
from sycee.identity.people import People
from sycee.identity.remote_key import RemoteKey
from sycee.wallets.directory import Directory
from sycee.wallets.tables import ACTIVE, ENDED, LINKS, MANDATES

MANDATE: Final = "mandate"


@dataclass(frozen=True, slots=True)
class Mandate:
    """The mandate of one wallet. `day_max_minor`: the most that one local day debits from the bank account."""

    id: int
    account: int
    day_max_minor: int
    at_ns: int


class Mandates:
    """The mandates of one bank."""

    def __init__(self, stores: Stores, people: People, directory: Directory) -> None:
        self._stores, self._people, self._directory = stores, people, directory

    def grant(self, account: int, day_max_minor: int, *, key: SigningKey | RemoteKey, by: int, id: int = 0) -> Mandate:
        """Store a mandate of a wallet, signed by its key, and end its earlier one.

        `by`: the holder. `id`: the same id again changes nothing. Raises UsageError for another person or key, a wallet
        without a key or without a bank account, and a maximum below 1.
        """
        self._require_holder(account, by)
        self._require_bank_account(account)
        found = self._stores.ledger.account(account)
        if (found.key, int(found.key_flags)) != (key.public.key, key.public.flags):
            raise UsageError(
                f"the key is not that of wallet {ids.format(account)}",
                hint="a mandate is signed by the wallet's own key",
            )
        if not 0 < day_max_minor <= I64_MAX:
            raise UsageError(f"a maximum of {day_max_minor} minor units a day permits nothing", hint="give at least 1")
        now_ns = read_ns(self._stores.clock)
        mandate = Mandate(id or ids.new(now_ns // 1_000_000), account, day_max_minor, now_ns)
        row = {
            "id": mandate.id,
            "account": account,
            "day_max_minor": day_max_minor,
            "signature": key.sign(self._message(mandate)),
            "at_ns": now_ns,
            "state": ACTIVE,
        }

        def store(connection: Connection) -> None:
            if connection.scalar(sqlalchemy.select(MANDATES.c.id).where(MANDATES.c.id == mandate.id)) is None:
                connection.execute(MANDATES.update().where(MANDATES.c.account == account).values(state=ENDED))
                connection.execute(MANDATES.insert().values(row))

        write(self._stores.engine, store)
        return mandate

    def end(self, account: int, *, by: int, also: Also = nothing_else) -> None:
        """End the mandate of a wallet. `by`: its holder, or a person of its operator. Raises UsageError without one.

        `also` writes in the same transaction.
        """
        wallet = self._directory.get(account)
        if wallet.holder != by:
            self._people.require(by, "wallet.class", operator=wallet.operator)
        active = (MANDATES.c.account == account) & (MANDATES.c.state == ACTIVE)

        def end(connection: Connection) -> None:
            if not connection.execute(MANDATES.update().where(active).values(state=ENDED)).rowcount:
                raise UsageError(f"wallet {ids.format(account)} has no mandate")
            also(connection)

        write(self._stores.engine, end)

    def of_account(self, account: int) -> Mandate:
        """Return the mandate of a wallet. Raises UsageError for none, and for one that is not signed by its key."""
        self._require_bank_account(account)
        active = (MANDATES.c.account == account) & (MANDATES.c.state == ACTIVE)
        with reading(self._stores.engine) as connection:
            row = connection.execute(sqlalchemy.select(MANDATES).where(active)).one_or_none()
        if row is not None:
            mandate = Mandate(row.id, row.account, row.day_max_minor, row.at_ns)
            found = self._stores.ledger.account(account)
            if found.key and PublicKey(int(found.key_flags), found.key).verifies(
                bytes(row.signature), self._message(mandate)
            ):
                return mandate
        what = "has no mandate" if row is None else "has a mandate that its key did not sign"
        raise UsageError(
            f"wallet {ids.format(account)} {what}: nothing is taken from its bank account",
            hint="`sycee wallet mandate --day-max` gives one",
        )

    def _message(self, mandate: Mandate) -> bytes:
        account = self._stores.ledger.account(mandate.account)
        return mandate_message(
            self._stores.ledger.ledger_id, mandate.id, account=mandate.account, key_epoch=account.key_epoch,
            currency=account.currency, day_max_minor=mandate.day_max_minor,
        )  # fmt: skip

    def _require_holder(self, account: int, by: int) -> None:
        self._people.require(by, MANDATE)
        if self._directory.require_open(account).holder != by:
            raise UsageError(
                f"wallet {ids.format(account)} is another holder's", hint="the holder of a wallet gives its mandate"
            )

    def _require_bank_account(self, account: int) -> None:
        linked = (LINKS.c.account == account) & (LINKS.c.state == ACTIVE)
        with reading(self._stores.engine) as connection:
            found = connection.scalar(sqlalchemy.select(LINKS.c.account).where(linked))
        if found is None:
            raise UsageError(
                f"wallet {ids.format(account)} has no bank account",
                hint="`sycee wallet waterfall --bank-account` links it to one",
            )
