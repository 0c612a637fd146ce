"""CSV downloads whose cells a spreadsheet does not execute.

A cell that begins with = + - @, a tab or a carriage return is a formula for a spreadsheet, and its text may come from
somebody else: such a text is written with an apostrophe in front. Numbers are written unchanged.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from fastapi.responses import Response

MEDIA_TYPE: Final = "text/csv; charset=utf-8"
CSV: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "CSV of RFC 4180, with headings", "content": {"text/csv": {"schema": {"type": "string"}}}}
}

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?")


def cell(value: object) -> object:
    """Return a value of a cell: a number as it is, a text that begins like a formula with an apostrophe in front."""
    if isinstance(value, str) and value.startswith(_FORMULA) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return "" if value is None else value


def csv_answer(
    name: str, headings: Sequence[str], rows: Iterable[Sequence[object]], headers: Mapping[str, str] | None = None
) -> Response:
    """Return a table as a download. `name`: of the file, of letters, digits, points and dashes."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(headings)
    writer.writerows([cell(value) for value in row] for row in rows)
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(file.getvalue(), media_type=MEDIA_TYPE, headers={**disposition, **(headers or {})})
