"""Fetching ahead: ask for the cache lines of the next operations at once, instead of waiting for each in turn.

Five random lines an operation, each a miss in a large ledger, would be waited for one after the other. Asked for
together they arrive together. It changes no state and is no promise: an operation that moves a row or meets a
collision finds its lines all the same, only later.
"""

from __future__ import annotations

from typing import Any, Final

import numba
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np import arrayobj

from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.lookup import first_slot, hash_id

CHUNK: Final = 64  # operations whose lines fit the first-level cache together
LINE_BYTES: Final = 64


@intrinsic
def _prefetch(typing_context: Any, array: Any, index: Any) -> Any:
    """Ask for every cache line of array[index], for writing; any address is allowed, also one outside the array."""
    signature = types.void(array, index)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        value = arrayobj.make_array(kind)(context, builder, arguments[0])
        place = cgutils.get_item_pointer(
            context, builder, kind, value, [arguments[1]], wraparound=False, boundscheck=False
        )
        byte, word = ir.IntType(8), ir.IntType(32)
        prefetch = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [byte.as_pointer(), word, word, word]),
            "llvm.prefetch.p0i8",
        )
        base = builder.bitcast(place, byte.as_pointer())
        for offset in range(0, max(kind.dtype.bitwidth // 8, 1), LINE_BYTES):
            line = builder.gep(base, [ir.Constant(ir.IntType(64), offset)])
            builder.call(prefetch, [line, word(1), word(3), word(1)])  # to write, keep close, data
        return context.get_dummy_value()

    return signature, generate


# Interpreted, there is nothing to fetch ahead for.
_fetch = (lambda array, index: None) if numba.config.DISABLE_JIT else _prefetch


@njit(forceinline=True)
def _slot(slots, low, high):
    """Where the search for an id begins."""
    return first_slot(slots, hash_id(slots, low, high))


@njit(forceinline=True)
def warm_ids(tables, operations, start, stop):
    """Fetch where the ids of operations[start:stop] are bound, or will be."""
    for i in range(start, stop):
        operation = operations[i]
        _fetch(tables.bound_slots, _slot(tables.bound_slots, operation.id_low, operation.id_high))


@njit(forceinline=True)
def warm(tables, operations, start, stop):
    """Fetch that and both accounts of operations[start:stop]: first their slots, then the rows that these name."""
    warm_ids(tables, operations, start, stop)
    slots = tables.account_slots
    for i in range(start, stop):
        operation = operations[i]
        _fetch(slots, _slot(slots, operation.debit_low, operation.debit_high))
        _fetch(slots, _slot(slots, operation.credit_low, operation.credit_high))
    for i in range(start, stop):
        operation = operations[i]
        debit = slots[_slot(slots, operation.debit_low, operation.debit_high)]
        credit = slots[_slot(slots, operation.credit_low, operation.credit_high)]
        if debit != c.ZERO:
            _fetch(tables.accounts, np.int64(debit & c.LOW32) - 1)
        if credit != c.ZERO:
            _fetch(tables.accounts, np.int64(credit & c.LOW32) - 1)
