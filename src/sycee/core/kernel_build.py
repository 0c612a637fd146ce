"""Compile a module's kernels in worker processes, once for each version on each machine.

Two workers start on different functions. Each loads the functions that the other has compiled from the cache, and waits
where the other is compiling the function it needs (`jit._Cache`). This process shows the progress and compiles nothing,
so that Ctrl-C ends all three immediately.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import IO, Any, Final

from numba.core import event

from sycee.core import jit, kernel_folder

LEDGER: Final = "sycee.ledger.kernels.frames"
# The modules of each worker: all entries of a module, or one part of it, named after a colon. Both lists need about the
# same time. Other modules are compiled by one worker each, when they are first imported.
WORK: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    LEDGER: (
        (LEDGER, "sycee.ledger.kernels.queries", "sycee.ledger.kernels.indexes"),
        (f"{LEDGER}:_apply_rare",),
    ),
}
TITLE: Final = "compiling kernels, once per version"  # short: bar, count and time share a line of 80 columns
# A function that numba compiles separately: with a decorator, or wrapped where its types are defined.
COMPILED_FUNCTION: Final = re.compile(r"^(@(njit|_plain|jit\.\w+)\b|\w+(: Any)? = (jit\.|_)entry\()", re.MULTILINE)
START: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from sycee.core import kernel_build; kernel_build.work(*sys.argv[2:])"
)


def ensure(module: str) -> None:
    """Compile the entries of `module` that are not in the cache. Raise KeyboardInterrupt if the user interrupts.

    Where no worker can be started, or one fails, nothing is raised: the module compiles its entries in this process.
    """
    if jit.IS_INTERPRETED or jit.Mode.is_worker:
        return
    folder = kernel_folder.folder()
    if folder is None or _is_complete(folder, module) or not _can_start_workers():
        return
    with kernel_folder.locked(folder / "build.lock", kernel_folder.print_waiting):
        if not _is_complete(folder, module):
            _build(folder, module)


def _can_start_workers() -> bool:
    """Return whether `sys.executable` is a Python; a program that embeds Python may be anything."""
    return Path(sys.executable or "").name.startswith("python")


def _is_complete(folder: Path, module: str) -> bool:
    return (folder / f"{module}.complete").exists()


def _build(folder: Path, module: str) -> None:
    kernel_folder.remove_unused(folder)
    work = WORK.get(module, ((module,),))
    with tempfile.TemporaryFile(dir=folder) as errors:
        workers: list[subprocess.Popen[bytes]] = []
        # A signal interrupts the main thread only: no worker is started without being listed, and so each is killed.
        starter = threading.Thread(target=_start_workers, args=(workers, folder, work, errors), daemon=True)
        try:
            with _progress(_function_count(work)) as advance:
                starter.start()
                starter.join()
                _watch(workers, advance)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(jit.INTERRUPTED) from None
        finally:
            if starter.ident is not None:
                starter.join()
            for worker in workers:
                worker.kill()
                worker.communicate()  # wait, and close the pipe
        if len(workers) == len(work) and all(worker.returncode == 0 for worker in workers):
            for name in {name.partition(":")[0] for names in work for name in names}:
                (folder / f"{name}.complete").touch()
        else:
            errors.seek(0)
            lines = errors.read().decode(errors="replace").strip().splitlines() or ["no reason given"]
            kernel_folder.print_once(f"a process that compiles kernels failed: {lines[-1]}")


def _start_workers(
    workers: list[subprocess.Popen[bytes]], folder: Path, work: tuple[tuple[str, ...], ...], errors: IO[bytes]
) -> None:
    """Start a worker for each list of modules and append it to `workers`."""
    for names in work:
        try:
            workers.append(_start_worker(folder, names, errors))
        except OSError as error:
            errors.write(f"{error}\n".encode())
            return


def _start_worker(folder: Path, names: tuple[str, ...], errors: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a worker with the module search path and the optimisation level (-O) of this process."""
    python = [sys.executable, *["-O"] * sys.flags.optimize]
    command = [*python, "-c", START, json.dumps(sys.path), str(folder), *names]
    # Unbuffered: a line in a buffer would not wake `select`.
    return subprocess.Popen(command, bufsize=0, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)


def _watch(workers: list[subprocess.Popen[bytes]], advance: Callable[[int], None]) -> None:
    """Call `advance` with the number of functions compiled so far, until all workers have ended."""
    functions: set[str] = set()
    with DefaultSelector() as selector:
        for worker in workers:
            assert worker.stdout is not None
            selector.register(worker.stdout, EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                line = key.fileobj.readline()  # type: ignore[union-attr]
                if line:
                    functions.add(line.decode())
                    advance(len(functions))
                else:
                    selector.unregister(key.fileobj)
    for worker in workers:
        worker.wait()


def _function_count(work: tuple[tuple[str, ...], ...]) -> int:
    """Return how many functions the workers compile, each counted once."""
    files: set[Path] = set()
    for module in {name.partition(":")[0] for names in work for name in names}:
        file = kernel_folder.PACKAGE.parent.joinpath(*module.split(".")).with_suffix(".py")
        files |= set(file.parent.glob("*.py")) if module == LEDGER else {file}
    return sum(len(COMPILED_FUNCTION.findall(file.read_text(encoding="utf-8"))) for file in files)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal, else one line; yield the function that moves the bar."""
    if sys.stderr is None or not sys.stderr.isatty():
        kernel_folder.print_once(f"{TITLE} on this machine: usually in half a minute, longer on a busy one")
        yield lambda done: None
        return
    from rich.console import Console

    from sycee.core import progress_bar

    color = None if os.environ.get("NO_COLOR") else "auto"
    terminal = Console(stderr=True, color_system=color, highlight=False)  # type: ignore[arg-type]
    with progress_bar.new(terminal, transient=True) as bar:
        task = bar.add_task(TITLE, total=total, unit="functions")
        yield lambda done: bar.update(task, completed=done)


class _Reporter(event.Listener):  # type: ignore[misc]  # numba is untyped
    """Prints the name of each function of this package when it is compiled."""

    def on_start(self, event: Any) -> None:
        """Do nothing: a function counts when it is compiled."""

    def on_end(self, event: Any) -> None:
        """Print the function's module and name."""
        function = event.data["dispatcher"].py_func
        if function.__module__.startswith("sycee."):
            sys.stdout.write(f"{function.__module__}.{function.__name__}\n")
            sys.stdout.flush()


def work(folder: str, *names: str) -> None:
    """Compile in this process, a worker: the entries of a module, or one part of a module, named after a colon."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one ends it
    kernel_folder.of_parent = Path(folder)
    jit.Mode.is_worker = True
    with event.install_listener("numba:compile", _Reporter()):
        for name in names:
            module, _, jit.Mode.part = name.partition(":")
            importlib.import_module(module)
