"""Time of apply: during the append if the log allows it, otherwise only after the commit."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tests.sequencer.small import SHOP, TREASURY, opening, some_ids

from sycee.core.arrays import Array
from sycee.core.errors import UnavailableError
from sycee.core.records import operations
from sycee.journal import Journal
from sycee.sequencer.overlap import Overlap
from sycee.sequencer.sequencer import Sequencer
from sycee.testing.disk import FakeDisk

COUNT = 300  # large enough for an overlap


class WatchedLog:
    """A log that notes the state's frame at the end of each append."""

    def __init__(self, *, apply_may_overlap: bool, meets: bool = False) -> None:
        self._log = Journal.create(FakeDisk())
        self.apply_may_overlap = apply_may_overlap
        self.sequencer: Any = None
        self.seen: list[tuple[int, int]] = []
        self.fails = False
        self.applied = threading.Event()
        self._meets = meets

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def append(self, **frame: Any) -> int:
        if self.fails:
            raise UnavailableError("another writer has taken over")
        if self._meets and self.sequencer is not None:
            assert self.applied.wait(30), "the frame is applied meanwhile"
        sequence = self._log.append(**frame)
        if self.sequencer is not None:
            self.seen.append((sequence, self.sequencer.state.sequence))
        return sequence


def many() -> Array:
    return operations.transfer(some_ids("many", COUNT), debit=TREASURY, credit=SHOP, amount=1)


@pytest.mark.parametrize("overlap", [False, True])
def test_a_frame_of_a_replicated_log_is_applied_after_it_is_committed(overlap: bool) -> None:
    log = WatchedLog(apply_may_overlap=False)
    log.sequencer = sequencer = Sequencer(log, overlap=overlap and Overlap(records_min=1))
    sequencer.submit(opening())
    sequencer.submit(many())
    assert log.seen == [(frame, frame - 1) for frame in (1, 2, 3)]
    # An uncommitted frame was not applied.
    digest = sequencer.state.digest()
    log.fails = True
    with pytest.raises(UnavailableError, match="another writer"):
        sequencer.submit(operations.transfer(700, debit=TREASURY, credit=SHOP, amount=1))
    assert sequencer.state.digest() == digest
    sequencer.close()


def test_a_large_frame_of_a_local_journal_is_applied_beside_its_append() -> None:
    log = WatchedLog(apply_may_overlap=True, meets=True)
    sequencer = Sequencer(log)
    sequencer.submit(opening())
    apply = sequencer.state.apply

    def tell(*arguments: Any) -> Any:
        answers = apply(*arguments)
        log.applied.set()
        return answers

    sequencer.state.apply = tell  # type: ignore[method-assign]
    log.sequencer = sequencer
    sequencer.submit(many())
    assert log.seen == [(3, 3)]
    sequencer.close()
