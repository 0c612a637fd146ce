"""Passwords inside URLs and connection strings: found, so that they are refused, and masked, so that none is shown."""

from __future__ import annotations

import re
from typing import Final

MASK: Final = "***"

# A password of a database may contain blanks and slashes: SQLAlchemy reads up to an "@".
_OF_DATABASE: Final = re.compile(r"(?i)\b(?!https?:)([a-z][\w+.-]*://[^\s/:@\[]*:)[^@\n]*(@)(?:[^\s@]*@)*")
_OF_WEB: Final = re.compile(r"(?i)\b(https?://[^\s/:@\[]*:)[^\s/@]*(@)")
_FIELD: Final = re.compile(r"(?i)((?:^|[?&;\s'\"])(?:ssl)?password\s*=\s*['\"]?)[^\s&'\"]+()")
_PATTERNS: Final = (_OF_DATABASE, _OF_WEB, _FIELD)


def contains_password(text: str) -> bool:
    """Return whether a text contains a URL, or fields of a connection string, with a password."""
    return any(each.search(text) for each in _PATTERNS)


def without_passwords(text: str) -> str:
    """Return a text with a mask in place of each password of a URL or a connection string."""
    for each in _PATTERNS:
        text = each.sub(rf"\g<1>{MASK}\g<2>", text)
    return text
