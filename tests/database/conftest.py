"""`where`: each test that asks for it runs once on every kind of database, new and empty."""

from __future__ import annotations

from tests.database.fixtures import sockets, where

__all__ = ["sockets", "where"]
