"""Modules that commands use, imported at the first use of a name in them: help needs no NumPy and no HTTP library."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sycee.client import api as api
    from sycee.core import ids as ids
else:

    class _Lazy:
        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            return getattr(import_module(self._name), attribute)

    api, ids = _Lazy("sycee.client.api"), _Lazy("sycee.core.ids")
