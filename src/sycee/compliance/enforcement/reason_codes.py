"""Reasons of refusal as ISO 20022 status reasons: shipped data, each code with its source and our interpretation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from sycee import data
from sycee.core import documents
from sycee.core.documents import Table

NOT_ADMITTED: Final = "not-admitted"
NO_ROUTE: Final = "no-route"
UNREADABLE: Final = "unreadable"
# The first reason that applies is reported. The last three are verdicts.
PRECEDENCE: Final = (UNREADABLE, NOT_ADMITTED, NO_ROUTE, "fail", "conflict", "unknown")
OUTCOMES: Final = ("permitted", "refused")


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
    found = {
        each.choice("when", PRECEDENCE): Reason(**{name: each.text(name) for name in Reason.__slots__})
        for each in _document().tables("reasons")
    }
    return {when: found[when] for when in PRECEDENCE}


@cache
def status_codes() -> Mapping[str, str]:
    """Return the code of ExternalPaymentTransactionStatus1Code for each outcome."""
    return {each.choice("outcome", OUTCOMES): each.text("code") for each in _document().tables("statuses")}


def code_of(*given: str) -> str:
    """Return the code of the first of the given reasons in order of precedence; an empty text without reasons."""
    return next((reason.code for when, reason in reasons().items() if when in given), "")


def first_code(codes: Iterable[str]) -> str:
    """Return the first of the given codes in order of precedence; an empty text without one."""
    given = frozenset(codes)
    return next((reason.code for reason in reasons().values() if reason.code in given), "")


def _document() -> Table:
    return documents.parse(data.content("iso20022", "status-reasons"), "status-reasons.toml")
