"""Compiled kernels of the state machine: `resolve` and `apply`, one pass each over the records of a frame.

Kernels receive arrays and return result codes. They allocate nothing and use no Python object. All but `rows_of_few`
release the GIL.
docs/reference/ledger.md defines each operation; the checks are in the order of that page. Slow twin: `testing.naive`.

Rules for code in this package:

- int64 wraps silently: compare before adding. Never mix uint64 with int64.
- An index out of range reads garbage: use only row numbers that come from the ledger's own tables.
- A kernel receives `Tables` as one address, see `tables_type`. Callees of TRANSFER and PAY use `forceinline`: without
  it a frame of transfers needs half as long again.
- Python can call only the functions that are compiled eagerly, in `frames`, `queries` and `indexes`. All others use
  `inline.njit`, which halves the compile time.
- numba's cache notices edits of `frames` alone. `sycee.core.jit` therefore keys its folder by all sources.
- Tables never grow inside a kernel: `LedgerState.reserve` provides the capacity before the frame is journaled.

`apply` stops at an operation that Python handles (definitions and seals, which are rare). The state runs the handler
and calls `apply` again for the operations that follow.
"""

from sycee.ledger.kernels.frames import apply as apply
from sycee.ledger.kernels.frames import bind_operation as bind_operation
from sycee.ledger.kernels.frames import copy_records as copy_records
from sycee.ledger.kernels.frames import end_due_holds as end_due_holds
from sycee.ledger.kernels.frames import resolve as resolve
from sycee.ledger.kernels.tables import GROWING_TABLES as GROWING_TABLES
from sycee.ledger.kernels.tables import Tables as Tables
from sycee.ledger.kernels.tables import empty_slots as empty_slots
from sycee.ledger.kernels.tables import empty_tables as empty_tables
from sycee.ledger.kernels.tables import kernel_view as kernel_view
