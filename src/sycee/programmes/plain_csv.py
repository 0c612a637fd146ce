"""Columns of a CSV file without quotes, found with NumPy: no object per row or cell, unless its text is asked for.

A file with quotes needs a parser (`registration_rows`). Both give the same cells; the tests compare them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, BinaryIO, Final, overload

import numpy as np
from numpy.typing import NDArray

READ_BYTES: Final = 4 << 20
DIGITS_MAX: Final = 19  # of a number that is below 2**64 for all digits

_NEWLINE, _RETURN, _COMMA, _ZERO = b"\n\r,0"
_PARSED: Final = (b'"', b"\0")  # a block with one of these needs the parser


class TextColumn(Sequence[str]):
    """The cells of one column, without blanks at both ends, as places in the bytes of a file."""

    def __init__(self, content: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> None:
        self._content, self._starts, self._ends = content, starts, ends

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> TextColumn: ...
    def __getitem__(self, at: int | slice) -> str | TextColumn:
        if isinstance(at, slice):
            return TextColumn(self._content, self._starts[at], self._ends[at])
        return self._content[self._starts[at] : self._ends[at]].decode().strip()

    def __iter__(self) -> Iterator[str]:
        places = zip(self._starts.tolist(), self._ends.tolist(), strict=True)
        if self._content.isascii():
            text = self._content.decode()
            return iter([text[start:end].strip() for start, end in places])
        return iter([self._content[start:end].decode().strip() for start, end in places])

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Return the bytes of each cell, with its blanks."""
        return self._ends - self._starts

    def numbers(self, *, sign: bytes = b"", first: int = 0) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
        """Return the number in each cell, 0 for an empty cell, and which cells are read. The others need their text.

        A cell is read if it is empty, or if `sign` and 1 to DIGITS_MAX digits of a number above 0 are all of it.
        `first`: the digits to read at most, and ignore the characters that follow.
        """
        content = np.frombuffer(self._content, np.uint8)
        starts, sizes = self._starts + len(sign), self.sizes - len(sign)
        is_empty = self.sizes == 0
        is_read = (sizes > 0) & ((sizes <= DIGITS_MAX) | (0 < first <= DIGITS_MAX))
        for at, character in enumerate(sign):
            is_read &= content.take(self._starts + at, mode="clip") == character
        if first:
            sizes = np.minimum(sizes, first)
        numbers = np.zeros(len(self), np.uint64)
        for at in range(int(sizes[is_read].max(initial=0))):
            digits = content.take(starts + at, mode="clip") - np.uint8(_ZERO)
            is_inside = sizes > at
            is_read &= ~is_inside | (digits < 10)
            numbers = np.where(is_inside, numbers * np.uint64(10) + digits, numbers)
        is_read &= numbers != 0
        numbers[~is_read] = 0
        return numbers, is_read | is_empty


@dataclass(slots=True)
class PlainLines:
    """The lines of a file after its headings. `place`: of the next line in the file; `line`: its number, from 1."""

    file: BinaryIO
    width: int
    place: int
    line: int
    _rest: bytes = field(default=b"", repr=False)
    _is_over: bool = False

    def take(self, rows_max: int) -> tuple[list[TextColumn], list[int]] | None:
        """Return the columns of up to `rows_max` rows, and which rows have another number of cells, from 0.

        Empty lines are no rows. A row with another number of cells has empty ones. Returns None, and takes nothing, if
        the rows need a parser: for a quote, a single carriage return, or bytes that are not UTF-8.
        """
        starts, ends, after = self._found(rows_max)
        content, self._rest = self._rest[:after], self._rest[after:]
        if any(each in content for each in _PARSED) or not _is_utf8(content):
            return None
        if _RETURN in content:
            if content.count(b"\r") != content.count(b"\r\n"):
                return None
            ends = ends - (np.frombuffer(content, np.uint8).take(ends - 1, mode="clip") == _RETURN)
        is_row = ends > starts
        self.place += after
        self.line += len(starts)
        return _cells(content, starts[is_row], ends[is_row], self.width)

    def _found(self, rows_max: int) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
        """Read until there are `rows_max` rows, or the file ends: starts and ends of the lines, and the end of all."""
        while True:
            content = np.frombuffer(self._rest, np.uint8)
            ends = np.flatnonzero(content == _NEWLINE)
            is_last = self._is_over and len(content) > 0 and content[-1] != _NEWLINE
            stops = np.append(ends, len(content)) if is_last else ends
            starts = np.concatenate([[0], ends + 1])[: len(stops)]
            is_row = stops > starts
            is_row &= (
                ~((stops == starts + 1) & (content.take(starts, mode="clip") == _RETURN)) if len(content) else True
            )
            rows = np.flatnonzero(is_row)
            if len(rows) >= rows_max or self._is_over:
                count = int(rows[rows_max - 1]) + 1 if len(rows) >= rows_max else len(stops)
                after = min(int(stops[count - 1]) + 1, len(content)) if count else 0
                return starts[:count], stops[:count], after
            read = self.file.read(READ_BYTES)
            self._is_over = not read
            self._rest += read


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _cells(
    content: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64], width: int
) -> tuple[list[TextColumn], list[int]]:
    """Return the columns of rows, and which rows have another number of cells."""
    commas: NDArray[Any] = np.flatnonzero(np.frombuffer(content, np.uint8) == _COMMA)
    first = np.searchsorted(commas, starts)
    wrong = np.flatnonzero(np.searchsorted(commas, ends) - first != width - 1)
    first[wrong] = 0
    bounds = [starts]
    for at in range(width - 1):
        bounds.append(commas.take(first + at, mode="clip") + 1 if len(commas) else starts)
    bounds.append(ends + 1)
    columns = []
    for begin, end in pairwise(bounds):
        cell_starts, cell_ends = begin.copy(), end - 1
        cell_starts[wrong] = cell_ends[wrong] = 0
        columns.append(TextColumn(content, cell_starts, cell_ends))
    return columns, wrong.tolist()
