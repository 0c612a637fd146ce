"""`njit` for functions that only kernels call.

numba compiles each function to machine code with two wrappers, one for calls from Python and one for calls from C. A
function that only kernels call needs neither: the kernel links the function's LLVM code and inlines it. So `njit` here
stops at that code, which no pass over the module has optimised yet. LLVM optimises it once, with the kernel.
"""

from __future__ import annotations

from typing import Any

import numba
from numba import _dynfunc
from numba.core import compiler
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler_machinery import LoweringPass, register_pass
from numba.core.typed_passes import NativeLowering


def njit(function: Any = None, *, forceinline: bool = False) -> Any:
    """Return the function, to be compiled at its first call from a kernel. Python can call it only interpreted."""
    compiled = numba.njit(
        no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=forceinline, pipeline_class=_Compiler
    )
    return compiled if function is None else compiled(function)


class _Library(JITCodeLibrary):  # type: ignore[misc]  # numba is untyped
    """The LLVM code of one function, to be linked into kernels."""

    def _optimize_final_module(self) -> None:
        """Do nothing: the kernel is optimised after it is linked."""

    def _finalize_final_module(self) -> None:
        """Create no machine code."""
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True


@register_pass(mutates_CFG=False, analysis_only=False)
class _Register(LoweringPass):  # type: ignore[misc]
    """Makes the function known to the kernels that call it. numba's own pass would need its machine code."""

    _name = "sycee_register_inner_function"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        lowered, library = state.cr, state.library
        library.finalize()
        name, no_code = lowered.fndesc.qualname, 0
        module = lowered.fndesc.lookup_module()
        function = _dynfunc.make_function(module, name, "", no_code, lowered.env, (library,))
        state.targetctx.insert_user_function(function, lowered.fndesc, [library])
        state["cr"] = lowered._replace(cfunc=function)
        return True


class _Compiler(compiler.CompilerBase):  # type: ignore[misc]
    """numba's compiler without the last step, machine code."""

    def define_pipelines(self) -> list[Any]:
        state = self.state
        state.library = _Library(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = True
        passes = compiler.DefaultPassBuilder.define_nopython_pipeline(state)
        passes.add_pass_after(_Register, NativeLowering)
        passes.finalize()
        return [passes]
