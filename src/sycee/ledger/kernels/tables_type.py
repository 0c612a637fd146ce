"""numba's type of `Tables`: a kernel receives one address instead of every array.

numba passes a named tuple of arrays by value, as about 300 words, to each function that is not inlined. Compiling the
kernels then needs twice as long, and a call from Python reads all the arrays.
"""

from __future__ import annotations

from typing import Any

from numba.core.typing.templates import AttributeTemplate
from numba.extending import NativeValue, infer_getattr, lower_getattr_generic, models, register_model, types, unbox

WORDS = 3  # per array in the memory at the address: the address of its first element, rows, words of a row if (n, m)


class TablesType(types.Type):  # type: ignore[misc]  # numba is untyped
    """The address of (arrays, WORDS) u64, which does not change while a kernel runs.

    arrays: numba's type of each array by name, in the order of the memory; all are contiguous, with 1 or 2 dimensions.
    """

    def __init__(self, arrays: dict[str, Any]) -> None:
        self.arrays = arrays
        super().__init__(name="Tables")


register_model(TablesType)(models.OpaqueModel)


@infer_getattr
class _Attributes(AttributeTemplate):  # type: ignore[misc]
    key = TablesType

    def generic_resolve(self, tables: TablesType, name: str) -> Any:
        return tables.arrays.get(name)


@lower_getattr_generic(TablesType)
def _array(context: Any, builder: Any, tables: TablesType, address: Any, name: str) -> Any:
    """Emit code that reads one array. `invariant.load` lets LLVM read it once, or read it again, as it prefers."""
    type_ = tables.arrays[name]
    word = context.get_value_type(types.intp)
    memory = builder.bitcast(address, word.as_pointer())
    first = list(tables.arrays).index(name) * WORDS

    def read(offset: int, llvm_type: Any) -> Any:
        at = builder.gep(memory, [context.get_constant(types.intp, first + offset)])
        value = builder.load(builder.bitcast(at, llvm_type.as_pointer()))
        value.set_metadata("invariant.load", builder.module.add_metadata([]))
        return value

    array = context.make_array(type_)(context, builder)
    size = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(type_.dtype)))
    shape = [read(1 + axis, word) for axis in range(type_.ndim)]
    strides = [size] if type_.ndim == 1 else [builder.mul(shape[1], size), size]
    context.populate_array(
        array,
        data=read(0, array.data.type),
        shape=shape,
        strides=strides,
        itemsize=size,
        meminfo=None,
    )
    return array._getvalue()


@unbox(TablesType)
def _unbox(type_: TablesType, value: Any, context: Any) -> NativeValue:
    """Emit code that reads `Tables.address`."""
    number = context.pyapi.object_getattr_string(value, "address")
    address = context.pyapi.long_as_voidptr(number)
    context.pyapi.decref(number)
    return NativeValue(address)
