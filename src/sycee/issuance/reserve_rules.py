"""Reserve rules: for each class of wallets, who owes the money and how much of it reserves must cover, from a day on.

Rules are dated data with a source. A shipped file is a starting point; a bank's own rules are proposals that two
officers sign. A class without a rule needs full reserves, and the issuer owes its money.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee import data
from sycee.core.errors import UsageError
from sycee.core.records.proposal_format import Proposal
from sycee.core.result_codes import Result
from sycee.database.actions import Intent
from sycee.database.stores import Stores
from sycee.database.transactions import reading
from sycee.identity.proposals import Proposals
from sycee.issuance.tables import RESERVE_RULES

ACTION: Final = "reserve-rule.set"
FULL_PPM: Final = 1_000_000
HOLDERS: Final = ("issuer", "operator")  # who owes the money in the wallet
MARKS: Final = ("1", "2", "assumed")  # found in one source, found in two or more, assumed by us

_CLASS: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class ReserveRule:
    """The rule of one class of wallets. `share_ppm`: reserves per million of its money."""

    wallet_class: str
    from_day: date
    holder: str
    share_ppm: int
    source: str

    def required_minor(self, money_minor: int) -> int:
        """Return the reserves that an amount needs, in minor units, rounded up."""
        return -(-money_minor * self.share_ppm // FULL_PPM)


def load(source: Path | str) -> tuple[ReserveRule, ...]:
    """Return the rules in a TOML file, or in the shipped one of this name. Raises DocumentError, UsageError."""
    document = data.document("reserve-rules", source, "file of reserve rules")
    document.text("title")
    made = []
    for table in document.tables("rules"):
        rule = ReserveRule(
            table.text("class"),
            table.day("from"),
            table.choice("holder", HOLDERS),
            table.integer("share_ppm", least=0, most=FULL_PPM),
            table.text("source"),
        )
        table.choice("mark", MARKS)
        if not _CLASS.fullmatch(rule.wallet_class):
            raise table.error("class", f"{rule.wallet_class!r} is not the name of a class", right="such as class-4")
        table.finish()
        made.append(rule)
    document.finish()
    return tuple(made)


class ReserveRules:
    """The reserve rules of one bank."""

    def __init__(self, stores: Stores, proposals: Proposals) -> None:
        self._stores = stores
        self._proposals = proposals
        stores.actions.register(_Set())

    def propose(self, rules: Sequence[ReserveRule], *, maker: int, id: int = 0) -> Proposal:
        """Propose rules for one or several classes. Two officers sign. Raises UsageError for an empty list."""
        if not rules:
            raise UsageError("there is no reserve rule to set")
        effect = {
            "rules": [
                {
                    "class": each.wallet_class,
                    "from": each.from_day.isoformat(),
                    "holder": each.holder,
                    "share_ppm": each.share_ppm,
                    "source": each.source,
                }
                for each in rules
            ]
        }
        return self._proposals.propose(ACTION, None, effect, maker=maker, id=id)

    def on(self, day: date) -> Mapping[str, ReserveRule]:
        """Return the rule of each class that has one, in force on a day."""
        query = sqlalchemy.select(RESERVE_RULES).where(RESERVE_RULES.c.from_day <= day.isoformat())
        with reading(self._stores.engine) as connection:
            rows = connection.execute(query.order_by(RESERVE_RULES.c.from_day, RESERVE_RULES.c.proposal))
            return {
                row.wallet_class: ReserveRule(
                    row.wallet_class, date.fromisoformat(row.from_day), row.holder, row.share_ppm, row.source
                )
                for row in rows
            }


class _Set:
    name = ACTION

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Add the rules, once."""
        if connection.scalar(sqlalchemy.select(RESERVE_RULES.c.share_ppm).where(RESERVE_RULES.c.proposal == intent.id)):
            return
        connection.execute(RESERVE_RULES.insert(), [_row(each, intent.id) for each in intent.payload["rules"]])

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Change nothing: a proposal that is not signed sets no rule."""


def _row(rule: Mapping[str, Any], proposal: int) -> dict[str, Any]:
    return {
        "wallet_class": rule["class"],
        "from_day": rule["from"],
        "proposal": proposal,
        "holder": rule["holder"],
        "share_ppm": rule["share_ppm"],
        "source": rule["source"],
    }
