"""One transfer or pay as its 128 bytes, in a microsecond: what most callers ask for, one at a time.

The records are those of `sycee.ledger.operations`, byte for byte, without the arrays on the way. What is not plainly
right goes through there, which says what is wrong with it.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from sycee.core.ids import AnyId
from sycee.ledger import layout, operations
from sycee.ledger.layout import Kind

# id, kind, flags, code, amount, debit, credit; nothing else of layout.OPERATION is used.
_RECORD: Final = struct.Struct("<16sHHIq16s16s64x")
# As plain numbers: a member of an enumeration costs struct a call into Python.
_TRANSFER: Final = int(Kind.TRANSFER)
_PAY: Final = int(Kind.PAY)

assert _RECORD.size == layout.OPERATION.itemsize


def transfer(id: AnyId, debit: AnyId, credit: AnyId, amount: int) -> bytes:
    """What `operations.transfer` of these makes. Raises UsageError as that does."""
    return (
        _record(_TRANSFER, id, debit, credit, amount)
        or operations.transfer(id, debit=debit, credit=credit, amount=amount).tobytes()
    )


def pay(id: AnyId, payer: AnyId, payee: AnyId, amount: int) -> bytes:
    """What `operations.pay` of these makes. Raises UsageError as that does."""
    return (
        _record(_PAY, id, payer, payee, amount) or operations.pay(id, payer=payer, payee=payee, amount=amount).tobytes()
    )


def _record(kind: int, id: Any, debit: Any, credit: Any, amount: int) -> bytes:
    """The record; nothing where an argument is no plain int, or does not fit its field."""
    if not (type(id) is type(debit) is type(credit) is type(amount) is int):
        return b""
    try:
        ends = debit.to_bytes(16, "little"), credit.to_bytes(16, "little")
        return _RECORD.pack(id.to_bytes(16, "little"), kind, 0, 0, amount, *ends)
    except (OverflowError, struct.error):
        return b""
