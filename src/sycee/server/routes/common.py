"""What the modules of operations share."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Depends, Path

from sycee.core import ids
from sycee.server.auth.dependencies import KnownCaller
from sycee.server.runtime import Runtime, runtime_of
from sycee.server.signing import ID_PATTERN, SignatureRequest

TheRuntime = Annotated[Runtime, Depends(runtime_of)]
TheCaller = KnownCaller
PathId = Annotated[str, Path(pattern=ID_PATTERN)]

# Responses of an action besides 201, for the OpenAPI document.
REPEATED: Final[dict[int | str, dict[str, Any]]] = {200: {"description": "The same request was done before."}}
SIGNED_ELSEWHERE: Final[dict[int | str, dict[str, Any]]] = {
    **REPEATED,
    202: {"model": SignatureRequest, "description": "Nothing was changed: sign the records, and send this again."},
}


def number(text: str) -> int:
    """Return the number of an id in a path or body."""
    return ids.parse(text)
