"""Division of a submission into frames, and refusal of units with a refused operation."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.buffers import BufferPool
from sycee.core.errors import UsageError
from sycee.core.limits import ENVELOPE_BYTES, FRAME_BYTES_MAX, FRAME_HEADER_BYTES, FRAME_RECORDS_MAX
from sycee.core.records import layout, operations
from sycee.core.records.envelopes import ENVELOPE
from sycee.core.records.layout import Kind
from sycee.core.result_codes import Result
from sycee.journal.frame import padded_bytes
from sycee.ledger import batch as batches
from sycee.ledger.batch import PreparedBatch

TAKEN, INVALID, UNKNOWN = Result.CREATED, Result.SIGNATURE_INVALID, Result.SIGNER_NOT_FOUND


def records(count: int, *, linked: tuple[int, ...] = ()) -> Array:
    made = operations.transfer(ids.derive(b"units", "", count, time_ms=1), debit=1, credit=2, amount=1)
    made["flags"][list(linked)] = layout.LINKED
    return made


def ranges(*of: tuple[int, int]) -> Array:
    made = np.zeros(len(of), ENVELOPE)
    made["first"], made["count"] = [first for first, _ in of], [count for _, count in of]
    made["signer_low"] = np.arange(1, len(of) + 1)
    return made


def shape(batch: PreparedBatch) -> list[tuple[int, list[tuple[int, int, int]]]]:
    """Return, per part, the number of operations, and signer, first and count of its envelopes."""
    found = []
    for piece in batch.split_into_frames():
        envelopes = piece.frame_envelopes()[["signer_low", "first", "count"]].tolist()
        found.append((piece.operations.size, envelopes))
    return found


def test_independent_operations_are_divided_anywhere() -> None:
    batch = batches.prepare(records(2 * FRAME_RECORDS_MAX + 3))
    assert shape(batch) == [(FRAME_RECORDS_MAX, []), (FRAME_RECORDS_MAX, []), (3, [])]
    assert list(batches.prepare(records(0)).split_into_frames()) == []


def test_a_chain_is_not_divided() -> None:
    last = FRAME_RECORDS_MAX - 1
    batch = batches.prepare(records(last + 3, linked=(last - 1, last, last + 1)))
    assert [piece.operations.size for piece in batch.split_into_frames()] == [last - 1, 4]


def test_a_covered_range_is_not_divided_and_its_envelope_follows() -> None:
    size = FRAME_RECORDS_MAX + 10
    batch = batches.prepare(records(size), ranges((0, 5), (FRAME_RECORDS_MAX - 3, 8), (FRAME_RECORDS_MAX + 5, 2)))
    assert shape(batch) == [(FRAME_RECORDS_MAX - 3, [(1, 0, 5)]), (13, [(2, 0, 8), (3, 8, 2)])]


def test_envelopes_use_space_of_the_frame() -> None:
    """A frame holds fewer payments if each has its own envelope."""
    size = 9_000
    batch = batches.prepare(records(size), ranges(*((at, 1) for at in range(size))))
    sizes = [piece.operations.size for piece in batch.split_into_frames()]
    assert sum(sizes) == size
    for at, each in enumerate(sizes):
        assert padded_bytes(each, each * ENVELOPE_BYTES) <= FRAME_BYTES_MAX
        if at < len(sizes) - 1:
            assert padded_bytes(each + 1, (each + 1) * ENVELOPE_BYTES) > FRAME_BYTES_MAX


@pytest.mark.parametrize(
    ("operations", "envelopes", "message"),
    [
        (records(2, linked=(1,)), (), "the last operation has the flag LINKED"),
        (records(1, linked=(0,)), (), "the last operation has the flag LINKED"),
        (records(8_065, linked=tuple(range(8_064))), (), "8,065 operations and 0 envelopes"),
        (records(9_000), ranges((10, 8_065)), "8,065 operations and 1 envelopes"),
        (records(9_000), ranges((10, 5_000), (5_009, 3_500)), "8,499 operations and 2 envelopes"),
        (records(1), ranges(*[(0, 1)] * 10_079), "1 operations and 10,079 envelopes"),
        (records(3), ranges((0, 3), (2, 2)), "envelope 1 covers 2 operations from index 2 on; the submission has 3"),
        (records(3), ranges((1, 0)), "envelope 0 covers 0 operations"),
        (records(0), ranges((0, 1)), "envelope 0 covers 1 operations from index 0 on; the submission has 0"),
        (records(3).view("u1"), (), "one-dimensional array of operations"),
        (records(3), np.zeros(1, "u1"), "envelopes must be a one-dimensional array"),
    ],
)  # fmt: skip
def test_a_submission_that_fits_no_frame_is_refused(operations: Array, envelopes: Array, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        batches.prepare(operations, envelopes)


def test_random_submissions_are_divided_between_units_only() -> None:
    for seed in range(80):
        dice = random.Random(seed)
        size = dice.randint(1, 300)
        linked = tuple(at for at in range(size - 1) if dice.random() < 0.2)
        spans = [(first, dice.randint(1, min(12, size - first))) for first in dice.sample(range(size), min(size, 9))]
        batch = batches.prepare(records(size, linked=linked), ranges(*spans))
        parts = [batch.slice(0, 0), *(batch.slice(int(a), int(b)) for a, b in bounds(batch))]
        together = batches.concatenate([part for part in parts if part.operations.size])
        assert (together.operations == batch.operations).all()
        order = np.argsort(batch.firsts, kind="stable")
        assert (np.sort(together.firsts) == batch.firsts[order]).all()
        assert len(parts) - 1 == units_of(size, linked, spans)


def bounds(batch: PreparedBatch) -> list[tuple[int, int]]:
    starts = [*batch.unit_starts().tolist(), batch.operations.size]
    return list(pairwise(starts))


def units_of(size: int, linked: tuple[int, ...], spans: list[tuple[int, int]]) -> int:
    """Return the number of units, computed by joining pairs of operations."""
    unit = list(range(size))
    pairs = [(at, at + 1) for at in linked]
    pairs += [(first, at) for first, count in spans for at in range(first, first + count)]
    for one, other in pairs:
        low, high = sorted((unit[one], unit[other]))
        unit = [low if each == high else each for each in unit]
    return len(set(unit))


@pytest.mark.parametrize(
    ("linked", "spans", "codes", "answers"),
    [
        ((), [], {1: INVALID}, [TAKEN, INVALID, TAKEN, TAKEN, TAKEN]),
        # A chain is refused completely.
        ((1, 2), [], {2: INVALID}, [TAKEN, Result.CHAIN_BROKEN, INVALID, Result.CHAIN_BROKEN, TAKEN]),
        # The range of a signature is refused completely, with the code of the first refused operation.
        ((), [(1, 3)], {2: UNKNOWN, 3: INVALID}, [TAKEN, UNKNOWN, UNKNOWN, INVALID, TAKEN]),
        # So are ranges that overlap it, but not the neighbouring range.
        ((), [(0, 2), (1, 2), (3, 2)], {0: INVALID}, [INVALID, INVALID, INVALID, TAKEN, TAKEN]),
        # A chain and a range that overlap.
        ((0,), [(1, 2)], {0: INVALID}, [INVALID, Result.CHAIN_BROKEN, INVALID, TAKEN, TAKEN]),
        ((0,), [(0, 5)], {4: UNKNOWN}, [UNKNOWN] * 5),
    ],
)  # fmt: skip
def test_a_unit_is_refused_completely(
    linked: tuple[int, ...], spans: list[tuple[int, int]], codes: dict[int, Result], answers: list[Result]
) -> None:
    batch = batches.prepare(records(5, linked=linked), ranges(*spans))
    found = np.array([codes.get(at, TAKEN) for at in range(5)], np.uint16)
    assert batches.spread_refusals(batch, np.ones(5, np.bool_), found).tolist() == answers


def test_bound_operations_keep_their_answer_and_refuse_no_others() -> None:
    batch = batches.prepare(records(4), ranges((0, 4)))
    fresh = np.array([False, True, True, False])
    found = np.array([INVALID, TAKEN, UNKNOWN, TAKEN], np.uint16)
    assert batches.spread_refusals(batch, fresh, found).tolist() == [TAKEN, UNKNOWN, UNKNOWN, TAKEN]
    assert batches.spread_refusals(batch, fresh, found * 0).tolist() == [TAKEN] * 4


def test_an_envelope_over_bound_operations_only_joins_no_units() -> None:
    batch = batches.prepare(records(6, linked=(4,)), ranges((0, 3), (2, 2), (4, 1)))
    fresh = np.array([False, False, False, True, False, False])
    left = batch.drop_answered_envelopes(fresh)
    assert left.same_unit is not None
    assert left.same_unit.tolist() == [False, False, False, True, False, True]
    assert left.frame_envelopes()[["signer_low", "first", "count"]].tolist() == [(2, 2, 2)]
    assert batch.drop_answered_envelopes(fresh & False).envelopes.size == 0


def test_selection_expands_to_whole_units() -> None:
    batch = batches.prepare(records(6, linked=(3,)), ranges((0, 2), (4, 2)))
    kept = batch.expand_to_units(np.array([False, True, False, False, False, True]))
    assert kept.tolist() == [True, True, False, True, True, True]
    part = batch.select(kept)
    assert shape(part) == [(5, [(1, 0, 2), (2, 3, 2)])]
    assert part.same_unit is not None
    assert part.same_unit.tolist() == [False, True, False, True, True]


def test_a_buffer_belongs_to_one_batch_until_its_release() -> None:
    pool = BufferPool(FRAME_BYTES_MAX, FRAME_HEADER_BYTES)
    records = np.zeros(1_000, layout.OPERATION)
    records["amount"] = np.arange(1_000)
    first = batches.prepare(records, buffers=pool)
    assert first.buffer is not None
    records["amount"] = 7
    assert first.operations["amount"].tolist() == list(range(1_000)), "a later change by the caller does not show"
    others = [batches.prepare(records[::-1], buffers=pool) for _ in range(20)]
    assert not any(np.shares_memory(first.operations, other.operations) for other in others)
    assert first.operations["amount"].tolist() == list(range(1_000))
    pool.release(first.buffer)
    again = batches.prepare(records, buffers=pool)
    assert again.buffer is first.buffer
    assert (again.operations["amount"] == 7).all()
    for other in others:
        assert other.buffer is not None
        pool.release(other.buffer)
    acquired = [pool.acquire() for _ in range(20)]
    assert len({id(buffer) for buffer in acquired}) == 20, "more than the pool keeps are made anew"


def test_records_with_one_envelope_each_are_joined_like_submissions() -> None:
    made, envelopes = records(5), ranges(*((0, 1) for _ in range(5)))
    short = batches.prepare_signed([one.tobytes() for one in made], [one.tobytes() for one in envelopes])
    plain = batches.concatenate([batches.prepare(made[at : at + 1], envelopes[at : at + 1]) for at in range(made.size)])
    for batch in (short, plain):
        assert batch.operations.tobytes() == made.tobytes()
        assert batch.frame_envelopes()["first"].tolist() == [0, 1, 2, 3, 4]
        assert batch.envelopes["signer_low"].tolist() == envelopes["signer_low"].tolist()
        assert batch.same_unit is None
        assert batch.unit_starts().tolist() == [0, 1, 2, 3, 4]
    between = batches.concatenate([batches.prepare(records(3)), short, batches.prepare(records(2), ranges((0, 2)))])
    assert between.frame_envelopes()["first"].tolist() == [3, 4, 5, 6, 7, 8]
    assert between.unit_starts().tolist() == list(range(9))
    assert between.select(np.arange(10) > 4).frame_envelopes()["first"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("record", "envelope", "message"),
    [
        (records(1).tobytes()[:-1], ranges((0, 1)).tobytes(), "128 and 104 bytes each"),
        (records(2).tobytes(), ranges((0, 1)).tobytes(), "128 and 104 bytes each"),
        (records(1).tobytes(), ranges((0, 1), (0, 1)).tobytes(), "128 and 104 bytes each"),
        (records(1).tobytes(), ranges((0, 2)).tobytes(), "cover that record alone"),
        (records(1).tobytes(), ranges((1, 1)).tobytes(), "cover that record alone"),
        (records(1, linked=(0,)).tobytes(), ranges((0, 1)).tobytes(), "must not be linked"),
    ],
)
def test_a_signed_record_that_is_not_single_is_refused(record: bytes, envelope: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        batches.prepare_signed([record], [envelope])


def test_a_joined_batch_has_the_kinds_of_its_parts() -> None:
    pay = PreparedBatch(operations.pay(1, payer=1, payee=2, amount=1), kinds=1 << Kind.PAY)
    transfer = PreparedBatch(operations.transfer(2, debit=1, credit=2, amount=1), kinds=1 << Kind.TRANSFER)
    unknown = PreparedBatch(operations.define_group(3, group=1))
    assert batches.concatenate([pay, transfer]).kinds == 1 << Kind.PAY | 1 << Kind.TRANSFER
    assert batches.concatenate([pay, unknown, transfer]).kinds == 0
