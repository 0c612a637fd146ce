"""Chains that a sequencer refuses without a frame: results are the same as in separate frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.sequencer.small import ANN, START_NS, TREASURY, opening, start

from sycee.core.arrays import Array
from sycee.core.clock import SimulatedClock
from sycee.core.records import operations
from sycee.core.result_codes import Result
from sycee.sequencer.embedded import Ledger
from sycee.testing.disk import FakeDisk

DIFFERS = Result.EXISTS_WITH_DIFFERENT_CONTENT  # the id was bound outside a chain


def transfer(id: int) -> Array:
    return operations.transfer(id, debit=TREASURY, credit=ANN, amount=1)


@pytest.mark.parametrize("together", [False, True])
def test_an_id_bound_before_a_broken_chain_exists(together: bool) -> None:
    known, paid = transfer(900), transfer(901)
    requests = [paid, operations.chain(known, paid)]
    sequencer = start(FakeDisk(), SimulatedClock(START_NS))
    sequencer.submit(np.concatenate([opening(), known]))
    answers = np.concatenate(
        [sequencer.submit(each) for each in ([np.concatenate(requests)] if together else requests)]
    )
    assert answers["code"].tolist() == [Result.CREATED, DIFFERS, Result.EXISTS]
    assert answers["place"][2] == answers["place"][0]
    sequencer.close()


def test_an_id_bound_after_a_broken_chain_does_not_exist_in_it() -> None:
    known, paid = transfer(900), transfer(901)
    sequencer = start(FakeDisk(), SimulatedClock(START_NS))
    sequencer.submit(np.concatenate([opening(), known]))
    answers = sequencer.submit(np.concatenate([operations.chain(known, paid), paid]))
    assert answers["code"].tolist() == [DIFFERS, Result.CHAIN_BROKEN, Result.CREATED]
    assert answers["place"][1] == 0
    sequencer.close()


def test_an_error_inside_a_chain_reaches_the_caller_and_nothing_is_done(tmp_path: Path) -> None:
    """The block's error is raised, not one about the unfinished chain, which is never built."""
    with Ledger.open(tmp_path) as ledger:
        ledger.submit(opening())
        with pytest.raises(KeyError, match="stock"):
            fail_inside_a_chain(ledger)
        assert ledger.balance(ANN) == 50


def fail_inside_a_chain(ledger: Ledger) -> None:
    with ledger.chain() as chain:
        chain.transfer(TREASURY, ANN, 5)
        chain.records.append(np.zeros(1))  # would make the chain invalid
        raise KeyError("stock")
