"""Sycee: a digital-currency system that a team can run, and a ledger that Python can embed."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str


def __getattr__(name: str) -> str:
    """Look the version up only when asked: importing this package costs next to nothing."""
    if name == "__version__":
        from importlib.metadata import version

        return version("sycee")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
