"""The API's document is true: random requests to `sycee demo` in all roles get documented answers, and never 5xx."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.demo.fuzzing import Fuzzer
from tests.demo.test_demo import free_port, running

from sycee.demo import economy
from sycee.demo.folder import Demo
from sycee.demo.people import People

SEED = 47
SAMPLE = 30  # operations
# `make soak` fuzzes for an hour; FUZZ_SECONDS chooses another time, FUZZ_SEED the seed of another run.
SOAK_S = int(os.environ.get("FUZZ_SECONDS", "3600"))
ROUND = 5  # requests of each kind to one operation in one round


@pytest.fixture
def town(tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Demo, Path, str]]:
    """Address, description and keys of a running demo with a database, and a code for its first citizen."""
    folder, port = tmp_path / "town", free_port()
    if "://" in where:
        monkeypatch.setitem(economy._SETTINGS, "database", where)
        folder.mkdir()
        economy.seed_economy(folder, People(7))
    with running(folder, port) as (process, screen):
        assert process.stderr is not None
        log: list[str] = []  # read all the time: a full pipe would stop the server
        reader = threading.Thread(target=lambda: log.extend(process.stderr))
        reader.start()
        demo = Demo.load(folder)
        assert demo is not None
        (line,) = [line for line in screen.splitlines() if demo.wallets[0].phone in line]
        yield f"http://127.0.0.1:{port}", demo, folder / "keys", line.split()[-1]
        process.send_signal(signal.SIGTERM)
        reader.join(60)
        process.communicate()
        print("".join(log)[-5_000:])


@pytest.mark.parametrize("where", ["sqlite"], indirect=True)
def test_a_sample_of_requests_gets_documented_answers(town: tuple[str, Demo, Path, str]) -> None:
    fuzzer = Fuzzer(*town, SEED)
    fuzzer.run(random.Random(SEED).sample(fuzzer.operations, SAMPLE), 1)
    assert fuzzer.findings == {}, "\n".join(fuzzer.report())
    assert {200, 400, 403, 404} <= fuzzer.statuses.keys()


@pytest.mark.soak
def test_an_hour_of_requests_gets_documented_answers(town: tuple[str, Demo, Path, str]) -> None:
    """Half an hour with each database."""
    number = int(os.environ.get("FUZZ_SEED", str(random.randrange(10**6))))
    end_s = time.monotonic() + SOAK_S / 2
    fuzzer, chance = Fuzzer(*town, number), random.Random(number)
    fuzzer.prepare()
    while time.monotonic() < end_s:
        chance.shuffle(fuzzer.operations)
        fuzzer.run(fuzzer.operations, ROUND, lambda: time.monotonic() >= end_s)
    print(f"seed {number}, {SOAK_S // 2:,} s", *fuzzer.report(), sep="\n")
    assert fuzzer.findings == {}
