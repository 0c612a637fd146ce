"""Allocation of the small numbers that the ledger uses: rule sets, groups, programmes, operators."""

from __future__ import annotations

from typing import Final

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.core.clock import Clock, read_ns
from sycee.core.errors import UsageError
from sycee.core.limits import GROUPS_MAX, PROGRAMMES_MAX, RULE_SETS_MAX
from sycee.database.tables import NUMBERS

BANK_RULE_SETS_FROM: Final = 60_000  # the first one is the minting cap and is not allocated


class Numbers:
    """Numbers of each kind, each allocated once, to an owner."""

    RULE_SETS: Final = "rule-set"  # of wallet tiers and accounts
    PROGRAMME_RULE_SETS: Final = "programme-rule-set"
    BANK_RULE_SETS: Final = "bank-rule-set"  # quotas of operators
    GROUPS: Final = "group"
    PROGRAMMES: Final = "programme"
    OPERATORS: Final = "operator"  # 0 is technical, 1 the reserve desk

    RANGES: Final = {
        RULE_SETS: range(1, 10_000),
        PROGRAMME_RULE_SETS: range(10_000, BANK_RULE_SETS_FROM),
        BANK_RULE_SETS: range(BANK_RULE_SETS_FROM + 1, RULE_SETS_MAX + 1),
        GROUPS: range(1, GROUPS_MAX + 1),
        PROGRAMMES: range(1, PROGRAMMES_MAX + 1),
        OPERATORS: range(2, 1_000_001),
    }

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def allocate(self, connection: Connection, kind: str, owner: str, count: int = 1) -> int:
        """Return the first of `count` consecutive numbers; the same kind and owner return the same numbers again.

        Call it inside `write`, so that two callers never get the same number. Raises UsageError for an unknown kind, a
        count that differs from the owner's earlier one, and when no numbers are left.
        """
        if kind not in self.RANGES or count < 1:
            raise UsageError(f"{count} numbers of kind {kind!r}", hint=f"kinds are {', '.join(self.RANGES)}")
        numbers = self.RANGES[kind]
        of_kind, number = NUMBERS.c.kind == kind, NUMBERS.c.number
        earlier = list(connection.scalars(sqlalchemy.select(number).where(of_kind, NUMBERS.c.owner == owner)))
        if earlier:
            if len(earlier) != count:
                raise UsageError(
                    f"{owner} has {len(earlier)} numbers of kind {kind}, not {count}",
                    hint="allocate further numbers under another owner's text",
                )
            return int(min(earlier))
        last = connection.scalar(sqlalchemy.select(sqlalchemy.func.max(number)).where(of_kind))
        first = numbers.start if last is None else int(last) + 1
        if first + count > numbers.stop:
            raise UsageError(
                f"no {count} numbers of kind {kind} are left: {numbers.start} to {numbers.stop - 1:,} are in use",
                hint="numbers are never used twice",
            )
        now_ns = read_ns(self._clock)
        rows = [{"kind": kind, "number": first + at, "owner": owner, "at_ns": now_ns} for at in range(count)]
        connection.execute(NUMBERS.insert(), rows)
        return first
