"""Patience of the tests' HTTP clients, and one description of the API for all banks that they serve.

An answer may take long while other processes use the machine.
"""

from __future__ import annotations

import copy
import inspect
from typing import Any

import httpx

from sycee.server import app

PATIENCE_S = 60.0

# httpx waits for 5 s unless a call states another time: all its functions have this one object as default.
_default = inspect.signature(httpx.Client).parameters["timeout"].default
for _name in ("connect", "read", "write", "pool"):
    setattr(_default, _name, PATIENCE_S)
assert httpx.Client().timeout.read == PATIENCE_S

# Each served bank describes the same routes, and FastAPI needs more than a second for that.
_described: dict[tuple[object, ...], dict[str, Any]] = {}
_get_openapi = app.get_openapi


def _known_document(**options: Any) -> dict[str, Any]:
    key = (options["title"], options["version"], options["description"], len(options["routes"]))
    if key not in _described:
        _described[key] = _get_openapi(**options)
    return copy.deepcopy(_described[key])


app.get_openapi = _known_document
