"""Requests by id: the first answer again, and no other request under the id."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sycee.core.clock import RealClock
from sycee.database import tables
from sycee.database.engines import engine
from sycee.database.migrations import upgrade
from sycee.database.requests import RequestConflict, StoredRequests

FIRST = (1, 7, "pay", "a" * 64)


@pytest.fixture
def requests(where: str) -> Iterator[StoredRequests]:
    made = engine(where)
    upgrade(made, tables.SCHEMA)
    yield StoredRequests(made, RealClock())
    made.dispose()


def test_the_first_answer_stays(requests: StoredRequests) -> None:
    assert requests.begin(*FIRST) is None
    assert requests.begin(*FIRST) is None  # in progress
    requests.finish(1, {"result": "CREATED"})
    requests.finish(1, {"result": "EXISTS"})
    assert requests.begin(*FIRST) == requests.find(*FIRST) == {"result": "CREATED"}


@pytest.mark.parametrize("other", [(1, 8, "pay", "a" * 64), (1, 7, "refund", "a" * 64), (1, 7, "pay", "b" * 64)])
def test_an_id_has_one_request(requests: StoredRequests, other: tuple[int, int, str, str]) -> None:
    requests.begin(*FIRST)
    for call in (requests.begin, requests.find):
        with pytest.raises(RequestConflict, match="another request"):
            call(*other)


def test_old_requests_are_deleted(requests: StoredRequests) -> None:
    requests.begin(*FIRST)
    assert requests.prune(RealClock().now_ns() - 10**12) == 0
    assert requests.prune(RealClock().now_ns() + 1) == 1
    assert requests.find(*FIRST) is None
