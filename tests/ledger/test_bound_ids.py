"""Bound ids are always found: in both generations, in sorted runs, and among the unordered ids."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
import pytest
from tests.ledger.saved_state import loaded

from sycee.core import limits
from sycee.core.errors import UnavailableError
from sycee.core.ids import of_record
from sycee.core.records import layout, operations
from sycee.core.records.layout import AccountKind
from sycee.core.result_codes import Result
from sycee.core.worker_thread import Deferred
from sycee.ledger import capacity, id_generations, kernels
from sycee.ledger.batch import PreparedBatch
from sycee.ledger.kernels import constants, lookup
from sycee.ledger.state import LedgerState
from sycee.storage.table_storage import TableStorage

Array = np.ndarray
T = TypeVar("T")
ISSUANCE, SUSPENSE, WALLET = 1, 2, 3
START_MS = 1_800_000_000_000
NS_PER_MS = 1_000_000
V7_HIGH, V7_LOW = 0x7000, 1 << 63


def v7(time_ms: int, counter: int, low: int = 0) -> int:
    """Return a UUIDv7 with these parts."""
    return (time_ms << 16 | V7_HIGH | counter & 0xFFF) << 64 | V7_LOW | low & (1 << 62) - 1


class Book:
    """A ledger, and the place of every id that must be found in it. Only `pass_ms` advances the time."""

    def __init__(self, storage: TableStorage | None = None) -> None:
        self.state = LedgerState(storage or TableStorage())
        self.places: dict[int, int] = {}
        self.now_ms = START_MS
        self.sequence = 0
        self.glances = 0  # frames that were found to be new without a lookup per id
        self.frame(
            np.concatenate(
                [
                    operations.define_currency(3, currency=156, zone="UTC"),
                    operations.open_account(4, account=ISSUANCE, currency=156, kind=AccountKind.ISSUANCE),
                    operations.open_account(5, account=SUSPENSE, currency=156, kind=AccountKind.SUSPENSE),
                    operations.open_account(
                        6, account=WALLET, currency=156, kind=AccountKind.WALLET, suspense=SUSPENSE
                    ),
                ]
            )
        )

    def frame(self, records: Array) -> list[Result]:
        """Apply a frame as the sequencer does, and record the ids that it bound."""
        self.sequence += 1
        self.now_ms += 1
        pending = self.state.resolve(records)[1]
        if self.is_new_at_a_glance(records):
            assert pending == records.size
            self.glances += 1
        self.state.reserve(records)
        all_new = pending == records.size
        answers = self.state.apply(self.sequence, self.now_ms * NS_PER_MS, PreparedBatch(records, all_new=all_new))
        known = (Result.EXISTS, Result.EXISTS_WITH_DIFFERENT_CONTENT)
        for record, answer in zip(records, answers, strict=True):
            if answer["place"] and answer["code"] not in known:
                self.places.setdefault(of_record(record, "id"), int(answer["place"]))
        return [Result(int(code)) for code in answers["code"]]

    def is_new_at_a_glance(self, records: Array) -> bool:
        """Return whether the sequencer would skip the lookup of each id."""
        words = records.view(np.uint64).reshape(records.size, 16)
        _, links, is_in_order = kernels.copy_records(words, kernels.kernel_view(records), words)
        return bool(is_in_order and not links and self.state.is_all_new(records))

    def pay(self, *ids: int) -> list[Result]:
        return self.frame(transfers(*ids))

    def pay_often(self, numbers: range, count: int) -> None:
        """Apply one frame per number, with that many ids."""
        for number in numbers:
            self.pay(*(v7(self.now_ms, number, low) for low in range(count)))

    def require_found(self, *unknown: int) -> None:
        """Assert that every bound id is found at its place, also by a retry, and that other ids are not found."""
        known = list(self.places)
        answers, pending = self.state.resolve(transfers(*known, *unknown))
        assert pending == len(unknown)
        assert answers["place"][: len(known)].tolist() == list(self.places.values())
        for id in random.Random(len(known)).sample(known, min(len(known), 20)):
            found = self.state.bound_of(id)
            assert found is not None
            assert of_record(found, "id") == id
        assert [self.state.bound_of(id) for id in unknown[:20]] == [None] * len(unknown[:20])

    def parts(self) -> tuple[int, int, int]:
        """Return the numbers of ids in the recent generation, in runs, and of unordered ids."""
        counts = self.state.tables.generations
        runs = self.state.tables.runs.view(np.ndarray)[: int(counts[constants.RUNS])]
        return int(counts[constants.RECENT]), int(runs["count"].sum()), int(counts[constants.UNORDERED])


def transfers(*ids: int) -> Array:
    records = operations.transfer(1, debit=ISSUANCE, credit=WALLET, amount=1)
    records = np.repeat(records, len(ids))
    records["id_low"] = [id & (1 << 64) - 1 for id in ids]
    records["id_high"] = [id >> 64 for id in ids]
    return records


@pytest.fixture
def book(monkeypatch: pytest.MonkeyPatch) -> Book:
    """A ledger whose generations have 32 ids."""
    monkeypatch.setattr(id_generations, "GENERATION_SLOTS", 64)
    return Book()


def some_ids(rng: random.Random, now_ms: int, known: list[int]) -> Iterator[int]:
    """Yield ids of every kind: in order, late, early, too late, too early, random, equal in one half, repeated."""
    counter, in_order_ms = rng.randrange(4_096), now_ms - rng.randrange(5)
    shapes = rng.sample(range(8), rng.randint(1, 8))
    while True:
        shape = rng.choice(shapes)
        if shape == 0:
            counter += 1
            yield v7(in_order_ms + (counter >> 12), counter, rng.randrange(1 << 62))
        elif shape == 1:
            yield v7(now_ms - rng.randrange(constants.LATE_MS_MAX), rng.randrange(4_096), rng.randrange(1 << 62))
        elif shape == 2:
            yield v7(now_ms + rng.randrange(constants.EARLY_MS_MAX), rng.randrange(4_096), rng.randrange(1 << 62))
        elif shape == 3:
            yield v7(rng.choice([1, now_ms // 2, now_ms * 2, 2**48 - 1]), rng.randrange(4_096), rng.randrange(9))
        elif shape == 4:
            yield rng.randrange(1, 1 << 128) & ~(0xF000 << 64) | 0x4000 << 64
        elif shape == 5:
            yield v7(START_MS, 7, rng.randrange(1 << 12))  # many ids share this high half
        elif shape == 6:
            yield rng.randrange(100, 100_000)
        elif known:
            yield rng.choice(known)


def test_only_ascending_ids_are_new_without_a_lookup(book: Book) -> None:
    frames = 40
    book.pay_often(range(frames), 20)
    assert book.glances == frames
    newest = max(book.places)
    again, above, far = newest, newest + 1, v7(book.now_ms + constants.EARLY_MS_MAX + 10, 1)
    for ids, is_new in (
        ((above, above + 1), True),
        ((again, above), False),  # the first is bound
        ((above, above), False),  # twice
        ((above + 1, above), False),
        ((above, 1 << 127), False),  # not ordered by time
        ((above, far), True),
    ):
        assert book.is_new_at_a_glance(transfers(*ids)) == is_new, ids
    malformed = transfers(above, above + 1)
    malformed["amount"][1] = 0
    assert not book.is_new_at_a_glance(malformed)
    book.pay(far)  # bound as an unordered id: an id before it could be equal
    assert not book.is_new_at_a_glance(transfers(above))
    assert book.is_new_at_a_glance(transfers(far + (1 << 64)))


@pytest.mark.parametrize("seed", range(12))
def test_exactly_the_bound_ids_are_found(book: Book, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(60):
        source = some_ids(rng, book.now_ms, list(book.places))
        book.pay(*(next(source) for _ in range(rng.choice([1, 5, 20, 90]))))
        if rng.random() < 0.1:
            book.now_ms += rng.choice([1_000, constants.EARLY_MS_MAX, constants.LATE_MS_MAX])
        if rng.random() < 0.05:
            book.state = loaded(book.state)
        if rng.random() < 0.1:
            one, other = v7(book.now_ms, 1, rng.randrange(1 << 62)), rng.randrange(1, 1 << 62)
            if one not in book.places and other not in book.places:
                codes = book.frame(operations.chain(transfers(one, other, one)))
                assert codes == [Result.CHAIN_BROKEN, Result.CHAIN_BROKEN, Result.CHAIN_REPEATS_AN_ID]
                assert one not in book.places
    unknown = {next(source) for _ in range(500)} - set(book.places)
    book.require_found(*unknown)
    book.state = loaded(book.state)
    book.require_found(*unknown)
    book.state.check()


def test_a_generation_becomes_the_older_one_and_then_a_run(book: Book) -> None:
    for number in range(10):
        book.pay(*(v7(book.now_ms, number, low) for low in range(10)))
        book.require_found()
    recent, in_runs, strays = book.parts()
    assert strays == 4  # of the operations that opened the ledger: small numbers
    assert recent + in_runs < 100 - 10  # and the older generation
    assert in_runs >= 30
    assert recent <= 32


def test_the_greatest_id_of_the_older_generation_is_found(book: Book) -> None:
    greatest = v7(book.now_ms + 5_000, 9, 9)
    book.pay(greatest)
    while book.state.tables.generations[constants.RECENT_FIRST] <= 4:  # until it is in the older generation
        book.pay(*(v7(book.now_ms, 1, len(book.places) + low) for low in range(16)))
    assert book.parts()[1] == 0
    book.require_found(greatest - 1, greatest + 1, greatest - (1 << 64), greatest + (1 << 64))


def test_every_id_of_a_run_is_found_across_its_fences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(id_generations, "GENERATION_SLOTS", 2_048)
    book = Book()
    lows = list(range(0, 2 * 4_000, 2))
    random.Random(1).shuffle(lows)
    for start in range(0, len(lows), 500):  # equal high halves: fences differ in the low halves
        book.pay(*(v7(START_MS, 7, low + 2) for low in lows[start : start + 500]))
    assert book.parts()[1] >= 2 * 700
    book.require_found(*(v7(START_MS, 7, low + 1) for low in range(0, 2 * 4_000 + 4, 2)))


def test_an_id_whose_time_differs_from_its_frame_is_unordered(book: Book) -> None:
    now_ms = book.now_ms + 1  # of the next frame
    times_ms = [now_ms - constants.LATE_MS_MAX, now_ms + constants.EARLY_MS_MAX]
    book.pay(*(v7(time_ms, 1) for time_ms in times_ms))
    assert (book.parts()[0], book.parts()[2]) == (2, 4)
    now_ms += 1
    times_ms = [now_ms - constants.LATE_MS_MAX - 1, now_ms + constants.EARLY_MS_MAX + 1, 2**48 - 1]
    book.pay(*(v7(time_ms, 2) for time_ms in times_ms))
    assert (book.parts()[0], book.parts()[2]) == (2, 7)
    for number in range(20):  # unordered ids do not move when generations rotate
        book.pay(*(v7(book.now_ms, 3, 10 * number + low) for low in range(10)))
    assert book.parts()[2] == 7
    book.require_found()


def test_a_frame_may_exceed_a_generation(book: Book) -> None:
    for number in range(6):
        book.pay(*(v7(book.now_ms, number, low) for low in range(300)))
    book.require_found(v7(START_MS, 99))


def test_an_undone_chain_is_removed_from_both_indexes(book: Book) -> None:
    empty = operations.transfer(v7(book.now_ms, 8), debit=WALLET, credit=ISSUANCE, amount=1)
    chain = operations.chain(transfers(v7(book.now_ms, 7), 77), empty, empty)
    before = book.parts(), book.state.digest()
    assert book.frame(chain)[-1] == Result.CHAIN_REPEATS_AN_ID
    assert (book.parts(), book.state.digest()) == before
    book.require_found(v7(START_MS + 1, 7), 77)


def test_refunds_of_an_undone_chain_are_undone(book: Book) -> None:
    book.pay(50, 51)
    book.frame(operations.reverse(52, original=50, amount=1))
    book.frame(operations.transfer(60, debit=ISSUANCE, credit=WALLET, amount=5))
    book.frame(operations.reverse(61, original=60, amount=2))
    again = operations.reverse(62, original=60, amount=2), operations.reverse(63, original=60, amount=2)
    kept = book.state.refunds.tobytes()
    assert Result.EXCEEDS_REFUNDABLE in book.frame(operations.chain(*again))
    assert book.state.refunds.tobytes() == kept
    twice = operations.reverse(53, original=51, amount=1), operations.reverse(54, original=51, amount=1)
    book.pay(55)
    more = operations.transfer(56, debit=WALLET, credit=ISSUANCE, amount=99)
    kept = book.state.refunds.tobytes()
    assert Result.EXCEEDS_REFUNDABLE in book.frame(operations.chain(*twice))
    assert Result.EXCEEDS_BALANCE in book.frame(operations.chain(operations.reverse(57, original=55, amount=1), more))
    assert book.state.refunds.tobytes() == kept
    assert book.frame(operations.reverse(58, original=51, amount=1)) == [Result.CREATED]
    assert book.frame(operations.reverse(59, original=51, amount=1)) == [Result.EXCEEDS_REFUNDABLE]
    assert book.state.refunds["refunded"].tolist() == [1, 2, 1]
    book.require_found()
    book.state.check()


def test_sorting_ids_is_retried_after_a_lack_of_memory(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> int:
        raise MemoryError

    with monkeypatch.context() as short:
        short.setattr(id_generations, "sort_run", fails)
        for number in range(6):
            book.pay(*(v7(book.now_ms, number, low) for low in range(10)))
        assert book.parts()[1] == 0
        with pytest.raises(UnavailableError, match="memory cannot hold"):
            book.pay_often(range(6, 20), 10)
        book.require_found()
    with pytest.raises(UnavailableError, match="memory cannot hold"):  # the earlier failure is reported once
        book.pay(v7(book.now_ms, 20), *(v7(book.now_ms, 21, low) for low in range(20)))
    for number in range(30, 40):
        book.pay(*(v7(book.now_ms, number, low) for low in range(10)))
    assert book.parts()[1] >= 60
    book.require_found()


def test_equal_sort_keys_do_not_disorder_ids() -> None:
    """Ids so far apart in time that their sort keys contain few bits of the low halves."""
    low = np.arange(3_000, dtype=np.uint64) | np.uint64(V7_LOW)
    ids = np.stack([low, np.full(3_000, V7_HIGH, np.uint64)], axis=1)
    ids[-1, 1] |= np.uint64(2**42 << 16)
    ids = ids[np.random.default_rng(1).permutation(3_000)]
    state = LedgerState()
    state.grow("bound", 3_000)
    bound = state.tables.bound.view(np.ndarray)
    bound["id_low"], bound["id_high"] = np.resize(ids, (bound.size, 2)).T
    bound["place"] = np.arange(bound.size, dtype=np.uint64) << np.uint64(13)
    state.grow("frame_times", 3_000)
    state.tables.frame_times[:3_000] = (ids[:, 1] >> np.uint64(16)).astype(np.int64) * NS_PER_MS
    state.tables.counters[constants.BOUND] = 3_000
    rows = id_generations.reserve_run(state, 3_000)
    assert id_generations.sort_run(state.tables, 0, 3_000, rows, 3_000) == 3_000
    order = np.lexsort((ids[:, 0], ids[:, 1]))
    assert state.tables.run_ids[:3_000].tolist() == ids[order].tolist()
    assert state.tables.run_rows[:3_000].tolist() == order.tolist()


def test_bound_rows_never_change(book: Book) -> None:
    book.pay(50)
    state = book.state
    book.frame(operations.hold(51, payer=WALLET, payee=ISSUANCE, amount=1, until_ns=2**62))
    kept = state.bound.tobytes()
    book.frame(operations.post_holds(52, first=51, last=51, by=WALLET))
    book.frame(operations.refund(53, original=51, amount=1))
    assert state.refunds["refunded"].tolist() == [1]
    assert book.frame(operations.refund(54, original=51, amount=1)) == [Result.EXCEEDS_REFUNDABLE]
    book.frame(operations.reverse(55, original=50, amount=1))
    assert state.refunds[["bound", "refunded"]].tolist() == [(5, 1), (4, 1)]
    assert state.bound.tobytes()[: len(kept)] == kept
    assert layout.BOUND.itemsize == 64
    book.state.check()


def skip_rows(state: LedgerState, rows: int) -> None:
    """Pretend that `rows` more ids are bound: their table grows, but its new rows are never written or read."""
    bound = int(state.tables.counters[constants.BOUND]) + rows
    state.grow("bound", bound + 10_000)
    state.tables.counters[constants.BOUND] = bound
    names = [constants.RECENT_FIRST, constants.RECENT_INDEXED, constants.OLDER_INDEXED, constants.OLDER_FIRST]
    state.tables.generations[names] = bound


@pytest.mark.parametrize("short_of", [0, 40, 700])
def test_more_ids_than_32_bits_can_count_are_bound(book: Book, short_of: int) -> None:
    """The ledger exceeds 2^32 rows before, within and between frames, with ids of both kinds before and after."""
    rng = random.Random(short_of)
    book.pay(*(rng.randrange(1, 1 << 64) for _ in range(100)))
    skip_rows(book.state, 2**32 - short_of - int(book.state.tables.counters[constants.BOUND]))
    for number in range(12):
        ordered = [v7(book.now_ms, number, rng.randrange(1 << 62)) for _ in range(50)]
        book.pay(*ordered, *(rng.randrange(1, 1 << 64) for _ in range(50)))
        chain = transfers(v7(book.now_ms, 99, number), 10**6 + number, v7(book.now_ms, 99, number))
        assert Result.CHAIN_REPEATS_AN_ID in book.frame(operations.chain(chain))
    assert book.state.tables.counters[constants.BOUND] > 2**32
    assert book.state.tables.unordered_row_highs.size == book.state.tables.unordered_slots.size
    assert book.parts()[1] > 300  # some are in runs
    book.require_found(*(10**6 + number for number in range(12)), v7(book.now_ms, 99, 0))


def test_references_to_bound_rows_work_beyond_32_bits(book: Book) -> None:
    skip_rows(book.state, 2**32 + 2**33)
    book.pay(50, v7(book.now_ms, 1))
    book.frame(operations.hold(51, payer=WALLET, payee=ISSUANCE, amount=1, until_ns=2**62))
    book.frame(operations.open_account(60, account=9, currency=156, kind=AccountKind.IN_TRANSIT, suspense=SUSPENSE))
    book.frame(operations.send(61, source=ISSUANCE, destination=WALLET, through=9, amount=5))
    assert (book.state.hold(51).held, book.state.transit_of(61).amount) == (1, 5)
    assert book.frame(operations.confirm(62, sent=61)) == [Result.CREATED]
    assert book.frame(operations.post_holds(52, first=51, last=51, by=WALLET)) == [Result.CREATED]
    assert book.frame(operations.refund(53, original=51, amount=1)) == [Result.CREATED]
    assert book.frame(operations.refund(54, original=51, amount=1)) == [Result.EXCEEDS_REFUNDABLE]
    assert book.frame(operations.reverse(55, original=50, amount=1)) == [Result.CREATED]
    rows = [book.state.bound_row(id) for id in (51, 50)]
    assert min(rows) > 2**33
    assert book.state.refunds[["bound", "refunded"]].tolist() == [(row, 1) for row in rows]


@pytest.mark.parametrize("row", [2**32 - 3, 2**32 - 2, 2**32 - 1, 2**32, 2**33 - 3, 2**33 - 2])
def test_no_used_slot_is_zero(book: Book, row: int) -> None:
    """A zero slot is free. The row bits of a used slot must not be zero, because an id's hash bits may be."""
    state = book.state
    skip_rows(state, row - int(state.tables.counters[constants.BOUND]))
    used = set(np.flatnonzero(state.tables.unordered_slots[:-1]).tolist())
    book.pay(50)
    (at,) = set(np.flatnonzero(state.tables.unordered_slots[:-1]).tolist()) - used
    assert int(state.tables.unordered_slots[at]) & 2**32 - 1 != 0
    assert state.bound_row(50) == row


def test_the_last_row_fits_its_slot() -> None:
    part, rest = divmod(limits.BOUND_MAX - 1, limits.SLOT_ROWS_MAX)
    assert (part, rest) == (2**16 - 1, 2**32 - 2)


@pytest.mark.parametrize("bits", [6, 31, 32, 33, 35])
def test_hashes_use_all_slots_of_a_large_index(bits: int) -> None:
    slots = np.broadcast_to(np.zeros(1, np.uint64), (1 << bits) + 1)  # uses no memory
    hashes = np.random.default_rng(1).integers(0, 1 << 64, 1_000, np.uint64)
    first_slot = getattr(lookup.first_slot, "py_func", lookup.first_slot)
    places = np.array([first_slot(slots, hashed) for hashed in hashes])
    eighths = np.bincount(places >> (bits - 3), minlength=8)
    assert eighths.size == 8
    assert eighths.min() > 80


def test_few_ids_among_many_unordered_ids_fill_a_generation(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(id_generations, "GENERATION_SLOTS", 4_096)  # too many for so few ids
    monkeypatch.setattr(id_generations, "GENERATION_ROWS", 100)
    rng = random.Random(1)
    for number in range(30):
        book.pay(v7(book.now_ms, number), *(rng.randrange(1, 1 << 64) for _ in range(30)))
        spans = np.diff(
            [*(int(book.state.tables.generations[at]) for at in (constants.OLDER_FIRST, constants.RECENT_FIRST))]
        )
        assert spans[0] <= 100
    assert book.parts()[0] <= 4
    assert book.parts()[1] >= 20
    book.require_found()


class Behind(TableStorage):
    """Runs long work when a test asks for it, as a background thread may at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Deferred[Any]] = []

    def begin_long(self, work: Callable[[], T]) -> Deferred[T]:
        self.waiting.append(Deferred(work))
        return self.waiting[-1]


@pytest.mark.parametrize("run_after", range(8))
def test_a_large_index_of_unordered_ids_is_extended_beside_frames(
    monkeypatch: pytest.MonkeyPatch, run_after: int
) -> None:
    """The larger index is built after `run_after` frames, from an index into which they inserted and removed ids."""
    monkeypatch.setattr(capacity, "EXTENDED_SLOTS_MIN", 64)
    storage, rng = Behind(), random.Random(run_after)
    book = Book(storage)
    sizes, waited = [book.state.tables.unordered_slots.size], 0
    for number in range(40):
        fresh = [rng.randrange(1, 1 << 120) for _ in range(100)]
        assert set(book.pay(*fresh, v7(book.now_ms, number))) == {Result.CREATED}
        failed = transfers(rng.randrange(1, 1 << 120), rng.randrange(1, 1 << 120), rng.randrange(1, 1 << 120))
        failed["debit_low"][2] = SUSPENSE  # has no money
        assert Result.LINKED_FAILED in book.frame(operations.chain(failed))
        waited += bool(storage.waiting)
        if storage.waiting and waited >= run_after:
            storage.waiting.pop().run()
            waited = 0
        sizes.append(book.state.tables.unordered_slots.size)
        assert np.count_nonzero(book.state.tables.unordered_slots[:-1]) == book.parts()[2]
    assert sizes[0] < sizes[-1]
    book.require_found(*(rng.randrange(1, 1 << 120) for _ in range(20)))
    again = loaded(book.state)
    assert np.count_nonzero(again.tables.unordered_slots[:-1]) == book.parts()[2]


def test_an_index_that_filled_up_before_it_was_extended_is_extended_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "EXTENDED_SLOTS_MIN", 64)
    storage, rng = Behind(), random.Random(1)
    book = Book(storage)
    for _ in range(30):
        book.pay(*(rng.randrange(1, 1 << 120) for _ in range(100)))
    assert len(storage.waiting) == 1
    full = book.state.tables.unordered_slots
    assert full.size > 4_097
    storage.waiting[0].run()
    book.pay(7)
    assert book.state.tables.unordered_slots is full, "the smaller index replaced it"
    book.require_found()


def test_an_index_is_not_extended_ahead_without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "EXTENDED_SLOTS_MIN", 64)
    monkeypatch.setattr(capacity, "GROWTH_CHECKED_BYTES", 1 << 12)
    storage, rng = Behind(), random.Random(1)
    book = Book(storage)
    for _ in range(16):
        book.pay(*(rng.randrange(1, 1 << 120) for _ in range(100)))
    storage.waiting.clear()
    book.state._extension = None
    records = transfers(*(rng.randrange(1, 1 << 120) for _ in range(9)))
    book.state.reserve(records, available_bytes=lambda: 1 << 15)
    assert not storage.waiting
    book.state.reserve(records, available_bytes=lambda: 1 << 20)
    assert len(storage.waiting) == 1
