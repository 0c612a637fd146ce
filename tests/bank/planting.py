"""Values planted as personal data, and the search for them in everything that a bank writes."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Final

import sqlalchemy
from sqlalchemy.engine import Engine

NAME: Final = "Zebedee Quillfeather"
CHINESE_NAME: Final = "璩甯笙"
PHONE: Final = "+8613987654321"
PAPER: Final = "QX77465129"
ADDRESS: Final = "99 Plantagenet Lane"
BIRTH: Final = "1987-03-29"
REFERENCE: Final = "Invoice 88-Quokka for spring 茶叶 tea"
CHINESE_REFERENCE: Final = "五月房租，谢谢你，小笙"

# What must not be found anywhere. Parts, too: a phone without its prefix, one word of a name.
VALUES: Final = (
    NAME, "Zebedee", "Quillfeather", "zebedee", CHINESE_NAME, PHONE, "13987654321", "139 8765 4321", PAPER,
    ADDRESS, "Plantagenet", BIRTH, REFERENCE, "Quokka", CHINESE_REFERENCE, "五月房租",
)  # fmt: skip


@cache
def forms(value: str) -> tuple[bytes, ...]:
    """Return a value as it may be written: UTF-8, UTF-16, JSON escapes, hexadecimal digits."""
    raw = value.encode()
    return (
        raw, value.encode("utf-16-le"), value.encode("utf-16-be"), json.dumps(value)[1:-1].encode(), raw.hex().encode(),
    )  # fmt: skip


def found_in(content: bytes | str, place: str) -> list[str]:
    """Return one line for each planted value in some content."""
    raw = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    raw = raw.replace(bytes(64), b"")  # a segment of the journal is mostly zeros
    return [f"{value} in {place}" for value in VALUES if any(form in raw for form in forms(value))]


def found_in_files(*folders: Path) -> list[str]:
    """Return one line for each planted value in a file below the folders, or in its name."""
    places = []
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            places += found_in(str(path.relative_to(folder)), f"the name of {path}")
            if path.is_file():
                places += found_in(path.read_bytes(), str(path))
    return places


def found_in_tables(engine: Engine) -> list[str]:
    """Return one line for each planted value in a row of any table of a database."""
    places = []
    tables = sqlalchemy.MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        for table in tables.sorted_tables:
            for row in connection.execute(sqlalchemy.select(table)):
                for value in row:
                    content = bytes(value) if isinstance(value, bytes | memoryview) else str(value)
                    places += found_in(content, f"table {table.name}")
    return places
