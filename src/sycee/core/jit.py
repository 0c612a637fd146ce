"""Decorators for compiled functions: eager signatures, and a cache on disk that several processes fill together.

`entry` is for a function that Python calls. `part` is for a large function that an entry calls through its address, so
that two processes can compile both at the same time: `kernel_build.ensure` compiles them before a module needs them.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import numba
from numba.core import caching, cgutils, event
from numba.extending import intrinsic, types

from sycee.core import kernel_folder

IS_INTERPRETED: Final = bool(numba.config.DISABLE_JIT)
INTERRUPTED: Final = "the next start compiles the kernels that are missing"  # after Ctrl-C


class Mode:
    """How this process gets compiled code. A worker of `kernel_build` sets both before it imports a kernel."""

    is_worker = False
    part = ""  # the one function that a worker compiles, instead of the entries


def entry(signature: Any, *, nogil: bool = True, **options: Any) -> Callable[[Any], Any]:
    """Return a decorator that compiles a function for one signature immediately, or loads it from the cache.

    `nogil`: other threads run meanwhile. Where they are busy, the function's end then waits for the interpreter's lock.
    """

    def decorate(function: Any) -> Any:
        if IS_INTERPRETED:
            return function
        dispatcher = numba.njit(nogil=nogil, no_cfunc_wrapper=True, **options)(function)
        _use_cache(dispatcher)
        if not Mode.part:
            with _interruptible():
                dispatcher.compile(signature)
            dispatcher.disable_compile()
        return dispatcher

    return decorate


def part(signature: Any, **options: Any) -> Callable[[Any], int]:
    """Return a decorator that compiles a function for one signature, or loads it, and returns its address.

    It is 0 in interpreted code, and in a worker of `kernel_build` unless the part is the task of this worker.
    """

    def decorate(function: Any) -> int:
        if IS_INTERPRETED or (Mode.is_worker and Mode.part != function.__name__):
            return 0
        dispatcher = numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **options)(function)
        _use_cache(dispatcher)
        with _interruptible():
            dispatcher.compile(signature)
        _parts.append(dispatcher)
        code = dispatcher.overloads[signature.args]
        return int(code.library.get_pointer_to_function(code.fndesc.llvm_func_name))

    return decorate


_parts: Final[list[Any]] = []  # their code must not be freed


def caller(function: Any, signature: Any) -> Any:
    """Return a function of (address, arguments) with which a kernel calls this part, compiled for this signature."""
    if IS_INTERPRETED:
        return lambda address, arguments: function(*arguments)

    @intrinsic  # type: ignore[untyped-decorator]  # numba is untyped
    def call(typing: Any, address: Any, arguments: Any) -> Any:
        def generate(context: Any, builder: Any, _: Any, values: Any) -> Any:
            convention = context.call_conv
            type_ = convention.get_function_type(signature.return_type, signature.args)
            code = builder.inttoptr(values[0], type_.as_pointer())
            given = cgutils.unpack_tuple(builder, values[1])
            status, result = convention.call_function(builder, code, signature.return_type, signature.args, given)
            with cgutils.if_unlikely(builder, status.is_error):
                convention.return_status_propagate(builder, status)
            return result

        return signature.return_type(types.int64, types.Tuple(signature.args)), generate

    return call


@contextmanager
def _interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt between two passes of the compiler instead of immediately.

    Python's own handler could raise inside a callback of LLVM, where the exception is printed and lost. A handler that
    the program has installed is left alone.
    """
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return
    interrupt = _Interrupt()
    signal.signal(signal.SIGINT, interrupt.note)
    try:
        with event.install_listener("numba:run_pass", interrupt):
            yield
            interrupt.on_end(None)
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class _Interrupt(event.Listener):  # type: ignore[misc]  # numba is untyped
    """Ctrl-C during compilation."""

    is_noted = False

    def note(self, *_: object) -> None:
        self.is_noted = True

    def on_start(self, event: Any) -> None:
        """Do nothing: the end of the pass before has checked."""

    def on_end(self, event: Any) -> None:
        """Raise KeyboardInterrupt after Ctrl-C."""
        if self.is_noted:
            raise KeyboardInterrupt(INTERRUPTED)


@contextmanager
def _interruptible_at_once() -> Iterator[None]:
    """Raise KeyboardInterrupt immediately in this block, which waits and calls no compiler."""
    handler = signal.getsignal(signal.SIGINT)
    if not isinstance(getattr(handler, "__self__", None), _Interrupt):
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _use_cache(dispatcher: Any) -> None:
    """Cache the dispatcher's compiled code, if there is a folder for it."""
    if kernel_folder.folder() is not None:
        dispatcher._cache = _Cache(dispatcher.py_func)


class _Locator(caching._CacheLocator):  # type: ignore[misc]
    """Places all code in the kernels' folder. The folder's name covers the sources, so files need no time stamp."""

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
        """Return the code, or None if this process must compile it and hold the function's lock meanwhile."""
        found = super().load_overload(signature, context)
        if found is None:
            waiting = (lambda: None) if Mode.is_worker else kernel_folder.print_waiting
            path = Path(self._cache_path) / f"{self._impl.filename_base}.lock"
            with _interruptible_at_once():
                self._lock = kernel_folder.lock(path, waiting)
            found = super().load_overload(signature, context)
            if found is not None:
                self._unlock()
            elif not Mode.is_worker:
                kernel_folder.print_once("compiling kernels in this process, for up to a minute")
        return found

    def save_overload(self, signature: Any, code: Any) -> None:
        """Store the code and release the processes that wait for it."""
        try:
            super().save_overload(signature, code)
        finally:
            self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None
