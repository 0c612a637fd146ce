"""Why something was refused, as a status reason of ISO 20022: data, each code with its source and our reading of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from sycee import data
from sycee.core import documents

NOT_ADMITTED: Final = "not-admitted"
NO_ROUTE: Final = "no-route"
# What comes first is given where several hold. The last three are verdicts.
PRECEDENCE: Final = (NOT_ADMITTED, NO_ROUTE, "fail", "conflict", "unknown")


@dataclass(frozen=True, slots=True)
class Reason:
    """One code of ExternalStatusReason1Code, and when it is given."""

    when: str
    code: str
    name: str
    source: str
    interpretation: str


@cache
def reasons() -> Mapping[str, Reason]:
    """The reasons by when they are given: one for each of `PRECEDENCE`."""
    table = documents.parse(data.content("iso20022", "status-reasons"), "status-reasons.toml")
    found = {
        each.choice("when", PRECEDENCE): Reason(
            each.text("when"),
            each.text("code"),
            each.text("name"),
            each.text("source"),
            each.text("interpretation"),
        )
        for each in table.tables("reasons")
    }
    return {when: found[when] for when in PRECEDENCE}


def code_of(*whys: str) -> str:
    """The code for the first of these in the order of precedence; nothing for none."""
    return next((reason.code for when, reason in reasons().items() if when in whys), "")
