"""SQL tables of webhooks. No event is stored: a dead letter is the number of an event, which the feed gives again."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, Integer, Table, Text

from sycee.database.columns import NS, Id128, required
from sycee.server.metadata import METADATA

ACTIVE: Final = "active"
DISABLED: Final = "disabled"

DEAD: Final = "dead"
WAITING: Final = "waiting"  # to be sent again

# `types`: names of types separated by blanks, "" for all. `cursor`: after the last event that was delivered or became a
# dead letter. `failures`: attempts for the event after it; `retry_ns`: the next one is not before. `buried`: dead
# letters since the last delivery. Times are of the machine's clock.
WEBHOOKS: Final = Table(
    "server_webhooks",
    METADATA,
    Column("id", Id128, primary_key=True),
    Column("client", Id128, nullable=False, index=True),
    Column("person", Id128, nullable=False, index=True),
    Column("operator", Integer),
    *required(Text, "url", "types", "cursor"),
    Column("state", Text, CheckConstraint(f"state IN ('{ACTIVE}', '{DISABLED}')"), nullable=False),
    *required(Integer, "failures", "buried"),
    *required(NS, "retry_ns", "made_ns"),
    *required(Text, "reason"),
)
# `event`: its number. `reason`: of the last attempt.
DEAD_LETTERS: Final = Table(
    "server_dead_letters",
    METADATA,
    Column("webhook", Id128, primary_key=True),
    Column("event", Text, primary_key=True),
    *required(Text, "type", "reason"),
    Column("state", Text, CheckConstraint(f"state IN ('{DEAD}', '{WAITING}')"), nullable=False),
    *required(Integer, "attempts"),
    *required(NS, "at_ns"),
)
