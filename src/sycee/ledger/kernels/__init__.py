"""Compiled kernels of the state machine: `resolve` and `apply`, one pass each over the records of a frame.

Kernels receive arrays and return result codes. They allocate nothing, use no Python object and release the GIL.
docs/reference/ledger.md defines each operation; the checks are in the order of that page. Slow twin: `testing.naive`.

Rules for code in this package:

- int64 wraps silently: compare before adding. Never mix uint64 with int64.
- An index out of range reads garbage: use only row numbers that come from the ledger's own tables.
- A call that is not inlined copies all of `Tables` (100 words). What a TRANSFER or PAY calls uses `forceinline`.
- Python can call only the functions that are compiled eagerly, in `frames` and `queries`. All others use
  `inline.njit`, which halves the compile time.
- numba's cache notices edits of `frames` alone. `sycee.core.jit` therefore keys its folder by all sources.
- Tables never grow inside a kernel: `LedgerState.reserve` provides the capacity before the frame is journaled.

`apply` stops at an operation that Python handles (definitions and seals, which are rare). The state runs the handler
and calls `apply` again for the operations that follow.
"""

from sycee.ledger.kernels.frames import (
    apply,
    apply_preimages,
    bind_operation,
    bound_rows_of,
    collect_time_ordered,
    copy_records,
    end_due_holds,
    fill_time_outs,
    index_accounts,
    index_refunds_and_batches,
    index_unordered,
    rehash,
    resolve,
    rows_of,
    sort_keys,
)
from sycee.ledger.kernels.tables import GROWING_TABLES, Tables, empty_slots, empty_tables, kernel_view

__all__ = [
    "GROWING_TABLES",
    "Tables",
    "apply",
    "apply_preimages",
    "bind_operation",
    "bound_rows_of",
    "collect_time_ordered",
    "copy_records",
    "empty_slots",
    "empty_tables",
    "end_due_holds",
    "fill_time_outs",
    "index_accounts",
    "index_refunds_and_batches",
    "index_unordered",
    "kernel_view",
    "rehash",
    "resolve",
    "rows_of",
    "sort_keys",
]
