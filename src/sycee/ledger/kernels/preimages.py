"""Rows as they were when the copying of the state began: kept before the first write to each.

A snapshot is copied table by table while frames go on. A row that is written to before its turn has come goes to
`kept` first, once; the copying thread puts it over what it read. Rows that were added since, and rows that are copied
already, are not kept. A table has room for each of its rows there: address space, until it is written to.
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
def _copy_row(typing_context: Any, kept: Any, at: Any, rows: Any, row: Any) -> Any:
    """Copy the bytes of one row, whatever its type, to kept[at:]."""
    signature = types.void(kept, at, rows, row)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        kept, rows = (arrayobj.make_array(signature.args[n])(context, builder, arguments[n]) for n in (0, 2))
        row_bytes = signature.args[2].dtype.bitwidth // 8
        wide = ir.Constant(ir.IntType(64), row_bytes)
        target = builder.bitcast(builder.gep(kept.data, [arguments[1]]), byte)
        source = builder.gep(builder.bitcast(rows.data, byte), [builder.mul(arguments[3], wide)])
        cgutils.raw_memcpy(builder, target, source, wide, 1)
        return context.get_dummy_value()

    return signature, generate


def _copy_row_plainly(kept: Any, at: Any, rows: Any, row: Any) -> None:
    image = rows.view(np.ndarray).reshape(-1)[row : row + 1].view(np.uint64)
    kept[at : at + image.size] = image


_copy = _copy_row_plainly if numba.config.DISABLE_JIT else _copy_row


@njit
def keep_first(copying, kept, rows, table, row):
    """Keep a row of a table that is being copied, which is about to be written to."""
    row = np.int64(row)
    if row < copying[table, c.COPY_DONE] or row >= copying[table, c.COPY_END]:
        return
    mark = copying[table, c.COPY_MARKS] + (row >> 6)
    bit = c.ONE << np.uint64(row & 63)
    if kept[mark] & bit:
        return
    kept[mark] |= bit
    number = copying[table, c.COPY_KEPT]
    kept[copying[table, c.COPY_ROWS] + number] = np.uint64(row)
    _copy(kept, copying[table, c.COPY_IMAGES] + number * copying[table, c.COPY_WORDS], rows, row)
    copying[table, c.COPY_KEPT] = number + 1


def put_over(copying, kept, table, start, stop, first, copied):
    """Put the pre-images numbered `start` to `stop` over what was copied of a table from row `first` on.

    copied: (rows, words) u64.
    """
    numbers = copying[table, c.COPY_ROWS]
    images = copying[table, c.COPY_IMAGES]
    words = copying[table, c.COPY_WORDS]
    for number in range(start, stop):
        row = np.int64(kept[numbers + number]) - first
        if 0 <= row < copied.shape[0]:
            for word in range(words):
                copied[row, word] = kept[images + number * words + word]
