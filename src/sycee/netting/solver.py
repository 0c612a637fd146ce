"""The solver HiGHS, quiet and repeatable."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from sycee.core.extras import extra

with extra("clearing"):
    import highspy


def quiet_solver() -> Any:
    """Return a solver that prints nothing, uses one thread and gives the same answer each time."""
    _print_banner()
    found: Any = highspy.Highs()  # type: ignore[no-untyped-call]
    found.setOptionValue("output_flag", False)
    found.setOptionValue("threads", 1)
    found.setOptionValue("random_seed", 0)
    return found


@cache
def _print_banner() -> None:
    """Let the library print its banner where nobody reads it: it does so once, on stdout, before it takes options."""
    stdout, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        highspy.Highs()  # type: ignore[no-untyped-call]
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
        os.close(nowhere)
