"""What participants send: a signed delivery of messages, and the payments in it as columns."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from blake3 import blake3

from sycee.core.arrays import Array, Bytes
from sycee.core.errors import UsageError
from sycee.core.keys import SigningKey

if TYPE_CHECKING:
    from sycee.clearing.chains import Chain

_MANDATE: Final = b"sycee.clearing-message.v1".ljust(32, b"\0")
PAYMENTS_MAX: Final = 1 << 20  # of one delivery
URGENT: Final = 0  # priorities: lower is more urgent
NORMAL: Final = 4
PRIORITY_MAX: Final = 9
BUSINESS_ID_MAX: Final = 35  # of ISO 20022's Max35Text


def mandate(ledger_id: bytes, participant: int, content: bytes) -> bytes:
    """Return the 32 bytes that a participant signs for a delivery: docs/reference/clearing.md."""
    return blake3(_MANDATE + ledger_id + participant.to_bytes(4, "little") + blake3(content).digest()).digest()


def sign(content: bytes, key: SigningKey, *, ledger_id: bytes, participant: int) -> bytes:
    """Return a participant's signature over a delivery: 64 bytes."""
    return key.sign(mandate(ledger_id, participant, content))


@dataclass(frozen=True, slots=True, eq=False)
class Instructions:
    """The payments of a delivery in columns of n rows, in order.

    - `uetrs`: (n, 16) u1, the bytes of each UUID, big-endian. `business_ids`: of the messages, each once.
    - `messages`: (n,) the index in `business_ids` of each payment's message, ascending.
    - `receivers`: numbers of participants, 0 for a receiver that is none. `currencies`: ISO 4217 numbers.
    - `amounts`: minor units. `priorities`: 0 (URGENT) to 9.
    - `back_currencies`, `back_amounts`: of payment against payment, what the receiver pays at the same time, else 0.
    - `from_ns`, `until_ns`: book it from then on, and cancel it if it is not booked by then; 0 for none.
    - `originals`: of a return, the number of the booked payment, or -1 for one that is unknown; else 0.
    - `partners`: (n, 16) u1, of payment against payment whose other side has another UETR: that UETR, else zero.
    - `chains`: by row, of the payments that may cross a border, for compliance. Equal chains may be one object.
    - `back_chains`: the same of the other side's leg, where the delivery has the mandate of both sides.
    - `parts`: of the messages, their numbers in the delivery from 0; empty for a delivery of one message.

    Columns that are omitted are zero, and `priorities` NORMAL. Raises UsageError for columns of other lengths.
    """

    uetrs: Bytes
    business_ids: Sequence[str]
    messages: Array
    receivers: Array
    currencies: Array
    amounts: Array
    priorities: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    back_currencies: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    back_amounts: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    from_ns: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    until_ns: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    originals: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    partners: Bytes = field(default_factory=lambda: np.zeros((0, 16), np.uint8))
    chains: Mapping[int, Chain] = field(default_factory=dict)
    back_chains: Mapping[int, Chain] = field(default_factory=dict)
    parts: Sequence[int] = ()

    def __post_init__(self) -> None:
        count = len(self.amounts)
        if not 0 < count <= PAYMENTS_MAX:
            raise UsageError(f"a delivery has 1 to {PAYMENTS_MAX:,} payments; got {count:,}", hint="divide it")
        for name in ("back_currencies", "back_amounts", "from_ns", "until_ns", "originals"):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, np.zeros(count, np.int64))
        if not len(self.priorities):
            object.__setattr__(self, "priorities", np.full(count, NORMAL, np.int64))
        for name in (
            "messages", "receivers", "currencies", "amounts", "priorities", "back_currencies", "back_amounts",
            "from_ns", "until_ns", "originals",
        ):  # fmt: skip
            object.__setattr__(self, name, _column(getattr(self, name), name, count))
        if self.uetrs.shape != (count, 16) or self.uetrs.dtype != np.uint8:
            raise UsageError(f"uetrs are bytes of the shape ({count}, 16)")
        object.__setattr__(self, "uetrs", np.ascontiguousarray(self.uetrs))
        if not len(self.partners):
            object.__setattr__(self, "partners", np.zeros((count, 16), np.uint8))
        if self.partners.shape != (count, 16) or np.any(self.partners.any(axis=1) & (self.back_amounts == 0)):
            raise UsageError(f"partners are bytes of the shape ({count}, 16), of payment against payment alone")
        if len(set(self.business_ids)) < len(self.business_ids) or not all(
            0 < len(each) <= BUSINESS_ID_MAX for each in self.business_ids
        ):
            raise UsageError(f"a business message id has 1 to {BUSINESS_ID_MAX} characters and is in a delivery once")
        if not self.parts:
            object.__setattr__(self, "parts", (0,) * len(self.business_ids))
        if len(self.parts) != len(self.business_ids):
            raise UsageError(f"parts are integers, one for each of the {len(self.business_ids)} messages")
        last = len(self.business_ids) - 1
        if self.messages[0] < 0 or self.messages[-1] > last or np.any(np.diff(self.messages) < 0):
            raise UsageError("the messages of payments are indexes of business_ids, ascending")
        if self.priorities.min() < 0 or self.priorities.max() > PRIORITY_MAX:
            raise UsageError(f"priorities are 0 to {PRIORITY_MAX}")
        if np.any((self.back_amounts > 0) != (self.back_currencies > 0)):
            raise UsageError("payment against payment has a currency and an amount")

    @property
    def size(self) -> int:
        """Return the number of payments."""
        return int(self.amounts.size)


@dataclass(frozen=True, slots=True, eq=False)
class Receipt:
    """What came of a delivery.

    - `delivery`: its id; of a repeated one, the first.
    - `numbers`: (n,) the number of each payment; of a duplicate that of the first; 0 if it was not stored.
    - `is_new`: (n,) bool: stored now.
    - `reasons`: by row, why a payment was not stored, as a reason code of ISO 20022.
    - `messages`: (n,) the number of each payment's message; 0 if its id belongs to a message of another kind.
    - `is_repeated`: (n,) bool: a message of this id was there before.
    """

    delivery: int
    numbers: Array
    is_new: Array
    reasons: Mapping[int, str]
    messages: Array
    is_repeated: Array


def uetr_bytes(uetrs: Sequence[str | uuid.UUID | int]) -> Bytes:
    """Return UETRs as the column of `Instructions`."""
    made = b"".join(each.to_bytes(16, "big") if isinstance(each, int) else uuid.UUID(str(each)).bytes for each in uetrs)
    return np.frombuffer(made, np.uint8).reshape(-1, 16)


def _column(values: Array, name: str, count: int) -> Array:
    column = np.ascontiguousarray(values)
    if column.shape != (count,) or column.dtype.kind not in "iu":
        raise UsageError(f"{name} are integers, one for each of the {count} payments")
    return column.astype(np.int64, copy=False)
