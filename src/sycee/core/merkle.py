"""Merkle tree over the frozen list of a draw, as in RFC 6962, section 2.1.

A leaf is SHA-256(0x00 ‖ item), a node SHA-256(0x01 ‖ left ‖ right). A last node without a partner moves up unchanged.
The first byte distinguishes leaves from nodes, so that no node passes as an item. An empty list has no root here.
"""

from __future__ import annotations

import hashlib
from typing import Final, TypeAlias

import numpy as np
from blake3 import blake3

from sycee.core import sha256
from sycee.core.arrays import Bytes
from sycee.core.sha256 import Progress

LEAF_TAG: Final = b"\x00"
NODE_TAG: Final = b"\x01"

ROOTS_KNOWN_MAX: Final = 8
_known: dict[bytes, bytes] = {}  # root by `_key`, of the newest lists

Proof: TypeAlias = tuple[tuple[str, bytes], ...]  # from the leaf up: "left" or "right", and the hash of that neighbour


def hashes_needed(count: int) -> int:
    """Return the number of hashes of a tree over `count` items: the total of `progress` over all levels."""
    return 2 * count - 1


def levels(items: Bytes, *, progress: Progress | None = None) -> list[Bytes]:
    """Return all levels of the tree over `items` (uint8 [n, width], n > 0): the leaves first, the root last.

    `progress(done, total)` counts within one level.
    """
    found = [sha256.digests((LEAF_TAG, items), progress=progress)]
    while len(found[-1]) > 1:
        found.append(_above(found[-1], progress))
    return found


def root(items: Bytes, *, progress: Progress | None = None) -> bytes:
    """Return the root of the tree over `items` (uint8 [n, width], n > 0), with two levels in memory at most."""
    level = sha256.digests((LEAF_TAG, items), progress=progress)
    while len(level) > 1:
        level = _above(level, progress)
    found = bytes(level[0])
    while len(_known) >= ROOTS_KNOWN_MAX:
        _known.pop(next(iter(_known)), None)
    _known[_key(items)] = found
    return found


def root_computed_once(items: Bytes, *, progress: Progress | None = None) -> bytes:
    """Return `root` of the same items, which this process computes once: it has the roots of the newest lists.

    For steps that each read the list of one occurrence; a verification computes the root itself.
    """
    return _known.get(_key(items)) or root(items, progress=progress)


def proof(tree: list[Bytes], index: int) -> Proof:
    """Return the neighbours on the path from item `index` to the root of `tree` (the result of `levels`)."""
    path: list[tuple[str, bytes]] = []
    for level in tree[:-1]:
        neighbour = index ^ 1
        if neighbour < len(level):
            path.append(("left" if neighbour < index else "right", level[neighbour].tobytes()))
        index //= 2
    return tuple(path)


def proven_root(item: bytes, path: Proof) -> bytes:
    """Return the root that a proof leads to. The item is in the list if that is the published root."""
    digest = hashlib.sha256(LEAF_TAG + item).digest()
    for side, neighbour in path:
        pair = neighbour + digest if side == "left" else digest + neighbour
        digest = hashlib.sha256(NODE_TAG + pair).digest()
    return digest


def _key(items: Bytes) -> bytes:
    """Return a digest of the items, which takes a tenth of the time of the root."""
    hasher = blake3(items.shape[1].to_bytes(8, "little"))
    return hasher.update(np.ascontiguousarray(items).reshape(-1).data).digest()


def _above(level: Bytes, progress: Progress | None) -> Bytes:
    paired = len(level) // 2 * 2
    nodes = sha256.digests((NODE_TAG, level[:paired].reshape(paired // 2, -1)), progress=progress)
    return nodes if paired == len(level) else np.concatenate((nodes, level[paired:]))
