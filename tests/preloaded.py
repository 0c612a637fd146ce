"""Import once what the processes that `tests.processes` forks run. No collection of garbage visits these objects.

A visit takes a tenth of a second and copies every page that it visits into the forked process.
"""

from __future__ import annotations

import gc
import importlib

gc.disable()
for _name in (
    *("pytest", "sycee.bank.restoring", "sycee.cli.pilot", "sycee.sandbox.pilot"),
    *("tests.wallets.world", "tests.compliance.service.world"),
):
    importlib.import_module(_name)
gc.freeze()
gc.enable()
