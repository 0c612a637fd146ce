"""Decorators for compiled functions: eager signatures, and a cache on disk that several processes fill together.

`entry` is for a function that Python calls, `part` for a large function inside an entry, which another process may
compile meanwhile: `kernel_build.ensure` has both compiled before a module needs them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final

import numba
from numba.core import caching

from sycee.core import kernel_folder

IS_INTERPRETED: Final = bool(numba.config.DISABLE_JIT)


class Mode:
    """How this process gets compiled code. A worker of `kernel_build` sets both before it imports a kernel."""

    is_worker = False
    part = ""  # the one function that a worker compiles, instead of the entries


def entry(signature: Any, **options: Any) -> Callable[[Any], Any]:
    """Return a decorator that compiles a function for one signature, or loads it from the cache, at once."""

    def decorate(function: Any) -> Any:
        if IS_INTERPRETED:
            return function
        dispatcher = numba.njit(nogil=True, no_cfunc_wrapper=True, **options)(function)
        _keep(dispatcher)
        if not Mode.part:
            dispatcher.compile(signature)
            dispatcher.disable_compile()
        return dispatcher

    return decorate


def part(function: Any) -> Any:
    """Return a function that an entry calls, compiled with that entry unless another process has compiled it."""
    if IS_INTERPRETED:
        return function
    dispatcher = numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False)(function)
    _keep(dispatcher)
    return dispatcher


def compile_part(function: Any, types: tuple[Any, ...]) -> None:
    """Compile a part for these argument types if this process is the worker for it; else do nothing."""
    if Mode.part and function.py_func.__name__ == Mode.part:
        function.compile(types)


def _keep(dispatcher: Any) -> None:
    """Cache what the dispatcher compiles, where there is a folder for it."""
    if kernel_folder.folder() is not None:
        dispatcher._cache = _Cache(dispatcher.py_func)


class _Locator(caching._CacheLocator):  # type: ignore[misc]  # numba is untyped
    """Place all code in the kernels' folder. The folder's name stands for the sources, so no file has a stamp."""

    def __init__(self, function: Any, file: str) -> None:
        self._py_file = file
        self._lineno = function.__code__.co_firstlineno

    def get_cache_path(self) -> str:
        return str(kernel_folder.folder())

    def get_source_stamp(self) -> str:
        return ""

    def get_disambiguator(self) -> str:
        return str(self._lineno)

    @classmethod
    def from_function(cls, function: Any, file: str) -> _Locator:
        return cls(function, file)


class _Implementation(caching.CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes: Final = [_Locator]


class _Cache(caching.FunctionCache):  # type: ignore[misc]
    """A function's cache. Of several processes that miss the same function, one compiles it and the others wait."""

    _impl_class = _Implementation
    _lock: IO[bytes] | None = None

    def load_overload(self, signature: Any, context: Any) -> Any:
        """Return the code, or None if this process has to compile it; the function's lock is held meanwhile."""
        found = super().load_overload(signature, context)
        if found is None:
            self._lock = kernel_folder.lock(Path(self._cache_path) / f"{self._impl.filename_base}.lock")
            found = super().load_overload(signature, context)
            if found is not None:
                self._free()
            elif not Mode.is_worker:
                kernel_folder.say_once("compiling kernels in this process, for up to a minute")
        return found

    def save_overload(self, signature: Any, code: Any) -> None:
        """Keep the code and let the processes go on that wait for it."""
        try:
            super().save_overload(signature, code)
        finally:
            self._free()

    def _free(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None
