"""Readers beside a load: open event streams, and one reader that pages statements, in a separate process.

The process reads its `Readers` as JSON from stdin, writes a line when all streams are open, and its counts as JSON when
stdin ends. It counts the events and does not parse them, so that it takes little of the processor.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import aclosing, suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sycee.client import AsyncClient, Credentials, NotFound, api
from sycee.client.events import Feed
from sycee.core.errors import UnavailableError
from sycee.core.keys import SigningKey

START_S_MAX = 30.0
PAGES = 3  # of each statement


@dataclass(frozen=True, slots=True)
class Readers:
    """The readers of a load. `programs`: client id and key file of each program; the streams are divided among them.

    `wallets`: ids of wallets whose statements the first program pages, one after the other; () for none. `origin`: the
    server's public address, of which tokens are.
    """

    url: str
    origin: str
    programs: tuple[tuple[str, str], ...]
    streams: int
    wallets: tuple[str, ...]


class ReaderProcess:
    """The process of readers. Raises UnavailableError if it cannot open every stream."""

    def __init__(self, readers: Readers) -> None:
        command = [sys.executable, "-m", "sycee.load.readers"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(asdict(readers)) + "\n")
        self._process.stdin.flush()
        if self._process.stdout.readline() != "open\n":
            self._process.kill()
            self._process.communicate()
            raise UnavailableError(
                f"{readers.streams} event streams could not be opened",
                hint="a program has at most 8 streams: name more programs",
            )

    @property
    def process(self) -> int:
        """Return the number of the process."""
        return self._process.pid

    def stop(self) -> dict[str, Any]:
        """End the process; return its counts: `streams`, `events`, `pages`, and `page_ms` of a page of a statement."""
        output, _ = self._process.communicate()
        found: dict[str, Any] = json.loads(output)
        return found


async def run(readers: Readers) -> dict[str, Any]:
    """Read until stdin ends; return the counts."""
    clients = [
        AsyncClient(readers.url, Credentials(client, SigningKey.load(file)), origin=readers.origin)
        for client, file in readers.programs
    ]
    counts = [0] * readers.streams
    opened = [asyncio.Event() for _ in counts]
    latencies_s: list[float] = []
    tasks = [
        asyncio.create_task(_stream(clients[at % len(clients)], counts, at, opened[at])) for at in range(len(counts))
    ]
    if readers.wallets:
        tasks.append(asyncio.create_task(_statements(clients[0], readers.wallets, latencies_s)))
    async with asyncio.timeout(START_S_MAX):
        for event in opened:
            await event.wait()
    sys.stdout.write("open\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks)
    for client in clients:
        await client.aclose()
    p50, p99 = np.percentile(1_000 * np.array(latencies_s or [0.0]), (50, 99))
    return {
        "streams": readers.streams,
        "events": sum(counts),
        "pages": len(latencies_s),
        "page_ms": {"p50": round(float(p50), 3), "p99": round(float(p99), 3)},
    }


async def _stream(client: AsyncClient, counts: list[int], at: int, opened: asyncio.Event) -> None:
    answer = await client.do(Feed().connect())
    stream = answer.stream
    opened.set()
    async with aclosing(stream):
        async for data in stream.aiter_raw():
            counts[at] += data.count(b"\nevent: ")


async def _statements(client: AsyncClient, wallets: Sequence[str], latencies_s: list[float]) -> None:
    while True:
        for wallet in wallets:
            call = api.statement(wallet)
            for _ in range(PAGES):
                began = time.perf_counter()
                with suppress(NotFound):
                    page = await client.do(call)
                    latencies_s.append(time.perf_counter() - began)
                    if page.next is not None:
                        call = page.next
                        continue
                break


if __name__ == "__main__":
    _asked = json.loads(sys.stdin.readline())
    _programs = tuple(map(tuple, _asked.pop("programs")))
    _counts = asyncio.run(run(Readers(programs=_programs, **_asked)))
    sys.stdout.write(json.dumps(_counts))
