"""Call the command line as people and scripts do, and hear what it said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, Final

SCALE: Final = 0.002
PILOT: Final = ("pilot", "luohu", "--scale", str(SCALE))
# SIGINT is given back its meaning: whoever starts the tests in the background may have had it ignored.
SCRIPT: Final = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from sycee.cli import main; sys.exit(main())"
)


class Said:
    """What one call of the command line said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def json(self) -> dict[str, Any]:
        """Its one JSON object; anything else on stdout is a failure."""
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
