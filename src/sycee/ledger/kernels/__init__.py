"""The compiled heart of the ledger: `resolve` and `apply`, one pass each over a frame's records.

Arrays in, codes out, nothing allocated, no Python object touched, the GIL released. docs/reference/ledger.md says what
each operation does; the checks stand in its order. The twin is `sycee.testing.naive`.

numba facts these files mind: int64 wraps silently, so every sum is compared before it is added; uint64 never meets
int64; an index out of range reads garbage, so rows come only from our own tables; a call that is not inlined copies all
of `Tables`, a hundred words, so what a transfer or a pay runs through says `forceinline`. Everything is compiled into
the few eager functions of `frames`; numba's cache sees edits in that file only, which is why `sycee.core.compiled`,
imported here before numba, keys its folder by the digest of all sources.

`apply` stops early at an operation that Python handles (definitions and seals, which are rare); the state does so and
goes on behind it. Tables never grow inside: `LedgerState.reserve` made room before the frame was journaled.
"""

from sycee.core import compiled as compiled  # isort: skip  (before numba)
from sycee.ledger.kernels.constants import (
    ACCOUNTS,
    BLOCK_BITS,
    BOUND,
    HOLD_LEGS,
    HOLDS,
    KEYS,
    LINKS,
    MOVEMENTS,
    PAYEES,
    PENDING,
    OLDER,
    OLDER_FIRST,
    OLDER_INDEXED,
    OLDER_TOP,
    PURSES,
    RECENT,
    RECENT_FIRST,
    RECENT_INDEXED,
    RECENT_TOP,
    REFUNDS,
    RUN_IDS,
    RUNS,
    RUNS_TOP,
    STAGED,
    STRAYS,
    TIME_OUTS,
    TRANSITS,
)
from sycee.ledger.kernels.frames import (
    apply,
    bind_one,
    bound_rows_of,
    gather,
    index_accounts,
    index_refunds,
    index_strays,
    note_time_outs,
    pass_time,
    rehash,
    resolve,
    rows_of,
    sort_keys,
)
from sycee.ledger.kernels.tables import GROWING, Tables, empty_slots, empty_tables, generation_slots, seen

__all__ = [
    "ACCOUNTS",
    "BLOCK_BITS",
    "BOUND",
    "GROWING",
    "HOLDS",
    "HOLD_LEGS",
    "KEYS",
    "LINKS",
    "MOVEMENTS",
    "OLDER",
    "OLDER_FIRST",
    "OLDER_INDEXED",
    "OLDER_TOP",
    "PAYEES",
    "PENDING",
    "PURSES",
    "RECENT",
    "RECENT_FIRST",
    "RECENT_INDEXED",
    "RECENT_TOP",
    "REFUNDS",
    "RUNS",
    "RUNS_TOP",
    "RUN_IDS",
    "STAGED",
    "STRAYS",
    "TIME_OUTS",
    "TRANSITS",
    "Tables",
    "apply",
    "bind_one",
    "bound_rows_of",
    "empty_slots",
    "empty_tables",
    "generation_slots",
    "gather",
    "index_accounts",
    "index_refunds",
    "index_strays",
    "note_time_outs",
    "pass_time",
    "rehash",
    "resolve",
    "rows_of",
    "sort_keys",
    "seen",
]
