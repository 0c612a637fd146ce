"""SQL tables of people, institutions, proposals and keys. Rows hold ids, codes, keys and names of institutions."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from sycee.database.columns import DIGEST, NS, NUMBER, Id128, required, state_column
from sycee.database.migrations import Schema

METADATA: Final = MetaData()
SCHEMA: Final = Schema("identity", METADATA, Path(__file__).parent / "migrations")

ACTIVE: Final = "active"
SHREDDED: Final = "shredded"
PERSON_STATES: Final = (ACTIVE, SHREDDED)

ISSUER: Final = "issuer"
OPERATOR: Final = "operator"
MERCHANT: Final = "merchant"
AUDITOR: Final = "auditor"
INSTITUTION_KINDS: Final = (ISSUER, OPERATOR, MERCHANT, AUDITOR)

APPLIED: Final = "applied"
APPROVED: Final = "approved"
LEAVING: Final = "leaving"
LEFT: Final = "left"
REFUSED: Final = "refused"
INSTITUTION_STATES: Final = (APPLIED, APPROVED, ACTIVE, LEAVING, LEFT, REFUSED)

STATED: Final = "stated"
VERIFIED: Final = "verified"
CLOSED: Final = "closed"

OPEN: Final = "open"
SUBMITTED: Final = "submitted"
DONE: Final = "done"
WITHDRAWN: Final = "withdrawn"
LAPSED: Final = "lapsed"
PROPOSAL_STATES: Final = (OPEN, SUBMITTED, DONE, REFUSED, WITHDRAWN, LAPSED)

SETTING: Final = "setting"
SET: Final = "set"

ID16: Final = Id128
CODE: Final = String(16)


PERSONS: Final = Table(
    "identity_persons",
    METADATA,
    Column("id", ID16, primary_key=True),  # the person's id in grants of the ledger, too
    state_column(*PERSON_STATES),
    *required(NS, "made_ns"),
)
# `grant_id`: id of the GRANT_ROLE, for duties that are roles of the ledger.
DUTIES: Final = Table(
    "identity_duties",
    METADATA,
    Column("id", ID16, primary_key=True),
    Column("person", ID16, nullable=False, index=True),
    Column("institution", ID16),
    *required(Text, "duty"),
    *required(NS, "from_ns", "until_ns"),
    Column("grant_id", ID16),
    Column("ended_ns", NS),
    *required(ID16, "proposal"),
)
# `operator`: number in the ledger. `participant`: id in the compliance network, "" for none.
INSTITUTIONS: Final = Table(
    "identity_institutions",
    METADATA,
    Column("id", ID16, primary_key=True),
    Column("kind", Text, CheckConstraint(f"kind IN {INSTITUTION_KINDS}"), nullable=False),
    *required(Text, "name"),
    Column("operator", Integer, index=True),
    *required(Text, "participant"),
    state_column(*INSTITUTION_STATES),
    *required(NS, "made_ns"),
)
OWNERS: Final = Table(
    "identity_owners",
    METADATA,
    Column("institution", ID16, primary_key=True),
    Column("person", ID16, primary_key=True),
    *required(Integer, "share_ppm"),
)
CHECKS: Final = Table(
    "identity_checks",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    Column("institution", ID16, nullable=False, index=True),
    *required(Text, "kind", "outcome"),
    *required(ID16, "proposal"),
    *required(NS, "at_ns"),
)
# `sealed`: the account's number, encrypted by the caller. `hash`: keyed, to notice one account stated by two merchants.
SETTLEMENT_ACCOUNTS: Final = Table(
    "identity_settlement_accounts",
    METADATA,
    Column("institution", ID16, primary_key=True),
    *required(LargeBinary, "sealed"),
    Column("hash", LargeBinary(16), nullable=False, index=True),
    state_column(STATED, VERIFIED),
    Column("proposal", ID16),
)
OUTLETS: Final = Table(
    "identity_outlets",
    METADATA,
    Column("id", ID16, primary_key=True),
    *required(ID16, "merchant"),
    *required(CODE, "code"),
    state_column(ACTIVE, CLOSED),
    UniqueConstraint("merchant", "code", name="identity_outlets_code"),
)
TILLS: Final = Table(
    "identity_tills",
    METADATA,
    Column("id", ID16, primary_key=True),
    *required(ID16, "outlet"),
    *required(CODE, "code"),
    Column("public_key", Text),
    state_column(ACTIVE, CLOSED),
    UniqueConstraint("outlet", "code", name="identity_tills_code"),
)
# `records`: 128 bytes each. `effect`: canonical JSON. `results`: one u2 per record. `reason`: why it was refused or
# lapsed, a code, or "".
PROPOSALS: Final = Table(
    "identity_proposals",
    METADATA,
    Column("id", ID16, primary_key=True),
    *required(Text, "action"),
    *required(ID16, "maker"),
    *required(LargeBinary, "records"),
    *required(Text, "effect"),
    *required(DIGEST, "digest"),
    *required(NS, "valid_until_ns"),
    state_column(*PROPOSAL_STATES),
    *required(Text, "reason"),
    Column("results", LargeBinary),
    *required(NS, "made_ns"),
    Column("finished_ns", NS),
)
Index("identity_proposals_state", PROPOSALS.c.state, PROPOSALS.c.id)
SIGNATURES: Final = Table(
    "identity_signatures",
    METADATA,
    Column("proposal", ID16, primary_key=True),
    Column("signer", ID16, primary_key=True),
    *required(Text, "public_key"),
    Column("envelope", LargeBinary),  # 104 bytes; none if the proposal has no records
    Column("approval", LargeBinary(64), nullable=False),
    *required(NS, "at_ns"),
)
# Keys of accounts and of persons whose duty is no role of the ledger. `public_key`: "" for none. `state`: "setting"
# until the block of the rotation is lifted. `intent`: of the rotation; `lift`: of the operation that lifts the block.
KEYS: Final = Table(
    "identity_keys",
    METADATA,
    Column("subject", ID16, primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("public_key", Text, nullable=False, index=True),
    *required(NS, "from_ns"),
    Column("until_ns", NS),
    *required(Text, "reason"),
    state_column(SETTING, SET),
    Column("intent", ID16),
    Column("lift", ID16),
)
