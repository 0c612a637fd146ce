"""Patience of the tests' HTTP clients: an answer may take long while other processes use the machine."""

from __future__ import annotations

import inspect

import httpx

PATIENCE_S = 60.0

# httpx waits for 5 s unless a call states another time: all its functions have this one object as default.
_default = inspect.signature(httpx.Client).parameters["timeout"].default
for _name in ("connect", "read", "write", "pool"):
    setattr(_default, _name, PATIENCE_S)
assert httpx.Client().timeout.read == PATIENCE_S
