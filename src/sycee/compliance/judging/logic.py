"""Kleene's three-valued logic: true, false, or None for unknown.

With fewer facts a truth can become unknown, but it never changes from true to false or back.
"""

from __future__ import annotations

from collections.abc import Collection

Truth = bool | None


def negation(truth: Truth) -> Truth:
    """Return the opposite; unknown remains unknown."""
    return None if truth is None else not truth


def conjunction(truths: Collection[Truth]) -> Truth:
    """Return whether all are true. One false value decides, even beside unknown ones."""
    return False if False in truths else None if None in truths else True


def disjunction(truths: Collection[Truth]) -> Truth:
    """Return whether at least one is true. One true value decides, even beside unknown ones."""
    return True if True in truths else None if None in truths else False
