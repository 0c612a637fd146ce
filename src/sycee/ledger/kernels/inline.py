"""`njit` for functions that only kernels call.

numba compiles two wrappers per function, one for calls from Python and one for calls from C. A wrapper unpacks all
arrays of `Tables`, which takes longer to compile than most functions. Omitting both halves the compile time.
"""

from __future__ import annotations

from typing import Any

import numba


def njit(function: Any = None, *, forceinline: bool = False) -> Any:
    """Return the function, to be compiled at its first call from a kernel. Python can call it only interpreted."""
    compiled = numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=forceinline)
    return compiled if function is None else compiled(function)
