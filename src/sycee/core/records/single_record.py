"""Fast path for single transfers and pays: one record of 128 bytes in a microsecond.

The records equal those of `sycee.core.records.operations` byte for byte, but no array is created. Arguments that do not
obviously fit go to the functions there, which raise the errors.
"""

from __future__ import annotations

import struct
from typing import Final

from sycee.core.ids import AnyId
from sycee.core.records import layout, operations
from sycee.core.records.layout import Kind

# id, kind, flags, code, amount, debit, credit; the other fields of layout.OPERATION are zero.
_RECORD: Final = struct.Struct("<16sHHIq16s16s64x")
# Plain integers: struct converts a member of an enumeration with a call into Python.
TRANSFER: Final = int(Kind.TRANSFER)
PAY: Final = int(Kind.PAY)

assert _RECORD.size == layout.OPERATION.itemsize


def transfer(id: AnyId, debit: AnyId, credit: AnyId, amount: int) -> bytes:
    """Return the record of `operations.transfer`. Raise UsageError like that function."""
    return of(TRANSFER, id, debit, credit, amount)


def pay(id: AnyId, payer: AnyId, payee: AnyId, amount: int) -> bytes:
    """Return the record of `operations.pay`. Raise UsageError like that function."""
    return of(PAY, id, payer, payee, amount)


def of(kind: int, id: AnyId, debit: AnyId, credit: AnyId, amount: int) -> bytes:
    """Return the record of a kind, TRANSFER or PAY. Raise UsageError like the functions of `operations`."""
    if type(id) is type(debit) is type(credit) is type(amount) is int:
        try:
            sides = debit.to_bytes(16, "little"), credit.to_bytes(16, "little")
            return _RECORD.pack(id.to_bytes(16, "little"), kind, 0, 0, amount, *sides)
        except (OverflowError, struct.error):
            pass  # raised again below, with a message
    if kind == TRANSFER:
        return operations.transfer(id, debit=debit, credit=credit, amount=amount).tobytes()
    return operations.pay(id, payer=debit, payee=credit, amount=amount).tobytes()
