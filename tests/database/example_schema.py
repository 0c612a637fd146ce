"""Schema of a small package in two releases; the second has one more revision."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import BigInteger, Column, MetaData, Table, Text

from sycee.database.migrations import Schema

FOLDER = Path(__file__).parent
METADATA = MetaData()
NOTES = Table("notes", METADATA, Column("number", BigInteger, primary_key=True), Column("text", Text, nullable=False))
RELEASES = [Schema("diary", METADATA, FOLDER / folder) for folder in ("migrations_one", "migrations_two")]
