"""The record of a run: what was run, its totals, digests, and every difference between ledger and engine."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from sycee import __version__
from sycee.core.arrays import Array
from sycee.sandbox.engine.outcome import RunOutcome
from sycee.sandbox.ledger_run.recipients import Recipients
from sycee.sandbox.ledger_run.run import Case, OnLedger

FORMAT: Final = "sycee-sandbox-run-1"
FIELDS: Final = ("stage", "balance", "debt", "claim day", "payments", "spent", "returned", "grant")
COLUMNS: Final = ("from purses", "own money")  # with that of ordinary purchases, if they are paid
SHOWN: Final = 10  # differences listed
CANNOT_SAY: Final = (
    "Persons are synthetic, and many parameters of their behaviour are assumed.",
    "Money spent is not an effect. New consumption is a guess: no causal estimate exists for a drop of digital money.",
    "Equal figures of ledger and engine show that both follow the same rules, not that people would act so.",
)
TOTALS: Final = (
    "recipients", "issued", "claims", "claimed", "users", "payments", "spent", "refunded", "top_up", "returned",
    "own", "substituted", "forward", "new", "lifted", "paid_back",
)  # fmt: skip


def make(case: Case, recipients: Recipients, outcome: RunOutcome, found: OnLedger | None) -> dict[str, Any]:
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
        "first_day": case.first_day.isoformat(),
        "days": outcome.days,
        "people": outcome.people,
        "totals": {"registered": recipients.registered} | {name: outcome.total(name) for name in TOTALS},
        "digest": outcome.digest(),
        "ledger": None if found is None else _ledger(found, outcome, with_ordinary=case.with_ordinary),
    }


def _ledger(found: OnLedger, outcome: RunOutcome, *, with_ordinary: bool) -> dict[str, Any]:
    if outcome.purses is None:
        raise ValueError("the outcome has no purses")
    shops, outside = paid(outcome, with_ordinary=with_ordinary)
    purses_differ, shops_differ = found.purses != outcome.purses, found.shops_paid != shops
    differences = np.count_nonzero(purses_differ) + np.count_nonzero(shops_differ) + (found.outside != outside)
    return {
        "digest": found.digest,
        "operations": found.operations,
        "payments": found.payments,
        "refunds": found.refunds,
        "purchases": found.purchases,
        "outside": found.outside,
        "refused": dict(sorted(found.refused.items())),
        "equal": not (differences or found.refused),
        "purses_that_differ": _cells(purses_differ, found.purses, outcome.purses, "person", FIELDS),
        "shops_that_differ": _cells(shops_differ, found.shops_paid, shops, "merchant", COLUMNS),
        "differences": int(differences),
        "seconds": {phase: round(seconds, 3) for phase, seconds in found.seconds.items()},
    }


def paid(outcome: RunOutcome, *, with_ordinary: bool) -> tuple[Array, int]:
    """Return what the engine has for each shop, [merchants, 2], and for ordinary purchases outside of the city."""
    if not with_ordinary:
        return outcome.shops_paid, 0
    ordinary = outcome.shops_base + outcome.shops_change - outcome.shops_paid.sum(axis=1)
    every = int(outcome.cell_base.sum()) - outcome.total("paid_back") - outcome.total("substituted")
    return outcome.shops_paid + ordinary[:, None] * np.array([0, 1]), every - int(ordinary.sum())


def _cells(differs: Array, ledger: Array, engine: Array, row: str, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the first differences."""
    first = np.flatnonzero(differs.any(axis=1))[:SHOWN]
    found = [
        {row: at, "of": columns[column], "ledger": int(ledger[at, column]), "engine": int(engine[at, column])}
        for at in first.tolist()
        for column in np.flatnonzero(differs[at]).tolist()
    ]
    return found[:SHOWN]
