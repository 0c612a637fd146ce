"""One test of many small cases: a loop costs less than a parametrised test, which is reported case by case."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def case(*values: object) -> Iterator[None]:
    """Name the case in the report of an error that is raised within."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"case: {', '.join(f'{value!r:.200}' for value in values)}")
        raise
