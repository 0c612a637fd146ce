"""Text of any file, made safe for a terminal and for a page."""

from __future__ import annotations

import re
from typing import Final

# C0 and C1 control characters except for the tab, line and paragraph separators, embeddings and isolates of writing
# direction, the byte-order mark, lone surrogates and two non-characters. XML does not allow the last two groups.
_UNPRINTABLE: Final = re.compile("[\0-\x08\n-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]")


def printable(text: str) -> str:
    r"""Return `text` as one line in which every unprintable character is an escape, as in `\x1b`.

    Use it for each text that comes from a file. Unprintable are characters that control a terminal, break a line,
    change the direction of writing or are not allowed in XML. Printable text is returned unchanged.
    """
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def printable_json(text: str) -> str:
    r"""Return JSON with unprintable characters as `\u` escapes: the same JSON value. Line breaks stay.

    `json.dumps(ensure_ascii=False)` escapes C0 control characters only.
    """
    return _UNPRINTABLE.sub(lambda match: match[0] if match[0] == "\n" else f"\\u{ord(match[0]):04x}", text)
