"""Optional dependencies: the extras of the package that bring a library, and the error for a missing one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sycee.core.errors import UnavailableError


class MissingExtraError(UnavailableError, ImportError):
    """A library is not installed because the extra that brings it was not asked for."""


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Import libraries of the extra `name` in this block.

    Raises MissingExtraError with the `pip install` line if a library is missing. A missing module of Sycee itself is a
    bug and raises ModuleNotFoundError.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library in ("", "sycee"):
            raise
        raise MissingExtraError(
            f'{library} is not installed: it comes with the extra "{name}"',
            hint=f'pip install "sycee[{name}]", or in a clone: pip install ".[{name}]"',
        ) from error
