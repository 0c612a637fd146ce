"""Calls of the command line, as by people and scripts, and their output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, Final

SCALE: Final = 0.002
PILOT: Final = ("pilot", "luohu", "--scale", str(SCALE))
# Restore the handler of SIGINT: tests that are started in the background may ignore the signal.
SCRIPT: Final = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from sycee.cli import main; sys.exit(main())"
)


class CommandResult:
    """Exit code, stdout and stderr of one call of the command line."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def json(self) -> dict[str, Any]:
        """Return the one JSON object on stdout; fail if stdout has anything else."""
        value, end = json.JSONDecoder().raw_decode(self.out)
        assert self.out[end:].strip() == ""
        assert isinstance(value, dict)
        return value


def start(*words: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
