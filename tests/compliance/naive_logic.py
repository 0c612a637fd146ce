"""Logic of three values for the plain judge: true, false, or None for unknown."""

from __future__ import annotations

Truth = bool | None


def negation(truth: Truth) -> Truth:
    return None if truth is None else not truth


def conjunction(truths: list[Truth]) -> Truth:
    return False if False in truths else None if None in truths else True


def disjunction(truths: list[Truth]) -> Truth:
    return True if True in truths else None if None in truths else False
