"""Pages of lists: an opaque cursor names the place where the next page begins."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Annotated, Any, Final

from fastapi import Query

from sycee.core import ids, json_documents
from sycee.core.errors import UsageError
from sycee.core.limits import I64_MAX

ROWS: Final = 100
ROWS_MAX: Final = 1_000

Limit = Annotated[int, Query(ge=1, le=ROWS_MAX, description="Rows of a page")]
Cursor = Annotated[str, Query(max_length=200, description="`next` of the page before; empty for the first page")]


def encode(*place: int | str) -> str:
    """Return the cursor of a place."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def decode(cursor: str, *types: type) -> tuple[Any, ...]:
    """Return the place of a cursor, () for an empty one. Raises UsageError for a text that is no cursor."""
    if not cursor:
        return ()
    try:
        content = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        place = tuple(json_documents.parse(content, "cursor"))
    except (UsageError, ValueError, TypeError):  # TypeError: JSON that is no list
        place = ()
    if tuple(map(type, place)) != types or not all(map(_is_storable, place)):
        raise UsageError("this is no cursor of this list", hint="use `next` of the page before as it is")
    return place


def _is_storable(part: int | str) -> bool:
    """Return whether a database could have given out this part of a place."""
    return part.isprintable() if isinstance(part, str) else 0 <= part <= I64_MAX


def page(rows: Sequence[Any], next_place: tuple[int | str, ...] | None) -> dict[str, Any]:
    """Return the members of a page. `next_place`: where the next page begins, None for the last page."""
    return {"rows": list(rows), "next": encode(*next_place) if next_place is not None else None}


def after_id(cursor: str) -> int:
    """Return the id after which a page of a list in the order of ids begins, 0 for the first page."""
    (after,) = decode(cursor, str) or ("",)
    return ids.parse(after) if after else 0


def next_id(rows: Sequence[Any], limit: int) -> tuple[str] | None:
    """Return the place after a page of `limit` rows, in the order of their ids; None if there are no further rows."""
    return (ids.format(rows[limit - 1].id),) if len(rows) > limit else None
