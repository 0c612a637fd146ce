"""Actions that are sent again: at the same time, and after a crash between their change and their answer."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.bank import world
from tests.server.world import new_id

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.database.requests import RequestConflict
from sycee.server.signing import ActionBody, Signatures, perform

WAIT_S = 60
CALLERS = 4


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    with world.bank("sqlite", tmp_path_factory.mktemp("bank")) as made:
        yield made


class Work:
    """An action that ends once every caller has called it, or waits for its answer."""

    def __init__(self, bank: Bank, id: int) -> None:
        self.bank, self.id = bank, id
        self.calls = 0
        self._changed = threading.Condition()

    def __call__(self, _: Signatures) -> dict[str, int]:
        until_s = time.monotonic() + WAIT_S
        with self._changed:
            self.calls += 1
            call = self.calls
            while self.calls < CALLERS and self.bank.stored_requests.in_progress.users(self.id) < CALLERS:
                assert time.monotonic() < until_s, "a caller is missing"
                self._changed.wait(0.01)
        return {"call": call}


def test_one_of_several_requests_at_a_time_is_the_first(bank: Bank) -> None:
    body = ActionBody(id=new_id())
    work = Work(bank, body.number)
    with ThreadPoolExecutor(CALLERS) as threads:
        started = [threads.submit(perform, bank, "test", 1, body, work) for _ in range(CALLERS)]
        answers = [each.result(WAIT_S) for each in started]
    assert sorted(each.status_code for each in answers) == [200] * (CALLERS - 1) + [201]
    assert {bytes(each.body) for each in answers} == {json.dumps({"call": 1}, separators=(",", ":")).encode()}
    assert work.calls == 1


def test_another_request_under_an_id_in_progress_is_refused(bank: Bank) -> None:
    body = ActionBody(id=new_id())
    work = Work(bank, body.number)
    with ThreadPoolExecutor(CALLERS) as threads:
        started = [threads.submit(perform, bank, "test", who, body, work) for who in range(1, CALLERS + 1)]
        errors = [each.exception(WAIT_S) for each in started]
    assert [type(each) for each in errors if each is not None] == [RequestConflict] * (CALLERS - 1)
    assert work.calls == 1
    assert bank.stored_requests.in_progress.users(ids.parse(body.id)) == 0
