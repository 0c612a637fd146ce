"""List of all rows, in the order of the table."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from benchmarks.measure import Benchmark
from sycee.core.errors import UsageError

# One module for each family of rows.
FAMILIES: Final = (
    "ledger",
    "drops",
    "open_loop",
    "signed",
    "signed_http",
    "starts",
    "days",
    "first_run",
    "known_ids",
    "identifiers",
    "draw",
    "compliance",
    "compliance_names",
    "screening",
    "routes",
    "wallets",
    "programmes_live",
    "bulk",
    "cities",
    "clearing_days",
    "sandbox_engine",
    "sandbox_ledger",
    "sandbox_experiments",
    "voucher_peers",
    "iso20022_messages",
    "clearing_queues",
    "clearing_peak",
    "purses",
    "purses_http",
    "sqlite",
    "postgresql",
)

BENCHMARKS: Final[tuple[Benchmark, ...]] = tuple(
    one for family in FAMILIES for one in import_module(f"benchmarks.{family}").BENCHMARKS
)


def chosen(only: tuple[str, ...], *, full: bool) -> list[Benchmark]:
    """Return the rows whose names begin with one of `only`; without it the quick rows, or all with `full`.

    Raises UsageError if no row matches.
    """
    if not only:
        return [one for one in BENCHMARKS if full or one.quick is not None]
    found = [one for one in BENCHMARKS if one.work.startswith(only)]
    if not found:
        raise UsageError(f"no row begins with {' or '.join(only)}", hint="python -m benchmarks --list names them")
    return found


def named(work: str) -> Benchmark:
    return next(one for one in BENCHMARKS if one.work == work)
