"""Cursors of lists: what the server gave out is accepted, and nothing else."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from sycee.core.errors import UsageError
from sycee.core.limits import I64_MAX
from sycee.server import paging


@pytest.mark.parametrize("place", [(), (0,), (I64_MAX,), ("a",), (7, "2026-11-02")])
def test_a_cursor_is_read_back(place: tuple[Any, ...]) -> None:
    cursor = paging.encode(*place) if place else ""
    assert paging.decode(cursor, *map(type, place)) == place


@pytest.mark.parametrize(
    "place",
    [[], [1, 2], ["1"], [True], [1.0], [None], {}, 5, None, [-1], [I64_MAX + 1], [2**70], [[1]], "x"],
    ids=str,
)
def test_what_is_no_cursor_of_a_number(place: Any) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")
    with pytest.raises(UsageError, match="no cursor"):
        paging.decode(cursor, int)


@pytest.mark.parametrize("text", ["\0", "\ud800", "a\nb", "\u202e"], ids=ascii)
def test_texts_that_no_database_gives_out(text: str) -> None:
    with pytest.raises(UsageError, match="no cursor"):
        paging.decode(paging.encode(text), str)


@pytest.mark.parametrize("cursor", ["%%%", "A", "é", "WzFd" * 50])
def test_texts_that_are_no_cursor(cursor: str) -> None:
    with pytest.raises(UsageError, match="no cursor"):
        paging.decode(cursor, int)
