"""Matching of a party's statement with the ledger, line by line. Pure: numbers and ids only."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sycee.core.errors import UsageError

# Kinds of breaks.
MISSING: Final = "statement-lacks"
EXTRA: Final = "ledger-lacks"
AMOUNT: Final = "amount-differs"
SUSPENSE: Final = "suspense"
TRANSIT: Final = "old-transit"
RESERVES: Final = "reserves"
KINDS: Final = (MISSING, EXTRA, AMOUNT, SUSPENSE, TRANSIT, RESERVES)


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One movement of an account. `minor`: positive if it received money."""

    operation: int
    minor: int
    time_ns: int


@dataclass(frozen=True, slots=True)
class Stated:
    """One line of a statement, for one account. `operation` 0: the statement names none."""

    operation: int
    minor: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference that became a break. `minor`: the ledger's amount less the other side's.

    `operation` 0: none is known. `cause`: proposed, by a short text of ours.
    """

    kind: str
    party: str
    account: int
    operation: int
    minor: int
    cause: str


def match(
    ledger: Sequence[LedgerLine],
    stated: Iterable[Stated],
    *,
    party: str,
    account: int,
    cutoff_ns: int,
    near_ns: int,
    elsewhere: Callable[[int], str],
) -> list[Difference]:
    """Return the differences between the movements of an account on one day and its statement.

    Lines with an operation match the movement of that operation; the other lines match a movement of their amount that
    is left. `near_ns`: a movement less than this before the cut-off was probably booked on the party's next day.
    `elsewhere(operation)`: the ledger's facts about an operation that is not among the movements.
    """
    by_operation: dict[int, list[LedgerLine]] = defaultdict(list)
    for line in ledger:
        by_operation[line.operation].append(line)
    found: list[Difference] = []
    without: Counter[int] = Counter()

    def add(kind: str, operation: int, minor: int, cause: str) -> None:
        found.append(Difference(kind, party, account, operation, minor, cause))

    for each in stated:
        if not each.operation:
            without[each.minor] += 1
            continue
        candidates = by_operation.get(each.operation)
        if not candidates:
            add(EXTRA, each.operation, -each.minor, elsewhere(each.operation))
            continue
        same = next((line for line in candidates if line.minor == each.minor), None)
        # An operation may have moved money in both directions, as a payment whose excess continued to the bank.
        along = next((line for line in candidates if (line.minor > 0) is (each.minor > 0)), candidates[0])
        taken = same or along
        candidates.remove(taken)
        if same is None:
            add(AMOUNT, each.operation, taken.minor - each.minor, "one of the two has a wrong amount")
    for line in ledger:
        if line not in by_operation[line.operation]:
            continue
        by_operation[line.operation].remove(line)
        if without[line.minor]:
            without[line.minor] -= 1
            continue
        near = cutoff_ns - line.time_ns <= near_ns
        add(MISSING, line.operation, line.minor, "near the cut-off: on the party's next day" if near else "not booked")
    for minor, count in without.items():
        for _ in range(count):
            add(EXTRA, 0, -minor, "no movement of this amount is left")
    return found


def require_accounts(accounts: Iterable[int], known: Callable[[int], bool], file: str) -> None:
    """Raise UsageError for a statement of an account that the bank's currency does not have."""
    unknown = sum(not known(account) for account in accounts)
    if unknown:
        raise UsageError(
            f"{file} names {unknown} accounts that this bank does not have", hint="write the ids of its accounts"
        )
