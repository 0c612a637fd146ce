"""The draw at the size of the Luohu pilot: freeze the list, then find the winners."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

import numpy as np

from benchmarks.measure import Benchmark, Setting, Timing, timed
from benchmarks.town import MOMENT_MS
from sycee.core.errors import require
from sycee.programmes import draw
from sycee.programmes.definition import DRAW_RULE, REPLAY_BEACON, DrawRule, Stratum

ENTRIES: Final = 1_913_847
WINNERS: Final = 50_000
FROZEN_NS: Final = MOMENT_MS * 10**6
# SHA-256 blocks of 64 bytes per entry: commitment 2, leaf of the tree 1, node of the tree 2, ticket 2.
BLOCKS_PER_ENTRY: Final = 7
BLOCK_BYTES: Final = 64
BUFFER_BYTES: Final = 64 << 20


def freeze_and_draw(setting: Setting) -> Iterator[tuple[Timing, Timing]]:
    """Freeze and draw in memory, without publishing; the limit is hashlib's SHA-256 of as many blocks in one stream."""
    setting.say("making registrants")
    count = setting.operations
    random = np.random.default_rng(4)
    entries = draw.Entries(
        documents=np.arange(1, count + 1, dtype=np.uint64),
        phones=random.integers(10**10, 10**11, size=count).astype(np.uint64),
        salts=draw.replay_salts(1, count),
    )
    winners = min(WINNERS, count)
    rule = DrawRule(DRAW_RULE, (Stratum("all", winners),), REPLAY_BEACON, 1, FROZEN_NS + 10**9)
    buffer = np.resize(entries.salts.reshape(-1), BUFFER_BYTES).data
    hashed_bytes = count * BLOCKS_PER_ENTRY * BLOCK_BYTES
    parts = [buffer[: min(BUFFER_BYTES, hashed_bytes - at)] for at in range(0, hashed_bytes, BUFFER_BYTES)]
    found: list[draw.Winners] = []

    def step(_: int) -> None:
        frozen = draw.freeze_list(None, "benchmark", rule, entries, frozen_at_ns=FROZEN_NS)
        found.append(draw.draw_winners(frozen, draw.replay_beacon(1, frozen.announcement)))

    setting.say("warming up")
    few = draw.Entries(entries.documents[:1000], entries.phones[:1000], entries.salts[:1000])
    draw.freeze_list(None, "benchmark", rule, few, frozen_at_ns=FROZEN_NS)
    for _ in range(setting.repeats):
        setting.say("measuring")
        timing = timed([0], step, count)
        stream = hashlib.sha256()
        yield timing, timed(parts, stream.update, count)
        result = found.pop()
        require(np.unique(result.index).size == winners, f"{winners} different winners were expected")


BENCHMARKS: Final = (
    Benchmark(
        "draw",
        "entries frozen and drawn, 50,000 winners, in memory",
        None,
        ENTRIES,
        "hashlib, one stream of as many SHA-256 blocks",
        freeze_and_draw,
    ),
)
