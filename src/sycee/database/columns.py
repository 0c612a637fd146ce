"""Column types that packages share."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, LargeBinary, String, Text
from sqlalchemy.types import TypeDecorator

from sycee.core.arrays import Bytes
from sycee.core.ids import Ids

ID_BYTES: Final = 16

DIGEST: Final = String(64)  # BLAKE3, hexadecimal
DAY: Final = String(10)  # ISO 8601
NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")  # SQLite auto-increments INTEGER only
NS: Final = BigInteger()  # nanoseconds since 1970-01-01T00:00:00Z
MINOR: Final = BigInteger()  # minor units of a currency


class Id128(TypeDecorator[int]):
    """An id of 128 bits: an `int` in Python, 16 bytes big-endian in the database, so that ids sort by their time."""

    impl = LargeBinary(ID_BYTES)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Any) -> bytes | None:
        """Return the bytes of an id."""
        return None if value is None else id_bytes(value)

    def process_result_value(self, value: bytes | None, dialect: Any) -> int | None:
        """Return the id of the bytes."""
        return None if value is None else int.from_bytes(value, "big")


def id_bytes(id: int) -> bytes:
    """Return the 16 bytes of an id in the database. Raises OverflowError for more than 128 bits."""
    return id.to_bytes(ID_BYTES, "big")


def ids_bytes(many: Ids) -> Bytes:
    """Return the bytes of n ids in the database: (n, 16)."""
    return np.stack([many["high"], many["low"]], axis=1).astype(">u8").view(np.uint8)


def required(type_: Any, *names: str) -> tuple[Column[Any], ...]:
    """Return columns of one type that are NOT NULL."""
    return tuple(Column(name, type_, nullable=False) for name in names)


def state_column(*states: str) -> Column[str]:
    """Return the column `state`, whose values the database limits to these."""
    shown = ", ".join(f"'{state}'" for state in states)
    return Column("state", Text, CheckConstraint(f"state IN ({shown})"), nullable=False)
