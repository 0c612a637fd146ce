"""Sycee: a digital-currency system that a team can run, and a ledger that Python can embed.

`Ledger`, `AccountKind`, `Result` and `verify` are the way in; they are looked up when asked for, so that importing
this package costs next to nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sycee.core.result_codes import Result
    from sycee.ledger.layout import AccountKind
    from sycee.sequencer.embedded import Ledger
    from sycee.sequencer.verify import verify

    __version__: str

__all__ = ["AccountKind", "Ledger", "Result", "__version__", "verify"]

_HOMES = {
    "AccountKind": "sycee.ledger.layout",
    "Ledger": "sycee.sequencer.embedded",
    "Result": "sycee.core.result_codes",
    "verify": "sycee.sequencer.verify",
}


def __getattr__(name: str) -> Any:
    """Import what was asked for."""
    if name == "__version__":
        from importlib.metadata import version

        return version("sycee")
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
