"""Run the checks, and report."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sycee.conformance import webhooks  # noqa: F401 - its checks follow those of `checks`
from sycee.conformance.checks import CHECKS, Bench, Check, Integration
from sycee.core.errors import SyceeError

OK: Final = "ok"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: OK, FAILED or SKIPPED, and what was found."""

    check: Check
    result: str
    found: str
    ms: int

    def document(self) -> dict[str, Any]:
        """Return the finding as a JSON object."""
        return {
            "group": self.check.group,
            "check": self.check.name,
            "expected": self.check.expected,
            "result": self.result,
            "found": self.found,
            "ms": self.ms,
        }


def run(tested: Integration, *, progress: Callable[[int, int], None] = lambda done, total: None) -> list[Finding]:
    """Run every check and return the findings. A check that fails does not end the run."""
    bench = Bench(tested)
    found = []
    try:
        for number, each in enumerate(CHECKS):
            progress(number, len(CHECKS))
            found.append(_finding(bench, each))
    finally:
        bench.close()
    return found


def _finding(bench: Bench, each: Check) -> Finding:
    if each.group == "webhooks" and not bench.tested.receiver:
        return Finding(each, SKIPPED, "no receiver was named", 0)
    start_s = time.monotonic()
    try:
        result, text = OK, each.run(bench)
    except SyceeError as error:
        result, text = FAILED, error.message
    return Finding(each, result, text, round(1_000 * (time.monotonic() - start_s)))
