"""Rows of aliases in a caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from sqlalchemy.engine import Connection

from sycee.database.bulk import insert_rows
from sycee.database.columns import ID_BYTES
from sycee.database.engines import is_sqlite
from sycee.wallets.tables import ACTIVE, ALIASES, ENDED

BATCH_MAX: Final = 500  # hashes of one query


class AliasKind(IntEnum):
    """Kind of an alias. Numbers never change, since databases contain them."""

    PHONE = 1
    HANDLE = 2


class AliasRow(NamedTuple):
    """A new alias. `masked`: the holder's name with most letters replaced by *."""

    kind: AliasKind
    hash: bytes
    account: int
    masked: str


def store_aliases(connection: Connection, aliases: Sequence[AliasRow], since_ns: int) -> None:
    """Insert new aliases."""
    rows = [
        (int(kind), hash, account.to_bytes(ID_BYTES, "big"), masked, ACTIVE, since_ns)
        for kind, hash, account, masked in aliases
    ]
    insert_rows(connection, ALIASES, ("kind", "hash", "account", "masked", "state", "since_ns"), rows)


def known_hashes(connection: Connection, kind: AliasKind, hashes: Sequence[bytes]) -> set[bytes]:
    """Return which hashes are aliases that have not ended."""
    return _hashes(connection, kind, hashes, "<>")


def ended_hashes(connection: Connection, kind: AliasKind, hashes: Sequence[bytes]) -> set[bytes]:
    """Return which hashes are aliases that have ended."""
    return _hashes(connection, kind, hashes, "=")


def _hashes(connection: Connection, kind: AliasKind, hashes: Sequence[bytes], compared: str) -> set[bytes]:
    wanted = sorted(set(hashes))
    place = "?" if is_sqlite(connection) else "%s"
    found: set[bytes] = set()
    for at in range(0, len(wanted), BATCH_MAX):
        part = wanted[at : at + BATCH_MAX]
        places = ", ".join((place,) * len(part))
        query = (
            f"SELECT hash FROM wallets_aliases WHERE kind = {place} AND state {compared} {place} "  # noqa: S608
            f"AND hash IN ({places})"
        )
        rows = connection.exec_driver_sql(query, (int(kind), ENDED, *part))
        found.update(bytes(row[0]) for row in rows)
    return found


def remove_aliases(connection: Connection, kind: AliasKind, hashes: set[bytes]) -> None:
    """Delete aliases that have ended, so that they can be given again."""
    for each in sorted(hashes):
        connection.execute(ALIASES.delete().where(ALIASES.c.kind == int(kind), ALIASES.c.hash == each))


def end_aliases_of(connection: Connection, account: int) -> None:
    """End all aliases of an account."""
    values = {"state": ENDED, "until_ns": None, "to_account": None}
    connection.execute(ALIASES.update().where(ALIASES.c.account == account).values(values))
