"""Payment references: texts of at most 35 characters, order numbers, and the id that joins them to a ledger's record.

The ledger stores the reference's id alone, in `note`. The text is sealed twice, under the keys of both holders, so that
shredding one of them leaves the other's statement readable.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.database.transactions import reading
from sycee.personal.access import Access
from sycee.personal.register import Register
from sycee.wallets.tables import REFERENCE_CHARACTERS_MAX, REFERENCES

PLACE: Final = "reference"  # place of the sealed texts
READ_MAX: Final = 500  # operations of one query

_ORDER: Final = re.compile(r"[A-Za-z0-9._/-]{1,35}")


def check_text(text: str) -> str:
    """Return a text of a payment. Raises UsageError, which does not repeat it, if it is too long or not printable."""
    if len(text) > REFERENCE_CHARACTERS_MAX or not text.isprintable():
        raise UsageError(
            f"the reference must have at most {REFERENCE_CHARACTERS_MAX} printable characters; it has {len(text)}",
            hint="shorten it; line breaks and tabs are not printable",
        )
    return text


def check_order(order: str) -> str:
    """Return an order number. Raises UsageError for another form."""
    if not _ORDER.fullmatch(order):
        raise UsageError(
            f"{order[:40]!a} is not an order number",
            hint="an order number has 1 to 35 letters, digits, points, slashes, dashes and underscores",
        )
    return order


def with_note(records: Array, reference: int) -> Array:
    """Write a reference's id into the `note` of records and return them."""
    records["note_low"], records["note_high"] = ids.split(reference)
    return records


class References:
    """The texts of payments."""

    def __init__(self, register: Register) -> None:
        self._register = register

    def seal(self, holder: int, text: str) -> bytes | None:
        """Return a text under a holder's key, None for no text. Raises NotFound for a shredded holder."""
        return self._register.seal(holder, PLACE, text) if text else None

    def text(self, operation: int, holder: int, sealed: bytes | None, *, access: Access | None) -> str:
        """Return a text for its holder (`access` None), or for another person after an entry in the access log."""
        if sealed is None:
            return ""
        if access is None:
            return self._register.open_own(holder, PLACE, sealed)
        return self._register.open(holder, PLACE, sealed, access=access)


def tills_of(connection: Connection, operations: Sequence[int]) -> dict[int, int]:
    """Return the till of each operation that has one."""
    return {row.operation: row.till for row in rows_of(connection, operations) if row.till is not None}


def rows_of(connection: Connection, operations: Sequence[int]) -> list[sqlalchemy.Row[Any]]:
    """Return the references of operations."""
    found: list[sqlalchemy.Row[Any]] = []
    for at in range(0, len(operations), READ_MAX):
        chosen = REFERENCES.c.operation.in_(list(operations[at : at + READ_MAX]))
        found += connection.execute(sqlalchemy.select(REFERENCES).where(chosen))
    return found


def own_texts(
    engine: sqlalchemy.Engine, register: Register, account: int, holder: int, operations: Sequence[int]
) -> dict[int, str]:
    """Return the texts of an account's payments for its holder, by operation."""
    with reading(engine) as connection:
        rows = rows_of(connection, operations)
    texts = {}
    for row in rows:
        sealed = row.payer_sealed if row.payer == account else row.payee_sealed if row.payee == account else None
        if sealed is not None:
            texts[row.operation] = register.open_own(holder, PLACE, sealed)
    return texts
