"""One cache of compiled statements for all engines of a process of tests.

SQLAlchemy compiles each statement once per engine. Most tests open a bank, so this took a tenth of their time.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import Dialect, Engine

_create_engine = sqlalchemy.create_engine
_dialects: dict[str, Dialect] = {}  # of the first engine of each kind that connected: the cache distinguishes dialects
_compiled: dict[Any, Any] = {}


def _sharing(*arguments: Any, **options: Any) -> Engine:
    """Return a new engine with the shared cache. All servers of the tests have one version, so one dialect."""
    made = _create_engine(*arguments, **options)
    made.update_execution_options(compiled_cache=_compiled)
    if made.name in _dialects:
        made.dialect = _dialects[made.name]
    else:
        event.listen(made, "engine_connect", lambda _: _dialects.setdefault(made.name, made.dialect))
    return made


def share() -> None:
    """Let new engines share their compiled statements."""
    sqlalchemy.create_engine = _sharing
