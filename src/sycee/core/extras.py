"""Optional dependencies: the extras of the package that bring a library, and the error for a missing one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import requires

from sycee.core.errors import UnavailableError


class MissingExtraError(UnavailableError, ImportError):
    """A library is not installed because the extra that brings it was not asked for."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(
            f'{library} is not installed: it comes with the extra "{extra}"',
            hint=f'pip install "sycee[{extra}]", or in a clone: pip install ".[{extra}]"',
        )
        self.library = library
        self.extra = extra


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Import libraries of the extra `name` in this block.

    Raises MissingExtraError with the `pip install` line if a library is missing. Of nested blocks, the outer one is
    named if its extra includes the inner one. A missing module of Sycee itself is a bug and raises ModuleNotFoundError.
    """
    try:
        yield
    except MissingExtraError as error:
        if not _libraries(error.extra) <= _libraries(name):
            raise
        raise MissingExtraError(error.library, name) from error
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library in ("", "sycee"):
            raise
        raise MissingExtraError(library, name) from error


def _libraries(name: str) -> set[str]:
    """Return the requirements of an extra, from the metadata of the installed package."""
    parted = (each.partition(";") for each in requires("sycee") or ())
    return {library.strip() for library, _, marker in parted if re.search(f"extra == ['\"]{name}['\"]", marker)}
