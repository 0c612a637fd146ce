"""The rule of a draw, version sycee.draw.v1, as pure functions of arrays. docs/reference/draw.md specifies it.

Digests are uint8 [n, 32] and are ordered by their bytes from the first on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sycee.core import sha256
from sycee.core.arrays import Bytes
from sycee.core.errors import UsageError
from sycee.core.sha256 import Progress

ENTRY_TAG: Final = b"sycee.draw.entry.v1"
TICKET_TAG: Final = b"sycee.draw.ticket.v1"
PACKET_TAG: Final = b"sycee.draw.packet.v1"
SALT_BYTES: Final = 32
DOCUMENT_DIGITS: Final = 20  # every u64
PHONE_DIGITS: Final = 15  # the longest number that E.164 allows
PHONE_MAX: Final = 10**PHONE_DIGITS - 1

_ROWS_PER_CHUNK: Final = 1 << 17  # identity texts in memory together: 7 MB


def identity_text(document: int, phone: int) -> bytes:
    """Return the canonical ASCII text of the identity keys of a person; 0 is a key that the person does not have."""
    return f"document={document:020d};phone={phone:015d}".encode("ascii")


def identity_texts(documents: NDArray[np.uint64], phones: NDArray[np.uint64]) -> Bytes:
    """Return `identity_text` of each row: uint8 [n, 51]."""
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
    """Return SHA-256(ENTRY_TAG ‖ salt ‖ identity text) of each entry. UsageError for a phone of > 15 digits."""
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
    """Return SHA-256(TICKET_TAG ‖ beacon ‖ root ‖ commitment) of each commitment."""
    return sha256.digests((TICKET_TAG, beacon, root, commitment), progress=progress)


def packet_order(beacon: bytes, root: bytes, commitment: Bytes) -> NDArray[np.int64]:
    """Return the positions of winners of several strata in the order in which packet classes are allotted.

    The order is that of SHA-256(PACKET_TAG ‖ beacon ‖ root ‖ commitment). Tickets would not do: where a smaller share
    of a stratum wins, the winners have smaller tickets.
    """
    order = digest_order(commitment)  # decides between equal digests
    return order[digest_order(sha256.digests((PACKET_TAG, beacon, root, commitment[order])))]


def digest_order(digest: Bytes) -> NDArray[np.int64]:
    """Return positions in increasing order of digests; equal ones by position."""
    prefix = words(digest)[:, 0].astype(np.uint64)
    order = np.argsort(prefix)
    ordered = prefix[order]
    # Eight bytes decide, except in one list in 10⁸; there all four words are compared.
    return _full_order(digest) if (ordered[1:] == ordered[:-1]).any() else order


def first_repeated(digest: Bytes, order: NDArray[np.int64]) -> tuple[int, int] | None:
    """Return positions of two equal digests, the smaller first; None if all differ. `order` is their `digest_order`."""
    equal = np.flatnonzero(~is_increasing(digest[order]))
    if not len(equal):
        return None
    first, second = sorted(order[equal[0] : equal[0] + 2].tolist())
    return first, second


def smallest(ticket: Bytes, count: int) -> NDArray[np.int64]:
    """Return positions of the `count` smallest tickets, smallest first; equal ones by position."""
    if count == 0:
        return np.empty(0, dtype=np.int64)
    prefix = words(ticket)[:, 0].astype(np.uint64)
    bound = np.partition(prefix, count - 1)[count - 1]
    candidates = np.flatnonzero(prefix <= bound)
    return candidates[_full_order(ticket[candidates])[:count]]


def rank(ticket: Bytes, index: int) -> int:
    """Return the rank, from 1, of the ticket at `index`; equal tickets are in list order."""
    columns = words(ticket)
    before = np.arange(len(ticket)) < index
    for column in (3, 2, 1, 0):
        own = columns[index, column]
        before = (columns[:, column] < own) | ((columns[:, column] == own) & before)
    return int(np.count_nonzero(before)) + 1


def positions(digest: Bytes, wanted: Sequence[bytes]) -> list[int]:
    """Return the position of each wanted digest among `digest`, [n, 32] in any order; -1 for one that is not there."""
    if not wanted:
        return []
    columns = words(digest)
    order = np.argsort(columns[:, 0], kind="stable")
    prefix = columns[order, 0]
    found = []
    for each in wanted:
        own = np.frombuffer(each, dtype=">u8")
        first, last = (int(np.searchsorted(prefix, own[0], side)) for side in ("left", "right"))
        same = [int(at) for at in order[first:last] if (columns[at] == own).all()]
        found.append(same[0] if same else -1)
    return found


def is_increasing(digest: Bytes) -> NDArray[np.bool_]:
    """Return for each digest but the first whether it is greater than the previous one: bool [n - 1]."""
    after, before = words(digest)[1:], words(digest)[:-1]
    greater: NDArray[np.bool_] = after[:, 3] > before[:, 3]
    for column in (2, 1, 0):
        greater = (after[:, column] > before[:, column]) | ((after[:, column] == before[:, column]) & greater)
    return greater


def words(digest: Bytes) -> NDArray[np.uint64]:
    """Return digests as four big-endian words each, which compare like the bytes."""
    return np.ascontiguousarray(digest).view(">u8")


def _full_order(digest: Bytes) -> NDArray[np.int64]:
    columns = words(digest)
    return np.lexsort((columns[:, 3], columns[:, 2], columns[:, 1], columns[:, 0]))


def _digits(numbers: NDArray[np.uint64], width: int) -> Bytes:
    """Return decimal digits in ASCII, zero-filled to `width`: four together, from a table."""
    out = np.empty((len(numbers), (width + 3) // 4 * 4), dtype=np.uint8)
    rest = numbers.astype(np.uint64)
    for column in range(out.shape[1] - 4, -1, -4):
        higher = rest // np.uint64(10_000)
        out[:, column : column + 4] = _FOUR_DIGITS[rest - higher * np.uint64(10_000)]
        rest = higher
    return out[:, -width:]


_FOUR_DIGITS: Final = np.frombuffer(b"".join(b"%04d" % number for number in range(10_000)), np.uint8).reshape(-1, 4)
