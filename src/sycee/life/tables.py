"""SQL tables of life events. Ids, times and codes only: evidence and addresses are sealed elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import CheckConstraint, Column, Index, Integer, LargeBinary, MetaData, Table, Text

from sycee.database.columns import NS, NUMBER, Id128, required
from sycee.database.migrations import Schema

METADATA: Final = MetaData()
SCHEMA: Final = Schema("life", METADATA, Path(__file__).parent / "migrations")

STARTING: Final = "starting"
ACTIVE: Final = "active"
ENDED: Final = "ended"
REFUSED: Final = "refused"
STATES: Final = (STARTING, ACTIVE, ENDED, REFUSED)

EVENTS: Final = Table(
    "life_events",
    METADATA,
    Column("id", Id128, primary_key=True),
    *required(Text, "kind"),
    Column("person", Id128, nullable=False, index=True),
    Column("account", Id128),
    Column("case", NUMBER),
    *required(NS, "at_ns"),
    *required(Id128, "who"),
    Column("until_ns", NS),
    Column("proposal", Id128),
)
# Restrictions that events put on accounts, until they are lifted or their end is reached. `job`: the number of the job
# that ends it; 0 without one. `earlier_rule_set`: to be restored at the end.
RESTRICTIONS: Final = Table(
    "life_restrictions",
    METADATA,
    Column("account", Id128, primary_key=True),
    Column("kind", Text, primary_key=True),
    *required(Id128, "event"),
    *required(NS, "from_ns"),
    Column("until_ns", NS),
    *required(Integer, "earlier_rule_set"),
    *required(NUMBER, "job"),
    Column("state", Text, CheckConstraint(f"state IN {STATES}"), nullable=False),
)
GUARDIANS: Final = Table(
    "life_guardians",
    METADATA,
    Column("ward", Id128, primary_key=True),
    Column("guardian", Id128, primary_key=True),
    *required(NS, "from_ns"),
    Column("until_ns", NS),
    *required(Id128, "proposal"),
)
# Messages to deliver.
WAITING: Final = "waiting"
SENT: Final = "sent"
DEAD: Final = "dead"  # not taken by the last attempt, or refused for good
EXPIRED: Final = "expired"
# `channel` and `text` are codes; address and secret are sealed under the person's key. `secret_sealed`: NULL without
# one, and from the moment when the message waits no more. `until_ns` and `retry_ns` are times of the machine's clock:
# the message is not sent from `until_ns` on (0: no end), and not tried before `retry_ns`. `attempts`: those that
# failed. `reason`: of the last one; never with an address or a secret.
OUTBOX: Final = Table(
    "life_outbox",
    METADATA,
    Column("id", Id128, primary_key=True),
    Column("person", Id128, nullable=False),
    *required(LargeBinary, "channel_sealed"),
    *required(Text, "text"),
    *required(NS, "at_ns"),
    Column("sent_ns", NS),
    Column("secret_sealed", LargeBinary),
    *required(NS, "until_ns"),
    *required(Text, "state"),
    *required(Integer, "attempts"),
    *required(NS, "retry_ns"),
    *required(Text, "reason"),
)
Index("life_outbox_person", OUTBOX.c.person, OUTBOX.c.id)
Index("life_outbox_state", OUTBOX.c.state, OUTBOX.c.id)
