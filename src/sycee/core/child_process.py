"""Child processes that have one inherited socket and nothing else of their parent."""

from __future__ import annotations

import os
import subprocess
import sys


def start_module(module: str, descriptor: int) -> subprocess.Popen[bytes]:
    """Start `python -m module DESCRIPTOR`, with the descriptor of an open socket that the child inherits.

    The child inherits only the module path: no environment, file, working folder or terminal (Ctrl-C). Raises OSError
    if the system refuses a process.
    """
    return subprocess.Popen(
        [sys.executable, "-P", "-s", "-m", module, str(descriptor)],
        env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(descriptor,),
        start_new_session=True,
    )
