"""Purses of a ledger in a folder leave memory while the ledger is written, copied, killed and read."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.sequencer.small import (
    ANN,
    BOB,
    ISSUANCE,
    SECOND_NS,
    SHOP,
    START_NS,
    TREASURY,
    UNTIL_NS,
    opening,
    some_ids,
)
from tests.storage.test_history import memory_bytes

from sycee import Ledger
from sycee.archive.check import check
from sycee.archive.export import export
from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import SimulatedClock
from sycee.core.records import operations
from sycee.core.records.layout import PURSE
from sycee.core.result_codes import Result
from sycee.sequencer.verify import verify
from sycee.storage import reserved_arrays
from sycee.storage.history import History
from sycee.storage.table_storage import TableStorage

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all stays in memory")

PROGRAMMES = (1, 2, 3)
PURSES = 80_000  # of each programme
PAYING = 777  # the member whose purse ann, or bob, has claimed and spent
LEAVES_NS = UNTIL_NS + 86_400 * SECOND_NS
BLOCK_BYTES = PURSES * PURSE.itemsize
EDGE_BYTES = 2 * 4_096  # of each block: pages shared with others
PATIENCE_S = 120.0  # for busy machines


def programme(number: int) -> list[Array]:
    """Yield a programme's records from its rules to its end, frame by frame."""
    name, members = f"programme {number}", some_ids(f"members {number}", PURSES)
    one = iter(range(1_000 * number, 1_000 * number + 100))
    seal, wallet = next(one), BOB if number == 2 else ANN
    rules = operations.define_rule_set(
        next(one), rule_set=number, from_ns=0, until_ns=UNTIL_NS, return_account=TREASURY
    )
    opened = operations.open_programme(
        next(one), programme=number, funder=TREASURY, rule_set=number, members=PURSES, claim_from_ns=0,
        claim_until_ns=UNTIL_NS,
    )  # fmt: skip
    added = operations.add_members(
        some_ids(name, operations.add_members_records(PURSES)), programme=number, members=members
    )
    claimed = operations.claim(
        next(one),
        programme=number,
        member=np.array([PAYING]),
        member_id=members[PAYING : PAYING + 1],
        wallet=np.array([(wallet, 0)], ids.ID),
    )
    return [
        np.concatenate([rules, opened]),
        added,
        operations.seal_cohort(seal, programme=number, digest=operations.cohort_digest(members)),
        operations.drop(next(one), programme=number, first=0, count=PURSES, amount=20, seal=seal),
        claimed,
        operations.pay(10_000 * number, payer=wallet, payee=SHOP, amount=20),
    ]


@pytest.fixture(scope="module")
def over(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a ledger whose programmes have expired."""
    folder, clock = tmp_path_factory.mktemp("over") / "ledger", SimulatedClock(START_NS)
    with Ledger.open(folder, clock=clock, snapshot_frames=None, history_bytes=0) as ledger:
        funded = operations.transfer(999, debit=ISSUANCE, credit=TREASURY, amount=3 * 20 * PURSES)
        for records in (opening(), funded, *(records for number in PROGRAMMES for records in programme(number))):
            assert not ledger.submit(records)["code"].any()
        clock.set(UNTIL_NS)
        for number in PROGRAMMES:
            ended = operations.expire(10 + number, programme=number, first=0, count=PURSES)
            assert not ledger.submit(ended)["code"].any()
    return folder


class Minutes(SimulatedClock):
    """A clock that advances a minute per reading: a piece that changed during its copy is tried again in an hour."""

    def now_ns(self) -> int:
        self.advance(60 * 10**9)
        return super().now_ns()


def opened(folder: Path) -> Ledger:
    return Ledger.open(folder, clock=Minutes(LEAVES_NS), snapshot_frames=None, history_bytes=1 << 40)


def history_of(ledger: Ledger) -> History:
    storage = ledger.sequencer.state.storage
    assert isinstance(storage, TableStorage)
    assert storage.history is not None
    return storage.history


def in_memory(ledger: Ledger) -> int:
    """Return the memory of the purses, reserved space included."""
    assert ledger.transfer(TREASURY, SHOP, 1) is Result.CREATED
    reserved_arrays.wait_until_ready()
    return memory_bytes(ledger.sequencer.state.all_purses, "Anonymous")


def pay_until(ledger: Ledger, gone_bytes: int) -> None:
    """Submit frames until a number of pieces has left memory."""
    end = time.monotonic() + PATIENCE_S
    while history_of(ledger).evicted_bytes() < gone_bytes:
        assert ledger.transfer(TREASURY, SHOP, 1) is Result.CREATED
        assert time.monotonic() < end


ALL_GONE = len(PROGRAMMES) * (BLOCK_BYTES - EDGE_BYTES)


def test_programmes_leave_while_a_snapshot_is_written_and_leave_again_after_a_start(over: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(over, tmp_path / "ledger")
    with opened(folder) as ledger:
        purses = ledger.sequencer.state.all_purses
        whole, before = purses.tobytes(), in_memory(ledger)
        looked_at = [(number, member) for number in PROGRAMMES for member in (0, PAYING, PURSES - 1)]
        found = [ledger.purse(*purse) for purse in looked_at]
        assert before >= 3 * BLOCK_BYTES
        pay_until(ledger, BLOCK_BYTES)
        writing = ledger.sequencer.begin_snapshot(piece_bytes=1 << 18)
        while writing.step():
            ledger.transfer(TREASURY, SHOP, 1)
        pay_until(ledger, ALL_GONE)
        assert in_memory(ledger) <= before - ALL_GONE
        assert purses.tobytes() == whole
        assert [ledger.purse(*purse) for purse in looked_at] == found
        assert ledger.refund(10_000, 5) is Result.CREATED
        assert ledger.reverse(20_000, 20) is Result.CREATED
        refunded = ledger.purse(1, PAYING)
        assert refunded is not None
        assert (refunded.spent, refunded.refunded, refunded.returned) == (20, 5, 5)
        ledger.check()
        export(ledger, tmp_path / "archive")
        check(ledger, tmp_path / "archive")
        ledger.snapshot()
        digest = ledger.digest()
    proved = verify(folder)  # by a replay from which nothing leaves, and of both snapshots
    assert proved.digest == digest.hex()
    with opened(folder) as ledger:
        assert (ledger.findings, ledger.digest(), history_of(ledger).evicted_bytes()) == ((), digest, 0)
        before = in_memory(ledger)
        pay_until(ledger, ALL_GONE)
        assert in_memory(ledger) <= before - ALL_GONE
        assert ledger.refund(10_000, 15) is Result.CREATED
        ledger.check()
        digest = ledger.digest()
    assert verify(folder).digest == digest.hex()


def test_nothing_is_lost_if_the_process_ends_during_an_eviction(over: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(over, tmp_path / "ledger")
    with opened(folder) as ledger:
        pay_until(ledger, BLOCK_BYTES // 2)
        assert ledger.refund(10_000, 5) is Result.CREATED
        shutil.copytree(folder, tmp_path / "dead", ignore=shutil.ignore_patterns("lock"))
        digest, gone = ledger.digest(), history_of(ledger).evicted_bytes()
        assert BLOCK_BYTES // 2 <= gone < ALL_GONE
    with opened(tmp_path / "dead") as ledger:
        assert ledger.digest() == digest
        pay_until(ledger, ALL_GONE)
        ledger.check()
