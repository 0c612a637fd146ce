"""`njit` for functions that only kernels call: without the wrappers that let Python and C call them.

numba compiles two wrappers for each function. A wrapper unpacks all arrays of `Tables`, which takes longer to compile
than most functions do: without them, compiling takes half the time.
"""

from __future__ import annotations

from typing import Any

import numba


def njit(function: Any = None, *, forceinline: bool = False) -> Any:
    """Return the function compiled at its first call from a kernel. Python cannot call it, except interpreted."""
    compiled = numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=forceinline)
    return compiled if function is None else compiled(function)
