"""The record of a run: what was run, its totals, digests, and every difference between ledger and engine."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from sycee import __version__
from sycee.sandbox.engine.outcome import Outcome
from sycee.sandbox.ledger_run.recipients import Recipients
from sycee.sandbox.ledger_run.run import Case, OnLedger

FORMAT: Final = "sycee-sandbox-run-1"
FIELDS: Final = ("stage", "balance", "debt", "claim day", "payments", "spent", "returned", "grant")
COLUMNS: Final = ("from purses", "own money")
SHOWN: Final = 10  # differences listed
CANNOT_SAY: Final = (
    "Persons are synthetic, and many parameters of their behaviour are assumed.",
    "Equal figures of ledger and engine show that both follow the same rules, not that people would act so.",
)
TOTALS: Final = (
    "recipients", "issued", "claims", "claimed", "users", "payments", "spent", "top_up", "returned",
    "own", "substituted", "forward", "new", "lifted", "paid_back",
)  # fmt: skip


def make(case: Case, recipients: Recipients, outcome: Outcome, found: OnLedger | None) -> dict[str, Any]:
    """Return the record. Its `ledger` is None for the engine alone."""
    city = case.place.city
    return {
        "format": FORMAT,
        "release": __version__,
        "cannot_say": list(CANNOT_SAY),
        "programme": case.programme.name,
        "currency": city.currency,
        "city": {"name": city.name, "digest": city.digest(), "one_in": city.one_in},
        "variant": outcome.variant,
        "parameters": outcome.parameters,
        "seed": outcome.seed,
        "days": outcome.days,
        "people": outcome.people,
        "totals": {"registered": recipients.registered} | {name: outcome.total(name) for name in TOTALS},
        "digest": outcome.digest(),
        "ledger": None if found is None else _ledger(found, outcome),
    }


def _ledger(found: OnLedger, outcome: Outcome) -> dict[str, Any]:
    purses, shops = differences(found, outcome)
    return {
        "digest": found.digest,
        "operations": found.operations,
        "payments": found.payments,
        "refused": dict(sorted(found.refused.items())),
        "equal": not (purses or shops or found.refused),
        "purses_that_differ": purses[:SHOWN],
        "shops_that_differ": shops[:SHOWN],
        "differences": len(purses) + len(shops),
        "seconds": {phase: round(seconds, 3) for phase, seconds in found.seconds.items()},
    }


def differences(found: OnLedger, outcome: Outcome) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return every purse field and every shop's sum in which ledger and engine differ."""
    if outcome.purses is None:
        raise ValueError("the outcome has no purses")
    return (
        _cells(found.purses, outcome.purses, "person", FIELDS),
        _cells(found.shops_paid, outcome.shops_paid, "merchant", COLUMNS),
    )


def _cells(ledger: Any, engine: Any, row: str, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        {row: at, "of": columns[column], "ledger": int(ledger[at, column]), "engine": int(engine[at, column])}
        for at, column in np.argwhere(ledger != engine).tolist()
    ]
