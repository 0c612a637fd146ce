"""Limit on the nesting of documents from outside: without a limit, a file of brackets exhausts Python's stack."""

from __future__ import annotations

import re
from typing import Any, Final

DEPTH_MAX: Final = 64  # levels of lists and tables; our own formats use at most 6
TOO_DEEP_HINT: Final = "check that the file is the one you mean: no format of Sycee nests this deeply"

# Strings and comments of JSON and TOML, whose brackets do not count; then brackets.
_TOKENS: Final = re.compile(
    rb'"""(?:[^\\]|\\.)*?"""|\'\'\'.*?\'\'\'|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|\#[^\n]*|[][{}]', re.DOTALL
)


def is_too_deep(value: Any) -> bool:
    """Return whether a value of dicts and lists has more than DEPTH_MAX levels. Uses no recursion."""
    level = [value]
    for _ in range(DEPTH_MAX + 1):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True


def line_of_excess(raw: bytes) -> int:
    """Return the line, from 1, of the first bracket beyond DEPTH_MAX levels; else of the first such dotted key."""
    depth = 0
    for token in _TOKENS.finditer(raw):
        if token[0] in (b"[", b"{"):
            depth += 1
            if depth > DEPTH_MAX:
                return raw.count(b"\n", 0, token.start()) + 1
        elif token[0] in (b"]", b"}"):
            depth -= 1
    lines = raw.split(b"\n")
    return next((number for number, line in enumerate(lines, 1) if line.count(b".") >= DEPTH_MAX), 1)
