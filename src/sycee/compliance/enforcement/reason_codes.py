"""Reasons of refusal as ISO 20022 status reasons: shipped data, each code with its source and our interpretation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from sycee import data
from sycee.core import documents

NOT_ADMITTED: Final = "not-admitted"
NO_ROUTE: Final = "no-route"
UNREADABLE: Final = "unreadable"
# The first reason that applies is reported. The last three are verdicts.
PRECEDENCE: Final = (UNREADABLE, NOT_ADMITTED, NO_ROUTE, "fail", "conflict", "unknown")


@dataclass(frozen=True, slots=True)
class Reason:
    """One code of ExternalStatusReason1Code; `when` is the reason of `PRECEDENCE` that it reports."""

    when: str
    code: str
    name: str
    source: str
    interpretation: str


@cache
def reasons() -> Mapping[str, Reason]:
    """Return the shipped codes by reason, in order of precedence."""
    table = documents.parse(data.content("iso20022", "status-reasons"), "status-reasons.toml")
    found = {
        each.choice("when", PRECEDENCE): Reason(**{name: each.text(name) for name in Reason.__slots__})
        for each in table.tables("reasons")
    }
    return {when: found[when] for when in PRECEDENCE}


def code_of(*given: str) -> str:
    """Return the code of the first of the given reasons in order of precedence; an empty text without reasons."""
    return next((reason.code for when, reason in reasons().items() if when in given), "")
