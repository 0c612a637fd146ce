"""Events of a history with packets, read while it is written and again at its end: both are the same."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.sequencer import small
from tests.sequencer.small import ANN, BOB, MEMBERS, SHOP, TREASURY
from tests.sequencer.test_framing import spread

from sycee.core import ids
from sycee.core.clock import SimulatedClock
from sycee.core.errors import UsageError
from sycee.core.records.layout import Kind
from sycee.journal import Journal
from sycee.journal.disk import RealDisk
from sycee.sequencer.frame_records import FrameRecords
from sycee.sequencer.sequencer import Sequencer
from sycee.server.events import ledger_events
from sycee.server.events.feed import Cursor, Page
from sycee.server.events.kinds import TYPES
from sycee.server.events.ledger_events import operations_after
from sycee.testing.histories import random_history

UNTIL = (1 << 63) - 1


class Reader:
    """Reads the events of a sequencer's ledger from a place on."""

    def __init__(self, sequencer: Sequencer, folder: Path) -> None:
        self.sequencer = sequencer
        self.frames = FrameRecords(folder)
        self.place = 0

    def read(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        is_last = False
        while not is_last:
            events, end, is_last = operations_after(self.sequencer, self.frames, self.place, UNTIL)
            page = Page(Cursor.of(self.place, 0), Cursor.of(end, 0), events, (), is_last=is_last)
            found += [page.event(at) for at in range(page.size)]
            self.place = end
        return found


def named(found: Sequence[dict[str, Any]], kind: str) -> list[tuple[list[int], str | None]]:
    """Return accounts and amount of the events of one type."""
    return [
        ([ids.parse(each) for each in event["accounts"]], event.get("amount"))
        for event in found
        if event["type"] == kind
    ]


def test_packets_concern_the_wallets_that_claimed_them(tmp_path: Path) -> None:
    clock = SimulatedClock(small.START_NS)
    sequencer = small.start(RealDisk(tmp_path / "journal"), clock)
    reader = Reader(sequencer, tmp_path)
    live: list[dict[str, Any]] = []
    for seconds, records in small.steps():
        clock.set(max(clock.now_ns(), small.START_NS + seconds * small.SECOND_NS))
        sequencer.submit(records)
        live += reader.read()
    assert live == Reader(sequencer, tmp_path).read()
    assert named(live, "drop.made") == [([TREASURY], str(20 * MEMBERS))], "the refused drop is no event"
    assert [accounts for accounts, _ in named(live, "packet.claimed")] == [[ANN]] * 4 + [[BOB]] * 3
    payments = named(live, "payment.made")
    assert payments[:3] == [([ANN, SHOP], "25"), ([BOB, SHOP], "30"), ([ANN, SHOP], "40")]
    (refunded, _) = named(live, "payment.refunded")
    assert refunded == ([SHOP, BOB], "12")
    ((accounts, amount),) = named(live, "packets.expired")
    assert set(accounts) == {ANN, BOB, TREASURY}
    assert amount is not None
    assert int(amount) > 0
    sequencer.close()


def test_random_histories_give_the_same_events_at_any_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_events, "MOVEMENTS_MAX", 5)
    types: set[str] = set()
    for seed in range(2):
        folder = tmp_path / str(seed)
        folder.mkdir()
        clock = SimulatedClock(1)
        sequencer = Sequencer(Journal.create(RealDisk(folder / "journal")), clock=clock, overlap=False)
        reader = Reader(sequencer, folder)
        live: list[dict[str, Any]] = []
        for now_ns, records in spread(random_history(seed, 600)):
            clock.set(max(clock.now_ns(), now_ns))
            if records.size:
                with contextlib.suppress(UsageError):
                    sequencer.submit(records)
            live += reader.read()
        monkeypatch.setattr(ledger_events, "OPERATIONS_MAX", 7)
        assert Reader(sequencer, folder).read() == live
        types |= {each["type"] for each in live}
        sequencer.close()
    rare = {TYPES[kind].name for kind in (Kind.UPGRADE, Kind.REVOKE_ROLE)}
    assert {each.name for each in TYPES.values()} - rare - types == set()
