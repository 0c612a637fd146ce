"""Columns of the engine's tables. Only integers are here, because compiled kernels are rebuilt when this file changes.

All are sums of amounts in price steps, except for counts.
"""

from __future__ import annotations

from typing import Final

# Of each day and group of payments.
LABEL, OWN, SUBSTITUTED, FORWARD, NEW, LIFTED, PAID_BACK, MOVED, PAYMENTS = range(9)
EFFECTS: Final = 9

# Of each day.
F_REGISTERED, F_RECIPIENTS, F_ISSUED, F_CLAIMS, F_CLAIMED, F_SPENT, F_RETURNED, F_USERS, F_TOP_UP, F_REFUNDED = range(
    10
)
FLOWS: Final = 10

BUCKETS: Final = 1 << 16  # of one pass over tickets
