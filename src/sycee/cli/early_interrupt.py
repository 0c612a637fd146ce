"""Ctrl-C while `sycee.cli` is being imported: one line and exit code 130, as later in a command.

`sycee.cli` imports this module before all others, and calls `release` at its end.
"""

from __future__ import annotations

import signal
import sys
import threading
from typing import NoReturn


def release() -> None:
    """Give Ctrl-C back to Python's own handler, which raises KeyboardInterrupt."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is _exit:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _exit(*_: object) -> NoReturn:
    sys.stderr.write("\ninterrupted; nothing was changed\n")
    raise SystemExit(130)


# A program that imports the command line may have its own handler, or import in another thread.
if (
    threading.current_thread() is threading.main_thread()
    and signal.getsignal(signal.SIGINT) is signal.default_int_handler
):
    signal.signal(signal.SIGINT, _exit)
