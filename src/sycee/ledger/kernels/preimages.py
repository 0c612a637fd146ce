"""Pre-images of rows for a snapshot copy: saved before the first write to each row since the copy began.

A snapshot is copied table by table while frames are applied. A row that is written before it is copied is first saved
to `preimages`, once; the copying thread then applies the pre-images to its copy. Rows that were added later, and rows
that are copied already, need none. Every row of a table has space there: address space until it is written to.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np import arrayobj

from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.inline import njit


@intrinsic
def _copy_row(typing_context: Any, preimages: Any, at: Any, rows: Any, row: Any) -> Any:
    """Copy the bytes of one row of any type to preimages[at:]."""
    signature = types.void(preimages, at, rows, row)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        preimages, rows = (arrayobj.make_array(signature.args[n])(context, builder, arguments[n]) for n in (0, 2))
        row_bytes = signature.args[2].dtype.bitwidth // 8
        wide = ir.Constant(ir.IntType(64), row_bytes)
        target = builder.bitcast(builder.gep(preimages.data, [arguments[1]]), byte)
        source = builder.gep(builder.bitcast(rows.data, byte), [builder.mul(arguments[3], wide)])
        cgutils.raw_memcpy(builder, target, source, wide, 1)
        return context.get_dummy_value()

    return signature, generate


def _copy_row_interpreted(preimages: Any, at: Any, rows: Any, row: Any) -> None:
    image = rows.view(np.ndarray).reshape(-1)[row : row + 1].view(np.uint64)
    preimages[at : at + image.size] = image


_copy = _copy_row_interpreted if numba.config.DISABLE_JIT else _copy_row


@njit
def save_preimage(copying, preimages, rows, table, row):
    """Save a row that is about to be written to, if it still has to be copied and has no pre-image."""
    row = np.int64(row)
    if row < copying[table, c.COPY_DONE] or row >= copying[table, c.COPY_END]:
        return
    word = copying[table, c.COPY_BITMAP] + (row >> 6)
    bit = c.ONE << np.uint64(row & 63)
    if preimages[word] & bit:
        return
    preimages[word] |= bit
    number = copying[table, c.COPY_PREIMAGES]
    preimages[copying[table, c.COPY_ROWS] + number] = np.uint64(row)
    _copy(preimages, copying[table, c.COPY_IMAGES] + number * copying[table, c.COPY_WORDS], rows, row)
    copying[table, c.COPY_PREIMAGES] = number + 1


def apply_preimages(copying, preimages, table, start, stop, first, copied):
    """Write pre-images `start` to `stop` (exclusive) of a table into a copy of its rows from `first` on.

    copied: (rows, words) u64.
    """
    numbers = copying[table, c.COPY_ROWS]
    images = copying[table, c.COPY_IMAGES]
    words = copying[table, c.COPY_WORDS]
    for number in range(start, stop):
        row = np.int64(preimages[numbers + number]) - first
        if 0 <= row < copied.shape[0]:
            for word in range(words):
                copied[row, word] = preimages[images + number * words + word]
