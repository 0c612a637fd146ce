"""SQL tables of wallets, aliases, references, holds, orders, requests, sweeps, waterfalls and mandates.

Rows hold ids, amounts, codes, keyed hashes and sealed bytes. A name is in no row; `masked` shows a few of its letters.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

from sycee.database.columns import DAY, MINOR, NS, Id128, required, state_column
from sycee.database.migrations import Schema

METADATA: Final = MetaData()
SCHEMA: Final = Schema("wallets", METADATA, Path(__file__).parent / "migrations")

ID16: Final = Id128
HASH: Final = LargeBinary(16)
REFERENCE_CHARACTERS_MAX: Final = 35
ORDER: Final = String(REFERENCE_CHARACTERS_MAX)

OPENING: Final = "opening"
OPEN: Final = "open"
CLOSED: Final = "closed"
REFUSED: Final = "refused"
LAPSED: Final = "lapsed"
WALLET_STATES: Final = (OPENING, OPEN, REFUSED, LAPSED, CLOSED)

ACTIVE: Final = "active"
COOLING: Final = "cooling"
ENDED: Final = "ended"
ALIAS_STATES: Final = (ACTIVE, COOLING, ENDED)

SENT: Final = "sent"
DONE: Final = "done"
REFERENCE_STATES: Final = (SENT, DONE, REFUSED, LAPSED)

ASKED: Final = "asked"
PAID: Final = "paid"
ORDER_STATES: Final = (ASKED, PAID, REFUSED, LAPSED)

PAYING: Final = "paying"
DECLINED: Final = "declined"
EXPIRED: Final = "expired"
WITHDRAWN: Final = "withdrawn"
REQUEST_STATES: Final = (OPEN, PAYING, PAID, DECLINED, EXPIRED, WITHDRAWN)

SENDING: Final = "sending"
CONFIRMED: Final = "confirmed"
REJECTED: Final = "rejected"
SWEEP_STATES: Final = (SENDING, SENT, CONFIRMED, REJECTED, REFUSED, LAPSED)

# States of a shortfall, besides those of requests and sweeps that have the same names.
SHORTFALL_STATES: Final = (ASKED, PAYING, PAID, REFUSED, REJECTED, EXPIRED)

WAITING: Final = "waiting"
USED: Final = "used"
FAILED: Final = "failed"
CHALLENGE_STATES: Final = (WAITING, USED, FAILED)


# `holder`: a person, or a merchant. `class`: of the preset, "" for a merchant without limits. `intent`: the intent that
# opened the account.
WALLETS: Final = Table(
    "wallets_wallets",
    METADATA,
    Column("account", ID16, primary_key=True),
    Column("holder", ID16, nullable=False, index=True),
    *required(Integer, "operator"),
    *required(Text, "class"),
    *required(Integer, "rule_set"),
    *required(Boolean, "is_custodial"),
    state_column(*WALLET_STATES),
    Column("intent", ID16, nullable=False, index=True),
    *required(NS, "opened_ns"),
)
_LAPSED = WALLETS.c.state == LAPSED
Index("wallets_wallets_lapsed", WALLETS.c.operator, WALLETS.c.intent, sqlite_where=_LAPSED, postgresql_where=_LAPSED)
# `kind`: of aliases.AliasKind. `hash`: keyed. `to_account`: while the alias cools off, the account it moves to.
ALIASES: Final = Table(
    "wallets_aliases",
    METADATA,
    Column("kind", SmallInteger, primary_key=True, autoincrement=False),
    Column("hash", HASH, primary_key=True),
    Column("account", ID16, nullable=False, index=True),
    *required(Text, "masked"),
    state_column(*ALIAS_STATES),
    *required(NS, "since_ns"),
    Column("until_ns", NS),
    Column("to_account", ID16),
)
# Codes that are sent to a phone. `code_hash`: keyed. `sealed`: phone and code, for delivery, until it was sent.
CHALLENGES: Final = Table(
    "wallets_challenges",
    METADATA,
    Column("id", ID16, primary_key=True),
    Column("kind", SmallInteger, nullable=False),
    Column("hash", HASH, nullable=False, index=True),
    *required(ID16, "account"),
    Column("code_hash", HASH, nullable=False),
    Column("sealed", LargeBinary),
    *required(Integer, "attempts"),
    *required(NS, "expires_ns"),
    state_column(*CHALLENGE_STATES),
)
Index("wallets_challenges_expires", CHALLENGES.c.expires_ns)
LOOKUPS: Final = Table(
    "wallets_lookups",
    METADATA,
    Column("who", ID16, primary_key=True),
    Column("day", DAY, primary_key=True),
    *required(Integer, "count"),
)
# `id`: the note of the ledger's record. `payer_sealed`, `payee_sealed`: the text, under the key of each side's holder.
# `original`: of a refund, the payment's operation; of a post, the HOLD.
REFERENCES: Final = Table(
    "wallets_references",
    METADATA,
    Column("id", ID16, primary_key=True),
    Column("operation", ID16, nullable=False, index=True),
    Column("original", ID16, index=True),
    *required(ID16, "payer", "payee"),
    *required(MINOR, "minor"),
    Column("payer_sealed", LargeBinary),
    Column("payee_sealed", LargeBinary),
    Column("till", ID16),
    Column("order_number", ORDER),
    *required(NS, "at_ns"),
    state_column(*REFERENCE_STATES),
)
Index("wallets_references_till", REFERENCES.c.till, REFERENCES.c.at_ns)
# `id`: the HOLD's operation. Its text, till and order are in the row of `reference`; its state is the ledger's.
HOLDS: Final = Table(
    "wallets_holds",
    METADATA,
    Column("id", ID16, primary_key=True),
    Column("reference", ID16, nullable=False, unique=True),
    Column("payer", ID16, nullable=False, index=True),
    Column("payee", ID16, nullable=False, index=True),
)
# `operation`: of the newest payment or hold of this order. An order with a hold is `asked` until its POST.
ORDERS: Final = Table(
    "wallets_orders",
    METADATA,
    Column("merchant", ID16, primary_key=True),
    Column("order_number", ORDER, primary_key=True),
    *required(ID16, "reference", "operation"),
    *required(MINOR, "minor"),
    state_column(*ORDER_STATES),
)
# `payer` NULL: anybody may pay. `signer_key`: the key that `signature` is of. `intent`: of the payment.
REQUESTS: Final = Table(
    "wallets_requests",
    METADATA,
    Column("id", ID16, primary_key=True),
    Column("payee", ID16, nullable=False, index=True),
    Column("payer", ID16, index=True),
    *required(MINOR, "minor"),
    *required(Integer, "currency"),
    Column("till", ID16),
    Column("order_number", ORDER),
    Column("payee_sealed", LargeBinary),
    *required(Text, "signer_key"),
    Column("signature", LargeBinary(64), nullable=False),
    *required(NS, "expires_ns"),
    state_column(*REQUEST_STATES),
    Column("operation", ID16),
)
# `id`: of the SEND. `first_frame`, `last_frame`: the frames whose payments the sweep carries.
SWEEPS: Final = Table(
    "wallets_sweeps",
    METADATA,
    Column("id", ID16, primary_key=True),
    Column("merchant", ID16, nullable=False, index=True),
    *required(ID16, "account"),
    *required(Integer, "operator"),
    Column("bank_reference", String(REFERENCE_CHARACTERS_MAX), nullable=False, unique=True),
    *required(MINOR, "minor"),
    *required(BigInteger, "first_frame", "last_frame"),
    *required(NS, "at_ns"),
    state_column(*SWEEP_STATES),
)
# Payments that the payee's account refused, for the payee's operator alone.
REFUSALS: Final = Table(
    "wallets_refusals",
    METADATA,
    Column("operation", ID16, primary_key=True),
    *required(ID16, "payee"),
    Column("operator", Integer, nullable=False),
    *required(Integer, "code"),
    *required(NS, "at_ns"),
)
Index("wallets_refusals_operator", REFUSALS.c.operator, REFUSALS.c.at_ns)
# Refused payments of an operator's own payers. `code`: None for a code about the payee's account.
PAYER_REFUSALS: Final = Table(
    "wallets_payer_refusals",
    METADATA,
    Column("operation", ID16, primary_key=True),
    *required(ID16, "payer"),
    Column("operator", Integer, nullable=False),
    Column("code", Integer),
    *required(NS, "at_ns"),
)
Index("wallets_payer_refusals_operator", PAYER_REFUSALS.c.operator, PAYER_REFUSALS.c.at_ns)
# Waterfalls: the excess over the limit of `account` is sent through `transit` to the bank account in `bank_sealed`.
LINKS: Final = Table(
    "wallets_links",
    METADATA,
    Column("account", ID16, primary_key=True),
    *required(ID16, "transit"),
    *required(LargeBinary, "bank_sealed"),
    state_column(SENDING, ACTIVE, REFUSED, ENDED),
)
# A wallet's signed permission: what its payments lack is debited from the holder's bank account, up to a maximum a day.
MANDATES: Final = Table(
    "wallets_mandates",
    METADATA,
    Column("id", ID16, primary_key=True),
    Column("account", ID16, nullable=False, index=True),
    *required(MINOR, "day_max_minor"),
    Column("signature", LargeBinary(64), nullable=False),
    *required(NS, "at_ns"),
    state_column(ACTIVE, ENDED),
)
# Payments that wait for the payer's bank. `id`: of the PAY; `funding`: of the SEND from the vault. `records`: the chain
# that payer and operator sign; `envelopes`: the payer's signature. `answer`: what the payer is told after a refusal.
SHORTFALLS: Final = Table(
    "wallets_shortfalls",
    METADATA,
    Column("id", ID16, primary_key=True),
    Column("funding", ID16, nullable=False, unique=True),
    *required(ID16, "reference", "account", "payee"),
    *required(Integer, "operator"),
    *required(MINOR, "minor", "missing_minor"),
    *required(DAY, "day"),
    *required(LargeBinary, "records", "envelopes"),
    *required(NS, "at_ns", "expires_ns"),
    state_column(*SHORTFALL_STATES),
    *required(Text, "answer"),
)
Index("wallets_shortfalls_day", SHORTFALLS.c.account, SHORTFALLS.c.day)
Index("wallets_shortfalls_open", SHORTFALLS.c.operator, SHORTFALLS.c.state)
