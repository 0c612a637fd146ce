"""Several processes on one database, and a process killed during a call: no call is half done."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select
from tests.compliance.service.crashing import ACTS, act_and_die, act_many_times, decide_appeal_at_once, queue, run, wait
from tests.compliance.service.world import NEXT_YEAR, Desk

from sycee.compliance.enforcement import tables
from sycee.database.transactions import reading

NEVER = 60  # more statements than any act has
COUNTED = ("admissions", "screenings", "rounds", "appeals")  # numbers may have gaps after a kill


def state(desk: Desk) -> dict[str, list[tuple[Any, ...]]]:
    """Return all stored rows, without numbers that may have gaps."""
    kept = {}
    with reading(desk.engine) as connection:
        for table in tables.METADATA.sorted_tables:
            counted = table.name.removeprefix("compliance_") in COUNTED
            columns = [column for column in table.columns if not (counted and column.name == "number")]
            kept[table.name] = sorted(map(tuple, connection.execute(select(*columns))), key=repr)
    return kept


def kill(desk: Desk, act: str, steps: Iterable[int]) -> int:
    """Kill an act at each of the steps, then let it end; return how often it was killed."""
    for each in "ac":
        desk.compliance.admit(f"bank-{each}", by="desk")
    desk.compliance.appeal(desk.compliance.admission_status("bank-c").digest, reason="please", by="bank-c")
    if act == "rejudge":
        desk.use(("PARTY", "owner-a"))
    before = state(desk)
    killed = 0
    for step in (*steps, NEVER):
        (code,) = wait([run(act_and_die, desk.where, desk.folder, act, step)])
        if code == 0:
            break
        killed += 1
        assert code == -signal.SIGKILL
        # The commit is last, so a process killed before it has stored nothing.
        assert state(desk) == before, f"killed at step {step}"
    assert code == 0
    assert state(desk) != before
    for admission in desk.compliance.admissions("bank-c"):
        assert desk.compliance.replay(admission.digest).digest == admission.digest
    return killed


# On PostgreSQL one act: its transactions are those of all packages. The soak test kills every act there.
KILLED = [*(("sqlite", act) for act in ACTS), ("postgresql", "declare")]


@pytest.mark.parametrize(("server", "act"), KILLED, indirect=["server"])
def test_a_killed_call_stores_everything_or_nothing(desk: Desk, act: str) -> None:
    """Killed before an early statement and before the commit that stores: everything is stored, or nothing."""
    assert kill(desk, act, (3, 0)) == 2


@pytest.mark.soak
@pytest.mark.parametrize("act", ACTS)
def test_a_call_killed_at_every_statement_stores_everything_or_nothing(desk: Desk, act: str) -> None:
    assert 4 <= kill(desk, act, range(1, NEVER)) < NEVER - 1


def test_two_processes_share_a_database(desk: Desk) -> None:
    times = 2
    codes = wait([run(act_many_times, desk.where, desk.folder, name, times) for name in ("one", "two")])
    assert codes == [0, 0]
    numbers = [version.number for kind in ("network", "library") for version in desk.compliance.versions(kind)]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    assert len(numbers) == 2 + 2 * 2 * times  # a declaration and a waiver each time
    kept = [each for bank in "abc" for each in desk.compliance.admissions(f"bank-{bank}") if each.cause == "asked"]
    assert len(kept) == 2 * 3 * times
    answers = [
        each for name in ("one", "two") for n in range(times) for each in desk.compliance.screenings(f"{name}-{n}")
    ]
    assert [each.outcome for each in answers] == ["permitted"] * 2 * times
    for each in (kept[0], kept[-1], answers[0], answers[-1]):
        assert desk.compliance.replay(each.digest).digest == each.digest
    desk.compliance.rejudge(by="desk")
    assert not desk.compliance.due()


def test_an_appeal_is_decided_once_by_concurrent_processes(desk: Desk) -> None:
    refused = desk.compliance.admit("bank-c", by="desk")
    desk.compliance.appeal(refused.digest, reason="please", by="bank-c")
    results = queue()
    assert wait([run(decide_appeal_at_once, desk.where, results) for _ in range(3)]) == [0, 0, 0]
    said = sorted(results.get(timeout=10) for _ in range(3))
    assert said == ["answered", "appeal 1 is already decided", "appeal 1 is already decided"]
    assert len(desk.compliance.network().waivers) == 1


def test_threads_share_one_service(desk: Desk) -> None:
    for each in "ab":
        desk.compliance.admit(f"bank-{each}", by="desk")

    def ask(number: int) -> str:
        compliance = desk.compliance
        if number % 5 == 0:
            compliance.waive("first-law/exit", "bank-c", role="head", reason=str(number), until=NEXT_YEAR, by="eve")
        return compliance.screen("retail", {"amount_minor": number}, payment=str(number), by="gateway").digest

    with ThreadPoolExecutor(4) as pool:
        digests = list(pool.map(ask, range(20)))
    assert len(set(digests)) == 20
    assert [desk.compliance.screenings(str(number))[0].digest for number in range(20)] == digests
    assert desk.compliance.replay(digests[7]).digest == digests[7]
