"""Words of messages."""

from __future__ import annotations


def quantity(count: int, noun: str, many: str = "") -> str:
    """Return a number with its noun: "1 finding", "2,000 findings". `many`: the plural, unless it only adds an s."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"
