from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sycee.core.errors import UsageError
from sycee.programmes.duplicates import BY_DOCUMENT, BY_PHONE, Registrations, deduplicate

pytestmark = pytest.mark.fast

Row = tuple[int, int, int]  # document, phone, time


def registrations(rows: list[Row]) -> Registrations:
    documents, phones, times = ([row[column] for row in rows] for column in range(3))
    return Registrations(
        np.array(documents, np.uint64),
        np.array(phones, np.uint64),
        np.zeros(len(rows), np.uint8),
        np.array(times, np.int64),
    )


def naive(rows: list[Row]) -> tuple[list[int], dict[int, int]]:
    """Return accepted entries, and the accepted entry of each duplicate, by a walk from entry to entry."""
    order = sorted(range(len(rows)), key=lambda entry: (rows[entry][2], entry))
    stands: dict[int, int] = {}
    for first in order:
        waiting = [first]
        while waiting:
            entry = waiting.pop()
            if entry in stands:
                continue
            stands[entry] = first
            waiting += [
                other
                for other in range(len(rows))
                if (rows[entry][0] and rows[entry][0] == rows[other][0])
                or (rows[entry][1] and rows[entry][1] == rows[other][1])
            ]
    return sorted(set(stands.values())), {entry: first for entry, first in stands.items() if entry != first}


@pytest.mark.parametrize(
    ("rows", "standing", "duplicates"),
    [
        ([], [], []),
        ([(1, 11, 0), (2, 12, 0)], [0, 1], []),
        ([(1, 11, 5), (1, 12, 3)], [1], [(0, 1, 1, BY_DOCUMENT)]),
        ([(1, 11, 0), (2, 11, 0)], [0], [(1, 0, 0, BY_PHONE)]),  # at the same moment the lower position is accepted
        ([(1, 11, 0), (1, 11, 1)], [0], [(1, 0, 0, BY_DOCUMENT | BY_PHONE)]),
        # A chain: 0 and 1 share nothing, 2 connects them.
        ([(1, 11, 0), (2, 12, 1), (1, 12, 2)], [0], [(1, 0, 2, BY_PHONE), (2, 0, 0, BY_DOCUMENT)]),
        # A key of 0 is no key.
        ([(0, 11, 0), (0, 12, 0), (3, 0, 0), (4, 0, 0)], [0, 1, 2, 3], []),
    ],
)
def test_table(rows: list[Row], standing: list[int], duplicates: list[tuple[int, int, int, int]]) -> None:
    result = deduplicate(registrations(rows))
    assert result.accepted.tolist() == standing
    assert result.duplicates.tolist() == duplicates


KEYS = st.integers(0, 12)


@given(st.lists(st.tuples(KEYS, KEYS, st.integers(0, 5)).filter(lambda row: row[0] or row[1]), max_size=40))
def test_agrees_with_the_naive_twin(rows: list[Row]) -> None:
    result = deduplicate(registrations(rows))
    standing, stands = naive(rows)
    assert result.accepted.tolist() == standing
    assert {int(row["entry"]): int(row["accepted"]) for row in result.duplicates} == stands
    for row in result.duplicates:
        entry, through = rows[row["entry"]], rows[row["through"]]
        assert row["entry"] != row["through"]
        assert bool(row["key"] & BY_DOCUMENT) == (entry[0] == through[0] != 0)
        assert bool(row["key"] & BY_PHONE) == (entry[1] == through[1] != 0)
        assert row["key"] != 0


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_long_chain_is_one_person(shuffled: bool) -> None:
    count = 20_000
    rows = np.arange(count)
    order = np.random.default_rng(5).permutation(count) if shuffled else rows
    chain = Registrations(
        (rows // 2 + 1)[order].astype(np.uint64),
        ((rows + 1) // 2 + 1)[order].astype(np.uint64),
        np.zeros(count, np.uint8),
        np.arange(count, dtype=np.int64),
    )
    result = deduplicate(chain)
    assert result.accepted.tolist() == [0]
    assert len(result.duplicates) == count - 1


def test_only_the_keys_that_the_programme_names_link() -> None:
    rows = registrations([(1, 11, 0), (1, 12, 1), (2, 11, 2)])
    by_document = deduplicate(rows, identity=("document",))
    assert by_document.duplicates.tolist() == [(1, 0, 0, BY_DOCUMENT)]
    by_phone = deduplicate(rows, identity=("phone",))
    assert by_phone.duplicates.tolist() == [(2, 0, 0, BY_PHONE)]


def test_refused() -> None:
    with pytest.raises(UsageError, match="identity keys"):
        deduplicate(registrations([(1, 1, 0)]), identity=("face",))
    with pytest.raises(UsageError, match="entry 0 has no phone"):
        deduplicate(registrations([(1, 0, 0)]), identity=("phone",))
    with pytest.raises(UsageError, match="entry 1 has no document and no phone"):
        deduplicate(registrations([(1, 1, 0), (0, 0, 0)]))
    lopsided = Registrations(np.ones(2, np.uint64), np.ones(1, np.uint64), np.zeros(2, np.uint8), np.zeros(2, np.int64))
    with pytest.raises(UsageError, match="columns of 2, 1, 2, 2"):
        deduplicate(lopsided)
