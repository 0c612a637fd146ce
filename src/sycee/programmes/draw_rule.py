"""The draw's rule, version sycee.draw.v1, as pure computation: arrays in, arrays out.

docs/reference/draw.md specifies every byte of it. Digests are uint8 [n, 32]; an order on them is the order of their
bytes from the first on.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sycee.core.errors import UsageError
from sycee.programmes import sha256
from sycee.programmes.sha256 import Bytes, Progress

ENTRY_TAG: Final = b"sycee.draw.entry.v1"
TICKET_TAG: Final = b"sycee.draw.ticket.v1"
SALT_BYTES: Final = 32
DOCUMENT_DIGITS: Final = 20  # every u64
PHONE_DIGITS: Final = 15  # the longest number that E.164 allows
PHONE_MAX: Final = 10**PHONE_DIGITS - 1

_ROWS_PER_CHUNK: Final = 1 << 17  # identity texts are made for so many entries at once: 7 MB


def identity_text(document: int, phone: int) -> bytes:
    """The canonical ASCII text of a person's identity keys; 0 stands for a key that is not given."""
    return f"document={document:020d};phone={phone:015d}".encode("ascii")


def identity_texts(documents: NDArray[np.uint64], phones: NDArray[np.uint64]) -> Bytes:
    """`identity_text` of many: uint8 [n, 51]."""
    template = np.frombuffer(identity_text(0, 0), dtype=np.uint8)
    texts = np.tile(template, (len(documents), 1))
    document_at = len(b"document=")
    phone_at = len(template) - PHONE_DIGITS
    texts[:, document_at : document_at + DOCUMENT_DIGITS] = _digits(documents, DOCUMENT_DIGITS)
    texts[:, phone_at:] = _digits(phones, PHONE_DIGITS)
    return texts


def commitments(
    documents: NDArray[np.uint64], phones: NDArray[np.uint64], salts: Bytes, *, progress: Progress | None = None
) -> Bytes:
    """SHA-256(ENTRY_TAG ‖ salt ‖ identity text) for each entry. UsageError for a phone of more than 15 digits."""
    count = len(documents)
    if len(phones) != count or salts.shape != (count, SALT_BYTES):
        raise UsageError(
            f"{count} documents, {len(phones)} phones and salts of shape {salts.shape} do not make entries",
            hint=f"give each entry one document, one phone and one salt of {SALT_BYTES} bytes",
        )
    long = np.flatnonzero(phones > PHONE_MAX)
    if len(long):
        raise UsageError(
            f"the phone of entry {long[0]}, {phones[long[0]]}, has more than {PHONE_DIGITS} digits",
            hint="write phones as E.164 numbers without the plus sign",
        )
    out = np.empty((count, sha256.DIGEST_BYTES), dtype=np.uint8)
    for start in range(0, count, _ROWS_PER_CHUNK):
        rows = slice(start, min(start + _ROWS_PER_CHUNK, count))
        out[rows] = sha256.digests((ENTRY_TAG, salts[rows], identity_texts(documents[rows], phones[rows])))
        if progress is not None:
            progress(rows.stop, count)
    return out


def tickets(beacon: bytes, root: bytes, commitment: Bytes, *, progress: Progress | None = None) -> Bytes:
    """SHA-256(TICKET_TAG ‖ beacon ‖ root ‖ commitment) for each commitment."""
    return sha256.digests((TICKET_TAG, beacon, root, commitment), progress=progress)


def list_order(commitment: Bytes, strata: NDArray[np.uint8] | None) -> NDArray[np.int64]:
    """The order of the frozen list: by stratum, then by commitment."""
    prefix = words(commitment)[:, 0].astype(np.uint64)
    order = np.argsort(prefix)
    ordered = prefix[order]
    # Eight bytes decide but for one list in a hundred million; then all four words do.
    if (ordered[1:] == ordered[:-1]).any():
        order = _full_order(commitment)
    if strata is not None:
        order = order[np.argsort(strata[order], kind="stable")]
    return order


def smallest(ticket: Bytes, count: int) -> NDArray[np.int64]:
    """Positions of the `count` smallest tickets, smallest first; equal ones in their own order."""
    if count == 0:
        return np.empty(0, dtype=np.int64)
    prefix = words(ticket)[:, 0].astype(np.uint64)
    bound = np.partition(prefix, count - 1)[count - 1]
    candidates = np.flatnonzero(prefix <= bound)
    return candidates[_full_order(ticket[candidates])[:count]]


def is_increasing(digest: Bytes) -> NDArray[np.bool_]:
    """For each digest but the first whether it is greater than the one before: bool [n - 1]."""
    after, before = words(digest)[1:], words(digest)[:-1]
    greater: NDArray[np.bool_] = after[:, 3] > before[:, 3]
    for column in (2, 1, 0):
        greater = (after[:, column] > before[:, column]) | ((after[:, column] == before[:, column]) & greater)
    return greater


def words(digest: Bytes) -> NDArray[np.uint64]:
    """Digests as four big-endian words each, so that comparing words compares bytes."""
    return np.ascontiguousarray(digest).view(">u8")


def _full_order(digest: Bytes) -> NDArray[np.int64]:
    columns = words(digest)
    return np.lexsort((columns[:, 3], columns[:, 2], columns[:, 1], columns[:, 0]))


def _digits(numbers: NDArray[np.uint64], width: int) -> Bytes:
    """Decimal digits in ASCII, zero-filled to `width`: four at a time, looked up."""
    out = np.empty((len(numbers), (width + 3) // 4 * 4), dtype=np.uint8)
    rest = numbers.astype(np.uint64)
    for column in range(out.shape[1] - 4, -1, -4):
        higher = rest // np.uint64(10_000)
        out[:, column : column + 4] = _FOUR_DIGITS[rest - higher * np.uint64(10_000)]
        rest = higher
    return out[:, -width:]


_FOUR_DIGITS: Final = np.frombuffer(b"".join(b"%04d" % number for number in range(10_000)), np.uint8).reshape(-1, 4)
