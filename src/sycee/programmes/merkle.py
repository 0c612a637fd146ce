"""The Merkle tree over a draw's frozen list, as in RFC 6962, section 2.1.

A leaf is SHA-256(0x00 ‖ item), a node SHA-256(0x01 ‖ left ‖ right), and a node without a partner moves up as it is. The
two first bytes keep leaves and nodes apart, so that no node can be passed off as an item.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np

from sycee.programmes import sha256
from sycee.programmes.sha256 import Bytes, Progress

LEAF_TAG: Final = b"\x00"
NODE_TAG: Final = b"\x01"

Proof = tuple[tuple[str, bytes], ...]  # from the leaf up: "left" or "right" of the way, and the neighbour's hash


def hashes_needed(count: int) -> int:
    """How many hashes a tree over `count` items takes: the unit of `progress` below, over all levels."""
    return 2 * count - 1


def levels(items: Bytes, *, progress: Progress | None = None) -> list[Bytes]:
    """All levels of the tree over `items` (uint8 [n, width], n > 0), leaves first, the root alone in the last.

    `progress(done, total)` counts within one level only.
    """
    found = [sha256.digests((LEAF_TAG, items), progress=progress)]
    while len(found[-1]) > 1:
        found.append(_above(found[-1], progress))
    return found


def root(items: Bytes, *, progress: Progress | None = None) -> bytes:
    """The root of the tree over `items` (uint8 [n, width], n > 0), holding no more than two levels."""
    level = sha256.digests((LEAF_TAG, items), progress=progress)
    while len(level) > 1:
        level = _above(level, progress)
    return bytes(level[0])


def proof(tree: list[Bytes], index: int) -> Proof:
    """The neighbours on the way from item `index` to the root of `tree` (as `levels` gives it)."""
    way: list[tuple[str, bytes]] = []
    for level in tree[:-1]:
        neighbour = index ^ 1
        if neighbour < len(level):
            way.append(("left" if neighbour < index else "right", level[neighbour].tobytes()))
        index //= 2
    return tuple(way)


def proven_root(item: bytes, way: Proof) -> bytes:
    """The root that a proof leads to from `item`. It proves the item if it is the published root."""
    digest = hashlib.sha256(LEAF_TAG + item).digest()
    for side, neighbour in way:
        pair = neighbour + digest if side == "left" else digest + neighbour
        digest = hashlib.sha256(NODE_TAG + pair).digest()
    return digest


def _above(level: Bytes, progress: Progress | None) -> Bytes:
    paired = len(level) // 2 * 2
    nodes = sha256.digests((NODE_TAG, level[:paired].reshape(paired // 2, -1)), progress=progress)
    return nodes if paired == len(level) else np.concatenate((nodes, level[paired:]))
