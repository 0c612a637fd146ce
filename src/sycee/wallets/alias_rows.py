"""Rows of aliases in a caller's transaction."""

from __future__ import annotations

from enum import IntEnum

from sqlalchemy.engine import Connection

from sycee.core.arrays import Bytes
from sycee.database.bulk import any_of, insert_columns
from sycee.database.engines import is_sqlite
from sycee.wallets.tables import ACTIVE, ALIASES, ENDED


class AliasKind(IntEnum):
    """Kind of an alias. Numbers never change, since databases contain them."""

    PHONE = 1
    HANDLE = 2
    BENEFICIARY = 3  # id of a person in the register of a programme, checked by staff of the wallet's operator


def store_aliases(
    connection: Connection, kind: AliasKind, hashes: Bytes, accounts: Bytes, masked: list[str], since_ns: int
) -> None:
    """Insert n new aliases instead of those that have ended. `hashes`, `accounts`: (n, 16), best sorted by hash.

    `masked`: the names of the holders with most letters replaced by *.
    """
    condition, parameters = any_of(connection, "hash", hashes)
    place = "?" if is_sqlite(connection) else "%s"
    delete = f"DELETE FROM wallets_aliases WHERE kind = {place} AND state = {place} AND {condition}"  # noqa: S608
    connection.exec_driver_sql(delete, (int(kind), ENDED, *parameters))
    columns = {
        "kind": int(kind), "hash": hashes, "account": accounts, "masked": masked, "state": ACTIVE, "since_ns": since_ns,
    }  # fmt: skip
    insert_columns(connection, ALIASES, columns)


def known_hashes(connection: Connection, kind: AliasKind, hashes: Bytes) -> set[bytes]:
    """Return which hashes, (n, 16), are aliases that have not ended."""
    condition, parameters = any_of(connection, "hash", hashes)
    place = "?" if is_sqlite(connection) else "%s"
    query = f"SELECT hash FROM wallets_aliases WHERE kind = {place} AND state <> {place} AND {condition}"  # noqa: S608
    return {bytes(row[0]) for row in connection.exec_driver_sql(query, (int(kind), ENDED, *parameters))}


def end_aliases_of(connection: Connection, account: int) -> None:
    """End all aliases of an account."""
    values = {"state": ENDED, "until_ns": None, "to_account": None}
    connection.execute(ALIASES.update().where(ALIASES.c.account == account).values(values))
