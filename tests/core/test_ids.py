from __future__ import annotations

import uuid
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sycee.core import ids
from sycee.core.errors import UsageError

pytestmark = pytest.mark.fast

TIME_MS = 1_602_461_400_000
GOLDEN = [
    "01751a24-7bc0-776f-b0c9-41be8a8bfb8a",
    "01751a24-7bc0-776f-b0c9-41bfc3ce8384",
    "01751a24-7bc0-776f-b0c9-41c0cff4ff63",
]
NUMBERS = st.integers(0, 2**128 - 1)


def as_ints(array: ids.Ids) -> list[int]:
    return [ids.to_int(one) for one in array]


def zeros(count: int) -> bytes:
    return bytes(count)


def ones(count: int) -> bytes:
    return b"\xff" * count


def test_an_id_is_sixteen_bytes_little_endian() -> None:
    assert ids.ID.itemsize == 16
    one = np.array([ids.from_int(0x0123456789ABCDEF_FEDCBA9876543210)], dtype=ids.ID)
    assert one.tobytes() == (0x0123456789ABCDEF_FEDCBA9876543210).to_bytes(16, "little")


@given(st.integers(0, 50), st.integers(0, ids.TIME_MS_MAX))
def test_generated_ids_are_uuids_of_version_7(count: int, time_ms: int) -> None:
    made = ids.generate(count, time_ms=time_ms)
    assert made.shape == (count,)
    assert made.dtype == ids.ID
    for one in made:
        other = uuid.UUID(int=ids.to_int(one))
        assert (other.version, other.variant) == (7, uuid.RFC_4122)
        assert other.int >> 80 == time_ms
        assert str(other) == ids.format(one)
    assert ids.time_ms(made).tolist() == [time_ms] * count


@pytest.mark.parametrize("entropy", [zeros, ones])
def test_ids_of_one_call_increase_strictly_even_at_the_edges_of_the_counter(entropy: object) -> None:
    made = as_ints(ids.generate(5_000, time_ms=TIME_MS, entropy=entropy))  # type: ignore[arg-type]
    assert all(a < b for a, b in pairwise(made))
    assert {uuid.UUID(int=one).version for one in made} == {7}


def test_the_counter_crosses_from_the_lower_word_to_the_upper_without_a_step_back() -> None:
    # The counter starts 2 below where its lower 30 bits run over into rand_a.
    start = (2**30 - 2) << (64 - ids.COUNTER_START_BITS)

    def entropy(count: int) -> bytes:
        return start.to_bytes(8, "little") + b"\xff" * (count - 8)

    made = ids.generate(4, time_ms=TIME_MS, entropy=entropy)
    assert as_ints(made) == sorted(as_ints(made))
    assert (made["high"] & 0xFFF).tolist() == [0, 0, 1, 1]
    assert [low >> 62 for low in made["low"].tolist()] == [2, 2, 2, 2]


def test_the_largest_call_cannot_overflow_the_counter() -> None:
    assert 2**ids.COUNTER_START_BITS - 1 + ids.COUNT_MAX < 2**42


@given(st.lists(st.integers(0, 2_000), min_size=1, max_size=60))
def test_ids_are_ordered_by_time_and_then_by_index(steps: list[int]) -> None:
    times = TIME_MS + np.cumsum(np.array(steps, dtype=np.int64))
    made = ids.generate(len(steps), time_ms=times)
    assert ids.time_ms(made).tolist() == times.tolist()
    numbers = as_ints(made)
    assert numbers == sorted(set(numbers))
    assert ids.argsort(made[::-1]).tolist() == list(range(len(steps)))[::-1]


def test_two_calls_in_one_millisecond_share_no_id() -> None:
    made = {number for _ in range(20) for number in as_ints(ids.generate(500, time_ms=TIME_MS))}
    assert len(made) == 10_000


@given(entropy=st.binary(min_size=12, max_size=12), time_ms=st.integers(0, ids.TIME_MS_MAX))
def test_new_returns_the_id_that_generate_returns_for_one(entropy: bytes, time_ms: int) -> None:
    made = ids.generate(1, time_ms=time_ms, entropy=lambda _: entropy)
    assert ids.new(time_ms, entropy=lambda _: entropy) == ids.to_int(made[0])


def test_new_refuses_invalid_times_and_entropy() -> None:
    for time_ms in (-1, ids.TIME_MS_MAX + 1):
        with pytest.raises(UsageError, match="48 bits"):
            ids.new(time_ms)
    with pytest.raises(UsageError, match="entropy source gave 3 bytes"):
        ids.new(1, entropy=lambda _: b"abc")


def test_a_million_ids_are_distinct() -> None:
    made = ids.derive(b"seed", "registrants", 1_000_000, time_ms=TIME_MS)
    assert np.unique(made).size == 1_000_000


def test_derived_ids_have_the_recorded_values() -> None:
    made = ids.derive(b"luohu-2020", "payments", 3, time_ms=TIME_MS)
    assert [ids.format(one) for one in made] == GOLDEN


def test_derived_ids_depend_on_seed_and_purpose_only() -> None:
    made = as_ints(ids.derive(b"seed", "claims", 100, time_ms=TIME_MS))
    assert made == as_ints(ids.derive(b"seed", "claims", 100, time_ms=TIME_MS))
    assert made[:10] == as_ints(ids.derive(b"seed", "claims", 10, time_ms=TIME_MS))
    others = [(b"seed", "payments"), (b"seee", "claims"), (b"sseed", "claim"), (b"eed", "claimss"), (b"", "seedclaims")]
    for seed, purpose in others:
        assert not set(made) & set(as_ints(ids.derive(seed, purpose, 100, time_ms=TIME_MS)))


def test_another_time_changes_only_the_time_bits_of_derived_ids() -> None:
    early = ids.derive(b"seed", "claims", 10, time_ms=TIME_MS)
    late = ids.derive(b"seed", "claims", 10, time_ms=TIME_MS + 1)
    assert (late["high"] - early["high"]).tolist() == [1 << 16] * 10
    assert late["low"].tolist() == early["low"].tolist()


@given(NUMBERS)
def test_ids_as_text_and_as_integers_are_read_back(number: int) -> None:
    one = ids.from_int(number)
    assert ids.to_int(one) == number
    text = ids.format(one)
    assert text == str(uuid.UUID(int=number))
    assert ids.format(number) == text
    assert ids.parse(text) == number
    assert ids.parse(text.upper()) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "0" * 32,
        "{01930e2c-5a00-7abc-8def-0123456789ab}",
        "01930e2c-5a00-7abc-8def-0123456789a",
        "0x930e2c-5a00-7abc-8def-0123456789ab",
        "01930e2c-5a00-7abc-8def-0123456789ag",
        "01930e2c-5a00-7abc-8def-0123456789ab\n",
        "01930e2c-5a00-7abc-8def-01234567８9ab",
        "x" * 1000,
    ],
)
def test_an_invalid_text_is_refused_and_shown(text: str) -> None:
    with pytest.raises(UsageError, match="is not an id") as caught:
        ids.parse(text)
    assert ascii(text[:40])[:-1] in caught.value.message
    assert len(caught.value.message) < 150
    assert "01930e2c" in (caught.value.hint or "")


def test_is_zero_finds_the_ids_that_are_zero() -> None:
    some = np.array([ids.from_int(number) for number in (0, 1, 1 << 64)], dtype=ids.ID)
    assert ids.is_zero(some).tolist() == [True, False, False]
    assert bool(ids.is_zero(ids.from_int(0)))


@pytest.mark.parametrize(
    ("count", "time_ms", "says"),
    [
        (-1, TIME_MS, "-1 ids cannot be made"),
        (ids.COUNT_MAX + 1, TIME_MS, "cannot be made in one call"),
        (1, -1, "do not fit"),
        (1, ids.TIME_MS_MAX + 1, "do not fit"),
        (2, np.array([5, 4]), "must not go back: number 0 is 5, number 1 is 4"),
        (2, np.array([5, 6, 7]), "not an array of shape"),
        (2, np.array([5.0, 6.0]), "integers of milliseconds"),
    ],
)
def test_generate_refuses_invalid_counts_and_times(count: int, time_ms: ids.Times, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        ids.generate(count, time_ms=time_ms, entropy=zeros if count < 10 else lambda _: b"")


def test_entropy_of_another_length_is_refused() -> None:
    with pytest.raises(UsageError, match="gave 3 bytes where 12 were asked for"):
        ids.generate(1, time_ms=TIME_MS, entropy=lambda _: b"abc")


@pytest.mark.parametrize("number", [-1, 2**128])
def test_integers_beyond_128_bits_are_refused(number: int) -> None:
    with pytest.raises(UsageError, match="does not fit"):
        ids.from_int(number)


def test_ids_in_the_fields_of_records() -> None:
    numbers = [0, 1, 2**64, 2**128 - 1, 1]
    records = np.zeros(5, [("debit_low", "<u8"), ("debit_high", "<u8"), ("amount", "<i8")])
    records["debit_low"], records["debit_high"] = zip(*map(ids.split, numbers), strict=True)
    assert ids.of_records(records, "debit") == numbers
    assert [ids.of_record(record, "debit") for record in records] == numbers
    assert [ids.join(*ids.split(number)) for number in numbers] == numbers
    assert ids.match(records, "debit", 1).tolist() == [False, True, False, False, True]
    assert ids.match(records, "debit", 2**64).tolist() == [False, False, True, False, False]
