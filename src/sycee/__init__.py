"""Sycee: a digital-currency system that a team can run, and a ledger that a Python program can embed.

Start with `Ledger`, `AccountKind`, `Result` and `verify`. They are imported at their first use, so that importing this
package is fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sycee.core.records.layout import AccountKind
    from sycee.core.result_codes import Result
    from sycee.sequencer.embedded import Ledger
    from sycee.sequencer.verify import verify

    __version__: str

__all__ = ["AccountKind", "Ledger", "Result", "__version__", "verify"]

_MODULES = {
    "AccountKind": "sycee.core.records.layout",
    "Ledger": "sycee.sequencer.embedded",
    "Result": "sycee.core.result_codes",
    "verify": "sycee.sequencer.verify",
}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    if name == "__version__":
        from importlib.metadata import version  # here, because its import takes as long as all others

        return version("sycee")
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
