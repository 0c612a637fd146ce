from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.each import case

from sycee.core import sha256


def expected(parts: list[bytes | sha256.Bytes], count: int) -> list[bytes]:
    return [
        hashlib.sha256(b"".join(part if isinstance(part, bytes) else part[row].tobytes() for part in parts)).digest()
        for row in range(count)
    ]


@given(
    count=st.integers(0, 3 * sha256.LANES + 1),
    shape=st.lists(st.tuples(st.booleans(), st.integers(0, 70)), min_size=1, max_size=3),
    seed=st.integers(0, 2**32 - 1),
)
def test_hashlib_is_the_oracle(count: int, shape: list[tuple[bool, int]], seed: int) -> None:
    random = np.random.default_rng(seed)
    shape = [*shape, (False, 3)]
    parts: list[bytes | sha256.Bytes] = [
        random.bytes(width) if is_shared else random.integers(0, 256, (count, width), dtype=np.uint8)
        for is_shared, width in shape
    ]
    assert [row.tobytes() for row in sha256.digests(parts)] == expected(parts, count)


def test_every_length_up_to_four_blocks() -> None:
    for length in range(201):
        with case(length):
            messages = np.random.default_rng(length).integers(0, 256, (5, length), dtype=np.uint8)
            assert [row.tobytes() for row in sha256.digests([messages])] == expected([messages], 5)


def test_known_answer() -> None:
    # FIPS 180-4's example: SHA-256("abc").
    (digest,) = sha256.digests([np.frombuffer(b"abc", np.uint8).reshape(1, 3)])
    assert digest.tobytes().hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_chunks_and_their_progress() -> None:
    count = 2 * sha256.ROWS_PER_CALL + 5
    messages = np.arange(count, dtype="<u8").view(np.uint8).reshape(count, 8)
    calls: list[tuple[int, int]] = []
    digests = sha256.digests([b"tag", messages], progress=lambda done, total: calls.append((done, total)))
    assert calls == [(sha256.ROWS_PER_CALL, count), (2 * sha256.ROWS_PER_CALL, count), (count, count)]
    for row in (0, sha256.ROWS_PER_CALL - 1, sha256.ROWS_PER_CALL, count - 1):
        assert digests[row].tobytes() == hashlib.sha256(b"tag" + messages[row].tobytes()).digest()


def test_parts_must_agree() -> None:
    for parts in ([b"only shared"], [np.zeros((2, 1), np.uint8), np.zeros((3, 1), np.uint8)]):
        with pytest.raises(ValueError, match="one number of rows"):
            sha256.digests(parts)
