"""Kinds of life events, how long a recovery lasts, and the rule set of a wallet under recovery. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import numpy as np

from sycee.core.arrays import Array
from sycee.core.limits import I64_MAX
from sycee.core.records import operations
from sycee.core.records.layout import Reason

RECOVERY_NS: Final = 24 * 3_600 * 10**9  # a thief with a new key cannot empty the wallet before its owner notices
# Signatures made for later steps stay valid for a bank that was closed for some days.
LATE_NS: Final = 30 * 86_400 * 10**9
RECOVERY_OWNER: Final = "life.recovery"  # of the recovery rule set and its group in `Numbers`


class LifeEventKind(StrEnum):
    """Kind of an event. Databases contain the words."""

    PHONE_LOST = "phone-lost"
    RECOVERED = "recovered"
    DECEASED = "deceased"
    DORMANT = "dormant"
    COURT_ORDER = "court-order"
    LIFTED = "lifted"
    GUARDIAN = "guardian"


# The reason in the ledger of each kind that blocks an account.
REASONS: Final = {
    LifeEventKind.PHONE_LOST: Reason.RECOVERY,
    LifeEventKind.DECEASED: Reason.DECEASED,
    LifeEventKind.DORMANT: Reason.DORMANT,
    LifeEventKind.COURT_ORDER: Reason.COURT_ORDER,
}


def recovery_records(first: int, second: int, *, group: int, rule_set: int) -> Array:
    """Return the two records that define the recovery rule set, under the ids `first` and `second`: (2,) OPERATION.

    Its only payee group has no member, so own money reaches nobody. Packets follow the rules of their programmes.
    """
    return np.concatenate(
        [
            operations.define_group(first, group=group),
            operations.define_rule_set(second, rule_set=rule_set, groups=[group], from_ns=0, until_ns=I64_MAX),
        ]
    )
