"""Files of bulk payments as stored."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sqlalchemy
from sqlalchemy.engine import Connection, Row

from sycee.bulk.tables import FILES
from sycee.core import ids
from sycee.core.errors import NotFound
from sycee.core.records.bulk_rows import Content, FileIds, Mode


@dataclass(frozen=True)
class File:
    """A file that its payer declared.

    - `operator`: of the payer's account.
    - `settlement`: number of its settlement batch; before its first row, the number that this row would begin; 0 if
      each row is paid separately, and for a file that was discarded without rows.
    - `proposal`: of the approval, 0 for none.
    """

    id: int
    content: Content
    operator: int
    settlement: int
    proposal: int
    state: str
    who: int
    made_ns: int
    ended_ns: int | None

    @property
    def payer(self) -> int:
        """Return the account that pays."""
        return self.content.payer

    @cached_property
    def ids(self) -> FileIds:
        """Return the ids of the file's records."""
        return FileIds(self.id, self.content.payer)

    @classmethod
    def of(cls, row: Row[Any]) -> File:
        """Return the file of a row of FILES."""
        content = Content(row.payer, Mode(row.mode), row.rows, row.sum_minor, bytes(row.batches))
        return cls(
            row.id, content, row.operator, row.settlement, row.proposal or 0, row.state, row.who, row.made_ns,
            row.ended_ns,
        )  # fmt: skip


def find(connection: Connection, id: int) -> File | None:
    """Return a file, or None."""
    row = connection.execute(sqlalchemy.select(FILES).where(FILES.c.id == id)).one_or_none()
    return None if row is None else File.of(row)


def get(connection: Connection, id: int) -> File:
    """Return a file. Raises NotFound if there is none."""
    found = find(connection, id)
    if found is None:
        raise NotFound(f"there is no file {ids.format(id)}", hint="declare the file first, and use its id")
    return found
