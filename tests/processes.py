"""Processes for tests that kill one, forked from a server that has imported what they run: an import takes two seconds.

There is one such server in a process of tests, and only what is set before its first fork is imported by it.
"""

from __future__ import annotations

import multiprocessing
from typing import Final

PROCESSES: Final = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.preloaded"])
